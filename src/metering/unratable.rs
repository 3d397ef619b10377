//! Events that can never be charged for: one of them alone comes to more, at its account's prices, than the ledger can keep. They
//! are refused as they come, so that no month has to be billed with them (docs/USAGE.md).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::try_join;
use rust_decimal::Decimal;

use super::cache::CacheEntry;
use super::refused::{Refused, refuse};
use crate::clock::Clock;
use crate::domain::burst::CYCLE;
use crate::domain::capacity::{self, LEVEL_MAX, ResourcePrice};
use crate::domain::closing::is_beyond_all_charges;
use crate::domain::decide::AMOUNT_MAX;
use crate::domain::ids::AccountId;
use crate::domain::money::{self, Currencies, Currency};
use crate::domain::price_rule::PriceRule;
use crate::domain::rating::{PricePeriod, Quantity, Usage, that_apply};
use crate::domain::usage::{Fault, HOUR};
use crate::store::capacity::{PriceAt, prices_at_levels};
use crate::store::cells::Cells;
use crate::store::error::StoreError;
use crate::store::price_rules;
use crate::store::usage::Metered;

pub(super) struct Unratable {
    cells: Cells,
    currencies: Arc<Currencies>,
    clock: Clock,
}

/// An event that would be out of range at the highest price that there can be.
struct Large {
    place: usize,
    account: AccountId,
    currency: Currency,
    resource: String,
    /// Either way.
    quantity: Decimal,
    time: DateTime<Utc>,
    is_gauge: bool,
}

impl Unratable {
    pub fn new(cells: Cells, currencies: Arc<Currencies>, clock: Clock) -> Self {
        Self { cells, currencies, clock }
    }

    /// Turns events of a request that can never be charged for into faults. Few are so large that their prices are looked up.
    pub async fn refuse(
        &self,
        events: &mut [Result<Metered, Fault>],
        named: &CacheEntry,
    ) -> Result<(), StoreError> {
        let large = self.large(events, named);
        if large.is_empty() {
            return Ok(());
        }
        let prices = self.prices(&large).await?;
        // Rating is nothing but computing: not on a thread that others wait for.
        let rating = tokio::task::spawn_blocking(move || {
            let beyond = large.into_iter().filter(|large| prices.cannot_charge(large));
            beyond.map(Large::refused).collect()
        });
        let refused = rating.await.map_err(|error| StoreError::Internal(error.to_string()))?;
        refuse(&self.cells, events, refused).await.map(drop)
    }

    fn large(&self, events: &[Result<Metered, Fault>], named: &CacheEntry) -> Vec<Large> {
        let large = events.iter().enumerate().filter_map(|(place, event)| {
            let metered = event.as_ref().ok()?;
            let account = metered.event.account;
            let currency = *self.currencies.get(named.currency_of(account)?)?;
            let quantity = metered.counted.abs();
            let most = money::multiply(quantity, AMOUNT_MAX);
            most.map_or(true, |most| most > currency.charge_max()).then(|| Large {
                place,
                account,
                currency,
                resource: metered.event.resource.clone(),
                quantity,
                time: metered.event.time,
                is_gauge: metered.aggregation.is_gauge(),
            })
        });
        large.collect()
    }

    async fn prices(&self, large: &[Large]) -> Result<Prices, StoreError> {
        let accounts: BTreeSet<AccountId> = large.iter().map(|large| large.account).collect();
        let gauges = large.iter().filter(|large| large.is_gauge).map(|large| &large.resource);
        let gauges: BTreeSet<&String> = gauges.collect();
        let levels = |gauge: &String| (1..=LEVEL_MAX).map(|level| (gauge.clone(), level)).collect::<Vec<_>>();
        let asked: Vec<(String, i32)> = gauges.into_iter().flat_map(levels).collect();
        let held = PriceAt::InForce(self.clock.now());
        let mut prices = Prices::default();
        for (place, accounts) in self.cells.shares(accounts.into_iter().collect()) {
            let conn = self.cells.at(place).database.connection().await?;
            let (own, everyone, burst) = try_join!(
                price_rules::rules_of_accounts(&conn, accounts.iter().map(|account| account.0).collect()),
                price_rules::rules_of_everyone(&conn),
                prices_at_levels(&conn, &asked, &self.currencies, held),
            )?;
            for rule in own {
                if let Some(account) = rule.account {
                    prices.own.entry(account).or_default().push(Arc::new(rule));
                }
            }
            // Of each cell the same.
            (prices.everyone, prices.burst) = (everyone.into_iter().map(Arc::new).collect(), burst);
        }
        Ok(prices)
    }
}

/// What large events may be charged by.
#[derive(Default)]
struct Prices {
    own: BTreeMap<AccountId, Vec<Arc<PriceRule>>>,
    everyone: Vec<Arc<PriceRule>>,
    /// At each level above that of subscriptions.
    burst: Vec<ResourcePrice>,
}

impl Prices {
    fn cannot_charge(&self, large: &Large) -> bool {
        self.cannot_rate(large) || (large.is_gauge && self.cannot_charge_burst(large))
    }

    /// As if it were all that its month's usage comes to.
    fn cannot_rate(&self, large: &Large) -> bool {
        let own = self.own.get(&large.account).map_or(&[][..], Vec::as_slice);
        let rules = that_apply(own, &self.everyone, large.currency.code, Some(large.time));
        let to = large.time.checked_add_signed(HOUR).unwrap_or(large.time);
        let price_period = PricePeriod { from: large.time, to, rules };
        let quantity = Quantity::Summed(vec![large.quantity]);
        let used = Usage { resource: large.resource.clone(), quantity };
        is_beyond_all_charges(&price_period, &used, &large.currency)
    }

    /// At whatever level a cycle is.
    fn cannot_charge_burst(&self, large: &Large) -> bool {
        let is_of_it = |price: &&ResourcePrice| {
            price.resource == large.resource && price.currency == large.currency.code
        };
        let mut prices = self.burst.iter().filter(is_of_it).peekable();
        let is_beyond = |price: &ResourcePrice| {
            let places = large.currency.ledger_scale;
            let charge = capacity::charge(price, large.quantity, CYCLE.num_seconds(), places);
            charge.map_or(true, |charge| charge > large.currency.charge_max())
        };
        prices.peek().is_some() && prices.all(is_beyond)
    }
}

impl Large {
    fn refused(self) -> Refused {
        let message = format!(
            "{} of {} would cost more than {} {}, the most that is charged at once",
            money::format_decimal(self.quantity, 0),
            self.resource,
            money::format_decimal(self.currency.charge_max(), 0),
            self.currency.code
        );
        Refused { place: self.place, message }
    }
}
