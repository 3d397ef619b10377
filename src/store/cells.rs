//! The cells of an installation: the databases that its accounts are spread over, and in which each account lives.

pub mod births;
pub mod burst_used;
pub mod catalogue;
mod departures;
mod following;
pub mod joining;
pub mod moving;
pub mod own_row;

use std::sync::Arc;

pub(in crate::store) use departures::{any_has_gone, some_have_come};
use following::{Followed, Moves};

use super::database::Database;
use super::error::StoreError;
use super::places::Placed;
use crate::domain::cell::CellNumber;
use crate::domain::ids::AccountId;

/// One of them.
pub struct Cell {
    pub number: CellNumber,
    /// As operators call it.
    pub name: Arc<str>,
    pub database: Database,
}

impl Cell {
    /// What went wrong there, with its name where it is away.
    fn told(&self, error: StoreError) -> StoreError {
        if error.is_violation_of(ACCOUNT_IS_MOVING) {
            return StoreError::Unavailable(MOVING.to_owned());
        }
        match error {
            StoreError::Unavailable(cause) | StoreError::Broken(cause) => {
                StoreError::CellAway { cell: self.name.to_string(), cause }
            }
            error => error,
        }
    }
}

/// All of them, the home cell first. Where there is one it has everything.
#[derive(Clone)]
pub struct Cells {
    home: Arc<Cell>,
    others: Arc<[Cell]>,
    moves: Arc<Moves>,
}

/// What is written of an account that moves is a violation of.
pub const ACCOUNT_IS_MOVING: &str = "account_is_moving";
/// What whoever asks for that is told.
pub const MOVING: &str = "the account is being moved to another cell: ask again in a moment";

impl Cells {
    /// The one database of an installation that is not spread.
    pub fn one(database: Database) -> Self {
        let (number, name) = (CellNumber::HOME, Arc::from("home"));
        Self::new(Cell { number, name, database }, Vec::new())
    }

    pub fn new(home: Cell, others: Vec<Cell>) -> Self {
        Self { home: Arc::new(home), others: others.into(), moves: Arc::default() }
    }

    /// Knows from here on which accounts have moved.
    pub async fn follow_moves(&self) -> Result<(), StoreError> {
        if !self.are_several() {
            return Ok(());
        }
        let followed = self.all().map(|cell| Followed {
            number: cell.number,
            name: Arc::clone(&cell.name),
            database: cell.database.clone(),
        });
        following::follow(&self.moves, followed.collect()).await
    }

    /// The same with connections of their own.
    pub fn beside(&self, connections_max: u32) -> Self {
        let beside = |cell: &Cell| Cell {
            number: cell.number,
            name: Arc::clone(&cell.name),
            database: cell.database.beside(connections_max),
        };
        let home = Arc::new(beside(&self.home));
        let moves = Arc::clone(&self.moves);
        Self { home, others: self.others.iter().map(beside).collect(), moves }
    }

    pub fn are_several(&self) -> bool {
        !self.others.is_empty()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.others.len().saturating_add(1)
    }

    pub fn all(&self) -> impl Iterator<Item = &Cell> {
        std::iter::once(self.home()).chain(self.others())
    }

    /// All but the home cell.
    pub fn others(&self) -> &[Cell] {
        &self.others
    }

    /// What is nobody's lies there, and the directory of namespaces.
    pub fn home(&self) -> &Cell {
        &self.home
    }

    /// The cell that an account lives in. One that there cannot be is looked for, and not found, in the home cell.
    pub fn of(&self, account: AccountId) -> &Cell {
        self.at(self.place_of(account))
    }

    /// That cell's place in the list.
    pub fn place_of(&self, account: AccountId) -> usize {
        if !self.are_several() {
            return 0;
        }
        match self.moves.of(account) {
            Some(found) => found.place,
            None => self.place_at(CellNumber::of_birth(account)).unwrap_or(0),
        }
    }

    /// Whether an account is between two cells: nothing of it is to be written.
    pub fn is_moving(&self, account: AccountId) -> bool {
        self.are_several() && self.moves.of(account).is_some_and(|found| found.is_moving)
    }

    /// Whether what an account does may be written in the cell at a place.
    pub fn is_written_at(&self, place: usize, account: AccountId) -> bool {
        !self.are_several() || (self.is_at(place, account) && !self.is_moving(account))
    }

    /// Whether a cell may be asked for anything: it is known which accounts have left it.
    pub fn require_heard(&self, place: usize) -> Result<(), StoreError> {
        if self.are_several() && self.moves.is_silent(place) {
            let cause = "it has not said for some seconds which accounts have left it".to_owned();
            return Err(StoreError::CellAway { cell: self.at(place).name.to_string(), cause });
        }
        Ok(())
    }

    /// Whether an account lives in the cell at a place: of one that is moving there are rows in two.
    pub fn is_at(&self, place: usize, account: AccountId) -> bool {
        self.place_of(account) == place
    }

    /// The cell at a place in the list.
    pub fn at(&self, place: usize) -> &Cell {
        place.checked_sub(1).and_then(|nth| self.others.get(nth)).unwrap_or(&self.home)
    }

    /// What went wrong in a cell: which of several it is, if it is away.
    pub fn told(&self, place: usize, error: StoreError) -> StoreError {
        if self.are_several() { self.at(place).told(error) } else { error }
    }

    /// The place in the list of the cell of that number.
    pub fn place_at(&self, number: CellNumber) -> Option<usize> {
        self.all().position(|cell| cell.number == number)
    }

    /// Keys by what one statement may name of them: those of a cell, and there of a shard, where it is a cluster.
    pub fn statements<K: Placed + Clone>(&self, keys: Vec<K>) -> Vec<(usize, Vec<K>)> {
        let of_cell = |(place, keys)| {
            let groups = self.at(place).database.topology().group(keys);
            groups.into_iter().map(move |group| (place, group))
        };
        self.shares(keys).into_iter().flat_map(of_cell).collect()
    }

    /// Keys by the cells that have what they name, each with its place in the list; what any of them may have is asked of all.
    pub fn shares<K: Placed + Clone>(&self, keys: Vec<K>) -> Vec<(usize, Vec<K>)> {
        if !self.are_several() {
            return vec![(0, keys)];
        }
        if K::IS_ANYWHERE {
            return (0..self.count()).map(|place| (place, keys.clone())).collect();
        }
        let mut shares: Vec<Vec<K>> = self.all().map(|_| Vec::new()).collect();
        for key in keys {
            let place = key.owner().map_or(0, |account| self.place_of(account));
            if let Some(share) = shares.get_mut(place) {
                share.push(key);
            }
        }
        shares.into_iter().enumerate().filter(|(_, share)| !share.is_empty()).collect()
    }
}
