//! The command line and the environment.

mod cells;
mod distribute;
mod environment;
mod move_account;
mod retention;
mod secrets;
mod token;
mod verify;

use std::fmt;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use clap::builder::BoolishValueParser;
use clap::{Args, Parser, Subcommand};
use url::Url;

use crate::domain::ids::AccountId;
use crate::domain::money::{Currencies, CurrencyError};

pub use cells::{CellAddress, read_cells};
pub use distribute::DistributeArgs;
pub use move_account::MoveAccountArgs;
pub use retention::RetentionArgs;
pub use secrets::Secret;
pub use token::{RoleArg, TokenArgs};
pub use verify::VerifyArgs;

/// Where data is kept unless something else is said.
pub const DATA_DIR_DEFAULT: &str = "./data";

/// A GraphQL billing server for cloud providers.
#[derive(Debug, Parser)]
#[command(name = "abacus", version, args_conflicts_with_subcommands = true, after_help = secrets::HELP)]
pub struct Cli {
    #[command(flatten)]
    pub global: GlobalArgs,
    #[command(subcommand)]
    pub command: Option<CliCommand>,
    #[command(flatten)]
    pub serve: ServeArgs,
}

impl Cli {
    /// Reads the command line and the environment. Where either is wrong the process ends with a message that says which.
    pub fn read() -> Self {
        let variable = |name: &str| std::env::var_os(name);
        if let Some(said) = secrets::on_the_command_line(std::env::args_os()) {
            end(&said)
        }
        match Self::try_parse() {
            Ok(mut cli) => match secrets::read_files(&mut cli, &variable) {
                Ok(()) => cli,
                Err(said) => end(&said),
            },
            Err(error) => match environment::fault(&error, std::env::args_os(), variable) {
                Some(said) => end(&said),
                None => error.exit(),
            },
        }
    }
}

fn end(said: &str) -> ! {
    eprintln!("abacus: {said}");
    std::process::exit(USAGE_FAULT)
}

/// As clap ends a process that was called wrongly.
const USAGE_FAULT: i32 = 2;

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Where the private PostgreSQL and the sandbox's signing secret are kept [default: ./data]
    #[arg(long, global = true, env = "ABACUS_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// The PostgreSQL to use; without it a private one is started in the data directory
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<Secret>,
    /// The file that names the databases of an installation whose accounts are spread over several (JSON), in place of DATABASE_URL
    #[arg(long, global = true, env = "ABACUS_CELLS")]
    pub cells: Option<PathBuf>,
    #[arg(long, global = true, env = "ABACUS_MIGRATE_URL", hide = true, hide_env_values = true)]
    pub migrate_url: Option<Secret>,
    /// How long a migration waits for what others hold in the database, before the command gives up: 30s, 5m
    #[arg(long, global = true, env = "ABACUS_MIGRATE_LOCK_WAIT", default_value = "2m", value_parser = lock_wait)]
    pub migrate_lock_wait: Duration,
    #[arg(long, global = true, env = "ABACUS_JWT_SECRET", hide = true, hide_env_values = true)]
    pub jwt_secret: Option<Secret>,
    #[arg(long, global = true, env = "ABACUS_LEDGER_KEYS", hide = true, hide_env_values = true)]
    pub ledger_keys: Option<Secret>,
    #[arg(long, global = true, env = "ABACUS_ANCHOR_KEY", hide = true, hide_env_values = true)]
    pub anchor_key: Option<Secret>,
}

impl GlobalArgs {
    /// The data directory, and whether nobody has chosen it.
    pub fn data_dir(&self) -> (PathBuf, bool) {
        match &self.data_dir {
            Some(dir) => (dir.clone(), false),
            None => (PathBuf::from(DATA_DIR_DEFAULT), true),
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum CliCommand {
    /// Run the server (also without any command)
    Serve(Box<ServeArgs>),
    /// Run what falls due by itself (renewals, due bills, suspensions), and serve nobody; beside `serve --no-jobs`
    Jobs(Box<JobsArgs>),
    /// Close a month that is over for all accounts, show the progress, and end; beside servers that do the same
    Bill(BillArgs),
    /// Bring the database's schema up to date
    Migrate(MigrateArgs),
    /// Spread the database over the machines of its cluster (Citus), or place what is missing there; no server runs meanwhile
    Distribute(DistributeArgs),
    /// Move an account, with its SUB accounts, to another cell, beside servers that go on; asked again, it goes on where it was
    MoveAccount(MoveAccountArgs),
    /// Go on after a restore from a backup, before any server does: no number that was given out since is given out again
    Restored,
    /// Look at clocks and at marks that only go forward, change nothing, and say what is wrong and what to do about it; ends with 1
    /// where anything is
    Doctor(DoctorArgs),
    /// Take back what a machine whose clock was wrong has done ahead of time; without --yes only say what that would be
    TakeBack(TakeBackArgs),
    /// Work with accounts that are dated into the future: what is decided is dated there, too, until that time has come
    AcceptFuture(AcceptFutureArgs),
    /// Check the ledger of a database as a whole, entry by entry and against its anchors, or a receipt without any database; changes
    /// nothing, and ends with 1 where anything is wrong
    Verify(VerifyArgs),
    /// Print the public keys that anchors of the ledger are checked with, each with its id; it needs no database
    AnchorKey,
    /// Print a token; it needs no database
    Token(TokenArgs),
    /// Print the GraphQL schema; it needs no database
    Schema,
}

/// Who charges cards.
#[derive(Debug, Clone, Args)]
pub struct PaymentArgs {
    #[arg(long, env = "ABACUS_STRIPE_KEY", hide = true, hide_env_values = true)]
    pub stripe_key: Option<Secret>,
    /// Where Stripe's API is, if it is not Stripe itself
    #[arg(long, env = "ABACUS_STRIPE_URL")]
    pub stripe_url: Option<String>,
    /// Where a customer comes back to after authenticating at his bank
    #[arg(long, env = "ABACUS_STRIPE_RETURN_URL")]
    pub stripe_return_url: Option<String>,
    #[arg(
        long = "stripe-webhook-secret",
        env = "ABACUS_STRIPE_WEBHOOK_SECRETS",
        hide = true,
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub stripe_webhook_secrets: Vec<Secret>,
    /// After how many days a prepayment by card that was never bound to an app is given back
    #[arg(long, env = "ABACUS_UNBOUND_REFUND_DAYS", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=365))]
    pub unbound_refund_days: u16,
}

/// The chain that tokens are taken on: all of it is given, or nothing.
#[derive(Debug, Clone, Default, Args)]
pub struct ChainArgs {
    /// The extended public key (xpub) that deposit addresses are children 0/i of; never a private one
    #[arg(long = "deposit-key", env = "ABACUS_DEPOSIT_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// The chain's node: http or https, JSON-RPC
    #[arg(long = "chain-url", env = "ABACUS_CHAIN_URL", hide_env_values = true)]
    pub url: Option<Secret>,
    /// The chain's id; a node of another chain is refused
    #[arg(long = "chain-id", env = "ABACUS_CHAIN_ID")]
    pub id: Option<u64>,
    /// A token that is taken, ASSET:CONTRACT:PLACES; may be given again
    #[arg(long = "token", env = "ABACUS_TOKENS", value_delimiter = ',')]
    pub tokens: Vec<String>,
    /// A block counts once it and those after it are so many [default: 12]
    #[arg(long, env = "ABACUS_CONFIRMATIONS")]
    pub confirmations: Option<NonZeroU64>,
    /// Deposits count from the block after this one on [default: the newest when the chain is first looked at]
    #[arg(long = "chain-after-block", env = "ABACUS_CHAIN_AFTER_BLOCK")]
    pub after_block: Option<u64>,
}

/// How the server runs.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Where to listen
    #[arg(long, env = "ABACUS_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: ListenAddress,
    /// Play money: customers recharge without paying (always on with the private PostgreSQL)
    #[arg(long, env = "ABACUS_SANDBOX", value_parser = BoolishValueParser::new())]
    pub sandbox: bool,
    /// Transactions that can be under way at once, each with a connection of its own
    #[arg(long, env = "ABACUS_LANES", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub lanes: u16,
    /// Connections for everything else
    #[arg(long, env = "ABACUS_CONNECTIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub connections: u32,
    /// Clients that may be connected at once
    #[arg(long, env = "ABACUS_CLIENTS", default_value_t = 8_192, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub clients: u32,
    /// Of these from one address, or network of IPv6; behind a proxy all come from its address
    #[arg(long, env = "ABACUS_CLIENTS_PER_ADDRESS", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub clients_per_address: u32,
    /// A client that sends no request for so long is hung up on; behind a proxy, longer than that keeps its connections
    #[arg(long, env = "ABACUS_CLIENT_IDLE", default_value = "20s", value_parser = client_idle)]
    pub client_idle: Duration,
    /// How long the text of a query may be, in bytes
    #[arg(long, env = "ABACUS_QUERY_BYTES_MAX", default_value_t = 131_072, value_parser = clap::value_parser!(u32).range(1_024..=1_048_576))]
    pub query_bytes_max: u32,
    /// A currency to add or change, CODE:DISPLAY_SCALE:LEDGER_SCALE; may be given again
    #[arg(long = "currency", env = "ABACUS_CURRENCIES", value_delimiter = ',')]
    pub currencies: Vec<String>,
    #[command(flatten)]
    pub retention: RetentionArgs,
    #[command(flatten)]
    pub chain: ChainArgs,
    /// Above this amount refunds, adjustments, payouts and credit limits take a second operator, CODE=AMOUNT; may be given again. Of
    /// a currency that is not named all of them do [default: one operator is always enough]
    #[arg(long = "approve-above", env = "ABACUS_APPROVE_ABOVE", value_delimiter = ',')]
    pub approve_above: Vec<String>,
    /// What waits for a second operator is given up after this: 12h, 7d
    #[arg(long, env = "ABACUS_APPROVAL_EXPIRY", default_value = "7d", value_parser = approval_expiry)]
    pub approval_expiry: Duration,
    /// Look up by async-graphql's DataLoader, to compare with
    #[arg(long, env = "ABACUS_DATA_LOADERS", hide = true, value_parser = BoolishValueParser::new())]
    pub data_loaders: bool,
    /// Leave what falls due by itself to `abacus jobs`
    #[arg(long, env = "ABACUS_NO_JOBS", value_parser = BoolishValueParser::new())]
    pub no_jobs: bool,
    #[command(flatten)]
    pub payments: PaymentArgs,
    #[command(flatten)]
    pub provider: ProviderArgs,
    /// An origin whose pages may ask this server from a browser: scheme, host and port; may be given again, or * for all
    /// [default: its own alone]
    #[arg(long = "cors-origin", env = "ABACUS_CORS_ORIGINS", value_delimiter = ',')]
    pub cors_origins: Vec<String>,
    /// Where customers reach this server, scheme and host, for the links to their invoices
    #[arg(long, env = "ABACUS_PUBLIC_URL", value_parser = web_address)]
    pub public_url: Option<Url>,
    /// How long after a month's end its invoices are issued: 30m, 1h, 2d
    #[arg(long, env = "ABACUS_INVOICE_DELAY", default_value = "1h", value_parser = invoice_delay)]
    pub invoice_delay: Duration,
    /// Log as JSON lines
    #[arg(long, env = "ABACUS_LOG_JSON", value_parser = BoolishValueParser::new())]
    pub log_json: bool,
}

/// A host, by name or number, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress(String);

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_port = |port: &str| port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
        // Numbers of IPv6 have colons themselves, and stand in brackets.
        let is_host = |host: &str| match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(number) => number.parse::<std::net::Ipv6Addr>().is_ok(),
            None => !host.is_empty() && !host.contains([':', '/', ' ', '[', ']']),
        };
        let is_address = text.rsplit_once(':').is_some_and(|(host, port)| is_host(host) && is_port(port));
        if is_address {
            return Ok(Self(text.to_owned()));
        }
        Err("a host and a port such as 127.0.0.1:8080, localhost:8080 or [::1]:8080 are expected".to_owned())
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Who bills, as invoices say.
#[derive(Debug, Clone, Args)]
pub struct ProviderArgs {
    /// The name on invoices
    #[arg(long, env = "ABACUS_PROVIDER_NAME")]
    pub provider_name: Option<String>,
    /// The address on invoices; may be given again for each line, or with | between them
    #[arg(long, env = "ABACUS_PROVIDER_ADDRESS", value_delimiter = '|')]
    pub provider_address: Vec<String>,
    /// The tax number on invoices
    #[arg(long, env = "ABACUS_PROVIDER_TAX_ID")]
    pub provider_tax_id: Option<String>,
    /// The logo on invoices: a PNG file of at most 512 KiB
    #[arg(long, env = "ABACUS_PROVIDER_LOGO")]
    pub provider_logo: Option<PathBuf>,
}

/// How jobs run.
#[derive(Debug, Clone, Args)]
pub struct JobsArgs {
    /// Where to answer /healthz, /readyz and /metrics; nowhere if it is not given
    #[arg(long, env = "ABACUS_JOBS_LISTEN")]
    pub listen: Option<ListenAddress>,
    /// Follow the sandbox's clock
    #[arg(long, env = "ABACUS_SANDBOX", value_parser = BoolishValueParser::new())]
    pub sandbox: bool,
    #[command(flatten)]
    pub chain: ChainArgs,
    /// How long it is waited for a process that runs the jobs and says nothing, before another takes over [default: 15]
    #[arg(long, env = "ABACUS_JOB_LEASE_SECONDS", value_parser = clap::value_parser!(i64).range(1..=3600))]
    pub lease_seconds: Option<i64>,
    /// How long after a month's end its invoices are issued: 30m, 1h, 2d
    #[arg(long, env = "ABACUS_INVOICE_DELAY", default_value = "1h", value_parser = invoice_delay)]
    pub invoice_delay: Duration,
    /// A currency to add or change, CODE:DISPLAY_SCALE:LEDGER_SCALE; may be given again
    #[arg(long = "currency", env = "ABACUS_CURRENCIES", value_delimiter = ',')]
    pub currencies: Vec<String>,
    #[command(flatten)]
    pub payments: PaymentArgs,
    #[command(flatten)]
    pub retention: RetentionArgs,
    /// Log as JSON lines
    #[arg(long, env = "ABACUS_LOG_JSON", value_parser = BoolishValueParser::new())]
    pub log_json: bool,
}

/// How the schema is brought up to date.
#[derive(Debug, Clone, Args)]
pub struct MigrateArgs {
    /// Print what there is to do, and what each migration locks, and do nothing
    #[arg(long)]
    pub plan: bool,
}

/// What a database is looked at for.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// It is a sandbox's
    #[arg(long, env = "ABACUS_SANDBOX", value_parser = BoolishValueParser::new())]
    pub sandbox: bool,
    /// A currency to add or change, CODE:DISPLAY_SCALE:LEDGER_SCALE; may be given again
    #[arg(long = "currency", env = "ABACUS_CURRENCIES", value_delimiter = ',')]
    pub currencies: Vec<String>,
}

/// What is taken back.
#[derive(Debug, Clone, Args)]
pub struct TakeBackArgs {
    /// Do it
    #[arg(long)]
    pub yes: bool,
    /// From when on burst is charged once more, 2026-11-30T10:00:00Z [default: from the last cycle on that anybody was charged for]
    #[arg(long, value_parser = instant)]
    pub burst_since: Option<DateTime<Utc>>,
    /// Follow the sandbox's clock
    #[arg(long, env = "ABACUS_SANDBOX", value_parser = BoolishValueParser::new())]
    pub sandbox: bool,
    /// A currency to add or change, CODE:DISPLAY_SCALE:LEDGER_SCALE; may be given again
    #[arg(long = "currency", env = "ABACUS_CURRENCIES", value_delimiter = ',')]
    pub currencies: Vec<String>,
}

/// Which accounts are worked with although they are dated into the future.
#[derive(Debug, Clone, Args)]
pub struct AcceptFutureArgs {
    /// An account, acc_1001; may be given again
    #[arg(long = "account", value_parser = account, required_unless_present = "all", conflicts_with = "all")]
    pub accounts: Vec<AccountId>,
    /// All that are
    #[arg(long)]
    pub all: bool,
    /// Why, for whoever looks later
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub reason: String,
}

fn account(text: &str) -> Result<AccountId, String> {
    AccountId::parse(text).ok_or_else(|| "an account such as acc_1001 is expected".to_owned())
}

fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    text.parse().map_err(|_| "a time such as 2026-11-30T10:00:00Z is expected".to_owned())
}

/// Which month is closed.
#[derive(Debug, Clone, Args)]
pub struct BillArgs {
    /// The month, YYYY-MM
    #[arg(long, value_parser = month)]
    pub month: NaiveDate,
    /// Follow the sandbox's clock
    #[arg(long, env = "ABACUS_SANDBOX", value_parser = BoolishValueParser::new())]
    pub sandbox: bool,
    /// A currency to add or change, CODE:DISPLAY_SCALE:LEDGER_SCALE; may be given again
    #[arg(long = "currency", env = "ABACUS_CURRENCIES", value_delimiter = ',')]
    pub currencies: Vec<String>,
}

/// The first day of a month written YYYY-MM.
fn month(text: &str) -> Result<NaiveDate, String> {
    let day = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok();
    let day = day.filter(|day| day.format("%Y-%m").to_string() == text);
    day.ok_or_else(|| "a month such as 2026-10 is expected".to_owned())
}

fn web_address(text: &str) -> Result<Url, String> {
    let url =
        text.parse().ok().filter(|url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let plain = url.filter(|url| url.query().is_none() && url.fragment().is_none());
    plain.ok_or_else(|| "an address such as https://billing.example.com is expected".to_owned())
}

/// What was being written when the month ended is there after the shortest delay.
const INVOICE_DELAYS: (Duration, Duration) =
    (Duration::from_secs(60), Duration::from_secs(31 * 24 * 60 * 60));

fn invoice_delay(text: &str) -> Result<Duration, String> {
    let delay = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let (least, most) = INVOICE_DELAYS;
    if (least..=most).contains(&delay) { Ok(delay) } else { Err("1m to 31d is expected".to_owned()) }
}

fn lock_wait(text: &str) -> Result<Duration, String> {
    let wait = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
    if allowed.contains(&wait) { Ok(wait) } else { Err("1s to 24h is expected".to_owned()) }
}

fn approval_expiry(text: &str) -> Result<Duration, String> {
    let expiry = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_secs(60)..=Duration::from_secs(366 * 24 * 60 * 60);
    if allowed.contains(&expiry) { Ok(expiry) } else { Err("1m to 366d is expected".to_owned()) }
}

fn client_idle(text: &str) -> Result<Duration, String> {
    let idle = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_secs(1)..=Duration::from_secs(60 * 60);
    if allowed.contains(&idle) { Ok(idle) } else { Err("1s to 1h is expected".to_owned()) }
}

/// Whether a text can be one of Stripe's secret keys; a publishable one can charge nobody.
pub fn is_stripe_key(text: &str) -> bool {
    let rest =
        ["sk_test_", "sk_live_", "rk_test_", "rk_live_"].iter().find_map(|kind| text.strip_prefix(kind));
    rest.is_some_and(is_word)
}

/// Whether a text can be the secret of one of Stripe's endpoints.
pub fn is_stripe_webhook_secret(text: &str) -> bool {
    text.strip_prefix("whsec_")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic()))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// The usual currencies, with what the settings add or change.
pub fn currencies(settings: &[String]) -> Result<Currencies, CurrencyError> {
    let mut currencies = Currencies::default();
    for setting in settings {
        currencies.configure(setting)?;
    }
    Ok(currencies)
}
