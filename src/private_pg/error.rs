//! What can go wrong, each in one line that says what to do.

use std::io;
use std::path::PathBuf;

/// The oldest major version supported.
pub(super) const MIN_MAJOR: u32 = 15;

/// Why the private PostgreSQL cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivatePgError {
    /// No usable `postgres` and `initdb` anywhere.
    #[error("PostgreSQL is not installed: {}, or set DATABASE_URL to a server you already have", install())]
    NotInstalled,
    /// Only versions that are too old were found.
    #[error(
        "only PostgreSQL {found} is installed, {MIN_MAJOR} or later is needed: {}, or set DATABASE_URL",
        install()
    )]
    TooOld {
        /// The majors found.
        found: String,
    },
    /// The cluster needs another major than those installed.
    #[error(
        "cluster in {} was made by PostgreSQL {major}; only {found} is installed: install postgresql-{major} or move {} away",
        cluster.display(),
        cluster.display()
    )]
    WrongMajor {
        /// Where the cluster is.
        cluster: PathBuf,
        /// The major that made it.
        major: u32,
        /// The majors found.
        found: String,
    },
    /// The cluster was made by a version older than the server supports.
    #[error(
        "cluster in {} was made by PostgreSQL {major}, {MIN_MAJOR} or later is needed: convert it with pg_upgrade or move it away",
        cluster.display()
    )]
    OldCluster {
        /// Where the cluster is.
        cluster: PathBuf,
        /// The major that made it.
        major: u32,
    },
    /// The place of the cluster is taken by something else.
    #[error("{} exists but holds no PostgreSQL cluster: move it away", path.display())]
    NotACluster {
        /// The folder in question.
        path: PathBuf,
    },
    /// The cluster belongs to another user than the one it would run as.
    #[error(
        "cluster in {} belongs to uid {owner} but would run as {user}: start the server as that owner, or run `chown -R {user} {}`",
        cluster.display(),
        cluster.display()
    )]
    WrongOwner {
        /// Where the cluster is.
        cluster: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who should.
        user: String,
    },
    /// Started by root on a machine without a `postgres` user.
    #[error(
        "PostgreSQL refuses to run as root and there is no user `postgres`: create it (`useradd --system postgres`) or start the server as an ordinary user"
    )]
    NoPostgresUser,
    /// The process may not become the user that runs PostgreSQL.
    #[error("cannot switch to user {user} ({source}): start the server as an ordinary user")]
    SwitchUser {
        /// The user wanted.
        user: String,
        /// What the system said.
        source: io::Error,
    },
    /// The data directory cannot be entered by the user that runs PostgreSQL.
    #[error(
        "user {user} cannot enter {}: choose a data directory outside it (such as /var/lib/abacus), or let others pass with `chmod o+x` on that folder and those above it",
        path.display()
    )]
    Unreachable {
        /// The folder that cannot be entered.
        path: PathBuf,
        /// The user that cannot.
        user: String,
    },
    /// Another server uses this data directory.
    #[error(
        "data directory {} is in use by another server{}: stop it first or choose another data directory",
        path.display(),
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The other server, where it is known.
        pid: Option<i32>,
    },
    /// The socket directory is not one that can be trusted.
    #[error("socket directory {} {reason}: remove it and start again", path.display())]
    UnsafeSocketDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No place for the unix socket is short enough.
    #[error("socket directory {} is too long for a unix socket: choose a shorter data directory", path.display())]
    SocketPathTooLong {
        /// The directory.
        path: PathBuf,
    },
    /// `initdb` failed.
    #[error("initdb could not make the cluster in {}: {output}", path.display())]
    InitDb {
        /// Where it should have been made.
        path: PathBuf,
        /// The last lines it printed.
        output: String,
    },
    /// PostgreSQL ended before it accepted connections.
    #[error("PostgreSQL ended while starting ({how}), see {}: {tail}", log.display())]
    Exited {
        /// Exit status.
        how: String,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// PostgreSQL runs but does not answer.
    #[error("PostgreSQL did not answer within {seconds} s, see {}: {tail}", log.display())]
    Silent {
        /// How long was waited.
        seconds: u64,
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// Recovery takes longer than was waited.
    #[error(
        "PostgreSQL (pid {pid}) is still recovering after {seconds} s and goes on doing so: start the server again later, progress is in {}",
        log.display()
    )]
    StillRecovering {
        /// The postmaster.
        pid: i32,
        /// How long was waited.
        seconds: u64,
        /// The log file.
        log: PathBuf,
    },
    /// A postmaster that has to go does not.
    #[error("PostgreSQL (pid {pid}) does not stop: look at {} and end it by hand (`kill -QUIT {pid}`)", log.display())]
    WillNotStop {
        /// The postmaster.
        pid: i32,
        /// The log file.
        log: PathBuf,
    },
    /// A database name that is not plain.
    #[error(
        "database name `{name}` is not allowed: use a to z, 0 to 9 and _, not starting with a digit, at most 63"
    )]
    DatabaseName {
        /// The name.
        name: String,
    },
    /// A statement of `ensure_database` failed.
    #[error("cannot create database `{name}`: {}", said(source))]
    Database {
        /// The database.
        name: String,
        /// What PostgreSQL said.
        source: tokio_postgres::Error,
    },
    /// A file operation or the start of a program failed.
    #[error("cannot {action} {}: {source}{}", path.display(), advice(source))]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Makes [`PrivatePgError::Io`] from an [`io::Error`]; for `map_err`.
pub(super) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(io::Error) -> PrivatePgError {
    let path = path.into();
    move |source| PrivatePgError::Io { action, path, source }
}

fn install() -> &'static str {
    if cfg!(target_os = "macos") {
        "run `brew install postgresql@17`"
    } else {
        "run `apt-get install postgresql` (Debian, Ubuntu; elsewhere the package postgresql-server)"
    }
}

/// The driver's own text is only "db error"; the server's says more.
fn said(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), |db| format!("{} ({})", db.message(), db.code().code()))
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            ": choose a data directory this user may write to, or mend its permissions"
        }
        io::ErrorKind::ReadOnlyFilesystem => ": choose a data directory on a writable file system",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ": free some disk space",
        _ => "",
    }
}
