//! Consumption records.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Text, Uuid as SqlUuid};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rust_decimal::Decimal;
use serde_json::Value;

use super::accounts::account_list::like_anywhere;
use super::error::StoreError;
use super::list::{self, Found, Listing, Narrow, Page, Window};
use super::owned::Owned;
use super::schema::metered_records as table;
use super::seals::Sealer;
use super::sql::pins;
use super::sql::row::{row, select_list};
use super::sql::statement::{Columns, Statement};
use super::{Conn, execute, rows, select_from};
use crate::domain::account::AccountKind;
use crate::domain::ids::{BillId, OrderId, OwnedId, RecordId, parse_printed_number};
use crate::domain::money::CurrencyCode;
use crate::domain::order::OrderType;
use crate::domain::record::{Content, Record, RecordOrder};
use crate::domain::viewer::Scope;

impl Owned for Record {
    type Id = RecordId;
    type Filter = RecordFilter;

    fn id(&self) -> RecordId {
        self.id
    }

    fn by_ids(ids: &[OwnedId]) -> Statement {
        if !pins::are_on() {
            return list::by_ids::<Self>(ids);
        }
        of_keys(select_from::<Self>("consumption_records t"), "t.id", ids)
    }

    fn newest(accounts: Vec<i64>, limit: i64) -> Statement {
        list::merged_newest_of_each::<Self>(&KINDS, accounts, limit)
    }

    fn page<'c>(
        conn: Conn<'c>,
        scope: Scope,
        filter: &'c RecordFilter,
        page: &'c Page,
    ) -> BoxFuture<'c, Result<Found<Self>, StoreError>> {
        async move { Listing::<Self, _>::new(&SOURCES, scope, page, filter).read(conn).await }.boxed()
    }

    fn count<'c>(
        conn: Conn<'c>,
        scope: Scope,
        filter: &'c RecordFilter,
    ) -> BoxFuture<'c, Result<i64, StoreError>> {
        list::count(conn, RECORDS, scope, filter).boxed()
    }
}

row! {
    consumption_records => Record {
        id: RecordId,
        created_at: DateTime<Utc>,
        bill_id: BillId,
        order_id: Option<OrderId>,
        order_number: Option<String>,
        order_type: Option<OrderType>,
        resource_type: String,
        product_name: String,
        datacenter: Option<String>,
        start_time: DateTime<Utc>,
        end_time: DateTime<Utc>,
        currency: CurrencyCode,
        amount: Decimal,
        quantity: Option<i32>,
        unit_price: Option<Decimal>,
        once_price: Option<Decimal>,
        once_amount: Option<Decimal>,
        cycle_amount: Option<Decimal>,
        credit_amount: Option<Decimal>,
        lines: Option<Value>,
    }
    {
        let content = match lines {
            Some(lines) => Content::Rated(serde_json::from_value(lines)?),
            None => Content::Period {
                quantity: quantity.unwrap_or_default(),
                unit_price: unit_price.unwrap_or_default(),
                once_price: once_price.unwrap_or_default(),
                once_amount: once_amount.unwrap_or_default(),
                cycle_amount: cycle_amount.unwrap_or_default(),
                credit_amount: credit_amount.unwrap_or_default(),
            },
        };
        let order = match (order_id, order_number, order_type) {
            (Some(id), Some(number), Some(order_type)) => Some(RecordOrder { id, number, order_type }),
            _ => None,
        };
        Self {
            id,
            bill: bill_id,
            order,
            resource_type,
            product_name,
            datacenter,
            start_time,
            end_time,
            currency,
            price: amount,
            content,
            created_at,
        }
    }
}

/// All records.
const RECORDS: &str = "consumption_records";
/// They are of two kinds, each in its own order, and walked along what they are told of.
const KINDS: [&str; 2] = ["prepaid_consumption_records", "metered_consumption_records"];
const SOURCES: [(&str, &str); 2] =
    [("prepaid_consumption_records", "transactions"), ("metered_consumption_records", "metered_records")];

/// The record of that printed number, found through the account and the day in it.
pub async fn record_by_number(conn: Conn<'_>, number: &str) -> Result<Option<Record>, StoreError> {
    let Some((account, day)) = parse_printed_number('R', number) else { return Ok(None) };
    let statement = list::by_number(select_from::<Record>(RECORDS), account, day, number);
    Ok(rows::<Record>(conn, statement).await?.pop())
}

/// Goes on with the accounts of keys, and with the keys: a cluster does not see whose rows a view is to look at for keys that are joined.
fn of_keys(select: Statement, column: &'static str, keys: &[OwnedId]) -> Statement {
    let accounts: BTreeSet<i64> = keys.iter().map(|key| key.account().0).collect();
    select
        .sql(" WHERE t.account_id = ANY(")
        .accounts(accounts.into_iter().collect())
        .sql(format!(") AND {column} = ANY("))
        .keys::<SqlUuid, _>(keys.iter().map(|key| key.uuid()).collect::<Vec<_>>())
        .sql(")")
}

/// The records of what bills charge afterwards, of each in the order in which they were made.
pub async fn record_of_bills(conn: Conn<'_>, bills: &[OwnedId]) -> Result<Vec<Record>, StoreError> {
    if pins::are_on() {
        let numbered = Statement::new("SELECT ").sql(select_list::<Record>("t.")).sql(
            " FROM (SELECT t.*, row_number() OVER (PARTITION BY t.account_id, t.bill_id ORDER BY t.id) AS place \
             FROM metered_consumption_records t",
        );
        let numbered = of_keys(numbered, "t.bill_id", bills).sql(") t WHERE t.place <= ");
        let statement = numbered.bigint(RECORDS_OF_BILL_MAX).sql(" ORDER BY t.id");
        return rows::<Record>(conn, statement).await;
    }
    let statement = list::each_key(Statement::new("SELECT ").sql(select_list::<Record>("t.")), bills).sql(
        "(SELECT * FROM metered_consumption_records t WHERE t.account_id = k.account_id AND t.bill_id = k.id \
         ORDER BY t.id LIMIT ",
    );
    rows::<Record>(conn, statement.bigint(RECORDS_OF_BILL_MAX).sql(") t")).await
}

/// A bill shows no more of its records than this.
pub const RECORDS_OF_BILL_MAX: i64 = 1_000;

/// Writes records of what was rated afterwards.
pub async fn record_insert(conn: Conn<'_>, records: &[Record], seals: &Sealer<'_>) -> Result<(), StoreError> {
    if records.is_empty() {
        return Ok(());
    }
    let lines = |record: &Record| match &record.content {
        Content::Rated(lines) => serde_json::to_value(lines).map_err(|error| error.to_string()),
        Content::Period { .. } => Err("a prepaid period's record is its payment".to_owned()),
    };
    let lines: Vec<serde_json::Value> =
        records.iter().map(lines).collect::<Result<_, _>>().map_err(StoreError::Internal)?;
    let columns = Columns::new()
        .put::<table::account_id, _>(records.iter().map(|r| r.account()))
        .put::<table::id, _>(records.iter().map(|r| r.id))
        .put::<table::bill_id, _>(records.iter().map(|r| r.bill))
        .put::<table::order_id, _>(records.iter().map(|r| r.order.as_ref().map(|order| order.id)))
        .put::<table::resource_type, _>(records.iter().map(|r| &r.resource_type))
        .put::<table::product_name, _>(records.iter().map(|r| &r.product_name))
        .put::<table::datacenter, _>(records.iter().map(|r| &r.datacenter))
        .put::<table::start_time, _>(records.iter().map(|r| r.start_time))
        .put::<table::end_time, _>(records.iter().map(|r| r.end_time))
        .put::<table::currency, _>(records.iter().map(|r| r.currency))
        .put::<table::price, _>(records.iter().map(|r| r.price))
        .put::<table::lines, _>(lines.into_iter())
        .put::<table::created_at, _>(records.iter().map(|r| r.created_at))
        .put::<table::seal, _>(records.iter().map(|r| seals.seal(r)));
    execute(conn, columns.insert_into("metered_records")).await.map(drop)
}

/// What a list of records is narrowed by; conditions are joined by AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Of the beginning of what was consumed.
    pub consumed: Window,
    pub account_kind: Option<AccountKind>,
    /// In the number of the record or its order, or in the order's name; anywhere, without regard to case.
    pub search: Option<String>,
    pub resource_type: Option<String>,
    pub datacenter: Option<String>,
    pub order_type: Option<OrderType>,
}

impl Narrow for RecordFilter {
    fn kept<ST>(&self, _: Scope, mut statement: Statement<ST>) -> Statement<ST> {
        if let Some(from) = self.consumed.from {
            statement = statement.sql(" AND t.start_time >= ").instant(from);
        }
        if let Some(to) = self.consumed.to {
            statement = statement.sql(" AND t.start_time < ").instant(to);
        }
        if let Some(order_type) = self.order_type {
            statement = statement
                .sql(" AND t.order_id IS NOT NULL AND t.order_type = ")
                .value::<Text, _>(order_type.code());
        }
        for (column, value) in
            [(" AND t.resource_type = ", &self.resource_type), (" AND t.datacenter = ", &self.datacenter)]
        {
            if let Some(value) = value {
                statement = statement.sql(column).text(value.clone());
            }
        }
        if let Some(kind) = self.account_kind {
            statement = list::of_kind(statement, kind);
        }
        if let Some(search) = &self.search {
            let pattern = like_anywhere(search);
            statement = statement
                .sql(" AND (t.number ILIKE ")
                .text(pattern.clone())
                .sql(" OR t.order_number ILIKE ")
                .text(pattern.clone())
                .sql(" OR t.order_name ILIKE ")
                .text(pattern)
                .sql(")");
        }
        statement
    }

    fn is_walked(&self, _: Scope) -> bool {
        let Self { consumed, account_kind, search, resource_type, datacenter, order_type } = self;
        *consumed != Window::default()
            || account_kind.is_some()
            || search.is_some()
            || resource_type.is_some()
            || datacenter.is_some()
            || order_type.is_some()
    }
}
