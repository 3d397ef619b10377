//! A primary that replicates synchronously is killed, and its standby takes its place, under all mutations that move money:
//! whatever was acknowledged is there.

use std::time::Duration;

use abacus::domain::viewer::Role;
use abacus::store::database::Database;
use abacus::store::migrations::{LOCK_WAIT_DEFAULT, Migrator};

use super::trial::Trial;
use crate::support::cluster;
use crate::support::postgres::Postgres;
use crate::support::process::{Folder, eventually};
use crate::support::proxy::Proxy;
use crate::support::sequences::in_full;
use crate::support::{TestServer, server};

const GOES_ON_WITHIN: Duration = Duration::from_secs(120);
const ROLES: &str =
    "CREATE ROLE abacus_owner LOGIN; CREATE ROLE abacus LOGIN; GRANT pg_read_all_stats TO abacus_owner;";

/// A migrated database in a cluster, and its address for the server.
pub(super) async fn database_in(primary: &Postgres) -> String {
    let sql = cluster::connect_as_told(&primary.url("postgres", "postgres")).await;
    sql.batch_execute(ROLES).await.unwrap();
    sql.batch_execute("CREATE DATABASE billing OWNER abacus_owner TEMPLATE template0").await.unwrap();
    sql.batch_execute("REVOKE TEMPORARY ON DATABASE billing FROM PUBLIC").await.unwrap();
    let url = primary.url("abacus", "billing");
    let database = Database::new(&url, 1).unwrap();
    let owner = primary.url("abacus_owner", "billing");
    Migrator::new(&database, Some(&owner), LOCK_WAIT_DEFAULT).unwrap().migrate().await.unwrap();
    url
}

/// A standby of a cluster, which from now on commits nothing that the standby does not have.
async fn standby_of(primary: &Postgres, folder: &Folder, name: &str) -> Postgres {
    let standby = Postgres::copy_of(primary, folder, name).await;
    let sql = cluster::connect_as_told(&primary.url("postgres", "postgres")).await;
    sql.batch_execute(&format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'")).await.unwrap();
    sql.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    eventually("the standby is synchronous", 60, async || {
        let row =
            sql.query_one("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'", &[]).await;
        (row.unwrap().get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    standby
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_takes_the_primarys_place_has_all_that_was_acknowledged() {
    let rounds = if in_full() { 10 } else { 1 };
    if !Postgres::has("pg_basebackup") {
        println!("passed over: pg_basebackup is not installed");
        return;
    }
    let folder = Folder::new();
    let mut primary = Postgres::new(&folder, "s0").await;
    let proxy = Proxy::before(&database_in(&primary).await).await;
    let server = TestServer::on(proxy.url.clone(), |config| config.run_jobs = true).await;
    let token = server::token(Role::Operator, None, 86_400);
    let address = server.server.address.to_string();
    let mut trial = Trial::begin("failover", &server.operator(), address, token).await;
    for round in 1..=rounds {
        let standby = standby_of(&primary, &folder, &format!("s{round}")).await;
        trial.moves(60, GOES_ON_WITHIN).await;
        primary.kill();
        standby.promote().await;
        proxy.redirect(&standby.socket_dir);
        let took = trial.goes_on(GOES_ON_WITHIN).await;
        println!("all goes on {took:?} after the standby took over");
        primary = standby;
    }
    trial.end(&server.operator()).await;
}
