//! The suite: every figure that the server is held to, on one cluster in one run, each next to its reference. docs/BENCHMARKS.md
//! tells what it runs and what its table means. Names of scenarios as arguments choose some of them.
#![allow(
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic
)]

mod books;
mod ground;
mod large;
mod loads;
mod measured;
mod mixed;
mod open_loop;
mod overload;
mod postgraphile;
mod scenarios;
mod sowing;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::process::ExitCode;

use ground::{Ground, Size, World};
use support::Cluster;
use table::{Row, Table};

/// In the order in which they are run: what leaves much behind comes last.
const SCENARIOS: [&str; 10] =
    ["checkout", "latency", "recharge", "mixed", "read", "postgraphile", "hot", "overload", "usage", "large"];

/// What the arguments name, or all. cargo adds options of its own.
fn chosen() -> Result<Vec<&'static str>, String> {
    let names: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let Some(name) = names.iter().find(|name| !SCENARIOS.contains(&name.as_str())) {
        return Err(format!("there is no scenario {name}: {}", SCENARIOS.join(", ")));
    }
    Ok(SCENARIOS.into_iter().filter(|name| names.is_empty() || names.iter().any(|n| n == name)).collect())
}

async fn run(name: &str, world: &World) -> Vec<Row> {
    match name {
        "checkout" => scenarios::checkout(world).await,
        "latency" => scenarios::latency(world).await,
        "recharge" => scenarios::recharge(world).await,
        "mixed" => mixed::run(world).await,
        "read" => scenarios::read(world).await,
        "postgraphile" => postgraphile::run(world).await,
        "hot" => scenarios::hot(world).await,
        "overload" => overload::run(world).await,
        "usage" => scenarios::usage(world).await,
        _ => large::run(world).await,
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let chosen = match chosen() {
        Ok(chosen) => chosen,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let cluster = Cluster::start().await;
    cluster.tpcb("pgbench").await;
    let ground = Ground::sow(&cluster, "abacus", Size::OF_THE_SUITE).await;
    let world = World::new(cluster, ground).await;
    let mut rows = Vec::new();
    for name in chosen {
        println!("\n{name}");
        rows.extend(run(name, &world).await);
    }
    books::whole(&world.ground).await;
    let table = Table::new(rows, world.version().await);
    println!("\n{table}");
    table.write_if_wanted();
    world.stop().await;
    ExitCode::SUCCESS
}
