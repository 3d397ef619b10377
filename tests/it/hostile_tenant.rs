//! A tenant that has as much as it may have does the dearest allowed thing of every root field in turn, on 16 connections. Its
//! neighbours and the jobs go on. How fast tells the benchmark (benches/hostile.rs): here the bounds are wide, for the server is
//! not optimized and the machine does other things too.

use std::collections::BTreeSet;
use std::time::Duration;

use abacus::clock::Clock;

use crate::support::TestServer;
use crate::support::hostile::Siege;
use crate::support::hostile::attacks::{NOT_FOR_CUSTOMERS, all};
use crate::support::hostile::siege::Outcome;
use crate::support::hostile::sown::{Size, sow};
use crate::support::introspection::Schema;
use crate::support::sequences::in_full;
use crate::support::server::SECRET;

/// What a request may be refused with that asks for no more than is allowed (UserErrorCode).
const REFUSALS: [&str; 3] = ["OVERLOADED", "UNAVAILABLE", "OUTCOME_UNKNOWN"];
const P99_MAX: Duration = Duration::from_secs(5);
const LAG_MAX: Duration = Duration::from_secs(10);

#[tokio::test]
async fn every_root_field_has_its_dearest_document() {
    let server = TestServer::start().await;
    let schema = Schema::of(&server.operator()).await;
    let fields: BTreeSet<String> =
        [schema.fields("Query"), schema.fields("Mutation")].concat().into_iter().collect();
    let attacked: BTreeSet<&str> =
        all().map(|attack| attack.field).filter(|field| !field.starts_with("__")).collect();
    let spared: BTreeSet<&str> = NOT_FOR_CUSTOMERS.iter().copied().collect();
    assert_eq!(attacked.intersection(&spared).count(), 0);
    let known: BTreeSet<String> = attacked.union(&spared).map(|field| (*field).to_owned()).collect();
    assert_eq!(known, fields, "say what is the dearest of the new root field");
}

/// What is not as it must be, of an attack.
fn wrongs_of(outcome: &Outcome) -> Vec<String> {
    let mut wrongs = Vec::new();
    for (code, count) in &outcome.hog.errors {
        let is_forbidden = outcome.field == "recordUsage" && code == "FORBIDDEN";
        if !is_forbidden && !REFUSALS.contains(&code.as_str()) {
            wrongs.push(format!("{count} answers with {code}"));
        }
    }
    if let Some(count) = outcome.hog.refusals.get("NOT_FOUND") {
        wrongs.push(format!("{count} times something is named that is not there"));
    }
    wrongs.extend(outcome.failures.iter().map(|failure| format!("a neighbour is answered {failure}")));
    if outcome.p99() > P99_MAX {
        wrongs.push(format!("neighbours' p99 is {:?}", outcome.p99()));
    }
    if outcome.lag() > LAG_MAX {
        wrongs.push(format!("the jobs come after {:?}", outcome.lag()));
    }
    wrongs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_dearest_of_every_root_field_leaves_neighbours_and_jobs_what_they_need() {
    let (attack_time, size) = if in_full() {
        (Duration::from_secs(5), Size { orders: 5_000, subjects: 100 })
    } else {
        (Duration::from_millis(300), Size { orders: 600, subjects: 10 })
    };
    let server = TestServer::with(|config| {
        config.clock = Clock::sandbox();
        config.run_jobs = true;
        config.connections_max = 10;
    })
    .await;
    let address = server.server.address;
    let sown = sow(address, SECRET, &server.sql().await, size).await;
    let siege = Siege::new(address, sown, server.sql().await);
    let mut wrongs = Vec::new();
    println!("{}", Outcome::head());
    // A few of them, unless in full.
    for attack in all().step_by(if in_full() { 1 } else { 8 }) {
        let outcome = siege.suffer(attack, attack_time).await;
        println!("{}", outcome.line());
        let of_it = |wrong: String| format!("{}, {}: {wrong}", outcome.field, outcome.how);
        wrongs.extend(wrongs_of(&outcome).into_iter().map(of_it));
    }
    assert!(wrongs.is_empty(), "{wrongs:#?}");
    // The order that fell due was written past the server.
    server.make_accounts_so("SELECT").await;
    server.assert_ledger_is_healthy().await;
}
