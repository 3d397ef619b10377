//! What Abacus is below its API. The map of all rooms is in lib.rs, which names these as its own.
#![forbid(unsafe_code)]

pub mod clock;
pub mod documents;
pub mod domain;
pub mod engine;
pub mod jobs;
pub mod lane;
pub mod metering;
pub mod payments;
pub mod private_pg;
pub mod secret;
pub mod store;
