//! The rows that accounts own, table by table: how many there are and what they come to.

use std::collections::BTreeMap;

use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;

use crate::domain::ids::AccountId;
use crate::store::Conn;
use crate::store::distribution::placements::{PLACEMENTS, Placement};
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;

/// A table with rows of accounts, and the column that says whose each is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnedTable {
    pub table: &'static str,
    pub column: &'static str,
}

/// What lies elsewhere than beside its account where accounts are on shards, and is theirs all the same.
const BESIDES: [OwnedTable; 3] = [
    OwnedTable { table: "price_rules", column: "account_id" },
    OwnedTable { table: "deposit_addresses", column: "account_id" },
    // The home cell has those of all, as its directory.
    OwnedTable { table: NAMESPACES, column: "account_id" },
];
pub(super) const NAMESPACES: &str = "namespaces";

/// Where ledgers ended by the anchors of a cell: its own, for ever.
const OF_THE_CELL: &str = "ledger_anchor_heads";

/// Every table with rows that move, those that others refer to first.
pub(super) fn owned_tables() -> impl DoubleEndedIterator<Item = OwnedTable> {
    let beside = PLACEMENTS.iter().filter_map(|(table, placement)| match placement {
        Placement::ByAccount(column) if *table != OF_THE_CELL => Some(OwnedTable { table, column }),
        _ => None,
    });
    beside.chain(BESIDES)
}

/// How many rows of each table accounts have, and what they come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Digests(BTreeMap<&'static str, (i64, String)>);

impl Digests {
    /// The first table of which others differ.
    pub fn differs_in(&self, others: &Self) -> Option<&'static str> {
        self.0.iter().find(|(table, digest)| others.0.get(*table) != Some(digest)).map(|(table, _)| *table)
    }
}

/// What accounts own in a database.
pub(super) async fn digests(mut conn: Conn<'_>, accounts: &[AccountId]) -> Result<Digests, StoreError> {
    let mut digests = Digests::default();
    for OwnedTable { table, column } in owned_tables() {
        let statement = Statement::<(BigInt, Text)>::new(format!(
            "SELECT count(*), coalesce(sum(hashtextextended(to_jsonb(t)::text, 0)::numeric), 0)::text FROM {table} t WHERE {column} = ANY("
        ));
        let statement = statement.keys::<BigInt, _>(numbers(accounts)).sql(")");
        digests.0.insert(table, statement.get_result(&mut conn).await?);
    }
    Ok(digests)
}

pub(super) fn numbers(accounts: &[AccountId]) -> Vec<i64> {
    accounts.iter().map(|account| account.0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_is_what_accounts_own_but_for_what_the_cells_anchors_say() {
        let moving: Vec<&str> = owned_tables().map(|owned| owned.table).collect();
        for table in
            ["accounts", "orders", "ledger_entries", "usage_marks", "price_rules", "deposit_addresses"]
        {
            assert_eq!(moving.iter().filter(|moved| **moved == table).count(), 1, "{table}");
        }
        for table in [OF_THE_CELL, "ledger_anchors", "leases", "cell", "departures", "plans"] {
            assert!(!moving.contains(&table), "{table}");
        }
    }
}
