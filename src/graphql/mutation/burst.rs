//! Operators: how much capacity there is, and what use of it does to its price.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use crate::domain::burst::{BurstCapacity, BurstStep};
use crate::domain::capacity::require_amount;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::graphql::error::{MutationError, MutationResult};
use crate::graphql::loaders::ResourceCode;
use crate::graphql::payload::answer;
use crate::graphql::scalars::Exact;
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::resource::Resource;
use crate::graphql::types::user_error::UserError;

/// The most steps of a curve: one for each level.
const STEPS_MAX: usize = 21;

/// From this use of the capacity on the level is that.
#[derive(InputObject)]
pub struct BurstStepInput {
    /// A share of the capacity, 0 to 10: 0.8 is four fifths. Each greater than the one before.
    from_utilisation: Exact,
    /// The burst level from there on, 0 to 20.
    level: i32,
}

/// Declares how much the cloud has of a resource, and which burst level what use of it leads to.
#[derive(InputObject)]
pub struct SetBurstCapacityInput {
    /// The resource's code; a gauge (LAST, AVERAGE or P95): what is reported of it is what there is, not what was used.
    resource: String,
    /// How much there is over all accounts, in the unit that it is reported in: greater than zero, at most 10^14.
    capacity: Exact,
    /// The curve: 1 to 21 steps in ascending order. Below the first the level is 0.
    curve: Vec<BurstStepInput>,
}

/// The resource whose capacity was declared.
#[derive(SimpleObject, Default)]
pub struct SetBurstCapacityPayload {
    /// The resource.
    resource: Option<Resource>,
    /// Why it stays as it was.
    user_errors: Vec<UserError>,
}

/// The mutations of burst.
#[derive(Default)]
pub struct BurstMutation;

/// The mutations of burst.
#[Object]
impl BurstMutation {
    /// Operators: declares how much there is of a resource, from now on. What accounts use beyond their subscriptions is
    /// charged from then on, every 5 minutes, at the current level.
    async fn set_burst_capacity(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Of what, how much, and the curve.")] input: SetBurstCapacityInput,
    ) -> async_graphql::Result<SetBurstCapacityPayload> {
        answer(set_capacity(operator_session(ctx)?, input).await, |resource, user_errors| {
            SetBurstCapacityPayload { resource, user_errors }
        })
    }
}

async fn set_capacity(session: &Session, input: SetBurstCapacityInput) -> MutationResult<Resource> {
    let code = text::code("resource", &input.resource)?;
    let capacity = input.capacity.value;
    require_amount("capacity", capacity)?;
    let curve = curve_of(&input.curve)?;
    let none = || Refusal::new(RefusalCode::NotFound, "resource", "there is no such resource");
    let resource = session.load(ResourceCode(code.clone())).await?.ok_or_else(none)?;
    if !resource.aggregation.is_gauge() {
        let message = "its reports say what was used, not what is: only a gauge has a capacity";
        return Err(Refusal::new(RefusalCode::Invalid, "resource", message).into());
    }
    let effective_from = session.app.clock.now();
    let declared = BurstCapacity { resource: code, capacity, curve, effective_from };
    session.repository().burst_capacity_declare(declared).await.map_err(MutationError::from)?;
    Ok(Resource(resource))
}

fn curve_of(steps: &[BurstStepInput]) -> Result<Vec<BurstStep>, Refusal> {
    if steps.is_empty() {
        return Err(Refusal::new(RefusalCode::Required, "curve", "at least one step is needed"));
    }
    if steps.len() > STEPS_MAX {
        return Err(Refusal::new(RefusalCode::LimitExceeded, "curve", format!("at most {STEPS_MAX} steps")));
    }
    let step = |step: &BurstStepInput| BurstStep { from: step.from_utilisation.value, level: step.level };
    let curve: Vec<BurstStep> = steps.iter().map(step).collect();
    BurstCapacity::check_curve(&curve).map_err(|fault| {
        let code = if fault.field == "level" { RefusalCode::OutOfRange } else { RefusalCode::Invalid };
        Refusal::new(code, format!("curve.{}.{}", fault.step, fault.field), fault.message)
    })?;
    Ok(curve)
}
