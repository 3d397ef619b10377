//! What accounts own, of every kind: by id, newest first, page by page, and counted.

use std::collections::HashMap;
use std::sync::Arc;

use super::{AccessError, Repository};
use crate::domain::ids::AccountId;
use crate::store::error::StoreError;
use crate::store::grouped::{Newest, Rows};
use crate::store::list::{Found, Page};
use crate::store::owned::{Header, Owned};

impl Repository {
    /// Those of these ids that the viewer may see.
    pub async fn by_ids<T: Owned>(&self, ids: &[T::Id]) -> Result<HashMap<T::Id, Arc<T>>, StoreError> {
        self.of_visible_by_id(&self.store.fetch.owned.of::<T>().by_id, ids, |id| (*id).into()).await
    }

    /// The newest of each account: so many.
    pub async fn newest<T: Owned>(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Rows<T>>, StoreError> {
        self.of_visible(&self.store.fetch.owned.of::<T>().newest, keys, |(account, _)| *account).await
    }

    /// The headers of the newest of each account: so many.
    pub async fn newest_headers<H: Header>(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Arc<[H::Shared]>>, StoreError> {
        self.of_visible(&self.store.fetch.owned.headers::<H>().0, keys, |(account, _)| *account).await
    }

    /// How many each account has.
    pub async fn counts<T: Owned>(
        &self,
        keys: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, i64>, StoreError> {
        self.of_visible(&self.store.fetch.owned.of::<T>().counts, keys, |account| *account).await
    }

    /// A page of the account named, or of all accounts that the viewer may see.
    pub async fn list<T: Owned>(
        &self,
        account: Option<AccountId>,
        filter: &T::Filter,
        page: &Page,
    ) -> Result<Found<T>, AccessError> {
        let Some(scope) = self.scope_of(account).await? else { return Ok(Found::whole(Vec::new())) };
        let conn = self.list_connection(*filter != T::Filter::default()).await?;
        Ok(T::page(&conn, scope, filter, page).await?)
    }

    /// How many such a list has, over all pages.
    pub async fn count<T: Owned>(
        &self,
        account: Option<AccountId>,
        filter: &T::Filter,
    ) -> Result<i64, AccessError> {
        let Some(scope) = self.scope_of(account).await? else { return Ok(0) };
        Ok(T::count(&*self.slow_connection().await?, scope, filter).await?)
    }
}
