use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::account::{self, Account};
use super::bill::Bill;
use super::money::Money;
use super::prepayment::Prepayment;
use crate::domain;
use crate::domain::ids::AccountId;
use crate::domain::invoice::icon_urls;
use crate::domain::money::CurrencyCode;
use crate::graphql::enums::InvoiceStatus;
use crate::graphql::error::ApiError;
use crate::graphql::invoice_links::Form;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::pagination::connection;
use crate::graphql::runtime::eager::{Inline, InlineList, ResolveEagerly};
use crate::graphql::scalars::{Code, Day, Exact, Instant};
use crate::graphql::session::session;

/// Cents.
const USD_PLACES: u32 = 2;

/// One account's month: what was paid, grouped by the asset that it was paid with.
pub struct Invoice(pub Arc<domain::invoice::Invoice>);

connection!(
    InvoiceConnection,
    InvoiceEdge,
    Invoice,
    domain::invoice::Invoice,
    |row: &Arc<domain::invoice::Invoice>| row.id.uuid(),
    "invoices",
    InvoicesOf,
    {
        /// The months (their first days) whose drafts are missing here, as what was paid then cannot be read or added up: more than
        /// 10,000 payments, a sum that does not fit. That a rate is missing is no reason.
        async fn unvalued_months(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Day>> {
            let repository = session(ctx)?.repository();
            let months = repository.unvalued_months(self.0.more.account).await.map_err(ApiError::from)?;
            Ok(months.into_iter().map(Day).collect())
        }
    }
);

fn in_dollars(worth: Option<Decimal>) -> Option<Exact> {
    worth.map(|worth| Exact::money(worth, USD_PLACES))
}

/// Whose invoices a connection is a page of.
pub struct InvoicesOf {
    pub account: Option<AccountId>,
}

impl ResolveEagerly for Invoice {
    const DEFERRED_FIELDS: &'static [&'static str] = &["account", "total", "groups"];
}

/// One account's month: what was paid, grouped by the asset that it was paid with. It is in the account's own currency, and tells
/// the worth in US dollars of what there is a rate for.
#[Object]
impl Invoice {
    /// Its id: the same before and after it is issued.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Given when it is issued: INV-2026-000001. Without gaps in each year of the months that invoices are for.
    async fn number(&self) -> Option<&str> {
        self.0.issue.as_ref().map(|issue| issue.number.as_str())
    }

    /// Its status: a draft until it is issued.
    async fn status(&self) -> InvoiceStatus {
        self.0.status().into()
    }

    /// When it was issued.
    async fn issued_at(&self) -> Option<Instant> {
        self.0.issue.as_ref().map(|issue| Instant(issue.at))
    }

    /// Who paid.
    async fn account(&self, ctx: &Context<'_>) -> async_graphql::Result<Account> {
        Ok(account::load(session(ctx)?, self.0.id.account()).await?)
    }

    /// The first day of the month, in the account's time zone.
    async fn period(&self) -> Day {
        Day(self.0.period)
    }

    /// What was paid in the account's own currency, zero if nothing was. What was paid in tokens and other currencies stands in
    /// its group. No rate is needed for it.
    async fn total(&self, ctx: &Context<'_>) -> async_graphql::Result<Inline<Money>> {
        let currency = account::load(session(ctx)?, self.0.id.account()).await?.0.currency;
        Ok(Money::inline(domain::money::Money::new(self.0.contents.total_in(currency), currency)))
    }

    /// What all of it was worth in US dollars, by the rates of the time at which it was paid: the sum of its groups; null where
    /// that is not known of one.
    async fn total_usd(&self) -> Option<Exact> {
        in_dollars(self.0.contents.total_usd)
    }

    /// The pictures of its apps, each once.
    async fn icon_urls(&self) -> Vec<&str> {
        self.0.contents.icon_urls()
    }

    /// One for each asset that was paid with.
    async fn groups(&self) -> InlineList<InvoiceGroup> {
        let period = self.0.period;
        let group = |group: &Arc<domain::invoice::Group>| InvoiceGroup { group: Arc::clone(group), period };
        InlineList(self.0.contents.groups.iter().map(group).collect())
    }

    /// Where it is to be seen in a browser, for 15 minutes, without a token. With `&lang=zh` or `&lang=en` in that language.
    async fn html_url(&self, ctx: &Context<'_>) -> async_graphql::Result<String> {
        Ok(session(ctx)?.app.invoice_links.url(self.0.id, Form::Html))
    }

    /// Where it is to be had as a PDF, for 15 minutes, without a token. With `&lang=zh` or `&lang=en` in that language.
    async fn pdf_url(&self, ctx: &Context<'_>) -> async_graphql::Result<String> {
        Ok(session(ctx)?.app.invoice_links.url(self.0.id, Form::Pdf))
    }
}

/// What of an invoice was paid in one asset.
pub struct InvoiceGroup {
    group: Arc<domain::invoice::Group>,
    period: NaiveDate,
}

impl ResolveEagerly for InvoiceGroup {
    const DEFERRED_FIELDS: &'static [&'static str] = &["items"];
}

/// What of an invoice was paid in one asset.
#[Object]
impl InvoiceGroup {
    /// The first day of the invoice's month.
    async fn period(&self) -> Day {
        Day(self.period)
    }

    /// The asset that was paid with: USD for cards in US dollars, a token, the currency of a balance.
    async fn payment_method(&self) -> Code {
        Code(self.group.currency)
    }

    /// What its items were worth in US dollars together; null where that is not known of one.
    async fn total_usd(&self) -> Option<Exact> {
        in_dollars(self.group.total_usd)
    }

    /// What was paid, in the asset: the sum of its items.
    async fn total_amount(&self, ctx: &Context<'_>) -> async_graphql::Result<Exact> {
        let total = domain::money::Money::new(self.group.total_amount, self.group.currency);
        Ok(Exact::money(total.amount, session(ctx)?.display_scale(&total)))
    }

    /// The pictures of its apps, each once.
    async fn icon_urls(&self) -> Vec<&str> {
        icon_urls(self.group.items.iter())
    }

    /// What was paid and given back, oldest first; then burst, one for each resource.
    async fn items(&self) -> InlineList<InvoiceItem> {
        let currency = self.group.currency;
        let item = |item: &Arc<domain::invoice::Item>| InvoiceItem { item: Arc::clone(item), currency };
        InlineList(self.group.items.iter().map(item).collect())
    }
}

/// Something that was paid, or given back.
pub struct InvoiceItem {
    item: Arc<domain::invoice::Item>,
    currency: CurrencyCode,
}

impl ResolveEagerly for InvoiceItem {
    const DEFERRED_FIELDS: &'static [&'static str] = &["prepayment", "bill"];
}

/// Something that was paid, or given back.
#[Object]
impl InvoiceItem {
    /// What it was for.
    async fn title(&self) -> &str {
        &self.item.title
    }

    /// What was paid; negative where money was given back.
    async fn amount(&self) -> Inline<Money> {
        Money::inline(domain::money::Money::new(self.item.amount, self.currency))
    }

    /// What that was worth in US dollars: of a prepayment the price that it was offered for, of anything else by the rate that
    /// was observed last when it was paid, rounded half up to cents. What is given back has the worth of what it gives back. Null
    /// where there was no rate.
    async fn usd(&self) -> Option<Exact> {
        in_dollars(self.item.usd)
    }

    /// The app's picture, as it was when the invoice was issued.
    async fn icon_url(&self) -> Option<&str> {
        self.item.icon_url.as_deref()
    }

    /// The prepayment that was paid, or given back.
    async fn prepayment(&self, ctx: &Context<'_>) -> Nullable<Prepayment> {
        nullable::load(ctx, self.item.prepayment, Prepayment).await
    }

    /// The bill that was paid.
    async fn bill(&self, ctx: &Context<'_>) -> Nullable<Bill> {
        nullable::load(ctx, self.item.bill, Bill::from).await
    }
}
