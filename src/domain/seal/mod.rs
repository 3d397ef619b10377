//! Seals: what a row says, and who wrote it. A seal is a MAC under a key that is kept outside the database, so whoever can change
//! rows there cannot make one. docs/adr/0026 has the reasons.

mod approvals;
mod payments;
mod rows;

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, NaiveDate, Utc};
use hmac::{Hmac, Mac};
use rust_decimal::Decimal;
use sha2::Sha256;
use uuid::Uuid;

use super::ids::AccountId;

/// Which key made a seal or an entry's hash; 0: none, as before there were keys.
pub type KeyVersion = i16;

/// A secret of a key has so many bytes at least.
pub const KEY_BYTES_MIN: usize = 32;
/// More keys than anybody ever had.
const KEYS_MAX: usize = 100;
/// Of a MAC so many bytes are kept: forging one is a matter of 2^128 tries.
const MAC_BYTES: usize = 16;
/// A version, and the MAC.
const SEAL_BYTES: usize = 2 + MAC_BYTES;

/// What everybody knows: a sandbox's money is play money. Where a ledger was sealed so before it had a key of its own, the key is
/// named by this word.
const SANDBOX_NAME: &str = "sandbox";
const SANDBOX_SECRET: &str = "the seals of a sandbox keep nobody out of it";

/// The keys of seals. One seals; all are good for looking.
#[derive(Clone)]
pub struct SealKeys {
    sealing: KeyVersion,
    keys: BTreeMap<KeyVersion, Hmac<Sha256>>,
}

/// What is wrong with keys as they were written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealKeyError {
    #[error(
        "key {0} is expected as VERSION:SECRET, its version a number from 1 to 32767, several with commas between"
    )]
    Form(usize),
    #[error("the secret of version {0} must be at least {KEY_BYTES_MIN} bytes long")]
    Short(KeyVersion),
    #[error("version {0} is given twice")]
    Twice(KeyVersion),
    #[error("no key is given")]
    None,
    #[error("more than {KEYS_MAX} keys are given")]
    Many,
}

impl fmt::Debug for SealKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealKeys(versions {:?})", self.keys.keys())
    }
}

impl SealKeys {
    /// Reads keys that are written as `VERSION:SECRET,…`, the one that seals first; the secret `sandbox` stands for the one that
    /// everybody knows.
    pub fn read(written: &str) -> Result<Self, SealKeyError> {
        let (mut keys, mut sealing) = (BTreeMap::new(), None);
        let given = written.split(',').map(str::trim).filter(|key| !key.is_empty());
        for (place, key) in (1..).zip(given) {
            let (version, secret) = key.split_once(':').ok_or(SealKeyError::Form(place))?;
            let version: KeyVersion = version.parse().map_err(|_| SealKeyError::Form(place))?;
            if version < 1 {
                return Err(SealKeyError::Form(place));
            }
            let secret = if secret == SANDBOX_NAME { SANDBOX_SECRET } else { secret };
            if secret.len() < KEY_BYTES_MIN {
                return Err(SealKeyError::Short(version));
            }
            if keys.len() >= KEYS_MAX {
                return Err(SealKeyError::Many);
            }
            if keys.insert(version, keyed(secret.as_bytes())).is_some() {
                return Err(SealKeyError::Twice(version));
            }
            sealing.get_or_insert(version);
        }
        Ok(Self { sealing: sealing.ok_or(SealKeyError::None)?, keys })
    }

    /// The key of all sandboxes, which is no secret.
    pub fn of_sandbox() -> Self {
        Self { sealing: 1, keys: BTreeMap::from([(1, keyed(SANDBOX_SECRET.as_bytes()))]) }
    }

    /// The version of the key that seals.
    pub fn sealing(&self) -> KeyVersion {
        self.sealing
    }

    /// By what a database knows each key: its version, and what only it makes of a text that everybody knows.
    pub fn marks(&self) -> Vec<(KeyVersion, Vec<u8>)> {
        let mark = |version: &KeyVersion| {
            let mac = self.mac(*version, |sealing| sealing.text("the mark of a key"))?;
            Some((*version, mac.get(..MAC_BYTES)?.to_vec()))
        };
        self.keys.keys().filter_map(mark).collect()
    }

    /// The seal of a row as it is.
    pub fn seal<T: Sealed>(&self, row: &T) -> Vec<u8> {
        let mut seal = Vec::with_capacity(SEAL_BYTES);
        seal.extend(self.sealing.to_be_bytes());
        seal.extend(self.mac_of(self.sealing, row).unwrap_or_default());
        seal
    }

    /// What a row bears that was changed after somebody else had altered it.
    pub fn broken() -> Vec<u8> {
        vec![0; SEAL_BYTES]
    }

    /// A text as the key that seals knows it: who has no key cannot tell which it was.
    pub fn digest(&self, text: &str) -> Vec<u8> {
        self.digest_by(self.sealing, text).unwrap_or_default()
    }

    /// A text as each of the keys knows it.
    pub fn digests(&self, text: &str) -> Vec<Vec<u8>> {
        self.keys.keys().filter_map(|version| self.digest_by(*version, text)).collect()
    }

    fn digest_by(&self, version: KeyVersion, text: &str) -> Option<Vec<u8>> {
        let mac = self.mac(version, |sealing| {
            sealing.text("a text that was given up");
            sealing.text(text);
        })?;
        Some(mac.to_vec())
    }

    /// Whether a row is what was sealed.
    pub fn check<T: Sealed>(&self, row: &T, seal: Option<&[u8]>) -> Result<(), BrokenSeal> {
        let seal = seal.ok_or(BrokenSeal::None)?;
        let (version, mac) = seal.split_first_chunk::<2>().ok_or(BrokenSeal::NoSeal)?;
        let version = KeyVersion::from_be_bytes(*version);
        if seal == Self::broken() {
            return Err(BrokenSeal::Differs);
        }
        if mac.len() != MAC_BYTES {
            return Err(BrokenSeal::NoSeal);
        }
        match self.mac_of(version, row) {
            None => Err(BrokenSeal::OtherKey(version)),
            Some(is) if is == mac => Ok(()),
            Some(_) => Err(BrokenSeal::Differs),
        }
    }

    fn mac_of<T: Sealed>(&self, version: KeyVersion, row: &T) -> Option<[u8; MAC_BYTES]> {
        let mac = self.mac(version, |sealing| {
            sealing.text(T::KIND);
            row.tell(sealing);
        })?;
        mac.first_chunk().copied()
    }

    /// The MAC of what is told, under the key of a version; None: there is no such key.
    pub(super) fn mac(&self, version: KeyVersion, tell: impl FnOnce(&mut Sealing)) -> Option<[u8; 32]> {
        let mut sealing = Sealing(self.keys.get(&version)?.clone());
        tell(&mut sealing);
        Some(sealing.0.finalize().into_bytes().into())
    }
}

fn keyed(secret: &[u8]) -> Hmac<Sha256> {
    // A key of HMAC may have any length: its documentation says that this cannot fail. What is not keyed would seal nothing.
    Hmac::<Sha256>::new_from_slice(secret).unwrap_or_else(|_| Hmac::<Sha256>::new(&Default::default()))
}

/// What is wrong with a seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenSeal {
    #[error("is not sealed")]
    None,
    #[error("bears something that is no seal")]
    NoSeal,
    #[error("is sealed with key {0}, which this server does not have")]
    OtherKey(KeyVersion),
    /// Or was not when the server changed it.
    #[error("is not what was sealed")]
    Differs,
}

/// What is kept sealed.
pub trait Sealed {
    /// So that a row of one kind is never good for another.
    const KIND: &'static str;

    /// Whose it is.
    fn owner(&self) -> AccountId;

    /// What people call it.
    fn name(&self) -> String;

    /// Tells all that the row says, always in the same order. What is added later is told only where it is set, so that what was
    /// sealed before stays what it was.
    fn tell(&self, to: &mut Sealing);
}

/// A seal in the making: each part with its length or its presence, so that no two rows read alike.
pub struct Sealing(Hmac<Sha256>);

impl Sealing {
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(bytes);
    }

    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub fn flag(&mut self, flag: bool) {
        self.0.update(&[u8::from(flag)]);
    }

    pub fn integer(&mut self, number: impl Into<i64>) {
        self.0.update(&number.into().to_be_bytes());
    }

    /// By its value: 1.5 and 1.50 are the same.
    pub fn number(&mut self, number: Decimal) {
        let number = number.normalize();
        self.0.update(&number.mantissa().to_be_bytes());
        self.0.update(&number.scale().to_be_bytes());
    }

    pub fn instant(&mut self, instant: DateTime<Utc>) {
        self.integer(instant.timestamp_micros());
    }

    pub fn date(&mut self, date: NaiveDate) {
        self.text(&date.to_string());
    }

    pub fn uuid(&mut self, uuid: Uuid) {
        self.0.update(uuid.as_bytes());
    }

    /// What may be absent.
    pub fn maybe<T>(&mut self, value: Option<T>, tell: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            tell(self, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair(&'static str, &'static str);

    impl Sealed for Pair {
        const KIND: &'static str = "pair";
        fn owner(&self) -> AccountId {
            AccountId(1)
        }
        fn name(&self) -> String {
            String::new()
        }
        fn tell(&self, to: &mut Sealing) {
            to.text(self.0);
            to.text(self.1);
        }
    }

    struct Other(Pair);

    impl Sealed for Other {
        const KIND: &'static str = "other";
        fn owner(&self) -> AccountId {
            AccountId(1)
        }
        fn name(&self) -> String {
            String::new()
        }
        fn tell(&self, to: &mut Sealing) {
            self.0.tell(to);
        }
    }

    fn keys(written: &str) -> SealKeys {
        SealKeys::read(written).unwrap()
    }

    const FIRST: &str = "1:first-first-first-first-first-first";
    const BOTH: &str = "2:second-second-second-second-second, 1:first-first-first-first-first-first";

    #[test]
    fn a_seal_is_good_for_what_was_sealed_and_nothing_else() {
        let keys = keys(FIRST);
        let seal = keys.seal(&Pair("ab", "c"));
        assert_eq!(keys.check(&Pair("ab", "c"), Some(&seal)), Ok(()));
        assert_eq!(keys.check(&Pair("a", "bc"), Some(&seal)), Err(BrokenSeal::Differs));
        assert_eq!(keys.check(&Other(Pair("ab", "c")), Some(&seal)), Err(BrokenSeal::Differs));
        assert_eq!(keys.check(&Pair("ab", "c"), None), Err(BrokenSeal::None));
        assert_eq!(keys.check(&Pair("ab", "c"), seal.get(..5)), Err(BrokenSeal::NoSeal));
    }

    #[test]
    fn the_first_key_seals_and_all_are_good_for_looking() {
        let (old, both) = (keys(FIRST), keys(BOTH));
        let (before, after) = (old.seal(&Pair("a", "b")), both.seal(&Pair("a", "b")));
        assert_eq!((both.sealing(), old.sealing()), (2, 1));
        assert_eq!(both.check(&Pair("a", "b"), Some(&before)), Ok(()));
        assert_eq!(old.check(&Pair("a", "b"), Some(&after)), Err(BrokenSeal::OtherKey(2)));
        assert_eq!(old.marks(), both.marks().get(..1).unwrap());
    }

    #[test]
    fn keys_that_cannot_be_right_are_refused() {
        let refused = |written: &str| SealKeys::read(written).unwrap_err();
        assert_eq!(refused(""), SealKeyError::None);
        assert_eq!(refused("secret"), SealKeyError::Form(1));
        assert_eq!(refused("0:first-first-first-first-first-first"), SealKeyError::Form(1));
        assert_eq!(refused("7:short"), SealKeyError::Short(7));
        assert_eq!(refused(&format!("{FIRST},{FIRST}")), SealKeyError::Twice(1));
        assert!(!format!("{:?}", keys(FIRST)).contains("first"));
    }

    #[test]
    fn numbers_are_sealed_by_their_value() {
        struct Number(Decimal);
        impl Sealed for Number {
            const KIND: &'static str = "number";
            fn owner(&self) -> AccountId {
                AccountId(1)
            }
            fn name(&self) -> String {
                String::new()
            }
            fn tell(&self, to: &mut Sealing) {
                to.number(self.0);
            }
        }
        let keys = SealKeys::of_sandbox();
        let seal = keys.seal(&Number(Decimal::new(150, 2)));
        assert_eq!(keys.check(&Number(Decimal::new(15, 1)), Some(&seal)), Ok(()));
        assert_eq!(keys.check(&Number(Decimal::new(15, 0)), Some(&seal)), Err(BrokenSeal::Differs));
        let zero = keys.seal(&Number(Decimal::new(0, 10)));
        assert_eq!(keys.check(&Number(-Decimal::ZERO), Some(&zero)), Ok(()));
    }
}
