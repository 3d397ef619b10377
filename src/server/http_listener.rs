//! Takes requests until it is told to stop: of so many connections at once, and of none that stands still.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tower::Service;

use super::connections::{Connections, Place};
use super::start_error::StartError;

/// Requests that are under way when it stops are answered within this time.
const STOP_TIME_MAX: Duration = Duration::from_secs(20);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;
/// Who does not read its answer is waited for so long: longer than what writes it waits by itself.
const WRITE_TIME_MAX: Duration = Duration::from_secs(75);
/// What a connection has come that is not looked at yet; a request's head is no longer.
const BUFFER_BYTES_MAX: usize = 128 * 1024;
/// Where the system has no more files it is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

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

/// A listener that answers. If it is gone without a word it stops, too.
pub(super) struct HttpListener {
    pub address: SocketAddr,
    stop: DropGuard,
    serving: TaskTracker,
}

impl HttpListener {
    pub fn start(port: Port, routes: Router, connections: Connections) -> Result<Self, StartError> {
        let Port { socket, place } = port;
        let failed = |error| StartError::Listen(place.clone(), error);
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stopping, serving) = (CancellationToken::new(), TaskTracker::new());
        serving.spawn(serve(listener, routes, Arc::new(connections), stopping.clone()));
        Ok(Self { address, stop: stopping.drop_guard(), serving })
    }

    /// Takes no new requests, and answers those under way.
    pub async fn stop(self) {
        drop(self.stop);
        self.serving.close();
        self.serving.wait().await;
    }
}

async fn serve(
    listener: TcpListener,
    routes: Router,
    connections: Arc<Connections>,
    stopping: CancellationToken,
) {
    let under_way = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(connections.limits.head_time_max)
        .max_buf_size(BUFFER_BYTES_MAX);
    let mut stopping = pin!(stopping.cancelled());
    loop {
        let (stream, peer) = tokio::select! {
            accepted = accepted(&listener) => accepted,
            () = &mut stopping => break,
        };
        // One that has no place is closed.
        if let Some(place) = connections.place(peer.ip()) {
            tokio::spawn(answer(stream, http.clone(), routes.clone(), under_way.watcher(), place));
        }
    }
    drop(listener);
    if tokio::time::timeout(STOP_TIME_MAX, under_way.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
}

async fn accepted(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                // The connection's own fault, or the system has no room for it now.
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer(stream: TcpStream, http: http1::Builder, routes: Router, watcher: Watcher, _place: Place) {
    // What is written is written as a whole, and not held back for more.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIME_MAX));
    let service = service_fn(move |request: Request<Incoming>| routes.clone().call(request.map(Body::new)));
    let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "a connection ended early");
    }
}
