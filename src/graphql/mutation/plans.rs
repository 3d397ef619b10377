//! Operators: the market.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use rust_decimal::Decimal;

use crate::domain::capacity::require_amount;
use crate::domain::decide::{require_display_places, require_ledger_places, require_not_above_largest};
use crate::domain::ids::{AccountId, PlanId};
use crate::domain::money::Currency;
use crate::domain::period::BillPeriod as DomainPeriod;
use crate::domain::plan::{Plan as DomainPlan, PlanResource};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::graphql::enums::BillPeriod;
use crate::graphql::error::{MutationError, MutationResult};
use crate::graphql::input::{asked, changed, input_id, known_currency, optional, or_cleared};
use crate::graphql::payload::{answer, attempt};
use crate::graphql::scalars::{Code, Exact};
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::plan::Plan;
use crate::graphql::types::user_error::UserError;
use crate::store::access::AccessError;
use crate::store::plans::{NewPlan, PlanPatch};

/// The resources that one plan can include.
const RESOURCES_MAX: usize = 50;

/// An amount of a currency, in its main unit.
#[derive(InputObject)]
pub struct MoneyInput {
    /// The amount, in the main unit of the currency: 12.50 is twelve and a half.
    amount: Exact,
    /// The currency of the amount.
    currency: Code,
}

/// What a plan includes of a resource.
#[derive(InputObject)]
pub struct PlanResourceInput {
    /// The resource's code.
    resource: String,
    /// How much, in the resource's unit; greater than zero.
    amount: Exact,
}

/// A new offer.
#[derive(InputObject)]
pub struct CreatePlanInput {
    /// Its name, for people.
    name: String,
    /// A code of the provider's. Of the type "resources" an account has at most one live order in a region.
    #[graphql(name = "type")]
    plan_type: String,
    /// The only region in which it is sold, a code; absent: any.
    region: Option<String>,
    /// The kind of product, a code.
    resource_type: String,
    /// Per period; zero or more. At the currency's display places, by the hour (HOUR) at its ledger places, as what is on demand
    /// is rounded once, with the bill of its month.
    price: MoneyInput,
    /// Once, in the first bill; in the currency of the price, at its display places.
    once_price: Option<MoneyInput>,
    /// How often it is billed.
    bill_period: BillPeriod,
    /// What it is, for people.
    description: String,
    /// What it includes; at most 50 resources, each once.
    resources: Option<Vec<PlanResourceInput>>,
    /// The caller's name for this, 1 to 255 characters: with the same key and input it is done once, for as long as keys count
    /// (`serviceConfig.idempotencyKeyDays`). The key is the provider's. Absent: it is done as often as it is asked for.
    idempotency_key: Option<String>,
}

/// The plan that was put on the market.
#[derive(SimpleObject, Default)]
pub struct CreatePlanPayload {
    /// The plan.
    plan: Option<Plan>,
    /// Why it was not made.
    user_errors: Vec<UserError>,
}

/// Takes a plan off the market.
#[derive(InputObject)]
pub struct RetirePlanInput {
    /// The plan.
    plan_id: ID,
}

/// The plan that was taken off the market.
#[derive(SimpleObject, Default)]
pub struct RetirePlanPayload {
    /// The plan.
    plan: Option<Plan>,
    /// Why it was not.
    user_errors: Vec<UserError>,
}

/// What is to change of a plan; what is absent stays, and null is refused where nothing can be taken away. Orders keep what
/// they were bought at until they renew.
#[derive(InputObject)]
pub struct UpdatePlanInput {
    /// The plan.
    plan_id: ID,
    /// Its name, for people.
    name: MaybeUndefined<String>,
    /// What it is, for people.
    description: MaybeUndefined<String>,
    /// Per period, in the plan's currency; zero or more, at the display places, by the hour at the ledger places.
    price: MaybeUndefined<MoneyInput>,
    /// Once, in the first bill, in the plan's currency, at its display places; null takes it away.
    once_price: MaybeUndefined<MoneyInput>,
}

/// The plan that was changed.
#[derive(SimpleObject, Default)]
pub struct UpdatePlanPayload {
    /// The plan.
    plan: Option<Plan>,
    /// Why it was not.
    user_errors: Vec<UserError>,
}

/// The market's mutations.
#[derive(Default)]
pub struct PlanMutation;

/// The market's mutations.
#[Object]
impl PlanMutation {
    /// Operators: puts a plan on the market.
    async fn create_plan(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The offer.")] input: CreatePlanInput,
    ) -> async_graphql::Result<CreatePlanPayload> {
        answer(create_plan(operator_session(ctx)?, input).await, |plan, user_errors| CreatePlanPayload {
            plan: plan.map(|plan| Plan(Arc::new(plan))),
            user_errors,
        })
    }

    /// Operators: changes a plan. Orders keep what they were bought at until they renew.
    async fn update_plan(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which plan, and what of it.")] input: UpdatePlanInput,
    ) -> async_graphql::Result<UpdatePlanPayload> {
        answer(update_plan(operator_session(ctx)?, input).await, |plan, user_errors| UpdatePlanPayload {
            plan: plan.map(|plan| Plan(Arc::new(plan))),
            user_errors,
        })
    }

    /// Operators: takes a plan off the market. Orders for it run on to their end, and are not renewed.
    async fn retire_plan(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which plan.")] input: RetirePlanInput,
    ) -> async_graphql::Result<RetirePlanPayload> {
        answer(retire_plan(operator_session(ctx)?, input).await, |plan, user_errors| RetirePlanPayload {
            plan: plan.map(|plan| Plan(Arc::new(plan))),
            user_errors,
        })
    }
}

async fn create_plan(session: &Session, input: CreatePlanInput) -> MutationResult<DomainPlan> {
    let asked = asked(&input, &[]);
    let currency = known_currency(session, "price.currency", input.price.currency.0)?;
    let once_price = match &input.once_price {
        Some(once) if once.currency.0 != currency.code => {
            let message = "must be in the currency of the price";
            return Err(Refusal::new(RefusalCode::CurrencyMismatch, "oncePrice.currency", message).into());
        }
        Some(once) => Some(once_price(&currency, "oncePrice.amount", once.amount.value)?),
        None => None,
    };
    let bill_period = input.bill_period.into();
    let now = session.app.clock.now();
    let plan = DomainPlan {
        id: PlanId::new(now),
        name: text::name("name", &input.name)?,
        plan_type: text::code("type", &input.plan_type)?,
        region: input.region.as_deref().map(|region| text::code("region", region)).transpose()?,
        resource_type: text::code("resourceType", &input.resource_type)?,
        currency: currency.code,
        price: price(&currency, bill_period, "price.amount", input.price.amount.value)?,
        once_price,
        bill_period,
        description: text::free_text("description", &input.description)?,
        created_at: now,
        retired_at: None,
    };
    let resources = included(input.resources.unwrap_or_default())?;
    let attempt = attempt(session, AccountId::PROVIDER, input.idempotency_key.as_deref(), asked)?;
    session.repository().plan_create(NewPlan { plan, resources }, attempt).await.map_err(|error| match &error
    {
        AccessError::Store(store) if store.is_violation_of("plan_resources_resource_code_fkey") => {
            Refusal::new(RefusalCode::NotFound, "resources", "there is no resource of such a code").into()
        }
        _ => MutationError::from(error),
    })
}

async fn update_plan(session: &Session, input: UpdatePlanInput) -> MutationResult<DomainPlan> {
    let id = input_id("planId", &input.plan_id, PlanId::parse)?;
    let not_found = || Refusal::new(RefusalCode::NotFound, "planId", "there is no such plan");
    let plan = session.load(id).await?.ok_or_else(not_found)?;
    let currency = known_currency(session, "planId", plan.currency)?;
    let amount_in = |field: &'static str, money: MoneyInput| match money.currency.0 == currency.code {
        true => Ok(money.amount.value),
        false => {
            let message = format!("the plan costs {}", currency.code);
            Err(Refusal::new(RefusalCode::CurrencyMismatch, field, message))
        }
    };
    let new_price = |money: MoneyInput| {
        let amount = amount_in("price.currency", money)?;
        price(&currency, plan.bill_period, "price.amount", amount)
    };
    let new_once_price = |money: MoneyInput| {
        let amount = amount_in("oncePrice.currency", money)?;
        once_price(&currency, "oncePrice.amount", amount)
    };
    let patch = PlanPatch {
        name: optional(changed("name", input.name)?, |name| text::name("name", name))?,
        description: optional(changed("description", input.description)?, |text| {
            text::free_text("description", text)
        })?,
        price: changed("price", input.price)?.map(new_price).transpose()?,
        once_price: or_cleared(input.once_price, new_once_price)?,
    };
    let updated = session.repository().plan_update(id, patch).await?;
    Ok(updated.ok_or_else(not_found)?)
}

/// The price of a period. What is on demand is no amount that anybody pays at once: a month of its seconds is rounded.
fn price(
    currency: &Currency,
    period: DomainPeriod,
    field: &'static str,
    amount: Decimal,
) -> Result<Decimal, Refusal> {
    if period != DomainPeriod::Hour {
        return once_price(currency, field, amount);
    }
    require_not_negative(field, amount)?;
    require_ledger_places(currency, field, amount)?;
    require_not_above_largest(field, amount)?;
    Ok(amount)
}

fn once_price(currency: &Currency, field: &'static str, amount: Decimal) -> Result<Decimal, Refusal> {
    require_not_negative(field, amount)?;
    require_display_places(currency, field, amount)?;
    require_not_above_largest(field, amount)?;
    Ok(amount)
}

fn require_not_negative(field: &'static str, amount: Decimal) -> Result<(), Refusal> {
    if amount < Decimal::ZERO {
        return Err(Refusal::new(RefusalCode::Invalid, field, "must not be negative"));
    }
    Ok(())
}

fn included(inputs: Vec<PlanResourceInput>) -> Result<Vec<PlanResource>, Refusal> {
    if inputs.len() > RESOURCES_MAX {
        let message = format!("at most {RESOURCES_MAX} resources");
        return Err(Refusal::new(RefusalCode::LimitExceeded, "resources", message));
    }
    let mut seen = std::collections::HashSet::new();
    let mut resources = Vec::with_capacity(inputs.len());
    for PlanResourceInput { resource, amount } in inputs {
        if !seen.insert(resource.clone()) {
            return Err(Refusal::new(
                RefusalCode::Invalid,
                "resources",
                format!("\"{resource}\" is named twice"),
            ));
        }
        require_amount("resources", amount.value)?;
        resources
            .push(PlanResource { resource_code: text::code("resources", &resource)?, amount: amount.value });
    }
    Ok(resources)
}

async fn retire_plan(session: &Session, input: RetirePlanInput) -> MutationResult<DomainPlan> {
    let id = input_id("planId", &input.plan_id, PlanId::parse)?;
    let retired = session.repository().plan_retire(id, session.app.clock.now()).await?;
    let not_found = || Refusal::new(RefusalCode::NotFound, "planId", "there is no such plan");
    Ok(retired.ok_or_else(not_found)?)
}
