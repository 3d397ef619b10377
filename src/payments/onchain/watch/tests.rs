mod many_scans;

use std::sync::{Mutex, MutexGuard};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use rust_decimal::Decimal;

use super::*;
use crate::payments::onchain::chain::Hash;
use crate::payments::onchain::memory::KEPT;
use crate::payments::onchain::transfer::TRANSFER;

const TOKEN: Address = Address::new([0x70; 20]);
const OURS: Address = Address::new([1; 20]);
const THEIRS: Address = Address::new([2; 20]);

#[derive(Default)]
struct State {
    /// By number.
    blocks: Vec<Block>,
    logs: Vec<Log>,
    /// Sets the hashes of one fork apart from another's.
    fork: u8,
    /// What a node that lags behind says.
    head: Option<u64>,
    /// It knows no later block.
    knows_to: Option<u64>,
    /// It answers no events, so many times.
    hides_logs: u32,
    /// While it is asked for events, the blocks after this one are replaced.
    forks_at_logs: Option<u64>,
    /// The next blocks that are asked for are those of another fork.
    strays: u32,
    asked_for: Vec<(u64, u64)>,
    blocks_asked: u32,
}

/// A chain in memory.
struct FakeChain(Mutex<State>);

fn hash(number: u64, fork: u8) -> Hash {
    let mut bytes = [fork; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Hash::new(bytes)
}

fn word(number: u64) -> Vec<u8> {
    let mut word = vec![0; 32];
    word[24..].copy_from_slice(&number.to_be_bytes());
    word
}

impl State {
    fn grow(&mut self, count: u64) {
        for _ in 0..count {
            let number = self.blocks.len() as u64;
            let parent_hash = self.blocks.last().map_or(hash(0, 0), |parent| parent.hash);
            let timestamp = 1_000 + 12 * number;
            self.blocks.push(Block { number, hash: hash(number, self.fork), parent_hash, timestamp });
        }
    }

    fn fork_after(&mut self, number: u64) {
        self.blocks.truncate(number as usize + 1);
        self.logs.retain(|log| log.block.number <= number);
        self.fork += 1;
    }
}

impl FakeChain {
    /// With a head of this number.
    fn of(head: u64) -> Self {
        let mut state = State::default();
        state.grow(head + 1);
        Self(Mutex::new(state))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn grow(&self, count: u64) {
        self.state().grow(count);
    }

    /// The blocks after this one are gone; those that come are others.
    fn fork_after(&self, number: u64) {
        self.state().fork_after(number);
    }

    /// Adds a block with a transfer of so many parts.
    fn pay(&self, to: Address, parts: u64) -> Log {
        self.grow(1);
        let mut state = self.state();
        let block = state.blocks.last().unwrap().block_ref();
        let topics = vec![TRANSFER, Hash::new(THEIRS.word()), Hash::new(to.word())];
        let transaction = hash(parts, 0xee);
        let log =
            Log { contract: TOKEN, topics, data: word(parts), block, transaction, index: 3, removed: false };
        state.logs.push(log.clone());
        log
    }

    /// Adds an event to the newest block.
    fn add(&self, log: Log) {
        self.state().logs.push(log);
    }
}

impl Chain for FakeChain {
    fn head(&self) -> BoxFuture<'_, Result<u64, ChainError>> {
        let state = self.state();
        ready(Ok(state.head.unwrap_or(state.blocks.len() as u64 - 1))).boxed()
    }

    fn block(&self, number: u64) -> BoxFuture<'_, Result<Option<Block>, ChainError>> {
        let mut state = self.state();
        state.blocks_asked += 1;
        let is_known = state.knows_to.is_none_or(|last| number <= last);
        let mut block = state.blocks.get(number as usize).copied().filter(|_| is_known);
        if state.strays > 0 {
            state.strays -= 1;
            block = block.map(|block| Block { hash: hash(number, 0xbb), ..block });
        }
        ready(Ok(block)).boxed()
    }

    fn transfer_logs<'c>(&'c self, wanted: &'c Wanted<'c>) -> BoxFuture<'c, Result<Vec<Log>, ChainError>> {
        let mut state = self.state();
        state.asked_for.push((*wanted.blocks.start(), *wanted.blocks.end()));
        if state.hides_logs > 0 {
            state.hides_logs -= 1;
            return ready(Ok(Vec::new())).boxed();
        }
        let head = state.blocks.len() as u64 - 1;
        if let Some(number) = state.forks_at_logs.take().filter(|number| *number < head) {
            state.fork_after(number);
            state.grow(head - number);
        }
        // All events: the scan picks what it wants.
        ready(Ok(state.logs.clone())).boxed()
    }
}

/// One who writes down what scans find.
struct Keeper {
    watch: Watch,
    memory: ScannedBlocks,
    transfers: BTreeMap<Place, Transfer>,
    last: Scan,
}

impl Keeper {
    fn new(confirmations: u64) -> Self {
        let watch = Watch {
            tokens: vec![Token { contract: TOKEN, places: 6 }],
            confirmations: NonZeroU64::new(confirmations).unwrap(),
            after: 0,
            span: NonZeroU64::new(100).unwrap(),
            overlap: 0,
        };
        Self { watch, memory: ScannedBlocks::default(), transfers: BTreeMap::new(), last: Scan::default() }
    }

    async fn try_scan(&mut self, chain: &FakeChain) -> Result<(), ScanError> {
        let scan = self.watch.scan(chain, &self.memory, &BTreeSet::from([OURS])).await?;
        if let Some(rollback) = &scan.rolled_back {
            self.transfers.retain(|place, _| place.block.number <= rollback.to.number);
        }
        self.transfers.extend(scan.transfers.iter().map(|transfer| (transfer.place, transfer.clone())));
        self.memory.apply(&scan);
        self.last = scan;
        Ok(())
    }

    /// Scans until nothing is left, and says what was paid.
    async fn paid(&mut self, chain: &FakeChain) -> Vec<String> {
        loop {
            self.try_scan(chain).await.unwrap();
            if !self.last.has_more {
                return self.amounts();
            }
        }
    }

    fn amounts(&self) -> Vec<String> {
        self.transfers.values().map(|transfer| transfer.amount.clone().unwrap().to_string()).collect()
    }
}

#[tokio::test]
async fn a_transfer_counts_with_its_confirmations_and_not_before() {
    let chain = FakeChain::of(10);
    let mut keeper = Keeper::new(3);
    let log = chain.pay(OURS, 1_500_000);
    assert!(keeper.paid(&chain).await.is_empty());
    chain.grow(1);
    assert!(keeper.paid(&chain).await.is_empty());
    chain.grow(1);
    assert_eq!(keeper.paid(&chain).await, ["1.5"]);
    let amount = Ok(Decimal::new(15, 1));
    let transfer =
        Transfer { place: Place::of(&log), timestamp: 1_132, token: TOKEN, from: THEIRS, to: OURS, amount };
    assert_eq!(keeper.last.transfers, [transfer]);
    assert_eq!(keeper.last.scanned, [log.block]);
}

#[tokio::test]
async fn one_confirmation_is_the_block_itself() {
    let chain = FakeChain::of(0);
    let mut keeper = Keeper::new(1);
    assert!(keeper.paid(&chain).await.is_empty());
    chain.pay(OURS, 1);
    assert_eq!(keeper.paid(&chain).await, ["0.000001"]);
}

#[tokio::test]
async fn a_chain_shorter_than_the_confirmations_is_waited_for() {
    let chain = FakeChain::of(3);
    let mut keeper = Keeper::new(12);
    keeper.try_scan(&chain).await.unwrap();
    assert_eq!(keeper.last, Scan::default());
    keeper.watch.after = 5;
    chain.grow(10);
    keeper.try_scan(&chain).await.unwrap();
    assert_eq!(keeper.last, Scan::default());
}

#[tokio::test]
async fn what_was_before_the_beginning_does_not_count() {
    let chain = FakeChain::of(10);
    let log = chain.pay(OURS, 1_000_000);
    chain.pay(OURS, 2_000_000);
    let mut keeper = Keeper::new(1);
    (keeper.watch.after, keeper.watch.overlap) = (log.block.number, 50);
    assert_eq!(keeper.paid(&chain).await, ["2"]);
}

#[tokio::test]
async fn nothing_new_is_little_work() {
    let chain = FakeChain::of(50);
    let mut keeper = Keeper::new(3);
    keeper.paid(&chain).await;
    let before = chain.state().blocks_asked;
    chain.state().asked_for.clear();
    keeper.paid(&chain).await;
    assert_eq!(keeper.last, Scan::default());
    assert_eq!(chain.state().blocks_asked - before, 1);
    assert!(chain.state().asked_for.is_empty());
}

#[tokio::test]
async fn a_fork_above_what_was_scanned_is_not_noticed() {
    let chain = FakeChain::of(10);
    let mut keeper = Keeper::new(3);
    keeper.paid(&chain).await;
    chain.pay(OURS, 1_000_000);
    chain.fork_after(10);
    chain.pay(OURS, 2_000_000);
    chain.grow(5);
    assert_eq!(keeper.paid(&chain).await, ["2"]);
    assert_eq!(keeper.last.rolled_back, None);
}

#[tokio::test]
async fn a_fork_below_what_was_scanned_undoes_its_transfers() {
    let chain = FakeChain::of(10);
    let mut keeper = Keeper::new(3);
    let kept = chain.pay(OURS, 1_000_000);
    chain.grow(2);
    keeper.paid(&chain).await;
    let undone = chain.pay(OURS, 2_000_000);
    chain.grow(4);
    assert_eq!(keeper.paid(&chain).await, ["1", "2"]);
    let newest = keeper.memory.newest().unwrap();

    chain.fork_after(kept.block.number);
    chain.grow(1);
    let again = chain.pay(OURS, 3_000_000);
    // The fork is to be as long first.
    assert_eq!(keeper.paid(&chain).await, ["1", "2"]);
    chain.grow(6);
    assert_eq!(keeper.paid(&chain).await, ["1", "3"]);
    let rollback = Rollback { to: kept.block, undone: vec![newest, undone.block] };
    assert_eq!(keeper.last.rolled_back, Some(rollback));
    assert_eq!(keeper.last.transfers[0].place, Place::of(&again));
    keeper.try_scan(&chain).await.unwrap();
    assert_eq!(keeper.last, Scan::default());
}

#[tokio::test]
async fn the_same_transfer_in_a_block_of_the_fork_counts_once() {
    let chain = FakeChain::of(10);
    let mut keeper = Keeper::new(2);
    keeper.paid(&chain).await;
    let first = chain.pay(OURS, 1_000_000);
    chain.grow(1);
    assert_eq!(keeper.paid(&chain).await, ["1"]);
    chain.fork_after(first.block.number - 1);
    let second = chain.pay(OURS, 1_000_000);
    assert_eq!(first.transaction, second.transaction);
    assert_ne!(first.block, second.block);
    chain.grow(1);
    assert_eq!(keeper.paid(&chain).await, ["1"]);
    assert_eq!(keeper.transfers.keys().next(), Some(&Place::of(&second)));
}

#[tokio::test]
async fn a_fork_below_all_that_is_remembered_stops_the_watch() {
    let chain = FakeChain::of(10);
    let mut keeper = Keeper::new(1);
    keeper.watch.after = 5;
    keeper.paid(&chain).await;
    let oldest = *keeper.memory.blocks().last().unwrap();
    chain.fork_after(4);
    chain.grow(20);
    assert_eq!(keeper.try_scan(&chain).await, Err(ScanError::ForkTooDeep(oldest)));
}

#[tokio::test]
async fn a_beginning_that_a_node_of_another_fork_told_is_corrected() {
    let chain = FakeChain::of(10);
    let mut keeper = Keeper::new(1);
    chain.state().strays = 1;
    keeper.try_scan(&chain).await.unwrap();
    assert_eq!(keeper.memory.blocks(), [BlockRef { number: 0, hash: hash(0, 0xbb) }]);
    chain.pay(OURS, 1_000_000);
    assert_eq!(keeper.paid(&chain).await, ["1"]);
    assert_eq!(keeper.memory.blocks().last(), Some(&BlockRef { number: 0, hash: hash(0, 0) }));
}

#[tokio::test]
async fn many_scans_remember_enough() {
    let chain = FakeChain::of(0);
    let mut keeper = Keeper::new(1);
    for _ in 0..KEPT + 50 {
        chain.grow(1);
        keeper.paid(&chain).await;
    }
    assert_eq!(keeper.memory.blocks().len(), KEPT);
    let head = keeper.memory.newest().unwrap().number;
    let common = head + 1 - KEPT as u64;
    chain.fork_after(common);
    chain.grow(KEPT as u64);
    keeper.paid(&chain).await;
    assert_eq!(keeper.memory.blocks().last().map(|block| block.number), Some(common));
    assert_eq!(keeper.memory.newest().map(|block| block.number), Some(common + KEPT as u64));
}

#[tokio::test]
async fn a_head_that_goes_back_is_no_fork() {
    let chain = FakeChain::of(20);
    let mut keeper = Keeper::new(3);
    chain.pay(OURS, 1_000_000);
    chain.grow(2);
    assert_eq!(keeper.paid(&chain).await, ["1"]);
    let memory = keeper.memory.clone();
    for head in [22, 15, 1, 0] {
        chain.state().head = Some(head);
        keeper.try_scan(&chain).await.unwrap();
        assert_eq!(keeper.last, Scan::default(), "{head}");
    }
    assert_eq!(keeper.memory, memory);
}

#[tokio::test]
async fn a_node_that_does_not_know_the_newest_block_yet_is_waited_for() {
    let chain = FakeChain::of(20);
    let mut keeper = Keeper::new(3);
    keeper.paid(&chain).await;
    chain.pay(OURS, 1_000_000);
    chain.grow(9);
    for last in [15, 18, 20] {
        chain.state().knows_to = Some(last);
        keeper.try_scan(&chain).await.unwrap();
        assert_eq!(keeper.last, Scan::default(), "{last}");
    }
    chain.state().knows_to = None;
    assert_eq!(keeper.paid(&chain).await, ["1"]);
}

#[tokio::test]
async fn events_that_a_lagging_node_hides_are_found_by_the_next_scans() {
    let chain = FakeChain::of(20);
    let mut keeper = Keeper::new(3);
    keeper.watch.overlap = 5;
    keeper.paid(&chain).await;
    chain.pay(OURS, 1_000_000);
    chain.grow(2);
    chain.state().hides_logs = 1;
    assert!(keeper.paid(&chain).await.is_empty());
    chain.grow(1);
    assert_eq!(keeper.paid(&chain).await, ["1"]);
    chain.grow(1);
    assert_eq!(keeper.paid(&chain).await, ["1"]);
    assert_eq!(chain.state().asked_for.last(), Some(&(18, 23)));
}

#[tokio::test]
async fn a_chain_that_changes_while_it_is_read_is_read_again() {
    let chain = FakeChain::of(20);
    let mut keeper = Keeper::new(3);
    keeper.paid(&chain).await;
    chain.pay(OURS, 1_000_000);
    chain.grow(9);
    for common in [17, 19, 25] {
        chain.state().forks_at_logs = Some(common);
        assert_eq!(keeper.try_scan(&chain).await, Err(ScanError::Unsettled), "{common}");
    }
    assert!(keeper.paid(&chain).await.is_empty());
}

#[tokio::test]
async fn a_node_of_another_fork_that_answers_once_undoes_nothing() {
    let chain = FakeChain::of(20);
    let mut keeper = Keeper::new(3);
    chain.pay(OURS, 1_000_000);
    chain.grow(2);
    keeper.paid(&chain).await;
    chain.grow(4);
    chain.state().strays = 1;
    assert_eq!(keeper.try_scan(&chain).await, Err(ScanError::Unsettled));
    assert_eq!(keeper.paid(&chain).await, ["1"]);
}

#[tokio::test]
async fn doubled_and_removed_events_and_those_of_others_do_not_count() {
    let chain = FakeChain::of(10);
    let mut keeper = Keeper::new(1);
    let log = chain.pay(OURS, 1_000_000);
    chain.add(log.clone());
    chain.add(Log { removed: true, index: 4, ..log.clone() });
    chain.add(Log { contract: THEIRS, index: 5, ..log.clone() });
    chain.add(Log { topics: vec![hash(0, 0), log.topics[1], log.topics[2]], index: 6, ..log.clone() });
    chain.add(Log { data: word(0), index: 7, ..log });
    chain.pay(THEIRS, 2_000_000);
    assert_eq!(keeper.paid(&chain).await, ["1"]);
    assert_eq!(keeper.last.transfers.len(), 1);
    assert!(keeper.last.odd.is_empty());
}

#[tokio::test]
async fn events_of_one_block_are_told_apart() {
    let chain = FakeChain::of(10);
    let mut keeper = Keeper::new(1);
    let log = chain.pay(OURS, 2_000_000);
    chain.add(Log { index: 1, data: word(1_000_000), ..log.clone() });
    chain.add(Log { index: 9, data: word(3_000_000), ..log });
    assert_eq!(keeper.paid(&chain).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn what_cannot_be_read_or_written_down_does_not_stop_the_others() {
    let chain = FakeChain::of(10);
    let mut keeper = Keeper::new(1);
    let log = chain.pay(OURS, 1_000_000);
    chain.add(Log { index: 4, data: vec![0xff; 32], ..log.clone() });
    let odd = Log { index: 5, data: Vec::new(), ..log.clone() };
    chain.add(odd.clone());
    keeper.try_scan(&chain).await.unwrap();
    keeper.try_scan(&chain).await.unwrap();
    let amounts: Vec<bool> = keeper.last.transfers.iter().map(|transfer| transfer.amount.is_ok()).collect();
    assert_eq!(amounts, [true, false]);
    assert_eq!(keeper.last.odd, [UndecodableLog { place: Place::of(&odd), token: TOKEN }]);
}

#[tokio::test]
async fn an_event_of_another_fork_is_not_taken() {
    let chain = FakeChain::of(10);
    let mut keeper = Keeper::new(1);
    keeper.try_scan(&chain).await.unwrap();
    let log = chain.pay(OURS, 1_000_000);
    chain.add(Log { block: BlockRef { hash: hash(11, 9), ..log.block }, ..log });
    assert_eq!(keeper.try_scan(&chain).await, Err(ScanError::Unsettled));
}
