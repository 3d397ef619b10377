//! The time zones that accounts are in: each has its own months.

use std::collections::BTreeSet;

use chrono_tz::Tz;
use diesel::sql_types::Text;

use crate::store::error::StoreError;
use crate::store::sql::statement::{Columns, Statement};
use crate::store::{Conn, execute};

/// Notes that accounts are in these zones from now on.
pub(in crate::store) async fn zones_note(
    conn: Conn<'_>,
    zones: impl Iterator<Item = Tz>,
) -> Result<(), StoreError> {
    // In their order, so that two who note the same do not wait for each other in a ring.
    let names: BTreeSet<&'static str> = zones.map(|zone| zone.name()).collect();
    let columns = Columns::new().column::<Text, _>("time_zone", names.into_iter());
    execute(conn, columns.insert_into("account_zones").sql(" ON CONFLICT DO NOTHING")).await.map(drop)
}

/// Notes the zones that accounts are found to be in: servers of before do not note them.
pub async fn zones_find(mut conn: Conn<'_>) -> Result<(), StoreError> {
    // One look into the index for each zone, however many accounts are in it.
    let statement = Statement::<Text>::new(
        "WITH RECURSIVE zones AS ((SELECT time_zone FROM accounts ORDER BY time_zone LIMIT 1) UNION ALL \
         SELECT (SELECT a.time_zone FROM accounts a WHERE a.time_zone > z.time_zone ORDER BY a.time_zone LIMIT 1) \
         FROM zones z WHERE z.time_zone IS NOT NULL) SELECT time_zone FROM zones WHERE time_zone IS NOT NULL",
    );
    let found: Vec<String> = statement.load(&mut conn).await?;
    let zones = found.into_iter().map(zone_named).collect::<Result<Vec<Tz>, _>>()?;
    zones_note(conn, zones.into_iter()).await
}

pub(in crate::store) fn zone_named(name: String) -> Result<Tz, StoreError> {
    name.parse().map_err(|_| StoreError::Corrupt(format!("time zone \"{name}\"")))
}
