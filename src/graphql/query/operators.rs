//! What the provider alone sees, and the health of ledgers.

use async_graphql::{Context, ID, Object};
use chrono::Datelike;

use crate::domain::refusal::RefusalCode;
use crate::graphql::error::ApiError;
use crate::graphql::input::argument_account;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::scalars::{Day, Instant};
use crate::graphql::session::{provider_session, session};
use crate::graphql::types::billing_run::BillingRun;
use crate::graphql::types::ledger_anchor::LedgerAnchor;
use crate::graphql::types::ledger_health::LedgerHealth;
use crate::graphql::types::unmatched_payment::UnmatchedPayment;

#[derive(Default)]
pub struct OperatorQuery;

#[Object]
impl OperatorQuery {
    /// Operators: the runs that close a month for the accounts of a time zone, newest month first; at most 1,000.
    async fn billing_runs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A day of the month, as a rule its first; absent: the latest runs.")] period: Option<
            Day,
        >,
    ) -> async_graphql::Result<Vec<BillingRun>> {
        let first = period.map(|Day(day)| day.with_day(1).unwrap_or(day));
        let runs = provider_session(ctx)?.repository().billing_runs(first).await.map_err(ApiError::from)?;
        Ok(runs.into_iter().map(BillingRun::from).collect())
    }

    /// Operators: what payment providers have that bears an id of this server's and is not known here, or otherwise there and
    /// here, newest first; at most 1,000. Each was told once by a notice on its account, if that is known.
    async fn unmatched_payments(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<UnmatchedPayment>> {
        let found = provider_session(ctx)?.repository().unmatched_payments().await.map_err(ApiError::from)?;
        Ok(found.into_iter().map(UnmatchedPayment).collect())
    }

    /// The newest anchor of the ledger at or before an instant: where all ledgers ended, signed. One is made every hour where the server
    /// has a key for that; null if there is none yet. With accountId it has the receipt of that account, if the caller may see it.
    /// INVALID: `at` is still to come. NOT_FOUND: there is no such account.
    async fn ledger_anchor(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Absent: now.")] at: Option<Instant>,
        #[graphql(desc = "The account whose receipt is asked for.")] account_id: Option<ID>,
    ) -> Nullable<LedgerAnchor> {
        nullable::of(async {
            let account = argument_account(account_id)?;
            let session = session(ctx)?;
            let now = session.app.clock.now();
            let at = at.map_or(now, |Instant(at)| at);
            if at > now {
                return Err(ApiError::of_argument(RefusalCode::Invalid, "at", "is still to come"));
            }
            let found = session.repository().ledger_anchor(at, account).await.map_err(ApiError::from)?;
            Ok(found.map(|(anchor, receipt)| LedgerAnchor { anchor, receipt }))
        })
        .await
    }

    /// Checks the ledger of one account. Without accountId, operators only: those of the next 1,000 accounts, continued
    /// from where the last call stopped.
    async fn ledger_health(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account whose ledger is checked.")] account_id: Option<ID>,
    ) -> Nullable<LedgerHealth> {
        nullable::of(async {
            let account = argument_account(account_id)?;
            let session = session(ctx)?;
            let now = session.app.clock.now();
            let report = session.repository().ledger_health(account, now).await.map_err(ApiError::from)?;
            Ok(Some(LedgerHealth(report)))
        })
        .await
    }
}
