//! What the schema says of its fields and inputs, laid out to look at every request by.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use async_graphql::OutputType;
use async_graphql::parser::types::{BaseType, OperationType, Type};
use async_graphql::registry::{MetaField, MetaInputValue, MetaType, MetaTypeName, Registry};

use super::field_price::Price;
use crate::graphql::mutation::Mutation;
use crate::graphql::query::Query;
use crate::graphql::scalars::{Check, check_of};

/// The schema's types.
pub(in crate::graphql) fn schema_types() -> &'static SchemaTypes {
    static TYPES: LazyLock<SchemaTypes> = LazyLock::new(|| SchemaTypes::of(&registry()));
    &TYPES
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    Query::create_type_info(&mut registry);
    Mutation::create_type_info(&mut registry);
    registry
}

pub(in crate::graphql) struct SchemaTypes {
    inputs: Vec<InputKind>,
    input_names: HashMap<String, usize>,
    objects: HashMap<String, HashMap<String, FieldType>>,
}

/// A kind of value that clients send.
pub(in crate::graphql) enum InputKind {
    Scalar(Check),
    Enum { name: String, values: HashSet<String> },
    Object(InputObject),
}

pub(in crate::graphql) struct InputObject {
    pub name: String,
    /// Whether it has exactly one of its fields.
    pub one_of: bool,
    pub fields: HashMap<String, Slot>,
    /// The fields that must be there.
    pub required: Vec<String>,
}

/// Where a value stands: an argument, or a field of an input.
pub(in crate::graphql) struct Slot {
    pub place: Place,
    /// Whether what is absent is read as something else than null.
    has_default: bool,
}

impl Slot {
    pub fn is_required(&self) -> bool {
        self.place.non_null && !self.has_default
    }
}

/// What a value is to be.
#[derive(Clone)]
pub(in crate::graphql) struct Place {
    pub shape: Shape,
    pub non_null: bool,
}

#[derive(Clone)]
pub(in crate::graphql) enum Shape {
    /// A kind of [`SchemaTypes::input`].
    Named(usize),
    List(Box<Place>),
}

/// A field of an object.
pub(in crate::graphql) struct FieldType {
    pub arguments: HashMap<String, Slot>,
    /// The type of what it is, or of what it is a list of.
    pub type_name: String,
    pub price: Price,
}

impl SchemaTypes {
    fn of(registry: &Registry) -> Self {
        let names = registry.types.iter().filter(|(_, kind)| kind.is_input()).map(|(name, _)| name.clone());
        let input_names: HashMap<String, usize> = names.zip(0..).collect();
        let mut types = Self { inputs: Vec::new(), input_names, objects: HashMap::new() };
        types.inputs = registry.types.values().filter_map(|kind| types.input_kind(kind)).collect();
        for (name, kind) in &registry.types {
            if let Some(fields) = kind.fields() {
                let fields = fields.iter().map(|(field, of)| (field.clone(), types.field_type(name, of)));
                types.objects.insert(name.clone(), fields.collect());
            }
        }
        types
    }

    fn input_kind(&self, kind: &MetaType) -> Option<InputKind> {
        Some(match kind {
            MetaType::Scalar { name, .. } => InputKind::Scalar(
                // A test holds that there is none.
                check_of(name).unwrap_or(|_| Err("is of a type that is not read".to_owned())),
            ),
            MetaType::Enum { name, enum_values, .. } => {
                InputKind::Enum { name: name.clone(), values: enum_values.keys().cloned().collect() }
            }
            MetaType::InputObject { name, input_fields, oneof, .. } => {
                let fields = self.slots(input_fields.values());
                let required = fields.iter().filter(|(_, slot)| slot.is_required());
                let required = required.map(|(name, _)| name.clone()).collect();
                InputKind::Object(InputObject { name: name.clone(), one_of: *oneof, fields, required })
            }
            _ => return None,
        })
    }

    fn slots<'r>(&self, values: impl Iterator<Item = &'r MetaInputValue>) -> HashMap<String, Slot> {
        let slot = |value: &MetaInputValue| {
            let has_default = value.default_value.is_some();
            Some((value.name.clone(), Slot { place: self.place(&value.ty)?, has_default }))
        };
        values.filter_map(slot).collect()
    }

    fn field_type(&self, owner: &str, field: &MetaField) -> FieldType {
        let type_name = MetaTypeName::concrete_typename(&field.ty).to_owned();
        let is_list = MetaTypeName::create(&field.ty).is_list();
        let price = Price::of(owner, &field.name, &type_name, is_list);
        FieldType { arguments: self.slots(field.args.values()), type_name, price }
    }

    /// The place of a type as the registry writes it.
    fn place(&self, written: &str) -> Option<Place> {
        Some(match MetaTypeName::create(written) {
            MetaTypeName::NonNull(of) => Place { non_null: true, ..self.place(of)? },
            MetaTypeName::List(of) => {
                Place { shape: Shape::List(Box::new(self.place(of)?)), non_null: false }
            }
            MetaTypeName::Named(of) => {
                Place { shape: Shape::Named(*self.input_names.get(of)?), non_null: false }
            }
        })
    }

    /// The place of a variable of that type; None if the schema has no such inputs.
    pub fn place_of_variable(&self, written: &Type) -> Option<Place> {
        let shape = match &written.base {
            BaseType::Named(name) => Shape::Named(*self.input_names.get(name.as_str())?),
            BaseType::List(of) => Shape::List(Box::new(self.place_of_variable(of)?)),
        };
        Some(Place { shape, non_null: !written.nullable })
    }

    /// The place of what `skip` and `include` ask.
    pub fn place_of_condition(&self) -> Option<Place> {
        self.place("Boolean!")
    }

    pub fn input(&self, kind: usize) -> Option<&InputKind> {
        self.inputs.get(kind)
    }

    /// The type that an operation begins at.
    pub fn root(&self, operation: OperationType) -> &'static str {
        match operation {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        }
    }

    pub fn field(&self, object: &str, field: &str) -> Option<&FieldType> {
        self.objects.get(object)?.get(field)
    }

    /// Every field of every object, with the object's name.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str, &FieldType)> {
        self.objects.iter().flat_map(|(object, fields)| {
            fields.iter().map(move |(name, field)| (object.as_str(), name.as_str(), field))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_schema;
    use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};

    /// What a field states by itself is not read: what costs more than others stands in graphql/runtime/cost.rs.
    #[test]
    fn no_field_states_its_cost_where_it_is_not_read() {
        let registry = registry();
        for (name, kind) in &registry.types {
            for field in kind.fields().into_iter().flatten().map(|(_, field)| field) {
                assert!(field.compute_complexity.is_none(), "{name}.{}", field.name);
            }
        }
    }

    #[test]
    fn what_the_schema_says_is_known_whole() {
        let types = schema_types();
        let document = parse_schema(crate::graphql::sdl()).unwrap();
        let (mut fields, mut inputs) = (0, 0);
        for definition in document.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node;
            match definition.node.kind {
                TypeKind::Object(object) => {
                    for field in object.fields {
                        let found = types.field(&name, &field.node.name.node).unwrap();
                        assert_eq!(found.arguments.len(), field.node.arguments.len(), "{name}");
                        fields += 1;
                    }
                }
                TypeKind::InputObject(object) => {
                    let kind = types.input(types.input_names[name.as_str()]).unwrap();
                    let InputKind::Object(found) = kind else { panic!("{name}") };
                    assert_eq!(found.fields.len(), object.fields.len(), "{name}");
                    inputs += 1;
                }
                TypeKind::Scalar if name != "Float" => assert!(check_of(&name).is_some(), "{name}"),
                _ => {}
            }
        }
        assert!(fields > 500 && inputs > 50, "{fields} {inputs}");
        for scalar in ["Int", "Boolean", "String", "ID"] {
            assert!(check_of(scalar).is_some() && types.input_names.contains_key(scalar), "{scalar}");
        }
    }
}
