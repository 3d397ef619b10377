use super::font::Fonts;
use super::page::{ACCENT, GREY, INK, LEFT, LINE, Length, RIGHT, SOFT, Style, WHITE, pt};
use super::sheet::Sheet;
use super::wrap::{wrap, wrap_within};
use crate::documents::invoice::{Group, Invoice, Item, UNKNOWN};
use crate::documents::words::Words;

const HEADING: Style = Style::bold(pt(11), ACCENT);
const HEAD: Style = Style::bold(pt(8), GREY);
const CELL: Style = Style::regular(pt(9), INK);
const SUM: Style = Style::bold(pt(9), INK);
const TOTAL: Style = Style::bold(pt(11), WHITE);
const TOTAL_FIGURE: Style = Style::bold(pt(14), WHITE);
const WORTH: Style = Style::regular(pt(9), GREY);

/// Between a cell's text and its edges.
const INSET: Length = pt(8);
const PADDING: Length = pt(5);
/// From the end of a table to the heading of the next.
const GAP: Length = pt(22);
/// No column of figures grows wider; longer ones wrap.
const WIDEST_FIGURES: Length = pt(170);
const TOTAL_HEIGHT: Length = pt(34);
/// Of the line below the grand total that tells what everything is worth.
const WORTH_HEIGHT: Length = PADDING + WORTH.line();
/// A longer title is cut, for a row must fit on a page.
const MOST_LINES: usize = 30;

/// Where the columns of titles and of amounts end, the same for all tables; the titles take what the figures leave. Where no
/// worth is known there is no column of them.
struct Columns {
    titles: Length,
    amounts: Length,
    has_worths: bool,
}

/// A row, ready to be put anywhere.
struct Row {
    cells: [Vec<String>; 3],
    style: Style,
}

/// The tables of all groups and the grand total.
pub fn put_all(sheet: &mut Sheet, invoice: &Invoice, words: &Words) {
    let columns = Columns::of(invoice, words, sheet.fonts);
    if invoice.groups.is_empty() {
        sheet.text(LEFT, sheet.y + GAP, words.no_items, Style::regular(CELL.size, GREY));
        sheet.y += GAP + CELL.line();
    }
    let mut groups = invoice.groups.iter().peekable();
    while let Some(group) = groups.next() {
        // The grand total does not go to a page of its own.
        let after = if groups.peek().is_none() { GAP + grand_total_height(invoice) } else { 0 };
        put(sheet, group, words, &columns, after);
    }
    grand_total(sheet, invoice, words);
}

/// A group's table. Its heading stays with the first row, and its last row with the totals.
fn put(sheet: &mut Sheet, group: &Group, words: &Words, columns: &Columns, after: Length) {
    let head = Row::head(group, words, columns, sheet.fonts);
    let sum = Row::sum(group, words, columns, sheet.fonts);
    let ending = sum.height() + after;
    let rows: Vec<Row> = group.items.iter().map(|item| Row::of(item, columns, sheet.fonts)).collect();
    let needed = |row: &Row, is_last: bool| row.height() + if is_last { ending } else { 0 };
    let opening = GAP + HEADING.line() + pt(6) + head.height();
    let first = rows.first().map_or(ending, |row| needed(row, rows.len() == 1));
    if !sheet.fits(opening + first) {
        sheet.turn();
    } else {
        sheet.y += GAP;
    }
    heading(sheet, &group.asset);
    put_head(sheet, &head, columns);
    for (index, row) in rows.iter().enumerate() {
        if !sheet.fits(needed(row, index + 1 == rows.len())) {
            sheet.turn();
            put_head(sheet, &head, columns);
        }
        row.put(sheet, columns);
        sheet.bar(LEFT, sheet.y, RIGHT - LEFT, 500, LINE);
    }
    sheet.bar(LEFT, sheet.y, RIGHT - LEFT, 750, GREY);
    sum.put(sheet, columns);
}

fn heading(sheet: &mut Sheet, asset: &str) {
    let line = wrap_within(sheet.fonts, asset, HEADING, RIGHT - LEFT, 1).concat();
    sheet.text(LEFT, sheet.y, &line, HEADING);
    sheet.y += HEADING.line() + pt(6);
}

fn put_head(sheet: &mut Sheet, head: &Row, columns: &Columns) {
    sheet.bar(LEFT, sheet.y, RIGHT - LEFT, head.height(), SOFT);
    head.put(sheet, columns);
}

/// With figures of one line.
fn grand_total_height(invoice: &Invoice) -> Length {
    TOTAL_HEIGHT + if invoice.worth.is_some() { WORTH_HEIGHT } else { 0 }
}

fn grand_total(sheet: &mut Sheet, invoice: &Invoice, words: &Words) {
    let figures = wrap(sheet.fonts, &invoice.total, TOTAL_FIGURE, RIGHT - LEFT - pt(150));
    let height = TOTAL_HEIGHT + TOTAL_FIGURE.line() * (figures.len() as Length - 1);
    if !sheet.fits(GAP + height + grand_total_height(invoice) - TOTAL_HEIGHT) {
        sheet.turn();
    } else {
        sheet.y += GAP;
    }
    sheet.bar(LEFT, sheet.y, RIGHT - LEFT, height, ACCENT);
    let label = words.total_in(&invoice.currency);
    let label = wrap_within(sheet.fonts, &label, TOTAL, pt(150) - 2 * INSET, 1).concat();
    sheet.text(LEFT + INSET, sheet.y + (TOTAL_HEIGHT - TOTAL.line()) / 2, &label, TOTAL);
    let mut y = sheet.y + (TOTAL_HEIGHT - TOTAL_FIGURE.line()) / 2;
    for line in figures {
        sheet.text_to(RIGHT - INSET, y, &line, TOTAL_FIGURE);
        y += TOTAL_FIGURE.line();
    }
    sheet.y += height;
    if let Some(usd) = &invoice.worth {
        worth(sheet, usd, words);
    }
}

fn worth(sheet: &mut Sheet, usd: &str, words: &Words) {
    sheet.y += PADDING;
    sheet.text(LEFT + INSET, sheet.y, words.worth, WORTH);
    for line in wrap(sheet.fonts, usd, WORTH, RIGHT - LEFT - pt(150)) {
        sheet.text_to(RIGHT - INSET, sheet.y, &line, WORTH);
        sheet.y += WORTH.line();
    }
}

impl Columns {
    fn of(invoice: &Invoice, words: &Words, fonts: &Fonts) -> Columns {
        let (mut amounts, mut values) = (pt(70), fonts.width(words.usd_value, HEAD));
        for group in &invoice.groups {
            amounts = amounts.max(fonts.width(&words.amount_in(&group.asset), HEAD));
            amounts = amounts.max(fonts.width(&group.total_amount, SUM));
            values = values.max(fonts.width(worth_of(&group.total_usd), SUM));
            for item in &group.items {
                amounts = amounts.max(fonts.width(&item.amount, CELL));
                values = values.max(fonts.width(worth_of(&item.usd), CELL));
            }
        }
        let has_worths = invoice.has_worths();
        let values = if has_worths { values.min(WIDEST_FIGURES) + 2 * INSET } else { 0 };
        let amounts_end = RIGHT - values;
        let titles = amounts_end - amounts.min(WIDEST_FIGURES) - 2 * INSET;
        Columns { titles, amounts: amounts_end, has_worths }
    }

    fn rooms(&self) -> [Length; 3] {
        [self.titles - LEFT, self.amounts - self.titles, RIGHT - self.amounts].map(|width| width - 2 * INSET)
    }
}

impl Row {
    fn head(group: &Group, words: &Words, columns: &Columns, fonts: &Fonts) -> Row {
        Row::new([words.item, &words.amount_in(&group.asset), words.usd_value], HEAD, columns, fonts)
    }

    fn sum(group: &Group, words: &Words, columns: &Columns, fonts: &Fonts) -> Row {
        let worth = worth_of(&group.total_usd);
        Row::new([words.subtotal, &group.total_amount, worth], SUM, columns, fonts)
    }

    fn of(item: &Item, columns: &Columns, fonts: &Fonts) -> Row {
        Row::new([&item.title, &item.amount, worth_of(&item.usd)], CELL, columns, fonts)
    }

    fn new(texts: [&str; 3], style: Style, columns: &Columns, fonts: &Fonts) -> Row {
        let [title, amount, usd] = texts;
        let [titles, amounts, values] = columns.rooms();
        let cell = |text, room| wrap_within(fonts, text, style, room, MOST_LINES);
        let worth = if columns.has_worths { cell(usd, values) } else { Vec::new() };
        Row { cells: [cell(title, titles), cell(amount, amounts), worth], style }
    }

    fn height(&self) -> Length {
        let lines = self.cells.iter().map(Vec::len).max().unwrap_or(0);
        self.style.line() * lines as Length + 2 * PADDING
    }

    fn put(&self, sheet: &mut Sheet, columns: &Columns) {
        let [title, amount, usd] = &self.cells;
        let top = sheet.y + PADDING;
        let tops = || (0..).map(|line| top + self.style.line() * line);
        for (y, text) in tops().zip(title) {
            sheet.text(LEFT + INSET, y, text, self.style);
        }
        for (right, cell) in [(columns.amounts, amount), (RIGHT, usd)] {
            for (y, text) in tops().zip(cell) {
                sheet.text_to(right - INSET, y, text, self.style);
            }
        }
        sheet.y += self.height();
    }
}

fn worth_of(usd: &Option<String>) -> &str {
    usd.as_deref().unwrap_or(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::fixture;
    use crate::documents::invoice::Language;
    use crate::documents::pdf::page::{BOTTOM, Mark, Page};
    use crate::documents::pdf::pages;

    fn laid_out(invoice: &Invoice) -> Vec<Page> {
        pages(invoice, Words::of(Language::En), Fonts::shared().unwrap())
    }

    /// The texts of a page with the tops of their lines, from top to bottom.
    fn texts(page: &Page) -> Vec<(Length, String)> {
        let text = |mark: &Mark| match mark {
            Mark::Text { y, text, .. } => Some((*y, text.clone())),
            _ => None,
        };
        page.marks.iter().filter_map(text).collect()
    }

    fn numbered(counts: &[usize]) -> Invoice {
        let mut invoice = fixture::invoice(0);
        let group = |&count| Group {
            asset: "USD".to_owned(),
            items: (0..count)
                .map(|index| Item {
                    title: format!("title-{index} {}", "long ".repeat(index % 45)),
                    amount: format!("amount-{index}"),
                    usd: Some(format!("usd-{index}")),
                })
                .collect(),
            total_amount: "sum-amount".to_owned(),
            total_usd: Some("sum-usd".to_owned()),
        };
        invoice.groups = counts.iter().map(group).collect();
        (invoice.total, invoice.worth) = ("grand".to_owned(), Some("worth".to_owned()));
        invoice
    }

    #[test]
    fn every_row_is_there_once_in_its_order_on_one_page() {
        for count in [1, 2, 25, 26, 27, 28, 29, 30, 31, 32, 33, 200, 1_000] {
            let mut next = 0;
            for page in laid_out(&numbered(&[count])) {
                let texts: Vec<String> = texts(&page).into_iter().map(|(_, text)| text).collect();
                for text in &texts {
                    if let Some(index) = text.strip_prefix("usd-") {
                        assert_eq!(index, next.to_string());
                        // All lines of the title are on the page of its figures.
                        let words =
                            texts.iter().skip_while(|text| !text.starts_with(&format!("title-{next}")));
                        let words: Vec<&str> = words
                            .take_while(|text| !text.starts_with("amount-"))
                            .map(String::as_str)
                            .collect();
                        let long = words.join(" ").matches("long").count();
                        assert_eq!(long, next % 45);
                        next += 1;
                    }
                }
            }
            assert_eq!(next, count);
        }
    }

    #[test]
    fn each_page_of_a_table_has_its_head_and_number_and_ends_in_time() {
        let pages = laid_out(&numbered(&[300, 2, 90]));
        for (number, page) in (1..).zip(&pages) {
            let texts = texts(page);
            assert!(texts.iter().any(|(_, text)| text == "Amount (USD)"));
            assert!(texts.iter().any(|(_, text)| *text == format!("{number} / {}", pages.len())));
            let is_row = |text: &str| text.starts_with("usd-") || text.starts_with("title-");
            assert!(texts.iter().filter(|(_, text)| is_row(text)).all(|(y, _)| y + CELL.line() <= BOTTOM));
        }
    }

    #[test]
    fn totals_are_never_alone_on_a_page() {
        for count in 1..80 {
            let pages = laid_out(&numbered(&[count]));
            let last = texts(pages.last().unwrap());
            let has = |wanted: &str| last.iter().any(|(_, text)| text == wanted);
            let total = has("sum-usd") && has("grand") && has("worth");
            assert!(total && has(&format!("usd-{}", count - 1)), "{count}");
            let ends = last.iter().filter(|(_, text)| text == "worth").map(|(y, _)| y + WORTH.line());
            assert!(ends.max().unwrap() <= BOTTOM, "{count}");
        }
    }

    #[test]
    fn a_heading_is_never_alone_at_a_pages_end() {
        for count in 1..60 {
            for page in laid_out(&numbered(&[count, 1])) {
                let texts: Vec<String> = texts(&page).into_iter().map(|(_, text)| text).collect();
                if let Some(at) = texts.iter().rposition(|text| text == "USD") {
                    assert!(texts[at..].iter().any(|text| text.starts_with("usd-")), "{count}");
                }
            }
        }
    }

    #[test]
    fn figures_end_at_one_edge() {
        let page = &laid_out(&numbered(&[12]))[0];
        let fonts = Fonts::shared().unwrap();
        let edges: Vec<Length> = page
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Text { x, text, style, .. } if text.starts_with("usd-") => {
                    Some(x + fonts.width(text, *style))
                }
                _ => None,
            })
            .collect();
        assert_eq!(edges, [RIGHT - INSET; 12]);
    }

    #[test]
    fn the_longest_texts_still_end() {
        let mut invoice = numbered(&[3]);
        let long = "长".repeat(20_000);
        invoice.groups[0].items[1] =
            Item { title: long.clone(), amount: "9".repeat(400), usd: Some("9".repeat(400)) };
        invoice.customer.name = long.clone();
        invoice.groups[0].asset = long;
        (invoice.total, invoice.worth) = ("9".repeat(100), Some("9".repeat(100)));
        let pages = laid_out(&invoice);
        assert!(pages.len() < 5);
    }

    #[test]
    fn where_no_worth_is_known_there_is_no_column_of_them() {
        let mut invoice = numbered(&[2]);
        invoice.groups[0].items[0].usd = None;
        let heads = |invoice: &Invoice| {
            let texts = texts(&laid_out(invoice)[0]);
            ["Value (USD)", UNKNOWN].map(|head| texts.iter().filter(|(_, text)| text == head).count())
        };
        assert_eq!(heads(&invoice), [1, 1]);
        invoice.groups[0].items[1].usd = None;
        (invoice.groups[0].total_usd, invoice.worth) = (None, None);
        assert_eq!(heads(&invoice), [0, 0]);
        let texts = texts(&laid_out(&invoice)[0]);
        assert!(texts.iter().any(|(_, text)| text == "amount-1"));
    }

    #[test]
    fn without_items_there_is_still_a_total() {
        let mut invoice = numbered(&[0]);
        assert!(texts(&laid_out(&invoice)[0]).iter().any(|(_, text)| text == "sum-usd"));
        invoice.groups.clear();
        let texts = texts(&laid_out(&invoice)[0]);
        assert!(texts.iter().any(|(_, text)| text == "Nothing was billed in this period."));
        assert!(texts.iter().any(|(_, text)| text == "grand"));
    }
}
