//! Idempotency keys, with the answers that they hold.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use super::error::StoreError;
use super::rows::{AnswerRow, select_list};
use super::seals::Sealer;
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows};
use crate::domain::idempotency::IdempotencyRecord;
use crate::domain::ids::{AccountId, ApprovalId, BillId, OrderId, PaymentId, PrepaymentId, TransactionId};

/// The answers that these keys of these accounts hold; the two arrays go together.
pub async fn answer_by_keys(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    keys: Vec<String>,
) -> Result<Vec<(AccountId, IdempotencyRecord)>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<AnswerRow>("t."));
    rows::<AnswerRow>(conn, of_keys(select, "idempotency_keys", accounts, keys)).await
}

/// Selects from the rows `t` of a table that these keys of these accounts have.
fn of_keys<T>(
    select: Statement<T>,
    table: &'static str,
    accounts: Vec<i64>,
    keys: Vec<String>,
) -> Statement<T> {
    select
        .sql(" FROM UNNEST(")
        .value::<Array<BigInt>, _>(accounts)
        .sql(", ")
        .value::<Array<Text>, _>(keys)
        .sql(") k (account_id, key) CROSS JOIN LATERAL (SELECT * FROM ")
        .sql(table)
        .sql(" t WHERE t.account_id = k.account_id AND t.key = k.key LIMIT 1) t")
}

pub async fn answer_insert(
    conn: Conn<'_>,
    answers: &[(AccountId, IdempotencyRecord)],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let mut columns = Columns::new()
        .column::<BigInt, _>("account_id", answers.iter().map(|(account, _)| account.0))
        .column::<Text, _>("key", answers.iter().map(|(_, a)| a.key.clone()))
        .column::<Text, _>("mutation", answers.iter().map(|(_, a)| a.mutation.code()))
        .column::<Binary, _>("fingerprint", answers.iter().map(|(_, a)| a.fingerprint.to_vec()))
        .column::<Nullable<SqlUuid>, _>(
            "transaction_id",
            answers.iter().map(|(_, a)| a.made.transaction.map(TransactionId::uuid)),
        )
        .column::<Nullable<SqlUuid>, _>(
            "order_id",
            answers.iter().map(|(_, a)| a.made.order.map(OrderId::uuid)),
        )
        .column::<Nullable<SqlUuid>, _>("bill_id", answers.iter().map(|(_, a)| a.made.bill.map(BillId::uuid)))
        .column::<Timestamptz, _>("created_at", answers.iter().map(|(_, a)| a.created_at))
        .column::<Nullable<Binary>, _>("seal", answers.iter().map(|answer| seals.seal(answer)));
    // Most batches have none.
    let is_rare = |a: &IdempotencyRecord| {
        a.made.payment.is_some() || a.made.prepayment.is_some() || a.made.approval.is_some()
    };
    if answers.iter().any(|(_, answer)| is_rare(answer)) {
        let payments = answers.iter().map(|(_, a)| a.made.payment.map(PaymentId::uuid));
        let prepayments = answers.iter().map(|(_, a)| a.made.prepayment.map(PrepaymentId::uuid));
        let approvals = answers.iter().map(|(_, a)| a.made.approval.map(ApprovalId::uuid));
        columns = columns
            .column::<Nullable<SqlUuid>, _>("payment_id", payments)
            .column::<Nullable<SqlUuid>, _>("prepayment_id", prepayments)
            .column::<Nullable<SqlUuid>, _>("approval_id", approvals);
    }
    execute(conn, columns.insert_into("idempotency_keys")).await.map(drop)
}

/// Writes what keys hold instead of what they held: what has come of what waited.
pub async fn answer_change(
    conn: Conn<'_>,
    answers: &[(AccountId, IdempotencyRecord)],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", answers.iter().map(|(account, _)| account.0))
        .column::<Text, _>("key", answers.iter().map(|(_, a)| a.key.clone()))
        .column::<Nullable<SqlUuid>, _>(
            "transaction_id",
            answers.iter().map(|(_, a)| a.made.transaction.map(TransactionId::uuid)),
        )
        .column::<Nullable<SqlUuid>, _>(
            "payment_id",
            answers.iter().map(|(_, a)| a.made.payment.map(PaymentId::uuid)),
        )
        .column::<Nullable<SqlUuid>, _>(
            "prepayment_id",
            answers.iter().map(|(_, a)| a.made.prepayment.map(PrepaymentId::uuid)),
        )
        .column::<Nullable<Binary>, _>("seal", answers.iter().map(|answer| seals.seal(answer)));
    execute(conn, columns.update("idempotency_keys", 2)).await.map(drop)
}

/// So long it is known of a key that it was refused: longer than any command waits.
const REFUSED_MINUTES: i64 = 10;
/// Rows that are forgotten at once.
const FORGOTTEN_AT_ONCE: i64 = 5_000;

/// Which of these keys of accounts were refused lately, and when, by the database's clock.
pub async fn refused_keys(
    mut conn: Conn<'_>,
    keys: Vec<(AccountId, String)>,
) -> Result<Vec<(AccountId, String, DateTime<Utc>)>, StoreError> {
    let (accounts, keys): (Vec<i64>, Vec<String>) =
        keys.into_iter().map(|(account, key)| (account.0, key)).unzip();
    let select = Statement::<(BigInt, Text, Timestamptz)>::new("SELECT t.account_id, t.key, t.refused_at");
    let statement = of_keys(select, "refused_keys", accounts, keys);
    let found: Vec<(i64, String, DateTime<Utc>)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(account, key, at)| (AccountId(account), key, at)).collect())
}

/// Notes that keys are refused now.
pub async fn refused_note(conn: Conn<'_>, keys: BTreeSet<(AccountId, String)>) -> Result<(), StoreError> {
    let (accounts, keys): (Vec<i64>, Vec<String>) =
        keys.into_iter().map(|(account, key)| (account.0, key)).unzip();
    let statement = Statement::new(
        "INSERT INTO refused_keys SELECT k.account_id, k.key, clock_timestamp() FROM UNNEST(",
    )
    .value::<Array<BigInt>, _>(accounts)
    .sql(", ")
    .value::<Array<Text>, _>(keys)
    .sql(
        ") k (account_id, key) ON CONFLICT (account_id, key) DO UPDATE SET refused_at = excluded.refused_at",
    );
    execute(conn, statement).await.map(drop)
}

/// Forgets keys that were refused long ago; whether there may be more of them.
pub async fn refused_forget(conn: Conn<'_>) -> Result<bool, StoreError> {
    let statement = Statement::new(
        "DELETE FROM refused_keys WHERE (account_id, key) IN (SELECT account_id, key FROM refused_keys \
         WHERE refused_at < clock_timestamp() - make_interval(mins => ",
    )
    .bigint(REFUSED_MINUTES)
    .sql("::int) ORDER BY refused_at LIMIT ")
    .bigint(FORGOTTEN_AT_ONCE)
    // One that is being refused again is kept, and not waited for.
    .sql(" FOR UPDATE SKIP LOCKED)");
    let forgotten = execute(conn, statement).await?;
    Ok(i64::try_from(forgotten).is_ok_and(|forgotten| forgotten >= FORGOTTEN_AT_ONCE))
}

/// The price rules that a key has set or ended.
pub async fn price_rules_of_key(mut conn: Conn<'_>, owner: i64, key: String) -> Result<Vec<i64>, StoreError> {
    let statement = Statement::<Nullable<Array<BigInt>>>::new(
        "SELECT price_rule_ids FROM idempotency_keys WHERE account_id = ",
    )
    .bigint(owner)
    .sql(" AND key = ")
    .text(key);
    let found: Vec<Option<Vec<i64>>> = statement.load(&mut conn).await?;
    Ok(found.into_iter().flatten().flatten().collect())
}

/// Keeps a key with the price rules that it has set or ended.
pub async fn price_rules_answer_insert(
    conn: Conn<'_>,
    owner: AccountId,
    answer: IdempotencyRecord,
    rules: Vec<i64>,
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let key = answer.key.clone();
    answer_insert(conn, &[(owner, answer)], seals).await?;
    let statement = Statement::new("UPDATE idempotency_keys SET price_rule_ids = ")
        .value::<Array<BigInt>, _>(rules)
        .sql(" WHERE account_id = ")
        .bigint(owner.0)
        .sql(" AND key = ")
        .text(key);
    execute(conn, statement).await.map(drop)
}
