//! Takes requests until it is told to stop.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpSocket, lookup_host};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::StartError;

/// Requests that are under way when it stops are answered within this time.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// A port that is taken, and at which nobody is answered yet.
pub struct Port {
    socket: TcpSocket,
    place: String,
}

impl Port {
    /// Takes the first of a host's addresses that can be had: `127.0.0.1:8080`, `localhost:8080`, `[::1]:0`.
    pub async fn take(place: &str) -> Result<Self, StartError> {
        let failed = |error| StartError::Listen(place.to_owned(), error);
        let mut addresses: Vec<SocketAddr> = lookup_host(place).await.map_err(failed)?.collect();
        // As by default.
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let mut last = std::io::Error::other("the host has no address");
        for address in addresses {
            match bound(address) {
                Ok(socket) => return Ok(Self { socket, place: place.to_owned() }),
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }
}

fn bound(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // What a server before this one has left behind does not hold the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// A listener that answers.
pub(super) struct HttpListener {
    pub address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl HttpListener {
    pub fn start(port: Port, routes: Router) -> Result<Self, StartError> {
        let Port { socket, place } = port;
        let failed = |error| StartError::Listen(place.clone(), error);
        let listener = socket.listen(BACKLOG).map_err(failed)?;
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
