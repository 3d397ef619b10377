//! Operators: what consumption costs.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use rust_decimal::Decimal;
use std::sync::Arc;

use crate::domain::fingerprint::{Fingerprints, fingerprint};
use crate::domain::idempotency::Attempt;
use crate::domain::ids::{AccountId, PriceRuleId};
use crate::domain::plan::Resource as DomainResource;
use crate::domain::price_rule::{
    NewDefinition, PriceRule as DomainRule, RULES_AT_ONCE_MAX, RuleToEnd, RuleToSet, RulesToSet, Stated,
    Terms,
};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text::{self, idempotency_key};
use crate::graphql::enums::Aggregation;
use crate::graphql::error::MutationResult;
use crate::graphql::input::{input_account, input_id};
use crate::graphql::payload::{answer, attempt};
use crate::graphql::price_input::PriceDefinitionInput;
use crate::graphql::scalars::Instant;
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::price_rule::PriceRule;
use crate::graphql::types::resource::Resource;
use crate::graphql::types::user_error::UserError;

/// A rule to be set.
#[derive(InputObject)]
pub struct PriceRuleInput {
    /// From when on it is in force; absent: at once.
    effective_from: Option<Instant>,
    /// When it is no longer in force; absent: for ever.
    effective_until: Option<Instant>,
    /// What it says.
    definition: PriceDefinitionInput,
}

/// Rules to be set, all or none: for one account, or for everyone who has no base price of his own.
#[derive(InputObject)]
pub struct SetPricesInput {
    /// The account, by its id.
    account_id: Option<ID>,
    /// The account, by its namespace.
    namespace: Option<String>,
    /// For every account that has no base price of its own.
    #[graphql(default = false)]
    everyone: bool,
    /// The rules, in the order in which they are set: 1 to 100.
    infos: Vec<PriceRuleInput>,
    /// Windows that begin in the past are refused without it.
    #[graphql(default = false)]
    allow_past: bool,
    /// The client's name for this attempt: the same key with the same input sets the rules once.
    idempotency_key: String,
    /// Answers the rules as they would be, and keeps nothing.
    #[graphql(default = false)]
    dry_run: bool,
}

/// The rules that were set.
#[derive(SimpleObject, Default)]
pub struct SetPricesPayload {
    /// The rules, in the order of the input.
    rules: Option<Vec<PriceRule>>,
    /// Why they were not set.
    user_errors: Vec<UserError>,
}

/// Ends a rule.
#[derive(InputObject)]
pub struct EndPriceRuleInput {
    /// The rule.
    rule_id: ID,
    /// When it is no longer in force; absent: now. Not before now, for what has been is not changed.
    effective_until: Option<Instant>,
    /// The client's name for this attempt: the same key with the same input ends the rule once.
    idempotency_key: String,
    /// Answers the rule as it would be, and keeps nothing.
    #[graphql(default = false)]
    dry_run: bool,
}

/// The rule that was ended.
#[derive(SimpleObject, Default)]
pub struct EndPriceRulePayload {
    /// The rule.
    rule: Option<PriceRule>,
    /// Why it was not ended.
    user_errors: Vec<UserError>,
}

/// A thing that is metered or sold.
#[derive(InputObject)]
pub struct DefineResourceInput {
    /// The code by which inputs name it.
    code: String,
    /// Its name, for people.
    name: String,
    /// What quantities of it are counted in. It never changes.
    unit: String,
    /// The kind of product that it belongs to, a code.
    resource_type: String,
    /// How the reports on it become one quantity. It never changes.
    aggregation: Aggregation,
    /// Whether reports may be negative: what was reported too much is taken back. Only of what adds up (SUM).
    #[graphql(default = false)]
    allows_corrections: bool,
}

/// The resource as it is defined now.
#[derive(SimpleObject, Default)]
pub struct DefineResourcePayload {
    /// The resource.
    resource: Option<Resource>,
    /// Why it was not defined.
    user_errors: Vec<UserError>,
}

/// The mutations of prices.
#[derive(Default)]
pub struct PriceMutation;

/// The mutations of prices.
#[Object]
impl PriceMutation {
    /// Operators: sets price rules, all or none. What is set is never changed, only ended.
    async fn set_prices(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The rules, and for whom.")] input: SetPricesInput,
    ) -> async_graphql::Result<SetPricesPayload> {
        answer(set_prices(operator_session(ctx)?, input).await, |rules, user_errors| SetPricesPayload {
            rules: rules.map(|rules| rules.into_iter().map(Arc::new).map(PriceRule).collect()),
            user_errors,
        })
    }

    /// Operators: ends a price rule, now or later.
    async fn end_price_rule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which rule, and when.")] input: EndPriceRuleInput,
    ) -> async_graphql::Result<EndPriceRulePayload> {
        answer(end_price_rule(operator_session(ctx)?, input).await, |rule, user_errors| EndPriceRulePayload {
            rule: rule.flatten().map(Arc::new).map(PriceRule),
            user_errors,
        })
    }

    /// Operators: defines a thing that is metered or sold, or changes its name and kind of product.
    async fn define_resource(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The resource.")] input: DefineResourceInput,
    ) -> async_graphql::Result<DefineResourcePayload> {
        answer(define_resource(operator_session(ctx)?, input).await, |resource, user_errors| {
            DefineResourcePayload { resource: resource.map(Arc::new).map(Resource), user_errors }
        })
    }
}

async fn set_prices(session: &Session, input: SetPricesInput) -> MutationResult<Vec<DomainRule>> {
    let account = if input.everyone {
        if input.account_id.is_some() || input.namespace.is_some() {
            let message = "cannot be used together with an account";
            return Err(Refusal::new(RefusalCode::Invalid, "everyone", message).into());
        }
        None
    } else {
        Some(input_account(session, input.account_id.as_ref(), input.namespace.as_deref()).await?)
    };
    if input.infos.is_empty() {
        return Err(Refusal::new(RefusalCode::Required, "infos", "must not be empty").into());
    }
    if input.infos.len() > RULES_AT_ONCE_MAX {
        let message = format!("at most {RULES_AT_ONCE_MAX}");
        return Err(Refusal::new(RefusalCode::LimitExceeded, "infos", message).into());
    }
    let currency = match account {
        Some(account) => session.load(account).await?.map(|account| account.currency),
        None => None,
    };
    let mut rules = Vec::with_capacity(input.infos.len());
    for (index, info) in input.infos.into_iter().enumerate() {
        let path = format!("infos.{index}.definition");
        let definition = info.definition.resolve(session, None).await.map_err(|error| error.within(&path))?;
        if definition.currency.is_some_and(|own| currency.is_some_and(|account| account != own)) {
            let message = "must be the account's";
            return Err(Refusal::new(RefusalCode::CurrencyMismatch, "currency", message)
                .within(&path)
                .into());
        }
        rules.push(RuleToSet {
            effective_from: info.effective_from.map(|instant| instant.0),
            effective_until: info.effective_until.map(|instant| instant.0),
            stated: definition.stated,
        });
    }
    let owner = account.unwrap_or(AccountId::PROVIDER);
    let attempt = attempt(session, owner, Some(&input.idempotency_key), fingerprints(account, &rules))?;
    let attempt = Attempt { dry_run: input.dry_run, ..attempt };
    let set_by = session.viewer().subject.clone();
    let wanted = RulesToSet { account, allow_past: input.allow_past, rules, set_by };
    Ok(session.repository().price_rules_set(wanted, attempt).await?)
}

/// What is asked for, whether or not discounts name their default, which may be kept either way.
fn fingerprints(account: Option<AccountId>, rules: &[RuleToSet]) -> Fingerprints {
    let digest = |rules: &[RuleToSet]| fingerprint(&(account, rules));
    let with = |percent: Option<Decimal>| {
        digest(&rules.iter().cloned().map(|rule| with_default_percent(rule, percent)).collect::<Vec<_>>())
    };
    Fingerprints { own: with(None), others: vec![with(Some(Decimal::ONE_HUNDRED)), digest(rules)] }
}

/// The same, with a discount's default written so.
fn with_default_percent(mut rule: RuleToSet, written: Option<Decimal>) -> RuleToSet {
    if let Stated::New(NewDefinition { terms: Terms::Discount(discount), .. }) = &mut rule.stated
        && discount.payable_percent.is_none_or(|percent| percent == Decimal::ONE_HUNDRED)
    {
        discount.payable_percent = written;
    }
    rule
}

async fn end_price_rule(session: &Session, input: EndPriceRuleInput) -> MutationResult<Option<DomainRule>> {
    idempotency_key(&input.idempotency_key)?;
    let rule = input_id("ruleId", &input.rule_id, PriceRuleId::parse)?;
    let until = input.effective_until.map(|instant| instant.0);
    let owner = session.load(rule).await?.ok_or_else(RuleToEnd::not_found)?.account;
    let owner = owner.unwrap_or(AccountId::PROVIDER);
    let attempt = attempt(session, owner, Some(&input.idempotency_key), fingerprint(&(rule, until)))?;
    let attempt = Attempt { dry_run: input.dry_run, ..attempt };
    let ended = session.repository().price_rule_end(RuleToEnd { rule, until }, attempt).await?;
    Ok(ended.into_iter().next())
}

async fn define_resource(session: &Session, input: DefineResourceInput) -> MutationResult<DomainResource> {
    if input.allows_corrections && input.aggregation != Aggregation::Sum {
        let message = "only what adds up (SUM) can be taken back";
        return Err(Refusal::new(RefusalCode::Invalid, "allowsCorrections", message).into());
    }
    let resource = DomainResource {
        code: text::code("code", &input.code)?,
        name: text::name("name", &input.name)?,
        unit: text::name("unit", &input.unit)?,
        resource_type: text::code("resourceType", &input.resource_type)?,
        aggregation: input.aggregation.into(),
        allows_corrections: input.allows_corrections,
    };
    let defined = session.repository().resource_define(resource).await?;
    let message = "the resource is there with another unit or aggregation, which never change";
    Ok(defined.ok_or_else(|| Refusal::new(RefusalCode::Conflict, "code", message))?)
}
