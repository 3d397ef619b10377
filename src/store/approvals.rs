//! What one operator asks for and another has to allow.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::Text;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::error::StoreError;
use super::list::{self, DuePage, Found, Narrow, Page};
use super::schema::approvals as table;
use super::seals::{self, Sealer};
use super::sql::row::{WriteRow, row, select_list};
use super::sql::statement::Statement;
use super::written::written;
use super::{Conn, execute, rows};
use crate::domain::approval::{Approval, ApprovalState, PENDING_MAX};
use crate::domain::book::Table;
use crate::domain::ids::{AccountId, ApprovalId, OwnedId};
use crate::domain::money::{CurrencyCode, Money};
use crate::domain::mutation::Mutation;
use crate::domain::seal::SealKeys;
use crate::domain::viewer::Scope;

row! {
    approvals => Approval as a {
        kept {
            id: ApprovalId = a.id,
            mutation: Mutation = a.mutation,
            input: String = a.input,
            currency: CurrencyCode = a.money.currency,
            amount: Decimal = a.money.amount,
            key: Option<String> = a.key,
            asked_by: String = a.asked_by,
            asked_at: DateTime<Utc> = a.asked_at,
            state: ApprovalState = a.state,
            decided_by: Option<String> = a.decided_by,
            decided_at: Option<DateTime<Utc>> = a.decided_at,
            reason: Option<String> = a.reason,
            next_step_at: Option<DateTime<Utc>> = a.next_step_at,
        }
        written {
            account_id: AccountId = a.account(),
        }
    }
    Self {
        id,
        mutation,
        input,
        money: Money::new(amount, currency),
        key,
        asked_by,
        asked_at,
        state,
        decided_by,
        decided_at,
        reason,
        next_step_at,
    }
}

pub async fn approval_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<Approval>, StoreError> {
    rows::<Approval>(conn, list::by_ids::<Approval>(ids)).await
}

/// Which of them are not what a server has sealed.
pub async fn approval_altered(
    conn: Conn<'_>,
    ids: &[OwnedId],
    keys: &SealKeys,
) -> Result<Vec<ApprovalId>, StoreError> {
    let altered = seals::not_whole::<Approval>(conn, keys, ids).await?;
    Ok(altered.into_iter().map(|approval| approval.id).collect())
}

/// What waits of each account: no more of it does.
pub async fn approval_pending(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<Approval>, StoreError> {
    let statement = Statement::new("SELECT ")
        .sql(select_list::<Approval>("t."))
        .sql(" FROM (SELECT DISTINCT UNNEST(")
        .accounts(accounts)
        .sql(") AS id) a CROSS JOIN LATERAL (SELECT * FROM approvals t WHERE t.account_id = a.id AND t.state = 'PENDING' LIMIT ")
        .bigint(i64::try_from(PENDING_MAX).unwrap_or(i64::MAX))
        .sql(") t");
    rows::<Approval>(conn, statement).await
}

/// What expires by `due.now`, what has waited longest first.
pub async fn approval_due(
    mut conn: Conn<'_>,
    due: &DuePage,
) -> Result<Vec<(ApprovalId, DateTime<Utc>)>, StoreError> {
    let found: Vec<(Uuid, DateTime<Utc>)> = list::due("approvals", due).load(&mut conn).await?;
    Ok(found.into_iter().map(|(id, at)| (ApprovalId(OwnedId::from_uuid(id)), at)).collect())
}

impl Narrow for Option<ApprovalState> {
    fn along<ST>(&self, _: Scope, statement: Statement<ST>) -> Statement<ST> {
        match self {
            Some(state) => statement.sql(" AND t.state = ").value::<Text, _>(state.code()),
            None => statement,
        }
    }

    fn is_walked(&self, _: Scope) -> bool {
        false
    }
}

/// Everybody's, newest first.
pub async fn approval_list(
    conn: Conn<'_>,
    state: Option<ApprovalState>,
    page: &Page,
) -> Result<Found<Approval>, StoreError> {
    list::page::<Approval, _>(conn, Scope::All, page, &state).await
}

pub async fn approval_count(conn: Conn<'_>, state: Option<ApprovalState>) -> Result<i64, StoreError> {
    list::count(conn, "approvals", Scope::All, &state).await
}

written!(Table<Approval>, |conn, rows, seals| approval_put(conn, rows, seals));

/// Keeps approvals, or what has become of them.
async fn approval_put(
    conn: Conn<'_>,
    approvals: &Table<Approval>,
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    if approvals.is_empty() {
        return Ok(());
    }
    let columns = Approval::columns(approvals.values().map(Arc::as_ref))
        .put::<table::seal, _>(approvals.values().map(|a| seals.seal(&**a)));
    let statement = columns.insert_into("approvals").sql(
        " ON CONFLICT (account_id, id) DO UPDATE SET state = excluded.state, decided_by = excluded.decided_by, \
         decided_at = excluded.decided_at, reason = excluded.reason, next_step_at = excluded.next_step_at, \
         seal = excluded.seal",
    );
    execute(conn, statement).await.map(drop)
}
