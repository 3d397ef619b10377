mod draw;
mod font;
mod header;
mod page;
mod sheet;
mod table;
mod wrap;

use crate::documents::invoice::{Invoice, Language};
use crate::documents::words::Words;
use font::Fonts;
use page::Page;
use sheet::Sheet;

/// Why there is no PDF.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    #[error("the fonts that ship with the program are broken")]
    Fonts,
    #[error("the logo is not a PNG picture: {0}")]
    Logo(String),
    #[error("the PDF could not be written: {0}")]
    Writing(String),
}

pub(super) use draw::check;

/// The invoice as a PDF of A4 pages; the same invoice gives the same bytes.
pub fn pdf(invoice: &Invoice, language: Language) -> Result<Vec<u8>, PdfError> {
    let fonts = Fonts::shared().ok_or(PdfError::Fonts)?;
    let words = Words::of(language);
    draw::document(invoice, words, &pages(invoice, words, fonts), fonts)
}

/// What stands where on each page.
fn pages(invoice: &Invoice, words: &Words, fonts: &Fonts) -> Vec<Page> {
    let mut sheet = Sheet::new(invoice, words, fonts);
    header::put(&mut sheet, invoice, words);
    table::put_all(&mut sheet, invoice, words);
    sheet.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::fixture;

    #[test]
    fn the_same_invoice_gives_the_same_bytes() {
        let invoice = fixture::invoice(40);
        assert_eq!(pdf(&invoice, Language::Zh).unwrap(), pdf(&invoice, Language::Zh).unwrap());
    }

    #[test]
    fn only_the_used_part_of_a_font_is_embedded() {
        assert!(pdf(&fixture::invoice(20), Language::Zh).unwrap().len() < 100_000);
    }

    #[test]
    fn characters_of_no_font_do_no_harm() {
        let mut invoice = fixture::invoice(2);
        invoice.groups[0].items[0].title = "😀 \u{10ffff} ก \u{0} \u{202e}עברית".to_owned();
        invoice.customer.name = "\u{e000}".repeat(500);
        invoice.provider.name = String::new();
        assert!(pdf(&invoice, Language::En).unwrap().starts_with(b"%PDF-"));
    }

    #[test]
    fn a_broken_logo_is_told() {
        let mut invoice = fixture::invoice(2);
        let logo = invoice.provider.logo.as_mut().unwrap();
        logo.png.truncate(40);
        assert!(pdf(&invoice, Language::En).is_err());
    }
}
