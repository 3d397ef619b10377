//! What can go wrong between the server and its database.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A failure of the database, or of what it holds.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is read-only, starting or stopping, or did not answer in time.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Another transaction was in the way; the same again may succeed.
    #[error("the transaction gave way to another: {0}")]
    Contended(String),
    /// It refused the values (SQLSTATE classes 22 and 23).
    #[error("the database refused the values: {message}")]
    Rejected { constraint: Option<String>, message: String },
    /// A row is not what the server writes.
    #[error("the database holds what it must not: {0}")]
    Corrupt(String),
    /// More is waiting than the server takes on.
    #[error("too much is waiting")]
    Overloaded,
    #[error("{0}")]
    Internal(String),
}

impl StoreError {
    /// Whether a statement took longer than it may.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Unavailable(message) if message.contains(TIMED_OUT))
    }

    /// Whether this constraint refused the values.
    pub fn is_violation_of(&self, name: &str) -> bool {
        matches!(self, Self::Rejected { constraint: Some(constraint), .. } if constraint == name)
    }
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        let message = error.to_string();
        match error {
            DieselError::DatabaseError(kind, info) => {
                let constraint = info.constraint_name().map(str::to_owned);
                of_database_error(&kind, constraint, message)
            }
            DieselError::DeserializationError(_) => Self::Corrupt(message),
            DieselError::SerializationError(_) => Self::Rejected { constraint: None, message },
            DieselError::BrokenTransactionManager => Self::Unavailable(message),
            _ => Self::Internal(message),
        }
    }
}

fn of_database_error(kind: &DatabaseErrorKind, constraint: Option<String>, message: String) -> StoreError {
    match kind {
        DatabaseErrorKind::UniqueViolation
        | DatabaseErrorKind::ForeignKeyViolation
        | DatabaseErrorKind::NotNullViolation
        | DatabaseErrorKind::CheckViolation
        | DatabaseErrorKind::RestrictViolation
        | DatabaseErrorKind::ExclusionViolation => StoreError::Rejected { constraint, message },
        DatabaseErrorKind::SerializationFailure => StoreError::Contended(message),
        DatabaseErrorKind::ReadOnlyTransaction
        | DatabaseErrorKind::ClosedConnection
        | DatabaseErrorKind::UnableToSendCommand => StoreError::Unavailable(message),
        // diesel gives no SQLSTATE for the rest: told apart by PostgreSQL's English words. In another language it is
        // INTERNAL, which the engine also retries, and splits a batch for.
        _ => of_unclassified(constraint, message),
    }
}

const TIMED_OUT: &str = "canceling statement due to statement timeout";

fn of_unclassified(constraint: Option<String>, message: String) -> StoreError {
    const CONTENDED: [&str; 2] = ["deadlock detected", "due to lock timeout"];
    const UNAVAILABLE: [&str; 9] = [
        "terminating connection",
        "connection closed",
        "error communicating with the server",
        "the database system is",
        TIMED_OUT,
        "too many clients",
        "remaining connection slots",
        "read-only transaction",
        "idle-in-transaction timeout",
    ];
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    if says(&CONTENDED) {
        StoreError::Contended(message)
    } else if says(&UNAVAILABLE) {
        StoreError::Unavailable(message)
    } else if is_data_exception(&message) {
        StoreError::Rejected { constraint, message }
    } else {
        StoreError::Internal(message)
    }
}

/// Class 22, by the words of it that a server can run into.
fn is_data_exception(message: &str) -> bool {
    [
        "out of range",
        "overflow",
        "invalid byte sequence",
        "value too long",
        "division by zero",
        "invalid input syntax",
    ]
    .iter()
    .any(|phrase| message.contains(phrase))
}
