//! Who tells operators of a lane that cannot write. A notice is a command, and which lane writes those is not known here.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::domain::command::Command;

/// Who raises a lane's notices.
pub enum Teller {
    /// The lane itself, once it can write again.
    Itself(Arc<dyn NoticeQueue>),
    /// Whoever can while the lane cannot.
    Others(Arc<dyn NoticeSink>),
}

/// The queue of a lane that raises its own notices.
pub trait NoticeQueue: Send + Sync {
    /// Has the notice raised with the next batch, if there is a place for it.
    fn put(&self, notice: Command);
}

/// Who raises the notices of others.
pub trait NoticeSink: Send + Sync {
    /// Why it could not be raised, if it was not.
    fn raise(self: Arc<Self>, notice: Command) -> BoxFuture<'static, Result<(), String>>;
}
