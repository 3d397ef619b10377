//! Making a new cluster.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::process::{Output, Stdio};

use tokio::process::Command;

use super::binaries::Binaries;
use super::error::{PrivatePgError, io_error};
use super::log::one_line;
use super::os_user::OsUser;

const UNFINISHED: &str = "postgres.init-";

/// The major version of the cluster in `pgdata`, or nothing if there is none yet.
pub(super) fn made_by(account: &OsUser, pgdata: &Path) -> Result<Option<u32>, PrivatePgError> {
    let no_cluster = || PrivatePgError::NotACluster { path: pgdata.to_owned() };
    match fs::read_to_string(pgdata.join("PG_VERSION")) {
        Ok(version) => {
            check_owner(account, pgdata)?;
            version.trim().parse().map(Some).map_err(|_| no_cluster())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_vacant(pgdata) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_cluster()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(no_cluster()),
        // Closed to us: the owner is the thing to tell.
        Err(error) => {
            check_owner(account, pgdata)?;
            Err(io_error("read PG_VERSION in", pgdata)(error))
        }
    }
}

fn is_vacant(pgdata: &Path) -> bool {
    match fs::read_dir(pgdata) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn check_owner(account: &OsUser, pgdata: &Path) -> Result<(), PrivatePgError> {
    let meta = fs::metadata(pgdata).map_err(io_error("look at", pgdata))?;
    if meta.uid() == account.uid {
        return Ok(());
    }
    Err(PrivatePgError::WrongOwner {
        cluster: pgdata.to_owned(),
        owner: meta.uid(),
        user: account.name.clone(),
    })
}

/// Removes what a killed `initdb` left.
pub(super) fn clear_unfinished(data_dir: &Path) {
    for entry in fs::read_dir(data_dir).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            continue;
        }
        let path = entry.path();
        if let Err(error) = fs::remove_dir_all(&path) {
            tracing::warn!(path = %path.display(), %error, "cannot remove unfinished cluster");
        }
    }
}

/// Makes the cluster beside its place and moves it there only when it is whole.
pub(super) async fn make(
    account: &OsUser,
    binaries: &Binaries,
    data_dir: &Path,
    pgdata: &Path,
) -> Result<(), PrivatePgError> {
    tracing::info!(path = %pgdata.display(), major = binaries.major, "making a PostgreSQL cluster");
    let new = data_dir.join(format!("{UNFINISHED}{}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&new).map_err(io_error("create directory", &new))?;
    account.own(&new)?;
    let made = run_any_locale(account, binaries, &new).await;
    let moved = made.and_then(|()| fs::rename(&new, pgdata).map_err(io_error("create", pgdata)));
    if moved.is_err() {
        clear_unfinished(data_dir);
        return moved;
    }
    File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(io_error("sync", data_dir))
}

async fn run_any_locale(account: &OsUser, binaries: &Binaries, new: &Path) -> Result<(), PrivatePgError> {
    let mut output = run(account, binaries, new, "C.UTF-8").await?;
    if !output.status.success() && is_about_locale(&output) {
        output = run(account, binaries, new, "C").await?;
    }
    if output.status.success() {
        return Ok(());
    }
    let mut said = output.stdout;
    said.extend(output.stderr);
    Err(PrivatePgError::InitDb { path: new.to_owned(), output: one_line(&said) })
}

async fn run(
    account: &OsUser,
    binaries: &Binaries,
    new: &Path,
    locale: &str,
) -> Result<Output, PrivatePgError> {
    let program = binaries.dir.join("initdb");
    let mut pgdata = OsString::from("--pgdata=");
    pgdata.push(new);
    let mut command = account.command(&program, new);
    command
        .arg(pgdata)
        .arg(format!("--locale={locale}"))
        .args(["--encoding=UTF8", "--username=postgres", "--auth=trust"])
        .arg("--no-instructions")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Command::from(command).kill_on_drop(true).output().await.map_err(io_error("run", &program))
}

fn is_about_locale(output: &Output) -> bool {
    String::from_utf8_lossy(&output.stderr).contains("locale")
}
