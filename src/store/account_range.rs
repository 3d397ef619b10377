//! Accounts by ranges of their numbers.

use super::sql::statement::Statement;
use crate::domain::ids::AccountId;

/// The accounts of a range of numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub first: AccountId,
    pub last: AccountId,
}

impl Range {
    pub fn one(account: AccountId) -> Self {
        Self { first: account, last: account }
    }

    /// Goes on with ` BETWEEN first AND last`.
    pub(super) fn restrict<ST>(self, statement: Statement<ST>) -> Statement<ST> {
        statement.sql(" BETWEEN ").bigint(self.first.0).sql(" AND ").bigint(self.last.0)
    }
}
