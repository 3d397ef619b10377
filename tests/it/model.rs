//! Random sequences of all mutations that move money, by several clients against a real server, held against a model that is a
//! plain map of accounts (support/model).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use abacus::clock::{Clock, wall};
use abacus::domain::viewer::Role;
use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::load::Dice;
use crate::support::model::{Market, Net, Player, Step, random_steps, shrink};
use crate::support::sequences::in_full;
use crate::support::{TestServer, server};

const CLIENTS: usize = 8;

/// A sequence of moves of one account.
struct Game {
    net: Net,
    market: Arc<Market>,
    now: DateTime<Utc>,
}

impl Game {
    /// Plays the steps on a new account, and answers how that was called.
    async fn play(&self, steps: &[Step]) -> Result<(), String> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let namespace = format!("model-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut player = Player::begin(&self.net, &self.market, namespace, self.now).await?;
        player.play(steps).await
    }
}

fn seed() -> u64 {
    let given = std::env::var("ABACUS_MODEL_SEED").ok().map(|seed| seed.parse::<u64>().expect("a number"));
    given.unwrap_or_else(|| u64::try_from(wall().timestamp()).unwrap())
}

/// The steps of a game: those of its seed, whichever client plays it.
fn steps_of(seed: u64, length: usize) -> Vec<Step> {
    random_steps(&mut Dice::new(seed), length)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_asked_for_comes_to_what_the_model_says() {
    let (games, length) = if in_full() { (500, 200) } else { (12, 50) };
    let seed = seed();
    println!("the same games again: ABACUS_MODEL_SEED={seed}");
    let now = wall();
    let server = TestServer::with(|config| config.clock = Clock::standing_at(now)).await;
    let market = Arc::new(Market::open(&server.operator(), now).await);
    let (_keep, addresses) = watch::channel(vec![server.server.address.to_string()]);
    let net = Net::to(addresses, server::token(Role::Operator, None, 86_400), false);
    let game = Arc::new(Game { net, market, now });
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (game, next) = (Arc::clone(&game), Arc::clone(&next));
        clients.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= games {
                    return Ok(());
                }
                let of_game = seed.wrapping_add(number as u64);
                game.play(&steps_of(of_game, length)).await.map_err(|deviation| (of_game, deviation))?;
            }
        });
    }
    let mut failed = None;
    while let Some(outcome) = clients.join_next().await {
        failed = failed.or(outcome.expect("a client that ends").err());
    }
    println!(
        "{games} games of {length} moves, {} requests answered",
        game.net.answered.load(Ordering::SeqCst)
    );
    if let Some((of_game, deviation)) = failed {
        println!("ABACUS_MODEL_SEED={of_game} deviates: {deviation}");
        let (shortest, deviation) =
            shrink::shortest(steps_of(of_game, length), deviation, async |steps| game.play(steps).await)
                .await;
        panic!(
            "ABACUS_MODEL_SEED={of_game} deviates by {} steps: {shortest:#?}\n{deviation}",
            shortest.len()
        );
    }
    server.assert_ledger_is_healthy().await;
}
