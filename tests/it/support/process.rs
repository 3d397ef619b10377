//! The server as a process of its own, with its own private PostgreSQL.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::client::Client;

pub const BINARY: &str = env!("CARGO_BIN_EXE_abacus");
/// A start makes a cluster, on a machine that does other things too.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// A folder that the user of PostgreSQL can enter. When it is dropped, or this process ends, what still runs in it is
/// ended, and it is removed.
pub struct Folder {
    pub path: PathBuf,
    keeper: std::process::Child,
}

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("abacus-p{}-{number}", std::process::id()));
        std::fs::create_dir(&path).expect("a folder");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&path, mode).expect("a folder that others may enter");
        let script = r#"
            end() { [ -f "$2" ] && kill "$1" "$(head -n 1 "$2")" 2>/dev/null; }
            end -KILL "$1/server.pid"; for d in "$1"/*/; do end -QUIT "$d/postgres/postmaster.pid"; done
            for _ in $(seq 100); do [ -n "$(ls "$1"/*/postgres/postmaster.pid 2>/dev/null)" ] || break; sleep 0.1; done
            rm -rf "$1""#;
        let keeper = once_this_process_ends(script, [&path]);
        Self { path, keeper }
    }

    /// The data directory, which the server makes.
    pub fn data_dir(&self) -> PathBuf {
        self.path.join("data")
    }

    pub fn postmaster_pid(&self) -> Option<i32> {
        let text = std::fs::read_to_string(self.data_dir().join("postgres/postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// kill -9 of the server's PostgreSQL; waits until the server has started another.
    pub async fn kill_postmaster(&self) {
        let killed = self.postmaster_pid().expect("a postmaster");
        signal(killed, Signal::SIGKILL);
        eventually("another postmaster", 60, async || {
            self.postmaster_pid().filter(|pid| *pid != killed && is_there(*pid))
        })
        .await;
    }

    /// Where the server's database is, for the server's role.
    pub fn database_url(&self) -> String {
        let socket = self.data_dir().join("postgres-socket");
        format!("postgres://abacus@{}/abacus", socket.to_str().unwrap().replace('/', "%2F"))
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path.join("server.log")).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A command of the binary, with nothing of this process' environment but where programs are.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .args(args)
        .stdin(Stdio::null());
    command
}

/// Runs a command to its end: its status, standard output and standard error.
pub async fn outcome(command: &mut Command) -> (ExitStatus, String, String) {
    let output = timeout(START_TIME_MAX, command.output()).await.expect("it ends").expect("it starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status, text(&output.stdout), text(&output.stderr))
}

pub fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("the process is there");
}

pub fn is_there(pid: i32) -> bool {
    kill(Pid::from_raw(pid), None).is_ok()
}

/// A running server.
pub struct Abacus {
    pub child: Child,
    pub address: String,
    pub operator: String,
    pub customer: String,
}

impl Abacus {
    /// Starts a server on this folder's data, and waits until it says that it runs.
    pub async fn start(folder: &Folder) -> Self {
        Self::start_with(folder, &[]).await
    }

    /// The same, with settings in its environment.
    pub async fn start_with(folder: &Folder, settings: &[(&str, &str)]) -> Self {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.path.join("server.log"));
        let data_dir = folder.data_dir();
        let mut child =
            command(&["serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir.to_str().unwrap()])
                .env("RUST_LOG", "info")
                .envs(settings.iter().copied())
                .stdout(Stdio::piped())
                .stderr(log.unwrap())
                .spawn()
                .expect("the server starts");
        std::fs::write(folder.path.join("server.pid"), child.id().unwrap().to_string()).unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let reading = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                let done = line.contains("Ctrl-C");
                said.push(line);
                if done {
                    return true;
                }
            }
            false
        };
        let started = timeout(START_TIME_MAX, reading).await == Ok(true);
        assert!(started, "the server does not start: {said:#?}\n{}", folder.log());
        let after = |title: &str| {
            let at = said.iter().position(|line| line.starts_with(title)).expect(title);
            said[at + 1].trim().to_owned()
        };
        let graphiql = said.iter().find(|line| line.contains("/graphiql#token=")).unwrap();
        let address = graphiql.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { child, address, operator: after("Operator's token"), customer: after("Token of the customer") }
    }

    pub fn operator(&self) -> Client {
        Client::new(format!("http://{}", self.address), Some(self.operator.clone()))
    }

    pub fn customer(&self) -> Client {
        Client::new(format!("http://{}", self.address), Some(self.customer.clone()))
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id().expect("a running server")).unwrap()
    }

    pub fn signal(&self, which: Signal) {
        signal(self.pid(), which);
    }

    /// How it ended.
    pub async fn ended(&mut self) -> ExitStatus {
        timeout(START_TIME_MAX, self.child.wait()).await.expect("the server ends").unwrap()
    }
}

/// Looks again and again, until there is something, for a while.
pub async fn eventually<T>(what: &str, seconds: u64, look: impl AsyncFn() -> Option<T>) -> T {
    let give_up = tokio::time::Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < give_up, "{what}: not within {seconds} s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A process that runs the jobs of a sandbox, and gives them up after a second of silence.
pub fn job_process(url: &str) -> Child {
    command(&["jobs", "--sandbox", "--lease-seconds", "1"])
        .env("DATABASE_URL", url)
        .env("RUST_LOG", "off")
        .kill_on_drop(true)
        .spawn()
        .expect("jobs start")
}

/// The test harness ends without a word: a shell waits for that, or for its input to be closed, and then does this.
pub fn once_this_process_ends(
    script: &str,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> std::process::Child {
    std::process::Command::new("sh")
        .args(["-c", &format!("cat >/dev/null\n{script}"), "sh"])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh starts")
}
