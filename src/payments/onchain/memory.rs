//! Which blocks were scanned, newest first: by them a re-organisation of the chain is noticed.

use crate::payments::onchain::chain::BlockRef;
use crate::payments::onchain::scan::Scan;

/// So many blocks are kept: the deepest re-organisation that is found the way out of. Each is a block of its own, so
/// they reach at least so many blocks below the newest, which itself had all its confirmations.
pub const KEPT: usize = 256;

/// The blocks that were scanned and are kept, newest first: the last of each scan, and each that holds a transfer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScannedBlocks(Vec<BlockRef>);

impl ScannedBlocks {
    /// The blocks as a store gives them, in any order.
    pub fn of(blocks: impl IntoIterator<Item = BlockRef>) -> Self {
        let mut memory = Self::default();
        memory.add(blocks);
        memory
    }

    /// Newest first.
    pub fn blocks(&self) -> &[BlockRef] {
        &self.0
    }

    /// The newest block that was scanned.
    pub fn newest(&self) -> Option<BlockRef> {
        self.0.first().copied()
    }

    /// What is known after a scan.
    pub fn apply(&mut self, scan: &Scan) {
        if let Some(rollback) = &scan.rolled_back {
            self.0.retain(|block| block.number <= rollback.to.number);
        }
        self.0.retain(|block| scan.scanned.iter().all(|scanned| scanned.number != block.number));
        self.add(scan.scanned.iter().copied());
    }

    fn add(&mut self, blocks: impl IntoIterator<Item = BlockRef>) {
        self.0.extend(blocks);
        self.0.sort_unstable_by(|a, b| b.cmp(a));
        self.0.dedup();
        self.0.truncate(KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::onchain::chain::Hash;
    use crate::payments::onchain::scan::Rollback;

    fn block(number: u64) -> BlockRef {
        BlockRef { number, hash: Hash::new([u8::try_from(number % 251).unwrap(); 32]) }
    }

    #[test]
    fn the_newest_are_kept() {
        let memory = ScannedBlocks::of((1..=1_000).map(block));
        assert_eq!(memory.newest(), Some(block(1_000)));
        assert_eq!(memory.blocks().len(), KEPT);
        assert_eq!(memory.blocks()[KEPT - 1], block(1_001 - KEPT as u64));
    }

    #[test]
    fn a_scan_is_applied_twice_as_once() {
        let mut memory = ScannedBlocks::of([block(1), block(5), block(9)]);
        let rollback = Rollback { to: block(5), undone: vec![block(9)] };
        let scan = Scan { rolled_back: Some(rollback), scanned: vec![block(8)], ..Scan::default() };
        memory.apply(&scan);
        assert_eq!(memory.blocks(), [block(8), block(5), block(1)]);
        let once = memory.clone();
        memory.apply(&scan);
        assert_eq!(memory, once);
    }
}
