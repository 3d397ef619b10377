//! The way between the server and its database is cut, slow, half open and lossy, under all mutations that move money.

use std::time::Duration;

use abacus::domain::viewer::Role;
use tokio::time::sleep;

use super::trial::Trial;
use crate::support::proxy::{CommitCut, Proxy, Way};
use crate::support::sequences::in_full;
use crate::support::{TestServer, cluster, server};

const BETWEEN: usize = 40;
/// A line that says nothing is given up after the time that statements have.
const GOES_ON_WITHIN: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy)]
enum Fault {
    Cut,
    Slow,
    HalfOpen,
    BlackHole,
    CommitLost,
    AnswerLost,
}

impl Fault {
    const ALL: [Self; 6] =
        [Self::Cut, Self::Slow, Self::HalfOpen, Self::BlackHole, Self::CommitLost, Self::AnswerLost];

    async fn befall(self, proxy: &Proxy) {
        let (way, time) = match self {
            Self::Cut => (Way::Closed, 1_500),
            Self::Slow => (Way::Slow(Duration::from_millis(40)), 4_000),
            Self::HalfOpen => (Way::Stalled, 3_000),
            Self::BlackHole => (Way::Swallowing, 3_000),
            Self::CommitLost => return proxy.cut_commits(4, CommitCut::Before),
            Self::AnswerLost => return proxy.cut_commits(4, CommitCut::After),
        };
        proxy.set(way);
        sleep(Duration::from_millis(time)).await;
        proxy.set(Way::Open);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_way_to_the_database_loses_nothing_of_whatever_moves_money() {
    let rounds = if in_full() { 10 } else { 1 };
    let proxy = Proxy::before(&cluster::database().await).await;
    let server = TestServer::on(proxy.url.clone(), |config| config.run_jobs = true).await;
    let token = server::token(Role::Operator, None, 86_400);
    let address = server.server.address.to_string();
    let mut trial = Trial::begin("the network", &server.operator(), address, token).await;
    for _ in 0..rounds {
        for fault in Fault::ALL {
            trial.moves(BETWEEN, GOES_ON_WITHIN).await;
            fault.befall(&proxy).await;
            let took = trial.goes_on(GOES_ON_WITHIN).await;
            println!("{fault:?}: all goes on after {took:?}");
        }
    }
    trial.end(&server.operator()).await;
}
