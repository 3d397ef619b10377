//! Usage: every event counts once, in the hour and month that it belongs to, whatever way it comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use abacus::clock::wall;
use abacus::domain::viewer::Role;
use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::life::{Life, at};
use crate::support::load::Dice;
use crate::support::process::{command, eventually, signal};
use crate::support::sequences::in_full;
use crate::support::server::{SECRET, token};
use crate::support::{Client, TestServer};

const NDJSON: &str = "application/x-ndjson";

/// What is answered of an event: its outcome, and why it was rejected.
fn told(result: &Value) -> String {
    let outcome = result["outcome"].as_str().unwrap();
    match result["message"].as_str() {
        Some(message) => format!("{outcome} {message}"),
        None => outcome.to_owned(),
    }
}

async fn record(client: &Client, events: Value) -> Vec<String> {
    let fields = "results { id outcome message } accepted duplicates rejected";
    let recorded =
        client.mutate("recordUsage", "RecordUsageInput", json!({ "events": events }), fields).await;
    let results = recorded["results"].as_array().unwrap();
    let ids: Vec<_> = results.iter().map(|result| &result["id"]).collect();
    assert_eq!(ids, events.as_array().unwrap().iter().map(|event| &event["id"]).collect::<Vec<_>>());
    for (count, outcome) in [("accepted", "ACCEPTED"), ("duplicates", "DUPLICATE"), ("rejected", "REJECTED")]
    {
        let of_outcome = results.iter().filter(|result| result["outcome"] == outcome).count();
        assert_eq!(recorded[count], json!(of_outcome), "{count}");
    }
    results.iter().map(told).collect()
}

/// Sends a body to /usage: the status, and the answer's lines or its one value.
async fn post(
    client: &Client,
    content_type: &str,
    body: impl Into<reqwest::Body>,
) -> (StatusCode, Vec<Value>) {
    let request = client.request(Method::POST, "/usage").header("content-type", content_type).body(body);
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let text = answer.text().await.expect("a text");
    (status, text.lines().map(|line| serde_json::from_str(line).expect(line)).collect())
}

/// The points of a series that are not zero.
async fn series(
    client: &Client,
    resource: &str,
    window: (&str, &str),
    granularity: &str,
) -> Vec<(String, String)> {
    let (from, to) = window;
    let query = format!(
        r#"{{ usage(resource: "{resource}", startTime: "{from}", endTime: "{to}", granularity: {granularity}) {{ time quantity }} }}"#
    );
    let data = client.data(&query).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let points = data["usage"].as_array().unwrap().iter();
    points
        .filter(|point| point["quantity"] != "0")
        .map(|point| (text(&point["time"]), text(&point["quantity"])))
        .collect()
}

fn point(time: &str, quantity: &str) -> (String, String) {
    (time.to_owned(), quantity.to_owned())
}

#[tokio::test]
async fn an_event_counts_once_and_another_under_its_id_is_rejected() {
    let life = Life::begin("2026-03-10T12:00:00Z", "0").await;
    let service = life.server.service();
    let event = json!({ "id": "e1", "namespace": "tenant", "resource": "transfer_out", "quantity": "1.50",
        "time": "2026-03-10T11:30:00Z", "subject": "bucket" });
    let changed = |field: &str, value: Value| {
        let mut event = event.clone();
        event[field] = value;
        event
    };
    let taken = "REJECTED id: another event has this id";
    let other = changed("id", json!("e2"));
    assert_eq!(record(&service, json!([event, event, other])).await, ["ACCEPTED", "DUPLICATE", "ACCEPTED"]);
    let by_id = {
        let mut event = changed("quantity", json!("1.5"));
        event.as_object_mut().unwrap().remove("namespace");
        event["accountId"] = json!(life.account);
        event
    };
    assert_eq!(record(&service, json!([by_id])).await, ["DUPLICATE"], "the same, written otherwise");
    for (field, value) in [
        ("quantity", json!("1.51")),
        ("time", json!("2026-03-10T11:30:01Z")),
        ("subject", json!("another")),
        ("datacenter", json!("BA")),
        ("resource", json!("api_get")),
        ("attributes", json!([{ "name": "smp", "value": "4" }])),
    ] {
        assert_eq!(record(&service, json!([changed(field, value)])).await, [taken], "{field}");
    }
    let mixed = json!([changed("id", json!("e3")), { "id": "e3", "namespace": "tenant", "resource": "transfer_out",
        "quantity": 2, "time": "2026-03-10T11:30:00Z" }, other]);
    assert_eq!(record(&service, mixed).await, ["ACCEPTED", taken, "DUPLICATE"]);
    // The id is the account's own: another account's event may have it, too.
    life.server.account("other", "0").await;
    assert_eq!(record(&life.operator, json!([changed("namespace", json!("other"))])).await, ["ACCEPTED"]);

    let day = ("2026-03-10T00:00:00Z", "2026-03-11T00:00:00Z");
    assert_eq!(series(&life.customer, "transfer_out", day, "DAY").await, [point(day.0, "4.5")]);
    assert_eq!(
        series(&life.customer, "transfer_out", day, "HOUR").await,
        [point("2026-03-10T11:00:00Z", "4.5")]
    );
    let of_other = life.server.customer("other");
    assert_eq!(series(&of_other, "transfer_out", day, "DAY").await, [point(day.0, "1.5")]);
    let kept = "SELECT count(*), sum(quantity)::text FROM usage_events";
    let row = life.server.sql().await.query_one(kept, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, String>(1)), (4, "6.00".to_owned()));
}

#[tokio::test]
async fn an_event_that_cannot_count_says_why_and_costs_the_others_nothing() {
    let life = Life::begin("2026-03-10T12:00:00Z", "0").await;
    let closed = life.server.account("closed", "0").await;
    let close = json!({ "accountId": closed, "status": "CLOSED" });
    life.operator.mutate("updateAccount", "UpdateAccountInput", close, "account { status }").await;
    let define = json!({ "code": "credit", "name": "Credit", "unit": "GB", "resourceType": "CLOUD", "aggregation": "SUM",
        "allowsCorrections": true });
    life.operator
        .mutate("defineResource", "DefineResourceInput", define, "resource { allowsCorrections }")
        .await;
    let event = json!({ "id": "e", "namespace": "tenant", "resource": "transfer_out", "quantity": "1",
        "time": "2026-03-10T11:30:00Z" });
    let attribute = |name: &str| json!({ "name": name, "value": "1" });
    let wrong = [
        (json!({ "namespace": "nobody" }), "namespace: there is no such account"),
        (json!({ "namespace": "a\0b" }), "namespace: there is no such account"),
        (json!({ "namespace": "closed" }), "namespace: the account is closed"),
        (json!({ "namespace": null }), "accountId: is needed, or a namespace"),
        (json!({ "namespace": null, "accountId": "acc_999999" }), "accountId: there is no such account"),
        (json!({ "namespace": null, "accountId": "nobody" }), "accountId: is not an id of this kind"),
        (json!({ "accountId": life.account }), "namespace: accountId and namespace cannot be used together"),
        (json!({ "resource": "tape" }), "resource: there is no such resource"),
        (json!({ "resource": "a\0b" }), "resource: there is no such resource"),
        (json!({ "quantity": "-0.1" }), "quantity: transfer_out cannot be negative"),
        (json!({ "quantity": "0.0000000001" }), "quantity: has more than 9 decimal places"),
        (json!({ "quantity": "100000000000001" }), "quantity: must be within 10^14 either way"),
        (json!({ "time": "2026-03-10T12:15:01Z" }), "time: lies ahead: it is 2026-03-10 12:00:00 UTC"),
        (json!({ "time": "2026-02-03T11:59:59Z" }), "time: is more than 35 days ago"),
        (json!({ "id": "" }), "id: must not be empty"),
        (json!({ "id": "x".repeat(201) }), "id: is longer than 200 characters"),
        (json!({ "id": "a\0b" }), "id: must not hold the character zero"),
        (json!({ "subject": "" }), "subject: must not be empty"),
        (json!({ "subject": "a\0b" }), "subject: "),
        (json!({ "datacenter": "x".repeat(10_000) }), "datacenter: "),
        (
            json!({ "attributes": [attribute("a"), attribute("b"), attribute("a")] }),
            "attributes: a name comes twice",
        ),
        (json!({ "attributes": [attribute("")] }), "attributes: "),
        (json!({ "attributes": vec![attribute("a"); 21] }), "attributes: there are at most 20"),
    ];
    let contents = life.server.contents().await;
    let mut events = Vec::new();
    for (change, _) in &wrong {
        let mut event = event.clone();
        event.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        events.push(event);
    }
    for (index, outcome) in record(&life.operator, json!(events)).await.iter().enumerate() {
        let expected = format!("REJECTED {}", wrong[index].1);
        assert!(outcome.starts_with(&expected), "{}: {outcome}", events[index]);
    }
    assert_eq!(life.server.contents().await, contents);

    // Among good ones; at the very edges of what may be.
    let mut good = Vec::new();
    for (index, change) in [
        json!({ "id": "é".repeat(200) }),
        json!({ "id": "early", "time": "2026-03-10T12:15:00Z" }),
        json!({ "id": "late", "time": "2026-02-03T12:00:00Z" }),
        json!({ "id": "large", "quantity": "100000000000000" }),
        json!({ "id": "small", "quantity": "0.000000001" }),
        json!({ "id": "zero", "quantity": "0" }),
        json!({ "id": "back", "quantity": "-5", "resource": "credit" }),
    ]
    .into_iter()
    .enumerate()
    {
        let mut event = event.clone();
        event.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        good.extend([event, events[index].clone()]);
    }
    let outcomes = record(&life.operator, json!(good)).await;
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome == "ACCEPTED", index % 2 == 0, "{}: {outcome}", good[index]);
    }
    let day = ("2026-03-10T00:00:00Z", "2026-03-11T00:00:00Z");
    assert_eq!(series(&life.customer, "credit", day, "DAY").await, [point(day.0, "-5")]);

    // What is no event at all, and too many of them.
    let input = json!({ "events": [{ "id": "nan", "namespace": "tenant", "resource": "transfer_out", "quantity": "NaN",
        "time": "2026-03-10T11:30:00Z" }] });
    let (_, answer) = life.operator.try_mutate("recordUsage", "RecordUsageInput", input, "accepted").await;
    assert!(answer["errors"][0]["message"].as_str().unwrap().contains("decimal number"), "{answer:#}");
    let many = |count: usize| {
        let event = |number: usize| {
            json!({ "id": format!("many {number}"), "namespace": "tenant", "resource": "api_get", "quantity": 1,
                "time": "2026-03-10T11:30:00Z" })
        };
        json!({ "events": (0..count).map(event).collect::<Vec<_>>() })
    };
    let refused = life.operator.refusal("recordUsage", "RecordUsageInput", many(10_001)).await;
    assert_eq!(refused, ("LIMIT_EXCEEDED".to_owned(), "input.events".to_owned()));
    let recorded = life.operator.mutate("recordUsage", "RecordUsageInput", many(10_000), "accepted").await;
    assert_eq!(recorded["accepted"], 10_000);
    let wrong = json!({ "code": "held", "name": "n", "unit": "u", "resourceType": "CLOUD", "aggregation": "LAST",
        "allowsCorrections": true });
    let refused = life.operator.refusal("defineResource", "DefineResourceInput", wrong).await;
    assert_eq!(refused, ("INVALID".to_owned(), "input.allowsCorrections".to_owned()));
}

#[tokio::test]
async fn events_at_the_edges_of_a_month_fall_into_the_month_of_their_zone() {
    for (zone, midnight, next_month) in [
        ("Asia/Shanghai", "2026-02-28T16:00:00Z", "2026-03-31T16:00:00Z"),
        ("UTC", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"),
        ("America/St_Johns", "2026-03-01T03:30:00Z", "2026-04-01T02:30:00Z"),
    ] {
        let life = Life::with("2026-04-01T12:00:00Z", "0", json!({ "timeZone": zone })).await;
        let (midnight, next_month) = (at(midnight), at(next_month));
        let moment = TimeDelta::microseconds(1);
        let hour = TimeDelta::hours(1);
        let mut events = Vec::new();
        for (number, (time, quantity)) in [
            (midnight - hour, 1),
            (midnight - moment, 2),
            (midnight, 4),
            (midnight + hour - moment, 8),
            (next_month - hour, 16),
            (next_month - moment, 32),
            (next_month, 64),
        ]
        .into_iter()
        .enumerate()
        {
            for resource in ["transfer_out", "bandwidth"] {
                events.push(json!({ "id": format!("{resource} {number}"), "accountId": life.account, "resource": resource,
                    "quantity": quantity, "time": time.to_rfc3339() }));
            }
        }
        assert!(record(&life.server.service(), json!(events)).await.iter().all(|told| told == "ACCEPTED"));
        let window = (&*midnight.to_rfc3339(), &*next_month.to_rfc3339());
        let text = |time: DateTime<Utc>| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        let months = series(&life.customer, "transfer_out", window, "MONTH").await;
        assert_eq!(months, [(text(midnight), "60".to_owned())], "{zone}");
        let days = series(&life.customer, "transfer_out", window, "DAY").await;
        let (first, last) = (days.first().unwrap(), days.last().unwrap());
        assert_eq!((days.len(), &first.1, &last.1), (2, &"12".to_owned(), &"48".to_owned()), "{zone}");
        let hours = series(&life.customer, "transfer_out", window, "HOUR").await;
        let expected = [(text(midnight), "12".to_owned()), (text(next_month - hour), "48".to_owned())];
        assert_eq!(hours, expected, "{zone}");
        // A series that begins a moment earlier reaches into the hour before.
        let earlier = (&*(midnight - moment).to_rfc3339(), &*(midnight + moment).to_rfc3339());
        let hours = series(&life.customer, "transfer_out", earlier, "HOUR").await;
        assert_eq!(
            hours,
            [(text(midnight - hour), "3".to_owned()), (text(midnight), "12".to_owned())],
            "{zone}"
        );
        // Of a gauge, too: of twelve slots none is left out, and in the last one it was at 32.
        let held =
            series(&life.customer, "bandwidth", (&text(next_month - hour), &text(next_month)), "HOUR").await;
        assert_eq!(held, [(text(next_month - hour), "32".to_owned())], "{zone}");
    }
}

#[tokio::test]
async fn each_kind_of_resource_comes_to_its_own_quantity() {
    let life = Life::begin("2026-03-10T18:00:00Z", "0").await;
    let define = json!({ "code": "peak", "name": "Peak", "unit": "conn", "resourceType": "CLOUD", "aggregation": "MAX" });
    life.operator.mutate("defineResource", "DefineResourceInput", define, "resource { code }").await;
    let mut events = Vec::new();
    let mut add = |resource: &str, subject: &str, time: &str, quantity: &str| {
        events.push(json!({ "id": format!("{}", events.len()), "namespace": "tenant", "resource": resource,
            "subject": subject, "quantity": quantity, "time": format!("2026-03-10T{time}Z") }));
    };
    for resource in ["peak", "space", "cpu", "bandwidth", "api_get"] {
        add(resource, "a", "10:00:00", "4");
        add(resource, "a", "10:31:00", "10");
        add(resource, "b", "10:30:00", "2");
        // Of two reports in a slot the later one counts, also when it comes first.
        add(resource, "b", "10:34:00", "6");
        add(resource, "b", "10:32:00", "9");
    }
    assert!(record(&life.operator, json!(events)).await.iter().all(|told| told == "ACCEPTED"));
    let window = ("2026-03-10T10:00:00Z", "2026-03-10T13:00:00Z");
    let hours = async |resource: &str| {
        let points = series(&life.customer, resource, window, "HOUR").await;
        points
            .into_iter()
            .map(|(time, quantity)| (time[11..13].to_owned(), quantity))
            .collect::<BTreeMap<_, _>>()
    };
    let expected = |points: &[(&str, &str)]| {
        points
            .iter()
            .map(|(hour, quantity)| ((*hour).to_owned(), (*quantity).to_owned()))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(hours("api_get").await, expected(&[("10", "31")]));
    assert_eq!(hours("peak").await, expected(&[("10", "10")]));
    // From 10:30 on 10 + 6, until each has not been heard of for an hour.
    assert_eq!(hours("cpu").await, expected(&[("10", "16")]));
    assert_eq!(hours("space").await, expected(&[("10", "10"), ("11", "8")]));
    assert_eq!(hours("bandwidth").await, expected(&[("10", "16"), ("11", "16")]));
}

#[tokio::test]
async fn a_stream_of_lines_is_answered_line_by_line_and_a_broken_one_costs_the_others_nothing() {
    let life = Life::begin("2026-03-10T12:00:00Z", "0").await;
    let service = life.server.service();
    let line = |id: &str, quantity: &str| {
        format!(
            r#"{{"id":"{id}","namespace":"tenant","resource":"api_get","quantity":{quantity},"time":"2026-03-10T11:30:00Z"}}"#
        )
    };
    let body = [
        line("1", "1"),
        line("2", "\"2\""),
        "{\"id\":\"3\",\"namespace\":".to_owned(),
        String::new(),
        line("5", "1.25"),
        line("1", "1"),
        line("1", "2"),
        "[]".to_owned(),
        line("9", "1e2"),
        format!("{{\"id\":\"{}\"}}", "x".repeat(70_000)),
        line("11", "1").replace("\"quantity\"", "\"quantitiy\""),
        line("12", "3") + "\r",
        line("13", "4"),
    ];
    let (status, lines) = post(&service, NDJSON, body.join("\n")).await;
    assert_eq!(status, StatusCode::OK);
    let (counts, results) = lines.split_last().unwrap();
    assert_eq!(*counts, json!({ "accepted": 5, "duplicates": 1, "rejected": 6 }));
    let answered: Vec<(u64, String)> =
        results.iter().map(|result| (result["line"].as_u64().unwrap(), told(result))).collect();
    let expected = [
        (1, "ACCEPTED"),
        (2, "ACCEPTED"),
        (3, "REJECTED event: it cannot be read"),
        (5, "ACCEPTED"),
        (6, "DUPLICATE"),
        (7, "REJECTED id: another event has this id"),
        (8, "REJECTED event: it cannot be read"),
        (9, "REJECTED quantity: a decimal number"),
        (10, "REJECTED event: a line may have 65536 bytes"),
        (11, "REJECTED event: it cannot be read: unknown field `quantitiy`"),
        (12, "ACCEPTED"),
        (13, "ACCEPTED"),
    ];
    assert_eq!(answered.len(), expected.len(), "{answered:?}");
    for ((line, answer), (number, begin)) in answered.iter().zip(expected) {
        assert!(*line == number && answer.starts_with(begin), "{line}: {answer}");
    }
    let day = ("2026-03-10T00:00:00Z", "2026-03-11T00:00:00Z");
    assert_eq!(series(&life.customer, "api_get", day, "DAY").await, [point(day.0, "11.25")]);
    assert_eq!(
        post(&service, NDJSON, "").await.1,
        [json!({ "accepted": 0, "duplicates": 0, "rejected": 0 })]
    );

    // More lines than are counted together, cut anywhere.
    let many: Vec<String> = (0..2_500).map(|number| line(&format!("many {number}"), "1")).collect();
    let body = many.join("\n").into_bytes();
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
        body.chunks(777).map(|piece| Ok(piece.to_vec())).collect();
    let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let (_, lines) = post(&service, NDJSON, stream).await;
    assert_eq!(lines.len(), 2_501);
    assert_eq!(lines[2_500], json!({ "accepted": 2_500, "duplicates": 0, "rejected": 0 }));
}

#[tokio::test]
async fn cloud_events_count_by_their_source_and_id() {
    let life = Life::begin("2026-03-10T12:00:00Z", "0").await;
    let service = life.server.service();
    let event = |source: &str, id: &str, quantity: Value| {
        json!({ "specversion": "1.0", "type": "usage", "source": source, "id": id, "time": "2026-03-10T11:30:00Z",
            "subject": "bucket", "datacontenttype": "application/json", "data": { "accountId": life.account,
            "resource": "api_get", "quantity": quantity, "attributes": { "tier": "cold" } } })
    };
    let (status, answer) = post(
        &service,
        "application/cloudevents+json; charset=utf-8",
        event("agent-1", "1", json!(3)).to_string(),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    let result = json!({ "id": "1", "outcome": "ACCEPTED" });
    assert_eq!(answer, [json!({ "results": [result], "accepted": 1, "duplicates": 0, "rejected": 0 })]);
    let mut old = event("agent-1", "5", json!(1));
    old["specversion"] = json!("0.3");
    let batch = json!([
        event("agent-1", "1", json!(3)),
        event("agent-2", "1", json!("4.5")),
        event("agent-2", "1", json!(5)),
        event("agent-1", "2", json!("many")),
        old,
        { "id": "6" },
        7,
    ]);
    let (_, answer) = post(&service, "application/cloudevents-batch+json", batch.to_string()).await;
    let results: Vec<String> = answer[0]["results"].as_array().unwrap().iter().map(told).collect();
    let expected = [
        "DUPLICATE",
        "ACCEPTED",
        "REJECTED id: another event has this id",
        "REJECTED quantity: a decimal number",
        "REJECTED specversion: must be 1.0",
        "REJECTED event: it cannot be read: missing field",
        "REJECTED event: it cannot be read",
    ];
    assert_eq!(results.len(), expected.len());
    for (result, begin) in results.iter().zip(expected) {
        assert!(result.starts_with(begin), "{result}");
    }
    let day = ("2026-03-10T00:00:00Z", "2026-03-11T00:00:00Z");
    assert_eq!(series(&life.customer, "api_get", day, "DAY").await, [point(day.0, "7.5")]);
}

#[tokio::test]
async fn usage_is_taken_from_agents_and_operators_and_as_what_it_is_said_to_be() {
    let life = Life::begin("2026-03-10T12:00:00Z", "0").await;
    let nobody = Client::new(life.server.url(), None);
    for (client, status, code) in [
        (&nobody, StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
        (&life.customer, StatusCode::FORBIDDEN, "FORBIDDEN"),
    ] {
        let (answered, answer) = post(client, NDJSON, "{}").await;
        assert_eq!((answered, &answer[0]["error"]["code"]), (status, &json!(code)));
    }
    let service = life.server.service();
    for content_type in ["application/json", "text/plain", ""] {
        let (status, answer) = post(&service, content_type, "{}").await;
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        assert!(answer[0]["error"]["message"].as_str().unwrap().contains(NDJSON));
    }
    for (content_type, body) in
        [("application/cloudevents+json", "["), ("application/cloudevents-batch+json", "{}")]
    {
        let (status, answer) = post(&service, content_type, body).await;
        assert_eq!((status, &answer[0]["error"]["code"]), (StatusCode::BAD_REQUEST, &json!("BAD_REQUEST")));
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_has_counted_what_was_answered_and_sends_all_again() {
    let server = TestServer::start().await;
    server.account("tenant", "0").await;
    let service = server.service();
    let now = server.server.app.clock.now().to_rfc3339();
    let line = |number: usize| {
        format!(
            "{{\"id\":\"e{number}\",\"namespace\":\"tenant\",\"resource\":\"api_get\",\"quantity\":1,\"time\":\"{now}\"}}\n"
        )
    };
    let (pieces, sent) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(1);
    let body = futures_util::stream::unfold(sent, async |mut sent| Some((sent.recv().await?, sent)));
    let request = service.request(Method::POST, "/usage").header("content-type", NDJSON);
    let begun = tokio::spawn(request.body(reqwest::Body::wrap_stream(body)).send());
    pieces.send(Ok((0..1_500).map(line).collect())).await.unwrap();
    let mut answer = begun.await.unwrap().expect("the answer begins while the body goes on");
    let mut answered = String::new();
    while answered.lines().count() < 1_000 {
        answered.push_str(std::str::from_utf8(&answer.chunk().await.unwrap().unwrap()).unwrap());
    }
    drop((answer, pieces));
    let counted = async || {
        let count = "SELECT coalesce(sum(quantity), 0)::bigint FROM usage_hours";
        server.sql().await.query_one(count, &[]).await.unwrap().get::<_, i64>(0)
    };
    assert!(counted().await >= 1_000, "what was answered is stored");
    let (_, lines) = post(&service, NDJSON, (0..2_000).map(line).collect::<String>()).await;
    let counts = lines.last().unwrap();
    let (accepted, duplicates) =
        (counts["accepted"].as_u64().unwrap(), counts["duplicates"].as_u64().unwrap());
    assert!(accepted + duplicates == 2_000 && duplicates >= 1_000 && accepted >= 500, "{counts}");
    assert_eq!(counted().await, 2_000);
}

#[tokio::test]
async fn a_series_is_asked_for_within_reason() {
    let life = Life::begin("2026-03-10T12:00:00Z", "0").await;
    let ask = async |client: &Client, arguments: &str| {
        let answer = client.answer(&format!("{{ usage({arguments}) {{ time quantity }} }}")).await;
        let error = &answer["errors"][0]["extensions"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        (answer["data"]["usage"].as_array().map_or(0, Vec::len), text("code"), text("argument"))
    };
    let of =
        |window: &str, granularity: &str| format!("resource: \"cpu\", granularity: {granularity}, {window}");
    let window = |from: &str, to: &str| format!("startTime: \"{from}\", endTime: \"{to}\"");
    let points = |count: usize| (count, String::new(), String::new());
    let refused = |code: &str, argument: &str| (0, code.to_owned(), argument.to_owned());
    let year = window("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    assert_eq!(ask(&life.customer, &of(&year, "DAY")).await, points(365));
    assert_eq!(ask(&life.customer, &of(&year, "MONTH")).await, points(12));
    assert_eq!(ask(&life.customer, &of(&year, "HOUR")).await, refused("LIMIT_EXCEEDED", "endTime"));
    let most = window("2026-01-01T00:00:00Z", "2026-03-04T12:00:00Z");
    assert_eq!(ask(&life.customer, &of(&most, "HOUR")).await, points(1_500));
    let none = window("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
    assert_eq!(ask(&life.customer, &of(&none, "HOUR")).await, points(0));
    let back = window("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z");
    assert_eq!(ask(&life.customer, &of(&back, "HOUR")).await, refused("INVALID", "endTime"));
    assert_eq!(ask(&life.operator, &of(&none, "HOUR")).await, refused("REQUIRED", "accountId"));
    let unknown = of(&none, "HOUR").replace("cpu", "tape");
    assert_eq!(ask(&life.customer, &unknown).await, refused("NOT_FOUND", "resource"));
    let far = window("0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z");
    assert_eq!(ask(&life.customer, &of(&far, "MONTH")).await, refused("LIMIT_EXCEEDED", "endTime"));
}

/// A server as a process of its own, on a database that others use, too.
struct Process {
    child: tokio::process::Child,
    address: String,
}

impl Process {
    async fn start(database_url: &str, address: &str) -> Self {
        let child = command(&["serve", "--sandbox", "--no-jobs", "--listen", address])
            .env("DATABASE_URL", database_url)
            .env("ABACUS_JWT_SECRET", std::str::from_utf8(SECRET).unwrap())
            .env("RUST_LOG", "off")
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a server starts");
        eventually("the server", 60, async || tokio::net::TcpStream::connect(address).await.ok()).await;
        Self { child, address: address.to_owned() }
    }

    async fn kill(&mut self) {
        signal(i32::try_from(self.child.id().unwrap()).unwrap(), Signal::SIGKILL);
        self.child.wait().await.unwrap();
    }
}

/// Distinct events of several accounts, resources, subjects, hours and slots.
fn distinct_events(count: usize, accounts: &[String], now: DateTime<Utc>, dice: &mut Dice) -> Vec<Value> {
    let event = |number: usize| {
        let resource = ["transfer_out", "api_get", "peak", "cpu"][dice.below(4)];
        let time = now - TimeDelta::seconds(i64::try_from(dice.below(7_200)).unwrap());
        let subject = if dice.below(2) == 0 { "a" } else { "b" };
        json!({ "id": format!("event {number}"), "accountId": accounts[dice.below(accounts.len())], "resource": resource,
            "subject": subject, "quantity": format!("{}.{:02}", dice.below(1_000), dice.below(100)),
            "time": time.to_rfc3339_opts(chrono::SecondsFormat::Micros, true) })
    };
    (0..count).map(event).collect()
}

/// What the events come to, computed from them alone: by account, resource, beginning and subject.
type Quantities = BTreeMap<(String, String, DateTime<Utc>, String), Decimal>;

fn expected_quantities(events: &[Value]) -> Quantities {
    let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
    let mut sorted: Vec<&Value> = events.iter().collect();
    let quantity = |event: &Value| event["quantity"].as_str().unwrap().parse::<Decimal>().unwrap();
    sorted.sort_by_key(|event| (at(event["time"].as_str().unwrap()), quantity(event)));
    let mut quantities = Quantities::new();
    for event in sorted {
        let (resource, time) = (text(event, "resource"), at(event["time"].as_str().unwrap()));
        let quantity = quantity(event);
        let unit = if resource == "cpu" { 300 } else { 3_600 };
        let begin = DateTime::from_timestamp(time.timestamp() / unit * unit, 0).unwrap();
        let held =
            quantities.entry((text(event, "accountId"), resource.clone(), begin, text(event, "subject")));
        let held = held.or_insert(if resource == "peak" { quantity } else { Decimal::ZERO });
        *held = match resource.as_str() {
            "peak" => quantity.max(*held),
            // The last one counts, and these are in order.
            "cpu" => quantity,
            _ => *held + quantity,
        };
    }
    quantities
}

async fn kept_quantities(sql: &tokio_postgres::Client) -> Quantities {
    let query = "SELECT 'acc_' || account_id, resource_code, extract(epoch FROM hour)::bigint, subject, quantity::text FROM usage_hours
        UNION ALL SELECT 'acc_' || account_id, resource_code, extract(epoch FROM slot)::bigint, subject, quantity::text FROM usage_samples";
    let row = |row: tokio_postgres::Row| {
        let begin = DateTime::from_timestamp(row.get(2), 0).unwrap();
        let quantity: Decimal = row.get::<_, String>(4).parse().unwrap();
        ((row.get(0), row.get(1), begin, row.get(3)), quantity)
    };
    sql.query(query, &[]).await.unwrap().into_iter().map(row).collect()
}

/// Sends events until they are answered, by whichever server answers; answers the outcomes by id.
async fn send_until_answered(
    addresses: &[String],
    events: &[Value],
    dice: &mut Dice,
) -> Vec<(String, String)> {
    let service = token(Role::Service, None, 3_600);
    let http = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
    for attempt in 0.. {
        assert!(attempt < 2_000, "nobody answers");
        let url = format!("http://{}", addresses[dice.below(addresses.len())]);
        let answered = if dice.below(2) == 0 {
            let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
            let request = http.post(format!("{url}/usage")).header("content-type", NDJSON).body(lines);
            let answer = request.bearer_auth(&service).send().await;
            match answer {
                Ok(answer) => answer.text().await.ok().map(|text| {
                    text.lines()
                        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                        .collect::<Vec<_>>()
                }),
                Err(_) => None,
            }
        } else {
            let query = "mutation($input: RecordUsageInput!) { recordUsage(input: $input) { results { id outcome message } } }";
            let body = json!({ "query": query, "variables": { "input": { "events": events } } });
            let answer = http.post(format!("{url}/graphql")).bearer_auth(&service).json(&body).send().await;
            match answer {
                Ok(answer) => answer
                    .json::<Value>()
                    .await
                    .ok()
                    .and_then(|answer| answer["data"]["recordUsage"]["results"].as_array().cloned()),
                Err(_) => None,
            }
        };
        let results: Vec<Value> =
            answered.unwrap_or_default().into_iter().filter(|line| line["id"].is_string()).collect();
        if results.len() == events.len() {
            return results
                .iter()
                .map(|result| (result["id"].as_str().unwrap().to_owned(), told(result)))
                .collect();
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    unreachable!()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_counts_once_however_often_it_is_sent_and_whoever_is_killed() {
    let (count, kills) = if in_full() { (40_000, 20) } else { (3_000, 3) };
    let server = TestServer::start().await;
    let mut accounts = Vec::new();
    for number in 0..6 {
        accounts.push(server.account(&format!("metered-{number}"), "0").await);
    }
    let define = json!({ "code": "peak", "name": "Peak", "unit": "conn", "resourceType": "CLOUD", "aggregation": "MAX" });
    server.operator().mutate("defineResource", "DefineResourceInput", define, "resource { code }").await;
    let mut dice = Dice::new(7);
    let events = distinct_events(count, &accounts, wall(), &mut dice);
    let mut sent: Vec<usize> = (0..count).flat_map(|event| vec![event; 1 + dice.below(5)]).collect();
    for last in (1..sent.len()).rev() {
        sent.swap(last, dice.below(last + 1));
    }

    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut servers = [
        Process::start(&server.database_url, &free()).await,
        Process::start(&server.database_url, &free()).await,
    ];
    let addresses: Vec<String> = servers.iter().map(|process| process.address.clone()).collect();
    let answered = Arc::new(AtomicUsize::new(0));
    let total = sent.len();
    let shares: Vec<Vec<usize>> = sent.chunks(total.div_ceil(8)).map(<[usize]>::to_vec).collect();
    let clients: Vec<_> = (1..)
        .zip(shares)
        .map(|(seed, share)| {
            let (events, addresses, answered) = (events.clone(), addresses.clone(), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut dice = Dice::new(seed);
                let (mut outcomes, mut rest) = (Vec::new(), &share[..]);
                while !rest.is_empty() {
                    let (batch, others) = rest.split_at(rest.len().min(1 + dice.below(120)));
                    let batch: Vec<Value> = batch.iter().map(|event| events[*event].clone()).collect();
                    outcomes.extend(send_until_answered(&addresses, &batch, &mut dice).await);
                    answered.fetch_add(batch.len(), Ordering::SeqCst);
                    rest = others;
                }
                outcomes
            })
        })
        .collect();
    for kill in 1..=kills {
        let reached = async || (answered.load(Ordering::SeqCst) >= total * kill / (kills + 2)).then_some(());
        eventually("answers", 120, reached).await;
        let victim = &mut servers[kill % 2];
        victim.kill().await;
        *victim = Process::start(&server.database_url, &victim.address.clone()).await;
    }
    let mut accepted: BTreeMap<String, usize> = BTreeMap::new();
    for client in clients {
        for (id, outcome) in client.await.unwrap() {
            assert!(outcome == "ACCEPTED" || outcome == "DUPLICATE", "{id}: {outcome}");
            *accepted.entry(id).or_default() += usize::from(outcome == "ACCEPTED");
        }
    }
    assert_eq!(accepted.len(), count, "every event was answered");
    assert!(accepted.values().all(|times| *times <= 1), "none was accepted twice");
    let sql = server.sql().await;
    for table in ["usage_marks", "usage_events"] {
        let kept = sql.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap();
        assert_eq!(kept.get::<_, i64>(0), i64::try_from(count).unwrap(), "{table}");
    }
    assert_eq!(kept_quantities(&sql).await, expected_quantities(&events));
    let versions = "SELECT (SELECT sum(version) FROM usage_hours)::bigint + (SELECT sum(version) FROM usage_samples)::bigint";
    assert_eq!(sql.query_one(versions, &[]).await.unwrap().get::<_, i64>(0), i64::try_from(count).unwrap());
}

#[tokio::test]
async fn a_forecast_is_what_the_rules_make_of_the_month_so_far_and_of_its_pace() {
    let life = Life::with("2026-03-01T16:00:00Z", "0", json!({ "timeZone": "Asia/Shanghai" })).await;
    // In Shanghai it is the 2nd already: 24 of the month's 744 hours have passed.
    let tariff = |resource: &str, tiers: Value| json!({ "resource": resource, "tiers": tiers });
    let base = json!({ "base": { "currency": "CNY", "tariffs": [
        tariff("transfer_out", json!([{ "from": "0", "unitPrice": "0.5" }, { "from": "100", "unitPrice": "0.1" }])),
        tariff("space", json!([{ "from": "0", "unitPrice": "2" }])),
    ] } });
    let package = json!({ "package": { "type": "REWARD", "currency": "CNY", "quotas": [{ "resource": "transfer_out", "quantity": "10" }] } });
    let rules = json!({ "accountId": life.account, "idempotencyKey": "rules", "allowPast": true, "infos": [
        { "effectiveFrom": "2026-01-01T00:00:00Z", "definition": base },
        { "effectiveFrom": "2026-01-01T00:00:00Z", "definition": package },
    ] });
    life.operator.mutate("setPrices", "SetPricesInput", rules, "rules { id }").await;
    let forecast = async || {
        let data = life
            .customer
            .data("{ account { forecast { soFar { amount currency } atMonthEnd { amount } asOf } } }")
            .await;
        data["account"]["forecast"].clone()
    };
    let nothing = json!({ "soFar": { "amount": "0.00", "currency": "CNY" }, "atMonthEnd": { "amount": "0.00" },
        "asOf": "2026-03-01T16:00:00Z" });
    assert_eq!(forecast().await, nothing);
    let mut events = vec![
        json!({ "id": "before", "namespace": "tenant", "resource": "transfer_out", "quantity": "1000", "time": "2026-02-28T15:59:59Z" }),
        json!({ "id": "first", "namespace": "tenant", "resource": "transfer_out", "quantity": "20", "time": "2026-02-28T16:00:00Z" }),
        json!({ "id": "last", "namespace": "tenant", "resource": "transfer_out", "quantity": "4", "time": "2026-03-01T15:59:59Z" }),
    ];
    // Four GB all day, reported every half an hour.
    for half_hour in 0..48 {
        let time = at("2026-02-28T16:00:00Z") + TimeDelta::minutes(30 * half_hour);
        events.push(json!({ "id": format!("space {half_hour}"), "namespace": "tenant", "resource": "space", "quantity": "4",
            "time": time.to_rfc3339() }));
    }
    assert!(record(&life.operator, json!(events)).await.iter().all(|told| told == "ACCEPTED"));
    // So far (24 − 10) × 0.5, and of 4 GB × 2 one day of 31: 7 + 0.258…; at this pace 24 × 31 = 744: 90 × 0.5 + 644 × 0.1,
    // and 8 for the space.
    let forecast = forecast().await;
    assert_eq!(
        (&forecast["soFar"]["amount"], &forecast["atMonthEnd"]["amount"]),
        (&json!("7.26"), &json!("117.40"))
    );

    // What operators simulate on real usage is the same usage, whole.
    let simulate = |from: &str, to: &str| {
        format!(
            "{{ simulateCharges(input: {{ currency: \"CNY\", accountId: \"{}\", startTime: \"{from}\", endTime: \"{to}\",
                rules: [{{ base: {{ tariffs: [{{ resource: \"transfer_out\", tiers: [{{ from: 0, unitPrice: 1 }}] }},
                    {{ resource: \"space\", tiers: [{{ from: 0, unitPrice: \"0.01\" }}] }}] }} }}] }}) {{ total {{ amount }} }} }}",
            life.account
        )
    };
    let total = async |from: &str, to: &str| {
        life.operator.data(&simulate(from, to)).await["simulateCharges"]["total"]["amount"].clone()
    };
    assert_eq!(total("2026-02-28T16:00:00Z", "2026-03-01T16:00:00Z").await, "24.04");
    assert_eq!(total("2026-02-27T16:00:00Z", "2026-02-28T16:00:00Z").await, "1000.00");
    let far = life.operator.answer(&simulate("2025-02-28T15:59:59Z", "2026-03-01T16:00:00Z")).await;
    assert_eq!(far["errors"][0]["extensions"]["code"], "OUT_OF_RANGE");
}
