use async_graphql::SimpleObject;

use crate::domain::money::Currency;
use crate::graphql::app::App;
use crate::graphql::runtime::limits::{ERRORS_MAX, PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX};
use crate::graphql::scalars::Code;

/// What this server allows.
#[derive(SimpleObject)]
pub struct ServiceConfig {
    /// How deep the fields of a request may be nested.
    depth_max: i32,
    /// How much a request may cost. A field costs 1, and what is below a list counts as often as the list is long: of a page
    /// `nodes` and `edges` as often as it is long, what it tells of the whole list (`totalCount`, `summary`) once. A
    /// request that costs more is refused, with its cost and where most of it is.
    complexity_max: i32,
    /// The fields that cost more than 1, or whose length counts.
    costs: Vec<FieldCost>,
    /// How many aliases a request may use.
    aliases_max: i32,
    /// How many things a page may hold.
    page_size_max: i32,
    /// How many things a page holds where neither `first` nor `last` is given.
    page_size_default: i32,
    /// How long a request's body may be, in bytes.
    body_bytes_max: i32,
    /// How long the text of a query may be, in bytes. What differs from request to request belongs into variables.
    query_bytes_max: i32,
    /// How many tokens (names, values, punctuation) a query's text may have.
    query_tokens_max: i32,
    /// How many errors an answer tells; the last says how many more there are.
    errors_max: i32,
    /// For how many days an idempotency key counts at least, from when it was used first: what is asked for with it later is done anew.
    idempotency_key_days: i32,
    /// Whether this is a sandbox: its money is play money, and customers may recharge without paying.
    sandbox: bool,
    /// The currencies that the server knows.
    currencies: Vec<CurrencyInfo>,
}

/// What a field costs, where that is not 1 and all below it once. A list of the root, or of an account, that a filter narrows, other than
/// `ledger` and `plans`, costs 1,000 more, and 4,000 more for each `totalCount` and `summary` of it.
#[derive(Clone, SimpleObject)]
pub struct FieldCost {
    /// The field, with its type: `Account.orders`.
    pub(in crate::graphql) field: String,
    /// What it costs by itself.
    pub(in crate::graphql) cost: i32,
    /// How often what is below it counts; null: as often as the page is long, or ids are given.
    pub(in crate::graphql) times: Option<i32>,
}

/// What is told of fields' costs, worked out from the whole schema when it is asked for first.
pub(in crate::graphql) struct FieldCosts(pub fn() -> &'static [FieldCost]);

/// A currency with its scales.
#[derive(SimpleObject)]
pub struct CurrencyInfo {
    /// Its code.
    code: Code,
    /// Decimal places of what is paid.
    display_scale: i32,
    /// Decimal places that the ledger keeps.
    ledger_scale: i32,
}

pub(in crate::graphql) fn clamped<T: TryInto<i32>>(value: T) -> i32 {
    value.try_into().unwrap_or(i32::MAX)
}

impl From<&Currency> for CurrencyInfo {
    fn from(currency: &Currency) -> Self {
        Self {
            code: Code(currency.code),
            display_scale: clamped(currency.display_scale),
            ledger_scale: clamped(currency.ledger_scale),
        }
    }
}

impl ServiceConfig {
    pub(in crate::graphql) fn of(app: &App, costs: &FieldCosts) -> Self {
        Self {
            depth_max: clamped(app.limits.depth_max),
            complexity_max: clamped(app.limits.complexity_max),
            costs: (costs.0)().to_vec(),
            aliases_max: clamped(app.limits.aliases_max),
            page_size_max: PAGE_SIZE_MAX,
            page_size_default: PAGE_SIZE_DEFAULT,
            body_bytes_max: clamped(app.limits.body_bytes_max),
            query_bytes_max: clamped(app.limits.query_bytes_max),
            query_tokens_max: clamped(app.limits.query_tokens_max),
            errors_max: clamped(ERRORS_MAX),
            idempotency_key_days: clamped(app.jobs.retention.keys.num_days()),
            sandbox: app.sandbox,
            currencies: app.currencies.iter().map(CurrencyInfo::from).collect(),
        }
    }
}
