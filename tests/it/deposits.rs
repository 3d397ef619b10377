//! Tokens that pay for prepayments, on the sandbox's own chain.

use abacus::clock::Clock;
use abacus::domain::ids::AccountId;
use abacus::domain::money::{Currencies, CurrencyCode};
use abacus::domain::prepay::{Deposit, DepositState};
use abacus::jobs::deposits::deposit_pass;
use abacus::jobs::{JobContext, LeaseGuard};
use abacus::store::deposits::{ScanRows, chain_begin, chain_progress, deposits_to, scan_write};
use abacus::store::leases::Lease;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::TestServer;
use crate::support::life::{Life, jobs};
use crate::support::server::another_server;
use crate::support::tokens::Buyer;

const BEGIN: &str = "2026-03-01T10:00:00Z";

fn kinds(notices: &[(String, String)]) -> Vec<&str> {
    notices.iter().map(|(kind, _)| kind.as_str()).collect()
}

/// What the chain says is changed past the server, and looked at.
async fn chain_says(life: &Life, what: &str) {
    life.server.sql().await.batch_execute(&format!("UPDATE deposits SET {what}")).await.unwrap();
    look(life).await;
}

async fn look(life: &Life) {
    deposit_pass(&life.server.server.app.jobs, &LeaseGuard::Always).await.unwrap();
}

/// Three more servers on the same database, that look for deposits as well.
fn other_servers(life: &Life) -> Vec<JobContext> {
    let other = |_| JobContext {
        deposit_addresses: life.server.server.app.jobs.deposit_addresses.clone(),
        ..another_server(&life.server.database_url, &life.clock, Currencies::default())
    };
    (0..3).map(other).collect()
}

#[tokio::test]
async fn every_prepayment_has_an_address_of_its_own_and_only_then() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let quote = buyer.quote("USDT_ERC20").await;
    let provisional = buyer.try_prepay(&quote, json!({ "dryRun": true })).await["prepayment"].clone();
    assert_eq!(
        (&provisional["status"], &provisional["depositAddress"], &provisional["deposits"]),
        (&json!("AWAITING_DEPOSIT"), &json!(null), &json!([]))
    );
    let first = buyer.try_prepay(&quote, json!({ "idempotencyKey": "k" })).await["prepayment"].clone();
    assert_eq!(
        buyer.try_prepay(&quote, json!({ "idempotencyKey": "k" })).await["prepayment"],
        first,
        "the same key"
    );
    buyer.try_prepay(&quote, json!({ "amount": "33.31" })).await;
    let other = buyer.prepay("USDT_ERC20").await;
    assert_ne!(first["depositAddress"], other["depositAddress"]);
    // The first accounts of a mnemonic that everybody knows.
    assert_eq!(first["depositAddress"], "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
    for (more, path) in [
        (json!({ "paymentMethodId": "pmt_x" }), "paymentMethodId"),
        (json!({ "autoRenewal": true }), "autoRenewal"),
    ] {
        let refused = buyer.try_prepay(&buyer.quote("USDT_ERC20").await, more).await;
        assert_eq!(refused["userErrors"][0]["path"], json!(["input", path]));
    }
    let taken = buyer.try_prepay(&quote, json!({})).await;
    assert_eq!(taken["userErrors"][0]["code"], "CONFLICT");
    let sql = life.server.sql().await;
    let addresses: i64 = sql.query_one("SELECT count(*) FROM deposit_addresses", &[]).await.unwrap().get(0);
    assert_eq!(addresses, 2, "what is refused takes none");
    let bound = buyer.bind(&first, "USDT_ERC20").await;
    assert_eq!(bound["userErrors"][0]["message"], "it is not paid yet");
}

#[tokio::test]
async fn parts_add_up_and_what_is_too_much_is_told() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let asked = buyer.prepay("USDT_ERC20").await;
    let short = buyer.simulate(&asked, "USDT_ERC20", "33.299999").await;
    assert_eq!(
        (&short["status"], &short["deposits"][0]["state"]),
        (&json!("AWAITING_DEPOSIT"), &json!("COUNTED"))
    );
    assert_eq!(buyer.notices().await, []);
    life.advance("2026-03-02T09:59:59Z").await;
    let paid = buyer.simulate(&asked, "USDT_ERC20", "0.000001").await;
    assert_eq!((paid["status"].as_str(), buyer.notices().await), (Some("PAID"), vec![]));

    let over = buyer.prepay("USDT_ERC20").await;
    let paid = buyer.simulate(&over, "USDT_ERC20", "40").await;
    assert_eq!((&paid["status"], &paid["deposits"][0]["state"]), (&json!("PAID"), &json!("COUNTED")));
    assert_eq!(paid["transaction"]["amount"]["amount"], "33.300000", "no more is earned");
    let notices = buyer.notices().await;
    assert_eq!(kinds(&notices), ["DEPOSIT_UNUSED"]);
    let hash = paid["deposits"][0]["transactionHash"].as_str().unwrap();
    for told in ["6.7 USDT_ERC20", hash, "from 0x5a5A"] {
        assert!(notices[0].1.contains(told), "{told}: {}", notices[0].1);
    }
    let again = buyer.simulate(&over, "USDT_ERC20", "33.3").await;
    assert_eq!(again["status"], "PAID");
    assert_eq!(buyer.states(&over).await, ["COUNTED", "UNUSED"]);
    assert_eq!(kinds(&buyer.notices().await), ["DEPOSIT_UNUSED", "DEPOSIT_UNUSED"]);
    assert_eq!(buyer.moves().await, ["PREPAYMENT FINISHED", "PREPAYMENT FINISHED"]);
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_is_short_when_the_time_is_over_is_told_with_its_sender() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let (short, nothing) = (buyer.prepay("USDT_ERC20").await, buyer.prepay("USDT_ERC20").await);
    buyer.simulate(&short, "USDT_ERC20", "12.5").await;
    assert_eq!(life.advance("2026-03-02T10:29:59Z").await, jobs(&[]), "what came in time may be found later");
    let ran = life.advance("2026-03-02T10:30:00Z").await;
    assert_eq!(ran, jobs(&[("PREPAYMENT_END", 2, 0)]));
    assert_eq!(buyer.status(&short).await, "EXPIRED");
    assert_eq!(buyer.status(&nothing).await, "EXPIRED");
    assert_eq!(buyer.states(&short).await, ["UNUSED"]);
    let notices = buyer.notices().await;
    assert_eq!(kinds(&notices).iter().filter(|kind| **kind == "PAYMENT_FAILED").count(), 2);
    let unused: Vec<_> = notices.iter().filter(|(kind, _)| kind == "DEPOSIT_UNUSED").collect();
    assert_eq!(unused.len(), 1);
    assert!(
        unused[0].1.contains("12.5 USDT_ERC20 from 0x5a5A") && unused[0].1.contains("33.3 was to be paid")
    );
    // The rest comes too late.
    let late = buyer.simulate(&short, "USDT_ERC20", "20.8").await;
    assert_eq!((late["status"].as_str(), buyer.moves().await), (Some("EXPIRED"), vec![]));
    assert_eq!(buyer.states(&short).await, ["UNUSED", "UNUSED"]);
    assert_eq!(buyer.notices().await.len(), 4);
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn the_time_of_the_block_decides_and_not_the_time_of_looking() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let asked = buyer.prepay("USDT_ERC20").await;
    buyer.simulate(&asked, "USDT_ERC20", "13.3").await;
    life.advance("2026-03-02T10:30:05Z").await;
    assert_eq!(
        (buyer.status(&asked).await.as_str(), buyer.states(&asked).await),
        ("EXPIRED", vec!["UNUSED".to_owned()])
    );
    // Its block was made at the last moment, and has its confirmations now.
    buyer.simulate(&asked, "USDT_ERC20", "20").await;
    assert_eq!(buyer.status(&asked).await, "EXPIRED");
    chain_says(&life, "block_time = '2026-03-02T10:00:00Z', state = 'SEEN' WHERE amount = 20").await;
    assert_eq!(buyer.status(&asked).await, "PAID");
    assert_eq!(buyer.states(&asked).await, ["COUNTED", "COUNTED"]);
    let used: Vec<_> =
        buyer.notices().await.into_iter().filter(|(_, told)| told.contains("used after all")).collect();
    assert_eq!(used.len(), 1, "who was told of 13.3 is told again: {used:?}");
    assert_eq!(buyer.bind(&asked, "USDT_ERC20").await["prepayment"]["status"], "BOUND");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn another_token_is_kept_and_told() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let asked = buyer.prepay("USDT_ERC20").await;
    let wrong = buyer.simulate(&asked, "ANKR_ERC20", "33.3").await;
    assert_eq!(
        (&wrong["status"], &wrong["deposits"][0]["state"]),
        (&json!("AWAITING_DEPOSIT"), &json!("UNUSED"))
    );
    let notices = buyer.notices().await;
    assert_eq!(kinds(&notices), ["DEPOSIT_UNUSED"]);
    assert!(notices[0].1.contains("33.3 ANKR_ERC20") && notices[0].1.contains("USDT_ERC20 was to be paid"));
    let told = buyer.customer.data("{ account { notices { id } } }").await["account"]["notices"][0].clone();
    let input = json!({ "noticeId": told["id"] });
    let refused = buyer.customer.refusal("acknowledgeNotice", "AcknowledgeNoticeInput", input.clone()).await;
    assert_eq!(
        refused,
        ("NOT_FOUND".to_owned(), "input.noticeId".to_owned()),
        "somebody has to give it back"
    );
    life.operator.mutate("acknowledgeNotice", "AcknowledgeNoticeInput", input, "notice { id }").await;
    assert_eq!(buyer.notices().await, []);
    assert_eq!(buyer.simulate(&asked, "USDT_ERC20", "33.3").await["status"], "PAID");
}

#[tokio::test]
async fn an_address_without_a_prepayment_keeps_what_it_gets() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    buyer.prepay("USDT_ERC20").await;
    // One that was reserved for a purchase that was refused in the end.
    let reserve =
        "INSERT INTO deposit_addresses SELECT 77, '0x52908400098527886E0F7030069857D2E4169EE7', account_id
        FROM deposit_addresses";
    life.server.sql().await.batch_execute(reserve).await.unwrap();
    let reserved = json!({ "depositAddress": "0x52908400098527886E0F7030069857D2E4169EE7" });
    assert_eq!(buyer.simulate(&reserved, "USDT_ERC20", "1").await, json!(null));
    let notices = buyer.notices().await;
    assert_eq!(kinds(&notices), ["DEPOSIT_UNUSED"]);
    assert!(notices[0].1.contains("nothing is to be paid to this address"));
    chain_says(&life, "is_gone = true").await;
    assert!(buyer.notices().await[1].1.contains("on the chain no more"));
}

#[tokio::test]
async fn a_deposit_that_is_undone_is_taken_back_and_counts_when_it_comes_again() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let asked = buyer.prepay("USDT_ERC20").await;
    buyer.simulate(&asked, "USDT_ERC20", "33.3").await;
    let bound = buyer.bind(&asked, "USDT_ERC20").await["prepayment"].clone();
    assert_eq!(bound["status"], "BOUND");
    life.advance("2026-03-05T10:00:00Z").await;

    chain_says(&life, "is_gone = true").await;
    let undone = buyer.now(&asked).await;
    assert_eq!(
        (&undone["status"], &undone["transaction"]["status"], &undone["deposits"][0]["state"]),
        (&json!("AWAITING_DEPOSIT"), &json!("FAILED"), &json!("UNDONE"))
    );
    assert_eq!((&undone["app"], &undone["endTime"]), (&bound["app"], &bound["endTime"]), "its term runs on");
    let notices = buyer.notices().await;
    assert_eq!(kinds(&notices), ["PAYMENT_FAILED"]);
    assert!(notices[0].1.contains("33.3 USDT_ERC20"));
    // The same transaction in another block, after the first time was over.
    let again = "INSERT INTO deposits SELECT account_id, 'another block', log_index + 3, chain_id, block_number + 9,
        block_time + interval '4 days', transaction_hash, asset, amount, sender, address, false, 'SEEN' FROM deposits";
    life.server.sql().await.batch_execute(again).await.unwrap();
    look(&life).await;
    let redone = buyer.now(&asked).await;
    assert_eq!((&redone["status"], &redone["transaction"]["status"]), (&json!("BOUND"), &json!("FINISHED")));
    assert_eq!((&redone["startTime"], &redone["endTime"]), (&bound["startTime"], &bound["endTime"]));
    assert_eq!(buyer.states(&asked).await, ["UNDONE", "COUNTED"]);
    assert_eq!(buyer.moves().await, ["PREPAYMENT FINISHED", "PREPAYMENT FAILED"]);
    // And once more away, and never again: it is over after another day.
    chain_says(&life, "is_gone = true").await;
    assert_eq!(buyer.moves().await, ["PREPAYMENT FAILED", "PREPAYMENT FAILED"]);
    life.advance("2026-03-06T10:30:00Z").await;
    assert_eq!(buyer.status(&asked).await, "EXPIRED");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn after_a_re_organisation_other_tokens_may_come_for_another_day() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let asked = buyer.prepay("USDT_ERC20").await;
    buyer.simulate(&asked, "USDT_ERC20", "33.3").await;
    life.advance("2026-03-02T09:00:00Z").await;
    chain_says(&life, "is_gone = true").await;
    assert_eq!(buyer.status(&asked).await, "AWAITING_DEPOSIT");
    life.advance("2026-03-03T08:59:59Z").await;
    let paid = buyer.simulate(&asked, "USDT_ERC20", "33.3").await;
    assert_eq!(
        (&paid["status"], buyer.states(&asked).await),
        (&json!("PAID"), vec!["UNDONE".to_owned(), "COUNTED".to_owned()])
    );
}

/// Writes down a scan that found these deposits, and has them decided on.
async fn scan_finds(life: &Life, found: Vec<Deposit>, blocks: Vec<(i64, String)>) {
    let sql = life.server.sql().await;
    let chain: i64 = sql.query_one("SELECT min(chain_id) FROM deposits", &[]).await.unwrap().get(0);
    let mut conn = life.server.server.app.jobs.database.connection().await.unwrap();
    chain_begin(&conn, chain, 0).await.unwrap();
    let progress = chain_progress(&conn, chain).await.unwrap().unwrap();
    let found = ScanRows { rolled_back_to: None, deposits: found, blocks };
    assert!(scan_write(&mut conn, chain, &progress, &found, 256).await.unwrap());
    drop(conn);
    look(life).await;
}

/// The deposits to a prepayment, as a scan finds them.
async fn rows(life: &Life, prepayment: &Value) -> Vec<Deposit> {
    let account = AccountId(life.account.trim_start_matches("acc_").parse().unwrap());
    let address = prepayment["depositAddress"].as_str().unwrap().to_owned();
    let conn = life.server.server.app.jobs.database.connection().await.unwrap();
    let kept = deposits_to(&conn, &[(account, address)]).await.unwrap();
    kept.into_iter().map(|deposit| Deposit { state: DepositState::Seen, ..deposit }).collect()
}

#[tokio::test]
async fn events_that_another_node_numbers_otherwise_count_once() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let asked = buyer.prepay("USDT_ERC20").await;
    buyer.simulate(&asked, "USDT_ERC20", "17").await;
    let first = rows(&life, &asked).await.remove(0);
    // The same transaction sends once more, and another token; nodes number by block, by transaction, not at all.
    let mut second = Deposit { amount: "0.000001".parse().unwrap(), ..first.clone() };
    second.place.nth = 1;
    let mut other = first.clone();
    other.place.asset = CurrencyCode::parse("ANKR_ERC20").unwrap();
    for numbers in [[1, 2, 3], [0, 1, 2], [0, 0, 0], [2, 1, 0]] {
        let mut read = vec![first.clone(), second.clone(), other.clone()];
        for (deposit, number) in read.iter_mut().zip(numbers) {
            deposit.place.log_index = number;
        }
        scan_finds(&life, read, Vec::new()).await;
        assert_eq!(buyer.status(&asked).await, "AWAITING_DEPOSIT", "17.000001 came once: {numbers:?}");
        let mut states = buyer.states(&asked).await;
        states.sort();
        assert_eq!(states, ["COUNTED", "COUNTED", "UNUSED"]);
    }
    assert_eq!(kinds(&buyer.notices().await), ["DEPOSIT_UNUSED"], "of the other token, once");
}

#[tokio::test]
async fn what_was_found_in_a_block_that_the_chain_has_not_is_gone() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let asked = buyer.prepay("USDT_ERC20").await;
    buyer.simulate(&asked, "USDT_ERC20", "33.3").await;
    let mut moved = rows(&life, &asked).await;
    moved[0].place.block_hash = "the chain's".to_owned();
    let block = (moved[0].place.block_number, moved[0].place.block_hash.clone());
    scan_finds(&life, Vec::new(), vec![block.clone()]).await;
    assert_eq!(
        (buyer.status(&asked).await.as_str(), buyer.states(&asked).await),
        ("AWAITING_DEPOSIT", vec!["UNDONE".to_owned()])
    );
    scan_finds(&life, moved, vec![block]).await;
    assert_eq!(
        (buyer.status(&asked).await.as_str(), buyer.moves().await),
        ("PAID", vec!["PREPAYMENT FINISHED".to_owned(), "PREPAYMENT FAILED".to_owned()])
    );
}

#[tokio::test]
async fn a_late_deposit_steps_in_at_once_for_one_that_is_undone() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let asked = buyer.prepay("USDT_ERC20").await;
    buyer.simulate(&asked, "USDT_ERC20", "33.3").await;
    life.advance("2026-03-02T12:00:00Z").await;
    buyer.simulate(&asked, "USDT_ERC20", "34").await;
    assert_eq!(buyer.states(&asked).await, ["COUNTED", "UNUSED"]);
    chain_says(&life, "is_gone = true WHERE amount = 33.3").await;
    let now = buyer.now(&asked).await;
    assert_eq!((&now["status"], &now["transaction"]["status"]), (&json!("PAID"), &json!("FINISHED")));
    assert_eq!(buyer.states(&asked).await, ["UNDONE", "COUNTED"]);
    let notices = buyer.notices().await;
    assert_eq!(kinds(&notices), ["DEPOSIT_UNUSED", "DEPOSIT_UNUSED", "DEPOSIT_UNUSED"]);
    assert!(notices.iter().any(|(_, told)| told.contains("used after all")), "{notices:?}");
    assert!(notices.iter().any(|(_, told)| told.contains("0.7 USDT_ERC20 is not used")), "{notices:?}");
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn an_account_has_a_hundred_prepayments_that_wait_at_the_most() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let asked = buyer.prepay("USDT_ERC20").await;
    // As many as there may be, and the one above.
    let more = "INSERT INTO prepayments (SELECT (jsonb_populate_record(p, jsonb_build_object('id', gen_random_uuid(), 'quote_id', gen_random_uuid(),
        'deposit_address', 'address ' || g))).* FROM prepayments p, generate_series(1, 99) g)";
    life.server.sql().await.batch_execute(more).await.unwrap();
    let refused = buyer.try_prepay(&buyer.quote("USDT_ERC20").await, json!({})).await;
    assert_eq!(refused["userErrors"][0]["code"], "LIMIT_EXCEEDED", "{refused}");
    buyer.simulate(&asked, "USDT_ERC20", "33.3").await;
    buyer.prepay("USDT_ERC20").await;
}

#[tokio::test]
async fn another_deposit_steps_in_for_one_that_is_undone() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let asked = buyer.prepay("USDT_ERC20").await;
    for amount in ["33.3", "34"] {
        buyer.simulate(&asked, "USDT_ERC20", amount).await;
    }
    assert_eq!(buyer.states(&asked).await, ["COUNTED", "UNUSED"]);
    chain_says(&life, "is_gone = true WHERE amount = 33.3").await;
    assert_eq!((buyer.status(&asked).await.as_str(), buyer.moves().await.len()), ("PAID", 1));
    let mut states = buyer.states(&asked).await;
    states.sort();
    assert_eq!(states, ["COUNTED", "UNDONE"]);
    let notices = buyer.notices().await;
    assert_eq!(kinds(&notices), ["DEPOSIT_UNUSED", "DEPOSIT_UNUSED"]);
    assert!(notices[1].1.contains("used after all"), "{notices:?}");
}

#[tokio::test]
async fn whoever_looks_and_how_often_a_deposit_counts_once() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let mut asked = Vec::new();
    for _ in 0..10 {
        let prepayment = buyer.prepay("USDT_ERC20").await;
        buyer.simulate(&prepayment, "USDT_ERC20", "30").await;
        asked.push(prepayment);
    }
    // What a process that was killed after the scan had left undone.
    let seen = "INSERT INTO deposits SELECT account_id, block_hash, 1, chain_id, block_number, block_time, transaction_hash, asset,
        3.3, sender, address, false, 'SEEN', 1 FROM deposits";
    life.server.sql().await.batch_execute(seen).await.unwrap();
    let others = other_servers(&life);
    let own = life.server.server.app.jobs.clone();
    let passes = others
        .iter()
        .chain([&own])
        .map(|jobs| async { deposit_pass(jobs, &LeaseGuard::Always).await.unwrap() });
    let runs = futures_util::future::join_all(passes).await;
    let ran: i32 = runs.iter().flat_map(|runs| runs.0.values()).map(|counts| counts.ran).sum();
    assert_eq!(ran, 10, "each was decided on once");
    for prepayment in &asked {
        assert_eq!(buyer.status(prepayment).await, "PAID");
    }
    assert_eq!(buyer.moves().await, ["PREPAYMENT FINISHED"; 10]);
    look(&life).await;
    assert_eq!((buyer.moves().await.len(), buyer.notices().await), (10, vec![]));
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_process_without_a_chain_leaves_the_lease_to_those_that_have_one() {
    let life = Life::begin(BEGIN, "0").await;
    let stopping = CancellationToken::new();
    let permit = || LeaseGuard::Leased { lease: Lease::Deposits, stopping: &stopping };
    let holders = async || -> Vec<String> {
        let rows =
            life.server.sql().await.query("SELECT holder FROM leases WHERE name = 'deposits'", &[]).await;
        rows.unwrap().iter().map(|row| row.get(0)).collect()
    };
    let without = another_server(&life.server.database_url, &life.clock, Currencies::default());
    deposit_pass(&without, &permit()).await.unwrap();
    assert_eq!(holders().await, Vec::<String>::new());
    let own = &life.server.server.app.jobs;
    deposit_pass(own, &permit()).await.unwrap();
    assert_eq!(holders().await, std::slice::from_ref(&own.holder));
}

#[tokio::test]
async fn while_the_chain_changes_and_several_look_at_once_what_is_paid_is_what_the_chain_has() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    for _ in 0..6 {
        let prepayment = buyer.prepay("USDT_ERC20").await;
        for amount in ["20", "13.3", "14"] {
            buyer.simulate(&prepayment, "USDT_ERC20", amount).await;
        }
    }
    let sql = life.server.sql().await;
    let changing = async {
        for step in 0..120_i64 {
            let flip = "UPDATE deposits SET is_gone = NOT is_gone WHERE block_hash =
                (SELECT block_hash FROM deposits ORDER BY block_hash OFFSET $1 LIMIT 1)";
            sql.execute(flip, &[&(step * 7 % 18)]).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let others = other_servers(&life);
    let looking = others.iter().map(|jobs| async {
        for _ in 0..40 {
            deposit_pass(jobs, &LeaseGuard::Always).await.unwrap();
        }
    });
    tokio::join!(changing, futures_util::future::join_all(looking));
    look(&life).await;
    let told = "SELECT p.status, coalesce((SELECT sum(d.amount) FROM deposits d WHERE d.address = p.deposit_address AND NOT is_gone), 0)
            >= p.amount, (SELECT t.status FROM transactions t WHERE t.account_id = p.account_id AND t.id = p.transaction_id)
        FROM prepayments p";
    let mut paid = 0;
    for row in sql.query(told, &[]).await.unwrap() {
        let (status, is_enough, moved): (String, bool, String) = (row.get(0), row.get(1), row.get(2));
        let expected = if is_enough { ("PAID", "FINISHED") } else { ("AWAITING_DEPOSIT", "FAILED") };
        assert_eq!((status.as_str(), moved.as_str()), expected);
        paid += i64::from(is_enough);
    }
    let finished = "SELECT count(*) FROM transactions WHERE status = 'FINISHED'";
    assert_eq!(sql.query_one(finished, &[]).await.unwrap().get::<_, i64>(0), paid, "none is paid twice");
    let undecided = "SELECT count(*) FROM deposits WHERE state = 'SEEN' OR is_gone <> (state = 'UNDONE')";
    assert_eq!(sql.query_one(undecided, &[]).await.unwrap().get::<_, i64>(0), 0);
    life.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_was_paid_in_tokens_is_not_given_back_and_operators_hear_of_what_was_never_bound() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    let asked = buyer.prepay("USDT_ERC20").await;
    let paid = buyer.simulate(&asked, "USDT_ERC20", "33.3").await;
    let refund = json!({ "transactionId": paid["transaction"]["id"], "reason": "r", "idempotencyKey": "k" });
    let refused = life.operator.payload("refund", "RefundInput", refund, "refund { id }").await;
    assert_eq!(refused["refund"], json!(null));
    assert_eq!(refused["userErrors"].as_array().unwrap().len(), 1);
    life.advance("2026-03-08T10:00:00Z").await;
    assert_eq!(
        (buyer.status(&asked).await.as_str(), kinds(&buyer.notices().await)),
        ("PAID", vec!["DEPOSIT_UNUSED"])
    );
    assert_eq!(buyer.bind(&asked, "USDT_ERC20").await["prepayment"]["status"], "BOUND");
}

#[tokio::test]
async fn a_sandbox_s_deposits_are_checked_and_nobody_else_has_any() {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    life.server.account("other", "0").await;
    let address = buyer.prepay("USDT_ERC20").await["depositAddress"].clone();
    let nobody_s = "0xde709f2102306220921060314715629080e2fb77";
    let still = life.server.contents().await;
    let wrong_sum = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92267";
    for (more, code, path) in [
        (json!({ "address": nobody_s }), "NOT_FOUND", "input.address"),
        (json!({ "address": "0x" }), "INVALID", "input.address"),
        (json!({ "address": "\u{0}" }), "INVALID", "input.address"),
        (json!({ "address": wrong_sum }), "INVALID", "input.address"),
        (json!({ "asset": "USD" }), "INVALID", "input.asset"),
        (json!({ "asset": "CNY" }), "INVALID", "input.asset"),
        (json!({ "asset": "XXX" }), "INVALID", "input.asset"),
        (json!({ "amount": "0" }), "INVALID", "input.amount"),
        (json!({ "amount": "-1" }), "INVALID", "input.amount"),
        (json!({ "amount": "0.0000001" }), "INVALID", "input.amount"),
    ] {
        let mut input = json!({ "address": address, "asset": "USDT_ERC20", "amount": "1" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = life.customer.refusal("simulateDeposit", "SimulateDepositInput", input).await;
        assert_eq!(refused, (code.to_owned(), path.to_owned()), "{more}");
    }
    let input = json!({ "address": address, "asset": "USDT_ERC20", "amount": "1" });
    let others = life.server.customer("other");
    let refused = others.refusal("simulateDeposit", "SimulateDepositInput", input.clone()).await;
    assert_eq!(refused.0, "NOT_FOUND", "it is not the other's to see");
    life.server.assert_holds_still(&still).await;
    let lower =
        json!({ "address": address.as_str().unwrap().to_lowercase(), "asset": "USDT_ERC20", "amount": "1" });
    life.operator.mutate("simulateDeposit", "SimulateDepositInput", lower, "prepayment { id }").await;

    let clock = Clock::standing_at(BEGIN.parse().unwrap());
    let real = TestServer::with(|config| (config.sandbox, config.clock) = (false, clock)).await;
    real.account_from(json!({ "namespace": "tenant", "name": "Tenant", "currency": "USD" }), "0").await;
    for client in [real.operator(), real.customer("tenant")] {
        let (status, answer) =
            client.try_mutate("simulateDeposit", "SimulateDepositInput", input.clone(), "__typename").await;
        assert_eq!(
            (status, &answer["errors"][0]["extensions"]["code"]),
            (StatusCode::OK, &json!("FORBIDDEN"))
        );
    }
    let buyer = Buyer::of(&real, "tenant");
    let refused: Value = buyer.try_prepay(&buyer.quote("USDT_ERC20").await, json!({})).await;
    assert_eq!(refused["userErrors"][0]["message"], "this server takes no deposits of USDT_ERC20");
}
