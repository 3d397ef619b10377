use std::collections::BTreeMap;
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MergedObject, Object, SimpleObject};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::account::{self, Account};
use super::money::Money;
use super::order::{self, Order};
use super::record::ConsumptionRecord;
use super::transaction::Transaction;
use crate::domain::ids::BillId;
use crate::domain::ids::{AccountId, RecordId};
use crate::graphql::enums::BillStatus;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::input::{search, window};
use crate::graphql::loaders::LoadedById;
use crate::graphql::loaders::{RecordsOf, RefundsOf};
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::pagination::connection_of;
use crate::graphql::runtime::eager::{Inline, ResolveEagerly};
use crate::graphql::runtime::list_item::{HasHeader, ListItem};
use crate::graphql::scalars::Instant;
use crate::graphql::session::{Session, session};
use crate::store::bills::bill_filter::BillFilter;
use crate::store::bills::bill_sums::BillSums;
use crate::store::records::RECORDS_OF_BILL_MAX;
use crate::{domain, store};

/// What is to be paid for one period; paid whole or not at all.
#[derive(Clone, MergedObject)]
pub struct Bill(BillHeader, BillDetails);

/// What lists show of it before anything else.
#[derive(Clone)]
pub struct BillHeader(domain::bill::BillHeader);

/// The rest of it.
#[derive(Clone)]
pub struct BillDetails(Arc<domain::bill::Bill>);

impl From<Arc<domain::bill::Bill>> for Bill {
    fn from(bill: Arc<domain::bill::Bill>) -> Self {
        Self(BillHeader(bill.header()), BillDetails(bill))
    }
}

impl Bill {
    pub(super) async fn id(&self, ctx: &Context<'_>) -> async_graphql::Result<ID> {
        self.0.id(ctx).await
    }
}

impl HasHeader for Bill {
    type Header = BillHeader;
    const HEADER_FIELDS: &'static [&'static str] =
        &["__typename", "id", "number", "account", "order", "status", "amount"];

    fn header(&self) -> &BillHeader {
        &self.0
    }

    fn id_in_lists(header: &BillHeader) -> Uuid {
        header.0.id.uuid()
    }

    fn whole<'a>(header: &'a BillHeader, ctx: &'a Context<'_>) -> BoxFuture<'a, ApiResult<Self>> {
        async move {
            let bill = session(ctx)?.load(header.0.id).await?;
            bill.map(Self::from).ok_or_else(|| ApiError::internal("a bill of a list is not there"))
        }
        .boxed()
    }
}

impl From<domain::bill::BillHeader> for ListItem<Bill> {
    fn from(header: domain::bill::BillHeader) -> Self {
        Self::Header(BillHeader(header))
    }
}

impl From<Arc<domain::bill::Bill>> for ListItem<Bill> {
    fn from(bill: Arc<domain::bill::Bill>) -> Self {
        Self::Full(Bill::from(bill))
    }
}

connection_of!(BillConnection, BillEdge, ListItem<Bill>, "bills", BillsOf, {
    /// What these bills come to. LIMIT_EXCEEDED where more than 100,000 would have to be added up.
    async fn summary(&self, ctx: &Context<'_>) -> async_graphql::Result<BillSummary> {
        Ok(summary(session(ctx)?, &self.0.rows, &self.0.more).await?)
    }
});

/// Which bills a connection is a page of.
pub struct BillsOf {
    pub account: Option<AccountId>,
    pub filter: Arc<BillFilter>,
}

/// What bills come to. The counts leave the filter's status out and honour its other fields; OVERDUE counts as unpaid,
/// VOID as neither.
#[derive(SimpleObject)]
pub struct BillSummary {
    /// How many are paid.
    paid_count: i64,
    /// How many are still to be paid.
    unpaid_count: i64,
    /// The sum of this page, by currency.
    page_amounts: Vec<Inline<Money>>,
    /// The sum of all that the filter matches, by currency.
    total_amounts: Vec<Inline<Money>>,
}

async fn summary(session: &Session, page: &[ListItem<Bill>], of: &BillsOf) -> ApiResult<BillSummary> {
    let sums = match of.filter.order {
        Some(order) => sums_of(&order::all_bills(session, order).await?)?,
        None => session.repository().bill_sums(of.account, &of.filter).await?,
    };
    Ok(BillSummary {
        paid_count: sums.paid,
        unpaid_count: sums.unpaid,
        page_amounts: amounts(page.iter().map(|bill| bill.header().0))?
            .into_iter()
            .map(Money::inline)
            .collect(),
        total_amounts: sums.amounts.into_iter().map(Money::inline).collect(),
    })
}

/// What bills come to that are in memory.
fn sums_of(bills: &[Arc<domain::bill::Bill>]) -> ApiResult<BillSums> {
    let count = |is: fn(&domain::bill::Bill) -> bool| bills.iter().filter(|bill| is(bill)).count();
    let paid = count(|bill| bill.status == domain::bill::BillStatus::Paid);
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let unpaid = count(domain::bill::Bill::is_open);
    Ok(BillSums {
        paid: number(paid),
        unpaid: number(unpaid),
        amounts: amounts(bills.iter().map(|bill| bill.header()))?,
    })
}

/// The sums of bills by currency.
fn amounts(bills: impl Iterator<Item = domain::bill::BillHeader>) -> ApiResult<Vec<domain::money::Money>> {
    let mut amounts = BTreeMap::new();
    for bill in bills {
        let sum: &mut Decimal = amounts.entry(bill.currency).or_default();
        *sum = domain::money::add(*sum, bill.amount)?;
    }
    Ok(amounts.into_iter().map(|(currency, amount)| domain::money::Money::new(amount, currency)).collect())
}

impl ResolveEagerly for Bill {
    const DEFERRED_FIELDS: &'static [&'static str] =
        &["account", "order", "lines", "correctionOf", "transactions"];
}

/// A part of a bill's amount.
#[derive(SimpleObject)]
pub struct BillLine {
    /// What it is for, for people.
    title: String,
    /// Its part of the amount; negative for a credit.
    amount: Inline<Money>,
    /// What was consumed; of an order's bill null as long as that is not paid, and for one of zero; null for what rounds.
    record: Option<ConsumptionRecord>,
}

impl BillDetails {
    fn money(&self, amount: Decimal) -> Inline<Money> {
        Money::inline(domain::money::Money::new(amount, self.0.currency))
    }

    /// A line for each record of what is billed afterwards, and what rounds their sum.
    async fn lines_of_records(&self, session: &Session) -> ApiResult<Vec<BillLine>> {
        let records = session.load(RecordsOf(self.0.id)).await?.unwrap_or_default();
        let mut rounding = self.0.amount;
        let mut lines = Vec::with_capacity(records.len().saturating_add(1));
        for record in records.iter() {
            rounding = domain::money::subtract(rounding, record.price)?;
            let (title, amount) = (record.product_name.clone(), self.money(record.price));
            lines.push(BillLine { title, amount, record: Some(ConsumptionRecord(Arc::clone(record))) });
        }
        for (title, amount) in self.0.taken_over() {
            rounding = domain::money::subtract(rounding, amount)?;
            lines.push(BillLine { title: title.to_owned(), amount: self.money(amount), record: None });
        }
        if !rounding.is_zero() {
            let title = match i64::try_from(records.len()) {
                // A bill that is only tried has no records.
                Ok(0) => "usage",
                Ok(shown) if shown >= RECORDS_OF_BILL_MAX => "further records, and rounding",
                _ => "rounding",
            };
            lines.push(BillLine { title: title.to_owned(), amount: self.money(rounding), record: None });
        }
        Ok(lines)
    }
}

/// What lists show of a bill before anything else.
#[Object]
impl BillHeader {
    /// Its id.
    async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Its number, for people.
    async fn number(&self) -> String {
        self.0.number()
    }

    /// Who is to pay.
    async fn account(&self, ctx: &Context<'_>) -> async_graphql::Result<Account> {
        Ok(account::load(session(ctx)?, self.0.id.account()).await?)
    }

    /// The order that it is for; null for a month's usage.
    async fn order(&self, ctx: &Context<'_>) -> Nullable<Order> {
        nullable::load(ctx, self.0.order, Order::from).await
    }

    /// Its status: open, paid, overdue or void.
    async fn status(&self) -> BillStatus {
        self.0.status.into()
    }

    /// What is to be paid: `onceAmount` + `cycleAmount` − `creditAmount`; of a correction also what it takes over from bills of its
    /// month that are open, and what of it was given back already (`lines`). Less than zero if a correction gives back.
    async fn amount(&self) -> Inline<Money> {
        Money::inline(domain::money::Money::new(self.0.amount, self.0.currency))
    }
}

/// What else there is of a bill.
#[Object]
impl BillDetails {
    /// What is charged once, in an order's first bill.
    async fn once_amount(&self) -> Inline<Money> {
        self.money(self.0.once_amount)
    }

    /// What the period costs, or what was used in it.
    async fn cycle_amount(&self) -> Inline<Money> {
        self.money(self.0.cycle_amount)
    }

    /// What is left of the period of the order that this one's order replaces.
    async fn credit_amount(&self) -> Inline<Money> {
        self.money(self.0.credit_amount)
    }

    /// When the period begins.
    async fn start_time(&self) -> Instant {
        Instant(self.0.start_time)
    }

    /// When the period has ended.
    async fn end_time(&self) -> Instant {
        Instant(self.0.end_time)
    }

    /// Which of its order's periods it is for, from 1.
    async fn seq(&self) -> i32 {
        self.0.seq
    }

    /// How many periods its order runs.
    async fn seq_count(&self) -> i32 {
        self.0.seq_count
    }

    /// When it is to be paid.
    async fn due_at(&self) -> Instant {
        Instant(self.0.due_at)
    }

    /// When it was paid.
    async fn last_paid_at(&self) -> Option<Instant> {
        self.0.last_paid_at.map(Instant)
    }

    /// The datacenter that it is for, a code.
    async fn datacenter(&self) -> Option<&str> {
        self.0.datacenter.as_deref()
    }

    /// How the amount comes about; the lines sum to it.
    async fn lines(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<BillLine>> {
        if self.0.order.is_none() {
            return Ok(self.lines_of_records(session(ctx)?).await?);
        }
        let record = match (self.0.paid_by, ctx.look_ahead().field("record").exists()) {
            (Some(paid), true) => session(ctx)?.load(RecordId(paid.0)).await?,
            _ => None,
        };
        let line = |(title, amount): (&str, Decimal)| BillLine {
            title: title.to_owned(),
            amount: self.money(amount),
            record: record.clone().map(ConsumptionRecord),
        };
        Ok(self.0.lines().into_iter().map(line).collect())
    }

    /// The bill that this one corrects: usage that came late, or new rules, changed a month that was billed.
    async fn correction_of(&self, ctx: &Context<'_>) -> Nullable<Bill> {
        nullable::load(ctx, self.0.correction_of, Bill::from).await
    }

    /// The transaction that paid it, and what was given back of that.
    async fn transactions(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Transaction>> {
        let Some(id) = self.0.paid_by else { return Ok(Vec::new()) };
        let session = session(ctx)?;
        let (paid, refunds) =
            futures_util::future::try_join(session.load(id), session.load(RefundsOf(id))).await?;
        let refunds = refunds.unwrap_or_default();
        Ok(refunds.iter().cloned().chain(paid).map(Transaction).collect())
    }
}

/// Narrows a list of bills; the fields are joined by AND.
#[derive(InputObject, Default)]
#[graphql(name = "BillFilter")]
pub struct BillFilterInput {
    /// Only those whose period begins then or later.
    start_time: Option<Instant>,
    /// Only those whose period begins before.
    end_time: Option<Instant>,
    /// Only bills of this status.
    bill_status: Option<BillStatus>,
    /// Only those with this in the number of the bill or its order or in the order's name, anywhere, without regard to
    /// case.
    search_word: Option<String>,
}

impl BillFilterInput {
    pub fn read(self) -> ApiResult<store::bills::bill_filter::BillFilter> {
        Ok(store::bills::bill_filter::BillFilter {
            start: window(self.start_time, self.end_time)?,
            status: self.bill_status.map(Into::into),
            search: search(self.search_word)?,
            order: None,
        })
    }
}

impl LoadedById for BillId {
    type Row = crate::domain::bill::Bill;
}
