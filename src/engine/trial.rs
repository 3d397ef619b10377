//! Named points at which trials kill the process. In a server that is not built for tests they are nothing.

/// Dies here as by kill -9, if a trial has asked for it (`FAILPOINTS="<point>=return"`).
pub fn die_at(point: &str) {
    fail::fail_point!(point, |_| {
        let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
    });
    let _ = point;
}
