//! Connections that read the usage of months: its statements may take longer than others, and are prepared once.

use std::sync::{Arc, Mutex, PoisonError};

use crate::store::database::{Database, OwnConnection};
use crate::store::error::StoreError;

/// A month's usage may be a lot.
const SECONDS_MAX: i64 = 300;
/// More are not kept.
const KEPT_MAX: usize = 4;

/// Connections that nobody reads with just now.
#[derive(Clone, Default)]
pub struct Readers(Arc<Mutex<Vec<OwnConnection>>>);

impl Readers {
    /// One that is free, or a new one; and whether it was used before: it may be broken by now.
    pub(super) async fn take(&self, database: &Database) -> Result<(OwnConnection, bool), StoreError> {
        let free = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match free {
            Some(connection) => Ok((connection, true)),
            None => Ok((database.reading_connection(SECONDS_MAX).await?, false)),
        }
    }

    /// Keeps one for the next time. One that a statement failed on is not given back.
    pub(super) fn give_back(&self, connection: OwnConnection) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if free.len() < KEPT_MAX {
            free.push(connection);
        }
    }
}
