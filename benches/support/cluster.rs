//! A private PostgreSQL, and pgbench on it.

use std::path::PathBuf;
use std::time::Duration;

use abacus::private_pg::{Options, PrivatePostgres};
use abacus::store::database::Database;
use abacus::store::migrations::{LOCK_WAIT_DEFAULT, Migrator};

use super::processes::{time_of, time_of_family};

pub struct Cluster {
    pub postgres: PrivatePostgres,
    dir: PathBuf,
}

/// In MB; of a machine that does not say, that of a small one.
fn quarter_of_memory() -> u64 {
    let said = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = said
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    total.map_or(256, |kilobytes| kilobytes / 1_024 / 4)
}

impl Cluster {
    pub async fn start() -> Self {
        let dir = std::env::temp_dir().join(format!("abacus-bench-{}", std::process::id()));
        let options = Options {
            data_dir: dir.clone(),
            data_dir_is_default: false,
            settings: vec![
                ("max_connections".into(), "300".into()),
                // What is recommended for production: full-page images are compressed at a fraction of pglz' cost.
                ("wal_compression".into(), "lz4".into()),
                // As its documentation advises, and a checkpoint every 15 minutes and not for what is written meanwhile.
                ("shared_buffers".into(), format!("{}MB", quarter_of_memory())),
                ("max_wal_size".into(), "16GB".into()),
            ],
            lock: true,
        };
        let postgres = PrivatePostgres::start(options).await.expect("a private PostgreSQL");
        Self { postgres, dir }
    }

    pub async fn stop(self) {
        self.postgres.stop().await;
        std::fs::remove_dir_all(&self.dir).expect("the cluster's directory is removed");
    }

    /// A migrated database; its address is the server's, as in production a role that owns nothing.
    pub async fn database(&self, name: &str) -> String {
        self.postgres.ensure_database(name).await.expect("a database");
        let url = self.postgres.url(name);
        let server = Database::new(&url, 1).expect("an address");
        let migrator = Migrator::new(&server, Some(&self.postgres.owner_url(name)), LOCK_WAIT_DEFAULT);
        migrator.expect("the owner's address").migrate().await.expect("it is migrated");
        url
    }

    pub async fn client(&self, database: &str) -> tokio_postgres::Client {
        let (client, connection) =
            tokio_postgres::connect(&self.postgres.superuser_url(database), tokio_postgres::NoTls)
                .await
                .expect("a connection");
        tokio::spawn(connection);
        client
    }

    /// Runs pgbench with these arguments and answers its transactions per second.
    pub async fn pgbench(&self, database: &str, arguments: &[&str]) -> f64 {
        let mut command = tokio::process::Command::new(self.postgres.bin_dir().join("pgbench"));
        // pgbench takes no URL for its database before version 16.
        let url = self.postgres.superuser_url(database);
        let host = url
            .split('@')
            .nth(1)
            .and_then(|rest| rest.split('/').next())
            .expect("a host")
            .replace("%2F", "/");
        command.args(["-h", &host, "-U", "postgres"]).args(arguments).arg(database);
        let output = command.output().await.expect("pgbench runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        tps.unwrap_or(0.0)
    }

    /// The better of 8 and 16 clients that run this long, prepared: pgbench's own transaction, or a script.
    pub async fn best_pgbench(&self, database: &str, seconds: u64, script: Option<&str>) -> f64 {
        let seconds = seconds.to_string();
        let mut best: f64 = 0.0;
        for clients in ["8", "16"] {
            let mut arguments = vec!["-n", "-M", "prepared", "-c", clients, "-j", "2", "-T", &seconds];
            arguments.extend(script.into_iter().flat_map(|script| ["-f", script]));
            best = best.max(self.pgbench(database, &arguments).await);
        }
        best
    }

    /// A database for pgbench's own transaction, of 2,000,000 accounts.
    pub async fn tpcb(&self, name: &str) {
        self.postgres.ensure_database(name).await.expect("a database");
        self.pgbench(name, &["-i", "-q", "-s", "20"]).await;
    }

    /// A checkpoint now, so that none falls into a measurement for what was done before it.
    pub async fn settle(&self, database: &str) {
        self.client(database).await.batch_execute("CHECKPOINT").await.expect("a checkpoint");
    }

    /// The processor's time that a server, and PostgreSQL with all of its processes, have taken so far.
    pub fn processor_time(&self, server: u32) -> (Duration, Duration) {
        let postmaster = self.postgres.pid().and_then(|pid| u32::try_from(pid).ok());
        (time_of(server), time_of_family(postmaster.expect("the private PostgreSQL runs")))
    }
}
