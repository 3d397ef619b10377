//! What the benchmarks share: a cluster with fsync on, the server as a process of its own, pgbench, and a client that
//! costs little, for all of them share the machine's cores.
#![allow(dead_code, unused_imports)]

pub mod by_hand;
mod cluster;
mod http_client;
mod load;
pub mod order_tree;
mod processes;
pub mod purchases;
mod server_process;
pub mod usage_events;

use std::path::{Path, PathBuf};

use abacus::clock::wall;
use abacus::domain::viewer::Role;
use abacus::http::token::TokenKey;

pub use cluster::Cluster;
pub use http_client::{HttpClient, find};
pub use load::{Latencies, Load, Recorder, load};
pub use processes::{memory_high, memory_now};
pub use server_process::{ServerProcess, free_port, until_it_listens};

pub const SECRET: &str = "the benchmarks' own secret, 32 bytes and more";

/// Seconds of one measurement; ABACUS_BENCH_SECONDS changes it.
pub fn seconds() -> u64 {
    std::env::var("ABACUS_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

/// How often the measurements are interleaved; ABACUS_BENCH_ROUNDS changes it.
pub fn rounds() -> usize {
    std::env::var("ABACUS_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn customer_token(key: &TokenKey, namespace: &str) -> String {
    key.issue(namespace, Role::Customer, Some(namespace), wall(), 36_000).expect("a token")
}

pub fn operator_token() -> String {
    token_key().issue("bench", Role::Operator, None, wall(), 36_000).expect("a token")
}

pub fn token_key() -> TokenKey {
    TokenKey::new(SECRET.as_bytes()).expect("a key")
}

/// A small generator of random numbers: the benchmarks need no better.
pub fn scatter(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub fn write_script(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("a script is written");
    path
}
