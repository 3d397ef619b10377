//! The schema's types, one file each. A type wraps what the domain says, and looks up what hangs on it.

pub mod account;
pub mod bill;
pub mod billing_run;
pub mod charge;
pub mod code_label;
pub mod forecast;
pub mod idempotent_result;
pub mod ledger_entry;
pub mod ledger_health;
pub mod license;
pub mod money;
pub mod node;
pub mod notice;
pub mod order;
pub mod plan;
pub mod price_quote;
pub mod price_rule;
pub mod pricing;
pub mod record;
pub mod resource;
pub mod resource_price;
pub mod service_config;
pub mod transaction;
pub mod usage_point;
pub mod user_error;
pub mod viewer;
