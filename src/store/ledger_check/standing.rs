//! How far the check of the whole ledger has come, what it has found, and where ledgers ended when it looked.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use super::Report;
use crate::domain::account::Hash;
use crate::domain::ids::AccountId;
use crate::domain::seal::{SealKeys, Sealed, Sealing};
use crate::store::accounts::account_range::Range;
use crate::store::error::StoreError;
use crate::store::sql::row::answered;
use crate::store::sql::statement::{Columns, Statement};
use crate::store::{Conn, execute, rows};

/// Where an account's ledger ended when it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub account: AccountId,
    pub seq: i64,
    pub hash: Hash,
    pub noted_at: DateTime<Utc>,
}

impl Sealed for Checkpoint {
    const KIND: &'static str = "checkpoint";

    fn owner(&self) -> AccountId {
        self.account
    }

    fn name(&self) -> String {
        self.account.to_string()
    }

    fn tell(&self, to: &mut Sealing) {
        let Self { account, seq, hash, noted_at } = self;
        to.integer(account.0);
        to.integer(*seq);
        to.bytes(hash);
        to.instant(*noted_at);
    }
}

/// A checkpoint as it is kept.
pub(super) struct SealedCheckpoint {
    pub checkpoint: Checkpoint,
    pub seal: Vec<u8>,
}

answered! {
    SealedCheckpoint {
        account: AccountId as BigInt,
        seq: i64 as BigInt,
        hash: Vec<u8> as Binary,
        noted_at: DateTime<Utc> as Timestamptz,
        seal: Vec<u8> as Binary,
    }
    {
        // A hash of another length is none that was sealed.
        let hash = Hash::try_from(hash.as_slice()).unwrap_or_default();
        Self { checkpoint: Checkpoint { account, seq, hash, noted_at }, seal }
    }
}

/// The checkpoints of a range of accounts.
pub(super) async fn checkpoints(conn: Conn<'_>, range: Range) -> Result<Vec<SealedCheckpoint>, StoreError> {
    let statement = Statement::new(
        "SELECT account_id, seq, hash, noted_at, seal FROM ledger_checkpoints WHERE account_id",
    );
    rows::<SealedCheckpoint>(conn, range.restrict(statement)).await
}

/// Notes where the ledgers of accounts end with which nothing is wrong.
pub async fn note_checkpoints(
    conn: Conn<'_>,
    report: &Report,
    now: DateTime<Utc>,
    keys: &SealKeys,
) -> Result<(), StoreError> {
    let sound =
        report.accounts.values().filter(|account| account.head.seq > 0 && report.is_sound(account.id));
    let checkpoint = |account: &crate::domain::account::Account| Checkpoint {
        account: account.id,
        seq: account.head.seq,
        hash: account.head.hash,
        noted_at: now,
    };
    let noted: Vec<Checkpoint> = sound.map(checkpoint).collect();
    if noted.is_empty() {
        return Ok(());
    }
    let statement = Columns::new()
        .column::<BigInt, _>("account_id", noted.iter().map(|c| c.account.0))
        .column::<BigInt, _>("seq", noted.iter().map(|c| c.seq))
        .column::<Binary, _>("hash", noted.iter().map(|c| c.hash.to_vec()))
        .column::<Timestamptz, _>("noted_at", noted.iter().map(|c| c.noted_at))
        .column::<Binary, _>("seal", noted.iter().map(|c| keys.seal(c)))
        .insert_into("ledger_checkpoints")
        .sql(
            " ON CONFLICT (account_id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, noted_at = excluded.noted_at, \
             seal = excluded.seal",
        );
    execute(conn, statement).await.map(drop)
}

/// Where the check of the whole ledger stopped the last time.
pub async fn check_position(mut conn: Conn<'_>) -> Result<AccountId, StoreError> {
    let statement = Statement::<BigInt>::new("SELECT last_account_id FROM ledger_check_position");
    let found: Vec<i64> = statement.load(&mut conn).await?;
    Ok(AccountId(found.into_iter().next().unwrap_or_default()))
}

pub async fn set_check_position(conn: Conn<'_>, position: AccountId) -> Result<(), StoreError> {
    let statement = Statement::new("UPDATE ledger_check_position SET last_account_id = ").bigint(position.0);
    execute(conn, statement).await.map(drop)
}

/// How far the check by and by has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// All accounts up to this one were looked at in this round; zero between two rounds.
    pub checked_to: AccountId,
    pub round_began_at: Option<DateTime<Utc>>,
    /// When the last whole round ended.
    pub round_ended_at: Option<DateTime<Utc>>,
    /// Since when whatever is not sealed is a fault.
    pub all_sealed_at: Option<DateTime<Utc>>,
}

impl Progress {
    /// What both of two databases have come to.
    pub fn behind(&self, other: &Self) -> Self {
        let both = |one: Option<DateTime<Utc>>, other: Option<DateTime<Utc>>| Some((one?, other?));
        let slower = if other.round_ended_at < self.round_ended_at { other } else { self };
        Self {
            all_sealed_at: both(self.all_sealed_at, other.all_sealed_at).map(|(one, other)| one.max(other)),
            ..slower.clone()
        }
    }
}

answered! {
    Progress {
        checked_to: AccountId as BigInt,
        round_began_at: Option<DateTime<Utc>> as Nullable<Timestamptz>,
        round_ended_at: Option<DateTime<Utc>> as Nullable<Timestamptz>,
        all_sealed_at: Option<DateTime<Utc>> as Nullable<Timestamptz>,
    }
    Self { checked_to, round_began_at, round_ended_at, all_sealed_at }
}

pub async fn progress(conn: Conn<'_>) -> Result<Progress, StoreError> {
    let statement = Statement::new(
        "SELECT checked_to, round_began_at, round_ended_at, all_sealed_at FROM ledger_check_position",
    );
    let none = Progress {
        checked_to: AccountId(0),
        round_began_at: None,
        round_ended_at: None,
        all_sealed_at: None,
    };
    Ok(rows::<Progress>(conn, statement).await?.pop().unwrap_or(none))
}

/// Whether the last round has ended less than so many minutes ago, and no other has begun.
pub async fn is_just_over(mut conn: Conn<'_>, minutes: i32) -> Result<bool, StoreError> {
    let statement = Statement::<Bool>::new(
        "SELECT checked_to = 0 AND coalesce(round_ended_at > clock_timestamp() - make_interval(mins => ",
    )
    .value::<Integer, _>(minutes)
    .sql("), false) FROM ledger_check_position");
    let found: Vec<bool> = statement.load(&mut conn).await?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// Notes that all accounts up to one were looked at, if nobody else was faster; a round begins with the first.
pub async fn note_progress(conn: Conn<'_>, from: AccountId, checked_to: AccountId) -> Result<(), StoreError> {
    let statement = Statement::new(
        "UPDATE ledger_check_position SET round_began_at = CASE WHEN checked_to = 0 THEN clock_timestamp() \
         ELSE round_began_at END, checked_to = ",
    )
    .bigint(checked_to.0)
    .sql(" WHERE checked_to = ")
    .bigint(from.0);
    execute(conn, statement).await.map(drop)
}

/// Notes that a round is over: by now all rows are sealed.
pub async fn note_end_of_round(conn: Conn<'_>) -> Result<(), StoreError> {
    let statement = Statement::new(
        "UPDATE ledger_check_position SET checked_to = 0, round_ended_at = clock_timestamp(), \
         all_sealed_at = coalesce(all_sealed_at, clock_timestamp())",
    );
    execute(conn, statement).await.map(drop)
}

/// Keeps what was found of the accounts of a range in the place of what was found before; says what of it is new.
pub async fn note_faults(
    mut conn: Conn<'_>,
    range: Range,
    report: &Report,
) -> Result<Vec<(AccountId, String, String)>, StoreError> {
    let found = || report.faults.iter();
    let kinds = || found().map(|(_, fault)| fault.kind.to_owned()).collect::<Vec<String>>();
    let messages = || found().map(|(_, fault)| fault.message.clone()).collect::<Vec<String>>();
    let owners = || found().map(|(owner, _)| owner.0).collect::<Vec<i64>>();
    let gone = range
        .restrict(Statement::new("DELETE FROM ledger_faults WHERE account_id"))
        .sql(" AND (account_id, kind, message) NOT IN (SELECT * FROM UNNEST(")
        .value::<Array<BigInt>, _>(owners())
        .sql(", ")
        .value::<Array<Text>, _>(kinds())
        .sql(", ")
        .value::<Array<Text>, _>(messages())
        .sql("))");
    execute(conn, gone).await?;
    if report.faults.is_empty() {
        return Ok(Vec::new());
    }
    let new = Statement::<(BigInt, Text, Text)>::new(
        "INSERT INTO ledger_faults (account_id, kind, message, found_at) SELECT DISTINCT u.a, u.k, u.m, clock_timestamp() \
         FROM UNNEST(",
    )
    .keys::<BigInt, _>(owners())
    .sql(", ")
    .keys::<Text, _>(kinds())
    .sql(", ")
    .keys::<Text, _>(messages())
    .sql(") u (a, k, m) ON CONFLICT DO NOTHING RETURNING account_id, kind, message");
    let new: Vec<(i64, String, String)> = new.load(&mut conn).await?;
    Ok(new.into_iter().map(|(owner, kind, message)| (AccountId(owner), kind, message)).collect())
}

/// How many faults are known.
pub async fn faults_count(mut conn: Conn<'_>) -> Result<i64, StoreError> {
    Ok(Statement::<BigInt>::new("SELECT count(*) FROM ledger_faults").get_result(&mut conn).await?)
}
