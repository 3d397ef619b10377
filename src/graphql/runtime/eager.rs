//! Objects whose fields are at hand, resolved without a future for each field.
//!
//! async-graphql makes a boxed future of every field of every object and joins them; for a page of rows that have
//! been read already, that is most of what a request costs (docs/adr/0006). What is at hand is written straight into
//! the answer here; only what has to be loaded becomes a future. Whatever is unusual in a selection, fragments and
//! directives and keys that come twice, goes async-graphql's own way.

use std::borrow::Cow;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Field, Selection};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::{resolve_container, resolve_list};
use async_graphql::{
    ContainerType, ContextSelectionSet, Name, OutputType, Positioned, ServerError, ServerResult, Value,
};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};

/// An object most of whose fields are in memory.
pub trait ResolveEagerly: ContainerType {
    /// The fields that are not: each is made a future, so that what objects load, they load together.
    const DEFERRED_FIELDS: &'static [&'static str] = &[];
}

impl<T: ResolveEagerly> ResolveEagerly for &T {
    const DEFERRED_FIELDS: &'static [&'static str] = T::DEFERRED_FIELDS;
}

/// One such object.
pub struct Inline<T>(pub T);

/// A list of such objects.
pub struct InlineList<T>(pub Vec<T>);

impl<T: ResolveEagerly> OutputType for Inline<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        resolve_object(&self.0, ctx).await
    }
}

impl<T: ResolveEagerly> OutputType for InlineList<T> {
    fn type_name() -> Cow<'static, str> {
        Vec::<T>::type_name()
    }

    fn qualified_type_name() -> String {
        Vec::<T>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<T>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        match resolve_list_now(&self.0, ctx) {
            Some(values) => values.map(Value::List),
            None => {
                let inline = self.0.iter().map(Inline);
                resolve_list(ctx, field, inline, Some(self.0.len())).boxed().await
            }
        }
    }
}

type Values = IndexMap<Name, Value>;
type Loading<'a> = BoxFuture<'a, ServerResult<(usize, Value)>>;

/// What of a selection could be written at once, and what is loading: the place of its value, and the value.
enum Begun<'a> {
    Fields(Values, Vec<Loading<'a>>),
    Unusual,
}

async fn resolve_object<T: ResolveEagerly>(object: &T, ctx: &ContextSelectionSet<'_>) -> ServerResult<Value> {
    let Some(fields) = plain_fields(ctx) else { return resolve_container(ctx, object).boxed().await };
    match begin(object, ctx, &fields)? {
        Begun::Fields(values, loading) if loading.is_empty() => Ok(Value::Object(values)),
        Begun::Fields(mut values, loading) => {
            for (place, value) in try_join_all(loading).await? {
                if let Some((_, empty)) = values.get_index_mut(place) {
                    *empty = value;
                }
            }
            Ok(Value::Object(values))
        }
        Begun::Unusual => resolve_container(ctx, object).boxed().await,
    }
}

/// The whole list, if nothing of it has to be loaded.
fn resolve_list_now<T: ResolveEagerly>(
    items: &[T],
    ctx: &ContextSelectionSet<'_>,
) -> Option<ServerResult<Vec<Value>>> {
    if !items.is_empty() && loads::<T>(ctx) {
        return None;
    }
    let fields = plain_fields(ctx)?;
    let mut values = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let ctx = ctx.with_index(index);
        match begin(item, &ctx, &fields) {
            Ok(Begun::Fields(fields, loading)) if loading.is_empty() => values.push(Value::Object(fields)),
            Ok(_) => return None,
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(values))
}

/// Whether a selection names a field that is loaded.
fn loads<T: ResolveEagerly>(ctx: &ContextSelectionSet<'_>) -> bool {
    ctx.item.node.items.iter().any(|selection| match &selection.node {
        Selection::Field(field) => T::DEFERRED_FIELDS.contains(&field.node.name.node.as_str()),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => true,
    })
}

/// The fields of a selection, if it has nothing else.
fn plain_fields<'a>(ctx: &ContextSelectionSet<'a>) -> Option<Vec<&'a Positioned<Field>>> {
    let plain = |selection: &'a Positioned<Selection>| match &selection.node {
        Selection::Field(field) if field.node.directives.is_empty() => Some(field),
        _ => None,
    };
    ctx.item.node.items.iter().map(plain).collect()
}

fn begin<'a, T: ResolveEagerly>(
    object: &'a T,
    ctx: &'a ContextSelectionSet<'a>,
    fields: &[&'a Positioned<Field>],
) -> Result<Begun<'a>, ServerError> {
    let mut values = Values::with_capacity(fields.len());
    let mut loading: Vec<Loading<'a>> = Vec::new();
    for (place, field) in fields.iter().copied().enumerate() {
        let name = field.node.name.node.as_str();
        let now = if name == "__typename" {
            Some(Value::String(object.introspection_type_name().into_owned()))
        } else if T::DEFERRED_FIELDS.contains(&name) {
            None
        } else {
            let ctx = ctx.with_field(field);
            resolved_now(pin!(object.resolve_field(&ctx)))?
        };
        if now.is_none() {
            loading.push(load(object, ctx, field, place).boxed());
        }
        let key = field.node.response_key().node.clone();
        if values.insert(key, now.unwrap_or_default()).is_some() {
            return Ok(Begun::Unusual);
        }
    }
    Ok(Begun::Fields(values, loading))
}

/// The value, if nothing has to be waited for. The future is polled where it stands: moving it would cost more.
fn resolved_now(
    field: Pin<&mut impl Future<Output = ServerResult<Option<Value>>>>,
) -> ServerResult<Option<Value>> {
    match field.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value.map(|value| Some(value.unwrap_or_default())),
        Poll::Pending => Ok(None),
    }
}

async fn load<T: ResolveEagerly>(
    object: &T,
    ctx: &ContextSelectionSet<'_>,
    field: &Positioned<Field>,
    place: usize,
) -> ServerResult<(usize, Value)> {
    let ctx = ctx.with_field(field);
    Ok((place, object.resolve_field(&ctx).await?.unwrap_or_default()))
}
