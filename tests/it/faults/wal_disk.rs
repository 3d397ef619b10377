//! The disk that PostgreSQL writes its log to is full, under all mutations that move money: they are told so, and once there is
//! room again the server writes by itself.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use tokio::time::sleep;

use super::trial::Trial;
use crate::support::cluster::connect;
use crate::support::process::{Abacus, Folder, eventually};
use crate::support::sequences::in_full;

const SIZE: &str = "size=112m";
const GOES_ON_WITHIN: Duration = Duration::from_secs(150);

/// A small disk in a folder's place, until it is dropped.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// None, and said so, where it may not be mounted.
    fn before(at: &Path) -> Option<Self> {
        let told = std::fs::metadata(at).unwrap();
        let aside = at.with_extension("aside");
        std::fs::rename(at, &aside).unwrap();
        std::fs::create_dir(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", SIZE, "tmpfs"]).arg(at).status();
        if !mounted.is_ok_and(|status| status.success()) {
            println!("passed over: only root may mount a small disk");
            return None;
        }
        let disk = Self { at: at.to_owned() };
        let copied = Command::new("cp").arg("-a").arg(aside.join(".")).arg(at).status().unwrap();
        assert!(copied.success());
        chown(at, Some(told.uid()), Some(told.gid())).unwrap();
        std::fs::set_permissions(at, told.permissions()).unwrap();
        Some(disk)
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    /// Takes what room is left.
    fn fill(&self) {
        let filler = std::fs::File::create(self.filler()).unwrap();
        let block = vec![1; 65_536];
        while std::io::Write::write_all(&mut &filler, &block).is_ok() {}
    }

    fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

/// Writes to the log until that cannot go on: its files are made long before they are needed.
async fn use_up(folder: &Folder) {
    let sql = connect(&folder.database_url()).await;
    let write = "SELECT pg_logical_emit_message(false, 'trial', repeat('x', 1000000))";
    for _ in 0..1_000 {
        if sql.query(write, &[]).await.is_err() {
            return;
        }
    }
    panic!("the log never ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_for_the_log_loses_nothing_and_is_written_to_again_once_there_is_room() {
    let rounds = if in_full() { 5 } else { 1 };
    let folder = Folder::new();
    let mut server = Abacus::start(&folder).await;
    server.signal(Signal::SIGTERM);
    assert!(server.ended().await.success());
    let Some(disk) = SmallDisk::before(&folder.data_dir().join("postgres/pg_wal")) else { return };
    let mut server = Abacus::start(&folder).await;
    let operator = server.operator();
    let token = server.operator.clone();
    let mut trial = Trial::begin("a full disk", &operator, server.address.clone(), token).await;
    for _ in 0..rounds {
        trial.moves(40, GOES_ON_WITHIN).await;
        disk.fill();
        use_up(&folder).await;
        let begin = Instant::now();
        eventually("it is not ready", 120, async || {
            let asking = operator.request(Method::GET, "/readyz").timeout(Duration::from_secs(5)).send();
            asking.await.is_ok_and(|answer| answer.status() != StatusCode::OK).then_some(())
        })
        .await;
        let full_after = begin.elapsed();
        sleep(Duration::from_secs(5)).await;
        disk.make_room();
        let took = trial.goes_on(GOES_ON_WITHIN).await;
        println!(
            "not ready {full_after:?} after the disk was full, all goes on {took:?} after there is room"
        );
    }
    trial.end(&operator).await;
    assert!(server.child.try_wait().unwrap().is_none(), "{}", folder.log());
    server.signal(Signal::SIGTERM);
    assert!(server.ended().await.success());
}
