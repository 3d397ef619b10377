//! What waits at a place for a lane: people's commands and jobs', each account's in its order.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::fair_queue::FairQueue;
use super::pace::{Pace, WaitingLimit};
use super::request::{Priority, Request, Whose};
use crate::domain::command::Command;
use crate::domain::ids::AccountId;
use crate::lane::NoticeQueue;

/// Shared by those who ask and the lanes, so that whoever has no place is told at once. The lock is held for as long as a command
/// is put in or taken out.
pub(super) struct Queue(Mutex<Waiting>);

struct Waiting {
    people: FairQueue<AccountId, Request>,
    jobs: FairQueue<AccountId, Request>,
    pace: Pace,
    is_closed: bool,
}

impl Waiting {
    const fn of(&mut self, priority: Priority) -> &mut FairQueue<AccountId, Request> {
        match priority {
            Priority::Interactive => &mut self.people,
            Priority::Background => &mut self.jobs,
        }
    }

    /// Has as many wait as the lane carries out in time. Where people wait for half of that already, jobs have a quarter of it, as
    /// they have of a batch.
    fn limit(&mut self) {
        let Some(waiting_max) = self.pace.waiting_max() else { return };
        let is_busy = self.people.ready() > waiting_max / 2;
        self.people.limit_ready(waiting_max);
        self.jobs.limit_ready(if is_busy { waiting_max / 4 } else { waiting_max });
    }
}

/// Why a command was not taken on.
pub(super) enum NoPlace {
    /// Or it would wait too long.
    Full(Request),
    Closed(Request),
}

impl Queue {
    /// With so many places for people's commands, and a quarter as many for jobs'; fewer where the lane is slow.
    pub(super) fn new(places: usize, limit: WaitingLimit) -> Self {
        let (people, jobs) = (FairQueue::new(places), FairQueue::new(places / 4));
        Self(Mutex::new(Waiting { people, jobs, pace: Pace::new(limit), is_closed: false }))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more command of the account, which people ask for, has a place.
    pub(super) fn has_place(&self, account: AccountId) -> bool {
        let mut waiting = self.waiting();
        waiting.limit();
        waiting.people.has_place(account)
    }

    pub(super) fn push(&self, request: Request) -> Result<(), Box<NoPlace>> {
        let mut waiting = self.waiting();
        if waiting.is_closed {
            return Err(Box::new(NoPlace::Closed(request)));
        }
        waiting.limit();
        let pushed = waiting.of(request.priority()).push(request.command().account, request);
        pushed.map_err(|request| Box::new(NoPlace::Full(request)))
    }

    /// Fills a batch up to `batch_max`, people first. Of it, jobs have a quarter while people wait, and whatever is free when none
    /// do.
    pub(super) fn fill(&self, batch: &mut Vec<Request>, batch_max: usize) {
        let mut waiting = self.waiting();
        let quarter = batch_max / 4;
        let of_people = batch_max.saturating_sub(quarter.min(waiting.jobs.ready()));
        while batch.len() < of_people {
            let Some(request) = waiting.people.pop() else { break };
            batch.push(request);
        }
        let people_wait = waiting.people.ready() > 0 || batch.len() > 1;
        let share = if people_wait { quarter.max(1) } else { batch_max };
        for _ in 0..share.min(batch_max.saturating_sub(batch.len())) {
            let Some(request) = waiting.jobs.pop() else { break };
            batch.push(request);
        }
        if !batch.is_empty() {
            waiting.pace.begin(batch.len());
        }
    }

    /// The batch that was filled last was carried out, whatever became of it.
    pub(super) fn end_batch(&self) {
        let mut waiting = self.waiting();
        let is_waited = waiting.people.ready() > 0 || waiting.jobs.ready() > 0;
        waiting.pace.end(is_waited);
    }

    /// Keeps an account's commands out of the turns; those that were taken come first again.
    pub(super) fn set_aside(&self, (account, priority): Whose, taken: Vec<Request>) {
        self.waiting().of(priority).set_aside(account, taken);
    }

    /// The first of the commands of an account that is aside, if it is as it has to be.
    pub(super) fn pop_aside_if(
        &self,
        (account, priority): Whose,
        is_so: impl FnOnce(&Request) -> bool,
    ) -> Option<Request> {
        self.waiting().of(priority).pop_aside_if(account, is_so)
    }

    pub(super) fn resume(&self, (account, priority): Whose) {
        self.waiting().of(priority).resume(account);
    }

    /// Whether anything waits that could be taken now.
    pub(super) fn has_ready(&self) -> bool {
        let waiting = self.waiting();
        waiting.people.ready() > 0 || waiting.jobs.ready() > 0
    }

    /// Takes no more.
    pub(super) fn close(&self) {
        self.waiting().is_closed = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.waiting();
        waiting.people.is_empty() && waiting.jobs.is_empty()
    }

    /// Takes no more, and forgets what waits: whoever asked learns that the outcome is unknown.
    pub(super) fn abandon(&self) {
        self.close();
        let mut waiting = self.waiting();
        let left = (waiting.people.drain(), waiting.jobs.drain());
        drop(waiting);
        drop(left);
    }
}

impl NoticeQueue for Queue {
    fn put(&self, notice: Command) {
        let (answer, _) = oneshot::channel();
        // Where the queue is full, the log and the metric have told.
        let _ = self.push(Request::new(notice, Priority::Background, answer, Instant::now()));
    }
}
