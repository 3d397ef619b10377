//! Where tokens are sent to, and how it is noticed that they came.
//!
//! Addresses are children of an extended public key: this server can tell them and cannot spend what they hold. What reaches
//! them is written down as deposits, by scans of the chain or, in a sandbox without one, by whoever plays. What a deposit is good
//! for is decided elsewhere: by the engine, under the account's lock.

mod scan;
mod settings;
mod simulated;

use std::num::TryFromIntError;

use futures_util::FutureExt;

use crate::domain::ids::AccountId;
use crate::domain::money::CurrencyCode;
use crate::domain::prepay::Asset;
use crate::payments::onchain::deposit_key::{DepositKey, DepositKeyError, KeyNetwork, NoAddressAt};
use crate::payments::onchain::rpc::BadUrl;
use crate::store::Conn;
use crate::store::database::Database;
use crate::store::deposits;
use crate::store::error::StoreError;

pub use scan::{ScanFailure, Scanner};
pub use settings::{CONFIRMATIONS_DEFAULT, DepositSettings, SettingError, TakenToken, WrittenSettings};

/// The account m/44'/60'/0' of "test test test test test test test test test test test junk", which everybody knows: what is sent
/// to its addresses on a real chain is lost.
pub const TEST_KEY: &str = "xpub6Ce9NcJvTk36xtLSrJLZqE7wtgA5deCeYs7rSQtreh4cj6ByPtrg9sD7V2FNFLPnf8heNP3FGkeV9qwfzvZNSd54JoNXVsXFYSYwHsnJxqP";

/// Why there is no address for a deposit.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AddressFailure {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is sent now might not be noticed.
    #[error("the chain has not been looked at for this token yet")]
    NotWatched,
    #[error("there are no deposit addresses left")]
    NoneLeft,
}

impl From<NoAddressAt> for AddressFailure {
    fn from(_: NoAddressAt) -> Self {
        Self::NoneLeft
    }
}

impl From<TryFromIntError> for AddressFailure {
    fn from(_: TryFromIntError) -> Self {
        Self::NoneLeft
    }
}

/// Who gives out addresses.
pub struct DepositAddresses {
    key: DepositKey,
    database: Database,
    /// Who looks what reaches them; None: a sandbox's own chain, on which people say so.
    scanner: Option<Scanner>,
}

impl DepositAddresses {
    /// Of a chain.
    pub fn on_chain(settings: &DepositSettings, database: Database) -> Result<Self, BadUrl> {
        let scanner = Some(Scanner::new(settings, database.clone())?);
        Ok(Self { key: settings.key.clone(), database, scanner })
    }

    /// Of a sandbox's own chain.
    pub fn simulated(database: Database) -> Result<Self, DepositKeyError> {
        Ok(Self { key: DepositKey::parse(TEST_KEY, KeyNetwork::Main)?, database, scanner: None })
    }

    /// Who looks at the chain; None in a sandbox without one.
    pub fn scanner(&self) -> Option<&Scanner> {
        self.scanner.as_ref()
    }

    /// Whether it takes deposits of an asset.
    pub fn takes(&self, asset: CurrencyCode) -> bool {
        match &self.scanner {
            Some(scanner) => scanner.takes(asset),
            None => Asset::of(asset).is_some_and(|asset| !asset.is_paid_by_card()),
        }
    }

    /// An address that nobody had before, and that is watched from now on for an asset.
    pub async fn reserve(&self, account: AccountId, asset: CurrencyCode) -> Result<String, AddressFailure> {
        if let Some(scanner) = &self.scanner
            && !scanner.is_scanned_for(asset).await?
        {
            return Err(AddressFailure::NotWatched);
        }
        let key = self.key.clone();
        let reserved = self
            .database
            .write(move |conn| async move { Ok(next_address(conn, &key, account).await) }.boxed());
        reserved.await?
    }
}

/// Takes the next address for an account.
async fn next_address(
    conn: Conn<'_>,
    key: &DepositKey,
    account: AccountId,
) -> Result<String, AddressFailure> {
    let place = deposits::address_place(conn).await?;
    let address = key.address(u32::try_from(place)?)?.to_string();
    deposits::address_insert(conn, place, &address, account).await?;
    Ok(address)
}
