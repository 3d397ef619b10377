//! Threads of the lanes' own.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// What carries out the lanes beside the workers that answer requests: a batch is a few answers of the database one after the other,
/// and behind thousands of requests that are to be turned away each of them would wait for all of those (docs/adr/0038). One thread
/// is enough for many lanes, as they mostly wait.
pub struct LaneThreads(Option<Runtime>);

impl LaneThreads {
    /// # Errors
    ///
    /// What the system says where there are no more threads.
    pub fn start() -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("lanes").enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    pub fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for LaneThreads {
    /// Lanes are stopped before; nobody waits here.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
