//! Backups of a database that is bought in meanwhile: what is restored is a whole ledger, and a beginning of that which was lost.

use std::collections::BTreeMap;
use std::time::Duration;

use super::failover::database_in;
use super::trial::Trial;
use crate::support::cluster;
use crate::support::postgres::Postgres;
use crate::support::process::{Folder, command, outcome};
use crate::support::{TestServer, server};
use abacus::domain::viewer::Role;

const GOES_ON_WITHIN: Duration = Duration::from_secs(120);

/// The entries' hashes, by account and number.
type Entries = BTreeMap<(i64, i64), Vec<u8>>;

async fn entries(url: &str) -> Entries {
    let sql = cluster::connect(url).await;
    let rows = sql.query("SELECT account_id, seq, hash FROM ledger_entries", &[]).await.unwrap();
    rows.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect()
}

/// What `abacus` says of a database, which has to be that all is well.
async fn said(url: &str, what: &str) -> String {
    let mut command = command(&[what]);
    command.env("DATABASE_URL", url).env("ABACUS_SANDBOX", "1");
    if what == "restored" {
        command.env("ABACUS_MIGRATE_URL", cluster::owner_url(url));
    }
    let (status, printed, said) = outcome(&mut command).await;
    assert!(status.success(), "{what}: {printed} {said}");
    printed
}

/// A backup is restored: it is verified as it is, goes on, and has nothing that the database which it is of does not have.
async fn restored(url: &str, of: &Entries, name: &str) {
    let kept = entries(url).await;
    assert!(!kept.is_empty() && kept.iter().all(|(place, hash)| of.get(place) == Some(hash)), "{name}");
    let verified = said(url, "verify").await;
    assert!(verified.contains(&format!("with {} entries", kept.len())), "{name}: {verified}");
    println!("{name}: {} of {} entries are there", kept.len(), of.len());
    said(url, "restored").await;
    let server = TestServer::on(url.to_owned(), |_| {}).await;
    let health = server.operator().data("{ ledgerHealth { ok imbalance } }").await;
    assert_eq!(health["ledgerHealth"], serde_json::json!({ "ok": true, "imbalance": "0" }), "{name}");
    server.account(&format!("after-{name}"), "10").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_and_a_base_backup_of_a_loaded_server_are_whole_ledgers() {
    if !Postgres::has("pg_basebackup") || !Postgres::has("pg_dump") {
        println!("passed over: pg_basebackup or pg_dump is not installed");
        return;
    }
    let folder = Folder::new();
    let primary = Postgres::new(&folder, "b0").await;
    let url = database_in(&primary).await;
    let server = TestServer::on(url.clone(), |config| config.run_jobs = true).await;
    let token = server::token(Role::Operator, None, 86_400);
    let address = server.server.address.to_string();
    let mut trial = Trial::begin("backups", &server.operator(), address, token).await;
    trial.moves(60, GOES_ON_WITHIN).await;
    let dumped = primary.dumped_and_restored("billing", "dumped").await;
    trial.goes_on(GOES_ON_WITHIN).await;
    // With what was written to its log while it was copied, and up to when it is cut off.
    let copy = Postgres::copy_of(&primary, &folder, "b1").await;
    trial.goes_on(GOES_ON_WITHIN).await;
    copy.promote().await;
    trial.goes_on(GOES_ON_WITHIN).await;
    trial.end(&server.operator()).await;
    let all = entries(&url).await;
    restored(&dumped, &all, "dump").await;
    restored(&copy.url("abacus", "billing"), &all, "base-backup").await;
}
