//! Cards charged by Stripe, over its HTTP API.
//!
//! Each request that makes something carries our own id twice: as its idempotency key, so that asking twice makes one
//! thing, and in the metadata, so that the thing is found again when the answer never came. Stripe forgets keys after a
//! day: whoever is not sure of an older charge asks [`PaymentProvider::find_charge`] first.

mod amount;
mod cards;
mod charges;
mod client;
mod config;
mod failure;
mod lookup;
mod movements;
mod name;
mod outside;
mod params;
mod refunds;
pub mod webhook;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;

use super::{Asking, CardRefund, Charge, KeptCard, MovedPage, Outside, PaymentProvider};
use crate::domain::ids::AccountId;
use crate::domain::payment::Progress;
use crate::domain::unmatched::OutsideKind;
use client::Client;

pub use config::{ConfigError, DEFAULT_URL, StripeConfig};

/// Cards that Stripe holds.
pub struct Stripe {
    client: Client,
    /// Where a customer comes back to after authenticating.
    return_url: Option<String>,
}

impl Stripe {
    /// A provider that asks Stripe as `config` says. It asks nothing yet.
    pub fn new(config: StripeConfig) -> Result<Self, ConfigError> {
        let client = Client::new(&config)?;
        Ok(Self { client, return_url: config.return_url })
    }
}

impl PaymentProvider for Stripe {
    fn name(&self) -> &'static str {
        "stripe"
    }

    fn keep_card<'p>(
        &'p self,
        account: AccountId,
        customer: Option<&'p str>,
        token: &'p str,
    ) -> Asking<'p, KeptCard> {
        async move { cards::keep(&self.client, &account.to_string(), customer, token).await }.boxed()
    }

    fn forget_card<'p>(&'p self, token: &'p str) -> Asking<'p, ()> {
        cards::forget(&self.client, token).boxed()
    }

    fn charge<'p>(&'p self, charge: &'p Charge) -> Asking<'p, Progress> {
        charges::make(&self.client, charge, self.return_url.as_deref()).boxed()
    }

    fn find_charge<'p>(
        &'p self,
        charge: &'p Charge,
        reference: Option<&'p str>,
    ) -> Asking<'p, Option<Progress>> {
        charges::find(&self.client, charge, reference).boxed()
    }

    fn give_up<'p>(&'p self, charge: &'p Charge, reference: Option<&'p str>) -> Asking<'p, Progress> {
        charges::give_up(&self.client, charge, reference).boxed()
    }

    fn refund<'p>(&'p self, refund: &'p CardRefund) -> Asking<'p, Progress> {
        refunds::make(&self.client, refund).boxed()
    }

    fn find_refund<'p>(
        &'p self,
        refund: &'p CardRefund,
        reference: Option<&'p str>,
    ) -> Asking<'p, Option<Progress>> {
        refunds::find(&self.client, refund, reference).boxed()
    }

    fn outside<'p>(&'p self, kind: OutsideKind, reference: &'p str) -> Asking<'p, Option<Outside>> {
        outside::find(&self.client, kind, reference).boxed()
    }

    fn refunds_of<'p>(&'p self, charge: &'p str) -> Asking<'p, Vec<String>> {
        outside::refunds_of(&self.client, charge).boxed()
    }

    fn tells_movements(&self) -> bool {
        true
    }

    fn moved<'p>(&'p self, since: DateTime<Utc>, after: Option<&'p str>) -> Asking<'p, MovedPage> {
        movements::page(&self.client, since, after).boxed()
    }
}
