#![allow(clippy::disallowed_types, clippy::float_arithmetic, reason = "points on a page")]

use krilla::Document;
use krilla::color::rgb;
use krilla::geom::{PathBuilder, Point, Rect, Size, Transform};
use krilla::image::Image;
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla::paint::{Fill, Stroke};
use krilla::surface::Surface;
use krilla::text::{GlyphId, KrillaGlyph};

use super::PdfError;
use super::font::{Fonts, Run};
use super::page::{Colour, HEIGHT, Length, Mark, Page, Style, WIDTH};
use crate::documents::invoice::{Invoice, Logo};
use crate::documents::shown::shown;
use crate::documents::words::Words;

/// A stamp rises by so many degrees.
const STAMP_ANGLE: f32 = -45.0;
/// The pen that thickens a letter, per mille of its size.
const PEN: Length = 24;

/// The pages as a PDF, without a date in it: only what is on the invoice decides on its bytes.
pub fn document(
    invoice: &Invoice,
    words: &Words,
    pages: &[Page],
    fonts: &Fonts,
) -> Result<Vec<u8>, PdfError> {
    let logo = invoice.provider.logo.as_ref().map(picture).transpose()?;
    let mut document = Document::new();
    document.set_metadata(
        Metadata::new()
            .title(shown(&words.document_title(invoice)))
            .authors(vec![shown(&invoice.provider.name)])
            .language(words.tag.to_owned()),
    );
    let size = Size::from_wh(points(WIDTH), points(HEIGHT));
    for marks in pages {
        let settings = size.map_or_else(PageSettings::default, PageSettings::new);
        let mut page = document.start_page_with(settings);
        let mut pen = Pen { surface: page.surface(), fonts, logo: logo.as_ref() };
        for mark in &marks.marks {
            pen.put(mark);
        }
        drop(pen);
        page.finish();
    }
    document.finish().map_err(|error| PdfError::Writing(error.to_string()))
}

fn picture(logo: &Logo) -> Result<Image, PdfError> {
    Image::from_png(logo.png.clone().into(), true).map_err(PdfError::Logo)
}

/// Refuses a picture that no document could be made with: what is wrong with its pixels shows only then.
pub fn check(logo: &Logo) -> Result<(), PdfError> {
    let picture = picture(logo)?;
    let mut document = Document::new();
    let mut page = document.start_page();
    if let Some(size) = Size::from_wh(1.0, 1.0) {
        page.surface().draw_image(picture, size);
    }
    page.finish();
    document.finish().map(drop).map_err(|error| PdfError::Writing(error.to_string()))
}

fn points(length: Length) -> f32 {
    length as f32 / 1_000.0
}

fn fill(colour: Colour) -> Fill {
    let Colour(red, green, blue) = colour;
    Fill { paint: rgb::Color::new(red, green, blue).into(), ..Fill::default() }
}

struct Pen<'a> {
    surface: Surface<'a>,
    fonts: &'a Fonts,
    logo: Option<&'a Image>,
}

impl Pen<'_> {
    fn put(&mut self, mark: &Mark) {
        match mark {
            Mark::Text { x, y, text, style } => self.text(*x, y + style.baseline(), text, *style, false),
            Mark::Bar { x, y, width, height, colour } => self.bar([*x, *y, *width, *height], *colour),
            Mark::Logo { x, y, width, height } => self.logo(*x, *y, *width, *height),
            Mark::Stamp { text, style } => self.stamp(text, *style),
        }
    }

    fn text(&mut self, x: Length, baseline: Length, text: &str, style: Style, is_picture: bool) {
        for run in self.fonts.runs(text, style) {
            let fill = fill(style.colour);
            let width = points(style.size * PEN / 1_000);
            let stroke = Stroke { paint: fill.paint.clone(), width, ..Stroke::default() };
            self.surface.set_stroke(run.is_thickened.then_some(stroke));
            self.surface.set_fill(Some(fill));
            let start = Point::from_xy(points(x + run.start), points(baseline));
            let size = points(style.size);
            self.surface.draw_glyphs(start, &glyphs(&run), run.font.clone(), run.text, size, is_picture);
        }
        self.surface.set_stroke(None);
    }

    fn bar(&mut self, [x, y, width, height]: [Length; 4], colour: Colour) {
        let Some(rect) = Rect::from_xywh(points(x), points(y), points(width), points(height)) else { return };
        let mut path = PathBuilder::new();
        path.push_rect(rect);
        if let Some(path) = path.finish() {
            self.surface.set_fill(Some(fill(colour)));
            self.surface.draw_path(&path);
        }
    }

    fn logo(&mut self, x: Length, y: Length, width: Length, height: Length) {
        let size = Size::from_wh(points(width), points(height));
        if let (Some(logo), Some(size)) = (self.logo, size) {
            self.surface.push_transform(&Transform::from_translate(points(x), points(y)));
            self.surface.draw_image(logo.clone(), size);
            self.surface.pop();
        }
    }

    fn stamp(&mut self, text: &str, style: Style) {
        let centre = Transform::from_translate(points(WIDTH / 2), points(HEIGHT / 2));
        self.surface.push_transform(&centre);
        self.surface.push_transform(&Transform::from_rotate(STAMP_ANGLE));
        let width = self.fonts.width(text, style);
        self.text(-width / 2, style.size * 357 / 1_000, text, style, true);
        self.surface.pop();
        self.surface.pop();
    }
}

fn glyphs(run: &Run) -> Vec<KrillaGlyph> {
    let advance = |units: i64| units as f32 / run.units_per_em as f32;
    run.glyphs
        .iter()
        .map(|glyph| {
            let id = GlyphId::new(glyph.id);
            KrillaGlyph::new(id, advance(glyph.advance), 0.0, 0.0, 0.0, glyph.bytes.clone(), None)
        })
        .collect()
}
