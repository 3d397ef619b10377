//! What is no part of the books goes after its age, and of an account whose books need not be kept any more the words go, and the
//! figures stay.

use std::sync::Arc;
use std::time::Duration;

use abacus::clock::Clock;
use abacus::domain::ids::AccountId;
use abacus::domain::retention::Retention;
use abacus::jobs::erasures::erasure_pass;
use abacus::jobs::retention::retention_pass;
use abacus::jobs::{JobContext, LeaseGuard};
use abacus::store::erasures::erasure_step;
use chrono::TimeDelta;
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;

use crate::approvals::two_people;
use crate::monthly_bills::{event, price, report};
use crate::support::TestServer;
use crate::support::life::{Life, at};

/// Removes what is over, as the jobs do.
async fn remove(life: &Life, retention: Retention) {
    let jobs = JobContext { retention, ..life.server.server.app.jobs.clone() };
    retention_pass(&jobs, &LeaseGuard::Always).await.unwrap();
}

async fn count(server: &TestServer, what: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {what}");
    server.sql().await.query_one(&query, &[]).await.unwrap().get(0)
}

// ── ages ──

#[tokio::test]
async fn keys_go_after_their_age_and_the_check_misses_none_of_them() {
    let life = Life::begin("2026-01-20T10:00:00Z", "500").await;
    let plan = life.plan("Monthly", "C", "30", "MONTH").await;
    let input = json!({ "planId": plan, "idempotencyKey": "once" });
    let bought = life.customer.mutate("checkout", "CheckoutInput", input.clone(), "order { id }").await;
    life.advance("2026-04-30T09:00:00Z").await;
    let all = count(&life.server, "idempotency_keys").await;
    remove(&life, Retention::default()).await;
    assert_eq!(count(&life.server, "idempotency_keys").await, all, "not within a hundred days");
    let again = life.customer.mutate("checkout", "CheckoutInput", input.clone(), "order { id }").await;
    assert_eq!(again["order"]["id"], bought["order"]["id"]);
    life.advance("2026-05-02T09:00:00Z").await;
    remove(&life, Retention::default()).await;
    assert_eq!(count(&life.server, "idempotency_keys").await, 0);
    life.server.assert_ledger_is_healthy().await;
    // From then on the key is as new.
    let anew = life.customer.mutate("checkout", "CheckoutInput", input, "order { id }").await;
    assert_ne!(anew["order"]["id"], bought["order"]["id"]);
    // One that goes too early is told of.
    life.server.sql().await.batch_execute("DELETE FROM idempotency_keys").await.unwrap();
    let health = life.operator.data("{ ledgerHealth { ok faults { kind } } }").await;
    assert_eq!(health["ledgerHealth"]["faults"][0]["kind"], "KEY", "{health:#}");
    let config = life.operator.data("{ serviceConfig { idempotencyKeyDays } }").await;
    assert_eq!(config["serviceConfig"]["idempotencyKeyDays"], 100);
}

#[tokio::test]
async fn the_database_itself_keeps_what_is_young() {
    // By the machine's own clock.
    let server = TestServer::start().await;
    server.account("tenant", "10").await;
    let sql = crate::support::cluster::connect_as_told(&server.database_url).await;
    for refused in [
        "SELECT forget_keys_of_pages(now() - interval '89 days', 0, 10)",
        "SELECT forget_keys_of_pages(NULL, 0, 10)",
        "SELECT forget_keys_of_pages(now() - interval '91 days', 0, 1000000)",
        "SELECT forget_keys_of_pages(now() - interval '91 days', -1, 10)",
        "SELECT forget_keys_of_pages(now() - interval '91 days', 4294967290, 10)",
        "SELECT forget_keys_of_pages(now() - interval '91 days', NULL, 10)",
        "SELECT forget_keys(now() - interval '89 days', 10)",
        "SELECT drop_usage_month((now() - interval '100 days')::date)",
        "SELECT drop_usage_month(NULL)",
        // Nothing is billed yet.
        "SELECT drop_usage_month('2020-01-01')",
    ] {
        let error = sql.batch_execute(refused).await.expect_err(refused);
        assert_eq!(error.code(), Some(&SqlState::INVALID_PARAMETER_VALUE), "{refused}: {error:?}");
    }
    sql.batch_execute("SELECT forget_keys_of_pages(now() - interval '91 days', 0, 10)").await.unwrap();
    assert_eq!(count(&server, "idempotency_keys").await, 1);
    for refused in [
        "SELECT blank_rows('orders', 1001, '{}', '{}')",
        "SELECT blank_entries(1001, '{}', '{}')",
        "SELECT erase_rest(1001, 10)",
        "SELECT give_up_namespace(1001, '')",
        "UPDATE accounts SET erased_at = now()",
        "UPDATE accounts SET erased_at = now(), status = 'CLOSED', closed_at = now() - interval '20 years'",
    ] {
        let error = sql.batch_execute(refused).await.expect_err(refused);
        assert_eq!(error.code(), Some(&SqlState::from_code("23001")), "{refused}: {error:?}");
    }
    let owner = server.sql().await;
    let production = "SET session_replication_role = replica; UPDATE installation SET kind = 'PRODUCTION'; SET session_replication_role = origin";
    owner.batch_execute(production).await.unwrap();
    let closed = "UPDATE accounts SET status = 'CLOSED', closed_at = now() - interval '20 years'";
    let error = sql.batch_execute(closed).await.expect_err(closed);
    assert_eq!(error.code(), Some(&SqlState::from_code("23001")), "{closed}: {error:?}");
    // Nor does anybody with more rights change what never changes.
    for refused in [
        "UPDATE ledger_entries SET reason = ''",
        "UPDATE ledger_entries SET amount = amount + 1",
        "DELETE FROM ledger_entries",
        "TRUNCATE invoices",
        "TRUNCATE voided_events",
    ] {
        let error = owner.batch_execute(refused).await.expect_err(refused);
        assert_eq!(error.code(), Some(&SqlState::from_code("23001")), "{refused}: {error:?}");
    }
}

#[tokio::test]
async fn a_key_that_waits_for_another_operator_or_lately_has_stays() {
    let server = TestServer::start().await;
    let account = server.account("tenant", "0").await;
    let owner: i64 = account.trim_start_matches("acc_").parse().unwrap();
    let sql = server.sql().await;
    let waits = format!(
        "INSERT INTO approvals (account_id, id, mutation, input, currency, amount, key, asked_by, asked_at, state, next_step_at)
         SELECT {owner}, ('019a0000-0000-7000-8000-00000000000' || g)::uuid, 'payOut', '{{}}', 'CNY', 1, 'k' || g, 'ann',
            now() - interval '200 days', 'PENDING', now() FROM generate_series(1, 3) g;
         UPDATE approvals SET state = 'REJECTED', decided_by = 'ben', next_step_at = NULL,
            decided_at = now() - CASE WHEN key = 'k2' THEN interval '20 days' ELSE interval '150 days' END WHERE key <> 'k1';
         INSERT INTO idempotency_keys (account_id, key, mutation, fingerprint, approval_id, created_at)
         SELECT account_id, key, mutation, '', id, asked_at FROM approvals"
    );
    sql.batch_execute(&waits).await.unwrap();
    retention_pass(&server.server.app.jobs, &LeaseGuard::Always).await.unwrap();
    let left = "SELECT string_agg(key, ',' ORDER BY key) FROM idempotency_keys";
    let left: String = sql.query_one(left, &[]).await.unwrap().get(0);
    assert_eq!(left, "k1,k2");
}

/// A life whose usage may come 400 days late, with usage in January and February.
async fn used() -> Life {
    let clock = Clock::standing_at(at("2026-01-20T10:00:00Z"));
    let server = TestServer::with(|config| {
        config.clock = clock.clone();
        config.usage_allowance.late = TimeDelta::days(400);
    })
    .await;
    let account = server.account("tenant", "500").await;
    let (operator, customer) = (server.operator(), server.customer("tenant"));
    let life = Life { server, clock, operator, customer, account };
    price(&life, None, "2026-01-01T00:00:00Z", &[("transfer_out", "0.5")]).await;
    report(&life, &[event("jan", "transfer_out", "10", "2026-01-15T05:00:00Z")]).await;
    life.advance("2026-02-20T00:00:00Z").await;
    report(&life, &[event("feb", "transfer_out", "20", "2026-02-15T05:00:00Z")]).await;
    life
}

/// Only as long as no month may be removed sooner.
fn events_kept(days: i64) -> Retention {
    Retention { usage_events: TimeDelta::days(days), ..Retention::default() }
}

const RECORDED: &str = "accepted duplicates results { id outcome message }";

async fn record(life: &Life, events: Value) -> Value {
    let input = json!({ "events": events });
    life.operator.mutate("recordUsage", "RecordUsageInput", input, RECORDED).await
}

const USAGE_OF_JANUARY: &str =
    "{ usage(resource: \"transfer_out\", granularity: MONTH, startTime: \"2026-01-01T00:00:00Z\",
    endTime: \"2026-02-01T00:00:00Z\") { quantity } }";

#[tokio::test]
async fn a_months_events_go_whole_and_none_of_it_counts_again() {
    let life = used().await;
    life.advance("2026-06-15T00:00:00Z").await;
    let before = life.customer.data(USAGE_OF_JANUARY).await;
    assert_eq!(before["usage"][0]["quantity"], "10");
    // The month's end lies 134 days back.
    remove(&life, events_kept(135)).await;
    assert_eq!(count(&life.server, "usage_events").await, 2);
    remove(&life, events_kept(130)).await;
    assert_eq!(count(&life.server, "usage_events").await, 1);
    let partitions =
        "pg_class WHERE relispartition AND relname LIKE 'usage_events_2026_01%' AND relkind = 'r'";
    assert_eq!(count(&life.server, partitions).await, 0);
    // What it came to is there as it was, and is rated as it was.
    assert_eq!(life.customer.data(USAGE_OF_JANUARY).await, before);
    let rerate = json!({ "accountId": life.account, "period": "2026-01-01", "idempotencyKey": "r" });
    let rated = life.operator.mutate("rerate", "RerateInput", rerate, "bills { id }").await;
    assert_eq!(rated["bills"], json!([]));
    // Neither the same nor another event of the month is taken; others that come with them are.
    let come = json!([
        event("jan", "transfer_out", "10", "2026-01-15T05:00:00Z"),
        event("late", "transfer_out", "1", "2026-01-16T05:00:00Z"),
        event("now", "transfer_out", "1", "2026-06-14T05:00:00Z"),
    ]);
    let recorded = record(&life, come).await;
    assert_eq!(recorded["accepted"], 1, "{recorded:#}");
    for refused in [0, 1] {
        let result = &recorded["results"][refused];
        let said = result["message"].as_str().unwrap();
        assert!(result["outcome"] == "REJECTED" && said.starts_with("time: "), "{recorded:#}");
        assert!(said.contains("kept no more"), "{said}");
    }
    assert_eq!(life.customer.data(USAGE_OF_JANUARY).await, before);
    let void = json!({ "accountId": life.account, "eventIds": ["jan", "feb"], "reason": "r", "idempotencyKey": "v" });
    let voided = life.operator.mutate("voidUsage", "VoidUsageInput", void, "voided unknown").await;
    assert_eq!((&voided["voided"], &voided["unknown"]), (&json!(1), &json!(["jan"])));
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn whoever_writes_events_is_not_waited_for() {
    let life = used().await;
    life.advance("2026-06-15T00:00:00Z").await;
    let sql = life.server.sql().await;
    sql.batch_execute("BEGIN; LOCK TABLE usage_events IN ROW EXCLUSIVE MODE").await.unwrap();
    let removing = tokio::time::timeout(Duration::from_secs(10), remove(&life, events_kept(130)));
    removing.await.expect("it gives way");
    assert_eq!(count(&life.server, "notices WHERE kind = 'RETENTION_FAILED'").await, 0);
    sql.batch_execute("COMMIT").await.unwrap();
    assert_eq!(count(&life.server, "usage_events").await, 2);
    remove(&life, events_kept(130)).await;
    assert_eq!(count(&life.server, "usage_events").await, 1);
}

async fn quote(life: &Life) -> Value {
    let input = json!({ "asset": "USD", "clusterId": "cluster-1", "chartName": "wordpress", "cpuLimit": 1500, "memLimit": 1024,
        "storageLimit": 2048, "period": 3 });
    let made = life.customer.mutate("quotePrepay", "QuotePrepayInput", input, "quote { id amount }").await;
    made["quote"].clone()
}

#[tokio::test]
async fn offers_slots_and_notices_go_after_their_ages_and_what_is_to_be_done_stays() {
    let life = Life::begin("2024-01-20T10:00:00Z", "500").await;
    quote(&life).await;
    report(&life, &[event("e", "cpu", "2", "2024-01-20T09:00:00Z")]).await;
    let owner: i64 = life.account.trim_start_matches("acc_").parse().unwrap();
    let sql = life.server.sql().await;
    // One for operators, one for the customer, one that was acknowledged late.
    let notices = format!(
        "INSERT INTO notices (account_id, id, kind, message, at, acknowledged_at)
         SELECT {owner}, ('018d269b-2bc0-7000-8000-00000000000' || g)::uuid, kind, 'of before', '2024-01-20T00:00:00Z', seen::timestamptz
         FROM (VALUES (1, 'LEDGER_FAULT', NULL), (2, 'LOW_BALANCE', NULL), (3, 'LEDGER_FAULT', '2024-12-20T00:00:00Z')) n (g, kind, seen)"
    );
    sql.batch_execute(&notices).await.unwrap();
    let old = "notices WHERE message = 'of before'";
    life.advance("2025-02-01T00:00:00Z").await;
    remove(&life, Retention::default()).await;
    assert_eq!(count(&life.server, "gauge_slots").await, 0);
    assert_eq!((count(&life.server, "prepay_quotes").await, count(&life.server, old).await), (1, 3));
    quote(&life).await;
    life.advance("2025-03-01T00:00:00Z").await;
    remove(&life, Retention::default()).await;
    assert_eq!((count(&life.server, "prepay_quotes").await, count(&life.server, old).await), (1, 2));
    life.advance("2026-02-20T00:00:00Z").await;
    remove(&life, Retention::default()).await;
    assert_eq!(count(&life.server, old).await, 1, "what nobody has acknowledged is still to be done");
}

#[tokio::test]
async fn what_cannot_be_removed_is_told_to_operators_once_and_holds_up_nothing_else() {
    let life = Life::begin("2024-01-20T10:00:00Z", "500").await;
    quote(&life).await;
    life.advance("2025-02-20T00:00:00Z").await;
    life.advance("2025-03-20T00:00:00Z").await;
    let sql = life.server.sql().await;
    sql.batch_execute("REVOKE EXECUTE ON FUNCTION forget_keys_of_pages FROM abacus").await.unwrap();
    for _ in 0..3 {
        remove(&life, Retention::default()).await;
    }
    assert_eq!(count(&life.server, "prepay_quotes").await, 0);
    assert!(count(&life.server, "idempotency_keys").await > 0);
    let query = format!("{{ account(id: \"{}\") {{ notices {{ kind message }} }} }}", life.account);
    let told = life.operator.data(&query).await["account"]["notices"].clone();
    let failed = told.as_array().unwrap().iter().filter(|notice| notice["kind"] == "RETENTION_FAILED");
    let failed: Vec<&Value> = failed.collect();
    assert_eq!(failed.len(), 1, "{told:#}");
    assert!(
        failed[0]["message"].as_str().unwrap().starts_with("idempotency keys could not be removed"),
        "{told:#}"
    );
    assert!(!life.notices().await.contains(&"RETENTION_FAILED".to_owned()));
    sql.batch_execute("GRANT EXECUTE ON FUNCTION forget_keys_of_pages TO abacus").await.unwrap();
    remove(&life, Retention::default()).await;
    assert_eq!(count(&life.server, "idempotency_keys").await, 0);
}

// ── erasure ──

/// The customer "jane-doe", who is named wherever it can be, in a database where books are kept for a year.
async fn jane() -> Life {
    let clock = Clock::standing_at(at("2024-01-20T10:00:00Z"));
    let server = TestServer::with(|config| {
        config.clock = clock.clone();
        config.engine.policies.books_kept = TimeDelta::days(365);
        two_people(config);
    })
    .await;
    let input = json!({ "namespace": "jane-doe", "name": "Jane Doe", "currency": "CNY", "externalId": "jane@example.com",
        "manager": { "name": "Jane's man", "email": "for-jane@example.com" } });
    let account = server.account_from(input, "500").await;
    let (operator, customer) = (server.operator(), server.customer("jane-doe"));
    let life = Life { server, clock, operator, customer, account };
    name_her_everywhere(&life).await;
    life
}

async fn name_her_everywhere(life: &Life) {
    price(life, None, "2024-01-01T00:00:00Z", &[("transfer_out", "0.5")]).await;
    let plan = life.plan("Monthly", "C", "30", "MONTH").await;
    life.buy(&plan, json!({ "comment": "for Jane" })).await;
    let of_her = |id: &str, resource: &str| {
        json!({ "id": format!("jane-{id}"), "namespace": "jane-doe", "resource": resource, "quantity": "10", "subject": "jane-pc",
            "time": "2024-01-20T05:00:00Z", "attributes": [{ "name": "owner", "value": "jane" }] })
    };
    report(life, &[of_her("1", "transfer_out"), of_her("2", "cpu"), of_her("3", "transfer_out")]).await;
    let void = json!({ "accountId": life.account, "eventIds": ["jane-3"], "reason": "Jane asked", "idempotencyKey": "jane-v" });
    life.operator.mutate("voidUsage", "VoidUsageInput", void, "voided").await;
    let card = json!({ "providerToken": "pm_card_visa" });
    let card =
        life.customer.mutate("addPaymentMethod", "AddPaymentMethodInput", card, "paymentMethod { id }").await;
    let card = card["paymentMethod"]["id"].clone();
    let input = json!({ "amount": "50", "paymentMethodId": card, "reason": "Jane's money", "idempotencyKey": "jane-c" });
    let charged = life.customer.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    let back = json!({ "transactionId": charged["transaction"]["id"], "amount": "5", "reason": "Jane", "idempotencyKey": "jane-b" });
    life.operator.mutate("refund", "RefundInput", back, "refund { id }").await;
    let quote = quote(life).await;
    let input = json!({ "quoteId": quote["id"], "amount": quote["amount"], "paymentMethodId": card, "idempotencyKey": "jane-p" });
    let paid = life.customer.mutate("prepay", "PrepayInput", input, "prepayment { id }").await;
    let input = json!({ "prepaymentId": paid["prepayment"]["id"], "asset": "USD", "appId": "jane-app", "clusterId": "cluster-1",
        "chartName": "wordpress", "cpuLimit": 1500, "memLimit": 1024, "storageLimit": 2048, "projectName": "Jane's blog",
        "iconUrl": "https://example.com/jane.png" });
    life.customer.mutate("bindApp", "BindAppInput", input, "prepayment { id }").await;
    let gift = json!({ "accountId": life.account, "amount": "3", "reason": "for Jane's trouble", "idempotencyKey": "jane-a" });
    life.operator.mutate("adjustBalance", "AdjustBalanceInput", gift, "transaction { id }").await;
    ask_another(life).await;
    life.advance("2024-03-05T00:00:00Z").await;
    life.update(json!({ "status": "CLOSED", "reason": "Jane has died" })).await;
    let rest = json!({ "accountId": life.account, "reference": "to Jane's heirs", "reason": "Jane has died", "idempotencyKey": "jane-o" });
    life.operator.mutate("payOut", "PayOutInput", rest, "transaction { id }").await;
}

/// One operator would give her more than he may alone, and another does not allow it.
async fn ask_another(life: &Life) {
    let input = json!({ "accountId": life.account, "amount": "5000", "reason": "for Jane", "idempotencyKey": "jane-k" });
    let ann = life.server.operator_named("ann");
    ann.payload("adjustBalance", "AdjustBalanceInput", input, "transaction { id }").await;
    let data = life.operator.data("{ approvals { nodes { id } } }").await;
    let input = json!({ "approvalId": data["approvals"]["nodes"][0]["id"], "approve": false, "reason": "Jane is no friend of mine",
        "idempotencyKey": "no" });
    let ben = life.server.operator_named("ben");
    ben.mutate("decideApproval", "DecideApprovalInput", input, "approval { state }").await;
}

async fn erase(life: &Life, more: Value) -> Value {
    let mut input = json!({ "accountId": life.account, "reason": "asked for", "idempotencyKey": "erase" });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let fields = "account { name namespace externalId manager { name } status }";
    life.operator.payload("eraseAccount", "EraseAccountInput", input, fields).await
}

fn refusal(payload: &Value) -> (&str, &str) {
    let error = &payload["userErrors"][0];
    (error["code"].as_str().unwrap_or_default(), error["path"][1].as_str().unwrap_or_default())
}

/// The tables in which somebody is named, with how many rows name her.
async fn named(server: &TestServer) -> Vec<(String, i64)> {
    let sql = server.sql().await;
    let tables = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND NOT relispartition ORDER BY 1";
    let mut found = Vec::new();
    for row in sql.query(tables, &[]).await.unwrap() {
        let table: String = row.get(0);
        let named = count(server, &format!("{table} t WHERE t::text ILIKE '%jane%'")).await;
        if named > 0 {
            found.push((table, named));
        }
    }
    found
}

/// All figures of the books, as one text.
async fn figures(server: &TestServer) -> String {
    let query = "SELECT concat_ws('|',
        (SELECT string_agg(concat_ws(' ', id, amount, status, refunded_amount), ',' ORDER BY id) FROM bills),
        (SELECT string_agg(concat_ws(' ', id, kind, amount, debit_ledger, credit_ledger, balance_after), ',' ORDER BY id) FROM transactions),
        (SELECT string_agg(concat_ws(' ', id, seq, amount, initial, \"end\", hash), ',' ORDER BY seq) FROM ledger_entries),
        (SELECT string_agg(concat_ws(' ', id, state, price, quantity, expires_at), ',' ORDER BY id) FROM orders),
        (SELECT string_agg(concat_ws(' ', id, price, lines), ',' ORDER BY id) FROM metered_records),
        (SELECT string_agg(concat_ws(' ', id, state, amount, reference), ',' ORDER BY id) FROM payments),
        (SELECT string_agg(concat_ws(' ', id, status, amount, start_time, end_time), ',' ORDER BY id) FROM prepayments),
        (SELECT string_agg(concat_ws(' ', id, number, total_usd, jsonb_path_query_array(groups, '$[*].items[*].amount')), ',' ORDER BY id) FROM invoices),
        (SELECT string_agg(concat_ws(' ', id, balance, last_no, closed_at), ',' ORDER BY id) FROM accounts))";
    server.sql().await.query_one(query, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn an_erased_account_names_nobody_and_its_figures_are_what_they_were() {
    let life = jane().await;
    assert_eq!(
        refusal(&erase(&life, json!({})).await),
        ("CONFLICT", "accountId"),
        "its books are kept for a year"
    );
    life.advance("2025-03-06T00:00:00Z").await;
    let (before, words) = (figures(&life.server).await, named(&life.server).await);
    assert!(words.len() > 15, "{words:?}");
    let tried = erase(&life, json!({ "dryRun": true })).await;
    assert_eq!(tried["account"]["name"], "(erased)", "{tried:#}");
    assert_eq!(named(&life.server).await, words);
    assert_eq!(refusal(&erase(&life, json!({ "reason": " " })).await), ("INVALID", "reason"));

    let erased = erase(&life, json!({})).await;
    let blank = json!({ "name": "(erased)", "namespace": "(erased 1001)", "externalId": null, "manager": null, "status": "CLOSED" });
    assert_eq!(erased["account"], blank, "{erased:#}");
    // Repeated it answers the same, with another key it is refused; and nothing is done for it any more.
    assert_eq!(erase(&life, json!({})).await, erased);
    assert_eq!(refusal(&erase(&life, json!({ "idempotencyKey": "again" })).await).0, "ACCOUNT_SUSPENDED");
    let open = json!({ "accountId": life.account, "status": "ACTIVE" });
    assert_eq!(
        life.operator.refusal("updateAccount", "UpdateAccountInput", open).await.0,
        "ACCOUNT_SUSPENDED"
    );
    let gift = json!({ "accountId": life.account, "amount": "1", "reason": "r", "idempotencyKey": "g" });
    assert_eq!(
        life.operator.refusal("adjustBalance", "AdjustBalanceInput", gift).await.0,
        "ACCOUNT_SUSPENDED"
    );
    let void =
        json!({ "accountId": life.account, "eventIds": ["jane-1"], "reason": "r", "idempotencyKey": "v" });
    assert_eq!(life.operator.refusal("voidUsage", "VoidUsageInput", void).await.0, "ACCOUNT_SUSPENDED");
    // Nobody takes its place.
    let taken = json!({ "namespace": "jane-doe", "name": "Another", "currency": "CNY" });
    let refused = life.operator.refusal("createAccount", "CreateAccountInput", taken).await;
    assert_eq!(refused, ("CONFLICT".to_owned(), "input.namespace".to_owned()));
    assert_eq!(life.customer.error_code("{ account { id } }").await, "UNAUTHENTICATED");

    life.server.assert_ledger_is_healthy().await;
    erasure_pass(&life.server.server.app.jobs, &LeaseGuard::Always).await.unwrap();
    assert_eq!(
        named(&life.server).await.into_iter().map(|(table, _)| table).collect::<Vec<_>>(),
        ["idempotency_keys"],
        "what goes by its age"
    );
    remove(&life, Retention::default()).await;
    assert_eq!(named(&life.server).await, []);
    assert_eq!(figures(&life.server).await, before);
    assert_eq!(count(&life.server, "erasures WHERE stage = 'DONE' AND next_step_at IS NULL").await, 1);
    life.server.assert_ledger_is_healthy().await;
    // Operators read what is left of it.
    let query = format!(
        "{{ account(id: \"{}\") {{ name orders {{ nodes {{ number bills {{ nodes {{ amount {{ amount }}
            transactions {{ description amount {{ amount }} }} lines {{ title }} }} }} }} }} }} }}",
        life.account
    );
    let left = life.operator.data(&query).await["account"]["orders"]["nodes"].clone();
    let paid = &left[0]["bills"]["nodes"][0]["transactions"][0];
    assert_eq!((&paid["description"], &paid["amount"]["amount"]), (&json!(""), &json!("30.00")), "{left:#}");
}

/// What somebody might do to books that say nothing in words any more.
#[tokio::test]
async fn the_check_finds_what_is_altered_in_books_that_were_erased() {
    let life = jane().await;
    life.advance("2025-03-06T00:00:00Z").await;
    assert!(erase(&life, json!({})).await["account"].is_object());
    erasure_pass(&life.server.server.app.jobs, &LeaseGuard::Always).await.unwrap();
    life.server.assert_ledger_is_healthy().await;
    let sql = life.server.sql().await;
    sql.batch_execute("SET session_replication_role = replica; CREATE TABLE kept_entries AS TABLE ledger_entries;
        CREATE TABLE kept_erased AS TABLE erased_entries; CREATE TABLE kept_transactions AS TABLE transactions")
        .await
        .unwrap();
    for alteration in [
        "DELETE FROM erased_entries WHERE ctid = (SELECT min(ctid) FROM erased_entries)",
        "UPDATE erased_entries SET seal = '\\x01' WHERE ctid = (SELECT min(ctid) FROM erased_entries)",
        "UPDATE ledger_entries SET reason = 'something else' WHERE seq = 2",
        "UPDATE ledger_entries SET resource_amount = 7 WHERE seq = 2",
        "UPDATE ledger_entries SET hash = sha256('x') WHERE seq = 2",
        "UPDATE transactions SET description = 'something else' WHERE ctid = (SELECT min(ctid) FROM transactions)",
    ] {
        sql.batch_execute(alteration).await.unwrap();
        let health = life.operator.data("{ ledgerHealth { ok } }").await;
        assert_eq!(health["ledgerHealth"]["ok"], false, "{alteration}");
        sql.batch_execute(
            "TRUNCATE ledger_entries, erased_entries, transactions; INSERT INTO ledger_entries SELECT * FROM kept_entries;
            INSERT INTO erased_entries SELECT * FROM kept_erased; INSERT INTO transactions SELECT * FROM kept_transactions",
        )
        .await
        .unwrap();
    }
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_was_altered_before_an_erasure_is_found_after_it() {
    let life = jane().await;
    life.advance("2025-03-06T00:00:00Z").await;
    let sql = life.server.sql().await;
    let alterations = "SET session_replication_role = replica; UPDATE orders SET quantity = 9;
        UPDATE ledger_entries SET resource_amount = 7 WHERE seq = 2";
    sql.batch_execute(alterations).await.unwrap();
    assert!(erase(&life, json!({})).await["account"].is_object());
    erasure_pass(&life.server.server.app.jobs, &LeaseGuard::Always).await.unwrap();
    let health = life.operator.data("{ ledgerHealth { faults { kind } } }").await;
    let kinds = health["ledgerHealth"]["faults"].to_string();
    assert!(kinds.contains("SEAL") && kinds.contains("HASH"), "{kinds}");
}

#[tokio::test]
async fn only_what_is_over_is_erased() {
    let life = jane().await;
    let sub_life = |status: &str| json!({ "accountId": life.account, "status": status });
    life.advance("2025-03-06T00:00:00Z").await;
    life.operator
        .mutate("updateAccount", "UpdateAccountInput", sub_life("ACTIVE"), "account { status }")
        .await;
    let refused = erase(&life, json!({})).await;
    assert_eq!(refusal(&refused), ("CONFLICT", "accountId"));
    assert_eq!(refused["userErrors"][0]["message"], "the account is not closed");
    let plan = life.plan("Unpaid", "C", "30", "MONTH").await;
    let input = json!({ "accountId": life.account, "amount": "7", "reason": "r", "idempotencyKey": "more" });
    life.operator.mutate("adjustBalance", "AdjustBalanceInput", input, "transaction { id }").await;
    life.buy(&plan, json!({ "payLater": true })).await;
    life.operator
        .mutate("updateAccount", "UpdateAccountInput", sub_life("CLOSED"), "account { status }")
        .await;
    life.advance("2026-03-20T00:00:00Z").await;
    let refused = erase(&life, json!({})).await;
    assert_eq!(refused["userErrors"][0]["message"], "7.00 CNY is left on its balance: it is paid out first");
    let rest =
        json!({ "accountId": life.account, "reference": "r", "reason": "r", "idempotencyKey": "rest" });
    life.operator.mutate("payOut", "PayOutInput", rest, "transaction { id }").await;
    for open in [
        "UPDATE bills SET status = 'OVERDUE', next_step_at = 'infinity' WHERE ctid = (SELECT min(ctid) FROM bills)",
        "INSERT INTO late_usage (account_id, day, due_at) SELECT id, '2024-01-01', 'infinity' FROM accounts",
        "UPDATE payments SET next_step_at = 'infinity' WHERE ctid = (SELECT min(ctid) FROM payments)",
        "INSERT INTO burst_owed SELECT id, 1, '{}' FROM accounts",
        "INSERT INTO reversals (account_id, provider, reference, payment_id, kind, currency, amount, status, withdrawn, reinstated, is_open,
            booked, beyond) SELECT account_id, 'sandbox', 'dp', id, 'DISPUTE', currency, 1, 'open', 0, 0, true, 0, 0 FROM payments LIMIT 1",
    ] {
        let sql = life.server.sql().await;
        sql.batch_execute(&format!("BEGIN; CREATE TABLE kept_bills AS TABLE bills; CREATE TABLE kept_payments AS TABLE payments; {open}; COMMIT")).await.unwrap();
        let refused = erase(&life, json!({ "idempotencyKey": "open" })).await;
        assert_eq!(refusal(&refused), ("CONFLICT", "accountId"), "{open}: {refused:#}");
        sql.batch_execute("SET session_replication_role = replica; TRUNCATE bills, payments; INSERT INTO bills SELECT * FROM kept_bills;
            INSERT INTO payments SELECT * FROM kept_payments; DROP TABLE kept_bills, kept_payments; TRUNCATE late_usage, burst_owed, reversals").await.unwrap();
    }
    // Customers and auditors erase nothing.
    let input = json!({ "accountId": life.account, "reason": "r", "idempotencyKey": "k" });
    for client in [&life.customer, &life.server.auditor(), &life.server.service()] {
        let (_, answer) =
            client.try_mutate("eraseAccount", "EraseAccountInput", input.clone(), "account { id }").await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{answer:#}");
    }
    assert!(erase(&life, json!({ "idempotencyKey": "at last" })).await["account"].is_object());
}

#[tokio::test]
async fn a_large_account_is_blanked_step_by_step_and_goes_on_where_it_stopped() {
    let life = jane().await;
    life.advance("2025-03-06T00:00:00Z").await;
    let owner: i64 = life.account.trim_start_matches("acc_").parse().unwrap();
    // Orders of before, more than one step takes.
    let many = "INSERT INTO orders SELECT account_id, (left(id::text, 29) || lpad(to_hex(100000 + g), 7, '0'))::uuid, number, name, type, 'ENDED',
            previous_id, plan_id, false, quantity, region, datacenter, resource_type, product_name, bill_period, currency, price, once_price,
            seq, seq_count, false, 'for Jane', created_at, delivered_at, expires_at
        FROM (SELECT * FROM orders LIMIT 1) o, generate_series(1, 1200) g";
    life.server.sql().await.batch_execute(many).await.unwrap();
    assert!(erase(&life, json!({})).await["account"].is_object());
    let database = life.server.server.app.store.home().clone();
    let named_orders = "orders WHERE comment IS NOT NULL";
    let mut left = vec![count(&life.server, named_orders).await];
    for _ in 0..3 {
        let keys = Arc::clone(database.keys());
        let step = database
            .write(move |conn| async move { erasure_step(conn, AccountId(owner), &keys).await }.boxed());
        assert!(!step.await.unwrap());
        left.push(count(&life.server, named_orders).await);
    }
    assert_eq!(left, [1201, 701, 201, 0]);
    erasure_pass(&life.server.server.app.jobs, &LeaseGuard::Always).await.unwrap();
    assert_eq!(count(&life.server, "erasures WHERE stage = 'DONE'").await, 1);
}

#[tokio::test]
async fn an_erasure_that_cannot_go_on_is_told_of_and_tried_again() {
    let life = jane().await;
    life.advance("2025-03-06T00:00:00Z").await;
    assert!(erase(&life, json!({})).await["account"].is_object());
    let sql = life.server.sql().await;
    sql.batch_execute("REVOKE EXECUTE ON FUNCTION erase_rest FROM abacus").await.unwrap();
    let jobs = &life.server.server.app.jobs;
    for _ in 0..2 {
        erasure_pass(jobs, &LeaseGuard::Always).await.unwrap();
    }
    assert_eq!(count(&life.server, "erasures WHERE stage = 'REST'").await, 1);
    assert_eq!(count(&life.server, "notices WHERE kind = 'RETENTION_FAILED'").await, 1);
    sql.batch_execute("GRANT EXECUTE ON FUNCTION erase_rest TO abacus").await.unwrap();
    life.advance("2025-03-06T07:00:00Z").await;
    erasure_pass(jobs, &LeaseGuard::Always).await.unwrap();
    assert_eq!(count(&life.server, "erasures WHERE stage = 'DONE'").await, 1);
    assert_eq!(count(&life.server, "notices").await, 0);
}
