//! Accounts: read, locked, listed, created and changed.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Numeric, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use rust_decimal::Decimal;

use super::error::StoreError;
use super::list::Page;
use super::rows::{AccountRow, select_list};
use super::statement::{Columns, Statement};
use super::{Conn, execute, open_invoices, rows, select_from};
use crate::domain::account::{Account, AccountKind, AccountStatus, Suspension};
use crate::domain::burst::{BurstState, Cycle};
use crate::domain::closing::Month;
use crate::domain::ids::AccountId;
use crate::domain::viewer::Scope;

/// Locks accounts in the order of their ids and answers them as they are now. Those that another transaction holds are
/// left out, so that no one waits for them here.
pub async fn account_lock(conn: Conn<'_>, ids: Vec<i64>) -> Result<Vec<Account>, StoreError> {
    let statement = select_from::<AccountRow>("accounts")
        .sql(" WHERE id = ANY(")
        .value::<Array<BigInt>, _>(ids)
        .sql(") ORDER BY id FOR UPDATE SKIP LOCKED");
    rows::<AccountRow>(conn, statement).await
}

/// Waits for an account, and holds it to the end of the transaction.
pub async fn account_hold(conn: Conn<'_>, id: AccountId) -> Result<(), StoreError> {
    let statement = Statement::new("SELECT FROM accounts WHERE id = ").bigint(id.0).sql(" FOR UPDATE");
    execute(conn, statement).await.map(drop)
}

/// Writes balances, the ends of ledgers and suspensions: what the engine changes of an account.
pub async fn account_post(conn: Conn<'_>, accounts: &[Account]) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("id", accounts.iter().map(|a| a.id.0))
        .column::<Text, _>("status", accounts.iter().map(|a| a.status.code()))
        .column::<Nullable<Text>, _>(
            "suspension",
            accounts.iter().map(|a| a.suspension.map(Suspension::code)),
        )
        .column::<Numeric, _>("balance", accounts.iter().map(|a| a.balance))
        .column::<Bool, _>("overdrawn", accounts.iter().map(|a| a.overdrawn))
        .column::<Bool, _>("purchased", accounts.iter().map(|a| a.purchased))
        .column::<BigInt, _>("last_no", accounts.iter().map(|a| a.last_no))
        .column::<BigInt, _>("last_entry_seq", accounts.iter().map(|a| a.head.seq))
        .column::<Binary, _>("last_entry_hash", accounts.iter().map(|a| a.head.hash.to_vec()))
        .column::<Nullable<Timestamptz>, _>("last_entry_at", accounts.iter().map(|a| a.head.time))
        .column::<Nullable<Timestamptz>, _>("closed_until", accounts.iter().map(|a| a.closed_until));
    // What was never charged for burst has nothing to be written.
    let columns = if accounts.iter().all(|a| a.burst == BurstState::default()) {
        columns
    } else {
        columns
            .column::<Nullable<Integer>, _>(
                "burst_cycle",
                accounts.iter().map(|a| a.burst.cycle.map(Cycle::number)),
            )
            .column::<Nullable<Numeric>, _>("burst_rate", accounts.iter().map(|a| a.burst.rate))
            .column::<Bool, _>("burst_warned", accounts.iter().map(|a| a.burst.warned))
    };
    execute(conn, columns.update("accounts", 1)).await.map(drop)
}

pub async fn account_by_ids(conn: Conn<'_>, ids: Vec<i64>) -> Result<Vec<Account>, StoreError> {
    let statement =
        select_from::<AccountRow>("accounts").sql(" WHERE id = ANY(").value::<Array<BigInt>, _>(ids).sql(")");
    rows::<AccountRow>(conn, statement).await
}

/// Which accounts these namespaces are.
pub async fn account_by_namespaces(
    mut conn: Conn<'_>,
    namespaces: Vec<String>,
) -> Result<Vec<(String, AccountId)>, StoreError> {
    let statement = Statement::<(Text, BigInt)>::new(
        "SELECT namespace, account_id FROM namespaces WHERE namespace = ANY(",
    )
    .value::<Array<Text>, _>(namespaces)
    .sql(")");
    let found: Vec<(String, i64)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(namespace, account)| (namespace, AccountId(account))).collect())
}

/// What a list of accounts is narrowed by; conditions are joined by AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccountFilter {
    pub status: Option<AccountStatus>,
    pub kind: Option<AccountKind>,
    /// In the namespace or the name, anywhere, without regard to case.
    pub search: Option<String>,
    pub parent: Option<AccountId>,
}

impl AccountFilter {
    fn restrict<ST>(&self, scope: Scope, mut statement: Statement<ST>) -> Statement<ST> {
        statement = match scope {
            Scope::All => statement.sql(" WHERE true"),
            Scope::Family(own) => {
                statement.sql(" WHERE (id = ").bigint(own.0).sql(" OR parent_id = ").bigint(own.0).sql(")")
            }
            Scope::Nothing => statement.sql(" WHERE false"),
        };
        if let Some(status) = self.status {
            statement = statement.sql(" AND status = ").value::<Text, _>(status.code());
        }
        if let Some(kind) = self.kind {
            statement = statement.sql(" AND kind = ").value::<Text, _>(kind.code());
        }
        if let Some(parent) = self.parent {
            statement = statement.sql(" AND parent_id = ").bigint(parent.0);
        }
        if let Some(search) = &self.search {
            let pattern = like_anywhere(search);
            statement = statement
                .sql(" AND (namespace ILIKE ")
                .text(pattern.clone())
                .sql(" OR name ILIKE ")
                .text(pattern)
                .sql(")");
        }
        statement
    }
}

/// The LIKE pattern of a text that may stand anywhere.
pub(super) fn like_anywhere(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

/// Where an account stands in the list: by creation, then by number.
pub type AccountCursor = (chrono::DateTime<chrono::Utc>, AccountId);

pub async fn account_list(
    conn: Conn<'_>,
    scope: Scope,
    filter: &AccountFilter,
    page: &Page<AccountCursor>,
) -> Result<Vec<Account>, StoreError> {
    let mut statement = filter.restrict(scope, select_from::<AccountRow>("accounts"));
    for (cursor, older) in [(page.after, true), (page.before, false)] {
        if let Some((created_at, id)) = cursor {
            statement = statement
                .sql(if older { " AND (created_at, id) < (" } else { " AND (created_at, id) > (" })
                .instant(created_at)
                .sql(", ")
                .bigint(id.0)
                .sql(")");
        }
    }
    let order = if page.from_oldest {
        " ORDER BY created_at, id LIMIT "
    } else {
        " ORDER BY created_at DESC, id DESC LIMIT "
    };
    let statement = statement.sql(order).bigint(page.limit).sql(" OFFSET ").bigint(page.offset);
    let mut found = rows::<AccountRow>(conn, statement).await?;
    if page.from_oldest {
        found.reverse();
    }
    Ok(found)
}

pub async fn account_count(
    mut conn: Conn<'_>,
    scope: Scope,
    filter: &AccountFilter,
) -> Result<i64, StoreError> {
    let statement = filter.restrict(scope, Statement::<BigInt>::new("SELECT count(*) FROM accounts"));
    Ok(statement.get_result(&mut conn).await?)
}

/// The accounts that follow a number, in the order of their numbers.
pub async fn account_from(conn: Conn<'_>, after: AccountId, limit: i64) -> Result<Vec<Account>, StoreError> {
    let statement = select_from::<AccountRow>("accounts")
        .sql(" WHERE id > ")
        .bigint(after.0)
        .sql(" ORDER BY id LIMIT ")
        .bigint(limit);
    rows::<AccountRow>(conn, statement).await
}

/// Makes an account; its number is given here. A namespace that is taken is a violation of `namespaces_pkey`.
pub async fn account_create(conn: &mut AsyncPgConnection, account: Account) -> Result<Account, StoreError> {
    conn.transaction(async |conn| {
        let conn: &AsyncPgConnection = conn;
        let number = Statement::<BigInt>::new("SELECT nextval('account_numbers')");
        let id: i64 = number.get_result(&mut &*conn).await?;
        let account = Account { id: AccountId(id), ..account };
        let namespace = Columns::new()
            .column::<Text, _>("namespace", std::iter::once(account.namespace.clone()))
            .column::<BigInt, _>("account_id", std::iter::once(id));
        execute(conn, namespace.insert_into("namespaces")).await?;
        execute(conn, account_insert(&account)).await?;
        let month = Month::of(account.created_at, account.time_zone);
        let month = month.map_err(|error| StoreError::Internal(error.to_string()))?;
        open_invoices::open_begin(conn, account.id, month.start, month.end).await?;
        Ok(account)
    })
    .await
}

fn account_insert(account: &Account) -> Statement {
    let one = std::iter::once::<String>;
    let maybe = std::iter::once::<Option<String>>;
    Columns::new()
        .column::<BigInt, _>("id", std::iter::once(account.id.0))
        .column::<Text, _>("namespace", one(account.namespace.clone()))
        .column::<Nullable<Text>, _>("external_id", maybe(account.external_id.clone()))
        .column::<Text, _>("name", one(account.name.clone()))
        .column::<Text, _>("kind", std::iter::once(account.kind.code()))
        .column::<Nullable<BigInt>, _>("parent_id", std::iter::once(account.parent.map(|id| id.0)))
        .column::<Text, _>("status", std::iter::once(account.status.code()))
        .column::<Text, _>("currency", one(account.currency.to_string()))
        .column::<Text, _>("time_zone", std::iter::once(account.time_zone.name()))
        .column::<Nullable<Text>, _>("manager_name", maybe(account.manager.as_ref().map(|m| m.name.clone())))
        .column::<Nullable<Text>, _>(
            "manager_email",
            maybe(account.manager.as_ref().and_then(|m| m.email.clone())),
        )
        .column::<Nullable<Numeric>, _>("credit_limit", std::iter::once(account.credit_limit))
        .column::<Timestamptz, _>("created_at", std::iter::once(account.created_at))
        .insert_into("accounts")
}

/// What an operator may change of an account; None leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct AccountPatch {
    pub name: Option<String>,
    pub external_id: Option<String>,
    pub time_zone: Option<chrono_tz::Tz>,
    pub credit_limit: Option<Decimal>,
    pub status: Option<AccountStatus>,
    pub manager: Option<crate::domain::account::Manager>,
}

/// Changes an account's settings. A credit limit that the balance is below already is a violation of
/// `accounts_balance_within_limit`.
pub async fn account_update(
    conn: Conn<'_>,
    id: AccountId,
    patch: AccountPatch,
    now: DateTime<Utc>,
) -> Result<Option<Account>, StoreError> {
    let statement = Statement::new("UPDATE accounts SET name = coalesce(")
        .value::<Nullable<Text>, _>(patch.name)
        .sql(", name), external_id = coalesce(")
        .value::<Nullable<Text>, _>(patch.external_id)
        .sql(", external_id), time_zone = coalesce(")
        .value::<Nullable<Text>, _>(patch.time_zone.map(|zone| zone.name()))
        .sql(", time_zone), credit_limit = coalesce(")
        .value::<Nullable<Numeric>, _>(patch.credit_limit)
        .sql(", credit_limit), overdrawn = overdrawn AND balance < -coalesce(")
        .value::<Nullable<Numeric>, _>(patch.credit_limit)
        .sql(", credit_limit, 0), status = coalesce(")
        .value::<Nullable<Text>, _>(patch.status.map(AccountStatus::code))
        // A limit that holds the balance again lifts what was done because it did not.
        .sql(", CASE WHEN suspension = 'OVERDRAWN' AND balance >= -coalesce(")
        .value::<Nullable<Numeric>, _>(patch.credit_limit)
        .sql(", credit_limit, 0) THEN 'ACTIVE' ELSE status END), suspension = CASE WHEN ")
        .value::<Nullable<Text>, _>(patch.status.map(AccountStatus::code))
        .sql("::text IS NULL AND suspension = 'OVERDRAWN' AND balance >= -coalesce(")
        .value::<Nullable<Numeric>, _>(patch.credit_limit)
        .sql(", credit_limit, 0) THEN NULL ELSE CASE ")
        .value::<Nullable<Text>, _>(patch.status.map(AccountStatus::code))
        .sql("::text WHEN 'SUSPENDED' THEN 'OPERATOR' WHEN 'ACTIVE' THEN NULL WHEN 'CLOSED' THEN NULL ELSE suspension END END, closed_at = CASE ")
        .value::<Nullable<Text>, _>(patch.status.map(AccountStatus::code))
        .sql("::text WHEN 'CLOSED' THEN coalesce(closed_at, ")
        .instant(now)
        .sql(") WHEN 'ACTIVE' THEN NULL WHEN 'SUSPENDED' THEN NULL ELSE closed_at END, (manager_name, manager_email) = (SELECT CASE WHEN m.set THEN m.name ELSE manager_name END, \
              CASE WHEN m.set THEN m.email ELSE manager_email END FROM (SELECT ")
        .value::<Bool, _>(patch.manager.is_some())
        .sql(" AS set, ")
        .value::<Nullable<Text>, _>(patch.manager.as_ref().map(|m| m.name.clone()))
        .sql("::text AS name, ")
        .value::<Nullable<Text>, _>(patch.manager.and_then(|m| m.email))
        .sql("::text AS email) m) WHERE id = ")
        .bigint(id.0)
        .sql(" RETURNING ")
        .sql(select_list::<AccountRow>(""));
    Ok(rows::<AccountRow>(conn, statement).await?.pop())
}
