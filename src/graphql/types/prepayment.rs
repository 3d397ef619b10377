use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};

use super::account::{self, Account};
use super::deposit::Deposit;
use super::money::Money;
use super::payment_method::PaymentMethod;
use super::transaction::Transaction;
use crate::domain::ids::PrepaymentId;
use crate::domain::{self, prepay};
use crate::graphql::enums::PrepaymentStatus;
use crate::graphql::loaders::DepositsTo;
use crate::graphql::loaders::LoadedById;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::pagination::connection;
use crate::graphql::runtime::eager::{Inline, ResolveEagerly};
use crate::graphql::scalars::{Exact, Instant};
use crate::graphql::session::session;
use crate::store;

/// An app's resources for a term of months of 30 days, paid beforehand by card or in tokens, beside the balance.
pub struct Prepayment(pub Arc<prepay::Prepayment>);

connection!(
    PrepaymentConnection,
    PrepaymentEdge,
    Prepayment,
    prepay::Prepayment,
    |row: &Arc<prepay::Prepayment>| row.id.uuid(),
    "prepayments"
);

impl ResolveEagerly for Prepayment {
    const DEFERRED_FIELDS: &'static [&'static str] =
        &["account", "deposits", "paymentMethod", "previous", "transaction"];
}

/// An app's resources for a term of months of 30 days, paid beforehand by card or in tokens, beside the balance.
#[Object]
impl Prepayment {
    /// Its id: the pre_pay_id of the pay2.0 document.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Who paid, or is to pay.
    async fn account(&self, ctx: &Context<'_>) -> async_graphql::Result<Account> {
        Ok(account::load(session(ctx)?, self.0.account()).await?)
    }

    /// Its status: from what it waits for to the end of its term.
    async fn status(&self) -> PrepaymentStatus {
        self.0.status.into()
    }

    /// The card that pays it; null where tokens do.
    async fn payment_method(&self, ctx: &Context<'_>) -> Nullable<PaymentMethod> {
        nullable::load(ctx, self.0.method(), PaymentMethod).await
    }

    /// What is paid, in the asset that it is paid in.
    async fn amount(&self) -> Inline<Money> {
        Money::inline(domain::money::Money::new(self.0.amount, self.0.currency))
    }

    /// What it costs in US dollars.
    async fn usd(&self) -> Exact {
        Exact::money(self.0.usd, 2)
    }

    /// For how many months of 30 days.
    async fn months(&self) -> i32 {
        self.0.months
    }

    /// Whether its card is charged for another term when it ends.
    async fn auto_renewal(&self) -> bool {
        self.0.auto_renewal
    }

    /// Where the tokens are to be sent: an address of its own. Null where a card pays, and for what a dry run shows.
    async fn deposit_address(&self) -> Option<&str> {
        self.0.deposit_address()
    }

    /// What reached its address, in the order of the chain, whatever it is good for.
    async fn deposits(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Deposit>> {
        let Some(address) = self.0.deposit_address() else { return Ok(Vec::new()) };
        let key = DepositsTo((self.0.account(), address.to_owned()));
        let found = session(ctx)?.load(key).await?;
        Ok(found.iter().flat_map(|rows| rows.iter()).map(|row| Deposit(Arc::clone(row))).collect())
    }

    /// Why it failed, in the payment provider's words.
    async fn failure(&self) -> Option<&str> {
        self.0.failure.as_deref()
    }

    /// Where the customer must go to authenticate (3-D Secure).
    async fn action_url(&self) -> Option<&str> {
        self.0.action_url.as_deref()
    }

    /// The app that it is bound to.
    async fn app(&self) -> Option<AppInfo> {
        self.0.binding.is_some().then(|| AppInfo(Arc::clone(&self.0)))
    }

    /// When its term began: when the app was bound, or the term before was over.
    async fn start_time(&self) -> Option<Instant> {
        self.0.binding.as_ref().map(|binding| Instant(binding.term.start))
    }

    /// When its term ends.
    async fn end_time(&self) -> Option<Instant> {
        self.0.binding.as_ref().map(|binding| Instant(binding.term.end))
    }

    /// The one that it renews.
    async fn previous(&self, ctx: &Context<'_>) -> Nullable<Prepayment> {
        nullable::load(ctx, self.0.previous, Prepayment).await
    }

    /// The movement of money, once it is paid.
    async fn transaction(&self, ctx: &Context<'_>) -> Nullable<Transaction> {
        nullable::load(ctx, self.0.transaction, Transaction).await
    }

    /// When it was asked for.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at())
    }
}

/// An app that was paid for beforehand.
pub struct AppInfo(Arc<prepay::Prepayment>);

impl AppInfo {
    fn app(&self) -> Option<&prepay::App> {
        self.0.binding.as_ref().map(|binding| &binding.app)
    }
}

/// An app that was paid for beforehand.
#[Object]
impl AppInfo {
    /// The provider's own id of it.
    async fn app_id(&self) -> &str {
        self.app().map_or("", |app| &app.id)
    }

    /// The cluster that it runs on.
    async fn cluster_id(&self) -> &str {
        &self.0.cluster
    }

    /// The chart that it is made of.
    async fn chart_name(&self) -> &str {
        &self.0.chart
    }

    /// Processors, in milli-cores.
    async fn cpu_limit(&self) -> i32 {
        self.0.limits.cpu
    }

    /// Memory, in MiB.
    async fn mem_limit(&self) -> i32 {
        self.0.limits.mem
    }

    /// Storage, in MiB.
    async fn storage_limit(&self) -> i32 {
        self.0.limits.storage
    }

    /// Its picture.
    async fn icon_url(&self) -> Option<&str> {
        self.app()?.icon_url.as_deref()
    }

    /// The project that it belongs to.
    async fn project_name(&self) -> &str {
        self.app().map_or("", |app| &app.project)
    }
}

/// Narrows a list of prepayments.
#[derive(InputObject, Default)]
#[graphql(name = "PrepaymentFilter")]
pub struct PrepaymentFilterInput {
    /// Only prepayments of this status.
    status: Option<PrepaymentStatus>,
}

impl From<PrepaymentFilterInput> for store::prepay::prepayments::PrepaymentFilter {
    fn from(filter: PrepaymentFilterInput) -> Self {
        Self { status: filter.status.map(Into::into) }
    }
}

impl LoadedById for PrepaymentId {
    type Row = crate::domain::prepay::Prepayment;
}
