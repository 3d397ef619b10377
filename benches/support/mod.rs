//! What the benchmarks share: a cluster with fsync on, the server as a process of its own, pgbench, and a client that
//! costs little, for all of them share the machine's cores.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use abacus::clock::wall;
use abacus::domain::viewer::Role;
use abacus::http::token::TokenKey;
use abacus::private_pg::{Options, PrivatePostgres};
use abacus::store::database::Database;
use abacus::store::migrations::{LOCK_WAIT_DEFAULT, Migrator};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub const SECRET: &str = "the benchmarks' own secret, 32 bytes and more";

/// Seconds of one measurement; ABACUS_BENCH_SECONDS changes it.
pub fn seconds() -> u64 {
    std::env::var("ABACUS_BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

/// How often the measurements are interleaved; ABACUS_BENCH_ROUNDS changes it.
pub fn rounds() -> usize {
    std::env::var("ABACUS_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The most memory that a process (`self`, or its number) has had so far, in MB.
pub fn memory_high(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let high = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    high.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// The processor's time that the server and PostgreSQL have taken so far.
pub fn processor_time(server: u32) -> (Duration, Duration) {
    let of = |pid: &str| -> Option<(String, Duration)> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, rest) = stat.rsplit_once(") ")?;
        let ticks = rest.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
        // Ticks are hundredths of a second to whoever reads them.
        Some((head.split_once('(')?.1.to_owned(), Duration::from_millis(ticks.sum::<u64>() * 10)))
    };
    let pids = std::fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let databases =
        pids.filter_map(|pid| of(&pid)).filter(|(name, _)| name == "postgres").map(|(_, time)| time);
    let server = of(&server.to_string()).map_or(Duration::ZERO, |(_, time)| time);
    (server, databases.sum())
}

pub struct Cluster {
    pub postgres: PrivatePostgres,
    dir: PathBuf,
}

impl Cluster {
    pub async fn start() -> Self {
        let dir = std::env::temp_dir().join(format!("abacus-bench-{}", std::process::id()));
        let options = Options {
            data_dir: dir.clone(),
            data_dir_is_default: false,
            settings: vec![
                ("max_connections".into(), "300".into()),
                // What is recommended for production: full-page images are compressed at a fraction of pglz' cost.
                ("wal_compression".into(), "lz4".into()),
            ],
            lock: true,
        };
        let postgres = PrivatePostgres::start(options).await.expect("a private PostgreSQL");
        Self { postgres, dir }
    }

    pub async fn stop(self) {
        self.postgres.stop().await;
        std::fs::remove_dir_all(&self.dir).expect("the cluster's directory is removed");
    }

    /// A migrated database; its address is the server's, as in production a role that owns nothing.
    pub async fn database(&self, name: &str) -> String {
        self.postgres.ensure_database(name).await.expect("a database");
        let url = self.postgres.url(name);
        let server = Database::new(&url, 1).expect("an address");
        let migrator = Migrator::new(&server, Some(&self.postgres.owner_url(name)), LOCK_WAIT_DEFAULT);
        migrator.expect("the owner's address").migrate().await.expect("it is migrated");
        url
    }

    pub async fn client(&self, database: &str) -> tokio_postgres::Client {
        let (client, connection) =
            tokio_postgres::connect(&self.postgres.superuser_url(database), tokio_postgres::NoTls)
                .await
                .expect("a connection");
        tokio::spawn(connection);
        client
    }

    /// Runs pgbench with these arguments and answers its transactions per second.
    pub async fn pgbench(&self, database: &str, arguments: &[&str]) -> f64 {
        let mut command = tokio::process::Command::new(self.postgres.bin_dir().join("pgbench"));
        // pgbench takes no URL for its database before version 16.
        let url = self.postgres.superuser_url(database);
        let host = url
            .split('@')
            .nth(1)
            .and_then(|rest| rest.split('/').next())
            .expect("a host")
            .replace("%2F", "/");
        command.args(["-h", &host, "-U", "postgres"]).args(arguments).arg(database);
        let output = command.output().await.expect("pgbench runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
        let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        tps.unwrap_or(0.0)
    }

    /// A checkpoint now, so that none falls into a measurement for what was done before it.
    pub async fn settle(&self, database: &str) {
        self.client(database).await.batch_execute("CHECKPOINT").await.expect("a checkpoint");
    }
}

/// The server, as a process of its own.
pub struct ServerProcess {
    child: Child,
    pub port: u16,
}

impl ServerProcess {
    pub async fn start(database_url: &str, arguments: &[&str]) -> Self {
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let child = Command::new(env!("CARGO_BIN_EXE_abacus"))
            .args(["serve", "--listen", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .env("DATABASE_URL", database_url)
            .env("ABACUS_JWT_SECRET", SECRET)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        let server = Self { child, port };
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return server;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server does not listen");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn customer_token(key: &TokenKey, namespace: &str) -> String {
    key.issue(namespace, Role::Customer, Some(namespace), wall(), 36_000).expect("a token")
}

pub fn token_key() -> TokenKey {
    TokenKey::new(SECRET.as_bytes()).expect("a key")
}

/// A keep-alive HTTP connection that sends prepared requests and reads just enough of the answers.
pub struct HttpClient {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl HttpClient {
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self { stream, buffer: Vec::with_capacity(64 * 1024) }
    }

    pub fn request(token: &str, body: &str) -> Vec<u8> {
        format!(
            "POST /graphql HTTP/1.1\r\nhost: b\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    /// Sends a request and answers the body of what comes back.
    pub async fn send(&mut self, request: &[u8]) -> &[u8] {
        self.stream.write_all(request).await.expect("the request is sent");
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.expect("an answer comes");
            assert!(read > 0, "the server hung up");
            let Some(head) = find(&self.buffer, b"\r\n\r\n") else { continue };
            let length = content_length(&self.buffer[..head]);
            if self.buffer.len() >= head + 4 + length {
                assert!(
                    self.buffer.starts_with(b"HTTP/1.1 200"),
                    "{}",
                    String::from_utf8_lossy(&self.buffer)
                );
                return &self.buffer[head + 4..];
            }
        }
    }
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

fn content_length(head: &[u8]) -> usize {
    let at = find(head, b"content-length: ").expect("a content-length") + 16;
    head[at..].iter().take_while(|b| b.is_ascii_digit()).fold(0, |n, b| n * 10 + usize::from(b - b'0'))
}

/// What a load came to.
pub struct Load {
    pub per_second: f64,
    pub median_latency: Duration,
}

/// Keeps `connections` busy for a while; `next` makes each request, `check` looks at each answer.
pub async fn load<N, C>(port: u16, connections: usize, next: N, check: C) -> Load
where
    N: Fn(usize, u64) -> Vec<u8> + Send + Sync + 'static,
    C: Fn(&[u8]) + Send + Sync + 'static,
{
    let (next, check) = (Arc::new(next), Arc::new(check));
    let stop = Arc::new(AtomicBool::new(false));
    let counting = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..connections)
        .map(|number| {
            let (next, check, stop, counting) = (next.clone(), check.clone(), stop.clone(), counting.clone());
            tokio::spawn(async move {
                let mut client = HttpClient::connect(port).await;
                let mut latencies = Vec::new();
                let mut sequence = 0;
                while !stop.load(Ordering::Relaxed) {
                    let request = next(number, sequence);
                    sequence += 1;
                    let started = Instant::now();
                    check(client.send(&request).await);
                    if counting.load(Ordering::Relaxed) {
                        latencies.push(started.elapsed());
                    }
                }
                latencies
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    counting.store(true, Ordering::Relaxed);
    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(seconds())).await;
    let elapsed = started.elapsed();
    counting.store(false, Ordering::Relaxed);
    stop.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(client.await.expect("a client ends well"));
    }
    latencies.sort_unstable();
    let median_latency = latencies.get(latencies.len() / 2).copied().unwrap_or_default();
    Load { per_second: latencies.len() as f64 / elapsed.as_secs_f64(), median_latency }
}

/// A small generator of random numbers: the benchmarks need no better.
pub fn scatter(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub fn write_script(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("a script is written");
    path
}
