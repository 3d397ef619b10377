//! Queries that are sent once and named by their hash from then on. Source: Apollo's protocol of automatic persisted queries, version 1.
//!
//! What is kept is kept by each server for itself and may be pushed out: who is told that it is not there sends the text along, as the
//! protocol has it.

use data_encoding::HEXLOWER;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::graphql::error::ApiError;

/// What is kept, over all, in bytes of text.
const BYTES_MAX: u64 = 16 * 1024 * 1024;
const QUERIES_EXPECTED: usize = 2_000;
/// Longer texts are sent each time.
const TEXT_BYTES_MAX: usize = 32 * 1024;

/// How a request names its query.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PersistedQuery {
    version: i64,
    sha256_hash: String,
}

type Hash = [u8; 32];

#[derive(Clone)]
struct ByLength;

impl Weighter<Hash, String> for ByLength {
    fn weight(&self, _: &Hash, text: &String) -> u64 {
        (text.len() as u64).saturating_add(64)
    }
}

/// The texts by their hashes.
pub(super) struct PersistedQueries(Cache<Hash, String, ByLength>);

impl Default for PersistedQueries {
    fn default() -> Self {
        Self(Cache::with_weighter(QUERIES_EXPECTED, BYTES_MAX, ByLength))
    }
}

impl PersistedQueries {
    /// The text of a request that has one, or names one, or both; None: neither.
    pub fn text(
        &self,
        text: Option<String>,
        named: Option<PersistedQuery>,
    ) -> Result<Option<String>, ApiError> {
        let Some(PersistedQuery { version, sha256_hash }) = named else { return Ok(text) };
        if version != 1 {
            let message = "PersistedQueryNotSupported";
            return Err(ApiError::new("PERSISTED_QUERY_NOT_SUPPORTED", message));
        }
        let malformed =
            || ApiError::bad_request("persistedQuery.sha256Hash: 64 hexadecimal digits are expected");
        let lower = sha256_hash.to_ascii_lowercase();
        let hash = HEXLOWER.decode(lower.as_bytes()).map_err(|_| malformed())?;
        let hash = Hash::try_from(hash).map_err(|_| malformed())?;
        let Some(text) = text else {
            let known = self.0.get(&hash).map(Some);
            return known.ok_or_else(|| ApiError::new("PERSISTED_QUERY_NOT_FOUND", "PersistedQueryNotFound"));
        };
        if Hash::from(Sha256::digest(text.as_bytes())) != hash {
            return Err(ApiError::bad_request("persistedQuery.sha256Hash: it is not the query's"));
        }
        if text.len() <= TEXT_BYTES_MAX {
            self.0.insert(hash, text.clone());
        }
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Option<PersistedQuery> {
        Some(PersistedQuery { version: 1, sha256_hash: HEXLOWER.encode(&Sha256::digest(text)) })
    }

    fn code(answer: Result<Option<String>, ApiError>) -> &'static str {
        answer.unwrap_err().code
    }

    #[test]
    fn a_text_is_known_by_its_hash_once_it_was_sent_along() {
        let queries = PersistedQueries::default();
        let text = "{ __typename }";
        assert_eq!(queries.text(None, None).unwrap(), None);
        assert_eq!(code(queries.text(None, named(text))), "PERSISTED_QUERY_NOT_FOUND");
        assert_eq!(queries.text(Some(text.to_owned()), named(text)).unwrap().as_deref(), Some(text));
        assert_eq!(queries.text(None, named(text)).unwrap().as_deref(), Some(text));
        let upper = named(text)
            .map(|named| PersistedQuery { sha256_hash: named.sha256_hash.to_ascii_uppercase(), ..named });
        assert_eq!(queries.text(None, upper).unwrap().as_deref(), Some(text));
    }

    #[test]
    fn a_hash_that_is_not_the_texts_or_none_is_refused_and_nothing_is_kept() {
        let queries = PersistedQueries::default();
        assert_eq!(code(queries.text(Some("{ a }".to_owned()), named("{ b }"))), "BAD_REQUEST");
        assert_eq!(code(queries.text(None, named("{ b }"))), "PERSISTED_QUERY_NOT_FOUND");
        for wrong in ["", "zz", &"0".repeat(63), &"0".repeat(66)] {
            let named = Some(PersistedQuery { version: 1, sha256_hash: wrong.to_owned() });
            assert_eq!(code(queries.text(None, named)), "BAD_REQUEST", "{wrong}");
        }
        let later = named("{ a }").map(|named| PersistedQuery { version: 2, ..named });
        assert_eq!(code(queries.text(Some("{ a }".to_owned()), later)), "PERSISTED_QUERY_NOT_SUPPORTED");
        let long = format!("{{ a }} # {}", "x".repeat(TEXT_BYTES_MAX));
        assert!(queries.text(Some(long.clone()), named(&long)).is_ok());
        assert_eq!(code(queries.text(None, named(&long))), "PERSISTED_QUERY_NOT_FOUND");
    }
}
