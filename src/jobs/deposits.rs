//! Deposits of tokens: the chain is looked at, and what is new on it, or gone from it, is decided on by the engine.
//!
//! A scan writes down what the chain says, and the rows say themselves whether they were decided on: so whatever is cut short,
//! before or after, is done with the next pass, and nothing is done twice.

use futures_util::{StreamExt, stream};

use super::submit::submit;
use super::{JobContext, LeaseGuard, Runs};
use crate::domain::decide::{Action, CountDeposits};
use crate::engine::die_at;
use crate::payments::{ScanFailure, Scanner};
use crate::store::deposits::{self, AddressOf};
use crate::store::error::StoreError;
use crate::store::leases::{self, Lease};

/// Addresses that are read at a time.
const PAGE: i64 = 256;
/// Scans before what they found is decided on.
const SCANS_AT_ONCE: usize = 20;
/// Addresses that are decided on at once.
const AT_ONCE: usize = 16;

/// Looks at the chain, and has everything decided that is new, once.
///
/// A process that was not told of the chain keeps out of it, and does not hold the lease of those that were.
pub async fn deposit_pass(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    let Some(deposit_addresses) = &jobs.deposit_addresses else { return Ok(Runs::default()) };
    if let Some(scanner) = deposit_addresses.scanner() {
        if !guard.renew(jobs).await? {
            scanner.rest();
            return Ok(Runs::default());
        }
        let scanned = scan(jobs, scanner, guard).await;
        metrics::gauge!("abacus_chain_is_scanned").set(if scanned.is_ok() { 1_u32 } else { 0 });
        if let Err(error) = scanned {
            metrics::counter!("abacus_chain_failures_total").increment(1);
            tracing::error!(%error, "the chain could not be looked at; it is tried again");
            if error.is_of_settings() {
                // Others may have been told better.
                leases::lease_end(&*jobs.database.connection().await?, Lease::Deposits, &jobs.holder).await?;
                return Ok(Runs::default());
            }
        }
    }
    count(jobs, guard).await
}

/// So many scans at the most, for what they found to be counted meanwhile.
async fn scan(jobs: &JobContext, scanner: &Scanner, guard: &LeaseGuard<'_>) -> Result<(), ScanFailure> {
    scanner.require_own_chain().await?;
    for _ in 0..SCANS_AT_ONCE {
        if !(scanner.scan().await? && guard.renew(jobs).await?) {
            break;
        }
    }
    Ok(())
}

/// Has decided whatever the rows say is undecided.
async fn count(jobs: &JobContext, guard: &LeaseGuard<'_>) -> Result<Runs, StoreError> {
    let mut runs = Runs::default();
    let mut after: Option<AddressOf> = None;
    while guard.renew(jobs).await? {
        let conn = jobs.database.connection().await?;
        let undecided = deposits::addresses_undecided(&conn, after.as_ref(), PAGE).await?;
        drop(conn);
        let Some(last) = undecided.last().cloned() else { break };
        after = Some(last);
        let counting = undecided.into_iter().map(|address| async move { count_one(jobs, address).await });
        let mut counting = stream::iter(counting).buffer_unordered(AT_ONCE);
        while let Some(counted) = counting.next().await {
            runs.add(&counted);
        }
    }
    Ok(runs)
}

async fn count_one(jobs: &JobContext, (account, address): AddressOf) -> Runs {
    let mut runs = Runs::default();
    let counted = submit(jobs, account, Action::CountDeposits(CountDeposits(address.clone()))).await;
    die_at("deposit-after-the-commit");
    match counted {
        Ok(outcome) => outcome.made.jobs.into_iter().for_each(|done| runs.count(done)),
        Err(error) => {
            metrics::counter!("abacus_job_errors_total").increment(1);
            tracing::error!(%address, %error, "deposits could not be counted; it is tried again");
        }
    }
    runs
}
