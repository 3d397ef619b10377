//! What a database is: a sandbox's or not, and how exactly its money is kept. The first `serve` that starts on it says so; what
//! would have it otherwise does not start.

use std::fmt;

use diesel::sql_types::{Binary, Integer, SmallInt, Text};

use super::error::StoreError;
use super::sql::statement::{Columns, Statement};
use super::{Conn, execute};
use crate::domain::money::{Currencies, Currency};
use crate::domain::seal::{KeyVersion, SealKeys};

/// Whose money it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstallationKind {
    /// Play money: customers recharge without paying, and the clock can be moved.
    Sandbox,
    Production,
}

impl InstallationKind {
    fn code(self) -> &'static str {
        match self {
            Self::Sandbox => "SANDBOX",
            Self::Production => "PRODUCTION",
        }
    }
}

impl fmt::Display for InstallationKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sandbox => "a sandbox",
            Self::Production => "a production server",
        })
    }
}

/// Why a server does not start on a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OtherInstallation {
    #[error("no server has begun on this database yet: start `abacus serve` first, which says whose it is")]
    None,
    #[error(
        "this database belongs to {is}, and this is {wanted} (ABACUS_SANDBOX): give it a database of its own"
    )]
    Kind { is: InstallationKind, wanted: InstallationKind },
    #[error("this database's ledger is sealed with key {0} as well, which ABACUS_LEDGER_KEYS does not have")]
    NoKey(KeyVersion),
    #[error("this database's ledger is sealed with another key {0} than that of ABACUS_LEDGER_KEYS")]
    Key(KeyVersion),
    #[error(
        "key {0} of ABACUS_LEDGER_KEYS is new to this database: start `abacus serve` with it first, which notes it"
    )]
    NewKey(KeyVersion),
    #[error(
        "{code}: this database keeps it with the scales {is}, and this server would with {wanted} (ABACUS_CURRENCIES): what \
         was posted at one scale does not add up at another"
    )]
    Scales { code: String, is: String, wanted: String },
}

/// Whether a process has all the keys that the database was ever sealed with. With `notes` further ones are noted; without,
/// somebody must have.
pub async fn claim_keys(
    conn: Conn<'_>,
    keys: &SealKeys,
    notes: bool,
) -> Result<Result<(), OtherInstallation>, StoreError> {
    let (given, held) = (keys.marks(), keys_of(conn).await?);
    if let Err(other) = has_all(&given, &held) {
        return Ok(Err(other));
    }
    // One that was begun before there were keys has none.
    if held.len() < given.len() && (notes || held.is_empty()) {
        let statement = Columns::new()
            .column::<SmallInt, _>("version", given.iter().map(|(version, _)| *version))
            .column::<Binary, _>("mark", given.iter().map(|(_, mark)| mark.clone()))
            .insert_into("seal_keys")
            .sql(" ON CONFLICT DO NOTHING");
        execute(conn, statement).await?;
        // Another may have noted another meanwhile.
        return Ok(has_all(&given, &keys_of(conn).await?));
    }
    let sealing = keys.sealing();
    let is_noted = held.iter().any(|(version, _)| *version == sealing);
    Ok(if is_noted { Ok(()) } else { Err(OtherInstallation::NewKey(sealing)) })
}

/// Whether a process has all the keys that the database was ever sealed with; nothing is noted.
pub async fn check_keys(
    conn: Conn<'_>,
    keys: &SealKeys,
) -> Result<Result<(), OtherInstallation>, StoreError> {
    Ok(has_all(&keys.marks(), &keys_of(conn).await?))
}

type KeyMark = (KeyVersion, Vec<u8>);

/// Whether the database knows a key of that version.
pub async fn has_key(conn: Conn<'_>, version: KeyVersion) -> Result<bool, StoreError> {
    Ok(keys_of(conn).await?.iter().any(|(held, _)| *held == version))
}

async fn keys_of(mut conn: Conn<'_>) -> Result<Vec<KeyMark>, StoreError> {
    let statement =
        Statement::<(SmallInt, Binary)>::new("SELECT version, mark FROM seal_keys ORDER BY version");
    Ok(statement.load(&mut conn).await?)
}

fn has_all(given: &[KeyMark], held: &[KeyMark]) -> Result<(), OtherInstallation> {
    held.iter().try_for_each(|(version, mark)| match given.iter().find(|(other, _)| other == version) {
        None => Err(OtherInstallation::NoKey(*version)),
        Some((_, other)) if other != mark => Err(OtherInstallation::Key(*version)),
        Some(_) => Ok(()),
    })
}

/// Whether a server of this kind may run on the database. With `notes` what nobody has noted yet is noted: what the database
/// is, and the scales of further currencies; without, somebody must have.
pub async fn claim(
    conn: Conn<'_>,
    kind: InstallationKind,
    currencies: &Currencies,
    notes: bool,
) -> Result<Result<(), OtherInstallation>, StoreError> {
    if let Err(other) = agrees(conn, kind, currencies).await? {
        return Ok(Err(other));
    }
    if !notes {
        let is_founded = kind_of(conn).await?.is_some();
        return Ok(if is_founded { Ok(()) } else { Err(OtherInstallation::None) });
    }
    let statement = Statement::new("INSERT INTO installation (kind) VALUES (")
        .text(kind.code().to_owned())
        .sql(") ON CONFLICT DO NOTHING");
    execute(conn, statement).await?;
    // Another may have noted something else meanwhile: before scales are noted, too.
    if let Err(other) = agrees(conn, kind, currencies).await? {
        return Ok(Err(other));
    }
    scales_note(conn, &currencies.iter().collect::<Vec<_>>()).await?;
    agrees(conn, kind, currencies).await
}

/// Whether what is noted is the same.
async fn agrees(
    conn: Conn<'_>,
    kind: InstallationKind,
    currencies: &Currencies,
) -> Result<Result<(), OtherInstallation>, StoreError> {
    if let Some(held) = kind_of(conn).await?.filter(|held| *held != kind) {
        return Ok(Err(OtherInstallation::Kind { is: held, wanted: kind }));
    }
    let held = scales_of(conn).await?;
    Ok(currencies.iter().try_for_each(|currency| agrees_on(currency, &held)))
}

async fn kind_of(mut conn: Conn<'_>) -> Result<Option<InstallationKind>, StoreError> {
    let statement = Statement::<Text>::new("SELECT kind FROM installation");
    let held: Vec<String> = statement.load(&mut conn).await?;
    let Some(code) = held.into_iter().next() else { return Ok(None) };
    let kind = [InstallationKind::Sandbox, InstallationKind::Production];
    let known = kind.into_iter().find(|kind| kind.code() == code);
    let unknown = || StoreError::Corrupt(format!("an installation of the kind {code}"));
    known.map(Some).ok_or_else(unknown)
}

async fn scales_note(conn: Conn<'_>, currencies: &[&Currency]) -> Result<(), StoreError> {
    let scales = |scale: fn(&Currency) -> u32| -> Vec<i32> {
        currencies.iter().map(|currency| i32::try_from(scale(currency)).unwrap_or(i32::MAX)).collect()
    };
    let codes = currencies.iter().map(|currency| currency.code.as_str().to_owned()).collect();
    let statement = Statement::new("INSERT INTO currency_scales SELECT * FROM UNNEST(")
        .keys::<Text, _>(codes)
        .sql(", ")
        .keys::<Integer, _>(scales(|currency| currency.display_scale))
        .sql(", ")
        .keys::<Integer, _>(scales(|currency| currency.ledger_scale))
        .sql(") ON CONFLICT DO NOTHING");
    execute(conn, statement).await.map(drop)
}

/// The codes of the currencies whose scales are noted, each with them as `DISPLAY_SCALE:LEDGER_SCALE`.
async fn scales_of(mut conn: Conn<'_>) -> Result<Vec<(String, String)>, StoreError> {
    let statement = Statement::<(Text, Integer, Integer)>::new(
        "SELECT code, display_scale, ledger_scale FROM currency_scales",
    );
    let held: Vec<(String, i32, i32)> = statement.load(&mut conn).await?;
    Ok(held.into_iter().map(|(code, display, ledger)| (code, format!("{display}:{ledger}"))).collect())
}

fn agrees_on(currency: &Currency, held: &[(String, String)]) -> Result<(), OtherInstallation> {
    let wanted = format!("{}:{}", currency.display_scale, currency.ledger_scale);
    match held.iter().find(|(code, _)| code == currency.code.as_str()) {
        Some((code, is)) if *is != wanted => {
            Err(OtherInstallation::Scales { code: code.clone(), is: is.clone(), wanted })
        }
        _ => Ok(()),
    }
}
