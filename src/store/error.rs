//! What can go wrong between the server and its database.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// A failure of the database, or of what it holds.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, is read-only, full, starting or stopping, or did not answer in time.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// It answers, and cannot do what it was asked, whatever the values are: a table, a partition or a right is missing.
    #[error("the database is not as the server needs it: {0}")]
    Broken(String),
    /// One of several cells is away, or not as the server needs it.
    #[error("the cell \"{cell}\" is unavailable: {cause}")]
    CellAway { cell: String, cause: String },
    /// The machine has another time than the database.
    #[error("{0}")]
    WrongClock(String),
    /// Another transaction was in the way; the same again may succeed.
    #[error("the transaction gave way to another: {0}")]
    Contended(String),
    /// It refused the values (SQLSTATE classes 22, 23 and 54).
    #[error("the database refused the values: {message}")]
    Rejected { constraint: Option<String>, message: String },
    /// A row is not what the server writes.
    #[error("the database holds what it must not: {0}")]
    Corrupt(String),
    /// More is waiting than the server takes on.
    #[error("too much is waiting")]
    Overloaded,
    /// More would have to be read than is read for one answer.
    #[error("{message}")]
    TooMuch { argument: &'static str, message: String },
    #[error("{0}")]
    Internal(String),
}

impl StoreError {
    /// It says nothing at all.
    pub fn no_answer() -> Self {
        Self::Unavailable("the database did not answer in time".to_owned())
    }

    /// What PostgreSQL said, where nothing but its words is left.
    pub fn of_message(message: String) -> Self {
        of_words(None, message)
    }

    /// Whether the fault is the machinery's, whatever was asked: the same may succeed once that is mended.
    pub fn is_of_the_machinery(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Broken(_) | Self::CellAway { .. } | Self::WrongClock(_))
    }

    /// Whether a statement took longer than it may.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Unavailable(message) | Self::CellAway { cause: message, .. } if message.contains(TIMED_OUT))
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
                let constraint = info.constraint_name().or_else(|| named_constraint(&message));
                let constraint = constraint.map(|name| without_shard(name).to_owned());
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
        // PostgreSQL says so of a row without a partition, too, which is no fault of the row's.
        DatabaseErrorKind::CheckViolation if message.starts_with("no partition of relation") => {
            StoreError::Broken(message)
        }
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
        // diesel gives no SQLSTATE for the rest: told apart by PostgreSQL's English words, which connections ask for
        // (database.rs). In another language it is INTERNAL, which the engine also retries, and splits a batch for.
        _ => of_words(constraint, message),
    }
}

/// The constraint that a message names, where its name does not come by itself.
fn named_constraint(message: &str) -> Option<&str> {
    let (_, after) = message.split_once(" constraint \"")?;
    after.split_once('"').map(|(name, _)| name)
}

/// A shard's constraint, in a cluster, has the shard's number behind its name, and passes for the table's.
fn without_shard(name: &str) -> &str {
    let is_shard = |number: &str| number.len() >= 6 && number.bytes().all(|digit| digit.is_ascii_digit());
    match name.rsplit_once('_') {
        Some((of_table, number)) if is_shard(number) => of_table,
        _ => name,
    }
}

const TIMED_OUT: &str = "canceling statement due to statement timeout";

/// Classes 22 and 54: what the values are the reason of. First, as these messages may repeat the values.
const OF_THE_VALUES: [&str; 13] = [
    "out of range",
    "overflow",
    "invalid byte sequence",
    "value too long",
    "division by zero",
    "invalid input syntax",
    "unsupported Unicode escape sequence",
    "index row size",
    "index row requires",
    "row is too big",
    "string too long",
    "string is too long",
    "exceeds the maximum",
];
/// Class 40 and what waits for a lock.
const CONTENDED: [&str; 5] = [
    "deadlock detected",
    "due to lock timeout",
    "could not obtain lock",
    "tuple concurrently",
    "canceling the transaction since it was involved in a distributed deadlock",
];
/// Classes 08, 53, 57 and 58.
const UNAVAILABLE: [&str; 23] = [
    TIMED_OUT,
    // A node of a cluster is away.
    "connection to the remote node",
    "canceling statement due to user request",
    "terminating connection",
    "connection closed",
    "error communicating with the server",
    "the database system is",
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "read-only transaction",
    "idle-in-transaction timeout",
    "transaction timeout",
    "No space left on device",
    "Disk quota exceeded",
    "Input/output error",
    "out of memory",
    "out of shared memory",
    "could not extend file",
    "could not write",
    "could not open file",
    "could not read block",
    "could not access",
];
/// Classes 0A, 25, 26, 3F and 42: what the server relies on is not there, not allowed, or has changed under a connection.
const BROKEN: [&str; 6] = [
    "does not exist",
    "permission denied",
    "must be owner",
    "no partition of relation",
    "cached plan must not change result type",
    "current transaction is aborted",
];

fn of_words(constraint: Option<String>, message: String) -> StoreError {
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    if says(&OF_THE_VALUES) {
        StoreError::Rejected { constraint, message }
    } else if says(&CONTENDED) {
        StoreError::Contended(message)
    } else if says(&UNAVAILABLE) {
        StoreError::Unavailable(message)
    } else if says(&BROKEN) {
        StoreError::Broken(message)
    } else {
        StoreError::Internal(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_values_are_the_reason_of_is_told_from_the_machinerys_faults() {
        let class = |message: &str| match of_words(None, message.to_owned()) {
            StoreError::Rejected { .. } => "rejected",
            StoreError::Contended(_) => "contended",
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Broken(_) => "broken",
            _ => "internal",
        };
        for (message, expected) in [
            (
                r#"index row size 4016 exceeds btree version 4 maximum 2704 for index "usage_hours_pkey""#,
                "rejected",
            ),
            ("index row requires 9000 bytes, maximum size is 8191", "rejected"),
            ("row is too big: size 8200, maximum size 8160", "rejected"),
            ("unsupported Unicode escape sequence", "rejected"),
            ("value overflows numeric format", "rejected"),
            (r#"invalid input syntax for type numeric: "the permission denied does not exist""#, "rejected"),
            ("deadlock detected", "contended"),
            ("canceling statement due to lock timeout", "contended"),
            ("canceling the transaction since it was involved in a distributed deadlock", "contended"),
            (
                "connection to the remote node abacus@10.0.0.7:5432 failed with the following error: server closed the connection \
                 unexpectedly",
                "unavailable",
            ),
            ("canceling statement due to statement timeout", "unavailable"),
            (r#"could not extend file "base/1/2": No space left on device"#, "unavailable"),
            ("sorry, too many clients already", "unavailable"),
            ("the database system is shutting down", "unavailable"),
            (r#"relation "usage_events" does not exist"#, "broken"),
            ("permission denied for table usage_events", "broken"),
            ("cached plan must not change result type", "broken"),
            ("something nobody has thought of", "internal"),
        ] {
            assert_eq!(class(message), expected, "{message}");
        }
        let no_partition = r#"no partition of relation "usage_events" found for row"#.to_owned();
        let error = of_database_error(&DatabaseErrorKind::CheckViolation, None, no_partition);
        assert!(matches!(error, StoreError::Broken(_)), "{error:?}");
    }

    #[test]
    fn a_constraint_is_known_by_its_message_and_without_its_shard() {
        for (message, expected) in [
            (
                r#"duplicate key value violates unique constraint "namespaces_pkey_102021""#,
                Some("namespaces_pkey"),
            ),
            (r#"duplicate key value violates unique constraint "namespaces_pkey""#, Some("namespaces_pkey")),
            (
                r#"insert or update on table "plan_resources" violates foreign key constraint "plan_resources_resource_code_fkey""#,
                Some("plan_resources_resource_code_fkey"),
            ),
            (
                r#"new row for relation "orders_102113" violates check constraint "orders_of_resources_102113""#,
                Some("orders_of_resources"),
            ),
            // A month's partition is no shard.
            (
                r#"duplicate key value violates unique constraint "usage_events_2026_01""#,
                Some("usage_events_2026_01"),
            ),
            (r#"null value in column "id" of relation "orders" violates not-null constraint"#, None),
            (r#"violates unique constraint "cut off"#, None),
            ("", None),
        ] {
            assert_eq!(named_constraint(message).map(without_shard), expected, "{message}");
        }
    }
}
