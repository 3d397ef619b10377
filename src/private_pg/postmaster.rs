//! The running postmaster: a child of this process, or one left by a server before.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use super::error::{PrivatePgError, io_error};
use super::os_user::OsUser;

const POLL: Duration = Duration::from_millis(500);
const FAST_LIMIT: Duration = Duration::from_mins(1);
const QUIT_LIMIT: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) enum Postmaster {
    Child(Child),
    Adopted(i32),
}

impl Postmaster {
    /// Its pid, as long as it has not been seen to end.
    pub(super) fn pid(&self) -> Option<i32> {
        match self {
            Self::Child(child) => child.id().and_then(|pid| i32::try_from(pid).ok()),
            Self::Adopted(pid) => Some(*pid),
        }
    }

    /// How it ended, or nothing while it lives.
    pub(super) fn ended(&mut self) -> Option<String> {
        match self {
            Self::Child(child) => match child.try_wait() {
                Ok(status) => status.map(|status| status.to_string()),
                Err(error) => Some(error.to_string()),
            },
            Self::Adopted(pid) => (!is_alive(*pid)).then(|| "no longer there".to_owned()),
        }
    }

    /// Waits until it ends and says how. May be cancelled and called again.
    pub(super) async fn wait(&mut self) -> String {
        match self {
            Self::Child(child) => match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => error.to_string(),
            },
            Self::Adopted(pid) => {
                while is_alive(*pid) {
                    sleep(POLL).await;
                }
                "no longer there".to_owned()
            }
        }
    }

    /// Fast shutdown, immediate shutdown if that takes too long; `false` if it lives even then.
    pub(super) async fn shut_down(&mut self) -> bool {
        // The signals are PostgreSQL's own: SIGINT ends sessions and writes a checkpoint, SIGQUIT
        // leaves the rest to recovery.
        let steps = [(Signal::SIGINT, FAST_LIMIT), (Signal::SIGQUIT, QUIT_LIMIT)];
        for (signal, limit) in steps {
            self.signal(signal);
            if let Ok(how) = timeout(limit, self.wait()).await {
                tracing::debug!(how, "PostgreSQL stopped");
                return true;
            }
            tracing::warn!(pid = self.pid(), %signal, seconds = limit.as_secs(), "PostgreSQL did not stop in time");
        }
        false
    }

    fn signal(&self, signal: Signal) {
        let Some(pid) = self.pid().filter(|pid| is_alive(*pid)) else {
            return;
        };
        if let Err(error) = kill(Pid::from_raw(pid), signal) {
            tracing::warn!(pid, %signal, %error, "cannot signal PostgreSQL");
        }
    }
}

/// Whether a process that this user may signal has the pid. A zombie counts as dead: whoever
/// should reap it may never do so.
fn is_alive(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok() && !is_zombie(pid)
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('Z'))
}

/// What `postmaster.pid` says of a living postmaster of this cluster.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) pid: i32,
    /// Empty in the first moments of a start.
    pub(super) socket_dir: PathBuf,
    pub(super) stopping: bool,
}

/// Finds the living postmaster of the cluster in `pgdata`, if there is one. A `postmaster.pid` whose
/// pid now belongs to another process is made harmless on the way.
pub(super) fn find_running(account: &OsUser, pgdata: &Path) -> Result<Option<Running>, PrivatePgError> {
    let path = pgdata.join("postmaster.pid");
    let text = match fs::read(&path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path)(error)),
    };
    let Some(running) = parse(&text) else {
        disown(account, &path, &text)?;
        return Ok(None);
    };
    if kill(Pid::from_raw(running.pid), None) == Err(Errno::ESRCH) {
        return Ok(None);
    }
    if is_alive(running.pid) && is_postmaster_of(account, running.pid, pgdata) {
        return Ok(Some(running));
    }
    disown(account, &path, &text)?;
    Ok(None)
}

fn parse(text: &str) -> Option<Running> {
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok().filter(|pid| *pid > 0)?;
    // Data directory, start time and port come between.
    let socket_dir = lines.nth(3).unwrap_or_default().into();
    // Listen address and shared memory key come between.
    let stopping = lines.nth(2).unwrap_or_default().trim() == "stopping";
    Some(Running { pid, socket_dir, stopping })
}

/// Puts our own pid in the first line. PostgreSQL takes its parent's pid there for stale, where it
/// would refuse to start over any other living one; and unlike after removing the file, it still
/// looks for backends that outlived their postmaster, by the shared memory key further down.
fn disown(account: &OsUser, path: &Path, text: &str) -> Result<(), PrivatePgError> {
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    let new = path.with_extension("pid.new");
    // A new file put in place by renaming: the folder is another user's, who may have made links.
    let _ = fs::remove_file(&new);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| write!(file, "{}\n{rest}", process::id()))
        .map_err(io_error("write", &new))?;
    account.own(&new)?;
    fs::rename(&new, path).map_err(io_error("replace", path))
}

/// A postmaster works in its data directory, wherever that was moved since: this tells it from a
/// process that got an old pid, and from the postmaster of a directory this one is a copy of.
fn is_postmaster_of(account: &OsUser, pid: i32, pgdata: &Path) -> bool {
    let proc = PathBuf::from(format!("/proc/{pid}"));
    if !Path::new("/proc/self").exists() {
        return works_in_by_lsof(pid, pgdata);
    }
    let name = fs::read_to_string(proc.join("comm")).unwrap_or_default();
    ["postgres", "postmaster"].contains(&name.trim()) && works_in(account, &proc.join("cwd"), pgdata)
}

fn works_in(account: &OsUser, cwd: &Path, pgdata: &Path) -> bool {
    match (fs::metadata(cwd), fs::metadata(pgdata)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
        // Root in a container may not look at other users' processes, but they may themselves.
        (Err(error), Ok(_)) if error.kind() == io::ErrorKind::PermissionDenied => account
            .command(Path::new("/bin/sh"), pgdata)
            .args(["-c", "test \"$0\" -ef ."])
            .arg(cwd)
            .status()
            .is_ok_and(|status| status.success()),
        _ => false,
    }
}

/// The same without `/proc`. In doubt it is ours, as two postmasters would be worse than none.
fn works_in_by_lsof(pid: i32, pgdata: &Path) -> bool {
    let output =
        process::Command::new("lsof").args(["-a", "-d", "cwd", "-Fn", "-p"]).arg(pid.to_string()).output();
    let Ok(output) = output else {
        return true;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut dirs = text.lines().filter_map(|line| line.strip_prefix('n'));
    dirs.any(|dir| fs::canonicalize(dir).is_ok_and(|dir| dir == pgdata))
}
