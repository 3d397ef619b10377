//! Players of the model (support/model) who go on while something befalls the server: what they were told is held against the
//! model at each step, so that what was acknowledged is there, once, and what was refused is not.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use abacus::clock::wall;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::Client;
use crate::support::load::Dice;
use crate::support::model::{Market, Net, Player, random_steps};

const PLAYERS: usize = 8;
/// Then another account is begun: pages stay short.
const MOVES_OF_ACCOUNT: usize = 120;

pub struct Trial {
    pub addresses: watch::Sender<Vec<String>>,
    net: Net,
    is_over: Arc<AtomicBool>,
    deviations: Arc<Mutex<Vec<String>>>,
    moves: Arc<AtomicUsize>,
    players: JoinSet<()>,
    name: &'static str,
    /// The longest that it took until requests were answered again.
    longest: Duration,
    rounds: usize,
}

/// What a player does again and again.
struct Part {
    number: usize,
    net: Net,
    market: Arc<Market>,
    is_over: Arc<AtomicBool>,
    moves: Arc<AtomicUsize>,
}

impl Part {
    async fn play(self, mut dice: Dice) -> Result<(), String> {
        for account in 0.. {
            let namespace = format!("player-{}-{account}", self.number);
            let mut player = Player::begin(&self.net, &self.market, namespace, wall()).await?;
            for _ in 0..MOVES_OF_ACCOUNT {
                if self.is_over.load(Ordering::SeqCst) {
                    return player.compare().await;
                }
                player.play_one(&random_steps(&mut dice, 1)[0]).await?;
                self.moves.fetch_add(1, Ordering::SeqCst);
            }
            player.compare().await?;
        }
        Ok(())
    }
}

fn seed() -> u64 {
    let given = std::env::var("ABACUS_TRIAL_SEED").ok().map(|seed| seed.parse::<u64>().expect("a number"));
    given.unwrap_or_else(|| u64::try_from(wall().timestamp()).unwrap())
}

impl Trial {
    /// Begins to play on a server.
    pub async fn begin(name: &'static str, operator: &Client, address: String, token: String) -> Self {
        let seed = seed();
        println!("{name}: the same moves again: ABACUS_TRIAL_SEED={seed}");
        let market = Arc::new(Market::open(operator, wall()).await);
        let addresses = watch::Sender::new(vec![address]);
        let mut trial = Self {
            net: Net::to(addresses.subscribe(), token, true),
            addresses,
            is_over: Arc::default(),
            deviations: Arc::default(),
            moves: Arc::default(),
            players: JoinSet::new(),
            name,
            longest: Duration::ZERO,
            rounds: 0,
        };
        for number in 0..PLAYERS {
            let part = Part {
                number,
                net: trial.net.clone(),
                market: Arc::clone(&market),
                is_over: Arc::clone(&trial.is_over),
                moves: Arc::clone(&trial.moves),
            };
            let deviations = Arc::clone(&trial.deviations);
            let dice = Dice::new(seed.wrapping_add(number as u64));
            trial.players.spawn(async move {
                if let Err(deviation) = part.play(dice).await {
                    println!("DEVIATES: {deviation}");
                    deviations.lock().unwrap().push(deviation);
                }
            });
        }
        trial
    }

    fn assert_no_deviation(&self) {
        let deviations = self.deviations.lock().unwrap();
        assert!(deviations.is_empty(), "{}: {deviations:#?}", self.name);
    }

    /// Waits until so many more moves were made.
    pub async fn moves(&self, count: usize, within: Duration) {
        let (begin, before) = (Instant::now(), self.moves.load(Ordering::SeqCst));
        while self.moves.load(Ordering::SeqCst) < before + count {
            self.assert_no_deviation();
            assert!(begin.elapsed() < within, "{}: {count} moves are not made within {within:?}", self.name);
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// After something that befell the server is over: all goes on within so long. Answers how long it took.
    pub async fn goes_on(&mut self, within: Duration) -> Duration {
        let begin = Instant::now();
        self.moves(2 * PLAYERS, within).await;
        let took = begin.elapsed();
        self.longest = self.longest.max(took);
        self.rounds += 1;
        took
    }

    /// Ends it: everything is as the model has it.
    pub async fn end(mut self, operator: &Client) {
        self.is_over.store(true, Ordering::SeqCst);
        while let Some(ended) = self.players.join_next().await {
            ended.expect("a player that ends");
        }
        self.assert_no_deviation();
        let (moves, longest) = (self.moves.load(Ordering::SeqCst), self.longest);
        let (answered, repeated) =
            (self.net.answered.load(Ordering::SeqCst), self.net.repeated.load(Ordering::SeqCst));
        println!(
            "{}: {} rounds, {moves} moves, {answered} requests answered, {repeated} asked for again; all went on within {longest:?}",
            self.name, self.rounds
        );
        let health = operator.data("{ ledgerHealth { ok imbalance faults { kind message } } }").await;
        assert_eq!(health["ledgerHealth"], json!({ "ok": true, "imbalance": "0", "faults": [] }));
    }
}
