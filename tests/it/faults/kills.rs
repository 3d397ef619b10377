//! kill -9 of the server, and of PostgreSQL, under all mutations that move money.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::trial::Trial;
use crate::support::process::{Abacus, Folder};
use crate::support::sequences::in_full;

const BETWEEN: usize = 60;
const GOES_ON_WITHIN: Duration = Duration::from_secs(90);

async fn rides_out(name: &'static str, rounds: usize, disturb: impl AsyncFn(&Folder, Abacus) -> Abacus) {
    let folder = Folder::new();
    let mut server = Abacus::start(&folder).await;
    let token = server.operator.clone();
    let mut trial = Trial::begin(name, &server.operator(), server.address.clone(), token).await;
    for _ in 0..rounds {
        trial.moves(BETWEEN, GOES_ON_WITHIN).await;
        server = disturb(&folder, server).await;
        trial.addresses.send_replace(vec![server.address.clone()]);
        trial.goes_on(GOES_ON_WITHIN).await;
    }
    trial.end(&server.operator()).await;
    assert!(server.child.try_wait().unwrap().is_none(), "{}", folder.log());
}

fn rounds() -> usize {
    if in_full() { 50 } else { 3 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_loses_nothing_of_whatever_moves_money() {
    rides_out("kill -9 of the server", rounds(), async |folder, mut server| {
        server.signal(Signal::SIGKILL);
        server.ended().await;
        Abacus::start(folder).await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_is_killed_loses_nothing_of_whatever_moves_money() {
    rides_out("kill -9 of PostgreSQL", rounds(), async |folder, server| {
        folder.kill_postmaster().await;
        server
    })
    .await;
}
