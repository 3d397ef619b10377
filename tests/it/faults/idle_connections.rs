//! Thousands of connections that ask for nothing: a purchase is answered all the same.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::net::TcpStream;

use crate::support::process::{Abacus, Folder};
use crate::support::sequences::in_full;

/// What the process holds in memory, in KiB.
fn memory_of(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Whether this process and the server may have so many files open.
fn may_open(files: u64) -> bool {
    let (_, at_most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let _ = setrlimit(Resource::RLIMIT_NOFILE, at_most.max(files), at_most.max(files))
        .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, at_most, at_most));
    getrlimit(Resource::RLIMIT_NOFILE).unwrap().0 >= files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purchase_is_answered_beside_thousands_of_idle_connections() {
    let count = if in_full() { 10_000 } else { 500 };
    if !may_open(count + 1_000) {
        println!("passed over: the system allows fewer open files (ulimit -n)");
        return;
    }
    let folder = Folder::new();
    let many = (count + 1_000).to_string();
    let settings = [
        ("ABACUS_CLIENTS", many.as_str()),
        ("ABACUS_CLIENTS_PER_ADDRESS", many.as_str()),
        ("ABACUS_CLIENT_IDLE", "30m"),
    ];
    let server = Abacus::start_with(&folder, &settings).await;
    let plans = server.customer().data("{ plans(first: 100) { nodes { id name } } }").await;
    let plans = plans["plans"]["nodes"].as_array().expect("the demo's plans");
    let plan = plans.iter().find(|plan| plan["name"] == "Plan A").expect("a plan")["id"].clone();
    let before = memory_of(server.pid());
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(TcpStream::connect(&server.address).await.expect("a connection"));
    }
    let begin = Instant::now();
    for number in 0..20 {
        let input = json!({ "planId": plan, "idempotencyKey": format!("k{number}"), "dryRun": number > 0 });
        let fields = "order { number } account { balance { amount } }";
        let bought = server.customer().payload("checkout", "CheckoutInput", input, fields).await;
        assert_eq!(bought["userErrors"], json!([]), "{bought:#}");
    }
    let each = begin.elapsed() / 20;
    assert!(each < Duration::from_secs(2), "a purchase takes {each:?}");
    let beside = memory_of(server.pid());
    println!(
        "{count} idle connections: {} KiB before, {} KiB beside them, {} bytes each; a purchase takes {each:?}",
        before,
        beside,
        beside.saturating_sub(before) * 1_024 / count
    );
    // They are still there, and the next one is let in.
    let mut byte = [0];
    let closed = idle.iter().filter(|stream| stream.try_read(&mut byte).is_ok()).count();
    assert_eq!(closed, 0, "idle connections were closed");
    drop(idle);
    let ready = server.operator().request(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
}
