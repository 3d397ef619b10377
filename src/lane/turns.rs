//! Whose turn it is: the places in which something waits, each with one lane at a time.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// When there is something to be done in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Now,
    /// Not before then, unless something comes.
    At(Instant),
    /// Once something comes.
    WhenItComes,
}

/// The turns of places, which have numbers.
#[derive(Debug, Default)]
pub(super) struct Turns {
    line: Mutex<Line>,
    /// A place has come into the line, or is to come later.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Line {
    /// Those in which something waits; the one that has waited longest for its turn is first.
    waiting: VecDeque<usize>,
    states: Vec<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    IdleUntil(Instant),
    Waiting,
    Taken,
    /// Something has come since it was taken.
    TakenAndMore,
}

impl Line {
    fn set(&mut self, place: usize, state: State) {
        if self.states.len() <= place {
            self.states.resize(place.saturating_add(1), State::Idle);
        }
        if let Some(slot) = self.states.get_mut(place) {
            *slot = state;
        }
    }

    fn wait(&mut self, place: usize) {
        self.set(place, State::Waiting);
        self.waiting.push_back(place);
    }

    /// Has those wait whose time has come.
    fn wake(&mut self, now: Instant) {
        let has_come = |state: &State| matches!(state, State::IdleUntil(at) if *at <= now);
        let due = self.states.iter().enumerate().filter(|(_, state)| has_come(state));
        for place in due.map(|(place, _)| place).collect::<Vec<_>>() {
            self.wait(place);
        }
    }

    fn next(&self) -> Option<Instant> {
        let at = |state: &State| if let State::IdleUntil(at) = state { Some(*at) } else { None };
        self.states.iter().filter_map(at).min()
    }
}

impl Turns {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has come to a place.
    pub fn come(&self, place: usize) {
        let mut line = self.line();
        match line.states.get(place).copied().unwrap_or(State::Idle) {
            State::Idle | State::IdleUntil(_) => line.wait(place),
            State::Taken | State::TakenAndMore => return line.set(place, State::TakenAndMore),
            State::Waiting => return,
        }
        drop(line);
        self.changed.notify_one();
    }

    /// The place whose turn it is: nobody else has it until it is given back.
    pub fn take(&self) -> Option<usize> {
        let mut line = self.line();
        line.wake(Instant::now());
        let place = line.waiting.pop_front()?;
        line.set(place, State::Taken);
        let is_more = !line.waiting.is_empty();
        drop(line);
        if is_more {
            self.changed.notify_one();
        }
        Some(place)
    }

    /// A lane has done with a place for now.
    pub fn give_back(&self, place: usize, next: Next) {
        let mut line = self.line();
        let has_come = line.states.get(place) == Some(&State::TakenAndMore);
        match next {
            // The lane itself looks next.
            Next::Now => line.wait(place),
            _ if has_come => line.wait(place),
            Next::WhenItComes => line.set(place, State::Idle),
            Next::At(at) => {
                line.set(place, State::IdleUntil(at));
                drop(line);
                // A lane that sleeps may have nothing to wake it by then.
                self.changed.notify_one();
            }
        }
    }

    /// Waits until there may be a place to take.
    pub async fn changed(&self) {
        let next = self.line().next();
        let due = async {
            match next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.changed.notified() => {}
            () = due => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn who_has_waited_longest_is_next_and_nobody_is_taken_twice() {
        let turns = Turns::default();
        [2, 0, 2, 1].into_iter().for_each(|place| turns.come(place));
        assert_eq!((turns.take(), turns.take()), (Some(2), Some(0)));
        turns.come(2);
        assert_eq!((turns.take(), turns.take()), (Some(1), None), "2 is with a lane");
        turns.give_back(2, Next::WhenItComes);
        assert_eq!(turns.take(), Some(2), "something has come meanwhile");
        turns.give_back(0, Next::Now);
        turns.give_back(2, Next::WhenItComes);
        assert_eq!((turns.take(), turns.take()), (Some(0), None));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_off_comes_by_itself() {
        let turns = Turns::default();
        turns.come(0);
        assert_eq!(turns.take(), Some(0));
        let at = Instant::now() + Duration::from_secs(5);
        turns.give_back(0, Next::At(at));
        assert_eq!(turns.take(), None);
        turns.changed().await;
        turns.changed().await;
        assert_eq!((Instant::now() >= at, turns.take()), (true, Some(0)));
    }

    proptest! {
        /// Whatever comes, with however many lanes: it is taken, in turn, and by one lane at a time.
        #[test]
        fn everything_that_came_has_its_turn(ops in proptest::collection::vec((0..3_u8, 0..5_usize), 1..200)) {
            let turns = Turns::default();
            let (mut taken, mut came) = (BTreeSet::new(), BTreeSet::new());
            for (op, place) in ops {
                match op {
                    0 => {
                        turns.come(place);
                        came.insert(place);
                    }
                    1 => match turns.take() {
                        Some(place) => {
                            prop_assert!(taken.insert(place), "two lanes have {}", place);
                            prop_assert!(came.remove(&place), "nothing came to {}", place);
                        }
                        None => prop_assert!(came.is_subset(&taken)),
                    },
                    _ => if taken.remove(&place) {
                        turns.give_back(place, Next::WhenItComes);
                    },
                }
            }
            for place in taken {
                turns.give_back(place, Next::WhenItComes);
            }
            let left: BTreeSet<usize> = std::iter::from_fn(|| turns.take()).collect();
            prop_assert_eq!(left, came);
        }
    }
}
