//! The schema: types/ (one file per type), query/, mutation/, loaders, scalars, pagination, errors and limits.

pub mod app;
mod enums;
pub mod error;
pub mod fuzz_entry_points;
mod input;
pub mod invoice_links;
mod loaders;
mod mutation;
mod nullable;
mod pagination;
mod payload;
mod price_input;
mod query;
mod runtime;
mod scalars;
pub mod session;
mod types;

use std::sync::LazyLock;

use async_graphql::{EmptySubscription, Schema, SchemaBuilder};
use types::service_config::{FieldCost, FieldCosts};

pub use runtime::document_cache::DocumentCache;
pub use runtime::document_text::Measure;
pub use runtime::executor::{Executor, was_executed};
pub use runtime::json_answer::write_response;
pub use runtime::limits::{ERRORS_MAX, Limits};
pub use runtime::operation::Operation;
pub use runtime::request_loader::RequestLoader;

/// The schema that clients see.
type AbacusSchema = Schema<query::Query, mutation::Mutation, EmptySubscription>;

fn builder() -> SchemaBuilder<query::Query, mutation::Mutation, EmptySubscription> {
    Schema::build(query::Query::default(), mutation::Mutation::default(), EmptySubscription)
        .disable_suggestions()
        .data(FieldCosts(told_costs))
}

fn told_costs() -> &'static [FieldCost] {
    static COSTS: LazyLock<Vec<FieldCost>> = LazyLock::new(|| runtime::cost::field_costs(&sdl()));
    &COSTS
}

/// The schema with its limits in force, but for what a request may cost (graphql/runtime/cost.rs).
fn limited(limits: &Limits) -> SchemaBuilder<query::Query, mutation::Mutation, EmptySubscription> {
    builder()
        .limit_depth(limits.depth_max)
        .limit_aliases(limits.aliases_max)
        .limit_directives(limits.directives_max)
        .limit_recursive_depth(limits.recursion_max)
}

/// The schema in the schema definition language: what schema.graphql holds.
pub fn sdl() -> String {
    builder().finish().sdl()
}
