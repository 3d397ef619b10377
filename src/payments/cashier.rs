//! The cashier carries payments from created to succeeded or failed: takes one on, asks its provider, and has what that says
//! become true. Whatever of this is cut short is done again by whoever takes the payment on next: the provider is asked first
//! what became of it, and told to do it once.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{CardRefund, Charge, PaymentProvider, ProviderError, Providers};
use crate::clock::Clock;
use crate::domain::command::Command;
use crate::domain::decide::{Action, ClaimPayment, SettlePayment};
use crate::domain::ids::PaymentId;
use crate::domain::job::JobOutcome;
use crate::domain::money::Currencies;
use crate::domain::outcome::{Done, Executed};
use crate::domain::payment::{ChargeState, Payment, PaymentPurpose, Progress};
use crate::engine::{Engine, EngineError, Priority, die_at};
use crate::store::cells::Cells;
use crate::store::database::Connection;
use crate::store::error::StoreError;
use crate::store::payments;

/// Why a payment could not be carried on. It is tried again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CarryError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("no payment provider {0} is set up")]
    NoProvider(String),
}

/// Who asks providers, and for whom.
pub struct Cashier {
    pub providers: Providers,
    pub(super) cells: Cells,
    engine: Arc<Engine>,
    currencies: Arc<Currencies>,
    pub(super) clock: Clock,
}

impl Cashier {
    pub fn new(
        providers: Providers,
        cells: Cells,
        engine: Arc<Engine>,
        currencies: Arc<Currencies>,
        clock: Clock,
    ) -> Self {
        Self { providers, cells, engine, currencies, clock }
    }

    /// Carries a payment on, if it still says what it said when it was read; answers what was settled.
    pub async fn carry(
        &self,
        id: PaymentId,
        due: DateTime<Utc>,
        priority: Priority,
    ) -> Result<Vec<JobOutcome>, CarryError> {
        let claim = Action::ClaimPayment(ClaimPayment { payment: id, due });
        let Some(payment) = self.submit(id, claim, priority).await?.made.payment else {
            return Ok(Vec::new());
        };
        die_at("payment-before-the-call");
        let progress = self.ask(&payment).await?;
        die_at("payment-after-the-call");
        let settled = self.settle(id, progress, priority).await;
        die_at("payment-after-the-commit");
        settled
    }

    /// Looks what became of a payment that its provider says something of, by the provider's reference; None: it is none of
    /// this server's.
    pub async fn look(
        &self,
        id: PaymentId,
        reference: String,
    ) -> Result<Option<Vec<JobOutcome>>, CarryError> {
        let Some(mut payment) = self.payment(id).await? else { return Ok(None) };
        payment.reference.get_or_insert(reference);
        let provider = self.provider_of(&payment)?;
        match self.find(provider, &payment).await? {
            Some(progress) => self.settle(id, progress, Priority::Background).await.map(Some),
            None => Ok(Some(Vec::new())),
        }
    }

    async fn settle(
        &self,
        payment: PaymentId,
        progress: Progress,
        priority: Priority,
    ) -> Result<Vec<JobOutcome>, CarryError> {
        let report = Action::SettlePayment(Box::new(SettlePayment { payment, progress }));
        Ok(self.submit(payment, report, priority).await?.made.jobs)
    }

    pub(super) async fn submit(
        &self,
        payment: PaymentId,
        action: Action,
        priority: Priority,
    ) -> Result<Box<Executed>, EngineError> {
        let command = Command::by_itself(payment.account(), action);
        match self.engine.submit(command, priority).await? {
            Done::Executed(outcome) => Ok(outcome),
            Done::Replayed(_) | Done::Awaits(_) => {
                Err(EngineError::Unavailable("a payment's step has no key".to_owned()))
            }
        }
    }

    /// Asks its provider to do it. One that was taken on before may have been done.
    async fn ask(&self, payment: &Payment) -> Result<Progress, CarryError> {
        let provider = self.provider_of(payment)?;
        let found = if payment.attempts > 1 { self.find(provider, payment).await? } else { None };
        let progress = match found {
            Some(found) => found,
            None => self.ask_for_it(provider, payment).await?,
        };
        let waits = matches!(progress.state, ChargeState::ActionNeeded { .. });
        if waits && payment.is_abandoned(self.clock.now()) {
            return Ok(provider.give_up(&self.charge_of(payment), progress.reference.as_deref()).await?);
        }
        Ok(progress)
    }

    async fn ask_for_it(
        &self,
        provider: &dyn PaymentProvider,
        payment: &Payment,
    ) -> Result<Progress, CarryError> {
        let asked = match payment.purpose {
            PaymentPurpose::Recharge | PaymentPurpose::Prepayment => {
                provider.charge(&self.charge_of(payment)).await
            }
            PaymentPurpose::Refund => match self.refund_of(payment).await {
                Ok(refund) => provider.refund(&refund).await,
                Err(CarryError::Provider(error)) => Err(error),
                Err(error) => return Err(error),
            },
        };
        match asked {
            Ok(progress) => Ok(progress),
            Err(error @ (ProviderError::Refused(_) | ProviderError::NoSuchCard)) => {
                Ok(Progress { reference: None, state: ChargeState::Failed { reason: error.to_string() } })
            }
            Err(error @ ProviderError::Unavailable(_)) => Err(error.into()),
        }
    }

    async fn find(
        &self,
        provider: &dyn PaymentProvider,
        payment: &Payment,
    ) -> Result<Option<Progress>, CarryError> {
        let reference = payment.reference.as_deref();
        Ok(match payment.purpose {
            PaymentPurpose::Refund => {
                provider.find_refund(&self.refund_of(payment).await?, reference).await?
            }
            PaymentPurpose::Recharge | PaymentPurpose::Prepayment => {
                provider.find_charge(&self.charge_of(payment), reference).await?
            }
        })
    }

    fn provider_of(&self, payment: &Payment) -> Result<&dyn PaymentProvider, CarryError> {
        let name = &payment.card.provider;
        self.providers.named(name).ok_or_else(|| CarryError::NoProvider(name.clone()))
    }

    pub(super) async fn payment(&self, id: PaymentId) -> Result<Option<Payment>, StoreError> {
        Ok(payments::payment_by_ids(&*self.connection_of(id).await?, &[id.0]).await?.pop())
    }

    /// A connection to where a payment's account lives.
    pub(super) async fn connection_of(&self, payment: PaymentId) -> Result<Connection, StoreError> {
        self.cells.of(payment.account()).database.connection().await
    }

    fn charge_of(&self, payment: &Payment) -> Charge {
        Charge {
            payment: payment.id.to_string(),
            token: payment.card.token.clone(),
            customer: payment.card.customer.clone(),
            currency: payment.currency,
            amount: payment.amount,
            display_scale: self.display_scale(payment),
            description: payment.description.clone(),
            on_session: payment.on_session,
            created_at: payment.created_at(),
        }
    }

    async fn refund_of(&self, payment: &Payment) -> Result<CardRefund, CarryError> {
        let charge = match payment.refund_of {
            Some(id) => self.payment(id).await?.and_then(|charge| charge.reference),
            None => None,
        };
        let unknown = || ProviderError::Refused("the charge is not known to it".to_owned());
        Ok(CardRefund {
            payment: payment.id.to_string(),
            charge: charge.ok_or_else(unknown)?,
            currency: payment.currency,
            amount: payment.amount,
            display_scale: self.display_scale(payment),
            created_at: payment.created_at(),
        })
    }

    fn display_scale(&self, payment: &Payment) -> u32 {
        self.currencies.get(payment.currency).map_or(0, |currency| currency.display_scale)
    }
}
