//! One private PostgreSQL for all tests of a run; every test gets a database of its own, copied from a template that
//! was migrated once; or, if one is named, a cluster of several machines (citus.rs). Servers get the address of the role that owns nothing; tests look, and tamper, as the superuser.

use std::ffi::OsStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use abacus::private_pg::{Options, PrivatePostgres};
use abacus::store::database::Database;
use abacus::store::distribution::placements::WORKER_SETTINGS;
use abacus::store::migrations::{LOCK_WAIT_DEFAULT, Migrator};
use tokio::sync::Mutex;

use super::citus::{self, Nodes};
use super::process::once_this_process_ends;

const TEMPLATE: &str = "template_abacus";

/// Where the databases are.
enum Ground {
    Private(PrivatePostgres),
    /// A cluster of several machines that somebody else has started, and what the names of this process's databases begin with.
    Citus(Nodes, String),
}

struct Cluster {
    ground: Ground,
    /// CREATE DATABASE reads the template, which must not be read by two at once.
    copying: Mutex<()>,
}

/// A runtime that lives as long as the process: the cluster is looked after on it.
fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
    })
}

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| std::thread::spawn(|| runtime().block_on(start())).join().expect("a cluster"))
}

async fn start() -> Cluster {
    let ground = match citus::url() {
        Some(url) => on_citus(&url).await,
        None => Ground::Private(private().await),
    };
    Cluster { ground, copying: Mutex::new(()) }
}

async fn on_citus(url: &str) -> Ground {
    let prefix = format!("it_{}_", std::process::id());
    let nodes = Nodes::find(url).await;
    nodes.drop_with_this_process(&prefix);
    nodes.template(&format!("{prefix}{TEMPLATE}")).await;
    Ground::Citus(nodes, prefix)
}

async fn private() -> PrivatePostgres {
    let dir = std::env::temp_dir().join(format!("abacus-test-{}", std::process::id()));
    let settings =
        [("fsync", "off"), ("max_connections", "300"), ("shared_buffers", "64MB"), ("max_wal_size", "512MB")];
    let options = Options {
        data_dir: dir.clone(),
        data_dir_is_default: false,
        settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        lock: false,
    };
    let postgres = PrivatePostgres::start(options).await.expect("a private PostgreSQL");
    stop_with_this_process(&postgres, &dir);
    postgres.ensure_database(TEMPLATE).await.expect("the template database");
    let database = Database::new(&postgres.url(TEMPLATE), 1).expect("the template's address");
    let migrator = Migrator::new(&database, Some(&postgres.owner_url(TEMPLATE)), LOCK_WAIT_DEFAULT);
    migrator.expect("the owner's address").migrate().await.expect("the template is migrated");
    postgres
}

/// Stops the cluster and clears up once the tests have ended.
fn stop_with_this_process(postgres: &PrivatePostgres, dir: &std::path::Path) {
    let script = r#"kill -INT "$1" 2>/dev/null
        for _ in $(seq 100); do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done; rm -rf "$2""#;
    let pid = postgres.pid().expect("a running postmaster").to_string();
    // Its input ends with this process.
    std::mem::forget(once_this_process_ends(script, [OsStr::new(&pid), dir.as_os_str()]));
}

/// Makes a migrated database of one's own and answers where it is, for the server.
pub async fn database() -> String {
    copy_of(TEMPLATE).await
}

/// The same with nothing in it.
pub async fn empty_database() -> String {
    copy_of("template0").await
}

/// A copy of a database as it is now. Whoever is connected to it is hung up on.
pub async fn backup(url: &str) -> String {
    let (_, name) = url.rsplit_once('/').expect("an address with a database");
    let others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1";
    if let Ground::Private(postgres) = &cluster().ground {
        connect(&postgres.url("postgres")).await.execute(others, &[&name]).await.expect("they end");
    }
    copy_of(name).await
}

async fn copy_of(template: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let cluster = cluster();
    let _copying = cluster.copying.lock().await;
    match &cluster.ground {
        Ground::Private(postgres) => {
            copy_on(&postgres.url("postgres"), &name, template).await;
            postgres.url(&name)
        }
        Ground::Citus(nodes, prefix) => {
            let name = format!("{prefix}{name}");
            let coordinator = &nodes.coordinator;
            match template {
                "template0" => copy_on(&coordinator.url("postgres", "postgres"), &name, template).await,
                TEMPLATE => nodes.copy(&name, &format!("{prefix}{TEMPLATE}"), &WORKER_SETTINGS).await,
                other => nodes.copy(&name, other, &WORKER_SETTINGS).await,
            }
            coordinator.url("abacus", &name)
        }
    }
}

async fn copy_on(admin: &str, name: &str, template: &str) {
    let admin = connect(admin).await;
    for statement in [
        format!("CREATE DATABASE {name} TEMPLATE {template} OWNER abacus_owner"),
        format!("REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC"),
    ] {
        admin.batch_execute(&statement).await.expect("a database");
    }
}

/// The address of the same database for the role that owns it.
pub fn owner_url(url: &str) -> String {
    url_of("abacus_owner", url)
}

/// The same for the superuser.
pub fn superuser_url(url: &str) -> String {
    url_of("postgres", url)
}

fn url_of(role: &str, url: &str) -> String {
    let (_, place) = url.split_once('@').expect("an address with a role");
    format!("postgres://{role}@{place}")
}

/// A connection of the test's own, past the server, as the superuser.
pub async fn connect(url: &str) -> tokio_postgres::Client {
    connect_as_told(&superuser_url(url)).await
}

/// A connection of the role in the address.
pub async fn connect_as_told(url: &str) -> tokio_postgres::Client {
    let (client, connection) =
        tokio_postgres::connect(url, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client
}
