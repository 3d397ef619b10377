//! What clients ask for, in a closed loop.

use std::sync::Arc;

use super::books::Accepted;
use super::ground::Ground;
use super::support::purchases::{checkout, number, recharge};
use super::support::usage_events::{EVENTS, Way, send, service_token};
use super::support::{Load, load, order_tree, scatter};

fn pick(all: &[String], random: u64) -> &str {
    &all[(random % all.len() as u64) as usize]
}

fn check(ground: &Ground) -> impl Fn(&[u8]) + Send + Sync + use<> {
    let (accepted, bills) = (Arc::clone(&ground.accepted), ground.bills_read);
    move |answer: &[u8]| accepted.require(answer, bills)
}

/// Purchases of accounts at random.
pub fn next_checkout(ground: &Ground) -> impl Fn(usize, u64) -> Vec<u8> + Send + Sync + use<> {
    let tokens = Arc::clone(&ground.tokens);
    move |_, _| checkout(pick(&tokens, scatter(number())))
}

pub async fn checkouts(ground: &Ground, connections: usize) -> Load {
    load(ground.server.port, connections, next_checkout(ground), check(ground)).await
}

pub async fn recharges(ground: &Ground, connections: usize) -> Load {
    let (operator, first, count) =
        (ground.operator.clone(), ground.customers.start, ground.tokens.len() as u64);
    let next = move |_, _| recharge(&operator, first + scatter(number()) % count);
    load(ground.server.port, connections, next, check(ground)).await
}

/// Accounts at random with their orders and bills, read by an operator.
pub async fn reads(ground: &Ground, connections: usize) -> Load {
    let (operator, first, count) =
        (ground.operator.clone(), ground.trees.start, ground.tree_tokens.len() as u64);
    let next = move |_, _| order_tree::request(&operator, first + scatter(number()) % count);
    load(ground.server.port, connections, next, check(ground)).await
}

/// Of ten requests seven read, by customers, two buy and one recharges.
pub fn next_of_mix(ground: &Ground) -> impl Fn(usize, u64) -> Vec<u8> + Send + Sync + use<> {
    let (tokens, first_customer) = (Arc::clone(&ground.tokens), ground.customers.start);
    let (tree_tokens, first_tree) = (Arc::clone(&ground.tree_tokens), ground.trees.start);
    let operator = ground.operator.clone();
    move |_, _| {
        let random = scatter(number());
        let which = random >> 8;
        match random % 10 {
            0..7 => {
                let tree = which % tree_tokens.len() as u64;
                order_tree::request(&tree_tokens[tree as usize], first_tree + tree)
            }
            7..9 => checkout(pick(&tokens, which)),
            _ => recharge(&operator, first_customer + which % tokens.len() as u64),
        }
    }
}

pub async fn mix(ground: &Ground, connections: usize) -> Load {
    load(ground.server.port, connections, next_of_mix(ground), check(ground)).await
}

/// Purchases of one account that nobody has bought for before; says which.
pub async fn hot(ground: &Ground, connections: usize) -> (Load, u64) {
    let account = ground.next_hot();
    let token = super::support::purchases::customer_tokens(account..account + 1)[0].clone();
    let next = move |_, _| checkout(&token);
    (load(ground.server.port, connections, next, check(ground)).await, account)
}

/// Usage as NDJSON, 1,000 events a request.
pub async fn usage(ground: &Ground) -> Load {
    let load = send(ground.server.port, &service_token(), Way::Ndjson).await;
    let events = load.answered * EVENTS;
    let accepted: &Accepted = &ground.accepted;
    accepted.events.fetch_add(events, std::sync::atomic::Ordering::Relaxed);
    load
}
