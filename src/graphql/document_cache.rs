//! Parsed documents: clients send the same few texts over and over, and parsing them is a fifth of a request's work.

use std::sync::Arc;

use async_graphql::parser::parse_query;
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Request, ServerError};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

/// The texts that are kept, over all, in bytes.
const BYTES_MAX: u64 = 8 * 1024 * 1024;
const DOCUMENTS_EXPECTED: usize = 1_000;
/// Longer texts are parsed each time: they are rare, and one could push out many.
const TEXT_BYTES_MAX: usize = 32 * 1024;

#[derive(Clone)]
struct ByText;

impl Weighter<String, Arc<ExecutableDocument>> for ByText {
    fn weight(&self, text: &String, _: &Arc<ExecutableDocument>) -> u64 {
        text.len() as u64
    }
}

/// The documents that were parsed lately.
pub struct DocumentCache(Cache<String, Arc<ExecutableDocument>, ByText>);

impl Default for DocumentCache {
    fn default() -> Self {
        Self(Cache::with_weighter(DOCUMENTS_EXPECTED, BYTES_MAX, ByText))
    }
}

impl DocumentCache {
    /// Gives the request its parsed document.
    pub fn parse(&self, request: &mut Request) -> Result<Arc<ExecutableDocument>, ServerError> {
        let document = match self.0.get(request.query.as_str()) {
            Some(document) => document,
            None => {
                let document = Arc::new(parse_query(&request.query)?);
                if request.query.len() <= TEXT_BYTES_MAX {
                    self.0.insert(request.query.clone(), Arc::clone(&document));
                }
                document
            }
        };
        request.set_parsed_query(ExecutableDocument::clone(&document));
        Ok(document)
    }
}
