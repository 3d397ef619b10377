//! What the tests share.

pub mod cells;
pub mod citus;
pub mod client;
pub mod cluster;
pub mod evm;
pub mod fake_stripe;
pub mod hostile;
pub mod introspection;
pub mod life;
pub mod load;
pub mod localstripe;
pub mod model;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod schemathesis;
pub mod sequences;
pub mod server;
pub mod tokens;

pub use client::Client;
pub use server::TestServer;
