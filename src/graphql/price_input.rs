//! What clients say of prices: a definition by its id, or a new one.

use async_graphql::{ID, InputObject, OneofObject};

use super::enums::{PackageType, TierMode};
use super::error::MutationResult;
use super::input::{input_id, known_currency};
use super::scalars::{Code, Exact};
use super::session::Session;
use crate::domain::ids::PriceDefinitionId;
use crate::domain::money::CurrencyCode;
use crate::domain::price_rule::{
    DefinitionKind, Discount, NewDefinition, Package, Quota, Stated, Tariff, Terms, Tier,
};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;

/// A tier: the quantities above `from`, up to and including the next tier's `from`.
#[derive(InputObject)]
pub struct TierInput {
    /// Where it begins; 0 for the first, and ascending.
    from: Exact,
    /// For `per` units of the tariff; zero or more.
    unit_price: Exact,
    /// Once a month, if the tier is used; absent is none.
    flat_fee: Option<Exact>,
}

/// What a resource costs.
#[derive(InputObject)]
pub struct TariffInput {
    /// The resource's code.
    resource: String,
    /// How the tiers price a quantity; GRADUATED if absent.
    mode: Option<TierMode>,
    /// The units that a price is for: 1000 for a price per 1000 calls; 1 if absent.
    per: Option<Exact>,
    /// Whether a started `per` is charged whole; in proportion if absent.
    round_up: Option<bool>,
    /// 1 to 100 tiers, ascending.
    tiers: Vec<TierInput>,
}

/// Units of a resource that a package includes.
#[derive(InputObject)]
pub struct QuotaInput {
    /// The resource's code.
    resource: String,
    /// How many, in the resource's unit.
    quantity: Exact,
}

/// A base price. With `id` an existing definition is used and the rest must be absent; without it, a new one is made.
#[derive(InputObject)]
pub struct BasePriceInput {
    /// An existing definition.
    id: Option<ID>,
    /// A code of the provider's, for later use.
    #[graphql(name = "type")]
    kind: Option<String>,
    /// What it is, for people.
    description: Option<String>,
    /// The currency of its prices.
    currency: Option<Code>,
    /// What each resource costs: 1 to 100, each resource once.
    tariffs: Option<Vec<TariffInput>>,
}

/// A discount. With `id` an existing definition is used and the rest must be absent. Money needs its currency.
#[derive(InputObject)]
pub struct DiscountInput {
    /// An existing definition.
    id: Option<ID>,
    /// A code of the provider's, for later use.
    #[graphql(name = "type")]
    kind: Option<String>,
    /// What it is, for people.
    description: Option<String>,
    /// The currency of `money`.
    currency: Option<Code>,
    /// Taken off once a month, after the percentage; never below zero.
    money: Option<Exact>,
    /// The share still paid, 0 to 100: 90 is the Chinese 9折; absent is 100.
    payable_percent: Option<Exact>,
}

/// A package. With `id` an existing definition is used and the rest must be absent. Money needs its currency.
#[derive(InputObject)]
pub struct PackageInput {
    /// An existing definition.
    id: Option<ID>,
    /// Whether it was bought or given; NORMAL if absent.
    #[graphql(name = "type")]
    package_type: Option<PackageType>,
    /// What it is, for people.
    description: Option<String>,
    /// The currency of `money`.
    currency: Option<Code>,
    /// Charged once a month; absent is nothing.
    money: Option<Exact>,
    /// What it includes: at most 100, each resource once.
    quotas: Option<Vec<QuotaInput>>,
}

/// What a rule says: exactly one of these.
#[derive(OneofObject)]
pub enum PriceDefinitionInput {
    /// What resources cost.
    Base(BasePriceInput),
    /// What is taken off.
    Discount(DiscountInput),
    /// Units that are included.
    Package(PackageInput),
}

/// A definition that a client stated, with what it says.
pub struct Definition {
    pub stated: Stated,
    pub terms: Terms,
    pub currency: Option<CurrencyCode>,
}

impl PriceDefinitionInput {
    /// What it states; `default_currency` is that of money that names none. The refusal names the field.
    pub async fn resolve(
        self,
        session: &Session,
        default_currency: Option<CurrencyCode>,
    ) -> MutationResult<Definition> {
        let (kind, id, others, new) = match self {
            Self::Base(input) => base(input),
            Self::Discount(input) => discount(input),
            Self::Package(input) => package(input),
        };
        let resolved = match id {
            Some(_) if others => {
                Err(Refusal::new(RefusalCode::Invalid, "id", "nothing else may stand beside an id").into())
            }
            Some(id) => existing(session, &id, kind).await,
            None => new_definition(session, new, default_currency).await,
        };
        resolved.map_err(|error| error.within(&kind.code().to_lowercase()))
    }
}

async fn existing(session: &Session, id: &ID, kind: DefinitionKind) -> MutationResult<Definition> {
    let id = input_id("id", id, PriceDefinitionId::parse)?;
    let found = session.repository().price_definitions(vec![id]).await?.pop();
    let found =
        found.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "id", "there is no such definition"))?;
    if found.terms.kind() != kind {
        return Err(Refusal::new(RefusalCode::Invalid, "id", "is a definition of another kind").into());
    }
    Ok(Definition { stated: Stated::Existing(id), terms: found.terms, currency: found.currency })
}

async fn new_definition(
    session: &Session,
    new: NewDefinition,
    default_currency: Option<CurrencyCode>,
) -> MutationResult<Definition> {
    let new = checked(new, default_currency)?;
    if let Some(currency) = new.currency {
        known_currency(session, "currency", currency)?;
    }
    require_resources(session, &new.terms).await?;
    let (terms, currency) = (new.terms.clone(), new.currency);
    Ok(Definition { stated: Stated::New(new), terms, currency })
}

async fn require_resources(session: &Session, terms: &Terms) -> MutationResult<()> {
    let codes: Vec<String> = terms.resources().into_iter().map(str::to_owned).collect();
    let found = session.repository().resources(codes.clone()).await?;
    let list = if terms.kind() == DefinitionKind::Base { "tariffs" } else { "quotas" };
    match codes.iter().position(|code| !found.contains_key(code)) {
        None => Ok(()),
        Some(at) => Err(unknown_resource(format!("{list}.{at}.resource")).into()),
    }
}

pub fn unknown_resource(field: String) -> Refusal {
    Refusal::new(RefusalCode::NotFound, field, "there is no resource of this code")
}

fn checked(mut new: NewDefinition, default_currency: Option<CurrencyCode>) -> Result<NewDefinition, Refusal> {
    if !new.kind.is_empty() {
        new.kind = text::code("type", &new.kind)?;
    }
    new.description = text::free_text("description", &new.description)?;
    new.terms.check()?;
    if new.terms.has_money() {
        new.currency = new.currency.or(default_currency);
        if new.currency.is_none() {
            return Err(Refusal::new(RefusalCode::Required, "currency", "money needs its currency"));
        }
    }
    Ok(new)
}

type Parts = (DefinitionKind, Option<ID>, bool, NewDefinition);

fn base(input: BasePriceInput) -> Parts {
    let BasePriceInput { id, kind, description, currency, tariffs } = input;
    let others = kind.is_some() || description.is_some() || currency.is_some() || tariffs.is_some();
    let terms = Terms::Base(tariffs.unwrap_or_default().into_iter().map(tariff).collect());
    (DefinitionKind::Base, id, others, definition(kind, description, currency, terms))
}

fn discount(input: DiscountInput) -> Parts {
    let DiscountInput { id, kind, description, currency, money, payable_percent } = input;
    let others = [
        kind.is_some(),
        description.is_some(),
        currency.is_some(),
        money.is_some(),
        payable_percent.is_some(),
    ];
    let terms = Terms::Discount(Discount {
        money: money.map(|money| money.value.normalize()),
        payable_percent: payable_percent.map(|percent| percent.value.normalize()),
    });
    (DefinitionKind::Discount, id, others.contains(&true), definition(kind, description, currency, terms))
}

fn package(input: PackageInput) -> Parts {
    let PackageInput { id, package_type, description, currency, money, quotas } = input;
    let others = [
        package_type.is_some(),
        description.is_some(),
        currency.is_some(),
        money.is_some(),
        quotas.is_some(),
    ];
    let quota = |QuotaInput { resource, quantity }| Quota { resource, quantity: quantity.value.normalize() };
    let terms = Terms::Package(Package {
        package_type: package_type.unwrap_or(PackageType::Normal).into(),
        money: money.map_or_else(Default::default, |money| money.value.normalize()),
        quotas: quotas.unwrap_or_default().into_iter().map(quota).collect(),
    });
    (DefinitionKind::Package, id, others.contains(&true), definition(None, description, currency, terms))
}

fn definition(
    kind: Option<String>,
    description: Option<String>,
    currency: Option<Code>,
    terms: Terms,
) -> NewDefinition {
    NewDefinition {
        kind: kind.unwrap_or_default(),
        description: description.unwrap_or_default(),
        currency: currency.map(|code| code.0),
        terms,
    }
}

fn tariff(input: TariffInput) -> Tariff {
    let tier = |tier: TierInput| Tier {
        from: tier.from.value.normalize(),
        unit_price: tier.unit_price.value.normalize(),
        flat_fee: tier.flat_fee.map_or_else(Default::default, |fee| fee.value.normalize()),
    };
    Tariff {
        resource: input.resource,
        mode: input.mode.unwrap_or(TierMode::Graduated).into(),
        per: input.per.map_or(rust_decimal::Decimal::ONE, |per| per.value.normalize()),
        round_up: input.round_up.unwrap_or(false),
        tiers: input.tiers.into_iter().map(tier).collect(),
    }
}
