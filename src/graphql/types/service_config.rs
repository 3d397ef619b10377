use async_graphql::SimpleObject;

use crate::domain::money::Currency;
use crate::graphql::app::App;
use crate::graphql::limits::PAGE_SIZE_MAX;
use crate::graphql::scalars::Code;

/// What this server allows.
#[derive(SimpleObject)]
pub struct ServiceConfig {
    /// How deep the fields of a request may be nested.
    depth_max: i32,
    /// How much a request may cost: a field costs 1, and what is below a list as often as its page is long.
    complexity_max: i32,
    /// How many aliases a request may use.
    aliases_max: i32,
    /// How many things a page may hold.
    page_size_max: i32,
    /// How long a request's body may be, in bytes.
    body_bytes_max: i32,
    /// Whether this is a sandbox: its money is play money, and customers may recharge without paying.
    sandbox: bool,
    /// The currencies that the server knows.
    currencies: Vec<CurrencyInfo>,
}

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

fn clamped<T: TryInto<i32>>(value: T) -> i32 {
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

impl From<&App> for ServiceConfig {
    fn from(app: &App) -> Self {
        Self {
            depth_max: clamped(app.limits.depth_max),
            complexity_max: clamped(app.limits.complexity_max),
            aliases_max: clamped(app.limits.aliases_max),
            page_size_max: PAGE_SIZE_MAX,
            body_bytes_max: clamped(app.limits.body_bytes_max),
            sandbox: app.sandbox,
            currencies: app.currencies.iter().map(CurrencyInfo::from).collect(),
        }
    }
}
