//! What a metering agent reports.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use crate::domain::ids::AccountId;
use crate::domain::usage::Fault;

/// Whose usage a report is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reported {
    Account(AccountId),
    Namespace(String),
}

impl Reported {
    /// Whose it is, by exactly one of both.
    pub fn named(account: Option<&str>, namespace: Option<String>) -> Result<Self, Fault> {
        match (account, namespace) {
            (Some(_), Some(_)) => {
                Err(Fault::new("namespace", "accountId and namespace cannot be used together"))
            }
            (None, Some(namespace)) => Ok(Self::Namespace(namespace)),
            (Some(id), None) => {
                let wrong = || Fault::new("accountId", "is not an id of this kind");
                AccountId::parse(id).map(Self::Account).ok_or_else(wrong)
            }
            (None, None) => Err(Fault::new("accountId", "is needed, or a namespace")),
        }
    }
}

/// A report as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub id: String,
    pub of: Reported,
    pub resource: String,
    pub quantity: Decimal,
    pub time: DateTime<Utc>,
    pub subject: Option<String>,
    pub datacenter: Option<String>,
    pub attributes: Vec<(String, String)>,
}
