//! Databases on a cluster of several machines (Citus), where there is one to be tried: ABACUS_TEST_CITUS_URL names a database of its
//! coordinator that knows the workers (docs/SCALE.md). Everybody is let in without a password.

use abacus::store::database::Database;
use abacus::store::migrations::{LOCK_WAIT_DEFAULT, Migrator};
use futures_util::future::join_all;

use super::cluster::connect_as_told;
use super::process::once_this_process_ends;

const SHARDS: u16 = 4;
/// What is said to a node is for it alone: it passes nothing of it on to the others.
pub const ALONE: &str = "SET citus.enable_ddl_propagation = off;";

/// The address of the coordinator's database, if there is a cluster.
pub fn url() -> Option<String> {
    std::env::var("ABACUS_TEST_CITUS_URL").ok().filter(|url| !url.is_empty())
}

/// Whether there is a cluster; where there is none the test is passed over, and says so.
pub fn is_there() -> bool {
    let is_there = url().is_some();
    if !is_there {
        println!("passed over: ABACUS_TEST_CITUS_URL names no coordinator of a cluster");
    }
    is_there
}

/// A host and a port.
#[derive(Debug, Clone)]
pub struct Node {
    pub host: String,
    pub port: i32,
}

impl Node {
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@{}:{}/{database}", self.host, self.port)
    }

    async fn run(&self, database: &str, statement: &str) {
        let client = connect_as_told(&self.url("postgres", database)).await;
        client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }

    /// Is away for whoever uses this database: hangs up on all of them, and lets nobody in.
    pub async fn lose(&self, database: &str) {
        self.run("postgres", &format!("{ALONE} ALTER DATABASE {database} ALLOW_CONNECTIONS false")).await;
        self.run("postgres", &hanging_up(database)).await;
    }

    /// Is there again.
    pub async fn come_back(&self, database: &str) {
        self.run("postgres", &format!("{ALONE} ALTER DATABASE {database} ALLOW_CONNECTIONS true")).await;
    }
}

fn hanging_up(database: &str) -> String {
    format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{database}'")
}

/// The coordinator and its workers.
#[derive(Debug, Clone)]
pub struct Nodes {
    pub coordinator: Node,
    pub workers: Vec<Node>,
}

impl Nodes {
    pub async fn find(url: &str) -> Self {
        let client = connect_as_told(url).await;
        let found = client
            .query("SELECT nodename, nodeport, groupid = 0 FROM pg_dist_node WHERE noderole = 'primary' ORDER BY groupid", &[])
            .await
            .expect("the database knows the nodes of its cluster");
        let mut nodes = Vec::new();
        let mut coordinator = None;
        for row in &found {
            let node = Node { host: row.get(0), port: row.get(1) };
            if row.get(2) { coordinator = Some(node) } else { nodes.push(node) }
        }
        Self { coordinator: coordinator.expect("a coordinator with an address"), workers: nodes }
    }

    pub fn all(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(&self.coordinator).chain(&self.workers)
    }

    async fn on_all(&self, database: &str, statement: &str) {
        join_all(self.all().map(|node| node.run(database, statement))).await;
    }

    /// A database that knows the other nodes, and has nothing in it.
    pub async fn make(&self, name: &str) {
        for role in ["abacus_owner", "abacus"] {
            let made = format!(
                "{ALONE} DO $$ BEGIN CREATE ROLE {role} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$"
            );
            self.on_all("postgres", &made).await;
        }
        self.on_all("postgres", &format!("CREATE DATABASE {name} OWNER abacus_owner")).await;
        self.on_all(name, "CREATE EXTENSION citus").await;
        let Node { host, port } = &self.coordinator;
        self.coordinator.run(name, &format!("SELECT citus_set_coordinator_host('{host}', {port})")).await;
        for Node { host, port } in &self.workers {
            self.coordinator.run(name, &format!("SELECT citus_add_node('{host}', {port})")).await;
        }
    }

    /// A database with the schema, spread over the nodes, that others are copied from.
    pub async fn template(&self, name: &str) {
        self.make(name).await;
        let server = Database::new(&self.coordinator.url("abacus", name), 1).unwrap();
        let owner = self.coordinator.url("abacus_owner", name);
        let migrator = Migrator::new(&server, Some(&owner), LOCK_WAIT_DEFAULT).unwrap();
        migrator.migrate().await.expect("the template is migrated");
        migrator.distribute(Some(SHARDS)).await.expect("the template is distributed");
        self.on_all("postgres", &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
        self.leave(name).await;
    }

    /// Nobody is connected to a database any more.
    async fn leave(&self, name: &str) {
        self.on_all("postgres", &hanging_up(name)).await;
    }

    /// A copy of a database on every node; what its sessions set is no part of it.
    pub async fn copy(&self, name: &str, template: &str, settings: &[(&str, &str)]) {
        self.leave(template).await;
        self.on_all("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template} OWNER abacus_owner"))
            .await;
        self.on_all("postgres", &format!("REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")).await;
        let set: String = settings
            .iter()
            .map(|(setting, value)| {
                format!("ALTER DATABASE {name} SET {setting} = {value:?};").replace('"', "'")
            })
            .collect();
        join_all(self.workers.iter().map(|worker| worker.run("postgres", &set))).await;
    }

    /// Drops what this process has made once it has ended.
    pub fn drop_with_this_process(&self, prefix: &str) {
        let script = r#"prefix="$1"; shift; for node in "$@"; do
            psql -X -q -At "$node" -c "SELECT format('DROP DATABASE %I WITH (FORCE);', datname) FROM pg_database WHERE datname LIKE '$prefix%'" \
                | psql -X -q "$node"; done"#;
        let nodes = self.all().map(|node| node.url("postgres", "postgres"));
        // Its input ends with this process.
        std::mem::forget(once_this_process_ends(script, std::iter::once(prefix.to_owned()).chain(nodes)));
    }
}
