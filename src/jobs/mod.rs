//! What happens by itself: renewals, warnings, due bills, suspensions, ends.
//!
//! Orders and bills say when they have to be looked at next. A runner reads, without locks and page by page, those whose
//! time has come, and sends a step for each to the engine, which decides again under the account's lock; the step names
//! what the row said when it was read, so that any number of runners can do the same and each step is done once. A lease
//! keeps them from all doing the same reading. docs/adr/0009 tells why.

mod advance;
pub mod anchors;
pub mod billing;
pub mod burst;
pub mod deposits;
pub mod erasures;
pub mod invoices;
pub mod ledger_check;
mod pass;
mod payments;
mod prepayments;
pub mod reconciliation;
pub mod retention;
mod runner;
mod submit;
pub mod taking_back;
mod telling;

pub use advance::{ADVANCE_DAYS_MAX, AdvanceError, advance};
pub use pass::{Counts, LeaseGuard, Pass, Runs, pass};
pub use payments::payment_pass;
pub use prepayments::prepayment_pass;
pub use runner::Runner;

use billing::Readers;

/// How long a lease of the jobs lasts, unless something else is said.
pub const LEASE_SECONDS_DEFAULT: i64 = 15;
/// How long after a month's end its invoices are issued, unless something else is said.
pub const INVOICE_DELAY_DEFAULT: TimeDelta = TimeDelta::hours(1);

use std::sync::{Arc, Mutex};
use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use quick_cache::sync::Cache;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::cell::CellNumber;
use crate::domain::ids::AccountId;
use crate::domain::money::Currencies;
use crate::domain::retention::Retention;
use crate::engine::Engine;
use crate::payments::{Cashier, DepositAddresses, Providers};
use crate::store::cells::{Cell, Cells};
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::leases;

/// What the jobs of a cell need of a server.
#[derive(Clone)]
pub struct JobContext {
    /// The cell whose accounts they are for.
    pub cell: CellNumber,
    pub database: Database,
    /// Everywhere.
    pub cells: Cells,
    pub engine: Arc<Engine>,
    /// Who carries payments by card on.
    pub cashier: Arc<Cashier>,
    /// Where tokens are sent to; None: they are not taken.
    pub deposit_addresses: Option<Arc<DepositAddresses>>,
    pub clock: Clock,
    pub currencies: Arc<Currencies>,
    /// Who holds the leases of this process.
    pub holder: String,
    /// When the first accounts of time zones were made that no month was closed for.
    pub first_accounts: Arc<Cache<Tz, DateTime<Utc>>>,
    /// When accounts were last looked through for their time zones.
    pub zones_found: Arc<Mutex<Option<Instant>>>,
    /// Who reads months.
    pub readers: Readers,
    /// How long its lease of the jobs lasts: after a crash, another process takes over this much later.
    pub lease_seconds: i64,
    /// How long after a month's end its invoices are issued.
    pub invoice_delay: TimeDelta,
    /// How long what is no part of the books is kept.
    pub retention: Retention,
}

/// More than there are time zones.
const ZONES_MAX: usize = 1_000;

impl JobContext {
    /// A process's own, for the home cell; it begins where a sandbox's clock is.
    pub fn new(
        cells: Cells,
        engine: Arc<Engine>,
        clock: Clock,
        currencies: Arc<Currencies>,
        providers: Providers,
        lease_seconds: i64,
    ) -> Self {
        let cashier = Cashier::new(
            providers,
            cells.clone(),
            Arc::clone(&engine),
            Arc::clone(&currencies),
            clock.clone(),
        );
        let cashier = Arc::new(cashier);
        let (holder, first_accounts) = (Uuid::new_v4().to_string(), Arc::new(Cache::new(ZONES_MAX)));
        let invoice_delay = INVOICE_DELAY_DEFAULT;
        Self {
            cell: CellNumber::HOME,
            database: cells.home().database.clone(),
            cells,
            engine,
            cashier,
            deposit_addresses: None,
            clock,
            currencies,
            holder,
            first_accounts,
            zones_found: Arc::default(),
            readers: Readers::default(),
            lease_seconds,
            invoice_delay,
            retention: Retention::default(),
        }
    }

    /// The same for another cell.
    #[must_use]
    pub fn of_cell(&self, cell: &Cell) -> Self {
        Self {
            cell: cell.number,
            database: cell.database.clone(),
            first_accounts: Arc::new(Cache::new(ZONES_MAX)),
            zones_found: Arc::default(),
            readers: Readers::default(),
            ..self.clone()
        }
    }

    /// Whether an account lives in its cell: what is left of one that has gone is not for jobs.
    pub(super) fn is_of(&self, account: AccountId) -> bool {
        let own = self.cells.place_at(self.cell);
        !self.cells.are_several() || own.is_some_and(|place| self.cells.is_at(place, account))
    }

    /// Moves a sandbox's clock to where another server has moved it.
    pub async fn follow_clock(&self) -> Result<(), StoreError> {
        if self.clock.offset_micros().is_some() {
            let ahead = leases::clock_offset(&*self.database.connection().await?).await?;
            self.clock.keep_up_with(ahead);
        }
        Ok(())
    }
}

/// The jobs of all cells.
#[derive(Clone)]
pub struct CellJobs {
    home: JobContext,
    others: Arc<[JobContext]>,
}

impl CellJobs {
    /// One for each cell, in their order.
    pub fn new(home: JobContext, others: Vec<JobContext>) -> Self {
        Self { home, others: others.into() }
    }

    pub const fn home(&self) -> &JobContext {
        &self.home
    }

    pub fn all(&self) -> impl Iterator<Item = &JobContext> + Clone {
        std::iter::once(&self.home).chain(self.others.iter())
    }

    /// Those of the cell that an account lives in.
    pub fn of(&self, account: AccountId) -> &JobContext {
        let nth = self.home.cells.place_of(account).checked_sub(1);
        nth.and_then(|nth| self.others.get(nth)).unwrap_or(&self.home)
    }
}
