//! An open loop: requests begin when they are meant to, however long the others take, and latencies count from then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::books::Answer;
use super::support::{HttpClient, Latencies, Load, Recorder};

/// Before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Clone, Copy)]
pub struct Pace {
    pub port: u16,
    /// Requests that begin in a second.
    pub per_second: f64,
    pub time: Duration,
    pub connections: usize,
    /// Who has found no free connection for so long is not sent any more. None: it is sent whenever there is one.
    pub late_max: Option<Duration>,
}

/// What came of it.
pub struct Paced {
    /// What was done, from when it was meant to begin.
    pub done: Load,
    /// What was answered OVERLOADED, from when it was sent.
    pub overloaded: Load,
    /// What found no free connection.
    pub unsent: u64,
    /// When the last request was meant to begin.
    pub ended: Instant,
}

/// Answers of one kind.
struct Counted {
    all: AtomicU64,
    /// Those that came while it was counted.
    in_time: AtomicU64,
    latencies: Recorder,
}

impl Counted {
    fn new() -> Self {
        Self { all: AtomicU64::new(0), in_time: AtomicU64::new(0), latencies: Recorder::new() }
    }

    fn load(&self, time: Duration) -> Load {
        Load {
            per_second: self.in_time.load(Ordering::Relaxed) as f64 / time.as_secs_f64(),
            latencies: self.latencies.latencies(),
            answered: self.all.load(Ordering::Relaxed),
        }
    }
}

struct Run {
    pace: Pace,
    began: Instant,
    tickets: AtomicU64,
    unsent: AtomicU64,
    done: Counted,
    overloaded: Counted,
}

impl Run {
    fn counted_from(&self) -> Instant {
        self.began + WARM_UP
    }

    fn end(&self) -> Instant {
        self.counted_from() + self.pace.time
    }

    /// When the next request that can be sent in time is meant to begin; None: there are no more.
    fn next(&self) -> Option<Instant> {
        loop {
            let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
            let due = self.began + Duration::from_secs_f64(ticket as f64 / self.pace.per_second);
            if due >= self.end() {
                return None;
            }
            if self.pace.late_max.is_none_or(|most| due.elapsed() <= most) {
                return Some(due);
            }
            self.unsent.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn note(&self, answer: Answer, due: Instant, sent: Instant) {
        let (counted, from) = match answer {
            Answer::Done => (&self.done, due),
            Answer::Overloaded => (&self.overloaded, sent),
        };
        let now = Instant::now();
        counted.all.fetch_add(1, Ordering::Relaxed);
        if due >= self.counted_from() {
            counted.latencies.record(now - from);
        }
        if now >= self.counted_from() && now < self.end() {
            counted.in_time.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends at a pace; `next` makes each request, `check` looks at each answer.
pub async fn at_pace<N, C>(pace: Pace, next: N, check: C) -> Paced
where
    N: Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static,
    C: Fn(&[u8]) -> Answer + Send + Sync + 'static,
{
    let mut connections = Vec::with_capacity(pace.connections);
    for _ in 0..pace.connections {
        connections.push(HttpClient::connect(pace.port).await);
    }
    let (next, check) = (Arc::new(next), Arc::new(check));
    let run = Arc::new(Run {
        pace,
        began: Instant::now() + Duration::from_millis(100),
        tickets: AtomicU64::new(0),
        unsent: AtomicU64::new(0),
        done: Counted::new(),
        overloaded: Counted::new(),
    });
    let clients = connections.into_iter().enumerate().map(|(number, mut client)| {
        let (next, check, run) = (next.clone(), check.clone(), run.clone());
        tokio::spawn(async move {
            let mut sequence = 0;
            while let Some(due) = run.next() {
                sleep_until(due).await;
                let request = next(number, sequence);
                sequence += 1;
                let sent = Instant::now();
                let (_, answer) = client.exchange(&request).await.expect("an answer comes");
                run.note(check(answer), due, sent);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("a client ends well");
    }
    Paced {
        done: run.done.load(pace.time),
        overloaded: run.overloaded.load(pace.time),
        unsent: run.unsent.load(Ordering::Relaxed),
        ended: run.end(),
    }
}

/// Of so many requests that could not be sent, how large a part of all that is.
pub fn part_of_all(paced: &Paced) -> f64 {
    let all = paced.done.answered + paced.overloaded.answered + paced.unsent;
    paced.unsent as f64 / all.max(1) as f64
}

/// The longest of latencies that is no outlier.
pub fn longest(latencies: &Latencies) -> Duration {
    latencies.quantile(0.999)
}
