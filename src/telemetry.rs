//! Logs.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Begins to log to standard error: at the level of RUST_LOG, `info` where it says nothing; in colours only for people
/// (<https://no-color.org>).
pub fn start(as_json: bool) {
    let wanted = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.trim().is_empty());
    let filter = wanted.map(EnvFilter::try_new).transpose();
    let misread = filter.as_ref().err().map(ToString::to_string);
    let filter = filter.ok().flatten().unwrap_or_else(|| EnvFilter::new("info"));
    let in_colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(in_colours).with_writer(std::io::stderr);
    // A subscriber that is there already stays.
    let _ = if as_json { subscriber.json().try_init() } else { subscriber.try_init() };
    if let Some(error) = misread {
        tracing::warn!(%error, "RUST_LOG is not understood, and passed over");
    }
}
