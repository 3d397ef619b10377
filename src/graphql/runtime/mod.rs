//! The machine that carries out requests, whatever the schema says: documents are read, checked and priced, fields that are at hand are
//! written at once, and what is asked for together is looked up together (docs/adr/0006).

pub(super) mod cost;
mod data_loader;
pub(super) mod document_cache;
pub(super) mod document_cost;
pub(super) mod document_text;
pub(super) mod eager;
pub(super) mod executor;
pub(super) mod field_price;
pub(super) mod inputs;
pub(super) mod json_answer;
pub(super) mod key;
pub(super) mod limits;
pub(super) mod list_item;
pub(super) mod operation;
pub(super) mod request_loader;
pub(super) mod schema_types;
