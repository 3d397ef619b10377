//! An invoice as text, as it is printed: with the figures that the API writes.

use std::sync::Arc;

use rust_decimal::Decimal;

use crate::documents;
use crate::domain::account::Account;
use crate::domain::invoice::{Group, Invoice, Issue, Item};
use crate::domain::money::{Currencies, format_decimal};

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
        total_usd: usd(invoice.contents.total_usd),
    }
}

fn printed_group(group: &Group, currencies: &Currencies) -> documents::Group {
    let places = currencies.get(group.currency).map_or(0, |currency| currency.display_scale);
    let amount = |amount: Decimal| format_decimal(amount, places);
    let item = |item: &Arc<Item>| documents::Item {
        title: item.title.clone(),
        amount: amount(item.amount),
        usd: usd(item.usd),
    };
    documents::Group {
        asset: group.currency.to_string(),
        items: group.items.iter().map(item).collect(),
        total_amount: amount(group.total_amount),
        total_usd: usd(group.total_usd),
    }
}

fn usd(value: Decimal) -> String {
    format_decimal(value, USD_PLACES)
}
