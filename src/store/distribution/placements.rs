//! Where each table belongs on a cluster: one list, which a test holds against the migrations.

use std::fmt;

/// Where a table lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// On the shard of the account that this column names, beside all else that the account owns.
    ByAccount(&'static str),
    /// On shards of its own, by this column: what is found by something else than an account.
    ByKey(&'static str),
    /// Whole on every node: what shards look into.
    Reference,
    /// On the coordinator, and known to all nodes: what is written in one transaction with what lies on shards commits, or does not, with it.
    Coordinator,
    /// On the coordinator alone: what is written by itself, or says what is another at each call, which a cluster refuses of others.
    Local,
}

impl fmt::Display for Placement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByAccount(column) => write!(formatter, "on the shards of accounts, by {column}"),
            Self::ByKey(column) => write!(formatter, "on shards of its own, by {column}"),
            Self::Reference => formatter.write_str("whole on every node"),
            Self::Coordinator => formatter.write_str("on the coordinator, known to all nodes"),
            Self::Local => formatter.write_str("on the coordinator alone"),
        }
    }
}

/// The table whose shards those of all accounts' tables lie beside.
pub const ACCOUNTS: &str = "accounts";

use Placement::{ByAccount, ByKey, Coordinator, Local, Reference};

const OWNED: Placement = ByAccount("account_id");

/// Every table of the migrations, in the order in which they are placed: what others refer to first.
pub const PLACEMENTS: &[(&str, Placement)] = &[
    // Joined or referred to on shards.
    ("resources", Reference),
    ("plans", Reference),
    ("plan_resources", Reference),
    ("licenses", Reference),
    ("exchange_rates", Reference),
    ("product_names", Reference),
    ("currency_scales", Reference),
    ("usage_events_kept", Reference),
    // Guards on shards look into them.
    ("installation", Reference),
    ("sandbox_clock", Reference),
    ("departures", Reference),
    ("namespaces", ByKey("namespace")),
    ("given_up_namespaces", ByKey("digest")),
    ("deposit_addresses", ByKey("address")),
    (ACCOUNTS, ByAccount("id")),
    ("account_suspensions", OWNED),
    ("orders", OWNED),
    ("bills", OWNED),
    ("transactions", OWNED),
    ("ledger_entries", OWNED),
    ("idempotency_keys", OWNED),
    ("refused_keys", OWNED),
    ("notices", OWNED),
    ("approvals", OWNED),
    ("operator_moves", OWNED),
    ("metered_records", OWNED),
    ("closed_months", OWNED),
    ("late_usage", OWNED),
    ("usage_marks", OWNED),
    ("usage_events", OWNED),
    ("usage_hours", OWNED),
    ("usage_samples", OWNED),
    ("voided_events", OWNED),
    ("burst_owed", OWNED),
    ("prepay_quotes", OWNED),
    ("payment_methods", OWNED),
    ("payments", OWNED),
    ("prepayments", OWNED),
    ("reversals", OWNED),
    ("deposits", OWNED),
    ("invoices", OWNED),
    ("open_invoices", OWNED),
    ("ledger_checkpoints", OWNED),
    ("ledger_faults", OWNED),
    ("ledger_anchor_heads", OWNED),
    ("erasures", OWNED),
    ("erased_entries", OWNED),
    ("accepted_futures", OWNED),
    // Written beside keys, invoices, deposits, usage and heads.
    ("price_definitions", Coordinator),
    ("price_rules", Coordinator),
    ("resource_prices", Coordinator),
    ("burst_capacities", Coordinator),
    ("burst_levels", Coordinator),
    ("invoice_counters", Coordinator),
    ("chains", Coordinator),
    ("chain_blocks", Coordinator),
    ("gauge_slots", Coordinator),
    ("ledger_anchors", Coordinator),
    ("ledger_anchor_pages", Coordinator),
    // A zone that is not noted with its account is found within the hour (jobs/billing/plan.rs).
    ("account_zones", Local),
    ("leases", Local),
    ("ledger_check_position", Local),
    ("billing_horizon", Local),
    ("billing_runs", Local),
    ("billing_pages", Local),
    ("burst_progress", Local),
    ("burst_used", Local),
    ("code_labels", Local),
    ("term_discounts", Local),
    ("unmatched_payments", Local),
    ("reconciliations", Local),
    ("seal_keys", Local),
    ("cell", Local),
    ("cells", Local),
    ("restorations", Local),
    ("__diesel_schema_migrations", Local),
];

/// What a table gives up before it is placed; what it guarantees nobody needs there.
pub(super) const GIVEN_UP: &[(&str, &str)] = &[
    // A trigger that writes elsewhere cannot run on a shard; the server keeps names itself.
    ("resources", "DROP TRIGGER IF EXISTS resources_keep_names ON resources"),
    ("plans", "DROP TRIGGER IF EXISTS plans_keep_names ON plans"),
    // Unique by how they are counted.
    ("invoices", "ALTER TABLE invoices DROP CONSTRAINT invoices_number_key"),
    ("invoices", "ALTER TABLE invoices ADD CONSTRAINT invoices_number_key UNIQUE (account_id, number)"),
    // Places are drawn from a sequence.
    ("deposit_addresses", "ALTER TABLE deposit_addresses DROP CONSTRAINT deposit_addresses_pkey"),
    ("deposit_addresses", "ALTER TABLE deposit_addresses DROP CONSTRAINT deposit_addresses_address_key"),
    (
        "deposit_addresses",
        "ALTER TABLE deposit_addresses ADD CONSTRAINT deposit_addresses_pkey PRIMARY KEY (address)",
    ),
    ("deposit_addresses", "CREATE INDEX deposit_addresses_places ON deposit_addresses (place)"),
];

/// Functions that guards and indexes on shards ask for, beside their own.
pub(super) const FUNCTIONS: [&str; 7] = [
    "is_erased(bigint)",
    "require_erased(bigint)",
    "abacus_now()",
    "without_words(jsonb)",
    "moved_lately(uuid)",
    "owned_number(uuid)",
    "has_gone(bigint)",
];

/// What sessions on the workers set for themselves, as the servers' own do: the coordinator does not pass it on (docs/adr/0004). A
/// statement's time is the coordinator's to keep.
pub const WORKER_SETTINGS: [(&str, &str); 6] = [
    ("lock_timeout", "5s"),
    ("random_page_cost", "1.1"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_table_has_one_place_and_what_is_given_up_is_a_placed_tables() {
        let names: BTreeSet<&str> = PLACEMENTS.iter().map(|(table, _)| *table).collect();
        assert_eq!(names.len(), PLACEMENTS.len());
        for (table, _) in GIVEN_UP {
            assert!(names.contains(table), "{table}");
        }
    }

    #[test]
    fn what_accounts_own_is_placed_after_accounts_and_what_it_refers_to_before() {
        let at = |table: &str| PLACEMENTS.iter().position(|(name, _)| *name == table).unwrap();
        for (table, placement) in PLACEMENTS {
            if *placement == OWNED {
                assert!(at(table) > at(ACCOUNTS), "{table}");
            }
        }
        assert!(at("prepay_quotes") > at("exchange_rates") && at("price_rules") > at("price_definitions"));
    }
}
