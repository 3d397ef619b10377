use super::page::{ACCENT, ALERT, GREY, INK, LEFT, Length, RIGHT, SOFT, Style, TOP, WHITE, pt};
use super::sheet::Sheet;
use super::wrap::{wrap, wrap_within};
use crate::documents::invoice::{Invoice, Logo, Party, Provider};
use crate::documents::words::Words;

const NAME: Style = Style::bold(pt(12), INK);
const PLAIN: Style = Style::regular(pt(9), GREY);
const LABEL: Style = Style::bold(pt(8), GREY);
const VALUE: Style = Style::bold(pt(9), INK);
const TITLE: Style = Style::bold(pt(26), ACCENT);
const BADGE: Style = Style::bold(pt(10), WHITE);
const DUE: Style = Style::bold(pt(18), ACCENT);

/// Where the left half ends and the right one begins.
const LEFT_HALF_END: Length = pt(300);
const RIGHT_HALF: Length = pt(320);
const LOGO_WIDTH: Length = pt(150);
const LOGO_HEIGHT: Length = pt(42);
/// A longer name is cut, so that the head leaves room for the table.
const MOST_LINES: usize = 4;

/// The head of the first page: who bills whom for what, and how much.
pub fn put(sheet: &mut Sheet, invoice: &Invoice, words: &Words) {
    let left = provider(sheet, &invoice.provider, words);
    let right = title(sheet, invoice, words);
    sheet.y = left.max(right) + pt(20);
    sheet.bar(LEFT, sheet.y, RIGHT - LEFT, pt(1) + 500, ACCENT);
    sheet.y += pt(18);
    let left = customer(sheet, &invoice.customer, words);
    let right = due(sheet, invoice, words);
    sheet.y = left.max(right);
    if invoice.number.is_none() {
        let style = Style::regular(pt(9), ALERT);
        sheet.text(LEFT, sheet.y + pt(8), words.draft_note, style);
        sheet.y += pt(8) + style.line();
    }
}

fn provider(sheet: &mut Sheet, provider: &Provider, words: &Words) -> Length {
    let mut y = TOP;
    if let Some(logo) = &provider.logo {
        let (width, height) = fitted(logo);
        sheet.logo(LEFT, y, width, height);
        y += height + pt(10);
    }
    y = lines(sheet, y, &provider.name, NAME);
    for line in &provider.address {
        y = lines(sheet, y, line, PLAIN);
    }
    if let Some(tax_id) = &provider.tax_id {
        y = lines(sheet, y, &format!("{} {tax_id}", words.tax_id), PLAIN);
    }
    y
}

/// A logo's size on the page: as large as its place allows, in its own proportions.
fn fitted(logo: &Logo) -> (Length, Length) {
    let (width, height) = (Length::from(logo.width).max(1), Length::from(logo.height).max(1));
    if width * LOGO_HEIGHT > height * LOGO_WIDTH {
        (LOGO_WIDTH, LOGO_WIDTH * height / width)
    } else {
        (LOGO_HEIGHT * width / height, LOGO_HEIGHT)
    }
}

/// Lines in the left half; gives the height below them.
fn lines(sheet: &mut Sheet, mut y: Length, text: &str, style: Style) -> Length {
    for line in wrap_within(sheet.fonts, text, style, LEFT_HALF_END - LEFT, MOST_LINES) {
        sheet.text(LEFT, y, &line, style);
        y += style.line();
    }
    y
}

fn title(sheet: &mut Sheet, invoice: &Invoice, words: &Words) -> Length {
    let mut y = TOP - pt(6);
    sheet.text_to(RIGHT, y, words.invoice, TITLE);
    if invoice.number.is_none() {
        let end = RIGHT - sheet.fonts.width(words.invoice, TITLE) - pt(12);
        badge(sheet, end, y + pt(9), words.draft);
    }
    y += TITLE.line() + pt(6);
    for (label, value) in words.facts(invoice) {
        y = fact(sheet, y, label, value);
    }
    y
}

fn badge(sheet: &mut Sheet, right: Length, y: Length, text: &str) {
    let width = sheet.fonts.width(text, BADGE) + pt(14);
    sheet.bar(right - width, y, width, pt(20), ALERT);
    sheet.text_to(right - pt(7), y + (pt(20) - BADGE.line()) / 2, text, BADGE);
}

/// A label with its value in the right half.
fn fact(sheet: &mut Sheet, mut y: Length, label: &str, value: &str) -> Length {
    sheet.text(RIGHT_HALF, y, label, PLAIN);
    let room = RIGHT - RIGHT_HALF - sheet.fonts.width(label, PLAIN) - pt(10);
    for line in wrap_within(sheet.fonts, value, VALUE, room, MOST_LINES) {
        sheet.text_to(RIGHT, y, &line, VALUE);
        y += VALUE.line();
    }
    y + pt(2)
}

fn customer(sheet: &mut Sheet, customer: &Party, words: &Words) -> Length {
    sheet.text(LEFT, sheet.y, words.bill_to, LABEL);
    let mut y = lines(sheet, sheet.y + LABEL.line() + pt(2), &customer.name, NAME);
    for (label, value) in [(words.namespace, &customer.namespace), (words.account, &customer.account)] {
        y = lines(sheet, y, &format!("{label}  {value}"), PLAIN);
    }
    y
}

/// The grand total, to be seen at once, and what everything is worth.
fn due(sheet: &mut Sheet, invoice: &Invoice, words: &Words) -> Length {
    let (y, inset) = (sheet.y, pt(12));
    let room = RIGHT - RIGHT_HALF - 2 * inset;
    let label = wrap_within(sheet.fonts, &words.total_in(&invoice.currency), LABEL, room, 1).concat();
    let figures = wrap(sheet.fonts, &invoice.total, DUE, room);
    let worth = invoice.worth.as_ref().map(|worth| format!("{}  {worth}", words.worth));
    let worth = worth.map_or_else(Vec::new, |worth| wrap(sheet.fonts, &worth, PLAIN, room));
    let lines = |style: Style, lines: &[String]| style.line() * lines.len() as Length;
    let height = pt(20) + LABEL.line() + lines(DUE, &figures) + lines(PLAIN, &worth);
    sheet.bar(RIGHT_HALF, y, RIGHT - RIGHT_HALF, height, SOFT);
    sheet.text_to(RIGHT - inset, y + pt(9), &label, LABEL);
    let mut top = y + pt(10) + LABEL.line();
    for (lines, style) in [(figures, DUE), (worth, PLAIN)] {
        for line in lines {
            sheet.text_to(RIGHT - inset, top, &line, style);
            top += style.line();
        }
    }
    y + height
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logo_keeps_its_proportions() {
        let logo = |width, height| Logo { png: Vec::new(), width, height };
        assert_eq!(fitted(&logo(300, 30)), (pt(150), pt(15)));
        assert_eq!(fitted(&logo(100, 200)), (pt(21), pt(42)));
        assert_eq!(fitted(&logo(0, 0)), (pt(42), pt(42)));
    }
}
