//! What the provider alone may see and decide.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;

use super::{AccessError, Repository};
use crate::domain::approval::{Approval, ApprovalState};
use crate::domain::billing_run::BillingRun;
use crate::domain::ids::{ApprovalId, OwnedId};
use crate::domain::text;
use crate::domain::unmatched::Unmatched;
use crate::store::error::StoreError;
use crate::store::list::{Found, Page};
use crate::store::{approvals, billing_runs, reconciliations};

/// Billing runs of one answer: more than there are time zones in a month.
const RUNS_MAX: i64 = 1_000;
const UNMATCHED_MAX: i64 = 1_000;
impl Repository {
    pub async fn approvals(
        &self,
        ids: &[ApprovalId],
    ) -> Result<HashMap<ApprovalId, Arc<Approval>>, StoreError> {
        if !self.viewer.is_of_provider() {
            return Ok(HashMap::new());
        }
        let ids: Vec<OwnedId> = ids.iter().map(|id| id.0).collect();
        let found = approvals::approval_by_ids(&*self.connection().await?, &ids).await?;
        Ok(found.into_iter().map(|approval| (approval.id, Arc::new(approval))).collect())
    }

    pub async fn approval_list(
        &self,
        state: Option<ApprovalState>,
        page: &Page,
    ) -> Result<Found<Approval>, AccessError> {
        self.require_provider()?;
        Ok(approvals::approval_list(&*self.connection().await?, state, page).await?)
    }

    pub async fn approval_count(&self, state: Option<ApprovalState>) -> Result<i64, AccessError> {
        self.require_provider()?;
        Ok(approvals::approval_count(&*self.connection().await?, state).await?)
    }

    /// What the viewer may decide on: an operator with a name, and to approve it another one than has asked. Whoever has asked may
    /// take it back.
    pub async fn approval_to_decide(
        &self,
        id: ApprovalId,
        approve: bool,
    ) -> Result<Option<Approval>, AccessError> {
        self.require_operator()?;
        if text::name("subject", &self.viewer.subject).is_err() {
            return Err(AccessError::Nameless);
        }
        let found = approvals::approval_by_ids(&*self.connection().await?, &[id.0]).await?.pop();
        match &found {
            Some(held) if approve && held.asked_by == self.viewer.subject => Err(AccessError::OwnApproval),
            _ => Ok(found),
        }
    }

    /// The runs that close a month, or the latest of all months.
    pub async fn billing_runs(&self, period: Option<NaiveDate>) -> Result<Vec<BillingRun>, StoreError> {
        if !self.viewer.is_of_provider() {
            return Ok(Vec::new());
        }
        let conn = self.connection().await?;
        billing_runs::runs(&conn, period, RUNS_MAX).await
    }

    /// What payment providers and this server do not say alike, the newest of it.
    pub async fn unmatched_payments(&self) -> Result<Vec<Unmatched>, StoreError> {
        if !self.viewer.is_of_provider() {
            return Ok(Vec::new());
        }
        let conn = self.connection().await?;
        reconciliations::unmatched_newest(&conn, UNMATCHED_MAX).await
    }
}
