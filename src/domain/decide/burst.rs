//! A cycle's burst is charged, whatever the balance: it is used already.

use std::sync::Arc;

use chrono::TimeDelta;
use rust_decimal::Decimal;

use super::decision::Decide;
use super::draft::Draft;
use super::suspension;
use crate::domain::account::AccountStatus;
use crate::domain::burst::{BurstState, Cycle, CycleCharge, RATE_HOLDS, ResourceCharge};
use crate::domain::ids::AccountId;
use crate::domain::ledger::Posting;
use crate::domain::money::Money;
use crate::domain::notice::NoticeKind;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::transaction::{Ledger, Movement, Transaction, TransactionKind};

/// The owner is warned so long before the money runs out …
const WARNED_BEFORE: TimeDelta = TimeDelta::days(1);
/// … and anew once it would have lasted for so long again.
const LASTS_AGAIN: TimeDelta = TimeDelta::days(2);

/// Charges what was used beyond subscriptions in a cycle.
#[derive(Debug, Clone)]
pub struct ChargeBurst(pub Arc<CycleCharge>);

impl Decide for ChargeBurst {
    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        let charges = self.0.charges.iter();
        let debit = charges.map(|charge| charge.charge).try_fold(Decimal::ZERO, Decimal::checked_add);
        reads.may_suspend(account, debit);
    }

    /// Charges all of an account's resources for a cycle, unless that has been done. An account's cycles are charged in order.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let Self(charged) = self;
        if draft.account.burst.cycle.is_some_and(|last| last >= charged.cycle) {
            return Ok(Outcome::default());
        }
        if charged.cycle.end() > draft.now {
            let message = format!("the cycle is not over: it ends at {}", charged.cycle.end());
            return Err(Refusal::general(RefusalCode::Conflict, message));
        }
        for charge in &charged.charges {
            let transaction = transaction_of(draft, charge)?;
            draft.post(transaction, posting_of(charge, charged.cycle))?;
        }
        let before = &draft.account.burst;
        // What was said of an earlier burst is over with it.
        let goes_on = before.cycle.is_some_and(|last| charged.cycle <= last.plus(RATE_HOLDS));
        let warned = before.warned && goes_on;
        draft.account.burst = BurstState { cycle: Some(charged.cycle), rate: Some(charged.rate), warned };
        suspension::mark_overdrawn(draft, "capacity used beyond its subscriptions")?;
        warn(draft)?;
        Ok(Outcome::default())
    }
}

fn transaction_of(draft: &mut Draft<'_>, charge: &ResourceCharge) -> Result<Transaction, Refusal> {
    Ok(draft.transaction_of(Movement {
        kind: TransactionKind::Burst,
        money: Money::new(charge.charge, draft.currency.code),
        debit: Ledger::Customer,
        credit: Ledger::revenue(TransactionKind::Burst),
        description: charge.resource.clone(),
        payment_method: "balance".to_owned(),
    })?)
}

fn posting_of(charge: &ResourceCharge, cycle: Cycle) -> Posting {
    Posting {
        reason: charge.reason.clone(),
        poll_time: Some(cycle.end()),
        billing_cycle: Some(cycle.number()),
        interval: Some(charge.seconds),
        resource: Some(charge.resource.clone()),
        resource_amount: charge.amount,
    }
}

/// Tells the owner, once, that the money will not last for another day at this rate. A cycle that is made up says nothing of the
/// present rate.
fn warn(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let lasts_until = draft.account.burst.lasts_until(draft.account.available()?, draft.instant);
    let Some(until) = lasts_until else { return Ok(()) };
    let lasts = until.signed_duration_since(draft.instant);
    if lasts >= LASTS_AGAIN {
        draft.account.burst.warned = false;
    }
    let is_near = lasts < WARNED_BEFORE && draft.account.status == AccountStatus::Active;
    if is_near && !draft.account.burst.warned {
        draft.account.burst.warned = true;
        let message = format!(
            "At the present rate of {} {} in 5 minutes the balance lasts until {}.",
            draft.currency.format(draft.account.burst.rate.unwrap_or_default()),
            draft.currency.code,
            until.with_timezone(&draft.account.time_zone).format("%Y-%m-%d %H:%M %Z")
        );
        draft.notify(NoticeKind::LowBalance, message, draft.account.id.to_string())?;
    }
    Ok(())
}
