//! Who draws invoices, and how many at once.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::documents::Provider;

/// Invoices that are drawn at once; each takes a processor.
const DRAWN_AT_ONCE: usize = 2;
/// Who may wait for a turn; everybody else is turned away at once.
const WAITING_MAX: usize = 64;

/// What drawing takes.
pub(super) struct Printer {
    pub(super) provider: Arc<Provider>,
    pub(super) turns: Arc<Semaphore>,
    /// Who may wait for one.
    pub(super) waiting: Semaphore,
}

impl Printer {
    pub fn new(provider: Provider) -> Self {
        Self {
            provider: Arc::new(provider),
            turns: Arc::new(Semaphore::new(DRAWN_AT_ONCE)),
            waiting: Semaphore::new(WAITING_MAX),
        }
    }
}
