//! What the commands do.

mod db;
mod distribute;
mod doctor;
mod failure;
mod keys;
mod move_account;
mod schema_commands;
mod verify;
mod wrong_clock;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use chrono::{NaiveDate, TimeDelta};
use db::{Db, PRIVATE_DATABASE, is_private};
use failure::{Failure, of_setting};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use indicatif::{ProgressBar, ProgressStyle};
use keys::{
    anchor_key, anchor_keys, data_dir, given_secret, ledger_keys, token, warn_of_known_key,
    warn_of_no_anchors,
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::clock::{Clock, wall};
use crate::config::{
    BillArgs, ChainArgs, Cli, CliCommand, GlobalArgs, JobsArgs, PaymentArgs, ProviderArgs, Secret, ServeArgs,
    currencies, is_stripe_key, is_stripe_webhook_secret,
};
use crate::documents::{Logo, Provider};
use crate::domain::approval::ApprovalPolicy;
use crate::domain::billing_run::{BillingRun, RunState};
use crate::domain::money::Currencies;
use crate::domain::policies::Policies;
use crate::domain::usage::Allowance;
use crate::domain::viewer::Role;
use crate::engine::EngineConfig;
use crate::graphql::{Limits, sdl};
use crate::http::AllowedOrigins;
use crate::http::token::TokenKey;
use crate::payments::stripe::ConfigError;
use crate::payments::{CONFIRMATIONS_DEFAULT, DepositSettings, Stripe, StripeConfig, WrittenSettings};
use crate::private_pg::PrivatePostgres;
use crate::secret::signing_secret;
use crate::server::{
    ConnectionLimits, JobServer, LaneThreads, PROVIDER_DEFAULT, Port, Prepared, Server, ServerConfig,
    bill_month,
};
use crate::{demo, telemetry};

/// The tokens of the start-up text.
const START_UP_TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// Runs a command; what goes wrong is one line on standard error.
pub fn run(cli: Cli) -> ExitCode {
    // Here and boxed: what runs it is compiled with the library, and not again with each program that links it.
    let command: BoxFuture<'_, Result<(), Failure>> = carry_out(&cli).boxed();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("abacus: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn carry_out(cli: &Cli) -> Result<(), Failure> {
    match &cli.command {
        None => serve(&cli.global, &cli.serve).await,
        Some(CliCommand::Serve(args)) => serve(&cli.global, args).await,
        Some(CliCommand::Jobs(args)) => jobs(&cli.global, args).await,
        Some(CliCommand::Bill(args)) => bill(&cli.global, args).await,
        Some(CliCommand::Migrate(args)) => schema_commands::migrate(&cli.global, args).await,
        Some(CliCommand::Distribute(args)) => distribute::distribute(&cli.global, args).await,
        Some(CliCommand::MoveAccount(args)) => move_account::move_account(&cli.global, args).await,
        Some(CliCommand::Restored) => schema_commands::restored(&cli.global).await,
        Some(CliCommand::Doctor(args)) => doctor::doctor(&cli.global, args).await,
        Some(CliCommand::TakeBack(args)) => wrong_clock::take_back(&cli.global, args).await,
        Some(CliCommand::AcceptFuture(args)) => wrong_clock::accept_future(&cli.global, args).await,
        Some(CliCommand::Verify(args)) => verify::verify(&cli.global, args).await,
        Some(CliCommand::AnchorKey) => anchor_key(&cli.global),
        Some(CliCommand::Token(args)) => token(&cli.global, args),
        Some(CliCommand::Schema) => {
            print!("{}", sdl());
            Ok(())
        }
    }
}

async fn serve(global: &GlobalArgs, args: &ServeArgs) -> Result<(), Failure> {
    telemetry::start(args.log_json);
    if args.no_jobs && is_private(global) {
        return Err("--no-jobs needs a DATABASE_URL, on which `abacus jobs` runs them".into());
    }
    let currencies = currencies(&args.currencies).map_err(of_setting("ABACUS_CURRENCIES"))?;
    let approvals = approvals(args, &currencies)?;
    let deposits = deposits(&args.chain)?;
    let retention = args.retention.ages()?;
    let sandbox = args.sandbox || is_private(global);
    let given = given_secret(global)?;
    if given.is_none() && !sandbox {
        return Err(
            "with DATABASE_URL or --cells, ABACUS_JWT_SECRET is needed (or --sandbox, for play money)".into(),
        );
    }
    let ledger_keys = ledger_keys(global)?;
    warn_of_known_key(global, sandbox);
    let anchor_keys = anchor_keys(global, sandbox)?;
    warn_of_no_anchors(&anchor_keys);
    let stripe = stripe(&args.payments, sandbox)?;
    let provider = provider(&args.provider, sandbox)?;
    let cors_origins =
        AllowedOrigins::parse(&args.cors_origins).map_err(of_setting("ABACUS_CORS_ORIGINS"))?;
    // Before anything is made.
    let port = Port::take(&args.listen.to_string()).await?;
    let secret = match given {
        Some(secret) => secret,
        None => signing_secret(&data_dir(global)?)?,
    };
    let db = Db::open(global).await?;
    let lane_threads = LaneThreads::start()?;
    let config = ServerConfig {
        owner_url: db.owner_url.clone(),
        cells: db.cells.clone(),
        lock_wait: global.migrate_lock_wait,
        sandbox,
        provider,
        cors_origins,
        public_url: args.public_url.clone(),
        invoice_delay: TimeDelta::from_std(args.invoice_delay)?,
        clock: clock(sandbox),
        deposits,
        run_jobs: !args.no_jobs,
        data_loaders: args.data_loaders,
        usage_allowance: Allowance {
            late: TimeDelta::days(i64::from(args.retention.usage_late_days)),
            ..Allowance::default()
        },
        retention,
        currencies,
        connections_max: args.connections,
        clients: ConnectionLimits {
            in_all: usize::try_from(args.clients)?,
            of_address: usize::try_from(args.clients_per_address)?,
            head_time_max: args.client_idle,
        },
        limits: Limits { query_bytes_max: usize::try_from(args.query_bytes_max)?, ..Limits::default() },
        engine: EngineConfig {
            lanes: usize::from(args.lanes),
            runtime: lane_threads.handle(),
            policies: Policies {
                approvals,
                books_kept: args.retention.books_kept,
                ..policies(&args.payments)
            },
            ..EngineConfig::default()
        },
        stripe,
        stripe_webhook_secrets: exposed(&args.payments.stripe_webhook_secrets),
        ledger_keys,
        anchor_keys,
        ..ServerConfig::new(([127, 0, 0, 1], 0).into(), db.url.clone(), secret.clone())
    };
    let outcome = run_server(config, port, &db, &secret).await;
    db.close().await;
    drop(lane_threads);
    outcome
}

fn exposed(secrets: &[Secret]) -> Vec<String> {
    secrets.iter().map(|secret| secret.expose().to_owned()).collect()
}

fn policies(args: &PaymentArgs) -> Policies {
    let unbound_refund_after = TimeDelta::days(i64::from(args.unbound_refund_days));
    Policies { unbound_refund_after, ..Policies::default() }
}

/// From which amounts on one operator is not enough, if any are set.
fn approvals(args: &ServeArgs, currencies: &Currencies) -> Result<Option<Arc<ApprovalPolicy>>, Failure> {
    let expires_after = TimeDelta::from_std(args.approval_expiry)?;
    let policy = ApprovalPolicy::read(&args.approve_above, currencies, expires_after);
    Ok(policy.map_err(of_setting("ABACUS_APPROVE_ABOVE"))?.map(Arc::new))
}

/// Says which variable a fault is of.
/// How Stripe is reached, if it is; what cannot be right is refused before anything is begun.
fn stripe(args: &PaymentArgs, sandbox: bool) -> Result<Option<StripeConfig>, Failure> {
    if !args.stripe_webhook_secrets.iter().all(|secret| is_stripe_webhook_secret(secret.expose())) {
        return Err(
            "ABACUS_STRIPE_WEBHOOK_SECRETS: the secret of an endpoint such as whsec_… is expected".into()
        );
    }
    let return_url = args.stripe_return_url.clone();
    if let Some(Err(error)) = return_url.as_deref().map(Url::parse) {
        return Err(of_setting("ABACUS_STRIPE_RETURN_URL")(error));
    }
    let Some(key) = args.stripe_key.as_ref().map(Secret::expose) else { return Ok(None) };
    if !is_stripe_key(key) {
        let expected = "a secret key such as sk_test_…, sk_live_… or rk_… is expected";
        return Err(format!("ABACUS_STRIPE_KEY: {expected}").into());
    }
    let usual = StripeConfig::of_key(key);
    let url = args.stripe_url.clone().unwrap_or_else(|| usual.url.clone());
    let config = StripeConfig { url, return_url, ..usual };
    if sandbox && config.is_live() {
        return Err(of_setting("ABACUS_STRIPE_KEY")(ConfigError::LiveKeyInASandbox));
    }
    Stripe::new(config.clone()).map_err(of_setting("ABACUS_STRIPE_URL"))?;
    Ok(Some(config))
}

/// The chain that tokens are taken on, if one is set.
fn deposits(args: &ChainArgs) -> Result<Option<DepositSettings>, Failure> {
    let is_set = [args.key.is_some(), args.url.is_some(), args.id.is_some(), !args.tokens.is_empty()];
    if !is_set.contains(&true) && args.confirmations.is_none() && args.after_block.is_none() {
        return Ok(None);
    }
    let (Some(key), Some(url), Some(chain_id), false) =
        (&args.key, args.url.as_ref().map(Secret::expose), args.id, args.tokens.is_empty())
    else {
        return Err("tokens are taken where all of ABACUS_DEPOSIT_KEY, ABACUS_CHAIN_URL, ABACUS_CHAIN_ID and ABACUS_TOKENS \
             are set, or none"
            .into());
    };
    let (tokens, begin_after) = (&args.tokens, args.after_block);
    let confirmations = args.confirmations.unwrap_or(CONFIRMATIONS_DEFAULT);
    let written = WrittenSettings { key, url, chain_id, tokens, confirmations, begin_after };
    Ok(Some(DepositSettings::read(&written)?))
}

/// The provider that invoices are to name.
const SANDBOX_PROVIDER: &str = "Sandbox Cloud Ltd.";

fn provider(args: &ProviderArgs, sandbox: bool) -> Result<Provider, Failure> {
    let name = args.provider_name.clone().unwrap_or_else(|| {
        if sandbox {
            return SANDBOX_PROVIDER.to_owned();
        }
        tracing::warn!("invoices do not name the provider: ABACUS_PROVIDER_NAME is not set");
        PROVIDER_DEFAULT.to_owned()
    });
    Ok(Provider {
        name,
        address: args.provider_address.clone(),
        tax_id: args.provider_tax_id.clone(),
        logo: args
            .provider_logo
            .as_deref()
            .map(logo)
            .transpose()
            .map_err(of_setting("ABACUS_PROVIDER_LOGO"))?,
    })
}

fn logo(path: &Path) -> Result<Logo, Failure> {
    let failed = |error: &dyn std::fmt::Display| format!("the logo {}: {error}", path.display());
    let file = std::fs::read(path).map_err(|error| failed(&error))?;
    Ok(Logo::from_png(file).map_err(|error| failed(&error))?)
}

fn clock(sandbox: bool) -> Clock {
    if sandbox { Clock::sandbox() } else { Clock::system() }
}

/// Connections of a process that only runs jobs: reading what is due takes few.
const JOB_CONNECTIONS: u32 = 3;

async fn jobs(global: &GlobalArgs, args: &JobsArgs) -> Result<(), Failure> {
    telemetry::start(args.log_json);
    if is_private(global) {
        return Err(
            "jobs run beside a server on a DATABASE_URL; with the private PostgreSQL `serve` runs them"
                .into(),
        );
    }
    let db = Db::open(global).await?;
    let usual = ServerConfig::new(([127, 0, 0, 1], 0).into(), db.url.clone(), Vec::new());
    let config = ServerConfig {
        owner_url: db.owner_url.clone(),
        cells: db.cells.clone(),
        lock_wait: global.migrate_lock_wait,
        clock: clock(args.sandbox),
        currencies: currencies(&args.currencies).map_err(of_setting("ABACUS_CURRENCIES"))?,
        deposits: deposits(&args.chain)?,
        ledger_keys: ledger_keys(global)?,
        anchor_keys: anchor_keys(global, args.sandbox)?,
        connections_max: JOB_CONNECTIONS,
        sandbox: args.sandbox,
        retention: args.retention.ages()?,
        engine: EngineConfig { policies: policies(&args.payments), ..EngineConfig::default() },
        stripe: stripe(&args.payments, args.sandbox)?,
        job_lease_seconds: args.lease_seconds.unwrap_or(usual.job_lease_seconds),
        invoice_delay: TimeDelta::from_std(args.invoice_delay)?,
        ..usual
    };
    let mut stop = StopSignals::new()?;
    let port = match &args.listen {
        Some(listen) => Some(Port::take(&listen.to_string()).await?),
        None => None,
    };
    warn_of_known_key(global, args.sandbox);
    warn_of_no_anchors(&config.anchor_keys);
    let jobs = JobServer::start(config, port).await?;
    tracing::info!(listening = ?jobs.address(), "running jobs");
    stop.received().await;
    tracing::info!("stopping");
    jobs.stop().await;
    Ok(())
}

async fn bill(global: &GlobalArgs, args: &BillArgs) -> Result<(), Failure> {
    telemetry::start(false);
    let currencies = currencies(&args.currencies).map_err(of_setting("ABACUS_CURRENCIES"))?;
    let db = Db::open(global).await?;
    let sandbox = args.sandbox || db.private.is_some();
    let config = ServerConfig {
        owner_url: db.owner_url.clone(),
        cells: db.cells.clone(),
        lock_wait: global.migrate_lock_wait,
        clock: clock(sandbox),
        sandbox,
        currencies,
        ledger_keys: ledger_keys(global)?,
        ..ServerConfig::new(([127, 0, 0, 1], 0).into(), db.url.clone(), Vec::new())
    };
    let outcome = bill_with_progress(config, args.month).await;
    db.close().await;
    outcome
}

/// The first signal lets it end the pages that are under way; a second one ends it at once, and what it had taken on is taken
/// on by others, or by the next call.
async fn bill_with_progress(config: ServerConfig, month: NaiveDate) -> Result<(), Failure> {
    let stopping = CancellationToken::new();
    let stop = stopping.clone();
    let mut signals = StopSignals::new()?;
    tokio::spawn(async move {
        signals.received().await;
        stop.cancel();
        signals.received().await;
        std::process::exit(130);
    });
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(
        "{msg} [{wide_bar}] {human_pos}/{human_len} accounts, {eta} left",
    )?);
    bar.set_message(month.format("%Y-%m").to_string());
    let sum = |runs: &[BillingRun], count: fn(&BillingRun) -> i64| {
        u64::try_from(runs.iter().map(count).fold(0_i64, i64::saturating_add)).unwrap_or(0)
    };
    let tell = |runs: &[BillingRun]| {
        bar.set_length(sum(runs, |run| run.total.max(run.done)));
        bar.set_position(sum(runs, |run| run.done));
    };
    let runs = bill_month(config, month, stopping, tell).await;
    bar.finish_and_clear();
    let runs = runs?;
    for run in &runs {
        let (period, zone) = (run.period.format("%Y-%m"), run.time_zone);
        println!(
            "{period} {zone}: {} of {} accounts, {} failed, {}",
            run.done, run.total, run.failed, run.state
        );
    }
    if runs.is_empty() {
        println!("there was nobody to bill in {}", month.format("%Y-%m"));
    }
    if runs.iter().any(|run| run.state != RunState::Done) {
        return Err("stopped before the month was closed; the next call goes on".into());
    }
    Ok(())
}

/// Ctrl-C and SIGTERM.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn run_server(config: ServerConfig, port: Port, db: &Db, secret: &[u8]) -> Result<(), Failure> {
    let mut stop = StopSignals::new()?;
    let prepared = Prepared::new(config).await?;
    if db.private.is_some() {
        // Whoever is answered finds it whole.
        demo::make(&prepared.app).await?;
    }
    let server = prepared.serve(port)?;
    if let Some(private) = &db.private {
        print_welcome(&server, private, secret)?;
    }
    tracing::info!(address = %server.address, "listening");
    stop.received().await;
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}

fn print_welcome(server: &Server, private: &PrivatePostgres, secret: &[u8]) -> Result<(), Failure> {
    let key = TokenKey::new(secret)?;
    let token =
        |subject, role, namespace| key.issue(subject, role, namespace, wall(), START_UP_TOKEN_SECONDS);
    let operator = token("operator", Role::Operator, None)?;
    let namespace = demo::MAIN_NAMESPACE;
    let customer = token(namespace, Role::Customer, Some(namespace))?;
    if let Some(from) = private.moved_from() {
        println!(
            "PostgreSQL's user cannot enter {}: the data is in {}.",
            from.display(),
            private.data_dir().display()
        );
    }
    let address = server.address;
    println!(
        "\nAbacus is running, as a sandbox with play money.\n\n\
         GraphiQL   http://{address}/graphiql#token={customer}\n\n\
         Operator's token (24 hours)\n  {operator}\n\
         Token of the customer \"{namespace}\" (24 hours)\n  {customer}\n\n\
         A first query\n  {{ account {{ namespace balance {{ amount currency }} plans {{ name }} }} plans {{ nodes {{ id name region price {{ amount }} }} }} }}\n\n\
         The database   {psql}\n\
         Ctrl-C stops both.\n",
        psql = private.psql_command(PRIVATE_DATABASE),
    );
    Ok(())
}
