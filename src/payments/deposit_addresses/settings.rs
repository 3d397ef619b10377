//! What a provider says of the chain that it takes tokens on.

use std::num::NonZeroU64;

use crate::domain::money::CurrencyCode;
use crate::domain::prepay::Asset;
use crate::payments::onchain::address::{Address, AddressError};
use crate::payments::onchain::deposit_key::{DepositKey, DepositKeyError, KeyNetwork};
use crate::payments::onchain::rpc::{BadUrl, Limits, Rpc};
use crate::payments::onchain::transfer::Token;

/// A block counts once it and those after it are so many, unless something else is said.
pub const CONFIRMATIONS_DEFAULT: NonZeroU64 = NonZeroU64::MIN.saturating_add(11);
/// More decimal places than any amount has.
const PLACES_MAX: u32 = 28;

/// The settings as they are written.
#[derive(Clone, Copy)]
pub struct WrittenSettings<'s> {
    /// An extended public key: `xpub…`.
    pub key: &'s str,
    /// A node's URL, which may hold a secret.
    pub url: &'s str,
    pub chain_id: u64,
    /// Each ASSET:CONTRACT:PLACES.
    pub tokens: &'s [String],
    pub confirmations: NonZeroU64,
    /// The block after which deposits count; None: the newest when it is first looked.
    pub begin_after: Option<u64>,
}

/// A token that is taken, and what it is called here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenToken {
    pub asset: CurrencyCode,
    pub token: Token,
}

/// The settings as they are used.
#[derive(Clone)]
pub struct DepositSettings {
    pub key: DepositKey,
    pub(super) url: String,
    pub chain_id: i64,
    pub tokens: Vec<TakenToken>,
    pub confirmations: NonZeroU64,
    pub begin_after: Option<i64>,
}

/// Why settings cannot be used. It repeats neither the key nor the URL, which may be secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    #[error("ABACUS_DEPOSIT_KEY: {0}")]
    Key(#[from] DepositKeyError),
    #[error("ABACUS_CHAIN_URL: {0}")]
    Url(#[from] BadUrl),
    #[error("ABACUS_CHAIN_ID and ABACUS_CHAIN_AFTER_BLOCK must be below 2^63, and the chain's id above zero")]
    Number,
    #[error("ABACUS_TOKENS: \"{0}\" is not ASSET:CONTRACT:PLACES, such as USDT_ERC20:0xdAC1…1ec7:6")]
    Token(String),
    #[error("ABACUS_TOKENS: {0} is no token that prepayments are paid in: USDT_ERC20 and ANKR_ERC20 are")]
    Asset(String),
    #[error("ABACUS_TOKENS: the contract of {asset}: {error}")]
    Contract { asset: CurrencyCode, error: AddressError },
    #[error("ABACUS_TOKENS: {0} or its contract is given twice")]
    Twice(CurrencyCode),
}

impl DepositSettings {
    /// Reads what is written.
    pub fn read(written: &WrittenSettings<'_>) -> Result<Self, SettingError> {
        let key = DepositKey::parse(written.key, KeyNetwork::Main)?;
        Rpc::new(written.url, Limits::default())?;
        let number = |number: u64| i64::try_from(number).map_err(|_| SettingError::Number);
        let mut tokens: Vec<TakenToken> = Vec::new();
        for text in written.tokens {
            let token = token(text)?;
            let same =
                |held: &TakenToken| held.asset == token.asset || held.token.contract == token.token.contract;
            if tokens.iter().any(same) {
                return Err(SettingError::Twice(token.asset));
            }
            tokens.push(token);
        }
        Ok(Self {
            key,
            url: written.url.to_owned(),
            chain_id: Some(number(written.chain_id)?).filter(|id| *id > 0).ok_or(SettingError::Number)?,
            tokens,
            confirmations: written.confirmations,
            begin_after: written.begin_after.map(number).transpose()?,
        })
    }
}

fn token(text: &str) -> Result<TakenToken, SettingError> {
    let malformed = || SettingError::Token(text.to_owned());
    let mut parts = text.trim().split(':');
    let (Some(asset), Some(contract), Some(places), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(malformed());
    };
    let code = CurrencyCode::parse(asset)
        .filter(|code| Asset::of(*code).is_some_and(|asset| !asset.is_paid_by_card()));
    let asset = code.ok_or_else(|| SettingError::Asset(asset.to_owned()))?;
    let contract: Address = contract.parse().map_err(|error| SettingError::Contract { asset, error })?;
    let places = places.parse().ok().filter(|places| *places <= PLACES_MAX).ok_or_else(malformed)?;
    Ok(TakenToken { asset, token: Token { contract, places } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::deposit_addresses::TEST_KEY;

    const USDT: &str = "USDT_ERC20:0xdAC17F958D2ee523a2206206994597C13D831ec7:6";

    fn read(tokens: &[&str]) -> Result<DepositSettings, SettingError> {
        let tokens: Vec<String> = tokens.iter().map(|text| (*text).to_owned()).collect();
        DepositSettings::read(&WrittenSettings {
            key: TEST_KEY,
            url: "http://127.0.0.1:8545",
            chain_id: 1,
            tokens: &tokens,
            confirmations: CONFIRMATIONS_DEFAULT,
            begin_after: None,
        })
    }

    #[test]
    fn tokens_are_read_with_their_places() {
        let settings = read(&[USDT, "ANKR_ERC20:0x8290333ceF9e6D528dD5618Fb97a76f268f3EDD4:18"]).unwrap();
        let taken: Vec<_> = settings.tokens.iter().map(|t| (t.asset.to_string(), t.token.places)).collect();
        assert_eq!(taken, [("USDT_ERC20".to_owned(), 6), ("ANKR_ERC20".to_owned(), 18)]);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for tokens in [
            &["USDT_ERC20"][..],
            &["USDT_ERC20:0x:6:1"],
            &["USDT_ERC20:0xdAC17F958D2ee523a2206206994597C13D831ec7:x"],
        ] {
            assert!(
                matches!(read(tokens), Err(SettingError::Token(_) | SettingError::Contract { .. })),
                "{tokens:?}"
            );
        }
        assert!(matches!(
            read(&["USD:0xdAC17F958D2ee523a2206206994597C13D831ec7:2"]),
            Err(SettingError::Asset(_))
        ));
        assert!(matches!(
            read(&["USDT_ERC20:0xdAC17F958D2ee523a2206206994597C13D831eC7:6"]),
            Err(SettingError::Contract { .. })
        ));
        assert!(matches!(read(&[USDT, USDT]), Err(SettingError::Twice(_))));
    }
}
