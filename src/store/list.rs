//! Pages of what accounts own, newest first.
//!
//! Ids begin with the instant (docs/adr/0002), so a page is a range of ids, and so is a window of time.

mod merging;
mod pages;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::error::StoreError;
use super::sql::row::{Row, select_list};
use super::sql::statement::{Columns, Statement};
use super::{Conn, select_from};
use crate::domain::account::AccountKind;
use crate::domain::closing::Month;
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::viewer::Scope;

pub use merging::merged;
pub(super) use pages::{Listing, WALKED_FIRST, WALKED_MAX, found_by_index, page, part_of_found};

/// Which part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<C = Uuid> {
    /// Only what is older than this one.
    pub after: Option<C>,
    /// Only what is newer than this one.
    pub before: Option<C>,
    /// How many, from the newest on; with `from_oldest` from the oldest on.
    pub limit: i64,
    pub from_oldest: bool,
    pub offset: i64,
}

impl<C> Page<C> {
    /// The newest `limit`.
    pub fn first(limit: i64) -> Self {
        Self { after: None, before: None, limit, from_oldest: false, offset: 0 }
    }

    pub(super) fn order(&self) -> &'static str {
        if self.from_oldest { "ASC" } else { "DESC" }
    }
}

/// A window of time, half-open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Window {
    pub from: Option<DateTime<Utc>>,
    pub to: Option<DateTime<Utc>>,
}

impl Window {
    /// Keeps the ids of what was made in it.
    pub(super) fn restrict<ST>(self, mut statement: Statement<ST>) -> Statement<ST> {
        if let Some(from) = self.from {
            statement = statement.sql(" AND t.id >= ").uuid(OwnedId::first_at(from).uuid());
        }
        if let Some(to) = self.to {
            statement = statement.sql(" AND t.id < ").uuid(OwnedId::first_at(to).uuid());
        }
        statement
    }
}

/// Keeps what accounts of a kind own.
pub(super) fn of_kind<ST>(statement: Statement<ST>, kind: AccountKind) -> Statement<ST> {
    statement
        .sql(" AND EXISTS (SELECT 1 FROM accounts k WHERE k.id = t.account_id AND k.kind = ")
        .value::<Text, _>(kind.code())
        .sql(")")
}

pub(super) fn restrict_to_page<ST>(mut statement: Statement<ST>, page: &Page) -> Statement<ST> {
    if let Some(after) = page.after {
        statement = statement.sql(" AND t.id < ").uuid(after);
    }
    if let Some(before) = page.before {
        statement = statement.sql(" AND t.id > ").uuid(before);
    }
    statement
}

/// Goes on, after a condition, to a page of rows `t` that are numbered and that no account owns.
pub(super) fn numbered_page<ST, C: Copy>(
    mut statement: Statement<ST>,
    page: &Page<C>,
    number: impl Fn(C) -> i64,
) -> Statement<ST> {
    if let Some(after) = page.after {
        statement = statement.sql(" AND t.id < ").bigint(number(after));
    }
    if let Some(before) = page.before {
        statement = statement.sql(" AND t.id > ").bigint(number(before));
    }
    statement
        .sql(format!(" ORDER BY t.id {} LIMIT ", page.order()))
        .bigint(page.limit)
        .sql(" OFFSET ")
        .bigint(page.offset)
}

/// What only lists over everybody's rows say: their indexes serve nobody else (docs/adr/0010).
pub(super) const OF_EVERYONE: &str = "t.account_id > 0";

/// What a list is narrowed by, as conditions on rows `t` that begin with AND.
pub(super) trait Narrow {
    /// What the index serves along which the rows are walked.
    fn along<ST>(&self, _: Scope, statement: Statement<ST>) -> Statement<ST> {
        statement
    }

    /// What each row on the way is looked at for.
    fn kept<ST>(&self, _: Scope, statement: Statement<ST>) -> Statement<ST> {
        statement
    }

    /// Whether rows are looked at that are not kept.
    fn is_walked(&self, scope: Scope) -> bool;
}

/// A list as it is.
impl Narrow for () {
    fn is_walked(&self, _: Scope) -> bool {
        false
    }
}

/// What was found for a page, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<T, C = Uuid> {
    pub rows: Vec<T>,
    /// Where the walk ended before the page was full: a cursor to go on from.
    pub stopped_at: Option<C>,
}

impl<T, C> Found<T, C> {
    /// What is all that there is for the page.
    pub fn whole(rows: Vec<T>) -> Self {
        Self { rows, stopped_at: None }
    }
}

/// A page's rows, newest first in any case.
pub(super) fn newest_first<T, C>(mut rows: Vec<T>, page: &Page<C>) -> Vec<T> {
    if page.from_oldest {
        rows.reverse();
    }
    rows
}

/// So many are counted at most, and so many looked at to count those that match.
pub const COUNTED_MAX: i64 = 5_000_000;
pub(super) const LOOKED_AT_MAX: i64 = 100_000;

/// How many rows of `table` a list has, over all pages.
pub(super) async fn count<N: Narrow>(
    mut conn: Conn<'_>,
    table: &'static str,
    scope: Scope,
    narrow: &N,
) -> Result<i64, StoreError> {
    let most = if narrow.is_walked(scope) { LOOKED_AT_MAX } else { COUNTED_MAX };
    // What is looked up for each row is looked up where it lies: a cluster does so beside the row, and not afterwards.
    let counted = Statement::<(BigInt, BigInt)>::new(
        "SELECT count(*) FILTER (WHERE t.is_kept), count(*) FROM (SELECT (true",
    );
    let counted = narrow.kept(scope, counted);
    let from = counted.sql(format!(") AS is_kept FROM {table} t WHERE "));
    let statement = narrow.along(scope, of_owners(from, scope)).sql(" LIMIT ").bigint(most.saturating_add(1));
    let (count, looked_at): (i64, i64) = statement.sql(") t").get_result(&mut conn).await?;
    countable(looked_at, most)?;
    Ok(count)
}

/// Refuses to say how many there are where more would have to be looked at than ever is.
pub fn countable(looked_at: i64, most: i64) -> Result<(), StoreError> {
    if looked_at <= most {
        return Ok(());
    }
    let message =
        format!("more than {most} would have to be looked at to count them: ask for less, or without it");
    Err(StoreError::TooMuch { argument: "totalCount", message })
}

/// The condition that rows `t` are of this scope.
pub(super) fn of_owners<ST>(select: Statement<ST>, scope: Scope) -> Statement<ST> {
    match scope {
        Scope::Catalogue => select.sql("true"),
        Scope::Nothing => select.sql("false"),
        Scope::All => select.sql(OF_EVERYONE),
        Scope::One(account) => select.sql("t.account_id = ").bigint(account.0),
        Scope::Family(main) => select
            .sql("t.account_id IN (SELECT id FROM accounts WHERE id = ")
            .bigint(main.0)
            .sql(" OR parent_id = ")
            .bigint(main.0)
            .sql(")"),
    }
}

/// The newest rows of each account.
pub(super) fn newest_of_each<R: Row>(accounts: Vec<i64>, limit: i64) -> Statement {
    let table = R::TABLE;
    Statement::new("SELECT ")
        .sql(select_list::<R>(""))
        .sql(format!(
            " FROM (SELECT l.* FROM accounts a CROSS JOIN LATERAL \
             (SELECT t.* FROM {table} t WHERE t.account_id = a.id ORDER BY t.id DESC LIMIT "
        ))
        .bigint(limit)
        .sql(") l WHERE a.id = ANY(")
        .accounts(accounts)
        .sql(")) t")
}

/// The newest rows of each account of several tables of the same columns.
pub(super) fn merged_newest_of_each<R: Row>(
    tables: &[&'static str],
    accounts: Vec<i64>,
    limit: i64,
) -> Statement {
    let mut statement = Statement::new("SELECT ")
        .sql(select_list::<R>(""))
        .sql(" FROM (SELECT l.* FROM accounts a CROSS JOIN LATERAL (SELECT t.* FROM (");
    for (index, table) in tables.iter().enumerate() {
        let union = if index == 0 { "" } else { " UNION ALL " };
        statement = statement
            .sql(format!(
                "{union}(SELECT t.* FROM {table} t WHERE t.account_id = a.id ORDER BY t.id DESC LIMIT "
            ))
            .bigint(limit)
            .sql(")");
    }
    statement
        .sql(") t ORDER BY t.id DESC LIMIT ")
        .bigint(limit)
        .sql(") l WHERE a.id = ANY(")
        .accounts(accounts)
        .sql(")) t")
}

/// Keys as the outer side of a look-up: accounts and ids, which no plan can turn around because of the LIMIT in what follows.
pub(super) fn each_key<ST>(select: Statement<ST>, ids: &[OwnedId]) -> Statement<ST> {
    let keys = Columns::new()
        .accounts(ids.iter().map(|id| id.account().0))
        .column::<SqlUuid, _>("id", ids.iter().map(|id| id.uuid()));
    keys.after(select.sql(" FROM "), "k").sql(" CROSS JOIN LATERAL ")
}

/// How many rows each account `a` has of what `counted` selects, as far as to `limit`.
pub async fn few_of_each(
    mut conn: Conn<'_>,
    accounts: Vec<i64>,
    counted: impl FnOnce(Statement<(BigInt, BigInt)>) -> Statement<(BigInt, BigInt)>,
    limit: usize,
) -> Result<Vec<(AccountId, usize)>, StoreError> {
    let statement = Statement::new("SELECT a.id, (SELECT count(*) FROM (").then(counted);
    let statement = statement
        .sql(" LIMIT ")
        .bigint(i64::try_from(limit).unwrap_or(i64::MAX))
        .sql(") t) FROM (SELECT DISTINCT UNNEST(")
        .accounts(accounts)
        .sql(") AS id) a");
    let found: Vec<(i64, i64)> = statement.load(&mut conn).await?;
    Ok(found
        .into_iter()
        .map(|(id, count)| (AccountId(id), usize::try_from(count).unwrap_or(limit)))
        .collect())
}

/// Windows of time of accounts as the outer side of a look-up, each with its place from 1.
pub(super) fn each_window<ST>(
    select: Statement<ST>,
    windows: impl Iterator<Item = (AccountId, Month)> + Clone,
) -> Statement<ST> {
    use diesel::sql_types::Timestamptz;
    let accounts: Vec<i64> = windows.clone().map(|(account, _)| account.0).collect();
    let starts: Vec<DateTime<Utc>> = windows.clone().map(|(_, month)| month.start).collect();
    let ends: Vec<DateTime<Utc>> = windows.map(|(_, month)| month.end).collect();
    select
        .sql(" FROM UNNEST(")
        .accounts(accounts)
        .sql(", ")
        .keys::<Timestamptz, _>(starts)
        .sql(", ")
        .keys::<Timestamptz, _>(ends)
        .sql(") WITH ORDINALITY k (account_id, start_time, end_time, place) CROSS JOIN LATERAL ")
}

/// Rows by id: found by (account_id, id).
pub(super) fn by_ids<R: Row>(ids: &[OwnedId]) -> Statement {
    let table = R::TABLE;
    each_key(Statement::new("SELECT ").sql(select_list::<R>("t.")), ids)
        .sql(format!("(SELECT * FROM {table} t WHERE t.account_id = k.account_id AND t.id = k.id LIMIT 1) t"))
}

/// The same as a cluster answers it whose shards have some each: every shard is asked for all. Each account is compared with each id, so
/// it is for pages.
pub(super) fn by_ids_anywhere<R: Row>(ids: &[OwnedId]) -> Statement {
    let accounts: Vec<i64> = ids.iter().map(|id| id.account().0).collect();
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    select_from::<R>(R::TABLE)
        .sql(" WHERE account_id = ANY(")
        .keys::<BigInt, _>(accounts)
        .sql(") AND id = ANY(")
        .keys::<diesel::sql_types::Uuid, _>(ids)
        .sql(")")
}

/// How many rows of `table` each of the accounts has, as far as they are counted and one more.
pub(super) async fn count_of_each(
    mut conn: Conn<'_>,
    table: &'static str,
    accounts: Vec<i64>,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let statement = Statement::<(BigInt, BigInt)>::new(format!(
        "SELECT a.id, (SELECT count(*) FROM (SELECT 1 FROM {table} t WHERE t.account_id = a.id LIMIT "
    ))
    .bigint(COUNTED_MAX.saturating_add(1))
    // What is looked up for each account is looked up where that lies.
    .sql(") t) FROM accounts a WHERE a.id = ANY(")
    .accounts(accounts)
    .sql(")");
    Ok(statement.load(&mut conn).await?)
}

/// What jobs have to look at by `now`, so many, after where the last page stopped.
#[derive(Debug, Clone, Copy)]
pub struct DuePage {
    pub now: DateTime<Utc>,
    pub after: Option<(DateTime<Utc>, OwnedId)>,
    pub limit: i64,
}

/// The ids of rows of `table` that are due, and when they were.
pub(super) fn due(
    table: &'static str,
    due: &DuePage,
) -> Statement<(diesel::sql_types::Uuid, diesel::sql_types::Timestamptz)> {
    due_after(Statement::new(format!("SELECT id, next_step_at FROM {table} WHERE ")), due)
}

/// Goes on with the condition of being due, and the order.
pub(super) fn due_after<ST>(select: Statement<ST>, due: &DuePage) -> Statement<ST> {
    let (at, account, id) = match due.after {
        Some((at, id)) => (at, id.account().0, id.uuid()),
        None => (DateTime::<Utc>::UNIX_EPOCH, 0, Uuid::nil()),
    };
    select
        .sql("next_step_at <= ")
        .instant(due.now)
        .sql(" AND (next_step_at, account_id, id) > (")
        .instant(at)
        .sql(", ")
        .bigint(account)
        .sql(", ")
        .uuid(id)
        .sql(") ORDER BY next_step_at, account_id, id LIMIT ")
        .bigint(due.limit)
}

/// When rows of `table` fall due next, after `now`.
pub(super) fn next_due(
    table: &'static str,
    now: DateTime<Utc>,
) -> Statement<diesel::sql_types::Nullable<diesel::sql_types::Timestamptz>> {
    Statement::new(format!("SELECT min(next_step_at) FROM {table} WHERE next_step_at > ")).instant(now)
}

/// The row of that printed number, among those that the account made on that day.
pub(super) fn by_number<ST>(
    select: Statement<ST>,
    account: AccountId,
    day: std::ops::Range<OwnedId>,
    number: &str,
) -> Statement<ST> {
    select
        .sql(" WHERE account_id = ")
        .bigint(account.0)
        .sql(" AND id >= ")
        .uuid(day.start.uuid())
        .sql(" AND id < ")
        .uuid(day.end.uuid())
        .sql(" AND number = ")
        .text(number.to_owned())
}
