//! Each column that may hold words was looked at: it names nobody, or what it says goes when an account is erased, or sooner.

use std::collections::BTreeMap;

use crate::support::TestServer;

/// What becomes of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Blanked when its account is erased, or the row goes then.
    Erased,
    /// Its rows go by their age.
    Aged,
    /// It names no person.
    Nobody(&'static str),
}
use Fate::{Aged, Erased, Nobody};

const CODE: Fate = Nobody("a code of the server's or the provider's");
const CATALOGUE: Fate = Nobody("the provider's catalogue");
const FIGURES: Fate = Nobody("figures, codes and ids");
const OPERATOR: Fate = Nobody("who has decided it for the provider; the books of its own people");
const CHAIN: Fate = Nobody("what is on a public chain, by which a deposit counts once");

/// Of each table its columns of words.
const COLUMNS: &[(&str, &[(&str, Fate)])] = &[
    ("accepted_futures", &[("reason", OPERATOR)]),
    ("__diesel_schema_migrations", &[("version", CODE)]),
    (
        "accounts",
        &[
            ("namespace", Erased),
            ("external_id", Erased),
            ("name", Erased),
            ("kind", CODE),
            ("status", CODE),
            ("suspension", CODE),
            ("currency", CODE),
            ("time_zone", CODE),
            ("manager_name", Erased),
            ("manager_email", Erased),
        ],
    ),
    ("account_zones", &[("time_zone", CODE)]),
    (
        "approvals",
        &[
            ("mutation", CODE),
            ("input", Erased),
            ("currency", CODE),
            ("key", Erased),
            ("asked_by", OPERATOR),
            ("state", CODE),
            ("decided_by", OPERATOR),
            ("reason", Erased),
        ],
    ),
    ("billing_pages", &[("time_zone", CODE)]),
    ("billing_runs", &[("time_zone", CODE), ("state", CODE)]),
    (
        "bills",
        &[
            ("number", Nobody("made of the account's number and the day")),
            ("status", CODE),
            ("currency", CODE),
            ("datacenter", CATALOGUE),
        ],
    ),
    ("burst_capacities", &[("resource_code", CATALOGUE), ("curve", FIGURES)]),
    ("burst_levels", &[("resource_code", CATALOGUE)]),
    ("burst_owed", &[("beyond", FIGURES)]),
    ("burst_used", &[("resource_code", CATALOGUE)]),
    ("chain_blocks", &[("hash", CHAIN)]),
    ("chains", &[("tokens", CATALOGUE)]),
    ("closed_months", &[("unrated", FIGURES)]),
    ("code_labels", &[("list", CODE), ("code", CATALOGUE), ("zh", CATALOGUE), ("en", CATALOGUE)]),
    ("currency_scales", &[("code", CODE)]),
    ("departures", &[("state", CODE)]),
    ("deposit_addresses", &[("address", Nobody("the provider's own address"))]),
    (
        "deposits",
        &[
            ("block_hash", CHAIN),
            ("transaction_hash", CHAIN),
            ("asset", CODE),
            ("sender", Erased),
            ("address", Nobody("the provider's own address")),
            ("state", CODE),
        ],
    ),
    (
        "erasures",
        &[
            ("reason", Nobody("why it was erased: the API asks not to name whom it was of")),
            ("erased_by", OPERATOR),
            ("stage", CODE),
        ],
    ),
    ("exchange_rates", &[("base", CODE), ("quote", CODE), ("source", CATALOGUE)]),
    ("idempotency_keys", &[("key", Aged), ("mutation", CODE), ("created", Nobody("ids"))]),
    ("installation", &[("kind", CODE)]),
    ("invoices", &[("number", Nobody("counted")), ("customer", Erased), ("groups", Erased)]),
    ("leases", &[("name", CODE), ("holder", Nobody("a process"))]),
    ("ledger_entries", &[("currency", CODE), ("reason", Erased), ("resource_code", CATALOGUE)]),
    ("ledger_faults", &[("kind", CODE), ("message", Aged)]),
    (
        "licenses",
        &[("resource_code", CATALOGUE), ("long_name", CATALOGUE), ("type", CODE), ("user_metric", CATALOGUE)],
    ),
    (
        "metered_records",
        &[
            ("resource_type", CATALOGUE),
            ("product_name", CATALOGUE),
            ("datacenter", CATALOGUE),
            ("currency", CODE),
            ("lines", FIGURES),
        ],
    ),
    ("namespaces", &[("namespace", Erased)]),
    ("notices", &[("kind", CODE), ("message", Erased), ("subject", Erased)]),
    ("operator_moves", &[("moved_by", OPERATOR), ("currency", CODE)]),
    (
        "orders",
        &[
            ("number", Nobody("made of the account's number and the day")),
            ("name", CATALOGUE),
            ("type", CODE),
            ("state", CODE),
            ("region", CATALOGUE),
            ("datacenter", CATALOGUE),
            ("resource_type", CATALOGUE),
            ("product_name", CATALOGUE),
            ("bill_period", CODE),
            ("currency", CODE),
            ("comment", Erased),
            ("resource_code", CATALOGUE),
        ],
    ),
    (
        "payment_methods",
        &[
            ("provider", CODE),
            ("provider_token", Erased),
            ("provider_customer", Erased),
            ("brand", CODE),
            ("last4", Erased),
        ],
    ),
    (
        "payments",
        &[
            ("purpose", CODE),
            ("state", CODE),
            ("currency", CODE),
            ("description", Erased),
            ("provider", CODE),
            ("provider_token", Erased),
            ("provider_customer", Erased),
            ("brand", CODE),
            ("reference", Nobody("the provider's number of the charge, by which a dispute finds it")),
            ("failure", Erased),
            ("action_url", Erased),
        ],
    ),
    ("plan_resources", &[("resource_code", CATALOGUE)]),
    (
        "plans",
        &[
            ("name", CATALOGUE),
            ("type", CATALOGUE),
            ("region", CATALOGUE),
            ("resource_type", CATALOGUE),
            ("currency", CODE),
            ("bill_period", CODE),
            ("description", CATALOGUE),
        ],
    ),
    (
        "prepay_quotes",
        &[("currency", CODE), ("cluster_id", CATALOGUE), ("chart_name", CATALOGUE), ("steps", FIGURES)],
    ),
    (
        "prepayments",
        &[
            ("status", CODE),
            ("currency", CODE),
            ("cluster_id", CATALOGUE),
            ("chart_name", CATALOGUE),
            ("deposit_address", Nobody("the provider's own address")),
            ("failure", Erased),
            ("action_url", Erased),
            ("app_id", Erased),
            ("icon_url", Erased),
            ("project_name", Erased),
        ],
    ),
    (
        "price_definitions",
        &[
            ("kind", CODE),
            ("type", CODE),
            ("description", Nobody("the provider's words about a price, which may hold for many")),
            ("currency", CODE),
            ("terms", FIGURES),
        ],
    ),
    ("price_rules", &[("created_by", OPERATOR)]),
    ("product_names", &[("name", CATALOGUE)]),
    ("reconciliations", &[("provider", CODE)]),
    ("refused_keys", &[("key", Aged)]),
    (
        "resource_prices",
        &[
            ("resource_code", CATALOGUE),
            ("currency", CODE),
            ("unit", CATALOGUE),
            ("cluster_id", CATALOGUE),
            ("chart_name", CATALOGUE),
        ],
    ),
    (
        "resources",
        &[
            ("code", CATALOGUE),
            ("name", CATALOGUE),
            ("unit", CATALOGUE),
            ("resource_type", CATALOGUE),
            ("aggregation", CODE),
        ],
    ),
    (
        "reversals",
        &[
            ("provider", CODE),
            ("reference", Nobody("the provider's number of the dispute or refund")),
            ("kind", CODE),
            ("currency", CODE),
            ("status", CODE),
        ],
    ),
    ("term_discounts", &[("period", CATALOGUE)]),
    (
        "transactions",
        &[
            ("kind", CODE),
            ("status", CODE),
            ("currency", CODE),
            ("debit_ledger", CODE),
            ("credit_ledger", CODE),
            ("description", Erased),
            ("payment_method", Nobody("how it was paid: a brand, an asset, the balance")),
            ("region", CATALOGUE),
        ],
    ),
    (
        "unmatched_payments",
        &[
            ("provider", CODE),
            ("reference", Nobody("the provider's number of a charge")),
            ("kind", CODE),
            ("currency", CODE),
            ("status", CODE),
            ("why", Nobody("the server's own words")),
        ],
    ),
    (
        "usage_events",
        &[
            ("event_id", Aged),
            ("resource_code", CATALOGUE),
            ("subject", Aged),
            ("datacenter", Aged),
            ("attributes", Aged),
        ],
    ),
    ("usage_hours", &[("resource_code", CATALOGUE), ("subject", Erased)]),
    ("usage_marks", &[("event_id", Erased)]),
    ("usage_samples", &[("resource_code", CATALOGUE), ("subject", Erased)]),
    (
        "voided_events",
        &[
            ("event_id", Erased),
            ("resource_code", CATALOGUE),
            ("subject", Erased),
            ("datacenter", Erased),
            ("attributes", Erased),
            ("idempotency_key", Erased),
            ("reason", Erased),
            ("voided_by", Erased),
        ],
    ),
];

#[tokio::test]
async fn every_column_that_may_hold_words_was_decided_on() {
    let server = TestServer::start().await;
    let sql = server.sql().await;
    // Partitions have their table's columns.
    let columns = "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        JOIN pg_type t ON t.oid = a.atttypid WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
        AND t.typname IN ('text', 'varchar', 'bpchar', 'json', 'jsonb', '_text', '_varchar') ORDER BY 1, a.attnum";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in sql.query(columns, &[]).await.unwrap() {
        found.entry(row.get(0)).or_default().push(row.get(1));
    }
    let decided: BTreeMap<String, Vec<String>> = COLUMNS
        .iter()
        .map(|(table, columns)| {
            ((*table).to_owned(), columns.iter().map(|(column, _)| (*column).to_owned()).collect())
        })
        .collect();
    for (table, columns) in &found {
        let listed = decided.get(table).cloned().unwrap_or_default();
        let mut sorted = (columns.clone(), listed);
        sorted.0.sort();
        sorted.1.sort();
        assert_eq!(sorted.0, sorted.1, "{table}: can each name a person? (docs/RETENTION.md)");
    }
    let gone: Vec<&String> = decided.keys().filter(|table| !found.contains_key(*table)).collect();
    assert!(gone.is_empty(), "{gone:?} are no tables");
    let reasons = COLUMNS.iter().flat_map(|(_, columns)| *columns).filter_map(|(_, fate)| match fate {
        Nobody(reason) => Some(*reason),
        Erased | Aged => None,
    });
    assert!(reasons.into_iter().all(|reason| !reason.is_empty()));
}
