//! Operators change an account: its settings, how far it may go, and what it may do.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::account_closing::{self, Closing, because};
use super::decision::Decide;
use super::draft::Draft;
use super::{payment, suspension};
use crate::domain::account::{AccountStatus, Manager, Suspension};
use crate::domain::closing::month_from;
use crate::domain::ids::AccountId;
use crate::domain::money::{self, Money};
use crate::domain::mutation::{Mutation, UPDATE_ACCOUNT};
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};

/// A suspension that is lifted by hand is held off for so long, unless something else is said …
const HELD_FOR: TimeDelta = TimeDelta::days(7);
/// … and at most for so long.
const HELD_FOR_MAX: TimeDelta = TimeDelta::days(366);

/// Changes an account; None leaves as it is, an inner None clears.
#[derive(Debug, Clone, Default)]
pub struct UpdateAccount {
    pub name: Option<String>,
    pub external_id: Option<Option<String>>,
    pub time_zone: Option<Tz>,
    pub credit_limit: Option<Option<Decimal>>,
    pub manager: Option<Option<Manager>>,
    pub status: Option<AccountStatus>,
    /// Until when a suspension that is lifted, or was, is held off.
    pub held_until: Option<Option<DateTime<Utc>>>,
    /// Why its status is changed.
    pub reason: Option<String>,
    /// The last bills of an account that is to be closed.
    pub closing: Option<Closing>,
}

impl Decide for UpdateAccount {
    const MUTATION: Option<Mutation> = Some(Mutation::named(UPDATE_ACCOUNT));

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.payers.push(account);
        reads.may_suspend(account, None);
        if matches!(self.status, Some(AccountStatus::Active | AccountStatus::Suspended)) {
            reads.opening.push(account);
        }
        if let Some(closing) = &self.closing {
            reads.closing.push(account);
            reads.settling.push(account);
            closing.months.iter().for_each(|rated| reads.month(account, rated));
        }
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        set(draft, self);
        if let Some(limit) = self.credit_limit {
            set_credit_limit(draft, limit)?;
        }
        set_status(draft, self)?;
        // Whatever makes a bill payable settles at once.
        let may_pay = self.status == Some(AccountStatus::Active) || self.credit_limit.is_some();
        if may_pay {
            payment::settle(draft)?;
        }
        // What was open all the while counts at once, unless it is held off.
        if draft.account.status == AccountStatus::Active && draft.account.suspension_held_until.is_none() {
            suspension::count_again(draft)?;
        }
        Ok(Outcome::default())
    }

    /// The new credit limit, if it is higher than before.
    fn weight(&self, draft: &Draft<'_>, _: &Outcome) -> Option<Money> {
        let (before, after) = (&draft.book.account, &draft.account);
        let limit = after.credit_limit.unwrap_or_default();
        (limit > before.credit_limit.unwrap_or_default()).then(|| Money::new(limit, after.currency))
    }
}

fn set(draft: &mut Draft<'_>, update: &UpdateAccount) {
    let account = &mut draft.account;
    if let Some(name) = &update.name {
        account.name.clone_from(name);
    }
    if let Some(external_id) = &update.external_id {
        account.external_id.clone_from(external_id);
    }
    if let Some(manager) = &update.manager {
        account.manager.clone_from(manager);
    }
    if let Some(zone) = update.time_zone {
        draft.move_to(zone);
    }
}

fn set_credit_limit(draft: &mut Draft<'_>, limit: Option<Decimal>) -> Result<(), Refusal> {
    let is_below = draft.account.balance < money::negate(limit.unwrap_or_default());
    if is_below && !draft.account.overdrawn {
        let message = "the balance is below that already";
        return Err(Refusal::new(RefusalCode::Conflict, "creditLimit", message));
    }
    draft.account.credit_limit = limit;
    draft.account.overdrawn = is_below;
    Ok(())
}

fn set_status(draft: &mut Draft<'_>, update: &UpdateAccount) -> Result<(), Refusal> {
    let before = draft.account.status;
    let after = update.status.unwrap_or(before);
    require_sense(draft, update, before, after)?;
    match (before, update.status) {
        (AccountStatus::Closed, Some(AccountStatus::Closed)) => {}
        (_, Some(AccountStatus::Closed)) => {
            account_closing::close(draft, update.closing.as_ref(), update.reason.as_deref())?
        }
        (_, Some(AccountStatus::Suspended)) => suspend(draft, update)?,
        (AccountStatus::Suspended, Some(AccountStatus::Active)) => {
            suspension::lift(draft);
            draft.account.suspension_held_until = draft.instant.checked_add_signed(HELD_FOR);
        }
        (AccountStatus::Closed, Some(AccountStatus::Active)) => reopen(draft)?,
        (AccountStatus::Active, Some(AccountStatus::Active)) | (_, None) => {}
    }
    if let Some(until) = update.held_until {
        draft.account.suspension_held_until = until;
    }
    Ok(())
}

/// Refuses what would be kept and mean nothing.
fn require_sense(
    draft: &Draft<'_>,
    update: &UpdateAccount,
    before: AccountStatus,
    after: AccountStatus,
) -> Result<(), Refusal> {
    let invalid = |message: &str| Err(Refusal::new(RefusalCode::Invalid, "suspensionHeldUntil", message));
    let Some(held_until) = update.held_until else { return Ok(()) };
    let is_lifted = before != AccountStatus::Active || draft.account.suspension_held_until.is_some();
    if after != AccountStatus::Active || !is_lifted {
        return invalid("there is no suspension that is lifted");
    }
    let Some(until) = held_until else { return Ok(()) };
    if until <= draft.instant {
        return invalid("must lie ahead");
    }
    if until.signed_duration_since(draft.instant) > HELD_FOR_MAX {
        let message = "must be within a year from now";
        return Err(Refusal::new(RefusalCode::OutOfRange, "suspensionHeldUntil", message));
    }
    Ok(())
}

fn suspend(draft: &mut Draft<'_>, update: &UpdateAccount) -> Result<(), Refusal> {
    match draft.account.status {
        // Whatever it was suspended for, from now on it is an operator who lifts it.
        AccountStatus::Suspended => {
            draft.account.suspension = Some(Suspension::Operator);
            return Ok(());
        }
        AccountStatus::Closed => reopen(draft)?,
        AccountStatus::Active => {}
    }
    let message = because("The account is suspended by its provider", update.reason.as_deref());
    suspension::suspend(draft, Suspension::Operator, message, draft.account.id.to_string())
}

/// Opens a closed account again. The month that its closing has cut goes on, if it is not over.
fn reopen(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    if draft.book.has_closed_parent {
        let message = "its MAIN account is closed";
        return Err(Refusal::new(RefusalCode::Conflict, "status", message));
    }
    let closed_at = draft.account.closed_at.take();
    draft.account.status = AccountStatus::Active;
    let cut_at = closed_at.filter(|at| draft.account.closed_until == Some(*at));
    let cut = draft.closed_months().find(|closed| Some(closed.month.end) == cut_at);
    let start = cut.map(|closed| closed.month.start);
    if let Some(start) = start
        && month_from(start, draft.account.time_zone)?.end > draft.instant
    {
        draft.account.closed_until = Some(start);
    }
    Ok(())
}
