//! Orders by a word in their number or name, anywhere, without regard to case.
//!
//! A common word is found soonest by walking from the newest order on, a rare one through an index; which of the two a
//! word is, nobody knows beforehand. So the newest orders are walked, and only if they do not fill the page the indexes are
//! asked: by the names with the word among those that orders can have, which are few, and within a few accounts by the trigrams of
//! numbers. Of a word that too many have for that, and of one that could be a part of many numbers, the walk goes on for as long as that
//! of any list (docs/adr/0010).

use diesel::sql_types::{BigInt, Bool, Uuid as SqlUuid};

use crate::domain::ids::{AccountId, OwnedId};
use crate::domain::order::Order;
use crate::domain::viewer::Scope;
use crate::store::accounts::account_list::like_anywhere;
use crate::store::error::StoreError;
use crate::store::list::{self, Found, Listing, Page, WALKED_FIRST, WALKED_MAX, restrict_to_page};
use crate::store::orders::order_filter::OrderFilter;
use crate::store::sql::pins;
use crate::store::sql::statement::Statement;
use crate::store::{Conn, owned};

/// So many orders are walked at first for each that the page needs: one behind many others needs a longer walk.
const WALKED_FOR_EACH: i64 = 20;
/// The index knows parts of so many characters.
const TRIGRAM: usize = 3;
/// The orders whose numbers the index knows: an account's first 2,047 things are walked, so that a purchase of a small account writes nothing into
/// it. As `orders_numbers` says it.
const NUMBER_IS_INDEXED: &str = "owned_number(t.id) > 2047";
/// So many orders are walked to see those that it does not know: a few more, as two servers' clocks may order two of them otherwise than
/// the account counted them.
const OLDEST_WALKED: i64 = 2_100;

type Candidates = Statement<(SqlUuid, Bool)>;

/// So many accounts' oldest orders are walked at most.
const NUMBERS_OF_MAX: i64 = WALKED_MAX / OLDEST_WALKED;

/// Whose orders' numbers the word can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NumbersOf {
    /// It is none of a number's: older orders are found by their names.
    Nobody,
    /// Those of one account, which the word names or the list is of.
    One(AccountId),
    /// Those of the accounts of a family, if they are few.
    Family(AccountId),
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

/// The account in whose orders' numbers alone the word can be: `O17-`, and whatever follows.
fn account_in(word: &str) -> Option<AccountId> {
    let (account, _) = word.strip_prefix(['o', 'O'])?.split_once('-')?;
    AccountId::parse(&format!("acc_{account}"))
}

/// None where only a walk finds what there is.
fn numbers_of(word: &str, scope: Scope) -> Option<NumbersOf> {
    if !may_be_in_numbers(word) {
        return Some(NumbersOf::Nobody);
    }
    let of = match (scope, account_in(word)) {
        (Scope::One(account), _) | (_, Some(account)) => Some(NumbersOf::One(account)),
        (Scope::Family(main), None) => Some(NumbersOf::Family(main)),
        _ => None,
    };
    of.filter(|_| has_trigram(word))
}

/// The accounts; None where they are too many.
async fn accounts_of(mut conn: Conn<'_>, of: NumbersOf) -> Result<Option<Vec<i64>>, StoreError> {
    let main = match of {
        NumbersOf::Nobody => return Ok(Some(Vec::new())),
        NumbersOf::One(account) => return Ok(Some(vec![account.0])),
        NumbersOf::Family(main) => main.0,
    };
    let family = Statement::<BigInt>::new("SELECT id FROM accounts WHERE id = ").bigint(main);
    let family = family.sql(" OR parent_id = ").bigint(main).sql(" LIMIT ");
    let found: Vec<i64> = family.bigint(NUMBERS_OF_MAX.saturating_add(1)).load(&mut conn).await?;
    Ok(Some(found).filter(|found| i64::try_from(found.len()).is_ok_and(|count| count <= NUMBERS_OF_MAX)))
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
    let ids = list::part_of_found(ids, page);
    Ok(Found::whole(owned::of_everybody_by_ids::<Order>(conn, &ids).await?))
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
    let Some(numbers_of) = numbers_of(word, scope) else { return Ok(None) };
    let Some(accounts) = accounts_of(conn, numbers_of).await? else { return Ok(None) };
    if accounts.len() > 1 && pins::are_on() {
        // They may live in several places, which no statement has.
        return Ok(None);
    }
    let pattern = like_anywhere(word);
    // By itself, so that it is planned for the indexes, whatever is left of it.
    let select = Candidates::new("WITH found AS MATERIALIZED (SELECT t.id, (true");
    let select = filter.restrict_others(restrict_to_page(filter.window.restrict(select), page));
    let select = select.sql(") AS kept FROM (");
    let statement = match numbers_of {
        NumbersOf::Nobody => named(select, &pattern, scope, |orders| orders),
        NumbersOf::One(_) | NumbersOf::Family(_) => {
            let others = |orders: Candidates| orders.sql(" AND t.number NOT ILIKE ").text(pattern.clone());
            let named = named(select, &pattern, scope, others).sql(" UNION ALL ");
            // The account that a word names may be another's.
            list::of_owners(numbered(named, &pattern, accounts).sql(" WHERE "), scope).sql(")")
        }
    };
    list::found_by_index(conn, statement.sql(") t) SELECT id, kept FROM found")).await
}

/// Those with the word in their names. Here and below each condition that an index serves has a part of the statement for itself, so
/// that it is planned by itself.
fn named(
    statement: Candidates,
    pattern: &str,
    scope: Scope,
    others: impl FnOnce(Candidates) -> Candidates,
) -> Candidates {
    let select = "(SELECT t.* FROM product_names p JOIN orders t ON t.name = p.name WHERE p.name ILIKE ";
    let named = |statement: Candidates| statement.sql(select).text(pattern.to_owned()).then(others);
    match scope {
        Scope::Catalogue | Scope::All | Scope::Nothing => named(statement).sql(" OFFSET 0)"),
        Scope::One(account) => {
            named(statement).sql(" AND t.account_id = ").bigint(account.0).sql(" OFFSET 0)")
        }
        Scope::Family(main) => named(statement.sql("(SELECT l.* FROM accounts a CROSS JOIN LATERAL "))
            .sql(" AND t.account_id = a.id OFFSET 0) l WHERE a.id = ")
            .bigint(main.0)
            .sql(" OR a.parent_id = ")
            .bigint(main.0)
            .sql(")"),
    }
}

/// Those of the accounts with the word in their numbers: by the index, and the oldest, which it does not know, one by one.
fn numbered(statement: Candidates, pattern: &str, accounts: Vec<i64>) -> Candidates {
    statement
        .sql("(SELECT t.* FROM UNNEST(")
        .accounts(accounts)
        .sql(") a (id) CROSS JOIN LATERAL ((SELECT t.* FROM orders t WHERE ")
        .sql(NUMBER_IS_INDEXED)
        .sql(" AND t.number ILIKE ")
        .text(pattern.to_owned())
        .sql(" AND t.account_id = a.id OFFSET 0) UNION ALL (SELECT t.* FROM (SELECT t.* FROM orders t WHERE t.account_id = a.id")
        .sql(" ORDER BY t.id LIMIT ")
        .bigint(OLDEST_WALKED)
        .sql(") t WHERE t.number ILIKE ")
        .text(pattern.to_owned())
        .sql(" AND NOT ")
        .sql(NUMBER_IS_INDEXED)
        .sql(")) t")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: AccountId = AccountId(1001);

    #[test]
    fn a_word_is_looked_for_where_it_can_be() {
        for word in ["-20261121-", "123", "O17-20261121-4", "o17", "1001-2"] {
            assert_eq!(numbers_of(word, Scope::One(OWN)), Some(NumbersOf::One(OWN)), "{word}");
        }
        for scope in [Scope::One(OWN), Scope::All, Scope::Family(OWN)] {
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
                assert_eq!(numbers_of(word, scope), Some(NumbersOf::Nobody), "{word}");
            }
            for word in ["17", "-", "o1", "O", "9-", "1-2", "-12-", "-1-2"] {
                assert_eq!(numbers_of(word, scope), None, "{word}");
            }
        }
    }

    #[test]
    fn a_number_is_looked_for_in_the_account_that_it_names() {
        for scope in [Scope::All, Scope::Family(OWN)] {
            for word in ["O1017-", "o1017-2026", "O1017-20261121-4"] {
                assert_eq!(numbers_of(word, scope), Some(NumbersOf::One(AccountId(1017))), "{word}");
            }
        }
        for word in ["1017-20261121-4", "O1017", "-20261121-", "O01017-"] {
            assert_eq!(numbers_of(word, Scope::All), None, "{word}");
            assert_eq!(numbers_of(word, Scope::Family(OWN)), Some(NumbersOf::Family(OWN)), "{word}");
        }
    }
}
