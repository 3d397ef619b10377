//! The forms of JSON-RPC's requests and answers.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::payments::onchain::address::Address;
use crate::payments::onchain::chain::{Block, BlockRef, ChainError, Hash, Log};
use crate::payments::onchain::hex;

/// Each request has a connection to itself, or its turn on one.
const ID: u64 = 1;

/// The body of a request.
pub fn request(method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": ID, "method": method, "params": params }).to_string()
}

/// A number as nodes write it.
pub fn quantity(number: u64) -> String {
    format!("{number:#x}")
}

/// An address without its checksum.
pub fn address(address: &Address) -> String {
    hex::encode(address.bytes())
}

/// An address as a topic of an event.
pub fn word(address: &Address) -> String {
    hex::encode(&address.word())
}

/// An answer.
#[derive(Debug, Deserialize)]
pub struct Reply<T> {
    #[serde(default)]
    id: Value,
    result: Option<T>,
    error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    code: i64,
    #[serde(default)]
    message: String,
}

impl<T> Reply<T> {
    /// The result that is wanted; None: it is null.
    pub fn result(self) -> Result<Option<T>, ChainError> {
        let is_ours = self.id == ID;
        match self {
            Self { error: Some(Refusal { code, message }), .. } => Err(ChainError::Refused { code, message }),
            Self { result, .. } if is_ours => Ok(result),
            _ => Err(ChainError::Unreadable("an answer to another request".to_owned())),
        }
    }

    /// The error that is answered.
    pub fn refusal(self) -> Option<ChainError> {
        self.error.map(|Refusal { code, message }| ChainError::Refused { code, message })
    }
}

/// A number below 2⁶⁴.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Quantity(pub u64);

impl TryFrom<String> for Quantity {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text
            .strip_prefix("0x")
            .filter(|digits| digits.starts_with(|digit: char| digit.is_ascii_hexdigit()));
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number.map(Self).ok_or("not a number of 0x and up to 16 hexadecimal digits")
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Data(Vec<u8>);

impl TryFrom<String> for Data {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode_all(&text).map(Self).ok_or("not bytes of 0x and pairs of hexadecimal digits")
    }
}

/// A block, as nodes write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockForm {
    number: Quantity,
    hash: Hash,
    parent_hash: Hash,
    timestamp: Quantity,
}

impl From<BlockForm> for Block {
    fn from(form: BlockForm) -> Self {
        let BlockForm { number, hash, parent_hash, timestamp } = form;
        Self { number: number.0, hash, parent_hash, timestamp: timestamp.0 }
    }
}

/// An event, as nodes write it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogForm {
    address: Address,
    topics: Vec<Hash>,
    data: Data,
    block_number: Quantity,
    block_hash: Hash,
    transaction_hash: Hash,
    log_index: Quantity,
    #[serde(default)]
    removed: bool,
}

impl From<LogForm> for Log {
    fn from(form: LogForm) -> Self {
        Self {
            contract: form.address,
            topics: form.topics,
            data: form.data.0,
            block: BlockRef { number: form.block_number.0, hash: form.block_hash },
            transaction: form.transaction_hash,
            index: form.log_index.0,
            removed: form.removed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_exactly() {
        for (text, number) in [("0x0", 0), ("0x00", 0), ("0x1A", 26), ("0xffffffffffffffff", u64::MAX)] {
            assert_eq!(Quantity::try_from(text.to_owned()), Ok(Quantity(number)));
            assert_eq!(Quantity::try_from(quantity(number)), Ok(Quantity(number)));
        }
        for text in ["", "0x", "1", "0x+1", "0x-1", "0xg", "0x10000000000000000"] {
            assert!(Quantity::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
