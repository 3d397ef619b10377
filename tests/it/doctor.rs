//! After a server ran with a wrong clock: what it could not do, what `abacus doctor` finds of what an older one did, and taking it back.

use std::process::ExitStatus;
use std::sync::Arc;

use abacus::clock::{Clock, HeldBy, wall};
use abacus::domain::burst::{Cycle, CycleCharge};
use abacus::domain::cell::CellNumber;
use abacus::domain::closing::{Month, RatedMonth};
use abacus::domain::command::Command;
use abacus::domain::decide::{Action, ChargeBurst, CloseMonth, OrderStep};
use abacus::domain::ids::{AccountId, OrderId};
use abacus::domain::money::Currencies;
use abacus::engine::{EngineError, Priority};
use abacus::jobs::burst::burst_pass;
use abacus::jobs::invoices::invoice_pass;
use abacus::jobs::{JobContext, LeaseGuard, billing};
use abacus::store::error::StoreError;
use abacus::store::invoices::open_invoices::open_due;
use abacus::store::invoices::{Settled, ToSettle, settle};
use abacus::store::leases::{Lease, lease_take};
use abacus::store::reconciliations::{Reconciled, set_reconciled};
use abacus::store::usage::late_usage;
use abacus::store::{billing_runs, burst, operator_moves};
use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::TestServer;
use crate::support::cluster::owner_url;
use crate::support::process::{command, outcome};
use crate::support::server::another_server;

const AHEAD: TimeDelta = TimeDelta::days(40);

/// Runs a command on a server's database, as whoever looks after it does.
async fn run(server: &TestServer, args: &[&str], settings: &[(&str, &str)]) -> (ExitStatus, String, String) {
    let mut command = command(args);
    command
        .env("DATABASE_URL", &server.database_url)
        .env("ABACUS_MIGRATE_URL", owner_url(&server.database_url))
        .envs(settings.iter().copied());
    outcome(&mut command).await
}

const SANDBOX: &[(&str, &str)] = &[("ABACUS_SANDBOX", "1")];

/// What is wrong, as `abacus doctor` sees it.
async fn wrong(server: &TestServer, settings: &[(&str, &str)]) -> Vec<String> {
    let (status, printed, said) = run(server, &["doctor", "--json"], settings).await;
    let findings: Vec<Value> = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{printed} {said}"));
    let wrong = findings.iter().filter(|finding| finding["ok"] == json!(false));
    let wrong: Vec<String> = wrong.map(|finding| finding["what"].as_str().unwrap().to_owned()).collect();
    assert_eq!(status.code(), Some(i32::from(!wrong.is_empty())), "{printed} {said}");
    wrong
}

fn refused_for_the_clock<T: std::fmt::Debug>(what: &str, outcome: Result<T, StoreError>) {
    let is_refused =
        matches!(&outcome, Err(StoreError::WrongClock(said)) if said.contains("by the database's clock"));
    assert!(is_refused, "{what}: {outcome:?}");
}

#[tokio::test]
async fn no_mark_goes_beyond_the_databases_clock_whatever_the_machines_says() {
    let server = TestServer::start().await;
    server.account("acme", "10").await;
    let mut conn = server.server.app.store.home().connection().await.unwrap();
    let (now, month) = (wall(), Month::of(wall() + AHEAD, Tz::UTC).unwrap());
    let began = Month::of(now - TimeDelta::days(40), Tz::UTC).unwrap();
    let run_of = |month: Month| month.period(Tz::UTC);
    let by = HeldBy::Database;
    billing_runs::run_begin(&conn, HeldBy::Itself, run_of(month), Tz::UTC, month, now).await.unwrap();
    let runs = billing_runs::runs_under_way(&conn, 10).await.unwrap();
    let open = open_due(&conn, month.end, 10).await.unwrap();
    let over =
        ToSettle { open: open[0], settled: Settled::Issued(None), end: month.end, next_end: month.end };
    let before = server.contents().await;
    refused_for_the_clock("burst", burst::progress(&conn, by, Cycle::of(now + AHEAD)).await);
    refused_for_the_clock("horizon", late_usage::horizon_move(&conn, by, month.end).await);
    let run = billing_runs::run_begin(&conn, by, run_of(month), Tz::Asia__Tokyo, month, now).await;
    refused_for_the_clock("run", run);
    refused_for_the_clock("page", billing_runs::page_take(&mut conn, by, &runs[0], 10, now).await);
    refused_for_the_clock("invoices", settle(&mut conn, CellNumber::HOME, vec![over], by, now).await);
    refused_for_the_clock("moves", operator_moves::moves_forget(&conn, by, now + AHEAD).await);
    for (next, held, own) in [
        (AHEAD, TimeDelta::zero(), TimeDelta::zero()),
        (TimeDelta::zero(), AHEAD, TimeDelta::zero()),
        (TimeDelta::zero(), TimeDelta::zero(), AHEAD),
    ] {
        let ahead = Reconciled { next_at: now + next, held_until: now + held, own_from: now + own };
        refused_for_the_clock("reconciliation", set_reconciled(&conn, by, "stripe", ahead).await);
    }
    assert_eq!(server.contents().await, before, "nothing was written");
    // What is over may be.
    burst::progress(&conn, by, Cycle::of(now)).await.unwrap();
    late_usage::horizon_move(&conn, by, began.end).await.unwrap();
    billing_runs::run_begin(&conn, by, run_of(began), Tz::UTC, began, now).await.unwrap();
    let next_at = now + TimeDelta::hours(23);
    set_reconciled(&conn, by, "stripe", Reconciled { next_at, held_until: now, own_from: now })
        .await
        .unwrap();
}

#[tokio::test]
async fn in_a_sandbox_marks_go_as_far_as_its_clock_was_moved() {
    let server = TestServer::with(|config| config.clock = Clock::sandbox()).await;
    let to = (wall() + TimeDelta::days(10)).to_rfc3339();
    server.operator().mutate("advanceClock", "AdvanceClockInput", json!({ "to": to }), "now").await;
    let conn = server.server.app.store.home().connection().await.unwrap();
    let cycle = |days: i64| Cycle::of(wall() + TimeDelta::days(days));
    burst::progress(&conn, HeldBy::Database, cycle(9)).await.unwrap();
    refused_for_the_clock("burst", burst::progress(&conn, HeldBy::Database, cycle(11)).await);
}

#[tokio::test]
async fn a_lease_that_nobody_can_hold_for_so_long_is_taken_over() {
    let server = TestServer::start().await;
    let sql = server.sql().await;
    let conn = server.server.app.store.home().connection().await.unwrap();
    let take = async || lease_take(&conn, Lease::Burst, "me", 15).await.unwrap();
    for (until, is_taken) in [("30 minutes", false), ("40 days", true)] {
        let held = format!(
            "INSERT INTO leases VALUES ('burst', 'another', now() + interval '{until}') ON CONFLICT (name) DO UPDATE \
             SET holder = 'another', expires_at = excluded.expires_at"
        );
        sql.batch_execute(&held).await.unwrap();
        assert_eq!(take().await, is_taken, "{until}");
    }
    let held = "SELECT expires_at < now() + interval '1 minute' FROM leases WHERE holder = 'me'";
    assert!(sql.query_one(held, &[]).await.unwrap().get::<_, bool>(0));
}

#[tokio::test]
async fn what_is_not_over_is_not_charged_whoever_asks_for_it() {
    let server = TestServer::start().await;
    let id = AccountId::parse(&server.account("acme", "10").await).unwrap();
    let running = Month::of(wall(), Tz::UTC).unwrap();
    let month = RatedMonth::empty(running, running.period(Tz::UTC));
    let cycle = CycleCharge { cycle: Cycle::of(wall()), charges: Vec::new(), rate: Decimal::ONE };
    let before = server.contents().await;
    for action in
        [Action::CloseMonth(CloseMonth(Arc::new(month))), Action::ChargeBurst(ChargeBurst(cycle.into()))]
    {
        let command = Command::by_itself(id, action);
        let asked = server.server.app.engine.submit(command, Priority::Background).await;
        let Err(EngineError::Refused(refusal)) = asked else { panic!("{asked:?}") };
        assert!(refusal.message.contains("is not over"), "{}", refusal.message);
    }
    server.assert_holds_still(&before).await;
}

/// Charges, closes and invoices as a server of before did whose clock was so far ahead for seconds.
async fn a_server_ran_ahead(server: &TestServer) {
    let jobs: JobContext =
        another_server(&server.database_url, &Clock::standing_at(wall() + AHEAD), Currencies::default());
    burst_pass(&jobs, &LeaseGuard::Always).await.unwrap();
    billing::begin_runs(&jobs, None).await.unwrap();
    billing::run_pass(&jobs, None, None).await.unwrap();
    invoice_pass(&jobs, &LeaseGuard::Always).await.unwrap();
    jobs.engine.stop().await;
    let leases = "INSERT INTO leases VALUES ('burst', 'who was ahead', now() + interval '40 days');
        INSERT INTO reconciliations VALUES ('stripe', now() + interval '40 days', now() + interval '40 days', now() + interval '40 days');
        UPDATE ledger_check_position SET round_ended_at = now() + interval '40 days'";
    server.sql().await.batch_execute(leases).await.unwrap();
}

/// An account that uses what is metered, runs an order on demand, and bursts.
async fn tenant(server: &TestServer, balance: &str) -> String {
    let operator = server.operator();
    let account = server.account("tenant", balance).await;
    let plan = json!({ "name": "By the hour", "region": null, "price": { "amount": "0.10", "currency": "CNY" }, "billPeriod": "HOUR" });
    let plan = server.plan_from(plan).await;
    let bought = json!({ "planId": plan, "idempotencyKey": "order" });
    server.customer("tenant").mutate("checkout", "CheckoutInput", bought, "order { id }").await;
    let base = json!({ "base": { "currency": "CNY", "tariffs": [{ "resource": "transfer_out", "tiers": [{ "from": "0", "unitPrice": "2" }] }] } });
    let prices = json!({ "everyone": true, "idempotencyKey": "prices", "allowPast": true,
        "infos": [{ "effectiveFrom": "2020-01-01T00:00:00Z", "definition": base }] });
    operator.mutate("setPrices", "SetPricesInput", prices, "rules { id }").await;
    use_some(server, "before").await;
    let capacity =
        json!({ "resource": "cpu", "capacity": "1000", "curve": [{ "fromUtilisation": "0", "level": 1 }] });
    operator.mutate("setBurstCapacity", "SetBurstCapacityInput", capacity, "resource { code }").await;
    account
}

/// Three that cost two each.
async fn use_some(server: &TestServer, id: &str) {
    let events = json!({ "events": [{ "id": id, "namespace": "tenant", "resource": "transfer_out", "quantity": "3",
        "time": server.server.app.clock.now().to_rfc3339() }] });
    let recorded = server.operator().mutate("recordUsage", "RecordUsageInput", events, "accepted").await;
    assert_eq!(recorded["accepted"], 1);
}

async fn one<T: for<'a> tokio_postgres::types::FromSql<'a>>(server: &TestServer, query: &str) -> T {
    server.sql().await.query_one(query, &[]).await.unwrap().get(0)
}

/// What the bills of the month that an instant lies in ask for, together.
async fn billed(server: &TestServer, at: DateTime<Utc>) -> Decimal {
    let month = Month::of(at, Tz::UTC).unwrap();
    let query = format!(
        "SELECT coalesce(sum(amount), 0)::text FROM bills WHERE status <> 'VOID' AND order_id IS NULL AND start_time = '{}'",
        month.start.to_rfc3339()
    );
    one::<String>(server, &query).await.parse().unwrap()
}

/// What they have to: three or more events, and the order's seconds.
async fn to_bill(server: &TestServer, at: DateTime<Utc>, usage: i64) -> Decimal {
    let month = Month::of(at, Tz::UTC).unwrap();
    let (start, end) = (month.start.to_rfc3339(), month.end.to_rfc3339());
    let query = format!(
        "SELECT round({usage} + 0.10 * floor(extract(epoch FROM timestamptz '{end}' - greatest(delivered_at, '{start}'))) / 3600, 2)::text \
         FROM orders WHERE bill_period = 'HOUR'"
    );
    one::<String>(server, &query).await.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_clock_forty_days_ahead_has_done_is_found_and_taken_back() {
    let server = TestServer::with(|config| config.clock = Clock::sandbox()).await;
    let account = tenant(&server, "1000").await;
    assert_eq!(wrong(&server, SANDBOX).await, Vec::<String>::new());
    a_server_ran_ahead(&server).await;
    let began = wall();
    assert!(billed(&server, began).await > Decimal::ZERO, "the running month was charged");

    let found = wrong(&server, SANDBOX).await;
    for what in [
        "burst was charged up to",
        "months may be closed that end by",
        "the last month that is being billed ends",
        "the last month without an invoice begins",
        "providers' movements were looked at up to",
        "the ledger was checked at",
        "the lease of burst, held by who was ahead",
        "accounts with months that were closed before they were over",
        "what is dated into the future",
    ] {
        assert!(found.iter().any(|found| found == what), "{what}: {found:#?}");
    }
    let (_, printed, said) = run(&server, &["doctor"], SANDBOX).await;
    assert!(printed.contains("ahead by 3") && printed.contains("→ abacus take-back"), "{printed}");
    assert!(said.contains("things are wrong"), "{said}");

    let before = server.contents().await;
    let (status, printed, said) = run(&server, &["take-back"], SANDBOX).await;
    assert!(status.success() && printed.contains("Nothing was done"), "{printed} {said}");
    server.assert_holds_still(&before).await;
    let (status, printed, said) = run(&server, &["take-back", "--yes"], SANDBOX).await;
    assert!(status.success() && printed.contains("months of 1 accounts were taken back"), "{printed} {said}");
    assert_eq!(billed(&server, began).await, Decimal::ZERO);
    assert_eq!(one::<String>(&server, "SELECT trim_scale(balance)::text FROM accounts").await, "1000");
    server.assert_ledger_is_healthy().await;
    assert_eq!(wrong(&server, SANDBOX).await, ["what is dated into the future"], "entries stay as they are");
    let (status, printed, said) =
        run(&server, &["accept-future", "--all", "--reason", "a machine's clock"], SANDBOX).await;
    assert!(status.success() && printed.contains("acc_"), "{printed} {said}");
    assert_eq!(wrong(&server, SANDBOX).await, Vec::<String>::new());
    let (status, printed, said) = run(&server, &["take-back", "--yes"], SANDBOX).await;
    assert!(status.success() && printed.contains("no mark is ahead"), "twice does no harm: {printed} {said}");

    // What was taken back is not there to be rated again.
    let period = Month::of(began, Tz::UTC).unwrap().period(Tz::UTC);
    let again = json!({ "accountId": account, "period": period, "idempotencyKey": "again" });
    assert_eq!(
        server.operator().refusal("rerate", "RerateInput", again).await,
        ("INVALID".to_owned(), "input.period".to_owned())
    );
    assert_eq!(billed(&server, began).await, Decimal::ZERO);

    // The months go on, and are billed once they are over, as if nothing had been.
    use_some(&server, "after").await;
    let later = wall() + TimeDelta::days(75);
    let to = json!({ "to": later.to_rfc3339() });
    server.operator().mutate("advanceClock", "AdvanceClockInput", to, "now jobs { kind ran failed }").await;
    let next = Month::of(began, Tz::UTC).unwrap().end;
    assert_eq!(billed(&server, began).await, to_bill(&server, began, 12).await);
    assert_eq!(billed(&server, next).await, to_bill(&server, next, 0).await);
    server.assert_ledger_is_healthy().await;
    assert_eq!(wrong(&server, SANDBOX).await, Vec::<String>::new());
    let progress: i32 = one(&server, "SELECT next_cycle FROM burst_progress").await;
    assert!(Cycle::numbered(progress).plus(3).start() > later, "burst runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_that_is_dated_into_the_future_is_worked_with_once_an_operator_says_so() {
    let server = TestServer::with(|config| config.sandbox = false).await;
    let operator = server.operator();
    let account = server.account("tenant", "0").await;
    let adjust = async |key: &str| {
        let input =
            json!({ "accountId": account, "amount": "100", "reason": "a test", "idempotencyKey": key });
        operator.try_mutate("adjustBalance", "AdjustBalanceInput", input, "transaction { id }").await.1
    };
    assert!(adjust("before").await.get("errors").is_none());
    let plan = json!({ "name": "By the hour", "region": null, "price": { "amount": "0.10", "currency": "CNY" }, "billPeriod": "HOUR" });
    let plan = server.plan_from(plan).await;
    let bought = json!({ "planId": plan, "idempotencyKey": "order" });
    server.customer("tenant").mutate("checkout", "CheckoutInput", bought, "order { id }").await;
    a_server_ran_ahead(&server).await;
    assert_eq!(adjust("refused").await["errors"][0]["extensions"]["code"], "UNAVAILABLE");
    let (status, printed, said) = run(&server, &["take-back", "--yes"], &[]).await;
    assert!(
        !status.success() && printed.contains("is still to come") && said.contains("accept-future"),
        "{printed} {said}"
    );
    let (status, printed, said) =
        run(&server, &["accept-future", "--account", &account, "--reason", "a machine's clock"], &[]).await;
    assert!(status.success() && printed.starts_with(&account), "{printed} {said}");
    let (status, printed, said) = run(&server, &["take-back", "--yes"], &[]).await;
    assert!(status.success() && printed.contains("months of 1 accounts were taken back"), "{printed} {said}");
    assert_eq!(one::<String>(&server, "SELECT trim_scale(balance)::text FROM accounts").await, "100");
    assert_eq!(wrong(&server, &[]).await, Vec::<String>::new());
    assert!(adjust("after").await.get("errors").is_none());
    assert_eq!(wrong(&server, &[]).await, Vec::<String>::new(), "it is dated where the last entry was");
    // What falls due by itself waits: it would be judged by that date.
    let order: uuid::Uuid = one(&server, "SELECT id FROM orders").await;
    let order = OrderId::parse(&format!("ord_{}", order.simple())).unwrap();
    let step = Action::OrderStep(OrderStep { order, due: wall() });
    let stepped = server
        .server
        .app
        .engine
        .submit(Command::by_itself(order.0.account(), step), Priority::Background)
        .await;
    assert!(matches!(stepped, Err(EngineError::Unavailable(_))), "{stepped:?}");
    server.assert_ledger_is_healthy().await;
    // Beyond what was accepted it is not followed.
    server
        .sql()
        .await
        .batch_execute("UPDATE accounts SET last_entry_at = last_entry_at + interval '1 day'")
        .await
        .unwrap();
    assert_eq!(adjust("beyond").await["errors"][0]["extensions"]["code"], "UNAVAILABLE");
}

#[tokio::test]
async fn a_machine_with_a_wrong_clock_is_told_of_and_takes_nothing_back() {
    let server = TestServer::start().await;
    let ahead = format!("clock-ahead=return({})", AHEAD.num_seconds());
    let settings = [SANDBOX[0], ("FAILPOINTS", ahead.as_str())];
    assert_eq!(wrong(&server, &settings).await, ["this machine's clock"]);
    for args in [&["take-back"][..], &["take-back", "--yes"], &["accept-future", "--all", "--reason", "none"]]
    {
        let (status, _, said) = run(&server, args, &settings).await;
        assert!(!status.success() && said.contains("days ahead of the database's"), "{args:?}: {said}");
    }
}

#[tokio::test]
async fn what_a_database_is_and_what_it_is_sealed_with_is_held_against_the_settings() {
    let server = TestServer::start().await;
    for (setting, value, what) in [
        ("ABACUS_SANDBOX", "0", "whose database it is, and its scales"),
        ("ABACUS_CURRENCIES", "CNY:3:9", "whose database it is, and its scales"),
        ("ABACUS_LEDGER_KEYS", "1:another key than that of the sandbox", "the keys of its ledger"),
    ] {
        let settings: Vec<_> =
            SANDBOX.iter().copied().filter(|(name, _)| *name != setting).chain([(setting, value)]).collect();
        assert_eq!(wrong(&server, &settings).await, [what], "{setting}");
    }
    let before = server.contents().await;
    assert_eq!(wrong(&server, SANDBOX).await, Vec::<String>::new());
    server.assert_holds_still(&before).await;
}
