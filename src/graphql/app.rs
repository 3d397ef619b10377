//! What all requests share.

use std::sync::Arc;

use crate::clock::Clock;
use crate::domain::cell::CellNumber;
use crate::domain::money::Currencies;
use crate::domain::policies::Policies;
use crate::domain::restoration::Restoration;
use crate::engine::Engine;
use crate::graphql::invoice_links::InvoiceLinks;
use crate::graphql::runtime::limits::Limits;
use crate::jobs::{CellJobs, JobContext};
use crate::metering::Meter;
use crate::store::access::Store;
use crate::store::turns::Turns;

/// The server's parts, as resolvers need them.
pub struct App {
    pub store: Arc<Store>,
    pub engine: Arc<Engine>,
    pub meter: Meter,
    pub currencies: Arc<Currencies>,
    pub policies: Policies,
    pub clock: Clock,
    pub limits: Limits,
    /// Whether customers may recharge without a payment method, and the clock can be moved.
    pub sandbox: bool,
    /// Those of the home cell.
    pub jobs: JobContext,
    /// Those of each cell.
    pub cell_jobs: CellJobs,
    pub invoice_links: InvoiceLinks,
    /// Whether look-ups are async-graphql's DataLoader's, to compare with.
    pub data_loaders: bool,
    /// The restores of databases from backups, as they were known at the start.
    pub restorations: Vec<(CellNumber, Restoration)>,
    /// Who may have a forecast made: each reads and rates a month.
    pub forecasts: Arc<Turns>,
}
