use std::collections::BTreeMap;
use std::process::Command;

use crate::documents::fixture;
use crate::documents::{Language, html, pdf};

/// A PDF's text, or None where there is no pdftotext.
fn text_of(pdf: &[u8], name: &str) -> Option<String> {
    let file = std::env::temp_dir().join(format!("invoice-{}-{name}.pdf", std::process::id()));
    std::fs::write(&file, pdf).unwrap();
    let output = Command::new("pdftotext").args(["-layout", "-enc", "UTF-8"]).arg(&file).arg("-").output();
    std::fs::remove_file(&file).unwrap();
    Some(String::from_utf8(output.ok()?.stdout).unwrap())
}

/// The visible text of a page: what stands between its tags.
fn text_of_page(page: &str) -> String {
    let body = page.split_once("<body").unwrap().1;
    let parts = body.split('<').filter_map(|part| part.split_once('>')).map(|(_, text)| text);
    parts.collect::<Vec<_>>().join("\n").replace("&amp;", "&").replace("&lt;", "<").replace("&gt;", ">")
}

/// How often each figure with a point occurs.
fn figures(text: &str) -> BTreeMap<&str, usize> {
    let mut figures = BTreeMap::new();
    let is_figure =
        |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || ".,".contains(c));
    for word in text.split_whitespace().filter(is_figure) {
        *figures.entry(word).or_default() += 1;
    }
    figures
}

#[test]
fn the_pdf_and_the_page_show_the_same_figures() {
    for (language, count) in [(Language::Zh, 7), (Language::En, 130)] {
        let mut invoice = fixture::invoice(count);
        invoice.number = (count == 7).then(|| "INV-7".to_owned());
        let Some(text) = text_of(&pdf(&invoice, language).unwrap(), &count.to_string()) else {
            println!("skipped: there is no pdftotext");
            return;
        };
        let page = text_of_page(&html(&invoice, language));
        let expected = figures(&page);
        // Each item has two; then the totals of the two groups, and the grand total and its worth, twice.
        assert_eq!(expected.values().sum::<usize>(), 2 * count + 8);
        assert_eq!(figures(&text), expected);
    }
}

#[test]
fn chinese_can_be_taken_out_of_the_pdf() {
    let mut invoice = fixture::invoice(2);
    invoice.number = None;
    let Some(text) = text_of(&pdf(&invoice, Language::Zh).unwrap(), "chinese") else {
        println!("skipped: there is no pdftotext");
        return;
    };
    for wanted in ["账单", "草稿", "杭州某某科技有限公司", "应用 app-1 计算与存储 (cluster eu-1)", "命名空间"]
    {
        assert!(text.contains(wanted), "{wanted} is not in:\n{text}");
    }
}
