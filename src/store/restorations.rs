//! Restores of the database from a backup. Nothing is given out again that was given out after the backup was made, of which the
//! backup knows nothing: numbers go on where none can have been given.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use super::Conn;
use super::cells::own_row::{catalogue_leap, membership};
use super::error::StoreError;
use super::sql::statement::Statement;
use crate::domain::cell::CellNumber;
use crate::domain::ids::AccountId;
use crate::domain::restoration::Restoration;

/// From where numbers go on after a restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    pub restoration: Restoration,
    /// The place of the next deposit address.
    pub first_place: i64,
}

/// Moves every sequence of the schema ahead. Each minute since 2026 has numbers of its own beyond the first thousand million, so
/// that one backup which is restored twice does not go on twice at the same place: of accounts 82, of deposit addresses 28 a minute,
/// for 76 years.
const MOVE: &str = "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, greatest(\
     coalesce(last_value, 0) + 100000, \
     1000000000 + least((max_value - 1000000000) / 40000000, 1000) \
         * (extract(epoch FROM clock_timestamp() - timestamptz '2026-01-01T00:00:00Z') / 60)::bigint), false) \
     FROM pg_sequences WHERE schemaname = current_schema()";

/// The same in a cell that gives a share of numbers which begins later: what it has given in the first quarter of it is passed over.
const MOVE_IN_SHARES: &str = "SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, \
     CASE WHEN min_value > 1 THEN least(max_value, greatest(coalesce(last_value, min_value) + 100000, \
         min_value + (max_value - min_value) / 4 + ((max_value - min_value)::numeric / 60000000 \
         * (extract(epoch FROM clock_timestamp() - timestamptz '2026-01-01T00:00:00Z') / 60)::bigint)::bigint)) \
     ELSE greatest(coalesce(last_value, 0) + 100000, 1000000000 + least((max_value - 1000000000) / 40000000, 1000) \
         * (extract(epoch FROM clock_timestamp() - timestamptz '2026-01-01T00:00:00Z') / 60)::bigint) END, false) \
     FROM pg_sequences WHERE schemaname = current_schema()";

/// Goes on after a restore, and notes that. Done once more it moves on once more, and is noted as well.
pub async fn resume(connection: &mut AsyncPgConnection) -> Result<Resumed, StoreError> {
    connection
        .transaction(async |connection| {
            let mut conn: Conn<'_> = connection;
            let cell = membership(conn).await?.map_or(CellNumber::HOME, |membership| membership.number);
            let moving = if cell == CellNumber::HOME { MOVE } else { MOVE_IN_SHARES };
            let _moved: Vec<i64> = Statement::<BigInt>::new(moving).load(&mut conn).await?;
            let noted = Statement::<(Timestamptz, BigInt, BigInt)>::new(
                "INSERT INTO restorations (restored_at, first_account) \
                 SELECT clock_timestamp(), last_value FROM account_numbers \
                 RETURNING restored_at, first_account, (SELECT last_value FROM deposit_address_places)",
            );
            let (at, first, first_place): (DateTime<Utc>, i64, i64) = noted.get_result(&mut conn).await?;
            if cell == CellNumber::HOME {
                catalogue_leap(conn).await?;
            }
            let restoration = Restoration { at, first_account: AccountId(first) };
            Ok(Resumed { restoration, first_place })
        })
        .await
}

/// The restores that the database knows of, the last one last.
pub async fn restorations(mut conn: Conn<'_>) -> Result<Vec<Restoration>, StoreError> {
    let statement = Statement::<(Timestamptz, BigInt)>::new(
        "SELECT restored_at, first_account FROM restorations ORDER BY restored_at",
    );
    let found: Vec<(DateTime<Utc>, i64)> = statement.load(&mut conn).await?;
    let restoration = |(at, first)| Restoration { at, first_account: AccountId(first) };
    Ok(found.into_iter().map(restoration).collect())
}
