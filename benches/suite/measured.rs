//! What the runs of a scenario came to, and what they took of the machine.

use std::future::Future;
use std::time::Duration;

use super::ground::{Ground, World};
use super::support::{Cluster, Latencies, Load, median, memory_now};
use super::table::{Cost, Row};

/// Between two looks at the server's memory.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub struct Measured {
    /// Operations of a request.
    each: u64,
    rates: Vec<f64>,
    latencies: Latencies,
    answered: u64,
    server: Duration,
    postgres: Duration,
    memory: u64,
}

impl Measured {
    pub fn new() -> Self {
        Self::of_requests_of(1)
    }

    /// Each request is so many operations.
    pub fn of_requests_of(each: u64) -> Self {
        let (rates, latencies) = (Vec::new(), Latencies::new());
        Self {
            each,
            rates,
            latencies,
            answered: 0,
            server: Duration::ZERO,
            postgres: Duration::ZERO,
            memory: 0,
        }
    }

    /// Runs a load on a ground, and says how many operations it came to in a second.
    pub async fn run(&mut self, world: &World, ground: &Ground, load: impl Future<Output = Load>) -> f64 {
        let load = self.spend(&world.cluster, ground, load).await;
        self.take(&load)
    }

    /// Notes what a load took of the machine.
    pub async fn spend<T>(&mut self, cluster: &Cluster, ground: &Ground, load: impl Future<Output = T>) -> T {
        let server = ground.server.pid();
        let before = cluster.processor_time(server);
        let mut looks = tokio::time::interval(LOOK_EVERY);
        tokio::pin!(load);
        let done = loop {
            tokio::select! {
                done = &mut load => break done,
                _ = looks.tick() => self.memory = self.memory.max(memory_now(&server.to_string())),
            }
        };
        let after = cluster.processor_time(server);
        self.server += after.0 - before.0;
        self.postgres += after.1 - before.1;
        done
    }

    /// Notes what a load came to.
    pub fn take(&mut self, load: &Load) -> f64 {
        let rate = load.per_second * self.each as f64;
        self.rates.push(rate);
        self.latencies.add(&load.latencies);
        self.answered += load.answered * self.each;
        rate
    }

    pub fn memory(&self) -> u64 {
        self.memory
    }

    pub fn p99(&self) -> Duration {
        self.latencies.quantile(0.99)
    }

    pub fn row(&self, scenario: &str) -> Row {
        let of_thousand = |time: Duration| time.as_secs_f64() * 1_000.0 / self.answered.max(1) as f64;
        Row {
            per_second: Some(median(self.rates.clone())),
            latencies: Some(self.latencies.clone()),
            cost: Some(Cost { server: of_thousand(self.server), postgres: of_thousand(self.postgres) }),
            memory: Some(self.memory),
            ..Row::new(scenario)
        }
    }
}
