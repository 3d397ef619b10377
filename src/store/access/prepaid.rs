//! What was paid for beforehand, and by what.

use std::collections::HashMap;
use std::sync::Arc;

use super::{AccessError, Repository};
use crate::domain::ids::{AccountId, PaymentId, QuoteId};
use crate::domain::payment::Payment;
use crate::domain::prepay::{Deposit, PrepayQuote};
use crate::store::deposits::{self, AddressOf};
use crate::store::error::StoreError;
use crate::store::exchange_rates;
use crate::store::grouped::Rows;
use crate::store::prepay::prepay_quotes;
use crate::store::prepay::prepayments;

impl Repository {
    /// How many prepayments of an account wait for tokens.
    pub async fn awaiting_deposits(&self, account: AccountId) -> Result<i64, AccessError> {
        if self.account(account).await?.is_none() {
            return Err(AccessError::NoSuchAccount);
        }
        Ok(prepayments::awaiting_deposits(&*self.connection_of(account).await?, account).await?)
    }

    pub async fn payments(&self, ids: &[PaymentId]) -> Result<HashMap<PaymentId, Arc<Payment>>, StoreError> {
        self.of_visible_by_id(&self.store.fetch.payments, ids, |id| id.0).await
    }

    /// What reached addresses, in the order of the chain.
    pub async fn deposits_to(
        &self,
        keys: Vec<AddressOf>,
    ) -> Result<HashMap<AddressOf, Rows<Deposit>>, StoreError> {
        self.of_visible(&self.store.fetch.deposits_to, keys, |(account, _)| *account).await
    }

    /// Whose a deposit address is, if the viewer may see it.
    pub async fn address_owner(&self, address: String) -> Result<Option<AccountId>, StoreError> {
        let mut owner = None;
        for place in 0..self.store.cells.count() {
            let conn = self.reading(place, false).await?;
            owner = owner.or(deposits::address_owners(&conn, vec![address.clone()]).await?.pop());
        }
        let Some((owner, _)) = owner else { return Ok(None) };
        Ok(self.visible(std::iter::once(owner)).await?.contains(&owner).then_some(owner))
    }

    /// An offer of a prepayment, if the viewer may see it.
    pub async fn prepay_quote(&self, id: QuoteId) -> Result<Option<PrepayQuote>, StoreError> {
        if !self.visible(std::iter::once(id.account())).await?.contains(&id.account()) {
            return Ok(None);
        }
        let conn = self.connection_of(id.account()).await?;
        let Some(quote) = prepay_quotes::quote_by_ids(&conn, &[id.0]).await?.pop() else { return Ok(None) };
        let rate = exchange_rates::rate_of_quote(&conn, id).await?.map(Arc::new);
        Ok(Some(PrepayQuote { rate, ..quote }))
    }
}
