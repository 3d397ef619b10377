//! What somebody with the database's password, or a bad restore, might do to the ledger is found: whatever column of whatever row that
//! says what was posted is altered. What is not found stands on a list, with its reason.

use abacus::domain::command::Command;
use abacus::domain::decide::{Action, BookReversal};
use abacus::domain::ids::PaymentId;
use abacus::domain::money::CurrencyCode;
use abacus::domain::reversal::{ReversalKind, ReversalReport};
use abacus::domain::seal::SealKeys;
use abacus::engine::Priority;
use abacus::jobs::LeaseGuard;
use abacus::jobs::ledger_check::check_pass;
use abacus::store::database::Database;
use abacus::store::installation::{OtherInstallation, claim_keys};
use abacus::store::ledger_check::Pace;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::approvals::two_people;
use crate::monthly_bills::{event, price, report};
use crate::support::life::Life;
use crate::support::server::SECRET;
use crate::support::{TestServer, cluster};

/// The tables that say what was posted.
const TABLES: [&str; 12] = [
    "accounts",
    "orders",
    "bills",
    "transactions",
    "ledger_entries",
    "idempotency_keys",
    "payments",
    "prepayments",
    "reversals",
    "closed_months",
    "metered_records",
    "approvals",
];

/// Alterations that are not found, and why that is no loss.
const NOT_FOUND: &[(&str, &str, &str, &str)] = &[
    ("accounts", "manager_email", "IS NULL", "a manager without a name is none: the address is not read"),
    (
        "orders",
        "resource_code",
        "IS NULL",
        "of a subscription there is a resource, an amount and a term; one alone is not read",
    ),
    ("orders", "resource_amount", "IS NULL", "as resource_code"),
    ("orders", "term_months", "IS NULL", "as resource_code"),
    ("prepayments", "deposit_address", "IS NULL", "what a card pays has no address: it is not read"),
    ("prepayments", "deposit_again_until", "IS NULL", "as deposit_address"),
    (
        "idempotency_keys",
        "price_rule_ids",
        "IS NULL",
        "what keys made of price rules stands with account 0; an account's are not read",
    ),
];

/// One customer with everything that there is: orders of all kinds, a month with usage, cards, a prepayment, a dispute, and what
/// waited for a second operator.
async fn rich_life() -> Life {
    let life = Life::on("2026-01-20T10:00:00Z", "500", json!({}), two_people).await;
    price(&life, None, "2026-01-01T00:00:00Z", &[("transfer_out", "0.5")]).await;
    let plan = life.plan("Monthly", "C", "30", "MONTH").await;
    life.buy(&plan, json!({ "comment": "paid" })).await;
    life.buy(&plan, json!({ "instalments": 3, "autoRenewal": true })).await;
    life.buy(&plan, json!({ "payLater": true })).await;
    let hourly = life.plan("Hourly", "H", "0.1", "HOUR").await;
    life.buy(&hourly, json!({})).await;
    report(&life, &[event("e1", "transfer_out", "100", "2026-01-20T05:00:00Z")]).await;
    life.advance("2026-02-02T00:00:00Z").await;
    let card = json!({ "providerToken": "pm_card_visa" });
    let card =
        life.customer.mutate("addPaymentMethod", "AddPaymentMethodInput", card, "paymentMethod { id }").await;
    let card = card["paymentMethod"]["id"].clone();
    let input = json!({ "amount": "50", "paymentMethodId": card, "idempotencyKey": "card" });
    let fields = "transaction { id paymentMethod } ";
    let charged = life.customer.mutate("recharge", "RechargeInput", input, fields).await;
    let charge = charged["transaction"]["id"].clone();
    let give_back =
        json!({ "transactionId": charge, "amount": "5", "reason": "half", "idempotencyKey": "back" });
    life.operator.mutate("refund", "RefundInput", give_back, "refund { id }").await;
    prepay(&life, &card).await;
    dispute(&life).await;
    wait_for_another(&life).await;
    life
}

/// Of what is too much for one operator one is rejected, and two wait: one with a key, one without.
async fn wait_for_another(life: &Life) {
    let (first, second) = (life.server.operator_named("ann"), life.server.operator_named("ben"));
    let give = |key: &str| json!({ "accountId": life.account, "amount": "5000", "reason": "goodwill", "idempotencyKey": key });
    for key in ["rejected", "waiting"] {
        first.payload("adjustBalance", "AdjustBalanceInput", give(key), "transaction { id }").await;
    }
    let raise = json!({ "accountId": life.account, "creditLimit": "5000" });
    first.payload("updateAccount", "UpdateAccountInput", raise, "account { id }").await;
    let oldest = "SELECT id::text FROM approvals ORDER BY id LIMIT 1";
    let id: String = life.server.sql().await.query_one(oldest, &[]).await.unwrap().get(0);
    let id = format!("apr_{}", id.replace('-', ""));
    let reject = json!({ "approvalId": id, "approve": false, "reason": "no", "idempotencyKey": "rejection" });
    second.mutate("decideApproval", "DecideApprovalInput", reject, "approval { state }").await;
}

async fn prepay(life: &Life, card: &Value) {
    let input = json!({ "asset": "USD", "clusterId": "cluster-1", "chartName": "wordpress", "cpuLimit": 1500, "memLimit": 1024,
        "storageLimit": 2048, "period": 3 });
    let quote = life.customer.mutate("quotePrepay", "QuotePrepayInput", input, "quote { id amount }").await;
    let input = json!({ "quoteId": quote["quote"]["id"], "amount": quote["quote"]["amount"], "paymentMethodId": card,
        "idempotencyKey": "prepay" });
    let paid = life.customer.mutate("prepay", "PrepayInput", input, "prepayment { id }").await;
    let input = json!({ "prepaymentId": paid["prepayment"]["id"], "asset": "USD", "appId": "app-1", "clusterId": "cluster-1",
        "chartName": "wordpress", "cpuLimit": 1500, "memLimit": 1024, "storageLimit": 2048, "projectName": "Blog" });
    life.customer.mutate("bindApp", "BindAppInput", input, "prepayment { id }").await;
}

/// A holder of the card takes 10 of his recharge back.
async fn dispute(life: &Life) {
    let charge = "SELECT id::text FROM payments WHERE purpose = 'RECHARGE'";
    let id: String = life.server.sql().await.query_one(charge, &[]).await.unwrap().get(0);
    let payment = PaymentId::parse(&format!("pay_{}", id.replace('-', ""))).unwrap();
    let told = ReversalReport {
        payment,
        provider: "sandbox".to_owned(),
        reference: "dp_1".to_owned(),
        kind: ReversalKind::Dispute,
        currency: CurrencyCode::parse("CNY").unwrap(),
        amount: Decimal::TEN,
        status: "needs_response".to_owned(),
        withdrawn: Decimal::TEN,
        reinstated: Decimal::ZERO,
        is_open: true,
    };
    let action = Action::BookReversal(Box::new(BookReversal(told)));
    let account = payment.account();
    let command = Command { account, key: None, dry_run: false, asked_by: None, action };
    life.server.server.app.engine.submit(command, Priority::Background).await.unwrap();
}

/// The ledger in the hands of somebody who may do anything in the database.
struct Thief {
    sql: tokio_postgres::Client,
}

impl Thief {
    async fn at(server: &TestServer) -> Self {
        let sql = server.sql().await;
        sql.batch_execute("SET session_replication_role = replica; DROP INDEX ledger_entries_numbered")
            .await
            .unwrap();
        let checks = "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
            WHERE contype = 'c' AND conrelid::regclass::text = ANY($1)";
        for row in sql.query(checks, &[&TABLES.map(str::to_owned).to_vec()]).await.unwrap() {
            sql.batch_execute(row.get(0)).await.unwrap();
        }
        for table in TABLES {
            sql.batch_execute(&format!("CREATE TABLE kept_{table} AS TABLE {table}")).await.unwrap();
        }
        Self { sql }
    }

    async fn restore(&self) {
        for table in TABLES {
            let restoring = format!("TRUNCATE {table}; INSERT INTO {table} SELECT * FROM kept_{table}");
            self.sql.batch_execute(&restoring).await.unwrap();
        }
    }

    /// The columns of a table, with the types of their values.
    async fn columns(&self, table: &str) -> Vec<(String, String)> {
        let columns = "SELECT column_name::text, udt_name::text FROM information_schema.columns
            WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position";
        let rows = self.sql.query(columns, &[&table]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Gives a column of one row another value; false if there is no such row.
    async fn alter(&self, table: &str, column: &str, value: &str, which: &str) -> bool {
        // The provider's own keys are of no account's ledger.
        let owned = if table == "idempotency_keys" { "account_id > 0" } else { "true" };
        let altering = format!(
            "UPDATE {table} SET \"{column}\" = {value} \
             WHERE ctid = (SELECT min(ctid) FROM {table} WHERE \"{column}\" {which} AND {owned})"
        );
        let altered = self.sql.execute(&altering, &[]).await;
        altered.unwrap_or_else(|error| panic!("{altering}: {error:?}")) > 0
    }
}

/// Another value of a type, of a column that has one.
fn other_value(kind: &str, column: &str) -> String {
    match kind {
        "text" => format!("\"{column}\" || 'x'"),
        "numeric" | "int2" | "int4" | "int8" => format!("\"{column}\" + 1"),
        "bool" => format!("NOT \"{column}\""),
        "timestamptz" => format!("\"{column}\" + interval '10 years'"),
        "date" => format!("\"{column}\" + 31"),
        "uuid" => "gen_random_uuid()".to_owned(),
        "bytea" => "'\\x01'".to_owned(),
        "jsonb" => "'[\"x\"]'".to_owned(),
        "_int8" => "'{1}'".to_owned(),
        other => panic!("a column of the type {other} is new here"),
    }
}

/// A value for a column that has none.
fn some_value(kind: &str) -> &'static str {
    match kind {
        "text" => "'x'",
        "numeric" | "int2" | "int4" | "int8" => "1",
        "bool" => "true",
        "timestamptz" | "date" => "now()",
        "uuid" => "gen_random_uuid()",
        "bytea" => "'\\x01'",
        "jsonb" => "'[\"x\"]'",
        "_int8" => "'{1}'",
        other => panic!("a column of the type {other} is new here"),
    }
}

async fn health(life: &Life) -> Value {
    let query = "{ ledgerHealth { ok faults { kind message account { id } } } }";
    let answer = life.operator.answer(query).await;
    // A check that ends with an error has found nothing.
    if answer["errors"].is_array() {
        json!({ "ok": true, "faults": answer["errors"] })
    } else {
        answer["data"]["ledgerHealth"].clone()
    }
}

#[tokio::test]
async fn an_alteration_of_any_column_is_found() {
    let life = rich_life().await;
    assert_eq!(health(&life).await["ok"], true, "{:#}", health(&life).await);
    let thief = Thief::at(&life.server).await;
    let (mut unseen, mut empty) = (Vec::new(), Vec::new());
    for table in TABLES {
        for (column, kind) in thief.columns(table).await {
            let mut tried = false;
            for (value, which) in
                [(other_value(&kind, &column), "IS NOT NULL"), (some_value(&kind).to_owned(), "IS NULL")]
            {
                if !thief.alter(table, &column, &value, which).await {
                    continue;
                }
                tried = true;
                let here = (table, column.as_str(), which);
                let is_listed = NOT_FOUND.iter().any(|(of, name, rows, _)| (*of, *name, *rows) == here);
                if (health(&life).await["ok"] == true) != is_listed {
                    unseen.push(format!("{table}.{column} = {value}, where it {which}"));
                }
                thief.restore().await;
            }
            if !tried {
                empty.push(format!("{table}.{column}"));
            }
        }
    }
    assert_eq!(unseen, Vec::<String>::new());
    assert_eq!(empty, Vec::<String>::new(), "there is nothing to alter");
    assert_eq!(health(&life).await["ok"], true);
}

/// What rows cannot tell one by one. Each leaves seals as they are.
const ALTERATIONS: &[(&str, &str)] = &[
    ("a bill that is paid is unpaid", "UPDATE bills SET status = 'UNPAID' WHERE status = 'PAID'"),
    ("a bill that is not paid is", "UPDATE bills SET status = 'PAID' WHERE status = 'UNPAID'"),
    ("a key is gone", "DELETE FROM idempotency_keys WHERE mutation = 'checkout' AND transaction_id IS NOT NULL"),
    ("an order is gone", "DELETE FROM orders WHERE ctid = (SELECT min(ctid) FROM orders)"),
    ("a bill is gone", "DELETE FROM bills WHERE status = 'PAID'"),
    ("a payment is gone", "DELETE FROM payments WHERE purpose = 'RECHARGE'"),
    ("a refund's payment is gone", "DELETE FROM payments WHERE purpose = 'REFUND'"),
    ("a prepayment is gone", "DELETE FROM prepayments"),
    ("a dispute is gone", "DELETE FROM reversals"),
    ("a closed month is gone", "DELETE FROM closed_months"),
    ("what waits for another operator says that he is somebody else", "UPDATE approvals SET asked_by = 'eve'"),
    ("a record is gone", "DELETE FROM metered_records WHERE ctid = (SELECT min(ctid) FROM metered_records)"),
    ("a refund's transaction is gone", "DELETE FROM transactions WHERE kind = 'REFUND'"),
    (
        "a transaction is invented",
        "INSERT INTO transactions (account_id, id, kind, status, currency, amount, debit_ledger, credit_ledger, description,
         payment_method, created_at) SELECT account_id, gen_random_uuid(), 'PREPAYMENT', 'FINISHED', currency, 1000000,
         'cash:sandbox', 'revenue:prepayment', '', 'visa', created_at FROM transactions LIMIT 1",
    ),
    (
        "bills are exchanged between transactions",
        "UPDATE transactions t SET bill_id = (SELECT o.bill_id FROM transactions o WHERE o.bill_id <> t.bill_id LIMIT 1)
         WHERE bill_id IS NOT NULL",
    ),
    ("a limit is raised", "UPDATE accounts SET credit_limit = 1000000"),
    ("the count of numbers is reset", "UPDATE accounts SET last_no = 3"),
    (
        "an entry stands behind the head",
        "INSERT INTO ledger_entries SELECT account_id, gen_random_uuid(), seq + 1, time, poll_time, currency, amount, initial, \"end\",
         reason, billing_cycle, interval, resource_code, resource_amount, hash FROM ledger_entries ORDER BY seq DESC LIMIT 1",
    ),
    ("an entry's hash is cut off", "UPDATE ledger_entries SET hash = '\\x01' WHERE seq = 2"),
    ("the head's hash is cut off", "UPDATE accounts SET last_entry_hash = '\\x01'"),
    ("a status is none", "UPDATE accounts SET status = 'RICH'"),
    ("a time zone is none", "UPDATE accounts SET time_zone = 'Mars/Olympus'"),
    ("a balance is no number", "UPDATE accounts SET balance = 'NaN'"),
    ("an amount is no number", "UPDATE bills SET amount = 'NaN' WHERE ctid = (SELECT min(ctid) FROM bills)"),
    (
        "the last entry is taken back, with its transaction and its head",
        "DELETE FROM ledger_entries WHERE seq = (SELECT last_entry_seq FROM accounts);
         DELETE FROM transactions t WHERE created_at = (SELECT max(created_at) FROM transactions)
             AND NOT EXISTS (SELECT FROM ledger_entries e WHERE e.id = t.id) AND balance_after IS NOT NULL;
         UPDATE accounts SET last_entry_seq = e.seq, last_entry_hash = e.hash, last_entry_at = e.time, balance = e.\"end\"
         FROM ledger_entries e WHERE e.seq = accounts.last_entry_seq - 1",
    ),
];

#[tokio::test]
async fn what_a_thief_or_a_bad_restore_would_do_is_found() {
    let life = rich_life().await;
    let thief = Thief::at(&life.server).await;
    for (what, alteration) in ALTERATIONS {
        thief.sql.batch_execute(alteration).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let found = health(&life).await;
        assert_eq!(found["ok"], false, "{what}: {found:#}");
        let own = format!("{{ ledgerHealth(accountId: \"{}\") {{ ok }} }}", life.account);
        assert_eq!(life.operator.data(&own).await["ledgerHealth"]["ok"], false, "{what}");
        thief.restore().await;
    }
    assert_eq!(health(&life).await["ok"], true);
}

/// The jobs of a server on the same database.
fn jobs(life: &Life) -> abacus::jobs::JobContext {
    life.server.server.app.jobs.clone()
}

async fn notices(life: &Life) -> Vec<String> {
    let query = format!("{{ account(id: \"{}\") {{ notices {{ kind message }} }} }}", life.account);
    let all = life.operator.data(&query).await["account"]["notices"].clone();
    let told = all.as_array().unwrap().iter().filter(|notice| notice["kind"] == "LEDGER_FAULT");
    told.map(|notice| notice["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_whole_state_of_before_is_known_by_the_checkpoint() {
    let life = rich_life().await;
    check_pass(&jobs(&life), &LeaseGuard::Always, Pace::AT_ONCE).await.unwrap();
    let thief = Thief::at(&life.server).await;
    life.recharge("100").await;
    check_pass(&jobs(&life), &LeaseGuard::Always, Pace::AT_ONCE).await.unwrap();
    assert_eq!(health(&life).await["ok"], true);
    // All rows, and so all seals, are as they were.
    thief.restore().await;
    let found = health(&life).await;
    assert_eq!(found["faults"][0]["kind"], "CHECKPOINT", "{found:#}");
}

#[tokio::test]
async fn operators_are_told_once_of_what_the_check_by_and_by_finds() {
    let life = rich_life().await;
    let sql = life.server.sql().await;
    sql.batch_execute("UPDATE accounts SET credit_limit = 5000").await.unwrap();
    for _ in 0..3 {
        check_pass(&jobs(&life), &LeaseGuard::Always, Pace::AT_ONCE).await.unwrap();
    }
    let told = notices(&life).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("SEAL: the account"), "{told:?}");
    let customer = life.customer.data("{ account { notices { kind } } }").await;
    assert!(!customer.to_string().contains("LEDGER_FAULT"), "{customer}");
}

/// Whoever raises his limit, and has the engine write his account anew, is found all the same.
#[tokio::test]
async fn what_was_altered_stays_found_after_the_engine_has_changed_it() {
    let life = rich_life().await;
    let sql = life.server.sql().await;
    let alterations = "UPDATE accounts SET credit_limit = 5000; UPDATE orders SET expires_at = expires_at + interval '10 years' \
        WHERE comment = 'paid'; UPDATE bills SET due_at = due_at + interval '1 day' WHERE status = 'UNPAID'";
    sql.batch_execute(alterations).await.unwrap();
    life.recharge("10").await;
    life.advance("2026-03-05T00:00:00Z").await;
    let query = "{ orders(first: 100) { nodes { id payInfo { comment } } } }";
    let orders = life.customer.data(query).await["orders"]["nodes"].clone();
    let paid = orders
        .as_array()
        .unwrap()
        .iter()
        .find(|order| order["payInfo"]["comment"] == "paid")
        .unwrap()
        .clone();
    let input = json!({ "orderId": paid["id"] });
    life.customer.mutate("cancelOrder", "CancelOrderInput", input, "order { state }").await;
    let found = health(&life).await;
    let messages: Vec<&str> =
        found["faults"].as_array().unwrap().iter().map(|fault| fault["message"].as_str().unwrap()).collect();
    for kind in ["the account", "the order", "the bill"] {
        let is_told =
            |message: &&str| message.starts_with(kind) && message.ends_with("is not what was sealed");
        assert!(messages.iter().any(is_told), "{kind}: {messages:#?}");
    }
}

#[tokio::test]
async fn what_was_written_before_there_were_seals_is_sealed_once() {
    let life = rich_life().await;
    let sql = life.server.sql().await;
    for table in TABLES.iter().filter(|table| **table != "ledger_entries") {
        let unsealing = format!("SET session_replication_role = replica; UPDATE {table} SET seal = NULL");
        sql.batch_execute(&unsealing).await.unwrap();
    }
    sql.batch_execute("UPDATE ledger_check_position SET all_sealed_at = NULL").await.unwrap();
    assert_eq!(health(&life).await["ok"], true, "it is no fault yet");
    life.recharge("10").await;
    check_pass(&jobs(&life), &LeaseGuard::Always, Pace::AT_ONCE).await.unwrap();
    assert_eq!(health(&life).await["ok"], true, "{:#}", health(&life).await);
    for table in TABLES.iter().filter(|table| **table != "ledger_entries") {
        let count = format!(
            "SELECT count(*) FROM {table} WHERE seal IS NULL AND {}",
            if *table == "idempotency_keys" { "account_id > 0" } else { "true" }
        );
        let unsealed: i64 = sql.query_one(&count, &[]).await.unwrap().get(0);
        assert_eq!(unsealed, 0, "{table}");
    }
    sql.batch_execute("UPDATE orders SET seal = NULL WHERE comment = 'paid'").await.unwrap();
    let found = health(&life).await;
    assert!(found["faults"][0]["message"].as_str().unwrap().ends_with("is not sealed"), "{found:#}");
}

#[tokio::test]
async fn a_ledger_sealed_with_another_key_is_not_written_to() {
    let url = cluster::database().await;
    let start = async |written: &str| {
        let keys = SealKeys::read(written).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut config = abacus::server::ServerConfig::new(listen, url.clone(), SECRET.to_vec());
        (config.sandbox, config.run_jobs, config.ledger_keys) = (true, false, keys);
        abacus::server::Server::start(config).await.map_err(|error| error.to_string())
    };
    let (first, second) =
        ("1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "2:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    start(first).await.unwrap().stop().await;
    let other = start("1:cccccccccccccccccccccccccccccccccccccccc").await.map(drop).unwrap_err();
    assert!(other.contains("another key 1"), "{other}");
    let both = format!("{first},{second}");
    start(&both).await.unwrap().stop().await;
    let without = start(first).await.map(drop).unwrap_err();
    assert!(without.contains("key 2"), "{without}");
    // Jobs do not begin a key.
    let third = SealKeys::read(&format!("3:dddddddddddddddddddddddddddddddddddddddd,{both}")).unwrap();
    let database = Database::new(&url, 1).unwrap();
    let claimed = claim_keys(&database.connection().await.unwrap(), &third, false).await.unwrap();
    assert_eq!(claimed, Err(OtherInstallation::NewKey(3)));
}

/// A key that another server seals with already is no reason to call its rows altered.
#[tokio::test]
async fn a_server_without_a_key_that_others_seal_with_leaves_their_rows_alone() {
    let (first, second) =
        ("1:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "2:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    let url = cluster::database().await;
    let start = async |written: String| {
        TestServer::on(url.clone(), |config| config.ledger_keys = SealKeys::read(&written).unwrap()).await
    };
    let old = start(first.to_owned()).await;
    let account = old.account("tenant", "10").await;
    let new = start(format!("{second},{first}")).await;
    let recharge = |key: &str| json!({ "accountId": account, "amount": "5", "idempotencyKey": key });
    let fields = "transaction { id }";
    new.operator().mutate("recharge", "RechargeInput", recharge("a"), fields).await;
    let query = "mutation($input: RechargeInput!) { recharge(input: $input) { transaction { id } } }";
    let (_, refused) = old.operator().post(query, json!({ "input": recharge("b") })).await;
    assert_eq!(refused["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{refused:#}");
    new.operator().mutate("recharge", "RechargeInput", recharge("c"), fields).await;
    assert_eq!(new.assert_ledger_is_healthy().await, 3);
}

#[tokio::test]
async fn once_all_is_sealed_nothing_is_sealed_later() {
    let server = TestServer::start().await;
    let unsealing = "UPDATE ledger_check_position SET all_sealed_at = NULL";
    assert!(server.sql().await.batch_execute(unsealing).await.is_err());
}
