//! Rows, between the columns of schema.rs and the types of domain/. Fields are in the order of the columns.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::Queryable;
use diesel::deserialize::{FromSql, FromSqlRow};
use diesel::pg::{Pg, PgValue};
use diesel::query_dsl::CompatibleType;
use diesel::sql_types::Text;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::error::StoreError;
use super::numeric::Exact;
use super::{invoice_json, schema};
use crate::domain::account::{Account, AccountKind, AccountStatus, Manager, Suspension};
use crate::domain::approval::{Approval, ApprovalState};
use crate::domain::bill::{Bill, BillHeader, BillStatus};
use crate::domain::billing_run::{BillingRun, RunState};
use crate::domain::burst::{BurstState, Cycle};
use crate::domain::capacity::ResourcePrice;
use crate::domain::closing::{ClosedMonth, Month};
use crate::domain::exchange_rate::ExchangeRate;
use crate::domain::idempotency::{IdempotencyRecord, OutcomeIds};
use crate::domain::ids::{
    AccountId, ApprovalId, BillId, EntryId, InvoiceId, LicenseId, NoticeId, OrderId, OwnedId, PaymentId,
    PaymentMethodId, PlanId, PrepaymentId, PriceDefinitionId, PriceRuleId, QuoteId, RecordId,
    ResourcePriceId, TransactionId,
};
use crate::domain::invoice::{Contents, Invoice, Issue};
use crate::domain::ledger::{Entry, Hash, Head};
use crate::domain::license::{License, LicenseType};
use crate::domain::money::{CurrencyCode, Money};
use crate::domain::mutation::Mutation;
use crate::domain::notice::{Notice, NoticeKind};
use crate::domain::order::{Order, OrderHeader, OrderState, OrderType, Subscription};
use crate::domain::payment::{ChargedCard, Payment, PaymentPurpose, PaymentState};
use crate::domain::payment_method::{Card, PaymentMethod};
use crate::domain::period::BillPeriod;
use crate::domain::plan::{Aggregation, Plan, Resource};
use crate::domain::prepay::{
    App, Binding, Deposit, DepositPlace, DepositState, Limits, Means, PrepaidTerm, PrepayQuote, Prepayment,
    PrepaymentStatus,
};
use crate::domain::price_rule::{PriceDefinition, PriceRule};
use crate::domain::record::{Content, Record, RecordOrder};
use crate::domain::reversal::{Reversal, ReversalKind, ReversalReport};
use crate::domain::transaction::{Ledger, Transaction, TransactionKind, TransactionStatus};
use crate::domain::unmatched::{OutsideKind, Unmatched};

/// A table's row, and the columns that it is read from, in order.
pub trait Row: FromSqlRow<Self::Sql, Pg> + Send + 'static {
    /// The SQL types of the columns.
    type Sql: CompatibleType<Self, Pg, SqlType = Self::Sql> + 'static;
    const COLUMNS: &'static [&'static str];
    type Domain;
    fn into_domain(self) -> Result<Self::Domain, StoreError>;
}

/// Says which columns of which table a row is read from: one list for their names and their types.
macro_rules! columns {
    ($table:ident: $($column:ident),*) => {
        type Sql = diesel::dsl::SqlTypeOf<($(schema::$table::$column,)*)>;
        const COLUMNS: &'static [&'static str] = &[$(<schema::$table::$column as diesel::Column>::NAME),*];
    };
}

/// The row's columns as a SELECT names them, each after `prefix`.
pub fn select_list<R: Row>(prefix: &str) -> String {
    let mut list = String::with_capacity(R::COLUMNS.len() * 20);
    for (index, column) in R::COLUMNS.iter().enumerate() {
        if index > 0 {
            list.push_str(", ");
        }
        // Quoted: "end" and "interval" are words of SQL.
        list.extend([prefix, "\"", *column, "\""]);
    }
    list
}

/// A value that the database keeps as a code: an enumeration, a currency.
pub trait Code: Sized {
    fn of(code: &str) -> Option<Self>;
}

macro_rules! codes {
    ($($name:ty),*) => {$(
        impl Code for $name {
            fn of(code: &str) -> Option<Self> {
                Self::from_code(code)
            }
        }
    )*};
}
codes!(
    AccountKind,
    AccountStatus,
    Aggregation,
    ApprovalState,
    BillPeriod,
    BillStatus,
    DepositState,
    LicenseType,
    Mutation,
    NoticeKind,
    OrderState,
    OrderType,
    OutsideKind,
    PaymentPurpose,
    PaymentState,
    PrepaymentStatus,
    ReversalKind,
    RunState,
    Suspension
);
codes!(TransactionKind, TransactionStatus);

impl Code for CurrencyCode {
    fn of(code: &str) -> Option<Self> {
        Self::parse(code)
    }
}

/// Reads a code without a copy of its text.
#[derive(Debug, FromSqlRow)]
pub struct Coded<T>(T);

impl<T: Code> FromSql<Text, Pg> for Coded<T> {
    fn from_sql(bytes: PgValue<'_>) -> diesel::deserialize::Result<Self> {
        let code = std::str::from_utf8(bytes.as_bytes())?;
        T::of(code).map(Self).ok_or_else(|| format!("the code \"{code}\" is not known").into())
    }
}

fn corrupt(what: &str, value: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} \"{value}\""))
}

fn hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    Hash::try_from(bytes).map_err(|_| StoreError::Corrupt("a hash is not 32 bytes long".to_owned()))
}

fn owned(id: Uuid) -> OwnedId {
    OwnedId::from_uuid(id)
}

#[derive(Queryable)]
pub struct AccountRow {
    id: i64,
    namespace: String,
    external_id: Option<String>,
    name: String,
    kind: Coded<AccountKind>,
    parent_id: Option<i64>,
    status: Coded<AccountStatus>,
    suspension: Option<Coded<Suspension>>,
    currency: Coded<CurrencyCode>,
    time_zone: String,
    manager_name: Option<String>,
    manager_email: Option<String>,
    credit_limit: Option<Exact>,
    balance: Exact,
    overdrawn: bool,
    purchased: bool,
    last_no: i64,
    last_entry_seq: i64,
    last_entry_hash: Option<Vec<u8>>,
    last_entry_at: Option<DateTime<Utc>>,
    closed_until: Option<DateTime<Utc>>,
    closed_at: Option<DateTime<Utc>>,
    erased_at: Option<DateTime<Utc>>,
    suspended_at: Option<DateTime<Utc>>,
    suspension_held_until: Option<DateTime<Utc>>,
    on_demand_rate: Exact,
    burst_cycle: Option<i32>,
    burst_rate: Option<Exact>,
    burst_warned: bool,
    created_at: DateTime<Utc>,
}

impl Row for AccountRow {
    columns!(accounts: id, namespace, external_id, name, kind, parent_id, status, suspension, currency, time_zone, manager_name, manager_email, credit_limit, balance, overdrawn, purchased, last_no, last_entry_seq, last_entry_hash, last_entry_at, closed_until, closed_at, erased_at, suspended_at, suspension_held_until, on_demand_rate, burst_cycle, burst_rate, burst_warned, created_at);
    type Domain = Account;

    fn into_domain(self) -> Result<Account, StoreError> {
        let head = Head {
            seq: self.last_entry_seq,
            hash: self.last_entry_hash.as_deref().map_or(Ok(Hash::default()), hash)?,
            time: self.last_entry_at,
        };
        Ok(Account {
            id: AccountId(self.id),
            namespace: self.namespace,
            external_id: self.external_id,
            name: self.name,
            kind: self.kind.0,
            parent: self.parent_id.map(AccountId),
            status: self.status.0,
            suspension: self.suspension.map(|reason| reason.0),
            suspended_at: self.suspended_at,
            suspension_held_until: self.suspension_held_until,
            currency: self.currency.0,
            time_zone: self.time_zone.parse().map_err(|_| corrupt("time zone", &self.time_zone))?,
            manager: self.manager_name.map(|name| Manager { name, email: self.manager_email }),
            credit_limit: self.credit_limit.map(|number| number.0),
            balance: self.balance.0,
            overdrawn: self.overdrawn,
            purchased: self.purchased,
            last_no: self.last_no,
            closed_until: self.closed_until,
            closed_at: self.closed_at,
            erased_at: self.erased_at,
            on_demand_rate: self.on_demand_rate.0,
            burst: BurstState {
                cycle: self.burst_cycle.map(Cycle::numbered),
                rate: self.burst_rate.map(|number| number.0),
                warned: self.burst_warned,
            },
            head,
            created_at: self.created_at,
        })
    }
}

#[derive(Queryable)]
pub struct ResourceRow {
    code: String,
    name: String,
    unit: String,
    resource_type: String,
    aggregation: Coded<Aggregation>,
    allows_corrections: bool,
}

impl Row for ResourceRow {
    columns!(resources: code, name, unit, resource_type, aggregation, allows_corrections);
    type Domain = Resource;

    fn into_domain(self) -> Result<Resource, StoreError> {
        let Self { code, name, unit, resource_type, aggregation: Coded(aggregation), allows_corrections } =
            self;
        Ok(Resource { code, name, unit, resource_type, aggregation, allows_corrections })
    }
}

#[derive(Queryable)]
pub struct PlanRow {
    id: Uuid,
    name: String,
    plan_type: String,
    region: Option<String>,
    resource_type: String,
    currency: Coded<CurrencyCode>,
    price: Exact,
    once_price: Option<Exact>,
    bill_period: Coded<BillPeriod>,
    description: String,
    created_at: DateTime<Utc>,
    retired_at: Option<DateTime<Utc>>,
}

impl Row for PlanRow {
    columns!(plans: id, name, plan_type, region, resource_type, currency, price, once_price, bill_period, description, created_at, retired_at);
    type Domain = Plan;

    fn into_domain(self) -> Result<Plan, StoreError> {
        Ok(Plan {
            id: PlanId(self.id),
            name: self.name,
            plan_type: self.plan_type,
            region: self.region,
            resource_type: self.resource_type,
            currency: self.currency.0,
            price: self.price.0,
            once_price: self.once_price.map(|number| number.0),
            bill_period: self.bill_period.0,
            description: self.description,
            created_at: self.created_at,
            retired_at: self.retired_at,
        })
    }
}

#[derive(Queryable)]
pub struct OrderRow {
    id: Uuid,
    name: String,
    order_type: Coded<OrderType>,
    state: Coded<OrderState>,
    previous_id: Option<Uuid>,
    plan_id: Option<Uuid>,
    exclusive: bool,
    quantity: i32,
    region: Option<String>,
    datacenter: Option<String>,
    resource_type: String,
    product_name: String,
    bill_period: Coded<BillPeriod>,
    currency: Coded<CurrencyCode>,
    price: Exact,
    once_price: Option<Exact>,
    seq: i32,
    seq_count: i32,
    auto_renewal: bool,
    comment: Option<String>,
    delivered_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    anchor_at: Option<DateTime<Utc>>,
    anchor_months: i32,
    renewed_by: Option<Uuid>,
    next_step_at: Option<DateTime<Utc>>,
    resource_code: Option<String>,
    resource_amount: Option<Exact>,
    term_months: Option<i32>,
    cancelled_at: Option<DateTime<Utc>>,
}

impl Row for OrderRow {
    columns!(orders: id, name, order_type, state, previous_id, plan_id, exclusive, quantity, region, datacenter, resource_type, product_name, bill_period, currency, price, once_price, seq, seq_count, auto_renewal, comment, delivered_at, expires_at, anchor_at, anchor_months, renewed_by, next_step_at, resource_code, resource_amount, term_months, cancelled_at);
    type Domain = Order;

    fn into_domain(self) -> Result<Order, StoreError> {
        let created_at = owned(self.id).instant();
        let subscription = match (self.resource_code, self.resource_amount, self.term_months) {
            (Some(resource), Some(Exact(amount)), Some(months)) => {
                Some(Subscription { resource, amount, months })
            }
            _ => None,
        };
        Ok(Order {
            id: OrderId(owned(self.id)),
            name: self.name,
            order_type: self.order_type.0,
            state: self.state.0,
            previous: self.previous_id.map(|id| OrderId(owned(id))),
            plan: self.plan_id.map(PlanId),
            subscription,
            exclusive: self.exclusive,
            quantity: self.quantity,
            region: self.region,
            datacenter: self.datacenter,
            resource_type: self.resource_type,
            product_name: self.product_name,
            bill_period: self.bill_period.0,
            currency: self.currency.0,
            price: self.price.0,
            once_price: self.once_price.map(|number| number.0),
            seq: self.seq,
            seq_count: self.seq_count,
            auto_renewal: self.auto_renewal,
            comment: self.comment,
            created_at,
            delivered_at: self.delivered_at,
            expires_at: self.expires_at,
            anchor_at: self.anchor_at.or(self.delivered_at).unwrap_or(created_at),
            anchor_months: self.anchor_months,
            renewed_by: self.renewed_by.map(|id| OrderId(owned(id))),
            cancelled_at: self.cancelled_at,
            next_step_at: self.next_step_at,
        })
    }
}

/// The columns of an order that its header has.
#[derive(Queryable)]
pub struct OrderHeaderRow {
    id: Uuid,
    name: String,
    order_type: Coded<OrderType>,
    state: Coded<OrderState>,
}

impl Row for OrderHeaderRow {
    columns!(orders: id, name, order_type, state);
    type Domain = OrderHeader;

    fn into_domain(self) -> Result<OrderHeader, StoreError> {
        let id = owned(self.id);
        Ok(OrderHeader {
            id: OrderId(id),
            name: self.name,
            order_type: self.order_type.0,
            state: self.state.0,
            created_at: id.instant(),
        })
    }
}

/// The columns of a bill that its header has.
#[derive(Queryable)]
pub struct BillHeaderRow {
    id: Uuid,
    order_id: Option<Uuid>,
    status: Coded<BillStatus>,
    currency: Coded<CurrencyCode>,
    amount: Exact,
}

impl Row for BillHeaderRow {
    columns!(bills: id, order_id, status, currency, amount);
    type Domain = BillHeader;

    fn into_domain(self) -> Result<BillHeader, StoreError> {
        Ok(BillHeader {
            id: BillId(owned(self.id)),
            order: self.order_id.map(|id| OrderId(owned(id))),
            status: self.status.0,
            currency: self.currency.0,
            amount: self.amount.0,
        })
    }
}

/// What few rows have, and others leave empty.
fn or_zero(number: Option<Exact>) -> Decimal {
    number.map_or(Decimal::ZERO, |number| number.0)
}

#[derive(Queryable)]
pub struct BillRow {
    id: Uuid,
    order_id: Option<Uuid>,
    status: Coded<BillStatus>,
    currency: Coded<CurrencyCode>,
    amount: Exact,
    once_amount: Exact,
    cycle_amount: Exact,
    credit_amount: Exact,
    start_time: DateTime<Utc>,
    end_time: DateTime<Utc>,
    seq: i32,
    seq_count: i32,
    due_at: DateTime<Utc>,
    last_paid_at: Option<DateTime<Utc>>,
    paid_by: Option<Uuid>,
    refunded_amount: Exact,
    credited_amount: Option<Exact>,
    replaced_amount: Option<Exact>,
    withheld_amount: Option<Exact>,
    next_step_at: Option<DateTime<Utc>>,
    datacenter: Option<String>,
    correction_of: Option<Uuid>,
}

impl Row for BillRow {
    columns!(bills: id, order_id, status, currency, amount, once_amount, cycle_amount, credit_amount, start_time, end_time, seq, seq_count, due_at, last_paid_at, paid_by, refunded_amount, credited_amount, replaced_amount, withheld_amount, next_step_at, datacenter, correction_of);
    type Domain = Bill;

    fn into_domain(self) -> Result<Bill, StoreError> {
        Ok(Bill {
            id: BillId(owned(self.id)),
            order: self.order_id.map(|id| OrderId(owned(id))),
            status: self.status.0,
            currency: self.currency.0,
            amount: self.amount.0,
            once_amount: self.once_amount.0,
            cycle_amount: self.cycle_amount.0,
            credit_amount: self.credit_amount.0,
            start_time: self.start_time,
            end_time: self.end_time,
            seq: self.seq,
            seq_count: self.seq_count,
            due_at: self.due_at,
            last_paid_at: self.last_paid_at,
            paid_by: self.paid_by.map(|id| TransactionId(owned(id))),
            refunded_amount: self.refunded_amount.0,
            credited_amount: or_zero(self.credited_amount),
            replaced_amount: or_zero(self.replaced_amount),
            withheld_amount: or_zero(self.withheld_amount),
            next_step_at: self.next_step_at,
            datacenter: self.datacenter,
            correction_of: self.correction_of.map(|id| BillId(owned(id))),
            created_at: owned(self.id).instant(),
        })
    }
}

#[derive(Queryable)]
pub struct TransactionRow {
    id: Uuid,
    kind: Coded<TransactionKind>,
    status: Coded<TransactionStatus>,
    currency: Coded<CurrencyCode>,
    amount: Exact,
    debit_ledger: String,
    credit_ledger: String,
    description: String,
    payment_method: String,
    order_id: Option<Uuid>,
    bill_id: Option<Uuid>,
    refund_of: Option<Uuid>,
    refunded_amount: Exact,
    balance_after: Option<Exact>,
    region: Option<String>,
    created_at: DateTime<Utc>,
}

impl Row for TransactionRow {
    columns!(transactions: id, kind, status, currency, amount, debit_ledger, credit_ledger, description, payment_method, order_id, bill_id, refund_of, refunded_amount, balance_after, region, created_at);
    type Domain = Transaction;

    fn into_domain(self) -> Result<Transaction, StoreError> {
        let ledger = |text: &str| Ledger::parse(text).ok_or_else(|| corrupt("ledger", text));
        Ok(Transaction {
            id: TransactionId(owned(self.id)),
            kind: self.kind.0,
            status: self.status.0,
            currency: self.currency.0,
            amount: self.amount.0,
            debit: ledger(&self.debit_ledger)?,
            credit: ledger(&self.credit_ledger)?,
            description: self.description,
            payment_method: self.payment_method,
            order: self.order_id.map(|id| OrderId(owned(id))),
            bill: self.bill_id.map(|id| BillId(owned(id))),
            refund_of: self.refund_of.map(|id| TransactionId(owned(id))),
            refunded_amount: self.refunded_amount.0,
            balance_after: self.balance_after.map(|number| number.0),
            region: self.region,
            created_at: self.created_at,
        })
    }
}

#[derive(Queryable)]
pub struct EntryRow {
    id: Uuid,
    seq: i64,
    time: DateTime<Utc>,
    poll_time: Option<DateTime<Utc>>,
    currency: Coded<CurrencyCode>,
    amount: Exact,
    initial: Exact,
    end: Exact,
    reason: String,
    billing_cycle: Option<i32>,
    interval: Option<i32>,
    resource_code: Option<String>,
    resource_amount: Exact,
    hash: Vec<u8>,
    key_version: i16,
}

impl Row for EntryRow {
    columns!(ledger_entries: id, seq, time, poll_time, currency, amount, initial, end, reason, billing_cycle, interval, resource_code, resource_amount, hash, key_version);
    type Domain = Entry;

    fn into_domain(self) -> Result<Entry, StoreError> {
        Ok(Entry {
            id: EntryId(owned(self.id)),
            seq: self.seq,
            time: self.time,
            poll_time: self.poll_time,
            currency: self.currency.0,
            amount: self.amount.0,
            initial: self.initial.0,
            end: self.end.0,
            reason: self.reason,
            billing_cycle: self.billing_cycle,
            interval: self.interval,
            resource: self.resource_code,
            resource_amount: self.resource_amount.0,
            hash: hash(&self.hash)?,
            key: self.key_version,
        })
    }
}

#[derive(Queryable)]
pub struct RecordRow {
    id: Uuid,
    created_at: DateTime<Utc>,
    bill_id: Uuid,
    order_id: Option<Uuid>,
    order_number: Option<String>,
    order_type: Option<Coded<OrderType>>,
    resource_type: String,
    product_name: String,
    datacenter: Option<String>,
    start_time: DateTime<Utc>,
    end_time: DateTime<Utc>,
    currency: Coded<CurrencyCode>,
    amount: Exact,
    quantity: Option<i32>,
    unit_price: Option<Exact>,
    once_price: Option<Exact>,
    once_amount: Option<Exact>,
    cycle_amount: Option<Exact>,
    credit_amount: Option<Exact>,
    lines: Option<serde_json::Value>,
}

impl Row for RecordRow {
    columns!(told_records: id, created_at, bill_id, order_id, order_number, order_type, resource_type, product_name, datacenter, start_time, end_time, currency, amount, quantity, unit_price, once_price, once_amount, cycle_amount, credit_amount, lines);
    type Domain = Record;

    fn into_domain(self) -> Result<Record, StoreError> {
        let number = |number: Option<Exact>| number.map_or(Decimal::ZERO, |Exact(number)| number);
        let content = match self.lines {
            Some(lines) => {
                let lines = serde_json::from_value(lines);
                Content::Rated(lines.map_err(|error| corrupt("record", &error.to_string()))?)
            }
            None => Content::Period {
                quantity: self.quantity.unwrap_or(0),
                unit_price: number(self.unit_price),
                once_price: number(self.once_price),
                once_amount: number(self.once_amount),
                cycle_amount: number(self.cycle_amount),
                credit_amount: number(self.credit_amount),
            },
        };
        let order = match (self.order_id, self.order_number, self.order_type) {
            (Some(id), Some(number), Some(Coded(order_type))) => {
                Some(RecordOrder { id: OrderId(owned(id)), number, order_type })
            }
            _ => None,
        };
        Ok(Record {
            id: RecordId(owned(self.id)),
            bill: BillId(owned(self.bill_id)),
            order,
            resource_type: self.resource_type,
            product_name: self.product_name,
            datacenter: self.datacenter,
            start_time: self.start_time,
            end_time: self.end_time,
            currency: self.currency.0,
            price: self.amount.0,
            content,
            created_at: self.created_at,
        })
    }
}

#[derive(Queryable)]
pub struct ClosedMonthRow {
    account_id: i64,
    start_time: DateTime<Utc>,
    end_time: DateTime<Utc>,
    period: NaiveDate,
    revision: i32,
    usage_version: i64,
    bill_id: Option<Uuid>,
    usage_amount: Exact,
    amount: Exact,
    billed_amount: Exact,
    withheld_amount: Exact,
    forgiven_amount: Exact,
    unrated: serde_json::Value,
    closed_at: DateTime<Utc>,
}

impl Row for ClosedMonthRow {
    columns!(closed_months: account_id, start_time, end_time, period, revision, usage_version, bill_id, usage_amount, amount, billed_amount, withheld_amount, forgiven_amount, unrated, closed_at);
    type Domain = ClosedMonth;

    fn into_domain(self) -> Result<ClosedMonth, StoreError> {
        let unrated = serde_json::from_value(self.unrated);
        Ok(ClosedMonth {
            account: AccountId(self.account_id),
            month: Month { start: self.start_time, end: self.end_time },
            period: self.period,
            revision: self.revision,
            usage_version: self.usage_version,
            bill: self.bill_id.map(|id| BillId(owned(id))),
            usage_amount: self.usage_amount.0,
            amount: self.amount.0,
            billed_amount: self.billed_amount.0,
            withheld_amount: self.withheld_amount.0,
            forgiven_amount: self.forgiven_amount.0,
            unrated: unrated.map_err(|error| corrupt("unrated resources", &error.to_string()))?,
            closed_at: self.closed_at,
        })
    }
}

#[derive(Queryable)]
pub struct BillingRunRow {
    period: NaiveDate,
    time_zone: String,
    start_time: DateTime<Utc>,
    end_time: DateTime<Utc>,
    state: Coded<RunState>,
    total: i64,
    done: i64,
    failed: i64,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
}

impl Row for BillingRunRow {
    columns!(billing_runs: period, time_zone, start_time, end_time, state, total, done, failed, started_at, finished_at);
    type Domain = BillingRun;

    fn into_domain(self) -> Result<BillingRun, StoreError> {
        Ok(BillingRun {
            period: self.period,
            time_zone: self.time_zone.parse().map_err(|_| corrupt("time zone", &self.time_zone))?,
            month: Month { start: self.start_time, end: self.end_time },
            state: self.state.0,
            total: self.total,
            done: self.done,
            failed: self.failed,
            started_at: self.started_at,
            finished_at: self.finished_at,
        })
    }
}

#[derive(Queryable)]
pub struct AnswerRow {
    account_id: i64,
    key: String,
    mutation: Coded<Mutation>,
    fingerprint: Vec<u8>,
    transaction_id: Option<Uuid>,
    order_id: Option<Uuid>,
    bill_id: Option<Uuid>,
    created_at: DateTime<Utc>,
    payment_id: Option<Uuid>,
    prepayment_id: Option<Uuid>,
    approval_id: Option<Uuid>,
}

impl Row for AnswerRow {
    columns!(idempotency_keys: account_id, key, mutation, fingerprint, transaction_id, order_id, bill_id, created_at, payment_id, prepayment_id, approval_id);
    type Domain = (AccountId, IdempotencyRecord);

    fn into_domain(self) -> Result<(AccountId, IdempotencyRecord), StoreError> {
        let answer = IdempotencyRecord {
            mutation: self.mutation.0,
            key: self.key,
            fingerprint: hash(&self.fingerprint)?,
            made: OutcomeIds {
                transaction: self.transaction_id.map(|id| TransactionId(owned(id))),
                order: self.order_id.map(|id| OrderId(owned(id))),
                bill: self.bill_id.map(|id| BillId(owned(id))),
                payment: self.payment_id.map(|id| PaymentId(owned(id))),
                prepayment: self.prepayment_id.map(|id| PrepaymentId(owned(id))),
                approval: self.approval_id.map(|id| ApprovalId(owned(id))),
            },
            created_at: self.created_at,
        };
        Ok((AccountId(self.account_id), answer))
    }
}

#[derive(Queryable)]
pub struct ApprovalRow {
    id: Uuid,
    mutation: Coded<Mutation>,
    input: String,
    currency: Coded<CurrencyCode>,
    amount: Exact,
    key: Option<String>,
    asked_by: String,
    asked_at: DateTime<Utc>,
    state: Coded<ApprovalState>,
    decided_by: Option<String>,
    decided_at: Option<DateTime<Utc>>,
    reason: Option<String>,
    next_step_at: Option<DateTime<Utc>>,
}

impl Row for ApprovalRow {
    columns!(approvals: id, mutation, input, currency, amount, key, asked_by, asked_at, state, decided_by, decided_at, reason, next_step_at);
    type Domain = Approval;

    fn into_domain(self) -> Result<Approval, StoreError> {
        Ok(Approval {
            id: ApprovalId(owned(self.id)),
            mutation: self.mutation.0,
            input: self.input,
            money: Money::new(self.amount.0, self.currency.0),
            key: self.key,
            asked_by: self.asked_by,
            asked_at: self.asked_at,
            state: self.state.0,
            decided_by: self.decided_by,
            decided_at: self.decided_at,
            reason: self.reason,
            next_step_at: self.next_step_at,
        })
    }
}

#[derive(Queryable)]
pub struct NoticeRow {
    id: Uuid,
    kind: Coded<NoticeKind>,
    message: String,
    subject: Option<String>,
    at: DateTime<Utc>,
}

impl Row for NoticeRow {
    columns!(notices: id, kind, message, subject, at);
    type Domain = Notice;

    fn into_domain(self) -> Result<Notice, StoreError> {
        Ok(Notice {
            id: NoticeId(owned(self.id)),
            kind: self.kind.0,
            message: self.message,
            subject: self.subject,
            at: self.at,
        })
    }
}

#[derive(Queryable)]
pub struct ResourcePriceRow {
    id: i64,
    resource_code: String,
    currency: Coded<CurrencyCode>,
    level: i32,
    price: Exact,
    unit: String,
    multiplier: Exact,
    cluster_id: Option<String>,
    chart_name: Option<String>,
    effective_from: DateTime<Utc>,
}

impl Row for ResourcePriceRow {
    columns!(resource_prices: id, resource_code, currency, level, price, unit, multiplier, cluster_id, chart_name, effective_from);
    type Domain = ResourcePrice;

    fn into_domain(self) -> Result<ResourcePrice, StoreError> {
        Ok(ResourcePrice {
            id: ResourcePriceId(self.id),
            resource: self.resource_code,
            currency: self.currency.0,
            level: self.level,
            price: self.price.0,
            unit: self.unit,
            multiplier: self.multiplier.0,
            cluster: self.cluster_id,
            chart: self.chart_name,
            effective_from: self.effective_from,
        })
    }
}

#[derive(Queryable)]
pub struct LicenseRow {
    id: i64,
    resource_code: String,
    long_name: String,
    license_type: Coded<LicenseType>,
    user_metric: String,
    burstable: bool,
    created_at: DateTime<Utc>,
}

impl Row for LicenseRow {
    columns!(licenses: id, resource_code, long_name, license_type, user_metric, burstable, created_at);
    type Domain = License;

    fn into_domain(self) -> Result<License, StoreError> {
        Ok(License {
            id: LicenseId(self.id),
            name: self.resource_code,
            long_name: self.long_name,
            license_type: self.license_type.0,
            user_metric: self.user_metric,
            burstable: self.burstable,
            created_at: self.created_at,
        })
    }
}

#[derive(Queryable)]
pub struct ExchangeRateRow {
    id: i64,
    base: Coded<CurrencyCode>,
    quote: Coded<CurrencyCode>,
    rate: Exact,
    source: String,
    observed_at: DateTime<Utc>,
}

impl Row for ExchangeRateRow {
    columns!(exchange_rates: id, base, quote, rate, source, observed_at);
    type Domain = ExchangeRate;

    fn into_domain(self) -> Result<ExchangeRate, StoreError> {
        Ok(ExchangeRate {
            id: self.id,
            base: self.base.0,
            quote: self.quote.0,
            rate: self.rate.0,
            source: self.source,
            observed_at: self.observed_at,
        })
    }
}

#[derive(Queryable)]
pub struct PaymentMethodRow {
    id: Uuid,
    provider: String,
    provider_token: String,
    provider_customer: Option<String>,
    brand: String,
    last4: String,
    expires_on: NaiveDate,
    removed_at: Option<DateTime<Utc>>,
}

impl Row for PaymentMethodRow {
    columns!(payment_methods: id, provider, provider_token, provider_customer, brand, last4, expires_on, removed_at);
    type Domain = PaymentMethod;

    fn into_domain(self) -> Result<PaymentMethod, StoreError> {
        let Self { brand, last4, expires_on, .. } = self;
        Ok(PaymentMethod {
            id: PaymentMethodId(owned(self.id)),
            provider: self.provider,
            token: self.provider_token,
            customer: self.provider_customer,
            card: Card { brand, last4, expires_on },
            removed_at: self.removed_at,
        })
    }
}

#[derive(Queryable)]
pub struct PrepayQuoteRow {
    id: Uuid,
    currency: Coded<CurrencyCode>,
    amount: Exact,
    usd: Exact,
    months: i32,
    cluster_id: String,
    chart_name: String,
    cpu_limit: i32,
    mem_limit: i32,
    storage_limit: i32,
    steps: serde_json::Value,
    expires_at: DateTime<Utc>,
}

impl Row for PrepayQuoteRow {
    columns!(prepay_quotes: id, currency, amount, usd, months, cluster_id, chart_name, cpu_limit, mem_limit, storage_limit, steps, expires_at);
    type Domain = PrepayQuote;

    /// Without the rate: whoever takes an offer needs what it comes to.
    fn into_domain(self) -> Result<PrepayQuote, StoreError> {
        let steps = serde_json::from_value(self.steps);
        Ok(PrepayQuote {
            id: QuoteId(owned(self.id)),
            currency: self.currency.0,
            amount: self.amount.0,
            usd: self.usd.0,
            months: self.months,
            cluster: self.cluster_id,
            chart: self.chart_name,
            limits: Limits { cpu: self.cpu_limit, mem: self.mem_limit, storage: self.storage_limit },
            rate: None,
            steps: steps.map_err(|error| corrupt("quote", &error.to_string()))?,
            expires_at: self.expires_at,
        })
    }
}

#[derive(Queryable)]
pub struct PaymentRow {
    id: Uuid,
    purpose: Coded<PaymentPurpose>,
    state: Coded<PaymentState>,
    currency: Coded<CurrencyCode>,
    amount: Exact,
    description: String,
    method_id: Uuid,
    provider: String,
    provider_token: String,
    provider_customer: Option<String>,
    brand: String,
    on_session: bool,
    prepayment_id: Option<Uuid>,
    refund_of: Option<Uuid>,
    transaction_id: Option<Uuid>,
    reference: Option<String>,
    failure: Option<String>,
    action_url: Option<String>,
    attempts: i32,
    next_step_at: Option<DateTime<Utc>>,
}

impl Row for PaymentRow {
    columns!(payments: id, purpose, state, currency, amount, description, method_id, provider, provider_token, provider_customer, brand, on_session, prepayment_id, refund_of, transaction_id, reference, failure, action_url, attempts, next_step_at);
    type Domain = Payment;

    fn into_domain(self) -> Result<Payment, StoreError> {
        let card = ChargedCard {
            method: PaymentMethodId(owned(self.method_id)),
            provider: self.provider,
            token: self.provider_token,
            customer: self.provider_customer,
            brand: self.brand,
        };
        Ok(Payment {
            id: PaymentId(owned(self.id)),
            purpose: self.purpose.0,
            state: self.state.0,
            currency: self.currency.0,
            amount: self.amount.0,
            description: self.description,
            card,
            on_session: self.on_session,
            prepayment: self.prepayment_id.map(|id| PrepaymentId(owned(id))),
            refund_of: self.refund_of.map(|id| PaymentId(owned(id))),
            transaction: self.transaction_id.map(|id| TransactionId(owned(id))),
            reference: self.reference,
            failure: self.failure,
            action_url: self.action_url,
            attempts: self.attempts,
            next_step_at: self.next_step_at,
        })
    }
}

#[derive(Queryable)]
pub struct ReversalRow {
    provider: String,
    reference: String,
    kind: Coded<ReversalKind>,
    payment_id: Uuid,
    currency: Coded<CurrencyCode>,
    amount: Exact,
    status: String,
    withdrawn: Exact,
    reinstated: Exact,
    is_open: bool,
    booked: Exact,
    beyond: Exact,
    taken_by: Option<Uuid>,
    returned_by: Option<Uuid>,
}

impl Row for ReversalRow {
    columns!(reversals: provider, reference, kind, payment_id, currency, amount, status, withdrawn, reinstated, is_open, booked, beyond, taken_by, returned_by);
    type Domain = Reversal;

    fn into_domain(self) -> Result<Reversal, StoreError> {
        let told = ReversalReport {
            payment: PaymentId(owned(self.payment_id)),
            provider: self.provider,
            reference: self.reference,
            kind: self.kind.0,
            currency: self.currency.0,
            amount: self.amount.0,
            status: self.status,
            withdrawn: self.withdrawn.0,
            reinstated: self.reinstated.0,
            is_open: self.is_open,
        };
        Ok(Reversal {
            told,
            booked: self.booked.0,
            beyond: self.beyond.0,
            taken_by: self.taken_by.map(|id| TransactionId(owned(id))),
            returned_by: self.returned_by.map(|id| TransactionId(owned(id))),
        })
    }
}

#[derive(Queryable)]
pub struct UnmatchedRow {
    provider: String,
    reference: String,
    kind: Coded<OutsideKind>,
    payment_id: Uuid,
    account_id: Option<i64>,
    currency: Coded<CurrencyCode>,
    amount: Exact,
    status: String,
    why: String,
    seen_at: DateTime<Utc>,
}

impl Row for UnmatchedRow {
    columns!(unmatched_payments: provider, reference, kind, payment_id, account_id, currency, amount, status, why, seen_at);
    type Domain = Unmatched;

    fn into_domain(self) -> Result<Unmatched, StoreError> {
        Ok(Unmatched {
            provider: self.provider,
            reference: self.reference,
            kind: self.kind.0,
            payment: PaymentId(owned(self.payment_id)),
            account: self.account_id.map(AccountId),
            currency: self.currency.0,
            amount: self.amount.0,
            status: self.status,
            why: self.why,
            seen_at: self.seen_at,
        })
    }
}

#[derive(Queryable)]
pub struct PrepaymentRow {
    id: Uuid,
    status: Coded<PrepaymentStatus>,
    quote_id: Uuid,
    method_id: Option<Uuid>,
    currency: Coded<CurrencyCode>,
    amount: Exact,
    usd: Exact,
    months: i32,
    cluster_id: String,
    chart_name: String,
    cpu_limit: i32,
    mem_limit: i32,
    storage_limit: i32,
    auto_renewal: bool,
    deposit_address: Option<String>,
    deposit_again_until: Option<DateTime<Utc>>,
    failure: Option<String>,
    action_url: Option<String>,
    app_id: Option<String>,
    icon_url: Option<String>,
    project_name: Option<String>,
    start_time: Option<DateTime<Utc>>,
    end_time: Option<DateTime<Utc>>,
    previous_id: Option<Uuid>,
    payment_id: Option<Uuid>,
    transaction_id: Option<Uuid>,
    paid_at: Option<DateTime<Utc>>,
    next_step_at: Option<DateTime<Utc>>,
}

impl Row for PrepaymentRow {
    columns!(prepayments: id, status, quote_id, method_id, currency, amount, usd, months, cluster_id, chart_name, cpu_limit, mem_limit, storage_limit, auto_renewal, deposit_address, deposit_again_until, failure, action_url, app_id, icon_url, project_name, start_time, end_time, previous_id, payment_id, transaction_id, paid_at, next_step_at);
    type Domain = Prepayment;

    fn into_domain(self) -> Result<Prepayment, StoreError> {
        let means = match (self.method_id, self.deposit_address) {
            (Some(method), _) => Means::Card(PaymentMethodId(owned(method))),
            (None, Some(address)) => {
                Means::Deposit { address: Some(address), again_until: self.deposit_again_until }
            }
            (None, None) => return Err(corrupt("prepayment", &self.id.to_string())),
        };
        let binding = match (self.app_id, self.project_name, self.start_time, self.end_time) {
            (Some(id), Some(project), Some(start), Some(end)) => Some(Binding {
                app: App { id, icon_url: self.icon_url, project },
                term: PrepaidTerm { start, end },
            }),
            _ => None,
        };
        Ok(Prepayment {
            id: PrepaymentId(owned(self.id)),
            status: self.status.0,
            quote: QuoteId(owned(self.quote_id)),
            means,
            currency: self.currency.0,
            amount: self.amount.0,
            usd: self.usd.0,
            months: self.months,
            cluster: self.cluster_id,
            chart: self.chart_name,
            limits: Limits { cpu: self.cpu_limit, mem: self.mem_limit, storage: self.storage_limit },
            auto_renewal: self.auto_renewal,
            failure: self.failure,
            action_url: self.action_url,
            binding,
            previous: self.previous_id.map(|id| PrepaymentId(owned(id))),
            payment: self.payment_id.map(|id| PaymentId(owned(id))),
            transaction: self.transaction_id.map(|id| TransactionId(owned(id))),
            paid_at: self.paid_at,
            next_step_at: self.next_step_at,
        })
    }
}

#[derive(Queryable)]
pub struct DepositRow {
    account_id: i64,
    block_hash: String,
    log_index: i64,
    block_number: i64,
    block_time: DateTime<Utc>,
    transaction_hash: String,
    asset: Coded<CurrencyCode>,
    amount: Exact,
    sender: String,
    address: String,
    is_gone: bool,
    state: Coded<DepositState>,
    nth: i32,
}

impl Row for DepositRow {
    columns!(deposits: account_id, block_hash, log_index, block_number, block_time, transaction_hash, asset, amount, sender, address, is_gone, state, nth);
    type Domain = Deposit;

    fn into_domain(self) -> Result<Deposit, StoreError> {
        Ok(Deposit {
            account: AccountId(self.account_id),
            place: DepositPlace {
                block_number: self.block_number,
                log_index: self.log_index,
                block_hash: self.block_hash,
                transaction: self.transaction_hash,
                address: self.address,
                asset: self.asset.0,
                nth: self.nth,
            },
            block_time: self.block_time,
            amount: self.amount.0,
            sender: self.sender,
            is_gone: self.is_gone,
            state: self.state.0,
        })
    }
}

#[derive(Queryable)]
pub struct PriceDefinitionRow {
    id: i64,
    definition_type: String,
    description: String,
    currency: Option<Coded<CurrencyCode>>,
    terms: serde_json::Value,
    created_at: DateTime<Utc>,
}

impl Row for PriceDefinitionRow {
    columns!(price_definitions: id, definition_type, description, currency, terms, created_at);
    type Domain = PriceDefinition;

    fn into_domain(self) -> Result<PriceDefinition, StoreError> {
        let terms = serde_json::from_value(self.terms)
            .map_err(|error| StoreError::Corrupt(format!("price definition {}: {error}", self.id)))?;
        Ok(PriceDefinition {
            id: PriceDefinitionId(self.id),
            kind: self.definition_type,
            description: self.description,
            currency: self.currency.map(|currency| currency.0),
            terms,
            created_at: self.created_at,
        })
    }
}

#[derive(Queryable)]
pub struct PriceRuleRow {
    id: i64,
    account_id: Option<i64>,
    effective_from: DateTime<Utc>,
    effective_until: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    created_by: String,
    definition_id: i64,
    definition_type: String,
    description: String,
    currency: Option<Coded<CurrencyCode>>,
    terms: serde_json::Value,
    defined_at: DateTime<Utc>,
}

impl Row for PriceRuleRow {
    columns!(told_price_rules: id, account_id, effective_from, effective_until, created_at, created_by, definition_id, definition_type, description, currency, terms, defined_at);
    type Domain = PriceRule;

    fn into_domain(self) -> Result<PriceRule, StoreError> {
        let definition = PriceDefinitionRow {
            id: self.definition_id,
            definition_type: self.definition_type,
            description: self.description,
            currency: self.currency,
            terms: self.terms,
            created_at: self.defined_at,
        };
        Ok(PriceRule {
            id: PriceRuleId(self.id),
            account: self.account_id.map(AccountId),
            effective_from: self.effective_from,
            effective_until: self.effective_until,
            definition: Arc::new(definition.into_domain()?),
            created_at: self.created_at,
            created_by: self.created_by,
        })
    }
}

#[derive(Queryable)]
pub struct InvoiceRow {
    id: Uuid,
    period: NaiveDate,
    start_time: DateTime<Utc>,
    end_time: DateTime<Utc>,
    number: String,
    issued_at: DateTime<Utc>,
    customer: String,
    total_usd: Option<Exact>,
    groups: serde_json::Value,
}

impl Row for InvoiceRow {
    columns!(invoices: id, period, start_time, end_time, number, issued_at, customer, total_usd, groups);
    type Domain = Invoice;

    fn into_domain(self) -> Result<Invoice, StoreError> {
        let groups = invoice_json::read(self.groups).ok_or_else(|| corrupt("invoice", &self.number))?;
        Ok(Invoice {
            id: InvoiceId(owned(self.id)),
            month: Month { start: self.start_time, end: self.end_time },
            period: self.period,
            issue: Some(Issue { number: self.number, at: self.issued_at }),
            customer: self.customer,
            contents: Contents { groups, total_usd: self.total_usd.map(|Exact(total)| total) },
        })
    }
}
