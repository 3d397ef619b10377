//! What is on a balance is paid out: back to the card that it came from, or outside.

use std::sync::Arc;

use rust_decimal::Decimal;
use serde::Serialize;

use super::card::{self, GivenBack, refundable};
use super::decision::Decide;
use super::draft::Draft;
use super::weighing;
use crate::domain::ids::{AccountId, TransactionId};
use crate::domain::ledger::Posting;
use crate::domain::money::{self, Money};
use crate::domain::mutation::{Mutation, PAY_OUT};
use crate::domain::outcome::Outcome;
use crate::domain::payment::{Payment, PaymentPurpose};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::spelling::by_optional_value;
use crate::domain::transaction::{Ledger, Movement, Transaction, TransactionKind, TransactionStatus};

/// How it is paid that is paid outside.
const OUTSIDE: &str = "outside";

/// Pays out what is on a balance.
#[derive(Debug, Clone, Serialize)]
pub struct PayOut {
    /// None: all that is there.
    #[serde(serialize_with = "by_optional_value")]
    pub amount: Option<Decimal>,
    pub way: PayOutWay,
    pub reason: String,
}

/// How money is paid out.
#[derive(Debug, Clone, Serialize)]
pub enum PayOutWay {
    /// Back to the card of this recharge.
    Card(TransactionId),
    /// Outside, under this reference.
    Outside(String),
}

impl Decide for PayOut {
    const MUTATION: Option<Mutation> = Some(Mutation::named(PAY_OUT));

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.settling.push(account);
        if let PayOutWay::Card(recharge) = self.way {
            reads.transactions.push(recharge.0);
        }
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        match &self.way {
            PayOutWay::Card(recharge) => to_card(draft, self, *recharge),
            PayOutWay::Outside(reference) => outside(draft, self, reference),
        }
    }

    fn weight(&self, _: &Draft<'_>, made: &Outcome) -> Option<Money> {
        weighing::moved(made)
    }
}

/// What can be paid out: what is on the balance and not asked for by open bills.
fn free(draft: &Draft<'_>) -> Result<Decimal, Refusal> {
    let open = draft.open_bills()?;
    let free = money::subtract(draft.account.balance, open.amount)?;
    if !open.is_all && free > Decimal::ZERO {
        let message = "more bills are open than can be counted at once: have them paid or made void first";
        return Err(Refusal::new(RefusalCode::LimitExceeded, "accountId", message));
    }
    Ok(draft.currency.truncate_to_display(free.max(Decimal::ZERO)))
}

/// How much is to be paid out; by default all that is free, up to `most`.
fn amount_of(draft: &Draft<'_>, pay_out: &PayOut, most: Option<Decimal>) -> Result<Decimal, Refusal> {
    let free = free(draft)?;
    let amount = pay_out.amount.unwrap_or_else(|| most.map_or(free, |most| most.min(free)));
    if pay_out.amount.is_some() {
        draft.require_payable("amount", amount)?;
    }
    if amount > free || amount.is_zero() {
        let message = format!("{} {} can be paid out", draft.currency.format(free), draft.currency.code);
        return Err(Refusal::new(RefusalCode::InsufficientBalance, "amount", message));
    }
    Ok(amount)
}

fn to_card(draft: &mut Draft<'_>, pay_out: &PayOut, recharge: TransactionId) -> Result<Outcome, Refusal> {
    let (original, charge) = card_recharge(draft, recharge)?;
    let left = refundable(&original)?;
    if left.is_zero() || pay_out.amount.is_some_and(|amount| amount > left) {
        let message = format!("{} of it is left to give back", draft.currency.format(left));
        return Err(Refusal::new(RefusalCode::LimitExceeded, "amount", message));
    }
    let amount = amount_of(draft, pay_out, Some(left))?;
    let GivenBack { refund, original, payment } =
        card::refund_recharge(draft, &charge, &original, amount, &pay_out.reason)?;
    Ok(Outcome {
        transaction: Some(refund),
        refunded: Some(original),
        payment: Some(payment),
        ..Outcome::default()
    })
}

/// A finished recharge by card, with the payment that charged it.
fn card_recharge(draft: &Draft<'_>, id: TransactionId) -> Result<(Arc<Transaction>, Arc<Payment>), Refusal> {
    let none = || Refusal::new(RefusalCode::NotFound, "transactionId", "there is no such transaction");
    let original = draft.transaction(id).cloned().ok_or_else(none)?;
    let of_it =
        |charge: &&Arc<Payment>| charge.transaction == Some(id) && charge.purpose == PaymentPurpose::Recharge;
    let settled = matches!(original.status, TransactionStatus::Finished | TransactionStatus::Refunded);
    match draft.book.payments.values().find(of_it).filter(|_| settled) {
        Some(charge) => Ok((original, Arc::clone(charge))),
        None => {
            let message = "only a finished recharge by card has a card that money can go back to";
            Err(Refusal::new(RefusalCode::Invalid, "transactionId", message))
        }
    }
}

fn outside(draft: &mut Draft<'_>, pay_out: &PayOut, reference: &str) -> Result<Outcome, Refusal> {
    let amount = amount_of(draft, pay_out, None)?;
    let transaction = draft.transaction_of(Movement {
        kind: TransactionKind::Payout,
        money: Money::new(amount, draft.currency.code),
        debit: Ledger::Customer,
        credit: Ledger::Cash(OUTSIDE.to_owned()),
        description: format!("{} ({reference})", pay_out.reason),
        payment_method: OUTSIDE.to_owned(),
    })?;
    let posting = Posting::because(format!("Paid out, {reference}: {}", pay_out.reason));
    let transaction = draft.post(transaction, posting)?;
    Ok(Outcome { transaction: Some(transaction), ..Outcome::default() })
}
