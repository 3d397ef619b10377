//! What a scan of a chain finds.

use super::chain::BlockRef;
use super::transfer::{Transfer, UndecodableLog};

/// What a scan found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// Blocks that were scanned are no longer of the chain.
    pub rolled_back: Option<Rollback>,
    /// In the order of the chain; some may have been found before.
    pub transfers: Vec<Transfer>,
    /// Events of a token to one of the addresses that cannot be read.
    pub odd: Vec<UndecodableLog>,
    /// To be remembered, each in place of what is remembered of its number.
    pub scanned: Vec<BlockRef>,
    /// Whether blocks are left that have their confirmations.
    pub has_more: bool,
}

/// A re-organisation under what was scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// The newest block that was scanned and is still of the chain. All transfers in later blocks are undone.
    pub to: BlockRef,
    /// The remembered blocks that are not: each block of an undone transfer that is remembered is among them.
    pub undone: Vec<BlockRef>,
}
