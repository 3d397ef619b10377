//! The sandbox's signing secret: made once, kept in the data directory, for its owner only.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

const FILE_NAME: &str = "signing-secret";

/// A secret that cannot be read or made.
#[derive(Debug, thiserror::Error)]
#[error("the signing secret {path}: {cause}")]
pub struct SecretError {
    path: PathBuf,
    cause: std::io::Error,
}

/// The secret of this data directory; made at the first call.
pub fn signing_secret(data_dir: &Path) -> Result<Vec<u8>, SecretError> {
    if let Some(secret) = kept_secret(data_dir)? {
        return Ok(secret);
    }
    let path = data_dir.join(FILE_NAME);
    let failed = |cause| SecretError { path: path.clone(), cause };
    std::fs::create_dir_all(data_dir).map_err(failed)?;
    make(data_dir, &path).map_err(failed)
}

/// The secret of this data directory, if one was made.
pub fn kept_secret(data_dir: &Path) -> Result<Option<Vec<u8>>, SecretError> {
    let path = data_dir.join(FILE_NAME);
    match std::fs::read(&path) {
        Ok(secret) => Ok(Some(trimmed(secret))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(SecretError { path, cause }),
    }
}

/// Written aside and linked into place, so that whoever comes second takes the first one's.
fn make(data_dir: &Path, path: &Path) -> std::io::Result<Vec<u8>> {
    let secret = random_hex()?;
    let aside = data_dir.join(format!("{FILE_NAME}.{}", uuid::Uuid::new_v4().as_simple()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside)?;
    match linked {
        Ok(()) => Ok(secret.into_bytes()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(trimmed(std::fs::read(path)?)),
        Err(error) => Err(error),
    }
}

fn random_hex() -> std::io::Result<String> {
    let mut random = [0; 32];
    getrandom::fill(&mut random)?;
    Ok(HEXLOWER.encode(&Sha256::digest(random)))
}

fn trimmed(mut secret: Vec<u8>) -> Vec<u8> {
    secret.truncate(secret.trim_ascii_end().len());
    secret
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_secret_is_made_once_and_readable_by_its_owner_only() {
        let dir = std::env::temp_dir().join(format!("abacus-secret-{}", uuid::Uuid::new_v4()));
        let first = signing_secret(&dir).unwrap();
        assert_eq!(first.len(), 64);
        assert_eq!(signing_secret(&dir).unwrap(), first);
        let mode = std::fs::metadata(dir.join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
