//! A page of a list: read where an index serves all that narrows it, else walked for, no further than the bounds here
//! (docs/adr/0028).

use std::marker::PhantomData;

use diesel::sql_types::{Bool, Uuid as SqlUuid};
use uuid::Uuid;

use super::{Found, Narrow, Page, newest_first, of_owners, restrict_to_page};
use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::viewer::Scope;
use crate::store::error::StoreError;
use crate::store::sql::row::{Row, select_list};
use crate::store::sql::statement::Statement;
use crate::store::{Conn, rows};

/// So many rows are looked at for a page that is narrowed by more than an index serves: at first few, as most pages are full soon.
pub(in crate::store) const WALKED_FIRST: i64 = 2_000;
pub(in crate::store) const WALKED_MAX: i64 = 10_000;
/// Of the accounts of a family each is walked so far at least.
const WALKED_OF_EACH_MIN: i64 = 100;
/// So many are passed over at most.
const OFFSET_MAX: i64 = 100_000;

/// Tables, or views, of the same columns whose rows a list shows, each with the table that it is walked along.
pub(in crate::store) type Sources = [(&'static str, &'static str)];

/// A page of the table that holds such rows.
pub(in crate::store) async fn page<R, N>(
    conn: Conn<'_>,
    scope: Scope,
    page: &Page,
    narrow: &N,
) -> Result<Found<R>, StoreError>
where
    R: Row,
    N: Narrow,
{
    Listing::<R, N>::new(&[(R::TABLE, R::TABLE)], scope, page, narrow).read(conn).await
}

/// A page of a list: of which tables, whose, and narrowed by what.
pub(in crate::store) struct Listing<'l, R, N> {
    sources: &'l Sources,
    scope: Scope,
    page: &'l Page,
    narrow: &'l N,
    row: PhantomData<fn() -> R>,
}

impl<'l, R: Row, N: Narrow> Listing<'l, R, N> {
    /// Of several tables: a page of each, merged.
    pub fn new(sources: &'l Sources, scope: Scope, page: &'l Page, narrow: &'l N) -> Self {
        Self { sources, scope, page, narrow, row: PhantomData }
    }

    pub async fn read(&self, conn: Conn<'_>) -> Result<Found<R>, StoreError> {
        if !self.narrow.is_walked(self.scope) {
            if self.page.offset > OFFSET_MAX {
                return self.beyond_all(conn).await.map(Found::whole);
            }
            return self.rows(conn, self.page).await.map(Found::whole);
        }
        let found = self.walked(conn, WALKED_FIRST).await?;
        match found.stopped_at {
            None => Ok(found),
            Some(_) => self.walked_far(conn).await,
        }
    }

    /// The page, for which as much is looked at as ever is.
    pub async fn walked_far(&self, conn: Conn<'_>) -> Result<Found<R>, StoreError> {
        let found = self.walked(conn, WALKED_MAX).await?;
        if found.stopped_at.is_some() && found.rows.is_empty() && self.page.offset > 0 {
            return Err(too_far(format!("{WALKED_MAX} were looked at and not so many of them match")));
        }
        Ok(found)
    }

    /// What of the page is among the first `walk` rows from where it begins.
    pub async fn walked(&self, conn: Conn<'_>, walk: i64) -> Result<Found<R>, StoreError> {
        let Some(last) = self.last_walked(conn, walk).await? else {
            return self.rows(conn, self.page).await.map(Found::whole);
        };
        // It is looked at itself.
        let page = self.page.clone();
        let within = match page.from_oldest {
            true => Page { after: Some(Uuid::from_u128(last.as_u128().saturating_add(1))), ..page },
            false => Page { before: Some(Uuid::from_u128(last.as_u128().saturating_sub(1))), ..page },
        };
        let rows = self.rows(conn, &within).await?;
        let is_full = i64::try_from(rows.len()).is_ok_and(|count| count >= self.page.limit);
        Ok(Found { rows, stopped_at: (!is_full).then_some(last) })
    }

    /// The row at which a walk of so many rows ends, if there are as many. Of a family, or of several tables, each is walked a part
    /// of it, and the walk ends where the first of them does.
    async fn last_walked(&self, mut conn: Conn<'_>, walk: i64) -> Result<Option<Uuid>, StoreError> {
        let Self { sources, scope, page, narrow, row: _ } = *self;
        let order = page.order();
        let walk = walk.checked_div(i64::try_from(sources.len()).unwrap_or(1)).unwrap_or(walk).max(1);
        let mut statement = Statement::<SqlUuid>::new("SELECT l.id FROM (");
        for (index, (_, base)) in sources.iter().enumerate() {
            let begin = if index == 0 { "(SELECT t.id FROM " } else { " UNION ALL (SELECT t.id FROM " };
            statement = match scope {
                Scope::Family(main) => {
                    let each = statement.sql(begin).sql(format!(
                        "accounts a CROSS JOIN LATERAL (SELECT t.id FROM {base} t WHERE t.account_id = a.id"
                    ));
                    restrict_to_page(narrow.along(scope, each), page)
                        .sql(format!(" ORDER BY t.id {order} OFFSET (SELECT greatest("))
                        .bigint(walk)
                        .sql(format!(" / count(*), {WALKED_OF_EACH_MIN}) - 1 FROM accounts WHERE id = "))
                        .bigint(main.0)
                        .sql(" OR parent_id = ")
                        .bigint(main.0)
                        .sql(") LIMIT 1) t WHERE a.id = ")
                        .bigint(main.0)
                        .sql(" OR a.parent_id = ")
                        .bigint(main.0)
                        .sql(")")
                }
                Scope::Catalogue | Scope::All | Scope::One(_) | Scope::Nothing => {
                    let own = of_owners(statement.sql(begin).sql(*base).sql(" t WHERE "), scope);
                    restrict_to_page(narrow.along(scope, own), page)
                        .sql(format!(" ORDER BY t.id {order} OFFSET "))
                        .bigint(walk.saturating_sub(1))
                        .sql(" LIMIT 1)")
                }
            };
        }
        let statement = statement.sql(format!(") l ORDER BY l.id {order} LIMIT 1"));
        let found: Vec<Uuid> = statement.load(&mut conn).await?;
        Ok(found.into_iter().next())
    }

    /// Nothing, if the list has no more rows than are ever passed over.
    async fn beyond_all(&self, conn: Conn<'_>) -> Result<Vec<R>, StoreError> {
        let beyond = Page { offset: OFFSET_MAX, limit: 1, ..self.page.clone() };
        if self.rows(conn, &beyond).await?.is_empty() {
            return Ok(Vec::new());
        }
        Err(too_far(format!("at most {OFFSET_MAX} are passed over")))
    }

    /// The rows of a page.
    async fn rows(&self, conn: Conn<'_>, page: &Page) -> Result<Vec<R>, StoreError> {
        let Self { sources, scope, narrow, .. } = *self;
        let filter = |statement| narrow.kept(scope, narrow.along(scope, statement));
        let order = page.order();
        let select = Statement::new("SELECT ").sql(select_list::<R>("")).sql(" FROM ");
        let statement = match sources {
            [(table, _)] => {
                rows_of(select, table, scope, page, &filter).sql(format!(" ORDER BY t.id {order} LIMIT "))
            }
            _ => {
                let mut statement = select.sql("(");
                for (index, (table, _)) in sources.iter().enumerate() {
                    let begin = if index == 0 { "(SELECT t.* FROM " } else { " UNION ALL (SELECT t.* FROM " };
                    statement = rows_of(statement.sql(begin), table, scope, page, &filter)
                        .sql(format!(" ORDER BY t.id {order} LIMIT "))
                        .bigint(page.limit.saturating_add(page.offset))
                        .sql(")");
                }
                statement.sql(format!(") t ORDER BY t.id {order} LIMIT "))
            }
        };
        let statement = statement.bigint(page.limit).sql(" OFFSET ").bigint(page.offset);
        Ok(newest_first(rows::<R>(conn, statement).await?, page))
    }
}

fn too_far(message: String) -> StoreError {
    StoreError::TooMuch { argument: "offset", message: format!("{message}: go on from a cursor") }
}

/// The rows `t` of a table that a page is cut from, after ` FROM `.
fn rows_of<ST>(
    select: Statement<ST>,
    table: &'static str,
    scope: Scope,
    page: &Page,
    filter: &impl Fn(Statement<ST>) -> Statement<ST>,
) -> Statement<ST> {
    match scope {
        Scope::Family(main) => of_family(select, table, main, page, filter),
        Scope::Catalogue | Scope::All | Scope::One(_) | Scope::Nothing => {
            let own = of_owners(select.sql(table).sql(" t WHERE "), scope).then(filter);
            restrict_to_page(own, page)
        }
    }
}

/// The first rows of each account of the family, by its own index, and then the first of those.
fn of_family<ST>(
    select: Statement<ST>,
    table: &'static str,
    main: AccountId,
    page: &Page,
    filter: &impl Fn(Statement<ST>) -> Statement<ST>,
) -> Statement<ST> {
    let head = format!(
        "(SELECT l.* FROM accounts a CROSS JOIN LATERAL (SELECT t.* FROM {table} t WHERE t.account_id = a.id"
    );
    let each = restrict_to_page(select.sql(head).then(filter), page);
    each.sql(format!(" ORDER BY t.id {} LIMIT ", page.order()))
        .bigint(page.limit.saturating_add(page.offset))
        .sql(") l WHERE a.id = ")
        .bigint(main.0)
        .sql(" OR a.parent_id = ")
        .bigint(main.0)
        .sql(") t")
}

/// So many rows are found by another index than the list's order: all of them are read and sorted.
const FOUND_MAX: i64 = 10_000;

/// The ids that a statement finds by an index and that are kept; None where there are too many.
pub(in crate::store) async fn found_by_index(
    mut conn: Conn<'_>,
    statement: Statement<(SqlUuid, Bool)>,
) -> Result<Option<Vec<OwnedId>>, StoreError> {
    let statement = statement.sql(" LIMIT ").bigint(FOUND_MAX.saturating_add(1));
    let rows: Vec<(Uuid, bool)> = statement.load(&mut conn).await?;
    if i64::try_from(rows.len()).is_ok_and(|count| count > FOUND_MAX) {
        return Ok(None);
    }
    let kept = rows.into_iter().filter(|(_, kept)| *kept);
    Ok(Some(kept.map(|(id, _)| OwnedId::from_uuid(id)).collect()))
}

/// Those of the ids that are a page's.
pub(in crate::store) fn part_of_found(mut ids: Vec<OwnedId>, page: &Page) -> Vec<OwnedId> {
    ids.sort_unstable();
    if !page.from_oldest {
        ids.reverse();
    }
    let size = |number: i64| usize::try_from(number).unwrap_or(0);
    ids.into_iter().skip(size(page.offset)).take(size(page.limit)).collect()
}
