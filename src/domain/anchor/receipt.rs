//! A receipt: what an anchor says of one account, so that whoever has it can check it without this server.

use chrono::{DateTime, SecondsFormat, Utc};
use data_encoding::HEXLOWER;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::head::AnchoredHead;
use super::merkle;
use super::public_key::PublicKey;
use super::signed::{Anchor, AnchorFacts};
use crate::domain::account::Hash;
use crate::domain::ids::AccountId;
use crate::domain::money;

/// How receipts are written.
const VERSION: u32 = 1;

/// The way from a leaf to the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    pub head: AnchoredHead,
    /// Which of the leaves it is, from zero on.
    pub index: u64,
    /// What stands beside the way, from the leaf on.
    pub path: Vec<Hash>,
}

/// A receipt as it is written: JSON, with hashes and keys in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receipt {
    version: u32,
    anchor: WrittenAnchor,
    account_id: String,
    /// The number of the account's last entry.
    entry: i64,
    hash: String,
    balance: String,
    leaf_index: u64,
    path: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WrittenAnchor {
    number: i64,
    at: String,
    accounts: i64,
    root: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    key_id: String,
    public_key: String,
    signature: String,
}

/// What a receipt proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    pub anchor: Anchor,
    pub head: AnchoredHead,
}

/// Why a receipt does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error("it is no receipt: {0}")]
    Unreadable(String),
    #[error("it is a receipt of version {0}, and {VERSION} is known here")]
    Version(u32),
    #[error("its {0} is not what a receipt has there")]
    Field(&'static str),
    #[error("its keyId is not that of its publicKey")]
    KeyId,
    #[error("its anchor is signed with key {0}, and not with one that was named")]
    OtherKey(String),
    #[error("its anchor is not what was signed: the signature does not fit")]
    Signature,
    #[error(
        "its account's entry, hash and balance are not in its anchor: the path does not lead to the root"
    )]
    Path,
}

impl Receipt {
    pub fn of(anchor: &Anchor, proof: &Proof) -> Self {
        let Anchor { facts, key, signature } = anchor;
        let AnchoredHead { account, seq, hash, balance } = &proof.head;
        Self {
            version: VERSION,
            anchor: WrittenAnchor {
                number: facts.number,
                at: written_at(facts.at),
                accounts: facts.accounts,
                root: HEXLOWER.encode(&facts.root),
                previous: facts.previous.map(|hash| HEXLOWER.encode(&hash)),
                key_id: key.id(),
                public_key: key.hex(),
                signature: HEXLOWER.encode(signature),
            },
            account_id: account.to_string(),
            entry: *seq,
            hash: HEXLOWER.encode(hash),
            balance: money::format_decimal(*balance, 0),
            leaf_index: proof.index,
            path: proof.path.iter().map(|hash| HEXLOWER.encode(hash)).collect(),
        }
    }

    /// As JSON, in one line.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub fn read(text: &str) -> Result<Self, ReceiptError> {
        let receipt: Self =
            serde_json::from_str(text).map_err(|error| ReceiptError::Unreadable(error.to_string()))?;
        if receipt.version == VERSION { Ok(receipt) } else { Err(ReceiptError::Version(receipt.version)) }
    }

    /// Whether it holds: its anchor is signed, with one of the keys that are trusted if any are named, and has what it says of its
    /// account.
    pub fn check(&self, trusted: &[PublicKey]) -> Result<Attestation, ReceiptError> {
        let anchor = self.anchor.read()?;
        let head = self.head()?;
        if self.anchor.key_id != anchor.key.id() {
            return Err(ReceiptError::KeyId);
        }
        if !trusted.is_empty() && !trusted.contains(&anchor.key) {
            return Err(ReceiptError::OtherKey(anchor.key.id()));
        }
        if !anchor.is_signed() {
            return Err(ReceiptError::Signature);
        }
        let leaves = u64::try_from(anchor.facts.accounts).map_err(|_| ReceiptError::Field("accounts"))?;
        let path: Option<Vec<Hash>> = self.path.iter().map(|hash| bytes(hash)).collect();
        let path = path.ok_or(ReceiptError::Field("path"))?;
        let found = merkle::root_by_path(head.leaf(), self.leaf_index, leaves, &path);
        if found == Some(anchor.facts.root) {
            Ok(Attestation { anchor, head })
        } else {
            Err(ReceiptError::Path)
        }
    }

    fn head(&self) -> Result<AnchoredHead, ReceiptError> {
        let balance: Option<Decimal> = money::parse_decimal(&self.balance).ok();
        // One value has one spelling.
        let balance = balance.filter(|balance| money::format_decimal(*balance, 0) == self.balance);
        Ok(AnchoredHead {
            account: AccountId::parse(&self.account_id).ok_or(ReceiptError::Field("accountId"))?,
            seq: self.entry,
            hash: bytes(&self.hash).ok_or(ReceiptError::Field("hash"))?,
            balance: balance.ok_or(ReceiptError::Field("balance"))?,
        })
    }
}

impl WrittenAnchor {
    fn read(&self) -> Result<Anchor, ReceiptError> {
        let at: Option<DateTime<Utc>> = self.at.parse().ok();
        let at = at.filter(|at| written_at(*at) == self.at).ok_or(ReceiptError::Field("at"))?;
        let previous = self.previous.as_ref().map(|hash| bytes(hash).ok_or(ReceiptError::Field("previous")));
        let facts = AnchorFacts {
            number: self.number,
            at,
            accounts: self.accounts,
            root: bytes(&self.root).ok_or(ReceiptError::Field("root"))?,
            previous: previous.transpose()?,
        };
        let key = PublicKey::read(&self.public_key).ok_or(ReceiptError::Field("publicKey"))?;
        let signature = bytes(&self.signature).ok_or(ReceiptError::Field("signature"))?;
        Ok(Anchor { facts, key, signature })
    }
}

fn written_at(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn bytes<const N: usize>(written: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(written.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::anchor::AnchorKeys;

    fn head(account: i64) -> AnchoredHead {
        let hash = [u8::try_from(account).unwrap(); 32];
        AnchoredHead { account: AccountId(account), seq: account + 10, hash, balance: Decimal::new(1_250, 2) }
    }

    fn receipt_of(accounts: i64, of: i64) -> Receipt {
        let leaves: Vec<Hash> = (1..=accounts).map(|account| head(account).leaf()).collect();
        let facts = AnchorFacts {
            number: 7,
            at: "2026-12-01T10:00:00.000001Z".parse().unwrap(),
            accounts,
            root: merkle::root(&leaves),
            previous: Some([9; 32]),
        };
        let anchor = AnchorKeys::of_sandbox().sign(facts).unwrap();
        let index = usize::try_from(of - 1).unwrap();
        let path = merkle::path(&leaves, index).unwrap();
        Receipt::of(&anchor, &Proof { head: head(of), index: index as u64, path })
    }

    #[test]
    fn a_receipt_is_read_as_it_was_written_and_holds() {
        for (accounts, of) in [(1, 1), (5, 1), (5, 5), (13, 7)] {
            let receipt = receipt_of(accounts, of);
            let read = Receipt::read(&receipt.text()).unwrap();
            assert_eq!(read, receipt);
            let proven = read.check(AnchorKeys::of_sandbox().known()).unwrap();
            assert_eq!((proven.head, proven.anchor.facts.number), (head(of), 7));
        }
    }

    /// Each value of a JSON text, altered by itself.
    fn altered(value: &Value) -> Vec<Value> {
        match value {
            Value::Object(fields) => fields
                .iter()
                .flat_map(|(name, field)| {
                    let with = |changed: Value| {
                        let mut all = fields.clone();
                        all.insert(name.clone(), changed);
                        Value::Object(all)
                    };
                    let mut without = fields.clone();
                    without.remove(name);
                    altered(field).into_iter().map(with).chain([Value::Object(without)]).collect::<Vec<_>>()
                })
                .collect(),
            Value::Array(items) => (0..items.len())
                .flat_map(|place| {
                    let with = |changed: Value| {
                        let mut all = items.clone();
                        all[place] = changed;
                        Value::Array(all)
                    };
                    altered(&items[place]).into_iter().map(with).collect::<Vec<_>>()
                })
                .collect(),
            Value::Number(number) => vec![json!(number.as_i64().unwrap() + 1)],
            Value::String(text) => {
                let last = if text.ends_with('1') { '2' } else { '1' };
                let mut other = text.clone();
                other.pop();
                vec![json!(format!("{other}{last}")), json!(other)]
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn whatever_is_altered_it_does_not_hold() {
        let written: Value = serde_json::from_str(&receipt_of(13, 7).text()).unwrap();
        let all = altered(&written);
        assert!(all.len() > 40, "{}", all.len());
        for other in all {
            let checked = Receipt::read(&other.to_string()).and_then(|receipt| receipt.check(&[]));
            assert!(checked.is_err(), "{other:#}");
        }
    }

    #[test]
    fn a_receipt_that_another_key_has_signed_is_not_trusted() {
        let receipt = receipt_of(3, 2);
        let other = AnchorKeys::read(&"7".repeat(64)).unwrap();
        assert!(receipt.check(&[]).is_ok());
        assert!(matches!(receipt.check(other.known()), Err(ReceiptError::OtherKey(_))));
    }
}
