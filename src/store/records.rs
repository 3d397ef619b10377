//! Consumption records.

use diesel::sql_types::Text;

use super::accounts::like_anywhere;
use super::error::StoreError;
use super::list::{self, Owners, Page, Window};
use super::rows::RecordRow;
use super::statement::Statement;
use super::{Conn, rows, select_from};
use crate::domain::account::AccountKind;
use crate::domain::ids::{OwnedId, parse_printed_number};
use crate::domain::order::OrderType;
use crate::domain::record::Record;

const RECORDS: &str = "told_records";

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
    rows::<RecordRow>(conn, list::newest_of_each::<RecordRow>(RECORDS, accounts, limit)).await
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

impl RecordFilter {
    fn restrict<ST>(&self, mut statement: Statement<ST>) -> Statement<ST> {
        if let Some(from) = self.consumed.from {
            statement = statement.sql(" AND t.start_time >= ").instant(from);
        }
        if let Some(to) = self.consumed.to {
            statement = statement.sql(" AND t.start_time < ").instant(to);
        }
        if let Some(order_type) = self.order_type {
            statement = statement.sql(" AND t.order_type = ").value::<Text, _>(order_type.code());
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
}

pub async fn record_list(
    conn: Conn<'_>,
    owners: Owners,
    filter: &RecordFilter,
    page: &Page,
) -> Result<Vec<Record>, StoreError> {
    list::page::<RecordRow, _>(conn, RECORDS, owners, page, |statement| filter.restrict(statement)).await
}

pub async fn record_count(conn: Conn<'_>, owners: Owners, filter: &RecordFilter) -> Result<i64, StoreError> {
    list::count(conn, RECORDS, owners, |statement| filter.restrict(statement)).await
}

pub async fn record_count_of_each(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<(i64, i64)>, StoreError> {
    list::count_of_each(conn, RECORDS, accounts).await
}
