//! Turns: how much one account has done for it at once, so that it holds up nobody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::domain::ids::AccountId;

/// The turns of all accounts; the provider's own people and machines, who have no account, share one.
pub struct Turns {
    of_account: usize,
    of_provider: usize,
    /// How many may wait for a turn of one account.
    waiting_max: usize,
    /// Of those who have a turn, or wait for one.
    taken: Mutex<HashMap<Option<AccountId>, Arc<Semaphore>>>,
}

/// Too many wait for a turn already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crowded;

/// A turn, until it is dropped.
pub struct Turn {
    turns: Arc<Turns>,
    whose: Option<AccountId>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// So many at once for each account, and so many for the provider, while so many wait.
    pub fn new(of_account: usize, of_provider: usize, waiting_max: usize) -> Arc<Self> {
        Arc::new(Self { of_account, of_provider, waiting_max, taken: Mutex::default() })
    }

    /// Waits for a turn.
    pub async fn turn(self: &Arc<Self>, whose: Option<AccountId>) -> Result<Turn, Crowded> {
        let own = self.places_of(whose)?;
        // Made before it is waited for: who leaves meanwhile is forgotten as well.
        let mut turn = Turn { turns: Arc::clone(self), whose, permit: None };
        turn.permit = own.acquire_owned().await.ok();
        Ok(turn)
    }

    fn places_of(&self, whose: Option<AccountId>) -> Result<Arc<Semaphore>, Crowded> {
        let at_once = if whose.is_some() { self.of_account } else { self.of_provider };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.entry(whose).or_insert_with(|| Arc::new(Semaphore::new(at_once)));
        // Each that has a turn or waits for one holds it, and so does the map.
        if Arc::strong_count(own) > at_once.saturating_add(self.waiting_max) {
            return Err(Crowded);
        }
        Ok(Arc::clone(own))
    }

    /// Of how many accounts anything is known.
    #[cfg(test)]
    pub fn known(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut taken = self.turns.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.get(&self.whose).is_some_and(|own| Arc::strong_count(own) == 1) {
            taken.remove(&self.whose);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::poll;

    #[tokio::test]
    async fn an_account_waits_for_itself_and_for_nobody_else() {
        let turns = Turns::new(1, 2, 3);
        let (one, other) = (Some(AccountId(1)), Some(AccountId(2)));
        let first = turns.turn(one).await.unwrap();
        let mut second = Box::pin(turns.turn(one));
        assert!(poll!(second.as_mut()).is_pending());
        let _ = (
            turns.turn(other).await.unwrap(),
            turns.turn(None).await.unwrap(),
            turns.turn(None).await.unwrap(),
        );
        drop(first);
        drop(second.await.unwrap());
        assert_eq!(turns.known(), 0, "nothing is kept of those who have gone");
    }

    #[tokio::test]
    async fn who_leaves_while_waiting_is_forgotten_and_too_many_do_not_wait() {
        let turns = Turns::new(1, 1, 3);
        let first = turns.turn(None).await.unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(turns.turn(None))).collect();
        for wait in &mut waiting {
            assert!(poll!(wait.as_mut()).is_pending());
        }
        assert!(turns.turn(None).await.is_err());
        drop((waiting, first));
        assert_eq!(turns.known(), 0);
    }
}
