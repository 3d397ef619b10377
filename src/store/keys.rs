//! Idempotency keys, with the answers that they hold.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use super::error::StoreError;
use super::schema::idempotency_keys as table;
use super::seals::Sealer;
use super::sql::row::{WriteRow, row, select_list};
use super::sql::statement::{Columns, Statement};
use super::{Conn, execute, rows};
use crate::domain::account::Hash;
use crate::domain::idempotency::{IdempotencyRecord, KeyRow, OutcomeIds};
use crate::domain::ids::{
    AccountId, ApprovalId, BillId, OrderId, PaymentId, PrepaymentId, PriceRuleId, TransactionId,
};
use crate::domain::mutation::Mutation;

row! {
    idempotency_keys => KeyRow as k {
        kept {
            account_id: AccountId = k.0,
            key: String = k.1.key,
            mutation: Mutation = k.1.mutation,
            fingerprint: Hash = k.1.fingerprint,
            transaction_id: Option<TransactionId> = k.1.made.transaction,
            order_id: Option<OrderId> = k.1.made.order,
            bill_id: Option<BillId> = k.1.made.bill,
            created_at: DateTime<Utc> = k.1.created_at,
        }
        read {
            payment_id: Option<PaymentId>,
            prepayment_id: Option<PrepaymentId>,
            approval_id: Option<ApprovalId>,
            created: Option<Vec<String>>,
        }
    }
    {
        let made = OutcomeIds {
            transaction: transaction_id,
            order: order_id,
            bill: bill_id,
            payment: payment_id,
            prepayment: prepayment_id,
            approval: approval_id,
            created: created.unwrap_or_default(),
        };
        (account_id, IdempotencyRecord { key, mutation, fingerprint, made, created_at })
    }
}

/// The answers that these keys of these accounts hold; the two arrays go together.
pub async fn answer_by_keys(
    conn: Conn<'_>,
    accounts: Vec<i64>,
    keys: Vec<String>,
) -> Result<Vec<(AccountId, IdempotencyRecord)>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<KeyRow>("t."));
    rows::<KeyRow>(conn, of_keys(select, "idempotency_keys", accounts, keys)).await
}

/// Selects from the rows `t` of a table that these keys of these accounts have.
fn of_keys<T>(
    select: Statement<T>,
    table: &'static str,
    accounts: Vec<i64>,
    keys: Vec<String>,
) -> Statement<T> {
    let keys = Columns::new().accounts(accounts.into_iter()).column::<Text, _>("key", keys.into_iter());
    keys.after(select.sql(" FROM "), "k")
        .sql(" CROSS JOIN LATERAL (SELECT * FROM ")
        .sql(table)
        .sql(" t WHERE t.account_id = k.account_id AND t.key = k.key LIMIT 1) t")
}

pub async fn answer_insert(
    conn: Conn<'_>,
    answers: &[(AccountId, IdempotencyRecord)],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    if answers.is_empty() {
        return Ok(());
    }
    execute(conn, kept_columns(answers, seals).insert_into("idempotency_keys")).await.map(drop)
}

/// Keeps the one key of what is written beside the engine.
pub async fn answer_insert_one(
    conn: Conn<'_>,
    answer: &(AccountId, IdempotencyRecord),
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let columns = kept_columns(std::slice::from_ref(answer), seals);
    execute(conn, columns.insert_row_into("idempotency_keys")).await.map(drop)
}

fn kept_columns(answers: &[(AccountId, IdempotencyRecord)], seals: &Sealer<'_>) -> Columns {
    let columns = KeyRow::columns(answers.iter())
        .put::<table::seal, _>(answers.iter().map(|answer| seals.seal(answer)));
    // Most batches have none.
    let is_rare = |a: &IdempotencyRecord| {
        let OutcomeIds { payment, prepayment, approval, created, .. } = &a.made;
        payment.is_some() || prepayment.is_some() || approval.is_some() || !created.is_empty()
    };
    if !answers.iter().any(|(_, answer)| is_rare(answer)) {
        return columns;
    }
    columns
        .put::<table::payment_id, _>(answers.iter().map(|(_, a)| a.made.payment))
        .put::<table::prepayment_id, _>(answers.iter().map(|(_, a)| a.made.prepayment))
        .put::<table::approval_id, _>(answers.iter().map(|(_, a)| a.made.approval))
        .put::<table::created, _>(answers.iter().map(|(_, a)| kept(&a.made.created)))
}

/// Of most nothing.
fn kept(created: &Vec<String>) -> Option<&Vec<String>> {
    Some(created).filter(|created| !created.is_empty())
}

/// Writes what keys hold instead of what they held: what has come of what waited.
pub async fn answer_change(
    conn: Conn<'_>,
    answers: &[(AccountId, IdempotencyRecord)],
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    if answers.is_empty() {
        return Ok(());
    }
    let columns = Columns::new()
        .put::<table::account_id, _>(answers.iter().map(|(account, _)| account))
        .put::<table::key, _>(answers.iter().map(|(_, a)| &a.key))
        .put::<table::transaction_id, _>(answers.iter().map(|(_, a)| a.made.transaction))
        .put::<table::payment_id, _>(answers.iter().map(|(_, a)| a.made.payment))
        .put::<table::prepayment_id, _>(answers.iter().map(|(_, a)| a.made.prepayment))
        .put::<table::seal, _>(answers.iter().map(|answer| seals.seal(answer)));
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
    .accounts(accounts)
    .sql(", ")
    .keys::<Text, _>(keys)
    .sql(
        ") k (account_id, key) ON CONFLICT (account_id, key) DO UPDATE SET refused_at = excluded.refused_at",
    );
    execute(conn, statement).await.map(drop)
}

/// Forgets keys that were refused long ago; whether there may be more of them. A cluster lets nobody hold what is found on several of its
/// nodes.
pub async fn refused_forget(mut conn: Conn<'_>, on_shards: bool) -> Result<bool, StoreError> {
    let before = Statement::<Timestamptz>::new("SELECT clock_timestamp() - make_interval(mins => ")
        .bigint(REFUSED_MINUTES)
        .sql("::int)");
    let before: DateTime<Utc> = before.get_result(&mut conn).await?;
    let statement = Statement::new("DELETE FROM refused_keys WHERE refused_at < ")
        .instant(before)
        .sql(" AND (account_id, key) IN (SELECT account_id, key FROM refused_keys WHERE refused_at < ")
        .instant(before)
        .sql(" ORDER BY refused_at LIMIT ")
        .bigint(FORGOTTEN_AT_ONCE)
        // One that is being refused again is kept, and, where that can be said, not waited for.
        .sql(if on_shards { ")" } else { " FOR UPDATE SKIP LOCKED)" });
    let forgotten = execute(conn, statement).await?;
    Ok(i64::try_from(forgotten).is_ok_and(|forgotten| forgotten >= FORGOTTEN_AT_ONCE))
}

/// The price rules that a key set or ended before what a key makes was kept (and sealed) as ids of any kind.
pub async fn price_rules_of_key(
    mut conn: Conn<'_>,
    owner: AccountId,
    key: &str,
) -> Result<Vec<String>, StoreError> {
    let statement = Statement::<Nullable<Array<BigInt>>>::new(
        "SELECT price_rule_ids FROM idempotency_keys WHERE account_id = ",
    )
    .bigint(owner.0)
    .sql(" AND key = ")
    .text(key.to_owned());
    let found: Vec<Option<Vec<i64>>> = statement.load(&mut conn).await?;
    Ok(found.into_iter().flatten().flatten().map(|id| PriceRuleId(id).to_string()).collect())
}
