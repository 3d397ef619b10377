//! What is asked of a chain, and what it answers.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use futures_util::future::BoxFuture;
use serde::Deserialize;

use crate::payments::onchain::address::Address;
use crate::payments::onchain::hex;

/// Bytes of a hash.
const LENGTH: usize = 32;

/// The hash of a block or of a transaction, or another word of 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Hash([u8; LENGTH]);

/// Not a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 0x and 64 hexadecimal digits")]
pub struct NotAHash;

impl Hash {
    /// The hash of these bytes.
    pub const fn new(bytes: [u8; LENGTH]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Hash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        hex::decode(text).map(Self).ok_or(NotAHash)
    }
}

impl TryFrom<String> for Hash {
    type Error = NotAHash;

    fn try_from(text: String) -> Result<Self, NotAHash> {
        text.parse()
    }
}

/// Which block: its number may come again with another hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRef {
    pub number: u64,
    pub hash: Hash,
}

/// The head of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    pub number: u64,
    pub hash: Hash,
    pub parent_hash: Hash,
    /// In seconds of Unix time, as its miner says.
    pub timestamp: u64,
}

impl Block {
    /// Which block it is.
    pub fn block_ref(&self) -> BlockRef {
        BlockRef { number: self.number, hash: self.hash }
    }
}

/// An event of a contract, as it is in its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub contract: Address,
    pub topics: Vec<Hash>,
    pub data: Vec<u8>,
    pub block: BlockRef,
    pub transaction: Hash,
    /// Its place among the events of the block.
    pub index: u64,
    /// Whether the block is no longer of the chain.
    pub removed: bool,
}

/// Which transfers are asked for.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    pub blocks: RangeInclusive<u64>,
    /// The contracts of tokens.
    pub contracts: &'a [Address],
    /// Who is paid.
    pub recipients: &'a BTreeSet<Address>,
}

/// Why a chain's node does not say what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// It could not be reached, or not in time.
    #[error("the node could not be reached: {0}")]
    Unreachable(String),
    /// It answered an HTTP status that is none of success, and no reason.
    #[error("the node answered HTTP status {0}")]
    Status(u16),
    /// It answered an error.
    #[error("the node answered an error: {message} ({code})")]
    Refused { code: i64, message: String },
    /// Its answer is larger than any that is read.
    #[error("the node's answer is larger than {0} bytes")]
    TooLarge(usize),
    /// Its answer is not of the form that was asked for.
    #[error("the node's answer is not understood: {0}")]
    Unreadable(String),
}

/// A chain that can be asked.
pub trait Chain: Send + Sync {
    /// The number of its newest block.
    fn head(&self) -> BoxFuture<'_, Result<u64, ChainError>>;

    /// Its block of a number; None: there is none (yet).
    fn block(&self, number: u64) -> BoxFuture<'_, Result<Option<Block>, ChainError>>;

    /// The Transfer events that are wanted; others may be among them.
    fn transfer_logs<'c>(&'c self, wanted: &'c Wanted<'c>) -> BoxFuture<'c, Result<Vec<Log>, ChainError>>;
}
