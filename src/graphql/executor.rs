//! Requests like one that was valid are not validated once more: clients send the same texts over and over, with other
//! ids and amounts (docs/adr/0018).
//!
//! Validation looks at a document, at the name of its operation, and at its variables: what kind of value stands where,
//! and what an enumeration's value is called. Requests that agree in all this are alike. Depth, complexity, aliases and
//! directives are counted each time, and the executor reads every input by its type all the same.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};

use async_graphql::{Request, Response, ValidationMode, Value};
use quick_cache::sync::Cache;

use super::limits::Limits;
use super::{AbacusSchema, limited};

/// So many kinds of valid requests are remembered.
const REMEMBERED: usize = 10_000;
/// Longer texts, and variables of more values, cost more to compare than they are worth.
const TEXT_BYTES_MAX: usize = 32 * 1024;
const VALUES_MAX: usize = 200;

/// Executes requests.
pub struct Executor {
    validating: AbacusSchema,
    /// The same schema, for what is like something valid.
    trusting: AbacusSchema,
    valid: Cache<u64, ()>,
    hashing: RandomState,
}

impl Executor {
    pub fn new(limits: &Limits) -> Self {
        Self {
            validating: limited(limits).finish(),
            trusting: limited(limits).validation_mode(ValidationMode::Fast).finish(),
            valid: Cache::new(REMEMBERED),
            hashing: RandomState::new(),
        }
    }

    pub async fn execute(&self, request: Request) -> Response {
        let kind = kind(&request, self.hashing.build_hasher());
        if kind.is_some_and(|kind| self.valid.get(&kind).is_some()) {
            return self.trusting.execute(request).await;
        }
        let response = self.validating.execute(request).await;
        if let Some(kind) = kind.filter(|_| was_executed(&response)) {
            self.valid.insert(kind, ());
        }
        response
    }
}

/// Whether a request came so far as to be executed. Errors of parsing, validation and limits have no path, for no field
/// was ever reached.
pub fn was_executed(response: &Response) -> bool {
    response.data != Value::Null || response.errors.iter().any(|error| !error.path.is_empty())
}

/// What requests that are alike have in common; None of what is too large to tell.
fn kind(request: &Request, mut hasher: impl Hasher) -> Option<u64> {
    if request.query.len() > TEXT_BYTES_MAX {
        return None;
    }
    (&request.query, &request.operation_name).hash(&mut hasher);
    let mut left = VALUES_MAX;
    for (name, value) in request.variables.iter() {
        name.hash(&mut hasher);
        hash_kind(value, &mut left, &mut hasher)?;
    }
    Some(hasher.finish())
}

fn hash_kind(value: &Value, left: &mut usize, hasher: &mut impl Hasher) -> Option<()> {
    *left = left.checked_sub(1)?;
    std::mem::discriminant(value).hash(hasher);
    match value {
        Value::Null | Value::Boolean(_) | Value::Binary(_) => {}
        Value::Number(number) => (number.is_i64(), number.is_u64()).hash(hasher),
        Value::String(text) if may_be_of_enum(text) => text.hash(hasher),
        Value::String(_) => {}
        Value::Enum(name) => name.hash(hasher),
        Value::List(items) => {
            items.len().hash(hasher);
            items.iter().try_for_each(|item| hash_kind(item, left, hasher))?;
        }
        Value::Object(fields) => {
            fields.len().hash(hasher);
            for (name, field) in fields {
                name.hash(hasher);
                hash_kind(field, left, hasher)?;
            }
        }
    }
    Some(())
}

/// Whether a text may be called like a value of an enumeration: all of ours are (a test holds it).
fn may_be_of_enum(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::Variables;
    use async_graphql::parser::parse_schema;
    use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
    use serde_json::json;

    fn of(text: &str, variables: serde_json::Value) -> Option<u64> {
        let request = Request::new(text).variables(Variables::from_json(variables));
        kind(&request, std::hash::DefaultHasher::new())
    }

    #[test]
    fn every_value_of_an_enumeration_is_called_like_one() {
        let document = parse_schema(super::super::sdl()).unwrap();
        let mut values = 0;
        for definition in document.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let TypeKind::Enum(of_enum) = definition.node.kind else { continue };
            for value in of_enum.values {
                let name = value.node.value.node;
                assert!(may_be_of_enum(&name), "{name}");
                values += 1;
            }
        }
        assert!(values > 50, "{values}");
    }

    #[test]
    fn requests_are_alike_if_validation_cannot_tell_them_apart() {
        let text = "query($v: V) { f(v: $v) }";
        let base = json!({ "v": { "id": "acc_1", "n": 5, "list": ["a", null], "kind": "MAIN", "on": true } });
        let alike =
            json!({ "v": { "id": "pln_2 ü", "n": 70, "list": ["b", null], "kind": "MAIN", "on": false } });
        assert_eq!(of(text, base.clone()), of(text, alike));
        let with = |field: &str, value: serde_json::Value| {
            let mut other = base.clone();
            other["v"][field] = value;
            of(text, other)
        };
        for (field, value) in [
            ("kind", json!("MAIM")),
            ("kind", json!("main")),
            ("id", json!(1)),
            ("id", json!(null)),
            ("id", json!(["acc_1"])),
            ("n", json!(-5)),
            ("n", json!(5.5)),
            ("n", json!(u64::MAX)),
            ("n", json!("5")),
            ("list", json!(["a"])),
            ("list", json!([null, "a"])),
            ("on", json!("true")),
            ("more", json!(null)),
        ] {
            assert_ne!(with(field, value.clone()), of(text, base.clone()), "{field}: {value}");
        }
        assert_ne!(of("query($v: V) { g(v: $v) }", base.clone()), of(text, base.clone()));
        let named = Request::new(text).variables(Variables::from_json(base.clone())).operation_name("q");
        assert_ne!(kind(&named, std::hash::DefaultHasher::new()), of(text, base));
    }

    #[test]
    fn what_is_large_is_like_nothing() {
        assert_eq!(of("query($v: V) { f }", json!({ "v": vec![1; VALUES_MAX] })), None);
        assert_eq!(of(&" ".repeat(TEXT_BYTES_MAX + 1), json!({})), None);
    }
}
