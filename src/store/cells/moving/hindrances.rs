//! Whether an account can be moved now, or something of it would be done in neither cell, or in both.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use diesel::sql_types::{BigInt, Text};

use super::not_moved::{Hindrance, NotMoved};
use super::rows::numbers;
use crate::domain::closing::Month;
use crate::domain::ids::AccountId;
use crate::store::Conn;
use crate::store::accounts::account_zones::zone_named;
use crate::store::billing_runs;
use crate::store::cells::Cells;
use crate::store::cells::catalogue::copy_anew;
use crate::store::cells::own_row::catalogue_version;
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;

/// Whether anything is in the way.
pub(super) async fn look(
    cells: &Cells,
    from: Conn<'_>,
    to: Conn<'_>,
    family: &[AccountId],
) -> Result<(), NotMoved> {
    catalogue(cells, to).await?;
    if let Some(erased) = being_erased(from, family).await? {
        return Err(Hindrance::BeingErased(erased).into());
    }
    months(from, to, family).await
}

/// The cell that it goes to has all that it is charged by: prices of accounts of the home cell come with the catalogue.
pub(super) async fn catalogue(cells: &Cells, to: Conn<'_>) -> Result<(), NotMoved> {
    copy_anew(cells).await?;
    let home = catalogue_version(&*cells.home().database.connection().await?).await?;
    if catalogue_version(to).await? < home { Err(Hindrance::CatalogueBehind.into()) } else { Ok(()) }
}

async fn being_erased(mut conn: Conn<'_>, family: &[AccountId]) -> Result<Option<AccountId>, StoreError> {
    let statement = Statement::<BigInt>::new(
        "SELECT account_id FROM erasures WHERE next_step_at IS NOT NULL AND account_id = ANY(",
    );
    let found: Vec<i64> = statement.keys::<BigInt, _>(numbers(family)).sql(")").load(&mut conn).await?;
    Ok(found.into_iter().next().map(AccountId))
}

/// Each month is closed in one of the two: none is under way, and what the new cell has closed the old one has closed, too.
pub(super) async fn months(from: Conn<'_>, to: Conn<'_>, family: &[AccountId]) -> Result<(), NotMoved> {
    let mut conn = from;
    let statement = Statement::<Text>::new("SELECT DISTINCT time_zone FROM accounts WHERE id = ANY(");
    let zones: Vec<String> =
        statement.keys::<BigInt, _>(numbers(family)).sql(") ORDER BY 1").load(&mut conn).await?;
    for zone in zones {
        let zone = zone_named(zone)?;
        let (here, there) = (next_month(from, zone).await?, next_month(to, zone).await?);
        if here.is_running || there.is_running {
            return Err(Hindrance::MonthBeingClosed(zone).into());
        }
        if there.begins > here.begins {
            return Err(Hindrance::MonthBehind(zone).into());
        }
    }
    Ok(())
}

struct NextMonth {
    is_running: bool,
    /// None: no account there has a month yet.
    begins: Option<DateTime<Utc>>,
}

/// The next month of a zone that no run was begun for.
async fn next_month(conn: Conn<'_>, zone: Tz) -> Result<NextMonth, StoreError> {
    let runs = billing_runs::zones(conn).await?.into_iter().find(|runs| runs.time_zone == zone);
    let is_running = runs.is_some_and(|runs| runs.is_running);
    let begins = match runs.and_then(|runs| runs.until) {
        Some(until) => Some(until),
        None => match billing_runs::first_account_of(conn, zone).await? {
            Some(first) => {
                let month = Month::of(first, zone).map_err(|error| StoreError::Corrupt(error.to_string()))?;
                Some(month.start)
            }
            None => None,
        },
    };
    Ok(NextMonth { is_running, begins })
}
