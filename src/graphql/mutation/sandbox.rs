//! The sandbox: time can be moved forward, and tokens be sent on a chain of its own.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use rust_decimal::Decimal;

use crate::domain::decide::{Action, CountDeposits, require_display_places};
use crate::domain::job::JobKind;
use crate::domain::money::Currency;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::stake::Stake;
use crate::graphql::error::{ApiError, MutationError, MutationResult};
use crate::graphql::input::known_currency;
use crate::graphql::payload::{MutationOutcome, answer, submit_repeatable};
use crate::graphql::scalars::{Code, Exact, Instant};
use crate::graphql::session::{Session, operator_session, session};
use crate::graphql::types::prepayment::Prepayment;
use crate::graphql::types::user_error::UserError;
use crate::jobs::{AdvanceError, Counts, Runs, advance};
use crate::payments::onchain::address::{Address, AddressError};

/// Moves the server's clock.
#[derive(InputObject)]
pub struct AdvanceClockInput {
    /// Where to: not before now, and at most 400 days ahead.
    to: Instant,
}

/// How many jobs of a kind ran.
#[derive(SimpleObject)]
pub struct JobRun {
    /// The kind: ORDER_PERIOD, ORDER_EXPIRY, ORDER_RENEWAL, ORDER_SUSPENSION, ORDER_END, ORDER_CANCELLATION, BILL_PAYMENT,
    /// BILL_SUSPENSION, HOLD_END, MONTH_CLOSING, MONTH_CORRECTION, BURST_CYCLE, PAYMENT, REVERSAL, RECONCILIATION,
    /// PREPAYMENT_EXPIRY, PREPAYMENT_RENEWAL, PREPAYMENT_REFUND, PREPAYMENT_END, DEPOSIT or INVOICE.
    kind: String,
    /// How many did what they are for.
    ran: i32,
    /// How many could not: a renewal or a bill without the money, or a step that is put off by a day. What follows from
    /// that has happened.
    failed: i32,
}

/// What happened on the way.
#[derive(SimpleObject, Default)]
pub struct AdvanceClockPayload {
    /// The time now.
    now: Option<Instant>,
    /// The jobs that ran, by kind.
    jobs: Option<Vec<JobRun>>,
    /// Why the clock was not moved.
    user_errors: Vec<UserError>,
}

/// Sends tokens on the sandbox's own chain.
#[derive(InputObject)]
pub struct SimulateDepositInput {
    /// Where to: the depositAddress of a prepayment.
    address: String,
    /// Which token: USDT_ERC20 or ANKR_ERC20.
    asset: Code,
    /// How many, at most to the token's places.
    amount: Exact,
}

/// What a deposit came to.
#[derive(SimpleObject, Default)]
pub struct SimulateDepositPayload {
    /// The prepayment whose address it is.
    prepayment: Option<Prepayment>,
    /// Why nothing was sent.
    user_errors: Vec<UserError>,
}

/// The sandbox's mutations.
#[derive(Default)]
pub struct SandboxMutation;

/// The sandbox's mutations.
#[Object]
impl SandboxMutation {
    /// Operators, in the sandbox only: moves the server's clock forward and runs every job that falls due on the way, in
    /// order, before it answers.
    async fn advance_clock(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The instant to go to.")] input: AdvanceClockInput,
    ) -> async_graphql::Result<AdvanceClockPayload> {
        let session = operator_session(ctx)?;
        answer(advance_clock(session, input).await, |runs, user_errors| AdvanceClockPayload {
            now: runs.as_ref().map(|_| Instant(session.app.clock.now())),
            jobs: runs.map(told),
            user_errors,
        })
    }

    /// In the sandbox only, and only where no real chain is set up: has tokens reach a deposit address now, as if a block with them
    /// had its confirmations. Each call sends once more.
    async fn simulate_deposit(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is sent, and where to.")] input: SimulateDepositInput,
    ) -> async_graphql::Result<SimulateDepositPayload> {
        let session = session(ctx)?;
        answer(simulate_deposit(session, input).await, |made, user_errors| SimulateDepositPayload {
            prepayment: made.and_then(|made| made.outcome.prepayment).map(Prepayment),
            user_errors,
        })
    }
}

async fn simulate_deposit(session: &Session, input: SimulateDepositInput) -> MutationResult<MutationOutcome> {
    let deposit_addresses = session.app.jobs.deposit_addresses.as_ref().filter(|it| it.scanner().is_none());
    let Some(deposit_addresses) = deposit_addresses.filter(|_| session.app.sandbox) else {
        return Err(ApiError::forbidden("only on a sandbox's own chain deposits can be simulated").into());
    };
    let asset = known_currency(session, "asset", input.asset.0)?;
    if !deposit_addresses.takes(asset.code) {
        let message = format!("{} is not sent to addresses", asset.code);
        return Err(Refusal::new(RefusalCode::Invalid, "asset", message).into());
    }
    let amount = input.amount.value;
    require_sendable(&asset, amount)?;
    let address: Address = input
        .address
        .parse()
        .map_err(|error: AddressError| Refusal::new(RefusalCode::Invalid, "address", error.to_string()))?;
    let address = address.to_string();
    let none = || Refusal::new(RefusalCode::NotFound, "address", "nobody was given this address");
    let owner = session.repository().address_owner(address.clone()).await?.ok_or_else(none)?;
    session.repository().require_stake(Some(Stake::Payment), owner).await?;
    let there = session.app.cell_jobs.of(owner).deposit_addresses.as_ref().unwrap_or(deposit_addresses);
    there.simulate(owner, &address, (asset.code, amount), session.app.clock.now()).await?;
    submit_repeatable(session, owner, Action::CountDeposits(CountDeposits(address))).await
}

fn require_sendable(asset: &Currency, amount: Decimal) -> Result<(), Refusal> {
    if amount <= Decimal::ZERO {
        return Err(Refusal::new(RefusalCode::Invalid, "amount", "must be greater than zero"));
    }
    require_display_places(asset, "amount", amount)
}

fn told(runs: Runs) -> Vec<JobRun> {
    let run = |(kind, counts): (JobKind, Counts)| JobRun {
        kind: kind.code().to_owned(),
        ran: counts.ran,
        failed: counts.failed,
    };
    runs.0.into_iter().map(run).collect()
}

async fn advance_clock(session: &Session, input: AdvanceClockInput) -> MutationResult<Runs> {
    if !session.app.sandbox {
        return Err(ApiError::forbidden("only a sandbox's clock can be moved").into());
    }
    let (jobs, to) = (session.app.cell_jobs.clone(), input.to.0);
    // A caller that leaves does not stop the clock half-way.
    let advancing = tokio::spawn(async move { advance(&jobs, to).await });
    let advanced = advancing.await.map_err(ApiError::internal)?;
    session.app.meter.forget_all();
    advanced.map_err(|error| match error {
        AdvanceError::Store(error) => MutationError::from(error),
        AdvanceError::Fixed => ApiError::forbidden(error.to_string()).into(),
        AdvanceError::Past(_) => Refusal::new(RefusalCode::Invalid, "to", error.to_string()).into(),
        AdvanceError::TooFar => Refusal::new(RefusalCode::OutOfRange, "to", error.to_string()).into(),
        AdvanceError::Unfinished { .. } => ApiError::new("UNAVAILABLE", error.to_string()).into(),
        AdvanceError::UnderWay => Refusal::general(RefusalCode::Conflict, error.to_string()).into(),
    })
}
