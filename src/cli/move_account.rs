//! `abacus move-account`: an account is moved to another cell.

use super::Db;
use super::failure::Failure;
use crate::config::{GlobalArgs, MoveAccountArgs};
use crate::server::cells_with_owners;
use crate::store::cells::moving::{Moved, Mover, Step};
use crate::store::migrations::Migrator;
use crate::telemetry;

pub(super) async fn move_account(global: &GlobalArgs, args: &MoveAccountArgs) -> Result<(), Failure> {
    telemetry::start(false);
    if global.cells.is_none() {
        return Err("accounts are moved between the cells of an installation: name them with --cells".into());
    }
    let db = Db::open(global).await?;
    let target = db.cells.iter().find(|cell| cell.name == args.to);
    let names = || db.cells.iter().map(|cell| cell.name.as_str()).collect::<Vec<_>>().join(", ");
    let to = target.ok_or_else(|| format!("--to: there is no cell \"{}\": {}", args.to, names()))?.number;
    let (cells, owners) = cells_with_owners(&db.cells).await?;
    for (cell, owner) in cells.all().zip(&owners) {
        let migrator = Migrator::new(owner, None, global.migrate_lock_wait)?;
        if !migrator.pending().await?.is_empty() {
            return Err(format!(
                "the schema of the cell \"{}\" is not current: abacus migrate --cells",
                cell.name
            )
            .into());
        }
    }
    let moved = Mover::new(cells, owners).move_account(args.account, to, &mut told).await?;
    let (account, to) = (args.account, &args.to);
    match moved {
        Moved::Accounts(1) => println!("{account} lives in the cell \"{to}\" now"),
        Moved::Accounts(count) => {
            println!("{account} lives in the cell \"{to}\" now, {count} accounts with its SUB accounts")
        }
        Moved::TakenBack => println!("{account} stays in the cell \"{to}\""),
        Moved::Already => println!("nothing to do: {account} lives in the cell \"{to}\""),
    }
    Ok(())
}

/// Says how far it has come.
fn told(step: Step) -> bool {
    println!(
        "{}",
        match step {
            Step::Leaving => "it is written to no more",
            Step::There => "all of it is in the other cell",
            Step::Gone => "it lives there from now on",
            Step::Removed => "what was left of it is removed",
        }
    );
    true
}
