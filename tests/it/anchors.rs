//! Where all ledgers end is anchored every hour, and what was anchored is what a ledger is held to, whoever has rewritten it since, with
//! whatever keys.

use abacus::clock::Clock;
use abacus::domain::anchor::{AnchorKeys, Receipt};
use abacus::jobs::anchors::anchor_pass;
use abacus::jobs::{JobContext, LeaseGuard};
use abacus::store::anchors::AnchorDraft;
use chrono::TimeDelta;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::life::{Life, at};
use crate::support::process::{Folder, command, outcome};
use crate::support::server::another_server;
use crate::support::{Client, TestServer};

const BEGIN: &str = "2026-01-20T10:00:00Z";
const FIELDS: &str = "number at accounts root previous text keyId publicKey signature receipt";

async fn life() -> Life {
    Life::begin(BEGIN, "500").await
}

fn jobs(life: &Life) -> JobContext {
    life.server.server.app.jobs.clone()
}

/// Makes the hour's anchor, if it is due.
async fn anchor(life: &Life) {
    anchor_pass(&jobs(life), &LeaseGuard::Always).await.unwrap();
}

async fn asked(client: &Client, arguments: &str) -> Value {
    client.data(&format!("{{ ledgerAnchor{arguments} {{ {FIELDS} }} }}")).await["ledgerAnchor"].clone()
}

fn of_account(life: &Life) -> String {
    format!("(accountId: \"{}\")", life.account)
}

async fn receipt(life: &Life) -> String {
    let anchor = asked(&life.customer, &of_account(life)).await;
    anchor["receipt"].as_str().unwrap_or_else(|| panic!("{anchor:#}")).to_owned()
}

/// What `ledgerHealth` finds of the customer, kind by kind, each with what it says.
async fn faults(life: &Life) -> Vec<(String, String)> {
    let query =
        format!("{{ ledgerHealth(accountId: \"{}\") {{ ok faults {{ kind message }} }} }}", life.account);
    let health = life.operator.data(&query).await["ledgerHealth"].clone();
    let faults = health["faults"].as_array().unwrap().clone();
    assert_eq!(health["ok"] == true, faults.is_empty(), "{health:#}");
    let text = |fault: &Value, name: &str| fault[name].as_str().unwrap().to_owned();
    faults.iter().map(|fault| (text(fault, "kind"), text(fault, "message"))).collect()
}

/// One who may do anything in the database, past all triggers.
async fn thief(server: &TestServer) -> tokio_postgres::Client {
    let sql = server.sql().await;
    sql.batch_execute("SET session_replication_role = replica").await.unwrap();
    sql
}

async fn count(server: &TestServer, what: &str) -> i64 {
    server.sql().await.query_one(&format!("SELECT count(*) FROM {what}"), &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn each_hour_of_the_sandboxs_clock_has_an_anchor_that_names_the_one_before() {
    let life = life().await;
    assert_eq!(asked(&life.customer, "").await, Value::Null);
    life.advance("2026-01-20T10:30:00Z").await;
    let first = asked(&life.customer, "").await;
    assert_eq!((&first["accounts"], &first["previous"]), (&json!(1), &Value::Null));
    assert_eq!(first["number"].as_i64().unwrap(), at(BEGIN).timestamp() / 3_600);
    life.recharge("7").await;
    life.advance("2026-01-20T10:59:59Z").await;
    assert_eq!(asked(&life.customer, "").await, first, "there is one an hour");
    life.advance("2026-01-20T11:00:00Z").await;
    let second = asked(&life.customer, "").await;
    assert_ne!(second["root"], first["root"]);
    let hash = HEXLOWER.encode(&Sha256::digest(first["text"].as_str().unwrap()));
    assert_eq!(second["previous"], json!(hash));
    // Nothing moved, and so no head is kept twice.
    life.advance("2026-01-20T12:10:00Z").await;
    assert_eq!(asked(&life.customer, "").await["root"], second["root"]);
    assert_eq!(count(&life.server, "ledger_anchors").await, 3);
    assert_eq!(count(&life.server, "ledger_anchor_heads").await, 2);
    // As they were at an instant.
    assert_eq!(asked(&life.customer, "(at: \"2026-01-20T11:59:00Z\")").await, second);
    assert_eq!(asked(&life.customer, "(at: \"2026-01-20T10:59:59Z\")").await, first);
    assert_eq!(asked(&life.customer, "(at: \"2026-01-20T10:29:59Z\")").await, Value::Null);
    assert!(faults(&life).await.is_empty());
}

#[tokio::test]
async fn a_receipt_holds_without_any_server_and_says_what_the_ledger_said() {
    let life = life().await;
    for n in 0..4 {
        life.server.account(&format!("other-{n}"), if n == 2 { "0" } else { "12.50" }).await;
    }
    anchor(&life).await;
    let before = receipt(&life).await;
    life.recharge("7").await;
    life.advance("2026-01-20T11:00:00Z").await;
    let entry = "{ account { ledger(first: 1) { nodes { hash end } } } }";
    let last = life.customer.data(entry).await["account"]["ledger"]["nodes"][0].clone();
    let written: Value = serde_json::from_str(&receipt(&life).await).unwrap();
    assert_eq!((&written["entry"], &written["balance"]), (&json!(2), &json!("507")));
    assert_eq!(written["hash"], last["hash"]);
    assert_eq!(written["anchor"]["accounts"], 4, "who has no entry has no leaf");
    for text in [before, written.to_string()] {
        let proven = Receipt::read(&text).unwrap().check(AnchorKeys::of_sandbox().known()).unwrap();
        assert_eq!(proven.head.account.to_string(), life.account);
    }
    // What hangs on nothing but its text.
    let anchor = asked(&life.customer, "").await;
    assert_eq!(anchor["receipt"], Value::Null);
    assert!(anchor["text"].as_str().unwrap().contains(anchor["root"].as_str().unwrap()));
}

#[tokio::test]
async fn a_receipt_is_checked_on_the_command_line_without_a_database() {
    let life = life().await;
    anchor(&life).await;
    let folder = Folder::new();
    let (written, file) = (receipt(&life).await, folder.path.join("receipt.json"));
    let file_name = file.to_str().unwrap().to_owned();
    let check = async |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let args = [&["verify", "--receipt", &file_name][..], more].concat();
        let (status, printed, said) = outcome(command(&args).current_dir(&folder.path)).await;
        (status.code(), printed, said)
    };
    let (status, printed, said) = check(&written, &[]).await;
    assert_eq!(status, Some(0), "{said}");
    assert!(
        printed.contains(&life.account) && printed.contains("entry 1 ") && printed.contains("balance of 500")
    );
    assert!(printed.contains("--public-key"), "{printed}");
    let key = AnchorKeys::of_sandbox().signing().unwrap();
    let (status, printed, _) = check(&written, &["--public-key", &key.hex()]).await;
    assert_eq!((status, printed.contains("which is trusted")), (Some(0), true), "{printed}");
    let other = AnchorKeys::read(&"7".repeat(64)).unwrap().signing().unwrap();
    let (status, _, said) = check(&written, &["--public-key", &other.hex()]).await;
    assert_eq!(status, Some(1));
    assert!(said.contains(&format!("signed with key {}", key.id())), "{said}");
    let richer = written.replace("\"balance\":\"500\"", "\"balance\":\"5000\"");
    assert_ne!(richer, written);
    let later = written.replace("\"number\":", "\"number\":1");
    let long = "[".repeat(100_000);
    for (text, why) in [
        (richer.as_str(), "does not lead to the root"),
        (later.as_str(), "the signature does not fit"),
        ("{}", "it is no receipt"),
        ("", "it is no receipt"),
        (long.as_str(), "longer than any receipt"),
    ] {
        let (status, printed, said) = check(text, &[]).await;
        assert_eq!((status, printed.as_str()), (Some(1), ""), "{why}");
        assert!(
            said.starts_with("abacus: the receipt ") && said.contains(why) && said.lines().count() == 1,
            "{said}"
        );
    }
    assert_eq!(std::fs::read_dir(&folder.path).unwrap().count(), 1, "nothing is made");
}

#[tokio::test]
async fn a_customer_gets_his_own_receipt_and_the_provider_any() {
    let life = life().await;
    let other = life.server.account("other", "10").await;
    anchor(&life).await;
    let of_other = format!("(accountId: \"{other}\")");
    assert!(asked(&life.operator, &of_other).await["receipt"].is_string());
    assert!(asked(&life.server.auditor(), &of_other).await["receipt"].is_string());
    let code = async |client: &Client, arguments: &str| {
        let answer = client.answer(&format!("{{ ledgerAnchor{arguments} {{ number }} }}")).await;
        answer["errors"][0]["extensions"].clone()
    };
    let refused = code(&life.customer, &of_other).await;
    assert_eq!(refused, code(&life.customer, "(accountId: \"acc_999999\")").await);
    assert_eq!(refused["code"], "NOT_FOUND");
    assert_eq!(code(&life.server.service(), "").await["code"], "FORBIDDEN");
    let future = code(&life.operator, "(at: \"2026-01-20T10:00:01Z\")").await;
    assert_eq!((&future["code"], &future["argument"]), (&json!("INVALID"), &json!("at")));
}

/// The tables that say what was posted, of accounts without orders.
const POSTED: [&str; 4] = ["accounts", "transactions", "ledger_entries", "idempotency_keys"];

/// Puts the rows of one database in the place of another's, and takes what the check has noted.
async fn replace_by(life: &Life, other: &TestServer) {
    let (from, to) = (other.sql().await, thief(&life.server).await);
    for table in POSTED {
        let rows = from.query(&format!("SELECT t::text FROM {table} t"), &[]).await.unwrap();
        let rows: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        to.batch_execute(&format!("TRUNCATE {table}")).await.unwrap();
        let insert = format!("INSERT INTO {table} SELECT (r::{table}).* FROM UNNEST($1::text[]) r");
        to.execute(&insert, &[&rows]).await.unwrap();
    }
    to.batch_execute("TRUNCATE ledger_checkpoints").await.unwrap();
}

#[tokio::test]
async fn a_chain_that_was_rewritten_whole_with_the_servers_own_keys_is_found_against_the_anchor() {
    let life = life().await;
    life.recharge("7").await;
    anchor(&life).await;
    let anchored = receipt(&life).await;
    // Another past of the same account, written by a server with the same keys.
    let other = Life::begin(BEGIN, "900").await;
    other.recharge("7").await;
    assert_eq!(other.account, life.account);
    replace_by(&life, &other.server).await;
    let found = faults(&life).await;
    let expected = "entry 2 is not the one that was anchored";
    assert_eq!(found, [("ANCHOR".to_owned(), expected.to_owned())]);
    // The next anchor does not go on from there: it says what the one before has said, and the fault stays found.
    life.advance("2026-01-20T11:00:00Z").await;
    assert_eq!(count(&life.server, "ledger_anchors").await, 2);
    let (before, now): (Value, Value) =
        (serde_json::from_str(&anchored).unwrap(), serde_json::from_str(&receipt(&life).await).unwrap());
    assert_eq!((&now["hash"], &now["balance"]), (&before["hash"], &json!("507")));
    assert_ne!(now["anchor"]["number"], before["anchor"]["number"]);
    assert_eq!(faults(&life).await.len(), 1);
}

#[tokio::test]
async fn a_row_less_at_the_end_is_found_against_the_anchor() {
    let life = life().await;
    life.recharge("7").await;
    let sql = thief(&life.server).await;
    for table in POSTED {
        sql.batch_execute(&format!("CREATE TABLE kept_{table} AS TABLE {table}")).await.unwrap();
    }
    life.recharge("30").await;
    anchor(&life).await;
    assert!(faults(&life).await.is_empty());
    // All rows, and so all seals, are as they were before.
    for table in POSTED {
        let restoring = format!("TRUNCATE {table}; INSERT INTO {table} SELECT * FROM kept_{table}");
        sql.batch_execute(&restoring).await.unwrap();
    }
    let expected = "the ledger had 3 entries when it was anchored, and has fewer now";
    assert_eq!(faults(&life).await, [("ANCHOR".to_owned(), expected.to_owned())]);
}

/// What somebody might do to the anchors themselves.
const ALTERATIONS: [(&str, &str); 9] = [
    ("where a ledger ended", "UPDATE ledger_anchor_heads SET balance = balance + 1"),
    ("where a ledger ended is gone", "DELETE FROM ledger_anchor_heads"),
    ("a page", "UPDATE ledger_anchor_pages SET root = decode(repeat('00', 32), 'hex')"),
    ("a page is gone", "DELETE FROM ledger_anchor_pages"),
    ("the root", "UPDATE ledger_anchors SET root = decode(repeat('00', 32), 'hex')"),
    ("its time", "UPDATE ledger_anchors SET at = at + interval '1 second'"),
    ("its signature", "UPDATE ledger_anchors SET signature = decode(repeat('00', 64), 'hex')"),
    ("its key", "UPDATE ledger_anchors SET public_key = decode(repeat('11', 32), 'hex')"),
    ("the one before is gone", "DELETE FROM ledger_anchors WHERE previous IS NULL"),
];

#[tokio::test]
async fn alterations_of_anchors_are_found_and_nothing_is_anchored_on_top_of_them() {
    let life = life().await;
    anchor(&life).await;
    life.recharge("7").await;
    life.advance("2026-01-20T11:00:00Z").await;
    let sql = thief(&life.server).await;
    let tables = ["ledger_anchors", "ledger_anchor_pages", "ledger_anchor_heads"];
    for table in tables {
        sql.batch_execute(&format!("CREATE TABLE kept_{table} AS TABLE {table}")).await.unwrap();
    }
    for (what, alteration) in ALTERATIONS {
        sql.batch_execute(alteration).await.unwrap();
        let found = faults(&life).await;
        assert!(!found.is_empty() && found.iter().all(|(kind, _)| kind == "ANCHOR"), "{what}: {found:?}");
        let all = life.operator.data("{ ledgerHealth { ok faults { kind } } }").await["ledgerHealth"].clone();
        assert_eq!(all["ok"], false, "{what}");
        for table in tables {
            let restoring = format!("TRUNCATE {table}; INSERT INTO {table} SELECT * FROM kept_{table}");
            sql.batch_execute(&restoring).await.unwrap();
        }
    }
    assert!(faults(&life).await.is_empty());
    sql.batch_execute("UPDATE ledger_anchor_heads SET balance = balance + 1").await.unwrap();
    life.advance("2026-01-20T13:59:00Z").await;
    assert_eq!(count(&life.server, "ledger_anchors").await, 2);
    assert!(told(&life).await.is_empty(), "an hour that has none may be a hiccup");
    for hour in 14..17 {
        life.advance(&format!("2026-01-20T{hour}:30:00Z")).await;
    }
    let notices = told(&life).await;
    assert!(notices.len() == 1 && notices[0].contains("ledger_anchor_heads"), "{notices:?}");
    assert!(
        !life.customer.data("{ account { notices { kind } } }").await.to_string().contains("ANCHOR_FAILED")
    );
    sql.batch_execute("UPDATE ledger_anchor_heads SET balance = balance - 1").await.unwrap();
    anchor(&life).await;
    assert_eq!(count(&life.server, "ledger_anchors").await, 3);
    assert!(faults(&life).await.is_empty());
}

/// What operators were told of anchors.
async fn told(life: &Life) -> Vec<String> {
    let query = format!("{{ account(id: \"{}\") {{ notices {{ kind message }} }} }}", life.account);
    let notices = life.operator.data(&query).await["account"]["notices"].clone();
    let of_anchors = notices.as_array().unwrap().iter().filter(|notice| notice["kind"] == "ANCHOR_FAILED");
    of_anchors.map(|notice| notice["message"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_somebody_altered_gets_into_no_anchor_and_holds_up_no_other() {
    let life = life().await;
    life.server.account("other", "10").await;
    let sql = thief(&life.server).await;
    sql.batch_execute("UPDATE accounts SET balance = balance + 1 WHERE namespace = 'tenant'").await.unwrap();
    anchor(&life).await;
    let made = asked(&life.operator, &of_account(&life)).await;
    assert_eq!((&made["accounts"], &made["receipt"]), (&json!(1), &Value::Null));
}

#[tokio::test]
async fn two_servers_make_one_anchor_an_hour() {
    let life = life().await;
    let currencies = abacus::domain::money::Currencies::default;
    let others: Vec<JobContext> =
        (0..2).map(|_| another_server(&life.server.database_url, &life.clock, currencies())).collect();
    for hour in 10..14 {
        life.clock.move_to(at(&format!("2026-01-20T{hour}:20:00Z")));
        life.recharge("1").await;
        let (one, other) = tokio::join!(
            anchor_pass(&others[0], &LeaseGuard::Always),
            anchor_pass(&others[1], &LeaseGuard::Always)
        );
        one.and(other).unwrap();
        assert_eq!(count(&life.server, "ledger_anchors").await, hour - 9);
    }
    // One that was made from what both saw is refused by the table.
    let later = at("2026-01-20T14:00:00Z");
    let database = &others[0].database;
    let begin =
        async || AnchorDraft::begin(database, Clock::standing_at(later).held_by(), later).await.unwrap();
    let (mut first, mut second) = (begin().await.unwrap(), begin().await.unwrap());
    first.take_page().await.unwrap();
    second.take_page().await.unwrap();
    first.finish(database.anchor_keys()).await.unwrap();
    assert!(second.finish(database.anchor_keys()).await.is_err());
    // And whoever looked before it was there, and begins after, finds it.
    assert!(begin().await.is_none());
    assert_eq!(count(&life.server, "ledger_anchors").await, 5);
    assert!(faults(&life).await.is_empty());
}

#[tokio::test]
async fn no_anchor_is_of_a_time_that_is_still_to_come() {
    let server = TestServer::start().await;
    let jobs = server.server.app.jobs.clone();
    let ahead = abacus::clock::wall() + TimeDelta::hours(3);
    let refused = AnchorDraft::begin(&jobs.database, abacus::clock::HeldBy::Database, ahead).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("by the database's clock")));
}

#[tokio::test]
async fn what_was_anchored_stays_anchored() {
    let life = life().await;
    anchor(&life).await;
    let sql = life.server.sql().await;
    for table in ["ledger_anchors", "ledger_anchor_pages", "ledger_anchor_heads"] {
        let column = if table == "ledger_anchor_heads" { "seq" } else { "root" };
        for statement in [
            format!("UPDATE {table} SET {column} = {column}"),
            format!("DELETE FROM {table}"),
            format!("TRUNCATE {table}"),
        ] {
            let refused = sql.batch_execute(&statement).await.unwrap_err();
            let said = refused.as_db_error().map(|error| error.message().to_owned()).unwrap_or_default();
            assert!(said.contains("are never changed or deleted"), "{statement}: {said}");
        }
    }
}

#[tokio::test]
async fn a_key_is_changed_and_one_that_nobody_knows_stops_all() {
    let (old, new) = ("11".repeat(32), "22".repeat(32));
    let keys = |written: &str| AnchorKeys::read(written).unwrap();
    let life = Life::on(BEGIN, "500", json!({}), |config| config.anchor_keys = keys(&old)).await;
    anchor(&life).await;
    let before = asked(&life.customer, "").await;
    let with = |written: String| {
        let mut jobs = jobs(&life);
        jobs.database = jobs.database.anchored_with(keys(&written).into());
        jobs
    };
    life.clock.move_to(at("2026-01-20T11:00:00Z"));
    // A server that was given the new key alone does not sign what it cannot check.
    anchor_pass(&with(new.clone()), &LeaseGuard::Always).await.unwrap();
    assert_eq!(count(&life.server, "ledger_anchors").await, 1);
    let both = format!("{new},public:{}", keys(&old).signing().unwrap().hex());
    anchor_pass(&with(both), &LeaseGuard::Always).await.unwrap();
    let after = asked(&life.customer, "").await;
    assert_ne!(after["keyId"], before["keyId"]);
    assert_eq!(after["publicKey"], json!(keys(&new).signing().unwrap().hex()));
    // Without a key nothing is anchored.
    life.clock.move_to(at("2026-01-20T12:00:00Z"));
    let mut without = jobs(&life);
    without.database = without.database.anchored_with(AnchorKeys::none().into());
    anchor_pass(&without, &LeaseGuard::Always).await.unwrap();
    assert_eq!(count(&life.server, "ledger_anchors").await, 2);
}

/// Makes many accounts with an entry each, past the server.
async fn sow(life: &Life, accounts: i64) {
    let sowing = format!(
        "INSERT INTO accounts SELECT (jsonb_populate_record(a, jsonb_build_object('id', a.id + n, 'namespace', 'sown-' || n))).*
             FROM accounts a, generate_series(1, {accounts}) n;
         INSERT INTO ledger_entries SELECT (jsonb_populate_record(e, jsonb_build_object('account_id', e.account_id + n,
             'id', gen_random_uuid()))).* FROM ledger_entries e, generate_series(1, {accounts}) n;
         ANALYZE accounts; ANALYZE ledger_entries"
    );
    thief(&life.server).await.batch_execute(&sowing).await.unwrap();
}

#[tokio::test]
async fn of_thousands_of_accounts_each_has_its_receipt() {
    // More of them tell what it costs: docs/adr/0036.
    let sown = std::env::var("ABACUS_ANCHORED_ACCOUNTS").ok().and_then(|count| count.parse().ok());
    let sown: i64 = sown.unwrap_or(2_500);
    let life = life().await;
    sow(&life, sown).await;
    let first: i64 = life.account.trim_start_matches("acc_").parse().unwrap();
    let mut took = Vec::new();
    for (hour, moved) in [(10, 0), (11, 0), (12, 25)] {
        let entries = format!(
            "INSERT INTO ledger_entries SELECT (jsonb_populate_record(e, jsonb_build_object('id', gen_random_uuid(), 'seq', 2))).*
                 FROM ledger_entries e WHERE e.account_id % 100 < {moved} AND e.seq = 1;
             UPDATE accounts SET last_entry_seq = 2 WHERE id % 100 < {moved}"
        );
        thief(&life.server).await.batch_execute(&entries).await.unwrap();
        life.clock.move_to(at(&format!("2026-01-20T{hour}:00:00Z")));
        let began = std::time::Instant::now();
        anchor(&life).await;
        took.push(began.elapsed());
    }
    let began = std::time::Instant::now();
    for account in [first, first + 1_023, first + 1_024, first + 2_047, first + 2_048, first + sown] {
        let anchor = asked(&life.operator, &format!("(accountId: \"acc_{account}\")")).await;
        assert_eq!(anchor["accounts"], sown + 1);
        let text = anchor["receipt"].as_str().unwrap();
        let proven = Receipt::read(text).unwrap().check(AnchorKeys::of_sandbox().known()).unwrap();
        assert_eq!(proven.head.account.0, account);
        assert_eq!(proven.head.seq, if account % 100 < 25 { 2 } else { 1 });
    }
    println!("{sown} accounts were anchored in {took:?}, six receipts took {:?}", began.elapsed());
    assert_eq!(count(&life.server, "ledger_anchor_pages").await, 3 * (sown / 1_024 + 1));
}

#[tokio::test]
async fn a_database_is_verified_as_a_whole_and_an_alteration_ends_it_with_1() {
    let life = life().await;
    life.server.account("other", "10").await;
    anchor(&life).await;
    life.recharge("7").await;
    life.advance("2026-01-20T11:00:00Z").await;
    let verify = async |settings: &[(&str, &str)]| {
        let mut command = command(&["verify"]);
        command.env("DATABASE_URL", &life.server.database_url).envs(settings.iter().copied());
        let (status, printed, said) = outcome(&mut command).await;
        (status.code(), printed, said)
    };
    let sandbox = [("ABACUS_SANDBOX", "1")];
    let (status, printed, said) = verify(&sandbox).await;
    assert_eq!(status, Some(0), "{printed} {said}");
    assert_eq!(printed, "2 accounts with 3 entries and 2 anchors were looked at\n");
    let (status, printed, _) = verify(&[]).await;
    assert!(status == Some(0) && printed.contains("which key signs anchors was not said"), "{printed}");
    let (status, printed, said) = verify(&[("ABACUS_ANCHOR_KEY", &"7".repeat(64))]).await;
    assert!(
        status == Some(1) && printed.contains("which ABACUS_ANCHOR_KEY does not have"),
        "{printed} {said}"
    );
    let sql = thief(&life.server).await;
    sql.batch_execute("UPDATE ledger_entries SET amount = amount - 1, \"end\" = \"end\" + 1 WHERE seq = 2")
        .await
        .unwrap();
    let (status, printed, said) = verify(&sandbox).await;
    assert_eq!(status, Some(1));
    assert!(
        printed.contains("HASH: entry 2 is not what was hashed") && said.contains("things are wrong"),
        "{printed} {said}"
    );
    assert!(printed.contains("ANCHOR: entry 2 is not the one that was anchored"), "{printed}");
}
