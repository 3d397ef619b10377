//! What is done after a server ran with a wrong clock (docs/OPERATIONS.md).

use super::failure::{Failure, of_setting};
use super::keys::ledger_keys;
use super::{Db, clock};
use crate::config::{AcceptFutureArgs, GlobalArgs, TakeBackArgs, currencies};
use crate::domain::ids::AccountId;
use crate::jobs::taking_back::TakenBack;
use crate::server::{ServerConfig, take_back as take_back_at};
use crate::store::clock_check::require_right_clock;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::migrations::Migrator;
use crate::store::taking_back::{future_accept, marks_try_to_take_back};
use crate::telemetry;

pub(super) async fn take_back(global: &GlobalArgs, args: &TakeBackArgs) -> Result<(), Failure> {
    telemetry::start(false);
    let currencies = currencies(&args.currencies).map_err(of_setting("ABACUS_CURRENCIES"))?;
    let db = Db::open_one(global).await?;
    let sandbox = args.sandbox || db.private.is_some();
    let outcome = async {
        if !args.yes {
            return Ok(print_plan(global, &db, args).await?);
        }
        let config = ServerConfig {
            owner_url: db.owner_url.clone(),
            lock_wait: global.migrate_lock_wait,
            clock: clock(sandbox),
            sandbox,
            currencies,
            ledger_keys: ledger_keys(global)?,
            ..ServerConfig::new(([127, 0, 0, 1], 0).into(), db.url.clone(), Vec::new())
        };
        let (marks, months) = take_back_at(config, args.burst_since).await?;
        print_marks(&marks);
        print_months(&months)
    }
    .await;
    db.close().await;
    outcome
}

/// What would be done: it is, and is undone.
async fn print_plan(global: &GlobalArgs, db: &Db, args: &TakeBackArgs) -> Result<(), StoreError> {
    let server = Database::new(&db.url, 1)?;
    let migrator = Migrator::new(&server, db.owner_url.as_deref(), global.migrate_lock_wait)?;
    let (marks, months) = marks_try_to_take_back(migrator.owner(), args.burst_since).await?;
    print_marks(&marks);
    println!("accounts with months that were closed before they were over: {months}");
    println!("Nothing was done. Have all servers' clocks right, and then: abacus take-back --yes");
    Ok(())
}

fn print_marks(marks: &[String]) {
    for line in marks {
        println!("{line}");
    }
    if marks.is_empty() {
        println!("no mark is ahead");
    }
}

fn print_months(taken: &TakenBack) -> Result<(), Failure> {
    println!("{} months of {} accounts were taken back", taken.months, taken.accounts);
    for (account, why) in &taken.left {
        println!("{account}: {why}");
    }
    if taken.left.is_empty() {
        return Ok(());
    }
    let left = taken.left.len();
    let next = "where their last entries are still to come, abacus accept-future has them worked with; then ask again";
    Err(format!("the months of {left} accounts could not be taken back: {next}").into())
}

pub(super) async fn accept_future(global: &GlobalArgs, args: &AcceptFutureArgs) -> Result<(), Failure> {
    telemetry::start(false);
    let db = Db::open_one(global).await?;
    let outcome = async {
        let server = Database::new(&db.url, 1)?;
        let migrator = Migrator::new(&server, db.owner_url.as_deref(), global.migrate_lock_wait)?;
        migrator.migrate().await?;
        let connection = migrator.owner().dedicated_connection().await?;
        require_right_clock(&connection).await?;
        let named = (!args.all).then(|| args.accounts.iter().map(|account| account.0).collect());
        future_accept(&connection, named, args.reason.clone()).await
    }
    .await;
    db.close().await;
    let accepted = outcome?;
    for (account, until) in &accepted {
        println!("{account}: what is decided is dated {until} until then");
    }
    let is_accepted = |account: &&AccountId| accepted.iter().any(|(accepted, _)| accepted == *account);
    for account in args.accounts.iter().filter(|account| !is_accepted(account)) {
        println!("{account}: nothing of it lies ahead");
    }
    if accepted.is_empty() && args.all {
        println!("nothing lies ahead");
    }
    Ok(())
}
