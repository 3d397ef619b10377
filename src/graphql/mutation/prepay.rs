//! Prepayments for apps.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use rust_decimal::Decimal;

use crate::domain::decide::{Action, KeepQuote, Offer};
use crate::domain::exchange_rate::ExchangeRate;
use crate::domain::money::Currency;
use crate::domain::mutation::{Mutation, QUOTE_PREPAY};
use crate::domain::prepay::{self, Asset, LIMITED, Limits, MONTHS_MAX, PRICED_IN, Quoted};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::graphql::error::MutationResult;
use crate::graphql::input::{asked, input_account};
use crate::graphql::payload::{MutationOutcome, answer, made_before, submit_with};
use crate::graphql::scalars::Code;
use crate::graphql::session::{Session, session};
use crate::graphql::types::prepay_quote::PrepayQuote;
use crate::graphql::types::user_error::UserError;

/// What an app of these limits costs for a term. `namespace` or `accountId` names the account; neither: the caller's own.
#[derive(InputObject)]
pub struct QuotePrepayInput {
    /// The account that asks, by namespace.
    namespace: Option<String>,
    /// The account that asks, by id.
    account_id: Option<ID>,
    /// What it is to be paid with: USD (a card), USDT_ERC20 or ANKR_ERC20.
    asset: Code,
    /// The cluster that the app is to run on, a code.
    cluster_id: String,
    /// The chart that it is made of, a code.
    chart_name: String,
    /// Processors, in milli-cores: 0 or more.
    cpu_limit: i32,
    /// Memory, in MiB: 0 or more.
    mem_limit: i32,
    /// Storage, in MiB: 0 or more.
    storage_limit: i32,
    /// For how many months of 30 days: 1 to 12.
    period: i32,
    /// The caller's name for this, 1 to 255 characters: with the same key and input it is done once, for as long as keys
    /// count (`serviceConfig.idempotencyKeyDays`). The same offer is answered also when it holds no more. Absent: each time another.
    idempotency_key: Option<String>,
}

/// The offer.
#[derive(SimpleObject, Default)]
pub struct QuotePrepayPayload {
    /// What it costs; it holds for 15 minutes.
    quote: Option<PrepayQuote>,
    /// Why nothing was offered.
    user_errors: Vec<UserError>,
}

/// The mutations of prepayments.
#[derive(Default)]
pub struct PrepayMutation;

/// The mutations of prepayments.
#[Object]
impl PrepayMutation {
    /// Offers what an app of these limits costs for a term, from the prices of app_cpu, app_mem and app_storage: those that were
    /// set for the cluster and the chart, or else for one of them, or else for everything. At most 200 offers of an account hold
    /// at once (LIMIT_EXCEEDED).
    async fn quote_prepay(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "For what, how long, and what it is to be paid with.")] input: QuotePrepayInput,
    ) -> async_graphql::Result<QuotePrepayPayload> {
        answer(quote(session(ctx)?, input).await, |quote, user_errors| QuotePrepayPayload {
            quote,
            user_errors,
        })
    }
}

async fn quote(session: &Session, input: QuotePrepayInput) -> MutationResult<PrepayQuote> {
    let asked = asked(&input, &["accountId", "namespace"]);
    let key = input.idempotency_key.as_deref();
    let account = input_account(session, input.account_id.as_ref(), input.namespace.as_deref()).await?;
    if let Some(made) = made_before(session, account, key, Mutation::named(QUOTE_PREPAY), asked).await? {
        return offered(made);
    }
    let asset = asset_of(session, input.asset)?;
    let limits = limits_of(&input)?;
    if !(1..=MONTHS_MAX).contains(&input.period) {
        let message = format!("must be from 1 to {MONTHS_MAX}");
        return Err(Refusal::new(RefusalCode::OutOfRange, "period", message).into());
    }
    let cluster = text::code("clusterId", &input.cluster_id)?;
    let chart = text::code("chartName", &input.chart_name)?;
    let rate = rate_for(session, asset).await?;
    let quoted = price(session, limits, input.period, (&cluster, &chart), asset, rate.as_deref()).await?;
    let offer = Offer { currency: asset.code, quoted, months: input.period, cluster, chart, limits, rate };
    offered(
        submit_with(session, account, key, Action::KeepQuote(Box::new(KeepQuote { asked, offer }))).await?,
    )
}

fn offered(made: MutationOutcome) -> MutationResult<PrepayQuote> {
    let gone = || Refusal::new(RefusalCode::NotFound, "idempotencyKey", "its offer is kept no more");
    Ok(PrepayQuote(made.outcome.prepay_quote.ok_or_else(gone)?))
}

fn asset_of(session: &Session, code: Code) -> Result<Currency, Refusal> {
    let known = session.app.currencies.get(code.0).filter(|currency| Asset::of(currency.code).is_some());
    known.copied().ok_or_else(|| {
        let message = format!(
            "must be one of {}",
            Asset::ALL.iter().map(|asset| asset.code()).collect::<Vec<_>>().join(", ")
        );
        Refusal::new(RefusalCode::Invalid, "asset", message)
    })
}

fn limits_of(input: &QuotePrepayInput) -> Result<Limits, Refusal> {
    let limits =
        [("cpuLimit", input.cpu_limit), ("memLimit", input.mem_limit), ("storageLimit", input.storage_limit)];
    for (field, limit) in limits {
        if limit < 0 {
            return Err(Refusal::new(RefusalCode::Invalid, field, "must not be negative"));
        }
    }
    Ok(Limits { cpu: input.cpu_limit, mem: input.mem_limit, storage: input.storage_limit })
}

/// The rate of an asset that is worth something else than a dollar.
async fn rate_for(session: &Session, asset: Currency) -> MutationResult<Option<Arc<ExchangeRate>>> {
    if Asset::of(asset.code).is_none_or(Asset::is_dollar) {
        return Ok(None);
    }
    let dollar = dollar(session)?;
    let rate = session.repository().exchange_rate(asset.code, dollar.code).await?;
    let fresh = rate.filter(|rate| !rate.is_stale(session.app.clock.now()));
    let stale = || {
        let message =
            format!("there is no rate of {} in {PRICED_IN} that was observed within the hour", asset.code);
        Refusal::new(RefusalCode::RateStale, "asset", message)
    };
    Ok(Some(Arc::new(fresh.ok_or_else(stale)?)))
}

fn dollar(session: &Session) -> Result<Currency, Refusal> {
    let unknown = || Refusal::general(RefusalCode::Invalid, format!("this server does not know {PRICED_IN}"));
    session.app.currencies.by_code(PRICED_IN).copied().ok_or_else(unknown)
}

async fn price(
    session: &Session,
    limits: Limits,
    months: i32,
    (cluster, chart): (&str, &str),
    asset: Currency,
    rate: Option<&ExchangeRate>,
) -> MutationResult<Quoted> {
    let codes = LIMITED.map(str::to_owned).to_vec();
    let now = session.app.clock.now();
    let found = session.repository().prices_for_app(codes, cluster.to_owned(), chart.to_owned(), now).await?;
    let none = || {
        let message = format!("there is no price of {} in {PRICED_IN}", LIMITED.join(", "));
        Refusal::general(RefusalCode::NotFound, message)
    };
    let prices = prepay::prices_of(&found).ok_or_else(none)?;
    let rate = rate.map(|rate| rate.rate);
    let quoted = prepay::price(limits, months, prices, &dollar(session)?, &asset, rate)?;
    if quoted.usd <= Decimal::ZERO {
        let message = "what is asked for comes to nothing";
        return Err(Refusal::new(RefusalCode::Invalid, "cpuLimit", message).into());
    }
    Ok(quoted)
}
