//! One error type for queries, with `extensions.code`, and what clients see of it.

use async_graphql::ErrorExtensions;

use crate::domain::money::OutOfRange;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::engine::EngineError;
use crate::metering::MeterError;
use crate::store::access::AccessError;
use crate::store::error::StoreError;
use crate::store::turns::Crowded;

/// An answer to a query's field.
pub type ApiResult<T> = Result<T, ApiError>;

/// What was asked for was, may have been, or may still be carried out: asking again with the same key tells.
pub const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";

/// Something that goes into errors[]: what the caller did wrong in a query, or a fault.
#[derive(Debug, Clone)]
pub struct ApiError {
    pub code: &'static str,
    pub message: String,
    /// The argument that it is about.
    pub argument: Option<&'static str>,
}

impl ApiError {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), argument: None }
    }

    /// An argument that cannot be used.
    pub fn of_argument(code: RefusalCode, argument: &'static str, message: impl Into<String>) -> Self {
        Self { code: code.code(), message: message.into(), argument: Some(argument) }
    }

    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new("UNAUTHENTICATED", message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new("FORBIDDEN", message)
    }

    /// Nothing was done, as too much is waiting.
    pub fn overloaded() -> Self {
        Self::new("OVERLOADED", EngineError::Overloaded.to_string())
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new("BAD_REQUEST", message)
    }

    /// A fault: the cause goes to the log, and not to the client.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "internal error");
        Self::new("INTERNAL", "an internal error; the server's log tells more")
    }
}

impl From<ApiError> for async_graphql::Error {
    fn from(error: ApiError) -> Self {
        Self::new(error.message).extend_with(|_, extensions| {
            extensions.set("code", error.code);
            if let Some(argument) = error.argument {
                extensions.set("argument", argument);
            }
        })
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(cause) | StoreError::Broken(cause) | StoreError::WrongClock(cause) => {
                tracing::warn!(%cause, "the database is unavailable");
                Self::new("UNAVAILABLE", "the database is unavailable; try again later")
            }
            StoreError::CellAway { cell, cause } => {
                tracing::warn!(%cell, %cause, "a cell is unavailable");
                Self::new("UNAVAILABLE", format!("the cell \"{cell}\" is unavailable; try again later"))
            }
            StoreError::Contended(_) | StoreError::Overloaded => {
                Self::new("OVERLOADED", "too much is waiting; try again later")
            }
            StoreError::TooMuch { argument, message } => {
                Self::of_argument(RefusalCode::LimitExceeded, argument, message)
            }
            StoreError::Rejected { .. } | StoreError::Corrupt(_) | StoreError::Internal(_) => {
                Self::internal(error)
            }
        }
    }
}

impl From<Crowded> for ApiError {
    fn from(_: Crowded) -> Self {
        Self::new("OVERLOADED", "too many such requests of yours wait already: try again")
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Forbidden(_) | AccessError::Nameless | AccessError::OwnApproval => {
                Self::forbidden(error.to_string())
            }
            AccessError::NoSuchAccount => {
                Self::of_argument(RefusalCode::NotFound, "accountId", error.to_string())
            }
            AccessError::Refused(refusal) => Self::new(refusal.code.code(), refusal.message),
            AccessError::OutcomeUnknown => Self::new(OUTCOME_UNKNOWN, error.to_string()),
            AccessError::Store(error) => error.into(),
        }
    }
}

impl From<OutOfRange> for ApiError {
    fn from(error: OutOfRange) -> Self {
        Self::new(RefusalCode::OutOfRange.code(), error.to_string())
    }
}

/// Why a mutation did not do what it was asked: a refusal goes into userErrors, the rest into errors[].
#[derive(Debug)]
pub enum MutationError {
    Refused(Refusal),
    Failed(ApiError),
}

/// What a mutation makes.
pub type MutationResult<T> = Result<T, MutationError>;

impl MutationError {
    /// The same of what lies at `path` of a larger input.
    pub fn within(self, path: &str) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.within(path)),
            failed @ Self::Failed(_) => failed,
        }
    }

    /// As a query tells it, of the argument `input`.
    pub fn of_query(self) -> ApiError {
        match self {
            Self::Refused(Refusal { code, field, message }) => {
                let field = field.map(|field| format!("{field}: ")).unwrap_or_default();
                ApiError::of_argument(code, "input", format!("{field}{message}"))
            }
            Self::Failed(error) => error,
        }
    }
}

impl From<Refusal> for MutationError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ApiError> for MutationError {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

impl From<OutOfRange> for MutationError {
    fn from(error: OutOfRange) -> Self {
        Self::Refused(error.into())
    }
}

impl From<StoreError> for MutationError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<AccessError> for MutationError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NoSuchAccount => {
                Self::Refused(Refusal::new(RefusalCode::NotFound, "accountId", error.to_string()))
            }
            AccessError::Refused(refusal) => Self::Refused(refusal),
            other => Self::Failed(other.into()),
        }
    }
}

impl From<EngineError> for MutationError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Refused(refusal) => Self::Refused(refusal),
            EngineError::Overloaded => Self::Failed(ApiError::overloaded()),
            EngineError::Unavailable(cause) => {
                tracing::warn!(%cause, "a command was not carried out");
                Self::Failed(ApiError::new("UNAVAILABLE", "it could not be carried out; try again later"))
            }
            EngineError::Unknown => Self::Failed(ApiError::new(OUTCOME_UNKNOWN, error.to_string())),
            EngineError::Failed(cause) => Self::Failed(ApiError::internal(cause)),
        }
    }
}

impl From<MeterError> for MutationError {
    fn from(error: MeterError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<MeterError> for ApiError {
    fn from(error: MeterError) -> Self {
        match error {
            MeterError::Overloaded => Self::new("OVERLOADED", error.to_string()),
            MeterError::Unavailable(cause) => {
                tracing::warn!(%cause, "usage was not counted");
                Self::new("UNAVAILABLE", "not counted, or not known to be; send the events again")
            }
            MeterError::Failed(cause) => Self::internal(cause),
        }
    }
}
