//! Keys that something can be looked up by.

use std::hash::Hash;

use async_graphql::dataloader::Loader;

use crate::store::access::Repository;

/// The repository, as async-graphql's loaders look things up in it.
#[derive(Clone)]
pub struct Lookups(pub Repository);

/// What is looked up by a key of type `K`.
pub type Value<K> = <Lookups as Loader<K>>::Value;

/// A key that something can be looked up by.
pub trait Key: Send + Sync + Hash + Eq + Clone + 'static {}
impl<K: Send + Sync + Hash + Eq + Clone + 'static> Key for K {}
