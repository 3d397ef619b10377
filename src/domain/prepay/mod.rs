//! Prepayments: an app's resources for a term of months, paid by card or token beforehand, beside the balance. Source: the
//! pay2.0 document; docs/PREPAY.md.

mod deposit;
mod prepayment;
mod quote;

use super::codes::coded_enum;
use super::money::CurrencyCode;

pub use deposit::{Deposit, DepositCount, DepositPlace, DepositState, Unused};
pub use prepayment::{
    AWAITING_DEPOSITS_MAX, App, Binding, DEPOSIT_TIME_MAX, DepositTo, Means, PrepaidTerm, Prepayment,
    PrepaymentStatus, RENEWAL_GRACE, Wanted,
};
pub use quote::{LIMITED, Limits, PrepayQuote, QUOTE_HOLDS, QUOTES_MAX, Quoted, price, prices_of};

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

    /// Whether a card pays it; the others are sent to an address.
    pub fn is_paid_by_card(self) -> bool {
        self == Self::Usd
    }

    /// Whether one of it is worth a dollar.
    pub fn is_dollar(self) -> bool {
        matches!(self, Self::Usd | Self::Usdt)
    }
}
