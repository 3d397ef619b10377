//! Answers as JSON. Objects whose fields are at hand write themselves at once (graphql/runtime/eager.rs); of what they have written nobody
//! but this file needs to know more.

use async_graphql::parser::types::{Selection, SelectionSet};
use async_graphql::{Name, Response, ServerError, Value};

/// Said of a request in whose operation no two fields of an object answer to one name: what has been written is never merged.
pub(super) struct WritesJson;

/// Whether no selection names anything twice, or spreads fragments, which might.
pub(super) fn is_never_merged(set: &SelectionSet) -> bool {
    let mut names: Vec<&str> = Vec::with_capacity(set.items.len());
    set.items.iter().all(|selection| match &selection.node {
        Selection::Field(field) => {
            let name = field.node.response_key().node.as_str();
            let is_new = !names.contains(&name);
            names.push(name);
            is_new && is_never_merged(&field.node.selection_set.node)
        }
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => false,
    })
}

/// What was written already, as the value of a field: no type of the API is binary otherwise.
pub(super) fn written(json: Vec<u8>) -> Value {
    Value::Binary(json.into())
}

/// Writes `"name":` of an object's field, after a comma if others stand before it.
pub(super) fn write_name(json: &mut Vec<u8>, name: &Name) {
    if !json.ends_with(b"{") {
        json.push(b',');
    }
    json.push(b'"');
    // A name of GraphQL has letters, digits and underscores.
    json.extend_from_slice(name.as_bytes());
    json.extend_from_slice(b"\":");
}

pub(super) fn write_value(json: &mut Vec<u8>, value: &Value) -> Result<(), ServerError> {
    match value {
        Value::Binary(written) => json.extend_from_slice(written),
        Value::List(items) => {
            json.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    json.push(b',');
                }
                write_value(json, item)?;
            }
            json.push(b']');
        }
        Value::Object(fields) => {
            json.push(b'{');
            for (name, value) in fields {
                write_name(json, name);
                write_value(json, value)?;
            }
            json.push(b'}');
        }
        Value::Null | Value::Number(_) | Value::String(_) | Value::Boolean(_) | Value::Enum(_) => {
            serde_json::to_writer(json, value).map_err(|error| ServerError::new(error.to_string(), None))?;
        }
    }
    Ok(())
}

/// Writes an answer as async-graphql does.
///
/// # Errors
///
/// What cannot be written as JSON.
pub fn write_response(json: &mut Vec<u8>, response: &Response) -> Result<(), ServerError> {
    json.push(b'{');
    if !response.errors.is_empty() {
        json.extend_from_slice(b"\"errors\":");
        let written = serde_json::to_writer(&mut *json, &response.errors);
        written.map_err(|error| ServerError::new(error.to_string(), None))?;
        json.push(b',');
    }
    json.extend_from_slice(b"\"data\":");
    write_value(json, &response.data)?;
    json.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use serde_json::json;

    use super::*;

    fn answer(response: &Response) -> String {
        let mut json = Vec::new();
        write_response(&mut json, response).unwrap();
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn answers_are_written_as_async_graphql_writes_them() {
        let data = json!({ "a": null, "b": [1, -2.5, "\"\u{7f}\u{1f}äß\\", true, []], "c": { "d": {}, "e": [{ "f": "g" }] } });
        let mut response = Response::new(Value::from_json(data).unwrap());
        assert_eq!(answer(&response), serde_json::to_string(&response).unwrap());
        response.errors.push(ServerError::new("no\n", None));
        assert_eq!(answer(&response), serde_json::to_string(&response).unwrap());
        let failed = Response::from_errors(vec![ServerError::new("no", None)]);
        assert_eq!(answer(&failed), serde_json::to_string(&failed).unwrap());
    }

    #[test]
    fn what_was_written_goes_in_as_it_is() {
        let object = Value::from_json(json!({ "a": [] })).unwrap();
        let Value::Object(mut fields) = object else { unreachable!() };
        fields.insert(Name::new("b"), Value::List(vec![written(b"{\"c\":1}".to_vec()), Value::Null]));
        let response = Response::new(Value::Object(fields));
        assert_eq!(answer(&response), r#"{"data":{"a":[],"b":[{"c":1},null]}}"#);
    }

    #[test]
    fn only_what_names_nothing_twice_is_never_merged() {
        for (query, expected) in [
            ("{ a { b c } d { b } }", true),
            ("{ a { b } x: a { c } }", true),
            ("{ a { b } a { c } }", false),
            ("{ a { b { c } b { d } } }", false),
            ("{ a { ... on T { b } } }", false),
            ("{ a { ...f } } fragment f on T { b }", false),
        ] {
            let document = parse_query(query).unwrap();
            let (_, operation) = document.operations.iter().next().unwrap();
            assert_eq!(is_never_merged(&operation.node.selection_set.node), expected, "{query}");
        }
    }
}
