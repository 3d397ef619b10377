//! One batch as one transaction: lock, load, decide, write, commit.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use diesel_async::AsyncPgConnection;
use futures_util::try_join;

use super::ahead::{Ahead, dated_ahead};
use super::batch_store::{AccountLocks, BatchStore};
use super::books::{Ground, when};
use super::load::load;
use super::stale::{Asked, Patience, Stale};
use super::trial::die_at;
use crate::clock::Clock;
use crate::domain::account::Account;
use crate::domain::book::{Book, Catalogue};
use crate::domain::command::Command;
use crate::domain::decide::{Action, decide};
use crate::domain::outcome::Done;
use crate::domain::refusal::Refusal;
use crate::store::error::StoreError;
use crate::store::{Conn, accepted_futures, accounts};

/// What a batch did with one of its commands.
pub(super) enum Verdict {
    Done(Done),
    Refused(Refusal),
    /// Another transaction holds the account; to be tried again.
    LockedElsewhere,
    /// It is not carried out any more: its caller may have been told so meanwhile.
    TooLate,
    /// The account's last entry is dated so, by a machine whose clock was wrong: it is not followed there.
    AheadOfTime(DateTime<Utc>),
}

/// Runs the commands in their order, but those that are stale by then. When it fails nothing has been done, unless `commit`
/// says that the commit was sent.
pub(super) async fn run<S: BatchStore>(
    store: &S,
    conn: &S::Connection,
    clock: &Clock,
    asked: (&[Asked<'_>], Patience),
    commit: &AtomicBool,
) -> Result<Vec<Verdict>, StoreError> {
    match decide_all(store, conn, clock, asked).await {
        Ok(verdicts) => {
            asked.0.iter().for_each(|asked| die_before_the_commit(&asked.command.action));
            commit.store(true, Ordering::Relaxed);
            store.commit(conn).await?;
            Ok(verdicts)
        }
        Err(error) => Err(store.roll_back(conn, error).await),
    }
}

/// Begins, locks, loads, decides and writes.
async fn decide_all<S: BatchStore>(
    store: &S,
    conn: &S::Connection,
    clock: &Clock,
    (batch, patience): (&[Asked<'_>], Patience),
) -> Result<Vec<Verdict>, StoreError> {
    let commands: Vec<&Command> = batch.iter().map(|asked| asked.command).collect();
    let commands = commands.as_slice();
    // A statement of its own: what is read before the lock is held may be stale.
    let AccountLocks { accounts, others, at: locked_at } =
        store.begin(conn, account_numbers(commands)).await?;
    let now = clock.now();
    let mut stale = Stale::of(batch, patience);
    let in_question = stale.keys_in_question();
    if let Some(locked_at) = locked_at.filter(|_| !in_question.is_empty()) {
        stale.note_refused(&store.refused_keys(conn, in_question).await?, locked_at);
    }
    let to_come = dated_ahead(&accounts, clock, now);
    let numbers = to_come.iter().map(|(account, _)| account.0).collect();
    let accepted = when(!to_come.is_empty(), store.accepted_until(conn, numbers)).await?;
    let ahead = Ahead::of(to_come, accepted);
    let (mut books, catalogue) = store.load(conn, accounts, now, commands).await?;
    let mut refused = BTreeSet::new();
    let decided = |(index, command): (usize, &&Command)| {
        let Some(book) = books.get_mut(&command.account) else { return Verdict::LockedElsewhere };
        // What its key holds is answered all the same.
        if stale.holds(index) && !is_answered(book, command) {
            return Verdict::TooLate;
        }
        let verdict = decide_in(book, &catalogue, command, (&ahead, now));
        if matches!(verdict, Verdict::Refused(_)) {
            refused.extend(command.kept_key());
        }
        verdict
    };
    let verdicts: Vec<Verdict> = commands.iter().enumerate().map(decided).collect();
    try_join!(
        store.write(conn, books, now, others),
        when(!refused.is_empty(), store.note_refused(conn, refused)),
    )?;
    Ok(verdicts)
}

/// Decides what would become of a command, on what is read at one instant without any lock.
pub(super) async fn try_out(
    connection: &mut AsyncPgConnection,
    ground: &Ground,
    clock: &Clock,
    (asked, patience): (Asked<'_>, Patience),
) -> Result<Verdict, StoreError> {
    let command = asked.command;
    connection
        .build_transaction()
        .repeatable_read()
        .read_only()
        .run(async |connection: &mut AsyncPgConnection| {
            let conn: Conn<'_> = connection;
            let account = accounts::account_as_is(conn, command.account).await?;
            let now = clock.now();
            let accounts: Vec<Account> = account.into_iter().collect();
            let to_come = dated_ahead(&accounts, clock, now);
            let numbers = to_come.iter().map(|(account, _)| account.0).collect();
            let accepted = when(!to_come.is_empty(), accepted_futures::accepted_until(conn, numbers)).await?;
            let ahead = Ahead::of(to_come, accepted);
            let (mut books, catalogue) = load(conn, accounts, ground, now, &[command]).await?;
            let Some(book) = books.get_mut(&command.account) else { return Ok(Verdict::LockedElsewhere) };
            if asked.arrived.elapsed() > patience.waiting_max && !is_answered(book, command) {
                return Ok(Verdict::TooLate);
            }
            Ok(decide_in(book, &catalogue, command, (&ahead, now)))
        })
        .await
}

fn die_before_the_commit(action: &Action) {
    match action {
        Action::SettlePayment(_) => die_at("payment-before-the-commit"),
        Action::BookReversal(_) => die_at("reversal-before-the-commit"),
        Action::CountDeposits(_) => die_at("deposit-before-the-commit"),
        Action::DecideApproval(_) => die_at("approval-before-the-commit"),
        _ => {}
    }
}

fn account_numbers(commands: &[&Command]) -> Vec<i64> {
    let mut numbers: Vec<i64> = commands.iter().map(|command| command.account.0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn decide_in(
    book: &mut Book,
    catalogue: &Catalogue,
    command: &Command,
    (ahead, now): (&Ahead, DateTime<Utc>),
) -> Verdict {
    if let Some(last) = ahead.holding_up(command)
        && !is_answered(book, command)
    {
        return Verdict::AheadOfTime(last);
    }
    match decide(book, catalogue, command, now) {
        Ok(decision) => {
            if let Some(change) = decision.change.filter(|_| !command.dry_run) {
                book.apply(change);
            }
            Verdict::Done(decision.done)
        }
        Err(refusal) => Verdict::Refused(refusal),
    }
}

/// Whether its key holds the answer of an earlier time.
fn is_answered(book: &Book, command: &Command) -> bool {
    command.key.as_ref().is_some_and(|key| book.answers.contains_key(key))
}
