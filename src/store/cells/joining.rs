//! A database becomes a cell, once and for all: it notes which one, and of which installation, and gives numbers of its own from
//! then on.

use std::collections::BTreeSet;

use diesel::sql_types::{BigInt, Bool, SmallInt};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use uuid::Uuid;

use super::Cell;
use super::own_row::{Membership, membership, membership_begin};
use crate::domain::cell::CellNumber;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;
use crate::store::{Conn, execute};

/// Why databases are not the cells of an installation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCell {
    #[error("an installation of several cells has a home cell")]
    NoHome,
    #[error(
        "this database is cell {0} of an installation of several: start with --cells, or on another database"
    )]
    OneOfSeveral(CellNumber),
    #[error("the database of the cell \"{name}\" is cell {is} of this installation, and not {wanted}")]
    Number { name: String, is: CellNumber, wanted: CellNumber },
    #[error("the database of the cell \"{0}\" is a cell of another installation")]
    OtherInstallation(String),
    #[error("cell {0} has joined this installation and is not in the file of its cells")]
    Forgotten(CellNumber),
    #[error(
        "the database of the cell \"{0}\" has accounts or a catalogue already: a new cell begins with an empty one"
    )]
    NotEmpty(String),
    #[error("the database of the cell \"{0}\" has given numbers that are other cells'")]
    NumbersBeyond(String),
    #[error("the database of the cell \"{0}\" lies on several machines (Citus): a cell is one PostgreSQL")]
    Cluster(String),
    #[error(
        "the database of the cell \"{0}\" has not joined yet, and this role may not have it join: run `abacus migrate --cells` with the \
         owner's address as its migrate_url"
    )]
    NotOwner(String),
}

/// Sees to it that the database of a cell is that cell, of the installation; None: of one that begins with this database, its home.
/// Answers the installation.
pub async fn join(
    cell: &Cell,
    owner: &Database,
    installation: Option<Uuid>,
) -> Result<Result<Uuid, NoCell>, StoreError> {
    let (name, wanted) = (cell.name.to_string(), cell.number);
    let conn = cell.database.connection().await?;
    if cell.database.topology().are_shards() {
        return Ok(Err(NoCell::Cluster(name)));
    }
    let held = membership(&conn).await?;
    drop(conn);
    match (held, installation) {
        (Some(is), Some(installation)) if is.installation != installation => {
            Ok(Err(NoCell::OtherInstallation(name)))
        }
        (Some(Membership { number: is, .. }), _) if is != wanted => {
            Ok(Err(NoCell::Number { name, is, wanted }))
        }
        (Some(is), _) => Ok(Ok(is.installation)),
        (None, installation) => {
            let mut connection = owner.dedicated_connection().await?;
            if !owns(&connection).await? {
                return Ok(Err(NoCell::NotOwner(name)));
            }
            let installation = installation.unwrap_or_else(Uuid::new_v4);
            begin(&mut connection, &name, Membership { number: wanted, installation }).await
        }
    }
}

async fn owns(mut conn: Conn<'_>) -> Result<bool, StoreError> {
    let asked = Statement::<Bool>::new(
        "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'account_numbers'::regclass",
    );
    Ok(asked.get_result(&mut conn).await?)
}

/// Why a transaction that joins is not committed.
enum Stop {
    NoCell(NoCell),
    Failed(StoreError),
}

impl<E: Into<StoreError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

async fn begin(
    connection: &mut AsyncPgConnection,
    name: &str,
    as_cell: Membership,
) -> Result<Result<Uuid, NoCell>, StoreError> {
    let joined = connection
        .transaction(async |connection| {
            connection.batch_execute("LOCK TABLE cell IN EXCLUSIVE MODE").await?;
            // Another may have had it join meanwhile.
            if let Some(is) = membership(connection).await? {
                return if is == as_cell {
                    Ok(())
                } else {
                    Err(Stop::NoCell(NoCell::OtherInstallation(name.to_owned())))
                };
            }
            if as_cell.number != CellNumber::HOME && !is_empty(connection).await? {
                return Err(Stop::NoCell(NoCell::NotEmpty(name.to_owned())));
            }
            if as_cell.number == CellNumber::HOME && has_given_beyond(connection).await? {
                return Err(Stop::NoCell(NoCell::NumbersBeyond(name.to_owned())));
            }
            connection.batch_execute(&numbering(as_cell.number)).await?;
            membership_begin(connection, as_cell).await?;
            Ok(())
        })
        .await;
    match joined {
        Ok(()) => Ok(Ok(as_cell.installation)),
        Err(Stop::NoCell(why)) => Ok(Err(why)),
        Err(Stop::Failed(error)) => Err(error),
    }
}

async fn is_empty(mut conn: Conn<'_>) -> Result<bool, StoreError> {
    let asked = Statement::<Bool>::new(
        "SELECT NOT (EXISTS (SELECT 1 FROM accounts) OR EXISTS (SELECT 1 FROM plans) \
         OR EXISTS (SELECT 1 FROM price_definitions) OR EXISTS (SELECT 1 FROM exchange_rates))",
    );
    Ok(asked.get_result(&mut conn).await?)
}

/// Whether a database that is to be the home cell has given numbers that are to be others'.
async fn has_given_beyond(mut conn: Conn<'_>) -> Result<bool, StoreError> {
    let home = CellNumber::HOME;
    let asked = Statement::<Bool>::new("SELECT coalesce(pg_sequence_last_value('account_numbers') > ")
        .bigint(*home.accounts().end())
        .sql(", false) OR coalesce(pg_sequence_last_value('deposit_address_places') > ")
        .bigint(*home.address_places().end())
        .sql(", false)");
    Ok(asked.get_result(&mut conn).await?)
}

/// Has a database give numbers of a cell's share alone. The home cell goes on where it is.
fn numbering(cell: CellNumber) -> String {
    let (accounts, places, rows) = (cell.accounts(), cell.address_places(), cell.rows());
    let sequences = [
        ("account_numbers", accounts),
        ("deposit_address_places", places),
        ("price_rules_id_seq", rows.clone()),
        ("price_definitions_id_seq", rows),
    ];
    let each = sequences.iter().map(|(sequence, share)| {
        let (first, last) = (share.start(), share.end());
        let begin = match cell {
            CellNumber::HOME => String::new(),
            _ => format!(" MINVALUE {first} START {first} RESTART {first}"),
        };
        format!("ALTER SEQUENCE {sequence} MAXVALUE {last}{begin}")
    });
    each.collect::<Vec<_>>().join("; ")
}

/// Notes in the home cell which others there are; the number of one that is not in the list, if there is any.
pub async fn note_others(owner: &Database, others: &[CellNumber]) -> Result<Result<(), NoCell>, StoreError> {
    let connection = owner.dedicated_connection().await?;
    let mut conn: Conn<'_> = &connection;
    let known: Vec<i64> =
        Statement::<BigInt>::new("SELECT number::bigint FROM cells").load(&mut conn).await?;
    let known: BTreeSet<CellNumber> = known.into_iter().filter_map(CellNumber::new).collect();
    if let Some(forgotten) = known.iter().find(|number| !others.contains(number)) {
        return Ok(Err(NoCell::Forgotten(*forgotten)));
    }
    for number in others.iter().filter(|number| !known.contains(number)) {
        let statement = Statement::new("INSERT INTO cells (number) VALUES (")
            .value::<SmallInt, _>(number.number())
            .sql(") ON CONFLICT DO NOTHING");
        execute(conn, statement).await?;
    }
    Ok(Ok(()))
}
