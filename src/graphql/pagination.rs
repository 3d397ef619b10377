//! Relay connections by keyset, with `offset`, `nodes` and `totalCount`.

use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::error::{ApiError, ApiResult};
use super::runtime::eager::ResolveEagerly;
use super::runtime::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::domain::ids::{AccountId, LicenseId, ResourcePriceId};
use crate::domain::refusal::RefusalCode;
use crate::store::access::Repository;
use crate::store::accounts::account_list::AccountCursor;
use crate::store::list::Page;

/// The arguments of a connection, as they came.
pub(super) struct PageArgs {
    pub first: Option<i32>,
    pub after: Option<String>,
    pub last: Option<i32>,
    pub before: Option<String>,
    pub offset: Option<i32>,
}

/// Where a thing stands in its list, as clients hold it.
pub(super) trait Cursor: Sized + Copy {
    fn parse(text: &str) -> Option<Self>;
    fn print(self) -> String;
}

impl Cursor for Uuid {
    fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok()
    }

    fn print(self) -> String {
        self.as_simple().to_string()
    }
}

impl Cursor for AccountCursor {
    fn parse(text: &str) -> Option<Self> {
        let (micros, number) = text.split_once('-')?;
        let created_at = chrono::DateTime::from_timestamp_micros(micros.parse().ok()?)?;
        Some((created_at, AccountId(number.parse().ok()?)))
    }

    fn print(self) -> String {
        format!("{}-{}", self.0.timestamp_micros(), self.1.0)
    }
}

/// Ids that are their own cursors.
macro_rules! id_cursor {
    ($($id:ident),*) => {$(
        impl Cursor for $id {
            fn parse(text: &str) -> Option<Self> {
                $id::parse(text)
            }

            fn print(self) -> String {
                self.to_string()
            }
        }
    )*};
}
id_cursor!(LicenseId, ResourcePriceId);

impl PageArgs {
    /// The page that is asked for, with one thing more than it shows, which tells whether there are more.
    pub fn page<C: Cursor>(&self) -> ApiResult<Page<C>> {
        let invalid =
            |argument, message: &str| Err(ApiError::of_argument(RefusalCode::Invalid, argument, message));
        if self.first.is_some() && self.last.is_some() {
            return invalid("last", "first and last cannot be used together");
        }
        let (size, argument) = match self.last {
            Some(last) => (last, "last"),
            None => (self.first.unwrap_or(PAGE_SIZE_DEFAULT), "first"),
        };
        if size < 1 {
            return invalid(argument, "must be at least 1");
        }
        if size > PAGE_SIZE_MAX {
            let message = format!("must be at most {PAGE_SIZE_MAX}");
            return Err(ApiError::of_argument(RefusalCode::LimitExceeded, argument, message));
        }
        let offset = self.offset.unwrap_or(0);
        if offset < 0 {
            return invalid("offset", "must not be negative");
        }
        let cursor = |text: &Option<String>, argument| match text.as_deref().map(C::parse) {
            None => Ok(None),
            Some(Some(cursor)) => Ok(Some(cursor)),
            Some(None) => {
                Err(ApiError::of_argument(RefusalCode::Invalid, argument, "is no cursor of this server"))
            }
        };
        Ok(Page {
            after: cursor(&self.after, "after")?,
            before: cursor(&self.before, "before")?,
            limit: i64::from(size).saturating_add(1),
            from_oldest: self.last.is_some(),
            offset: i64::from(offset),
        })
    }
}

/// Whether a page is the beginning of its list, as most are: then it can be fetched together with those of others.
pub(super) fn is_newest<C>(page: &Page<C>) -> bool {
    page.after.is_none() && page.before.is_none() && page.offset == 0 && !page.from_oldest
}

/// What a page shows of a list that is in memory, newest first, and one more if there are more.
pub(super) fn part_of(page: &Page, ids: &[Uuid]) -> Vec<Uuid> {
    let within =
        |id: &Uuid| page.after.is_none_or(|after| *id < after) && page.before.is_none_or(|b| *id > b);
    let size = |number: i64| usize::try_from(number).unwrap_or(0);
    let mut ids: Vec<Uuid> = ids.iter().copied().filter(within).collect();
    if page.from_oldest {
        ids.reverse();
    }
    let mut part: Vec<Uuid> = ids.into_iter().skip(size(page.offset)).take(size(page.limit)).collect();
    if page.from_oldest {
        part.reverse();
    }
    part
}

/// Counts the whole of a list, when it is asked for.
pub(super) type TotalCount = Box<dyn Fn(Repository) -> BoxFuture<'static, ApiResult<i64>> + Send + Sync>;

/// A page of a list; `more` is what else its connection can tell.
pub(super) struct Slice<R, M = ()> {
    pub rows: Vec<R>,
    pub has_next: bool,
    pub has_previous: bool,
    /// Where the walk for it ended before it was full, as a cursor: its beginning if it is counted from the end of the list.
    pub stopped: Option<Stopped>,
    pub total: TotalCount,
    pub more: M,
}

/// Which end of a page a walk for it ended at, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stopped {
    AtEnd(String),
    AtBeginning(String),
}

impl<R> Slice<R> {
    /// Takes what was read for a page: one row more than it shows, if there are more.
    pub fn new<C>(page: &Page<C>, mut rows: Vec<R>, total: TotalCount) -> Self {
        let size = usize::try_from(page.limit).unwrap_or(1).saturating_sub(1);
        let more = rows.len() > size;
        if more && page.from_oldest {
            rows.remove(0);
        }
        rows.truncate(size);
        // What is cut off by a cursor is there, whichever end the page is counted from.
        let (at_end, at_beginning) = (page.before.is_some(), page.after.is_some());
        let skipped = page.offset > 0;
        let (has_next, has_previous) = if page.from_oldest {
            (at_end || skipped, at_beginning || more)
        } else {
            (at_end || more, at_beginning || skipped)
        };
        Self { rows, has_next, has_previous, stopped: None, total, more: () }
    }

    /// The same of a page that may have ended before it was full: there may be more from there on.
    pub fn stopped_at<C: Cursor>(self, page: &Page<C>, stopped_at: Option<C>) -> Self {
        let Some(cursor) = stopped_at.map(C::print) else { return self };
        if page.from_oldest {
            Self { has_previous: true, stopped: Some(Stopped::AtBeginning(cursor)), ..self }
        } else {
            Self { has_next: true, stopped: Some(Stopped::AtEnd(cursor)), ..self }
        }
    }

    /// The same page, of a connection that can tell more.
    pub fn with<M>(self, more: M) -> Slice<R, M> {
        let Self { rows, has_next, has_previous, stopped, total, more: () } = self;
        Slice { rows, has_next, has_previous, stopped, total, more }
    }
}

impl<R: Row, M> Slice<R, M> {
    pub fn page_info(&self) -> async_graphql::connection::PageInfo {
        let (first, last) = (self.rows.first().map(Row::cursor), self.rows.last().map(Row::cursor));
        let (start_cursor, end_cursor) = match &self.stopped {
            None => (first, last),
            Some(Stopped::AtBeginning(cursor)) => (Some(cursor.clone()), last),
            Some(Stopped::AtEnd(cursor)) => (first, Some(cursor.clone())),
        };
        let (has_next_page, has_previous_page) = (self.has_next, self.has_previous);
        async_graphql::connection::PageInfo { has_previous_page, has_next_page, start_cursor, end_cursor }
    }
}

/// A row of a page.
pub(super) trait Row {
    /// What the API shows of it.
    type Node: ResolveEagerly;
    fn node(&self) -> Self::Node;
    fn cursor(&self) -> String;
}

/// Declares the connection and edge types of a node type that holds a row, and what the connection tells beside the usual.
macro_rules! connection {
    (
        $connection:ident, $edge:ident, $node:ident, $row:ty, $cursor:expr, $plural:literal
        $(, $more:ty, { $($fields:tt)* })?
    ) => {
        impl $crate::graphql::pagination::Row for std::sync::Arc<$row> {
            type Node = $node;

            fn node(&self) -> $node {
                $node(std::sync::Arc::clone(self))
            }

            fn cursor(&self) -> String {
                $crate::graphql::pagination::Cursor::print(($cursor)(self))
            }
        }

        $crate::graphql::pagination::connection_of!(
            $connection, $edge, std::sync::Arc<$row>, $plural $(, $more, { $($fields)* })?
        );
    };
}
pub(super) use connection;

/// Declares the connection and edge types of rows.
macro_rules! connection_of {
    ($connection:ident, $edge:ident, $row:ty, $plural:literal $(, $more:ty, { $($fields:tt)* })?) => {
        #[doc = concat!("A page of ", $plural, ", newest first.")]
        pub struct $connection(pub(in crate::graphql) $crate::graphql::pagination::Slice<$row $(, $more)?>);

        #[doc = concat!("A place in a list of ", $plural, ".")]
        #[derive(async_graphql::SimpleObject)]
        pub struct $edge {
            /// Where it stands: continue from here with `after` or `before`.
            cursor: String,
            /// What stands here.
            node: $crate::graphql::runtime::eager::Inline<<$row as $crate::graphql::pagination::Row>::Node>,
        }

        #[doc = concat!("A page of ", $plural, ", newest first.")]
        #[async_graphql::Object]
        impl $connection {
            /// The page's items, each with its place in the list.
            async fn edges(&self) -> Vec<$edge> {
                use $crate::graphql::pagination::Row;
                let edge = |row: &$row| $edge {
                    cursor: row.cursor(),
                    node: $crate::graphql::runtime::eager::Inline(row.node()),
                };
                self.0.rows.iter().map(edge).collect()
            }

            /// The page's items.
            async fn nodes(
                &self,
            ) -> $crate::graphql::runtime::eager::InlineList<<$row as $crate::graphql::pagination::Row>::Node> {
                use $crate::graphql::pagination::Row;
                $crate::graphql::runtime::eager::InlineList(self.0.rows.iter().map(|row| row.node()).collect())
            }

            /// Whether there are more, and the cursors to continue from. For a page of a list that is narrowed by a filter no more
            /// than 10,000 are looked at: if it has fewer items than were asked for, or none, and `hasNextPage` is true (of `last`:
            /// `hasPreviousPage`), go on from its `endCursor` (`startCursor`).
            async fn page_info(&self) -> async_graphql::connection::PageInfo {
                self.0.page_info()
            }

            /// How many there are over all pages. LIMIT_EXCEEDED where more than 5,000,000 would have to be counted, or, to find those
            /// that a filter matches, more than 100,000 looked at.
            async fn total_count(&self, ctx: &async_graphql::Context<'_>) -> async_graphql::Result<i64> {
                let session = $crate::graphql::session::session(ctx)?;
                Ok((self.0.total)(session.repository().clone()).await?)
            }

            $($($fields)*)?
        }
    };
}
pub(super) use connection_of;

/// Writes the fields of an object that are lists: each has the arguments of a page after those of its own, which are given with their
/// descriptions. What it does is an async block's, with `?` for errors.
macro_rules! page_fields {
    (
        $(#[$doc:meta])*
        impl $object:ident($this:ident) {$(
            $(#[$field_doc:meta])*
            $field:ident($($argument:ident: $type:ty = $description:literal),* $(,)?) -> $connection:ty
                = |$ctx:ident, $page:ident| $body:expr;
        )*}
    ) => {
        $(#[$doc])*
        #[async_graphql::Object]
        impl $object {$(
            $(#[$field_doc])*
            #[allow(clippy::too_many_arguments)]
            async fn $field(
                &$this,
                $ctx: &async_graphql::Context<'_>,
                $(#[graphql(desc = $description)] $argument: $type,)*
                #[graphql(
                    desc = "How many from the beginning of the list: 1 to 100, 10 if neither this nor last is given."
                )]
                first: Option<i32>,
                #[graphql(desc = "Only what comes after this cursor.")] after: Option<String>,
                #[graphql(desc = "How many from the end of the list: 1 to 100.")] last: Option<i32>,
                #[graphql(desc = "Only what comes before this cursor.")] before: Option<String>,
                #[graphql(desc = "How many to pass over.")] offset: Option<i32>,
            ) -> async_graphql::Result<$connection> {
                let $page = $crate::graphql::pagination::PageArgs { first, after, last, before, offset };
                let listed: $crate::graphql::error::ApiResult<$connection> = Box::pin(async { $body }).await;
                Ok(listed?)
            }
        )*}
    };
}
pub(super) use page_fields;
