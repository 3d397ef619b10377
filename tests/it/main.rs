//! The integration tests: through the real server and a real PostgreSQL, which they start themselves.
//!
//! One binary, because every binary links the whole server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

mod payment_v1;
