//! Finding the PostgreSQL programs.

use std::cmp::Reverse;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use super::error::{MIN_MAJOR, PrivatePgError};
use super::os_user::OsUser;

/// Folders with versions in them: parent, how the entry begins, and what follows it.
const VERSIONED: [(&str, &str, &str); 4] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
];

/// A folder with `postgres`, `initdb` and the others, all of one major version.
#[derive(Debug, Clone)]
pub(super) struct Binaries {
    pub(super) dir: PathBuf,
    pub(super) major: u32,
}

/// Picks the binaries of the very major that made the cluster, or the newest for a new cluster.
pub(super) fn choose(
    account: &OsUser,
    cluster: &Path,
    made_by: Option<u32>,
) -> Result<Binaries, PrivatePgError> {
    if let Some(major) = made_by.filter(|major| *major < MIN_MAJOR) {
        return Err(PrivatePgError::OldCluster { cluster: cluster.to_owned(), major });
    }
    let mut found = installed(account);
    found.sort_by_key(|binaries| Reverse(binaries.major));
    let wanted = |binaries: &&Binaries| match made_by {
        Some(major) => binaries.major == major,
        None => binaries.major >= MIN_MAJOR,
    };
    match found.iter().find(wanted) {
        Some(binaries) => Ok(binaries.clone()),
        None => Err(none_fits(&found, cluster, made_by)),
    }
}

fn none_fits(found: &[Binaries], cluster: &Path, made_by: Option<u32>) -> PrivatePgError {
    if found.is_empty() {
        return PrivatePgError::NotInstalled;
    }
    let mut majors: Vec<String> = found.iter().map(|b| b.major.to_string()).collect();
    majors.dedup();
    let found = majors.join(", ");
    match made_by {
        Some(major) => PrivatePgError::WrongMajor { cluster: cluster.to_owned(), major, found },
        None => PrivatePgError::TooOld { found },
    }
}

/// Every folder that works, in the order of preference.
fn installed(account: &OsUser) -> Vec<Binaries> {
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut found = Vec::new();
    for dir in candidates() {
        if seen.contains(&dir) {
            continue;
        }
        found.extend(inspect(account, &dir));
        seen.push(dir);
    }
    found
}

fn candidates() -> Vec<PathBuf> {
    let mut dirs = on_path();
    dirs.extend(by_pg_config());
    dirs.extend(
        VERSIONED.iter().flat_map(|(parent, prefix, rest)| versioned(Path::new(parent), prefix, rest)),
    );
    dirs.push(PathBuf::from("/usr/local/pgsql/bin"));
    dirs
}

/// Folders of the search path, each where its `postgres` or `initdb` really is (package managers
/// link single programs into a common folder), then as it stands.
fn on_path() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs = Vec::new();
    for dir in env::split_paths(&path).filter(|dir| dir.is_absolute()) {
        for program in ["postgres", "initdb"] {
            if let Ok(real) = fs::canonicalize(dir.join(program)) {
                dirs.extend(real.parent().map(Path::to_owned));
                dirs.push(dir.clone());
            }
        }
    }
    dirs
}

fn by_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").stdin(Stdio::null()).output().ok()?;
    let dir = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    (output.status.success() && dir.is_absolute()).then_some(dir)
}

/// The folders `parent/prefix*/rest`, newest version first.
fn versioned(parent: &Path, prefix: &str, rest: &str) -> Vec<PathBuf> {
    let names = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(Reverse<u32>, PathBuf)> = names
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.trim_start_matches('@');
            let number = leading_number(version).unwrap_or_default();
            Some((Reverse(number), entry.path().join(rest)))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// A folder counts when both programs are there and `postgres`, run as the user that will run it,
/// tells its version.
fn inspect(account: &OsUser, dir: &Path) -> Option<Binaries> {
    if !(is_program(&dir.join("initdb")) && is_program(&dir.join("postgres"))) {
        return None;
    }
    let output = account.command(&dir.join("postgres"), Path::new("/")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.strip_prefix("postgres (PostgreSQL) ")?;
    Some(Binaries { dir: dir.to_owned(), major: leading_number(version)? })
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn leading_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.get(..end)?.parse().ok()
}
