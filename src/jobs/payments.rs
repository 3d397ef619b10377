//! Payments by card that nobody waits for are carried on: renewals, what is given back, and whatever was cut short.

use futures_util::{StreamExt, stream};

use super::pass::page;
use super::{JobContext, LeaseGuard, Runs};
use crate::engine::Priority;
use crate::store::error::StoreError;
use crate::store::payments;

/// Providers are asked so many things at once.
const ASKED_AT_ONCE: usize = 16;

/// Carries on every payment that is due, once.
pub async fn payment_pass(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    let mut runs = Runs::default();
    let mut after = None;
    while guard.renew(jobs).await? {
        let due = payments::payment_due(&*jobs.database.connection().await?, &page(jobs, after)).await?;
        let Some((last, at)) = due.last().copied() else { break };
        after = Some((at, last.0));
        let carrying = due.into_iter().map(|(payment, due)| async move {
            (payment, jobs.cashier.carry(payment, due, Priority::Background).await)
        });
        let carried: Vec<_> = stream::iter(carrying).buffer_unordered(ASKED_AT_ONCE).collect().await;
        for (payment, outcome) in carried {
            match outcome {
                Ok(settled) => settled.into_iter().for_each(|done| runs.count(done)),
                Err(error) => {
                    metrics::counter!("abacus_job_errors_total").increment(1);
                    tracing::error!(%payment, %error, "a payment could not be carried on; it is tried again");
                }
            }
        }
    }
    Ok(runs)
}
