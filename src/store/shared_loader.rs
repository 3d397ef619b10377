//! Group fetch: look-ups of many requests share one statement.
//!
//! A fetcher takes whatever keys have been asked for while its last statements were under way and looks them up
//! together. There is no cache and no timer: alone, a key goes at once. It knows nothing of who asks; what may be
//! seen is decided above it, request by request (access/).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, try_join_all};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::cells::Cells;
use super::database::{Connection, Database};
use super::error::StoreError;
use super::places::Placed;

/// A batch takes no more keys than this, unless one request alone asks for more.
pub const BATCH_KEYS_MAX: usize = 1_000;
/// Asks that wait for a batch.
const QUEUE_MAX: usize = 8_192;
/// Statements of one fetcher under way at once.
const BATCHES_MAX: usize = 2;
/// Above PostgreSQL's own limit on a statement, so that only what hangs beyond it ends here.
const BATCH_TIME_MAX: Duration = Duration::from_secs(40);
/// Places of a batch that are asked at once.
const GROUPS_MAX: usize = 4;
/// How often a batch lets others add their keys before it is sent.
const TURNS: usize = 2;

/// What a fetch answers: a value for each key that there is one for.
pub type Found<K, V> = Result<HashMap<K, V>, StoreError>;
type Fetch<K, V> = dyn Fn(Connection, Vec<K>) -> BoxFuture<'static, Found<K, V>> + Send + Sync;

struct Ask<K, V> {
    keys: Vec<K>,
    answer: oneshot::Sender<Found<K, V>>,
}

/// Looks up values of one kind of key, in each cell by itself: those of one do not wait for another that is away.
pub struct SharedLoader<K, V> {
    cells: Cells,
    /// By the places of the cells.
    asks: Box<[mpsc::Sender<Ask<K, V>>]>,
}

impl<K, V> SharedLoader<K, V>
where
    K: Placed + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Starts a fetcher; it ends with its last handle.
    pub fn start<F>(cells: &Cells, fetch: F) -> Self
    where
        F: Fn(Connection, Vec<K>) -> BoxFuture<'static, Found<K, V>> + Send + Sync + 'static,
    {
        let fetch: Arc<Fetch<K, V>> = Arc::new(fetch);
        let begin = |database: &Database| {
            let (asks, queue) = mpsc::channel(QUEUE_MAX);
            spawn(dispatch(queue, database.clone(), Arc::clone(&fetch)).boxed());
            asks
        };
        Self { cells: cells.clone(), asks: cells.all().map(|cell| begin(&cell.database)).collect() }
    }

    /// Looks up these keys, together with those of others.
    pub async fn get(&self, keys: Vec<K>) -> Found<K, V> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let shares = match <[(usize, Vec<K>); 1]>::try_from(self.cells.shares(keys)) {
            Ok([(place, keys)]) => return self.get_in(place, keys).await,
            Err(shares) => shares,
        };
        let found = try_join_all(shares.into_iter().map(|(place, keys)| self.get_in(place, keys))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn get_in(&self, place: usize, keys: Vec<K>) -> Found<K, V> {
        self.cells.require_heard(place)?;
        let stopping = || StoreError::Unavailable("the server is stopping".to_owned());
        let (answer, answered) = oneshot::channel();
        let asks = self.asks.get(place).ok_or_else(stopping)?;
        asks.try_send(Ask { keys, answer }).map_err(|_| StoreError::Overloaded)?;
        let found = answered.await.unwrap_or_else(|_| Err(stopping()));
        // What was not found may have left while it was waited for.
        self.cells.require_heard(place)?;
        found.map_err(|error| self.cells.told(place, error))
    }

    /// Looks up one key.
    pub async fn get_one(&self, key: K) -> Result<Option<V>, StoreError> {
        Ok(self.get(vec![key.clone()]).await?.remove(&key))
    }
}

async fn dispatch<K, V>(mut queue: mpsc::Receiver<Ask<K, V>>, database: Database, fetch: Arc<Fetch<K, V>>)
where
    K: Placed + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let running = Arc::new(Semaphore::new(BATCHES_MAX));
    let mut left_over = None;
    loop {
        let first = match left_over.take() {
            Some(ask) => ask,
            None => match queue.recv().await {
                Some(ask) => ask,
                None => return,
            },
        };
        let Ok(permit) = Arc::clone(&running).acquire_owned().await else { return };
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
        }
        let batch = take_batch(first, &mut queue, &mut left_over);
        let (database, fetch) = (database.clone(), Arc::clone(&fetch));
        let answering = async move {
            answer_batch(batch, &database, &*fetch).await;
            drop(permit);
        };
        spawn(answering.boxed());
    }
}

/// One kind of task for all kinds of keys: each would be compiled anew.
fn spawn(task: BoxFuture<'static, ()>) {
    tokio::spawn(task);
}

/// What waits, as long as it fits; the first ask that does not is left over for the next batch.
fn take_batch<K, V>(
    first: Ask<K, V>,
    queue: &mut mpsc::Receiver<Ask<K, V>>,
    left_over: &mut Option<Ask<K, V>>,
) -> Vec<Ask<K, V>> {
    let mut keys = first.keys.len();
    let mut batch = vec![first];
    while let Ok(next) = queue.try_recv() {
        keys += next.keys.len();
        if keys > BATCH_KEYS_MAX {
            *left_over = Some(next);
            break;
        }
        batch.push(next);
    }
    batch.retain(|ask| !ask.answer.is_closed());
    batch
}

async fn answer_batch<K, V>(batch: Vec<Ask<K, V>>, database: &Database, fetch: &Fetch<K, V>)
where
    K: Placed + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone,
{
    let mut keys: Vec<K> = Vec::with_capacity(batch.len());
    let mut seen = std::collections::HashSet::new();
    keys.extend(batch.iter().flat_map(|ask| &ask.keys).filter(|key| seen.insert(*key)).cloned());
    if keys.is_empty() {
        return;
    }
    match run(database, fetch, keys).await {
        Ok(found) => {
            for ask in batch {
                let own = ask
                    .keys
                    .iter()
                    .filter_map(|key| found.get(key).map(|value| (key.clone(), value.clone())));
                // Whoever no longer waits does not mind.
                let _ = ask.answer.send(Ok(own.collect()));
            }
        }
        Err(error) => answer_one_by_one(batch, database, fetch, error).await,
    }
}

/// What one key did to the batch, the others need not suffer.
async fn answer_one_by_one<K, V>(
    batch: Vec<Ask<K, V>>,
    database: &Database,
    fetch: &Fetch<K, V>,
    mut last: StoreError,
) where
    K: Placed + Hash + Eq + Clone + Send + Sync + 'static,
{
    let mut lost_connections = 0;
    for ask in batch {
        let mut answer = Ok(HashMap::new());
        for key in ask.keys {
            // A database that is away is asked once more, for connections that were lost, and not for every key.
            if lost_connections > 1 {
                answer = Err(last.clone());
                break;
            }
            match (run(database, fetch, vec![key]).await, &mut answer) {
                (Ok(found), Ok(all)) => all.extend(found),
                (Ok(_), Err(_)) => {}
                (Err(error), _) => {
                    lost_connections += usize::from(error.is_of_the_machinery());
                    last = error.clone();
                    answer = Err(error);
                }
            }
        }
        let _ = ask.answer.send(answer);
    }
}

/// Looks keys up, those of each place by themselves.
async fn run<K, V>(database: &Database, fetch: &Fetch<K, V>, keys: Vec<K>) -> Found<K, V>
where
    K: Placed + Hash + Eq,
{
    let groups = match <[Vec<K>; 1]>::try_from(database.topology().group(keys)) {
        Ok([only]) => return look_up(database, fetch, only).await,
        Err(groups) => groups,
    };
    let each = stream::iter(groups).map(|keys| look_up(database, fetch, keys)).buffer_unordered(GROUPS_MAX);
    each.try_fold(HashMap::new(), async |mut all, found| {
        all.extend(found);
        Ok(all)
    })
    .await
}

async fn look_up<K, V>(database: &Database, fetch: &Fetch<K, V>, keys: Vec<K>) -> Found<K, V> {
    let connection = database.connection().await?;
    tokio::time::timeout(BATCH_TIME_MAX, fetch(connection, keys))
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable("a look-up took too long".to_owned())))
}
