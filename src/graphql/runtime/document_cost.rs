//! What a document stands for before anything is known of its data: fragments count wherever they are spread, for a few
//! that spread each other twice stand for billions of fields; and lists of the schema itself count by their length, which
//! graphql/runtime/cost.rs leaves out.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Positioned, ServerError};

/// The most that a document may cost. GraphiQL's own look at the schema takes less than half.
const DOCUMENT_COST_MAX: usize = 200_000;

/// Selections within selections, fragments included: no document that may be executed has so many.
pub(in crate::graphql) const DEPTH_MAX: usize = 200;

/// About how long a list of the schema is.
fn length_of(field: &str) -> usize {
    match field {
        "types" => 50,
        "fields" | "inputFields" | "enumValues" => 8,
        "possibleTypes" | "directives" => 4,
        "args" | "interfaces" => 2,
        _ => 1,
    }
}

struct Walk<'d> {
    document: &'d ExecutableDocument,
    /// What fragments cost that were met before.
    fragments: HashMap<&'d str, usize>,
}

impl<'d> Walk<'d> {
    fn selections(&mut self, set: &'d SelectionSet, depth: usize) -> usize {
        let Some(below) = depth.checked_sub(1) else { return usize::MAX };
        let costs = set.items.iter().map(|selection| self.selection(&selection.node, below));
        costs.fold(0, usize::saturating_add)
    }

    fn selection(&mut self, selection: &'d Selection, below: usize) -> usize {
        let inner = match selection {
            Selection::Field(field) => {
                let field = &field.node;
                let inner = self.selections(&field.selection_set.node, below);
                inner.saturating_mul(length_of(&field.name.node))
            }
            Selection::InlineFragment(inline) => self.selections(&inline.node.selection_set.node, below),
            Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, below),
        };
        inner.saturating_add(1)
    }

    fn fragment(&mut self, name: &'d str, depth: usize) -> usize {
        if let Some(cost) = self.fragments.get(name) {
            return *cost;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return 0 };
        // One that spreads itself is refused by validation.
        self.fragments.insert(name, 0);
        let cost = self.selections(&fragment.node.selection_set.node, depth);
        self.fragments.insert(name, cost);
        cost
    }
}

/// What the selections of all of a document's operations cost, each with itself.
fn costs(document: &ExecutableDocument) -> impl Iterator<Item = (usize, &Positioned<Selection>)> {
    let mut walk = Walk { document, fragments: HashMap::new() };
    let selections =
        document.operations.iter().flat_map(|(_, operation)| &operation.node.selection_set.node.items);
    selections.map(move |selection| (walk.selection(&selection.node, DEPTH_MAX), selection))
}

/// What all of a document costs.
pub(in crate::graphql) fn document_cost(document: &ExecutableDocument) -> usize {
    costs(document).fold(0, |sum, (cost, _)| sum.saturating_add(cost))
}

/// Refuses a document that stands for too much.
pub(in crate::graphql) fn require_affordable(document: &ExecutableDocument) -> Result<(), ServerError> {
    let cost = document_cost(document);
    if cost <= DOCUMENT_COST_MAX {
        return Ok(());
    }
    let dearest = costs(document).max_by_key(|(cost, _)| *cost);
    let (share, selection) = dearest.map_or((0, None), |(cost, selection)| (cost, Some(selection)));
    let called = selection.map_or("", |selection| called(&selection.node));
    let message = format!(
        "the query costs {}, and may cost {DOCUMENT_COST_MAX}, before anything is known of its data: \"{called}\" is {} of it",
        written(cost),
        written(share)
    );
    Err(ServerError::new(message, selection.map(|selection| selection.pos)))
}

fn called(selection: &Selection) -> &str {
    match selection {
        Selection::Field(field) => &field.node.response_key().node,
        Selection::FragmentSpread(spread) => &spread.node.fragment_name.node,
        Selection::InlineFragment(inline) => {
            inline.node.type_condition.as_ref().map_or("...", |condition| &condition.node.on.node)
        }
    }
}

fn written(cost: usize) -> String {
    if cost == usize::MAX { "more than can be counted".to_owned() } else { cost.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;

    fn cost(text: &str) -> usize {
        document_cost(&parse_query(text).unwrap())
    }

    #[test]
    fn a_fragment_counts_wherever_it_is_spread() {
        assert_eq!(cost("{ a { b c } }"), 3);
        assert_eq!(cost("{ ...F ...F } fragment F on Q { a b }"), 6);
        let doubling = |depth: usize| {
            let fragments =
                (0..depth).map(|n| format!("fragment F{n} on Q {{ ...F{0} ...F{0} }} ", n.saturating_add(1)));
            cost(&format!("{{ ...F0 }} {} fragment F{depth} on Q {{ a }}", fragments.collect::<String>()))
        };
        assert_eq!(doubling(2), 11);
        assert!(doubling(30) > DOCUMENT_COST_MAX);
        assert_eq!(doubling(100), usize::MAX);
    }

    #[test]
    fn a_fragment_that_spreads_itself_or_is_not_there_ends() {
        assert!(cost("{ ...F } fragment F on Q { ...G } fragment G on Q { ...F ...None }") < 10);
        let chain =
            (0..10_000).map(|n: usize| format!("fragment F{n} on Q {{ ...F{} }} ", n.saturating_add(1)));
        assert_eq!(cost(&format!("{{ ...F0 }} {}", chain.collect::<String>())), usize::MAX);
    }

    #[test]
    fn lists_of_the_schema_count_by_their_length() {
        assert_eq!(cost("{ __schema { types { name } } }"), 52);
        let graphiql = "{ __schema { queryType { name } mutationType { name } types { ...T }
                directives { name description locations args { ...I } } } }
            fragment T on __Type { kind name description fields(includeDeprecated: true) { name description args { ...I }
                type { ...R } isDeprecated deprecationReason } inputFields { ...I } interfaces { ...R }
                enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...R } }
            fragment I on __InputValue { name description type { ...R } defaultValue }
            fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
                ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";
        assert!(cost(graphiql) < DOCUMENT_COST_MAX / 2, "{}", cost(graphiql));
    }
}
