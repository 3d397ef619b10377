//! Reads, purchases and recharges at 60 % of what the server can do: how long they take, and how much memory the server.

use std::sync::Arc;
use std::time::Duration;

use super::books::Books;
use super::ground::World;
use super::loads;
use super::measured::Measured;
use super::open_loop::{Pace, at_pace};
use super::support::{rounds, seconds};
use super::table::Row;

const CONNECTIONS: usize = 256;
const PART: f64 = 0.6;
const P99_MAX: Duration = Duration::from_millis(25);
const MEMORY_MAX: u64 = 150;

pub async fn run(world: &World) -> Vec<Row> {
    let ground = &world.ground;
    world.cluster.settle(ground.name).await;
    let books = Books::open(ground).await;
    let mut closed = Measured::new();
    let capacity = closed.run(world, ground, loads::mix(ground, CONNECTIONS)).await;
    books.close(ground).await;
    println!("capacity: {capacity:.0}/s");
    let mut measured = Measured::new();
    for round in 1..=rounds() {
        world.cluster.settle(ground.name).await;
        let books = Books::open(ground).await;
        let pace = Pace {
            port: ground.server.port,
            per_second: capacity * PART,
            time: Duration::from_secs(seconds()),
            connections: CONNECTIONS,
            late_max: None,
        };
        let (accepted, bills) = (Arc::clone(&ground.accepted), ground.bills_read);
        let check = move |answer: &[u8]| accepted.take(answer, bills);
        let paced =
            measured.spend(&world.cluster, ground, at_pace(pace, loads::next_of_mix(ground), check)).await;
        assert_eq!(paced.overloaded.answered, 0, "nothing is refused at {PART} of capacity");
        let rate = measured.take(&paced.done);
        let p99 = paced.done.latencies.quantile(0.99);
        println!(
            "round {round}: {rate:.0}/s of {:.0}/s, p99 {:.1} ms",
            pace.per_second,
            p99.as_secs_f64() * 1e3
        );
        books.close(ground).await;
    }
    let (p99, memory) = (measured.p99(), measured.memory());
    let of_memory = Row { memory: Some(memory), ..Row::new("memory under the mixed load") };
    vec![
        closed.row("mixed (70 % reads, 20 % checkouts, 10 % recharges), 256 connections: capacity"),
        measured
            .row("mixed, at 60 % of capacity, from the intended start")
            .held("p99 under 25 ms", p99 < P99_MAX),
        of_memory.held("under 150 MB", memory < MEMORY_MAX),
    ]
}
