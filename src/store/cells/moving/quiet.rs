//! Jobs stand aside in two cells while an account is between them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use diesel::sql_types::Integer;
use diesel_async::RunQueryDsl;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::not_moved::{Hindrance, NotMoved};
use crate::store::Conn;
use crate::store::cells::Cells;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::leases::{Lease, lease_end, lease_seize};
use crate::store::sql::statement::Statement;

/// Who moves and is gone holds jobs up for so long.
const LEASE_SECONDS: i64 = 60;
const RENEWED_EVERY: Duration = Duration::from_secs(15);
/// The cell that is behind has so long to catch up with what is charged every 5 minutes.
const BURST_WAITED_FOR_MAX: Duration = Duration::from_secs(60);
const LOOKED_EVERY: Duration = Duration::from_millis(500);

pub(super) struct Quiet {
    holder: String,
    /// The one that it leaves, and the one that it goes to.
    from: Database,
    to: Database,
    /// Whether burst stands aside in the one that it leaves, too.
    with_burst: Arc<AtomicBool>,
    /// Dropped, it ends the renewals.
    stop: oneshot::Sender<()>,
}

impl Quiet {
    pub async fn begin(cells: &Cells, [from, to]: [usize; 2]) -> Result<Self, StoreError> {
        let (from, to) = (cells.at(from).database.clone(), cells.at(to).database.clone());
        let holder = format!("moving {}", Uuid::new_v4());
        seize(&to, &holder, true).await?;
        seize(&from, &holder, false).await?;
        let (stop, stopped) = oneshot::channel();
        let with_burst = Arc::new(AtomicBool::new(false));
        let cells = [from.clone(), to.clone()];
        tokio::spawn(renew(cells, holder.clone(), Arc::clone(&with_burst), stopped));
        Ok(Self { holder, from, to, with_burst, stop })
    }

    /// Waits until burst is charged up to the same cycle in both, or further in the one that it leaves; then that stands aside, too.
    pub async fn wait_for_burst(&self, from: Conn<'_>, to: Conn<'_>) -> Result<(), NotMoved> {
        let begin = Instant::now();
        while next_cycle(from).await? < next_cycle(to).await? {
            if begin.elapsed() > BURST_WAITED_FOR_MAX {
                return Err(Hindrance::BurstBehind.into());
            }
            tokio::time::sleep(LOOKED_EVERY).await;
        }
        AtomicBool::store(&self.with_burst, true, Ordering::SeqCst);
        let conn = self.from.connection().await?;
        Ok(lease_seize(&conn, Lease::Burst, &self.holder, LEASE_SECONDS).await?)
    }

    /// Lets jobs go on.
    pub async fn end(self) {
        drop(self.stop);
        for database in [&self.from, &self.to] {
            let Ok(conn) = database.connection().await else { continue };
            for lease in Lease::OF_RUNNERS {
                // One that is not given back ends by itself.
                let _ = lease_end(&conn, lease, &self.holder).await;
            }
        }
    }
}

/// The first cycle that a cell has not charged.
pub(super) async fn next_cycle(mut conn: Conn<'_>) -> Result<i32, StoreError> {
    Ok(Statement::<Integer>::new("SELECT next_cycle FROM burst_progress").get_result(&mut conn).await?)
}

async fn seize(database: &Database, holder: &str, with_burst: bool) -> Result<(), StoreError> {
    let conn = database.connection().await?;
    for lease in Lease::OF_RUNNERS {
        if with_burst || !matches!(lease, Lease::Burst) {
            lease_seize(&conn, lease, holder, LEASE_SECONDS).await?;
        }
    }
    Ok(())
}

async fn renew(
    [from, to]: [Database; 2],
    holder: String,
    with_burst: Arc<AtomicBool>,
    mut stopped: oneshot::Receiver<()>,
) {
    while tokio::time::timeout(RENEWED_EVERY, &mut stopped).await.is_err() {
        for (database, with_burst) in [(&from, AtomicBool::load(&with_burst, Ordering::SeqCst)), (&to, true)]
        {
            if let Err(error) = seize(database, &holder, with_burst).await {
                tracing::warn!(%error, "jobs may go on while an account moves");
            }
        }
    }
}
