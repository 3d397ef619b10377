//! The integration tests: through the real server and a real PostgreSQL, which they start themselves.
//!
//! One binary, because every binary links the whole server.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

mod account_closing;
mod altered_ledger;
mod approvals;
mod authorization;
mod bad_input;
mod billing_year;
mod bounded_reads;
mod burst;
mod capacity;
mod coming_back;
mod command_line;
mod crash;
mod decide_properties;
mod deposits;
mod deposits_on_chain;
mod disputes;
mod exactly_once;
mod faults;
mod forced_debits;
mod graphiql;
mod hostile;
mod hostile_tenant;
mod hourly_prices;
mod house;
mod idc_api;
mod invoices;
mod jobs;
mod lane_shares;
mod lanes;
mod least_rights;
mod licenses;
mod load;
mod migrations;
mod monthly_bills;
mod odd_rows;
mod on_demand;
mod order_life;
mod order_search;
mod pay2_0;
mod payment_methods;
mod payment_v1;
mod prepay;
mod prepayments;
mod price_rules;
mod private_cluster;
mod rating_cases;
mod rating_properties;
mod reading;
mod requests;
mod reversal_properties;
mod same_ledger;
mod schema;
mod settling_in_steps;
mod starting;
mod statements;
mod stripe;
mod suspensions;
mod unknown_outcomes;
mod usage;
mod wrong_clock;
