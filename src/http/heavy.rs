//! What may take more than a moment of a processor is done beside the workers that answer everybody: on threads of its own,
//! few at once, and for one account one at a time. What it waits for (the database, the engine) goes on where it always does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::domain::ids::AccountId;
use crate::graphql::error::ApiError;
use crate::store::turns::{Crowded, Turns};

/// Done at once: most of them wait for the database most of their time.
const AT_ONCE: usize = 8;
/// Of one account, and of the provider's own people and machines.
const OF_ACCOUNT: usize = 1;
const OF_PROVIDER: usize = 4;
/// Requests of one account that wait, and how long each does: its body is held meanwhile.
const WAITING_MAX: usize = 64;
const WAITING_TIME_MAX: Duration = Duration::from_secs(10);

/// Why something was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undone {
    /// Too much waits already.
    Crowded,
    /// It has panicked.
    Lost,
}

impl From<Crowded> for Undone {
    fn from(_: Crowded) -> Self {
        Self::Crowded
    }
}

impl From<Undone> for ApiError {
    fn from(undone: Undone) -> Self {
        match undone {
            Undone::Crowded => Crowded.into(),
            Undone::Lost => Self::internal("what takes long was lost"),
        }
    }
}

/// Places for heavy work.
pub(super) struct HeavyWork {
    places: Arc<Semaphore>,
    turns: Arc<Turns>,
}

impl HeavyWork {
    pub fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            turns: Turns::new(OF_ACCOUNT, OF_PROVIDER, WAITING_MAX),
        }
    }

    /// Has it done once it is the account's turn and there is a place. It holds its place until it has ended, also where
    /// nobody waits for it any more.
    pub async fn run<T: Send + 'static>(
        &self,
        account: Option<AccountId>,
        work: BoxFuture<'static, T>,
    ) -> Result<T, Undone> {
        let waiting = async {
            let turn = self.turns.turn(account).await?;
            let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| Undone::Lost)?;
            Ok::<_, Undone>((turn, place))
        };
        let waited = tokio::time::timeout(WAITING_TIME_MAX, waiting).await;
        let held = waited.unwrap_or(Err(Undone::Crowded))?;
        let workers = Handle::current();
        let working = tokio::task::spawn_blocking(move || {
            let _held = held;
            workers.block_on(work)
        });
        working.await.map_err(|_| Undone::Lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn an_account_has_one_thing_done_at_a_time_and_holds_up_nobody_else() {
        let work = Arc::new(HeavyWork::new());
        let account = Some(AccountId(1));
        let (go_on, told) = oneshot::channel::<()>();
        let (began, has_begun) = oneshot::channel::<()>();
        let first = tokio::spawn({
            let work = Arc::clone(&work);
            let waiting = async move {
                let _ = began.send(());
                told.await.is_ok()
            };
            async move { work.run(account, waiting.boxed()).await.unwrap() }
        });
        has_begun.await.unwrap();
        let mut second = Box::pin(work.run(account, async { 2 }.boxed()));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        assert_eq!(work.run(Some(AccountId(2)), async { 3 }.boxed()).await, Ok(3));
        assert_eq!(work.run(None, async { 4 }.boxed()).await, Ok(4));
        go_on.send(()).unwrap();
        assert!(first.await.unwrap());
        assert_eq!(second.await, Ok(2));
    }

    #[tokio::test]
    async fn what_panics_gives_its_place_back() {
        let work = HeavyWork::new();
        for _ in 0..AT_ONCE {
            let panics = async { "no number".parse::<u8>().unwrap() };
            let lost = work.run(Some(AccountId(1)), panics.boxed()).await;
            assert_eq!(lost, Err(Undone::Lost));
        }
        assert_eq!(work.run(Some(AccountId(1)), async { 5 }.boxed()).await, Ok(5));
    }
}
