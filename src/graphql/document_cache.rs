//! Parsed documents: clients send the same few texts over and over, and parsing them is a fifth of a request's work.
//! Each is kept for each of its operations that is run, without the others.

use std::sync::Arc;

use async_graphql::parser::parse_query;
use async_graphql::{Request, ServerError};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::document_cost::require_affordable;
use super::operation::Operation;

/// The texts that are kept, over all, in bytes.
const BYTES_MAX: u64 = 8 * 1024 * 1024;
const DOCUMENTS_EXPECTED: usize = 1_000;
/// Longer texts are parsed each time: they are rare, and one could push out many.
const TEXT_BYTES_MAX: usize = 32 * 1024;

/// Brackets within brackets: what may be executed has fewer, and the parser takes some stack for each.
const NESTING_MAX: usize = 100;

/// How deep brackets lie in each other; None if a string does not end.
fn nesting(mut rest: &str) -> Option<usize> {
    let (mut depth, mut deepest) = (0_usize, 0);
    while let Some(at) = rest.find(['{', '[', '(', '}', ']', ')', '"', '#']) {
        let token = rest.split_at(at).1;
        let mut chars = token.chars();
        let first = chars.next();
        rest = chars.as_str();
        match first {
            Some('"') => rest = after_string(token)?,
            Some('#') => rest = rest.trim_start_matches(|c| c != '\n' && c != '\r'),
            Some('{' | '[' | '(') => {
                depth = depth.saturating_add(1);
                deepest = deepest.max(depth);
            }
            _ => depth = depth.saturating_sub(1),
        }
    }
    Some(deepest)
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

/// Which operation of which document.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    text: String,
    operation: Option<String>,
}

/// The same, as a request says it.
#[derive(Hash)]
struct Asked<'r> {
    text: &'r str,
    operation: Option<&'r str>,
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.text == key.text && self.operation == key.operation.as_deref()
    }
}

#[derive(Clone)]
struct ByText;

impl Weighter<Key, Arc<Operation>> for ByText {
    fn weight(&self, key: &Key, _: &Arc<Operation>) -> u64 {
        key.text.len() as u64
    }
}

/// The operations that were run lately.
pub struct DocumentCache(Cache<Key, Arc<Operation>, ByText>);

impl Default for DocumentCache {
    fn default() -> Self {
        Self(Cache::with_weighter(DOCUMENTS_EXPECTED, BYTES_MAX, ByText))
    }
}

impl DocumentCache {
    /// The operation that a request runs.
    pub fn operation(&self, request: &Request) -> Result<Arc<Operation>, ServerError> {
        let asked = Asked { text: &request.query, operation: request.operation_name.as_deref() };
        if let Some(operation) = self.0.get(&asked) {
            return Ok(operation);
        }
        let operation = Arc::new(parse(&asked)?);
        if asked.text.len() <= TEXT_BYTES_MAX {
            let key = Key { text: asked.text.to_owned(), operation: request.operation_name.clone() };
            self.0.insert(key, Arc::clone(&operation));
        }
        Ok(operation)
    }
}

fn parse(asked: &Asked<'_>) -> Result<Operation, ServerError> {
    match nesting(asked.text) {
        None => return Err(ServerError::new("a string does not end", None)),
        Some(depth) if depth > NESTING_MAX => {
            return Err(ServerError::new("the query is nested too deep", None));
        }
        Some(_) => {}
    }
    let document = parse_query(asked.text)?;
    require_affordable(&document)?;
    Operation::of(document, asked.operation)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
