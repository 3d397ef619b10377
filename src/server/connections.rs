//! How many connections there may be at once: in all, and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Files that the process needs beside its connections: those to the database, logs, what the system has open.
const OTHER_FILES: u64 = 256;

/// How many clients may be connected at once, and for how long without asking anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    pub in_all: usize,
    /// Behind a proxy all have its address.
    pub of_address: usize,
    /// A connection sends the head of its next request within this time, or is closed: also one that has sent nothing yet.
    pub head_time_max: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { in_all: 8_192, of_address: 4_096, head_time_max: Duration::from_secs(20) }
    }
}

/// The places for connections.
pub(super) struct Connections {
    pub limits: ConnectionLimits,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    in_all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place, until it is dropped.
pub(super) struct Place {
    taken: Arc<Mutex<Taken>>,
    address: IpAddr,
}

impl Connections {
    /// Places for as many as the limits allow, and the system.
    pub fn new(limits: ConnectionLimits) -> Self {
        let files = files_max();
        let in_all = limits.in_all.min(usize::try_from(files).unwrap_or(usize::MAX));
        if in_all < limits.in_all {
            tracing::warn!(
                connections = in_all,
                wanted = limits.in_all,
                "the system allows fewer open files (ulimit -n) than there may be connections"
            );
        }
        Self { limits: ConnectionLimits { in_all, ..limits }, taken: Arc::default() }
    }

    /// A place for a connection from that address, if there is one.
    pub fn place(&self, address: IpAddr) -> Option<Place> {
        let address = holder(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.in_all >= self.limits.in_all {
            refused("all");
            return None;
        }
        let of_address = taken.by_address.entry(address).or_default();
        if *of_address >= self.limits.of_address {
            refused("address");
            return None;
        }
        *of_address = of_address.saturating_add(1);
        taken.in_all = taken.in_all.saturating_add(1);
        metrics::gauge!("abacus_connections").increment(1);
        Some(Place { taken: Arc::clone(&self.taken), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.in_all = taken.in_all.saturating_sub(1);
        if let Some(of_address) = taken.by_address.get_mut(&self.address) {
            *of_address = of_address.saturating_sub(1);
            if *of_address == 0 {
                taken.by_address.remove(&self.address);
            }
        }
        metrics::gauge!("abacus_connections").decrement(1);
    }
}

/// Which limit turned a connection away.
fn refused(limit: &'static str) {
    metrics::counter!("abacus_connections_refused_total", "limit" => limit).increment(1);
}

/// Whom an address belongs to: of IPv6, whole networks are handed out.
fn holder(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

/// How many connections the system allows, once it was asked for as many files as it may give.
fn files_max() -> u64 {
    let Ok((now, at_most)) = getrlimit(Resource::RLIMIT_NOFILE) else { return u64::MAX };
    let given = setrlimit(Resource::RLIMIT_NOFILE, at_most, at_most).map_or(now, |()| at_most);
    given.saturating_sub(OTHER_FILES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_few_in_all_and_for_each_address_and_come_back() {
        let connections =
            Connections::new(ConnectionLimits { in_all: 3, of_address: 2, ..ConnectionLimits::default() });
        let place = |address: &str| connections.place(address.parse().unwrap());
        let first = place("10.0.0.1").unwrap();
        let _second = place("::ffff:10.0.0.1").unwrap();
        assert!(place("10.0.0.1").is_none(), "a third from one address");
        let _other = place("2001:db8::1").unwrap();
        assert!(place("10.0.0.2").is_none(), "a fourth in all");
        drop(first);
        let next = place("2001:db8::2:3:4:5").unwrap();
        drop(next);
        assert!(place("10.0.0.1").is_some());
    }

    #[test]
    fn a_network_is_one_holder() {
        let holder_of = |address: &str| holder(address.parse().unwrap()).to_string();
        assert_eq!(holder_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(holder_of("::ffff:10.0.0.1"), "10.0.0.1");
    }
}
