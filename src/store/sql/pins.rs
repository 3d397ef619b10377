//! How a statement says to a cluster where it belongs (docs/adr/0041).
//!
//! A cluster routes a statement whole, and then takes any SQL, only if each of its tables is restricted to accounts of one shard by a
//! value that it can see: that rows are joined with keys which happen to be in one shard it cannot know. So where accounts live in
//! shards, every equation of accounts is followed by the accounts themselves: `t.account_id = k.account_id AND t.account_id =
//! ANY($1)`. In one database the texts stay as they are written: there the second condition would only cost.

use std::sync::atomic::{AtomicBool, Ordering};
#[cfg(debug_assertions)]
use std::sync::{PoisonError, RwLock};

/// Whether a database of this process is spread over shards. Statements are right with and without.
static ON: AtomicBool = AtomicBool::new(false);

/// Has statements name their accounts from now on.
pub fn turn_on() {
    ON.store(true, Ordering::Relaxed);
}

pub fn are_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Which shard an account is in.
#[cfg(debug_assertions)]
type ShardOf = Box<dyn Fn(i64) -> usize + Send + Sync>;

/// What tests pretend.
#[cfg(debug_assertions)]
static PRETENDED: RwLock<Option<ShardOf>> = RwLock::new(None);

/// Has a statement fail whose accounts would be in several of these shards: a cluster refuses it.
#[cfg(debug_assertions)]
pub fn pretend(shard_of: impl Fn(i64) -> usize + Send + Sync + 'static) {
    *PRETENDED.write().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(shard_of));
}

/// The accounts of one statement are in one shard.
pub fn check(accounts: &[i64]) {
    #[cfg(debug_assertions)]
    if let Some(shard_of) = &*PRETENDED.read().unwrap_or_else(PoisonError::into_inner) {
        let mut shards = accounts.iter().map(|account| shard_of(*account));
        let first = shards.next();
        assert!(shards.all(|shard| Some(shard) == first), "a statement of accounts in several shards");
    }
    let _ = accounts;
}

/// Where equations of accounts end in a piece of SQL, and the column that each is about.
pub fn equations(sql: &str) -> impl Iterator<Item = (usize, &str)> {
    const COLUMN: &str = "account_id";
    const EQUALS: &str = " = ";
    sql.match_indices(" = ").filter_map(|(at, _)| {
        let (before, after) = (sql.get(..at)?, sql.get(at + EQUALS.len()..)?);
        let left = before.get(before.rfind(|c: char| !is_of_name(c)).map_or(0, |at| at + 1)..)?;
        let right = after.get(..after.find(|c: char| !is_of_name(c)).unwrap_or(after.len()))?;
        let (alias, column) = right.split_once('.')?;
        let is_of_accounts = bare(left.rsplit_once('.').map_or(left, |(_, column)| column)) == COLUMN;
        let is_joined = !alias.is_empty() && matches!(bare(column), COLUMN | "id");
        (is_of_accounts && is_joined).then(|| (at + EQUALS.len() + right.len(), left))
    })
}

/// What a column may be named by.
const fn is_of_name(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '.' | '"')
}

/// A column's name without the quotes that it may stand in.
pub fn bare(name: &str) -> &str {
    name.trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_of_accounts_are_found_and_no_others() {
        let found =
            |sql: &'static str| equations(sql).map(|(end, column)| (&sql[..end], column)).collect::<Vec<_>>();
        let lateral = "(SELECT * FROM t WHERE t.account_id = k.account_id AND t.id = k.id LIMIT 1) t";
        assert_eq!(found(lateral), [("(SELECT * FROM t WHERE t.account_id = k.account_id", "t.account_id")]);
        assert_eq!(found("account_id = a.id AND state"), [("account_id = a.id", "account_id")]);
        let quoted = r#"WHERE t."account_id" = u."account_id" AND t."id" = u."id""#;
        assert_eq!(found(quoted), [(r#"WHERE t."account_id" = u."account_id""#, r#"t."account_id""#)]);
        let two = found("m.account_id = e.account_id AND h.account_id = k.account_id");
        assert_eq!(
            two.iter().map(|(_, column)| *column).collect::<Vec<_>>(),
            ["m.account_id", "h.account_id"]
        );
        for other in [
            "t.account_id = ",
            "WHERE account_id = ANY(",
            "t.id = k.id",
            "sub_account_id = k.id",
            "t.account_id = 1",
        ] {
            assert_eq!(found(other), [], "{other}");
        }
    }
}
