//! Where accounts live: all in the one database, or each in one of the shards of a cluster (Citus, docs/adr/0041).
//!
//! What is asked of several accounts is grouped by place before any SQL sees it, for a cluster routes a statement whole, whatever
//! it says, only if all its accounts are in one shard.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use diesel::QueryResult;
use diesel::sql_types::{Bool, Integer};
use diesel_async::RunQueryDsl;

use super::Conn;
use super::sql::pins;
use super::sql::statement::Statement;
use crate::domain::ids::{AccountId, OrderId, OwnedId, PlanId, PriceRuleId};

/// The places of a database.
#[derive(Debug, Default)]
pub struct Topology {
    /// None: there is one.
    shards: RwLock<Option<Arc<Shards>>>,
    /// What is pretended, by tests, whatever there is.
    #[cfg(debug_assertions)]
    are_pretended: std::sync::OnceLock<()>,
}

/// Shards, by the smallest hash that each has, ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shards(Box<[i32]>);

impl Shards {
    /// None where there are none.
    pub fn of(mut begins: Vec<i32>) -> Option<Self> {
        begins.sort_unstable();
        (!begins.is_empty()).then(|| Self(begins.into()))
    }

    /// So many of the same width, as a cluster makes them.
    pub fn even(count: u16) -> Option<Self> {
        let width = (1_i64 << 32) / i64::from(count.max(1));
        let begin = |shard: u16| i32::try_from(i64::from(i32::MIN) + i64::from(shard) * width).ok();
        Self::of((0..count).filter_map(begin).collect())
    }

    /// The number of the shard that has an account.
    pub fn of_account(&self, account: AccountId) -> usize {
        let hash = hash_bigint(account.0);
        self.0.partition_point(|begin| *begin <= hash).saturating_sub(1)
    }
}

impl Topology {
    /// Notes which shards a database has.
    fn learn(&self, shards: Option<Shards>) {
        #[cfg(debug_assertions)]
        if self.are_pretended.get().is_some() {
            return;
        }
        self.note(shards);
    }

    fn note(&self, shards: Option<Shards>) {
        if shards.is_some() {
            pins::turn_on();
        }
        let mut known = self.shards.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_deref() != shards.as_ref() {
            *known = shards.map(Arc::new);
        }
    }

    /// Asks a database which shards it has; of what was never spread there are none.
    pub(super) async fn look(&self, mut conn: Conn<'_>) -> QueryResult<()> {
        let is_cluster = Statement::<Bool>::new("SELECT to_regclass('pg_catalog.pg_dist_shard') IS NOT NULL");
        let shards = if is_cluster.get_result::<bool>(&mut conn).await? {
            let begins = Statement::<Integer>::new(
                "SELECT shardminvalue::integer FROM pg_dist_shard WHERE logicalrelid = to_regclass('accounts') \
                 AND shardminvalue IS NOT NULL",
            );
            Shards::of(RunQueryDsl::load(begins, &mut conn).await?)
        } else {
            None
        };
        self.learn(shards);
        Ok(())
    }

    /// Has everything go as if there were so many shards.
    #[cfg(debug_assertions)]
    pub fn pretend(&self, count: u16) {
        let Some(shards) = Shards::even(count) else { return };
        let of_shards = shards.clone();
        pins::pretend(move |account| of_shards.of_account(AccountId(account)));
        // First, so that no connection that is made meanwhile says otherwise.
        self.are_pretended.get_or_init(|| ());
        self.note(Some(shards));
    }

    /// Whether accounts are spread over several shards.
    pub fn are_shards(&self) -> bool {
        self.shards().is_some()
    }

    fn shards(&self) -> Option<Arc<Shards>> {
        self.shards.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of the place in which an account lives; None where there is one place.
    pub fn of(&self, account: AccountId) -> Option<usize> {
        self.shards().map(|shards| shards.of_account(account))
    }

    /// Keys by the place of their accounts, few enough at once that a statement may name them again for each of them.
    pub fn group<K: Placed>(&self, keys: Vec<K>) -> Vec<Vec<K>> {
        self.grouped(keys, K::owner)
    }

    /// What is of accounts, by their places.
    pub fn group_of<T>(&self, things: Vec<T>, account: impl Fn(&T) -> AccountId) -> Vec<Vec<T>> {
        self.grouped(things, |thing| Some(account(thing)))
    }

    fn grouped<T>(&self, things: Vec<T>, owner: impl Fn(&T) -> Option<AccountId>) -> Vec<Vec<T>> {
        let Some(shards) = self.shards() else { return vec![things] };
        let groups = group_by(things, |thing| owner(thing).map(|account| shards.of_account(account)));
        groups.into_iter().flat_map(|group| in_parts(group, KEYS_MAX)).collect()
    }
}

/// A cluster compares each key with all of its statement: of 512 at once that costs six times what it does of 128.
const KEYS_MAX: usize = 128;

fn in_parts<T>(mut things: Vec<T>, size: usize) -> Vec<Vec<T>> {
    let mut parts = Vec::with_capacity(things.len().div_ceil(size));
    while things.len() > size {
        let rest = things.split_off(size);
        parts.push(std::mem::replace(&mut things, rest));
    }
    parts.push(things);
    parts
}

/// A key that says in which account what it names is found.
pub trait Placed {
    /// Whether what it names may be in any of the cells, as the key does not say whose it is.
    const IS_ANYWHERE: bool = false;

    /// None: it is of nobody, and found everywhere.
    fn owner(&self) -> Option<AccountId>;
}

/// Things by what is said of each, in their order.
pub fn group_by<T, K: Hash + Eq>(things: Vec<T>, key: impl Fn(&T) -> K) -> Vec<Vec<T>> {
    let mut groups: Vec<Vec<T>> = Vec::new();
    let mut numbers: HashMap<K, usize> = HashMap::new();
    for thing in things {
        let number = *numbers.entry(key(&thing)).or_insert(groups.len());
        match groups.get_mut(number) {
            Some(group) => group.push(thing),
            None => groups.push(vec![thing]),
        }
    }
    groups
}

/// What PostgreSQL's `hashint8` answers, by which clusters choose shards (src/common/hashfn.c, Bob Jenkins' lookup3).
fn hash_bigint(value: i64) -> i32 {
    let (low, high) = (value as u32, (value >> 32) as u32);
    let folded = low ^ if value >= 0 { high } else { !high };
    let seed = 0x9e37_79b9_u32.wrapping_add(4).wrapping_add(3_923_095);
    let (mut a, mut b, mut c) = (seed.wrapping_add(folded), seed, seed);
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    c = (c ^ b).wrapping_sub(b.rotate_left(24));
    c as i32
}

impl<K: Placed, T> Placed for (K, T) {
    const IS_ANYWHERE: bool = K::IS_ANYWHERE;

    fn owner(&self) -> Option<AccountId> {
        self.0.owner()
    }
}

/// What is nobody's.
macro_rules! of_nobody {
    ($($key:ty),*) => {$(
        impl Placed for $key {
            fn owner(&self) -> Option<AccountId> {
                None
            }
        }
    )*};
}
of_nobody!((), String, PlanId);

impl Placed for PriceRuleId {
    const IS_ANYWHERE: bool = true;

    fn owner(&self) -> Option<AccountId> {
        None
    }
}

impl Placed for AccountId {
    fn owner(&self) -> Option<AccountId> {
        Some(*self)
    }
}

impl Placed for OwnedId {
    fn owner(&self) -> Option<AccountId> {
        Some(self.account())
    }
}

impl Placed for OrderId {
    fn owner(&self) -> Option<AccountId> {
        Some(self.0.account())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HASHES: [(i64, i32); 11] = [
        (0, -272_711_505),
        (1, -1_905_060_026),
        (2, 1_134_484_726),
        (7, -978_793_473),
        (1_017, -1_430_634_050),
        (123_456, 73_968_562),
        (4_294_967_295, 385_747_274),
        (4_294_967_296, -1_905_060_026),
        (i64::MAX, -1_524_351_049),
        (-1, 385_747_274),
        (-5_000_000_000, 954_517_114),
    ];

    #[test]
    fn hashes_are_those_of_postgresql() {
        // `SELECT hashint8(n)`.
        for (number, hash) in HASHES {
            assert_eq!(hash_bigint(number), hash, "{number}");
        }
    }

    proptest! {
        #[test]
        fn every_account_is_in_the_shard_whose_range_has_its_hash(account in any::<i64>(), count in 1..64_u16) {
            let shards = Shards::even(count).unwrap();
            let number = shards.of_account(AccountId(account));
            let hash = hash_bigint(account);
            prop_assert!(shards.0[number] <= hash);
            prop_assert!(shards.0.get(number + 1).is_none_or(|next| hash < *next));
        }

        #[test]
        fn keys_are_grouped_by_place_and_none_is_lost(keys in proptest::collection::vec(any::<u32>(), 0..700)) {
            let keys: Vec<AccountId> = keys.into_iter().map(|key| AccountId(i64::from(key))).collect();
            let places = Topology::default();
            prop_assert_eq!(places.group(keys.clone()), vec![keys.clone()]);
            let shards = Shards::even(4).unwrap();
            *places.shards.write().unwrap() = Some(Arc::new(shards.clone()));
            let groups = places.group(keys.clone());
            for group in &groups {
                prop_assert!(group.len() <= KEYS_MAX);
                prop_assert!(group.iter().all(|key| shards.of_account(*key) == shards.of_account(group[0])));
            }
            let (mut all, mut sorted) = (groups.concat(), keys);
            all.sort_unstable();
            sorted.sort_unstable();
            prop_assert_eq!(all, sorted);
        }
    }
}
