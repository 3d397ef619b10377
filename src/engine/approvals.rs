//! What decisions on approvals need, read under the locks.

use chrono::{DateTime, Utc};
use futures_util::try_join;
use rust_decimal::Decimal;

use super::books::{Books, enter, note, when};
use crate::domain::approval::{Approval, COUNTED_TOGETHER};
use crate::domain::ids::{AccountId, ApprovalId, OwnedId};
use crate::domain::money::CurrencyCode;
use crate::domain::seal::SealKeys;
use crate::store::error::StoreError;
use crate::store::{Conn, approvals, operator_moves};

/// Approvals, and what operators have moved without any.
#[derive(Default)]
pub(super) struct Approvals {
    held: Vec<Approval>,
    altered: Vec<ApprovalId>,
    moved: Vec<(AccountId, String, CurrencyCode, Decimal)>,
}

impl Approvals {
    /// Reads those that are named, and of the accounts whose commands are weighed all that are pending.
    pub async fn load(
        conn: Conn<'_>,
        named: &[OwnedId],
        weighed: Vec<i64>,
        (now, keys): (DateTime<Utc>, &SealKeys),
    ) -> Result<Self, StoreError> {
        if named.is_empty() && weighed.is_empty() {
            return Ok(Self::default());
        }
        let since = now.checked_sub_signed(COUNTED_TOGETHER).unwrap_or(now);
        let is_weighed = !weighed.is_empty();
        let (mut held, altered, pending, moved) = try_join!(
            when(!named.is_empty(), approvals::approval_by_ids(conn, named)),
            when(!named.is_empty(), approvals::approval_altered(conn, named, keys)),
            when(is_weighed, approvals::approval_pending(conn, weighed.clone())),
            when(is_weighed, operator_moves::moved_since(conn, weighed, since)),
        )?;
        held.extend(pending);
        Ok(Self { held, altered, moved })
    }

    /// Puts each into the book of its account.
    pub fn enter(self, books: &mut Books) {
        enter(books, self.held, |book| &mut book.approvals);
        let altered = self.altered.into_iter().map(|id| (id.account(), id));
        note(books, altered, |book, id| _ = book.altered_approvals.insert(id));
        let moved =
            self.moved.into_iter().map(|(account, by, currency, amount)| (account, ((by, currency), amount)));
        note(books, moved, |book, (whose, amount)| _ = book.moved_alone.insert(whose, amount));
    }
}
