use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};

use super::account::{self, Account};
use super::bill::Bill;
use super::money::Money;
use super::order::Order;
use crate::domain::ids::TransactionId;
use crate::domain::refusal::RefusalCode;
use crate::domain::transaction::TransactionKind as DomainKind;
use crate::graphql::enums::{EntryDirection, TransactionKind, TransactionStatus};
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::input::{exact, window};
use crate::graphql::loaders::LoadedById;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::pagination::connection;
use crate::graphql::runtime::eager::{Inline, ResolveEagerly};
use crate::graphql::scalars::{Exact, Instant};
use crate::graphql::session::{Session, session};
use crate::store::list::Window;
use crate::{domain, store};

/// A movement of money of an account.
pub struct Transaction(pub Arc<domain::transaction::Transaction>);

connection!(
    TransactionConnection,
    TransactionEdge,
    Transaction,
    domain::transaction::Transaction,
    |row: &Arc<domain::transaction::Transaction>| row.id.uuid(),
    "transactions"
);

impl ResolveEagerly for Transaction {
    const DEFERRED_FIELDS: &'static [&'static str] = &["account", "order", "bill", "refundOf"];
}

impl Transaction {
    fn exact(&self, session: &Session, amount: rust_decimal::Decimal) -> Exact {
        let money = domain::money::Money::new(amount, self.0.currency);
        Exact::money(amount, session.display_scale(&money))
    }
}

/// A movement of money of an account.
#[Object]
impl Transaction {
    /// Its id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Whose money moved.
    async fn account(&self, ctx: &Context<'_>) -> async_graphql::Result<Account> {
        Ok(account::load(session(ctx)?, self.0.account()).await?)
    }

    /// What it was for.
    async fn kind(&self) -> TransactionKind {
        self.0.kind.into()
    }

    /// Its status: whether the money has moved, or was given back since.
    async fn status(&self) -> TransactionStatus {
        self.0.status.into()
    }

    /// Positive: the kind and the direction say which way it went. An adjustment may be negative.
    async fn amount(&self) -> Inline<Money> {
        Money::inline(domain::money::Money::new(self.0.signed_amount(), self.0.currency))
    }

    /// What it was for, for people: the plan's name, the reason given.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// How it was paid: "balance", "offline", "sandbox", a card's brand, a token.
    async fn payment_method(&self) -> &str {
        &self.0.payment_method
    }

    /// When it was made.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at)
    }

    /// The order that it paid.
    async fn order(&self, ctx: &Context<'_>) -> Nullable<Order> {
        nullable::load(ctx, self.0.order, Order::from).await
    }

    /// The bill that it paid.
    async fn bill(&self, ctx: &Context<'_>) -> Nullable<Bill> {
        nullable::load(ctx, self.0.bill, Bill::from).await
    }

    /// Whether money left the account or came to it.
    async fn direction(&self) -> EntryDirection {
        self.0.direction().into()
    }

    /// Of what it paid, how much was given back.
    async fn refunded_amount(&self, ctx: &Context<'_>) -> async_graphql::Result<Exact> {
        Ok(self.exact(session(ctx)?, self.0.refunded_amount))
    }

    /// The transaction that it gives back from.
    async fn refund_of(&self, ctx: &Context<'_>) -> Nullable<Transaction> {
        nullable::load(ctx, self.0.refund_of, Transaction).await
    }

    /// The balance after it; null where no balance was touched.
    async fn balance_after(&self, ctx: &Context<'_>) -> Nullable<Exact> {
        self.0.balance_after.map(|balance| Ok(self.exact(session(ctx)?, balance)))
    }
}

/// The filter of recharges in a window of time.
pub fn recharges(
    start_time: Instant,
    end_time: Instant,
) -> ApiResult<store::transactions::TransactionFilter> {
    if end_time.0 < start_time.0 {
        let message = "endTime is before startTime";
        return Err(ApiError::of_argument(RefusalCode::Invalid, "endTime", message));
    }
    Ok(store::transactions::TransactionFilter {
        window: Window { from: Some(start_time.0), to: Some(end_time.0) },
        kind: Some(DomainKind::Recharge),
        ..store::transactions::TransactionFilter::default()
    })
}

/// Narrows a list of transactions; the fields are joined by AND.
#[derive(InputObject, Default)]
#[graphql(name = "TransactionFilter")]
pub struct TransactionFilterInput {
    /// Only those made then or later.
    start_time: Option<Instant>,
    /// Only those made before.
    end_time: Option<Instant>,
    /// Only of this kind.
    kind: Option<TransactionKind>,
    /// Only transactions of this status.
    status: Option<TransactionStatus>,
    /// Only those for orders in this region.
    region: Option<String>,
}

impl TransactionFilterInput {
    pub fn read(self) -> ApiResult<store::transactions::TransactionFilter> {
        Ok(store::transactions::TransactionFilter {
            window: window(self.start_time, self.end_time)?,
            kind: self.kind.map(Into::into),
            status: self.status.map(Into::into),
            region: exact("region", self.region)?,
        })
    }
}

impl LoadedById for TransactionId {
    type Row = crate::domain::transaction::Transaction;
}
