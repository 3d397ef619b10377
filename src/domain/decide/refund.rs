//! Refund: what was paid goes back to where it came from, whole or in part: to the balance, or to a card.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::Serialize;

use super::amounts::require_payable_in;
use super::card::{self, GivenBack, refundable, with_refunded};
use super::decision::Decide;
use super::draft::Draft;
use super::{payment, refunds, weighing};
use crate::domain::bill::Bill;
use crate::domain::ids::{AccountId, TransactionId};
use crate::domain::ledger::Posting;
use crate::domain::money::{self, Money};
use crate::domain::mutation::{Mutation, REFUND};
use crate::domain::outcome::Outcome;
use crate::domain::payment::{Payment, PaymentPurpose};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::spelling::by_optional_value;
use crate::domain::transaction::{Ledger, Transaction, TransactionKind, TransactionStatus};

/// Gives back what was paid, whole or in part.
#[derive(Debug, Clone, Serialize)]
pub struct Refund {
    pub transaction: TransactionId,
    /// None: all that is left.
    #[serde(serialize_with = "by_optional_value")]
    pub amount: Option<Decimal>,
    pub reason: String,
}

impl Decide for Refund {
    const MUTATION: Option<Mutation> = Some(Mutation::named(REFUND));

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.transactions.push(self.transaction.0);
        reads.payers.push(account);
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let (original, source) = payment_to_refund(draft, self.transaction)?;
        let left = refundable_of(draft, &original)?;
        let unknown =
            || Refusal::general(RefusalCode::CurrencyMismatch, "this server does not know its currency");
        let currency = draft.catalogue.currencies.get(original.currency).ok_or_else(unknown)?;
        let amount = self.amount.unwrap_or(left);
        if self.amount.is_some() {
            require_payable_in(currency, "amount", amount)?;
        }
        if amount > left || left.is_zero() {
            let message = format!("{} of it is left to give back", currency.format(left));
            return Err(Refusal::new(RefusalCode::LimitExceeded, "amount", message));
        }
        match source {
            Source::Balance => to_balance(draft, &original, amount, &self.reason),
            Source::Card(charge) => to_card(draft, &charge, &original, amount, &self.reason),
        }
    }

    fn weight(&self, _: &Draft<'_>, made: &Outcome) -> Option<Money> {
        weighing::moved(made)
    }
}

/// What may still be given back of a transaction: no more than is left of what it paid for.
fn refundable_of(draft: &Draft<'_>, original: &Transaction) -> Result<Decimal, Refusal> {
    let left = refundable(original)?;
    match original.bill.and_then(|bill| draft.bill(bill)) {
        Some(bill) => Ok(left.min(refunds::refundable(draft, bill)?)),
        None => Ok(left),
    }
}

/// Where what is given back had come from.
enum Source {
    Balance,
    Card(Arc<Payment>),
}

fn payment_to_refund(draft: &Draft<'_>, id: TransactionId) -> Result<(Arc<Transaction>, Source), Refusal> {
    let original = draft.transaction(id).cloned().ok_or_else(|| {
        Refusal::new(RefusalCode::NotFound, "transactionId", "there is no such transaction")
    })?;
    let settled = matches!(original.status, TransactionStatus::Finished | TransactionStatus::Refunded);
    let from_balance = original.debit == Ledger::Customer;
    let reversible = !matches!(
        original.kind,
        TransactionKind::Adjustment | TransactionKind::Refund | TransactionKind::Payout
    );
    let of_it =
        |charge: &&Arc<Payment>| charge.transaction == Some(id) && charge.purpose != PaymentPurpose::Refund;
    let charge = draft.book.payments.values().find(of_it).cloned();
    match charge {
        _ if !settled || !reversible => Err(irreversible()),
        Some(charge) => Ok((original, Source::Card(charge))),
        None if from_balance => Ok((original, Source::Balance)),
        None => Err(irreversible()),
    }
}

fn irreversible() -> Refusal {
    let message = "only a finished payment from the balance, or by card, can be given back";
    Refusal::new(RefusalCode::Invalid, "transactionId", message)
}

fn to_balance(
    draft: &mut Draft<'_>,
    original: &Arc<Transaction>,
    amount: Decimal,
    reason: &str,
) -> Result<Outcome, Refusal> {
    let refunded = draft.put_transaction(with_refunded(original, amount)?);
    note_on_bill(draft, original, amount)?;
    let transaction = refund(draft, original, amount, reason)?;
    payment::settle(draft)?;
    Ok(Outcome { transaction: Some(transaction), refunded: Some(refunded), ..Outcome::default() })
}

fn to_card(
    draft: &mut Draft<'_>,
    charge: &Payment,
    original: &Arc<Transaction>,
    amount: Decimal,
    reason: &str,
) -> Result<Outcome, Refusal> {
    let prepayment = charge.prepayment.and_then(|id| draft.prepayment(id)).cloned();
    let GivenBack { refund, original, payment } = match &prepayment {
        Some(prepayment) => card::refund_prepayment(draft, prepayment, Some(amount), reason)?,
        None => card::refund_recharge(draft, charge, original, amount, reason)?,
    };
    let prepayment = prepayment.and_then(|held| draft.prepayment(held.id)).cloned();
    Ok(Outcome {
        transaction: Some(refund),
        refunded: Some(original),
        payment: Some(payment),
        prepayment,
        ..Outcome::default()
    })
}

/// What was given back of a bill's payment counts no longer as paid when its order is changed.
fn note_on_bill(draft: &mut Draft<'_>, original: &Transaction, amount: Decimal) -> Result<(), Refusal> {
    if let Some(bill) = original.bill.and_then(|bill| draft.bill(bill)).cloned() {
        let refunded_amount = money::add(bill.refunded_amount, amount)?;
        draft.put_bill(Bill { refunded_amount, ..Bill::clone(&bill) });
    }
    Ok(())
}

fn refund(
    draft: &mut Draft<'_>,
    original: &Transaction,
    amount: Decimal,
    reason: &str,
) -> Result<Arc<Transaction>, Refusal> {
    let refund = card::reversal(draft, original, amount, reason, TransactionStatus::Finished)?;
    draft.post(refund, Posting::because(format!("Refund: {reason}")))
}
