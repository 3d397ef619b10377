//! A process of its own for what falls due by itself.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::join_all;

use super::connections::Connections;
use super::foundation::foundation;
use super::http_listener::{HttpListener, Port};
use super::{ServerConfig, StartError, metrics_handle};
use crate::engine::Engine;
use crate::http::health;
use crate::jobs::Runner;

/// Runs what falls due by itself. It answers nobody but those who ask how it is.
pub struct JobServer {
    engine: Arc<Engine>,
    listener: Option<HttpListener>,
    runners: Vec<Runner>,
}

impl JobServer {
    /// Migrates the database, and runs from then on; with a port it answers /healthz, /readyz and /metrics there.
    pub async fn start(config: ServerConfig, port: Option<Port>) -> Result<Self, StartError> {
        let (cells, jobs) = foundation(&config, config.connections_max, false).await?;
        let listener = match port {
            None => None,
            Some(port) => {
                let engine = Arc::clone(&jobs.home().engine);
                let routes = health::routes(cells, move || engine.watches(), metrics_handle()?);
                Some(HttpListener::start(port, routes, Connections::new(config.clients))?)
            }
        };
        let engine = Arc::clone(&jobs.home().engine);
        let runners = jobs.all().map(|jobs| Runner::start(jobs.clone(), true)).collect();
        Ok(Self { engine, listener, runners })
    }

    /// Where it tells how it is.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.as_ref().map(|listener| listener.address)
    }

    /// Lets what is under way come to its end.
    pub async fn stop(self) {
        join_all(self.runners.into_iter().map(Runner::stop)).await;
        self.engine.stop().await;
        if let Some(listener) = self.listener {
            listener.stop().await;
        }
    }
}
