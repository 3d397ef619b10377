//! Objects whose fields are at hand, resolved without a future for each field.
//!
//! async-graphql makes a boxed future of every field of every object and joins them; for a page of rows that have
//! been read already, that is most of what a request costs (docs/adr/0006). What is at hand is written straight into
//! the answer here; only what has to be loaded becomes a future. Whatever is unusual in a selection, fragments and
//! directives and keys that come twice, goes async-graphql's own way.

use std::borrow::Cow;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use async_graphql::parser::types::{Field, Selection};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::{resolve_container, resolve_list};
use async_graphql::{ContainerType, ContextSelectionSet, OutputType, Positioned, ServerResult, Value};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};

use super::json_answer::{WritesJson, write_name, write_value, written};

/// Room for a common field.
const FIELD_BYTES: usize = 32;

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
        if let Some(fields) = plain_fields(ctx)
            && let Some(written) = list_now(&self.0, ctx, &fields)?
        {
            return Ok(written);
        }
        let inline = self.0.iter().map(Inline);
        resolve_list(ctx, field, inline, Some(self.0.len())).boxed().await
    }
}

type Loading<'a> = BoxFuture<'a, ServerResult<(usize, Value)>>;

async fn resolve_object<T: ResolveEagerly>(object: &T, ctx: &ContextSelectionSet<'_>) -> ServerResult<Value> {
    let Some(fields) = plain_fields(ctx) else { return resolve_container(ctx, object).boxed().await };
    let writes_json = writes_json(ctx);
    if writes_json && !loads::<T>(ctx) {
        let mut json = Vec::with_capacity(fields.len() * FIELD_BYTES);
        if write_now(&mut json, object, ctx, &fields)? {
            return Ok(written(json));
        }
    }
    let (mut values, loading) = begin(object, ctx, &fields)?;
    for (place, value) in try_join_all(loading).await? {
        if let Some(empty) = values.get_mut(place) {
            *empty = value;
        }
    }
    if writes_json { object_json(&fields, &values).map(written) } else { Ok(object_value(&fields, values)) }
}

/// The whole list, if nothing of it has to be loaded.
fn list_now<T: ResolveEagerly>(
    items: &[T],
    ctx: &ContextSelectionSet<'_>,
    fields: &[&Positioned<Field>],
) -> ServerResult<Option<Value>> {
    if !items.is_empty() && loads::<T>(ctx) {
        return Ok(None);
    }
    if !writes_json(ctx) {
        return list_value(items, ctx, fields);
    }
    let bytes = items.len().saturating_mul(fields.len()).saturating_mul(FIELD_BYTES);
    let mut json = Vec::with_capacity(bytes.saturating_add(2));
    json.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        if !write_now(&mut json, item, &ctx.with_index(index), fields)? {
            return Ok(None);
        }
    }
    json.push(b']');
    Ok(Some(written(json)))
}

/// The same as values.
fn list_value<T: ResolveEagerly>(
    items: &[T],
    ctx: &ContextSelectionSet<'_>,
    fields: &[&Positioned<Field>],
) -> ServerResult<Option<Value>> {
    let mut list = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let ctx = ctx.with_index(index);
        let (values, loading) = begin(item, &ctx, fields)?;
        if !loading.is_empty() {
            return Ok(None);
        }
        list.push(object_value(fields, values));
    }
    Ok(Some(Value::List(list)))
}

fn object_value(fields: &[&Positioned<Field>], values: Vec<Value>) -> Value {
    let names = fields.iter().map(|field| field.node.response_key().node.clone());
    Value::Object(names.zip(values).collect())
}

fn object_json(fields: &[&Positioned<Field>], values: &[Value]) -> ServerResult<Vec<u8>> {
    let mut json = vec![b'{'];
    for (field, value) in fields.iter().zip(values) {
        write_name(&mut json, &field.node.response_key().node);
        write_value(&mut json, value)?;
    }
    json.push(b'}');
    Ok(json)
}

/// Whether what objects write of themselves may go into the answer as it is.
fn writes_json(ctx: &ContextSelectionSet<'_>) -> bool {
    ctx.data_opt::<WritesJson>().is_some()
}

/// Whether a selection names a field that is loaded.
fn loads<T: ResolveEagerly>(ctx: &ContextSelectionSet<'_>) -> bool {
    ctx.item.node.items.iter().any(|selection| match &selection.node {
        Selection::Field(field) => T::DEFERRED_FIELDS.contains(&field.node.name.node.as_str()),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => true,
    })
}

/// The fields of a selection, if it has nothing else and names none of them twice.
fn plain_fields<'a>(ctx: &ContextSelectionSet<'a>) -> Option<Vec<&'a Positioned<Field>>> {
    let mut fields: Vec<&'a Positioned<Field>> = Vec::with_capacity(ctx.item.node.items.len());
    for selection in &ctx.item.node.items {
        let Selection::Field(field) = &selection.node else { return None };
        let name = &field.node.response_key().node;
        let is_named = fields.iter().any(|other| other.node.response_key().node == *name);
        if is_named || !field.node.directives.is_empty() {
            return None;
        }
        fields.push(field);
    }
    Some(fields)
}

/// The value of a field, if it is at hand.
fn value_now<T: ResolveEagerly>(
    object: &T,
    ctx: &ContextSelectionSet<'_>,
    field: &Positioned<Field>,
) -> ServerResult<Option<Value>> {
    let name = field.node.name.node.as_str();
    if name == "__typename" {
        Ok(Some(Value::String(object.introspection_type_name().into_owned())))
    } else if T::DEFERRED_FIELDS.contains(&name) {
        Ok(None)
    } else {
        resolved_now(pin!(object.resolve_field(&ctx.with_field(field))))
    }
}

/// Writes an object, if all of it is at hand; else what was written is of no use.
fn write_now<T: ResolveEagerly>(
    json: &mut Vec<u8>,
    object: &T,
    ctx: &ContextSelectionSet<'_>,
    fields: &[&Positioned<Field>],
) -> ServerResult<bool> {
    json.push(b'{');
    for field in fields {
        let Some(value) = value_now(object, ctx, field)? else { return Ok(false) };
        write_name(json, &field.node.response_key().node);
        write_value(json, &value)?;
    }
    json.push(b'}');
    Ok(true)
}

/// What is at hand of an object, and what is loading: the place of its value, and the value.
fn begin<'a, T: ResolveEagerly>(
    object: &'a T,
    ctx: &'a ContextSelectionSet<'a>,
    fields: &[&'a Positioned<Field>],
) -> ServerResult<(Vec<Value>, Vec<Loading<'a>>)> {
    let mut values = Vec::with_capacity(fields.len());
    let mut loading: Vec<Loading<'a>> = Vec::new();
    for (place, field) in fields.iter().copied().enumerate() {
        let now = value_now(object, ctx, field)?;
        if now.is_none() {
            loading.push(load(object, ctx, field, place).boxed());
        }
        values.push(now.unwrap_or_default());
    }
    Ok((values, loading))
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
