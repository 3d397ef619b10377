//! Orders that are there before anything is measured, bought through the engine: their ledger is whole.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use abacus::clock::Clock;
use abacus::domain::command::Command;
use abacus::domain::decide::{Action, Checkout};
use abacus::domain::ids::{AccountId, PlanId};
use abacus::domain::money::Currencies;
use abacus::engine::{Engine, EngineConfig, Priority};
use abacus::store::cells::Cells;
use abacus::store::database::Database;
use futures_util::{StreamExt, stream};

use super::support::purchases::PLAN;

const AT_ONCE: usize = 1_000;
/// What takes long says how far it has come.
const TOLD_EVERY: u64 = 1_000_000;

fn purchase(plan: PlanId, account: u64, number: u64, bills: usize) -> Command {
    let checkout = Checkout {
        plan,
        region: None,
        datacenter: None,
        quantity: 1,
        comment: None,
        instalments: Some(i32::try_from(bills).expect("a few")),
        auto_renewal: false,
        pay_later: false,
        expected_price: None,
    };
    Command {
        account: AccountId(i64::try_from(account).expect("an account's number")),
        key: Some(format!("sown-{number}")),
        dry_run: false,
        asked_by: None,
        action: Action::Checkout(checkout),
    }
}

/// Has each of the accounts buy so many orders of so many bills each, the first of which is paid.
pub async fn sow_orders(url: &str, accounts: Range<u64>, orders_of_each: u64, bills: usize) {
    let (clock, database) = (Clock::system(), Database::new(url, 4).expect("an address"));
    let currencies = Arc::new(Currencies::default());
    let engine = Engine::start(&EngineConfig::default(), &Cells::one(database), &currencies, &clock);
    let plan = PlanId::parse(&format!("pln_{PLAN}")).expect("a plan's id");
    // Each account in turn, so that a batch has few of the same.
    let all = (0..orders_of_each).flat_map(|number| accounts.clone().map(move |account| (account, number)));
    let purchases = all.map(|(account, number)| {
        engine.submit(purchase(plan, account, number, bills), Priority::Interactive)
    });
    let (begin, mut done) = (Instant::now(), 0_u64);
    let mut outcomes = stream::iter(purchases).buffer_unordered(AT_ONCE);
    while let Some(outcome) = outcomes.next().await {
        outcome.expect("it is carried out");
        done += 1;
        if done.is_multiple_of(TOLD_EVERY) {
            println!("{done} orders are sown, {:.0} s", begin.elapsed().as_secs_f64());
        }
    }
    drop(outcomes);
    engine.stop().await;
    println!("{done} orders of {bills} bills each were sown in {:.0} s", begin.elapsed().as_secs_f64());
}
