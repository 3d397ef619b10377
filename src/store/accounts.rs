//! Accounts: read, locked, listed, created and changed.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Numeric, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use super::clock_check::AskedAt;
use super::error::StoreError;
use super::list::{COUNTED_MAX, Found, LOOKED_AT_MAX, Page, WALKED_FIRST, WALKED_MAX, countable};
use super::rows::{AccountRow, Row, select_list};
use super::seals::{self, AltSeals, Sealer};
use super::statement::{Columns, Statement};
use super::{Conn, erasures, execute, open_invoices, rows, select_from};
use crate::domain::account::{Account, AccountKind, AccountStatus, Suspension};
use crate::domain::burst::{BurstState, Cycle};
use crate::domain::closing::Month;
use crate::domain::ids::AccountId;
use crate::domain::seal::SealKeys;
use crate::domain::viewer::Scope;

/// Locks accounts in the order of their ids and answers them as they are now. Those that another transaction holds are
/// left out, so that no one waits for them here. With the seals that are not whole, and the time of the database when the last was
/// locked; where the machine's clock is wrong it is an error.
pub async fn account_lock(
    mut conn: Conn<'_>,
    ids: Vec<i64>,
    keys: &SealKeys,
) -> Result<(Vec<Account>, AltSeals, Option<DateTime<Utc>>), StoreError> {
    let statement = Statement::<(<AccountRow as Row>::Sql, Nullable<Binary>, Timestamptz)>::new("SELECT ")
        .sql(select_list::<AccountRow>(""))
        .sql(", seal, clock_timestamp() FROM accounts WHERE id = ANY(")
        .value::<Array<BigInt>, _>(ids)
        .sql(") ORDER BY id FOR UPDATE SKIP LOCKED");
    let asked = AskedAt::now();
    let locked: Vec<(AccountRow, Option<Vec<u8>>, DateTime<Utc>)> = statement.load(&mut conn).await?;
    let time = locked.last().map(|(_, _, time)| *time);
    if let Some(time) = time {
        asked.require_right(time)?;
    }
    let (mut accounts, mut others) = (Vec::with_capacity(locked.len()), AltSeals::new());
    for (row, seal, _) in locked {
        let account = row.into_domain()?;
        let other = seals::other_seal(conn, keys, &account, seal.as_deref()).await?;
        others.extend(other.map(|other| (account.id, other)));
        accounts.push(account);
    }
    Ok((accounts, others, time))
}

/// An account as it is, whoever holds it; None: there is none. Where the machine's clock is wrong it is an error.
pub async fn account_as_is(mut conn: Conn<'_>, id: AccountId) -> Result<Option<Account>, StoreError> {
    let statement = Statement::<(<AccountRow as Row>::Sql, Timestamptz)>::new("SELECT ")
        .sql(select_list::<AccountRow>(""))
        .sql(", clock_timestamp() FROM accounts WHERE id = ")
        .bigint(id.0);
    let asked = AskedAt::now();
    let mut found: Vec<(AccountRow, DateTime<Utc>)> = statement.load(&mut conn).await?;
    let Some((row, time)) = found.pop() else { return Ok(None) };
    asked.require_right(time)?;
    row.into_domain().map(Some)
}

/// Waits for an account, and holds it to the end of the transaction.
pub async fn account_hold(conn: Conn<'_>, id: AccountId) -> Result<(), StoreError> {
    let statement = Statement::new("SELECT FROM accounts WHERE id = ").bigint(id.0).sql(" FOR UPDATE");
    execute(conn, statement).await.map(drop)
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
        .column::<Nullable<Timestamptz>, _>("closed_until", accounts.iter().map(|a| a.closed_until))
        .column::<Nullable<Binary>, _>("seal", accounts.iter().map(|a| seals.seal(a)));
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
    let columns = if with_settings { settings(columns, accounts) } else { columns };
    execute(conn, columns.update("accounts", 1)).await.map(drop)
}

/// What few commands change: what operators set, and what hangs on suspensions and orders on demand.
fn settings(columns: Columns, accounts: &[Account]) -> Columns {
    columns
        .column::<Text, _>("name", accounts.iter().map(|a| a.name.clone()))
        .column::<Nullable<Text>, _>("external_id", accounts.iter().map(|a| a.external_id.clone()))
        .column::<Text, _>("time_zone", accounts.iter().map(|a| a.time_zone.name()))
        .column::<Nullable<Text>, _>(
            "manager_name",
            accounts.iter().map(|a| Some(a.manager.as_ref()?.name.clone())),
        )
        .column::<Nullable<Text>, _>(
            "manager_email",
            accounts.iter().map(|a| a.manager.as_ref()?.email.clone()),
        )
        .column::<Nullable<Numeric>, _>("credit_limit", accounts.iter().map(|a| a.credit_limit))
        .column::<Nullable<Timestamptz>, _>("closed_at", accounts.iter().map(|a| a.closed_at))
        .column::<Nullable<Timestamptz>, _>("erased_at", accounts.iter().map(|a| a.erased_at))
        .column::<Nullable<Timestamptz>, _>("suspended_at", accounts.iter().map(|a| a.suspended_at))
        .column::<Nullable<Timestamptz>, _>(
            "suspension_held_until",
            accounts.iter().map(|a| a.suspension_held_until),
        )
        .column::<Numeric, _>("on_demand_rate", accounts.iter().map(|a| a.on_demand_rate))
}

/// Those of the accounts that have SUB accounts which are not closed.
pub async fn account_with_open_subs(mut conn: Conn<'_>, ids: Vec<i64>) -> Result<Vec<AccountId>, StoreError> {
    let statement = Statement::<BigInt>::new(
        "SELECT DISTINCT parent_id FROM accounts WHERE status <> 'CLOSED' AND parent_id = ANY(",
    )
    .value::<Array<BigInt>, _>(ids)
    .sql(")");
    let found: Vec<i64> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(AccountId).collect())
}

/// Those of the accounts whose MAIN account is closed.
pub async fn account_of_closed_parents(
    mut conn: Conn<'_>,
    ids: Vec<i64>,
) -> Result<Vec<AccountId>, StoreError> {
    let statement = Statement::<BigInt>::new(
        "SELECT a.id FROM accounts a JOIN accounts p ON p.id = a.parent_id \
         WHERE p.status = 'CLOSED' AND a.id = ANY(",
    )
    .value::<Array<BigInt>, _>(ids)
    .sql(")");
    let found: Vec<i64> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(AccountId).collect())
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
    fn is_walked(&self) -> bool {
        self.status.is_some() || self.kind.is_some() || self.search.is_some()
    }

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
) -> Result<Found<Account, AccountCursor>, StoreError> {
    // A family is not large.
    if scope != Scope::All || !filter.is_walked() {
        return Ok(Found::whole(account_page(conn, scope, filter, page).await?));
    }
    let mut found = Found::whole(Vec::new());
    for walk in [WALKED_FIRST, WALKED_MAX] {
        let last = last_walked(conn, filter, page, walk).await?;
        let within = match (last, page.from_oldest) {
            (None, _) => page.clone(),
            (Some((at, AccountId(id))), true) => {
                Page { after: Some((at, AccountId(id.saturating_add(1)))), ..page.clone() }
            }
            (Some((at, AccountId(id))), false) => {
                Page { before: Some((at, AccountId(id.saturating_sub(1)))), ..page.clone() }
            }
        };
        found = Found::whole(account_page(conn, scope, filter, &within).await?);
        if last.is_none() || i64::try_from(found.rows.len()).is_ok_and(|count| count >= page.limit) {
            return Ok(found);
        }
        found.stopped_at = last;
    }
    Ok(found)
}

/// The account at which a walk of so many ends, if there are as many.
async fn last_walked(
    mut conn: Conn<'_>,
    filter: &AccountFilter,
    page: &Page<AccountCursor>,
    walk: i64,
) -> Result<Option<AccountCursor>, StoreError> {
    let all = AccountFilter { parent: filter.parent, ..AccountFilter::default() };
    let from = Statement::<(Timestamptz, BigInt)>::new("SELECT created_at, id FROM accounts");
    let statement = within_page(all.restrict(Scope::All, from), page)
        .sql(in_order(page))
        .sql("1 OFFSET ")
        .bigint(walk.saturating_sub(1));
    let found: Vec<(DateTime<Utc>, i64)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().next().map(|(at, id)| (at, AccountId(id))))
}

fn within_page<ST>(mut statement: Statement<ST>, page: &Page<AccountCursor>) -> Statement<ST> {
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
    statement
}

fn in_order(page: &Page<AccountCursor>) -> &'static str {
    if page.from_oldest {
        " ORDER BY created_at, id LIMIT "
    } else {
        " ORDER BY created_at DESC, id DESC LIMIT "
    }
}

async fn account_page(
    conn: Conn<'_>,
    scope: Scope,
    filter: &AccountFilter,
    page: &Page<AccountCursor>,
) -> Result<Vec<Account>, StoreError> {
    let statement = within_page(filter.restrict(scope, select_from::<AccountRow>("accounts")), page);
    let statement = statement.sql(in_order(page)).bigint(page.limit).sql(" OFFSET ").bigint(page.offset);
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
    let most = if filter.is_walked() { LOOKED_AT_MAX } else { COUNTED_MAX };
    let all = AccountFilter { parent: filter.parent, ..AccountFilter::default() };
    let looked_at =
        all.restrict(scope, Statement::<BigInt>::new("SELECT count(*) FROM (SELECT FROM accounts"));
    let looked_at = looked_at.sql(" LIMIT ").bigint(most.saturating_add(1)).sql(") t");
    countable(looked_at.get_result(&mut conn).await?, most)?;
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

/// What a SUB account of a MAIN account that is closed would be a violation of.
pub const PARENT_IS_OPEN: &str = "accounts_parent_is_open";

/// What a namespace that is taken is a violation of.
pub const NAMESPACE_IS_FREE: &str = "namespaces_pkey";

/// Makes an account; its number is given here. A namespace that is taken is a violation of `namespaces_pkey`, a parent that is
/// closed one of [`PARENT_IS_OPEN`].
pub async fn account_create(
    conn: &mut AsyncPgConnection,
    account: Account,
    keys: &SealKeys,
) -> Result<Account, StoreError> {
    conn.transaction(async |conn| {
        let conn: &AsyncPgConnection = conn;
        if let Some(parent) = account.parent {
            // Held, so that it is not closed meanwhile.
            account_hold(conn, parent).await?;
            let found = account_by_ids(conn, vec![parent.0]).await?;
            if found.iter().any(|parent| parent.status == AccountStatus::Closed) {
                let (constraint, message) =
                    (PARENT_IS_OPEN.to_owned(), "its MAIN account is closed".to_owned());
                return Err(StoreError::Rejected { constraint: Some(constraint), message });
            }
        }
        let number = Statement::<BigInt>::new("SELECT nextval('account_numbers')");
        let id: i64 = number.get_result(&mut &*conn).await?;
        let account = Account { id: AccountId(id), ..account };
        let namespace = Columns::new()
            .column::<Text, _>("namespace", std::iter::once(account.namespace.clone()))
            .column::<BigInt, _>("account_id", std::iter::once(id));
        execute(conn, namespace.insert_into("namespaces")).await?;
        // Asked for after it is taken: an erasure that is under way has come to its end by then.
        if erasures::is_given_up(conn, &account.namespace, keys).await? {
            let message = "it was an account's that was erased".to_owned();
            return Err(StoreError::Rejected { constraint: Some(NAMESPACE_IS_FREE.to_owned()), message });
        }
        execute(conn, account_insert(&account, &Sealer::of_new(keys))).await?;
        let month = Month::of(account.created_at, account.time_zone);
        let month = month.map_err(|error| StoreError::Internal(error.to_string()))?;
        open_invoices::open_begin(conn, account.id, month.start, month.end).await?;
        Ok(account)
    })
    .await
}

fn account_insert(account: &Account, seals: &Sealer<'_>) -> Statement {
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
        .column::<Nullable<Binary>, _>("seal", std::iter::once(seals.seal(account)))
        .insert_into("accounts")
}
