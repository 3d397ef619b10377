use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};
use data_encoding::HEXLOWER;

use super::account::{self, Account};
use super::resource::Resource;
use super::transaction::Transaction;
use crate::domain::ids::EntryId;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::input::window;
use crate::graphql::loaders::LoadedById;
use crate::graphql::loaders::ResourceCode;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::pagination::connection;
use crate::graphql::runtime::eager::ResolveEagerly;
use crate::graphql::scalars::{Code, Exact, Instant};
use crate::graphql::session::{Session, session};
use crate::{domain, store};

/// One change of one account's balance. Entries chain: an entry's `end` is the next one's `initial`.
pub struct LedgerEntry(pub Arc<domain::ledger::Entry>);

connection!(
    LedgerEntryConnection,
    LedgerEntryEdge,
    LedgerEntry,
    domain::ledger::Entry,
    |row: &Arc<domain::ledger::Entry>| row.id.uuid(),
    "ledger entries"
);

impl ResolveEagerly for LedgerEntry {
    const DEFERRED_FIELDS: &'static [&'static str] = &["account", "resource", "transaction"];
}

impl LedgerEntry {
    fn money(&self, session: &Session, amount: rust_decimal::Decimal) -> Exact {
        let money = domain::money::Money::new(amount, self.0.currency);
        Exact::money(amount, session.display_scale(&money))
    }
}

/// One change of one account's balance. Entries chain: an entry's `end` is the next one's `initial`.
#[Object]
impl LedgerEntry {
    /// Its id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Whose balance was changed.
    async fn account(&self, ctx: &Context<'_>) -> async_graphql::Result<Account> {
        Ok(account::load(session(ctx)?, self.0.id.account()).await?)
    }

    /// The currency of the amounts.
    async fn currency(&self) -> Code {
        Code(self.0.currency)
    }

    /// Its number among the account's entries, from 1 without gaps.
    async fn seq(&self) -> i64 {
        self.0.seq
    }

    /// When the balance was changed.
    async fn time(&self) -> Instant {
        Instant(self.0.time)
    }

    /// When the usage behind it was measured.
    async fn poll_time(&self) -> Option<Instant> {
        self.0.poll_time.map(Instant)
    }

    /// Positive for debits, negative for credits.
    async fn amount(&self, ctx: &Context<'_>) -> async_graphql::Result<Exact> {
        Ok(self.money(session(ctx)?, self.0.amount))
    }

    /// The balance before.
    async fn initial(&self, ctx: &Context<'_>) -> async_graphql::Result<Exact> {
        Ok(self.money(session(ctx)?, self.0.initial))
    }

    /// The balance after: `initial` − `amount`.
    async fn end(&self, ctx: &Context<'_>) -> async_graphql::Result<Exact> {
        Ok(self.money(session(ctx)?, self.0.end))
    }

    /// Why, for people.
    async fn reason(&self) -> &str {
        &self.0.reason
    }

    /// The burst cycle that it belongs to.
    async fn billing_cycle(&self) -> Option<i32> {
        self.0.billing_cycle
    }

    /// Seconds billed.
    async fn interval(&self) -> Option<i32> {
        self.0.interval
    }

    /// The seconds billed, for people: "5 minutes".
    async fn human_interval(&self) -> Option<String> {
        self.0.interval.map(domain::ledger::human_interval)
    }

    /// What was billed.
    async fn resource(&self, ctx: &Context<'_>) -> Nullable<Resource> {
        nullable::load(ctx, self.0.resource.clone().map(ResourceCode), Resource).await
    }

    /// How much of it, in its unit.
    async fn resource_amount(&self) -> Exact {
        Exact::number(self.0.resource_amount)
    }

    /// The transaction that changed the balance.
    async fn transaction(&self, ctx: &Context<'_>) -> async_graphql::Result<Transaction> {
        let transaction = session(ctx)?.load(self.0.transaction()).await?;
        Ok(Transaction(transaction.ok_or_else(|| ApiError::internal("an entry without its transaction"))?))
    }

    /// HMAC-SHA-256 over this entry and the hash before it, in hex: what a receipt of `ledgerAnchor` names of the last entry.
    async fn hash(&self) -> String {
        HEXLOWER.encode(&self.0.hash)
    }
}

/// Narrows a list of ledger entries; the fields are joined by AND.
#[derive(InputObject, Default)]
#[graphql(name = "LedgerFilter")]
pub struct LedgerFilterInput {
    /// Only those of then or later.
    start_time: Option<Instant>,
    /// Only those of before.
    end_time: Option<Instant>,
    /// Only of this burst cycle.
    billing_cycle: Option<i32>,
}

impl LedgerFilterInput {
    pub fn read(self) -> ApiResult<store::ledger::EntryFilter> {
        Ok(store::ledger::EntryFilter {
            window: window(self.start_time, self.end_time)?,
            billing_cycle: self.billing_cycle,
        })
    }
}

impl LoadedById for EntryId {
    type Row = crate::domain::ledger::Entry;
}
