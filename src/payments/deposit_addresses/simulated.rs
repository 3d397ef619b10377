//! A sandbox's own chain: a deposit is on it when somebody says so.

use chrono::{DateTime, SubsecRound, Utc};
use futures_util::FutureExt;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::DepositAddresses;
use crate::clock::wall;
use crate::domain::ids::AccountId;
use crate::domain::money::CurrencyCode;
use crate::domain::prepay::{Deposit, DepositPlace, DepositState};
use crate::payments::onchain::address::Address;
use crate::payments::onchain::chain::Hash;
use crate::store::deposits;
use crate::store::error::StoreError;

/// No real chain has this id.
const CHAIN_ID: i64 = 0;
/// Whom its tokens come from.
const SENDER: Address = Address::new([0x5a; 20]);

impl DepositAddresses {
    /// Has tokens reach an address now, in a block of their own.
    pub async fn simulate(
        &self,
        account: AccountId,
        address: &str,
        (asset, amount): (CurrencyCode, Decimal),
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        // Blocks have their time in whole seconds.
        let block_time = now.trunc_subsecs(0);
        let deposit = Deposit {
            account,
            place: DepositPlace {
                block_number: block_time.timestamp(),
                // In the order of the calls.
                log_index: wall().timestamp_micros(),
                block_hash: any_hash().to_string(),
                transaction: any_hash().to_string(),
                address: address.to_owned(),
                asset,
                nth: 0,
            },
            block_time,
            amount,
            sender: SENDER.to_string(),
            is_gone: false,
            state: DepositState::Seen,
        };
        let reached = self
            .database
            .write(|conn| async move { deposits::deposit_insert(conn, CHAIN_ID, &[deposit]).await }.boxed());
        reached.await
    }
}

/// A hash that there was not before.
fn any_hash() -> Hash {
    let mut bytes = [0; 32];
    if let Some(half) = bytes.first_chunk_mut() {
        *half = Uuid::new_v4().into_bytes();
    }
    if let Some(half) = bytes.last_chunk_mut() {
        *half = Uuid::new_v4().into_bytes();
    }
    Hash::new(bytes)
}
