//! The sandbox's clock is moved forward, and everything that falls due on the way is done, in order.

use chrono::{DateTime, TimeDelta, Utc};

use super::{JobContext, Permit, Runs, pass};
use crate::store::error::StoreError;
use crate::store::leases::{self, Lease};

/// The clock moves at most so many days at once.
pub const ADVANCE_DAYS_MAX: i64 = 400;
/// The leases are renewed with every instant at which something falls due.
const LEASE_SECONDS: i64 = 60;

/// Why the clock was not moved.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AdvanceError {
    #[error("this clock cannot be moved")]
    Fixed,
    #[error("the clock is at {0} already")]
    Past(DateTime<Utc>),
    #[error("the clock moves at most {ADVANCE_DAYS_MAX} days at once")]
    TooFar,
    #[error("the clock is being moved by another")]
    UnderWay,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Moves the clock to `to`, stopping at each instant on the way at which something falls due. When it fails the clock
/// stays where it has come to; moving it on does what is left.
pub async fn advance(jobs: &JobContext, to: DateTime<Utc>) -> Result<Runs, AdvanceError> {
    if !jobs.clock.is_movable() {
        return Err(AdvanceError::Fixed);
    }
    let now = jobs.clock.now();
    if to < now {
        return Err(AdvanceError::Past(now));
    }
    if to.signed_duration_since(now) > TimeDelta::days(ADVANCE_DAYS_MAX) {
        return Err(AdvanceError::TooFar);
    }
    let holder = format!("{} advancing", jobs.holder);
    let conn = jobs.database.connection().await?;
    if !leases::lease_take(&conn, Lease::Clock, &holder, LEASE_SECONDS).await? {
        return Err(AdvanceError::UnderWay);
    }
    drop(conn);
    let moved = step_by_step(jobs, &holder, to).await;
    let conn = jobs.database.connection().await?;
    leases::lease_end(&conn, Lease::Jobs, &holder).await?;
    leases::lease_end(&conn, Lease::Clock, &holder).await?;
    moved
}

async fn step_by_step(jobs: &JobContext, holder: &str, to: DateTime<Utc>) -> Result<Runs, AdvanceError> {
    let mut runs = Runs::default();
    loop {
        let conn = jobs.database.connection().await?;
        leases::lease_take(&conn, Lease::Clock, holder, LEASE_SECONDS).await?;
        // The runners stand aside, so that nothing is done before its turn.
        leases::lease_seize(&conn, Lease::Jobs, holder, LEASE_SECONDS).await?;
        drop(conn);
        runs.add(&pass(jobs, Permit::Always).await?);
        let now = jobs.clock.now();
        let conn = jobs.database.connection().await?;
        let next = leases::next_due(&conn, now).await?;
        let stop = next.filter(|next| *next < to);
        if stop.is_none() && now >= to {
            return Ok(runs);
        }
        jobs.clock.set(stop.unwrap_or(to).max(now));
        if let Some(offset) = jobs.clock.offset_micros() {
            leases::set_clock_offset(&conn, offset).await?;
        }
    }
}
