//! Values are checked before anything is executed: a mutation whose second field could not be read must not have done its
//! first.
//!
//! async-graphql reads an argument when its field is resolved, and looks at little of it before. Here all that an operation
//! says is checked by the schema's types: its literals once, when its document is first seen, its variables with each
//! request. What passes is read when its field is.

use async_graphql::parser::types::{
    Directive, ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Pos, Positioned, ServerError, Value, Variables};

use super::schema_types::{FieldType, InputKind, InputObject, Place, SchemaTypes, Shape};
use crate::graphql::scalars::{expected, kind_of};

/// What is wrong with a value, and where in it.
struct Fault {
    /// From the inside out.
    path: Vec<String>,
    message: String,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into() }
    }

    fn within(mut self, part: impl ToString) -> Self {
        self.path.push(part.to_string());
        self
    }

    /// As an error of an argument or a variable of that name.
    fn of(self, what: &str, name: &str, pos: Pos) -> ServerError {
        let inner = self.path.iter().rev().map(String::as_str);
        let path: Vec<&str> = std::iter::once(name).chain(inner).collect();
        let message = format!("Invalid value for {what} \"{}\": {}", path.join("."), self.message);
        ServerError::new(message, Some(pos))
    }
}

/// What a place that a variable stands in asks of it, beyond its type.
#[derive(Clone, Copy, Default)]
struct Demand {
    /// It must not be null.
    non_null: bool,
    /// It must not be absent.
    present: bool,
}

/// Looks at values; `variable` is told of those that stand in it, and what their places ask of them.
struct Check<'s, F> {
    types: &'s SchemaTypes,
    /// Whether values of enumerations are written as texts, as in JSON.
    is_json: bool,
    variable: F,
}

impl<F: FnMut(&[u8], Demand) -> Result<(), Fault>> Check<'_, F> {
    fn value(&mut self, place: &Place, value: &Value, required: bool) -> Result<(), Fault> {
        match (value, &place.shape) {
            (Value::Binary(name), _) => {
                (self.variable)(name, Demand { non_null: place.non_null, present: required })
            }
            (Value::Null, _) if place.non_null => Err(Fault::new("must not be null")),
            (Value::Null, _) => Ok(()),
            (Value::List(items), Shape::List(of)) => {
                let mut items = items.iter().enumerate();
                items.try_for_each(|(index, item)| {
                    self.value(of, item, of.non_null).map_err(|fault| fault.within(index))
                })
            }
            // One thing stands for a list of one.
            (one, Shape::List(of)) => self.value(of, one, required),
            (value, Shape::Named(kind)) => self.named(*kind, value),
        }
    }

    fn named(&mut self, kind: usize, value: &Value) -> Result<(), Fault> {
        match (self.types.input(kind), value) {
            (Some(InputKind::Scalar(check)), value) => check(value).map_err(Fault::new),
            (Some(InputKind::Enum { name, values }), Value::Enum(value)) => {
                one_of(name, values.contains(value.as_str()))
            }
            (Some(InputKind::Enum { name, values }), Value::String(value)) if self.is_json => {
                one_of(name, values.contains(value))
            }
            (Some(InputKind::Object(of)), Value::Object(_)) => self.object(of, value),
            (Some(InputKind::Enum { name, .. } | InputKind::Object(InputObject { name, .. })), value) => {
                Err(Fault::new(expected(name, kind_of(value))))
            }
            (None, _) => Ok(()),
        }
    }

    fn object(&mut self, of: &InputObject, value: &Value) -> Result<(), Fault> {
        let Value::Object(fields) = value else { return Ok(()) };
        if of.one_of && (fields.len() != 1 || fields.values().any(|field| *field == Value::Null)) {
            return Err(Fault::new(format!("exactly one field of \"{}\" is needed, and not null", of.name)));
        }
        let mut required = 0_usize;
        for (name, field) in fields {
            let unknown = || Fault::new(format!("unknown field \"{name}\" of type \"{}\"", of.name));
            let slot = of.fields.get(name.as_str()).ok_or_else(unknown)?;
            let must_be = slot.is_required();
            required = required.saturating_add(usize::from(must_be));
            let checked = match field {
                Value::Binary(name) if of.one_of => {
                    (self.variable)(name, Demand { non_null: true, present: true })
                }
                field => self.value(&slot.place, field, must_be),
            };
            checked.map_err(|fault| fault.within(name))?;
        }
        if required == of.required.len() {
            return Ok(());
        }
        let missing = of.required.iter().find(|name| !fields.contains_key(name.as_str()));
        Err(missing
            .map_or_else(|| Fault::new("is incomplete"), |name| Fault::new("is required").within(name)))
    }
}

fn one_of(enumeration: &str, is: bool) -> Result<(), Fault> {
    if is { Ok(()) } else { Err(Fault::new(format!("is no value of the enumeration \"{enumeration}\""))) }
}

/// A variable of an operation.
struct Variable {
    name: Name,
    pos: Pos,
    /// None: of a type that validation refuses.
    place: Option<Place>,
    default: Option<Value>,
    demand: Demand,
}

/// What an operation takes in.
pub(in crate::graphql) struct Inputs {
    variables: Vec<Variable>,
    /// What is wrong with it whatever its variables are.
    faults: Vec<ServerError>,
}

impl Inputs {
    /// Of an operation whose document has the fragments that it uses, and no others.
    pub fn of(types: &SchemaTypes, document: &ExecutableDocument, operation: &OperationDefinition) -> Self {
        let mut inputs = Self { variables: Vec::new(), faults: Vec::new() };
        for definition in &operation.variable_definitions {
            let definition = &definition.node;
            let place = types.place_of_variable(&definition.var_type.node);
            let default = definition.default_value.as_ref().map(|default| default.node.clone());
            if let (Some(place), Some(default)) = (&place, &default)
                && let Err(fault) = check_alone(types, place, default, false)
            {
                inputs.faults.push(fault.of("variable", &definition.name.node, definition.name.pos));
            }
            let (name, pos) = (definition.name.node.clone(), definition.name.pos);
            let present = place.as_ref().is_some_and(|place| place.non_null);
            let demand = Demand { non_null: present, present };
            inputs.variables.push(Variable { name, pos, place, default, demand });
        }
        inputs.selections(types, &operation.selection_set.node, types.root(operation.ty));
        for fragment in document.fragments.values() {
            let fragment = &fragment.node;
            inputs.selections(types, &fragment.selection_set.node, &fragment.type_condition.node.on.node);
        }
        inputs
    }

    fn selections(&mut self, types: &SchemaTypes, set: &SelectionSet, parent: &str) {
        for selection in &set.items {
            self.directives(types, selection.node.directives());
            match &selection.node {
                Selection::Field(field) => self.field(types, &field.node, parent),
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref();
                    let parent = on.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.selections(types, &inline.node.selection_set.node, parent);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn field(&mut self, types: &SchemaTypes, field: &Field, parent: &str) {
        // Validation tells of what is not there; what looks at the schema itself changes nothing.
        let Some(known) = types.field(parent, &field.name.node) else { return };
        self.arguments(types, field, known);
        self.selections(types, &field.selection_set.node, &known.type_name);
    }

    fn arguments(&mut self, types: &SchemaTypes, field: &Field, known: &FieldType) {
        for (name, value) in &field.arguments {
            if let Some(slot) = known.arguments.get(name.node.as_str()) {
                let value = value.node.clone().into_const_with(marked).unwrap_or_default();
                self.literal(types, (&name.node, name.pos), &slot.place, &value, slot.is_required());
            }
        }
        for (name, slot) in &known.arguments {
            if slot.is_required() && field.get_argument(name).is_none() {
                self.faults.push(Fault::new("is required").of("argument", name, field.name.pos));
            }
        }
    }

    /// `skip` and `include`, which are all that there is.
    fn directives(&mut self, types: &SchemaTypes, directives: &[Positioned<Directive>]) {
        let Some(place) = types.place_of_condition() else { return };
        for directive in directives {
            for (name, value) in directive.node.arguments.iter().filter(|(name, _)| name.node == "if") {
                let value = value.node.clone().into_const_with(marked).unwrap_or_default();
                self.literal(types, (&name.node, name.pos), &place, &value, true);
            }
        }
    }

    fn literal(
        &mut self,
        types: &SchemaTypes,
        (name, pos): (&Name, Pos),
        place: &Place,
        value: &Value,
        required: bool,
    ) {
        let variables = &mut self.variables;
        let variable = |name: &[u8], demand: Demand| {
            for variable in variables.iter_mut().filter(|variable| variable.name.as_bytes() == name) {
                variable.demand.non_null |= demand.non_null;
                variable.demand.present |= demand.present;
            }
            Ok(())
        };
        let mut check = Check { types, is_json: false, variable };
        if let Err(fault) = check.value(place, value, required) {
            self.faults.push(fault.of("argument", name, pos));
        }
    }

    /// Takes a request's variables: fills in the defaults of those that are absent, and tells what is wrong.
    pub fn admit(&self, types: &SchemaTypes, variables: &mut Variables) -> Result<(), Vec<ServerError>> {
        let mut faults = self.faults.clone();
        for variable in &self.variables {
            if let Err(fault) = variable.admit(types, variables) {
                faults.push(fault.of("variable", &variable.name, variable.pos));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

impl Variable {
    fn admit(&self, types: &SchemaTypes, variables: &mut Variables) -> Result<(), Fault> {
        let Some(place) = &self.place else { return Ok(()) };
        match (variables.get(&self.name), &self.default) {
            (None, Some(default)) => {
                if *default == Value::Null && self.demand.non_null {
                    return Err(Fault::new("must not be null"));
                }
                variables.insert(self.name.clone(), default.clone());
                Ok(())
            }
            (None, None) if self.demand.present => Err(Fault::new("is required")),
            (None, None) => Ok(()),
            (Some(Value::Null), _) if self.demand.non_null => Err(Fault::new("must not be null")),
            (Some(value), _) => check_alone(types, place, value, true),
        }
    }
}

/// Checks a value that no variable stands in.
fn check_alone(types: &SchemaTypes, place: &Place, value: &Value, is_json: bool) -> Result<(), Fault> {
    let variable = |_: &[u8], _| Err(Fault::new("is not read"));
    Check { types, is_json, variable }.value(place, value, false)
}

/// A variable's place in a literal: neither documents nor JSON have bytes.
fn marked(variable: Name) -> Result<Value, std::convert::Infallible> {
    Ok(Value::Binary(variable.as_str().to_owned().into()))
}
