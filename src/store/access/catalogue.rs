//! What the provider sells and measures: for everyone to see.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;

use super::{AccessError, Repository};
use crate::domain::idempotency::Attempt;
use crate::domain::ids::{AccountId, LicenseId, PlanId};
use crate::domain::label::{Label, LabelList};
use crate::domain::license::License;
use crate::domain::plan::{Plan, PlanResource, Resource};
use crate::store::error::StoreError;
use crate::store::list::{Found, Page};
use crate::store::plans::{self, NewPlan, PlanFilter, PlanPatch};
use crate::store::{labels, licenses};

impl Repository {
    pub async fn plans(&self, ids: Vec<PlanId>) -> Result<HashMap<PlanId, Arc<Plan>>, StoreError> {
        self.store.fetch.plans.get(ids).await
    }

    pub async fn plan_list(&self, filter: &PlanFilter, page: &Page) -> Result<Found<Plan>, StoreError> {
        plans::plan_list(&*self.connection().await?, filter, page).await
    }

    pub async fn plan_count(&self, filter: &PlanFilter) -> Result<i64, StoreError> {
        plans::plan_count(&*self.connection().await?, filter).await
    }

    pub async fn plan_resources(
        &self,
        ids: Vec<PlanId>,
    ) -> Result<HashMap<PlanId, Arc<[PlanResource]>>, StoreError> {
        self.store.fetch.plan_resources.get(ids).await
    }

    pub async fn plans_in_use(
        &self,
        keys: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Arc<[PlanId]>>, StoreError> {
        self.of_visible(&self.store.fetch.plans_in_use, keys, |account| *account).await
    }

    pub async fn resources(&self, codes: Vec<String>) -> Result<HashMap<String, Arc<Resource>>, StoreError> {
        self.store.fetch.resources.get(codes).await
    }

    pub async fn resource_list(&self) -> Result<Vec<Resource>, StoreError> {
        plans::resource_list(&*self.connection().await?).await
    }

    /// Puts a plan on the market.
    pub async fn plan_create(&self, plan: NewPlan, attempt: Attempt) -> Result<Plan, AccessError> {
        self.require_operator()?;
        self.once_in_catalogue(attempt, plan).await
    }

    pub async fn plan_retire(&self, id: PlanId, at: DateTime<Utc>) -> Result<Option<Plan>, AccessError> {
        self.require_operator()?;
        Ok(self.write_catalogue(move |conn| plans::plan_retire(conn, id, at).boxed()).await?)
    }

    /// Describes what is metered or sold: anew, or as it is to be from now on. A code's unit and aggregation never change.
    pub async fn resource_define(&self, resource: Resource) -> Result<Option<Resource>, AccessError> {
        self.require_operator()?;
        Ok(self
            .write_catalogue(|conn| async move { plans::resource_define(conn, &resource).await }.boxed())
            .await?)
    }

    pub async fn plan_update(&self, id: PlanId, patch: PlanPatch) -> Result<Option<Plan>, AccessError> {
        self.require_operator()?;
        Ok(self.write_catalogue(move |conn| plans::plan_update(conn, id, patch).boxed()).await?)
    }

    /// What the provider's codes are called, in their order.
    pub async fn labels(&self, list: LabelList) -> Result<Vec<Label>, StoreError> {
        labels::labels(&*self.connection().await?, list).await
    }

    pub async fn label_insert(&self, list: LabelList, added: &[Label]) -> Result<(), AccessError> {
        self.require_operator()?;
        let added = added.to_vec();
        Ok(self
            .write_catalogue(move |conn| {
                async move { labels::label_insert(conn, list, &added).await }.boxed()
            })
            .await?)
    }

    /// Licences by their ids: everybody may see them.
    pub async fn licenses(
        &self,
        ids: Vec<LicenseId>,
    ) -> Result<HashMap<LicenseId, Arc<License>>, StoreError> {
        let conn = self.connection().await?;
        let found = licenses::license_by_ids(&conn, ids).await?;
        Ok(found.into_iter().map(|license| (license.id, Arc::new(license))).collect())
    }

    pub async fn license_list(&self, page: &Page<LicenseId>) -> Result<Vec<License>, StoreError> {
        licenses::license_list(&*self.connection().await?, page).await
    }

    pub async fn license_count(&self) -> Result<i64, StoreError> {
        licenses::license_count(&*self.connection().await?).await
    }

    /// Defines a licence: anew, or as it is to be called from now on. What is counted never changes.
    pub async fn license_define(&self, license: License) -> Result<Option<License>, AccessError> {
        self.require_operator()?;
        Ok(self
            .write_catalogue(|conn| async move { licenses::license_define(conn, &license).await }.boxed())
            .await?)
    }
}
