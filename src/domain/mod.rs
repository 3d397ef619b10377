//! What is true without a database: money, ids, periods, orders, bills, the ledger, and [`decide`].
//!
//! Everything here is pure: no diesel, no async_graphql, no tokio, and no clock of its own.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod account;
pub mod anchor;
pub mod approval;
pub mod bill;
pub mod billing_run;
pub mod book;
pub mod burst;
pub mod capacity;
pub mod cell;
pub mod closing;
mod codes;
pub mod command;
pub mod decide;
pub mod departure;
pub mod erasure;
pub mod exchange_rate;
pub mod fingerprint;
pub mod idempotency;
pub mod ids;
pub mod invoice;
pub mod job;
pub mod label;
pub mod ledger;
pub mod license;
pub mod money;
pub mod mutation;
pub mod notice;
pub mod order;
pub mod outcome;
pub mod payment;
pub mod payment_method;
pub mod period;
pub mod plan;
pub mod policies;
pub mod prepay;
pub mod price_rule;
pub mod rating;
pub mod read_set;
pub mod record;
pub mod refusal;
pub mod restoration;
pub mod retention;
pub mod reversal;
pub mod seal;
mod spelling;
pub mod stake;
pub(crate) mod tables;
pub mod text;
pub mod transaction;
pub mod unmatched;
pub mod usage;
pub mod viewer;
