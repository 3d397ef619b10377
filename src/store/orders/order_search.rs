//! Orders by a word in their number or name, anywhere, without regard to case.
//!
//! A common word is found soonest by walking from the newest order on, a rare one through an index; which of the two a
//! word is, nobody knows beforehand. So the newest orders are walked, and only if they do not fill the page the index is
//! asked: by the names with the word among those that orders can have, which are few, and by the trigrams of numbers. Of a word
//! that too many have for the index, and of one shorter than a trigram that could be a part of a number, the walk goes on for as long
//! as that of any list (docs/adr/0010).

use diesel::sql_types::{Bool, Uuid as SqlUuid};

use crate::domain::ids::OwnedId;
use crate::domain::order::Order;
use crate::domain::viewer::Scope;
use crate::store::accounts::account_list::like_anywhere;
use crate::store::error::StoreError;
use crate::store::list::{self, Found, Listing, Page, WALKED_FIRST, WALKED_MAX, restrict_to_page};
use crate::store::orders::order_filter::OrderFilter;
use crate::store::sql::statement::Statement;
use crate::store::{Conn, owned};

/// So many orders are walked at first for each that the page needs: one behind many others needs a longer walk.
const WALKED_FOR_EACH: i64 = 20;
/// The index knows parts of so many characters.
const TRIGRAM: usize = 3;

type Candidates = Statement<(SqlUuid, Bool)>;

/// How older orders are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Older {
    /// By their names: the word is none of a number's.
    Names,
    /// By the trigrams of their numbers, too.
    NumbersAndNames,
}

/// Whether the index knows a part of the word: so many letters or digits in a row.
fn has_trigram(word: &str) -> bool {
    word.split(|c: char| !c.is_alphanumeric()).any(|run| run.chars().count() >= TRIGRAM)
}

/// Whether the word could be a part of an order's number: `O17-20261121-4`.
fn may_be_in_numbers(word: &str) -> bool {
    let rest = word.strip_prefix(['o', 'O']);
    let fits = rest.is_none_or(|rest| !rest.starts_with('-'));
    let rest = rest.unwrap_or(word);
    fits && rest.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        && !rest.contains("--")
        && rest.bytes().filter(|b| *b == b'-').count() <= 2
}

fn older(word: &str) -> Option<Older> {
    if !may_be_in_numbers(word) {
        return Some(Older::Names);
    }
    has_trigram(word).then_some(Older::NumbersAndNames)
}

/// A page of the orders that a filter with a word matches.
pub(in crate::store) async fn page(
    conn: Conn<'_>,
    scope: Scope,
    filter: &OrderFilter,
    word: &str,
    page: &Page,
) -> Result<Found<Order>, StoreError> {
    let sources = [("orders", "orders")];
    let needed = page.limit.saturating_add(page.offset).saturating_mul(WALKED_FOR_EACH);
    let walk = needed.clamp(WALKED_FIRST, WALKED_MAX);
    let orders = Listing::<Order, _>::new(&sources, scope, page, filter);
    let near = orders.walked(conn, walk).await?;
    if near.stopped_at.is_none() {
        return Ok(near);
    }
    let Some(ids) = found(conn, scope, filter, word, page).await? else {
        return orders.walked_far(conn).await;
    };
    let mut orders = owned::by_ids::<Order>(conn, &list::part_of_found(ids, page)).await?;
    orders.sort_unstable_by_key(|order| std::cmp::Reverse(order.id));
    Ok(Found::whole(orders))
}

/// The ids of the orders with a word, of the part of the list that a page leaves, as the index finds them; None where it does not
/// know the word, or too many have it.
pub(in crate::store) async fn found(
    conn: Conn<'_>,
    scope: Scope,
    filter: &OrderFilter,
    word: &str,
    page: &Page,
) -> Result<Option<Vec<OwnedId>>, StoreError> {
    if matches!(scope, Scope::Nothing | Scope::Catalogue) {
        return Ok(Some(Vec::new()));
    }
    let Some(older) = older(word) else { return Ok(None) };
    let pattern = like_anywhere(word);
    // By itself, so that it is planned for the index, whatever is left of it.
    let select = Candidates::new("WITH found AS MATERIALIZED (SELECT t.id, (true");
    let select = filter.restrict_others(restrict_to_page(filter.window.restrict(select), page));
    let statement = match scope {
        Scope::Catalogue | Scope::All | Scope::Nothing => {
            let all = |statement: Candidates| statement.sql("true");
            candidates(select.sql(") AS kept FROM ("), older, &pattern, all).sql(") t")
        }
        Scope::One(account) => {
            let own = |statement: Candidates| statement.sql("t.account_id = ").bigint(account.0);
            candidates(select.sql(") AS kept FROM ("), older, &pattern, own).sql(") t")
        }
        Scope::Family(main) => {
            let each = |statement: Candidates| statement.sql("t.account_id = a.id");
            let select = select.sql(") AS kept FROM accounts a CROSS JOIN LATERAL (");
            let family = candidates(select, older, &pattern, each).sql(") t WHERE a.id = ").bigint(main.0);
            family.sql(" OR a.parent_id = ").bigint(main.0)
        }
    };
    list::found_by_index(conn, statement.sql(") SELECT id, kept FROM found")).await
}

/// What the index finds: each condition has a part of the statement for itself, so that it is planned by itself.
fn candidates(
    statement: Candidates,
    older: Older,
    pattern: &str,
    owned: impl Fn(Candidates) -> Candidates,
) -> Candidates {
    let named = statement
        .sql("(SELECT t.* FROM product_names p JOIN orders t ON t.name = p.name WHERE p.name ILIKE ")
        .text(pattern.to_owned());
    match older {
        Older::Names => owned(named.sql(" AND ")).sql(" OFFSET 0)"),
        Older::NumbersAndNames => {
            let named = named.sql(" AND t.number NOT ILIKE ").text(pattern.to_owned()).sql(" AND ");
            let numbered =
                owned(named).sql(" OFFSET 0) UNION ALL (SELECT t.* FROM orders t WHERE t.number ILIKE ");
            owned(numbered.text(pattern.to_owned()).sql(" AND ")).sql(" OFFSET 0)")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_looked_for_where_it_can_be() {
        for word in ["-20261121-", "123", "O17-20261121-4", "o17", "1001-2"] {
            assert_eq!(older(word), Some(Older::NumbersAndNames), "{word}");
        }
        for word in [
            "pool",
            "Pool S",
            "云硬盘",
            "云",
            "云盘",
            "VM",
            "x9",
            "%",
            "%%%",
            "盘 a",
            "1o",
            "O-",
            "--",
            "-1-2-3",
            "1--",
        ] {
            assert_eq!(older(word), Some(Older::Names), "{word}");
        }
        for word in ["17", "-", "o1", "O", "9-", "1-2", "-12-", "-1-2"] {
            assert_eq!(older(word), None, "{word}");
        }
    }
}
