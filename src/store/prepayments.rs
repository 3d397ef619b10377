//! Prepayments.

use std::sync::Arc;

use diesel::sql_types::{
    BigInt, Binary, Bool, Integer, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::RunQueryDsl;

use super::deposits::{AddressOf, each_address};
use super::error::StoreError;
use super::list::{self, DuePage, Found, Narrow, Owners, Page};
use super::rows::{PrepaymentRow, select_list};
use super::seals::Sealer;
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows, select_from};
use crate::domain::ids::{AccountId, OwnedId, PaymentId, PaymentMethodId, PrepaymentId, TransactionId};
use crate::domain::prepay::{Means, Prepayment, PrepaymentStatus};

pub async fn prepayment_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<Prepayment>, StoreError> {
    rows::<PrepaymentRow>(conn, list::by_ids::<PrepaymentRow>("prepayments", ids)).await
}

/// The prepayments that hold these offers.
pub async fn prepayment_of_quotes(conn: Conn<'_>, quotes: &[OwnedId]) -> Result<Vec<Prepayment>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<PrepaymentRow>("t."));
    let statement = list::each_key(select, quotes).sql(
        "(SELECT * FROM prepayments t WHERE t.account_id = k.account_id AND t.quote_id = k.id AND t.status NOT IN ('FAILED', 'REFUNDED') \
         LIMIT 1) t",
    );
    rows::<PrepaymentRow>(conn, statement).await
}

/// The prepayments that renew these.
pub async fn prepayment_renewals(
    conn: Conn<'_>,
    previous: &[OwnedId],
) -> Result<Vec<Prepayment>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<PrepaymentRow>("t."));
    let statement = list::each_key(select, previous).sql(
        "(SELECT * FROM prepayments t WHERE t.account_id = k.account_id AND t.previous_id = k.id \
         ORDER BY t.id DESC LIMIT 100) t",
    );
    rows::<PrepaymentRow>(conn, statement).await
}

/// The prepayments whose tokens go to these addresses.
pub async fn prepayment_of_addresses(
    conn: Conn<'_>,
    addresses: &[AddressOf],
) -> Result<Vec<Prepayment>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<PrepaymentRow>("t."));
    let statement = each_address(select, addresses).sql(
        "(SELECT * FROM prepayments t WHERE t.account_id = k.account_id AND t.deposit_address = k.address LIMIT 1) t",
    );
    rows::<PrepaymentRow>(conn, statement).await
}

/// Prepayments that jobs have to look at by `due.now`, those that have waited longest first.
pub async fn prepayment_due(conn: Conn<'_>, due: &DuePage) -> Result<Vec<Prepayment>, StoreError> {
    let statement = list::due_after(select_from::<PrepaymentRow>("prepayments").sql(" WHERE "), due);
    rows::<PrepaymentRow>(conn, statement).await
}

/// The newest prepayments of each account.
pub async fn prepayment_newest(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    limit: i64,
) -> Result<Vec<Prepayment>, StoreError> {
    rows::<PrepaymentRow>(conn, list::newest_of_each::<PrepaymentRow>("prepayments", accounts, limit)).await
}

/// What a list of prepayments is narrowed by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrepaymentFilter {
    pub status: Option<PrepaymentStatus>,
}

impl Narrow for PrepaymentFilter {
    fn kept<ST>(&self, _: Owners, statement: Statement<ST>) -> Statement<ST> {
        match self.status {
            Some(status) => statement.sql(" AND t.status = ").value::<Text, _>(status.code()),
            None => statement,
        }
    }

    fn is_walked(&self, _: Owners) -> bool {
        self.status.is_some()
    }
}

pub async fn prepayment_list(
    conn: Conn<'_>,
    owners: Owners,
    filter: &PrepaymentFilter,
    page: &Page,
) -> Result<Found<Prepayment>, StoreError> {
    list::page::<PrepaymentRow, _>(conn, "prepayments", owners, page, filter).await
}

pub async fn prepayment_count(
    conn: Conn<'_>,
    owners: Owners,
    filter: &PrepaymentFilter,
) -> Result<i64, StoreError> {
    list::count(conn, "prepayments", owners, filter).await
}

pub async fn prepayment_count_of_each(
    conn: Conn<'_>,
    accounts: Vec<i64>,
) -> Result<Vec<(i64, i64)>, StoreError> {
    list::count_of_each(conn, "prepayments", accounts).await
}

/// Keeps prepayments, or what has changed of them.
pub async fn prepayment_put(
    conn: Conn<'_>,
    prepayments: &[Arc<Prepayment>],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    // Offers are given up before others take them.
    let (before, after): (Vec<_>, Vec<_>) =
        prepayments.iter().cloned().partition(|prepayment| !prepayment.status.holds_offer());
    for part in [before, after] {
        if !part.is_empty() {
            execute(conn, putting(&part, seals)).await?;
        }
    }
    Ok(())
}

/// How many prepayments of an account wait for tokens.
pub async fn awaiting_deposits(mut conn: Conn<'_>, account: AccountId) -> Result<i64, StoreError> {
    let statement = Statement::<BigInt>::new(
        "SELECT count(*) FROM prepayments WHERE status = 'AWAITING_DEPOSIT' AND account_id = ",
    )
    .bigint(account.0);
    Ok(statement.get_result(&mut conn).await?)
}

fn putting(prepayments: &[Arc<Prepayment>], seals: &Sealer<'_>) -> Statement {
    let bindings = || prepayments.iter().map(|p| p.binding.as_ref());
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", prepayments.iter().map(|p| p.account().0))
        .column::<SqlUuid, _>("id", prepayments.iter().map(|p| p.id.uuid()))
        .column::<Text, _>("status", prepayments.iter().map(|p| p.status.code()))
        .column::<SqlUuid, _>("quote_id", prepayments.iter().map(|p| p.quote.uuid()))
        .column::<Nullable<SqlUuid>, _>(
            "method_id",
            prepayments.iter().map(|p| p.method().map(PaymentMethodId::uuid)),
        )
        .column::<Text, _>("currency", prepayments.iter().map(|p| p.currency.to_string()))
        .column::<Numeric, _>("amount", prepayments.iter().map(|p| p.amount))
        .column::<Numeric, _>("usd", prepayments.iter().map(|p| p.usd))
        .column::<Integer, _>("months", prepayments.iter().map(|p| p.months))
        .column::<Text, _>("cluster_id", prepayments.iter().map(|p| p.cluster.clone()))
        .column::<Text, _>("chart_name", prepayments.iter().map(|p| p.chart.clone()))
        .column::<Integer, _>("cpu_limit", prepayments.iter().map(|p| p.limits.cpu))
        .column::<Integer, _>("mem_limit", prepayments.iter().map(|p| p.limits.mem))
        .column::<Integer, _>("storage_limit", prepayments.iter().map(|p| p.limits.storage))
        .column::<Bool, _>("auto_renewal", prepayments.iter().map(|p| p.auto_renewal))
        .column::<Nullable<Text>, _>(
            "deposit_address",
            prepayments.iter().map(|p| p.deposit_address().map(str::to_owned)),
        )
        .column::<Nullable<Timestamptz>, _>(
            "deposit_again_until",
            prepayments.iter().map(|p| match p.means {
                Means::Deposit { again_until, .. } => again_until,
                Means::Card(_) => None,
            }),
        )
        .column::<Nullable<Text>, _>("failure", prepayments.iter().map(|p| p.failure.clone()))
        .column::<Nullable<Text>, _>("action_url", prepayments.iter().map(|p| p.action_url.clone()))
        .column::<Nullable<Text>, _>("app_id", bindings().map(|b| Some(b?.app.id.clone())))
        .column::<Nullable<Text>, _>("icon_url", bindings().map(|b| b?.app.icon_url.clone()))
        .column::<Nullable<Text>, _>("project_name", bindings().map(|b| Some(b?.app.project.clone())))
        .column::<Nullable<Timestamptz>, _>("start_time", bindings().map(|b| Some(b?.term.start)))
        .column::<Nullable<Timestamptz>, _>("end_time", bindings().map(|b| Some(b?.term.end)))
        .column::<Nullable<SqlUuid>, _>(
            "previous_id",
            prepayments.iter().map(|p| p.previous.map(PrepaymentId::uuid)),
        )
        .column::<Nullable<SqlUuid>, _>(
            "payment_id",
            prepayments.iter().map(|p| p.payment.map(PaymentId::uuid)),
        )
        .column::<Nullable<SqlUuid>, _>(
            "transaction_id",
            prepayments.iter().map(|p| p.transaction.map(TransactionId::uuid)),
        )
        .column::<Nullable<Timestamptz>, _>("paid_at", prepayments.iter().map(|p| p.paid_at))
        .column::<Nullable<Timestamptz>, _>("next_step_at", prepayments.iter().map(|p| p.next_step_at))
        .column::<Nullable<Binary>, _>("seal", prepayments.iter().map(|p| seals.seal(&**p)));
    columns.insert_into("prepayments").sql(
        " ON CONFLICT (account_id, id) DO UPDATE SET status = excluded.status, auto_renewal = excluded.auto_renewal, \
         deposit_again_until = excluded.deposit_again_until, failure = excluded.failure, action_url = excluded.action_url, app_id = excluded.app_id, \
         icon_url = excluded.icon_url, project_name = excluded.project_name, start_time = excluded.start_time, \
         end_time = excluded.end_time, payment_id = excluded.payment_id, transaction_id = excluded.transaction_id, \
         paid_at = excluded.paid_at, next_step_at = excluded.next_step_at, seal = excluded.seal",
    )
}
