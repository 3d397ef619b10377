//! Clusters of PostgreSQL that nobody looks after: they are killed, copied and promoted.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::{User, geteuid};

use super::cluster;
use super::process::{Folder, eventually};

/// Where its programs are, of the newest one that is installed.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.retain(|program| program.is_file());
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}

/// A command of PostgreSQL's, which refuses root.
fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
    if let Some(user) = other_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

fn other_user() -> Option<User> {
    geteuid().is_root().then(|| User::from_name("postgres").unwrap().expect("the user postgres"))
}

/// A folder that PostgreSQL owns.
fn folder_for(folder: &Folder, name: &str) -> PathBuf {
    let path = folder.path.join(name);
    std::fs::create_dir(&path).unwrap();
    if let Some(user) = other_user() {
        chown(&path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
    }
    path
}

fn run(command: &mut Command) {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

pub struct Postgres {
    pub socket_dir: PathBuf,
    child: Child,
}

impl Postgres {
    /// Whether one of its programs is installed.
    pub fn has(name: &str) -> bool {
        program(name).is_file()
    }

    /// An empty cluster.
    pub async fn new(folder: &Folder, name: &str) -> Self {
        let dir = folder_for(folder, name);
        let data = dir.join("postgres");
        run(command("initdb").arg("-D").arg(&data).args([
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
        ]));
        Self::start(&dir).await
    }

    /// A standby of a cluster.
    pub async fn copy_of(primary: &Self, folder: &Folder, name: &str) -> Self {
        let dir = folder_for(folder, name);
        let from = format!("host={} user=postgres application_name={name}", primary.socket_dir.display());
        let mut copying = command("pg_basebackup");
        copying.arg("-D").arg(dir.join("postgres")).args([
            "-R",
            "-X",
            "stream",
            "--checkpoint=fast",
            "-d",
            &from,
        ]);
        run(&mut copying);
        // What the primary waits for is not the copy's to wait for.
        let settings = dir.join("postgres/postgresql.auto.conf");
        let mut text = std::fs::read_to_string(&settings).unwrap();
        text.push_str("synchronous_standby_names = ''\n");
        std::fs::write(&settings, text).unwrap();
        Self::start(&dir).await
    }

    async fn start(dir: &Path) -> Self {
        let log = std::fs::File::create(dir.join("log")).unwrap();
        let sockets = format!("unix_socket_directories={}", dir.display());
        let child = command("postgres")
            .arg("-D")
            .arg(dir.join("postgres"))
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                &sockets,
                "-c",
                "max_connections=100",
                "-c",
                "timezone=UTC",
            ])
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("postgres starts");
        let mut started = Self { socket_dir: dir.to_owned(), child };
        started.wait().await;
        started
    }

    async fn wait(&mut self) {
        for _ in 0..600 {
            let asked = command("pg_isready").arg("-q").arg("-h").arg(&self.socket_dir).status();
            if asked.is_ok_and(|status| status.success()) {
                return;
            }
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "it ends: see {}/log",
                self.socket_dir.display()
            );
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("it does not answer: see {}/log", self.socket_dir.display());
    }

    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@{}/{database}", self.socket_dir.to_str().unwrap().replace('/', "%2F"))
    }

    /// A dump of a database, restored into another one of the cluster; its address for the server.
    pub async fn dumped_and_restored(&self, database: &str, into: &str) -> String {
        let dump = self.socket_dir.join("dump");
        let at = |program: &str, database: &str| {
            let mut command = command(program);
            command.arg("-h").arg(&self.socket_dir).args(["-U", "postgres", "-d", database]);
            command
        };
        run(at("pg_dump", database).arg("-Fc").arg("-f").arg(&dump));
        let sql = cluster::connect_as_told(&self.url("postgres", "postgres")).await;
        let made = format!("CREATE DATABASE {into} OWNER abacus_owner TEMPLATE template0");
        sql.batch_execute(&made).await.unwrap();
        run(at("pg_restore", into).arg("--exit-on-error").arg(&dump));
        self.url("abacus", into)
    }

    /// kill -9 of the postmaster, whose sessions end with it.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Makes a standby a primary.
    pub async fn promote(&self) {
        let sql = cluster::connect_as_told(&self.url("postgres", "postgres")).await;
        eventually("it is promoted", 60, async || {
            let row = sql.query_one("SELECT pg_promote(true, 60)", &[]).await.unwrap();
            row.get::<_, bool>(0).then_some(())
        })
        .await;
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
