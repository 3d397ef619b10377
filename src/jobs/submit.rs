//! Commands of jobs.

use std::time::Duration;

use super::JobContext;
use crate::domain::command::Command;
use crate::domain::decide::Action;
use crate::domain::ids::AccountId;
use crate::domain::outcome::{Done, Executed};
use crate::engine::{EngineError, Priority};
use crate::store::cells::MOVING;

/// What the engine cannot take on now is sent again so often, with a pause between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Has a job's command carried out, and waits while too much is going on.
pub(super) async fn submit(
    jobs: &JobContext,
    account: AccountId,
    action: Action,
) -> Result<Box<Executed>, EngineError> {
    // What was read here is not what is there.
    if !jobs.is_of(account) {
        return Err(EngineError::Unavailable(MOVING.to_owned()));
    }
    let mut tries = TRIES;
    loop {
        let command = Command::by_itself(account, action.clone());
        match jobs.engine.submit(command, Priority::Background).await {
            Ok(Done::Executed(outcome)) => return Ok(outcome),
            Ok(Done::Replayed(_) | Done::Awaits(_)) => {
                return Err(EngineError::Unavailable("a job's command has no key".to_owned()));
            }
            Err(EngineError::Overloaded) if tries > 0 => {
                tries = tries.saturating_sub(1);
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}
