//! What an invoice said, as JSON: decimals and ids are strings, so that every digit stays.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::ids::{BillId, PrepaymentId};
use crate::domain::invoice::{Group, Item};
use crate::domain::money::CurrencyCode;
use crate::store::error::StoreError;

#[derive(Serialize, Deserialize)]
struct GroupJson {
    currency: String,
    #[serde(with = "rust_decimal::serde::str")]
    total_amount: Decimal,
    /// Absent where it is not known.
    #[serde(default, with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    total_usd: Option<Decimal>,
    items: Vec<ItemJson>,
}

#[derive(Serialize, Deserialize)]
struct ItemJson {
    title: String,
    #[serde(with = "rust_decimal::serde::str")]
    amount: Decimal,
    #[serde(default, with = "rust_decimal::serde::str_option", skip_serializing_if = "Option::is_none")]
    usd: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prepayment: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bill: Option<String>,
}

pub fn write(groups: &[Arc<Group>]) -> Result<Value, StoreError> {
    let item = |item: &Arc<Item>| ItemJson {
        title: item.title.clone(),
        amount: item.amount,
        usd: item.usd,
        icon_url: item.icon_url.clone(),
        prepayment: item.prepayment.map(|id| id.to_string()),
        bill: item.bill.map(|id| id.to_string()),
    };
    let group = |group: &Arc<Group>| GroupJson {
        currency: group.currency.to_string(),
        total_amount: group.total_amount,
        total_usd: group.total_usd,
        items: group.items.iter().map(item).collect(),
    };
    let written = serde_json::to_value(groups.iter().map(group).collect::<Vec<_>>());
    written.map_err(|error| StoreError::Internal(format!("an invoice: {error}")))
}

/// None: it is not what was written.
pub fn read(groups: Value) -> Option<Vec<Arc<Group>>> {
    let groups: Vec<GroupJson> = serde_json::from_value(groups).ok()?;
    groups.into_iter().map(|group| group_of(group).map(Arc::new)).collect()
}

fn group_of(group: GroupJson) -> Option<Group> {
    let items = group.items.into_iter().map(|item| item_of(item).map(Arc::new));
    Some(Group {
        currency: CurrencyCode::parse(&group.currency)?,
        total_amount: group.total_amount,
        total_usd: group.total_usd,
        items: items.collect::<Option<_>>()?,
    })
}

fn item_of(item: ItemJson) -> Option<Item> {
    // An id that is there must be one.
    let prepayment = item.prepayment.map(|id| PrepaymentId::parse(&id).ok_or(())).transpose().ok()?;
    let bill = item.bill.map(|id| BillId::parse(&id).ok_or(())).transpose().ok()?;
    let ItemJson { title, amount, usd, icon_url, .. } = item;
    Some(Item { title, amount, usd, icon_url, prepayment, bill })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_to_the_last_digit() {
        let item = Item {
            title: "Blog: 3 个月".to_owned(),
            amount: "-0.123456789012345678".parse().unwrap(),
            usd: Some("12345678901234567890.12".parse().unwrap()),
            icon_url: None,
            prepayment: PrepaymentId::parse("ppy_0193fb2a5c0070008000000020000001"),
            bill: None,
        };
        let group = Group {
            currency: CurrencyCode::parse("ANKR_ERC20").unwrap(),
            total_amount: item.amount,
            total_usd: item.usd,
            items: vec![Arc::new(item.clone())],
        };
        let unknown = Item { usd: None, ..item.clone() };
        let of_euros = Group {
            currency: CurrencyCode::parse("EUR").unwrap(),
            total_amount: item.amount,
            total_usd: None,
            items: vec![Arc::new(item), Arc::new(unknown)],
        };
        let groups = vec![Arc::new(group), Arc::new(of_euros)];
        let written = write(&groups).unwrap();
        assert!(written.to_string().contains("\"12345678901234567890.12\""));
        assert_eq!(read(written), Some(groups));
        assert_eq!(read(serde_json::json!([{ "currency": "USD" }])), None);
    }

    #[test]
    fn what_was_written_when_everything_had_a_worth_is_read() {
        let written = serde_json::json!([{ "currency": "CNY", "total_amount": "100", "total_usd": "14.00",
            "items": [{ "title": "Plan C", "amount": "100", "usd": "14.00" }] }]);
        let group = read(written).unwrap().remove(0);
        let usd = Some("14.00".parse().unwrap());
        assert_eq!((group.total_usd, group.items[0].usd), (usd, usd));
    }
}
