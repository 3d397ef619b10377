//! Prepayments.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use rust_decimal::Decimal;

use crate::domain::book::Table;
use crate::domain::ids::{
    AccountId, OwnedId, PaymentId, PaymentMethodId, PrepaymentId, QuoteId, TransactionId,
};
use crate::domain::money::CurrencyCode;
use crate::domain::prepay::{App, Binding, Limits, Means, PrepaidTerm, Prepayment, PrepaymentStatus};
use crate::domain::viewer::Scope;
use crate::store::deposits::{AddressOf, each_address};
use crate::store::error::StoreError;
use crate::store::list::{self, DuePage, Narrow};
use crate::store::owned::owned;
use crate::store::schema::prepayments as table;
use crate::store::seals::Sealer;
use crate::store::sql::row::{WriteRow, row, select_list};
use crate::store::sql::statement::Statement;
use crate::store::written::written;
use crate::store::{Conn, execute, rows, select_from};

owned!(Prepayment = PrepaymentId, PrepaymentFilter);

row! {
    prepayments => Prepayment as p {
        kept {
            id: PrepaymentId = p.id,
            status: PrepaymentStatus = p.status,
            quote_id: QuoteId = p.quote,
            method_id: Option<PaymentMethodId> = p.method(),
            currency: CurrencyCode = p.currency,
            amount: Decimal = p.amount,
            usd: Decimal = p.usd,
            months: i32 = p.months,
            cluster_id: String = p.cluster,
            chart_name: String = p.chart,
            cpu_limit: i32 = p.limits.cpu,
            mem_limit: i32 = p.limits.mem,
            storage_limit: i32 = p.limits.storage,
            auto_renewal: bool = p.auto_renewal,
            deposit_address: Option<String> = p.deposit_address().map(str::to_owned),
            deposit_again_until: Option<DateTime<Utc>> = deposit_again_until(p),
            failure: Option<String> = p.failure,
            action_url: Option<String> = p.action_url,
            app_id: Option<String> = p.binding.as_ref().map(|b| b.app.id.clone()),
            icon_url: Option<String> = p.binding.as_ref().and_then(|b| b.app.icon_url.clone()),
            project_name: Option<String> = p.binding.as_ref().map(|b| b.app.project.clone()),
            start_time: Option<DateTime<Utc>> = p.binding.as_ref().map(|b| b.term.start),
            end_time: Option<DateTime<Utc>> = p.binding.as_ref().map(|b| b.term.end),
            previous_id: Option<PrepaymentId> = p.previous,
            payment_id: Option<PaymentId> = p.payment,
            transaction_id: Option<TransactionId> = p.transaction,
            paid_at: Option<DateTime<Utc>> = p.paid_at,
            next_step_at: Option<DateTime<Utc>> = p.next_step_at,
        }
        written {
            account_id: AccountId = p.account(),
        }
    }
    {
        let means = match (method_id, deposit_address) {
            (Some(method), _) => Means::Card(method),
            (None, Some(address)) => {
                Means::Deposit { address: Some(address), again_until: deposit_again_until }
            }
            (None, None) => return Err(format!("{id} is paid by nothing").into()),
        };
        let binding = match (app_id, project_name, start_time, end_time) {
            (Some(id), Some(project), Some(start), Some(end)) => {
                Some(Binding { app: App { id, icon_url, project }, term: PrepaidTerm { start, end } })
            }
            _ => None,
        };
        Self {
            id,
            status,
            quote: quote_id,
            means,
            currency,
            amount,
            usd,
            months,
            cluster: cluster_id,
            chart: chart_name,
            limits: Limits { cpu: cpu_limit, mem: mem_limit, storage: storage_limit },
            auto_renewal,
            failure,
            action_url,
            binding,
            previous: previous_id,
            payment: payment_id,
            transaction: transaction_id,
            paid_at,
            next_step_at,
        }
    }
}

fn deposit_again_until(prepayment: &Prepayment) -> Option<DateTime<Utc>> {
    match prepayment.means {
        Means::Deposit { again_until, .. } => again_until,
        Means::Card(_) => None,
    }
}

/// The prepayments that hold these offers.
pub async fn prepayment_of_quotes(conn: Conn<'_>, quotes: &[OwnedId]) -> Result<Vec<Prepayment>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<Prepayment>("t."));
    let statement = list::each_key(select, quotes).sql(
        "(SELECT * FROM prepayments t WHERE t.account_id = k.account_id AND t.quote_id = k.id AND t.status NOT IN ('FAILED', 'REFUNDED') \
         LIMIT 1) t",
    );
    rows::<Prepayment>(conn, statement).await
}

/// The prepayments that renew these.
pub async fn prepayment_renewals(
    conn: Conn<'_>,
    previous: &[OwnedId],
) -> Result<Vec<Prepayment>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<Prepayment>("t."));
    let statement = list::each_key(select, previous).sql(
        "(SELECT * FROM prepayments t WHERE t.account_id = k.account_id AND t.previous_id = k.id \
         ORDER BY t.id DESC LIMIT 100) t",
    );
    rows::<Prepayment>(conn, statement).await
}

/// The prepayments whose tokens go to these addresses.
pub async fn prepayment_of_addresses(
    conn: Conn<'_>,
    addresses: &[AddressOf],
) -> Result<Vec<Prepayment>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<Prepayment>("t."));
    let statement = each_address(select, addresses).sql(
        "(SELECT * FROM prepayments t WHERE t.account_id = k.account_id AND t.deposit_address = k.address LIMIT 1) t",
    );
    rows::<Prepayment>(conn, statement).await
}

/// Prepayments that jobs have to look at by `due.now`, those that have waited longest first.
pub async fn prepayment_due(conn: Conn<'_>, due: &DuePage) -> Result<Vec<Prepayment>, StoreError> {
    let statement = list::due_after(select_from::<Prepayment>("prepayments").sql(" WHERE "), due);
    rows::<Prepayment>(conn, statement).await
}

/// What a list of prepayments is narrowed by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrepaymentFilter {
    pub status: Option<PrepaymentStatus>,
}

impl Narrow for PrepaymentFilter {
    fn kept<ST>(&self, _: Scope, statement: Statement<ST>) -> Statement<ST> {
        match self.status {
            Some(status) => statement.sql(" AND t.status = ").value::<Text, _>(status.code()),
            None => statement,
        }
    }

    fn is_walked(&self, _: Scope) -> bool {
        self.status.is_some()
    }
}

written!(Table<Prepayment>, |conn, rows, seals| prepayment_put(conn, rows, seals));

/// Keeps prepayments, or what has changed of them.
async fn prepayment_put(
    conn: Conn<'_>,
    prepayments: &Table<Prepayment>,
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    // Offers are given up before others take them.
    let (before, after): (Vec<_>, Vec<_>) = prepayments
        .values()
        .cloned()
        .partition(|prepayment: &Arc<Prepayment>| !prepayment.status.holds_offer());
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
    let columns = Prepayment::columns(prepayments.iter().map(Arc::as_ref))
        .put::<table::seal, _>(prepayments.iter().map(|p| seals.seal(&**p)));
    columns.insert_into("prepayments").sql(
        " ON CONFLICT (account_id, id) DO UPDATE SET status = excluded.status, auto_renewal = excluded.auto_renewal, \
         deposit_again_until = excluded.deposit_again_until, failure = excluded.failure, action_url = excluded.action_url, app_id = excluded.app_id, \
         icon_url = excluded.icon_url, project_name = excluded.project_name, start_time = excluded.start_time, \
         end_time = excluded.end_time, payment_id = excluded.payment_id, transaction_id = excluded.transaction_id, \
         paid_at = excluded.paid_at, next_step_at = excluded.next_step_at, seal = excluded.seal",
    )
}
