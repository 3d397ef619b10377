//! An Ethereum address, and its text with a checksum (EIP-55).

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use sha3::{Digest, Keccak256};

use crate::payments::onchain::hex;

/// Bytes of an address.
const LENGTH: usize = 20;

/// An account or a contract of an EVM chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Address([u8; LENGTH]);

/// Not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not 0x and 40 hexadecimal digits.
    #[error("an address is 0x and 40 hexadecimal digits")]
    Malformed,
    /// Its capital letters are not those of its checksum.
    #[error("the address has a wrong checksum: a letter was changed")]
    WrongChecksum,
}

impl Address {
    /// The address of these bytes.
    pub const fn new(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// The address of a public key, given as its two coordinates.
    pub fn of_public_key(x_and_y: &[u8]) -> Option<Self> {
        Keccak256::digest(x_and_y).last_chunk().copied().map(Self)
    }

    /// The address in a word of an event: its last bytes, where all before are zero.
    pub fn of_word(word: &[u8; 32]) -> Option<Self> {
        let (padding, address) = word.split_last_chunk()?;
        padding.iter().all(|byte| *byte == 0).then_some(Self(*address))
    }

    /// The word of an event that holds this address.
    pub fn word(&self) -> [u8; 32] {
        let mut word = [0; 32];
        if let Some(end) = word.last_chunk_mut() {
            *end = self.0;
        }
        word
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_checksum(&hex::encode(&self.0)))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A letter is a capital where the hash of the lower-case digits has 8 or more in its place.
fn with_checksum(lower: &str) -> String {
    let digits = lower.strip_prefix("0x").unwrap_or(lower);
    let hash = Keccak256::digest(digits.as_bytes());
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    let shown = |(digit, nibble): (char, u8)| if nibble < 8 { digit } else { digit.to_ascii_uppercase() };
    "0x".chars().chain(digits.chars().zip(nibbles).map(shown)).collect()
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let address = hex::decode(text).map(Self).ok_or(AddressError::Malformed)?;
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let has_checksum = digits.contains(|digit: char| digit.is_ascii_uppercase())
            && digits.contains(|digit: char| digit.is_ascii_lowercase());
        if has_checksum && address.to_string() != text {
            return Err(AddressError::WrongChecksum);
        }
        Ok(address)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_eip_55() {
        for text in [
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0xde709f2102306220921060314715629080e2fb77",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
            "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
            assert_eq!(text.to_lowercase().parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_changed_letter_is_noticed() {
        let changed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed";
        assert_eq!(changed.parse::<Address>(), Err(AddressError::WrongChecksum));
    }

    #[test]
    fn what_is_no_address() {
        for text in
            ["", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeA"]
        {
            assert_eq!(text.parse::<Address>(), Err(AddressError::Malformed), "{text}");
        }
    }

    #[test]
    fn a_word_and_its_address() {
        let address = Address::new([7; LENGTH]);
        let mut word = address.word();
        assert_eq!(Address::of_word(&word), Some(address));
        word[0] = 1;
        assert_eq!(Address::of_word(&word), None);
    }
}
