//! Tenants share a lane: one that asks for very much, or whose account is held elsewhere, holds up nobody else, nor does what is
//! only tried out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use abacus::domain::command::Command;
use abacus::domain::decide::{Action, Recharge};
use abacus::domain::ids::AccountId;
use abacus::domain::outcome::Done;
use abacus::engine::{EngineConfig, EngineError, Priority};
use futures_util::future::join_all;
use rust_decimal::Decimal;

use crate::support::TestServer;
use crate::support::server::pretended_shards;

fn number(account: &str) -> AccountId {
    AccountId::parse(account).unwrap()
}

fn recharge(account: &str, key: &str, cents: i64) -> Command {
    let recharge =
        Recharge { amount: Decimal::new(cents, 2), payment_method: "sandbox".to_owned(), reason: None };
    Command { key: Some(key.to_owned()), ..Command::by_itself(number(account), Action::Recharge(recharge)) }
}

/// A server of one lane.
async fn one_lane(queue_max: usize, batch_max: usize, held_time_max: Duration) -> TestServer {
    TestServer::with(|config| {
        config.engine =
            EngineConfig { lanes: 1, queue_max, batch_max, held_time_max, ..EngineConfig::default() };
    })
    .await
}

/// A transaction of the test's own that does something and stays open.
async fn open(server: &TestServer, statement: &str) -> tokio_postgres::Client {
    let holder = server.sql().await;
    holder.batch_execute(&format!("BEGIN; {statement}")).await.unwrap();
    holder
}

/// Locks an account in a transaction of the test's own, which ends with the connection.
async fn hold(server: &TestServer, account: &str) -> tokio_postgres::Client {
    open(server, &format!("SELECT FROM accounts WHERE id = {} FOR UPDATE", number(account).0)).await
}

/// What became of a command, and how many were answered before it.
type Answered = (usize, Result<(), EngineError>);

/// Has commands asked for at once, in their order.
async fn ask_all(server: &TestServer, commands: Vec<Command>, count: &Arc<AtomicUsize>) -> Vec<Answered> {
    let asked = commands.into_iter().map(|command| {
        let (app, count) = (Arc::clone(&server.server.app), Arc::clone(count));
        async move {
            let outcome = app.engine.submit(command, Priority::Interactive).await.map(drop);
            (count.fetch_add(1, Ordering::SeqCst), outcome)
        }
    });
    join_all(asked).await
}

/// The cents of an account's recharges, in the order of its ledger.
async fn posted(server: &TestServer, account: &str) -> Vec<i64> {
    let query = format!(
        "SELECT (-amount * 100)::bigint FROM ledger_entries WHERE account_id = {} ORDER BY seq",
        number(account).0
    );
    server.sql().await.query(&query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tenants_queue_holds_up_nobody() {
    if pretended_shards().is_some() {
        println!("passed over: it counts what waits in one place");
        return;
    }
    let server = one_lane(400, 32, Duration::from_secs(10)).await;
    let hog = server.account("hog", "0").await;
    let mut neighbours = Vec::new();
    for index in 0..4 {
        neighbours.push(server.account(&format!("n{index}"), "0").await);
    }
    // As long as the table is locked the lane is busy with its first batch, and all else queues.
    let lock = open(&server, "LOCK TABLE transactions IN ACCESS EXCLUSIVE MODE").await;
    let count = Arc::new(AtomicUsize::new(0));
    let of_hog: Vec<Command> = (0..400).map(|index| recharge(&hog, &format!("{index}"), 1 + index)).collect();
    let of_others: Vec<Command> = neighbours.iter().map(|account| recharge(account, "k", 100)).collect();
    let releasing = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        lock.batch_execute("ROLLBACK").await.unwrap();
    };
    let asking_later = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        ask_all(&server, of_others, &count).await
    };
    let (hogs, others, ()) = tokio::join!(ask_all(&server, of_hog, &count), asking_later, releasing);

    let turned_away =
        hogs.iter().filter(|(_, outcome)| matches!(outcome, Err(EngineError::Overloaded))).count();
    let done = hogs.iter().filter(|(_, outcome)| outcome.is_ok()).count();
    assert_eq!(done + turned_away, 400, "{hogs:?}");
    assert!(
        (160..=200).contains(&turned_away),
        "it has half of the places, and its first batch: {turned_away}"
    );
    for (place, outcome) in others {
        outcome.expect("others still get in");
        // Those that were turned away, the batch under way, and one batch in which all take turns.
        assert!(place < turned_away + 2 * 32, "answered as number {place}, {turned_away} turned away");
    }
    let was_done = |(cents, (_, outcome)): (i64, &Answered)| outcome.is_ok().then_some(cents);
    let expected: Vec<i64> = (1..).zip(&hogs).filter_map(was_done).collect();
    assert_eq!(posted(&server, &hog).await, expected, "each account's in its order");
    assert_eq!(usize::try_from(server.assert_ledger_is_healthy().await).unwrap(), done + 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_have_their_part_of_a_batch_while_people_fill_the_lane() {
    let server = one_lane(4_096, 16, Duration::from_secs(10)).await;
    let mut accounts = Vec::new();
    for index in 0..4 {
        accounts.push(server.account(&format!("n{index}"), "0").await);
    }
    let lock = open(&server, "LOCK TABLE transactions IN ACCESS EXCLUSIVE MODE").await;
    let count = Arc::new(AtomicUsize::new(0));
    let of_people: Vec<Command> =
        (0..200).map(|index| recharge(&accounts[index % 3], &format!("{index}"), 100)).collect();
    let app = Arc::clone(&server.server.app);
    let job = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let outcome = app.engine.submit(recharge(&accounts[3], "job", 100), Priority::Background).await;
        (count.fetch_add(1, Ordering::SeqCst), outcome.map(drop))
    };
    let releasing = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        lock.batch_execute("ROLLBACK").await.unwrap();
    };
    let (people, (place, outcome), ()) = tokio::join!(ask_all(&server, of_people, &count), job, releasing);
    outcome.unwrap();
    assert!(place <= 32, "a job was answered as number {place}");
    assert!(people.iter().all(|(_, outcome)| outcome.is_ok()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_hundred_commands_of_a_locked_account_leave_their_lane_free() {
    let server = one_lane(4_096, 512, Duration::from_secs(60)).await;
    let (held, free) = (server.account("held", "0").await, server.account("free", "0").await);
    let holder = hold(&server, &held).await;
    let count = Arc::new(AtomicUsize::new(0));
    let commands: Vec<Command> =
        (0..700).map(|index| recharge(&held, &format!("{index}"), 1 + index)).collect();
    let app = Arc::clone(&server.server.app);
    let beside = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut slowest = Duration::ZERO;
        for index in 0..100 {
            let begin = Instant::now();
            app.engine
                .submit(recharge(&free, &format!("{index}"), 100), Priority::Interactive)
                .await
                .unwrap();
            slowest = slowest.max(begin.elapsed());
        }
        let answered = count.load(Ordering::SeqCst);
        holder.batch_execute("ROLLBACK").await.unwrap();
        (slowest, answered)
    };
    let (outcomes, (slowest, answered)) = tokio::join!(ask_all(&server, commands, &count), beside);
    println!("the slowest of 100 commands beside them took {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "a neighbour waited for {slowest:?}");
    assert_eq!(answered, 0, "its account was held all the while");
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()), "what waited is done once it is free");
    assert_eq!(posted(&server, &held).await, (1..=700).collect::<Vec<i64>>(), "in its order");
    server.assert_ledger_is_healthy().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_locked_account_too_long_is_answered_whether_it_was_tried_or_not() {
    let server = one_lane(4_096, 8, Duration::from_millis(500)).await;
    let held = server.account("held", "0").await;
    let holder = hold(&server, &held).await;
    let count = Arc::new(AtomicUsize::new(0));
    let begin = Instant::now();
    let mut commands: Vec<Command> = (0..60).map(|index| recharge(&held, &format!("{index}"), 100)).collect();
    commands.push(Command { key: None, ..recharge(&held, "", 100) });
    let outcomes = ask_all(&server, commands, &count).await;
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    let (keyless, keyed) = outcomes.split_last().unwrap();
    assert!(matches!(keyless.1, Err(EngineError::Overloaded)), "{keyless:?}");
    for (_, outcome) in keyed {
        assert!(matches!(outcome, Err(EngineError::Unknown)), "another may be carrying it out: {outcome:?}");
    }
    holder.batch_execute("ROLLBACK").await.unwrap();
    server.server.app.engine.submit(recharge(&held, "0", 100), Priority::Interactive).await.unwrap();
    assert_eq!(posted(&server, &held).await, [100]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_queued_is_carried_out_when_the_engine_stops() {
    let server = one_lane(4_096, 16, Duration::from_secs(20)).await;
    let (held, other) = (server.account("held", "0").await, server.account("other", "0").await);
    let (lock, holder) =
        (open(&server, "LOCK TABLE transactions IN ACCESS EXCLUSIVE MODE").await, hold(&server, &held).await);
    let count = Arc::new(AtomicUsize::new(0));
    let commands: Vec<Command> = (0..200)
        .map(|index| recharge(if index % 2 == 0 { &held } else { &other }, &format!("{index}"), 1 + index))
        .collect();
    let app = Arc::clone(&server.server.app);
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let freeing = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            lock.batch_execute("ROLLBACK").await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            holder.batch_execute("ROLLBACK").await.unwrap();
        };
        let releasing = tokio::spawn({
            let engine = Arc::clone(&app.engine);
            async move { engine.stop().await }
        });
        freeing.await;
        releasing.await.unwrap();
    };
    let (outcomes, ()) = tokio::join!(ask_all(&server, commands, &count), stopping);
    assert!(outcomes.iter().all(|(_, outcome)| outcome.is_ok()), "{outcomes:?}");
    let late = app.engine.submit(recharge(&other, "late", 1), Priority::Interactive).await;
    assert!(matches!(late, Err(EngineError::Unavailable(_))), "{late:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_waits_for_no_lock_and_holds_up_no_lane() {
    let server = one_lane(4_096, 512, Duration::from_secs(10)).await;
    let (held, free) = (server.account("held", "5").await, server.account("free", "0").await);
    let holder = hold(&server, &held).await;
    let tried = |account: &str, key: &str| Command { dry_run: true, ..recharge(account, key, 250) };
    let begin = Instant::now();
    let outcome = server.server.app.engine.submit(tried(&held, "k"), Priority::Interactive).await.unwrap();
    let Done::Executed(outcome) = outcome else { panic!("{outcome:?}") };
    assert_eq!(outcome.account.balance, Decimal::new(750, 2));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    holder.batch_execute("ROLLBACK").await.unwrap();

    // Where what they read is locked they hang, of one account one alone, and the lane goes on.
    let lock = open(&server, "LOCK TABLE prepay_quotes IN ACCESS EXCLUSIVE MODE").await;
    let hanging = open(&server, "LOCK TABLE bills IN ACCESS EXCLUSIVE MODE").await;
    let trying = join_all((0..200).map(|index| {
        let (app, command) = (Arc::clone(&server.server.app), tried(&held, &format!("{index}")));
        async move { app.engine.submit(command, Priority::Interactive).await.map(drop) }
    }));
    let beside = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let sql = server.sql().await;
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
             AND wait_event_type = 'Lock'";
        let waiting: i64 = sql.query_one(waiting, &[]).await.unwrap().get(0);
        hanging.batch_execute("ROLLBACK").await.unwrap();
        lock.batch_execute("ROLLBACK").await.unwrap();
        waiting
    };
    let (outcomes, waiting) = tokio::join!(trying, beside);
    assert_eq!(waiting, 1, "of one account one at a time");
    let turned_away =
        outcomes.iter().filter(|outcome| matches!(outcome, Err(EngineError::Overloaded))).count();
    assert!(outcomes.iter().all(|outcome| !matches!(outcome, Err(EngineError::Failed(_)))), "{outcomes:?}");
    assert!(turned_away > 100, "few wait: {turned_away}");
    server.server.app.engine.submit(recharge(&free, "k", 100), Priority::Interactive).await.unwrap();
    assert_eq!(posted(&server, &held).await, [500], "nothing was done");
}
