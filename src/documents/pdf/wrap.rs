use unicode_linebreak::linebreaks;

use super::font::Fonts;
use super::page::{Length, Style};
use crate::documents::shown::shown;

/// A text in lines of at most a width, broken where its script allows, and inside a word only where one is wider than a line.
pub fn wrap(fonts: &Fonts, text: &str, style: Style, room: Length) -> Vec<String> {
    let text = shown(text);
    let mut lines = Lines { fonts, style, room, done: Vec::new(), line: String::new(), width: 0 };
    let mut start = 0;
    for (end, _) in linebreaks(&text) {
        lines.word(text.get(start..end).unwrap_or_default());
        start = end;
    }
    lines.end_line();
    lines.done
}

/// The same, but no more lines than `most`: what is cut off shows as "…".
pub fn wrap_within(fonts: &Fonts, text: &str, style: Style, room: Length, most: usize) -> Vec<String> {
    let mut lines = wrap(fonts, text, style, room);
    if lines.len() <= most {
        return lines;
    }
    lines.truncate(most);
    if let Some(last) = lines.last_mut() {
        while fonts.width(last, style) + fonts.width("…", style) > room && last.pop().is_some() {}
        last.push('…');
    }
    lines
}

struct Lines<'a> {
    fonts: &'a Fonts,
    style: Style,
    room: Length,
    done: Vec<String>,
    line: String,
    /// How wide `line` is.
    width: Length,
}

impl Lines<'_> {
    /// A word with the spaces that follow it; those may hang over the end of a line.
    fn word(&mut self, word: &str) {
        let seen = self.fonts.width(word.trim_end(), self.style);
        if self.width + seen > self.room && !self.line.is_empty() {
            self.end_line();
        }
        if seen > self.room {
            return self.letters(word);
        }
        self.push(word, self.fonts.width(word, self.style));
    }

    fn letters(&mut self, word: &str) {
        let mut buffer = [0; 4];
        for letter in word.chars() {
            let letter = letter.encode_utf8(&mut buffer);
            let width = self.fonts.width(letter, self.style);
            if self.width + width > self.room && !self.line.is_empty() {
                self.end_line();
            }
            self.push(letter, width);
        }
    }

    fn push(&mut self, text: &str, width: Length) {
        self.line.push_str(text);
        self.width += width;
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.done.push(line.trim_end().to_owned());
        self.width = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::pdf::page::{INK, pt};

    const STYLE: Style = Style::regular(pt(10), INK);

    fn wrapped(text: &str, room: Length) -> Vec<String> {
        wrap(Fonts::shared().unwrap(), text, STYLE, room)
    }

    #[test]
    fn latin_breaks_between_words() {
        assert_eq!(wrapped("one two three", pt(50)), ["one two", "three"]);
        assert_eq!(wrapped("short", pt(50)), ["short"]);
        assert_eq!(wrapped("", pt(50)), [""]);
    }

    #[test]
    fn chinese_breaks_between_characters_but_not_before_a_comma() {
        assert_eq!(wrapped("应用存储费用", pt(30)), ["应用存", "储费用"]);
        assert_eq!(wrapped("应用存，储费", pt(30)), ["应用", "存，储", "费"]);
        assert_eq!(wrapped("应用（存储）", pt(30)), ["应用", "（存", "储）"]);
    }

    #[test]
    fn a_word_wider_than_a_line_breaks_anywhere() {
        let lines = wrapped(&"x".repeat(100), pt(40));
        assert!(lines.len() > 5);
        assert_eq!(lines.concat(), "x".repeat(100));
    }

    #[test]
    fn no_line_is_too_wide_and_no_letter_is_lost() {
        let text =
            "Kubernetes 集群 cluster-eu-1/namespace/very-long-name-of-an-app，计算、内存与存储 (2026-11)";
        for room in [pt(12), pt(33), pt(60), pt(111)] {
            let lines = wrapped(text, room);
            assert!(lines.iter().all(|line| Fonts::shared().unwrap().width(line, STYLE) <= room));
            assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        }
    }

    #[test]
    fn too_many_lines_end_with_dots() {
        let lines = wrap_within(Fonts::shared().unwrap(), "one two three four five", STYLE, pt(50), 2);
        assert_eq!(lines, ["one two", "three fo…"]);
        let lines = wrap_within(Fonts::shared().unwrap(), "one two", STYLE, pt(50), 2);
        assert_eq!(lines, ["one two"]);
    }

    #[test]
    fn line_ends_in_a_text_are_spaces() {
        assert_eq!(wrapped("a\nb\r\nc", pt(100)), ["a b  c"]);
    }
}
