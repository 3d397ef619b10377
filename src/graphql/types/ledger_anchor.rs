use async_graphql::Object;
use data_encoding::HEXLOWER;

use crate::domain::anchor::{Anchor, Receipt};
use crate::graphql::scalars::Instant;

/// An anchor of the ledger, with the receipt of an account if one was asked for.
pub struct LedgerAnchor {
    pub anchor: Anchor,
    pub receipt: Option<Receipt>,
}

/// Where all ledgers ended at an instant, as the root of a Merkle tree (RFC 6962) that is signed (Ed25519): one is made every hour. Who keeps
/// an anchor, or a receipt, can tell whether what a ledger said then is what it says now (docs/LEDGER.md).
#[Object]
impl LedgerAnchor {
    /// Its number: as a rule the hours since 1970. That of the next one is greater.
    async fn number(&self) -> i32 {
        i32::try_from(self.anchor.facts.number).unwrap_or(i32::MAX)
    }

    /// All that was posted and answered by then is in it.
    async fn at(&self) -> Instant {
        Instant(self.anchor.facts.at)
    }

    /// How many accounts are in it: those that have an entry.
    async fn accounts(&self) -> i32 {
        i32::try_from(self.anchor.facts.accounts).unwrap_or(i32::MAX)
    }

    /// The root of the tree, in hexadecimal digits.
    async fn root(&self) -> String {
        HEXLOWER.encode(&self.anchor.facts.root)
    }

    /// The SHA-256 of the text that the anchor before was signed as, in hexadecimal digits; null of the first.
    async fn previous(&self) -> Option<String> {
        self.anchor.facts.previous.map(|hash| HEXLOWER.encode(&hash))
    }

    /// The text that is signed, seven lines: that it is an anchor, its number, at, accounts, root, previous, and the public key.
    async fn text(&self) -> String {
        self.anchor.text()
    }

    /// What the key is called: the first 16 digits of the SHA-256 of the public key.
    async fn key_id(&self) -> String {
        self.anchor.key.id()
    }

    /// The public key of Ed25519 that the signature is checked with, in hexadecimal digits. Hold it against the one that the provider
    /// publishes elsewhere.
    async fn public_key(&self) -> String {
        self.anchor.key.hex()
    }

    /// The signature of `text`, in hexadecimal digits.
    async fn signature(&self) -> String {
        HEXLOWER.encode(&self.anchor.signature)
    }

    /// What it says of the account that was asked for, with the path from there to the root: JSON, to be kept as a file and checked with
    /// `abacus verify --receipt`, which needs no server. Null if no account was named, or it had no entry by then.
    async fn receipt(&self) -> Option<String> {
        self.receipt.as_ref().map(Receipt::text)
    }
}
