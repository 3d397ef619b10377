//! Takes requests until it is told to stop.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::StartError;

/// Requests that are under way when it stops are answered within this time.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);

/// A listener that answers.
pub(super) struct HttpListener {
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl HttpListener {
    pub async fn start(address: SocketAddr, routes: Router) -> Result<Self, StartError> {
        let failed = |error| StartError::Listen(address, error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(async move {
            let serving = axum::serve(listener, routes).with_graceful_shutdown(told_to_stop(stopping));
            if let Err(error) = serving.await {
                tracing::error!(%error, "the server ended");
            }
        });
        Ok(Self { address, stop, serving })
    }

    /// Takes no new requests, and answers those under way.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(STOP_TIME_MAX, &mut self.serving).await.is_err() {
            tracing::warn!("some connections did not end in time");
            self.serving.abort();
        }
    }
}

async fn told_to_stop(mut stopping: watch::Receiver<bool>) {
    // A server that is dropped is told so, too.
    let _ = stopping.wait_for(|stop| *stop).await;
}
