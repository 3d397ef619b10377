//! Anchors of the ledger, and what they say of accounts.

use chrono::{DateTime, Utc};

use super::{AccessError, Repository};
use crate::domain::anchor::{Anchor, Receipt};
use crate::domain::ids::AccountId;
use crate::domain::viewer::Scope;
use crate::store::anchors;

impl Repository {
    /// The newest anchor at or before `at`, with the receipt of an account if one is named that the viewer may see and that had an entry
    /// by then. All who may see any account see that there are anchors.
    pub async fn ledger_anchor(
        &self,
        at: DateTime<Utc>,
        account: Option<AccountId>,
    ) -> Result<Option<(Anchor, Option<Receipt>)>, AccessError> {
        match account {
            Some(account) => drop(self.scope_of(Some(account)).await?),
            None if matches!(self.viewer.scope(), Scope::Nothing | Scope::Catalogue) => {
                return Err(AccessError::Forbidden("OPERATOR, AUDITOR or CUSTOMER"));
            }
            None => {}
        }
        // Each cell anchors its own ledgers.
        let conn = self.slow_connection_of(account.unwrap_or(AccountId::PROVIDER)).await?;
        let Some(anchor) = anchors::newest_at(&conn, at).await? else { return Ok(None) };
        let Some(account) = account else { return Ok(Some((anchor, None))) };
        let proof = anchors::proof(&conn, &anchor, account).await?;
        let receipt = proof.map(|proof| Receipt::of(&anchor, &proof));
        Ok(Some((anchor, receipt)))
    }
}
