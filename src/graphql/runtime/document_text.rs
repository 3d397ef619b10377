//! What a document's text comes to before it is parsed: the parser takes microseconds and hundreds of bytes for each token,
//! so these are counted first, and what has too many is not parsed.

use async_graphql::ServerError;

use super::limits::Limits;

/// Brackets within brackets: what may be executed has fewer, and the parser takes some stack for each.
const NESTING_MAX: usize = 100;
/// The longest name, or number. Errors tell names again, and paths each that lies above.
const NAME_BYTES_MAX: usize = 256;

/// How much there is to be parsed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measure {
    pub tokens: usize,
    /// How deep brackets lie in each other.
    depth: usize,
    longest_name: usize,
}

impl Measure {
    /// Of a text that may be parsed: it is no longer, nor deeper, than the limits have it.
    pub fn of(text: &str, limits: &Limits) -> Result<Self, ServerError> {
        let refused = |message: String| Err(ServerError::new(message, None));
        let (bytes, bytes_max) = (text.len(), limits.query_bytes_max);
        if bytes > bytes_max {
            return refused(format!("the query has {bytes} bytes, and may have {bytes_max}"));
        }
        let Some(measure) = measured(text) else { return refused("a string does not end".to_owned()) };
        let (tokens, tokens_max) = (measure.tokens, limits.query_tokens_max);
        if tokens > tokens_max {
            return refused(format!("the query has {tokens} tokens, and may have {tokens_max}"));
        }
        if measure.depth > NESTING_MAX {
            return refused("the query is nested too deep".to_owned());
        }
        if measure.longest_name > NAME_BYTES_MAX {
            return refused(format!("a name may have {NAME_BYTES_MAX} bytes"));
        }
        Ok(measure)
    }
}

/// None if a string does not end.
fn measured(mut rest: &str) -> Option<Measure> {
    let (mut measure, mut depth) = (Measure::default(), 0_usize);
    while let Some(first) = rest.chars().next() {
        if is_ignored(first) {
            rest = rest.trim_start_matches(is_ignored);
            continue;
        }
        if first == '#' {
            rest = rest.trim_start_matches(|c| c != '\n' && c != '\r');
            continue;
        }
        measure.tokens = measure.tokens.saturating_add(1);
        if is_of_name(first) {
            let is_number = first.is_ascii_digit() || matches!(first, '-' | '+');
            let after = rest.trim_start_matches(|c| is_of_name(c) || (is_number && c == '.'));
            measure.longest_name = measure.longest_name.max(rest.len().saturating_sub(after.len()));
            rest = after;
            continue;
        }
        match first {
            '"' => {
                rest = after_string(rest)?;
                continue;
            }
            '.' => {
                rest = rest.strip_prefix("...").unwrap_or_else(|| rest.split_at(1).1);
                continue;
            }
            '{' | '[' | '(' => {
                depth = depth.saturating_add(1);
                measure.depth = measure.depth.max(depth);
            }
            '}' | ']' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        rest = rest.split_at(first.len_utf8()).1;
    }
    Some(measure)
}

fn is_ignored(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | ',' | '\u{feff}')
}

/// Of names, and of numbers but for their point.
fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+')
}

/// What comes after the string at the beginning of `text`.
fn after_string(text: &str) -> Option<&str> {
    const BLOCK: &str = "\"\"\"";
    if let Some(block) = text.strip_prefix(BLOCK) {
        let is_end = |at: usize| !block.split_at(at).0.ends_with('\\');
        let (end, _) = block.match_indices(BLOCK).find(|(at, _)| is_end(*at))?;
        return block.split_at(end).1.strip_prefix(BLOCK);
    }
    let mut chars = text.strip_prefix('"')?.chars();
    loop {
        match chars.next()? {
            '"' => return Some(chars.as_str()),
            '\\' => drop(chars.next()?),
            '\n' | '\r' => return None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nesting(text: &str) -> Option<usize> {
        measured(text).map(|measure| measure.depth)
    }

    #[test]
    fn brackets_are_counted_outside_of_strings_and_comments() {
        for (text, expected) in [
            ("{ a(b: [1, 2]) { c } d }", Some(3)),
            ("}}} { a }", Some(1)),
            (r#"{ a(b: "[[[ \" [[[", c: "\\") { d } }"#, Some(2)),
            (r#"{ a(b: """ [[[ \""" " [[[ """, c: [1]) }"#, Some(3)),
            (r#"{ a(b: "", c: [[""]]) }"#, Some(4)),
            ("{ # {{{{\r{ a } # \" {{{\n }", Some(2)),
            (r#"{ a(b: """ " [[[[ ") }"#, None),
            ("{ a(b: \"x\n[[[[\") }", None),
            (r#"{ a(b: "x\") }"#, None),
            ("{ ü(b: \"ß\") 【{ x }】 }", Some(2)),
        ] {
            assert_eq!(nesting(text), expected, "{text}");
        }
    }

    #[test]
    fn tokens_are_counted_as_the_parser_meets_them() {
        for (text, expected) in [
            ("", 0),
            ("{a a a}", 5),
            ("{ a(b: -1.5e+3, c: \"a b c\") { ...F } } # a b c", 15),
            ("{...F...F...on.X}", 10),
            ("query Q($v: [Int!]! = [1]) { a @skip(if: $v) }", 27),
            ("\u{feff}{ü}", 3),
        ] {
            assert_eq!(measured(text).map(|measure| measure.tokens), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_too_much_is_refused_with_what_is_too_much_of_it() {
        let limits = Limits { query_bytes_max: 1_000, query_tokens_max: 100, ..Limits::default() };
        let message = |text: &str| Measure::of(text, &limits).unwrap_err().message;
        assert_eq!(message(&"#".repeat(1_001)), "the query has 1001 bytes, and may have 1000");
        assert_eq!(
            message(&format!("{{{}}}", "a ".repeat(99))),
            "the query has 101 tokens, and may have 100"
        );
        assert_eq!(message(&format!("{{ {} }}", "a".repeat(257))), "a name may have 256 bytes");
        assert!(Measure::of(&format!("{{{}}}", "a ".repeat(98)), &limits).is_ok());
    }
}
