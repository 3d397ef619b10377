//! The keys of anchors: Ed25519, so that who checks a signature needs no secret.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use super::public_key::{PublicKey, bytes_of};
use super::signed::{Anchor, AnchorFacts};

/// More keys than anybody ever had.
const KEYS_MAX: usize = 100;
/// What stands before a key of before, of which the secret is not needed any more.
const PUBLIC: &str = "public:";
/// What everybody knows: the anchors of a sandbox prove nothing to anybody.
const SANDBOX_SECRET: &str = "the anchors of a sandbox prove nothing";

/// The keys of anchors. One may sign; all are good for checking.
#[derive(Clone)]
pub struct AnchorKeys {
    signing: Option<SigningKey>,
    known: Vec<PublicKey>,
}

/// What is wrong with keys as they were written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnchorKeyError {
    #[error(
        "key {0} is expected as 64 hexadecimal digits (openssl rand -hex 32), or as public: and 64 digits; several with commas between"
    )]
    Form(usize),
    #[error("key {0} is given twice")]
    Twice(usize),
    #[error("more than {KEYS_MAX} keys are given")]
    Many,
}

/// What is wrong with an anchor's signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenAnchor {
    #[error("is signed with key {0}, which ABACUS_ANCHOR_KEY does not have")]
    OtherKey(String),
    #[error("is not what was signed")]
    Differs,
}

impl fmt::Debug for AnchorKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AnchorKeys({:?})", self.known)
    }
}

impl AnchorKeys {
    /// No key: nothing is anchored.
    pub fn none() -> Self {
        Self { signing: None, known: Vec::new() }
    }

    /// The key of all sandboxes, which is no secret.
    pub fn of_sandbox() -> Self {
        Self::signing_with(Sha256::digest(SANDBOX_SECRET).into())
    }

    /// Nothing is signed, and what one of these keys has signed is good.
    pub fn checking(known: Vec<PublicKey>) -> Self {
        Self { signing: None, known }
    }

    fn signing_with(secret: [u8; 32]) -> Self {
        let signing = SigningKey::from_bytes(&secret);
        let known = vec![PublicKey::from_bytes(signing.verifying_key().to_bytes())];
        Self { signing: Some(signing), known }
    }

    /// Reads keys: the first that is a secret signs, and all are good for checking.
    pub fn read(written: &str) -> Result<Self, AnchorKeyError> {
        let mut keys = Self::none();
        let given = written.split(',').map(str::trim).filter(|key| !key.is_empty());
        for (place, key) in (1..).zip(given) {
            let public = match key.strip_prefix(PUBLIC) {
                Some(public) => PublicKey::read(public).ok_or(AnchorKeyError::Form(place))?,
                None => keys.take_secret(bytes_of(key).ok_or(AnchorKeyError::Form(place))?),
            };
            if keys.known.contains(&public) {
                return Err(AnchorKeyError::Twice(place));
            }
            if keys.known.len() >= KEYS_MAX {
                return Err(AnchorKeyError::Many);
            }
            keys.known.push(public);
        }
        Ok(keys)
    }

    fn take_secret(&mut self, secret: [u8; 32]) -> PublicKey {
        let signing = SigningKey::from_bytes(&secret);
        let public = PublicKey::from_bytes(signing.verifying_key().to_bytes());
        self.signing.get_or_insert(signing);
        public
    }

    /// The key that signs, if there is one.
    pub fn signing(&self) -> Option<PublicKey> {
        self.signing.as_ref().map(|key| PublicKey::from_bytes(key.verifying_key().to_bytes()))
    }

    /// All that are good for checking.
    pub fn known(&self) -> &[PublicKey] {
        &self.known
    }

    /// Signs what an anchor says; None: there is no key for that.
    pub fn sign(&self, facts: AnchorFacts) -> Option<Anchor> {
        let (signing, key) = (self.signing.as_ref()?, self.signing()?);
        let signature = signing.sign(facts.text(&key).as_bytes()).to_bytes();
        Some(Anchor { facts, key, signature })
    }

    /// Whether an anchor was signed with one of the keys. Without any it is only looked whether its own has.
    pub fn check(&self, anchor: &Anchor) -> Result<(), BrokenAnchor> {
        if !self.known.is_empty() && !self.known.contains(&anchor.key) {
            return Err(BrokenAnchor::OtherKey(anchor.key.id()));
        }
        if anchor.is_signed() { Ok(()) } else { Err(BrokenAnchor::Differs) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::anchor::merkle;

    const FIRST: &str = "1111111111111111111111111111111111111111111111111111111111111111";
    const SECOND: &str = "2222222222222222222222222222222222222222222222222222222222222222";

    fn facts() -> AnchorFacts {
        let at = "2026-12-01T10:00:00Z".parse().unwrap();
        AnchorFacts { number: 1, at, accounts: 0, root: merkle::EMPTY, previous: None }
    }

    #[test]
    fn a_key_is_changed_and_what_it_signed_stays_good() {
        let old = AnchorKeys::read(FIRST).unwrap();
        let anchor = old.sign(facts()).unwrap();
        let old_key = old.signing().unwrap();
        let new = AnchorKeys::read(&format!("{SECOND}, public:{}", old_key.hex())).unwrap();
        assert_ne!(new.signing(), Some(old_key));
        assert_eq!(new.check(&anchor), Ok(()));
        let without = AnchorKeys::read(SECOND).unwrap();
        assert_eq!(without.check(&anchor), Err(BrokenAnchor::OtherKey(old_key.id())));
        assert_eq!(AnchorKeys::none().check(&anchor), Ok(()));
        assert_eq!(AnchorKeys::none().sign(facts()), None);
        assert_eq!(AnchorKeys::read(&format!("public:{}", old_key.hex())).unwrap().sign(facts()), None);
    }

    #[test]
    fn what_was_altered_is_not_what_was_signed() {
        let keys = AnchorKeys::of_sandbox();
        let anchor = keys.sign(facts()).unwrap();
        assert_eq!(keys.check(&anchor), Ok(()));
        let altered = AnchorFacts { accounts: 1, ..anchor.facts.clone() };
        assert_eq!(keys.check(&Anchor { facts: altered, ..anchor.clone() }), Err(BrokenAnchor::Differs));
        let mut signature = anchor.signature;
        signature[63] ^= 1;
        assert_eq!(keys.check(&Anchor { signature, ..anchor }), Err(BrokenAnchor::Differs));
    }

    #[test]
    fn keys_that_cannot_be_right_are_refused() {
        let refused = |written: &str| AnchorKeys::read(written).unwrap_err();
        assert_eq!(refused("secret"), AnchorKeyError::Form(1));
        assert_eq!(refused(&format!("{FIRST},public:{}", &FIRST[2..])), AnchorKeyError::Form(2));
        assert_eq!(refused(&format!("{FIRST},{FIRST}")), AnchorKeyError::Twice(2));
        // A point of small order is good for every signature, and no key.
        assert_eq!(refused(&format!("public:{}", "0".repeat(64))), AnchorKeyError::Form(1));
        assert!(!format!("{:?}", AnchorKeys::read(FIRST).unwrap()).contains(FIRST));
    }
}
