//! Transactions.

use std::sync::Arc;

use diesel::sql_types::{BigInt, Binary, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid};

use super::error::StoreError;
use super::list::{self, Found, Narrow, Owners, Page, Window};
use super::rows::{TransactionRow, select_list};
use super::seals::Sealer;
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows};
use crate::domain::ids::{BillId, OrderId, OwnedId, TransactionId};
use crate::domain::transaction::{Transaction, TransactionKind, TransactionStatus};

pub async fn transaction_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<Transaction>, StoreError> {
    rows::<TransactionRow>(conn, list::by_ids::<TransactionRow>("transactions", ids)).await
}

/// The newest transactions of each account.
pub async fn transaction_newest(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    limit: i64,
) -> Result<Vec<Transaction>, StoreError> {
    rows::<TransactionRow>(conn, list::newest_of_each::<TransactionRow>("transactions", accounts, limit))
        .await
}

/// What was given back of these transactions: of each the newest 100, newest first.
pub async fn transaction_refunds(conn: Conn<'_>, of: &[OwnedId]) -> Result<Vec<Transaction>, StoreError> {
    let statement = list::each_key(Statement::new("SELECT ").sql(select_list::<TransactionRow>("t.")), of)
        .sql(
            "(SELECT * FROM transactions t WHERE t.account_id = k.account_id AND t.refund_of = k.id \
             ORDER BY t.id DESC LIMIT 100) t ORDER BY t.id DESC",
        );
    rows::<TransactionRow>(conn, statement).await
}

/// What a list of transactions is narrowed by; conditions are joined by AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// Of creation.
    pub window: Window,
    pub kind: Option<TransactionKind>,
    pub status: Option<TransactionStatus>,
    /// Of the order that it paid.
    pub region: Option<String>,
}

impl TransactionFilter {
    /// Recharges are few among many purchases: accounts have an index of theirs.
    fn is_of_recharges_of(&self, owners: Owners) -> bool {
        self.kind == Some(TransactionKind::Recharge) && matches!(owners, Owners::One(_) | Owners::Family(_))
    }
}

impl Narrow for TransactionFilter {
    fn along<ST>(&self, owners: Owners, statement: Statement<ST>) -> Statement<ST> {
        let statement = self.window.restrict(statement);
        if self.is_of_recharges_of(owners) { statement.sql(" AND t.kind = 'RECHARGE'") } else { statement }
    }

    fn kept<ST>(&self, owners: Owners, mut statement: Statement<ST>) -> Statement<ST> {
        if let Some(kind) = self.kind.filter(|_| !self.is_of_recharges_of(owners)) {
            statement = statement.sql(" AND t.kind = ").value::<Text, _>(kind.code());
        }
        if let Some(status) = self.status {
            statement = statement.sql(" AND t.status = ").value::<Text, _>(status.code());
        }
        if let Some(region) = &self.region {
            statement = statement.sql(" AND t.region = ").text(region.clone());
        }
        statement
    }

    fn is_walked(&self, owners: Owners) -> bool {
        let Self { window: _, kind, status, region } = self;
        (kind.is_some() && !self.is_of_recharges_of(owners)) || status.is_some() || region.is_some()
    }
}

pub async fn transaction_list(
    conn: Conn<'_>,
    owners: Owners,
    filter: &TransactionFilter,
    page: &Page,
) -> Result<Found<Transaction>, StoreError> {
    list::page::<TransactionRow, _>(conn, "transactions", owners, page, filter).await
}

pub async fn transaction_count(
    conn: Conn<'_>,
    owners: Owners,
    filter: &TransactionFilter,
) -> Result<i64, StoreError> {
    list::count(conn, "transactions", owners, filter).await
}

pub async fn transaction_count_of_each(
    conn: Conn<'_>,
    accounts: Vec<i64>,
) -> Result<Vec<(i64, i64)>, StoreError> {
    list::count_of_each(conn, "transactions", accounts).await
}

pub async fn transaction_insert(
    conn: Conn<'_>,
    transactions: &[Arc<Transaction>],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", transactions.iter().map(|t| t.account().0))
        .column::<SqlUuid, _>("id", transactions.iter().map(|t| t.id.uuid()))
        .column::<Text, _>("kind", transactions.iter().map(|t| t.kind.code()))
        .column::<Text, _>("status", transactions.iter().map(|t| t.status.code()))
        .column::<Text, _>("currency", transactions.iter().map(|t| t.currency.to_string()))
        .column::<Numeric, _>("amount", transactions.iter().map(|t| t.amount))
        .column::<Text, _>("debit_ledger", transactions.iter().map(|t| t.debit.to_string()))
        .column::<Text, _>("credit_ledger", transactions.iter().map(|t| t.credit.to_string()))
        .column::<Text, _>("description", transactions.iter().map(|t| t.description.clone()))
        .column::<Text, _>("payment_method", transactions.iter().map(|t| t.payment_method.clone()))
        .column::<Nullable<SqlUuid>, _>("order_id", transactions.iter().map(|t| t.order.map(OrderId::uuid)))
        .column::<Nullable<SqlUuid>, _>("bill_id", transactions.iter().map(|t| t.bill.map(BillId::uuid)))
        .column::<Nullable<SqlUuid>, _>(
            "refund_of",
            transactions.iter().map(|t| t.refund_of.map(TransactionId::uuid)),
        )
        .column::<Numeric, _>("refunded_amount", transactions.iter().map(|t| t.refunded_amount))
        .column::<Nullable<Numeric>, _>("balance_after", transactions.iter().map(|t| t.balance_after))
        .column::<Nullable<Text>, _>("region", transactions.iter().map(|t| t.region.clone()))
        .column::<Timestamptz, _>("created_at", transactions.iter().map(|t| t.created_at))
        .column::<Nullable<Binary>, _>("seal", transactions.iter().map(|t| seals.seal(&**t)));
    execute(conn, columns.insert_into("transactions")).await.map(drop)
}

/// Writes what can change of a transaction.
pub async fn transaction_change(
    conn: Conn<'_>,
    transactions: &[Arc<Transaction>],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", transactions.iter().map(|t| t.account().0))
        .column::<SqlUuid, _>("id", transactions.iter().map(|t| t.id.uuid()))
        .column::<Text, _>("status", transactions.iter().map(|t| t.status.code()))
        .column::<Numeric, _>("refunded_amount", transactions.iter().map(|t| t.refunded_amount))
        .column::<Nullable<Binary>, _>("seal", transactions.iter().map(|t| seals.seal(&**t)));
    execute(conn, columns.update("transactions", 2)).await.map(drop)
}
