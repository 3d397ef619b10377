//! A worker of a cluster is lost and comes back, under all mutations that move money.

use std::time::Duration;

use abacus::domain::viewer::Role;
use tokio::time::sleep;

use crate::faults::trial::Trial;
use crate::support::citus::{self, Nodes};
use crate::support::sequences::in_full;
use crate::support::{TestServer, cluster, server};

const BETWEEN: usize = 40;
const AWAY: Duration = Duration::from_secs(2);
/// What was being committed on two nodes is ended by the cluster itself, once a minute unless it is told otherwise.
const GOES_ON_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_lost_loses_nothing_of_whatever_moves_money() {
    let Some(coordinator) = citus::url() else {
        citus::is_there();
        return;
    };
    let rounds = if in_full() { 20 } else { 2 };
    let (nodes, url) = (Nodes::find(&coordinator).await, cluster::database().await);
    let (_, database) = url.rsplit_once('/').expect("an address with a database");
    let server = TestServer::on(url.clone(), |config| config.run_jobs = true).await;
    let token = server::token(Role::Operator, None, 86_400);
    let address = server.server.address.to_string();
    let mut trial = Trial::begin("a worker is lost", &server.operator(), address, token).await;
    for _ in 0..rounds {
        for worker in &nodes.workers {
            trial.moves(BETWEEN, GOES_ON_WITHIN).await;
            worker.lose(database).await;
            sleep(AWAY).await;
            worker.come_back(database).await;
            trial.goes_on(GOES_ON_WITHIN).await;
        }
    }
    trial.end(&server.operator()).await;
}
