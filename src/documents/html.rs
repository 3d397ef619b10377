use data_encoding::BASE64;
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use crate::documents::invoice::{Group, Invoice, Item, Language, Logo, Party, Provider, UNKNOWN};
use crate::documents::shown::shown;
use crate::documents::words::Words;

const STYLE: &str = include_str!("html/invoice.css");
/// Should a text ever get past the escaping, it could load and run nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// The invoice as a page of its own, which needs nothing else to be shown or printed.
pub fn html(invoice: &Invoice, language: Language) -> String {
    let words = Words::of(language);
    let is_draft = invoice.number.is_none();
    let page = markup! {
        (DOCTYPE)
        html lang=(words.tag) {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (shown(&words.document_title(invoice))) }
                style { (PreEscaped(STYLE)) }
            }
            body data-draft=[is_draft.then_some(words.draft)] {
                main {
                    header { (provider(&invoice.provider, words)) (title(invoice, words)) }
                    section.summary { (customer(&invoice.customer, words)) (summary(invoice, words)) }
                    @if is_draft { p.note { (words.draft_note) } }
                    @if invoice.groups.is_empty() { p.empty { (words.no_items) } }
                    @let has_worths = invoice.has_worths();
                    @for group in &invoice.groups { (table(group, has_worths, words)) }
                    (grand_total(invoice, words))
                }
            }
        }
    };
    page.into_string()
}

fn provider(provider: &Provider, words: &Words) -> Markup {
    markup! {
        div.provider {
            @if let Some(logo) = &provider.logo { (picture(logo)) }
            p.name { bdi { (shown(&provider.name)) } }
            @for line in &provider.address { p { bdi { (shown(line)) } } }
            @if let Some(tax_id) = &provider.tax_id { p { (words.tax_id) " " bdi { (shown(tax_id)) } } }
        }
    }
}

fn picture(logo: &Logo) -> Markup {
    let source = format!("data:image/png;base64,{}", BASE64.encode(&logo.png));
    markup! { img src=(source) alt="" width=(logo.width) height=(logo.height); }
}

fn title(invoice: &Invoice, words: &Words) -> Markup {
    markup! {
        div.title {
            h1 { (words.invoice) @if invoice.number.is_none() { " " span.draft { (words.draft) } } }
            dl { @for (label, value) in words.facts(invoice) { (fact(label, value)) } }
        }
    }
}

fn fact(label: &str, value: &str) -> Markup {
    markup! { div { dt { (label) } dd { bdi { (shown(value)) } } } }
}

fn customer(customer: &Party, words: &Words) -> Markup {
    markup! {
        div.customer {
            h2 { (words.bill_to) }
            p.name { bdi { (shown(&customer.name)) } }
            dl {
                (fact(words.namespace, &customer.namespace))
                (fact(words.account, &customer.account))
            }
        }
    }
}

fn summary(invoice: &Invoice, words: &Words) -> Markup {
    markup! {
        div.due {
            h2 { (shown(&words.total_in(&invoice.currency))) }
            p.figure { (shown(&invoice.total)) }
            @if let Some(worth) = &invoice.worth {
                p.worth { span { (words.worth) } " " span.figure { (shown(worth)) } }
            }
        }
    }
}

/// `has_worths` says whether the invoice knows what anything on it is worth in USD.
fn table(group: &Group, has_worths: bool, words: &Words) -> Markup {
    markup! {
        section.group {
            h2 { bdi { (shown(&group.asset)) } }
            table {
                thead {
                    tr {
                        th scope="col" { (words.item) }
                        th.figure scope="col" { (shown(&words.amount_in(&group.asset))) }
                        @if has_worths { th.figure scope="col" { (words.usd_value) } }
                    }
                }
                tbody {
                    @for item in &group.items { (row(item, has_worths)) }
                    (subtotal(group, has_worths, words))
                }
            }
        }
    }
}

fn row(item: &Item, has_worths: bool) -> Markup {
    markup! {
        tr {
            td { bdi { (shown(&item.title)) } }
            td.figure { (shown(&item.amount)) }
            @if has_worths { (worth(item.usd.as_deref())) }
        }
    }
}

fn worth(usd: Option<&str>) -> Markup {
    markup! { td.figure { (shown(usd.unwrap_or(UNKNOWN))) } }
}

/// In the table's body, for a foot would be printed on each of its pages.
fn subtotal(group: &Group, has_worths: bool, words: &Words) -> Markup {
    markup! {
        tr.subtotal {
            th scope="row" { (words.subtotal) }
            td.figure { (shown(&group.total_amount)) }
            @if has_worths { (worth(group.total_usd.as_deref())) }
        }
    }
}

fn grand_total(invoice: &Invoice, words: &Words) -> Markup {
    markup! {
        p.total {
            span { (shown(&words.total_in(&invoice.currency))) } " "
            strong.figure { (shown(&invoice.total)) }
        }
        @if let Some(worth) = &invoice.worth {
            p.worth { span { (words.worth) } " " span.figure { (shown(worth)) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::fixture;

    #[test]
    fn texts_of_users_are_escaped() {
        let mut invoice = fixture::invoice(2);
        let attack = "<script>alert('1')</script>\"&amp;";
        invoice.provider.name = attack.to_owned();
        invoice.customer =
            Party { name: attack.to_owned(), namespace: attack.to_owned(), account: attack.to_owned() };
        invoice.number = Some("</title><script>".to_owned());
        invoice.groups[0].asset = attack.to_owned();
        invoice.groups[0].items[0] =
            Item { title: attack.to_owned(), amount: attack.to_owned(), usd: Some(attack.to_owned()) };
        (invoice.currency, invoice.total, invoice.worth) =
            (attack.to_owned(), attack.to_owned(), Some(attack.to_owned()));
        let page = html(&invoice, Language::En);
        assert!(!page.contains("<script"));
        assert!(page.contains("&lt;script&gt;alert('1')&lt;/script&gt;&quot;&amp;amp;"));
    }

    #[test]
    fn the_total_is_in_the_customers_currency_and_the_worth_stands_where_it_is_known() {
        let mut invoice = fixture::invoice(2);
        for (language, total, worth) in [
            (Language::En, "Total (CNY)", "Value of everything (USD)"),
            (Language::Zh, "总计 (CNY)", "全部折合 (USD)"),
        ] {
            let page = html(&invoice, language);
            assert_eq!((page.matches(total).count(), page.matches(worth).count()), (2, 2), "{page}");
        }
        invoice.worth = None;
        invoice.groups[0].items[0].usd = None;
        let page = html(&invoice, Language::En);
        assert!(page.contains("<td class=\"figure\">–</td>") && page.contains("Value (USD)"));
        assert!(!page.contains("Value of everything"));
        for group in &mut invoice.groups {
            group.items.iter_mut().for_each(|item| item.usd = None);
            group.total_usd = None;
        }
        let page = html(&invoice, Language::En);
        assert!(!page.contains("Value (USD)") && !page.contains('–'), "a column that says nothing: {page}");
    }

    #[test]
    fn the_page_stands_alone() {
        let page = html(&fixture::invoice(2), Language::Zh);
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"zh-CN\">"));
        assert!(page.contains("src=\"data:image/png;base64,"));
        for outside in ["http://", "https://", "<script", "<link", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn only_a_draft_is_marked_as_one() {
        let mut invoice = fixture::invoice(2);
        assert!(!html(&invoice, Language::En).contains("DRAFT"));
        invoice.number = None;
        assert!(html(&invoice, Language::En).contains("<span class=\"draft\">DRAFT</span>"));
        assert!(html(&invoice, Language::Zh).contains("<body data-draft=\"草稿\">"));
    }
}
