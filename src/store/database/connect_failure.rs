//! Why the database cannot be reached, as a person needs it: where it was looked for, as whom, and what was in the way. Never
//! the password.

use std::error::Error as _;
use std::io;

use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, Error};

const PORT_USUAL: u16 = 5432;

/// What went wrong when a connection was opened.
pub(super) fn told(config: &Config, error: &Error) -> String {
    format!("cannot connect to PostgreSQL at {}: {}", place(config), cause(error))
}

/// The same where nobody has answered in time.
pub(super) fn no_answer(config: &Config) -> String {
    format!("cannot connect to PostgreSQL at {}: no answer within 5 seconds", place(config))
}

/// Where it was looked for, and as whom.
fn place(config: &Config) -> String {
    let ports = config.get_ports();
    let port = |index: usize| ports.get(index).or_else(|| ports.first()).copied().unwrap_or(PORT_USUAL);
    let host = |(index, host): (usize, &Host)| match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]:{}", port(index)),
        Host::Tcp(name) => format!("{name}:{}", port(index)),
        #[cfg(unix)]
        Host::Unix(folder) => format!("{}/.s.PGSQL.{}", folder.display(), port(index)),
    };
    let mut hosts: Vec<String> = config.get_hosts().iter().enumerate().map(host).collect();
    if hosts.is_empty() {
        hosts.extend(config.get_hostaddrs().iter().map(|address| format!("{address}:{}", port(0))));
    }
    let user = config.get_user().map(|user| format!(" as \"{user}\"")).unwrap_or_default();
    let database = config.get_dbname().map(|name| format!(", database \"{name}\"")).unwrap_or_default();
    format!("{}{user}{database}", hosts.join(" or "))
}

fn cause(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        return of_code(said.code(), said.message());
    }
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(source) = next {
        if let Some(error) = source.downcast_ref::<io::Error>() {
            return of_io(error);
        }
        causes.push(source.to_string());
        next = source.source();
    }
    let causes = causes.join(": ");
    let is = |words: &str| error.to_string().contains(words);
    if causes.contains("password missing") {
        "it asks for a password, and none is given".to_owned()
    } else if is("TLS") {
        format!("TLS is asked for (sslmode), which this server does not speak: {causes}")
    } else if causes.is_empty() {
        error.to_string()
    } else {
        format!("{error}: {causes}")
    }
}

/// What PostgreSQL itself says, whose words may be in any language.
fn of_code(code: &SqlState, message: &str) -> String {
    let why = match *code {
        SqlState::INVALID_PASSWORD => "the password is wrong, or there is no such user",
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            "it does not let this user in from here, or only with TLS, which this server does not speak (pg_hba.conf)"
        }
        SqlState::INVALID_CATALOG_NAME => "there is no such database",
        SqlState::CANNOT_CONNECT_NOW => "it is starting or stopping",
        SqlState::TOO_MANY_CONNECTIONS => "it has too many connections",
        _ => return message.to_owned(),
    };
    format!("{why}: {message}")
}

fn of_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused: nothing listens there".to_owned(),
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::TimedOut => "no answer in time".to_owned(),
        _ if error.to_string().contains("failed to lookup address") => format!("unknown host: {error}"),
        _ => error.to_string(),
    }
}
