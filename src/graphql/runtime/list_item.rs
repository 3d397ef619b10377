//! Things of a list, of which no more is read than is shown.
//!
//! Most lists show which things there are and where they stand. PostgreSQL and the server spend more on reading and
//! writing out the other columns than on finding the rows, so a list of which only headers are shown reads only those
//! (docs/adr/0017).

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::dataloader::Loader;
use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::resolve_container;
use async_graphql::{
    ContainerType, Context, ContextSelectionSet, OutputType, Positioned, SelectionField, ServerResult, Value,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use uuid::Uuid;

use super::eager::ResolveEagerly;
use super::key::{Key, Lookups};
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::pagination::{Cursor, Row};
use crate::graphql::session::session;
use crate::store::error::StoreError;

/// An object with a part that can be read without the rest.
pub trait HasHeader: ResolveEagerly + Send + Sync + Sized {
    /// That part: it resolves the fields that it has.
    type Header: ContainerType + Clone + Send + Sync;
    /// Those fields' names. A list that shows no others reads headers.
    const HEADER_FIELDS: &'static [&'static str];

    fn header(&self) -> &Self::Header;
    /// Its id, by which its lists are in order.
    fn id_in_lists(header: &Self::Header) -> Uuid;
    /// Reads the whole of it.
    fn whole<'a>(header: &'a Self::Header, ctx: &'a Context<'_>) -> BoxFuture<'a, ApiResult<Self>>;
}

/// An object in a list: its header, or the whole of it. A field that a header does not have is read with the rest of it.
#[derive(Clone)]
pub enum ListItem<T: HasHeader> {
    Header(T::Header),
    Full(T),
}

/// The rows of a list, headers or whole, each by a key of its own.
pub async fn load<T, H, W, HeaderRow, WholeRow>(
    ctx: &Context<'_>,
    headers: H,
    whole: W,
) -> ApiResult<Vec<ListItem<T>>>
where
    T: HasHeader,
    H: Key,
    W: Key,
    HeaderRow: Clone,
    WholeRow: Clone,
    Lookups: Loader<H, Value = Arc<[HeaderRow]>, Error = StoreError>,
    Lookups: Loader<W, Value = Arc<[WholeRow]>, Error = StoreError>,
    ListItem<T>: From<HeaderRow> + From<WholeRow>,
{
    let session = session(ctx)?;
    Ok(if shows_headers::<T>(ctx) {
        session.load(headers).await?.unwrap_or_default().iter().cloned().map(ListItem::from).collect()
    } else {
        session.load(whole).await?.unwrap_or_default().iter().cloned().map(ListItem::from).collect()
    })
}

/// Whether a connection's field shows of its nodes what their headers have, and nothing else.
fn shows_headers<T: HasHeader>(ctx: &Context<'_>) -> bool {
    let only_headers =
        |node: SelectionField<'_>| node.selection_set().all(|field| T::HEADER_FIELDS.contains(&field.name()));
    ctx.field().selection_set().all(|field| match field.name() {
        "nodes" => only_headers(field),
        "edges" => field.selection_set().all(|edge| edge.name() != "node" || only_headers(edge)),
        _ => true,
    })
}

impl<T: HasHeader> ListItem<T> {
    pub fn header(&self) -> &T::Header {
        match self {
            Self::Header(header) => header,
            Self::Full(whole) => whole.header(),
        }
    }

    /// Boxed, for it is larger than all else that a field waits for.
    fn field_of_whole<'a>(
        header: &'a T::Header,
        ctx: &'a Context<'_>,
    ) -> BoxFuture<'a, ServerResult<Option<Value>>> {
        async move {
            match T::whole(header, ctx).await {
                Ok(whole) => whole.resolve_field(ctx).await,
                Err(error) => Self::failed(ctx, error),
            }
        }
        .boxed()
    }

    /// A field that could not be read: null, if it may be.
    fn failed(ctx: &Context<'_>, error: ApiError) -> ServerResult<Option<Value>> {
        let error = ctx.set_error_path(async_graphql::Error::from(error).into_server_error(ctx.item.pos));
        let object = ctx.schema_env.registry.types.get(&*T::type_name());
        let field = object.and_then(|object| object.field_by_name(&ctx.item.node.name.node));
        if field.is_some_and(|field| !field.ty.ends_with('!')) {
            ctx.add_error(error);
            return Ok(Some(Value::Null));
        }
        Err(error)
    }
}

impl<T: HasHeader> ContainerType for ListItem<T> {
    async fn resolve_field(&self, ctx: &Context<'_>) -> ServerResult<Option<Value>> {
        match self {
            Self::Full(whole) => whole.resolve_field(ctx).await,
            Self::Header(header) => match header.resolve_field(ctx).await? {
                Some(value) => Ok(Some(value)),
                None => Self::field_of_whole(header, ctx).await,
            },
        }
    }
}

impl<T: HasHeader> OutputType for ListItem<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        resolve_container(ctx, self).boxed().await
    }
}

impl<T: HasHeader + Clone> Row for ListItem<T> {
    type Node = Self;

    fn node(&self) -> Self {
        self.clone()
    }

    fn cursor(&self) -> String {
        T::id_in_lists(self.header()).print()
    }
}

impl<T: HasHeader> ResolveEagerly for ListItem<T> {
    const DEFERRED_FIELDS: &'static [&'static str] = T::DEFERRED_FIELDS;
}
