//! The operating system user that PostgreSQL runs as.

use std::env;
use std::io;
use std::os::unix::fs::lchown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::unistd::{Uid, User, getegid, geteuid};

use super::error::{PrivatePgError, io_error};

/// What a child needs of the caller's environment. The rest stays behind: it may hold secrets,
/// and `PGPORT`, `PGDATA` or `LANG` would change what PostgreSQL does.
const KEPT_ENV: [&str; 4] = ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"];

/// The caller itself, or under root the user `postgres`, as PostgreSQL refuses root.
#[derive(Debug)]
pub(super) struct OsUser {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) name: String,
    home: PathBuf,
    switch: bool,
}

impl OsUser {
    pub(super) fn detect() -> Result<Self, PrivatePgError> {
        if geteuid().is_root() { Self::postgres() } else { Ok(Self::caller(geteuid())) }
    }

    fn postgres() -> Result<Self, PrivatePgError> {
        let user = User::from_name("postgres")
            .ok()
            .flatten()
            .filter(|user| !user.uid.is_root())
            .ok_or(PrivatePgError::NoPostgresUser)?;
        Ok(Self {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            name: user.name,
            home: user.dir,
            switch: true,
        })
    }

    fn caller(uid: Uid) -> Self {
        let user = User::from_uid(uid).ok().flatten();
        let (name, home) =
            user.map_or_else(|| (format!("uid {uid}"), PathBuf::from("/")), |user| (user.name, user.dir));
        Self { uid: uid.as_raw(), gid: getegid().as_raw(), name, home, switch: false }
    }

    /// Whether children run as another user than the caller.
    pub(super) fn switches(&self) -> bool {
        self.switch
    }

    /// A command that runs as this user in `cwd`, with a clean environment.
    pub(super) fn command(&self, program: &Path, cwd: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", &self.home).env("LC_ALL", "C").current_dir(cwd).stdin(Stdio::null());
        for name in KEPT_ENV {
            if let Some(value) = env::var_os(name) {
                command.env(name, value);
            }
        }
        if self.switch {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives a file or folder to this user; under the caller's own account it already is.
    pub(super) fn own(&self, path: &Path) -> Result<(), PrivatePgError> {
        if self.switch {
            lchown(path, Some(self.uid), Some(self.gid)).map_err(io_error("change owner of", path))
        } else {
            Ok(())
        }
    }

    /// Whether this user can enter `dir`, found out by doing so: this covers ACLs and the like.
    pub(super) fn can_enter(&self, dir: &Path) -> Result<bool, PrivatePgError> {
        let mut command = self.command(Path::new("/bin/sh"), dir);
        let outcome = command.args(["-c", ":"]).status();
        match outcome.map_err(|error| (error.raw_os_error().map(Errno::from_raw), error)) {
            Err((Some(Errno::EACCES), _)) => Ok(false),
            Err((Some(Errno::EPERM | Errno::EINVAL), source)) => Err(self.no_switch(source)),
            // Without a shell the folder was entered all the same: that comes first.
            Ok(_) | Err(_) => Ok(true),
        }
    }

    fn no_switch(&self, source: io::Error) -> PrivatePgError {
        PrivatePgError::SwitchUser { user: self.name.clone(), source }
    }
}
