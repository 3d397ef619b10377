//! A closed loop: connections that ask, wait, and ask again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::{HttpClient, seconds};

/// How long requests took, to the thousandth part, of whole microseconds.
#[derive(Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    pub fn new() -> Self {
        Self(Histogram::new_with_bounds(1, 600_000_000, 3).expect("bounds"))
    }

    pub fn record(&mut self, took: Duration) {
        self.0.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn add(&mut self, others: &Self) {
        self.0.add(&others.0).expect("the same bounds");
    }

    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// What so large a part of them did not exceed.
    pub fn quantile(&self, part: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(part))
    }

    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }
}

/// Latencies that many connections record.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<Latencies>>);

impl Recorder {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Latencies::new())))
    }

    pub fn record(&self, took: Duration) {
        self.0.lock().expect("nobody panics").record(took);
    }

    pub fn latencies(&self) -> Latencies {
        self.0.lock().expect("nobody panics").clone()
    }
}

/// What a load came to.
pub struct Load {
    pub per_second: f64,
    /// Of the requests that were counted.
    pub latencies: Latencies,
    /// All that were answered, also those before and after the ones that were counted.
    pub answered: u64,
}

/// Keeps `connections` busy for a while; `next` makes each request, `check` looks at each answer.
pub async fn load<N, C>(port: u16, connections: usize, next: N, check: C) -> Load
where
    N: Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static,
    C: Fn(&[u8]) + Send + Sync + 'static,
{
    let (next, check) = (Arc::new(next), Arc::new(check));
    let stop = Arc::new(AtomicBool::new(false));
    let counting = Arc::new(AtomicBool::new(false));
    let recorder = Recorder::new();
    let clients: Vec<_> = (0..connections)
        .map(|number| {
            let (next, check, recorder) = (next.clone(), check.clone(), recorder.clone());
            let (stop, counting) = (stop.clone(), counting.clone());
            tokio::spawn(async move {
                let mut client = HttpClient::connect(port).await;
                let mut sequence = 0;
                while !stop.load(Ordering::Relaxed) {
                    let request = next(number, sequence);
                    sequence += 1;
                    let started = Instant::now();
                    check(client.send(&request).await);
                    if counting.load(Ordering::Relaxed) {
                        recorder.record(started.elapsed());
                    }
                }
                sequence
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    counting.store(true, Ordering::Relaxed);
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(seconds())).await;
    let elapsed = started.elapsed();
    counting.store(false, Ordering::Relaxed);
    stop.store(true, Ordering::Relaxed);
    let mut answered = 0;
    for client in clients {
        answered += client.await.expect("a client ends well");
    }
    let latencies = recorder.latencies();
    Load { per_second: latencies.count() as f64 / elapsed.as_secs_f64(), latencies, answered }
}
