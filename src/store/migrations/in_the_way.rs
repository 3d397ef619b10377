//! Who holds what a migration waits for.

use std::convert::Infallible;
use std::fmt;
use std::time::{Duration, Instant};

use diesel::sql_types::{BigInt, Integer, Text};

use super::super::Conn;
use super::super::database::OwnConnection;
use super::super::error::StoreError;
use super::super::sql::statement::Statement;

/// The advisory lock of whoever migrates.
pub(super) const MIGRATING: i64 = 4_702_394_921_427_289_928;

const LOOK_EVERY: Duration = Duration::from_millis(250);
const TELL_EVERY: Duration = Duration::from_secs(3);

/// A session of the database, as a person finds it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pid: i32,
    role: String,
    application: String,
    state: String,
    seconds: i64,
    query: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, role, application, state, seconds, query } = self;
        write!(
            formatter,
            "process {pid} (role {role}, application {application:?}, {state}, since {seconds} s: {query})"
        )
    }
}

/// Those that hold something, as text.
pub(super) fn told(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return "somebody who cannot be seen".to_owned();
    }
    holders.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

async fn holders(
    mut conn: Conn<'_>,
    of: impl FnOnce(Description) -> Description,
) -> Result<Vec<Holder>, StoreError> {
    let statement = Statement::new(
        // Of others' sessions, who is not allowed more sees these two alone.
        "SELECT pid, coalesce(usename::text, ''), coalesce(application_name, ''), coalesce(state, 'in an unknown state'), \
         coalesce(extract(epoch FROM clock_timestamp() - xact_start)::bigint, 0), left(coalesce(query, ''), 200) \
         FROM pg_stat_activity WHERE pid IN (",
    );
    let found: Vec<(i32, String, String, String, i64, String)> =
        of(statement).sql(") ORDER BY pid").load(&mut conn).await?;
    let holder = |(pid, role, application, state, seconds, query)| Holder {
        pid,
        role,
        application,
        state,
        seconds,
        query,
    };
    Ok(found.into_iter().map(holder).collect())
}

type Description = Statement<(Integer, Text, Text, Text, BigInt, Text)>;

/// Who migrates at the moment.
pub(super) async fn migrating(conn: Conn<'_>) -> Result<Vec<Holder>, StoreError> {
    holders(conn, |statement| {
        statement
            .sql(
                "SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE l.locktype = 'advisory' AND l.granted \
                 AND l.objsubid = 1 AND d.datname = current_database() AND (l.classid::bigint << 32 | l.objid::bigint) = ",
            )
            .bigint(MIGRATING)
    })
    .await
}

/// Looks who is in the way of a session, from beside it.
pub(super) struct Watch {
    connection: OwnConnection,
    pid: i32,
    told_at: Instant,
    /// Those that were in the way the last time that anybody was.
    pub(super) seen: Vec<Holder>,
}

impl Watch {
    pub(super) fn new(connection: OwnConnection, pid: i32) -> Self {
        Self { connection, pid, told_at: Instant::now(), seen: Vec::new() }
    }

    /// Looks again and again, and says every few seconds what it sees. Ends with whoever waits for it.
    pub(super) async fn look(&mut self, migration: &str) -> Infallible {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let pid = self.pid;
            let blocking = holders(&self.connection, |statement| {
                statement.sql("SELECT unnest(pg_blocking_pids(").value::<Integer, _>(pid).sql("))")
            });
            // Who cannot be asked is not there to be told of.
            let Ok(found) = blocking.await else { continue };
            if found.is_empty() {
                continue;
            }
            self.seen = found;
            if self.told_at.elapsed() >= TELL_EVERY {
                tracing::warn!(migration, held_by = told(&self.seen), "a migration waits for a lock");
                self.told_at = Instant::now();
            }
        }
    }
}
