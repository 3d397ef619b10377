//! What holds over many scans.

use super::*;

#[tokio::test]
async fn a_gap_of_many_blocks_is_scanned_in_bounded_steps() {
    let chain = FakeChain::of(10);
    let mut keeper = Keeper::new(5);
    keeper.paid(&chain).await;
    chain.pay(OURS, 1_000_000);
    chain.grow(150);
    chain.pay(OURS, 2_000_000);
    chain.grow(150);
    chain.pay(OURS, 3_000_000);
    chain.state().asked_for.clear();
    assert_eq!(keeper.paid(&chain).await, ["1", "2"]);
    assert_eq!(chain.state().asked_for, [(7, 106), (107, 206), (207, 306), (307, 309)]);
    chain.grow(4);
    assert_eq!(keeper.paid(&chain).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_scan_that_was_not_written_down_is_repeated_the_same() {
    let chain = FakeChain::of(10);
    let mut keeper = Keeper::new(2);
    keeper.paid(&chain).await;
    chain.pay(OURS, 1_000_000);
    chain.grow(1);
    let recipients = BTreeSet::from([OURS]);
    let scan = || keeper.watch.scan(&chain, &keeper.memory, &recipients);
    assert_eq!(scan().await.unwrap().transfers.len(), 1);
    assert_eq!(scan().await, scan().await);
}

#[tokio::test]
async fn without_recipients_no_events_are_asked_for() {
    let chain = FakeChain::of(10);
    let keeper = Keeper::new(1);
    let memory = ScannedBlocks::of([BlockRef { number: 5, hash: hash(5, 0) }]);
    let scan = keeper.watch.scan(&chain, &memory, &BTreeSet::new()).await.unwrap();
    assert_eq!(scan.scanned, [BlockRef { number: 10, hash: hash(10, 0) }]);
    assert!(chain.state().asked_for.is_empty());
}

/// Numbers that look random, the same at each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Something that happens to a chain, or to the node that tells of it.
fn happen(chain: &FakeChain, dice: &mut Dice) {
    let head = chain.state().blocks.len() as u64 - 1;
    match dice.below(8) {
        0 | 1 => chain.grow(1 + dice.below(6)),
        2 | 3 => drop(chain.pay(OURS, 1 + dice.below(1_000_000))),
        4 => chain.fork_after(head - dice.below(head.min(9))),
        5 => chain.state().head = Some(dice.below(head + 1)),
        6 => chain.state().knows_to = Some(dice.below(head + 1)),
        _ => {
            let mut state = chain.state();
            state.strays = u32::try_from(dice.below(3)).unwrap();
            state.forks_at_logs = (dice.below(4) == 0).then(|| head - dice.below(head.min(9)));
        }
    }
}

/// The node tells all again, of a chain that went on.
fn calm_down(chain: &FakeChain, keeper: &Keeper) {
    {
        let mut state = chain.state();
        (state.head, state.knows_to, state.strays, state.forks_at_logs) = (None, None, 0, None);
    }
    let newest = keeper.memory.newest().map_or(0, |block| block.number);
    chain.grow(newest + keeper.watch.confirmations.get());
}

#[tokio::test]
async fn whatever_happens_what_is_written_down_is_what_the_chain_has() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let chain = FakeChain::of(3);
        let mut keeper = Keeper::new(1 + dice.below(5));
        keeper.watch.span = NonZeroU64::new(1 + dice.below(9)).unwrap();
        keeper.watch.overlap = dice.below(4);
        for _ in 0..80 {
            happen(&chain, &mut dice);
            match keeper.try_scan(&chain).await {
                // The latter where a stray node tells of all blocks that are remembered.
                Ok(()) | Err(ScanError::Unsettled | ScanError::ForkTooDeep(_)) => {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
            if dice.below(3) == 0 {
                let mut state = chain.state();
                (state.head, state.knows_to) = (None, None);
            }
        }
        calm_down(&chain, &keeper);
        keeper.paid(&chain).await;
        let confirmed = keeper.memory.newest().unwrap().number;
        let state = chain.state();
        assert_eq!(confirmed, state.blocks.len() as u64 - keeper.watch.confirmations.get());
        let logs = state.logs.iter().filter(|log| log.block.number <= confirmed);
        let places: Vec<Place> = logs.map(Place::of).collect();
        assert_eq!(keeper.transfers.keys().copied().collect::<Vec<_>>(), places, "seed {seed}");
    }
}

#[test]
fn a_scan_can_be_a_task_of_its_own() {
    fn is_send<T: Send>(_: T) {}
    let (chain, keeper) = (FakeChain::of(0), Keeper::new(1));
    is_send(keeper.watch.scan(&chain, &keeper.memory, &BTreeSet::new()));
}
