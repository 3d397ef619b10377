//! What a request costs, by its fields and by how long the lists are that it asks for.
//!
//! A field costs 1, and what is below a list as often as the list is long. Of a page that holds for its `nodes` and
//! `edges`; what it tells of the whole list, `totalCount` and the like, counts once.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet};
use async_graphql::{ErrorExtensionValues, Pos, Positioned, ServerError, Value, Variables};

use super::document_cost::DEPTH_MAX;
use super::field_price::{FILTERED_PAGE, FILTERED_WHOLE, Price, Times, is_of_whole, is_row, is_walked};
use super::limits::{PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use super::schema_types::{FieldType, SchemaTypes, schema_types};
use crate::graphql::types::service_config::{FieldCost, clamped};

/// The fields of an unusual price, in the order of their names, as clients are told them; `printed` is the schema.
pub(in crate::graphql) fn field_costs(printed: &str) -> Vec<FieldCost> {
    // Parts that objects are merged of are types to async-graphql, and not to whoever reads the schema.
    let is_printed = |object: &str| {
        let is_type = |kind: &str| printed.contains(&format!("\n{kind} {object} "));
        is_type("type") || is_type("interface")
    };
    let unusual = schema_types().fields().filter(|(.., field)| field.price != Price::USUAL);
    let unusual = unusual.filter(|(object, ..)| is_printed(object));
    let mut costs: Vec<FieldCost> = unusual
        .map(|(object, name, field)| FieldCost {
            field: format!("{object}.{name}"),
            cost: clamped(field.price.own),
            times: match field.price.times {
                Times::Fixed(times) => Some(clamped(times)),
                Times::Page | Times::Ids => None,
            },
        })
        .collect();
    costs.sort_by(|one, other| one.field.cmp(&other.field));
    costs
}

/// What a selection costs: of a page, for each thing on it, and once.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    rows: usize,
    once: usize,
    /// How often something of the whole list is asked for.
    of_whole: usize,
}

impl Sum {
    const TOO_DEEP: Self = Self { rows: usize::MAX, once: usize::MAX, of_whole: 0 };

    fn plus(self, other: Self) -> Self {
        Self {
            rows: self.rows.saturating_add(other.rows),
            once: self.once.saturating_add(other.once),
            of_whole: self.of_whole.saturating_add(other.of_whole),
        }
    }

    fn all(self) -> usize {
        self.rows.saturating_add(self.once)
    }
}

/// Looks what an operation costs.
pub(in crate::graphql) struct Costs<'d> {
    types: &'d SchemaTypes,
    document: &'d ExecutableDocument,
    operation: &'d OperationDefinition,
    /// None: whatever they are; what they say of a list's length is the most that it may be.
    variables: Option<&'d Variables>,
    /// What fragments cost that were met before.
    fragments: HashMap<&'d str, Sum>,
}

/// A selection's field, with the type that it is a field of.
type Selected<'d> = (&'d Positioned<Field>, &'d str);

impl<'d> Costs<'d> {
    pub fn of(
        types: &'d SchemaTypes,
        document: &'d ExecutableDocument,
        operation: &'d OperationDefinition,
        variables: Option<&'d Variables>,
    ) -> Self {
        Self { types, document, operation, variables, fragments: HashMap::new() }
    }

    /// What all of it costs.
    pub fn total(&mut self) -> usize {
        let root = self.types.root(self.operation.ty);
        self.selections(&self.operation.selection_set.node, root, DEPTH_MAX).all()
    }

    fn selections(&mut self, set: &'d SelectionSet, parent: &'d str, depth: usize) -> Sum {
        let Some(below) = depth.checked_sub(1) else { return Sum::TOO_DEEP };
        set.items.iter().fold(Sum::default(), |sum, selection| {
            sum.plus(match &selection.node {
                Selection::Field(field) => {
                    let cost = self.field((field, parent), below);
                    let name = &field.node.name.node;
                    let of_whole = usize::from(is_of_whole(parent, name));
                    if is_row(parent, name) {
                        Sum { rows: cost, once: 0, of_whole }
                    } else {
                        Sum { rows: 0, once: cost, of_whole }
                    }
                }
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref();
                    let parent = on.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.selections(&inline.node.selection_set.node, parent, below)
                }
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node, below),
            })
        })
    }

    fn fragment(&mut self, name: &'d str, depth: usize) -> Sum {
        if let Some(cost) = self.fragments.get(name) {
            return *cost;
        }
        let Some(fragment) = self.document.fragments.get(name) else { return Sum::default() };
        // One that spreads itself is refused by validation.
        self.fragments.insert(name, Sum::default());
        let on = fragment.node.type_condition.node.on.node.as_str();
        let cost = self.selections(&fragment.node.selection_set.node, on, depth);
        self.fragments.insert(name, cost);
        cost
    }

    fn field(&mut self, (field, parent): Selected<'d>, depth: usize) -> usize {
        let known = self.types.field(parent, &field.node.name.node);
        let below = known.map_or("", |known| known.type_name.as_str());
        let sum = self.selections(&field.node.selection_set.node, below, depth);
        let price = known.map_or(Price::USUAL, |known| known.price);
        let (rows, once) = self.times(price.times, &field.node);
        let filtered = if self.is_filtered(&field.node, parent) {
            FILTERED_PAGE.saturating_add(sum.of_whole.saturating_mul(FILTERED_WHOLE))
        } else {
            0
        };
        let own = price.own.saturating_add(filtered);
        own.saturating_add(sum.rows.saturating_mul(rows)).saturating_add(sum.once.saturating_mul(once))
    }

    /// Whether a list is narrowed by a filter; one that is not known yet is.
    fn is_filtered(&self, field: &Field, parent: &str) -> bool {
        let name = field.name.node.as_str();
        if !is_walked(parent, name) {
            return false;
        }
        let narrows = |value: &Value| match value {
            Value::Object(fields) => Some(usize::from(fields.values().any(|value| *value != Value::Null))),
            Value::Null => None,
            _ => Some(1),
        };
        self.argument(field, "filter", narrows).is_some_and(|narrows| narrows > 0)
    }

    /// How often rows, and the rest, below a field count.
    fn times(&self, times: Times, field: &Field) -> (usize, usize) {
        match times {
            Times::Fixed(times) => (times, times),
            Times::Page => (self.page_size(field), 1),
            Times::Ids => {
                let count = self.argument(field, "ids", |ids| match ids {
                    Value::List(ids) => Some(ids.len()),
                    _ => Some(1),
                });
                let count = count.unwrap_or(1).clamp(1, size(PAGE_SIZE_MAX));
                (count, count)
            }
        }
    }

    fn page_size(&self, field: &Field) -> usize {
        let number = |value: &Value| match value {
            Value::Number(number) => {
                Some(number.as_i64().and_then(|number| usize::try_from(number).ok()).unwrap_or(1))
            }
            _ => None,
        };
        let asked = self.argument(field, "first", number).or_else(|| self.argument(field, "last", number));
        asked.unwrap_or(size(PAGE_SIZE_DEFAULT)).clamp(1, size(PAGE_SIZE_MAX))
    }

    /// What an argument says, if it is given; what is not known yet is the most that it can be.
    fn argument(&self, field: &Field, name: &str, read: impl Fn(&Value) -> Option<usize>) -> Option<usize> {
        let given = field.get_argument(name)?.node.clone();
        let Some(variables) = self.variables else {
            return match given.into_const() {
                Some(value) => read(&value),
                None => Some(usize::MAX),
            };
        };
        let value = given.into_const_with(|name| variables.get(&name).cloned().ok_or(()));
        read(&value.ok()?)
    }

    /// That it costs more than it may, and where most of that is.
    pub fn error(&mut self, limit: usize) -> ServerError {
        let total = self.total();
        let (path, cost, pos) = self.dearest(total);
        let message = format!(
            "the query costs {total}, and may cost {limit}: \"{path}\" is {cost} of it; serviceConfig tells what costs how much"
        );
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", "BAD_REQUEST");
        extensions.set("cost", total);
        extensions.set("costMax", limit);
        extensions.set("field", path);
        ServerError { extensions: Some(extensions), ..ServerError::new(message, pos) }
    }

    /// The innermost field that makes up more than half of what all costs, or else the dearest of the first: its path, what
    /// it comes to, and where it stands.
    fn dearest(&mut self, total: usize) -> (String, usize, Option<Pos>) {
        let mut found = (Vec::new(), 0, None);
        let mut set = &self.operation.selection_set.node;
        let mut parent = self.types.root(self.operation.ty);
        // How often rows, and the rest, of the selection count.
        let mut counts = (1_usize, 1_usize);
        for depth in (1..DEPTH_MAX).rev() {
            let mut fields = Vec::new();
            self.flatten(set, parent, depth, &mut fields);
            let dearest = fields.into_iter().map(|(field, parent)| {
                let times = if is_row(parent, &field.node.name.node) { counts.0 } else { counts.1 };
                (self.field((field, parent), depth).saturating_mul(times), times, field, parent)
            });
            let Some((cost, times, field, of)) = dearest.max_by_key(|(cost, ..)| *cost) else { break };
            if found.2.is_some() && cost < total.div_ceil(2) {
                break;
            }
            found.0.push(field.node.response_key().node.as_str());
            (found.1, found.2) = (cost, Some(field.pos));
            let Some(known) = self.types.field(of, &field.node.name.node) else { break };
            let (rows, once) = self.times(known.price.times, &field.node);
            counts = (times.saturating_mul(rows), times.saturating_mul(once));
            (set, parent) = (&field.node.selection_set.node, below(known));
        }
        (found.0.join("."), found.1, found.2)
    }

    /// The fields of a selection and of its fragments.
    fn flatten(&self, set: &'d SelectionSet, parent: &'d str, depth: usize, fields: &mut Vec<Selected<'d>>) {
        let Some(below) = depth.checked_sub(1) else { return };
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => fields.push((field, parent)),
                Selection::InlineFragment(inline) => {
                    let on = inline.node.type_condition.as_ref();
                    let parent = on.map_or(parent, |condition| condition.node.on.node.as_str());
                    self.flatten(&inline.node.selection_set.node, parent, below, fields);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.document.fragments.get(&spread.node.fragment_name.node) {
                        let on = fragment.node.type_condition.node.on.node.as_str();
                        self.flatten(&fragment.node.selection_set.node, on, below, fields);
                    }
                }
            }
        }
    }
}

fn below(field: &FieldType) -> &str {
    &field.type_name
}

fn size(size: i32) -> usize {
    usize::try_from(size).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::runtime::schema_types::schema_types;
    use async_graphql::parser::parse_query;

    fn cost(text: &str, variables: Option<serde_json::Value>) -> usize {
        let document = parse_query(text).unwrap();
        let variables = variables.map(Variables::from_json);
        let (_, operation) = document.operations.iter().next().unwrap();
        Costs::of(schema_types(), &document, &operation.node, variables.as_ref()).total()
    }

    fn known(text: &str) -> usize {
        cost(text, Some(serde_json::json!({})))
    }

    #[test]
    fn every_price_is_of_a_field_that_there_is() {
        for (object, field, ..) in crate::graphql::runtime::field_price::PRICES {
            assert!(schema_types().field(object, field).is_some(), "{object}.{field}");
        }
    }

    #[test]
    fn a_field_costs_one_and_below_a_list_as_often_as_it_is_long() {
        assert_eq!(known("{ viewer { role } }"), 2);
        assert_eq!(known("{ plans(first: 7) { nodes { id name } } }"), 1 + 7 * 3);
        assert_eq!(known("{ plans { nodes { id } } }"), 1 + 10 * 2);
        assert_eq!(known("{ plans(last: 3) { edges { cursor node { id } } } }"), 1 + 3 * 4);
        assert_eq!(known("{ plans(first: 1000000) { nodes { id } } }"), 1 + 100 * 2);
        assert_eq!(known("{ plans(first: -1) { nodes { id } } }"), 1 + 2);
        assert_eq!(known("{ nodes(ids: [\"a\", \"b\"]) { id } }"), 1 + 2);
        assert_eq!(known("{ account { notices { id } } }"), 1 + 1 + 10);
        assert_eq!(known("{ unmatchedPayments { reference status } }"), 100 + 50 * 2);
        assert_eq!(known("{ plans(first: 2) { nodes { resources { amount } } } }"), 1 + 2 * (1 + 1 + 5));
    }

    #[test]
    fn what_is_told_of_the_whole_list_costs_once() {
        assert_eq!(known("{ plans(first: 100) { totalCount pageInfo { endCursor } } }"), 1 + 20 + 2);
        assert_eq!(
            known(
                "{ bills(first: 100) { ...S nodes { id } } } fragment S on BillConnection { summary { paidCount } }"
            ),
            1 + 301 + 100 * 2
        );
    }

    #[test]
    fn a_list_that_is_narrowed_costs_what_is_looked_at_and_more_to_count() {
        let list = |filter: &str| format!("{{ orders(first: 10, filter: {filter}) {{ nodes {{ id }} }} }}");
        assert_eq!(known(&list("{ orderState: ACTIVE }")), 1 + 1_000 + 10 * 2);
        assert_eq!(known(&list("{}")), 1 + 10 * 2);
        assert_eq!(known(&list("{ searchWord: null }")), 1 + 10 * 2);
        let counted = "{ bills(first: 10, filter: { billStatus: PAID }) { totalCount ...S nodes { id } } }
            fragment S on BillConnection { summary { paidCount } }";
        assert_eq!(known(counted), 1 + 1_000 + 2 * 4_000 + 20 + 301 + 10 * 2);
        let text = "query($f: OrderFilter) { orders(first: 1, filter: $f) { nodes { id } } }";
        assert_eq!(cost(text, None), 1 + 1_000 + 2);
        assert_eq!(cost(text, Some(serde_json::json!({ "f": { "searchWord": "x" } }))), 1 + 1_000 + 2);
        assert_eq!(cost(text, Some(serde_json::json!({}))), 1 + 2);
        // What an index serves costs no more.
        let served = r#"{ ledger(first: 1, filter: { billingCycle: 7 }) { nodes { id } } }"#;
        assert_eq!(known(served), 1 + 2);
    }

    #[test]
    fn few_of_what_is_dear_fit_into_a_request() {
        let limit = crate::graphql::runtime::limits::Limits::default().complexity_max;
        let fit = |text: &str| limit / (known(text) - 1).max(1);
        assert_eq!(fit("{ account { forecast { soFar { amount } } } }"), 8);
        assert_eq!(fit("{ ledgerHealth { ok } }"), 2);
        assert_eq!(fit("{ orders(filter: { searchWord: \"x\" }, first: 1) { totalCount } }"), 9);
    }

    #[test]
    fn what_variables_may_ask_for_is_counted_until_they_are_known() {
        let text =
            "query($n: Int, $ids: [ID!]!) { plans(first: $n) { nodes { id } } nodes(ids: $ids) { id } }";
        assert_eq!(cost(text, None), 1 + 100 * 2 + 1 + 100);
        assert_eq!(cost(text, Some(serde_json::json!({ "n": 3, "ids": ["a"] }))), 1 + 3 * 2 + 1 + 1);
        assert_eq!(cost(text, Some(serde_json::json!({ "n": null, "ids": "a" }))), 1 + 10 * 2 + 1 + 1);
    }

    #[test]
    fn an_error_names_the_innermost_field_that_most_of_the_cost_is_in() {
        let text = "{ viewer { role } mine: orders(first: 100) { ...O } }
            fragment O on OrderConnection { totalCount nodes { bills(first: 50) { nodes { id } } } }";
        let document = parse_query(text).unwrap();
        let (_, operation) = document.operations.iter().next().unwrap();
        let variables = Variables::default();
        let mut costs = Costs::of(schema_types(), &document, &operation.node, Some(&variables));
        let total = 2 + 1 + 20 + 100 * (1 + 1 + 50 * 2);
        assert_eq!(costs.total(), total);
        let error = costs.error(5_000);
        let extensions = error.extensions.unwrap();
        assert_eq!(extensions.get("cost"), Some(&Value::from(total)));
        assert_eq!(extensions.get("field"), Some(&Value::from("mine.nodes.bills.nodes")));
        assert!(error.message.contains("10223") && error.message.contains("5000"), "{}", error.message);
    }
}
