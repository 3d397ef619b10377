//! The look-ups of one request: what its fields ask for in one go is looked up in one go.
//!
//! The request's own task drives them: once none of its fields can go on, everything that they have asked for is known,
//! and each kind of key becomes one call of its loader. No timer and no task of its own, as async-graphql's DataLoader
//! needs for each kind of each level (docs/adr/0006).

use std::any::Any;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use async_graphql::dataloader::Loader;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::oneshot;

use super::data_loader::AnyDataLoader;
use super::key::{Key, Lookups, Value};
use crate::store::access::Repository;
use crate::store::error::StoreError;

type Answer<K> = Result<Option<Value<K>>, StoreError>;

/// Asks as the request's viewer, and remembers nothing: what a mutation has changed is read anew.
pub struct RequestLoader {
    lookups: Lookups,
    asked: Mutex<Vec<Box<dyn Batch>>>,
    /// Asks in its place, to be compared with.
    data_loader: Option<AnyDataLoader>,
}

/// The keys of one kind that wait to be looked up.
trait Batch: Send {
    fn as_any(&mut self) -> &mut dyn Any;
    fn look_up(self: Box<Self>, lookups: Lookups) -> BoxFuture<'static, ()>;
}

struct BatchOf<K: Key>
where
    Lookups: Loader<K>,
{
    keys: Vec<K>,
    answers: Vec<oneshot::Sender<Answer<K>>>,
}

impl<K: Key> Batch for BatchOf<K>
where
    Lookups: Loader<K, Error = StoreError>,
{
    fn as_any(&mut self) -> &mut dyn Any {
        self
    }

    fn look_up(self: Box<Self>, lookups: Lookups) -> BoxFuture<'static, ()> {
        async move {
            let found: Result<HashMap<K, Value<K>>, StoreError> = lookups.load(&self.keys).await;
            for (key, answer) in self.keys.iter().zip(self.answers) {
                let own = found.as_ref().map(|found| found.get(key).cloned()).map_err(Clone::clone);
                // Whoever no longer waits does not mind.
                let _ = answer.send(own);
            }
        }
        .boxed()
    }
}

impl RequestLoader {
    pub fn new(repository: Repository) -> Self {
        Self { lookups: Lookups(repository), asked: Mutex::default(), data_loader: None }
    }

    /// The same by async-graphql's own DataLoader.
    pub fn with_data_loader(repository: Repository) -> Self {
        let own = Self::new(repository);
        Self { data_loader: Some(AnyDataLoader::new(own.lookups.clone())), ..own }
    }

    pub fn repository(&self) -> &Repository {
        &self.lookups.0
    }

    /// Asks for what `key` leads to; the answer comes while [`Self::drive`] runs.
    pub async fn load<K: Key>(&self, key: K) -> Answer<K>
    where
        Lookups: Loader<K, Error = StoreError>,
    {
        if let Some(data_loader) = &self.data_loader {
            return data_loader.load(key).await;
        }
        let (answer, answered) = oneshot::channel();
        self.ask(key, answer);
        answered.await.unwrap_or_else(|_| Err(StoreError::Internal("a look-up was not answered".to_owned())))
    }

    fn ask<K: Key>(&self, key: K, answer: oneshot::Sender<Answer<K>>)
    where
        Lookups: Loader<K, Error = StoreError>,
    {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        match asked.iter_mut().find_map(|batch| batch.as_any().downcast_mut::<BatchOf<K>>()) {
            Some(batch) => {
                batch.keys.push(key);
                batch.answers.push(answer);
            }
            None => asked.push(Box::new(BatchOf { keys: vec![key], answers: vec![answer] })),
        }
    }

    fn take_asked(&self) -> Vec<Box<dyn Batch>> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Carries out a request and the look-ups that it asks for.
    pub async fn drive<T>(&self, request: impl Future<Output = T>) -> T {
        let mut request = pin!(request);
        let mut running = FuturesUnordered::new();
        poll_fn(|context| {
            loop {
                if let Poll::Ready(answer) = request.as_mut().poll(context) {
                    return Poll::Ready(answer);
                }
                running
                    .extend(self.take_asked().into_iter().map(|batch| batch.look_up(self.lookups.clone())));
                // One that has ended lets fields of the request go on.
                if !matches!(running.poll_next_unpin(context), Poll::Ready(Some(()))) {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}
