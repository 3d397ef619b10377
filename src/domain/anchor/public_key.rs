//! The public half of a key: what a signature is checked with.

use std::fmt;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};

/// Bytes of a key's hash that it is named by.
const ID_BYTES: usize = 8;

/// What a signature is checked with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> [u8; 32] {
        self.0
    }

    /// Reads 64 hexadecimal digits; None: they are not that, or no key that signs.
    pub fn read(written: &str) -> Option<Self> {
        let key = Self(bytes_of(written)?);
        key.verifying().map(|_| key)
    }

    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// What it is called: the first 16 digits of its SHA-256.
    pub fn id(&self) -> String {
        let hash = Sha256::digest(self.0);
        HEXLOWER.encode(hash.get(..ID_BYTES).unwrap_or_default())
    }

    fn verifying(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(&self.0).ok().filter(|key| !key.is_weak())
    }

    /// Whether a text was signed with this key.
    pub fn has_signed(&self, text: &str, signature: &[u8; 64]) -> bool {
        let signature = Signature::from_bytes(signature);
        self.verifying().is_some_and(|key| key.verify_strict(text.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({})", self.hex())
    }
}

/// The 32 bytes that 64 hexadecimal digits say.
pub(super) fn bytes_of(written: &str) -> Option<[u8; 32]> {
    let bytes = HEXLOWER_PERMISSIVE.decode(written.as_bytes()).ok()?;
    bytes.try_into().ok()
}
