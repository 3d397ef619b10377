//! Whether rows are what the engine wrote, by their seals.

use diesel::sql_types::BigInt;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Look, Report};
use crate::domain::approval::Approval;
use crate::domain::bill::Bill;
use crate::domain::closing::ClosedMonth;
use crate::domain::idempotency::KeyRow;
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::order::Order;
use crate::domain::payment::Payment;
use crate::domain::prepay::Prepayment;
use crate::domain::record::Record;
use crate::domain::reversal::Reversal;
use crate::domain::seal::{BrokenSeal, Sealed};
use crate::domain::transaction::Transaction;
use crate::store::accounts::account_range::Range;
use crate::store::error::StoreError;
use crate::store::seals::{Place, SealedAt, SealedRow, places, read_sealed, rows_between};
use crate::store::sql::statement::Statement;

/// Checks the seals of all that the accounts of a range own.
pub(super) async fn check(look: Look<'_>, range: Range, report: &mut Report) -> Result<(), StoreError> {
    check_table::<Order>(look, range, report).await?;
    check_table::<Bill>(look, range, report).await?;
    check_table::<Transaction>(look, range, report).await?;
    check_table::<Payment>(look, range, report).await?;
    check_table::<Prepayment>(look, range, report).await?;
    check_table::<Record>(look, range, report).await?;
    check_table::<KeyRow>(look, range, report).await?;
    check_table::<Approval>(look, range, report).await?;
    check_table::<Reversal>(look, range, report).await?;
    check_table::<ClosedMonth>(look, range, report).await?;
    check_numbers(look, range, report).await
}

/// Notes what is wrong with the seal of one row.
pub(super) fn check_one<T: Sealed>(
    look: Look<'_>,
    owner: AccountId,
    row: &T,
    seal: Option<&[u8]>,
    report: &mut Report,
) {
    if row.owner() != owner {
        // Who has lost it is told, whoever has it now.
        report.fault(row.owner(), "SEAL", format!("the {} {} stands with {owner}", T::KIND, row.name()));
    }
    match look.keys.check(row, seal) {
        Ok(()) => {}
        Err(BrokenSeal::None) if !look.all_sealed => report.unsealed = report.unsealed.saturating_add(1),
        Err(BrokenSeal::OtherKey(version)) => report.other_keys.push((owner, version)),
        Err(broken) => report.fault(owner, "SEAL", format!("the {} {} {broken}", T::KIND, row.name())),
    }
}

async fn check_table<R: SealedRow>(
    look: Look<'_>,
    range: Range,
    report: &mut Report,
) -> Result<(), StoreError> {
    let mut after: Place = (range.first.0, R::SEALED.least.to_owned());
    loop {
        let began = Instant::now();
        let page = places(look.conn, &R::SEALED, range, &after).await?;
        let Some(upto) = page.last().cloned() else { return Ok(()) };
        if R::SEALED.is_counted {
            note_numbers(&page, report);
        }
        for found in read_sealed::<R>(look.conn, rows_between::<R>(&after, &upto)).await? {
            match found {
                Ok(SealedAt { row, owner, seal, .. }) => {
                    check_one(look, owner, &row, seal.as_deref(), report)
                }
                Err(error) => {
                    let message =
                        format!("a row of {} up to {} cannot be read: {error}", R::SEALED.name, upto.1);
                    report.fault(AccountId(upto.0), "UNREADABLE", message);
                }
            }
        }
        after = upto;
        look.pace.rest(began).await;
    }
}

/// Keeps the highest number that an account has given.
fn note_numbers(page: &[Place], report: &mut Report) {
    for (owner, id) in page {
        let number = Uuid::try_parse(id).map(|id| OwnedId::from_uuid(id).number()).unwrap_or_default();
        let highest = report.numbers.entry(AccountId(*owner)).or_default();
        *highest = number.max(*highest);
    }
}

/// An account has given no number above the last that it has counted. That is read now: it grows as rows do.
async fn check_numbers(look: Look<'_>, range: Range, report: &mut Report) -> Result<(), StoreError> {
    let statement = Statement::<(BigInt, BigInt)>::new("SELECT id, last_no FROM accounts WHERE id");
    let counted: Vec<(i64, i64)> = range.restrict(statement).load(&mut &*look.conn).await?;
    for (owner, last) in counted {
        let owner = AccountId(owner);
        let given = report.numbers.get(&owner).copied().unwrap_or_default();
        if given > last {
            report.fault(owner, "NUMBER", format!("the number {given} is given, and the last one is {last}"));
        }
    }
    Ok(())
}
