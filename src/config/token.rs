//! What `abacus token` takes.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::domain::viewer::Role;

/// Whom a token is for.
#[derive(Debug, Clone, Args)]
pub struct TokenArgs {
    /// What it allows
    #[arg(long, value_enum)]
    pub role: RoleArg,
    /// The account of a customer
    #[arg(long, required_if_eq("role", "customer"))]
    pub namespace: Option<String>,
    /// How long it is valid: 30m, 1h, 7d
    #[arg(long, default_value = "1h", value_parser = humantime::parse_duration)]
    pub ttl: Duration,
    /// Who it is for, as logs and audits name it [default: the namespace or the role]
    #[arg(long)]
    pub subject: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    Operator,
    Auditor,
    Customer,
    Service,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::Operator => Self::Operator,
            RoleArg::Auditor => Self::Auditor,
            RoleArg::Customer => Self::Customer,
            RoleArg::Service => Self::Service,
        }
    }
}
