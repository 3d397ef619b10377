//! What one operator asks for and another has to allow.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Numeric, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::error::StoreError;
use super::list::{self, DuePage, Found, Narrow, Owners, Page};
use super::rows::{ApprovalRow, select_list};
use super::seals::{self, Sealer};
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows};
use crate::domain::approval::{Approval, ApprovalState, PENDING_MAX};
use crate::domain::ids::{ApprovalId, OwnedId};
use crate::domain::seal::SealKeys;

pub async fn approval_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<Approval>, StoreError> {
    rows::<ApprovalRow>(conn, list::by_ids::<ApprovalRow>("approvals", ids)).await
}

/// Which of them are not what a server has sealed.
pub async fn approval_altered(
    conn: Conn<'_>,
    ids: &[OwnedId],
    keys: &SealKeys,
) -> Result<Vec<ApprovalId>, StoreError> {
    let altered = seals::not_whole::<ApprovalRow>(conn, keys, ids).await?;
    Ok(altered.into_iter().map(|approval| approval.id).collect())
}

/// What waits of each account: no more of it does.
pub async fn approval_pending(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<Approval>, StoreError> {
    let statement = Statement::new("SELECT ")
        .sql(select_list::<ApprovalRow>("t."))
        .sql(" FROM (SELECT DISTINCT UNNEST(")
        .value::<Array<BigInt>, _>(accounts)
        .sql(") AS id) a CROSS JOIN LATERAL (SELECT * FROM approvals t WHERE t.account_id = a.id AND t.state = 'PENDING' LIMIT ")
        .bigint(i64::try_from(PENDING_MAX).unwrap_or(i64::MAX))
        .sql(") t");
    rows::<ApprovalRow>(conn, statement).await
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
    fn along<ST>(&self, _: Owners, statement: Statement<ST>) -> Statement<ST> {
        match self {
            Some(state) => statement.sql(" AND t.state = ").value::<Text, _>(state.code()),
            None => statement,
        }
    }

    fn is_walked(&self, _: Owners) -> bool {
        false
    }
}

/// Everybody's, newest first.
pub async fn approval_list(
    conn: Conn<'_>,
    state: Option<ApprovalState>,
    page: &Page,
) -> Result<Found<Approval>, StoreError> {
    list::page::<ApprovalRow, _>(conn, "approvals", Owners::Everyone, page, &state).await
}

pub async fn approval_count(conn: Conn<'_>, state: Option<ApprovalState>) -> Result<i64, StoreError> {
    list::count(conn, "approvals", Owners::Everyone, &state).await
}

/// Keeps approvals, or what has become of them.
pub async fn approval_put(
    conn: Conn<'_>,
    approvals: &[Arc<Approval>],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", approvals.iter().map(|a| a.account().0))
        .column::<SqlUuid, _>("id", approvals.iter().map(|a| a.id.uuid()))
        .column::<Text, _>("mutation", approvals.iter().map(|a| a.mutation.code()))
        .column::<Text, _>("input", approvals.iter().map(|a| a.input.clone()))
        .column::<Text, _>("currency", approvals.iter().map(|a| a.money.currency.to_string()))
        .column::<Numeric, _>("amount", approvals.iter().map(|a| a.money.amount))
        .column::<Nullable<Text>, _>("key", approvals.iter().map(|a| a.key.clone()))
        .column::<Text, _>("asked_by", approvals.iter().map(|a| a.asked_by.clone()))
        .column::<Timestamptz, _>("asked_at", approvals.iter().map(|a| a.asked_at))
        .column::<Text, _>("state", approvals.iter().map(|a| a.state.code()))
        .column::<Nullable<Text>, _>("decided_by", approvals.iter().map(|a| a.decided_by.clone()))
        .column::<Nullable<Timestamptz>, _>("decided_at", approvals.iter().map(|a| a.decided_at))
        .column::<Nullable<Text>, _>("reason", approvals.iter().map(|a| a.reason.clone()))
        .column::<Nullable<Timestamptz>, _>("next_step_at", approvals.iter().map(|a| a.next_step_at))
        .column::<Nullable<Binary>, _>("seal", approvals.iter().map(|a| seals.seal(&**a)));
    let statement = columns.insert_into("approvals").sql(
        " ON CONFLICT (account_id, id) DO UPDATE SET state = excluded.state, decided_by = excluded.decided_by, \
         decided_at = excluded.decided_at, reason = excluded.reason, next_step_at = excluded.next_step_at, \
         seal = excluded.seal",
    );
    execute(conn, statement).await.map(drop)
}
