//! Lists of accounts.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Text, Timestamptz};
use diesel_async::RunQueryDsl;

use crate::domain::account::{Account, AccountKind, AccountStatus};
use crate::domain::ids::AccountId;
use crate::domain::viewer::Scope;
use crate::store::error::StoreError;
use crate::store::list::{COUNTED_MAX, Found, LOOKED_AT_MAX, Page, WALKED_FIRST, WALKED_MAX, countable};
use crate::store::sql::statement::Statement;
use crate::store::{Conn, rows, select_from};

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
    /// Whose accounts are looked through: SUB accounts live where their MAIN account does.
    pub fn place_of(&self, scope: Scope) -> Scope {
        match (scope, self.parent) {
            (Scope::All, Some(parent)) => Scope::Family(parent),
            (scope, _) => scope,
        }
    }

    fn is_walked(&self) -> bool {
        self.status.is_some() || self.kind.is_some() || self.search.is_some()
    }

    fn restrict<ST>(&self, scope: Scope, mut statement: Statement<ST>) -> Statement<ST> {
        statement = match scope {
            Scope::All => statement.sql(" WHERE true"),
            Scope::Family(own) => {
                statement.sql(" WHERE (id = ").bigint(own.0).sql(" OR parent_id = ").bigint(own.0).sql(")")
            }
            Scope::One(own) => statement.sql(" WHERE id = ").bigint(own.0),
            Scope::Nothing | Scope::Catalogue => statement.sql(" WHERE false"),
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
pub(in crate::store) fn like_anywhere(text: &str) -> String {
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
    let statement = within_page(filter.restrict(scope, select_from::<Account>("accounts")), page);
    let statement = statement.sql(in_order(page)).bigint(page.limit).sql(" OFFSET ").bigint(page.offset);
    let mut found = rows::<Account>(conn, statement).await?;
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
        all.restrict(scope, Statement::<BigInt>::new("SELECT count(*) FROM (SELECT 1 FROM accounts"));
    let looked_at = looked_at.sql(" LIMIT ").bigint(most.saturating_add(1)).sql(") t");
    countable(looked_at.get_result(&mut conn).await?, most)?;
    let statement = filter.restrict(scope, Statement::<BigInt>::new("SELECT count(*) FROM accounts"));
    Ok(statement.get_result(&mut conn).await?)
}
