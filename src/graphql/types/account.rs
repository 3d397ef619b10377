use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};
use rust_decimal::Decimal;

use super::applicable_rules;
use super::forecast::{self, Forecast};
use super::lists::AccountLists;
use super::notice::Notice;
use super::payment_method::PaymentMethod;
use super::plan::{self, Plan};
use super::price_rule::PriceRule;
use crate::domain::ids::AccountId;
use crate::graphql::enums::{AccountKind, AccountStatus};
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::input::search;
use crate::graphql::loaders::{BalanceAt, NoticesOf, PaymentMethodsOf, PlansOf};
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::pagination::connection;
use crate::graphql::runtime::eager::ResolveEagerly;
use crate::graphql::scalars::{Code, Exact, Instant};
use crate::graphql::session::{Session, session};
use crate::{domain, store};

/// Who owes and owns.
#[derive(Clone)]
pub struct Account(pub Arc<domain::account::Account>);

connection!(
    AccountConnection,
    AccountEdge,
    Account,
    domain::account::Account,
    |row: &Arc<domain::account::Account>| (row.created_at, row.id),
    "accounts"
);

impl ResolveEagerly for Account {
    const DEFERRED_FIELDS: &'static [&'static str] = &[
        "parent",
        "subAccounts",
        "notification",
        "notices",
        "plans",
        "balance",
        "orders",
        "bills",
        "records",
        "rechargeRecords",
        "prepayments",
        "transactions",
        "ledger",
        "priceRules",
        "forecast",
    ];
}

/// The account of that number, of something that the viewer sees.
pub(in crate::graphql) async fn load(session: &Session, id: AccountId) -> ApiResult<Account> {
    let account = session.load(id).await?;
    account.map(Account).ok_or_else(|| ApiError::internal("something is seen, and its account is not"))
}

/// The provider's person for a customer.
#[derive(SimpleObject)]
pub struct CustomerManager {
    /// The name.
    name: String,
    /// The mail address.
    email: Option<String>,
}

/// What an account has.
pub struct Balance {
    account: Arc<domain::account::Account>,
    amount: Decimal,
    /// Whether it is the balance of now.
    is_current: bool,
}

impl Balance {
    pub fn now(account: &Arc<domain::account::Account>) -> Self {
        Self { amount: account.balance, account: Arc::clone(account), is_current: true }
    }

    fn money(&self, ctx: &Context<'_>, amount: Decimal) -> ApiResult<Exact> {
        let money = domain::money::Money::new(amount, self.account.currency);
        Ok(Exact::money(amount, session(ctx)?.display_scale(&money)))
    }

    fn runs_out_at(&self, ctx: &Context<'_>) -> ApiResult<Option<Instant>> {
        let available = self.account.available()?;
        let now = session(ctx)?.app.clock.now();
        Ok(self.account.burst.lasts_until(available, now).map(Instant))
    }
}

/// What an account has.
#[Object]
impl Balance {
    /// The balance; negative while the credit limit is used.
    async fn amount(&self, ctx: &Context<'_>) -> async_graphql::Result<Exact> {
        Ok(self.money(ctx, self.amount)?)
    }

    /// Its currency.
    async fn currency(&self) -> Code {
        Code(self.account.currency)
    }

    /// How far the balance may go below zero; null is not at all.
    async fn credit_limit(&self, ctx: &Context<'_>) -> Nullable<Exact> {
        self.account.credit_limit.map(|limit| self.money(ctx, limit))
    }

    /// What can be spent: amount plus credit limit less what is held.
    async fn available(&self, ctx: &Context<'_>) -> async_graphql::Result<Exact> {
        let limit = self.account.credit_limit.unwrap_or_default();
        Ok(self.money(ctx, domain::money::add(self.amount, limit).map_err(ApiError::from)?)?)
    }

    /// When the money runs out at the rate of the last 5 minutes of burst; null while nothing is charged, and of an earlier
    /// balance. A notice LOW_BALANCE comes a day before.
    async fn lasts_until(&self, ctx: &Context<'_>) -> Nullable<Instant> {
        if !self.is_current {
            return None;
        }
        self.runs_out_at(ctx).transpose()
    }

    /// What the account may do.
    async fn status(&self) -> AccountStatus {
        self.account.status.into()
    }
}

/// Who owes and owns: a tenant of the provider.
#[Object]
impl Account {
    /// Its id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// The tenant's own unique name; it never changes.
    async fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The id that another system of the provider's knows it by.
    async fn external_id(&self) -> Option<&str> {
        self.0.external_id.as_deref()
    }

    /// Its name, for people.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it stands alone or belongs to another.
    async fn kind(&self) -> AccountKind {
        self.0.kind.into()
    }

    /// The MAIN account that it belongs to; null where there is none, and for those who may not see it.
    async fn parent(&self, ctx: &Context<'_>) -> Nullable<Account> {
        nullable::load(ctx, self.0.parent, Account).await
    }

    /// What it may do.
    async fn status(&self) -> AccountStatus {
        self.0.status.into()
    }

    /// The currency that it pays in; it never changes.
    async fn currency(&self) -> Code {
        Code(self.0.currency)
    }

    /// IANA zone; days and months of its billing begin in it.
    async fn time_zone(&self) -> &str {
        self.0.time_zone.name()
    }

    /// The provider's person for this customer.
    async fn manager(&self) -> Option<CustomerManager> {
        let manager = self.0.manager.as_ref()?;
        Some(CustomerManager { name: manager.name.clone(), email: manager.email.clone() })
    }

    /// Whether it has ever had an order that was paid.
    async fn purchased(&self) -> bool {
        self.0.purchased
    }

    /// Whether there is a notice to look at (low balance, bill overdue, order expiring, renewal failed).
    async fn notification(&self, ctx: &Context<'_>) -> async_graphql::Result<bool> {
        let notices = session(ctx)?.load(NoticesOf(self.0.id)).await?;
        Ok(notices.is_some_and(|notices| !notices.is_empty()))
    }

    /// What nobody has acknowledged yet: the newest 100.
    async fn notices(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Notice>> {
        let notices = session(ctx)?.load(NoticesOf(self.0.id)).await?;
        Ok(notices.unwrap_or_default().iter().cloned().map(Notice).collect())
    }

    /// What it can pay with, newest first: at most 20.
    async fn payment_methods(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<PaymentMethod>> {
        let methods = session(ctx)?.load(PaymentMethodsOf(self.0.id)).await?;
        Ok(methods.unwrap_or_default().iter().cloned().map(PaymentMethod).collect())
    }

    /// The plans of its live orders, among the newest 100,000, each once.
    async fn plans(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Plan>> {
        let session = session(ctx)?;
        let ids = session.load(PlansOf(self.0.id)).await?;
        Ok(plan::load_all(session, &ids.unwrap_or_default()).await?)
    }

    /// The balance now, or as the ledger had it at an earlier instant.
    async fn balance(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Entries up to and including this instant count; without it, all.")] at: Option<
            Instant,
        >,
    ) -> async_graphql::Result<Balance> {
        let Some(Instant(at)) = at else { return Ok(Balance::now(&self.0)) };
        let amount = session(ctx)?.load(BalanceAt((self.0.id, at))).await?;
        let (account, amount) = (Arc::clone(&self.0), amount.unwrap_or_default());
        Ok(Balance { account, amount, is_current: false })
    }

    #[graphql(flatten)]
    async fn lists(&self) -> AccountLists {
        AccountLists(self.0.id)
    }

    /// Its price rules, its own and the defaults that apply to it, in the order in which they were set.
    async fn price_rules(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those in force then; absent: all.")] at: Option<Instant>,
    ) -> async_graphql::Result<Vec<PriceRule>> {
        Ok(Box::pin(applicable_rules::of_account(session(ctx)?, &self.0, at.map(|at| at.0))).await?)
    }

    /// What the running month has cost so far, and will cost at this pace: metered usage by the rules in force. Orders are
    /// paid by themselves.
    async fn forecast(&self, ctx: &Context<'_>) -> Nullable<Forecast> {
        nullable::of(async { Ok(Some(Box::pin(forecast::of_account(session(ctx)?, &self.0)).await?)) }).await
    }

    /// When it was made.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at)
    }
}

/// Narrows a list of accounts; the fields are joined by AND.
#[derive(InputObject, Default)]
#[graphql(name = "AccountFilter")]
pub struct AccountFilterInput {
    /// Only accounts of this status.
    status: Option<AccountStatus>,
    /// Only of this kind.
    kind: Option<AccountKind>,
    /// Only those with this in the namespace or the name, anywhere, without regard to case.
    search_word: Option<String>,
}

impl AccountFilterInput {
    pub fn read(self) -> ApiResult<store::accounts::account_list::AccountFilter> {
        Ok(store::accounts::account_list::AccountFilter {
            status: self.status.map(Into::into),
            kind: self.kind.map(Into::into),
            search: search(self.search_word)?,
            parent: None,
        })
    }
}
