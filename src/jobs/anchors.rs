//! Every hour where all ledgers end is anchored: hashed into one root, and signed (docs/adr/0036).

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::telling::{first_account, tell_once};
use super::{JobContext, LeaseGuard, Runs};
use crate::domain::anchor::{Anchor, is_due};
use crate::domain::ids::AccountId;
use crate::domain::notice::NoticeKind;
use crate::store::anchors::{self, AnchorDraft, AnchorRefusal};
use crate::store::error::StoreError;

/// Operators are told once the newest anchor is so old, and none can be made.
const TOLD_AFTER: TimeDelta = TimeDelta::hours(3);
/// Accounts that are named in the log; more of them are counted.
const NAMED_MAX: usize = 10;

/// Makes the hour's anchor, if there is none yet and there is a key to sign it with. What goes wrong is told, and tried again.
pub async fn anchor_pass(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    if jobs.database.anchor_keys().signing().is_none() {
        return Ok(Runs::default());
    }
    let now = jobs.clock.now();
    let newest = anchors::newest(&*jobs.database.connection().await?).await;
    let made_at = newest.as_ref().ok().and_then(Option::as_ref).map(|newest| newest.facts.at);
    tell_age(made_at, now);
    // One that cannot be read is told of like one that cannot be made.
    if newest.as_ref().is_ok_and(|newest| !is_due(newest.as_ref(), now)) {
        return Ok(Runs::default());
    }
    match make(jobs, guard, now).await {
        Ok(Some(anchor)) => {
            metrics::counter!("abacus_anchors_total").increment(1);
            let (number, accounts) = (anchor.facts.number, anchor.facts.accounts);
            tracing::info!(number, accounts, "the ledger is anchored");
            tell_age(Some(anchor.facts.at), now);
        }
        // It has lost its lease, the server stops, or another was first.
        Ok(None) => {}
        Err(error) => {
            if !is_made_by_another(jobs, now).await {
                failed(jobs, made_at, now, &error).await;
            }
        }
    }
    Ok(Runs::default())
}

/// How old the newest anchor is: above an hour something is behind.
fn tell_age(made_at: Option<DateTime<Utc>>, now: DateTime<Utc>) {
    if let Some(made_at) = made_at {
        let age = i32::try_from(now.signed_duration_since(made_at).num_seconds()).unwrap_or(i32::MAX);
        metrics::gauge!("abacus_anchor_age_seconds").set(f64::from(age));
    }
}

/// Page after page, and after each it rests as long as that took. None: it does not go on here, or another server has made it.
async fn make(
    jobs: &JobContext,
    guard: &LeaseGuard<'_>,
    now: DateTime<Utc>,
) -> Result<Option<Anchor>, AnchorRefusal> {
    let Some(mut making) = AnchorDraft::begin(&jobs.database, jobs.clock.held_by(), now).await? else {
        return Ok(None);
    };
    let mut held = Vec::new();
    loop {
        if !guard.renew(jobs).await? {
            return Ok(None);
        }
        let began = Instant::now();
        let taken = making.take_page().await?;
        held.extend(taken.held);
        if !taken.goes_on {
            break;
        }
        if let LeaseGuard::Leased { .. } = guard {
            tokio::time::sleep(began.elapsed()).await;
        }
    }
    let anchor = making.finish(jobs.database.anchor_keys()).await?;
    tell_held(&held);
    Ok(Some(anchor))
}

/// Says whose ledgers do not go on from what was anchored of them; the check of the ledger tells operators why.
fn tell_held(held: &[AccountId]) {
    let count = i32::try_from(held.len()).unwrap_or(i32::MAX);
    metrics::gauge!("abacus_anchor_accounts_held").set(f64::from(count));
    if count > 0 {
        let named: Vec<String> = held.iter().take(NAMED_MAX).map(ToString::to_string).collect();
        let accounts = named.join(", ");
        tracing::error!(
            count,
            accounts,
            "ledgers that do not go on from what was anchored keep the leaves they had"
        );
    }
}

async fn is_made_by_another(jobs: &JobContext, now: DateTime<Utc>) -> bool {
    let Ok(conn) = jobs.database.connection().await else { return false };
    anchors::newest(&conn).await.is_ok_and(|newest| !is_due(newest.as_ref(), now))
}

async fn failed(
    jobs: &JobContext,
    made_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    error: &AnchorRefusal,
) {
    metrics::counter!("abacus_anchor_failures_total").increment(1);
    tracing::error!(%error, "the ledger could not be anchored; it is tried again");
    if made_at.is_none_or(|made_at| now.signed_duration_since(made_at) >= TOLD_AFTER)
        && let Err(error) = tell_operators(jobs, error).await
    {
        tracing::error!(%error, "nor could that be told");
    }
}

/// Tells operators once, until they have acknowledged it, at the first account: it is nobody's.
async fn tell_operators(jobs: &JobContext, error: &AnchorRefusal) -> Result<(), StoreError> {
    let Some(first) = first_account(jobs).await? else { return Ok(()) };
    let message = format!("The ledger could not be anchored: {error}. It is tried again (docs/LEDGER.md).");
    tell_once(jobs, first, NoticeKind::AnchorFailed, message).await
}
