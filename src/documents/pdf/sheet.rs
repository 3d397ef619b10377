use super::font::Fonts;
use super::page::{
    ALERT, BOTTOM, Colour, GREY, HEIGHT, LEFT, LINE, Length, Mark, Page, RIGHT, STAMP, Style, TOP, WIDTH, pt,
};
use super::wrap::wrap_within;
use crate::documents::invoice::Invoice;
use crate::documents::words::Words;

const SMALL: Style = Style::regular(pt(8), GREY);

/// The pages while they are filled, from top to bottom.
pub struct Sheet<'a> {
    pub fonts: &'a Fonts,
    /// The next free height on the last page.
    pub y: Length,
    done: Vec<Page>,
    page: Page,
    /// Tells on the later pages which invoice they belong to.
    running_title: String,
    draft: Option<&'static str>,
}

impl<'a> Sheet<'a> {
    pub fn new(invoice: &Invoice, words: &Words, fonts: &'a Fonts) -> Sheet<'a> {
        let draft = invoice.number.is_none().then_some(words.draft);
        let name = format!("{} · {}", invoice.provider.name, words.document_title(invoice));
        let running_title = wrap_within(fonts, &name, SMALL, RIGHT - LEFT - pt(80), 1).concat();
        let mut sheet =
            Sheet { fonts, y: TOP, done: Vec::new(), page: Page::default(), running_title, draft };
        sheet.stamp();
        sheet
    }

    /// Whether something of a height has room on this page.
    pub fn fits(&self, height: Length) -> bool {
        self.y + height <= BOTTOM
    }

    /// Goes on with the next page.
    pub fn turn(&mut self) {
        self.done.push(std::mem::take(&mut self.page));
        self.y = TOP - pt(16);
        self.stamp();
        let title = self.running_title.clone();
        self.text(LEFT, self.y, &title, SMALL);
        if let Some(draft) = self.draft {
            self.text_to(RIGHT, self.y, draft, Style::bold(SMALL.size, ALERT));
        }
        self.y = TOP + pt(8);
    }

    pub fn text(&mut self, x: Length, y: Length, text: &str, style: Style) {
        self.page.marks.push(Mark::Text { x, y, text: text.to_owned(), style });
    }

    /// A text that ends at `right`.
    pub fn text_to(&mut self, right: Length, y: Length, text: &str, style: Style) {
        let x = right - self.fonts.width(text, style);
        self.text(x, y, text, style);
    }

    pub fn bar(&mut self, x: Length, y: Length, width: Length, height: Length, colour: Colour) {
        self.page.marks.push(Mark::Bar { x, y, width, height, colour });
    }

    pub fn logo(&mut self, x: Length, y: Length, width: Length, height: Length) {
        self.page.marks.push(Mark::Logo { x, y, width, height });
    }

    /// All pages, each with its number.
    pub fn finish(mut self) -> Vec<Page> {
        let mut pages = std::mem::take(&mut self.done);
        pages.push(std::mem::take(&mut self.page));
        let count = pages.len();
        for (number, page) in (1..).zip(&mut pages) {
            self.foot(page, &format!("{number} / {count}"));
        }
        pages
    }

    fn foot(&self, page: &mut Page, number: &str) {
        let y = HEIGHT - pt(44);
        page.marks.push(Mark::Bar { x: LEFT, y, width: RIGHT - LEFT, height: 500, colour: LINE });
        let x = RIGHT - self.fonts.width(number, SMALL);
        page.marks.push(Mark::Text { x, y: y + pt(6), text: number.to_owned(), style: SMALL });
    }

    /// Marks a draft right across the page, under all else.
    fn stamp(&mut self) {
        if let Some(draft) = self.draft {
            let at_ten = self.fonts.width(draft, Style::bold(pt(10), STAMP)).max(1);
            let size = (pt(10) * (WIDTH * 7 / 10) / at_ten).min(pt(190));
            let style = Style::bold(size, STAMP);
            self.page.marks.push(Mark::Stamp { text: draft.to_owned(), style });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::fixture;
    use crate::documents::invoice::Language;
    use crate::documents::pdf::pages;

    #[test]
    fn each_page_of_a_draft_is_stamped_and_no_other() {
        let words = Words::of(Language::Zh);
        let stamps = |invoice: &Invoice| {
            let pages = pages(invoice, words, Fonts::shared().unwrap());
            let is_stamp = |mark: &&Mark| matches!(mark, Mark::Stamp { text, .. } if text == "草稿");
            let counts: Vec<usize> =
                pages.iter().map(|page| page.marks.iter().filter(is_stamp).count()).collect();
            counts
        };
        let mut invoice = fixture::invoice(60);
        assert_eq!(stamps(&invoice), [0, 0, 0]);
        invoice.number = None;
        assert_eq!(stamps(&invoice), [1, 1, 1]);
    }

    #[test]
    fn later_pages_name_their_invoice() {
        let pages = pages(&fixture::invoice(60), Words::of(Language::En), Fonts::shared().unwrap());
        let title = "Cloud Provider Ltd. · Invoice INV-2026-000123";
        let names = |page: &Page| {
            page.marks.iter().any(|mark| matches!(mark, Mark::Text { text, .. } if text == title))
        };
        assert_eq!(pages.iter().map(names).collect::<Vec<_>>(), [false, true, true]);
    }
}
