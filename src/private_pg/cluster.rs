//! The cluster: its folders, how its postmaster is started, adopted and found to be ready.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::binaries::{self, Binaries};
use super::error::{PrivatePgError, io_error};
use super::log::Log;
use super::os_user::OsUser;
use super::postmaster::{Postmaster, Running, find_running};
use super::{initdb, roles, socket};

/// How long a new postmaster may give no answer at all.
const START_SILENCE: Duration = Duration::from_mins(1);
/// The same for one that was already there.
const ADOPT_SILENCE: Duration = Duration::from_secs(10);
/// How long it may say that it is starting up: recovery after a crash takes its time.
const RECOVERY_LIMIT: Duration = Duration::from_mins(10);
/// How long backends that outlived a killed postmaster may stand in the way.
const BUSY_LIMIT: Duration = Duration::from_secs(20);
const BUSY_PAUSE: Duration = Duration::from_secs(1);
const PROBE_LIMIT: Duration = Duration::from_secs(5);
const PROBE_EVERY: Duration = Duration::from_millis(50);

/// What can be overridden by the caller's settings. Durability (`fsync`, `synchronous_commit`) is
/// left as PostgreSQL has it: on.
const DEFAULTS: [(&str, &str); 10] = [
    // Keeps the working set of a small machine in memory; the system caches the rest.
    ("shared_buffers", "256MB"),
    // Well above the server's pool, with room for tools.
    ("max_connections", "100"),
    // Bursts of usage records should not force checkpoints.
    ("max_wal_size", "2GB"),
    // Fewer checkpoints mean fewer full-page images; recovery stays within minutes.
    ("checkpoint_timeout", "15min"),
    // Full-page images are most of the WAL and shrink well.
    ("wal_compression", "on"),
    // Storage without seek time, so that the planner does not shun indexes.
    ("random_page_cost", "1.1"),
    // Short queries never earn back their compilation.
    ("jit", "off"),
    // Times mean the same on every machine.
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    // The log is the file that the child's output goes to.
    ("logging_collector", "off"),
];

#[derive(Debug)]
pub(super) struct Cluster {
    account: OsUser,
    pub(super) binaries: Binaries,
    pub(super) data_dir: PathBuf,
    pgdata: PathBuf,
    pub(super) socket_dir: PathBuf,
    settings: Vec<(String, String)>,
}

enum Answer {
    Accepts,
    StartingUp,
    Nothing,
}

enum Outcome {
    Ready,
    Ended(String),
    Silent,
    Recovering,
}

impl Cluster {
    /// Finds the programs and makes the cluster where it is missing.
    pub(super) async fn prepare(
        data_dir: PathBuf,
        settings: Vec<(String, String)>,
    ) -> Result<Self, PrivatePgError> {
        let account = OsUser::detect()?;
        let pgdata = data_dir.join("postgres");
        initdb::clear_unfinished(&data_dir);
        let made_by = initdb::made_by(&account, &pgdata)?;
        let binaries = binaries::choose(&account, &pgdata, made_by)?;
        let socket_dir = socket::prepare(&data_dir, &account)?;
        if made_by.is_none() {
            initdb::make(&account, &binaries, &data_dir, &pgdata).await?;
        }
        Ok(Self { account, binaries, data_dir, pgdata, socket_dir, settings })
    }

    /// Brings the cluster to accept connections: by the postmaster that is there, or by a new one.
    ///
    /// `slot` holds the process from its first moment, so that it is known to the caller even when
    /// this future is dropped half way. After an error it is empty unless the postmaster lives on.
    pub(super) async fn bring_up(&self, slot: &mut Option<Postmaster>) -> Result<(), PrivatePgError> {
        let begin = Instant::now();
        loop {
            self.adopt(slot).await?;
            if slot.is_some() {
                return Ok(());
            }
            match self.launch(slot).await {
                Err(error) if is_busy(&error) && begin.elapsed() < BUSY_LIMIT => {
                    tracing::warn!(%error, "an old PostgreSQL is not quite gone, trying again");
                    sleep(BUSY_PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Fills `slot` if a postmaster of this cluster runs and can be used; one that runs but cannot
    /// be used is stopped.
    async fn adopt(&self, slot: &mut Option<Postmaster>) -> Result<(), PrivatePgError> {
        let Some(running) = find_running(&self.account, &self.pgdata)? else {
            return Ok(());
        };
        let pid = running.pid;
        let postmaster = slot.insert(Postmaster::Adopted(pid));
        if self.is_usable(&running) {
            match self.wait_ready(postmaster, ADOPT_SILENCE).await {
                Outcome::Ready => {
                    self.tell_adopted(pid);
                    return Ok(());
                }
                Outcome::Recovering => return Err(self.still_recovering(pid)),
                Outcome::Ended(_) => {
                    *slot = None;
                    return Ok(());
                }
                Outcome::Silent => {}
            }
        }
        tracing::warn!(pid, "stopping a PostgreSQL that runs here but cannot be used");
        self.retire(slot).await
    }

    fn is_usable(&self, running: &Running) -> bool {
        let dir = running.socket_dir.as_os_str();
        !running.stopping && (dir.is_empty() || dir == self.socket_dir.as_os_str())
    }

    fn tell_adopted(&self, pid: i32) {
        tracing::info!(pid, "adopted the PostgreSQL that was already running");
        let mut wanted = Vec::new();
        for arg in self.arguments() {
            wanted.extend_from_slice(b" \"");
            wanted.extend_from_slice(arg.as_bytes());
            wanted.push(b'"');
        }
        // The file holds the command line as PostgreSQL was started with it.
        let actual = fs::read(self.pgdata.join("postmaster.opts")).unwrap_or_default();
        if !actual.trim_ascii_end().ends_with(&wanted) {
            tracing::warn!("its settings are not the present ones, which take effect after a stop");
        }
    }

    async fn retire(&self, slot: &mut Option<Postmaster>) -> Result<(), PrivatePgError> {
        let Some(postmaster) = slot.as_mut() else {
            return Ok(());
        };
        if postmaster.shut_down().await {
            *slot = None;
            return Ok(());
        }
        Err(PrivatePgError::WillNotStop {
            pid: postmaster.pid().unwrap_or_default(),
            log: Log::path(&self.data_dir),
        })
    }

    /// Starts a new postmaster and waits until it accepts connections.
    async fn launch(&self, slot: &mut Option<Postmaster>) -> Result<(), PrivatePgError> {
        socket::clear(&self.socket_dir);
        let log = Log::open(&self.data_dir)?;
        let postmaster = slot.insert(self.spawn(&log)?);
        match self.wait_ready(postmaster, START_SILENCE).await {
            Outcome::Ready => Ok(()),
            Outcome::Ended(how) => {
                *slot = None;
                Err(PrivatePgError::Exited { how, tail: log.tail(), log: log.path })
            }
            Outcome::Recovering => {
                let pid = postmaster.pid().unwrap_or_default();
                Err(self.still_recovering(pid))
            }
            Outcome::Silent => {
                self.retire(slot).await?;
                Err(PrivatePgError::Silent {
                    seconds: START_SILENCE.as_secs(),
                    tail: log.tail(),
                    log: log.path,
                })
            }
        }
    }

    fn spawn(&self, log: &Log) -> Result<Postmaster, PrivatePgError> {
        let program = self.binaries.dir.join("postgres");
        let output = || log.file.try_clone().map_err(io_error("open", &log.path));
        let mut command = self.account.command(&program, &self.pgdata);
        command
            .args(self.arguments())
            .stdout(output()?)
            .stderr(output()?)
            // Ctrl-C in the terminal is for the server, which then stops PostgreSQL in order.
            .process_group(0);
        Command::from(command).spawn().map(Postmaster::Child).map_err(io_error("run", &program))
    }

    fn arguments(&self) -> Vec<OsString> {
        let own = self.settings.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let port = socket::PORT.to_string();
        // Last, as the last one of a name counts: no settings may open the cluster to others.
        let fixed = [("listen_addresses", ""), ("port", port.as_str())];
        let mut arguments = vec![OsString::from("-D"), self.pgdata.clone().into()];
        for (name, value) in DEFAULTS.into_iter().chain(own).chain(fixed) {
            arguments.extend(["-c".into(), format!("{name}={value}").into()]);
        }
        let mut sockets = OsString::from("unix_socket_directories=");
        sockets.push(quoted(self.socket_dir.as_os_str()));
        arguments.extend(["-c".into(), sockets]);
        arguments
    }

    async fn wait_ready(&self, postmaster: &mut Postmaster, silence: Duration) -> Outcome {
        let begin = Instant::now();
        let mut heard = begin;
        loop {
            if let Some(how) = postmaster.ended() {
                return Outcome::Ended(how);
            }
            match self.probe().await {
                Answer::Accepts => return Outcome::Ready,
                Answer::StartingUp => heard = Instant::now(),
                Answer::Nothing if heard.elapsed() >= silence => return Outcome::Silent,
                Answer::Nothing => {}
            }
            if begin.elapsed() >= RECOVERY_LIMIT {
                return Outcome::Recovering;
            }
            sleep(PROBE_EVERY).await;
        }
    }

    async fn probe(&self) -> Answer {
        match timeout(PROBE_LIMIT, self.connect("postgres")).await {
            Ok(Ok(_)) => Answer::Accepts,
            Ok(Err(error)) => match error.code() {
                Some(code) if *code == SqlState::CANNOT_CONNECT_NOW => Answer::StartingUp,
                // Any other refusal, as for too many connections, comes from one that is up.
                Some(_) => Answer::Accepts,
                None => Answer::Nothing,
            },
            Err(_) => Answer::Nothing,
        }
    }

    /// Connects as the superuser.
    pub(super) async fn connect(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config
            .host_path(&self.socket_dir)
            .port(socket::PORT)
            .user(roles::SUPERUSER)
            .dbname(database)
            .application_name("abacus");
        let (client, connection) = config.connect(NoTls).await?;
        // Ends by itself when the client is dropped; errors reach the client's calls.
        tokio::spawn(connection);
        Ok(client)
    }

    fn still_recovering(&self, pid: i32) -> PrivatePgError {
        PrivatePgError::StillRecovering {
            pid,
            seconds: RECOVERY_LIMIT.as_secs(),
            log: Log::path(&self.data_dir),
        }
    }

    /// The `psql` that belongs to this cluster, or whichever is on the search path.
    pub(super) fn psql(&self) -> PathBuf {
        let own = self.binaries.dir.join("psql");
        if own.is_file() { own } else { Path::new("psql").to_owned() }
    }
}

/// Whether a start failed only because processes of the postmaster before are still going away.
fn is_busy(error: &PrivatePgError) -> bool {
    matches!(error, PrivatePgError::Exited { tail, .. }
        if tail.contains("is still in use") || tail.contains("\"postmaster.pid\" already exists"))
}

/// Quotes one entry of a list, as a path may hold commas and spaces.
fn quoted(entry: &OsStr) -> OsString {
    let mut out = vec![b'"'];
    for byte in entry.as_bytes() {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
    OsString::from_vec(out)
}
