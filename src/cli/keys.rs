//! Tokens, and the secrets that they and the ledger are signed with.

use std::path::PathBuf;

use super::failure::{Failure, of_setting};
use crate::clock::wall;
use crate::config::{GlobalArgs, Secret, TokenArgs};
use crate::domain::anchor::AnchorKeys;
use crate::domain::seal::SealKeys;
use crate::domain::viewer::Role;
use crate::http::token::{SECRET_BYTES_MIN, TokenKey};
use crate::private_pg;
use crate::secret::kept_secret;

pub(super) fn token(global: &GlobalArgs, args: &TokenArgs) -> Result<(), Failure> {
    let role = Role::from(args.role);
    let namespace = args.namespace.as_deref().filter(|_| role == Role::Customer);
    let subject = args.subject.clone().or_else(|| namespace.map(str::to_owned));
    let subject = subject.unwrap_or_else(|| role.code().to_lowercase());
    let seconds = i64::try_from(args.ttl.as_secs()).unwrap_or(i64::MAX);
    let key = TokenKey::new(&token_secret(global)?)?;
    println!("{}", key.issue(&subject, role, namespace, wall(), seconds)?);
    Ok(())
}

/// What the ledger is sealed with.
pub(super) fn ledger_keys(global: &GlobalArgs) -> Result<SealKeys, Failure> {
    let given = global.ledger_keys.as_ref().map(Secret::expose).filter(|given| !given.is_empty());
    match given {
        Some(given) => SealKeys::read(given).map_err(of_setting("ABACUS_LEDGER_KEYS")),
        None => Ok(SealKeys::of_sandbox()),
    }
}

/// Says where real money is sealed with what everybody knows.
pub(super) fn warn_of_known_key(global: &GlobalArgs, sandbox: bool) {
    let given = global.ledger_keys.as_ref().is_some_and(|given| !given.expose().is_empty());
    if !given && !sandbox {
        tracing::warn!(
            "the ledger is sealed with what everybody knows: who can write to the database can alter it unseen. Set \
             ABACUS_LEDGER_KEYS (docs/LEDGER.md)"
        );
    }
}

/// What anchors of the ledger are signed with: none where none is given, but in a sandbox what everybody knows.
pub(super) fn anchor_keys(global: &GlobalArgs, sandbox: bool) -> Result<AnchorKeys, Failure> {
    let given = global.anchor_key.as_ref().map(Secret::expose).filter(|given| !given.is_empty());
    match given {
        Some(given) => AnchorKeys::read(given).map_err(of_setting("ABACUS_ANCHOR_KEY")),
        None if sandbox => Ok(AnchorKeys::of_sandbox()),
        None => Ok(AnchorKeys::none()),
    }
}

/// Says where nothing is anchored.
pub(super) fn warn_of_no_anchors(keys: &AnchorKeys) {
    if keys.signing().is_none() {
        tracing::warn!(
            "the ledger is not anchored: who has its keys and can write to the database can write it anew unseen. Set \
             ABACUS_ANCHOR_KEY (docs/LEDGER.md)"
        );
    }
}

/// Prints the public keys, the one that signs first.
pub(super) fn anchor_key(global: &GlobalArgs) -> Result<(), Failure> {
    let keys = anchor_keys(global, false)?;
    if keys.known().is_empty() {
        return Err(
            "ABACUS_ANCHOR_KEY is not set: make a key with `openssl rand -hex 32` (docs/LEDGER.md)".into()
        );
    }
    let signing = keys.signing();
    for key in keys.known() {
        let role = if Some(*key) == signing { "signs" } else { "has signed before" };
        println!("{} {} {role}", key.hex(), key.id());
    }
    Ok(())
}

/// The secret that was given.
pub(super) fn given_secret(global: &GlobalArgs) -> Result<Option<Vec<u8>>, Failure> {
    let Some(secret) = global.jwt_secret.as_ref().map(Secret::expose) else { return Ok(None) };
    if secret.len() < SECRET_BYTES_MIN {
        return Err(format!("ABACUS_JWT_SECRET must be at least {SECRET_BYTES_MIN} bytes long").into());
    }
    Ok(Some(secret.as_bytes().to_vec()))
}

/// The secret that a server signs with already: one that is made for a token would be no server's.
pub(super) fn token_secret(global: &GlobalArgs) -> Result<Vec<u8>, Failure> {
    if let Some(secret) = given_secret(global)? {
        return Ok(secret);
    }
    let (dir, is_default) = global.data_dir();
    let dirs = private_pg::possible_data_dirs(&dir, is_default);
    for dir in &dirs {
        if let Some(secret) = kept_secret(dir)? {
            return Ok(secret);
        }
    }
    let looked_in: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
    Err(format!(
        "there is no signing secret in {}: start the server first, which makes one, or say where its data are (--data-dir), \
         or which secret it was given (ABACUS_JWT_SECRET)",
        looked_in.join(" nor in ")
    )
    .into())
}

pub(super) fn data_dir(global: &GlobalArgs) -> Result<PathBuf, Failure> {
    let (dir, is_default) = global.data_dir();
    if global.database_url.is_some() {
        return Ok(dir);
    }
    Ok(private_pg::usable_data_dir(&dir, is_default)?)
}
