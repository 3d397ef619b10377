//! The same loads on 10,000,000 orders and on 10,000, in turns. Only with ABACUS_SUITE_LARGE=1.

use super::books::{Books, health, whole};
use super::ground::{Ground, Size, World};
use super::loads;
use super::measured::Measured;
use super::scenarios::{READ_CONNECTIONS, tell};
use super::support::usage_events::EVENTS;
use super::support::{Load, median, rounds};
use super::table::{Bar, Row};

const CUSTOMERS: u64 = 100_000;
const FIRST_CUSTOMER: u64 = 1_000_000;
const FEW: u64 = 10_000;
/// Orders of an account with few: as many as are read.
const OF_EACH: u64 = 10;

/// How many orders there are; ABACUS_SUITE_ORDERS changes it.
fn many() -> u64 {
    std::env::var("ABACUS_SUITE_ORDERS").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000_000)
}

/// Customers of whom the first have so many orders of one bill each.
fn size(orders: u64, accounts: u64) -> Size {
    Size {
        customers: FIRST_CUSTOMER..FIRST_CUSTOMER + CUSTOMERS,
        trees: FIRST_CUSTOMER..FIRST_CUSTOMER + accounts,
        orders_of_each: (orders / accounts).max(OF_EACH),
        bills_of_each: 1,
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Reads,
    Mix,
    Recharges,
    Checkouts,
    OneCheckout,
    Hot,
    Usage,
}

const KINDS: [(Kind, &str); 7] = [
    (Kind::Reads, "account → 10 orders → a bill, 128 connections"),
    (Kind::Mix, "mixed, 256 connections"),
    (Kind::Recharges, "recharge, 256 connections"),
    (Kind::Checkouts, "checkout, 256 connections"),
    (Kind::OneCheckout, "checkout, 1 connection"),
    (Kind::Hot, "a hot account, 64 connections"),
    (Kind::Usage, "usage events as NDJSON"),
];

/// A load; of a hot account, which one that was.
async fn load(kind: Kind, ground: &Ground) -> (Load, Option<u64>) {
    let load = match kind {
        Kind::Reads => loads::reads(ground, READ_CONNECTIONS).await,
        Kind::Mix => loads::mix(ground, 256).await,
        Kind::Recharges => loads::recharges(ground, 256).await,
        Kind::Checkouts => loads::checkouts(ground, 256).await,
        Kind::OneCheckout => loads::checkouts(ground, 1).await,
        Kind::Usage => loads::usage(ground).await,
        Kind::Hot => {
            let (load, account) = loads::hot(ground, 64).await;
            return (load, Some(account));
        }
    };
    (load, None)
}

fn measured(kind: Kind) -> Measured {
    if matches!(kind, Kind::Usage) { Measured::of_requests_of(EVENTS) } else { Measured::new() }
}

/// Once before the rounds of a kind, and not before each: what is measured is how it goes on, and not how pages are written whole for the
/// first time after a checkpoint, of which the larger one has more.
async fn begin(world: &World, ground: &Ground, kind: Kind) {
    world.cluster.settle(ground.name).await;
    one(world, ground, kind, &mut measured(kind)).await;
}

async fn one(world: &World, ground: &Ground, kind: Kind, measured: &mut Measured) -> f64 {
    let books = Books::open(ground).await;
    let (load, hot) = measured.spend(&world.cluster, ground, load(kind, ground)).await;
    books.close(ground).await;
    if hot.is_some() {
        health(ground, hot).await;
    }
    measured.take(&load)
}

pub async fn run(world: &World) -> Vec<Row> {
    if std::env::var_os("ABACUS_SUITE_LARGE").is_none_or(|wanted| wanted != "1") {
        println!("passed over: ABACUS_SUITE_LARGE is not 1");
        return Vec::new();
    }
    let many = many();
    let large = Ground::sow(&world.cluster, "large", size(many, CUSTOMERS.min(many / OF_EACH))).await;
    let small = Ground::sow(&world.cluster, "small", size(FEW, FEW / OF_EACH)).await;
    let mut rows = Vec::new();
    for (kind, name) in KINDS {
        let (mut of_few, mut of_many, mut ratios) = (measured(kind), measured(kind), Vec::new());
        begin(world, &small, kind).await;
        begin(world, &large, kind).await;
        for round in 1..=rounds() {
            let few = one(world, &small, kind, &mut of_few).await;
            let rate = one(world, &large, kind, &mut of_many).await;
            tell(round, name, rate, few);
            ratios.push(rate / few);
        }
        let row = of_many.row(&format!("{many} orders: {name}, to 10,000"));
        rows.push(row.held_to(median(ratios), Bar::AtLeast(0.8)));
    }
    whole(&small).await;
    rows
}
