//! `abacus distribute`: the database is spread over the machines of its cluster, with the ledger looked at before and after.

use super::Db;
use super::failure::Failure;
use super::verify::require_whole;
use crate::config::{DistributeArgs, GlobalArgs};
use crate::store::database::Database;
use crate::store::distribution::Due;
use crate::store::migrations::Migrator;
use crate::telemetry;

pub(super) async fn distribute(global: &GlobalArgs, args: &DistributeArgs) -> Result<(), Failure> {
    telemetry::start(false);
    if global.database_url.is_none() {
        return Err("the private PostgreSQL is one machine's: a cluster is named by DATABASE_URL".into());
    }
    let db = Db::open_one(global).await?;
    let server = Database::new(&db.url, 1)?;
    let migrator = Migrator::new(&server, db.owner_url.as_deref(), global.migrate_lock_wait)?;
    let due = migrator.distribution_due(args.shards).await?;
    if due.is_nothing() {
        println!(
            "nothing to do: accounts are on {} shards, on {} workers",
            due.plan.shards, due.plan.workers
        );
        return Ok(());
    }
    if args.dry_run {
        tell("would be placed", &due);
        return Ok(());
    }
    let moves = !due.plan.missing.is_empty();
    if moves {
        require_whole(global, &db, args.sandbox).await?;
    }
    tell("placed", &migrator.distribute(args.shards).await?);
    if moves {
        require_whole(global, &db, args.sandbox).await?;
    }
    Ok(())
}

fn tell(what: &str, due: &Due) {
    for line in due.lines() {
        println!("{what}: {line}");
    }
}
