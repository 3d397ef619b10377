//! What a database is: a sandbox's or not, and how exactly its money is kept. The first server that starts on it says so; a
//! later one that would have it otherwise does not start.

use std::fmt;

use diesel::sql_types::{Array, Integer, Text};
use diesel_async::RunQueryDsl;

use super::error::StoreError;
use super::statement::Statement;
use super::{Conn, execute};
use crate::domain::money::{Currencies, Currency};

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
    #[error(
        "this database belongs to {is}, and this is {wanted} (ABACUS_SANDBOX): give it a database of its own"
    )]
    Kind { is: InstallationKind, wanted: InstallationKind },
    #[error(
        "{code}: this database keeps it with the scales {is}, and this server would with {wanted} (ABACUS_CURRENCIES): what \
         was posted at one scale does not add up at another"
    )]
    Scales { code: String, is: String, wanted: String },
}

/// Notes what the database is, if nobody has; the error tells what it is already.
pub async fn claim(
    conn: Conn<'_>,
    kind: InstallationKind,
    currencies: &Currencies,
) -> Result<Result<(), OtherInstallation>, StoreError> {
    let statement = Statement::new("INSERT INTO installation (kind) VALUES (")
        .text(kind.code().to_owned())
        .sql(") ON CONFLICT DO NOTHING");
    execute(conn, statement).await?;
    let held = kind_of(conn).await?;
    if held != kind {
        return Ok(Err(OtherInstallation::Kind { is: held, wanted: kind }));
    }
    let all: Vec<&Currency> = currencies.iter().collect();
    scales_note(conn, &all).await?;
    let held = scales_of(conn).await?;
    Ok(all.into_iter().try_for_each(|currency| agrees(currency, &held)))
}

async fn kind_of(mut conn: Conn<'_>) -> Result<InstallationKind, StoreError> {
    let statement = Statement::<Text>::new("SELECT kind FROM installation");
    let held: Vec<String> = statement.load(&mut conn).await?;
    let kind = [InstallationKind::Sandbox, InstallationKind::Production];
    let known = kind.into_iter().find(|kind| held.iter().any(|code| code == kind.code()));
    known.ok_or_else(|| StoreError::Corrupt(format!("an installation of the kind {held:?}")))
}

async fn scales_note(conn: Conn<'_>, currencies: &[&Currency]) -> Result<(), StoreError> {
    let scales = |scale: fn(&Currency) -> u32| -> Vec<i32> {
        currencies.iter().map(|currency| i32::try_from(scale(currency)).unwrap_or(i32::MAX)).collect()
    };
    let codes = currencies.iter().map(|currency| currency.code.as_str().to_owned()).collect();
    let statement = Statement::new("INSERT INTO currency_scales SELECT * FROM UNNEST(")
        .value::<Array<Text>, Vec<String>>(codes)
        .sql(", ")
        .value::<Array<Integer>, _>(scales(|currency| currency.display_scale))
        .sql(", ")
        .value::<Array<Integer>, _>(scales(|currency| currency.ledger_scale))
        .sql(") ON CONFLICT DO NOTHING");
    execute(conn, statement).await.map(drop)
}

/// The scales that are kept, as `code display/ledger`.
async fn scales_of(mut conn: Conn<'_>) -> Result<Vec<(String, String)>, StoreError> {
    let statement = Statement::<(Text, Integer, Integer)>::new(
        "SELECT code, display_scale, ledger_scale FROM currency_scales",
    );
    let held: Vec<(String, i32, i32)> = statement.load(&mut conn).await?;
    Ok(held.into_iter().map(|(code, display, ledger)| (code, format!("{display}:{ledger}"))).collect())
}

fn agrees(currency: &Currency, held: &[(String, String)]) -> Result<(), OtherInstallation> {
    let wanted = format!("{}:{}", currency.display_scale, currency.ledger_scale);
    match held.iter().find(|(code, _)| code == currency.code.as_str()) {
        Some((code, is)) if *is != wanted => {
            Err(OtherInstallation::Scales { code: code.clone(), is: is.clone(), wanted })
        }
        _ => Ok(()),
    }
}
