//! Logs.

use tracing_subscriber::EnvFilter;

/// Begins to log to standard error: at the level of RUST_LOG, `info` where it says nothing.
pub fn start(as_json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A subscriber that is there already stays.
    let _ = if as_json { subscriber.json().try_init() } else { subscriber.try_init() };
}
