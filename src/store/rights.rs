//! What the server's role may do where another owns the schema (docs/adr/0025): read, add rows, change the columns that its
//! statements change, and take away what is kept for a while only. Whoever migrates sees to it after each migration.

use std::collections::BTreeSet;
use std::fmt;

use diesel::sql_types::{Bool, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use super::Conn;
use super::database::Database;
use super::distribution::is_spread;
use super::distribution::placements::{PLACEMENTS, Placement};
use super::error::StoreError;
use super::sql::statement::Statement;

/// What may be done to a table, beside reading it.
#[derive(Debug, Clone, Copy)]
pub struct TableRights {
    pub table: &'static str,
    pub insert: bool,
    /// The columns that are changed.
    pub update: &'static [&'static str],
    pub delete: bool,
}

/// Only read.
const fn read(table: &'static str) -> TableRights {
    TableRights { table, insert: false, update: &[], delete: false }
}

/// Added to.
const fn add(table: &'static str) -> TableRights {
    TableRights { insert: true, ..read(table) }
}

impl TableRights {
    const fn changing(self, update: &'static [&'static str]) -> Self {
        Self { update, ..self }
    }

    const fn forgetting(self) -> Self {
        Self { delete: true, ..self }
    }
}

/// Every table that there is. A new one belongs here, with no more than the statements of this folder need; views are read.
pub const TABLES: &[TableRights] = &[
    // What has been posted stays posted.
    add("ledger_entries"),
    add("transactions").changing(&["status", "refunded_amount", "seal"]),
    add("accounts").changing(&[
        "name",
        "external_id",
        "status",
        "suspension",
        "time_zone",
        "manager_name",
        "manager_email",
        "credit_limit",
        "balance",
        "overdrawn",
        "purchased",
        "last_no",
        "last_entry_seq",
        "last_entry_hash",
        "last_entry_at",
        "closed_until",
        "closed_at",
        "erased_at",
        "burst_cycle",
        "burst_rate",
        "burst_warned",
        "suspended_at",
        "suspension_held_until",
        "on_demand_rate",
        "seal",
    ]),
    add("account_suspensions"),
    add("account_zones"),
    add("namespaces"),
    // What was bought, and what is owed for it.
    add("orders").changing(&[
        "state",
        "seq",
        "auto_renewal",
        "delivered_at",
        "expires_at",
        "anchor_at",
        "renewed_by",
        "next_step_at",
        "cancelled_at",
        "seal",
    ]),
    add("bills").changing(&[
        "status",
        "start_time",
        "end_time",
        "due_at",
        "last_paid_at",
        "paid_by",
        "refunded_amount",
        "credited_amount",
        "next_step_at",
        "seal",
    ]),
    add("metered_records").changing(&["seal"]),
    add("closed_months").changing(&[
        "end_time",
        "revision",
        "usage_version",
        "bill_id",
        "usage_amount",
        "amount",
        "billed_amount",
        "withheld_amount",
        "forgiven_amount",
        "unrated",
        "closed_at",
        "seal",
    ]),
    add("invoices"),
    add("invoice_counters").changing(&["last"]),
    add("open_invoices").changing(&["end_time", "due_at", "told"]).forgetting(),
    // Money from outside.
    add("payment_methods").changing(&["removed_at"]),
    add("payments").changing(&[
        "state",
        "transaction_id",
        "reference",
        "failure",
        "action_url",
        "attempts",
        "next_step_at",
        "seal",
    ]),
    add("prepay_quotes").forgetting(),
    add("prepayments").changing(&[
        "status",
        "auto_renewal",
        "deposit_again_until",
        "failure",
        "action_url",
        "app_id",
        "icon_url",
        "project_name",
        "start_time",
        "end_time",
        "payment_id",
        "transaction_id",
        "paid_at",
        "next_step_at",
        "seal",
    ]),
    add("deposit_addresses"),
    add("deposits").changing(&["is_gone", "state"]),
    add("chains").changing(&["scans", "tokens"]),
    add("chain_blocks").changing(&["hash"]).forgetting(),
    add("reversals").changing(&[
        "amount",
        "status",
        "withdrawn",
        "reinstated",
        "is_open",
        "booked",
        "beyond",
        "taken_by",
        "returned_by",
        "seal",
    ]),
    add("unmatched_payments").changing(&["status", "amount", "why", "account_id", "told"]),
    add("reconciliations").changing(&["next_at", "held_until", "own_from"]),
    // The catalogue, and what things cost.
    add("resources").changing(&["name", "resource_type", "allows_corrections"]),
    add("plans").changing(&["name", "description", "price", "once_price", "retired_at"]),
    add("plan_resources"),
    add("product_names"),
    add("code_labels"),
    add("licenses").changing(&["long_name", "burst_since", "burst_until", "burstable"]),
    add("resource_prices"),
    add("term_discounts").forgetting(),
    add("price_definitions"),
    add("price_rules").changing(&["effective_until"]),
    add("exchange_rates"),
    // Usage. The partitions are the owner's, who makes them for the server (make_usage_month).
    add("usage_marks"),
    add("usage_events").forgetting(),
    add("voided_events"),
    add("usage_hours").changing(&["quantity", "version"]).forgetting(),
    add("usage_samples").changing(&["quantity", "reported_at", "version"]).forgetting(),
    add("gauge_slots").forgetting(),
    add("late_usage").changing(&["batch", "due_at"]).forgetting(),
    add("burst_capacities"),
    add("burst_levels"),
    add("burst_owed").changing(&["beyond"]).forgetting(),
    add("burst_used").forgetting(),
    read("burst_progress").changing(&["next_cycle"]),
    // What the server keeps for itself.
    add("idempotency_keys").changing(&[
        "transaction_id",
        "payment_id",
        "prepayment_id",
        // What servers of before write.
        "price_rule_ids",
        "seal",
    ]),
    add("approvals").changing(&["state", "decided_by", "decided_at", "reason", "next_step_at", "seal"]),
    add("operator_moves").forgetting(),
    add("refused_keys").changing(&["refused_at"]).forgetting(),
    add("notices").changing(&["acknowledged_at"]).forgetting(),
    // What is blanked, and which keys and months of events are removed, is done by the owner's functions within their bounds.
    add("erasures").changing(&["stage", "after_id", "next_step_at"]),
    read("erased_entries"),
    read("given_up_namespaces"),
    read("usage_events_kept"),
    read("ledger_check_position").changing(&[
        "last_account_id",
        "checked_to",
        "round_began_at",
        "round_ended_at",
        "all_sealed_at",
    ]),
    add("ledger_checkpoints").changing(&["seq", "hash", "noted_at", "seal"]),
    add("ledger_faults").forgetting(),
    add("ledger_anchors"),
    add("ledger_anchor_pages"),
    add("ledger_anchor_heads"),
    add("seal_keys"),
    read("billing_horizon").changing(&["closed_before"]),
    add("billing_runs").changing(&["state", "done", "failed", "last_account", "finished_at"]),
    add("billing_pages").changing(&["expires_at"]).forgetting(),
    add("leases").changing(&["holder", "expires_at"]).forgetting(),
    add("sandbox_clock").changing(&["offset_micros"]),
    add("installation"),
    read("cell").changing(&["catalogue", "accounts"]),
    read("cells"),
    // Accounts are moved by who owns the schema.
    read("departures"),
    read("restorations"),
    read("accepted_futures"),
    add("currency_scales"),
    read("__diesel_schema_migrations"),
];

/// The columns of a table that the server changes.
pub fn changed_columns(table: &str) -> &'static [&'static str] {
    TABLES.iter().find(|rights| rights.table == table).map_or(&[], |rights| rights.update)
}

/// Views, read alone.
pub const VIEWS: [&str; 8] = [
    "price_rules_with_terms",
    "prepaid_consumption_records",
    "metered_consumption_records",
    "consumption_records",
    // What servers of before read.
    "told_price_rules",
    "told_prepaid_records",
    "told_metered_records",
    "told_records",
];
/// Numbers are taken, and never put back.
const SEQUENCES: [&str; 3] = ["account_numbers", "deposit_address_places", "late_usage_batches"];
const FUNCTIONS: [&str; 9] = [
    "make_usage_month(date)",
    "drop_usage_month(date)",
    "forget_keys_of_pages(timestamp with time zone,bigint,integer)",
    // What servers of before ask for.
    "forget_keys(timestamp with time zone,integer)",
    "give_up_namespace(bigint,bytea)",
    "give_up_namespace_elsewhere(bigint,bytea)",
    "blank_rows(text,bigint,uuid[],bytea[])",
    "blank_entries(bigint,uuid[],bytea[])",
    "erase_rest(bigint,integer)",
];

/// One right, as GRANT and REVOKE name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    kind: String,
    thing: String,
    /// '' for the whole of it.
    column: String,
    privilege: String,
}

impl Right {
    fn to(kind: &str, thing: &str, column: &str, privilege: &str) -> Self {
        let [kind, thing, column, privilege] = [kind, thing, column, privilege].map(str::to_owned);
        Self { kind, thing, column, privilege }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.privilege)?;
        if !self.column.is_empty() {
            write!(formatter, " ({})", quoted(&self.column))?;
        }
        // A function is named with its arguments, as PostgreSQL writes it.
        let is_function = self.kind == "FUNCTION";
        let thing = if is_function { self.thing.clone() } else { quoted(&self.thing) };
        write!(formatter, " ON {} {thing}", self.kind)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What a role is to have; on a cluster who writes to what lies whole on every node may lock it there, which is a right to the whole of
/// it. Guards refuse what is final all the same.
fn wanted(is_spread: bool) -> BTreeSet<Right> {
    let is_everywhere = |table: &'static str| PLACEMENTS.contains(&(table, Placement::Reference));
    let locked = TABLES.iter().filter(move |rights| {
        is_spread && is_everywhere(rights.table) && (rights.insert || !rights.update.is_empty())
    });
    let locked = locked.map(|rights| Right::to("TABLE", rights.table, "", "UPDATE"));
    let tables = TABLES.iter().flat_map(|rights| {
        let whole = [(true, "SELECT"), (rights.insert, "INSERT"), (rights.delete, "DELETE")];
        let whole = whole.into_iter().filter(|(is_wanted, _)| *is_wanted);
        let whole = whole.map(move |(_, privilege)| Right::to("TABLE", rights.table, "", privilege));
        let columns = rights.update.iter();
        whole.chain(columns.map(move |column| Right::to("TABLE", rights.table, column, "UPDATE")))
    });
    let views = VIEWS.iter().map(|view| Right::to("TABLE", view, "", "SELECT"));
    let sequences = SEQUENCES.iter().map(|sequence| Right::to("SEQUENCE", sequence, "", "USAGE"));
    let functions = FUNCTIONS.iter().map(|function| Right::to("FUNCTION", function, "", "EXECUTE"));
    tables.chain(views).chain(sequences).chain(functions).chain(locked).collect()
}

/// The rights in the schema that were given to a role by its name.
async fn held(mut conn: Conn<'_>, role: &str) -> Result<BTreeSet<Right>, StoreError> {
    let statement = Statement::<(Text, Text, Text, Text)>::new(
        "SELECT kind, thing, part, privilege_type FROM (\
         SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, relname::text AS thing, '' AS part, \
             relnamespace AS place, relacl AS acl FROM pg_class \
         UNION ALL SELECT 'TABLE', relname::text, attname::text, relnamespace, attacl \
             FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE NOT attisdropped \
         UNION ALL SELECT 'FUNCTION', oid::regprocedure::text, '', pronamespace, proacl FROM pg_proc) things, \
         aclexplode(acl) WHERE place = (SELECT oid FROM pg_namespace WHERE nspname = current_schema()) \
         AND grantee = (SELECT oid FROM pg_roles WHERE rolname = ",
    )
    .text(role.to_owned())
    .sql(")");
    let found: Vec<(String, String, String, String)> = statement.load(&mut conn).await?;
    let right = |(kind, thing, column, privilege)| Right { kind, thing, column, privilege };
    Ok(found.into_iter().map(right).collect())
}

/// Whether a role has the rights of a server, and no others that it was given here.
pub(super) async fn are_as_wanted(conn: Conn<'_>, role: &str) -> Result<bool, StoreError> {
    Ok(held(conn, role).await? == wanted(is_spread(conn).await?))
}

/// Gives a role the rights of a server, and takes away what others it was given here.
pub(super) async fn see_to(connection: &mut AsyncPgConnection, role: &str) -> Result<(), StoreError> {
    let (wanted, name) = (wanted(is_spread(connection).await?), quoted(role));
    connection
        .transaction(async |connection| {
            if let Some(schema) = schema_closed_to(connection, role).await? {
                let usage = format!("GRANT USAGE ON SCHEMA {} TO {name}", quoted(&schema));
                connection.batch_execute(&usage).await?;
            }
            let before = held(connection, role).await?;
            let excess = before.difference(&wanted).map(|right| format!("REVOKE {right} FROM {name}; "));
            connection.batch_execute(&excess.collect::<String>()).await?;
            // With a right to a whole table those to its columns are gone, too.
            let left = held(connection, role).await?;
            let missing = wanted.difference(&left).map(|right| format!("GRANT {right} TO {name}; "));
            Ok(connection.batch_execute(&missing.collect::<String>()).await?)
        })
        .await
}

/// The schema, if the role may not use what is in it.
async fn schema_closed_to(mut conn: Conn<'_>, role: &str) -> Result<Option<String>, StoreError> {
    let statement = Statement::<Text>::new("SELECT current_schema()::text WHERE NOT has_schema_privilege(")
        .text(role.to_owned())
        .sql(", current_schema()::text, 'USAGE')");
    let found: Vec<String> = statement.load(&mut conn).await?;
    Ok(found.into_iter().next())
}

/// The role that connects there.
pub(super) async fn role_of(database: &Database) -> Result<String, StoreError> {
    let connection = database.dedicated_connection().await?;
    let asked = Statement::<Text>::new("SELECT current_user::text");
    Ok(asked.get_result(&mut &connection).await?)
}

/// The role that connects there, if the tables are its own: it may switch off what holds it.
pub async fn role_that_owns(database: &Database) -> Result<Option<String>, StoreError> {
    let connection = database.dedicated_connection().await?;
    let asked = Statement::<(Text, Bool)>::new(
        "SELECT current_user::text, pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'ledger_entries'::regclass",
    );
    let (role, owns): (String, bool) = asked.get_result(&mut &connection).await?;
    Ok(owns.then_some(role))
}
