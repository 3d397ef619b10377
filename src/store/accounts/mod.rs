//! Accounts: read, locked, listed, created and changed.

pub mod account_creation;
pub mod account_list;
pub mod account_range;
pub mod account_zones;
pub mod suspensions;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use futures_util::try_join;
use rust_decimal::Decimal;

use crate::domain::account::{Account, AccountKind, AccountStatus, Hash, Head, Manager, Suspension};
use crate::domain::burst::{BurstState, Cycle};
use crate::domain::ids::AccountId;
use crate::domain::money::CurrencyCode;
use crate::domain::seal::SealKeys;
use crate::store::clock_check::AskedAt;
use crate::store::error::StoreError;
use crate::store::schema::accounts as table;
use crate::store::seals::{self, AltSeals, Sealer};
use crate::store::sql::row::{Fields, Read, WriteRow, row, select_list};
use crate::store::sql::statement::{Columns, Statement};
use crate::store::{Conn, execute, rows, select_from};

row! {
    accounts => Account as a {
        kept {
            id: AccountId = a.id,
            namespace: String = a.namespace,
            external_id: Option<String> = a.external_id,
            name: String = a.name,
            kind: AccountKind = a.kind,
            parent_id: Option<AccountId> = a.parent,
            status: AccountStatus = a.status,
            currency: CurrencyCode = a.currency,
            time_zone: Tz = a.time_zone,
            manager_name: Option<String> = a.manager.as_ref().map(|manager| manager.name.clone()),
            manager_email: Option<String> = a.manager.as_ref().and_then(|manager| manager.email.clone()),
            credit_limit: Option<Decimal> = a.credit_limit,
            created_at: DateTime<Utc> = a.created_at,
        }
        read {
            suspension: Option<Suspension>,
            balance: Decimal,
            overdrawn: bool,
            purchased: bool,
            last_no: i64,
            last_entry_seq: i64,
            last_entry_hash: Option<Hash>,
            last_entry_at: Option<DateTime<Utc>>,
            closed_until: Option<DateTime<Utc>>,
            closed_at: Option<DateTime<Utc>>,
            erased_at: Option<DateTime<Utc>>,
            suspended_at: Option<DateTime<Utc>>,
            suspension_held_until: Option<DateTime<Utc>>,
            on_demand_rate: Decimal,
            burst_cycle: Option<Cycle>,
            burst_rate: Option<Decimal>,
            burst_warned: bool,
        }
    }
    Self {
        id,
        namespace,
        external_id,
        name,
        kind,
        parent: parent_id,
        status,
        suspension,
        suspended_at,
        suspension_held_until,
        currency,
        time_zone,
        manager: manager_name.map(|name| Manager { name, email: manager_email }),
        credit_limit,
        balance,
        overdrawn,
        purchased,
        last_number: last_no,
        closed_until,
        closed_at,
        erased_at,
        on_demand_rate,
        burst: BurstState { cycle: burst_cycle, rate: burst_rate, warned: burst_warned },
        head: Head { seq: last_entry_seq, hash: last_entry_hash.unwrap_or_default(), time: last_entry_at },
        created_at,
    }
}

/// Locks accounts in the order of their ids and answers them as they are now. Those that another transaction holds are
/// left out, so that no one waits for them here. With the seals that are not whole, and the time of the database when the last was
/// locked; where the machine's clock is wrong it is an error.
pub async fn account_lock(
    conn: Conn<'_>,
    ids: Vec<i64>,
    keys: &SealKeys,
) -> Result<(Vec<Account>, AltSeals, Option<DateTime<Utc>>), StoreError> {
    let statement = Statement::new("SELECT ")
        .sql(select_list::<Account>(""))
        .sql(", seal, clock_timestamp() FROM accounts WHERE id = ANY(")
        .accounts(ids)
        .sql(") ORDER BY id FOR UPDATE SKIP LOCKED");
    let asked = AskedAt::now();
    let locked = rows::<LockedAccount>(conn, statement).await?;
    let time = locked.last().map(|locked| locked.at);
    if let Some(time) = time {
        asked.require_right(time)?;
    }
    let (mut accounts, mut others) = (Vec::with_capacity(locked.len()), AltSeals::new());
    for LockedAccount { account, seal, at: _ } in locked {
        let other = seals::other_seal(conn, keys, &account, seal.as_deref()).await?;
        others.extend(other.map(|other| (account.id, other)));
        accounts.push(account);
    }
    Ok((accounts, others, time))
}

/// An account that is held to the end of the transaction.
struct LockedAccount {
    account: Account,
    seal: Option<Vec<u8>>,
    /// When it was locked, by the database's clock.
    at: DateTime<Utc>,
}

impl Read for LockedAccount {
    fn read(fields: &mut Fields<'_>) -> diesel::deserialize::Result<Self> {
        let account = Account::read(fields)?;
        let seal = fields.column::<table::seal, _>()?;
        Ok(Self { account, seal, at: fields.value::<Timestamptz, _>()? })
    }
}

/// An account, and when it was as it is.
struct AccountAt(Account, DateTime<Utc>);

impl Read for AccountAt {
    fn read(fields: &mut Fields<'_>) -> diesel::deserialize::Result<Self> {
        Ok(Self(Account::read(fields)?, fields.value::<Timestamptz, _>()?))
    }
}

/// An account as it is, whoever holds it; None: there is none. Where the machine's clock is wrong it is an error.
pub async fn account_as_is(conn: Conn<'_>, id: AccountId) -> Result<Option<Account>, StoreError> {
    let statement = Statement::new("SELECT ")
        .sql(select_list::<Account>(""))
        .sql(", clock_timestamp() FROM accounts WHERE id = ")
        .bigint(id.0);
    let asked = AskedAt::now();
    let Some(AccountAt(account, time)) = rows::<AccountAt>(conn, statement).await?.pop() else {
        return Ok(None);
    };
    asked.require_right(time)?;
    Ok(Some(account))
}

/// Waits for an account, and holds it to the end of the transaction.
pub async fn account_hold(conn: Conn<'_>, id: AccountId) -> Result<(), StoreError> {
    let statement = Statement::new("SELECT 1 FROM accounts WHERE id = ").bigint(id.0).sql(" FOR UPDATE");
    execute(conn, statement).await.map(drop)
}

pub async fn account_insert(conn: Conn<'_>, account: &Account, seals: &Sealer<'_>) -> Result<(), StoreError> {
    let columns = Account::columns(std::iter::once(account))
        .put::<table::seal, _>(std::iter::once(seals.seal(account)));
    execute(conn, columns.insert_row_into("accounts")).await.map(drop)
}

/// Writes balances, the ends of ledgers and suspensions: what the engine changes of an account; `with_settings` also what few
/// commands change.
pub async fn account_post(
    conn: Conn<'_>,
    accounts: &[Account],
    with_settings: bool,
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let columns = Columns::new()
        .put::<table::id, _>(accounts.iter().map(|a| a.id))
        .put::<table::status, _>(accounts.iter().map(|a| a.status))
        .put::<table::suspension, _>(accounts.iter().map(|a| a.suspension))
        .put::<table::balance, _>(accounts.iter().map(|a| a.balance))
        .put::<table::overdrawn, _>(accounts.iter().map(|a| a.overdrawn))
        .put::<table::purchased, _>(accounts.iter().map(|a| a.purchased))
        .put::<table::last_no, _>(accounts.iter().map(|a| a.last_number))
        .put::<table::last_entry_seq, _>(accounts.iter().map(|a| a.head.seq))
        .put::<table::last_entry_hash, _>(accounts.iter().map(|a| Some(a.head.hash)))
        .put::<table::last_entry_at, _>(accounts.iter().map(|a| a.head.time))
        .put::<table::closed_until, _>(accounts.iter().map(|a| a.closed_until))
        .put::<table::seal, _>(accounts.iter().map(|a| seals.seal(a)));
    // What was never charged for burst has nothing to be written.
    let columns = if accounts.iter().all(|a| a.burst == BurstState::default()) {
        columns
    } else {
        columns
            .put::<table::burst_cycle, _>(accounts.iter().map(|a| a.burst.cycle))
            .put::<table::burst_rate, _>(accounts.iter().map(|a| a.burst.rate))
            .put::<table::burst_warned, _>(accounts.iter().map(|a| a.burst.warned))
    };
    if !with_settings {
        return execute(conn, columns.update("accounts", 1)).await.map(drop);
    }
    let posted = settings(columns, accounts).update("accounts", 1);
    try_join!(execute(conn, posted), account_zones::zones_note(conn, accounts.iter().map(|a| a.time_zone)))?;
    Ok(())
}

/// What few commands change: what operators set, and what hangs on suspensions and orders on demand.
fn settings(columns: Columns, accounts: &[Account]) -> Columns {
    columns
        .put::<table::name, _>(accounts.iter().map(|a| &a.name))
        .put::<table::external_id, _>(accounts.iter().map(|a| &a.external_id))
        .put::<table::time_zone, _>(accounts.iter().map(|a| a.time_zone))
        .put::<table::manager_name, _>(accounts.iter().map(|a| Some(&a.manager.as_ref()?.name)))
        .put::<table::manager_email, _>(accounts.iter().map(|a| a.manager.as_ref()?.email.clone()))
        .put::<table::credit_limit, _>(accounts.iter().map(|a| a.credit_limit))
        .put::<table::closed_at, _>(accounts.iter().map(|a| a.closed_at))
        .put::<table::erased_at, _>(accounts.iter().map(|a| a.erased_at))
        .put::<table::suspended_at, _>(accounts.iter().map(|a| a.suspended_at))
        .put::<table::suspension_held_until, _>(accounts.iter().map(|a| a.suspension_held_until))
        .put::<table::on_demand_rate, _>(accounts.iter().map(|a| a.on_demand_rate))
}

/// Those of the accounts that have SUB accounts which are not closed.
pub async fn account_with_open_subs(mut conn: Conn<'_>, ids: Vec<i64>) -> Result<Vec<AccountId>, StoreError> {
    let statement = Statement::<BigInt>::new(
        "SELECT DISTINCT parent_id FROM accounts WHERE status <> 'CLOSED' AND parent_id = ANY(",
    )
    .accounts(ids)
    .sql(")");
    let found: Vec<i64> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(AccountId).collect())
}

/// Those of the accounts whose MAIN account is closed. Both may lie apart, so it is looked for in two steps.
pub async fn account_of_closed_parents(
    mut conn: Conn<'_>,
    ids: Vec<i64>,
) -> Result<Vec<AccountId>, StoreError> {
    let subs = Statement::<(BigInt, BigInt)>::new(
        "SELECT id, parent_id FROM accounts WHERE parent_id IS NOT NULL AND id = ANY(",
    )
    .accounts(ids)
    .sql(")");
    let subs: Vec<(i64, i64)> = subs.load(&mut conn).await?;
    let closed = Statement::<BigInt>::new("SELECT id FROM accounts WHERE status = 'CLOSED' AND id = ANY(")
        .keys::<BigInt, _>(subs.iter().map(|(_, parent)| *parent).collect::<Vec<_>>())
        .sql(")");
    let closed: Vec<i64> = closed.load(&mut conn).await?;
    Ok(subs.into_iter().filter(|(_, parent)| closed.contains(parent)).map(|(id, _)| AccountId(id)).collect())
}

/// The accounts for which a suspension is no longer held off, those that have waited longest first, after where the last page
/// stopped.
pub async fn account_hold_due(
    mut conn: Conn<'_>,
    now: DateTime<Utc>,
    after: Option<(DateTime<Utc>, AccountId)>,
    limit: i64,
) -> Result<Vec<(AccountId, DateTime<Utc>)>, StoreError> {
    let (at, account) = after.unwrap_or((DateTime::<Utc>::UNIX_EPOCH, AccountId(0)));
    let statement = Statement::<(BigInt, Timestamptz)>::new(
        "SELECT id, suspension_held_until FROM accounts WHERE suspension_held_until <= ",
    )
    .instant(now)
    .sql(" AND (suspension_held_until, id) > (")
    .instant(at)
    .sql(", ")
    .bigint(account.0)
    .sql(") ORDER BY suspension_held_until, id LIMIT ")
    .bigint(limit);
    let found: Vec<(i64, DateTime<Utc>)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(id, at)| (AccountId(id), at)).collect())
}

/// When a suspension is no longer held off next, after `now`.
pub async fn hold_next_due(
    mut conn: Conn<'_>,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    let statement = Statement::<Nullable<Timestamptz>>::new(
        "SELECT min(suspension_held_until) FROM accounts WHERE suspension_held_until > ",
    )
    .instant(now);
    Ok(statement.get_result(&mut conn).await?)
}

pub async fn account_by_ids(conn: Conn<'_>, ids: Vec<i64>) -> Result<Vec<Account>, StoreError> {
    let statement =
        select_from::<Account>("accounts").sql(" WHERE id = ANY(").keys::<BigInt, _>(ids).sql(")");
    rows::<Account>(conn, statement).await
}

/// Which accounts these namespaces are.
pub async fn account_by_namespaces(
    mut conn: Conn<'_>,
    namespaces: Vec<String>,
) -> Result<Vec<(String, AccountId)>, StoreError> {
    let statement = Statement::<(Text, BigInt)>::new(
        "SELECT namespace, account_id FROM namespaces WHERE namespace = ANY(",
    )
    .keys::<Text, _>(namespaces)
    .sql(")");
    let found: Vec<(String, i64)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(namespace, account)| (namespace, AccountId(account))).collect())
}

/// The accounts that follow a number, in the order of their numbers.
pub async fn account_from(conn: Conn<'_>, after: AccountId, limit: i64) -> Result<Vec<Account>, StoreError> {
    let statement = select_from::<Account>("accounts")
        .sql(" WHERE id > ")
        .bigint(after.0)
        .sql(" ORDER BY id LIMIT ")
        .bigint(limit);
    rows::<Account>(conn, statement).await
}
