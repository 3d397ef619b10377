//! A migration that has not run yet.

use diesel::migration::Migration;
use diesel::pg::Pg;

use super::super::error::StoreError;
use super::plan::locks_of;

pub(super) fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Internal(format!("migrating the database: {error}"))
}

/// A migration that has not run yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// As its folder is called.
    pub name: String,
    pub(super) version: String,
    pub(super) in_transaction: bool,
}

impl Pending {
    pub(super) fn of(migration: &dyn Migration<Pg>) -> Self {
        Self {
            name: migration.name().to_string(),
            version: migration.name().version().to_string(),
            in_transaction: migration.metadata().run_in_transaction(),
        }
    }

    /// What it locks, as it says itself; the oldest do not.
    pub fn locks(&self) -> Option<&'static str> {
        locks_of(&self.name)
    }
}
