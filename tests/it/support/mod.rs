//! What the tests share.

pub mod client;
pub mod cluster;
pub mod server;

pub use client::Client;
pub use server::TestServer;
