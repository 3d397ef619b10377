//! What a document costs before anything is known of its data: fragments count wherever they are spread, for a few that
//! spread each other twice stand for billions of fields; and lists of the schema itself count by their length, which
//! the limit of complexity leaves out.

use std::collections::HashMap;

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, Selection, SelectionSet};

/// The most that a document may cost. GraphiQL's own look at the schema takes less than half.
pub(super) const DOCUMENT_COST_MAX: usize = 200_000;

/// Selections within selections, fragments included: no document that may be executed has so many.
const DEPTH_MAX: usize = 200;

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
        let mut cost = 0_usize;
        for selection in &set.items {
            let of_it = match &selection.node {
                Selection::Field(field) => {
                    let field = &field.node;
                    let inner = self.selections(&field.selection_set.node, below);
                    inner.saturating_mul(length_of(&field.name.node))
                }
                Selection::InlineFragment(inline) => self.selections(&inline.node.selection_set.node, below),
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, below),
            };
            cost = cost.saturating_add(of_it).saturating_add(1);
        }
        cost
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

/// What the document costs, over all its operations.
pub(super) fn document_cost(document: &ExecutableDocument) -> usize {
    let mut walk = Walk { document, fragments: HashMap::new() };
    let sets: Vec<&SelectionSet> = match &document.operations {
        DocumentOperations::Single(operation) => vec![&operation.node.selection_set.node],
        DocumentOperations::Multiple(operations) => {
            operations.values().map(|operation| &operation.node.selection_set.node).collect()
        }
    };
    sets.into_iter().fold(0, |cost: usize, set| cost.saturating_add(walk.selections(set, DEPTH_MAX)))
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
