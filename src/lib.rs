//! Abacus, a GraphQL billing server for cloud providers. This is the map of the house.
//!
//! | room | what is in it |
//! |---|---|
//! | [`domain`] | what is true without a database: money, ids, periods, orders, bills, the ledger, and `decide` |
//! | [`store`] | the only place with SQL: rows, statements, repositories, shared look-ups |
//! | [`lane`] | what lanes share, whatever they write: batch after batch, tried again, halved, stopped |
//! | [`engine`] | every write that moves money or changes an order: the group-commit lanes |
//! | [`metering`] | usage events, each counted once: the lanes that write them |
//! | [`payments`] | payment providers behind one trait: who holds cards, and charges them |
//! | [`jobs`] | what happens by itself: renewals, due bills, suspensions, ends; the sandbox's clock |
//! | [`graphql`] | the schema: types, queries, mutations, loaders, scalars, pagination, errors, limits |
//! | [`documents`] | the printable invoice, as HTML and PDF; it names nothing but itself |
//! | [`http`] | routes, tokens, GraphQL over HTTP, GraphiQL, printed invoices, health and metrics |
//! | [`private_pg`] | starts a private PostgreSQL where no DATABASE_URL is set |
//! | [`server`], [`cli`], [`demo`] | the parts put together, the commands, and what a first start finds |
//!
//! The rooms from domain to jobs, and those that name no one, are a library of their own (core.rs), so that a change of the API does not build
//! them anew, and are named as if they stood here.
//!
//! Imports run one way: domain ← store ← lane ← engine ← metering ← payments ← jobs ← graphql ← http ← server ← cli; documents stands alone, before http. Only graphql/ and http/ name
//! async_graphql; only store/ (and engine/ for its transaction) name diesel; only documents/ names what draws. `tests/it/house.rs` reads the `use`
//! lines and fails on a breach.
#![forbid(unsafe_code)]

pub use abacus_core::{
    clock, documents, domain, engine, jobs, lane, metering, payments, private_pg, secret, store,
};

pub mod cli;
pub mod config;
pub mod demo;
pub mod graphql;
pub mod http;
pub mod server;
pub mod telemetry;
