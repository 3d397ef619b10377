//! Consumption records.

use diesel::sql_types::{BigInt, Binary, Jsonb, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid};

use super::accounts::like_anywhere;
use super::error::StoreError;
use super::list::{self, Found, Listing, Narrow, Owners, Page, Window};
use super::rows::{RecordRow, select_list};
use super::seals::Sealer;
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows, select_from};
use crate::domain::account::AccountKind;
use crate::domain::ids::{OwnedId, parse_printed_number};
use crate::domain::order::OrderType;
use crate::domain::record::{Content, Record};

/// All records.
const RECORDS: &str = "told_records";
/// They are of two kinds, each in its own order, and walked along what they are told of.
const KINDS: [&str; 2] = ["told_prepaid_records", "told_metered_records"];
const SOURCES: [(&str, &str); 2] =
    [("told_prepaid_records", "transactions"), ("told_metered_records", "metered_records")];

pub async fn record_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<Record>, StoreError> {
    rows::<RecordRow>(conn, list::by_ids::<RecordRow>(RECORDS, ids)).await
}

/// The record of that printed number, found through the account and the day in it.
pub async fn record_by_number(conn: Conn<'_>, number: &str) -> Result<Option<Record>, StoreError> {
    let Some((account, day)) = parse_printed_number('R', number) else { return Ok(None) };
    let statement = list::by_number(select_from::<RecordRow>(RECORDS), account, day, number);
    Ok(rows::<RecordRow>(conn, statement).await?.pop())
}

/// The newest records of each account.
pub async fn record_newest(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    limit: i64,
) -> Result<Vec<Record>, StoreError> {
    rows::<RecordRow>(conn, list::merged_newest_of_each::<RecordRow>(&KINDS, accounts, limit)).await
}

/// The records of what bills charge afterwards, of each in the order in which they were made.
pub async fn record_of_bills(conn: Conn<'_>, bills: &[OwnedId]) -> Result<Vec<Record>, StoreError> {
    let statement = list::each_key(Statement::new("SELECT ").sql(select_list::<RecordRow>("t.")), bills).sql(
        "(SELECT * FROM told_metered_records t WHERE t.account_id = k.account_id AND t.bill_id = k.id \
         ORDER BY t.id LIMIT ",
    );
    rows::<RecordRow>(conn, statement.bigint(RECORDS_OF_BILL_MAX).sql(") t")).await
}

/// A bill shows no more of its records than this.
pub const RECORDS_OF_BILL_MAX: i64 = 1_000;

/// Writes records of what was rated afterwards.
pub async fn record_insert(conn: Conn<'_>, records: &[Record], seals: &Sealer<'_>) -> Result<(), StoreError> {
    let lines = |record: &Record| match &record.content {
        Content::Rated(lines) => serde_json::to_value(lines).map_err(|error| error.to_string()),
        Content::Period { .. } => Err("a prepaid period's record is its payment".to_owned()),
    };
    let lines: Vec<serde_json::Value> =
        records.iter().map(lines).collect::<Result<_, _>>().map_err(StoreError::Internal)?;
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", records.iter().map(|r| r.account().0))
        .column::<SqlUuid, _>("id", records.iter().map(|r| r.id.uuid()))
        .column::<SqlUuid, _>("bill_id", records.iter().map(|r| r.bill.uuid()))
        .column::<Nullable<SqlUuid>, _>(
            "order_id",
            records.iter().map(|r| r.order.as_ref().map(|order| order.id.uuid())),
        )
        .column::<Text, _>("resource_type", records.iter().map(|r| r.resource_type.clone()))
        .column::<Text, _>("product_name", records.iter().map(|r| r.product_name.clone()))
        .column::<Nullable<Text>, _>("datacenter", records.iter().map(|r| r.datacenter.clone()))
        .column::<Timestamptz, _>("start_time", records.iter().map(|r| r.start_time))
        .column::<Timestamptz, _>("end_time", records.iter().map(|r| r.end_time))
        .column::<Text, _>("currency", records.iter().map(|r| r.currency.to_string()))
        .column::<Numeric, _>("price", records.iter().map(|r| r.price))
        .column::<Jsonb, _>("lines", lines.into_iter())
        .column::<Timestamptz, _>("created_at", records.iter().map(|r| r.created_at))
        .column::<Nullable<Binary>, _>("seal", records.iter().map(|r| seals.seal(r)));
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
    fn kept<ST>(&self, _: Owners, mut statement: Statement<ST>) -> Statement<ST> {
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

    fn is_walked(&self, _: Owners) -> bool {
        let Self { consumed, account_kind, search, resource_type, datacenter, order_type } = self;
        *consumed != Window::default()
            || account_kind.is_some()
            || search.is_some()
            || resource_type.is_some()
            || datacenter.is_some()
            || order_type.is_some()
    }
}

pub async fn record_list(
    conn: Conn<'_>,
    owners: Owners,
    filter: &RecordFilter,
    page: &Page,
) -> Result<Found<Record>, StoreError> {
    Listing::<RecordRow, _>::new(&SOURCES, owners, page, filter).read(conn).await
}

pub async fn record_count(conn: Conn<'_>, owners: Owners, filter: &RecordFilter) -> Result<i64, StoreError> {
    list::count(conn, RECORDS, owners, filter).await
}

pub async fn record_count_of_each(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<(i64, i64)>, StoreError> {
    list::count_of_each(conn, RECORDS, accounts).await
}
