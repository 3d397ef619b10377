//! What `updateAccount` makes of an account's status: every state, with everything that may be asked of it. No database takes part.

use abacus::domain::account::{Account, AccountStatus, Suspension};
use abacus::domain::decide::{UpdateAccount, decide};
use abacus::domain::notice::NoticeKind;
use abacus::domain::refusal::{Refusal, RefusalCode};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::support::sequences::{Run, Tenant, account, begin};

/// Where an account stands: its status, why it is suspended, and for how many days from now a suspension is held off.
type Standing = (AccountStatus, Option<Suspension>, Option<i64>);

const ACTIVE: Standing = (AccountStatus::Active, None, None);
/// A suspension was lifted by hand.
const LIFTED: Standing = (AccountStatus::Active, None, Some(7));
const HELD_OFF: Standing = (AccountStatus::Active, None, Some(3));
const BY_OPERATOR: Standing = (AccountStatus::Suspended, Some(Suspension::Operator), None);
const FOR_A_BILL: Standing = (AccountStatus::Suspended, Some(Suspension::OverdueBill), None);
const OVERDRAWN: Standing = (AccountStatus::Suspended, Some(Suspension::Overdrawn), None);
const CLOSED: Standing = (AccountStatus::Closed, None, None);

const LEAVE: Option<AccountStatus> = None;
const ACTIVATE: Option<AccountStatus> = Some(AccountStatus::Active);
const SUSPEND: Option<AccountStatus> = Some(AccountStatus::Suspended);
const CLOSE: Option<AccountStatus> = Some(AccountStatus::Closed);

/// Before, what is asked, after, and of what the owner is told.
const TRANSITIONS: &[(Standing, Option<AccountStatus>, Standing, Option<NoticeKind>)] = &[
    (ACTIVE, LEAVE, ACTIVE, None),
    (ACTIVE, ACTIVATE, ACTIVE, None),
    (ACTIVE, SUSPEND, BY_OPERATOR, Some(NoticeKind::AccountSuspended)),
    (ACTIVE, CLOSE, CLOSED, Some(NoticeKind::AccountClosed)),
    (HELD_OFF, LEAVE, HELD_OFF, None),
    (HELD_OFF, ACTIVATE, HELD_OFF, None),
    (HELD_OFF, SUSPEND, BY_OPERATOR, Some(NoticeKind::AccountSuspended)),
    (HELD_OFF, CLOSE, CLOSED, Some(NoticeKind::AccountClosed)),
    (BY_OPERATOR, LEAVE, BY_OPERATOR, None),
    (BY_OPERATOR, ACTIVATE, LIFTED, None),
    (BY_OPERATOR, SUSPEND, BY_OPERATOR, None),
    (BY_OPERATOR, CLOSE, CLOSED, Some(NoticeKind::AccountClosed)),
    (FOR_A_BILL, LEAVE, FOR_A_BILL, None),
    (FOR_A_BILL, ACTIVATE, LIFTED, None),
    // From now on it is an operator who lifts it.
    (FOR_A_BILL, SUSPEND, BY_OPERATOR, None),
    (FOR_A_BILL, CLOSE, CLOSED, Some(NoticeKind::AccountClosed)),
    (OVERDRAWN, LEAVE, OVERDRAWN, None),
    (OVERDRAWN, ACTIVATE, LIFTED, None),
    (OVERDRAWN, SUSPEND, BY_OPERATOR, None),
    (OVERDRAWN, CLOSE, CLOSED, Some(NoticeKind::AccountClosed)),
    (CLOSED, LEAVE, CLOSED, None),
    (CLOSED, ACTIVATE, ACTIVE, None),
    (CLOSED, SUSPEND, BY_OPERATOR, Some(NoticeKind::AccountSuspended)),
    (CLOSED, CLOSE, CLOSED, None),
];

fn now() -> DateTime<Utc> {
    begin() + TimeDelta::days(40)
}

/// An account that has stood so for a while.
fn standing((status, suspension, held_off): Standing) -> Run {
    let mut account = account(7, &Tenant { credit_limit: None, time_zone: Tz::UTC });
    (account.status, account.suspension) = (status, suspension);
    account.suspended_at = suspension.map(|_| begin() + TimeDelta::days(35));
    account.suspension_held_until = held_off.map(|days| now() + TimeDelta::days(days));
    if status == AccountStatus::Closed {
        account.closed_at = Some(begin() + TimeDelta::days(10));
        account.closed_until = account.closed_at;
    }
    Run { now: now(), ..Run::new(account) }
}

fn stands(account: &Account) -> Standing {
    let held_off = account.suspension_held_until.map(|until| (until - now()).num_days());
    (account.status, account.suspension, held_off)
}

/// What is asked, with the last bills that a closing needs.
fn asked(run: &Run, status: Option<AccountStatus>) -> UpdateAccount {
    let closing = status.filter(|status| *status == AccountStatus::Closed).and_then(|_| run.closing());
    UpdateAccount { status, closing, ..Default::default() }
}

/// The account after an update, and what its owner is told.
fn updated(run: &Run, update: UpdateAccount) -> Result<(Account, Vec<NoticeKind>), Refusal> {
    let decision = decide(&run.book, &run.catalogue, &run.update(update), run.now)?;
    let Some(change) = decision.change else { return Ok((run.book.account.clone(), Vec::new())) };
    let told = change.writes.notices.iter().map(|notice| notice.kind).collect();
    Ok((change.account, told))
}

#[test]
fn every_status_becomes_what_is_asked_of_it() {
    for (before, status, after, told) in TRANSITIONS {
        let run = standing(*before);
        let (account, notices) = updated(&run, asked(&run, *status)).expect("it is allowed");
        assert_eq!(stands(&account), *after, "{before:?}, asked for {status:?}");
        assert_eq!(notices, Vec::from_iter(*told), "{before:?}, asked for {status:?}");
        assert_eq!(
            account.suspended_at.is_some(),
            account.status == AccountStatus::Suspended,
            "{before:?}, asked for {status:?}"
        );
        assert_eq!(
            account.closed_at.is_some(),
            account.status == AccountStatus::Closed,
            "{before:?}, asked for {status:?}"
        );
    }
}

#[test]
fn every_pair_of_a_status_and_a_wish_stands_in_the_table() {
    let standings = [ACTIVE, HELD_OFF, BY_OPERATOR, FOR_A_BILL, OVERDRAWN, CLOSED];
    let wishes = [LEAVE, ACTIVATE, SUSPEND, CLOSE];
    let pairs = standings.iter().flat_map(|before| wishes.iter().map(move |wish| (before, wish)));
    for (before, wish) in pairs {
        let rows = TRANSITIONS.iter().filter(|row| (&row.0, &row.1) == (before, wish));
        assert_eq!(rows.count(), 1, "{before:?}, asked for {wish:?}");
    }
}

#[test]
fn what_stands_in_the_way_of_a_status_is_said_of_it() {
    type Hinder = fn(&mut Run);
    let parent_closed: Hinder = |run| run.book.has_closed_parent = true;
    let subs_open: Hinder = |run| run.book.has_open_subs = true;
    let too_large: Hinder = |run| run.book.is_too_large_to_close = true;
    for (before, status, hinder, code) in [
        (CLOSED, ACTIVATE, parent_closed, RefusalCode::Conflict),
        (CLOSED, SUSPEND, parent_closed, RefusalCode::Conflict),
        (ACTIVE, CLOSE, subs_open, RefusalCode::Conflict),
        (FOR_A_BILL, CLOSE, subs_open, RefusalCode::Conflict),
        (ACTIVE, CLOSE, too_large, RefusalCode::LimitExceeded),
    ] {
        let mut run = standing(before);
        hinder(&mut run);
        let refusal = updated(&run, asked(&run, status)).expect_err("something is in the way");
        assert_eq!(
            (refusal.code, refusal.field.as_deref()),
            (code, Some("status")),
            "{before:?}: {}",
            refusal.message
        );
    }
    let run = standing(ACTIVE);
    let without_bills = UpdateAccount { status: CLOSE, ..Default::default() };
    assert_eq!(updated(&run, without_bills).expect_err("no last bills").code, RefusalCode::Conflict);
}

#[test]
fn a_suspension_is_held_off_only_where_one_was_lifted() {
    let refused = |code| Err((code, Some("suspensionHeldUntil".to_owned())));
    for (before, status, days, expected) in [
        (BY_OPERATOR, ACTIVATE, Some(30), Ok((AccountStatus::Active, None, Some(30)))),
        (FOR_A_BILL, ACTIVATE, Some(366), Ok((AccountStatus::Active, None, Some(366)))),
        (FOR_A_BILL, ACTIVATE, Some(367), refused(RefusalCode::OutOfRange)),
        (FOR_A_BILL, ACTIVATE, Some(0), refused(RefusalCode::Invalid)),
        (FOR_A_BILL, ACTIVATE, None, Ok(ACTIVE)),
        (FOR_A_BILL, LEAVE, Some(30), refused(RefusalCode::Invalid)),
        (FOR_A_BILL, SUSPEND, Some(30), refused(RefusalCode::Invalid)),
        (FOR_A_BILL, CLOSE, Some(30), refused(RefusalCode::Invalid)),
        (HELD_OFF, LEAVE, Some(30), Ok((AccountStatus::Active, None, Some(30)))),
        (HELD_OFF, LEAVE, None, Ok(ACTIVE)),
        (ACTIVE, LEAVE, Some(30), refused(RefusalCode::Invalid)),
        (ACTIVE, ACTIVATE, None, refused(RefusalCode::Invalid)),
        (CLOSED, LEAVE, Some(30), refused(RefusalCode::Invalid)),
    ] {
        let run = standing(before);
        let held_until = Some(days.map(|days| now() + TimeDelta::days(days)));
        let update = UpdateAccount { held_until, ..asked(&run, status) };
        let came_to = updated(&run, update)
            .map(|(account, _)| stands(&account))
            .map_err(|refusal| (refusal.code, refusal.field.map(String::from)));
        assert_eq!(came_to, expected, "{before:?}, asked for {status:?} and {days:?} days");
    }
}
