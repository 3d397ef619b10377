//! What is to be done so that each table lies where it belongs: decided from what lies where, without a database.

use std::collections::BTreeMap;
use std::fmt;

use super::placements::{ACCOUNTS, PLACEMENTS, Placement};

/// The versions of the extension that this was tried on, as the database names them.
pub const TRIED: [&str; 1] = ["13.2-1"];

/// Shards for each worker, unless something else is said: few, as a transaction is of one (docs/adr/0040).
const SHARDS_OF_WORKER: i64 = 2;
/// So many at most.
pub const SHARDS_MAX: u16 = 256;

/// How a table lies on the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lies {
    Sharded {
        column: String,
        beside_accounts: bool,
    },
    Everywhere,
    /// Whether the cluster has done so by itself, as something there refers to it.
    OnCoordinator {
        by_itself: bool,
    },
    Otherwise,
}

impl Lies {
    fn is_as(&self, placement: Placement) -> bool {
        match (self, placement) {
            (Self::Sharded { column, beside_accounts }, Placement::ByAccount(wanted)) => {
                column == wanted && *beside_accounts
            }
            (Self::Sharded { column, beside_accounts: false }, Placement::ByKey(wanted)) => column == wanted,
            (Self::Everywhere, Placement::Reference) => true,
            (Self::OnCoordinator { .. }, Placement::Coordinator) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Lies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sharded { column, beside_accounts: true } => {
                write!(formatter, "on the shards of accounts, by {column}")
            }
            Self::Sharded { column, .. } => write!(formatter, "on shards of its own, by {column}"),
            Self::Everywhere => formatter.write_str("whole on every node"),
            Self::OnCoordinator { .. } => formatter.write_str("on the coordinator, known to all nodes"),
            Self::Otherwise => formatter.write_str("in a way that is not known here"),
        }
    }
}

/// What is known of the cluster.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    /// None: the extension is not there.
    pub version: Option<String>,
    pub is_coordinator: bool,
    /// Whether the other nodes know the coordinator's address.
    pub coordinator_is_known: bool,
    /// Those that shards may be on.
    pub workers: i64,
    /// How many shards accounts are on; None: they are not distributed.
    pub shards: Option<i64>,
    pub tables: BTreeMap<String, Lies>,
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "the database has no extension \"citus\": its superuser makes it on each node, CREATE EXTENSION citus, with citus in \
         shared_preload_libraries, and tells the coordinator of the others (docs/SCALE.md)"
    )]
    NoExtension,
    #[error("the extension \"citus\" is of version {0}, with which this was not tried; it was with {tried}", tried = TRIED.join(", "))]
    Version(String),
    #[error(
        "this node is a worker: DATABASE_URL and ABACUS_MIGRATE_URL name the coordinator, for servers as well"
    )]
    Worker,
    #[error(
        "the workers do not know the coordinator: SELECT citus_set_coordinator_host('its address', its port)"
    )]
    UnknownCoordinator,
    #[error("there are no workers: SELECT citus_add_node('address', port) for each")]
    NoWorkers,
    #[error("--shards: accounts are on {is} shards already, and cannot be on {wanted} any more")]
    Shards { is: i64, wanted: i64 },
    #[error(
        "--shards: {wanted} are fewer than the {workers} workers, of which some would have nothing to do"
    )]
    FewShards { wanted: i64, workers: i64 },
    #[error("{table} lies {lies}, where it belongs {belongs}: somebody else has placed it so")]
    Otherwise { table: &'static str, lies: Lies, belongs: Placement },
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// How many shards accounts have, or get.
    pub shards: i64,
    pub workers: i64,
    /// The tables that are to be placed.
    pub missing: Vec<(&'static str, Placement)>,
}

impl Plan {
    /// What is missing on the cluster, with so many shards if that is said.
    pub fn of(cluster: &Cluster, wanted: Option<u16>) -> Result<Self, Refused> {
        let version = cluster.version.as_ref().ok_or(Refused::NoExtension)?;
        if !TRIED.contains(&version.as_str()) {
            return Err(Refused::Version(version.clone()));
        }
        if !cluster.is_coordinator {
            return Err(Refused::Worker);
        }
        if cluster.workers < 1 {
            return Err(Refused::NoWorkers);
        }
        if !cluster.coordinator_is_known {
            return Err(Refused::UnknownCoordinator);
        }
        let shards = shards(cluster, wanted.map(i64::from))?;
        Ok(Self { shards, workers: cluster.workers, missing: missing(cluster)? })
    }

    /// Each thing that is to be done, for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.missing.iter().map(|(table, placement)| format!("{table} {placement}")).collect();
        if self.missing.iter().any(|(table, _)| *table == ACCOUNTS) {
            lines.push(format!("accounts are on {} shards, on {} workers", self.shards, self.workers));
        }
        lines
    }
}

fn shards(cluster: &Cluster, wanted: Option<i64>) -> Result<i64, Refused> {
    let workers = cluster.workers;
    match (cluster.shards, wanted) {
        (Some(is), Some(wanted)) if is != wanted => Err(Refused::Shards { is, wanted }),
        (Some(is), _) => Ok(is),
        (None, Some(wanted)) if wanted < workers => Err(Refused::FewShards { wanted, workers }),
        (None, Some(wanted)) => Ok(wanted),
        (None, None) => Ok(workers.saturating_mul(SHARDS_OF_WORKER).min(i64::from(SHARDS_MAX))),
    }
}

fn missing(cluster: &Cluster) -> Result<Vec<(&'static str, Placement)>, Refused> {
    let mut missing = Vec::new();
    for (table, belongs) in PLACEMENTS.iter().copied() {
        match cluster.tables.get(table) {
            None if belongs == Placement::Local => {}
            None => missing.push((table, belongs)),
            // What another table's place has brought with it stays there only as long as that refers to it.
            Some(Lies::OnCoordinator { by_itself: true }) if belongs != Placement::Local => {
                missing.push((table, belongs));
            }
            Some(lies) if lies.is_as(belongs) => {}
            Some(lies) => return Err(Refused::Otherwise { table, lies: lies.clone(), belongs }),
        }
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Cluster {
        Cluster {
            version: Some(TRIED[0].to_owned()),
            is_coordinator: true,
            coordinator_is_known: true,
            workers: 2,
            ..Cluster::default()
        }
    }

    fn lies(placement: Placement) -> Option<Lies> {
        let sharded =
            |column: &str, beside_accounts| Lies::Sharded { column: column.to_owned(), beside_accounts };
        match placement {
            Placement::ByAccount(column) => Some(sharded(column, true)),
            Placement::ByKey(column) => Some(sharded(column, false)),
            Placement::Reference => Some(Lies::Everywhere),
            Placement::Coordinator => Some(Lies::OnCoordinator { by_itself: false }),
            Placement::Local => None,
        }
    }

    /// As it is once all was done.
    fn whole() -> Cluster {
        let placed =
            PLACEMENTS.iter().filter_map(|(table, belongs)| Some(((*table).to_owned(), lies(*belongs)?)));
        Cluster { shards: Some(4), tables: placed.collect(), ..empty() }
    }

    #[test]
    fn on_an_empty_cluster_all_is_placed_but_what_stays_where_it_is() {
        let plan = Plan::of(&empty(), None).unwrap();
        assert_eq!((plan.shards, plan.workers), (4, 2));
        let stay = PLACEMENTS.iter().filter(|(_, placement)| *placement == Placement::Local).count();
        assert_eq!(plan.missing.len(), PLACEMENTS.len() - stay);
        let lines = plan.lines();
        assert_eq!(lines[0], "resources whole on every node");
        assert!(lines.contains(&"orders on the shards of accounts, by account_id".to_owned()), "{lines:#?}");
        assert!(lines.contains(&"namespaces on shards of its own, by namespace".to_owned()));
        assert!(lines.contains(&"price_rules on the coordinator, known to all nodes".to_owned()));
        assert_eq!(lines.last().unwrap(), "accounts are on 4 shards, on 2 workers");
    }

    #[test]
    fn where_all_is_placed_there_is_nothing_to_do_and_where_some_is_it_goes_on() {
        assert!(Plan::of(&whole(), None).unwrap().missing.is_empty());
        assert!(Plan::of(&whole(), Some(4)).unwrap().missing.is_empty());
        let mut half = whole();
        half.tables.remove("bills");
        // It was brought along by what it refers to.
        half.tables.insert("price_rules".to_owned(), Lies::OnCoordinator { by_itself: true });
        half.tables.insert("licenses".to_owned(), Lies::OnCoordinator { by_itself: true });
        let missing = Plan::of(&half, None).unwrap().missing;
        assert_eq!(
            missing.iter().map(|(table, _)| *table).collect::<Vec<_>>(),
            ["licenses", "bills", "price_rules"]
        );
        // A later version's table is its own.
        half.tables.insert("coupons".to_owned(), Lies::Everywhere);
        assert_eq!(Plan::of(&half, None).unwrap().missing, missing);
    }

    #[test]
    fn what_cannot_be_is_refused_by_its_name() {
        let refused = |cluster: &Cluster, wanted| Plan::of(cluster, wanted).unwrap_err();
        assert_eq!(refused(&Cluster { version: None, ..empty() }, None), Refused::NoExtension);
        let other = Cluster { version: Some("12.1-1".to_owned()), ..empty() };
        let told = refused(&other, None).to_string();
        assert!(told.contains("12.1-1") && told.contains("13.2-1"), "{told}");
        assert_eq!(refused(&Cluster { is_coordinator: false, ..empty() }, None), Refused::Worker);
        assert_eq!(refused(&Cluster { workers: 0, ..empty() }, None), Refused::NoWorkers);
        let unknown = Cluster { coordinator_is_known: false, ..empty() };
        assert_eq!(refused(&unknown, None), Refused::UnknownCoordinator);
        assert_eq!(refused(&whole(), Some(8)), Refused::Shards { is: 4, wanted: 8 });
        assert_eq!(refused(&empty(), Some(1)), Refused::FewShards { wanted: 1, workers: 2 });
        for (table, lies) in [
            ("orders", Lies::Everywhere),
            ("orders", Lies::Sharded { column: "account_id".to_owned(), beside_accounts: false }),
            ("orders", Lies::Sharded { column: "id".to_owned(), beside_accounts: true }),
            ("leases", Lies::OnCoordinator { by_itself: false }),
            ("resources", Lies::Otherwise),
        ] {
            let mut placed = whole();
            placed.tables.insert(table.to_owned(), lies.clone());
            let told = refused(&placed, None);
            assert!(
                matches!(&told, Refused::Otherwise { table: named, lies: is, .. } if *named == table && *is == lies),
                "{told}"
            );
        }
    }
}
