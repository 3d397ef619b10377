//! What is due of prepayments: read with the price of another term, and decided by the engine.

use futures_util::{StreamExt, stream};

use super::pass::{is_full, page};
use super::submit::submit;
use super::{JobContext, LeaseGuard, Runs};
use crate::domain::decide::{Action, PrepaymentStep};
use crate::domain::prepay::{self, LIMITED, PRICED_IN, Prepayment, PrepaymentStatus, Quoted};
use crate::store::error::StoreError;
use crate::store::prepay::prepay_quotes;
use crate::store::prepay::prepayments;

/// Steps that are under way at once.
const AT_ONCE: usize = 16;

/// Has everything done that is due of prepayments, once.
pub async fn prepayment_pass(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    let mut runs = Runs::default();
    let mut after = None;
    while guard.renew(jobs).await? {
        let due =
            prepayments::prepayment_due(&*jobs.database.connection().await?, &page(jobs, after)).await?;
        let full = is_full(due.len());
        after = due.last().and_then(|last| Some((last.next_step_at?, last.id.0)));
        let steps = due.into_iter().map(|held| async move { step(jobs, &held).await });
        let mut steps = stream::iter(steps).buffer_unordered(AT_ONCE);
        while let Some(done) = steps.next().await {
            runs.add(&done?);
        }
        if !full {
            break;
        }
    }
    Ok(runs)
}

async fn step(jobs: &JobContext, held: &Prepayment) -> Result<Runs, StoreError> {
    let mut runs = Runs::default();
    let Some(due) = held.next_step_at else { return Ok(runs) };
    // Whether it renews itself may change before it is decided.
    let renewal = match (held.status, held.method()) {
        (PrepaymentStatus::Bound, Some(_)) => price_of_renewal(jobs, held).await?.map(Box::new),
        _ => None,
    };
    let step = Action::PrepaymentStep(Box::new(PrepaymentStep { prepayment: held.id, due, renewal }));
    match submit(jobs, held.account(), step).await {
        Ok(outcome) => outcome.made.jobs.into_iter().for_each(|done| runs.count(done)),
        Err(error) => {
            metrics::counter!("abacus_job_errors_total").increment(1);
            tracing::error!(prepayment = %held.id, %error, "a prepayment's step could not be done; it is tried again");
        }
    }
    Ok(runs)
}

/// What another term costs at the prices of now; None if there is no price.
async fn price_of_renewal(jobs: &JobContext, held: &Prepayment) -> Result<Option<Quoted>, StoreError> {
    let (Some(usd), Some(asset)) = (jobs.currencies.by_code(PRICED_IN), jobs.currencies.get(held.currency))
    else {
        return Ok(None);
    };
    let codes = LIMITED.map(str::to_owned).to_vec();
    let conn = jobs.database.connection().await?;
    let (cluster, chart) = (held.cluster.clone(), held.chart.clone());
    let found = prepay_quotes::prices_for_app(&conn, codes, cluster, chart, jobs.clock.now()).await?;
    let prices = prepay::prices_of(&found);
    Ok(prices.and_then(|prices| prepay::price(held.limits, held.months, prices, usd, asset, None).ok()))
}
