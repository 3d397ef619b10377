//! async-graphql's own DataLoader in the place of a request's look-ups, to be compared with them (docs/adr/0006).
//!
//! Its loader knows one kind of key, which stands for all: so little has to be compiled for what is only compared with.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_graphql::dataloader::{DataLoader, Loader};
use async_graphql::runtime::{TokioSpawner, TokioTimer};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, try_join_all};

use super::key::{Key, Lookups, Value};
use crate::store::error::StoreError;

type AnyValue = Arc<dyn Any + Send + Sync>;
type Found = HashMap<AnyKey, AnyValue>;

/// Looks up what any key leads to.
pub(super) struct AnyDataLoader(DataLoader<AnyLoader>);

impl AnyDataLoader {
    pub fn new(lookups: Lookups) -> Self {
        Self(DataLoader::new(AnyLoader(lookups), TokioSpawner::current(), TokioTimer::default()))
    }

    pub async fn load<K: Key>(&self, key: K) -> Result<Option<Value<K>>, StoreError>
    where
        Lookups: Loader<K, Error = StoreError>,
    {
        let found = self.0.load_one(AnyKey(Arc::new(key))).await?;
        Ok(found.and_then(|value| value.downcast_ref::<Value<K>>().cloned()))
    }
}

struct AnyLoader(Lookups);

impl Loader<AnyKey> for AnyLoader {
    type Value = AnyValue;
    type Error = StoreError;

    async fn load(&self, keys: &[AnyKey]) -> Result<Found, StoreError> {
        let mut of_kinds: HashMap<TypeId, Vec<AnyKey>> = HashMap::new();
        for key in keys {
            of_kinds.entry(key.0.as_any().type_id()).or_default().push(key.clone());
        }
        let looked_up = of_kinds.into_values().filter_map(|keys| {
            let first = Arc::clone(&keys.first()?.0);
            Some(first.look_up(keys, self.0.clone()))
        });
        Ok(try_join_all(looked_up).await?.into_iter().flatten().collect())
    }
}

/// A key of any kind.
#[derive(Clone)]
struct AnyKey(Arc<dyn ErasedKey>);

impl PartialEq for AnyKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.is(other.0.as_any())
    }
}

impl Eq for AnyKey {}

impl Hash for AnyKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_into(state);
    }
}

trait ErasedKey: Send + Sync {
    fn as_any(&self) -> &dyn Any;

    fn is(&self, other: &dyn Any) -> bool;

    fn hash_into(&self, state: &mut dyn Hasher);

    /// Looks up keys of its kind.
    fn look_up(&self, keys: Vec<AnyKey>, lookups: Lookups) -> BoxFuture<'static, Result<Found, StoreError>>;
}

impl<K: Key> ErasedKey for K
where
    Lookups: Loader<K, Error = StoreError>,
{
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<K>() == Some(self)
    }

    fn hash_into(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }

    fn look_up(&self, keys: Vec<AnyKey>, lookups: Lookups) -> BoxFuture<'static, Result<Found, StoreError>> {
        async move {
            let own: Vec<K> =
                keys.iter().filter_map(|key| key.0.as_any().downcast_ref::<K>().cloned()).collect();
            let found = lookups.load(&own).await?;
            let found =
                found.into_iter().map(|(key, value)| (AnyKey(Arc::new(key)), Arc::new(value) as AnyValue));
            Ok(found.collect())
        }
        .boxed()
    }
}
