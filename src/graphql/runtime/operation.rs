//! The operation of a document that a request runs, and what is known of it before its variables are.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, ServerError, Variables};

use super::cost::Costs;
use super::document_cost::document_cost;
use super::inputs::Inputs;
use super::json_answer::is_never_merged;
use super::limits::Limits;
use super::schema_types::schema_types;

/// A field that is at hand takes less than a microsecond to be written.
const LIGHT_COST_MAX: usize = 5_000;

/// An operation to be run, once or many times.
pub struct Operation {
    /// It, and the fragments that are not other operations' alone: what is not run is not looked at.
    document: ExecutableDocument,
    inputs: Inputs,
    /// What it costs with the longest lists that its variables can ask for.
    cost_at_most: usize,
    /// What its document stands for, with lists of the schema itself.
    document_cost: usize,
    /// Whether no two of its fields answer to one name, so that what objects write of themselves is never merged.
    is_never_merged: bool,
    /// Whether it is known to be valid, whatever its variables are.
    valid: AtomicBool,
}

impl Operation {
    /// The operation of that name.
    pub(in crate::graphql) fn of(
        document: ExecutableDocument,
        name: Option<&str>,
    ) -> Result<Self, ServerError> {
        let document = alone(document, name)?;
        let types = schema_types();
        let (inputs, cost_at_most, is_never_merged) = match definition(&document) {
            Some(definition) => (
                Inputs::of(types, &document, definition),
                Costs::of(types, &document, definition, None).total(),
                is_never_merged(&definition.selection_set.node),
            ),
            None => return Err(unknown(name)),
        };
        let document_cost = document_cost(&document);
        let valid = AtomicBool::new(false);
        Ok(Self { document, inputs, cost_at_most, document_cost, is_never_merged, valid })
    }

    pub fn ty(&self) -> OperationType {
        definition(&self.document).map_or(OperationType::Query, |definition| definition.ty)
    }

    /// Whether it is known to take a worker no longer than a moment, whatever its variables are.
    pub fn is_light(&self) -> bool {
        self.cost_at_most.max(self.document_cost) <= LIGHT_COST_MAX
    }

    pub(in crate::graphql) fn document(&self) -> &ExecutableDocument {
        &self.document
    }

    /// Takes a request's variables, with the defaults of those that are absent, if they are what the operation says and do
    /// not ask for too much.
    pub(in crate::graphql) fn admit(
        &self,
        variables: &mut Variables,
        limits: &Limits,
    ) -> Result<(), Vec<ServerError>> {
        let types = schema_types();
        self.inputs.admit(types, variables)?;
        let Some(definition) = definition(&self.document) else { return Ok(()) };
        if self.cost_at_most > limits.complexity_max {
            let mut costs = Costs::of(types, &self.document, definition, Some(variables));
            if costs.total() > limits.complexity_max {
                return Err(vec![costs.error(limits.complexity_max)]);
            }
        }
        Ok(())
    }

    pub(in crate::graphql) fn is_never_merged(&self) -> bool {
        self.is_never_merged
    }

    pub(in crate::graphql) fn is_valid(&self) -> bool {
        self.valid.load(Ordering::Relaxed)
    }

    pub(in crate::graphql) fn found_valid(&self) {
        self.valid.store(true, Ordering::Relaxed);
    }
}

fn unknown(name: Option<&str>) -> ServerError {
    match name {
        Some(name) => ServerError::new(format!("Unknown operation named \"{name}\""), None),
        None => ServerError::new("Operation name required in request.", None),
    }
}

/// The only operation of a document.
fn definition(document: &ExecutableDocument) -> Option<&OperationDefinition> {
    document.operations.iter().next().map(|(_, operation)| &operation.node)
}

/// A document without the operations that are not run, and without the fragments that only those use.
fn alone(document: ExecutableDocument, name: Option<&str>) -> Result<ExecutableDocument, ServerError> {
    let ExecutableDocument { operations, mut fragments } = document;
    let operations = match (operations, name) {
        (single @ DocumentOperations::Single(_), None) => single,
        (DocumentOperations::Single(_), Some(_)) => return Err(unknown(name)),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => DocumentOperations::Multiple(all),
        (DocumentOperations::Multiple(mut all), name) => {
            let (chosen, operation) =
                name.and_then(|name| all.remove_entry(name)).ok_or_else(|| unknown(name))?;
            let document = ExecutableDocument { operations: DocumentOperations::Multiple(all), fragments };
            let of_others = document.operations.iter().map(|(_, other)| &other.node.selection_set.node);
            let of_others = names(reached(of_others, &document));
            let own = names(reached(std::iter::once(&operation.node.selection_set.node), &document));
            fragments = document.fragments;
            fragments.retain(|name, _| own.contains(name) || !of_others.contains(name));
            DocumentOperations::Multiple(std::iter::once((chosen, operation)).collect())
        }
    };
    Ok(ExecutableDocument { operations, fragments })
}

fn names(found: HashSet<&Name>) -> HashSet<Name> {
    found.into_iter().cloned().collect()
}

/// The fragments that selections spread, and those that these spread.
fn reached<'d>(
    sets: impl Iterator<Item = &'d SelectionSet>,
    document: &'d ExecutableDocument,
) -> HashSet<&'d Name> {
    let mut found = HashSet::new();
    let mut left: Vec<&SelectionSet> = sets.collect();
    while let Some(set) = left.pop() {
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => left.push(&field.node.selection_set.node),
                Selection::InlineFragment(inline) => left.push(&inline.node.selection_set.node),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    if found.insert(name)
                        && let Some(fragment) = document.fragments.get(name)
                    {
                        left.push(&fragment.node.selection_set.node);
                    }
                }
            }
        }
    }
    found
}
