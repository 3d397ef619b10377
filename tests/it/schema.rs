//! The schema: what is committed is what the code says, every word of it is explained, and what is built of the contract
//! has the contract's names and shapes.

use std::collections::{BTreeMap, BTreeSet};

use abacus::graphql::sdl;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{InputValueDefinition, TypeDefinition, TypeKind, TypeSystemDefinition};

const COMMITTED: &str = include_str!("../../schema.graphql");
const CONTRACT: &str = include_str!("../cases/contract.graphql");

/// What the contract has and the schema has not yet. Whoever builds something takes it out here.
const TO_COME: &[&str] = &["Subscription"];

/// What connections take: the contract says so of all of them in its preface.
const PAGE_ARGUMENTS: [(&str, &str); 5] =
    [("first", "Int"), ("after", "String"), ("last", "Int"), ("before", "String"), ("offset", "Int")];

/// A schema as facts: what there is (`Type`, `Type.field`, `Type.field(argument)`), and what it looks like.
type Facts = BTreeMap<String, String>;

fn definitions(text: &str) -> Vec<TypeDefinition> {
    let document = parse_schema(text).expect("a schema");
    let types = document.definitions.into_iter().filter_map(|definition| match definition {
        TypeSystemDefinition::Type(definition) => Some(definition.node),
        _ => None,
    });
    types.collect()
}

fn input_shape(input: &InputValueDefinition) -> String {
    let default = input.default_value.as_ref().map(|value| format!(" = {}", value.node));
    format!("{}{}", input.ty.node, default.unwrap_or_default())
}

fn facts(definitions: &[TypeDefinition]) -> Facts {
    let mut facts = Facts::new();
    for definition in definitions {
        let name = definition.name.node.as_str();
        let (shape, fields) = match &definition.kind {
            TypeKind::Scalar => ("scalar".to_owned(), &[][..]),
            TypeKind::Object(object) => {
                let names: Vec<_> = object.implements.iter().map(|name| name.node.as_str()).collect();
                (format!("type {}", names.join(" & ")), &object.fields[..])
            }
            TypeKind::Interface(interface) => ("interface".to_owned(), &interface.fields[..]),
            TypeKind::Union(union) => {
                for member in &union.members {
                    facts.insert(format!("{name} | {}", member.node), String::new());
                }
                ("union".to_owned(), &[][..])
            }
            TypeKind::Enum(values) => {
                for value in &values.values {
                    facts.insert(format!("{name}.{}", value.node.value.node), String::new());
                }
                ("enum".to_owned(), &[][..])
            }
            TypeKind::InputObject(input) => {
                for field in &input.fields {
                    facts.insert(format!("{name}.{}", field.node.name.node), input_shape(&field.node));
                }
                let one_of =
                    definition.directives.iter().any(|directive| directive.node.name.node == "oneOf");
                (format!("input{}", if one_of { " @oneOf" } else { "" }), &[][..])
            }
        };
        facts.insert(name.to_owned(), shape.trim().to_owned());
        for field in fields {
            let path = format!("{name}.{}", field.node.name.node);
            for argument in &field.node.arguments {
                let argument = &argument.node;
                facts.insert(format!("{path}({})", argument.name.node), input_shape(argument));
            }
            facts.insert(path, field.node.ty.node.to_string());
        }
    }
    facts
}

/// `Type` of `Type.field(argument)`.
fn type_of(path: &str) -> &str {
    path.split(['.', ' ']).next().unwrap()
}

/// `Type.field` of `Type.field(argument)`.
fn field_of(path: &str) -> &str {
    path.split('(').next().unwrap()
}

#[test]
fn the_committed_schema_is_what_the_code_says() {
    assert!(
        COMMITTED.trim_end() == sdl().trim_end(),
        "schema.graphql is behind the code: run `cargo run -q -- schema > schema.graphql`"
    );
}

#[test]
fn there_is_no_float_anywhere() {
    let floats: Vec<_> = facts(&definitions(&sdl()))
        .into_iter()
        .filter(|(_, shape)| shape.contains("Float"))
        .map(|(path, shape)| format!("{path}: {shape}"))
        .collect();
    assert!(floats.is_empty(), "{floats:#?}");
}

#[test]
fn everything_has_a_description() {
    let mut bare = Vec::new();
    for definition in definitions(&sdl()) {
        let name = definition.name.node.to_string();
        let mut check = |path: String, description: Option<&str>| {
            if description.is_none_or(|text| text.trim().is_empty()) {
                bare.push(path);
            }
        };
        let text = |description: &Option<async_graphql::parser::Positioned<String>>| {
            description.as_ref().map(|text| text.node.clone())
        };
        check(name.clone(), text(&definition.description).as_deref());
        let fields = match &definition.kind {
            TypeKind::Object(object) => &object.fields[..],
            TypeKind::Interface(interface) => &interface.fields[..],
            TypeKind::Enum(values) => {
                for value in &values.values {
                    let value = &value.node;
                    check(format!("{name}.{}", value.value.node), text(&value.description).as_deref());
                }
                &[]
            }
            TypeKind::InputObject(input) => {
                for field in &input.fields {
                    let field = &field.node;
                    check(format!("{name}.{}", field.name.node), text(&field.description).as_deref());
                }
                &[]
            }
            TypeKind::Scalar | TypeKind::Union(_) => &[],
        };
        for field in fields {
            let path = format!("{name}.{}", field.node.name.node);
            check(path.clone(), text(&field.node.description).as_deref());
            for argument in &field.node.arguments {
                let argument = &argument.node;
                check(format!("{path}({})", argument.name.node), text(&argument.description).as_deref());
            }
        }
    }
    assert!(bare.is_empty(), "without a description: {bare:#?}");
}

#[test]
fn what_is_built_has_the_contracts_names_and_shapes() {
    let (contract, built) = (facts(&definitions(CONTRACT)), facts(&definitions(&sdl())));
    let differing: Vec<_> = contract
        .iter()
        .filter_map(|(path, wanted)| {
            let shape = built.get(path).filter(|shape| *shape != wanted)?;
            Some(format!("{path}: the contract says \"{wanted}\", the schema \"{shape}\""))
        })
        .collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

#[test]
fn arguments_that_the_contract_does_not_know_are_a_connections_or_optional() {
    let (contract, built) = (facts(&definitions(CONTRACT)), facts(&definitions(&sdl())));
    let added: Vec<_> = built
        .iter()
        .filter(|(path, _)| path.contains('(') && contract.contains_key(field_of(path)))
        .filter(|(path, _)| !contract.contains_key(*path))
        .filter(|(path, shape)| {
            let name = path.split(['(', ')']).nth(1).unwrap();
            let pages = built[field_of(path)].ends_with("Connection!");
            !(pages && PAGE_ARGUMENTS.contains(&(name, shape))) && shape.ends_with('!')
        })
        .collect();
    assert!(added.is_empty(), "{added:#?}");
    let inputs = built.iter().filter(|(path, _)| {
        built[type_of(path)].starts_with("input") && contract.contains_key(type_of(path))
    });
    let needed: Vec<_> =
        inputs.filter(|(path, shape)| !contract.contains_key(*path) && shape.ends_with('!')).collect();
    assert!(needed.is_empty(), "required, and not in the contract: {needed:#?}");
}

#[test]
fn what_is_still_to_come_is_listed_and_nothing_else() {
    let (contract, built) = (facts(&definitions(CONTRACT)), facts(&definitions(&sdl())));
    // Of what is missing whole, the whole is named and not its parts.
    let missing: BTreeSet<&str> = contract
        .keys()
        .filter_map(|path| {
            [type_of(path), field_of(path), path].into_iter().find(|whole| !built.contains_key(*whole))
        })
        .collect();
    let listed: BTreeSet<&str> = TO_COME.iter().copied().collect();
    assert_eq!(listed.len(), TO_COME.len(), "something is listed twice");
    let lost: Vec<_> = missing.difference(&listed).collect();
    let built_by_now: Vec<_> = listed.difference(&missing).collect();
    assert!(lost.is_empty(), "in the contract, not in the schema, and not listed as to come: {lost:#?}");
    assert!(
        built_by_now.is_empty(),
        "listed as to come, but built by now or not in the contract: {built_by_now:#?}"
    );
}

#[test]
fn every_connection_follows_relay_and_adds_nodes_and_total_count() {
    let built = facts(&definitions(&sdl()));
    let connections: Vec<_> =
        built.keys().filter(|path| !path.contains(['.', ' ']) && path.ends_with("Connection")).collect();
    assert!(connections.len() >= 6, "{connections:?}");
    for connection in connections {
        let node = connection.strip_suffix("Connection").unwrap();
        let shape = |path: String| built.get(&path).map(String::as_str).unwrap_or_default();
        assert_eq!(shape(format!("{connection}.edges")), format!("[{node}Edge!]!"));
        assert_eq!(shape(format!("{connection}.nodes")), format!("[{node}!]!"));
        assert_eq!(shape(format!("{connection}.pageInfo")), "PageInfo!");
        assert_eq!(shape(format!("{connection}.totalCount")), "Int!");
        assert_eq!(shape(format!("{node}Edge.cursor")), "String!");
        assert_eq!(shape(format!("{node}Edge.node")), format!("{node}!"));
    }
    for (path, _) in built.iter().filter(|(_, shape)| shape.ends_with("Connection!")) {
        for (argument, wanted) in PAGE_ARGUMENTS {
            let shape = built.get(&format!("{path}({argument})")).map(String::as_str);
            assert_eq!(shape, Some(wanted), "{path}({argument})");
        }
    }
}

#[test]
fn every_mutation_takes_one_input_and_answers_a_nullable_payload_with_user_errors() {
    let built = facts(&definitions(&sdl()));
    let mutations: Vec<_> = built
        .keys()
        .filter(|path| type_of(path) == "Mutation" && path.contains('.') && !path.contains('('))
        .collect();
    assert!(mutations.len() >= 7, "{mutations:?}");
    for mutation in mutations {
        let arguments: Vec<_> =
            built.keys().filter(|path| path.contains('(') && field_of(path) == mutation.as_str()).collect();
        assert_eq!(arguments, [&format!("{mutation}(input)")]);
        let payload = built[mutation].strip_suffix('!').expect("a payload is never null");
        assert_eq!(built[&format!("{payload}.userErrors")], "[UserError!]!");
        for (path, shape) in built.iter().filter(|(path, _)| path.starts_with(&format!("{payload}."))) {
            assert!(path.ends_with(".userErrors") || !shape.ends_with('!'), "{path} must be nullable");
        }
        let input = built[&format!("{mutation}(input)")].trim_end_matches('!').to_owned();
        let key = built.get(&format!("{input}.idempotencyKey"));
        let dry_run = built.get(&format!("{input}.dryRun"));
        // What moves money takes one; what creates something else may be given one.
        assert_eq!(key.is_some_and(|shape| shape == "String!"), dry_run.is_some(), "{input}");
        assert!(key.is_none_or(|shape| ["String!", "String"].contains(&shape.as_str())), "{input}");
        // A default is part of what a key stands for (docs/adr/0033): one that came later would make every input another.
        let fields = built.iter().filter(|(path, _)| path.starts_with(&format!("{input}.")));
        let defaults: Vec<_> = fields.filter(|(_, shape)| shape.contains(" = ")).collect();
        assert!(key.is_none_or(|shape| shape == "String!") || defaults.is_empty(), "{defaults:?}");
        assert!(dry_run.is_none_or(|shape| shape == "Boolean! = false"), "{input}");
    }
}
