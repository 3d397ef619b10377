//! Servers know where accounts are that have moved: each looks every second at what each cell says. Of a cell that has not been heard for
//! some seconds nothing is read or written: an account may have left it meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, Weak};
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::departures::departures;
use super::own_row::departures_version;
use crate::domain::cell::CellNumber;
use crate::domain::departure::{Departures, Whereabouts, lead};
use crate::domain::ids::AccountId;
use crate::store::Conn;
use crate::store::database::{Database, OwnConnection};
use crate::store::error::StoreError;

/// Between two looks at a cell.
const LOOKED_EVERY: Duration = Duration::from_secs(1);
/// A cell that says nothing for so long is asked again, on another connection.
const ASKED_FOR_MAX: Duration = Duration::from_secs(3);
/// What a cell has said counts for so long.
const SAID_FOR: Duration = Duration::from_secs(6);
/// Whoever moves an account waits so long: no server goes by anything older then, and what it had begun has come to its end.
pub(super) const SEEN_BY_ALL: Duration = Duration::from_secs(8);

/// Where accounts are that are not where they were born, or not for long.
#[derive(Default)]
pub(super) struct Moves {
    known: RwLock<Known>,
}

#[derive(Default)]
struct Known {
    /// By the places of the cells.
    numbers: Vec<CellNumber>,
    said: Vec<Said>,
    accounts: HashMap<AccountId, Whereabouts>,
}

/// What a cell has said last.
struct Said {
    departures: Departures,
    version: i64,
    heard: Instant,
}

impl Moves {
    pub fn of(&self, account: AccountId) -> Option<Whereabouts> {
        self.known().accounts.get(&account).copied()
    }

    /// Whether a cell has not been heard for too long. One that nobody looks at is as it was.
    pub fn is_silent(&self, place: usize) -> bool {
        self.known().said.get(place).is_some_and(|said| said.heard.elapsed() > SAID_FOR)
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn version_at(&self, place: usize) -> Option<i64> {
        self.known().said.get(place).map(|said| said.version)
    }

    /// Notes when a cell was asked, and what it has said, if that is something else than before.
    fn note(&self, place: usize, heard: Instant, news: Option<(i64, Departures)>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let Known { numbers, said, accounts } = &mut *known;
        let Some(of_cell) = said.get_mut(place) else { return };
        of_cell.heard = heard;
        let Some((version, departures)) = news else { return };
        (of_cell.version, of_cell.departures) = (version, departures);
        let all: Vec<&Departures> = said.iter().map(|said| &said.departures).collect();
        *accounts = lead(&all, numbers);
        let moving = accounts.values().filter(|found| found.is_moving).count();
        metrics::gauge!("abacus_accounts_moving").set(f64::from(u32::try_from(moving).unwrap_or(u32::MAX)));
    }

    fn begin(&self, numbers: Vec<CellNumber>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let nothing = |_| Said { departures: Departures::new(), version: -1, heard: Instant::now() };
        let said = numbers.iter().map(nothing).collect();
        *known = Known { numbers, said, accounts: HashMap::new() };
    }
}

/// Looks at all cells, and goes on looking for as long as anybody asks.
pub(super) async fn follow(moves: &Arc<Moves>, cells: Vec<Followed>) -> Result<(), StoreError> {
    moves.begin(cells.iter().map(|cell| cell.number).collect());
    let first = cells.iter().enumerate().map(|(place, cell)| async move {
        let conn = cell.database.dedicated_connection().await?;
        look(moves, place, &conn).await?;
        Ok::<_, StoreError>(conn)
    });
    let connections = join_all(first).await;
    for ((place, cell), conn) in cells.into_iter().enumerate().zip(connections) {
        let (moves, connection) = (Arc::downgrade(moves), Some(conn?));
        tokio::spawn(Follower { moves, place, cell, connection }.keep_looking());
    }
    Ok(())
}

/// A cell that is looked at.
pub(super) struct Followed {
    pub number: CellNumber,
    pub name: Arc<str>,
    pub database: Database,
}

async fn look(moves: &Moves, place: usize, conn: Conn<'_>) -> Result<(), StoreError> {
    let asked = Instant::now();
    let looking = async {
        let version = departures_version(conn).await?;
        if moves.version_at(place) == Some(version) {
            return Ok(None);
        }
        // What is read after it is as new, or newer.
        Ok::<_, StoreError>(Some((version, departures(conn).await?)))
    };
    let looked = tokio::time::timeout(ASKED_FOR_MAX, looking).await;
    let news = looked.unwrap_or_else(|_| Err(StoreError::no_answer()))?;
    moves.note(place, asked, news);
    Ok(())
}

struct Follower {
    moves: Weak<Moves>,
    place: usize,
    cell: Followed,
    /// Its own: none of the pool may be left when it is most wanted.
    connection: Option<OwnConnection>,
}

impl Follower {
    async fn keep_looking(mut self) {
        let mut is_away = false;
        loop {
            tokio::time::sleep(LOOKED_EVERY).await;
            let Some(moves) = self.moves.upgrade() else { return };
            let looked = self.look_once(&moves).await;
            if let Err(error) = &looked
                && !is_away
            {
                let cell = &self.cell.name;
                tracing::warn!(%cell, %error, "which accounts have moved is not known: the cell is not asked for anything");
            }
            is_away = looked.is_err();
        }
    }

    async fn look_once(&mut self, moves: &Moves) -> Result<(), StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.cell.database.dedicated_connection().await?,
        };
        look(moves, self.place, &connection).await?;
        self.connection = Some(connection);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_has_not_been_heard_for_too_long_is_silent_until_it_says_something() {
        let moves = Moves::default();
        assert!(!moves.is_silent(0));
        moves.begin(vec![CellNumber::HOME]);
        assert!(!moves.is_silent(0));
        let Some(long_ago) = Instant::now().checked_sub(SAID_FOR + Duration::from_secs(1)) else { return };
        moves.note(0, long_ago, None);
        assert!(moves.is_silent(0));
        moves.note(0, Instant::now(), None);
        assert!(!moves.is_silent(0));
        assert!(SEEN_BY_ALL > SAID_FOR);
    }
}
