//! What each field costs by itself, and how often what is below it counts.
//!
//! One is about what reading a row by its key and writing it out takes, some 20 µs; what reads more costs as many times that as it
//! takes where there is much of it. So no request asks for more than a second or two of the database's time.

/// How often what is below a field counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::graphql) enum Times {
    Fixed(usize),
    /// As often as the page is long.
    Page,
    /// As often as ids are given.
    Ids,
}

/// What a field costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::graphql) struct Price {
    /// By itself.
    pub own: usize,
    pub times: Times,
}

/// What costs more than others, as it asks the database for more, and how long lists without pages are as a rule.
pub(in crate::graphql) const PRICES: &[(&str, &str, usize, usize)] = &[
    ("Query", "billingRuns", 100, 50),
    ("Query", "datacenters", 1, 10),
    ("Query", "discounts", 1, 10),
    ("Query", "exchangeRates", 1, 10),
    ("Query", "ledgerAnchor", 1_000, 1),
    ("Query", "ledgerHealth", 20_000, 1),
    ("Query", "orderStates", 1, 10),
    ("Query", "orderTypes", 1, 10),
    ("Query", "price", 20, 1),
    ("Query", "priceRules", 1, 20),
    ("Query", "resourceTypes", 1, 10),
    ("Query", "resources", 1, 20),
    ("Query", "serviceConfig", 1, 20),
    ("Query", "simulateCharges", 5_000, 5),
    ("Query", "unmatchedPayments", 100, 50),
    ("Query", "usage", 3_000, 1),
    ("Account", "forecast", 6_000, 1),
    ("Account", "notices", 1, 10),
    ("Account", "paymentMethods", 1, 10),
    ("Account", "priceRules", 1, 20),
    ("Bill", "lines", 1, 3),
    ("Bill", "transactions", 1, 2),
    ("BillConnection", "summary", 300, 1),
    ("ConsumptionRecord", "details", 1, 3),
    ("Invoice", "groups", 1, 3),
    ("InvoiceGroup", "items", 1, 10),
    ("InvoiceConnection", "unvaluedMonths", 50, 1),
    ("PriceQuote", "steps", 1, 3),
    ("Pricing", "current", 10, 10),
    ("Pricing", "next", 10, 10),
];

/// Pages that cost more than their rows: drafts of invoices are made of all that a month has.
const PAGES: &[(&str, &str, usize)] = &[("Query", "invoices", 200), ("Account", "invoices", 200)];

/// What counting a whole list costs.
const TOTAL_COUNT: usize = 20;

/// Lists whose rows are looked at one by one where a filter narrows them, at the root and of an account.
const FILTERED: &[&str] = &["accounts", "bills", "orders", "prepayments", "records", "transactions"];

/// Whether the rows of a list are looked at one by one where a filter narrows it.
pub(in crate::graphql) fn is_walked(owner: &str, field: &str) -> bool {
    matches!(owner, "Query" | "Account") && FILTERED.contains(&field)
}

/// What that costs more for a page: up to 10,000 rows are looked at.
pub(in crate::graphql) const FILTERED_PAGE: usize = 1_000;
/// What it costs more to tell something of the whole list, as up to 100,000 are.
pub(in crate::graphql) const FILTERED_WHOLE: usize = 4_000;
/// How long a list without pages is where nothing else is said.
pub(in crate::graphql) const LIST_LENGTH: usize = 5;

impl Price {
    /// Of a field of `owner`.
    pub fn of(owner: &str, field: &str, type_name: &str, is_list: bool) -> Self {
        let told = PRICES.iter().find(|(of, name, ..)| *of == owner && *name == field);
        match (told, field) {
            (Some((_, _, own, times)), _) => Self { own: *own, times: Times::Fixed(*times) },
            (None, "totalCount") => Self { own: TOTAL_COUNT, times: Times::Fixed(1) },
            (None, "nodes") if owner == "Query" => Self { own: 1, times: Times::Ids },
            _ if is_row(owner, field) => Self::USUAL,
            _ if is_page(type_name) => {
                let told = PAGES.iter().find(|(of, name, _)| *of == owner && *name == field);
                Self { own: told.map_or(1, |(.., own)| *own), times: Times::Page }
            }
            _ if is_list => Self { own: 1, times: Times::Fixed(LIST_LENGTH) },
            _ => Self::USUAL,
        }
    }

    /// Of most fields.
    pub const USUAL: Self = Self { own: 1, times: Times::Fixed(1) };
}

fn is_page(type_name: &str) -> bool {
    type_name.ends_with("Connection")
}

/// Whether a field of a page is there for each thing on it.
pub(in crate::graphql) fn is_row(owner: &str, field: &str) -> bool {
    is_page(owner) && matches!(field, "nodes" | "edges")
}

/// Whether a field of a page tells something of the whole list.
pub(in crate::graphql) fn is_of_whole(owner: &str, field: &str) -> bool {
    is_page(owner) && matches!(field, "totalCount" | "summary")
}
