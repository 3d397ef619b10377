//! How fast a lane is, and so how many commands may wait for it: whoever would wait longer is told at once, not after.

use std::time::Duration;

use tokio::time::Instant;

/// What is older counts for less: all that was measured is halved each time it covers so much of the lane's time.
const REMEMBERED: Duration = Duration::from_secs(1);

/// What of waiting is allowed.
#[derive(Debug, Clone, Copy)]
pub struct WaitingLimit {
    /// Nobody should wait longer to be taken.
    pub time_max: Duration,
    /// So many may wait however slow the lane was, two batches: a commit that hangs turns nobody away from a short queue, and a lane
    /// whose batches were small is not taken for a slow one.
    pub commands_min: usize,
}

impl Default for WaitingLimit {
    fn default() -> Self {
        Self { time_max: Duration::from_millis(100), commands_min: 1_024 }
    }
}

/// What a lane has carried out lately, and in which time. Only time in which something waited or was carried out counts.
#[derive(Debug)]
pub(super) struct Pace {
    limit: WaitingLimit,
    commands: u128,
    time: Duration,
    /// Since when it has had something to do, and how much of that it has taken.
    under_way: Option<(Instant, usize)>,
}

impl Pace {
    pub const fn new(limit: WaitingLimit) -> Self {
        Self { limit, commands: 0, time: Duration::ZERO, under_way: None }
    }

    /// A batch begins.
    pub fn begin(&mut self, commands: usize) {
        let (_, taken) = self.under_way.get_or_insert_with(|| (Instant::now(), 0));
        *taken = taken.saturating_add(commands);
    }

    /// It has ended; whether there is more to do.
    pub fn end(&mut self, is_waited: bool) {
        let now = Instant::now();
        if let Some((since, taken)) = self.under_way.take() {
            self.commands = self.commands.saturating_add(taken as u128);
            self.time = self.time.saturating_add(now.duration_since(since));
        }
        while self.time > REMEMBERED {
            self.commands /= 2;
            self.time /= 2;
        }
        self.under_way = is_waited.then_some((now, 0));
    }

    /// So many may wait. None: as many as there is room for, as nothing is known yet.
    pub fn waiting_max(&self) -> Option<usize> {
        let in_time = self.commands.saturating_mul(self.limit.time_max.as_nanos());
        let in_time = in_time.checked_div(self.time.as_nanos())?;
        Some(usize::try_from(in_time).unwrap_or(usize::MAX).max(self.limit.commands_min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: WaitingLimit = WaitingLimit { time_max: Duration::from_millis(100), commands_min: 64 };

    async fn carry_out(pace: &mut Pace, commands: usize, millis: u64) {
        pace.begin(commands);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        pace.end(true);
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_wait_as_are_carried_out_in_the_time() {
        let mut pace = Pace::new(LIMIT);
        assert_eq!(pace.waiting_max(), None, "nothing is known");
        for _ in 0..40 {
            carry_out(&mut pace, 500, 50).await;
        }
        assert_eq!(pace.waiting_max(), Some(1_000));
        // A slower one is noticed within a second or two.
        for _ in 0..40 {
            carry_out(&mut pace, 100, 50).await;
        }
        let slower = pace.waiting_max().unwrap();
        assert!((200..=450).contains(&slower), "{slower}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_slow_commit_leaves_room_and_a_slow_lane_its_least() {
        let mut pace = Pace::new(LIMIT);
        for _ in 0..40 {
            carry_out(&mut pace, 500, 50).await;
        }
        carry_out(&mut pace, 500, 500).await;
        assert!(pace.waiting_max().unwrap() > 500, "{:?}", pace.waiting_max());
        carry_out(&mut pace, 1, 60_000).await;
        assert_eq!(pace.waiting_max(), Some(64));
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_anything_to_do_makes_no_lane_slow() {
        let mut pace = Pace::new(LIMIT);
        for _ in 0..10 {
            pace.begin(100);
            tokio::time::sleep(Duration::from_millis(10)).await;
            pace.end(false);
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        assert_eq!(pace.waiting_max(), Some(1_000));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_a_turn_counts() {
        let mut pace = Pace::new(LIMIT);
        carry_out(&mut pace, 100, 10).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
        pace.begin(100);
        pace.end(false);
        assert_eq!(pace.waiting_max(), Some(1_000));
    }
}
