//! What a first start finds: a market and a few tenants, so that there is something to look at.

use std::sync::Arc;

use chrono_tz::Tz;
use rust_decimal::Decimal;

use crate::domain::account::{Account, AccountKind, Manager};
use crate::domain::burst::{BurstCapacity, BurstStep};
use crate::domain::capacity::{MONTH_SECONDS, ResourcePrice, SUBSCRIPTION_LEVEL, TermDiscount};
use crate::domain::command::Command;
use crate::domain::decide::{Action, Recharge};
use crate::domain::exchange_rate::ExchangeRate;
use crate::domain::fingerprint::fingerprint;
use crate::domain::idempotency::Attempt;
use crate::domain::ids::{AccountId, LicenseId, PlanId, ResourcePriceId};
use crate::domain::invoice::VALUED_IN;
use crate::domain::label::{Label, LabelList};
use crate::domain::license::{License, LicenseType};
use crate::domain::money::CurrencyCode;
use crate::domain::period::BillPeriod;
use crate::domain::plan::{Aggregation, Plan, PlanResource, Resource};
use crate::domain::price_rule::{
    NewDefinition, Package, PackageType, Quota, RuleToSet, RulesToSet, Stated, Tariff, Terms, Tier, TierMode,
};
use crate::domain::usage::{Granularity, bucket_start};
use crate::domain::viewer::{Role, Viewer};
use crate::engine::{EngineError, Priority};
use crate::graphql::app::App;
use crate::store::access::{AccessError, Repository};
use crate::store::accounts::account_list::AccountFilter;
use crate::store::capacity::NewResourcePrices;
use crate::store::exchange_rates::NewExchangeRate;
use crate::store::plans::NewPlan;

/// The demo's MAIN account: whose token the start-up text shows.
pub const MAIN_NAMESPACE: &str = "demo";

/// 0.14 dollars for one of the tenants' currency.
const RATE: Decimal = Decimal::from_parts(14, 0, 0, false, 2);

/// Why the demo could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("making the demo: {0}")]
    Access(#[from] AccessError),
    #[error("making the demo: {0}")]
    Engine(#[from] EngineError),
    #[error("making the demo: {0}")]
    Rules(String),
    #[error("making the demo: the server does not know CNY")]
    Currency,
}

/// An offer of the demo's market: name, type, resource type, cents per period, period, description, cores, MB.
struct Offer(&'static str, &'static str, &'static str, i64, BillPeriod, &'static str, i64, i64);

/// The first three are those of payment v1's market.
const OFFERS: [Offer; 9] = [
    Offer("Plan A", "C", "CLOUD", 2_000, BillPeriod::Month, "1 CPU Core, 512M Memory", 1, 512),
    Offer("Plan B", "C", "CLOUD", 4_088, BillPeriod::Month, "2 CPU Cores, 1G Memory", 2, 1_024),
    Offer("Plan C", "C", "CLOUD", 8_888, BillPeriod::Month, "4 CPU Cores, 2G Memory", 4, 2_048),
    Offer("Plan B, a quarter", "C", "CLOUD", 11_999, BillPeriod::Quarter, "2 CPU Cores, 1G Memory", 2, 1_024),
    Offer(
        "Plan B, half a year",
        "C",
        "CLOUD",
        22_999,
        BillPeriod::HalfYear,
        "2 CPU Cores, 1G Memory",
        2,
        1_024,
    ),
    Offer(
        "Rack 1U",
        "rack",
        "IDC",
        80_000,
        BillPeriod::Month,
        "A server of your own in our rack",
        16,
        65_536,
    ),
    Offer("Plan C, a year", "C", "CLOUD", 95_990, BillPeriod::Year, "4 CPU Cores, 2G Memory", 4, 2_048),
    Offer(
        "Pool S",
        "resources",
        "CLOUD",
        19_900,
        BillPeriod::Month,
        "A pool of 8 CPU cores and 16G memory",
        8,
        16_384,
    ),
    Offer(
        "Pool L",
        "resources",
        "CLOUD",
        69_900,
        BillPeriod::Month,
        "A pool of 32 CPU cores and 64G memory",
        32,
        65_536,
    ),
];
/// The resource kinds of the 51idc API: kind with class, name, unit, and what one costs a month, in hundredths.
const CAPACITY: [(&str, &str, &str, i64); 11] = [
    ("volume", "Volumes", "GB", 60),
    ("eip", "Elastic IP bandwidth", "Mb", 2_500),
    ("router", "Routers", "connections", 5_000),
    ("loadbalancer_5000", "Load balancers of 5,000 connections", "connections", 7_200),
    ("loadbalancer_20000", "Load balancers of 20,000 connections", "connections", 21_600),
    ("loadbalancer_40000", "Load balancers of 40,000 connections", "connections", 36_000),
    ("loadbalancer_100000", "Load balancers of 100,000 connections", "connections", 72_000),
    ("snapshot", "Snapshots", "GB", 20),
    ("image", "Images", "GB", 20),
    ("cpu", "CPU cores", "cores", 4_320),
    ("memory", "Memory", "MB", 4),
];
/// CloudSigma's term discounts: the term, its months, and the hundredths taken off.
const DISCOUNTS: [(&str, i32, i64); 5] =
    [("3 months", 3, 3), ("6 months", 6, 10), ("1 year", 12, 25), ("2 years", 24, 35), ("3 years", 36, 45)];
/// What is used beyond subscriptions: a resource, its unit, its price by the month in hundredths, and how much there is.
const BURST: [(&str, &str, i64, i64); 4] = [
    ("cpu", "core", 4_320, 10_000),
    ("mem", "MB", 4, 40_000_000),
    ("dssd", "GB", 60, 1_000_000),
    ("ip", "count", 2_000, 5_000),
];
/// From this percentage of use on the level is that.
const CURVE: [(i64, i32); 3] = [(0, 1), (60, 2), (80, 3)];
/// What a level costs, in percent of what subscriptions cost.
const LEVELS: [(i32, i64); 4] = [(0, 100), (1, 120), (2, 150), (3, 200)];
/// A licence, its price by the month in hundredths.
const LICENSE: (&str, &str, i64) = ("windows_server", "Windows Server, by the core", 6_000);
const DATACENTERS: [(&str, &str, &str); 3] =
    [("BA", "北艾", "Bei'ai"), ("HDYQ", "华东一区", "East China 1"), ("YTYQ", "亚太一区", "Asia Pacific 1")];
/// A resource, how many units a price is for, and the tiers: where they begin, and their prices in units of 0.0001.
type DemoTariff = (&'static str, i64, &'static [(i64, i64)]);
const TARIFFS: [DemoTariff; 4] = [
    ("space", 1, &[(0, 0), (10, 1_650), (51_200, 1_620), (512_000, 1_590), (5_242_880, 1_560)]),
    ("transfer_out", 1, &[(0, 2_900)]),
    ("api_get", 1_000, &[(0, 10)]),
    ("api_put", 1_000, &[(0, 10)]),
];
/// What everybody has for nothing each month.
const REWARD: [(&str, i64); 4] =
    [("space", 10), ("transfer_out", 10), ("api_get", 1_000_000), ("api_put", 100_000)];
const REGIONS: [&str; 2] = ["cn-north-1", "cn-north-2"];

/// Makes the demo, unless there is an account already.
pub async fn make(app: &App) -> Result<(), DemoError> {
    let viewer = Viewer { subject: "demo".to_owned(), role: Role::Operator, account: None };
    let repository = Repository::new(Arc::clone(&app.store), Arc::new(viewer));
    let accounts = repository.account_count(&AccountFilter::default()).await.map_err(AccessError::from)?;
    if accounts > 0 {
        return Ok(());
    }
    let currency = CurrencyCode::parse("CNY").filter(|code| app.currencies.get(*code).is_some());
    let currency = currency.ok_or(DemoError::Currency)?;
    make_market(app, &repository, currency).await?;
    make_prices(app, &repository, currency).await?;
    make_rate(app, &repository, currency).await?;
    make_burst(app, &repository, currency).await?;
    make_rules(app, &repository, currency).await?;
    // The tenants come last: where there is an account, the demo is whole.
    make_tenants(app, &repository, currency).await
}

async fn make_market(app: &App, repository: &Repository, currency: CurrencyCode) -> Result<(), DemoError> {
    for region in REGIONS {
        for Offer(name, plan_type, resource_type, cents, bill_period, description, cores, megabytes) in OFFERS
        {
            let now = app.clock.now();
            let plan = Plan {
                id: PlanId::new(now),
                name: name.to_owned(),
                plan_type: plan_type.to_owned(),
                region: Some(region.to_owned()),
                resource_type: resource_type.to_owned(),
                currency,
                price: Decimal::new(cents, 2),
                once_price: None,
                bill_period,
                description: description.to_owned(),
                created_at: now,
                retired_at: None,
            };
            let included = |code: &str, amount: i64| PlanResource {
                resource_code: code.to_owned(),
                amount: Decimal::from(amount),
            };
            let resources = vec![included("cpu", cores), included("mem", megabytes)];
            repository.plan_create(NewPlan { plan, resources }, Attempt::by_itself(now)).await?;
        }
    }
    Ok(())
}

/// What invoices tell the worth of the balances' currency by.
async fn make_rate(app: &App, repository: &Repository, currency: CurrencyCode) -> Result<(), DemoError> {
    let quote = CurrencyCode::parse(VALUED_IN).ok_or(DemoError::Currency)?;
    let rate = ExchangeRate {
        id: 0,
        base: currency,
        quote,
        rate: RATE,
        source: "demo".to_owned(),
        observed_at: app.clock.now(),
    };
    repository.exchange_rate_set(NewExchangeRate(rate), Attempt::by_itself(app.clock.now())).await?;
    Ok(())
}

/// What `price` is computed from.
async fn make_prices(app: &App, repository: &Repository, currency: CurrencyCode) -> Result<(), DemoError> {
    let mut prices = Vec::new();
    for (kind, name, unit, hundredths) in CAPACITY {
        let resource = Resource {
            code: format!("idc_{kind}"),
            name: name.to_owned(),
            unit: unit.to_owned(),
            resource_type: "CLOUD".to_owned(),
            aggregation: Aggregation::Last,
            allows_corrections: false,
        };
        prices.push(ResourcePrice {
            id: ResourcePriceId(0),
            resource: resource.code.clone(),
            currency,
            level: SUBSCRIPTION_LEVEL,
            price: Decimal::new(hundredths, 2),
            unit: format!("{unit}/month"),
            multiplier: Decimal::from(MONTH_SECONDS),
            cluster: None,
            chart: None,
            effective_from: app.clock.now(),
        });
        repository.resource_define(resource).await?;
    }
    let attempt = Attempt::by_itself(app.clock.now());
    repository.resource_price_insert(NewResourcePrices(prices), attempt).await?;
    let discounts = DISCOUNTS.map(|(period, months, hundredths)| TermDiscount {
        period: period.to_owned(),
        months,
        value: Decimal::new(hundredths, 2),
    });
    repository.term_discount_replace(discounts.to_vec()).await?;
    let datacenters = DATACENTERS.map(|(code, zh, en)| Label {
        code: code.to_owned(),
        zh: zh.to_owned(),
        en: en.to_owned(),
    });
    Ok(repository.label_insert(LabelList::Datacenter, &datacenters).await?)
}

/// What capacity costs beyond subscriptions, and how much of it there is.
async fn make_burst(app: &App, repository: &Repository, currency: CurrencyCode) -> Result<(), DemoError> {
    let now = app.clock.now();
    let (name, long_name, license_price) = LICENSE;
    let license = License {
        id: LicenseId(0),
        name: name.to_owned(),
        long_name: long_name.to_owned(),
        license_type: LicenseType::Instance,
        user_metric: "smp".to_owned(),
        burstable: true,
        created_at: now,
    };
    repository.license_define(license).await?;
    let priced = BURST.map(|(resource, unit, hundredths, _)| (resource, unit, hundredths));
    let mut prices = Vec::new();
    for (resource, unit, hundredths) in priced.into_iter().chain([(name, "count", license_price)]) {
        for (level, percent) in LEVELS {
            prices.push(ResourcePrice {
                id: ResourcePriceId(0),
                resource: resource.to_owned(),
                currency,
                level,
                price: Decimal::new(hundredths.saturating_mul(percent), 4),
                unit: format!("{unit}/month"),
                multiplier: Decimal::from(MONTH_SECONDS),
                cluster: None,
                chart: None,
                effective_from: now,
            });
        }
    }
    repository.resource_price_insert(NewResourcePrices(prices), Attempt::by_itself(now)).await?;
    for (resource, _, _, capacity) in BURST {
        let step = |(percent, level)| BurstStep { from: Decimal::new(percent, 2), level };
        let declared = BurstCapacity {
            resource: resource.to_owned(),
            capacity: Decimal::from(capacity),
            curve: CURVE.map(step).to_vec(),
            effective_from: now,
        };
        repository.burst_capacity_declare(declared).await?;
    }
    Ok(())
}

/// What consumption costs everybody, from the beginning of the month on: the storage plan of the price service's document.
async fn make_rules(app: &App, repository: &Repository, currency: CurrencyCode) -> Result<(), DemoError> {
    let tariff = |(resource, per, tiers): &(&str, i64, &[(i64, i64)])| Tariff {
        resource: (*resource).to_owned(),
        mode: TierMode::Graduated,
        per: Decimal::from(*per),
        round_up: false,
        tiers: tiers.iter().map(tier).collect(),
    };
    let quota = |(resource, quantity): (&str, i64)| Quota {
        resource: resource.to_owned(),
        quantity: Decimal::from(quantity),
    };
    let reward = Package {
        package_type: PackageType::Reward,
        money: Decimal::ZERO,
        quotas: REWARD.map(quota).to_vec(),
    };
    let now = app.clock.now();
    let rule = |description: &str, terms| RuleToSet {
        effective_from: Some(bucket_start(now, Granularity::Month, Tz::Asia__Shanghai)),
        effective_until: None,
        stated: Stated::New(NewDefinition {
            kind: "demo".to_owned(),
            description: description.to_owned(),
            currency: Some(currency),
            terms,
        }),
    };
    let rules = vec![
        rule("Storage, traffic and calls", Terms::Base(TARIFFS.iter().map(tariff).collect())),
        rule("Free for everyone", Terms::Package(reward)),
    ];
    let digest = fingerprint(&rules);
    let key = Some("demo:rules".to_owned());
    let attempt = Attempt { key, asked: digest.into(), ..Attempt::by_itself(now) };
    let wanted = RulesToSet { account: None, allow_past: true, rules, set_by: "demo".to_owned() };
    match repository.price_rules_set(wanted, attempt).await {
        Ok(_) => Ok(()),
        Err(AccessError::Refused(refusal)) => Err(DemoError::Rules(refusal.message)),
        Err(error) => Err(error.into()),
    }
}

fn tier((from, unit_price): &(i64, i64)) -> Tier {
    Tier { from: Decimal::from(*from), unit_price: Decimal::new(*unit_price, 4), flat_fee: Decimal::ZERO }
}

async fn make_tenants(app: &App, repository: &Repository, currency: CurrencyCode) -> Result<(), DemoError> {
    let tenant = |namespace: &str, name: &str, parent: Option<AccountId>| Account {
        kind: if parent.is_some() { AccountKind::Sub } else { AccountKind::Main },
        parent,
        time_zone: Tz::Asia__Shanghai,
        manager: Some(Manager { name: "Li Lei".to_owned(), email: Some("li.lei@example.com".to_owned()) }),
        ..Account::opened(AccountId(0), namespace.to_owned(), name.to_owned(), currency, app.clock.now())
    };
    let create = |tenant| repository.account_create(tenant, Attempt::by_itself(app.clock.now()));
    let main = create(tenant(MAIN_NAMESPACE, "Demo Ltd.", None)).await?;
    let sub = create(tenant("demo-dev", "Demo Ltd., development", Some(main.id))).await?;
    let other = create(tenant("acme", "Acme Corp.", None)).await?;
    for (account, cents) in [(main.id, 308_889), (sub.id, 50_000), (other.id, 1_000_000)] {
        let recharge = Recharge {
            amount: Decimal::new(cents, 2),
            payment_method: "offline".to_owned(),
            reason: Some("Opening balance".to_owned()),
        };
        let action = Action::Recharge(recharge);
        let key = Some("demo:opening-balance".to_owned());
        let command = Command { key, ..Command::by_itself(account, action) };
        app.engine.submit(command, Priority::Background).await?;
    }
    Ok(())
}
