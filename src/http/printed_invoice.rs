//! An invoice as text, as it is printed: with the figures that the API writes.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::documents;
use crate::domain::account::Account;
use crate::domain::invoice::{Group, Invoice, Issue, Item, VALUED_IN};
use crate::domain::money::{Currencies, CurrencyCode, format_decimal};

/// Cents.
const USD_PLACES: u32 = 2;

pub(super) fn printed(
    invoice: &Invoice,
    account: &Account,
    provider: &documents::Provider,
    currencies: &Currencies,
) -> documents::Invoice {
    let group = |group: &Arc<Group>| printed_group(group, currencies);
    let day = |issue: &Issue| issue.at.with_timezone(&account.time_zone).format("%Y-%m-%d").to_string();
    documents::Invoice {
        number: invoice.issue.as_ref().map(|issue| issue.number.clone()),
        issued_on: invoice.issue.as_ref().map(day),
        period: invoice.period.format("%Y-%m").to_string(),
        provider: provider.clone(),
        customer: documents::Party {
            name: invoice.customer.clone(),
            namespace: account.namespace.clone(),
            account: account.id.to_string(),
        },
        groups: invoice.contents.groups.iter().map(group).collect(),
        currency: account.currency.to_string(),
        total: format_decimal(
            invoice.contents.total_in(account.currency),
            places(account.currency, currencies),
        ),
        worth: worth(invoice, account),
    }
}

/// What all of it was worth in US dollars, unless it was all paid in these and the total says so.
fn worth(invoice: &Invoice, account: &Account) -> Option<String> {
    let is_dollar = |currency: CurrencyCode| currency.as_str() == VALUED_IN;
    let mut groups = invoice.contents.groups.iter();
    let says_the_same = is_dollar(account.currency) && groups.all(|group| is_dollar(group.currency));
    if says_the_same { None } else { invoice.contents.total_usd.map(usd) }
}

fn places(currency: CurrencyCode, currencies: &Currencies) -> u32 {
    currencies.get(currency).map_or(0, |currency| currency.display_scale)
}

fn printed_group(group: &Group, currencies: &Currencies) -> documents::Group {
    let places = places(group.currency, currencies);
    let amount = |amount: Decimal| format_decimal(amount, places);
    let item = |item: &Arc<Item>| documents::Item {
        title: item.title.clone(),
        amount: amount(item.amount),
        usd: item.usd.map(usd),
    };
    documents::Group {
        asset: group.currency.to_string(),
        items: group.items.iter().map(item).collect(),
        total_amount: amount(group.total_amount),
        total_usd: group.total_usd.map(usd),
    }
}

fn usd(value: Decimal) -> String {
    format_decimal(value, USD_PLACES)
}
