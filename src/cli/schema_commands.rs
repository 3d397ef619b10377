//! The commands of whoever looks after the database: its schema, and going on after a restore.

use super::Db;
use super::failure::Failure;
use crate::config::{GlobalArgs, MigrateArgs};
use crate::server::{CellConfig, join_cells};
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::migrations::{Migrator, Pending};
use crate::store::restorations::{self, Resumed};
use crate::telemetry;

pub(super) async fn migrate(global: &GlobalArgs, args: &MigrateArgs) -> Result<(), Failure> {
    telemetry::start(false);
    let db = Db::open(global).await?;
    let outcome = async {
        if db.cells.is_empty() {
            return migrate_one(global, args, &db.url, db.owner_url.as_deref()).await;
        }
        let mut lines = Vec::new();
        for CellConfig { name, database_url, owner_url, .. } in &db.cells {
            let of_cell = migrate_one(global, args, database_url, owner_url.as_deref()).await?;
            lines.extend(of_cell.into_iter().map(|line| format!("{name}: {line}")));
        }
        if !args.plan {
            join_cells(&db.cells).await?;
        }
        Ok(lines)
    }
    .await;
    db.close().await;
    let lines = outcome?;
    if lines.is_empty() {
        println!("the schema is current");
    }
    for line in lines {
        println!("{line}");
    }
    Ok(())
}

async fn migrate_one(
    global: &GlobalArgs,
    args: &MigrateArgs,
    url: &str,
    owner_url: Option<&str>,
) -> Result<Vec<String>, Failure> {
    let server = Database::new(url, 1)?;
    let migrator = Migrator::new(&server, owner_url, global.migrate_lock_wait)?;
    Ok(if args.plan { plan(&migrator).await? } else { migrator.migrate().await? })
}

pub(super) async fn restored(global: &GlobalArgs) -> Result<(), Failure> {
    telemetry::start(false);
    let db = Db::open_one(global).await?;
    let outcome = async {
        let server = Database::new(&db.url, 1)?;
        let migrator = Migrator::new(&server, db.owner_url.as_deref(), global.migrate_lock_wait)?;
        migrator.migrate().await?;
        let mut connection = migrator.owner().dedicated_connection().await?;
        let before = restorations::restorations(&connection).await?;
        Ok::<_, StoreError>((before, restorations::resume(&mut connection).await?))
    }
    .await;
    db.close().await;
    let (before, Resumed { restoration, first_place }) = outcome?;
    println!("restored at {}", restoration.at);
    println!(
        "accounts go on with {}, and deposit addresses with place {first_place}",
        restoration.first_account
    );
    println!(
        "tokens that were made before are good for accounts of before alone, once servers have started anew"
    );
    for earlier in before {
        println!("restored before, at {}", earlier.at);
    }
    Ok(())
}

/// A line for each migration that has not run yet.
async fn plan(migrator: &Migrator) -> Result<Vec<String>, StoreError> {
    let told = |pending: Pending| match pending.locks() {
        Some(locks) => format!("{} locks {locks}", pending.name),
        None => format!("{} does not say what it locks: see migrations/{0}/up.sql", pending.name),
    };
    Ok(migrator.pending().await?.into_iter().map(told).collect())
}
