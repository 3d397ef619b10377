//! Whether a lane can write: what /readyz, a metric and a notice to operators tell of it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::teller::{NoticeSink, Teller};
use crate::clock::Clock;
use crate::domain::cell::CellNumber;
use crate::domain::command::Command;
use crate::domain::decide::{Action, RaiseNotice};
use crate::domain::ids::AccountId;
use crate::domain::notice::NoticeKind;
use crate::store::error::StoreError;

/// What lanes write, as the metric's label and people name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaneKind {
    Commands,
    Usage,
}

impl LaneKind {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Commands => "commands",
            Self::Usage => "usage",
        }
    }

    /// The metric that counts how often its batches were tried again.
    pub(super) const fn retries(self) -> &'static str {
        match self {
            Self::Commands => "abacus_batch_retries_total",
            Self::Usage => "abacus_usage_retries_total",
        }
    }
}

/// A lane among those of all cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneNumber {
    pub cell: CellNumber,
    pub number: usize,
}

impl fmt::Display for LaneNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cell != CellNumber::HOME {
            write!(formatter, "{}/", self.cell)?;
        }
        self.number.fmt(formatter)
    }
}

/// Tells whether a lane can write.
#[derive(Clone)]
pub struct LaneWatch {
    kind: LaneKind,
    number: LaneNumber,
    fails: watch::Receiver<bool>,
}

impl LaneWatch {
    /// The cell that it writes to.
    pub const fn cell(&self) -> CellNumber {
        self.number.cell
    }

    /// Which lane it is, if it cannot write.
    pub fn failing(&self) -> Option<String> {
        self.fails.borrow().then(|| format!("{} cannot be written (lane {})", self.kind.label(), self.number))
    }
}

/// Since when a lane cannot write, and why.
struct Outage {
    since: DateTime<Utc>,
    /// The first whose writing failed: on its list operators find the notice.
    account: AccountId,
    why: String,
    is_told: Arc<AtomicBool>,
}

/// What a lane knows of its own writing.
pub struct LaneState {
    kind: LaneKind,
    number: LaneNumber,
    teller: Teller,
    clock: Clock,
    fails: watch::Sender<bool>,
    outage: Option<Outage>,
}

impl LaneState {
    pub fn new(kind: LaneKind, number: LaneNumber, teller: Teller, clock: Clock) -> Self {
        let state = Self { kind, number, teller, clock, fails: watch::Sender::new(false), outage: None };
        state.show(false);
        state
    }

    pub fn watch(&self) -> LaneWatch {
        LaneWatch { kind: self.kind, number: self.number, fails: self.fails.subscribe() }
    }

    /// What was to be written for an account could not be, for no fault of its own.
    pub fn failed(&mut self, account: AccountId, why: &StoreError) {
        tracing::error!(kind = self.kind.label(), lane = %self.number, %account, %why, "a lane cannot write");
        let begin =
            || Outage { since: self.clock.now(), account, why: why.to_string(), is_told: Arc::default() };
        let outage = self.outage.get_or_insert_with(begin);
        if let Teller::Others(sink) = &self.teller {
            let message = format!("{} It is tried again and again.", told(self.kind, outage));
            tell(sink, outage, message);
        }
        self.show(true);
    }

    /// It can write, or can again.
    pub fn wrote(&mut self) {
        let Some(outage) = self.outage.take() else { return };
        self.show(false);
        tracing::info!(kind = self.kind.label(), lane = %self.number, since = %outage.since, "a lane can write again");
        let message = format!("{} Since {} it can be.", told(self.kind, &outage), instant(self.clock.now()));
        match &self.teller {
            Teller::Others(sink) => tell(sink, &outage, message),
            Teller::Itself(queue) => queue.put(notice(outage.account, message)),
        }
    }

    fn show(&self, fails: bool) {
        self.fails.send_replace(fails);
        let labels = [("kind", self.kind.label().to_owned()), ("lane", self.number.to_string())];
        metrics::gauge!("abacus_lane_failing", &labels).set(f64::from(u8::from(fails)));
    }
}

fn told(kind: LaneKind, outage: &Outage) -> String {
    let what = match kind {
        LaneKind::Commands => "What accounts such as this ask for",
        LaneKind::Usage => "The usage of accounts such as this",
    };
    format!("{what} could not be written from {} on: {}.", instant(outage.since), outage.why)
}

fn instant(at: DateTime<Utc>) -> impl std::fmt::Display {
    at.format("%Y-%m-%dT%H:%M:%SZ")
}

fn notice(account: AccountId, message: String) -> Command {
    let notice = RaiseNotice::about_account(NoticeKind::WritesFailing, message);
    Command::by_itself(account, Action::RaiseNotice(notice))
}

/// Tells operators of an outage once; the lane does not wait for that.
fn tell(sink: &Arc<dyn NoticeSink>, outage: &Outage, message: String) {
    if outage.is_told.swap(true, Ordering::SeqCst) {
        return;
    }
    let (sink, is_told) = (Arc::clone(sink), Arc::clone(&outage.is_told));
    let notice = notice(outage.account, message);
    tokio::spawn(async move {
        if let Err(error) = sink.raise(notice).await {
            is_told.store(false, Ordering::SeqCst);
            tracing::warn!(%error, "operators cannot be told yet of a lane that cannot write");
        }
    });
}
