//! Accounts move from one cell to another, beside a server that goes on (docs/adr/0043).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use abacus::clock::Clock;
use abacus::domain::cell::CellNumber;
use abacus::domain::ids::AccountId;
use abacus::server::cells_with_owners;
use abacus::store::cells::moving::{Moved, Mover, NotMoved, Step};
use abacus::store::deposits;
use abacus::store::distribution::placements::{PLACEMENTS, Placement};
use serde_json::{Value, json};

use crate::support::cells::{TwoCells, is_of_second};
use crate::support::cluster;
use crate::support::life::at;
use crate::support::process::{Folder, command, outcome};

/// The server looks every second.
const SEEN: Duration = Duration::from_millis(3_500);
const STEPS: [Step; 4] = [Step::Leaving, Step::There, Step::Gone, Step::Removed];

fn cell_number(number: i64) -> CellNumber {
    CellNumber::new(number).unwrap()
}

/// Moves an account, and stops after a step as if it were killed.
async fn moved_until(
    cells: &TwoCells,
    account: &str,
    to: i64,
    last: Option<Step>,
) -> Result<Moved, NotMoved> {
    let (opened, owners) = cells_with_owners(&cells.addresses()).await.unwrap();
    let account = AccountId::parse(account).unwrap();
    let mut on_step = |step| Some(step) != last;
    Mover::new(opened, owners).waiting(SEEN).move_account(account, cell_number(to), &mut on_step).await
}

async fn moved(cells: &TwoCells, account: &str, to: i64) -> Moved {
    moved_until(cells, account, to, None).await.unwrap()
}

/// How many rows of an account each table of a database has, but for those that are the cell's for ever.
async fn rows_of(url: &str, account: &str) -> BTreeMap<String, i64> {
    let (sql, number) = (cluster::connect(url).await, AccountId::parse(account).unwrap().0);
    let owned = PLACEMENTS.iter().filter_map(|(table, placement)| match placement {
        Placement::ByAccount(column) if *table != "ledger_anchor_heads" => Some((*table, *column)),
        _ => None,
    });
    let beside = ["price_rules", "deposit_addresses"].map(|table| (table, "account_id"));
    let mut rows = BTreeMap::new();
    for (table, column) in owned.chain(beside) {
        let count = format!("SELECT count(*) FROM {table} WHERE {column} = {number}");
        let count: i64 = sql.query_one(&count, &[]).await.unwrap().get(0);
        if count > 0 {
            rows.insert(table.to_owned(), count);
        }
    }
    rows
}

/// Gives a customer something of most kinds.
async fn lives(cells: &TwoCells, name: &str, id: &str, plan: &str) {
    let (customer, operator) = (cells.server.customer(name), cells.server.operator());
    for number in 0..3 {
        customer.checkout(plan, &format!("{name}{number}")).await;
    }
    let base = json!({ "base": { "currency": "CNY", "tariffs": [{ "resource": "space", "tiers": [{ "from": "0", "unitPrice": "2" }] }] } });
    let rules = json!({ "accountId": id, "idempotencyKey": format!("rules {name}"), "infos": [{ "definition": base }] });
    operator.mutate("setPrices", "SetPricesInput", rules, "rules { id }").await;
    let event = |number: i32| json!({ "id": format!("e{number}"), "namespace": name, "resource": "space", "quantity": "3", "time": "2026-03-01T09:00:00Z", "subject": "s" });
    let usage = json!({ "events": [event(1), event(2)] });
    let counted = operator.mutate("recordUsage", "RecordUsageInput", usage, "accepted").await;
    assert_eq!(counted["accepted"], 2);
}

/// All that a customer sees.
async fn seen(cells: &TwoCells, name: &str) -> Value {
    let fields = "{ account { id namespace balance { amount } notices { id kind }
        orders { totalCount nodes { id number state bills { nodes { id status amount { amount } } } } }
        transactions { totalCount nodes { id kind amount { amount } balanceAfter } }
        forecast { soFar { amount } } priceRules { id } } }";
    let answer = cells.server.customer(name).answer(fields).await;
    assert_eq!(answer["errors"], Value::Null, "{answer}");
    answer["data"].clone()
}

/// The ids of a list over everybody, each as often as it is there.
async fn everybodys(cells: &TwoCells, list: &str) -> Vec<String> {
    let query = format!("{{ {list}(first: 100) {{ nodes {{ id }} }} }}");
    let nodes = cells.server.operator().data(&query).await[list]["nodes"].clone();
    nodes.as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

async fn two_cells() -> TwoCells {
    let clock = Clock::standing_at(at("2026-03-01T10:02:00Z"));
    TwoCells::with(|config| config.clock = clock).await
}

/// Makes a database one that has scanned a chain up to a block, and has given an account an address.
async fn scanned(url: &str, account: &str, newest: i64) {
    let sql = cluster::connect(&cluster::owner_url(url)).await;
    let number = AccountId::parse(account).unwrap().0;
    let rows = format!(
        "INSERT INTO chains (chain_id, begin_after) VALUES (1, 7);
         INSERT INTO chain_blocks SELECT 1, n, 'block ' || n FROM generate_series({newest} - 9, {newest}) n;
         INSERT INTO deposit_addresses SELECT nextval('deposit_address_places'), 'address of {account}', {number}"
    );
    sql.batch_execute(&rows).await.unwrap();
}

/// The blocks that a database remembers.
async fn blocks(url: &str) -> Vec<i64> {
    let sql = cluster::connect(url).await;
    let rows = sql.query("SELECT number FROM chain_blocks ORDER BY number", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn an_account_is_moved_with_all_that_is_its_own_and_goes_on_in_the_other_cell_and_comes_back() {
    let cells = two_cells().await;
    let ids = cells.tenants(&["t0", "t1", "t2"]).await;
    let plan = cells.plan("small").await;
    for (name, id) in ["t0", "t1", "t2"].iter().zip(&ids) {
        lives(&cells, name, id, &plan).await;
    }
    let sub = json!({ "namespace": "t0.sub", "name": "s", "currency": "CNY", "parentId": ids[0] });
    let sub =
        cells.server.operator().mutate("createAccount", "CreateAccountInput", sub, "account { id }").await;
    let sub = sub["account"]["id"].as_str().unwrap().to_owned();
    let (home, second) = (cells.server.database_url.clone(), cells.second_url.clone());
    scanned(&home, &ids[0], 100).await;
    scanned(&second, &ids[1], 120).await;
    let (before, rows) = (seen(&cells, "t0").await, rows_of(&home, &ids[0]).await);
    assert!(rows.len() >= 11, "{rows:?}");
    let neighbour = seen(&cells, "t2").await;
    let orders = everybodys(&cells, "orders").await;

    assert_eq!(moved(&cells, &ids[0], 1).await, Moved::Accounts(2));
    assert_eq!(rows_of(&home, &ids[0]).await, BTreeMap::new());
    assert_eq!(rows_of(&home, &sub).await, BTreeMap::new());
    assert_eq!(rows_of(&second, &ids[0]).await, rows);
    assert_eq!(seen(&cells, "t0").await, before);
    assert_eq!(seen(&cells, "t2").await, neighbour);
    for list in ["orders", "bills", "accounts", "transactions"] {
        let ids = everybodys(&cells, list).await;
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{list}: {ids:?}");
    }
    assert_eq!(everybodys(&cells, "orders").await, orders);
    // What the home cell had scanned of a chain is what the other goes on from, and it looks for deposits to what has come.
    assert_eq!(blocks(&second).await, blocks(&home).await);
    let database = &cells.server.server.app.store.cells().others()[0].database;
    let conn = database.connection().await.unwrap();
    let address = format!("address of {}", ids[0]);
    assert_eq!(deposits::addresses_that_have_come(&conn).await.unwrap(), [address]);
    let own = deposits::addresses_from(&conn, 0, 10).await.unwrap();
    assert_eq!(
        own.iter().map(|(_, address)| address.clone()).collect::<Vec<_>>(),
        [format!("address of {}", ids[1])]
    );
    drop(conn);
    // A key is good for what it was good for; what is new is bought there, and counts there.
    let customer = cells.server.customer("t0");
    let again = customer.checkout(&plan, "t02").await;
    assert_eq!(again["order"]["id"], before["account"]["orders"]["nodes"][0]["id"]);
    assert_eq!(customer.checkout(&plan, "new").await["userErrors"], json!([]));
    let event = json!({ "id": "e2", "namespace": "t0", "resource": "space", "quantity": "3", "time": "2026-03-01T09:00:00Z", "subject": "s" });
    let input = json!({ "events": [event] });
    let counted =
        cells.server.operator().mutate("recordUsage", "RecordUsageInput", input, "accepted duplicates").await;
    assert_eq!(counted, json!({ "accepted": 0, "duplicates": 1, "userErrors": [] }));
    assert_eq!(rows_of(&home, &ids[0]).await, BTreeMap::new());
    cells.server.assert_ledger_is_healthy().await;
    // So is the key that an account was made with, wherever that lives by now.
    let keyed =
        json!({ "namespace": "keyed", "name": "k", "currency": "CNY", "idempotencyKey": "made once" });
    let operator = cells.server.operator();
    let make = async || {
        operator.mutate("createAccount", "CreateAccountInput", keyed.clone(), "account { id }").await
    };
    let made = make().await;
    let id = made["account"]["id"].as_str().unwrap();
    let born = i64::from(is_of_second(id));
    for to in [1 - born, born] {
        moved(&cells, id, to).await;
        assert_eq!(make().await, made, "{to}");
    }
    // SUB accounts are born where it lives now, and its namespace is its own still.
    let late = json!({ "namespace": "t0.late", "name": "s", "currency": "CNY", "parentId": ids[0] });
    let late =
        cells.server.operator().mutate("createAccount", "CreateAccountInput", late, "account { id }").await;
    assert!(is_of_second(late["account"]["id"].as_str().unwrap()));
    let taken = json!({ "namespace": "t0", "name": "x", "currency": "CNY" });
    let refused = cells.server.operator().refusal("createAccount", "CreateAccountInput", taken).await;
    assert_eq!(refused, ("CONFLICT".to_owned(), "input.namespace".to_owned()));

    let (there, rows) = (seen(&cells, "t0").await, rows_of(&second, &ids[0]).await);
    assert_eq!(moved(&cells, &ids[0], 1).await, Moved::Already);
    assert_eq!(moved(&cells, &ids[0], 0).await, Moved::Accounts(3));
    assert_eq!(rows_of(&second, &ids[0]).await, BTreeMap::new());
    assert_eq!(rows_of(&home, &ids[0]).await, rows);
    assert_eq!(seen(&cells, "t0").await, there);
    cells.server.assert_ledger_is_healthy().await;
    let mut all = 0;
    for url in [&home, &second] {
        let counts = "SELECT accounts, (SELECT count(*) FROM accounts) FROM cell";
        let row = cluster::connect(url).await.query_one(counts, &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), row.get::<_, i64>(1), "{url}");
        all += row.get::<_, i64>(0);
    }
    assert_eq!(all, 6);
    let fences = "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'moving_%'";
    for url in [&home, &second] {
        assert_eq!(cluster::connect(url).await.query_one(fences, &[]).await.unwrap().get::<_, i64>(0), 0);
    }
}

#[tokio::test]
async fn a_move_that_is_cut_off_after_any_step_loses_and_doubles_nothing_and_goes_on() {
    let cells = two_cells().await;
    let ids = cells.tenants(&["t0", "t1"]).await;
    let plan = cells.plan("small").await;
    lives(&cells, "t0", &ids[0], &plan).await;
    let (home, second) = (cells.server.database_url.clone(), cells.second_url.clone());
    for (nth, last) in STEPS.into_iter().enumerate() {
        let to = i64::from(nth % 2 == 0);
        let (before, lists) = (seen(&cells, "t0").await, everybodys(&cells, "orders").await);
        let stopped = moved_until(&cells, &ids[0], to, Some(last)).await;
        assert!(matches!(stopped, Err(NotMoved::Stopped)), "{last:?}: {stopped:?}");
        tokio::time::sleep(SEEN).await;
        assert_eq!(seen(&cells, "t0").await, before, "{last:?}");
        assert_eq!(everybodys(&cells, "orders").await, lists, "{last:?}");
        // Between two cells nothing is written; who asks again is served once it has arrived.
        let key = format!("k{nth}");
        let input = json!({ "planId": plan, "idempotencyKey": key });
        let customer = cells.server.customer("t0");
        let (_, asked) = customer.try_mutate("checkout", "CheckoutInput", input, "order { id }").await;
        let expected = match last {
            Step::Leaving | Step::There => json!("UNAVAILABLE"),
            Step::Gone | Step::Removed => Value::Null,
        };
        assert_eq!(asked["errors"][0]["extensions"]["code"], expected, "{last:?}: {asked}");
        // A neighbour is served meanwhile.
        assert_eq!(
            cells.server.customer("t1").checkout(&plan, &format!("n{nth}")).await["userErrors"],
            json!([])
        );
        let expected = if last == Step::Removed { Moved::Already } else { Moved::Accounts(1) };
        assert_eq!(moved(&cells, &ids[0], to).await, expected, "{last:?}");
        let bought = customer.checkout(&plan, &key).await;
        assert_eq!(bought["userErrors"], json!([]));
        let (left, lived) = if to == 1 { (&home, &second) } else { (&second, &home) };
        assert_eq!(rows_of(left, &ids[0]).await, BTreeMap::new(), "{last:?}");
        assert_eq!(rows_of(lived, &ids[0]).await["orders"], i64::try_from(nth).unwrap() + 4, "{last:?}");
        cells.server.assert_ledger_is_healthy().await;
    }
}

/// Recharges again and again, each under a key of its own until it is answered, for as long as it is to; answers how often. Meanwhile an
/// agent reports as often, and sends again what was not counted.
async fn keeps_recharging(cells: &TwoCells, name: &str, goes_on: &AtomicBool, may_wait: bool) -> i64 {
    let (customer, operator) = (cells.server.customer(name), cells.server.operator());
    let mut done = 0;
    while goes_on.load(Ordering::SeqCst) {
        let input = json!({ "amount": "1", "idempotencyKey": format!("r{done}") });
        let event = json!({ "id": format!("r{done}"), "namespace": name, "resource": "transfer_out", "quantity": "1", "time": "2026-03-01T09:00:00Z", "subject": "s" });
        let events = json!({ "events": [event] });
        let (mut is_paid, mut is_counted) = (false, false);
        while !(is_paid && is_counted) {
            if !is_paid {
                let (_, answer) = customer
                    .try_mutate("recharge", "RechargeInput", input.clone(), "transaction { id }")
                    .await;
                is_paid = answer["data"]["recharge"]["transaction"]["id"].is_string();
                assert!(is_paid || may_wait && is_unavailable(&answer), "{name}: {answer}");
            }
            if !is_counted {
                let fields = "accepted duplicates";
                let (_, answer) =
                    operator.try_mutate("recordUsage", "RecordUsageInput", events.clone(), fields).await;
                let counted = &answer["data"]["recordUsage"];
                is_counted = counted["accepted"] == 1 || counted["duplicates"] == 1;
                assert!(is_counted || may_wait && is_unavailable(&answer), "{name}: {answer}");
            }
            if !(is_paid && is_counted) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        done += 1;
    }
    done
}

fn is_unavailable(answer: &Value) -> bool {
    answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
}

#[tokio::test]
async fn what_is_asked_for_while_an_account_moves_is_done_once_and_neighbours_do_not_notice() {
    let cells = Arc::new(two_cells().await);
    let ids = cells.tenants(&["t0", "t1", "t2"]).await;
    let goes_on = Arc::new(AtomicBool::new(true));
    let customers = ["t0", "t1", "t2"].map(|name| {
        let (cells, goes_on) = (Arc::clone(&cells), Arc::clone(&goes_on));
        tokio::spawn(async move { keeps_recharging(&cells, name, &goes_on, name == "t0").await })
    });
    for to in [1, 0, 1] {
        assert_eq!(moved(&cells, &ids[0], to).await, Moved::Accounts(1));
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    goes_on.store(false, Ordering::SeqCst);
    for (name, customer) in ["t0", "t1", "t2"].into_iter().zip(customers) {
        let done = customer.await.unwrap();
        assert!(done > 20, "{name}: {done}");
        let seen = seen(&cells, name).await["account"].clone();
        assert_eq!(seen["balance"]["amount"], format!("{}.00", 1000 + done), "{name}");
        // The first is what it was opened with.
        assert_eq!(seen["transactions"]["totalCount"], done + 1, "{name}");
        let used = "{ usage(resource: \"transfer_out\", startTime: \"2026-03-01T00:00:00Z\", endTime: \"2026-03-02T00:00:00Z\", granularity: DAY) { quantity } }";
        let used = cells.server.customer(name).data(used).await["usage"][0]["quantity"].clone();
        assert_eq!(used.as_str().unwrap().parse::<i64>().unwrap(), done, "{name}: {used}");
    }
    cells.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_was_anchored_of_an_account_that_has_left_stays_anchored_and_its_new_cell_anchors_it_from_then_on()
 {
    let cells = two_cells().await;
    let ids = cells.tenants(&["t0", "t1", "t2"]).await;
    let plan = cells.plan("small").await;
    for name in ["t0", "t1", "t2"] {
        cells.server.customer(name).checkout(&plan, "first").await;
    }
    let operator = cells.server.operator();
    let advance = async |to: &str| {
        let fields = "now jobs { kind failed }";
        let moved = operator.mutate("advanceClock", "AdvanceClockInput", json!({ "to": to }), fields).await;
        assert!(moved["jobs"].as_array().unwrap().iter().all(|job| job["failed"] == 0), "{moved}");
    };
    advance("2026-03-01T11:02:00Z").await;
    for (to, hour) in [(1, "12"), (0, "13"), (1, "14")] {
        moved(&cells, &ids[0], to).await;
        cells.server.customer("t0").checkout(&plan, hour).await;
        advance(&format!("2026-03-01T{hour}:02:00Z")).await;
        cells.server.assert_ledger_is_healthy().await;
        let of_it = format!("{{ ledgerAnchor(accountId: \"{}\") {{ at receipt }} }}", ids[0]);
        let anchor = cells.server.customer("t0").data(&of_it).await["ledgerAnchor"].clone();
        assert_eq!(anchor["at"], format!("2026-03-01T{hour}:02:00Z"), "{anchor}");
        assert!(anchor["receipt"].is_string(), "{anchor}");
    }
    for url in [&cells.server.database_url, &cells.second_url] {
        let anchors = "SELECT count(*) FROM ledger_anchors";
        assert_eq!(cluster::connect(url).await.query_one(anchors, &[]).await.unwrap().get::<_, i64>(0), 4);
    }
}

#[tokio::test]
async fn rows_that_are_final_go_with_an_account_that_has_gone_and_with_nobody_else() {
    let cells = two_cells().await;
    let ids = cells.tenants(&["t0", "t1", "t2"]).await;
    let plan = cells.plan("small").await;
    for (name, id) in ["t0", "t2"].into_iter().zip([&ids[0], &ids[2]]) {
        lives(&cells, name, id, &plan).await;
    }
    let stopped = moved_until(&cells, &ids[0], 1, Some(Step::There)).await;
    assert!(matches!(stopped, Err(NotMoved::Stopped)), "{stopped:?}");
    let owner = cluster::connect(&cluster::owner_url(&cells.server.database_url)).await;
    let final_tables = ["ledger_entries", "transactions", "price_rules"];
    let number = |id: &str| AccountId::parse(id).unwrap().0;
    for (id, table) in final_tables.iter().flat_map(|table| [(&ids[0], table), (&ids[2], table)]) {
        let going =
            owner.execute(&format!("DELETE FROM {table} WHERE account_id = {}", number(id)), &[]).await;
        assert!(going.is_err(), "{table} of {id}");
    }
    // Nor is anything added to it by a server that does not know yet.
    let adding = format!("UPDATE accounts SET name = 'x' WHERE id = {}", number(&ids[0]));
    let refused = owner.execute(&adding, &[]).await.unwrap_err();
    assert_eq!(refused.as_db_error().unwrap().constraint(), Some("account_is_moving"));
    assert_eq!(moved(&cells, &ids[0], 1).await, Moved::Accounts(1));
    for table in final_tables {
        let going =
            owner.execute(&format!("DELETE FROM {table} WHERE account_id = {}", number(&ids[2])), &[]).await;
        assert!(going.is_err(), "{table}");
    }
}

#[tokio::test]
async fn what_has_not_left_yet_is_taken_back_and_what_cannot_move_is_told() {
    let cells = two_cells().await;
    let ids = cells.tenants(&["t0", "t1"]).await;
    let plan = cells.plan("small").await;
    let sub = json!({ "namespace": "t0.sub", "name": "s", "currency": "CNY", "parentId": ids[0] });
    let sub =
        cells.server.operator().mutate("createAccount", "CreateAccountInput", sub, "account { id }").await;
    let sub = sub["account"]["id"].as_str().unwrap();
    let folder = Folder::new();
    let file = folder.data_dir().join("cells.json");
    std::fs::create_dir_all(folder.data_dir()).unwrap();
    let cell = |number: i64, name: &str, url: &str| json!({ "number": number, "name": name, "url": url, "migrate_url": cluster::owner_url(url) });
    let written = json!({ "cells": [cell(0, "first", &cells.server.database_url), cell(1, "second", &cells.second_url)] });
    std::fs::write(&file, written.to_string()).unwrap();
    let run = async |account: &str, to: &str| {
        let file = file.to_str().unwrap();
        let (status, printed, said) =
            outcome(&mut command(&["move-account", account, "--to", to, "--cells", file])).await;
        (status.success(), format!("{printed}{said}"))
    };
    for (account, to, why) in [
        (ids[0].as_str(), "third", "there is no cell \"third\": first, second"),
        ("acc_777", "second", "there is no account acc_777"),
        ("42", "second", "is no account's id"),
        (sub, "second", "moves with its MAIN account"),
    ] {
        let (succeeded, said) = run(account, to).await;
        assert!(!succeeded && said.contains(why), "{account} {to}: {said}");
    }
    let (status, _, said) = outcome(&mut command(&["move-account", &ids[0], "--to", "second"])).await;
    assert!(!status.success() && said.contains("--cells"), "{said}");
    let (succeeded, said) = run(&ids[0], "first").await;
    assert!(succeeded && said.contains("nothing to do"), "{said}");

    let stopped = moved_until(&cells, &ids[0], 1, Some(Step::Leaving)).await;
    assert!(matches!(stopped, Err(NotMoved::Stopped)), "{stopped:?}");
    let (succeeded, said) = run(&ids[0], "first").await;
    assert!(succeeded && said.contains("stays in the cell \"first\""), "{said}");
    tokio::time::sleep(SEEN).await;
    assert_eq!(cells.server.customer("t0").checkout(&plan, "stays").await["userErrors"], json!([]));
    // What has come to the other cell is there.
    let stopped = moved_until(&cells, &ids[0], 1, Some(Step::There)).await;
    assert!(matches!(stopped, Err(NotMoved::Stopped)), "{stopped:?}");
    let (succeeded, said) = run(&ids[0], "first").await;
    assert!(!succeeded && said.contains("move it there first"), "{said}");
    let (succeeded, said) = run(&ids[0], "second").await;
    assert!(succeeded && said.contains("2 accounts with its SUB accounts"), "{said}");
    assert_eq!(rows_of(&cells.server.database_url, &ids[0]).await, BTreeMap::new());
    // A month that one of the two is closing is closed first.
    let sql = cluster::connect(&cluster::owner_url(&cells.second_url)).await;
    sql.batch_execute("INSERT INTO billing_runs (period, time_zone, start_time, end_time, state, total, started_at) \
        SELECT '2026-02-01', time_zone, '2026-02-01', '2026-03-01', 'RUNNING', 0, '2026-03-01' FROM account_zones").await.unwrap();
    let (succeeded, said) = run(&ids[0], "first").await;
    assert!(!succeeded && said.contains("is being closed"), "{said}");
    // One that is on its way already does not wait for it there, where nothing of it could be closed.
    sql.batch_execute("UPDATE billing_runs SET state = 'DONE', finished_at = '2026-03-01'").await.unwrap();
    let stopped = moved_until(&cells, &ids[0], 0, Some(Step::Leaving)).await;
    assert!(matches!(stopped, Err(NotMoved::Stopped)), "{stopped:?}");
    sql.batch_execute("UPDATE billing_runs SET state = 'RUNNING', finished_at = NULL").await.unwrap();
    let (succeeded, said) = run(&ids[0], "first").await;
    assert!(!succeeded && said.contains("is being closed"), "{said}");
    tokio::time::sleep(SEEN).await;
    assert_eq!(cells.server.customer("t0").checkout(&plan, "served").await["userErrors"], json!([]));
    sql.batch_execute("UPDATE billing_runs SET state = 'DONE', finished_at = '2026-03-01'").await.unwrap();
    let (succeeded, said) = run(&ids[1], "first").await;
    assert!(succeeded, "{said}");
    // One at a time, and none that is being blanked.
    let home = cluster::connect(&cluster::owner_url(&cells.server.database_url)).await;
    home.batch_execute("SELECT pg_advisory_lock(4702394921427289935)").await.unwrap();
    let (succeeded, said) = run(&ids[1], "second").await;
    assert!(!succeeded && said.contains("another account is being moved"), "{said}");
    let erased = AccountId::parse(&ids[1]).unwrap().0;
    let erasing = format!(
        "SELECT pg_advisory_unlock(4702394921427289935);
         INSERT INTO erasures (account_id, reason, erased_by, erased_at, stage, next_step_at)
         VALUES ({erased}, 'asked for', 'op', '2026-03-01', 'ORDERS', '2099-01-01')"
    );
    home.batch_execute(&erasing).await.unwrap();
    let (succeeded, said) = run(&ids[1], "second").await;
    assert!(!succeeded && said.contains("is being erased"), "{said}");
}
