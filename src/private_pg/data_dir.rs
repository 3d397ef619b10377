//! The data directory: where it may be, who may enter it, and the lock on it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::error::{PrivatePgError, io_error};
use super::os_user::OsUser;

/// Where data goes when the default directory is out of reach for the `postgres` user.
const FALLBACK: &str = "/var/lib/abacus";

/// Makes `dir` where it is missing, and returns the absolute directory to use.
///
/// Under root PostgreSQL runs as the user `postgres`, who must be able to enter the directory.
/// Where they cannot (a folder below `/root`, say), `/var/lib/abacus` is returned instead if
/// `is_default` says that nobody asked for `dir`.
///
/// # Errors
///
/// The directory cannot be made; it was asked for but is out of reach for the user `postgres`; or
/// there is no such user.
pub fn usable_data_dir(dir: &Path, is_default: bool) -> Result<PathBuf, PrivatePgError> {
    let account = OsUser::detect()?;
    match prepare(dir, &account) {
        Err(PrivatePgError::Unreachable { .. }) if is_default => prepare(Path::new(FALLBACK), &account),
        outcome => outcome,
    }
}

/// Where the data of a server that was started with the same arguments can be. Nothing is made.
pub fn possible_data_dirs(dir: &Path, is_default: bool) -> Vec<PathBuf> {
    let dir = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let instead = is_default.then(|| PathBuf::from(FALLBACK));
    std::iter::once(dir).chain(instead).collect()
}

fn prepare(dir: &Path, account: &OsUser) -> Result<PathBuf, PrivatePgError> {
    let dir = std::path::absolute(dir).map_err(io_error("resolve", dir))?;
    // Ancestors first, so that nothing is made in a place that cannot be used.
    if let Some(existing) = dir.ancestors().find(|path| path.exists()) {
        require_entry(existing, account)?;
    }
    make(&dir, account)?;
    require_entry(&dir, account)?;
    fs::canonicalize(&dir).map_err(io_error("resolve", &dir))
}

fn require_entry(dir: &Path, account: &OsUser) -> Result<(), PrivatePgError> {
    if !account.switches() || account.can_enter(dir)? {
        return Ok(());
    }
    Err(PrivatePgError::Unreachable { path: dir.to_owned(), user: account.name.clone() })
}

/// Makes `dir` and what is missing above it: for the caller alone, or under root so that others
/// can pass but not look around, whatever the umask is.
fn make(dir: &Path, account: &OsUser) -> Result<(), PrivatePgError> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make(parent, account)?;
    }
    let mode = if account.switches() { 0o711 } else { 0o700 };
    let failed = || io_error("create directory", dir);
    DirBuilder::new().mode(mode).create(dir).map_err(failed())?;
    fs::set_permissions(dir, Permissions::from_mode(mode)).map_err(failed())
}

/// Holds the data directory against other servers until it is dropped or the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    pub(super) fn take(data_dir: &Path) -> Result<Self, PrivatePgError> {
        let path = data_dir.join("abacus.lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io_error("open", &path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Self::sign(file).map_err(io_error("write", &path)),
            Err((mut file, Errno::EWOULDBLOCK)) => {
                Err(PrivatePgError::Locked { path: data_dir.to_owned(), pid: holder(&mut file) })
            }
            Err((_, errno)) => Err(io_error("lock", &path)(errno.into())),
        }
    }

    fn sign(mut file: Flock<File>) -> std::io::Result<Self> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", process::id())?;
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> Option<i32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
