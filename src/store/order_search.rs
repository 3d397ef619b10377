//! Orders by a word in their number or name, anywhere, without regard to case.
//!
//! A common word is found soonest by walking from the newest order on, a rare one through an index; which of the two a
//! word is, nobody knows beforehand. So the newest orders are walked, and only if they do not fill the page the index is
//! asked for the older ones: by the names with the word among those that orders can have, which are few, and by the
//! trigrams of numbers. Words shorter than a trigram that could be a part of a number are in so many that the walk finds
//! them (docs/adr/0010).

use super::accounts::like_anywhere;
use super::list::{OF_EVERYONE, Owners, Page, restrict_to_page};
use super::orders::OrderFilter;
use super::rows::{OrderRow, Row, select_list};
use super::statement::Statement;

/// At least, and at most, so many of an account's orders are walked, from where the page begins.
const WALKED_MIN: i64 = 2_000;
const WALKED_MAX: i64 = 200_000;
/// So many are walked for each that the page needs: one behind many others needs a longer walk.
const WALKED_FOR_EACH: i64 = 20;
/// The index knows parts of so many characters.
const TRIGRAM: usize = 3;

type Orders = Statement<<OrderRow as Row>::Sql>;

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

/// Keeps the orders with the word, of a list that is read from end to end: to count it, say.
pub(super) fn restrict<ST>(statement: Statement<ST>, word: &str) -> Statement<ST> {
    let pattern = like_anywhere(word);
    let statement = match older(word) {
        Some(Older::Names) => statement.sql(" AND ("),
        Some(Older::NumbersAndNames) => {
            statement.sql(" AND (t.number ILIKE ").text(pattern.clone()).sql(" OR ")
        }
        // Written so that the index, which would be read whole, is out of the question.
        None => statement.sql(" AND (t.number || '' ILIKE ").text(pattern.clone()).sql(" OR "),
    };
    statement
        .sql("t.name = ANY(ARRAY(SELECT p.name FROM product_names p WHERE p.name ILIKE ")
        .text(pattern)
        .sql(")))")
}

/// Whose orders a part of the statement is about.
#[derive(Debug, Clone, Copy)]
enum Of {
    Everyone,
    One(i64),
    /// Of the account in the outer query.
    Outer,
}

impl Of {
    /// Their orders in their order.
    fn walked(self, statement: Orders) -> Orders {
        match self {
            Self::Everyone => statement.sql(OF_EVERYONE),
            Self::One(_) | Self::Outer => self.found(statement),
        }
    }

    /// Their orders, found by words.
    fn found(self, statement: Orders) -> Orders {
        match self {
            Self::Everyone => statement.sql("true"),
            Self::One(account) => statement.sql("t.account_id = ").bigint(account),
            Self::Outer => statement.sql("t.account_id = a.id"),
        }
    }
}

/// A page of the orders that a filter with a word matches; None where an ordinary list finds them as well.
pub(super) fn page(owners: Owners, filter: &OrderFilter, page: &Page) -> Option<Orders> {
    let word = filter.search.as_deref()?;
    let search = Search { older: older(word)?, pattern: like_anywhere(word), filter, page };
    let select = Statement::new("SELECT ").sql(select_list::<OrderRow>("t.")).sql(" FROM ");
    let found = match owners {
        Owners::None | Owners::Everyone => search.ids(select.sql("("), Of::Everyone).sql(") f"),
        Owners::One(account) => search.ids(select.sql("("), Of::One(account.0)).sql(") f"),
        Owners::Family(main) => {
            let ids = search.ids(select.sql("(SELECT f.* FROM accounts a CROSS JOIN LATERAL ("), Of::Outer);
            let family = ids.sql(") f WHERE a.id = ").bigint(main.0).sql(" OR a.parent_id = ").bigint(main.0);
            family.sql(") f")
        }
    };
    let found = found
        .sql(" JOIN orders t ON t.account_id = f.account_id AND t.id = f.id ORDER BY t.id ")
        .sql(page.order())
        .sql(" LIMIT ")
        .bigint(page.limit)
        .sql(" OFFSET ")
        .bigint(page.offset);
    Some(found)
}

struct Search<'f> {
    older: Older,
    pattern: String,
    filter: &'f OrderFilter,
    page: &'f Page,
}

impl Search<'_> {
    /// As many ids as the page needs.
    fn ids(&self, statement: Orders, of: Of) -> Orders {
        let (order, back, beyond) = match self.page.from_oldest {
            true => ("ASC", "DESC", ">"),
            false => ("DESC", "ASC", "<"),
        };
        let needed = self.page.limit.saturating_add(self.page.offset);
        let walk = needed.saturating_mul(WALKED_FOR_EACH).clamp(WALKED_MIN, WALKED_MAX);
        let walked = statement.sql("WITH walked AS MATERIALIZED (SELECT t.* FROM orders t WHERE ");
        let walked = self.within(of.walked(walked));
        let near = walked
            .sql(format!(" ORDER BY t.id {order} LIMIT "))
            .bigint(walk)
            .sql("), near AS MATERIALIZED (SELECT t.account_id, t.id FROM walked t WHERE ");
        let near = self.filter.restrict_others(self.matching(near));
        let far = near
            .sql(format!(" ORDER BY t.id {order} LIMIT "))
            .bigint(needed)
            .sql("), far AS (SELECT t.account_id, t.id FROM (");
        // Only if there are older ones and they are needed. OFFSET 0 keeps the planner from walking in order once more:
        // what the index finds is sorted.
        let if_needed = |statement: Orders| {
            of.found(statement.sql(" AND "))
                .sql(" AND (SELECT count(*) FROM near) < ")
                .bigint(needed)
                .sql(" AND (SELECT count(*) FROM walked) = ")
                .bigint(walk)
                .sql(" OFFSET 0)")
        };
        let far = self
            .older_rows(far, if_needed)
            .sql(format!(") t WHERE t.id {beyond} (SELECT id FROM walked ORDER BY id {back} LIMIT 1)"));
        self.filter
            .restrict_others(self.within(far))
            .sql(format!(" ORDER BY t.id {order} LIMIT "))
            .bigint(needed)
            .sql(format!(") SELECT * FROM near UNION ALL SELECT * FROM far ORDER BY id {order} LIMIT "))
            .bigint(needed)
    }

    /// What the index finds: each condition has a part of the statement for itself, so that it is planned by itself.
    fn older_rows(&self, statement: Orders, if_needed: impl Fn(Orders) -> Orders) -> Orders {
        let named = statement
            .sql("(SELECT t.* FROM product_names p JOIN orders t ON t.name = p.name WHERE p.name ILIKE ")
            .text(self.pattern.clone());
        match self.older {
            Older::Names => if_needed(named),
            Older::NumbersAndNames => {
                let named = if_needed(named.sql(" AND t.number NOT ILIKE ").text(self.pattern.clone()));
                let numbered = named.sql(" UNION ALL (SELECT t.* FROM orders t WHERE t.number ILIKE ");
                if_needed(numbered.text(self.pattern.clone()))
            }
        }
    }

    /// The part of the list that the page and the window leave.
    fn within(&self, statement: Orders) -> Orders {
        restrict_to_page(self.filter.window.restrict(statement), self.page)
    }

    fn matching(&self, statement: Orders) -> Orders {
        statement
            .sql("(t.number ILIKE ")
            .text(self.pattern.clone())
            .sql(" OR t.name ILIKE ")
            .text(self.pattern.clone())
            .sql(")")
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
