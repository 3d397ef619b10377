//! A private PostgreSQL cluster, for when no `DATABASE_URL` is set.
//!
//! [`PrivatePostgres::start`] makes the cluster in `DATA_DIR/postgres` where it is missing, starts
//! it and keeps it running. It listens on a unix socket only, in a folder closed to other users.
//! A server that is killed leaves it running; the next start adopts it.

#![allow(clippy::doc_markdown, reason = "PostgreSQL is a name, not code")]

mod binaries;
mod cluster;
mod data_dir;
mod error;
mod initdb;
mod log;
mod os_user;
mod postmaster;
mod roles;
mod socket;
mod supervisor;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use tokio_util::sync::{CancellationToken, DropGuard};

use cluster::Cluster;
use data_dir::Lock;
use postmaster::Postmaster;
use socket::percent_encode;
use supervisor::{CurrentPid, Supervisor};

pub use data_dir::{possible_data_dirs, usable_data_dir};
pub use error::PrivatePgError;

/// What to start.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of the cluster, its socket, its log and its lock.
    pub data_dir: PathBuf,
    /// Nobody asked for that very folder: another may be taken where it is out of reach.
    pub data_dir_is_default: bool,
    /// PostgreSQL settings that come after the defaults, as for `-c name=value`. They cannot
    /// change where it listens.
    pub settings: Vec<(String, String)>,
    /// Whether to refuse a data directory that another server holds.
    pub lock: bool,
}

/// A running private PostgreSQL, restarted when it dies.
///
/// Dropping this without [`stop`](Self::stop) leaves PostgreSQL running for the next start.
#[derive(Debug)]
pub struct PrivatePostgres {
    cluster: Arc<Cluster>,
    moved_from: Option<PathBuf>,
    pid: CurrentPid,
    stop: CancellationToken,
    /// Dropped with this: PostgreSQL is left to itself.
    _abandon: DropGuard,
    /// Its end tells whether it panicked.
    task: Mutex<Option<JoinHandle<()>>>,
    _lock: Option<Lock>,
}

impl PrivatePostgres {
    /// Makes, adopts or starts the cluster, and returns when it accepts connections.
    ///
    /// # Errors
    ///
    /// Anything that keeps PostgreSQL from running; each message says what to do.
    pub async fn start(options: Options) -> Result<Self, PrivatePgError> {
        let data_dir = usable_data_dir(&options.data_dir, options.data_dir_is_default)?;
        let lock = options.lock.then(|| Lock::take(&data_dir)).transpose()?;
        let moved_from = moved_from(&options.data_dir, &data_dir);
        let cluster = Arc::new(Cluster::prepare(data_dir, options.settings).await?);
        let mut slot = None;
        cluster.bring_up(&mut slot).await?;
        Ok(Self::supervise(cluster, slot, moved_from, lock))
    }

    fn supervise(
        cluster: Arc<Cluster>,
        slot: Option<Postmaster>,
        moved_from: Option<PathBuf>,
        lock: Option<Lock>,
    ) -> Self {
        let pid = CurrentPid::default();
        pid.set(slot.as_ref().and_then(Postmaster::pid));
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        let supervisor = Supervisor {
            cluster: Arc::clone(&cluster),
            slot,
            pid: pid.clone(),
            stop: stop.clone(),
            abandon: abandon.clone(),
        };
        Self {
            cluster,
            moved_from,
            pid,
            stop,
            _abandon: abandon.drop_guard(),
            task: Mutex::new(Some(tokio::spawn(supervisor.run()))),
            _lock: lock,
        }
    }

    /// Stops PostgreSQL in order and returns when it is gone. May be called more than once.
    pub async fn stop(&self) {
        self.stop.cancel();
        let mut task = self.task.lock().await;
        if let Some(handle) = task.as_mut()
            && let Err(error) = handle.await
        {
            tracing::error!(%error, "the task that looks after PostgreSQL failed");
        }
        *task = None;
    }

    /// The URL of a database in the cluster, for the role that serves from it: it owns nothing.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_of(roles::SERVER, database)
    }

    /// The same for the role that owns the database, and migrates it.
    #[must_use]
    pub fn owner_url(&self, database: &str) -> String {
        self.url_of(roles::OWNER, database)
    }

    /// The same for the superuser, for people.
    #[must_use]
    pub fn superuser_url(&self, database: &str) -> String {
        self.url_of(roles::SUPERUSER, database)
    }

    fn url_of(&self, role: &str, database: &str) -> String {
        let host = percent_encode(self.cluster.socket_dir.as_os_str());
        let database = percent_encode(OsStr::new(database));
        format!("postgres://{role}@{host}/{database}")
    }

    /// A shell command that opens a database in `psql`.
    #[must_use]
    pub fn psql_command(&self, database: &str) -> String {
        let program = self.cluster.psql();
        format!("'{}' '{}'", shell_quoted(&program), self.superuser_url(database))
    }

    /// The folder of the PostgreSQL programs in use.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.cluster.binaries.dir
    }

    /// The data directory in use, absolute and without links.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.cluster.data_dir
    }

    /// The default data directory, where another had to be taken because it is out of reach for
    /// the user that runs PostgreSQL.
    #[must_use]
    pub fn moved_from(&self) -> Option<&Path> {
        self.moved_from.as_deref()
    }

    /// The pid of the postmaster, or nothing while it is being restarted or after a stop.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.pid.get()
    }

    /// Creates a database if it is not there yet, and the roles that own and serve it. One that an earlier version made is
    /// handed over to its owner.
    ///
    /// # Errors
    ///
    /// The name is not plain (`[a-z_][a-z0-9_]*`), or PostgreSQL refuses.
    pub async fn ensure_database(&self, name: &str) -> Result<(), PrivatePgError> {
        if !is_plain_name(name) {
            return Err(PrivatePgError::DatabaseName { name: name.to_owned() });
        }
        self.create_if_absent(name)
            .await
            .map_err(|source| PrivatePgError::Database { name: name.to_owned(), source })
    }

    async fn create_if_absent(&self, name: &str) -> Result<(), tokio_postgres::Error> {
        let client = self.cluster.connect("postgres").await?;
        roles::make(&client).await?;
        create(&client, name).await?;
        roles::hand_over(&self.cluster.connect(name).await?, name).await
    }
}

async fn create(client: &Client, name: &str) -> Result<(), tokio_postgres::Error> {
    let exists = "SELECT 1 FROM pg_database WHERE datname = $1";
    if client.query_opt(exists, &[&name]).await?.is_some() {
        return Ok(());
    }
    // Nobody can be connected to template0, which would keep it from being copied.
    let create = format!("CREATE DATABASE \"{name}\" TEMPLATE template0");
    match client.batch_execute(&create).await {
        Err(error) if error.code() == Some(&SqlState::DUPLICATE_DATABASE) => Ok(()),
        outcome => outcome,
    }
}

/// The folder asked for, if it is not the one in use.
fn moved_from(asked: &Path, used: &Path) -> Option<PathBuf> {
    let asked = std::path::absolute(asked).unwrap_or_else(|_| asked.to_owned());
    let same = std::fs::canonicalize(&asked).is_ok_and(|asked| asked == used);
    (!same).then_some(asked)
}

fn is_plain_name(name: &str) -> bool {
    // PostgreSQL cuts longer names short, and would then not find them again.
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn shell_quoted(path: &Path) -> String {
    path.to_string_lossy().replace('\'', r"'\''")
}
