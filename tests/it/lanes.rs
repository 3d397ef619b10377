//! What cannot be written for the database's own fault is unavailable and told of; what it refuses names its field; and what
//! is begun is written to its end.

use std::time::Duration;

use abacus::domain::label::{Label, LabelList};
use abacus::store::labels;
use futures_util::FutureExt;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::support::life::{Life, at};
use crate::support::process::eventually;
use crate::support::{Client, TestServer};

async fn end_other_sessions(server: &TestServer) {
    let query = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    server.sql().await.query(query, &[]).await.unwrap();
}

fn event(id: &str, quantity: &str, time: &str) -> Value {
    json!({ "id": id, "namespace": "tenant", "resource": "transfer_out", "quantity": quantity, "time": time })
}

/// The outcomes of events, each with its message, or the code of the error that there is instead.
async fn record(client: &Client, events: Value) -> Result<Vec<String>, String> {
    let input = json!({ "events": events });
    let (_, answer) =
        client.try_mutate("recordUsage", "RecordUsageInput", input, "results { outcome message }").await;
    if let Some(code) = answer["errors"][0]["extensions"]["code"].as_str() {
        return Err(code.to_owned());
    }
    let told = |result: &Value| {
        let message = result["message"].as_str().map(|message| format!(" {message}")).unwrap_or_default();
        format!("{}{message}", result["outcome"].as_str().unwrap())
    };
    Ok(answer["data"]["recordUsage"]["results"].as_array().unwrap().iter().map(told).collect())
}

async fn ready(client: &Client) -> (StatusCode, String) {
    let answer = client.request(Method::GET, "/readyz").send().await.expect("an answer");
    (answer.status(), answer.text().await.expect("a text"))
}

async fn ready_again(client: &Client) {
    eventually("ready again", 20, async || (ready(client).await.0 == StatusCode::OK).then_some(())).await;
}

/// The kinds of an account's open notices, as a viewer sees them.
async fn notices(client: &Client, account: &str) -> Vec<(String, String)> {
    let query = format!(r#"{{ account(id: "{account}") {{ notices {{ kind message }} }} }}"#);
    let data = client.data(&query).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let notices = data["account"]["notices"].as_array().unwrap();
    notices.iter().map(|notice| (text(&notice["kind"]), text(&notice["message"]))).collect()
}

async fn told_of_failing_writes(life: &Life) -> String {
    let told = eventually("a notice", 20, async || {
        let of_operator = notices(&life.operator, &life.account).await;
        of_operator.into_iter().find(|(kind, _)| kind == "WRITES_FAILING")
    })
    .await;
    assert_eq!(notices(&life.customer, &life.account).await, [], "it is the operators'");
    told.1
}

#[tokio::test]
async fn a_month_that_begins_after_the_database_was_restarted_is_counted() {
    let life = Life::begin("2026-11-15T12:00:00Z", "0").await;
    let service = life.server.service();
    let november = event("e1", "1", "2026-11-15T11:00:00Z");
    assert_eq!(record(&service, json!([november])).await.unwrap(), ["ACCEPTED"]);
    life.clock.set(at("2026-12-20T12:00:00Z"));
    end_other_sessions(&life.server).await;
    let december = event("e2", "2", "2026-12-20T11:00:00Z");
    assert_eq!(record(&service, json!([december])).await.unwrap(), ["ACCEPTED"]);
    // And a partition that is gone under a connection is made again.
    let sql = life.server.sql().await;
    sql.batch_execute("DROP TABLE usage_events_2026_12").await.unwrap();
    let later = event("e3", "2", "2026-12-20T11:30:00Z");
    assert_eq!(record(&service, json!([later, december])).await.unwrap(), ["ACCEPTED", "DUPLICATE"]);
}

#[tokio::test]
async fn usage_that_cannot_be_written_is_unavailable_and_told_of_until_it_can() {
    let life = Life::begin("2026-11-30T12:00:00Z", "0").await;
    let service = life.server.service();
    assert_eq!(ready(&service).await.0, StatusCode::OK);
    assert_eq!(
        record(&service, json!([event("n1", "1", "2026-11-15T11:00:00Z")])).await.unwrap(),
        ["ACCEPTED"]
    );
    life.clock.set(at("2026-12-10T12:00:00Z"));
    let sql = life.server.sql().await;
    // Something else has the partition's name.
    sql.batch_execute("CREATE TABLE usage_events_2026_12 ()").await.unwrap();

    let december = event("d1", "1", "2026-12-10T11:00:00Z");
    assert_eq!(record(&service, json!([december])).await, Err("UNAVAILABLE".to_owned()));
    let (status, said) = ready(&service).await;
    assert!(status == StatusCode::SERVICE_UNAVAILABLE && said.contains("usage cannot be written"), "{said}");
    let metrics = service.request(Method::GET, "/metrics").send().await.unwrap().text().await.unwrap();
    let gauge = metrics.lines().find(|line| line.starts_with(r#"abacus_lane_failing{kind="usage""#));
    assert!(gauge.is_some(), "{metrics}");
    let message = told_of_failing_writes(&life).await;
    assert!(message.contains("no partition") && message.contains("2026-12-10T12:00:00Z"), "{message}");
    // A stream says so, too, and other months' events are held up by none of it.
    let body = format!("{december}\n");
    let request = service.request(Method::POST, "/usage").header("content-type", "application/x-ndjson");
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.text().await.unwrap().contains("UNAVAILABLE"));
    assert_eq!(
        record(&service, json!([event("n2", "1", "2026-11-20T11:00:00Z")])).await.unwrap(),
        ["ACCEPTED"]
    );
    assert_eq!(ready(&service).await.0, StatusCode::SERVICE_UNAVAILABLE);

    sql.batch_execute("DROP TABLE usage_events_2026_12").await.unwrap();
    ready_again(&service).await;
    let events = "SELECT count(*) FROM usage_events";
    assert_eq!(sql.query_one(events, &[]).await.unwrap().get::<_, i64>(0), 2, "a trial leaves nothing");
    assert_eq!(record(&service, json!([december])).await.unwrap(), ["ACCEPTED"]);
    assert_eq!(record(&service, json!([december])).await.unwrap(), ["DUPLICATE"]);
    let told = notices(&life.operator, &life.account).await;
    assert_eq!(told.len(), 1, "once: {told:?}");
}

#[tokio::test]
async fn commands_that_cannot_be_written_are_unavailable_and_told_of_until_they_can() {
    let life = Life::begin("2026-11-15T12:00:00Z", "5").await;
    let sql = life.server.sql().await;
    sql.batch_execute("ALTER TABLE transactions RENAME TO elsewhere").await.unwrap();
    let recharge = json!({ "accountId": life.account, "amount": "1.00", "idempotencyKey": "k" });
    let fields = "transaction { balanceAfter }";
    let (_, answer) = life.operator.try_mutate("recharge", "RechargeInput", recharge.clone(), fields).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer:#}");
    let (status, said) = ready(&life.operator).await;
    assert!(
        status == StatusCode::SERVICE_UNAVAILABLE && said.contains("commands cannot be written"),
        "{said}"
    );

    sql.batch_execute("ALTER TABLE elsewhere RENAME TO transactions").await.unwrap();
    ready_again(&life.operator).await;
    let message = told_of_failing_writes(&life).await;
    assert!(message.contains("transactions") && message.contains("Since "), "{message}");
    life.operator.mutate("recharge", "RechargeInput", recharge, fields).await;
    let balance = life.customer.data("{ account { balance { amount } } }").await;
    assert_eq!(balance["account"]["balance"]["amount"], "6.00", "a trial leaves nothing");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn an_event_that_the_database_refuses_names_its_field_and_fails_alone() {
    let life = Life::begin("2026-11-15T12:00:00Z", "0").await;
    let service = life.server.service();
    let time = "2026-11-15T11:00:00Z";
    let of_constraints = "ALTER TABLE usage_events ADD CONSTRAINT one CHECK (quantity <> 6.66);
        ALTER TABLE usage_marks ADD CONSTRAINT other CHECK (event_id <> 'unlucky');
        ALTER TABLE usage_events ADD CONSTRAINT third CHECK (subject <> 'nobody')";
    life.server.sql().await.batch_execute(of_constraints).await.unwrap();
    let mut of_nobody = event("e4", "1", time);
    of_nobody["subject"] = json!("nobody");
    let events = json!([
        event("e1", "1", time),
        event("e2", "6.66", time),
        event("unlucky", "1", time),
        of_nobody,
        event("e5", "1", time)
    ]);
    let refused = |field: &str| format!("REJECTED {field}: the database cannot keep this value");
    let expected = [
        "ACCEPTED".to_owned(),
        refused("quantity"),
        refused("id"),
        refused("subject"),
        "ACCEPTED".to_owned(),
    ];
    assert_eq!(record(&service, events).await.unwrap(), expected);
    assert_eq!(ready(&service).await.0, StatusCode::OK, "the events' fault is not the lane's");
}

/// A text of different characters, of four bytes each: PostgreSQL cannot make it shorter.
fn incompressible(characters: u32) -> String {
    (0..characters).filter_map(|index| char::from_u32(0x20000 + index * 37 % 40_000)).collect()
}

#[tokio::test]
async fn names_that_no_index_can_hold_are_refused_with_their_field() {
    let life = Life::begin("2026-11-15T12:00:00Z", "100").await;
    let mut long = event("e1", "1", "2026-11-15T11:00:00Z");
    long["subject"] = json!(incompressible(1_000));
    let told = record(&life.server.service(), json!([long])).await.unwrap();
    assert_eq!(told, ["REJECTED subject: at most 2000 bytes in UTF-8"]);
    let mut longest = event("e2", "1", "2026-11-15T11:00:00Z");
    longest["subject"] = json!(incompressible(500));
    assert_eq!(record(&life.server.service(), json!([longest])).await.unwrap(), ["ACCEPTED"]);

    let plan = |name: String| {
        json!({ "name": name, "price": { "amount": "1.00", "currency": "CNY" }, "type": "C", "region": null,
            "resourceType": "CLOUD", "billPeriod": "MONTH", "description": "" })
    };
    let refused = life.operator.refusal("createPlan", "CreatePlanInput", plan(incompressible(1_000))).await;
    assert_eq!(refused, ("LIMIT_EXCEEDED".to_owned(), "input.name".to_owned()));
    let made =
        life.operator.mutate("createPlan", "CreatePlanInput", plan(incompressible(500)), "plan { id }").await;
    let bought = life.customer.checkout(made["plan"]["id"].as_str().unwrap(), "k").await;
    assert_eq!(bought["order"]["state"], "ACTIVE", "{bought:#}");
}

#[tokio::test]
async fn a_write_runs_to_its_end_when_its_caller_leaves_half_way() {
    let server = TestServer::start().await;
    let database = server.server.app.store.home().clone();
    let ((entered, enters), (go_on, goes_on)) = (oneshot::channel(), oneshot::channel::<()>());
    let label = |code: &str| [Label { code: code.to_owned(), zh: "一".to_owned(), en: "one".to_owned() }];
    let (first, second) = (label("first"), label("second"));
    let caller = tokio::spawn(async move {
        let written = database.write(move |conn| {
            async move {
                labels::label_insert(conn, LabelList::Datacenter, &first).await?;
                let _ = entered.send(());
                let _ = goes_on.await;
                labels::label_insert(conn, LabelList::Datacenter, &second).await
            }
            .boxed()
        });
        written.await
    });
    enters.await.expect("it has begun");
    caller.abort();
    assert!(caller.await.is_err_and(|error| error.is_cancelled()));
    go_on.send(()).expect("it goes on");
    let sql = server.sql().await;
    eventually("both", 10, async || {
        let row =
            sql.query_one("SELECT count(*) FROM code_labels WHERE list = 'DATACENTER'", &[]).await.unwrap();
        (row.get::<_, i64>(0) == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_asked_for_is_written_though_the_client_hangs_up_before_it_is() {
    let server = TestServer::start().await;
    let operator = server.operator();
    let plan = server.plan("Plan", "1.00").await;
    let mut other = server.sql().await;
    let held = other.transaction().await.unwrap();
    held.batch_execute("LOCK TABLE exchange_rates, resources, plans IN SHARE MODE").await.unwrap();
    let rate = json!({ "base": "CNY", "quote": "USD", "rate": "0.14", "source": "a bank" });
    let resource = json!({ "code": "tape", "name": "Tape", "unit": "GB", "resourceType": "CLOUD", "aggregation": "SUM" });
    for (mutation, kind, input) in [
        ("setExchangeRate", "SetExchangeRateInput", rate),
        ("defineResource", "DefineResourceInput", resource),
        ("retirePlan", "RetirePlanInput", json!({ "planId": plan })),
    ] {
        let asking = operator.try_mutate(mutation, kind, input, "__typename");
        let left = tokio::time::timeout(Duration::from_millis(300), asking).await;
        assert!(left.is_err(), "{mutation} waits for the table: {left:?}");
    }
    held.rollback().await.unwrap();
    let sql = server.sql().await;
    for written in [
        "SELECT count(*) FROM exchange_rates",
        "SELECT count(*) FROM resources WHERE code = 'tape'",
        "SELECT count(*) FROM plans WHERE retired_at IS NOT NULL",
    ] {
        eventually(written, 10, async || {
            (sql.query_one(written, &[]).await.unwrap().get::<_, i64>(0) == 1).then_some(())
        })
        .await;
    }
}
