//! Requests' bodies: read once it is known who asks, each within a time and a length, and all together within a budget of
//! bytes of which no account may hold more than its share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures_util::StreamExt;

use crate::domain::ids::AccountId;
use crate::graphql::error::ApiError;

/// Bodies that are not longer are read whatever else is being read.
const FREE_BYTES: usize = 16 * 1024;

/// How many bytes of bodies there may be at once.
pub(super) struct Bodies {
    bytes_max: usize,
    /// Of one account.
    share_max: usize,
    /// A body is there as a whole within this time.
    time_max: Duration,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    by_account: HashMap<AccountId, usize>,
}

/// A body, and its part of the budget until this is dropped.
pub(super) struct Read {
    pub bytes: Bytes,
    _part: Part,
}

/// A part of the budget.
struct Part {
    bodies: Arc<Bodies>,
    account: Option<AccountId>,
    bytes: usize,
}

/// Why a body was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is longer than this.
    TooLong(usize),
    /// It did not come within the time.
    TooSlow(Duration),
    /// There are too many others.
    NoRoom,
    BrokenOff(String),
}

impl From<Unread> for ApiError {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLong(bytes_max) => {
                Self::bad_request(format!("a request's body may have {bytes_max} bytes"))
            }
            Unread::TooSlow(time) => {
                Self::bad_request(format!("the body was not sent as a whole within {} s", time.as_secs()))
            }
            Unread::NoRoom => Self::new("OVERLOADED", "too many bodies are being read: try again"),
            Unread::BrokenOff(why) => Self::bad_request(format!("the body broke off: {why}")),
        }
    }
}

impl Bodies {
    /// A budget; an account may hold `share_max` of it.
    pub fn new(bytes_max: usize, share_max: usize, time_max: Duration) -> Arc<Self> {
        Arc::new(Self { bytes_max, share_max, time_max, held: Mutex::default() })
    }

    /// Reads a body of up to `bytes_max` bytes, of a request of that account's.
    pub async fn read(
        self: &Arc<Self>,
        body: Body,
        account: Option<AccountId>,
        bytes_max: usize,
    ) -> Result<Read, Unread> {
        if usize::try_from(body.size_hint().lower()).is_ok_and(|lower| lower > bytes_max) {
            return Err(Unread::TooLong(bytes_max));
        }
        let part = Part { bodies: Arc::clone(self), account, bytes: 0 };
        tokio::time::timeout(self.time_max, collected(body, part, bytes_max))
            .await
            .unwrap_or(Err(Unread::TooSlow(self.time_max)))
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn collected(body: Body, mut part: Part, bytes_max: usize) -> Result<Read, Unread> {
    let mut chunks = body.into_data_stream();
    let mut whole = Vec::new();
    let mut first = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Unread::BrokenOff(error.to_string()))?;
        let length = whole.len().max(first.as_ref().map_or(0, Bytes::len)).saturating_add(chunk.len());
        if length > bytes_max {
            return Err(Unread::TooLong(bytes_max));
        }
        part.grow_to(length)?;
        // Most come in one piece, and that is not copied.
        match first.take() {
            None if whole.is_empty() => first = Some(chunk),
            None => whole.extend_from_slice(&chunk),
            Some(before) => whole = [before, chunk].concat(),
        }
    }
    Ok(Read { bytes: first.unwrap_or_else(|| whole.into()), _part: part })
}

impl Part {
    fn grow_to(&mut self, bytes: usize) -> Result<(), Unread> {
        let more = bytes.saturating_sub(self.bytes);
        if bytes <= FREE_BYTES || more == 0 {
            return Ok(());
        }
        let mut held = self.bodies.held();
        let in_all = held.bytes.saturating_add(more);
        if in_all > self.bodies.bytes_max {
            return Err(Unread::NoRoom);
        }
        if let Some(account) = self.account {
            let of_account = held.by_account.entry(account).or_default();
            let in_all = of_account.saturating_add(more);
            if in_all > self.bodies.share_max {
                return Err(Unread::NoRoom);
            }
            *of_account = in_all;
        }
        held.bytes = in_all;
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = self.bodies.held();
        held.bytes = held.bytes.saturating_sub(self.bytes);
        let Some(account) = self.account else { return };
        if let Some(of_account) = held.by_account.get_mut(&account) {
            *of_account = of_account.saturating_sub(self.bytes);
            if *of_account == 0 {
                held.by_account.remove(&account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;
    const TIME: Duration = Duration::from_secs(20);

    fn body(bytes: usize) -> Body {
        let chunks = vec![b'x'; bytes].chunks(10 * KIB).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        Body::from_stream(futures_util::stream::iter(
            chunks.into_iter().map(Ok::<_, std::convert::Infallible>),
        ))
    }

    /// The bytes, and by how many accounts.
    fn what_is_held(bodies: &Bodies) -> (usize, usize) {
        let held = bodies.held();
        (held.bytes, held.by_account.len())
    }

    async fn read(bodies: &Arc<Bodies>, account: i64, bytes: usize) -> Result<Read, Unread> {
        bodies.read(body(bytes), Some(AccountId(account)), 60 * KIB).await
    }

    #[tokio::test]
    async fn bodies_share_a_budget_and_give_it_back() {
        let bodies = Bodies::new(100 * KIB, 60 * KIB, TIME);
        let own = read(&bodies, 1, 50 * KIB).await.unwrap();
        assert_eq!(own.bytes.len(), 50 * KIB);
        assert_eq!(read(&bodies, 1, 20 * KIB).await.err(), Some(Unread::NoRoom), "beyond its share");
        assert!(read(&bodies, 1, 16 * KIB).await.is_ok(), "a small one is read whatever else is");
        let other = read(&bodies, 2, 50 * KIB).await.unwrap();
        assert_eq!(read(&bodies, 3, 20 * KIB).await.err(), Some(Unread::NoRoom), "beyond the budget");
        drop((own, other));
        assert_eq!(what_is_held(&bodies), (0, 0));
        assert!(read(&bodies, 1, 50 * KIB).await.is_ok());
    }

    #[tokio::test]
    async fn what_is_refused_half_way_holds_nothing() {
        let bodies = Bodies::new(100 * KIB, 100 * KIB, TIME);
        assert_eq!(read(&bodies, 1, 61 * KIB).await.err(), Some(Unread::TooLong(60 * KIB)));
        let broken = futures_util::stream::iter([
            Ok(Bytes::from(vec![0; 30 * KIB])),
            Err(std::io::Error::other("the line is dead")),
        ]);
        let read = bodies.read(Body::from_stream(broken), None, 60 * KIB).await;
        assert!(matches!(read.err(), Some(Unread::BrokenOff(why)) if why.contains("the line is dead")));
        assert_eq!(what_is_held(&bodies), (0, 0));
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_to_its_end_is_not_waited_for() {
        let begun = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(Bytes::from_static(b"x"))]);
        let body = Body::from_stream(begun.chain(futures_util::stream::pending()));
        let time = Duration::from_millis(20);
        let read = Bodies::new(100 * KIB, 100 * KIB, time).read(body, None, 60 * KIB).await;
        assert_eq!(read.err(), Some(Unread::TooSlow(time)));
    }
}
