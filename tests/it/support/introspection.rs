//! What the running server says of its own schema, so that a test can walk all of it.

use serde_json::Value;

use super::Client;

const INTROSPECTION: &str = "{ __schema { types { name kind fields { name args { name type { ...T } } } inputFields { name type { ...T } } } } }
    fragment T on __Type { name kind ofType { name kind ofType { name kind ofType { name kind } } } }";

/// A schema, as introspection tells it.
pub struct Schema(Vec<Value>);

impl Schema {
    pub async fn of(client: &Client) -> Self {
        let types = client.data(INTROSPECTION).await["__schema"]["types"].as_array().unwrap().clone();
        Self(types)
    }

    fn members(&self, type_name: &str, kind: &str) -> Vec<Value> {
        let found = self.0.iter().find(|found| found["name"] == type_name).expect(type_name);
        found[kind].as_array().cloned().unwrap_or_default()
    }

    pub fn fields(&self, type_name: &str) -> Vec<String> {
        let fields = self.members(type_name, "fields");
        fields.iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
    }

    /// The scalars of an input, each as the path to it and the scalar's name.
    pub fn scalars(&self, input: &str) -> Vec<(String, String)> {
        let fields = self.members(input, "inputFields");
        fields.iter().flat_map(|field| self.scalars_below(field)).collect()
    }

    /// The scalars among a root field's arguments.
    pub fn arguments(&self, root: &str, field: &str) -> Vec<(String, String)> {
        let fields = self.members(root, "fields");
        let found = fields.iter().find(|found| found["name"] == field).expect(field);
        found["args"].as_array().unwrap().iter().flat_map(|argument| self.scalars_below(argument)).collect()
    }

    fn scalars_below(&self, member: &Value) -> Vec<(String, String)> {
        let (name, mut of) = (member["name"].as_str().unwrap(), &member["type"]);
        while of["name"].is_null() {
            of = &of["ofType"];
        }
        let type_name = of["name"].as_str().unwrap();
        match of["kind"].as_str().unwrap() {
            "INPUT_OBJECT" => {
                let below = self.scalars(type_name).into_iter();
                below.map(|(path, scalar)| (format!("{name}.{path}"), scalar)).collect()
            }
            _ => vec![(name.to_owned(), type_name.to_owned())],
        }
    }
}
