//! Places at which something waits for lanes: what lives in one place is written as one transaction, and no transaction has two.
//!
//! Where everything is in one database there are as many as lanes, and each is a share of the accounts; in a cluster each is a shard
//! (docs/adr/0041). A free lane takes the place that has waited longest, with all that waits there.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::turns::{Next, Turns};

/// What waits at a place.
pub trait Place: Send + Sync + 'static {
    /// Takes no more.
    fn close(&self);

    fn is_empty(&self) -> bool;

    /// What a lane took of it is done, whatever became of that.
    fn end_batch(&self) {}

    /// When there is something to be done.
    fn next(&self) -> Next;

    /// Forgets what waits: whoever asked learns that the outcome is unknown.
    fn abandon(&self);
}

type Opening<P> = Box<dyn Fn(usize) -> P + Send + Sync>;

/// All places of an engine or a meter.
pub struct Places<P: Place> {
    all: RwLock<Vec<Arc<P>>>,
    opening: Opening<P>,
    is_closed: AtomicBool,
    turns: Turns,
    /// How many lanes there are.
    lanes: AtomicUsize,
}

impl<P: Place> Places<P> {
    /// So many to begin with; others are opened once they are asked for.
    pub fn new(first: usize, opening: impl Fn(usize) -> P + Send + Sync + 'static) -> Arc<Self> {
        let all = RwLock::new((0..first).map(|number| Arc::new(opening(number))).collect());
        let (is_closed, lanes) = (AtomicBool::new(false), AtomicUsize::new(0));
        Arc::new(Self { all, opening: Box::new(opening), is_closed, turns: Turns::default(), lanes })
    }

    /// The place of that number; numbers are few, and go up from 0.
    pub fn at(&self, number: usize) -> Arc<P> {
        if let Some(place) = self.all.read().unwrap_or_else(PoisonError::into_inner).get(number) {
            return Arc::clone(place);
        }
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(place) = all.get(number) {
                return Arc::clone(place);
            }
            let place = Arc::new((self.opening)(all.len()));
            if self.is_closed.load(Ordering::SeqCst) {
                place.close();
            }
            all.push(place);
        }
    }

    /// All that were opened.
    pub fn all(&self) -> Vec<Arc<P>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something has come to the place of that number.
    pub fn come(&self, number: usize) {
        self.turns.come(number);
    }

    /// Lets nothing come any more; whether all that has come was taken.
    pub fn close(&self) -> bool {
        self.is_closed.store(true, Ordering::SeqCst);
        let all = self.all();
        all.iter().for_each(|place| place.close());
        all.iter().all(|place| place.is_empty())
    }
}

/// A lane's way to the places. Once no lane is left, whoever waits is told.
pub struct Attendant<P: Place>(Arc<Places<P>>);

impl<P: Place> Attendant<P> {
    pub fn of(places: &Arc<Places<P>>) -> Self {
        places.lanes.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(places))
    }

    /// What `fill` takes of the place whose turn it is, and of the next one where that is nothing.
    pub fn take<R>(&self, fill: impl Fn(&P) -> Vec<R>) -> Option<Batch<P, R>> {
        loop {
            let number = self.0.turns.take()?;
            let turn = Turn { place: self.0.at(number), places: Arc::clone(&self.0), number };
            let requests = fill(&turn);
            if !requests.is_empty() {
                return Some(Batch { turn, requests });
            }
        }
    }

    /// Waits until there may be a place to take.
    pub async fn changed(&self) {
        self.0.turns.changed().await;
    }
}

impl<P: Place> Deref for Attendant<P> {
    type Target = Places<P>;

    fn deref(&self) -> &Places<P> {
        &self.0
    }
}

impl<P: Place> Drop for Attendant<P> {
    fn drop(&mut self) {
        if self.lanes.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.close();
            self.all().iter().for_each(|place| place.abandon());
        }
    }
}

/// A place while one lane has it: dropped, it is given back.
pub struct Turn<P: Place> {
    places: Arc<Places<P>>,
    number: usize,
    place: Arc<P>,
}

/// What is done together, and the place that it is of.
pub struct Batch<P: Place, R> {
    pub turn: Turn<P>,
    pub requests: Vec<R>,
}

impl<P: Place> Deref for Turn<P> {
    type Target = P;

    fn deref(&self) -> &P {
        &self.place
    }
}

impl<P: Place> Drop for Turn<P> {
    fn drop(&mut self) {
        self.place.end_batch();
        self.places.turns.give_back(self.number, self.place.next());
    }
}
