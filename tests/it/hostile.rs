//! What costs much before it is allowed to, and who holds what others need: long documents, bodies of nobody, connections
//! that stand still.

use std::time::{Duration, Instant};

use abacus::server::ConnectionLimits;
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::life::Life;
use crate::support::process::{Abacus, Folder};
use crate::support::sequences::in_full;
use crate::support::tokens::Buyer;
use crate::support::{Client, TestServer, server};
use abacus::domain::viewer::Role;

/// Nothing here takes so long, however busy the machine is.
const SOON: Duration = Duration::from_secs(30);

/// A document of that many tokens, which is another for each `number`.
fn long_document(tokens: usize, number: usize) -> String {
    format!("query Q{number} {{{}}}", "a ".repeat(tokens.saturating_sub(4)))
}

fn message(answer: &Value) -> &str {
    answer["errors"][0]["message"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_long_query_is_refused_before_it_is_parsed() {
    let server = TestServer::start().await;
    let operator = server.operator();
    let limits = operator.data("{ serviceConfig { queryBytesMax queryTokensMax errorsMax } }").await;
    assert_eq!(
        limits["serviceConfig"],
        json!({ "queryBytesMax": 131_072, "queryTokensMax": 15_000, "errorsMax": 50 })
    );
    for (query, expected) in [
        (format!("{{ {} }}", " ".repeat(131_069)), "the query has 131073 bytes, and may have 131072"),
        ("{a}".repeat(2_730_000), "the query has 8190000 bytes, and may have 131072"),
        (long_document(15_001, 1), "the query has 15001 tokens, and may have 15000"),
        (format!("{{ {} }}", "a".repeat(300)), "a name may have 256 bytes"),
    ] {
        let (status, answer) = operator.post(&query, json!({})).await;
        assert_eq!((status, message(&answer)), (StatusCode::OK, expected));
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST");
    }
    let get = operator.request(reqwest::Method::GET, "/graphql").query(&[("query", "{a}".repeat(6_000))]);
    let answer: Value = get.send().await.unwrap().json().await.unwrap();
    assert!(message(&answer).contains("tokens"), "{answer}");
}

#[tokio::test]
async fn an_answer_tells_fifty_errors_and_how_many_there_are_more() {
    let server = TestServer::start().await;
    let wrong = format!("{{{}}}", (0..1_000).map(|n| format!("wrong{n} ")).collect::<String>());
    let (_, text) = server.operator().raw(&wrong, &json!({})).await;
    let answer: Value = serde_json::from_str(&text).unwrap();
    let errors = answer["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 50);
    assert_eq!(errors[49]["message"], "and 951 more errors");
    assert!(text.len() < 64 * 1024, "{} bytes", text.len());
}

#[tokio::test]
async fn variables_of_very_many_values_are_refused() {
    let server = TestServer::start().await;
    server.account("acme", "0").await;
    let query = "query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    let customer = server.customer("acme");
    let (status, answer) = customer.post(query, json!({ "ids": vec![0; 30_000] })).await;
    assert_eq!((status, message(&answer)), (StatusCode::BAD_REQUEST, "the body has more than 20000 values"));
    let events = format!("[{}{{}}]", "{},".repeat(400_001));
    let request = server.service().request(reqwest::Method::POST, "/usage");
    let request = request.header("content-type", "application/cloudevents-batch+json").body(events);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.text().await.unwrap().contains("more than 800000 values"));
}

/// One tenant's documents are parsed one at a time, beside the workers: others are answered meanwhile.
#[tokio::test]
async fn what_is_long_to_parse_holds_up_nobody_else() {
    let server = TestServer::start().await;
    server.account("hog", "0").await;
    server.account("neighbour", "0").await;
    let hog = server.customer("hog");
    let sending = (0..16).map(|number| {
        let hog = hog.clone();
        async move { hog.post(&long_document(14_000, number), json!({})).await }
    });
    let hogging = tokio::spawn(join_all(sending));
    let neighbour = server.customer("neighbour");
    let mut answered = 0_usize;
    while !hogging.is_finished() {
        let asked = Instant::now();
        neighbour.data("{ account { balance { amount } } }").await;
        assert!(asked.elapsed() < Duration::from_secs(5), "a neighbour waited for {:?}", asked.elapsed());
        answered += 1;
    }
    assert!(answered > 10, "only {answered} of a neighbour's requests");
    let mut parsed = 0;
    for (_, answer) in hogging.await.unwrap() {
        let errors = answer["errors"].as_array().unwrap();
        if errors.len() == 1 {
            // On a slow machine the last ones wait for too long.
            assert_eq!(errors[0]["extensions"]["code"], "OVERLOADED", "{answer:#}");
        } else {
            assert_eq!(errors.len(), 50);
            parsed += 1;
        }
    }
    assert!(parsed > 2, "only {parsed} documents were parsed");
}

/// The schema itself, as often as a document may ask for it, is written beside the workers, too.
#[tokio::test]
async fn introspection_as_often_as_may_be_holds_up_nobody_else() {
    let server = TestServer::start().await;
    server.account("hog", "0").await;
    server.account("neighbour", "0").await;
    let schema = "{ types { name kind fields { name args { name type { name } } type { name } } } }";
    let all: String = (0..20).map(|number| format!("s{number}: __schema {schema} ")).collect();
    let hog = server.customer("hog");
    let sending = (0..4).map(|_| {
        let (hog, all) = (hog.clone(), format!("{{ {all} }}"));
        async move { hog.post(&all, json!({})).await }
    });
    let hogging = tokio::spawn(join_all(sending));
    let neighbour = server.customer("neighbour");
    let (mut answered, mut slowest) = (0_usize, Duration::ZERO);
    while !hogging.is_finished() {
        let asked = Instant::now();
        neighbour.data("{ account { balance { amount } } }").await;
        slowest = slowest.max(asked.elapsed());
        answered += 1;
    }
    println!("{answered} of a neighbour's requests, the slowest in {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "a neighbour waited for {slowest:?}");
    assert!(answered > 10, "only {answered} of a neighbour's requests");
    let (_, first) = &hogging.await.unwrap()[0];
    assert!(first["data"]["s19"]["types"].is_array(), "{}", first["errors"]);
}

/// The head of a POST whose body has that length.
fn head(token: Option<&str>, length: usize) -> String {
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    format!(
        "POST /graphql HTTP/1.1\r\nHost: abacus\r\nContent-Type: application/json\r\n{authorization}Content-Length: {length}\r\n\r\n"
    )
}

async fn connected(address: &str) -> TcpStream {
    timeout(SOON, TcpStream::connect(address)).await.expect("in time").expect("a connection")
}

/// What the server answers until it closes, or says no more for now; None: it said nothing in `time`.
async fn said(stream: &mut TcpStream, time: Duration) -> Option<String> {
    let mut bytes = vec![0; 4_096];
    let read = timeout(time, stream.read(&mut bytes)).await.ok()?;
    Some(String::from_utf8_lossy(&bytes[..read.unwrap_or(0)]).into_owned())
}

#[tokio::test]
async fn nothing_is_read_of_nobody_s_body() {
    let server = TestServer::start().await;
    let address = server.server.address.to_string();
    for token in [None, Some("no.real.token")] {
        let mut stream = connected(&address).await;
        stream.write_all(head(token, 8 * 1024 * 1024).as_bytes()).await.unwrap();
        let answer = said(&mut stream, SOON).await.expect("an answer before the body");
        assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    }
}

#[tokio::test]
async fn bodies_that_are_not_whole_have_a_budget_and_a_deadline() {
    let server = TestServer::with(|config| config.limits.body_time_max = Duration::from_secs(5)).await;
    server.account("hog", "0").await;
    server.account("neighbour", "0").await;
    let address = server.server.address.to_string();
    let token = server::token(Role::Customer, Some("hog"), 600);
    let megabyte = vec![b' '; 1024 * 1024];
    let mut held = Vec::new();
    let mut turned_away = 0;
    for _ in 0..4 {
        let mut stream = connected(&address).await;
        stream.write_all(head(Some(&token), 8 * 1024 * 1024).as_bytes()).await.unwrap();
        for _ in 0..6 {
            // One that is turned away is closed.
            let _ = timeout(SOON, stream.write_all(&megabyte)).await.expect("it is read, or closed");
        }
        match said(&mut stream, Duration::from_millis(200)).await {
            Some(answer) => {
                assert!(answer.starts_with("HTTP/1.1 503") || answer.is_empty(), "{answer}");
                turned_away += 1;
            }
            None => held.push(stream),
        }
    }
    assert!(turned_away >= 2, "its share is 16 MiB, and {} bodies of 6 are held", held.len());
    // Who asks for little is answered, and so are others.
    server.customer("hog").data("{ account { id } }").await;
    server.customer("neighbour").data("{ account { id } }").await;
    for mut stream in held {
        let answer = said(&mut stream, SOON).await.expect("what is not whole in time is answered");
        assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}

#[tokio::test]
async fn connections_are_few_in_all_and_from_each_address() {
    let limits = ConnectionLimits { in_all: 4, of_address: 3, ..ConnectionLimits::default() };
    let server = TestServer::with(|config| config.clients = limits).await;
    let address = server.server.address;
    let from = async |own: &str| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{own}:0").parse().unwrap()).unwrap();
        let mut stream = timeout(SOON, socket.connect(address)).await.unwrap().unwrap();
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: abacus\r\n\r\n").await;
        let answer = said(&mut stream, SOON).await.expect("an answer, or an end");
        (answer.starts_with("HTTP/1.1 200"), stream)
    };
    let mut open = Vec::new();
    for _ in 0..3 {
        let (is_answered, stream) = from("127.0.0.1").await;
        assert!(is_answered);
        open.push(stream);
    }
    assert!(!from("127.0.0.1").await.0, "a fourth from one address");
    let (is_answered, other) = from("127.0.0.2").await;
    assert!(is_answered, "another address has places of its own");
    assert!(!from("127.0.0.3").await.0, "a fifth in all");
    drop((open, other));
    let again = async {
        while !from("127.0.0.1").await.0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, again).await.expect("places come back");
}

/// Connections that say nothing, and some that say it very slowly, are closed; others are answered meanwhile.
#[tokio::test]
async fn connections_that_stand_still_are_closed() {
    let (each, head_time) = if in_full() { (1_000, 20) } else { (100, 2) };
    let limits =
        ConnectionLimits { head_time_max: Duration::from_secs(head_time), ..ConnectionLimits::default() };
    let server = TestServer::with(|config| config.clients = limits).await;
    let address = server.server.address.to_string();
    let opened = Instant::now();
    let idle = (0..each).map(|_| async { connected(&address).await });
    let slow = (0..each).map(|_| async {
        let mut stream = connected(&address).await;
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        stream
    });
    let (idle, slow) = tokio::join!(join_all(idle), join_all(slow));
    let ends = |streams: Vec<TcpStream>, drips: bool| {
        join_all(streams.into_iter().map(move |mut stream| async move {
            let mut byte = [0_u8; 256];
            loop {
                match timeout(Duration::from_millis(500), stream.read(&mut byte)).await {
                    Ok(Ok(0) | Err(_)) => return,
                    Ok(Ok(_)) => {}
                    Err(_) if drips => drop(stream.write_all(b"X: y\r\n").await),
                    Err(_) => {}
                }
            }
        }))
    };
    let neighbour = server.operator();
    let ended = async { tokio::join!(ends(idle, false), ends(slow, true)) };
    tokio::pin!(ended);
    let mut waits = Vec::new();
    loop {
        let asked = Instant::now();
        tokio::select! {
            _ = &mut ended => break,
            _ = neighbour.data("{ viewer { role } }") => waits.push(asked.elapsed()),
        }
        assert!(opened.elapsed() < Duration::from_secs(head_time + 10), "some are not closed");
    }
    waits.sort();
    let p99 = waits[waits.len() * 99 / 100];
    println!(
        "{each} idle and {each} slow ones closed after {:?}; others' p99 {p99:?} of {}",
        opened.elapsed(),
        waits.len()
    );
    assert!(p99 < Duration::from_secs(1), "{p99:?}");
}

/// The most memory that a process has had, in MiB.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1_024
}

/// Long documents, bodies of nobody and bodies that never end, all at once.
#[tokio::test]
async fn an_attack_takes_little_memory() {
    let rounds = if in_full() { 20 } else { 2 };
    let folder = Folder::new();
    let abacus = Abacus::start(&folder).await;
    let hog = Client::new(format!("http://{}", abacus.address), Some(abacus.customer.clone()));
    let long = "a ".repeat(4 * 1024 * 1024);
    let nested = json!({ "query": "query Q($v: [ID!]!) { nodes(ids: $v) { id } }",
        "variables": { "v": vec![Value::Array(Vec::new()); 1_000_000] } })
    .to_string();
    for round in 0..rounds {
        let documents = (0..16).map(|number| hog.post_anything(long_document(14_990, round * 16 + number)));
        let too_long = (0..4).map(|_| hog.post_anything(format!("{{{long}}}")));
        let values = (0..4).map(|_| hog.post_body(nested.clone()));
        let nobody = (0..100).map(|_| async {
            let mut stream = connected(&abacus.address).await;
            let _ = stream.write_all(head(None, 8 * 1024 * 1024).as_bytes()).await;
            let _ = timeout(SOON, stream.write_all(&vec![b' '; 8 * 1024 * 1024 - 1])).await;
        });
        tokio::join!(join_all(documents), join_all(too_long), join_all(values), join_all(nobody));
    }
    let peak = peak_memory(abacus.child.id().unwrap());
    println!("{rounds} rounds: never above {peak} MiB");
    assert!(peak < 500, "{peak} MiB");
    assert_eq!(hog.data("{ viewer { role } }").await["viewer"]["role"], "CUSTOMER");
}

#[tokio::test]
async fn a_tenant_whose_reads_hang_leaves_connections_for_others() {
    let server = TestServer::start().await;
    server.account("hog", "0").await;
    server.account("neighbour", "0").await;
    let mut sql = server.sql().await;
    let lock = sql.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE metered_records IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let hog = server.customer("hog");
    let hanging = (0..20).map(|_| {
        let hog = hog.clone();
        async move { hog.answer(r#"{ records(filter: { searchWord: "x" }) { nodes { id } } }"#).await }
    });
    let hanging = tokio::spawn(join_all(hanging));
    let (neighbour, operator) = (server.customer("neighbour"), server.operator());
    for number in 0..20 {
        let asked = Instant::now();
        neighbour.data("{ bills(filter: { billStatus: PAID }) { totalCount } }").await;
        server.plan(&format!("Plan {number}"), "1.00").await;
        let ready = operator.request(reqwest::Method::GET, "/readyz").send().await.unwrap();
        assert_eq!(ready.status(), StatusCode::OK);
        assert!(asked.elapsed() < Duration::from_secs(10), "others waited for {:?}", asked.elapsed());
    }
    lock.rollback().await.unwrap();
    for answer in hanging.await.unwrap() {
        let code = &answer["errors"][0]["extensions"]["code"];
        assert!(
            code.is_null() || ["OVERLOADED", "UNAVAILABLE"].contains(&code.as_str().unwrap()),
            "{answer:#}"
        );
    }
    hog.data("{ records { nodes { id } } }").await;
}

/// However many tenants have slow reads, what is quick finds a connection.
#[tokio::test]
async fn slow_reads_of_many_tenants_leave_connections_for_quick_ones() {
    let server = TestServer::start().await;
    let hogs = ["one", "two", "three", "four", "five"];
    for name in hogs.into_iter().chain(["neighbour"]) {
        server.account(name, "0").await;
    }
    let mut sql = server.sql().await;
    let lock = sql.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE metered_records IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let hanging = hogs.into_iter().flat_map(|name| (0..2).map(move |_| name)).map(|name| {
        let hog = server.customer(name);
        async move { hog.answer(r#"{ records(filter: { searchWord: "x" }) { nodes { id } } }"#).await }
    });
    let hanging = tokio::spawn(join_all(hanging.collect::<Vec<_>>()));
    let neighbour = server.customer("neighbour");
    for _ in 0..20 {
        let asked = Instant::now();
        neighbour.data("{ orders { nodes { id } } account { name bills { nodes { id } } } }").await;
        assert!(asked.elapsed() < Duration::from_secs(3), "a quick read waited for {:?}", asked.elapsed());
    }
    lock.rollback().await.unwrap();
    hanging.await.unwrap();
}

#[tokio::test]
async fn orders_that_are_not_paid_are_few_also_where_many_are_placed_at_once() {
    let server = TestServer::start().await;
    server.account("acme", "10").await;
    let plan = server.plan("Plan", "1.00").await;
    let acme = server.customer("acme");
    let place = async |key: String| {
        let input = json!({ "planId": plan, "payLater": true, "instalments": 12, "idempotencyKey": key });
        acme.payload("checkout", "CheckoutInput", input, "order { id }").await
    };
    let placed = join_all((0..120).map(|number| place(format!("k{number}")))).await;
    let (made, refused): (Vec<_>, Vec<_>) =
        placed.iter().partition(|placed| placed["userErrors"] == json!([]));
    assert_eq!((made.len(), refused.len()), (100, 20));
    for refused in refused {
        let error = &refused["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["path"]),
            (&json!("LIMIT_EXCEEDED"), &json!(["input", "payLater"]))
        );
    }
    let keyed = json!({ "orderId": made[0]["order"]["id"], "idempotencyKey": "pay" });
    acme.mutate("payOrder", "PayOrderInput", keyed, "order { id }").await;
    acme.mutate(
        "cancelOrder",
        "CancelOrderInput",
        json!({ "orderId": made[1]["order"]["id"] }),
        "order { id }",
    )
    .await;
    let placed = join_all((0..3).map(|number| place(format!("again {number}")))).await;
    assert_eq!(
        placed.iter().filter(|placed| placed["userErrors"] == json!([])).count(),
        2,
        "two have made room"
    );
    let now = json!({ "planId": plan, "idempotencyKey": "at once" });
    acme.mutate("checkout", "CheckoutInput", now, "order { id }").await;
}

#[tokio::test]
async fn offers_that_hold_are_few() {
    let life = Life::begin("2026-03-01T09:00:00Z", "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let input = json!({ "asset": "USD", "clusterId": "cluster-1", "chartName": "wordpress", "cpuLimit": 1500,
        "memLimit": 1024, "storageLimit": 2048, "period": 3 });
    let ask = async || {
        buyer.customer.payload("quotePrepay", "QuotePrepayInput", input.clone(), "quote { id }").await
    };
    let asked = join_all((0..210).map(|_| ask())).await;
    let made = asked.iter().filter(|asked| asked["userErrors"] == json!([])).count();
    let refused = asked.iter().filter(|asked| asked["userErrors"][0]["code"] == "LIMIT_EXCEEDED").count();
    assert_eq!((made, refused), (200, 10));
    life.advance("2026-03-01T09:15:01Z").await;
    assert_eq!(ask().await["userErrors"], json!([]), "those have ended");
}
