//! Prepayments: an app's resources for a term of months, paid by card or token beforehand, beside the balance. Source: the
//! pay2.0 document; docs/PREPAY.md.

mod quote;

use super::codes::coded_enum;
use super::money::CurrencyCode;

pub use quote::{Limits, PrepayQuote, QUOTE_HOLDS, Quoted, price};

/// The currency that prepayments are priced in.
pub const PRICED_IN: &str = "USD";
/// The longest term, in months of 30 days.
pub const MONTHS_MAX: i32 = 12;

coded_enum! {
    /// What prepayments can be paid with.
    Asset {
        /// By card.
        Usd = "USD",
        /// A token that is worth a dollar.
        Usdt = "USDT_ERC20",
        /// A token with a rate of its own.
        Ankr = "ANKR_ERC20",
    }
}

impl Asset {
    pub fn of(currency: CurrencyCode) -> Option<Self> {
        Self::from_code(currency.as_str())
    }

    /// Whether one of it is worth a dollar.
    pub fn is_dollar(self) -> bool {
        matches!(self, Self::Usd | Self::Usdt)
    }
}
