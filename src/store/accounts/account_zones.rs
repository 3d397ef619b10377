//! The time zones that accounts are in: each has its own months.

use std::collections::BTreeSet;

use chrono_tz::Tz;
use diesel::sql_types::{Nullable, Text};
use diesel_async::RunQueryDsl;

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

/// Notes the zones that accounts are found to be in: servers of before do not note them, and what is noted beside an account on another
/// machine may be lost.
pub async fn zones_find(mut conn: Conn<'_>) -> Result<(), StoreError> {
    let mut zones = Vec::new();
    // One look into the index for each zone, however many accounts are in it.
    let mut last = String::new();
    loop {
        let next = Statement::<Nullable<Text>>::new("SELECT min(time_zone) FROM accounts WHERE time_zone > ")
            .text(last);
        let Some(zone) = next.get_result::<Option<String>>(&mut conn).await? else { break };
        zones.push(zone_named(zone.clone())?);
        last = zone;
    }
    zones_note(conn, zones.into_iter()).await
}

pub(in crate::store) fn zone_named(name: String) -> Result<Tz, StoreError> {
    name.parse().map_err(|_| StoreError::Corrupt(format!("time zone \"{name}\"")))
}
