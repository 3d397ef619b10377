//! How a server starts, and what it says where it cannot: the setting, the place, the cause, and never a secret.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use tokio::process::Command;

use crate::support::cluster::{self, connect};
use crate::support::process::{Folder, command, eventually, outcome};
use crate::support::proxy::{Proxy, Way};
use crate::support::{Client, TestServer};

const SECRET: &str = "a secret for the tests of how it starts";
/// Nothing listens there.
const NOBODY: &str = "postgres://abacus:hunter2@127.0.0.1:1/abacus";

fn serve(database_url: &str) -> Command {
    let mut command = command(&["serve"]);
    command
        .env("DATABASE_URL", database_url)
        .env("ABACUS_JWT_SECRET", SECRET)
        .env("ABACUS_LISTEN", "127.0.0.1:0")
        .env("RUST_LOG", "off");
    command
}

/// What a command says that must fail: one line, which names the program.
async fn failure(command: &mut Command) -> String {
    let (status, printed, said) = outcome(command).await;
    assert!(!status.success() && printed.is_empty(), "{printed}");
    assert!(said.lines().count() == 1 && said.starts_with("abacus: "), "{said}");
    said
}

#[tokio::test]
async fn a_boolean_is_said_in_any_usual_way_and_a_wrong_one_names_its_variable() {
    for variable in ["ABACUS_LOG_JSON", "ABACUS_SANDBOX", "ABACUS_NO_JOBS"] {
        for right in ["1", "0", "yes", "no", "on", "off", "true", "false", "TRUE"] {
            let said = failure(serve(NOBODY).env(variable, right)).await;
            assert!(said.contains("connection refused"), "{variable}={right}: {said}");
        }
        for wrong in ["maybe", "2", ""] {
            let said = failure(serve(NOBODY).env(variable, wrong)).await;
            assert!(said.starts_with(&format!("abacus: {variable}: ")), "{said}");
            assert!(said.contains("1, 0, yes, no, on, off") && !said.contains("--"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_variable_that_is_malformed_is_named() {
    for (variable, value) in [
        ("ABACUS_LISTEN", "8080"),
        ("ABACUS_LISTEN", "localhost"),
        ("ABACUS_LANES", "0"),
        ("ABACUS_LANES", "two"),
        ("ABACUS_CONNECTIONS", "-1"),
        ("ABACUS_CLIENTS", "0"),
        ("ABACUS_CLIENTS_PER_ADDRESS", "many"),
        ("ABACUS_CLIENT_IDLE", "20"),
        ("ABACUS_CLIENT_IDLE", "2h"),
        ("ABACUS_QUERY_BYTES_MAX", "1023"),
        ("ABACUS_QUERY_BYTES_MAX", "128K"),
        ("ABACUS_CURRENCIES", "CNY"),
        ("ABACUS_USAGE_LATE_DAYS", "x"),
        ("ABACUS_UNBOUND_REFUND_DAYS", "0"),
        ("ABACUS_INVOICE_DELAY", "1s"),
        ("ABACUS_MIGRATE_LOCK_WAIT", "0s"),
        ("ABACUS_PUBLIC_URL", "ftp://host"),
        ("ABACUS_CORS_ORIGINS", "https://*.example.com"),
        ("ABACUS_CORS_ORIGINS", "*,https://console.example.com"),
        ("ABACUS_CHAIN_ID", "one"),
        ("ABACUS_CONFIRMATIONS", "0"),
        ("ABACUS_PROVIDER_LOGO", "/no/such/file.png"),
        ("ABACUS_STRIPE_RETURN_URL", "nowhere"),
    ] {
        let said = failure(serve(NOBODY).env(variable, value)).await;
        assert!(said.contains(variable), "{variable}={value}: {said}");
    }
    for (variable, value) in [("ABACUS_STRIPE_KEY", "abc"), ("ABACUS_STRIPE_WEBHOOK_SECRETS", "abc")] {
        let said = failure(serve(NOBODY).env(variable, value)).await;
        assert!(said.contains(variable) && !said.contains("abc"), "a secret is not repeated: {said}");
    }
}

#[tokio::test]
async fn what_is_no_secret_key_of_stripes_is_refused_with_what_one_looks_like() {
    for wrong in ["abc", "pk_test_12345", "sk_test_", "sk_test_1 2", "sk_12345"] {
        let said = failure(serve(NOBODY).env("ABACUS_STRIPE_KEY", wrong)).await;
        assert!(said.contains("sk_test_…") && said.contains("sk_live_…") && said.contains("rk_…"), "{said}");
        assert!(!said.contains(wrong.trim_start_matches("sk_test_")) || wrong == "sk_test_", "{said}");
    }
    for right in ["sk_test_12345", "sk_live_12345", "rk_test_12345"] {
        let said = failure(serve(NOBODY).env("ABACUS_STRIPE_KEY", right)).await;
        assert!(said.contains("connection refused"), "{right}: {said}");
    }
}

#[tokio::test]
async fn a_secret_is_given_in_the_environment_or_in_a_file_and_never_as_an_option() {
    let folder = Folder::new();
    let file = folder.path.join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let token = |name: &'static str, value: String| async move {
        let (status, token, said) = outcome(command(&["token", "--role", "operator"]).env(name, value)).await;
        assert!(status.success(), "{said}");
        token.split('.').count()
    };
    assert_eq!(token("ABACUS_JWT_SECRET", SECRET.to_owned()).await, 3);
    assert_eq!(token("ABACUS_JWT_SECRET_FILE", file.display().to_string()).await, 3);
    let said = failure(serve(NOBODY).env("ABACUS_JWT_SECRET_FILE", &file)).await;
    assert!(said.contains("cannot be used together") && !said.contains(SECRET), "{said}");
    let said =
        failure(command(&["token", "--role", "operator"]).env("ABACUS_JWT_SECRET_FILE", "/no/such")).await;
    assert!(said.contains("ABACUS_JWT_SECRET_FILE: /no/such cannot be read"), "{said}");
    for option in ["--jwt-secret", "--migrate-url", "--stripe-key", "--stripe-webhook-secret"] {
        let said = failure(&mut command(&["serve", option, SECRET])).await;
        assert!(said.contains("is no option") && !said.contains(SECRET), "{said}");
    }
}

/// Answers whoever connects with an error of PostgreSQL's.
fn refusing(code: &'static str, message: &'static str) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 1_024]);
            let fields = format!("SFATAL\0VFATAL\0C{code}\0M{message}\0\0");
            let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
            let _ = stream.write_all(&[b"E", &length[..], fields.as_bytes()].concat());
        }
    });
    address.to_string()
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_of_with_its_place_and_the_cause() {
    let there = cluster::database().await;
    let (server, _) = there.rsplit_once('/').unwrap();
    let locked = refusing("28P01", "Passwort-Authentifizierung für Benutzer »abacus« fehlgeschlagen");
    let far = refusing("28000", "kein pg_hba.conf-Eintrag");
    let url = |place: &str| format!("postgres://abacus:hunter2@{place}/billing");
    for (url, told) in [
        (url("127.0.0.1:1"), &["127.0.0.1:1", "connection refused", "\"billing\""][..]),
        (url("no-such-host.invalid:5433"), &["no-such-host.invalid:5433", "unknown host"]),
        (url(&locked), &[&locked, "the password is wrong"]),
        (url(&far), &[&far, "TLS"]),
        (format!("{}?sslmode=require", url(&locked)), &[&locked, "TLS"]),
        (format!("{server}/nowhere"), &["there is no such database", "nowhere"]),
        (
            "postgres://abacus:hunter2@%2Fno%2Fsuch%2Ffolder/billing".to_owned(),
            &["/no/such/folder", "socket"],
        ),
        ("host=127.0.0.1 port=1 user=abacus password=hunter2".to_owned(), &["127.0.0.1:1", "refused"]),
        (
            "no address of hunter2".to_owned(),
            &["DATABASE_URL", "postgres://user:password@host:5432/database"],
        ),
    ] {
        for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["jobs"], &["migrate"]] {
            let mut asked = command(args);
            asked.env("DATABASE_URL", &url).env("ABACUS_JWT_SECRET", SECRET).env("RUST_LOG", "off");
            let said = failure(&mut asked).await;
            assert!(told.iter().all(|told| said.contains(told)), "{told:?}: {said}");
            assert!(!said.contains("hunter2"), "a password is not repeated: {said}");
        }
    }
}

#[tokio::test]
async fn the_port_is_tried_before_anything_is_made() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let data_dir = folder.data_dir();
    let mut asked = command(&["serve", "--listen", &address, "--data-dir", data_dir.to_str().unwrap()]);
    let said = failure(asked.env("RUST_LOG", "off")).await;
    assert!(said.contains("cannot listen") && said.contains(&address), "{said}");
    assert!(!data_dir.exists(), "no cluster and no secret");
    let jobs =
        failure(command(&["jobs", "--listen", &address]).env("DATABASE_URL", NOBODY).env("RUST_LOG", "off"))
            .await;
    assert!(jobs.contains("cannot listen"), "{jobs}");
}

#[tokio::test]
async fn a_server_listens_on_a_host_by_name_and_logs_into_a_file_without_colours() {
    let folder = Folder::new();
    let path = folder.path.join("log");
    let mut server = serve(&cluster::database().await)
        .env("ABACUS_LISTEN", "localhost:0")
        .env("RUST_LOG", "info")
        .stderr(Stdio::from(std::fs::File::create(&path).unwrap()))
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let log = eventually("it listens", 30, async || {
        let log = std::fs::read_to_string(&path).unwrap();
        log.contains("listening").then_some(log)
    })
    .await;
    assert!(!log.contains('\u{1b}'), "{log:?}");
    let line = log.lines().find(|line| line.contains("listening")).unwrap();
    let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
    let client = Client::new(format!("http://{address}"), None);
    let status = client.request(Method::GET, "/readyz").send().await.unwrap().status();
    assert_eq!(status, StatusCode::OK);
    server.kill().await.unwrap();
}

#[tokio::test]
async fn a_server_is_ready_only_when_its_demo_is_whole() {
    let folder = Folder::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let data_dir = folder.data_dir();
    let mut server =
        command(&["serve", "--listen", &port.to_string(), "--data-dir", data_dir.to_str().unwrap()])
            .env("RUST_LOG", "off")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
    std::fs::write(folder.path.join("server.pid"), server.id().unwrap().to_string()).unwrap();
    let client = Client::new(format!("http://{port}"), None);
    eventually("ready", 60, async || {
        let answer = client.request(Method::GET, "/readyz").send().await.ok()?;
        (answer.status() == StatusCode::OK).then_some(())
    })
    .await;
    let sql = connect(&folder.database_url()).await;
    let tenants = "SELECT count(*) FROM accounts WHERE namespace IN ('demo', 'demo-dev')";
    assert_eq!(sql.query_one(tenants, &[]).await.unwrap().get::<_, i64>(0), 2);
    let recharged = "SELECT count(*) FROM ledger_entries";
    assert!(sql.query_one(recharged, &[]).await.unwrap().get::<_, i64>(0) > 0, "the demo's last step");
    server.kill().await.unwrap();
}

#[tokio::test]
async fn readyz_answers_within_a_second_whatever_the_database_does() {
    let proxy = Proxy::before(&cluster::database().await).await;
    let server = TestServer::on(proxy.url.clone(), |_| {}).await;
    let client = server.client_with(None);
    let ready = async || {
        let begin = Instant::now();
        let status = client.request(Method::GET, "/readyz").send().await.unwrap().status();
        (status, begin.elapsed())
    };
    assert_eq!(ready().await.0, StatusCode::OK);
    for way in [Way::Stalled, Way::Closed] {
        proxy.set(way);
        for _ in 0..2 {
            let (status, took) = ready().await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{way:?}");
            assert!(took < Duration::from_secs(1), "{way:?}: {took:?}");
        }
        proxy.set(Way::Open);
        eventually("ready again", 10, async || (ready().await.0 == StatusCode::OK).then_some(())).await;
    }
    // Connections that are all at work are no reason not to be ready.
    let mut busy = Vec::new();
    for _ in 0..4 {
        busy.push(server.server.app.store.home().connection().await.unwrap());
    }
    assert_eq!(ready().await.0, StatusCode::OK);
    // That somebody waits for one in vain is.
    assert!(server.server.app.store.home().connection().await.is_err());
    assert_eq!(ready().await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn messages_that_are_not_english_are_told_of_at_the_start() {
    let database = cluster::database().await;
    let founded = "INSERT INTO installation (kind) VALUES ('PRODUCTION')";
    connect(&database).await.batch_execute(founded).await.unwrap();
    let proxy = Proxy::before(&database).await;
    let bill = || {
        let mut bill = command(&["bill", "--month", "2026-01"]);
        bill.env("DATABASE_URL", &proxy.url).env("RUST_LOG", "warn");
        bill
    };
    let (status, _, said) = outcome(&mut bill()).await;
    assert!(status.success() && said.is_empty(), "{said}");
    proxy.speak_german();
    let (status, _, said) = outcome(&mut bill()).await;
    assert!(status.success(), "{said}");
    assert!(said.contains("ALTER ROLE abacus SET lc_messages = 'C'"), "{said}");
}

/// The one line that a server, or the jobs, says that does not start on a database.
async fn refused_on(database_url: &str, args: &[&str], settings: &[(&str, &str)]) -> String {
    let mut command = command(args);
    command.env("DATABASE_URL", database_url).env("ABACUS_JWT_SECRET", SECRET).env("RUST_LOG", "off");
    failure(command.envs(settings.iter().copied())).await
}

#[tokio::test]
async fn a_sandbox_does_not_start_on_a_production_database_nor_the_other_way_round() {
    let production = TestServer::with(|config| config.sandbox = false).await;
    let serve = ["serve", "--listen", "127.0.0.1:0"];
    for args in [&serve[..], &["jobs"], &["bill", "--month", "2026-01"]] {
        let said = refused_on(&production.database_url, args, &[("ABACUS_SANDBOX", "1")]).await;
        assert!(said.contains("belongs to a production server, and this is a sandbox"), "{args:?}: {said}");
    }
    let sandbox = TestServer::start().await;
    for args in [&serve[..], &["jobs"], &["bill", "--month", "2026-01"]] {
        let said = refused_on(&sandbox.database_url, args, &[]).await;
        assert!(said.contains("belongs to a sandbox, and this is a production server"), "{args:?}: {said}");
    }
    let new = cluster::database().await;
    for args in [&["jobs"][..], &["bill", "--month", "2026-01"]] {
        let said = refused_on(&new, args, &[]).await;
        assert!(said.contains("no server has begun on this database yet"), "{args:?}: {said}");
    }
    let kind = "UPDATE installation SET kind = 'PRODUCTION'";
    let refused = sandbox.sql().await.batch_execute(kind).await.unwrap_err();
    assert!(refused.as_db_error().unwrap().message().contains("never changed"), "{refused}");
}

#[tokio::test]
async fn money_is_kept_at_one_scale_for_ever() {
    let server = TestServer::start().await;
    let url = &server.database_url;
    let serve = ["serve", "--sandbox", "--listen", "127.0.0.1:0"];
    for other in ["CNY:2:8", "CNY:3:10"] {
        let said = refused_on(url, &serve, &[("ABACUS_CURRENCIES", other)]).await;
        assert!(said.contains("CNY: this database keeps it with the scales 2:10"), "{said}");
        assert!(said.contains(&other[4..]), "{said}");
    }
    let more =
        TestServer::on(url.clone(), |config| config.currencies.configure("GPU_HOURS:0:4").unwrap()).await;
    drop(more);
    let said = refused_on(url, &serve, &[("ABACUS_CURRENCIES", "GPU_HOURS:0:6")]).await;
    assert!(said.contains("GPU_HOURS") && said.contains("0:4") && said.contains("0:6"), "{said}");
}
