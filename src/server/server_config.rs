//! What a server is made of.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::TimeDelta;
use url::Url;

use super::connections::ConnectionLimits;
use crate::clock::Clock;
use crate::documents::Provider;
use crate::domain::anchor::AnchorKeys;
use crate::domain::cell::CellNumber;
use crate::domain::money::Currencies;
use crate::domain::retention::Retention;
use crate::domain::seal::SealKeys;
use crate::domain::usage::Allowance;
use crate::engine::EngineConfig;
use crate::graphql::Limits;
use crate::http::AllowedOrigins;
use crate::jobs::{INVOICE_DELAY_DEFAULT, LEASE_SECONDS_DEFAULT};
use crate::payments::DepositSettings;
use crate::payments::stripe::StripeConfig;
use crate::store::migrations::LOCK_WAIT_DEFAULT;

/// What invoices call the provider that says nothing of itself.
pub const PROVIDER_DEFAULT: &str = "Abacus";

/// What a server is made of.
pub struct ServerConfig {
    pub listen: SocketAddr,
    pub database_url: String,
    /// What the ledger is sealed with.
    pub ledger_keys: SealKeys,
    /// What anchors of the ledger are signed with.
    pub anchor_keys: AnchorKeys,
    /// For the role that owns the schema and migrates it; None: the server's own does.
    pub owner_url: Option<String>,
    /// Where accounts are spread over several databases: all of them, the home cell first, in place of the two before.
    pub cells: Vec<CellConfig>,
    /// Whether the one database may be that of a cell, as what is done is done in it alone.
    pub of_one_cell: bool,
    /// How long a migration waits for what others hold.
    pub lock_wait: Duration,
    pub connections_max: u32,
    /// The clients that may be connected.
    pub clients: ConnectionLimits,
    pub engine: EngineConfig,
    pub currencies: Currencies,
    pub limits: Limits,
    pub clock: Clock,
    pub sandbox: bool,
    /// The chain that tokens are taken on; None: a sandbox plays one, and others take none.
    pub deposits: Option<DepositSettings>,
    /// Whether it runs what falls due by itself.
    pub run_jobs: bool,
    /// How long a lease of the jobs lasts.
    pub job_lease_seconds: i64,
    /// When the time of reported usage may lie.
    pub usage_allowance: Allowance,
    /// Signs and checks tokens, and links to invoices.
    pub secret: Vec<u8>,
    /// Who charges cards; None: nobody, or in a sandbox the sandbox.
    pub stripe: Option<StripeConfig>,
    /// What Stripe signs its events with.
    pub stripe_webhook_secrets: Vec<String>,
    /// Who bills, as invoices say.
    pub provider: Provider,
    /// Whose pages may ask it from a browser.
    pub cors_origins: AllowedOrigins,
    /// Where customers reach the server: links to invoices are absolute then.
    pub public_url: Option<Url>,
    /// How long after a month's end its invoices are issued.
    pub invoice_delay: TimeDelta,
    /// How long what is no part of the books is kept.
    pub retention: Retention,
    /// Whether look-ups are async-graphql's DataLoader's instead of the request's own, to compare the two (docs/adr/0006).
    pub data_loaders: bool,
}

impl ServerConfig {
    /// The usual settings.
    pub fn new(listen: SocketAddr, database_url: String, secret: Vec<u8>) -> Self {
        Self {
            listen,
            database_url,
            ledger_keys: SealKeys::of_sandbox(),
            anchor_keys: AnchorKeys::of_sandbox(),
            owner_url: None,
            cells: Vec::new(),
            of_one_cell: false,
            lock_wait: LOCK_WAIT_DEFAULT,
            connections_max: 10,
            clients: ConnectionLimits::default(),
            engine: EngineConfig::default(),
            currencies: Currencies::default(),
            limits: Limits::default(),
            clock: Clock::system(),
            sandbox: false,
            deposits: None,
            run_jobs: true,
            job_lease_seconds: LEASE_SECONDS_DEFAULT,
            usage_allowance: Allowance::default(),
            secret,
            stripe: None,
            stripe_webhook_secrets: Vec::new(),
            provider: Provider {
                name: PROVIDER_DEFAULT.to_owned(),
                address: Vec::new(),
                tax_id: None,
                logo: None,
            },
            cors_origins: AllowedOrigins::default(),
            public_url: None,
            invoice_delay: INVOICE_DELAY_DEFAULT,
            retention: Retention::default(),
            data_loaders: false,
        }
    }
}

/// One of the databases that accounts are spread over.
#[derive(Debug, Clone)]
pub struct CellConfig {
    pub number: CellNumber,
    pub name: String,
    pub database_url: String,
    /// For the role that owns its schema and migrates it; None: the server's own does.
    pub owner_url: Option<String>,
}
