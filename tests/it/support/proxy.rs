//! A way to the database that can be cut, stalled, closed or a black hole: a proxy on TCP before PostgreSQL's unix socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Those that there are end, and new ones end at once.
    Closed,
    /// Nothing is passed on.
    Stalled,
    /// What is sent is lost, and neither side is told; where something was lost the connection ends with this.
    Swallowing,
    /// Whatever is sent arrives so much later, either way.
    Slow(Duration),
}

/// Where a connection is cut when a transaction commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitCut {
    /// The commit never arrives.
    Before,
    /// The commit is carried out, and its answer never arrives.
    After,
    /// The connection is lost at once, and the commit is carried out so much later.
    Late(Duration),
    /// The commit arrives so much later, and is answered then.
    Held(Duration),
}

struct State {
    way: watch::Sender<Way>,
    socket: std::sync::Mutex<String>,
    /// Commits still to be cut.
    cuts: AtomicUsize,
    cut: std::sync::Mutex<CommitCut>,
    done: AtomicUsize,
    is_german: AtomicBool,
}

pub struct Proxy {
    /// The database's address, through the proxy.
    pub url: String,
    state: Arc<State>,
}

impl Proxy {
    /// A proxy before the database of this address.
    pub async fn before(database_url: &str) -> Self {
        let (user, place) = database_url.split_once('@').unwrap();
        let (host, database) = place.split_once('/').unwrap();
        // A cluster's coordinator is found by its port.
        let is_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let socket = if is_port { host.to_owned() } else { socket_in(&decoded(host)) };
        let socket = std::sync::Mutex::new(socket);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{user}@{}/{database}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            way: watch::channel(Way::Open).0,
            socket,
            cuts: AtomicUsize::new(0),
            cut: std::sync::Mutex::new(CommitCut::Before),
            done: AtomicUsize::new(0),
            is_german: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, Arc::clone(&accepting)));
            }
        });
        Self { url, state }
    }

    pub fn set(&self, way: Way) {
        self.state.way.send_replace(way);
    }

    /// Leads to the PostgreSQL that listens in this folder from now on; connections that there are go on.
    pub fn redirect(&self, socket_dir: &std::path::Path) {
        *self.state.socket.lock().unwrap() = socket_in(socket_dir.to_str().unwrap());
    }

    /// Has an error of PostgreSQL's come in German, as where its `lc_messages` says so.
    pub fn speak_german(&self) {
        self.state.is_german.store(true, Ordering::SeqCst);
    }

    /// Cuts the connection at each of the next `count` commits.
    pub fn cut_commits(&self, count: usize, cut: CommitCut) {
        *self.state.cut.lock().unwrap() = cut;
        self.state.cuts.store(count, Ordering::SeqCst);
    }

    /// How many commits were cut.
    pub fn commits_cut(&self) -> usize {
        self.state.done.load(Ordering::SeqCst)
    }
}

fn socket_in(dir: &str) -> String {
    format!("{dir}/.s.PGSQL.5432")
}

fn decoded(host: &str) -> String {
    let mut parts = host.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(2);
        text.push(char::from(u8::from_str_radix(code, 16).unwrap()));
        text.push_str(rest);
    }
    text
}

/// Either kind of connection to a database.
trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Both for T {}

/// A connection to a socket by its path, or to a host and a port.
async fn connected(socket: &str) -> Option<Box<dyn Both>> {
    if socket.starts_with('/') {
        return Some(Box::new(UnixStream::connect(socket).await.ok()?));
    }
    Some(Box::new(TcpStream::connect(socket).await.ok()?))
}

/// Passes bytes on both ways until one side ends, or the connection is cut.
async fn pass(mut client: TcpStream, state: Arc<State>) {
    let mut way = state.way.subscribe();
    // The database does not hear of whoever does not come through.
    let Ok(found) = way.wait_for(|now| *now != Way::Stalled).await.map(|now| *now) else { return };
    if !matches!(found, Way::Open | Way::Slow(_)) {
        return ended(&mut way).await;
    }
    let socket = state.socket.lock().unwrap().clone();
    let Some(mut server) = connected(&socket).await else { return };
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut has_lost = false;
    loop {
        let now = *way.borrow_and_update();
        let swallows = now == Way::Swallowing;
        if now == Way::Closed || (has_lost && !swallows) {
            return;
        }
        let reads = now != Way::Stalled;
        tokio::select! {
            changed = way.changed() => if changed.is_err() { return },
            read = client.read(&mut asked), if reads => {
                let Ok(length @ 1..) = read else { return ended(&mut way).await };
                if swallows {
                    has_lost = true;
                    continue;
                }
                let bytes = &asked[..length];
                late(now).await;
                match cut_of(&state, bytes) {
                    None => if server.write_all(bytes).await.is_err() { return },
                    Some(CommitCut::Before) => return,
                    Some(CommitCut::After) => {
                        let _ = server.write_all(bytes).await;
                        let _ = server.read(&mut answered).await;
                        return;
                    }
                    Some(CommitCut::Late(delay)) => {
                        let commit = bytes.to_vec();
                        drop(client);
                        tokio::time::sleep(delay).await;
                        let _ = server.write_all(&commit).await;
                        let _ = server.read(&mut answered).await;
                        return;
                    }
                    Some(CommitCut::Held(delay)) => {
                        tokio::time::sleep(delay).await;
                        if server.write_all(bytes).await.is_err() { return }
                    }
                }
            }
            read = server.read(&mut answered), if reads => {
                let Ok(length @ 1..) = read else { return ended(&mut way).await };
                if swallows {
                    has_lost = true;
                    continue;
                }
                late(now).await;
                if state.is_german.load(Ordering::SeqCst) {
                    translate(&mut answered[..length]);
                }
                if client.write_all(&answered[..length]).await.is_err() { return }
            }
        }
    }
}

async fn late(way: Way) {
    if let Way::Slow(delay) = way {
        tokio::time::sleep(delay).await;
    }
}

/// Whoever sent something into a black hole may be gone: the other side does not learn of it before that is over.
async fn ended(way: &mut watch::Receiver<Way>) {
    let _ = way.wait_for(|now| *now != Way::Swallowing).await;
}

/// Both are as long.
const ENGLISH: &[u8] = b"division by zero";
const GERMAN: &[u8] = b"Division durch 0";

fn translate(bytes: &mut [u8]) {
    while let Some(at) = bytes.windows(ENGLISH.len()).position(|window| window == ENGLISH) {
        bytes[at..at + GERMAN.len()].copy_from_slice(GERMAN);
    }
}

fn cut_of(state: &State, bytes: &[u8]) -> Option<CommitCut> {
    if !bytes.windows(6).any(|window| window.eq_ignore_ascii_case(b"COMMIT")) {
        return None;
    }
    state.cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).ok()?;
    state.done.fetch_add(1, Ordering::SeqCst);
    Some(*state.cut.lock().unwrap())
}
