//! What happened at a provider beside this server: disputes, refunds in its own pages, charges that this server knows nothing of.
//! It is looked at, and booked; what cannot be is kept for people to look at.

use std::collections::BTreeSet;

use rust_decimal::Decimal;

use super::cashier::{CarryError, Cashier};
use super::{Moved, Outside, PaymentProvider, ProviderError};
use crate::domain::decide::{Action, BookReversal, RaiseNotice};
use crate::domain::ids::PaymentId;
use crate::domain::job::JobOutcome;
use crate::domain::money::CurrencyCode;
use crate::domain::notice::NoticeKind;
use crate::domain::payment::{Payment, PaymentPurpose, PaymentState};
use crate::domain::reversal::{ReversalKind, ReversalReport};
use crate::domain::transaction::{Ledger, Transaction};
use crate::domain::unmatched::{OutsideKind, Unmatched};
use crate::engine::Priority;
use crate::store::clock_check::require_right_clock;
use crate::store::{accounts, owned, reconciliations};

/// What became of a look at something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// It is as the provider says, and this settled.
    Taken(Vec<JobOutcome>),
    /// It bears no id of this server's, or moves no money.
    Foreign,
    /// It is kept for people to look at.
    Unmatched,
}

const NOT_KNOWN: &str = "it is not known here";

impl Cashier {
    /// Looks at a charge that bears an id of ours. One that is not known here is kept, as its provider says that it is, or else as
    /// it was told.
    pub async fn look_at_charge(
        &self,
        provider: &str,
        payment: PaymentId,
        reference: &str,
        told: Option<Outside>,
    ) -> Result<Looked, CarryError> {
        if let Some(done) = self.look(payment, reference.to_owned()).await? {
            return Ok(Looked::Taken(done));
        }
        let found = self.named(provider)?.outside(OutsideKind::Charge, reference).await?;
        match found.or(told) {
            Some(found) => self.keep_unmatched(provider, &found, payment, NOT_KNOWN).await,
            None => Ok(Looked::Foreign),
        }
    }

    /// Looks at a refund or a dispute, and has booked what it has taken of its charge.
    pub async fn look_at_reversal(
        &self,
        provider: &str,
        kind: OutsideKind,
        reference: &str,
    ) -> Result<Looked, CarryError> {
        let unknown = || ProviderError::Unavailable(format!("{reference} is not known to it"));
        let found = self.named(provider)?.outside(kind, reference).await?.ok_or_else(unknown)?;
        self.take_reversal(provider, &found).await
    }

    /// Looks at all that was given back of a charge.
    pub async fn look_at_refunds(&self, provider: &str, charge: &str) -> Result<Looked, CarryError> {
        let mut looked = Looked::Foreign;
        for refund in self.named(provider)?.refunds_of(charge).await? {
            looked = self.look_at_reversal(provider, OutsideKind::Refund, &refund).await?;
        }
        Ok(looked)
    }

    /// Holds something that has moved a provider's balance against what is known of it here.
    pub async fn hold_against(
        &self,
        provider: &dyn PaymentProvider,
        moved: &Moved,
    ) -> Result<Looked, CarryError> {
        let name = provider.name();
        if moved.kind != OutsideKind::Charge {
            let own = moved.payment.as_deref().and_then(PaymentId::parse);
            let known = match own {
                Some(id) => self.payment(id).await?,
                None => None,
            };
            return match known {
                Some(refund) if refund.state == PaymentState::Succeeded => Ok(Looked::Taken(Vec::new())),
                _ => self.look_at_reversal(name, moved.kind, &moved.reference).await,
            };
        }
        let found = match &moved.found {
            Some(found) => Some(found.clone()),
            None => provider.outside(OutsideKind::Charge, &moved.reference).await?,
        };
        match found {
            Some(found) => self.hold_charge(name, &found).await,
            None => Ok(Looked::Foreign),
        }
    }

    /// Asks for a payment that succeeded here, and that its provider does not list.
    pub async fn confirm(&self, payment: &Payment) -> Result<Looked, CarryError> {
        let provider = self.named(&payment.card.provider)?;
        let Some(reference) = payment.reference.as_deref() else { return Ok(Looked::Taken(Vec::new())) };
        let kind = match payment.purpose {
            PaymentPurpose::Refund => OutsideKind::Refund,
            PaymentPurpose::Recharge | PaymentPurpose::Prepayment => OutsideKind::Charge,
        };
        match provider.outside(kind, reference).await? {
            Some(found) if kind == OutsideKind::Charge => self.hold_charge(provider.name(), &found).await,
            Some(_) => {
                let done = self.look(payment.id, reference.to_owned()).await?;
                Ok(Looked::Taken(done.unwrap_or_default()))
            }
            None => {
                let missing = Outside {
                    kind,
                    reference: reference.to_owned(),
                    payment: None,
                    charge: None,
                    currency: payment.currency.to_string(),
                    amount: payment.amount,
                    status: "missing".to_owned(),
                    withdrawn: Decimal::ZERO,
                    reinstated: Decimal::ZERO,
                    is_open: false,
                };
                let why = "it has succeeded here, and is not there";
                self.keep_unmatched(provider.name(), &missing, payment.id, why).await
            }
        }
    }

    async fn take_reversal(&self, provider: &str, found: &Outside) -> Result<Looked, CarryError> {
        if let Some(own) = found.payment.as_deref().and_then(PaymentId::parse)
            && let Some(done) = self.look(own, found.reference.clone()).await?
        {
            return Ok(Looked::Taken(done));
        }
        let Some(charge) = &found.charge else { return Ok(Looked::Foreign) };
        let Some(payment) = charge.payment.as_deref().and_then(PaymentId::parse) else {
            return Ok(Looked::Foreign);
        };
        match self.payment(payment).await? {
            None => {
                let why = "the charge that it takes back from is not known here";
                return self.keep_unmatched(provider, found, payment, why).await;
            }
            Some(known) if known.purpose == PaymentPurpose::Refund => {
                let why = "what it takes back from is no charge here";
                return self.keep_unmatched(provider, found, payment, why).await;
            }
            Some(known) if known.state != PaymentState::Succeeded => {
                self.look(payment, charge.reference.clone()).await?;
            }
            Some(_) => {}
        }
        let report = ReversalReport {
            payment,
            provider: provider.to_owned(),
            reference: found.reference.clone(),
            kind: match found.kind {
                OutsideKind::Dispute => ReversalKind::Dispute,
                OutsideKind::Refund | OutsideKind::Charge => ReversalKind::Refund,
            },
            currency: currency_of(found)?,
            amount: found.amount,
            status: found.status.clone(),
            withdrawn: found.withdrawn,
            reinstated: found.reinstated,
            is_open: found.is_open,
        };
        let booked = self
            .submit(payment, Action::BookReversal(Box::new(BookReversal(report))), Priority::Background)
            .await?;
        Ok(Looked::Taken(booked.made.jobs))
    }

    async fn hold_charge(&self, provider: &str, found: &Outside) -> Result<Looked, CarryError> {
        let Some(id) = found.payment.as_deref().and_then(PaymentId::parse) else {
            return Ok(Looked::Foreign);
        };
        let Some(mut known) = self.payment(id).await? else {
            return self.keep_unmatched(provider, found, id, NOT_KNOWN).await;
        };
        let mut done = Vec::new();
        if known.state != PaymentState::Succeeded && !found.is_open {
            done = self.look(id, found.reference.clone()).await?.unwrap_or_default();
            known = self.payment(id).await?.unwrap_or(known);
        }
        match self.difference(provider, found, &known).await? {
            None => Ok(Looked::Taken(done)),
            Some(why) => self.keep_unmatched(provider, found, id, &why).await,
        }
    }

    /// What is otherwise in the ledger than at the provider.
    async fn difference(
        &self,
        provider: &str,
        found: &Outside,
        known: &Payment,
    ) -> Result<Option<String>, CarryError> {
        if found.is_open {
            return Ok(None);
        }
        let Some(id) = known.transaction.filter(|_| known.state == PaymentState::Succeeded) else {
            return Ok(Some(format!("it is charged there, and {} here", known.state)));
        };
        let conn = self.connection_of(known.id).await?;
        let moved = owned::by_ids::<Transaction>(&conn, &[id.0]).await?.pop();
        let cash = Ledger::Cash(provider.to_owned());
        Ok(match moved.filter(|moved| moved.debit == cash) {
            None => Some("the ledger has no movement of it".to_owned()),
            Some(moved) if moved.amount != found.amount || moved.currency.as_str() != found.currency => {
                Some(format!("it is {} {} in the ledger", moved.amount, moved.currency))
            }
            Some(_) => None,
        })
    }

    /// Keeps what people have to look at, and tells operators, once.
    async fn keep_unmatched(
        &self,
        provider: &str,
        found: &Outside,
        payment: PaymentId,
        why: &str,
    ) -> Result<Looked, CarryError> {
        let conn = self.connection_of(payment).await?;
        require_right_clock(&conn).await?;
        let account = accounts::account_by_ids(&conn, vec![payment.account().0]).await?.pop();
        let unmatched = Unmatched {
            provider: provider.to_owned(),
            reference: found.reference.clone(),
            kind: found.kind,
            payment,
            account: account.map(|account| account.id),
            currency: currency_of(found)?,
            amount: found.amount,
            status: found.status.clone(),
            why: why.to_owned(),
            seen_at: self.clock.now(),
        };
        let is_told = reconciliations::unmatched_keep(&conn, &unmatched).await?;
        drop(conn);
        if !is_told {
            self.tell_unmatched(&unmatched).await?;
        }
        Ok(Looked::Unmatched)
    }

    async fn tell_unmatched(&self, unmatched: &Unmatched) -> Result<(), CarryError> {
        let Unmatched { provider, reference, kind, payment, amount, currency, status, why, .. } = unmatched;
        metrics::counter!("abacus_payments_unmatched_total", "kind" => kind.code()).increment(1);
        tracing::error!(%provider, %reference, %kind, %payment, %amount, %currency, %status, %why,
            "a payment provider and the ledger do not say alike");
        let name = (provider.clone(), reference.clone());
        if unmatched.account.is_some() {
            let message = format!(
                "{} {reference} of {amount} {currency} at {provider} ({status}) bears {payment}: {why}.",
                match kind {
                    OutsideKind::Charge => "The charge",
                    OutsideKind::Refund => "The refund",
                    OutsideKind::Dispute => "The dispute",
                }
            );
            let (kind, subject) = (NoticeKind::PaymentUnmatched, Some(reference.clone()));
            let notice = RaiseNotice { kind, message, subject, once: Some(name) };
            return Ok(self
                .submit(*payment, Action::RaiseNotice(notice), Priority::Background)
                .await
                .map(drop)?);
        }
        let conn = self.connection_of(*payment).await?;
        Ok(reconciliations::unmatched_told(&conn, &BTreeSet::from([name])).await?)
    }

    fn named(&self, provider: &str) -> Result<&dyn PaymentProvider, CarryError> {
        self.providers.named(provider).ok_or_else(|| CarryError::NoProvider(provider.to_owned()))
    }
}

fn currency_of(found: &Outside) -> Result<CurrencyCode, ProviderError> {
    let unknown = || ProviderError::Unavailable(format!("it names a currency {:?}", found.currency));
    CurrencyCode::parse(&found.currency).ok_or_else(unknown)
}
