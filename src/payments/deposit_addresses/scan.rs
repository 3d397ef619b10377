//! A chain is scanned, and what is found is written down: all of a scan or nothing, and by one of those who scanned the same.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::DateTime;
use tokio::sync::Mutex;

use super::settings::{DepositSettings, TakenToken};
use crate::domain::ids::AccountId;
use crate::domain::money::CurrencyCode;
use crate::domain::prepay::{Deposit, DepositPlace, DepositState};
use crate::engine::die_at;
use crate::payments::onchain::address::Address;
use crate::payments::onchain::chain::{BlockRef, Chain, ChainError, Hash};
use crate::payments::onchain::memory::{KEPT, ScannedBlocks};
use crate::payments::onchain::rpc::{BadUrl, Limits, Rpc};
use crate::payments::onchain::scan::Scan;
use crate::payments::onchain::transfer::{Place, Transfer};
use crate::payments::onchain::watch::{ScanError, Watch};
use crate::store::database::Database;
use crate::store::deposits::{self, ChainProgress, ScanRows};
use crate::store::error::StoreError;

/// New blocks in one scan, at the most.
const SPAN: NonZeroU64 = NonZeroU64::MIN.saturating_add(1_999);
/// So many blocks are read once more at least, for nodes that lag behind, and for addresses that were given out meanwhile.
const OVERLAP_MIN: u64 = 12;
/// Addresses that are read at a time.
const PAGE: i64 = 10_000;
/// Addresses are kept a moment after their places were taken: so many places before the last are read again.
const PLACES_AGAIN: i64 = 1_000;

/// Why a chain could not be scanned. It is tried again.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ScanFailure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error("the node is of the chain {found}, where {wanted} is wanted")]
    OtherChain { found: u64, wanted: i64 },
    #[error("other servers take the token {0}, which this one is not told of (ABACUS_TOKENS)")]
    OtherTokens(String),
    #[error(
        "the chain has come to block {head} yet: block {after}, after which deposits are to count (ABACUS_CHAIN_AFTER_BLOCK), is still to come"
    )]
    NotThere { after: i64, head: i64 },
    #[error("what is in the database of the chain is not readable: {0}")]
    Corrupt(String),
}

impl ScanFailure {
    /// Whether this process was told wrongly of the chain.
    pub fn is_of_settings(&self) -> bool {
        matches!(self, Self::OtherChain { .. } | Self::OtherTokens(_) | Self::NotThere { .. })
    }
}

impl From<ChainError> for ScanFailure {
    fn from(error: ChainError) -> Self {
        Self::Scan(error.into())
    }
}

/// Who scans a chain.
pub struct Scanner {
    rpc: Rpc,
    chain_id: i64,
    tokens: Vec<TakenToken>,
    confirmations: NonZeroU64,
    begin_after: Option<i64>,
    database: Database,
    watched: Mutex<Watched>,
    /// How many blocks the last scan read: the next reads them again, in case a node that lags behind was asked.
    last_stretch: AtomicU64,
}

/// The addresses that were given out, as far as they were read.
#[derive(Default)]
struct Watched {
    last_place: i64,
    addresses: BTreeSet<Address>,
}

impl Scanner {
    pub(super) fn new(settings: &DepositSettings, database: Database) -> Result<Self, BadUrl> {
        Ok(Self {
            rpc: Rpc::new(&settings.url, Limits::default())?,
            chain_id: settings.chain_id,
            tokens: settings.tokens.clone(),
            confirmations: settings.confirmations,
            begin_after: settings.begin_after,
            database,
            watched: Mutex::default(),
            last_stretch: AtomicU64::new(SPAN.get()),
        })
    }

    pub fn chain_id(&self) -> i64 {
        self.chain_id
    }

    pub(super) fn takes(&self, asset: CurrencyCode) -> bool {
        self.contract_of(asset).is_some()
    }

    fn contract_of(&self, asset: CurrencyCode) -> Option<String> {
        let taken = self.tokens.iter().find(|taken| taken.asset == asset);
        taken.map(|taken| taken.token.contract.to_string())
    }

    /// Whether what is sent of an asset is noticed: its contract is among those that are scanned for.
    pub(super) async fn is_scanned_for(&self, asset: CurrencyCode) -> Result<bool, StoreError> {
        let conn = self.database.connection().await?;
        let progress = deposits::chain_progress(&conn, self.chain_id).await?;
        Ok(progress.zip(self.contract_of(asset)).is_some_and(|(it, contract)| it.tokens.contains(&contract)))
    }

    /// Refuses a node of another chain.
    pub async fn require_own_chain(&self) -> Result<(), ScanFailure> {
        let found = self.rpc.chain_id().await?;
        if i64::try_from(found) == Ok(self.chain_id) {
            return Ok(());
        }
        Err(ScanFailure::OtherChain { found, wanted: self.chain_id })
    }

    /// Scans on from where the chain was scanned to, and answers whether there is more to scan.
    pub async fn scan(&self) -> Result<bool, ScanFailure> {
        let (progress, memory) = self.remembered().await?;
        let begin_after = u64::try_from(progress.begin_after);
        let watch = Watch {
            tokens: self.tokens.iter().map(|taken| taken.token).collect(),
            confirmations: self.confirmations,
            after: begin_after.map_err(|error| ScanFailure::Corrupt(error.to_string()))?,
            span: SPAN,
            overlap: self.confirmations.get().max(OVERLAP_MIN).max(self.last_stretch.load(Ordering::Relaxed)),
        };
        let mut watched = self.watched.lock().await;
        self.read_addresses(&mut watched).await?;
        let scan = watch.scan(&self.rpc, &memory, &watched.addresses).await?;
        drop(watched);
        if scan == Scan::default() {
            return Ok(false);
        }
        let found = self.found(&scan).await?;
        let mut conn = self.database.connection().await?;
        let kept = i64::try_from(KEPT).unwrap_or(i64::MAX);
        die_at("deposit-before-the-scan-is-written");
        let written = deposits::scan_write(&mut conn, self.chain_id, &progress, &found, kept).await;
        // It may have been written all the same: then this was the last scan.
        let written = written.inspect_err(|_| self.rest())?;
        die_at("deposit-after-the-scan-is-written");
        self.note(&memory, &scan, written);
        Ok(written && scan.has_more)
    }

    /// Another may have scanned meanwhile: then what is read again is as long as any scan's.
    pub fn rest(&self) {
        self.last_stretch.store(SPAN.get(), Ordering::Relaxed);
    }

    fn note(&self, before: &ScannedBlocks, scan: &Scan, written: bool) {
        let Some(last) = scan.scanned.iter().map(|block| block.number).max() else { return };
        if !written {
            return self.rest();
        }
        let base = scan.rolled_back.as_ref().map(|back| back.to).or(before.newest());
        let length = base.map_or(0, |base| last.saturating_sub(base.number));
        self.last_stretch.store(length.min(SPAN.get()), Ordering::Relaxed);
        if let Ok(newest) = u32::try_from(last) {
            metrics::gauge!("abacus_chain_block").set(newest);
        }
    }

    /// How far the chain was scanned. Who looks first says where it begins.
    async fn remembered(&self) -> Result<(ChainProgress, ScannedBlocks), ScanFailure> {
        let conn = self.database.connection().await?;
        let mut progress = deposits::chain_progress(&conn, self.chain_id).await?;
        if progress.is_none() {
            let begin_after = match self.begin_after {
                // What comes before it would not be looked for, once it is there.
                Some(after) => {
                    let head = signed(self.rpc.head().await?)?;
                    if after > head {
                        return Err(ScanFailure::NotThere { after, head });
                    }
                    after
                }
                // The newest that has its confirmations: no re-organisation puts a deposit into it.
                None => {
                    let confirming = self.confirmations.get().saturating_sub(1);
                    signed(self.rpc.head().await?.saturating_sub(confirming))?
                }
            };
            deposits::chain_begin(&conn, self.chain_id, begin_after).await?;
            progress = deposits::chain_progress(&conn, self.chain_id).await?;
        }
        let mut progress = progress.ok_or_else(|| ScanFailure::Corrupt("where it begins".to_owned()))?;
        let own: Vec<String> = self.tokens.iter().map(|taken| taken.token.contract.to_string()).collect();
        if let Some(other) = progress.tokens.iter().find(|scanned| !own.contains(scanned)) {
            return Err(ScanFailure::OtherTokens(other.clone()));
        }
        if own.iter().any(|contract| !progress.tokens.contains(contract)) {
            deposits::chain_tokens(&conn, self.chain_id, own.clone()).await?;
            progress = ChainProgress { scans: progress.scans.saturating_add(1), tokens: own, ..progress };
        }
        let blocks = deposits::chain_blocks(&conn, self.chain_id).await?;
        Ok((progress, ScannedBlocks::of(blocks.iter().map(block).collect::<Result<Vec<_>, _>>()?)))
    }

    async fn read_addresses(&self, watched: &mut Watched) -> Result<(), ScanFailure> {
        let conn = self.database.connection().await?;
        for address in deposits::addresses_that_have_come(&conn).await? {
            let read = address.parse().map_err(|_| ScanFailure::Corrupt(address.clone()))?;
            watched.addresses.insert(read);
        }
        let mut from = watched.last_place.saturating_sub(PLACES_AGAIN).max(0);
        loop {
            let page = deposits::addresses_from(&conn, from, PAGE).await?;
            for (place, address) in &page {
                let read = address.parse().map_err(|_| ScanFailure::Corrupt(address.clone()))?;
                watched.addresses.insert(read);
                watched.last_place = watched.last_place.max(*place);
                from = place.saturating_add(1);
            }
            if i64::try_from(page.len()) != Ok(PAGE) {
                return Ok(());
            }
        }
    }

    async fn found(&self, scan: &Scan) -> Result<ScanRows, ScanFailure> {
        for odd in &scan.odd {
            tracing::error!(
                ?odd,
                "an event of a token to a deposit address is no transfer: somebody has to look"
            );
        }
        let addresses: BTreeSet<String> = scan.transfers.iter().map(|found| found.to.to_string()).collect();
        let conn = self.database.connection().await?;
        let owners = deposits::address_owners(&conn, addresses.into_iter().collect()).await?;
        drop(conn);
        let owners: BTreeMap<String, AccountId> =
            owners.into_iter().map(|(account, address)| (address, account)).collect();
        let mut found = ScanRows {
            rolled_back_to: scan.rolled_back.as_ref().map(|back| signed(back.to.number)).transpose()?,
            ..ScanRows::default()
        };
        for block in &scan.scanned {
            found.blocks.push((signed(block.number)?, block.hash.to_string()));
        }
        let mut counts: BTreeMap<(BlockRef, Hash, Address, Address), i32> = BTreeMap::new();
        for transfer in &scan.transfers {
            let Place { block, transaction, .. } = transfer.place;
            let next = counts.entry((block, transaction, transfer.to, transfer.token)).or_default();
            found.deposits.extend(self.deposit(transfer, *next, &owners)?);
            *next = next.saturating_add(1);
        }
        Ok(found)
    }

    /// A transfer as it is kept. An amount of more digits than any token has is for people to look at.
    fn deposit(
        &self,
        transfer: &Transfer,
        nth: i32,
        owners: &BTreeMap<String, AccountId>,
    ) -> Result<Option<Deposit>, ScanFailure> {
        let address = transfer.to.to_string();
        let taken = self.tokens.iter().find(|taken| taken.token.contract == transfer.token);
        let (Some(taken), Some(account)) = (taken, owners.get(&address)) else { return Ok(None) };
        let amount = match &transfer.amount {
            Ok(amount) => *amount,
            Err(error) => {
                tracing::error!(?transfer, %error, "a deposit is not kept: somebody has to look");
                return Ok(None);
            }
        };
        let seconds = signed(transfer.timestamp)?;
        let block_time = DateTime::from_timestamp(seconds, 0);
        Ok(Some(Deposit {
            account: *account,
            place: DepositPlace {
                block_number: signed(transfer.place.block.number)?,
                log_index: signed(transfer.place.log_index)?,
                block_hash: transfer.place.block.hash.to_string(),
                transaction: transfer.place.transaction.to_string(),
                address,
                asset: taken.asset,
                nth,
            },
            block_time: block_time.ok_or_else(|| unreadable("a block's time"))?,
            amount,
            sender: transfer.from.to_string(),
            is_gone: false,
            state: DepositState::Seen,
        }))
    }
}

fn block((number, hash): &(i64, String)) -> Result<BlockRef, ScanFailure> {
    let corrupt = || ScanFailure::Corrupt(format!("block {number} {hash}"));
    let number = u64::try_from(*number).map_err(|_| corrupt())?;
    Ok(BlockRef { number, hash: hash.parse().map_err(|_| corrupt())? })
}

fn signed(number: u64) -> Result<i64, ChainError> {
    i64::try_from(number).map_err(|_| unreadable("a number of 64 bits"))
}

fn unreadable(what: &str) -> ChainError {
    ChainError::Unreadable(what.to_owned())
}
