//! What the provider alone may see and decide.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;
use futures_util::future::try_join_all;

use super::{AccessError, Repository};
use crate::domain::approval::{Approval, ApprovalState};
use crate::domain::billing_run::BillingRun;
use crate::domain::ids::{ApprovalId, OwnedId};
use crate::domain::text;
use crate::domain::unmatched::Unmatched;
use crate::domain::viewer::Scope;
use crate::store::error::StoreError;
use crate::store::list::{Found, Page, merged};
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
        let mut approvals = HashMap::with_capacity(ids.len());
        for (place, ids) in self.store.cells.statements(ids) {
            let found = approvals::approval_by_ids(&*self.reading(place, false).await?, &ids).await?;
            approvals.extend(found.into_iter().map(|approval| (approval.id, Arc::new(approval))));
        }
        Ok(approvals)
    }

    pub async fn approval_list(
        &self,
        state: Option<ApprovalState>,
        page: &Page,
    ) -> Result<Found<Approval>, AccessError> {
        self.require_provider()?;
        let readings = self.readings(Scope::All, false).await?;
        if let [(_, conn)] = readings.as_slice() {
            return Ok(approvals::approval_list(conn, state, page).await?);
        }
        let part = page.of_each_cell()?;
        let (cells, uuid) = (&self.store.cells, |approval: &Approval| approval.id.uuid());
        let reading = readings.iter().map(|(place, conn)| async {
            let found = approvals::approval_list(conn, state, &part).await;
            let found = found.map_err(|error| cells.told(*place, error))?;
            Ok::<_, StoreError>(
                found.only(&part, uuid, |approval| cells.is_at(*place, approval.id.account())),
            )
        });
        Ok(merged(try_join_all(reading).await?, page, uuid))
    }

    pub async fn approval_count(&self, state: Option<ApprovalState>) -> Result<i64, AccessError> {
        self.require_provider()?;
        let mut count = 0_i64;
        for (place, conn) in self.readings(Scope::All, false).await? {
            let counted = approvals::approval_count(&conn, state).await;
            count = count.saturating_add(counted.map_err(|error| self.store.cells.told(place, error))?);
        }
        Ok(count)
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
        let found =
            approvals::approval_by_ids(&*self.connection_of(id.account()).await?, &[id.0]).await?.pop();
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
        let mut runs = Vec::new();
        for (place, conn) in self.readings(Scope::All, false).await? {
            let of_cell = billing_runs::runs(&conn, period, RUNS_MAX).await;
            runs.push(of_cell.map_err(|error| self.store.cells.told(place, error))?);
        }
        Ok(BillingRun::together(runs))
    }

    /// What payment providers and this server do not say alike, the newest of it.
    pub async fn unmatched_payments(&self) -> Result<Vec<Unmatched>, StoreError> {
        if !self.viewer.is_of_provider() {
            return Ok(Vec::new());
        }
        let mut unmatched = Vec::new();
        for (place, conn) in self.readings(Scope::All, false).await? {
            let of_cell = reconciliations::unmatched_newest(&conn, UNMATCHED_MAX).await;
            unmatched.extend(of_cell.map_err(|error| self.store.cells.told(place, error))?);
        }
        if self.store.cells.are_several() {
            unmatched.sort_by_key(|one| std::cmp::Reverse(one.seen_at));
            unmatched.truncate(usize::try_from(UNMATCHED_MAX).unwrap_or(usize::MAX));
        }
        Ok(unmatched)
    }
}
