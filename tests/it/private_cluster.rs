//! The private PostgreSQL: found again, not shared, kept running, and not mistaken.

use std::path::Path;

use abacus::private_pg::{Options, PrivatePgError, PrivatePostgres, usable_data_dir};
use nix::sys::signal::Signal;

use crate::support::cluster::connect;
use crate::support::process::{Abacus, Folder, eventually, is_there, signal};

fn options(folder: &Folder) -> Options {
    Options { data_dir: folder.data_dir(), data_dir_is_default: false, settings: Vec::new(), lock: true }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_held_by_one_adopted_from_the_dead_and_started_again_when_it_dies() {
    let folder = Folder::new();
    let mut server = Abacus::start(&folder).await;

    // While a server holds it, nobody else may.
    match PrivatePostgres::start(options(&folder)).await.map(drop) {
        Err(PrivatePgError::Locked { pid, .. }) => assert_eq!(pid, Some(server.pid())),
        other => panic!("{other:?}"),
    }

    // Of a server that was killed, PostgreSQL stays, and is adopted.
    let first = folder.postmaster_pid().expect("a postmaster");
    server.signal(Signal::SIGKILL);
    server.ended().await;
    assert!(is_there(first));
    let adopted = PrivatePostgres::start(options(&folder)).await.expect("it is adopted");
    assert_eq!(adopted.pid(), Some(first));
    let accounts = "SELECT count(*) FROM accounts";
    let sql = connect(&adopted.url("abacus")).await;
    assert_eq!(sql.query_one(accounts, &[]).await.unwrap().get::<_, i64>(0), 3);
    match PrivatePostgres::start(options(&folder)).await.map(drop) {
        Err(PrivatePgError::Locked { pid, .. }) => {
            assert_eq!(pid, Some(i32::try_from(std::process::id()).unwrap()));
        }
        other => panic!("{other:?}"),
    }

    // An adopted one that dies is started again, and so is one of one's own.
    let mut killed = first;
    for _ in 0..2 {
        signal(killed, Signal::SIGKILL);
        let next =
            eventually("another postmaster", 60, async || adopted.pid().filter(|pid| *pid != killed)).await;
        let sql = connect(&adopted.url("abacus")).await;
        assert_eq!(sql.query_one(accounts, &[]).await.unwrap().get::<_, i64>(0), 3);
        assert_eq!(folder.postmaster_pid(), Some(next));
        killed = next;
    }

    // One that is let go of without a word goes on, and one that is stopped is gone.
    drop(adopted);
    assert!(is_there(killed));
    let again = PrivatePostgres::start(options(&folder)).await.expect("it is adopted");
    assert_eq!(again.pid(), Some(killed));
    again.stop().await;
    again.stop().await;
    assert_eq!(again.pid(), None);
    assert!(!is_there(killed));
    assert_eq!(folder.postmaster_pid(), None);
    drop(again);

    // A pid that is another process' by now stands in nobody's way.
    let pid_file = folder.data_dir().join("postgres/postmaster.pid");
    std::fs::write(&pid_file, format!("{}\n", std::process::id())).unwrap();
    let started = PrivatePostgres::start(options(&folder)).await.expect("it starts over a stale pid");
    assert_ne!(started.pid(), Some(i32::try_from(std::process::id()).unwrap()));
    started.stop().await;
    drop(started);

    // What another major made is left alone, and the message says what to do.
    let version = folder.data_dir().join("postgres/PG_VERSION");
    let right = std::fs::read_to_string(&version).unwrap();
    for (major, advice) in [("99", "install postgresql-99"), ("14", "pg_upgrade")] {
        std::fs::write(&version, format!("{major}\n")).unwrap();
        let error = PrivatePostgres::start(options(&folder)).await.map(drop).expect_err("another major");
        let refused = matches!(error, PrivatePgError::WrongMajor { .. } | PrivatePgError::OldCluster { .. });
        let said = error.to_string();
        assert!(refused && said.contains(advice) && said.contains(major), "{said}");
        assert_eq!(said.lines().count(), 1);
    }
    std::fs::write(&version, right).unwrap();
    let last = PrivatePostgres::start(options(&folder)).await.expect("it starts");
    let sql = connect(&last.url("abacus")).await;
    assert_eq!(sql.query_one(accounts, &[]).await.unwrap().get::<_, i64>(0), 3);
    last.stop().await;
}

#[tokio::test]
async fn a_folder_with_something_else_in_it_is_left_alone() {
    let folder = Folder::new();
    let taken = folder.data_dir().join("postgres");
    std::fs::create_dir_all(&taken).unwrap();
    std::fs::write(taken.join("thesis.txt"), "four years of work").unwrap();
    let error = PrivatePostgres::start(options(&folder)).await.map(drop).expect_err("it is refused");
    assert!(matches!(error, PrivatePgError::NotACluster { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(taken.join("thesis.txt")).unwrap(), "four years of work");
    assert_eq!(std::fs::read_dir(&taken).unwrap().count(), 1);
}

#[tokio::test]
async fn only_plain_names_become_databases_and_making_one_twice_is_no_error() {
    let folder = Folder::new();
    let postgres = PrivatePostgres::start(options(&folder)).await.expect("it starts");
    for name in ["", "Abacus", "a b", "a\"; DROP DATABASE postgres; --", "1a", &"a".repeat(64)] {
        let refused = postgres.ensure_database(name).await;
        assert!(matches!(refused, Err(PrivatePgError::DatabaseName { .. })), "{name}: {refused:?}");
    }
    for _ in 0..2 {
        postgres.ensure_database("a_1").await.expect("a database");
    }
    let sql = connect(&postgres.url("a_1")).await;
    let query = "SELECT current_setting('listen_addresses'), current_setting('fsync'), current_setting('server_encoding'),
        (SELECT datcollate FROM pg_database WHERE datname = 'a_1')";
    let row = sql.query_one(query, &[]).await.unwrap();
    let settings: Vec<String> = (0..4).map(|column| row.get(column)).collect();
    assert_eq!(settings[..3], ["", "on", "UTF8"], "no TCP, durable, any text");
    assert!(["C", "C.UTF-8", "C.utf8"].contains(&settings[3].as_str()), "{settings:?}");
    let socket = std::fs::metadata(folder.data_dir().join("postgres-socket")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&socket.permissions()) & 0o777, 0o700);
    postgres.stop().await;
}

#[tokio::test]
async fn a_directory_out_of_reach_is_refused_or_if_nobody_chose_it_replaced() {
    if !nix::unistd::geteuid().is_root() {
        println!("only root runs PostgreSQL as another user: nothing is tested");
        return;
    }
    let folder = Folder::new();
    let closed = folder.path.join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let wanted = closed.join("data");
    let chosen = usable_data_dir(&wanted, false);
    assert!(
        matches!(&chosen, Err(PrivatePgError::Unreachable { path, .. }) if *path == closed),
        "{chosen:?}"
    );
    assert!(chosen.unwrap_err().to_string().contains("/var/lib/abacus"), "it says where to go");
    assert!(!wanted.exists(), "nothing is made in a place that cannot be used");

    let instead = Path::new("/var/lib/abacus");
    let was_there = instead.exists();
    assert_eq!(usable_data_dir(&wanted, true).expect("another place"), instead);
    assert!(!wanted.exists());
    if !was_there {
        let _ = std::fs::remove_dir(instead);
    }
}
