//! An account is moved to another cell with all that is its own (docs/adr/0043).
//!
//! Each step is one transaction, and after each it is known from the databases what the next one is: whoever is cut off asks again.
//!
//! 1. *Leaving*: the cell that it lives in says so, and servers write nothing more of it; what a server that has not looked yet would
//!    write, a trigger refuses.
//! 2. *There*: all of its rows are written in the other cell by one transaction, which is committed once they are found to be the same.
//! 3. *Gone*: the cell that it lived in says where it is. From then on servers ask there.
//! 4. *Removed*: what is left of it goes, by one transaction.

mod arrival;
mod fence;
mod hindrances;
mod not_moved;
mod quiet;
mod removal;
mod rows;

use std::time::Duration;

use diesel::sql_types::{BigInt, Nullable};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};

use super::Cells;
use super::departures::{departures, departures_end, departures_say};
use super::following::SEEN_BY_ALL;
use crate::domain::cell::CellNumber;
use crate::domain::departure::{Departure, Departures, lead_of};
use crate::domain::ids::AccountId;
use crate::store::Conn;
use crate::store::database::{Database, OwnConnection};
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;
use arrival::Between;
use not_moved::Hindrance;
use quiet::Quiet;

pub use not_moved::NotMoved;

/// An account with years of usage takes its time.
const STATEMENT_TIME_MAX: &str =
    "SET statement_timeout = '1h'; SET idle_in_transaction_session_timeout = '1h'; SET TimeZone = 'UTC'";

/// What has been done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Leaving,
    There,
    Gone,
    Removed,
}

/// What it came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// So many accounts: a MAIN account with its SUB accounts.
    Accounts(usize),
    /// It was on its way to another, and has not left.
    TakenBack,
    /// It lives there, and nothing is left of it elsewhere.
    Already,
}

/// All cells, each with who owns its schema.
pub struct Mover {
    cells: Cells,
    owners: Vec<Database>,
    /// How long servers are waited for.
    seen_by_all: Duration,
}

/// Is told of each step, and says whether to go on.
pub type OnStep<'s> = &'s mut (dyn FnMut(Step) -> bool + Send);

impl Mover {
    /// The owners are in the order of the cells.
    pub fn new(cells: Cells, owners: Vec<Database>) -> Self {
        Self { cells, owners, seen_by_all: SEEN_BY_ALL }
    }

    /// The same where servers are known to have looked by then.
    #[must_use]
    pub fn waiting(self, seen_by_all: Duration) -> Self {
        Self { seen_by_all, ..self }
    }

    /// Moves an account, with its SUB accounts, or goes on with that.
    pub async fn move_account(
        &self,
        account: AccountId,
        to: CellNumber,
        on_step: OnStep<'_>,
    ) -> Result<Moved, NotMoved> {
        let connections = self.connections().await?;
        for connection in &connections {
            hold(connection).await?;
        }
        let said = self.said(&connections).await?;
        let numbers: Vec<CellNumber> = self.cells.all().map(|cell| cell.number).collect();
        let found = lead_of(account, &said.iter().collect::<Vec<_>>(), &numbers);
        let target = self.cells.place_at(to).ok_or(Hindrance::NoSuchCell(to))?;
        let said_here = said.get(found.place).and_then(|said| said.get(&account)).copied();
        let (Some(here), Some(there)) = (connections.get(found.place), connections.get(target)) else {
            return Err(Hindrance::NoSuchCell(to).into());
        };
        let family = family_of(here, account).await?;
        let is_left = self.tidy(&connections, &said, (account, found.place), on_step).await?;
        let way = Way { account, from: found.place, to: target, family };
        match said_here {
            Some(Departure::Leaving(next)) if next != to && way.from == way.to => {
                let next = self.cells.place_at(next).ok_or(Hindrance::NoSuchCell(next))?;
                self.take_back(&connections, &way, next).await?;
                Ok(Moved::TakenBack)
            }
            Some(Departure::Leaving(next)) if next != to => Err(NotMoved::ToAnother(self.name(next))),
            _ if found.place == target && is_left => Ok(Moved::Accounts(way.family.len())),
            _ if found.place == target => Ok(Moved::Already),
            said_here => {
                let is_there =
                    matches!(said_here, Some(Departure::Leaving(_))) && lives_at(there, account).await?;
                self.go(&connections, way, is_there, on_step).await
            }
        }
    }

    /// Removes what earlier moves have left of an account in other cells than the one at a place: rows, and fences; whether there were rows.
    async fn tidy(
        &self,
        connections: &[OwnConnection],
        said: &[Departures],
        (account, lives_in): (AccountId, usize),
        on_step: OnStep<'_>,
    ) -> Result<bool, NotMoved> {
        let mut is_left = false;
        for (place, (connection, said)) in connections.iter().zip(said).enumerate() {
            let said = said.get(&account);
            let has_gone = place != lives_in && matches!(said, Some(Departure::Gone(_)));
            if has_gone && lives_at(connection, account).await? {
                let quiet = Quiet::begin(&self.cells, [place, lives_in]).await?;
                let removed = self.remove(connection, place, account, on_step).await;
                quiet.end().await;
                removed?;
                is_left = true;
            } else if !matches!(said, Some(Departure::Leaving(_))) {
                fence::lower(connection, account).await?;
            }
        }
        Ok(is_left)
    }

    async fn connections(&self) -> Result<Vec<OwnConnection>, StoreError> {
        let mut connections = Vec::with_capacity(self.owners.len());
        for owner in &self.owners {
            let mut connection = owner.dedicated_connection().await?;
            connection.batch_execute(STATEMENT_TIME_MAX).await?;
            connections.push(connection);
        }
        Ok(connections)
    }

    async fn said(&self, connections: &[OwnConnection]) -> Result<Vec<Departures>, StoreError> {
        let mut said = Vec::with_capacity(connections.len());
        for connection in connections {
            said.push(departures(connection).await?);
        }
        Ok(said)
    }

    fn name(&self, number: CellNumber) -> String {
        let place = self.cells.place_at(number);
        place.map_or_else(|| number.to_string(), |place| self.cells.at(place).name.to_string())
    }

    /// It has not left, and stays.
    async fn take_back(
        &self,
        connections: &[OwnConnection],
        way: &Way,
        place: usize,
    ) -> Result<(), NotMoved> {
        let from = connections.get(way.from).ok_or(NotMoved::AnotherMoves)?;
        let mut coming = self.owner(place)?.dedicated_connection().await?;
        // Whoever is about to come there comes to an end first.
        coming
            .transaction(async |coming| {
                arrival::hold_arrivals(coming).await?;
                if lives_at(coming, way.account).await? {
                    return Err(NotMoved::ToAnother(self.cells.at(place).name.to_string()));
                }
                fence::lower(from, way.account).await?;
                let (family, own) = (family_of(from, way.account).await?, self.cells.at(way.from).number);
                let mut saying = self.owner(way.from)?.dedicated_connection().await?;
                // It may have come from another before.
                let here = Departure::Here(own);
                Ok(saying.transaction(async |conn| departures_say(conn, &family, here).await).await?)
            })
            .await
    }

    fn owner(&self, place: usize) -> Result<&Database, StoreError> {
        self.owners.get(place).ok_or_else(|| StoreError::Internal(format!("no owner of cell {place}")))
    }

    async fn go(
        &self,
        connections: &[OwnConnection],
        mut way: Way,
        is_there: bool,
        on_step: OnStep<'_>,
    ) -> Result<Moved, NotMoved> {
        // Jobs stand aside in both cells.
        let quiet = Quiet::begin(&self.cells, [way.from, way.to]).await?;
        let moved = async {
            if !is_there && let Err(why) = self.bring(connections, &mut way, &quiet, on_step).await {
                if !matches!(why, NotMoved::Stopped | NotMoved::AnotherMoves) {
                    // It waits for something that does not come while nothing of it is written.
                    self.take_back(connections, &way, way.to).await?;
                }
                return Err(why);
            }
            step(on_step, Step::There)?;
            let mut saying = self.owner(way.from)?.dedicated_connection().await?;
            let to = self.cells.at(way.to).number;
            let is_said =
                saying.transaction(async |conn| departures_end(conn, &way.family, to).await).await?;
            if !is_said {
                return Err(NotMoved::AnotherMoves);
            }
            step(on_step, Step::Gone)?;
            tokio::time::sleep(self.seen_by_all).await;
            let from = connections.get(way.from).ok_or(NotMoved::AnotherMoves)?;
            self.remove(from, way.from, way.account, on_step).await?;
            Ok(Moved::Accounts(way.family.len()))
        };
        let moved = moved.await;
        quiet.end().await;
        moved
    }

    /// Has all of it written in the cell that it goes to.
    async fn bring(
        &self,
        connections: &[OwnConnection],
        way: &mut Way,
        quiet: &Quiet,
        on_step: OnStep<'_>,
    ) -> Result<(), NotMoved> {
        let (Some(from), Some(to)) = (connections.get(way.from), connections.get(way.to)) else {
            return Err(NotMoved::AnotherMoves);
        };
        hindrances::look(&self.cells, from, to, &way.family).await?;
        quiet.wait_for_burst(from, to).await?;
        way.family = self.leave(from, way).await?;
        step(on_step, Step::Leaving)?;
        // Prices that were set until just now.
        hindrances::catalogue(&self.cells, to).await?;
        let mut arriving = self.owner(way.to)?.dedicated_connection().await?;
        let mut leaving = self.owner(way.from)?.dedicated_connection().await?;
        for connection in [&mut arriving, &mut leaving] {
            connection.batch_execute(STATEMENT_TIME_MAX).await?;
        }
        let between = Between { from: self.cells.at(way.from).number, to: self.cells.at(way.to).number };
        arrival::arrive(&mut leaving, &mut arriving, &way.family, between).await
    }

    /// Says that it leaves, and lets nobody write of it any more; answers all that move.
    async fn leave(&self, from: &OwnConnection, way: &Way) -> Result<Vec<AccountId>, NotMoved> {
        let mut family = way.family.clone();
        let leaving = Departure::Leaving(self.cells.at(way.to).number);
        loop {
            let mut saying = self.owner(way.from)?.dedicated_connection().await?;
            saying.transaction(async |conn| departures_say(conn, &family, leaving).await).await?;
            tokio::time::sleep(self.seen_by_all).await;
            fence::raise(from, way.account, &family).await?;
            // A SUB account may have come before the fence was up.
            let now = family_of(from, way.account).await?;
            if now == family {
                return Ok(family);
            }
            family = now;
        }
    }

    /// Removes what is left of an account that lives elsewhere.
    async fn remove(
        &self,
        from: &OwnConnection,
        place: usize,
        account: AccountId,
        on_step: OnStep<'_>,
    ) -> Result<(), NotMoved> {
        let family = family_of(from, account).await?;
        let mut removing = self.owner(place)?.dedicated_connection().await?;
        removing.batch_execute(STATEMENT_TIME_MAX).await?;
        removal::remove(&mut removing, &family, self.cells.at(place).number).await?;
        fence::lower(from, account).await?;
        step(on_step, Step::Removed)
    }
}

/// What is moved, and between which places.
struct Way {
    account: AccountId,
    from: usize,
    to: usize,
    family: Vec<AccountId>,
}

fn step(on_step: OnStep<'_>, step: Step) -> Result<(), NotMoved> {
    tracing::info!(?step, "an account moves");
    if on_step(step) { Ok(()) } else { Err(NotMoved::Stopped) }
}

/// One account is moved at a time: the lock is the session's, in each cell.
async fn hold(mut conn: Conn<'_>) -> Result<(), NotMoved> {
    let held = Statement::<diesel::sql_types::Bool>::new("SELECT pg_try_advisory_lock(4702394921427289935)");
    if held.get_result::<bool>(&mut conn).await? { Ok(()) } else { Err(NotMoved::AnotherMoves) }
}

async fn lives_at(mut conn: Conn<'_>, account: AccountId) -> Result<bool, StoreError> {
    let found = Statement::<BigInt>::new("SELECT count(*) FROM accounts WHERE id = ").bigint(account.0);
    Ok(found.get_result::<i64>(&mut conn).await? > 0)
}

/// A MAIN account with its SUB accounts, by their numbers.
async fn family_of(mut conn: Conn<'_>, account: AccountId) -> Result<Vec<AccountId>, NotMoved> {
    let statement =
        Statement::<(BigInt, Nullable<BigInt>)>::new("SELECT id, parent_id FROM accounts WHERE id = ")
            .bigint(account.0)
            .sql(" OR parent_id = ")
            .bigint(account.0)
            .sql(" ORDER BY id");
    let found: Vec<(i64, Option<i64>)> = statement.load(&mut conn).await?;
    match found.iter().find(|(id, _)| *id == account.0) {
        None => Err(NotMoved::NoSuchAccount(account)),
        Some((_, Some(parent))) => Err(NotMoved::SubAccount(account, AccountId(*parent))),
        Some((_, None)) => Ok(found.into_iter().map(|(id, _)| AccountId(id)).collect()),
    }
}
