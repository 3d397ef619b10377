//! From which amounts on one operator is not enough.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use rust_decimal::Decimal;

use crate::domain::money::{Currencies, CurrencyCode, parse_decimal};

/// What an operator moves of an account within so long counts together.
pub const COUNTED_TOGETHER: TimeDelta = TimeDelta::hours(24);

/// From which amounts on one operator is not enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalPolicy {
    /// How much one operator may do alone.
    alone: BTreeMap<CurrencyCode, Decimal>,
    /// What nobody has decided on for so long expires.
    pub expires_after: TimeDelta,
}

/// A setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalSettingError {
    #[error("\"{0}\" is not an amount of a currency: CODE=AMOUNT is expected, for example USD=1000")]
    Malformed(String),
    #[error("this server does not know the currency {0}")]
    UnknownCurrency(CurrencyCode),
    #[error("{0} is there twice")]
    Twice(CurrencyCode),
}

impl ApprovalPolicy {
    /// Reads amounts written CODE=AMOUNT; None if there are none, and one operator is always enough.
    pub fn read(
        settings: &[String],
        currencies: &Currencies,
        expires_after: TimeDelta,
    ) -> Result<Option<Self>, ApprovalSettingError> {
        let mut alone = BTreeMap::new();
        for setting in settings {
            let malformed = || ApprovalSettingError::Malformed(setting.clone());
            let (code, amount) = setting.split_once('=').ok_or_else(malformed)?;
            let code = CurrencyCode::parse(code.trim()).ok_or_else(malformed)?;
            let amount = parse_decimal(amount.trim()).map_err(|_| malformed())?;
            if amount < Decimal::ZERO {
                return Err(malformed());
            }
            if currencies.get(code).is_none() {
                return Err(ApprovalSettingError::UnknownCurrency(code));
            }
            if alone.insert(code, amount).is_some() {
                return Err(ApprovalSettingError::Twice(code));
            }
        }
        Ok((!alone.is_empty()).then_some(Self { alone, expires_after }))
    }

    /// How much of a currency one operator may do alone: of one that no setting names, nothing.
    pub fn alone_up_to(&self, currency: CurrencyCode) -> Decimal {
        self.alone.get(&currency).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[&str]) -> Result<Option<ApprovalPolicy>, ApprovalSettingError> {
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        ApprovalPolicy::read(&settings, &Currencies::default(), TimeDelta::days(7))
    }

    #[test]
    fn a_currency_that_is_not_named_is_above_from_nothing_on() {
        let policy = read(&["USD=1000", " CNY = 5000.50"]).unwrap().unwrap();
        let alone = |code| policy.alone_up_to(CurrencyCode::parse(code).unwrap()).to_string();
        assert_eq!([alone("USD"), alone("CNY"), alone("EUR")], ["1000", "5000.50", "0"]);
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn amounts_that_cannot_be_meant_are_refused() {
        for setting in ["", "USD", "USD=", "USD=-1", "USD=1e3", "usd=1", "=1", "USD:1"] {
            assert_eq!(read(&[setting]), Err(ApprovalSettingError::Malformed(setting.to_owned())));
        }
        assert!(matches!(read(&["XXX=1"]), Err(ApprovalSettingError::UnknownCurrency(_))));
        assert!(matches!(read(&["USD=1", "USD=2"]), Err(ApprovalSettingError::Twice(_))));
    }
}
