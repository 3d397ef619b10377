//! What accounts own: each kind says once where its rows lie and what its lists are narrowed by, and is read by id, newest first,
//! page by page and counted as all the others are.

use std::borrow::Borrow;
use std::fmt::Debug;
use std::hash::Hash;

use futures_util::future::BoxFuture;

use super::error::StoreError;
use super::list::{self, Found, Page};
use super::sql::pins;
use super::sql::row::Row;
use super::sql::statement::Statement;
use super::{Conn, rows};
use crate::domain::ids::OwnedId;
use crate::domain::viewer::Scope;

/// Rows that accounts own, with ids that begin with the instant (docs/adr/0002).
pub trait Owned: Row + Clone + Send + Sync {
    type Id: Copy + Eq + Hash + Debug + From<OwnedId> + Into<OwnedId> + Send + Sync + 'static;
    /// What its lists are narrowed by.
    type Filter: Default + PartialEq + Send + Sync + 'static;

    fn id(&self) -> Self::Id;

    /// Those of these ids that there are.
    fn by_ids(ids: &[OwnedId]) -> Statement {
        list::by_ids::<Self>(ids)
    }

    /// The newest rows of each account.
    fn newest(accounts: Vec<i64>, limit: i64) -> Statement {
        list::newest_of_each::<Self>(accounts, limit)
    }

    /// A page of a list.
    fn page<'c>(
        conn: Conn<'c>,
        scope: Scope,
        filter: &'c Self::Filter,
        page: &'c Page,
    ) -> BoxFuture<'c, Result<Found<Self>, StoreError>>;

    /// How many a list has, over all pages.
    fn count<'c>(
        conn: Conn<'c>,
        scope: Scope,
        filter: &'c Self::Filter,
    ) -> BoxFuture<'c, Result<i64, StoreError>>;
}

/// What lists show of a kind before anything else, read without the rest of it (docs/adr/0017).
pub trait Header: Row + Send + Sync {
    /// As the requests that asked for it share it.
    type Shared: From<Self> + Borrow<Self> + Clone + Send + Sync + 'static;

    fn id(&self) -> OwnedId;
}

/// The headers of the newest rows of each account.
pub async fn newest_headers<H: Header>(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    limit: i64,
) -> Result<Vec<H>, StoreError> {
    rows(conn, list::newest_of_each::<H>(accounts, limit)).await
}

/// Those of these ids that there are.
pub async fn by_ids<T: Owned>(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<T>, StoreError> {
    rows(conn, T::by_ids(ids)).await
}

/// The same of accounts that may live in several places, newest first.
pub(super) async fn of_everybody_by_ids<T: Owned>(
    conn: Conn<'_>,
    ids: &[OwnedId],
) -> Result<Vec<T>, StoreError> {
    let statement = if pins::are_on() { list::by_ids_anywhere::<T>(ids) } else { list::by_ids::<T>(ids) };
    let mut found: Vec<T> = rows(conn, statement).await?;
    found.sort_unstable_by_key(|row| std::cmp::Reverse::<OwnedId>(row.id().into()));
    Ok(found)
}

/// The newest rows of each account.
pub async fn newest<T: Owned>(conn: Conn<'_>, accounts: Vec<i64>, limit: i64) -> Result<Vec<T>, StoreError> {
    rows(conn, T::newest(accounts, limit)).await
}

/// How many rows each account has.
pub async fn count_of_each<T: Owned>(
    conn: Conn<'_>,
    accounts: Vec<i64>,
) -> Result<Vec<(i64, i64)>, StoreError> {
    list::count_of_each(conn, T::TABLE, accounts).await
}

/// Declares what accounts own, whose lists are read as their filters say and no other way.
macro_rules! owned {
    ($row:ty = $id:ty, $filter:ty) => {
        impl $crate::store::owned::Owned for $row {
            type Id = $id;
            type Filter = $filter;

            fn id(&self) -> $id {
                self.id
            }

            fn page<'c>(
                conn: $crate::store::Conn<'c>,
                scope: $crate::domain::viewer::Scope,
                filter: &'c $filter,
                page: &'c $crate::store::list::Page,
            ) -> futures_util::future::BoxFuture<
                'c,
                Result<$crate::store::list::Found<Self>, $crate::store::error::StoreError>,
            > {
                Box::pin($crate::store::list::page::<Self, _>(conn, scope, page, filter))
            }

            fn count<'c>(
                conn: $crate::store::Conn<'c>,
                scope: $crate::domain::viewer::Scope,
                filter: &'c $filter,
            ) -> futures_util::future::BoxFuture<'c, Result<i64, $crate::store::error::StoreError>> {
                use $crate::store::sql::row::Row;
                Box::pin($crate::store::list::count(conn, Self::TABLE, scope, filter))
            }
        }
    };
}
pub(super) use owned;
