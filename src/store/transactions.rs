//! Transactions.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::Text;
use futures_util::try_join;
use rust_decimal::Decimal;

use super::error::StoreError;
use super::list::{self, Narrow, Window};
use super::owned::owned;
use super::schema::transactions as table;
use super::seals::Sealer;
use super::sql::row::{WriteRow, row, select_list};
use super::sql::statement::{Columns, Statement};
use super::written::written;
use super::{Conn, execute, rows};
use crate::domain::book::Rows;
use crate::domain::ids::{AccountId, BillId, OrderId, OwnedId, TransactionId};
use crate::domain::money::CurrencyCode;
use crate::domain::transaction::{Ledger, Transaction, TransactionKind, TransactionStatus};
use crate::domain::viewer::Scope;

owned!(Transaction = TransactionId, TransactionFilter);

row! {
    transactions => Transaction as t {
        kept {
            id: TransactionId = t.id,
            kind: TransactionKind = t.kind,
            status: TransactionStatus = t.status,
            currency: CurrencyCode = t.currency,
            amount: Decimal = t.amount,
            debit_ledger: Ledger = t.debit,
            credit_ledger: Ledger = t.credit,
            description: String = t.description,
            payment_method: String = t.payment_method,
            order_id: Option<OrderId> = t.order,
            bill_id: Option<BillId> = t.bill,
            refund_of: Option<TransactionId> = t.refund_of,
            refunded_amount: Decimal = t.refunded_amount,
            balance_after: Option<Decimal> = t.balance_after,
            region: Option<String> = t.region,
            created_at: DateTime<Utc> = t.created_at,
        }
        written {
            account_id: AccountId = t.account(),
        }
    }
    Self {
        id,
        kind,
        status,
        currency,
        amount,
        debit: debit_ledger,
        credit: credit_ledger,
        description,
        payment_method,
        order: order_id,
        bill: bill_id,
        refund_of,
        refunded_amount,
        balance_after,
        region,
        created_at,
    }
}

/// What was given back of these transactions: of each the newest 100, newest first.
pub async fn transaction_refunds(conn: Conn<'_>, of: &[OwnedId]) -> Result<Vec<Transaction>, StoreError> {
    let statement = list::each_key(Statement::new("SELECT ").sql(select_list::<Transaction>("t.")), of).sql(
        "(SELECT * FROM transactions t WHERE t.account_id = k.account_id AND t.refund_of = k.id \
             ORDER BY t.id DESC LIMIT 100) t ORDER BY t.id DESC",
    );
    rows::<Transaction>(conn, statement).await
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
    fn is_of_recharges_of(&self, scope: Scope) -> bool {
        self.kind == Some(TransactionKind::Recharge) && matches!(scope, Scope::One(_) | Scope::Family(_))
    }
}

impl Narrow for TransactionFilter {
    fn along<ST>(&self, scope: Scope, statement: Statement<ST>) -> Statement<ST> {
        let statement = self.window.restrict(statement);
        if self.is_of_recharges_of(scope) { statement.sql(" AND t.kind = 'RECHARGE'") } else { statement }
    }

    fn kept<ST>(&self, scope: Scope, mut statement: Statement<ST>) -> Statement<ST> {
        if let Some(kind) = self.kind.filter(|_| !self.is_of_recharges_of(scope)) {
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

    fn is_walked(&self, scope: Scope) -> bool {
        let Self { window: _, kind, status, region } = self;
        (kind.is_some() && !self.is_of_recharges_of(scope)) || status.is_some() || region.is_some()
    }
}

written!(Rows<Transaction>, |conn, rows, seals| async move {
    try_join!(transaction_insert(conn, &rows.new, seals), transaction_change(conn, &rows.changed, seals))
        .map(drop)
});

async fn transaction_insert(
    conn: Conn<'_>,
    transactions: &[Arc<Transaction>],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    if transactions.is_empty() {
        return Ok(());
    }
    let columns = Transaction::columns(transactions.iter().map(Arc::as_ref))
        .put::<table::seal, _>(transactions.iter().map(|t| seals.seal(&**t)));
    execute(conn, columns.insert_into("transactions")).await.map(drop)
}

/// Writes what can change of a transaction.
async fn transaction_change(
    conn: Conn<'_>,
    transactions: &[Arc<Transaction>],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    if transactions.is_empty() {
        return Ok(());
    }
    let columns = Columns::new()
        .put::<table::account_id, _>(transactions.iter().map(|t| t.account()))
        .put::<table::id, _>(transactions.iter().map(|t| t.id))
        .put::<table::status, _>(transactions.iter().map(|t| t.status))
        .put::<table::refunded_amount, _>(transactions.iter().map(|t| t.refunded_amount))
        .put::<table::seal, _>(transactions.iter().map(|t| seals.seal(&**t)));
    execute(conn, columns.update("transactions", 2)).await.map(drop)
}
