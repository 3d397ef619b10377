//! Parsed documents: clients send the same few texts over and over, and parsing them is a fifth of a request's work.
//! Each is kept for each of its operations that is run, without the others.

use std::sync::Arc;

use async_graphql::parser::parse_query;
use async_graphql::{Request, ServerError};
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use super::document_cost::require_affordable;
use super::document_text::Measure;
use super::operation::Operation;

/// What is kept, over all, in bytes of memory.
const BYTES_MAX: u64 = 64 * 1024 * 1024;
/// About what a token takes once it is parsed.
const TOKEN_BYTES: u64 = 256;
const DOCUMENTS_EXPECTED: usize = 1_000;
/// Longer texts, and those of more tokens, are parsed each time: they are rare, and one could push out many.
const TEXT_BYTES_MAX: usize = 32 * 1024;
const TOKENS_MAX: usize = 4_000;

/// Which operation of which document.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    text: String,
    operation: Option<String>,
}

/// The same, as a request says it.
#[derive(Hash)]
struct Asked<'r> {
    text: &'r str,
    operation: Option<&'r str>,
}

impl<'r> Asked<'r> {
    fn by(request: &'r Request) -> Self {
        Self { text: &request.query, operation: request.operation_name.as_deref() }
    }
}

impl Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.text == key.text && self.operation == key.operation.as_deref()
    }
}

/// An operation that is kept, with the tokens of its document.
#[derive(Clone)]
struct Kept {
    operation: Arc<Operation>,
    tokens: usize,
}

#[derive(Clone)]
struct ByMemory;

impl Weighter<Key, Kept> for ByMemory {
    fn weight(&self, key: &Key, kept: &Kept) -> u64 {
        TOKEN_BYTES.saturating_mul(kept.tokens as u64).saturating_add(key.text.len() as u64)
    }
}

/// The operations that were run lately.
pub struct DocumentCache(Cache<Key, Kept, ByMemory>);

impl Default for DocumentCache {
    fn default() -> Self {
        Self(Cache::with_weighter(DOCUMENTS_EXPECTED, BYTES_MAX, ByMemory))
    }
}

impl DocumentCache {
    /// The operation that a request runs, if it was run lately.
    pub fn known(&self, request: &Request) -> Option<Arc<Operation>> {
        Some(self.0.get(&Asked::by(request))?.operation)
    }

    /// The operation that a request runs; its text was measured, and is short enough to be parsed.
    pub fn parsed(&self, request: &Request, measure: Measure) -> Result<Arc<Operation>, ServerError> {
        let asked = Asked::by(request);
        let operation = Arc::new(parse(&asked)?);
        if asked.text.len() <= TEXT_BYTES_MAX && measure.tokens <= TOKENS_MAX {
            let key = Key { text: asked.text.to_owned(), operation: request.operation_name.clone() };
            self.0.insert(key, Kept { operation: Arc::clone(&operation), tokens: measure.tokens });
        }
        Ok(operation)
    }
}

fn parse(asked: &Asked<'_>) -> Result<Operation, ServerError> {
    let document = parse_query(asked.text)?;
    require_affordable(&document)?;
    Operation::of(document, asked.operation)
}
