//! What is asked for, as it is kept until another operator has decided: JSON in the words of the mutation's input. The account
//! and the key stand beside it.

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::Approval;
use crate::domain::decide::{Action, AdjustBalance, PayOut, PayOutWay, Refund, UpdateAccount};
use crate::domain::ids::TransactionId;
use crate::domain::mutation::{ADJUST_BALANCE, PAY_OUT, REFUND, UPDATE_ACCOUNT};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RefundAsked {
    transaction_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Decimal>,
    reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdjustmentAsked {
    amount: Decimal,
    reason: String,
    force: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PayOutAsked {
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<Decimal>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    reason: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CreditLimitAsked {
    credit_limit: Decimal,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Action {
    /// Whether one operator may not be enough for it.
    pub fn is_weighed(&self) -> bool {
        match self {
            Self::Refund(_) | Self::AdjustBalance(_) | Self::PayOut(_) => true,
            Self::UpdateAccount(update) => matches!(update.credit_limit, Some(Some(_))),
            _ => false,
        }
    }
}

/// The input of an action that can wait for another operator; None of others, also of a credit limit that is asked for
/// together with other changes.
pub fn input_of(action: &Action) -> Option<String> {
    match action {
        Action::Refund(refund) => written(&RefundAsked {
            transaction_id: refund.transaction.to_string(),
            amount: refund.amount.map(|amount| amount.normalize()),
            reason: refund.reason.clone(),
        }),
        Action::AdjustBalance(adjustment) => written(&AdjustmentAsked {
            amount: adjustment.amount.normalize(),
            reason: adjustment.reason.clone(),
            force: adjustment.force,
        }),
        Action::PayOut(pay_out) => {
            let (transaction_id, reference) = match &pay_out.way {
                PayOutWay::Card(recharge) => (Some(recharge.to_string()), None),
                PayOutWay::Outside(reference) => (None, Some(reference.clone())),
            };
            let (amount, reason) = (pay_out.amount.map(|amount| amount.normalize()), pay_out.reason.clone());
            written(&PayOutAsked { amount, transaction_id, reference, reason })
        }
        Action::UpdateAccount(update) => credit_limit_alone(update),
        _ => None,
    }
}

fn credit_limit_alone(update: &UpdateAccount) -> Option<String> {
    let UpdateAccount {
        name: None,
        external_id: None,
        time_zone: None,
        credit_limit: Some(Some(limit)),
        manager: None,
        status: None,
        held_until: None,
        reason,
        closing: None,
    } = update
    else {
        return None;
    };
    written(&CreditLimitAsked { credit_limit: limit.normalize(), reason: reason.clone() })
}

fn written(asked: &impl Serialize) -> Option<String> {
    serde_json::to_string(asked).ok()
}

impl Approval {
    /// What is carried out when it is allowed; None if what is kept cannot be read.
    pub fn action(&self) -> Option<Action> {
        Some(match self.mutation.name() {
            REFUND => {
                let asked: RefundAsked = self.read()?;
                let transaction = TransactionId::parse(&asked.transaction_id)?;
                Action::Refund(Refund { transaction, amount: asked.amount, reason: asked.reason })
            }
            ADJUST_BALANCE => {
                let AdjustmentAsked { amount, reason, force } = self.read()?;
                Action::AdjustBalance(AdjustBalance { amount, reason, force })
            }
            PAY_OUT => {
                let PayOutAsked { amount, transaction_id, reference, reason } = self.read()?;
                let way = match (transaction_id, reference) {
                    (Some(recharge), None) => PayOutWay::Card(TransactionId::parse(&recharge)?),
                    (None, Some(reference)) => PayOutWay::Outside(reference),
                    _ => return None,
                };
                Action::PayOut(PayOut { amount, way, reason })
            }
            UPDATE_ACCOUNT => {
                let CreditLimitAsked { credit_limit, reason } = self.read()?;
                let credit_limit = Some(Some(credit_limit));
                Action::UpdateAccount(Box::new(UpdateAccount {
                    credit_limit,
                    reason,
                    ..UpdateAccount::default()
                }))
            }
            _ => return None,
        })
    }

    fn read<'a, T: Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_str(&self.input).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::approval::ApprovalState;
    use crate::domain::ids::{AccountId, ApprovalId, IdMint};
    use crate::domain::money::{CurrencyCode, Money};

    fn approval_of(action: &Action) -> Approval {
        let asked_at = "2026-11-30T00:00:00Z".parse().unwrap();
        let mut mint = IdMint::new(AccountId(1), asked_at, 0, false);
        Approval {
            id: ApprovalId(mint.next_id().unwrap()),
            mutation: action.mutation().unwrap(),
            input: input_of(action).unwrap(),
            money: Money::new(Decimal::ONE, CurrencyCode::parse("CNY").unwrap()),
            key: None,
            asked_by: "first".to_owned(),
            asked_at,
            state: ApprovalState::Pending,
            decided_by: None,
            decided_at: None,
            reason: None,
            next_step_at: Some(asked_at),
        }
    }

    fn actions() -> Vec<Action> {
        let transaction = TransactionId::parse("txn_019a0000000070008000000020000001").unwrap();
        let (some, reason) = (Some(Decimal::new(1_500_010, 3)), "r \"quoted\"".to_owned());
        let refund = |amount| Action::Refund(Refund { transaction, amount, reason: reason.clone() });
        let pay_out = |amount, way| Action::PayOut(PayOut { amount, way, reason: reason.clone() });
        let adjust =
            |amount, force| Action::AdjustBalance(AdjustBalance { amount, reason: reason.clone(), force });
        let limit = UpdateAccount {
            credit_limit: Some(some),
            reason: Some(reason.clone()),
            ..UpdateAccount::default()
        };
        vec![
            refund(some),
            refund(None),
            adjust(Decimal::new(-1, 10), true),
            adjust(Decimal::new(5, 0), false),
            pay_out(some, PayOutWay::Card(transaction)),
            pay_out(None, PayOutWay::Outside("wire 7".to_owned())),
            Action::UpdateAccount(Box::new(limit)),
        ]
    }

    #[test]
    fn what_is_kept_is_read_back_as_what_was_asked() {
        for action in actions() {
            let approval = approval_of(&action);
            let read = approval.action().unwrap();
            assert!(action.is_weighed());
            assert_eq!(read.fingerprint(), action.fingerprint());
            assert_eq!(input_of(&read), Some(approval.input));
        }
    }

    #[test]
    fn an_amount_has_one_spelling() {
        let adjust = |amount: &str| {
            let (amount, reason) = (amount.parse().unwrap(), "r".to_owned());
            input_of(&Action::AdjustBalance(AdjustBalance { amount, reason, force: false }))
        };
        assert_eq!(adjust("1500.00").unwrap(), r#"{"amount":"1500","reason":"r","force":false}"#);
        assert_eq!(adjust("1500"), adjust("1500.00"));
    }

    #[test]
    fn a_credit_limit_waits_by_itself_only() {
        let update = UpdateAccount {
            credit_limit: Some(Some(Decimal::ONE)),
            name: Some("Other".to_owned()),
            ..UpdateAccount::default()
        };
        assert_eq!(input_of(&Action::UpdateAccount(Box::new(update))), None);
    }
}
