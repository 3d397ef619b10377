//! The database goes away, comes back, refuses, or is held by others. The trials in faults/ have players of a model ask for
//! everything that moves money meanwhile; docs/RELIABILITY.md tells what was seen.

mod backups;
mod failover;
mod idle_connections;
mod kills;
mod network;
mod slow_reads;
pub mod trial;
mod wal_disk;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use abacus::domain::command::Command;
use abacus::domain::decide::{Action, Recharge};
use abacus::domain::ids::AccountId;
use abacus::engine::{EngineConfig, EngineError, Priority};
use abacus::store::cells::Cells;
use abacus::store::database::{Connection, Database};
use abacus::store::error::StoreError;
use abacus::store::places::Placed;
use abacus::store::shared_loader::{BATCH_KEYS_MAX, Found, SharedLoader};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use reqwest::StatusCode;
use rust_decimal::Decimal;
use serde_json::json;
use tokio::sync::{Notify, Semaphore};

use crate::support::cluster::{self, connect};
use crate::support::process::eventually;
use crate::support::proxy::{CommitCut, Proxy, Way};
use crate::support::sequences::in_full;
use crate::support::{Client, TestServer};

/// A server that reaches its database through a proxy, and the way past it.
async fn behind_a_proxy() -> (Proxy, TestServer, String) {
    let direct = cluster::database().await;
    let proxy = Proxy::before(&direct).await;
    let server = TestServer::on(proxy.url.clone(), |_| {}).await;
    (proxy, server, direct)
}

async fn balance(client: &Client, account: &str) -> String {
    let query = format!(r#"{{ account(id: "{account}") {{ balance {{ amount }} }} }}"#);
    client.data(&query).await["account"]["balance"]["amount"].as_str().unwrap().to_owned()
}

fn recharge(account: &str, key: &str, amount: &str) -> serde_json::Value {
    json!({ "accountId": account, "amount": amount, "idempotencyKey": key })
}

fn number(account: &str) -> AccountId {
    AccountId::parse(account).unwrap()
}

fn command(account: &str, key: &str, cents: i64) -> Command {
    let recharge =
        Recharge { amount: Decimal::new(cents, 2), payment_method: "sandbox".to_owned(), reason: None };
    let action = Action::Recharge(recharge);
    Command { key: Some(key.to_owned()), ..Command::by_itself(number(account), action) }
}

async fn status(client: &Client, path: &str) -> StatusCode {
    client.request(reqwest::Method::GET, path).send().await.expect("an answer").status()
}

async fn lost_commits_are_done_once(cut: CommitCut) {
    let (proxy, server, direct) = behind_a_proxy().await;
    let account = server.account("chaizs", "0").await;
    let operator = server.operator();
    let rounds = if in_full() { 100 } else { 12 };
    for round in 1..=rounds {
        proxy.cut_commits(1, cut);
        // Several at once, of which some share the batch whose commit is lost.
        let asked = (0..4).map(|number| {
            let input = recharge(&account, &format!("{round}-{number}"), "1.00");
            operator.mutate("recharge", "RechargeInput", input, "transaction { balanceAfter }")
        });
        join_all(asked).await;
        assert_eq!(proxy.commits_cut(), round, "a commit was cut");
    }
    assert_eq!(balance(&operator, &account).await, format!("{}.00", rounds * 4));
    let sql = connect(&direct).await;
    let row = sql.query_one("SELECT count(*) FROM ledger_entries", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), i64::try_from(rounds * 4).unwrap());
    server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn commands_whose_commit_never_arrives_are_done_once() {
    lost_commits_are_done_once(CommitCut::Before).await;
}

#[tokio::test]
async fn commands_whose_commit_is_never_answered_are_done_once() {
    lost_commits_are_done_once(CommitCut::After).await;
}

#[tokio::test]
async fn without_its_database_a_server_says_so_and_goes_on_when_it_is_back() {
    let (proxy, server, _) = behind_a_proxy().await;
    let account = server.account("chaizs", "5").await;
    let operator = server.operator();
    assert_eq!(status(&operator, "/readyz").await, StatusCode::OK);

    proxy.set(Way::Closed);
    let begin = Instant::now();
    let input = recharge(&account, "while it is away", "1.00");
    let (mutated, read, ready) = tokio::join!(
        operator.try_mutate("recharge", "RechargeInput", input.clone(), "transaction { id }"),
        operator.answer("{ accounts(first: 1) { nodes { id } } }"),
        status(&operator, "/readyz"),
    );
    assert_eq!(mutated.1["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{:#}", mutated.1);
    assert_eq!(read["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{read:#}");
    assert_eq!(ready, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status(&operator, "/healthz").await, StatusCode::OK);
    assert!(begin.elapsed() < Duration::from_secs(30), "told after {:?}", begin.elapsed());
    let customers = server.customer("chaizs").post("{ account { id } }", json!({})).await;
    assert_eq!(customers.0, StatusCode::SERVICE_UNAVAILABLE, "{:#}", customers.1);

    proxy.set(Way::Open);
    eventually("ready again", 15, async || {
        (status(&operator, "/readyz").await == StatusCode::OK).then_some(())
    })
    .await;
    operator.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    assert_eq!(balance(&operator, &account).await, "6.00");
    server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_short_outage_is_not_noticed_by_those_who_wait() {
    let (proxy, server, _) = behind_a_proxy().await;
    let account = server.account("chaizs", "0").await;
    for round in 0..5 {
        let submitted = server
            .server
            .app
            .engine
            .submit(command(&account, &format!("{round}"), 100), Priority::Interactive);
        proxy.set(Way::Closed);
        let opening = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            proxy.set(Way::Open);
        };
        let (outcome, ()) = tokio::join!(submitted, opening);
        outcome.expect("it is tried again");
    }
    eventually("the balance", 15, async || {
        let sql = server.sql().await;
        let row = sql.query_one("SELECT balance::text FROM accounts", &[]).await.unwrap();
        (row.get::<_, String>(0).parse::<Decimal>().unwrap() == Decimal::from(5)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_database_that_says_nothing_at_all_is_given_up_and_found_again() {
    if !in_full() {
        println!("takes more than a minute: ABACUS_TEST_FULL=1");
        return;
    }
    let (proxy, server, _) = behind_a_proxy().await;
    let account = server.account("chaizs", "0").await;
    proxy.set(Way::Stalled);
    let begin = Instant::now();
    let outcome =
        server.server.app.engine.submit(command(&account, "stalled", 100), Priority::Interactive).await;
    assert!(matches!(outcome, Err(EngineError::Unavailable(_) | EngineError::Unknown)), "{outcome:?}");
    assert!(begin.elapsed() < Duration::from_secs(75));
    proxy.set(Way::Open);
    let done = eventually("done", 90, async || {
        server.server.app.engine.submit(command(&account, "stalled", 100), Priority::Interactive).await.ok()
    })
    .await;
    drop(done);
    assert_eq!(server.assert_ledger_is_healthy().await, 1);
}

async fn end_other_sessions(sql: &tokio_postgres::Client) {
    let query = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sql.query(query, &[]).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_read_only_is_unavailable_until_it_can_be_written_again() {
    let server = TestServer::start().await;
    let account = server.account("chaizs", "5").await;
    let operator = server.operator();
    let sql = server.sql().await;
    let name: String = sql.query_one("SELECT current_database()", &[]).await.unwrap().get(0);
    sql.batch_execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"))
        .await
        .unwrap();
    end_other_sessions(&sql).await;

    let input = recharge(&account, "while it is read-only", "1.00");
    let (_, answer) =
        operator.try_mutate("recharge", "RechargeInput", input.clone(), "transaction { id }").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer:#}");
    let new = json!({ "namespace": "new", "name": "new", "currency": "CNY" });
    let (_, answer) =
        operator.try_mutate("createAccount", "CreateAccountInput", new.clone(), "account { id }").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer:#}");
    assert_eq!(status(&operator, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status(&operator, "/healthz").await, StatusCode::OK);
    assert_eq!(balance(&operator, &account).await, "5.00", "it can still be read");

    sql.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    sql.batch_execute(&format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await.unwrap();
    operator.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    eventually("ready again", 20, async || {
        (status(&operator, "/readyz").await == StatusCode::OK).then_some(())
    })
    .await;
    operator.mutate("createAccount", "CreateAccountInput", new, "account { id }").await;
    server.assert_ledger_is_healthy().await;
}

/// Locks an account in a transaction of the test's own, which ends with the connection.
async fn hold(server: &TestServer, account: &str) -> tokio_postgres::Client {
    let holder = server.sql().await;
    let query = format!("BEGIN; SELECT FROM accounts WHERE id = {} FOR UPDATE", number(account).0);
    holder.batch_execute(&query).await.unwrap();
    holder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_lane_says_so_at_once_and_carries_out_what_it_took() {
    let server = TestServer::with(|config| {
        config.engine = EngineConfig { lanes: 1, queue_max: 1, batch_max: 1, ..EngineConfig::default() };
    })
    .await;
    let account = server.account("chaizs", "0").await;
    let holder = hold(&server, &account).await;
    let app = Arc::clone(&server.server.app);
    let overloaded = AtomicUsize::new(0);
    let ask = |index: usize| {
        let (app, asked) = (Arc::clone(&app), command(&account, &format!("{index}"), 100));
        let overloaded = &overloaded;
        async move {
            let begin = Instant::now();
            let outcome = app.engine.submit(asked, Priority::Interactive).await;
            if matches!(outcome, Err(EngineError::Overloaded)) {
                overloaded.fetch_add(1, Ordering::SeqCst);
                assert!(begin.elapsed() < Duration::from_secs(1), "told after {:?}", begin.elapsed());
            }
            outcome
        }
    };
    let releasing = async {
        eventually("some are told", 10, async || (overloaded.load(Ordering::SeqCst) > 0).then_some(())).await;
        holder.batch_execute("ROLLBACK").await.unwrap();
    };
    let (outcomes, ()) = tokio::join!(join_all((0..50).map(ask)), releasing);
    let done = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    let told = overloaded.load(Ordering::SeqCst);
    assert_eq!(done + told, 50, "{outcomes:?}");
    assert!(done > 0, "what was taken is done");
    assert_eq!(usize::try_from(server.assert_ledger_is_healthy().await).unwrap(), done);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_full_lane_would_turn_away_is_told_before_anything_is_carried_out() {
    let server = TestServer::with(|config| {
        config.engine = EngineConfig { lanes: 1, queue_max: 1, batch_max: 1, ..EngineConfig::default() };
    })
    .await;
    let account = server.account("chaizs", "0").await;
    let (customer, app) = (server.customer("chaizs"), Arc::clone(&server.server.app));
    let holder = server.sql().await;
    holder.batch_execute("BEGIN; LOCK TABLE transactions IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let submit = |key: &str| {
        let (app, command) = (Arc::clone(&app), command(&account, key, 100));
        tokio::spawn(async move { app.engine.submit(command, Priority::Interactive).await.map(drop) })
    };
    // One is carried out as far as the lock lets it, and one waits.
    let first = submit("first");
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    eventually("it is carried out", 10, async || {
        let waiting: i64 = holder.query_one(waits, &[]).await.unwrap().get(0);
        (waiting > 0).then_some(())
    })
    .await;
    assert!(!app.engine.turns_away(number(&account)), "one more has a place");
    let second = submit("second");
    eventually("it waits", 10, async || app.engine.turns_away(number(&account)).then_some(())).await;
    let input = json!({ "amount": "1.00", "idempotencyKey": "third" });
    let (status, answer) =
        customer.try_mutate("recharge", "RechargeInput", input.clone(), "transaction { id }").await;
    let error = &answer["errors"][0];
    assert_eq!(
        (status, &error["extensions"]["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("OVERLOADED"))
    );
    assert!(error.get("path").is_none(), "{answer:#}");
    assert_eq!(balance(&customer, &account).await, "0.00", "who reads is served");
    holder.batch_execute("ROLLBACK").await.unwrap();
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    customer.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    assert_eq!(balance(&customer, &account).await, "3.00");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_lane_is_overloaded_to_clients() {
    let server = TestServer::with(|config| {
        config.engine = EngineConfig { lanes: 1, queue_max: 1, batch_max: 1, ..EngineConfig::default() };
    })
    .await;
    let account = server.account("chaizs", "0").await;
    let holder = hold(&server, &account).await;
    let operator = server.operator();
    let answered = Notify::new();
    let asked = (0..20).map(|index| {
        let input = recharge(&account, &format!("{index}"), "1.00");
        let operator = operator.clone();
        let answered = &answered;
        async move {
            let (_, answer) =
                operator.try_mutate("recharge", "RechargeInput", input, "transaction { id }").await;
            answered.notify_one();
            answer
        }
    });
    // While the account is held, whoever is answered was turned away.
    let releasing = async {
        answered.notified().await;
        holder.batch_execute("ROLLBACK").await.unwrap();
    };
    let (answers, ()) = tokio::join!(join_all(asked), releasing);
    let codes: Vec<_> =
        answers.iter().map(|answer| answer["errors"][0]["extensions"]["code"].clone()).collect();
    assert!(codes.contains(&json!("OVERLOADED")), "{codes:?}");
    assert!(codes.iter().all(|code| code.is_null() || *code == "OVERLOADED"), "{codes:?}");
}

/// Has the lane of a held account busy with another account's commands, and answers what became of those, how long each
/// took, and what became of the held account's command. The account is held for so long.
async fn beside_a_held_account(
    held_for: Duration,
) -> (Vec<(Duration, Result<(), EngineError>)>, Result<(), EngineError>) {
    let server = TestServer::with(|config| {
        config.engine = EngineConfig { lanes: 1, ..EngineConfig::default() };
    })
    .await;
    let held = server.account("held", "0").await;
    let free = server.account("free", "0").await;
    let holder = hold(&server, &held).await;
    let app = Arc::clone(&server.server.app);
    let released = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let client = |client: usize| {
        let (app, free, released) = (Arc::clone(&app), free.clone(), Arc::clone(&released));
        tokio::spawn(async move {
            let mut outcomes = Vec::new();
            while !released.load(Ordering::SeqCst) {
                let begin = Instant::now();
                let asked = command(&free, &format!("{client}-{}", outcomes.len()), 100);
                let outcome = app.engine.submit(asked, Priority::Interactive).await.map(drop);
                outcomes.push((begin.elapsed(), outcome));
            }
            outcomes
        })
    };
    let clients: Vec<_> = (0..8).map(client).collect();
    let waiting = tokio::spawn({
        let (app, waits) = (Arc::clone(&app), command(&held, "waits", 100));
        async move { app.engine.submit(waits, Priority::Interactive).await.map(drop) }
    });
    tokio::time::sleep(held_for).await;
    released.store(true, Ordering::SeqCst);
    holder.batch_execute("ROLLBACK").await.unwrap();
    let mut outcomes = Vec::new();
    for client in clients {
        outcomes.extend(client.await.unwrap());
    }
    let waited = waiting.await.unwrap();
    server.assert_ledger_is_healthy().await;
    (outcomes, waited)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_held_elsewhere_does_not_stall_others_of_its_lane() {
    let (outcomes, waited) = beside_a_held_account(Duration::from_secs(3)).await;
    waited.expect("it is done when the account is free");
    for (took, outcome) in outcomes {
        outcome.expect("the other account's command is done");
        assert!(took < Duration::from_secs(1), "another account's command took {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_held_too_long_fails_alone() {
    if !in_full() {
        println!("takes the time that a lock is waited for: ABACUS_TEST_FULL=1");
        return;
    }
    let (outcomes, waited) = beside_a_held_account(Duration::from_secs(70)).await;
    assert!(matches!(waited, Err(EngineError::Unknown)), "another may be carrying it out: {waited:?}");
    for (_, outcome) in outcomes {
        outcome.expect("the other account's command is done");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_the_database_rejects_fails_alone() {
    let server = TestServer::with(|config| {
        config.engine = EngineConfig { lanes: 1, ..EngineConfig::default() };
    })
    .await;
    let mut accounts = Vec::new();
    for index in 0..8 {
        accounts.push(server.account(&format!("a{index}"), "0").await);
    }
    let sql = server.sql().await;
    let poison = format!(
        "ALTER TABLE transactions ADD CONSTRAINT poison CHECK (account_id <> {} AND amount <> 6.66)",
        number(&accounts[3]).0
    );
    sql.batch_execute(&poison).await.unwrap();

    let engine = &server.server.app.engine;
    // All at once: the lane takes the first alone and the rest together.
    let commands: Vec<Command> = accounts
        .iter()
        .flat_map(|account| (0..8).map(move |index| (account, index)))
        .map(|(account, index)| {
            let cents = if *account == accounts[5] && index == 4 { 666 } else { 100 };
            command(account, &format!("k{index}"), cents)
        })
        .collect();
    let outcomes = join_all(commands.iter().map(|c| engine.submit(c.clone(), Priority::Interactive))).await;
    for (asked, outcome) in commands.iter().zip(&outcomes) {
        let poisoned = asked.account == number(&accounts[3])
            || matches!(&asked.action, Action::Recharge(r) if r.amount == Decimal::new(666, 2));
        match outcome {
            Ok(_) => assert!(!poisoned, "{asked:?}"),
            Err(EngineError::Failed(StoreError::Rejected { .. })) => assert!(poisoned, "{asked:?}"),
            Err(error) => panic!("{asked:?}: {error}"),
        }
    }
    assert_eq!(server.assert_ledger_is_healthy().await, 6 * 8 + 7);

    let input = recharge(&accounts[3], "by http", "1.00");
    let (_, answer) =
        server.operator().try_mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "INTERNAL", "{answer:#}");
    assert!(!answer.to_string().contains("poison"), "the cause is the server's own: {answer}");

    // A key of a command that failed is free, and nothing of the failure remains.
    sql.batch_execute("ALTER TABLE transactions DROP CONSTRAINT poison").await.unwrap();
    let again = join_all(commands.iter().map(|c| engine.submit(c.clone(), Priority::Interactive))).await;
    assert!(again.iter().all(Result::is_ok), "{again:?}");
    assert_eq!(server.assert_ledger_is_healthy().await, 64);
}

type Lookup = BoxFuture<'static, Found<u32, u32>>;

/// A key that is of no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key(u32);

impl Placed for Key {
    fn owner(&self) -> Option<AccountId> {
        None
    }
}

struct Fetcher(SharedLoader<Key, u32>);

impl Fetcher {
    async fn get(&self, keys: Vec<u32>) -> Found<u32, u32> {
        let found = self.0.get(keys.into_iter().map(Key).collect()).await?;
        Ok(found.into_iter().map(|(Key(key), value)| (key, value)).collect())
    }

    async fn get_one(&self, key: u32) -> Result<Option<u32>, StoreError> {
        self.0.get_one(Key(key)).await
    }
}

async fn fetcher<F>(fetch: F) -> Fetcher
where
    F: Fn(Connection, Vec<u32>) -> Lookup + Send + Sync + 'static,
{
    let fetch = move |conn, keys: Vec<Key>| {
        let looking = fetch(conn, keys.into_iter().map(|Key(key)| key).collect());
        async move { Ok(looking.await?.into_iter().map(|(key, value)| (Key(key), value)).collect()) }.boxed()
    };
    Fetcher(SharedLoader::start(&Cells::one(Database::new(&cluster::database().await, 2).unwrap()), fetch))
}

fn doubled(keys: Vec<u32>) -> HashMap<u32, u32> {
    keys.into_iter().map(|key| (key, key * 2)).collect()
}

#[tokio::test]
async fn a_key_that_fails_a_shared_lookup_fails_alone() {
    let fetcher = fetcher(|_, keys| {
        async move {
            if keys.contains(&13) {
                return Err(StoreError::Rejected { constraint: None, message: "thirteen".to_owned() });
            }
            Ok(doubled(keys))
        }
        .boxed()
    })
    .await;
    let found = join_all((0..100).map(|key| fetcher.get_one(key))).await;
    for (key, found) in (0..100).zip(found) {
        match found {
            Ok(value) => assert!(key != 13 && value == Some(key * 2), "{key}: {value:?}"),
            Err(error) => assert!(key == 13 && error.to_string().contains("thirteen"), "{key}: {error}"),
        }
    }
    let both = fetcher.get(vec![1, 13, 2]).await;
    assert!(both.is_err(), "who asks for the key that fails is told: {both:?}");
}

#[tokio::test]
async fn lookups_share_statements_and_a_key_is_looked_up_once_in_each() {
    let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let fetcher = fetcher(move |_, keys| {
        seen.lock().unwrap().push(keys.clone());
        async move { Ok(doubled(keys)) }.boxed()
    })
    .await;
    let found = join_all((0..300).map(|index| fetcher.get_one(index % 100))).await;
    assert!((0..300).zip(found).all(|(index, found)| found.unwrap() == Some(index % 100 * 2)));
    let calls = calls.lock().unwrap();
    assert!(calls.len() <= 10, "300 requests took {} statements", calls.len());
    for keys in calls.iter() {
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
    }
}

#[tokio::test]
async fn a_shared_lookup_takes_no_more_keys_than_its_limit() {
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let fetcher = fetcher(move |_, keys| {
        seen.fetch_max(keys.len(), Ordering::SeqCst);
        async move {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Ok(doubled(keys))
        }
        .boxed()
    })
    .await;
    // Each asks for less than the limit; two together would exceed it.
    let ask = |index: u32| fetcher.get((index * 700..(index + 1) * 700).collect());
    for found in join_all((0..10).map(ask)).await {
        assert_eq!(found.unwrap().len(), 700);
    }
    let most = most.load(Ordering::SeqCst);
    assert!(most <= BATCH_KEYS_MAX, "a statement looked up {most} keys");
}

#[tokio::test]
async fn callers_that_leave_take_nothing_from_those_who_stay() {
    let gate = Arc::new(Semaphore::new(0));
    let entered = Arc::new(Notify::new());
    let (waits, tells) = (Arc::clone(&gate), Arc::clone(&entered));
    let fetcher = Arc::new(
        fetcher(move |_, keys| {
            let (waits, tells) = (Arc::clone(&waits), Arc::clone(&tells));
            async move {
                tells.notify_one();
                waits.acquire().await.unwrap().forget();
                Ok(doubled(keys))
            }
            .boxed()
        })
        .await,
    );
    let asking = |key: u32| {
        let fetcher = Arc::clone(&fetcher);
        tokio::spawn(async move { fetcher.get_one(key).await })
    };
    // The one that made the statement go leaves while it is under way; others have asked in its wake.
    let first = asking(1);
    entered.notified().await;
    let second = asking(2);
    entered.notified().await;
    let third = asking(3);
    tokio::task::yield_now().await;
    first.abort();
    third.abort();
    gate.add_permits(100);
    assert_eq!(second.await.unwrap().unwrap(), Some(4));
    assert_eq!(fetcher.get_one(5).await.unwrap(), Some(10));
}

#[tokio::test]
async fn a_lookup_joins_no_statement_that_was_sent_before_it_was_asked() {
    let version = Arc::new(AtomicUsize::new(1));
    let gate = Arc::new(Semaphore::new(0));
    let entered = Arc::new(Notify::new());
    let (reads, waits, tells) = (Arc::clone(&version), Arc::clone(&gate), Arc::clone(&entered));
    let fetcher = Arc::new(
        fetcher(move |_, keys| {
            let (reads, waits, tells) = (Arc::clone(&reads), Arc::clone(&waits), Arc::clone(&tells));
            async move {
                let read = u32::try_from(reads.load(Ordering::SeqCst)).unwrap();
                tells.notify_one();
                waits.acquire().await.unwrap().forget();
                Ok(keys.into_iter().map(|key| (key, read)).collect())
            }
            .boxed()
        })
        .await,
    );
    let early = tokio::spawn({
        let fetcher = Arc::clone(&fetcher);
        async move { fetcher.get_one(7).await }
    });
    entered.notified().await;
    version.store(2, Ordering::SeqCst);
    gate.add_permits(2);
    assert_eq!(fetcher.get_one(7).await.unwrap(), Some(2), "what was written before is read");
    assert_eq!(early.await.unwrap().unwrap(), Some(1));
}
