use std::ops::Range;
use std::sync::LazyLock;

use krilla::text::Font;
use skrifa::charmap::Charmap;
use skrifa::raw::TableProvider;
use skrifa::raw::tables::hmtx::Hmtx;
use skrifa::{FontRef, GlyphId, MetadataProvider};

use super::page::{Length, Style, Weight};

static LATIN_REGULAR: &[u8] = include_bytes!("../../../assets/fonts/NotoSans-Regular.ttf");
static LATIN_BOLD: &[u8] = include_bytes!("../../../assets/fonts/NotoSans-Bold.ttf");
static CHINESE: &[u8] = include_bytes!("../../../assets/fonts/DroidSansFallbackFull.ttf");

static SIGNS: &[u8] = include_bytes!("../../../assets/fonts/DejaVuSans-Symbols.ttf");

static SHARED: LazyLock<Option<Fonts>> = LazyLock::new(Fonts::read);

/// The fonts that ship with the program.
pub struct Fonts {
    regular: Face,
    bold: Face,
    /// Chinese, and signs like arrows; asked in this order for what the Latin ones lack.
    others: [Face; 2],
}

struct Face {
    font: Font,
    characters: Charmap<'static>,
    widths: Hmtx<'static>,
    units_per_em: i64,
}

/// A part of a text that is set in one font.
pub struct Run<'a> {
    pub font: &'a Font,
    /// There is but one weight of the fonts that are not Latin, so the other is drawn with a thicker pen.
    pub is_thickened: bool,
    pub units_per_em: i64,
    pub text: &'a str,
    pub glyphs: Vec<Glyph>,
    /// Where the run begins, from the text's start.
    pub start: Length,
}

/// The picture of a character.
pub struct Glyph {
    pub id: u32,
    /// In units of the font.
    pub advance: i64,
    /// The character's bytes in the run's text.
    pub bytes: Range<usize>,
}

impl Fonts {
    /// Read once; None: a font is broken.
    pub fn shared() -> Option<&'static Fonts> {
        SHARED.as_ref()
    }

    fn read() -> Option<Fonts> {
        Some(Fonts {
            regular: Face::read(LATIN_REGULAR)?,
            bold: Face::read(LATIN_BOLD)?,
            others: [Face::read(CHINESE)?, Face::read(SIGNS)?],
        })
    }

    /// How wide a text is in one line.
    pub fn width(&self, text: &str, style: Style) -> Length {
        text.chars().map(|character| self.advance(character, style)).sum()
    }

    /// A text's parts by font, in their order.
    pub fn runs<'a>(&'a self, text: &'a str, style: Style) -> Vec<Run<'a>> {
        let mut runs: Vec<Run> = Vec::new();
        let (mut start, mut begin) = (0, 0);
        for (at, character) in text.char_indices() {
            let (face, id) = self.find(character, style.weight);
            let end = at + character.len_utf8();
            if runs.last().is_none_or(|run| run.font != &face.font) {
                begin = at;
                runs.push(self.empty_run(face, style.weight, start));
            }
            if let Some(run) = runs.last_mut() {
                run.text = text.get(begin..end).unwrap_or_default();
                run.glyphs.push(Glyph {
                    id: id.to_u32(),
                    advance: face.advance(id),
                    bytes: at - begin..end - begin,
                });
            }
            start += self.advance(character, style);
        }
        runs
    }

    fn empty_run<'a>(&self, face: &'a Face, weight: Weight, start: Length) -> Run<'a> {
        let is_thickened = weight == Weight::Bold && face.font != self.bold.font;
        Run {
            font: &face.font,
            is_thickened,
            units_per_em: face.units_per_em,
            text: "",
            glyphs: Vec::new(),
            start,
        }
    }

    fn advance(&self, character: char, style: Style) -> Length {
        let (face, id) = self.find(character, style.weight);
        face.advance(id) * style.size / face.units_per_em
    }

    /// The font that has the character; where none has, the Latin one's box.
    fn find(&self, character: char, weight: Weight) -> (&Face, GlyphId) {
        let latin = match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        };
        std::iter::once(latin)
            .chain(&self.others)
            .find_map(|face| Some((face, face.characters.map(character)?)))
            .unwrap_or((latin, GlyphId::NOTDEF))
    }
}

impl Face {
    fn read(bytes: &'static [u8]) -> Option<Face> {
        let tables = FontRef::new(bytes).ok()?;
        Some(Face {
            font: Font::new(bytes.into(), 0)?,
            characters: tables.charmap(),
            widths: tables.hmtx().ok()?,
            units_per_em: i64::from(tables.head().ok()?.units_per_em()).max(1),
        })
    }

    fn advance(&self, id: GlyphId) -> i64 {
        self.widths.advance(id).map_or(self.units_per_em, i64::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::pdf::page::{INK, pt};

    fn parts(text: &str, weight: Weight) -> Vec<(String, bool)> {
        let style = Style { size: pt(10), weight, colour: INK };
        let runs = Fonts::shared().unwrap().runs(text, style);
        runs.iter().map(|run| (run.text.to_owned(), run.is_thickened)).collect()
    }

    #[test]
    fn each_character_is_set_in_the_font_that_has_it() {
        let part = |text: &str, is_thickened| (text.to_owned(), is_thickened);
        assert_eq!(
            parts("App 应用，v2 é", Weight::Regular),
            [part("App ", false), part("应用，", false), part("v2 é", false)]
        );
        assert_eq!(parts("總計 USD", Weight::Bold), [part("總計", true), part(" USD", false)]);
        assert_eq!(
            parts("a → 元①", Weight::Regular),
            [part("a ", false), part("→", false), part(" ", false), part("元", false), part("①", false)]
        );
        assert_eq!(parts("a😀b", Weight::Regular), [part("a😀b", false)]);
    }

    #[test]
    fn a_run_begins_where_the_one_before_ends() {
        let fonts = Fonts::shared().unwrap();
        let style = Style::regular(pt(9), INK);
        let runs = fonts.runs("ab应用cd", style);
        let starts: Vec<Length> = runs.iter().map(|run| run.start).collect();
        assert_eq!(starts, [0, fonts.width("ab", style), fonts.width("ab应用", style)]);
        assert_eq!(fonts.width("应用", style), pt(18));
    }

    #[test]
    fn all_digits_are_equally_wide() {
        let fonts = Fonts::shared().unwrap();
        for style in [Style::regular(pt(9), INK), Style::bold(pt(9), INK)] {
            let zero = fonts.width("0", style);
            assert!("123456789".chars().all(|digit| fonts.advance(digit, style) == zero));
        }
    }
}
