//! What accounts own, of every kind: by id, newest first, page by page, and counted.

use std::collections::HashMap;
use std::sync::Arc;

use super::{AccessError, Repository};
use crate::domain::ids::AccountId;
use crate::store::error::StoreError;
use crate::store::fetchers::{Fetched, Newest, Rows};
use crate::store::list::{Found, Page};

impl Repository {
    /// Those of these ids that the viewer may see.
    pub async fn by_ids<T: Fetched>(&self, ids: &[T::Id]) -> Result<HashMap<T::Id, Arc<T>>, StoreError> {
        self.of_visible_by_id(&T::fetch(&self.store.fetch).by_id, ids, |id| (*id).into()).await
    }

    /// The newest of each account: so many.
    pub async fn newest<T: Fetched>(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Rows<T>>, StoreError> {
        self.of_visible(&T::fetch(&self.store.fetch).newest, keys, |(account, _)| *account).await
    }

    /// How many each account has.
    pub async fn counts<T: Fetched>(
        &self,
        keys: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, i64>, StoreError> {
        self.of_visible(&T::fetch(&self.store.fetch).counts, keys, |account| *account).await
    }

    /// A page of the account named, or of all accounts that the viewer may see.
    pub async fn list<T: Fetched>(
        &self,
        account: Option<AccountId>,
        filter: &T::Filter,
        page: &Page,
    ) -> Result<Found<T>, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(Found::whole(Vec::new())) };
        let conn = self.list_connection(*filter != T::Filter::default()).await?;
        Ok(T::page(&conn, owners, filter, page).await?)
    }

    /// How many such a list has, over all pages.
    pub async fn count<T: Fetched>(
        &self,
        account: Option<AccountId>,
        filter: &T::Filter,
    ) -> Result<i64, AccessError> {
        let Some(owners) = self.owners(account).await? else { return Ok(0) };
        Ok(T::count(&*self.slow_connection().await?, owners, filter).await?)
    }
}
