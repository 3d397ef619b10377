//! What decisions on approvals need, read under the locks.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::try_join;
use rust_decimal::Decimal;

use super::batch::{Books, when};
use crate::domain::approval::{Approval, COUNTED_TOGETHER};
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::money::CurrencyCode;
use crate::store::error::StoreError;
use crate::store::{Conn, approvals, operator_moves};

/// Approvals, and what operators have moved without any.
#[derive(Default)]
pub(super) struct Approvals {
    held: Vec<Approval>,
    moved: Vec<(AccountId, String, CurrencyCode, Decimal)>,
}

impl Approvals {
    /// Reads those that are named, and of the accounts whose commands are weighed all that are pending.
    pub async fn load(
        conn: Conn<'_>,
        named: &[OwnedId],
        weighed: Vec<i64>,
        now: DateTime<Utc>,
    ) -> Result<Self, StoreError> {
        if named.is_empty() && weighed.is_empty() {
            return Ok(Self::default());
        }
        let since = now.checked_sub_signed(COUNTED_TOGETHER).unwrap_or(now);
        let is_weighed = !weighed.is_empty();
        let (mut held, pending, moved) = try_join!(
            when(!named.is_empty(), approvals::approval_by_ids(conn, named)),
            when(is_weighed, approvals::approval_pending(conn, weighed.clone())),
            when(is_weighed, operator_moves::moved_since(conn, weighed, since)),
        )?;
        held.extend(pending);
        Ok(Self { held, moved })
    }

    /// Puts each into the book of its account.
    pub fn enter(self, books: &mut Books) {
        for approval in self.held {
            if let Some(book) = books.get_mut(&approval.account()) {
                book.approvals.insert(approval.id, Arc::new(approval));
            }
        }
        for (account, by, currency, amount) in self.moved {
            if let Some(book) = books.get_mut(&account) {
                book.moved_alone.insert((by, currency), amount);
            }
        }
    }
}
