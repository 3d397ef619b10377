//! A prepayment is bound to the app that it is for, once: its term begins.

use super::super::decision::Decide;
use super::super::draft::Draft;
use super::named;
use crate::domain::ids::{AccountId, PrepaymentId};
use crate::domain::money::CurrencyCode;
use crate::domain::outcome::Outcome;
use crate::domain::prepay::{App, Limits, Prepayment, PrepaymentStatus, Wanted};
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::stake::Stake;

/// Begins the term of a prepayment, for the app that it is for.
#[derive(Debug, Clone)]
pub struct BindApp {
    pub prepayment: PrepaymentId,
    pub asset: CurrencyCode,
    pub cluster: String,
    pub chart: String,
    pub limits: Limits,
    pub app: App,
}

impl BindApp {
    /// What has to be what was paid for.
    pub fn wanted(&self) -> Wanted<'_> {
        Wanted { asset: self.asset, cluster: &self.cluster, chart: &self.chart, limits: self.limits }
    }
}

impl Decide for BindApp {
    const STAKE: Option<Stake> = Some(Stake::Setting);

    fn needs(&self, _: AccountId, reads: &mut ReadSet) {
        reads.prepayments.push(self.prepayment.0);
    }

    /// Binds; the same app again changes nothing more.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        draft.require_open()?;
        let paid = named(draft, self.prepayment)?;
        paid.require_same(&self.wanted())?;
        if let Some(binding) = &paid.binding {
            if binding.app.id != self.app.id {
                let message = format!("it is bound to the app {}", binding.app.id);
                return Err(Refusal::new(RefusalCode::AlreadyBound, "appId", message));
            }
            return Ok(Outcome { prepayment: Some(paid), ..Outcome::default() });
        }
        require_paid(&paid)?;
        let bound = draft.put(paid.bound(self.app.clone(), draft.instant)?);
        Ok(Outcome { prepayment: Some(bound), ..Outcome::default() })
    }
}

fn require_paid(prepayment: &Prepayment) -> Result<(), Refusal> {
    let message = match prepayment.status {
        PrepaymentStatus::Paid => return Ok(()),
        PrepaymentStatus::Processing | PrepaymentStatus::AwaitingDeposit => "it is not paid yet",
        PrepaymentStatus::Failed => "its payment failed",
        PrepaymentStatus::Refunded => "it was given back",
        PrepaymentStatus::Expired | PrepaymentStatus::Bound => "it is over",
    };
    Err(Refusal::new(RefusalCode::Conflict, "prepaymentId", message))
}
