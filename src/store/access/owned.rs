//! What accounts own, of every kind: by id, newest first, page by page, and counted.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::{AccessError, Repository};
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::viewer::Scope;
use crate::store::error::StoreError;
use crate::store::grouped::{Newest, Rows};
use crate::store::list::{Found, Page, merged};
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
        Ok(self.page_of::<T>(scope, filter, page, *filter != T::Filter::default()).await?)
    }

    /// How many such a list has, over all pages.
    pub async fn count<T: Owned>(
        &self,
        account: Option<AccountId>,
        filter: &T::Filter,
    ) -> Result<i64, AccessError> {
        let Some(scope) = self.scope_of(account).await? else { return Ok(0) };
        Ok(self.count_of::<T>(scope, filter, true).await?)
    }

    /// A page of what is of a scope, wherever it lies.
    pub(super) async fn page_of<T: Owned>(
        &self,
        scope: Scope,
        filter: &T::Filter,
        page: &Page,
        is_slow: bool,
    ) -> Result<Found<T>, StoreError> {
        let readings = self.readings(scope, is_slow).await?;
        if let [(_, conn)] = readings.as_slice() {
            return T::page(conn, scope, filter, page).await;
        }
        let part = page.of_each_cell()?;
        let (cells, uuid) = (&self.store.cells, |row: &T| Into::<OwnedId>::into(row.id()).uuid());
        let reading = readings.iter().map(|(place, conn)| async {
            let found = T::page(conn, scope, filter, &part).await;
            let found = found.map_err(|error| cells.told(*place, error))?;
            let is_shown = |row: &T| cells.is_at(*place, Into::<OwnedId>::into(row.id()).account());
            Ok::<_, StoreError>(found.only(&part, uuid, is_shown))
        });
        Ok(merged(try_join_all(reading).await?, page, uuid))
    }

    /// How many rows of a scope there are, wherever they lie.
    pub(super) async fn count_of<T: Owned>(
        &self,
        scope: Scope,
        filter: &T::Filter,
        is_slow: bool,
    ) -> Result<i64, StoreError> {
        let mut count = 0_i64;
        for (place, conn) in self.readings(scope, is_slow).await? {
            let counted = T::count(&conn, scope, filter).await;
            count = count.saturating_add(counted.map_err(|error| self.store.cells.told(place, error))?);
        }
        Ok(count)
    }
}
