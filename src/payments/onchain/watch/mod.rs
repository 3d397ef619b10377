//! One scan of the chain: what is new since the last, and what of it is undone.
//!
//! A scan changes nothing. Its caller writes what it answers in one transaction: what is undone, then the transfers
//! (each once, by its [`Place`]), then the blocks that were scanned. A scan that is lost before that is repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use crate::payments::onchain::address::Address;
use crate::payments::onchain::chain::{Block, BlockRef, Chain, ChainError, Log, Wanted};
use crate::payments::onchain::memory::ScannedBlocks;
use crate::payments::onchain::scan::{Rollback, Scan};
use crate::payments::onchain::transfer::{DecodedTransfer, Place, Token, Transfer, UndecodableLog};

/// How a chain is watched.
#[derive(Debug, Clone)]
pub struct Watch {
    /// The tokens that are taken.
    pub tokens: Vec<Token>,
    /// A block counts once it and those after it are so many.
    pub confirmations: NonZeroU64,
    /// The block after which the first scan begins.
    pub after: u64,
    /// New blocks in one scan, at the most.
    pub span: NonZeroU64,
    /// So many blocks before the new ones are read once more. A node that lags behind the others of its name may answer
    /// that there are no events where it knows no block; the next scans find them.
    pub overlap: u64,
}

/// Why a scan cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The node does not say what it is asked. To be tried again later.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// To be tried again later.
    #[error("the chain changed while it was read")]
    Unsettled,
    /// Not even the oldest block that is remembered is of the chain. Nothing is undone by it: the node may be of another
    /// chain, and answer otherwise the next time. Where it does not, a person has to look.
    #[error("the chain has another block {} than the oldest that was scanned, {}", .0.number, .0.hash)]
    ForkTooDeep(BlockRef),
}

/// From which blocks to which a scan reads.
#[derive(Debug, Clone, Copy)]
struct BlockRange {
    /// The last block that was scanned before.
    base: BlockRef,
    last: BlockRef,
}

/// What became of the blocks that were scanned.
enum ForkCheck {
    /// All are of the chain.
    Canonical,
    Reorged(Rollback),
    /// None is, not even this oldest one.
    TooDeep(BlockRef),
    /// The node does not have one of their numbers.
    Unknown,
}

impl Watch {
    /// What is new on `chain` for `recipients`, where `memory` was scanned. Nothing where the node does not know yet
    /// what was scanned already.
    pub async fn scan(
        &self,
        chain: &dyn Chain,
        memory: &ScannedBlocks,
        recipients: &BTreeSet<Address>,
    ) -> Result<Scan, ScanError> {
        let Some(confirmed) = self.confirmed(chain.head().await?) else { return Ok(Scan::default()) };
        let Some(newest) = memory.newest() else { return self.first(chain, confirmed).await };
        let is_at_start = memory.blocks().len() == 1 && newest.number == self.after;
        // An older head than before: of a node that lags behind, or of a fork that is to grow first.
        if confirmed < newest.number {
            return Ok(Scan::default());
        }
        let rolled_back = match ground(chain, memory).await? {
            ForkCheck::Unknown => return Ok(Scan::default()),
            // Nothing was scanned yet that could be undone.
            ForkCheck::TooDeep(_) if is_at_start => return self.first(chain, confirmed).await,
            ForkCheck::TooDeep(oldest) => return Err(ScanError::ForkTooDeep(oldest)),
            ForkCheck::Canonical if newest.number == confirmed => return Ok(Scan::default()),
            ForkCheck::Canonical => None,
            ForkCheck::Reorged(rollback) => Some(rollback),
        };
        let base = rolled_back.as_ref().map_or(newest, |rollback| rollback.to);
        let to = confirmed.min(base.number.saturating_add(self.span.get()));
        let Some(last) = chain.block(to).await? else { return Ok(Scan::default()) };
        let range = BlockRange { base, last: last.block_ref() };
        let scan = self.read(chain, range, recipients).await?;
        if let Some(oldest) = rolled_back.as_ref().and_then(|rollback| rollback.undone.last())
            && is_of(chain, *oldest).await?
        {
            return Err(ScanError::Unsettled);
        }
        Ok(Scan { rolled_back, has_more: to < confirmed, ..scan })
    }

    /// The newest block that has its confirmations.
    fn confirmed(&self, head: u64) -> Option<u64> {
        head.checked_sub(self.confirmations.get().saturating_sub(1))
    }

    /// Nothing but where the second scan begins.
    async fn first(&self, chain: &dyn Chain, confirmed: u64) -> Result<Scan, ScanError> {
        if confirmed < self.after {
            return Ok(Scan::default());
        }
        let Some(block) = chain.block(self.after).await? else { return Ok(Scan::default()) };
        Ok(Scan { scanned: vec![block.block_ref()], has_more: self.after < confirmed, ..Scan::default() })
    }

    async fn read(
        &self,
        chain: &dyn Chain,
        range: BlockRange,
        recipients: &BTreeSet<Address>,
    ) -> Result<Scan, ScanError> {
        let logs = self.logs(chain, range, recipients).await?;
        let blocks = blocks_of(chain, &logs).await?;
        // Both ends are of the chain still: so the events are, and no more are missing than a lagging node hides.
        for end in [range.base, range.last] {
            if !is_of(chain, end).await? {
                return Err(ScanError::Unsettled);
            }
        }
        let scanned = blocks.values().map(Block::block_ref).filter(|block| *block != range.last);
        let mut scan = Scan { scanned: scanned.chain([range.last]).collect(), ..Scan::default() };
        for log in &logs {
            self.take(log, &blocks, &mut scan);
        }
        Ok(scan)
    }

    /// The events that are wanted, each once, in the order of the chain. What else a node answers is passed over.
    async fn logs(
        &self,
        chain: &dyn Chain,
        range: BlockRange,
        recipients: &BTreeSet<Address>,
    ) -> Result<Vec<Log>, ChainError> {
        let contracts: Vec<Address> = self.tokens.iter().map(|token| token.contract).collect();
        if contracts.is_empty() || recipients.is_empty() {
            return Ok(Vec::new());
        }
        let base = range.base.number;
        let first = base.saturating_sub(self.overlap).max(self.after.min(base)).saturating_add(1);
        let wanted = Wanted { blocks: first..=range.last.number, contracts: &contracts, recipients };
        let mut logs = chain.transfer_logs(&wanted).await?;
        logs.retain(|log| is_wanted(log, &wanted));
        logs.sort_by_key(Place::of);
        logs.dedup();
        Ok(logs)
    }

    fn take(&self, log: &Log, blocks: &BTreeMap<u64, Block>, scan: &mut Scan) {
        let place = Place::of(log);
        let token = self.tokens.iter().find(|token| token.contract == log.contract);
        let (Some(token), Some(block)) = (token, blocks.get(&log.block.number)) else { return };
        let Some(moved) = DecodedTransfer::of(log) else {
            scan.odd.push(UndecodableLog { place, token: token.contract });
            return;
        };
        // Anyone can move nothing from anyone to anyone.
        if !moved.parts.is_zero() {
            let amount = moved.parts.tokens(token.places);
            let DecodedTransfer { from, to, .. } = moved;
            let (timestamp, token) = (block.timestamp, token.contract);
            scan.transfers.push(Transfer { place, timestamp, token, from, to, amount });
        }
    }
}

/// Goes back from the newest block that was scanned to one that is of the chain.
async fn ground(chain: &dyn Chain, memory: &ScannedBlocks) -> Result<ForkCheck, ChainError> {
    let mut undone = Vec::new();
    for known in memory.blocks() {
        match chain.block(known.number).await? {
            None => return Ok(ForkCheck::Unknown),
            Some(block) if block.hash != known.hash => undone.push(*known),
            Some(_) if undone.is_empty() => return Ok(ForkCheck::Canonical),
            Some(_) => return Ok(ForkCheck::Reorged(Rollback { to: *known, undone })),
        }
    }
    Ok(undone.last().map_or(ForkCheck::Unknown, |oldest| ForkCheck::TooDeep(*oldest)))
}

async fn is_of(chain: &dyn Chain, block: BlockRef) -> Result<bool, ChainError> {
    Ok(chain.block(block.number).await?.map(|block| block.hash) == Some(block.hash))
}

/// The blocks of events, by number: those that the chain has, or the events are of another fork.
async fn blocks_of(chain: &dyn Chain, logs: &[Log]) -> Result<BTreeMap<u64, Block>, ScanError> {
    let mut blocks = BTreeMap::new();
    for BlockRef { number, hash } in logs.iter().map(|log| log.block) {
        let block = match blocks.get(&number) {
            Some(known) => *known,
            None => chain.block(number).await?.ok_or(ScanError::Unsettled)?,
        };
        if block.hash != hash {
            return Err(ScanError::Unsettled);
        }
        blocks.insert(number, block);
    }
    Ok(blocks)
}

fn is_wanted(log: &Log, wanted: &Wanted<'_>) -> bool {
    let recipient = log.topics.get(2).and_then(|to| Address::of_word(to.bytes()));
    !log.removed
        && log.topics.first() == Some(&crate::payments::onchain::transfer::TRANSFER)
        && wanted.blocks.contains(&log.block.number)
        && wanted.contracts.contains(&log.contract)
        && recipient.is_some_and(|to| wanted.recipients.contains(&to))
}

#[cfg(test)]
mod tests;
