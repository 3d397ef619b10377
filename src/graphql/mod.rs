//! The schema: types/ (one file per type), query/, mutation/, loaders, scalars, pagination, errors and limits.

pub mod app;
mod at_hand;
mod cost;
mod document_cache;
mod document_cost;
mod document_text;
mod enums;
pub mod error;
mod executor;
mod input;
mod inputs;
pub mod invoice_links;
pub mod limits;
mod listed;
mod loaders;
pub mod lookups;
mod mutation;
mod nullable;
mod operation;
mod pagination;
mod payload;
mod price_input;
mod query;
mod scalars;
mod schema_types;
pub mod session;
mod types;

use async_graphql::{EmptySubscription, Schema, SchemaBuilder};

pub use document_cache::DocumentCache;
pub use document_text::Measure;
pub use executor::{Executor, was_executed};
pub use limits::{ERRORS_MAX, Limits};
pub use operation::Operation;

/// The schema that clients see.
type AbacusSchema = Schema<query::Query, mutation::Mutation, EmptySubscription>;

fn builder() -> SchemaBuilder<query::Query, mutation::Mutation, EmptySubscription> {
    Schema::build(query::Query, mutation::Mutation::default(), EmptySubscription).disable_suggestions()
}

/// The schema with its limits in force, but for what a request may cost (graphql/cost.rs).
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
