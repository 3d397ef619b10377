//! What an idempotency key is used for, as a digest: the same input with the same key is the same command.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::account::Hash;

/// What a key is used for, as digests.
#[derive(Debug, Clone)]
pub struct Fingerprints {
    /// By which it is kept.
    pub own: Hash,
    /// By which the same may have been kept, written otherwise.
    pub others: Vec<Hash>,
}

impl From<Hash> for Fingerprints {
    fn from(own: Hash) -> Self {
        Self { own, others: Vec::new() }
    }
}

impl Fingerprints {
    pub fn include(&self, kept: Hash) -> bool {
        self.own == kept || self.others.contains(&kept)
    }
}

/// A digest of what a key is used for, as values.
pub fn fingerprint(asked: &impl Serialize) -> Hash {
    // What is asked is plain data: writing it as JSON cannot fail.
    Sha256::digest(serde_json::to_vec(asked).unwrap_or_default()).into()
}
