//! Why a server did not start.

use crate::http::token::TokenError;
use crate::payments::{SettingError, stripe};
use crate::store::cells::joining::NoCell;
use crate::store::error::StoreError;
use crate::store::installation::OtherInstallation;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    NoCell(#[from] NoCell),
    #[error("the cell \"{name}\": {error}")]
    Cell { name: String, error: Box<StartError> },
    #[error(transparent)]
    Installation(#[from] OtherInstallation),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Deposits(#[from] SettingError),
    #[error("cannot listen on {0}: {1}")]
    Listen(String, std::io::Error),
    #[error(transparent)]
    Stripe(#[from] stripe::ConfigError),
    #[error("the metrics could not be set up: {0}")]
    Metrics(String),
}
