//! The databases that a command works on.

use std::path::Path;

use super::failure::Failure;
use crate::config::{CellAddress, GlobalArgs, Secret, read_cells};
use crate::private_pg::{self, PrivatePostgres};
use crate::server::CellConfig;

pub(super) const PRIVATE_DATABASE: &str = "abacus";

/// The database of a server: given, or private.
pub(super) struct Db {
    pub(super) url: String,
    /// For who owns its schema, if that is known.
    pub(super) owner_url: Option<String>,
    /// Where accounts are spread over several: all of them, and the home cell's is the one above.
    pub(super) cells: Vec<CellConfig>,
    pub(super) private: Option<PrivatePostgres>,
}

impl Db {
    /// The one of a command that works on one.
    pub(super) async fn open_one(global: &GlobalArgs) -> Result<Self, Failure> {
        if global.cells.is_some() {
            return Err("this command works on one database: name that of a cell with DATABASE_URL, without ABACUS_CELLS".into());
        }
        Self::open(global).await
    }

    pub(super) async fn open(global: &GlobalArgs) -> Result<Self, Failure> {
        if let Some(file) = &global.cells {
            return Self::of_cells(global, file);
        }
        if let Some(url) = global.database_url.as_ref().map(Secret::expose) {
            return Ok(Self {
                url: url.to_owned(),
                owner_url: owner_url(global),
                cells: Vec::new(),
                private: None,
            });
        }
        let (data_dir, data_dir_is_default) = global.data_dir();
        let options = private_pg::Options { data_dir, data_dir_is_default, settings: Vec::new(), lock: true };
        let private = PrivatePostgres::start(options).await?;
        private.ensure_database(PRIVATE_DATABASE).await?;
        let (url, owner_url) = (private.url(PRIVATE_DATABASE), private.owner_url(PRIVATE_DATABASE));
        Ok(Self { url, owner_url: Some(owner_url), cells: Vec::new(), private: Some(private) })
    }

    fn of_cells(global: &GlobalArgs, file: &Path) -> Result<Self, Failure> {
        if global.database_url.is_some() || global.migrate_url.is_some() {
            return Err("ABACUS_CELLS names all databases, and cannot be used together with DATABASE_URL or ABACUS_MIGRATE_URL".into());
        }
        let cells: Vec<CellConfig> = read_cells(file)?.into_iter().map(cell_config).collect();
        let home = cells.first().ok_or("there is no home cell")?;
        let (url, owner_url) = (home.database_url.clone(), home.owner_url.clone());
        Ok(Self { url, owner_url, cells, private: None })
    }

    pub(super) async fn close(&self) {
        if let Some(private) = &self.private {
            private.stop().await;
        }
    }
}

fn cell_config(CellAddress { number, name, url, migrate_url }: CellAddress) -> CellConfig {
    let owner_url = migrate_url.map(|url| url.expose().to_owned());
    CellConfig { number, name, database_url: url.expose().to_owned(), owner_url }
}

/// Whether a private PostgreSQL is started, as no other is named.
pub(super) fn is_private(global: &GlobalArgs) -> bool {
    global.database_url.is_none() && global.cells.is_none()
}

fn owner_url(global: &GlobalArgs) -> Option<String> {
    global.migrate_url.as_ref().map(|url| url.expose().to_owned())
}
