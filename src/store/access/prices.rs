//! What things cost: prices, rates, discounts and rules.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;

use super::{AccessError, Repository};
use crate::domain::burst::{BurstCapacity, Bursting, Cycle};
use crate::domain::capacity::{ResourcePrice, TermDiscount};
use crate::domain::exchange_rate::ExchangeRate;
use crate::domain::idempotency::Attempt;
use crate::domain::ids::{AccountId, PriceDefinitionId, PriceRuleId, ResourcePriceId};
use crate::domain::money::CurrencyCode;
use crate::domain::price_rule::{PriceDefinition, PriceRule, RuleToEnd, RulesToSet};
use crate::store::capacity::{self, NewResourcePrices, ResourcePriceFilter};
use crate::store::error::StoreError;
use crate::store::exchange_rates::NewExchangeRate;
use crate::store::grouped::Rows;
use crate::store::list::Page;
use crate::store::prepay::prepay_quotes;
use crate::store::{burst, exchange_rates, price_rules};

impl Repository {
    /// The price of a resource at a level that holds at an instant.
    pub async fn resource_price(
        &self,
        resource: String,
        currency: CurrencyCode,
        level: i32,
        at: DateTime<Utc>,
    ) -> Result<Option<ResourcePrice>, StoreError> {
        let conn = self.connection().await?;
        capacity::resource_price_at(&conn, resource, currency, level, at).await
    }

    /// Prices of capacity by their ids: everybody may see them.
    pub async fn resource_prices(
        &self,
        ids: Vec<ResourcePriceId>,
    ) -> Result<HashMap<ResourcePriceId, Arc<ResourcePrice>>, StoreError> {
        let conn = self.connection().await?;
        let found = capacity::resource_price_by_ids(&conn, ids).await?;
        Ok(found.into_iter().map(|price| (price.id, Arc::new(price))).collect())
    }

    /// Adds prices of capacity, and answers them as they are kept.
    pub async fn resource_price_insert(
        &self,
        prices: NewResourcePrices,
        attempt: Attempt,
    ) -> Result<Vec<ResourcePrice>, AccessError> {
        self.require_operator()?;
        self.once_in_catalogue(attempt, prices).await
    }

    /// Prices of capacity that hold at an instant: everybody may see them.
    pub async fn resource_price_list(
        &self,
        filter: &ResourcePriceFilter,
        page: &Page<ResourcePriceId>,
    ) -> Result<Vec<ResourcePrice>, StoreError> {
        capacity::resource_price_list(&*self.connection().await?, filter, page).await
    }

    pub async fn resource_price_count(&self, filter: &ResourcePriceFilter) -> Result<i64, StoreError> {
        capacity::resource_price_count(&*self.connection().await?, filter).await
    }

    /// Of each pair of currencies the rate that was observed last: everybody may see them.
    pub async fn exchange_rates(&self) -> Result<Vec<ExchangeRate>, StoreError> {
        exchange_rates::rates_latest(&*self.connection().await?).await
    }

    pub async fn exchange_rate(
        &self,
        base: CurrencyCode,
        quote: CurrencyCode,
    ) -> Result<Option<ExchangeRate>, StoreError> {
        exchange_rates::rate_latest(&*self.connection().await?, base, quote).await
    }

    /// Keeps a rate, and answers it with its number.
    pub async fn exchange_rate_set(
        &self,
        rate: NewExchangeRate,
        attempt: Attempt,
    ) -> Result<ExchangeRate, AccessError> {
        self.require_operator()?;
        self.once_in_catalogue(attempt, rate).await
    }

    /// What resources cost in prepayments on a cluster of a chart: everybody may see it.
    pub async fn prices_for_app(
        &self,
        resources: Vec<String>,
        cluster: String,
        chart: String,
        at: DateTime<Utc>,
    ) -> Result<Vec<ResourcePrice>, StoreError> {
        let conn = self.connection().await?;
        prepay_quotes::prices_for_app(&conn, resources, cluster, chart, at).await
    }

    /// What is charged for beyond subscriptions in a cycle, with its levels: everybody may see them.
    pub async fn bursting(&self, cycle: Cycle) -> Result<Vec<Bursting>, StoreError> {
        burst::bursting(&*self.connection().await?, cycle).await
    }

    /// Declares how much the cloud has of a resource.
    pub async fn burst_capacity_declare(&self, declared: BurstCapacity) -> Result<(), AccessError> {
        self.require_operator()?;
        Ok(self
            .write_catalogue(|conn| async move { burst::capacity_declare(conn, &declared).await }.boxed())
            .await?)
    }

    /// The discounts on terms, the shortest first.
    pub async fn term_discounts(&self) -> Result<Vec<TermDiscount>, StoreError> {
        capacity::term_discounts(&*self.connection().await?).await
    }

    /// Puts discounts on terms in the place of those that there are.
    pub async fn term_discount_replace(&self, discounts: Vec<TermDiscount>) -> Result<(), AccessError> {
        self.require_operator()?;
        let replaced = self.write_catalogue(|conn| {
            async move { capacity::term_discount_replace(conn, &discounts).await }.boxed()
        });
        Ok(replaced.await?)
    }

    /// Rules by id: those for everyone, and those of accounts that the viewer sees.
    pub async fn price_rules(
        &self,
        ids: Vec<PriceRuleId>,
    ) -> Result<HashMap<PriceRuleId, Arc<PriceRule>>, StoreError> {
        let mut found = self.store.fetch.price_rules.get(ids).await?;
        let visible = self.visible(found.values().filter_map(|rule| rule.account)).await?;
        found.retain(|_, rule| rule.account.is_none_or(|account| visible.contains(&account)));
        Ok(found)
    }

    /// Accounts' own rules, in the order in which they were set.
    pub async fn own_price_rules(
        &self,
        keys: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Rows<PriceRule>>, StoreError> {
        self.of_visible(&self.store.fetch.own_price_rules, keys, |account| *account).await
    }

    /// The rules for everyone, in the order in which they were set.
    pub async fn default_price_rules(
        &self,
        keys: Vec<()>,
    ) -> Result<HashMap<(), Rows<PriceRule>>, StoreError> {
        self.store.fetch.default_price_rules.get(keys).await
    }

    /// What rules say, by id.
    pub async fn price_definitions(
        &self,
        ids: Vec<PriceDefinitionId>,
    ) -> Result<Vec<PriceDefinition>, AccessError> {
        self.require_provider()?;
        // Those of an account's own rules are kept where it lives.
        let mut found: Vec<PriceDefinition> = Vec::new();
        for place in 0..self.store.cells.count() {
            let missing =
                ids.iter().filter(|id| !found.iter().any(|known| known.id == **id)).copied().collect();
            let conn = self.reading(place, false).await?;
            found.extend(price_rules::definitions(&conn, missing).await?);
        }
        Ok(found)
    }

    /// Sets rules, all or none.
    pub async fn price_rules_set(
        &self,
        wanted: RulesToSet,
        attempt: Attempt,
    ) -> Result<Vec<PriceRule>, AccessError> {
        self.require_operator()?;
        match wanted.account {
            Some(account) => self.once(self.store.cells.place_of(account), attempt, wanted).await,
            None => self.once_in_catalogue(attempt, wanted).await,
        }
    }

    /// Ends a rule.
    pub async fn price_rule_end(
        &self,
        ending: RuleToEnd,
        attempt: Attempt,
    ) -> Result<Vec<PriceRule>, AccessError> {
        self.require_operator()?;
        let ended = match self.store.cells.are_several() {
            true => self.store.fetch.price_rules.get_one(ending.rule).await?,
            false => None,
        };
        match ended.and_then(|rule| rule.account) {
            Some(account) => self.once(self.store.cells.place_of(account), attempt, ending).await,
            None => self.once_in_catalogue(attempt, ending).await,
        }
    }
}
