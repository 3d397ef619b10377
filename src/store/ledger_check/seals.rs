//! Whether rows are what the engine wrote, by their seals.

use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use tokio::time::Instant;
use uuid::Uuid;

use super::{Look, Range, Report};
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::seal::{BrokenSeal, Sealed};
use crate::store::error::StoreError;
use crate::store::rows::{
    AnswerRow, ApprovalRow, BillRow, ClosedMonthRow, OrderRow, PaymentRow, PrepaymentRow, RecordRow,
    ReversalRow, TransactionRow,
};
use crate::store::seals::{Place, SealedRow, places, rows_between};
use crate::store::statement::Statement;

/// Checks the seals of all that the accounts of a range own.
pub(super) async fn check(look: Look<'_>, range: Range, report: &mut Report) -> Result<(), StoreError> {
    check_table::<OrderRow>(look, range, report).await?;
    check_table::<BillRow>(look, range, report).await?;
    check_table::<TransactionRow>(look, range, report).await?;
    check_table::<PaymentRow>(look, range, report).await?;
    check_table::<PrepaymentRow>(look, range, report).await?;
    check_table::<RecordRow>(look, range, report).await?;
    check_table::<AnswerRow>(look, range, report).await?;
    check_table::<ApprovalRow>(look, range, report).await?;
    check_table::<ReversalRow>(look, range, report).await?;
    check_table::<ClosedMonthRow>(look, range, report).await?;
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
    let mut after: Place = (range.first.0, R::TABLE.least.to_owned());
    loop {
        let began = Instant::now();
        let page = places(look.conn, &R::TABLE, range, &after).await?;
        let Some(upto) = page.last().cloned() else { return Ok(()) };
        if R::TABLE.is_counted {
            note_numbers(&page, report);
        }
        for found in R::read(look.conn, rows_between::<R>(&after, &upto)).await? {
            match found {
                Ok((row, _, owner, seal)) => check_one(look, owner, &row, seal.as_deref(), report),
                Err(error) => {
                    let message =
                        format!("a row of {} up to {} cannot be read: {error}", R::TABLE.name, upto.1);
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
