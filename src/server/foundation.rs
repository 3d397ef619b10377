//! What a server stands on: its databases, brought up to date and claimed, and what carries out and runs by itself on them.

use std::sync::Arc;

use super::server_config::{CellConfig, ServerConfig};
use super::start_error::StartError;
use crate::domain::cell::CellNumber;
use crate::engine::Engine;
use crate::jobs::{CellJobs, JobContext};
use crate::payments::stripe;
use crate::payments::{DepositAddresses, PaymentProvider, Providers, Sandbox, SettingError, Stripe};
use crate::store::cells::joining::{self, NoCell};
use crate::store::cells::own_row;
use crate::store::cells::{Cell, Cells, catalogue};
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::installation::{self, InstallationKind};
use crate::store::leases;
use crate::store::migrations::Migrator;
use crate::store::rights;

/// A command has few connections to each cell.
const COMMAND_CONNECTIONS: u32 = 4;

/// Who charges cards. The sandbox's own cards stay good beside Stripe's.
fn providers(config: &ServerConfig) -> Result<Providers, stripe::ConfigError> {
    let mut providers: Vec<Arc<dyn PaymentProvider>> = Vec::new();
    if let Some(stripe) = &config.stripe {
        if config.sandbox && stripe.is_live() {
            return Err(stripe::ConfigError::LiveKeyInASandbox);
        }
        providers.push(Arc::new(Stripe::new(stripe.clone())?));
    }
    if config.sandbox {
        providers.push(Arc::new(Sandbox::new(config.clock.clone())));
    }
    Ok(Providers::new(providers))
}

/// Where tokens are sent to: on a chain, or on a sandbox's own.
fn deposit_addresses(
    config: &ServerConfig,
    database: &Database,
) -> Result<Option<Arc<DepositAddresses>>, SettingError> {
    let deposit_addresses = match &config.deposits {
        Some(settings) => DepositAddresses::on_chain(settings, database.clone())?,
        None if config.sandbox => DepositAddresses::simulated(database.clone())?,
        None => return Ok(None),
    };
    Ok(Some(Arc::new(deposit_addresses)))
}

/// Migrates the databases and starts the engine, and makes what jobs need, with so many connections of their own. A sandbox
/// goes on where its clock was. A server that `founds` says what a new database is.
pub(super) async fn foundation(
    config: &ServerConfig,
    job_connections: u32,
    founds: bool,
) -> Result<(Cells, CellJobs), StartError> {
    let cells = open(config, founds).await?;
    let (clock, providers) = (config.clock.clone(), providers(config)?);
    let currencies = Arc::new(config.currencies.clone());
    let engine = Arc::new(Engine::start(&config.engine, &cells, &currencies, &config.clock));
    let own = cells.beside(job_connections);
    let home = JobContext::new(own.clone(), engine, clock, currencies, providers, config.job_lease_seconds);
    let home = JobContext {
        deposit_addresses: deposit_addresses(config, &own.home().database)?,
        invoice_delay: config.invoice_delay,
        retention: config.retention,
        ..home
    };
    let mut others = Vec::new();
    for cell in own.others() {
        let deposit_addresses = deposit_addresses(config, &cell.database)?;
        others.push(JobContext { deposit_addresses, ..home.of_cell(cell) });
    }
    let jobs = CellJobs::new(home, others);
    for jobs in jobs.all() {
        jobs.follow_clock().await?;
    }
    Ok((cells, jobs))
}

/// Before a database is said to be anything: a server that is not to be started says nothing for ever.
fn require_right_settings(config: &ServerConfig, database: &Database) -> Result<(), StartError> {
    providers(config)?;
    deposit_addresses(config, database)?;
    Ok(())
}

/// The databases: each current, founded, and the cell that it is to be.
async fn open(config: &ServerConfig, founds: bool) -> Result<Cells, StartError> {
    if config.cells.is_empty() {
        let database = Database::new(&config.database_url, config.connections_max)?;
        let database = prepare(config, database, config.owner_url.as_deref()).await?;
        let membership = own_row::membership(&*database.connection().await?).await?;
        if let Some(membership) = membership.filter(|_| !config.of_one_cell) {
            return Err(NoCell::OneOfSeveral(membership.number).into());
        }
        require_right_settings(config, &database)?;
        claim(&database, config, founds).await?;
        return Ok(Cells::one(database));
    }
    let mut opened = Vec::new();
    for address in &config.cells {
        let prepared =
            prepare(config, address.database(config.connections_max)?, address.owner_url.as_deref()).await;
        opened.push(prepared.map_err(|error| address.failed(error))?);
    }
    if let Some(home) = opened.first() {
        require_right_settings(config, home)?;
    }
    let cells = join(&config.cells, opened).await?;
    for cell in cells.all() {
        claim(&cell.database, config, founds).await?;
    }
    if config.sandbox {
        share_clock(&cells).await?;
    }
    catalogue::copy_to_all(&cells).await?;
    cells.follow_moves().await?;
    Ok(cells)
}

/// Has databases that are current become the cells of an installation, unless they are.
pub async fn join_cells(addresses: &[CellConfig]) -> Result<(), StartError> {
    let databases: Vec<Database> =
        addresses.iter().map(|address| address.database(1)).collect::<Result<_, _>>()?;
    join(addresses, databases).await.map(drop)
}

/// The same with who owns the schema of each, in the order of the cells.
pub async fn cells_with_owners(addresses: &[CellConfig]) -> Result<(Cells, Vec<Database>), StartError> {
    let (mut databases, mut owners) = (Vec::new(), Vec::new());
    for address in addresses {
        databases.push(address.database(COMMAND_CONNECTIONS)?);
        let owner = address.owner_url.as_ref().unwrap_or(&address.database_url);
        owners.push(Database::of_owner(owner)?);
    }
    Ok((join(addresses, databases).await?, owners))
}

async fn join(addresses: &[CellConfig], databases: Vec<Database>) -> Result<Cells, StartError> {
    let mut joined = Vec::new();
    let mut installation = None;
    for (address, database) in addresses.iter().zip(databases) {
        let owner = match &address.owner_url {
            Some(url) => Database::of_owner(url)?,
            None => database.clone(),
        };
        let cell = Cell { number: address.number, name: address.name.as_str().into(), database };
        let is_of = joining::join(&cell, &owner, installation).await;
        installation = Some(is_of.map_err(|error| address.failed(error))??);
        joined.push((cell, owner));
    }
    let others: Vec<CellNumber> = joined.iter().skip(1).map(|(cell, _)| cell.number).collect();
    let mut joined = joined.into_iter();
    let (home, owner) = joined.next().ok_or(NoCell::NoHome)?;
    joining::note_others(&owner, &others).await??;
    Ok(Cells::new(home, joined.map(|(cell, _)| cell).collect()))
}

impl CellConfig {
    fn database(&self, connections_max: u32) -> Result<Database, StartError> {
        let setting = format!("the address of the cell \"{}\"", self.name);
        Ok(Database::of_setting(&self.database_url, &setting, connections_max)?)
    }

    fn failed(&self, error: impl Into<StartError>) -> StartError {
        StartError::Cell { name: self.name.clone(), error: Box::new(error.into()) }
    }
}

/// Brings a database up to date, and says what operators should know of it.
async fn prepare(
    config: &ServerConfig,
    database: Database,
    owner_url: Option<&str>,
) -> Result<Database, StartError> {
    let database = database
        .sealed_with(Arc::new(config.ledger_keys.clone()))
        .anchored_with(Arc::new(config.anchor_keys.clone()));
    let migrator = Migrator::new(&database, owner_url, config.lock_wait)?;
    for migration in migrator.migrate().await? {
        tracing::info!(migration, "migrated");
    }
    advise_least_rights(&database).await?;
    require_english(&database).await?;
    Ok(database)
}

/// A sandbox's clock is as far ahead in one cell as in all others.
async fn share_clock(cells: &Cells) -> Result<(), StoreError> {
    let mut ahead = 0;
    for cell in cells.all() {
        ahead = ahead.max(leases::clock_offset(&*cell.database.connection().await?).await?);
    }
    for cell in cells.all().filter(|_| ahead > 0) {
        leases::set_clock_offset(&*cell.database.connection().await?, ahead).await?;
    }
    Ok(())
}

/// A database is a sandbox's or not, keeps its money at the same scales, and is sealed with keys that it knows, for ever.
async fn claim(database: &Database, config: &ServerConfig, notes: bool) -> Result<(), StartError> {
    let kind = if config.sandbox { InstallationKind::Sandbox } else { InstallationKind::Production };
    let connection = database.connection().await?;
    installation::claim(&connection, kind, &config.currencies, notes).await??;
    Ok(installation::claim_keys(&connection, database.keys(), notes).await??)
}

/// Says so where the server could switch off what holds its tables.
async fn advise_least_rights(database: &Database) -> Result<(), StoreError> {
    if let Some(role) = rights::role_that_owns(database).await? {
        tracing::warn!(
            role,
            "this server's role owns its tables, so it could change what is final. Give DATABASE_URL a role that owns nothing, and \
             the owner's address in ABACUS_MIGRATE_URL, which grants it what it needs (README.md, Roles)"
        );
    }
    Ok(())
}

/// Says so where PostgreSQL's errors cannot be told apart.
async fn require_english(database: &Database) -> Result<(), StoreError> {
    if let Some((language, role)) = database.foreign_messages().await? {
        tracing::warn!(
            lc_messages = language,
            role,
            "PostgreSQL's messages are not English, and this role may not have them so: what the database refuses, and \
             what takes it too long, is answered with INTERNAL. Have a superuser run: ALTER ROLE {role} SET lc_messages = 'C'"
        );
    }
    Ok(())
}
