//! Rows that were read together, as each of the keys is answered.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::shared_loader::Found;
use crate::domain::ids::AccountId;

/// Rows that are shared between those who asked for them.
pub type Rows<T> = Arc<[Arc<T>]>;
/// The newest rows of an owner: whose, and how many.
pub type Newest<O> = (O, i64);

pub(super) type Fetching<K, V> = BoxFuture<'static, Found<K, V>>;

pub(super) fn numbers(accounts: &[AccountId]) -> Vec<i64> {
    accounts.iter().map(|id| id.0).collect()
}

pub(super) fn by_key<K: Hash + Eq, T>(rows: Vec<T>, key: impl Fn(&T) -> K) -> HashMap<K, Arc<T>> {
    rows.into_iter().map(|row| (key(&row), Arc::new(row))).collect()
}

/// Rows by their owner, newest first.
pub(super) fn by_owner<O: Hash + Eq, T: Clone, I: Ord>(
    rows: &[T],
    owner: impl Fn(&T) -> Option<O>,
    id: impl Fn(&T) -> I,
) -> HashMap<O, Vec<T>> {
    let mut grouped: HashMap<O, Vec<T>> = HashMap::new();
    // An owner's rows mostly come one after the other.
    for run in rows.chunk_by(|one, next| owner(one) == owner(next)) {
        if let Some(owner) = run.first().and_then(&owner) {
            grouped.entry(owner).or_default().extend_from_slice(run);
        }
    }
    for rows in grouped.values_mut() {
        rows.sort_unstable_by_key(|row| std::cmp::Reverse(id(row)));
    }
    grouped
}

/// Rows that are shared, from now on.
pub(super) fn shared<T>(rows: Vec<T>) -> Vec<Arc<T>> {
    rows.into_iter().map(Arc::new).collect()
}

/// The most rows that any of the keys asks for: one statement reads so many of each owner.
pub(super) fn most<O>(keys: &[Newest<O>]) -> i64 {
    keys.iter().map(|(_, limit)| *limit).max().unwrap_or(0)
}

/// Gives each key its own share of what was read for all.
pub(super) fn share_out<O: Hash + Eq + Copy, T: Clone>(
    keys: Vec<Newest<O>>,
    grouped: &HashMap<O, Vec<T>>,
) -> HashMap<Newest<O>, Arc<[T]>> {
    let share = |(owner, limit): Newest<O>| {
        let rows = grouped.get(&owner).map_or(&[][..], Vec::as_slice);
        let wanted = usize::try_from(limit).unwrap_or(0);
        ((owner, limit), rows.iter().take(wanted).cloned().collect())
    };
    keys.into_iter().map(share).collect()
}

pub(super) fn owners<O: Copy>(keys: &[Newest<O>]) -> Vec<O> {
    keys.iter().map(|(owner, _)| *owner).collect()
}

/// A count for each account, zero included.
pub(super) fn counted(keys: Vec<AccountId>, counts: Vec<(i64, i64)>) -> HashMap<AccountId, i64> {
    let mut all: HashMap<AccountId, i64> = keys.into_iter().map(|account| (account, 0)).collect();
    all.extend(counts.into_iter().map(|(account, count)| (AccountId(account), count)));
    all
}

pub(super) fn grouped_values<K: Hash + Eq, V>(keys: Vec<K>, rows: Vec<(K, V)>) -> HashMap<K, Arc<[V]>> {
    let mut grouped: HashMap<K, Vec<V>> = keys.into_iter().map(|key| (key, Vec::new())).collect();
    for (key, value) in rows {
        grouped.entry(key).or_default().push(value);
    }
    grouped.into_iter().map(|(key, values)| (key, values.into())).collect()
}
