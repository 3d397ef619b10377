//! Servers know where accounts are that have moved: each looks every second at what each cell says.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use futures_util::future::join_all;

use super::Cell;
use super::departures::{Departures, Whereabouts, departures, departures_version, lead};
use crate::domain::cell::CellNumber;
use crate::domain::ids::AccountId;
use crate::store::database::Database;
use crate::store::error::StoreError;

/// Between two looks at a cell. Whoever moves an account waits for longer than that.
pub(super) const LOOKED_EVERY: Duration = Duration::from_secs(1);
/// A cell that says nothing for so long is asked again.
const ASKED_FOR_MAX: Duration = Duration::from_secs(5);

/// Where accounts are that are not where they were born, or not for long.
#[derive(Default)]
pub(super) struct Moves {
    known: RwLock<Arc<Known>>,
}

#[derive(Default)]
struct Known {
    /// By the places of the cells.
    numbers: Vec<CellNumber>,
    said: Vec<Departures>,
    versions: Vec<i64>,
    accounts: HashMap<AccountId, Whereabouts>,
}

impl Moves {
    pub fn of(&self, account: AccountId) -> Option<Whereabouts> {
        self.known().accounts.get(&account).copied()
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn version_at(&self, place: usize) -> Option<i64> {
        self.known().versions.get(place).copied()
    }

    fn note(&self, place: usize, version: i64, said: Departures) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let (numbers, mut versions, mut all) =
            (known.numbers.clone(), known.versions.clone(), known.said.clone());
        if let (Some(of_cell), Some(noted)) = (all.get_mut(place), versions.get_mut(place)) {
            (*of_cell, *noted) = (said, version);
        }
        let accounts = lead(&all, &numbers);
        let moving = accounts.values().filter(|found| found.is_moving).count();
        metrics::gauge!("abacus_accounts_moving").set(f64::from(u32::try_from(moving).unwrap_or(u32::MAX)));
        *known = Arc::new(Known { numbers, versions, said: all, accounts });
    }

    fn begin(&self, numbers: Vec<CellNumber>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let (versions, said) = (vec![-1; numbers.len()], vec![Departures::new(); numbers.len()]);
        *known = Arc::new(Known { numbers, versions, said, accounts: HashMap::new() });
    }
}

/// Looks at all cells, and goes on looking for as long as anybody asks.
pub(super) async fn follow(moves: &Arc<Moves>, cells: Vec<&Cell>) -> Result<(), StoreError> {
    moves.begin(cells.iter().map(|cell| cell.number).collect());
    let first = cells.iter().enumerate().map(|(place, cell)| look(moves, place, &cell.database));
    join_all(first).await.into_iter().collect::<Result<(), _>>()?;
    for (place, cell) in cells.into_iter().enumerate() {
        tokio::spawn(keep_looking(
            Arc::downgrade(moves),
            place,
            cell.database.clone(),
            Arc::clone(&cell.name),
        ));
    }
    Ok(())
}

async fn look(moves: &Moves, place: usize, database: &Database) -> Result<(), StoreError> {
    let looking = async {
        let conn = database.connection().await?;
        let version = departures_version(&conn).await?;
        // What is read after it is as new, or newer.
        if moves.version_at(place) != Some(version) {
            moves.note(place, version, departures(&conn).await?);
        }
        Ok(())
    };
    tokio::time::timeout(ASKED_FOR_MAX, looking).await.unwrap_or_else(|_| Err(StoreError::no_answer()))
}

async fn keep_looking(moves: Weak<Moves>, place: usize, database: Database, name: Arc<str>) {
    let mut is_away = false;
    loop {
        tokio::time::sleep(LOOKED_EVERY).await;
        let Some(moves) = moves.upgrade() else { return };
        let looked = look(&moves, place, &database).await;
        if let Err(error) = &looked
            && !is_away
        {
            tracing::warn!(cell = %name, %error, "which accounts have moved is not known anew");
        }
        is_away = looked.is_err();
    }
}
