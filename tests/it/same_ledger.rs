//! The engine on PostgreSQL comes to the same ledger, row by row, as decisions on a book alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use abacus::clock::Clock;
use abacus::domain::bill::Bill;
use abacus::domain::command::Command;
use abacus::domain::idempotency::Attempt;
use abacus::domain::ledger::Entry;
use abacus::domain::money::Currencies;
use abacus::domain::order::Order;
use abacus::domain::outcome::Done;
use abacus::domain::prepay::Prepayment;
use abacus::domain::refusal::Refusal;
use abacus::domain::transaction::Transaction;
use abacus::domain::viewer::{Role, Viewer};
use abacus::engine::{Engine, EngineConfig, EngineError, Patience, Priority};
use abacus::store::access::{Repository, Store};
use abacus::store::capacity::NewResourcePrices;
use abacus::store::cells::Cells;
use abacus::store::database::Database;
use abacus::store::plans::NewPlan;
use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};
use rust_decimal::Decimal;

use crate::support::cluster;
use crate::support::sequences::{
    Event, Expected, Run, Step, Tenant, What, account, begin, discounts, market, prices, steps, tenant,
    trials,
};
use crate::support::server::pretend_shards;

type Checked = Result<(), TestCaseError>;

/// An engine on a database, and what reads it back.
struct Bench {
    engine: Engine,
    clock: Clock,
    repository: Repository,
}

impl Bench {
    async fn start() -> Self {
        let database = Database::new(&cluster::database().await, 4).unwrap();
        pretend_shards(&database);
        let clock = Clock::standing_at(begin());
        // One after the other: no caller has given another server up.
        let patience = Patience { elsewhere_after: Duration::from_secs(3_600), ..Patience::default() };
        let config = EngineConfig { patience, ..EngineConfig::default() };
        let cells = Cells::one(database);
        let engine = Engine::start(&config, &cells, &Arc::new(Currencies::default()), &clock);
        let viewer = Viewer { subject: "test".to_owned(), role: Role::Operator, account: None };
        let repository = Repository::new(Store::new(cells), Arc::new(viewer));
        for plan in market() {
            let (id, retired) = (plan.id, plan.retired_at);
            let plan = NewPlan { plan, resources: Vec::new() };
            repository.plan_create(plan, Attempt::by_itself(begin())).await.expect("a plan");
            if let Some(at) = retired {
                repository.plan_retire(id, at).await.expect("a plan").expect("a plan");
            }
        }
        repository
            .resource_price_insert(NewResourcePrices(prices()), Attempt::by_itself(begin()))
            .await
            .expect("prices");
        repository.term_discount_replace(discounts()).await.expect("discounts");
        Self { engine, clock, repository }
    }

    /// A run on a new account of the database.
    async fn open(&self, tenant: &Tenant) -> Run {
        let mut new = account(0, tenant);
        new.namespace = uuid::Uuid::new_v4().to_string();
        Run::new(self.repository.account_create(new, Attempt::by_itself(begin())).await.expect("an account"))
    }

    /// What became of a command; a fault is none of the outcomes that a decision has.
    async fn submit(&self, command: Command) -> Result<Result<Done, Refusal>, TestCaseError> {
        match self.engine.submit(command, Priority::Interactive).await {
            Ok(done) => Ok(Ok(done)),
            Err(EngineError::Refused(refusal)) => Ok(Err(refusal)),
            Err(error) => Err(TestCaseError::fail(error.to_string())),
        }
    }

    /// All that the database holds of an account is what the book holds.
    async fn compare(&self, run: &Run) -> Checked {
        let (id, book) = (run.book.account.id, &run.book);
        let held = self.repository.account(id).await.unwrap().expect("the account");
        prop_assert_eq!(&*held, &book.account);
        let all = (id, i64::from(i32::MAX));
        let entries =
            self.repository.newest::<Entry>(vec![all]).await.unwrap().remove(&all).unwrap_or_default();
        let entries: Vec<_> = entries.iter().rev().map(|entry| (**entry).clone()).collect();
        prop_assert_eq!(&entries, &book.gained.entries);
        let read = self.repository.newest::<Transaction>(vec![all]).await.unwrap().remove(&all);
        prop_assert_eq!(
            by_number(&read.unwrap_or_default(), |t| t.id.0.number()),
            by_number(&book.gained.transactions.new, |t| t.id.0.number())
        );
        let read = self.repository.newest::<Order>(vec![all]).await.unwrap().remove(&all);
        prop_assert_eq!(
            by_number(&read.unwrap_or_default(), |o| o.id.0.number()),
            by_number(&book.gained.orders.new, |o| o.id.0.number())
        );
        let read = self.repository.newest::<Bill>(vec![all]).await.unwrap().remove(&all);
        prop_assert_eq!(
            by_number(&read.unwrap_or_default(), |b| b.id.0.number()),
            by_number(&book.gained.bills.new, |b| b.id.0.number())
        );
        let read =
            self.repository.newest::<Prepayment>(vec![all]).await.unwrap().remove(&all).unwrap_or_default();
        let held: Vec<_> = book.prepayments.values().rev().cloned().collect();
        prop_assert_eq!(&read[..], &held[..]);
        let ids: Vec<_> = book.payments.keys().copied().collect();
        let read: BTreeMap<_, _> = self.repository.payments(&ids).await.unwrap().into_iter().collect();
        prop_assert_eq!(&read, &book.payments);
        let open = self.repository.notices(vec![id]).await.unwrap().remove(&id).unwrap_or_default();
        let mut newest: Vec<_> = book.gained.notices.iter().collect();
        newest.sort_by_key(|notice| std::cmp::Reverse(notice.id));
        newest.truncate(open.len().max(1));
        prop_assert_eq!(open.iter().collect::<Vec<_>>(), newest);
        for answer in book.answers.values() {
            let read = self.repository.answer(id, answer.key.clone()).await.unwrap();
            prop_assert_eq!(read.as_ref(), Some(answer));
        }
        let health = self.repository.ledger_health(Some(id), run.now).await.unwrap();
        prop_assert_eq!(health.faults.len(), 0, "{:?}", health.faults);
        prop_assert_eq!(i64::from(health.entries_checked), book.account.head.seq);
        Ok(())
    }
}

fn by_number<T: Clone>(rows: &[Arc<T>], number: impl Fn(&T) -> i64) -> Vec<T> {
    let mut rows: Vec<T> = rows.iter().map(|row| (**row).clone()).collect();
    rows.sort_by_key(|row| number(row));
    rows
}

fn same_outcome(expected: &Result<Done, Refusal>, actual: &Result<Done, Refusal>) -> Checked {
    match (expected, actual) {
        (Ok(Done::Executed(expected)), Ok(Done::Executed(actual))) => prop_assert_eq!(expected, actual),
        (Ok(Done::Replayed(expected)), Ok(Done::Replayed(actual))) => prop_assert_eq!(expected, actual),
        (Err(expected), Err(actual)) => prop_assert_eq!(expected, actual),
        _ => prop_assert!(false, "expected {expected:?}, got {actual:?}"),
    }
    Ok(())
}

/// Tries a property on one engine, with new accounts for each case.
fn tried<S, F>(cases: ProptestConfig, strategy: S, property: F)
where
    S: Strategy,
    F: AsyncFn(&Bench, S::Value) -> Checked,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bench = runtime.block_on(Bench::start());
    let cases = ProptestConfig { max_shrink_iters: 200, ..cases };
    let tried = TestRunner::new(cases).run(&strategy, |value| runtime.block_on(property(&bench, value)));
    if let Err(error) = tried {
        panic!("{error}");
    }
    runtime.block_on(bench.engine.stop());
}

#[test]
fn one_command_at_a_time_comes_to_the_same_ledger() {
    tried(trials(24, 500), (tenant(), steps(30)), async |bench, (tenant, steps)| {
        let mut run = bench.open(&tenant).await;
        for step in &steps {
            run.pass(step.seconds);
            bench.clock.set(run.now);
            let Some(deed) = run.deed(&step.event) else { continue };
            // What is tried out beside the lanes is told what the lane's decision would be.
            let tried = Command { dry_run: true, ..deed.clone() };
            let foretold = run.foretold(&tried);
            same_outcome(&foretold, &bench.submit(tried).await?)?;
            let expected = run.carry_out(&deed).outcome.clone();
            same_outcome(&expected, &bench.submit(deed).await?)?;
        }
        bench.compare(&run).await
    });
}

#[test]
fn batches_of_several_accounts_come_to_the_same_ledgers() {
    let tenants = proptest::collection::vec((tenant(), steps(40)), 2..6);
    tried(trials(24, 500), (tenants, 1usize..12), async |bench, (tenants, together)| {
        let mut runs = Vec::new();
        for (tenant, steps) in &tenants {
            runs.push((bench.open(tenant).await, steps.chunks(together)));
        }
        let mut now = begin();
        loop {
            let rounds: Vec<Option<&[Step]>> = runs.iter_mut().map(|(_, chunks)| chunks.next()).collect();
            let Some(first) = rounds.iter().flatten().next() else { break };
            now += chrono::TimeDelta::seconds(first[0].seconds);
            bench.clock.set(now);
            let mut asked = Vec::new();
            for ((run, _), round) in runs.iter_mut().zip(rounds) {
                run.now = now;
                asked.extend(one_round(run, round.unwrap_or_default()));
            }
            let submitted = asked.iter().map(|(command, _)| bench.submit(command.clone()));
            for (actual, (_, expected)) in join_all(submitted).await.iter().zip(&asked) {
                same_outcome(expected, actual.as_ref().map_err(Clone::clone)?)?;
            }
        }
        for (run, _) in &runs {
            bench.compare(run).await?;
        }
        Ok(())
    });
}

/// What is bought and changed at once is written as it is after both: a lane that is busy takes them together.
#[test]
fn a_purchase_that_is_changed_in_its_own_batch_counts_as_given_back() {
    let ask = |key, what| Step { seconds: 1, event: Event::Ask { key, dry_run: false, what } };
    let buy = move |key, plan| {
        let what = What::Checkout {
            plan,
            region: Some("cn-north-1"),
            quantity: 1,
            expected: Expected::Nothing,
            auto_renewal: false,
            instalments: None,
            pay_later: false,
        };
        ask(key, what)
    };
    tried(ProptestConfig::with_cases(8), (tenant(), tenant()), async |bench, (first, second)| {
        let (mut other, mut run) = (bench.open(&first).await, bench.open(&second).await);
        let busy = one_round(&mut other, &[ask(0, What::Recharge { units: 1, places: 2 })]);
        let rich = one_round(&mut run, &[ask(0, What::Recharge { units: 100_000, places: 2 })]);
        let changed = one_round(&mut run, &[buy(1, 2), buy(2, 3)]);
        prop_assert!(run.book.gained.bills.new.iter().any(|bill| bill.credited_amount > Decimal::ZERO));
        for round in [rich, busy.into_iter().chain(changed).collect()] {
            let submitted = round.iter().map(|(command, _)| bench.submit(command.clone()));
            for (actual, (_, expected)) in join_all(submitted).await.iter().zip(&round) {
                same_outcome(expected, actual.as_ref().map_err(Clone::clone)?)?;
            }
        }
        bench.compare(&run).await
    });
}

/// Carries a round out on the book, and answers the commands with their outcomes; what is only tried out is in no batch, and has
/// no place among those that are asked for at the same time.
fn one_round(run: &mut Run, round: &[Step]) -> Vec<(Command, Result<Done, Refusal>)> {
    let mut asked = Vec::new();
    for step in round {
        let Some(command) = run.deed(&step.event).filter(|command| !command.dry_run) else { continue };
        let outcome = run.carry_out(&command).outcome.clone();
        asked.push((command, outcome));
    }
    asked
}

/// What somebody with the database's password might do.
const ALTERATIONS: [&str; 16] = [
    "UPDATE ledger_entries SET amount = amount + 0.01, \"end\" = \"end\" - 0.01 WHERE seq = 2",
    "UPDATE ledger_entries SET reason = 'nothing to see' WHERE seq = 2",
    "UPDATE ledger_entries SET time = time + interval '1 microsecond' WHERE seq = 4",
    "UPDATE ledger_entries SET seq = seq + 1 WHERE seq = 4",
    "UPDATE ledger_entries SET currency = 'USD' WHERE seq = 3",
    "UPDATE ledger_entries SET resource_amount = 1 WHERE seq = 1",
    "UPDATE ledger_entries SET hash = sha256('x') WHERE seq = 4",
    "DELETE FROM ledger_entries WHERE seq = 1",
    "DELETE FROM ledger_entries WHERE seq = 4",
    "DELETE FROM ledger_entries",
    "DELETE FROM transactions WHERE kind = 'CHECKOUT'",
    "UPDATE transactions SET amount = amount + 1 WHERE kind = 'CHECKOUT'",
    "UPDATE transactions SET debit_ledger = 'promotions' WHERE kind = 'CHECKOUT'",
    "UPDATE accounts SET balance = balance + 1",
    "UPDATE accounts SET last_entry_hash = sha256('x')",
    "UPDATE accounts SET last_entry_seq = 3",
];

#[tokio::test]
async fn the_health_check_finds_whatever_is_altered_in_the_database() {
    use crate::support::TestServer;
    use serde_json::json;
    let server = TestServer::start().await;
    server.account("chaizs", "100").await;
    let plan = server.plan("Plan C", "88.88").await;
    let customer = server.customer("chaizs");
    for key in ["1", "2"] {
        let input = json!({ "amount": "50", "idempotencyKey": key });
        customer.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    }
    customer.checkout(&plan, "3").await;
    assert_eq!(server.assert_ledger_is_healthy().await, 4);

    let sql = server.sql().await;
    const TABLES: [&str; 3] = ["accounts", "transactions", "ledger_entries"];
    for table in TABLES {
        sql.batch_execute(&format!("CREATE TABLE kept_{table} AS TABLE {table}")).await.unwrap();
    }
    let query = "{ ledgerHealth { ok imbalance faults { kind } } }";
    for alteration in ALTERATIONS {
        // As it is, the database itself refuses to change what was posted.
        let refused = sql.batch_execute(alteration).await.is_err();
        let harmless = alteration.contains("accounts") || alteration.contains("UPDATE transactions");
        assert!(refused || harmless, "{alteration}");
        let restored: String = TABLES
            .iter()
            .map(|table| format!("TRUNCATE {table}; INSERT INTO {table} SELECT * FROM kept_{table};"))
            .collect();
        let unguarded = "SET session_replication_role = replica;";
        sql.batch_execute(&format!("{unguarded} {restored}")).await.unwrap();
        assert_eq!(server.operator().data(query).await["ledgerHealth"]["ok"], true, "before {alteration}");
        sql.batch_execute(alteration).await.unwrap();
        let health = server.operator().data(query).await["ledgerHealth"].clone();
        assert_eq!(health["ok"], false, "{alteration}: {health}");
        sql.batch_execute(&format!("{restored} RESET session_replication_role")).await.unwrap();
    }
    assert_eq!(server.assert_ledger_is_healthy().await, 4);
}
