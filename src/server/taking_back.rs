//! A process of its own that takes back what was done ahead of time, and ends.

use chrono::{DateTime, Utc};

use super::foundation::foundation;
use super::{ServerConfig, StartError};
use crate::jobs::taking_back::{Aside, TakenBack, take_back_months};
use crate::store::clock_check::require_right_clock;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::taking_back::marks_take_back;

/// Sets marks back to the present, and takes back months that were closed before they were over, while the runners of all servers
/// stand aside. Says what was done of the marks, and of the months.
pub async fn take_back(
    config: ServerConfig,
    burst_since: Option<DateTime<Utc>>,
) -> Result<(Vec<String>, TakenBack), StartError> {
    let config = ServerConfig { of_one_cell: true, ..config };
    let (cells, jobs) = foundation(&config, config.connections_max, false).await?;
    let (database, jobs) = (&cells.home().database, jobs.home());
    let outcome = async {
        require_right_clock(&*jobs.database.connection().await?).await?;
        let owner = match &config.owner_url {
            Some(url) => Database::of_owner(url)?,
            None => database.clone(),
        };
        let aside = Aside::begin(jobs).await?;
        let taken = async {
            let marks = marks_take_back(&owner, burst_since).await?;
            Ok::<_, StoreError>((marks, take_back_months(jobs, &aside).await?))
        }
        .await;
        aside.end(jobs).await?;
        taken
    }
    .await;
    jobs.engine.stop().await;
    Ok(outcome?)
}
