//! The directory of the unix socket, closed to everybody else.

use std::ffi::OsStr;
use std::fmt::Write;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use sha2::{Digest, Sha256};

use super::error::{PrivatePgError, io_error};
use super::os_user::OsUser;

/// The port only names the socket file, as there is no TCP.
pub(super) const PORT: u16 = 5432;

/// The longest path of a unix socket, without its closing zero byte.
const MAX_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Makes or checks the socket directory of a (canonical) data directory.
pub(super) fn prepare(data_dir: &Path, account: &OsUser) -> Result<PathBuf, PrivatePgError> {
    let dir = place(data_dir)?;
    match DirBuilder::new().mode(0o700).create(&dir) {
        Ok(()) => account.own(&dir)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => check(&dir, account)?,
        Err(error) => return Err(io_error("create directory", dir)(error)),
    }
    Ok(dir)
}

/// The file that clients connect to.
pub(super) fn file(dir: &Path) -> PathBuf {
    dir.join(format!(".s.PGSQL.{PORT}"))
}

/// Removes what a dead postmaster left: its lock file may name a pid that lives again as another
/// process, and PostgreSQL would then refuse to start.
pub(super) fn clear(dir: &Path) {
    for path in [file(dir), dir.join(format!(".s.PGSQL.{PORT}.lock"))] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), %error, "cannot remove old socket");
            }
            _ => {}
        }
    }
}

fn place(data_dir: &Path) -> Result<PathBuf, PrivatePgError> {
    let inside = data_dir.join("postgres-socket");
    // libpq would take a comma for the end of a host name.
    if fits(&inside) && !inside.as_os_str().as_bytes().contains(&b',') {
        return Ok(inside);
    }
    let digest = Sha256::digest(data_dir.as_os_str().as_bytes());
    let mut name = String::from("abacus-pg-");
    for byte in digest.iter().take(8) {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    let outside = Path::new("/tmp").join(name);
    if fits(&outside) {
        return Ok(outside);
    }
    Err(PrivatePgError::SocketPathTooLong { path: outside })
}

fn fits(dir: &Path) -> bool {
    file(dir).as_os_str().len() <= MAX_PATH
}

/// An existing directory must be ours: in `/tmp` anybody may have put one, or a link, to read what
/// we send.
fn check(dir: &Path, account: &OsUser) -> Result<(), PrivatePgError> {
    let refuse = |reason: String| Err(PrivatePgError::UnsafeSocketDir { path: dir.to_owned(), reason });
    let meta = fs::symlink_metadata(dir).map_err(io_error("look at", dir))?;
    if !meta.is_dir() {
        return refuse("is not a directory".into());
    }
    if meta.mode() & 0o777 != 0o700 {
        return refuse(format!("has mode {:o}, not 700", meta.mode() & 0o777));
    }
    if meta.uid() == account.uid {
        return Ok(());
    }
    if meta.uid() == geteuid().as_raw() {
        // A start that ended between making the directory and giving it away.
        return account.own(dir);
    }
    let (owner, user) = (meta.uid(), &account.name);
    refuse(format!("belongs to uid {owner}, not to {user}"))
}

/// Percent-encodes everything but the unreserved characters of a URL.
pub(super) fn percent_encode(text: &OsStr) -> String {
    let mut out = String::new();
    for byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
