//! What has moved Stripe's balance: its list of balance transactions, newest first.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::client::Client;
use super::lookup::{Metadata, PAGE_SIZE, Page};
use super::outside::Charge;
use super::params::Params;
use crate::domain::unmatched::OutsideKind;
use crate::payments::{Moved, MovedPage, ProviderError};

const PATH: &str = "/v1/balance_transactions";

#[derive(Debug, Deserialize)]
struct BalanceTransaction {
    id: String,
    /// What it comes from: as a rule the thing itself, for it is asked for; or its name.
    source: Option<Value>,
}

/// A refund, as far as it matters here.
#[derive(Deserialize)]
struct Ours {
    metadata: Option<Metadata>,
}

/// A page of what has moved since an instant, after another page.
pub async fn page(
    client: &Client,
    since: DateTime<Utc>,
    after: Option<&str>,
) -> Result<MovedPage, ProviderError> {
    let params = Params::default()
        .with("limit", PAGE_SIZE)
        .with_any("starting_after", after)
        .with_spare("created[gte]", Some(since.timestamp().to_string()))
        .with_spare("expand[]", Some("data.source"));
    let page: Page<BalanceTransaction> = client.get(PATH, params).await?;
    let next = page.data.last().filter(|_| page.has_more).map(|last| last.id.clone());
    Ok(MovedPage { moved: page.data.into_iter().filter_map(of_transaction).collect(), next })
}

/// None: a payout, a fee, and what else has nothing to do with charges.
fn of_transaction(transaction: BalanceTransaction) -> Option<Moved> {
    let source = transaction.source?;
    let name = match &source {
        Value::String(name) => name.clone(),
        object => object.get("id")?.as_str()?.to_owned(),
    };
    let kind = match name.split('_').next()? {
        "ch" | "py" => OutsideKind::Charge,
        "re" | "pyr" => OutsideKind::Refund,
        "dp" | "du" => OutsideKind::Dispute,
        _ => return None,
    };
    let (found, payment) = match kind {
        OutsideKind::Charge => {
            let charge: Option<Charge> = serde_json::from_value(source).ok();
            (charge.map(Charge::into_outside), None)
        }
        _ => {
            let ours: Option<Ours> = serde_json::from_value(source).ok();
            (None, ours.and_then(|ours| ours.metadata?.abacus_payment))
        }
    };
    Some(Moved { kind, reference: name, found, payment })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(source: &str) -> Option<Moved> {
        let json = format!(r#"{{"id": "txn_1", "source": {source}}}"#);
        of_transaction(serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn what_moved_is_known_by_its_name() {
        let kind = |source: &str| read(source).map(|moved| (moved.kind, moved.reference));
        assert_eq!(kind(r#""re_1""#), Some((OutsideKind::Refund, "re_1".to_owned())));
        assert_eq!(
            kind(r#"{"id": "du_1", "object": "dispute"}"#),
            Some((OutsideKind::Dispute, "du_1".to_owned()))
        );
        assert_eq!(kind(r#""po_1""#), None);
        assert_eq!(kind("null"), None);
    }

    #[test]
    fn a_charge_that_is_shown_is_not_asked_for() {
        let charge = r#"{"id": "ch_1", "payment_intent": "pi_1", "amount": 500, "currency": "jpy", "status": "succeeded",
            "metadata": {"abacus_payment": "pay_1"}}"#;
        let found = read(charge).and_then(|moved| moved.found).unwrap();
        assert_eq!((found.reference.as_str(), found.payment.as_deref()), ("pi_1", Some("pay_1")));
        assert_eq!((found.amount, found.currency.as_str()), (500.into(), "JPY"));
        assert!(read(r#""ch_1""#).unwrap().found.is_none());
    }

    #[test]
    fn a_refund_that_is_shown_tells_whether_it_is_ours() {
        let refund = r#"{"id": "re_1", "metadata": {"abacus_payment": "pay_2"}}"#;
        assert_eq!(read(refund).unwrap().payment.as_deref(), Some("pay_2"));
    }
}
