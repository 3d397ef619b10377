//! The commands, as people and scripts run them.

use abacus::http::token::TokenKey;
use tokio::process::Command;

use crate::support::cluster::{self, connect};
use crate::support::process::{Folder, command, outcome};

const SECRET: &str = "a secret for the command line's own tests";

/// A command that must fail; answers what it said.
async fn failure(command: &mut Command) -> String {
    let (status, printed, said) = outcome(command).await;
    assert!(!status.success(), "{printed}");
    assert_eq!(printed, "");
    said
}

/// A command that must fail with one line, which names the program.
async fn one_line_failure(command: &mut Command) -> String {
    let said = failure(command).await;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("abacus: "), "{said}");
    said
}

async fn success(command: &mut Command) -> String {
    let (status, printed, said) = outcome(command).await;
    assert!(status.success(), "{said}");
    printed
}

#[tokio::test]
async fn the_schema_is_printed_without_a_database() {
    let folder = Folder::new();
    let printed = success(command(&["schema"]).current_dir(&folder.path)).await;
    assert_eq!(printed, abacus::graphql::sdl());
    assert!(printed.contains("type Query") && printed.contains("type Mutation"));
    assert_eq!(std::fs::read_dir(&folder.path).unwrap().count(), 0, "nothing is made");
}

#[tokio::test]
async fn a_token_says_who_it_is_for_and_how_long() {
    let key = TokenKey::new(SECRET.as_bytes()).unwrap();
    for (args, role, namespace, seconds) in [
        (&["--role", "customer", "--namespace", "demo"][..], "CUSTOMER", Some("demo"), 3_600),
        (&["--role", "operator", "--ttl", "30m"][..], "OPERATOR", None, 1_800),
        (&["--role", "auditor"], "AUDITOR", None, 3_600),
        (&["--role", "service", "--ttl", "7d"][..], "SERVICE", None, 604_800),
        (&["--role", "operator", "--namespace", "demo"][..], "OPERATOR", None, 3_600),
    ] {
        let mut all = vec!["token"];
        all.extend(args);
        let printed = success(command(&all).env("ABACUS_JWT_SECRET", SECRET)).await;
        assert_eq!(printed.lines().count(), 1);
        let claims = key.verify(printed.trim()).expect("a token");
        assert_eq!((claims.role.as_str(), claims.namespace.as_deref()), (role, namespace));
        assert_eq!(claims.exp - claims.iat, seconds);
    }
}

#[tokio::test]
async fn a_customers_token_without_a_namespace_is_refused() {
    let said = failure(command(&["token", "--role", "customer"]).env("ABACUS_JWT_SECRET", SECRET)).await;
    assert!(said.contains("--namespace"), "{said}");
    let said = failure(command(&["token"]).env("ABACUS_JWT_SECRET", SECRET)).await;
    assert!(said.contains("--role"), "{said}");
    let said = failure(command(&["token", "--role", "king"]).env("ABACUS_JWT_SECRET", SECRET)).await;
    assert!(said.contains("operator") && said.contains("customer") && said.contains("service"), "{said}");
}

#[tokio::test]
async fn a_token_of_a_data_directory_is_signed_with_its_own_secret() {
    let folder = Folder::new();
    let data_dir = folder.data_dir();
    let secret = abacus::secret::signing_secret(&data_dir).expect("a secret is made");
    let args = ["token", "--role", "operator", "--data-dir", data_dir.to_str().unwrap()];
    let token = success(&mut command(&args)).await;
    assert!(TokenKey::new(&secret).unwrap().verify(token.trim()).is_ok());
    // A server on a DATABASE_URL that plays with money signs with it, too.
    let mut beside = command(&args);
    let token = success(beside.env("DATABASE_URL", "postgres://127.0.0.1:1/x")).await;
    assert!(TokenKey::new(&secret).unwrap().verify(token.trim()).is_ok());
}

#[tokio::test]
async fn a_token_without_a_secret_says_where_it_looked_and_makes_none() {
    let folder = Folder::new();
    let data_dir = folder.data_dir();
    let mut token = command(&["token", "--role", "operator", "--data-dir", data_dir.to_str().unwrap()]);
    let said = one_line_failure(&mut token).await;
    for told in [data_dir.to_str().unwrap(), "--data-dir", "ABACUS_JWT_SECRET"] {
        assert!(said.contains(told), "{said}");
    }
    let mut token = command(&["token", "--role", "operator"]);
    let said = one_line_failure(token.current_dir(&folder.path)).await;
    let usual = folder.path.join("data");
    assert!(said.contains(usual.to_str().unwrap()) && said.contains("/var/lib/abacus"), "{said}");
    assert_eq!(std::fs::read_dir(&folder.path).unwrap().count(), 0, "nothing is made");
}

#[tokio::test]
async fn a_database_without_a_secret_is_refused_in_one_line() {
    let folder = Folder::new();
    let url = cluster::database().await;
    for args in [&["serve", "--listen", "127.0.0.1:0"][..], &[], &["token", "--role", "operator"]] {
        let said = one_line_failure(command(args).env("DATABASE_URL", &url).current_dir(&folder.path)).await;
        assert!(said.contains("ABACUS_JWT_SECRET"), "{said}");
    }
    assert_eq!(std::fs::read_dir(&folder.path).unwrap().count(), 0, "nothing is made");
}

#[tokio::test]
async fn a_secret_that_can_be_guessed_is_refused_in_one_line() {
    let url = cluster::database().await;
    for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["token", "--role", "operator"]] {
        for secret in ["short", &"x".repeat(31)] {
            let mut command = command(args);
            let said =
                one_line_failure(command.env("DATABASE_URL", &url).env("ABACUS_JWT_SECRET", secret)).await;
            assert!(said.contains("32"), "{said}");
            assert!(!said.contains(secret), "a secret is not repeated: {said}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_in_one_line() {
    let url = cluster::database().await;
    let serve = |args: &[&str]| {
        let mut all = vec!["serve"];
        all.extend(args);
        let mut command = command(&all);
        command.env("ABACUS_JWT_SECRET", SECRET).env("RUST_LOG", "off");
        command
    };
    let said =
        one_line_failure(serve(&["--listen", "127.0.0.1:0", "--currency", "CNY"]).env("DATABASE_URL", &url))
            .await;
    assert!(said.contains("CODE:DISPLAY_SCALE:LEDGER_SCALE"), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = one_line_failure(serve(&["--listen", &address]).env("DATABASE_URL", &url)).await;
    assert!(said.contains("cannot listen") && said.contains(&address), "{said}");
    let said = one_line_failure(serve(&["--listen", "127.0.0.1:0"]).env("DATABASE_URL", "no address")).await;
    assert!(said.contains("DATABASE_URL"), "{said}");
    for (logo, why) in [("/no/such/file.png", "No such file"), (file!(), "not a PNG picture")] {
        let mut wrong = serve(&["--listen", "127.0.0.1:0", "--provider-logo", logo]);
        let said = one_line_failure(wrong.env("DATABASE_URL", &url).env("ABACUS_PROVIDER_NAME", "P")).await;
        assert!(said.contains(logo) && said.contains(why), "{said}");
    }
    for (option, value) in [
        ("--public-url", "ftp://host"),
        ("--public-url", "x"),
        ("--invoice-delay", "1s"),
        ("--approval-expiry", "1s"),
    ] {
        let said = failure(serve(&[option, value]).env("DATABASE_URL", &url)).await;
        assert!(said.contains(option) && said.contains("expected"), "{said}");
    }
    for (amounts, why) in
        [("CNY", "CODE=AMOUNT"), ("CNY=-1", "CODE=AMOUNT"), ("XXX=1", "XXX"), ("CNY=1,CNY=2", "twice")]
    {
        let mut wrong = serve(&["--listen", "127.0.0.1:0"]);
        wrong.env("DATABASE_URL", &url).env("ABACUS_APPROVE_ABOVE", amounts);
        let said = one_line_failure(&mut wrong).await;
        assert!(said.contains("ABACUS_APPROVE_ABOVE") && said.contains(why), "{said}");
    }
    let nobody = format!("postgres://postgres:hunter2@{address}/abacus");
    drop(taken);
    let said = one_line_failure(serve(&["--listen", "127.0.0.1:0"]).env("DATABASE_URL", &nobody)).await;
    assert!(!said.contains("hunter2"), "a password is not repeated: {said}");
}

#[tokio::test]
async fn a_chain_that_is_set_in_part_or_wrongly_is_refused_in_one_line() {
    let url = cluster::database().await;
    let public = abacus::payments::TEST_KEY;
    let private = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
    let token = "USDT_ERC20:0xdAC17F958D2ee523a2206206994597C13D831ec7:6";
    let whole = [
        ("ABACUS_DEPOSIT_KEY", public),
        ("ABACUS_CHAIN_URL", "http://127.0.0.1:1/secret"),
        ("ABACUS_CHAIN_ID", "1"),
        ("ABACUS_TOKENS", token),
    ];
    for args in [&["serve", "--sandbox", "--listen", "127.0.0.1:0"][..], &["jobs"]] {
        let with = |name: &str, value: Option<&str>| {
            let mut command = command(args);
            command.env("DATABASE_URL", &url).envs(whole).env_remove(name);
            value.map(|value| command.env(name, value));
            command
        };
        for (name, _) in whole {
            let said = one_line_failure(&mut with(name, None)).await;
            assert!(said.contains("ABACUS_DEPOSIT_KEY") && said.contains("or none"), "{said}");
        }
        let said = one_line_failure(&mut with("ABACUS_DEPOSIT_KEY", Some(private))).await;
        assert!(said.contains("PRIVATE") && !said.contains(&private[..12]), "{said}");
        for (name, value) in [
            ("ABACUS_DEPOSIT_KEY", "xpub"),
            ("ABACUS_CHAIN_URL", "ftp://secret"),
            ("ABACUS_CHAIN_ID", "0"),
            ("ABACUS_TOKENS", "USD:0xdAC17F958D2ee523a2206206994597C13D831ec7:2"),
        ] {
            let said = one_line_failure(&mut with(name, Some(value))).await;
            assert!(said.contains(name) && !said.contains("secret"), "{said}");
        }
    }
}

#[tokio::test]
async fn migrations_are_printed_as_they_run_and_then_the_schema_is_current() {
    let url = cluster::owner_url(&cluster::empty_database().await);
    let migrate = || {
        let mut command = command(&["migrate"]);
        command.env("DATABASE_URL", &url);
        command
    };
    let first = success(&mut migrate()).await;
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
    let name =
        |folder: std::io::Result<std::fs::DirEntry>| folder.unwrap().file_name().into_string().unwrap();
    let mut versions: Vec<String> =
        folders.map(|folder| name(folder).split('_').next().unwrap().replace('-', "")).collect();
    versions.sort();
    let printed: Vec<&str> = first.lines().collect();
    assert_eq!(printed.len(), versions.len(), "{first}");
    assert!(
        printed.iter().zip(&versions).all(|(line, version)| line.replace('-', "").contains(version)),
        "{first}"
    );
    for _ in 0..2 {
        assert_eq!(success(&mut migrate()).await, "the schema is current\n");
    }
    let sql = connect(&url).await;
    assert_eq!(sql.query_one("SELECT count(*) FROM accounts", &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test]
async fn two_that_migrate_at_once_run_each_migration_once() {
    let url = cluster::owner_url(&cluster::empty_database().await);
    let migrate = async || success(command(&["migrate"]).env("DATABASE_URL", &url)).await;
    let (first, second) = tokio::join!(migrate(), migrate());
    let current = "the schema is current\n";
    assert!((first == current) != (second == current), "{first}{second}");
}

#[tokio::test]
async fn bill_closes_a_month_in_all_zones_says_so_and_has_nothing_left_to_do_the_next_time() {
    let url = cluster::database().await;
    let fill = "INSERT INTO accounts (id, namespace, name, kind, status, currency, time_zone, balance, last_no, created_at)
            SELECT 5000 + g, 'billed-' || g, 'Billed', 'MAIN', 'ACTIVE', 'CNY', CASE WHEN g = 1 THEN 'Asia/Shanghai' ELSE 'UTC' END, 0, 0,
                '2026-02-10T00:00:00Z' FROM generate_series(1, 300) g;
        INSERT INTO usage_hours SELECT 5000 + g, 'transfer_out', '2026-03-10T00:00:00Z', '', 3, 1 FROM generate_series(1, 300) g;
        INSERT INTO installation (kind) VALUES ('PRODUCTION');";
    connect(&url).await.batch_execute(fill).await.unwrap();
    let bill = |month: &str| {
        let mut command = command(&["bill", "--month", month]);
        command.env("DATABASE_URL", &url).env("RUST_LOG", "off");
        command
    };
    let closed = "2026-03 Asia/Shanghai: 1 of 1 accounts, 0 failed, DONE\n2026-03 UTC: 299 of 299 accounts, 0 failed, DONE\n";
    for _ in 0..2 {
        assert_eq!(success(&mut bill("2026-03")).await, closed);
    }
    let sql = connect(&url).await;
    let bills =
        "SELECT count(*) FROM bills WHERE start_time IN ('2026-03-01T00:00:00Z', '2026-02-28T16:00:00Z')";
    assert_eq!(sql.query_one(bills, &[]).await.unwrap().get::<_, i64>(0), 300);
    // The month before it was closed with it, the months after were left alone.
    let periods = "SELECT string_agg(DISTINCT period::text, ' ' ORDER BY period::text) FROM billing_runs";
    assert_eq!(sql.query_one(periods, &[]).await.unwrap().get::<_, String>(0), "2026-02-01 2026-03-01");
    let said = one_line_failure(&mut bill("9999-11")).await;
    assert!(said.contains("is not over in"), "{said}");
    for wrong in ["2026-3", "2026-13", "March", "2026-03-01", ""] {
        let said = failure(&mut bill(wrong)).await;
        assert!(said.contains("a month such as 2026-10 is expected"), "{wrong:?}: {said}");
    }
}

#[tokio::test]
async fn the_public_keys_of_anchors_are_printed_and_keys_that_cannot_be_right_are_refused_in_one_line() {
    let (secret, public) =
        ("7".repeat(64), "a09aa5f47a6759802ff955f8dc2d2a14a5c99d23be97f864127ff9383455a4f0");
    let given = format!("{secret},public:{public}");
    let printed = success(command(&["anchor-key"]).env("ABACUS_ANCHOR_KEY", &given)).await;
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines.len() == 2 && lines[0].ends_with(" signs") && lines[1].starts_with(public), "{printed}");
    assert!(!printed.contains(&secret));
    let said = one_line_failure(&mut command(&["anchor-key"])).await;
    assert!(said.contains("ABACUS_ANCHOR_KEY") && said.contains("openssl rand -hex 32"), "{said}");
    for wrong in ["secret", "77", &format!("{secret},{secret}"), &format!("public:{secret}0")] {
        for args in [&["anchor-key"][..], &["verify", "--receipt", "none.json"]] {
            let said = one_line_failure(command(args).env("ABACUS_ANCHOR_KEY", wrong)).await;
            assert!(said.contains("ABACUS_ANCHOR_KEY") && !said.contains(wrong), "{said}");
        }
    }
    let url = cluster::database().await;
    let mut serve = command(&["serve", "--sandbox", "--listen", "127.0.0.1:0"]);
    serve.env("DATABASE_URL", &url).env("ABACUS_JWT_SECRET", SECRET).env("ABACUS_ANCHOR_KEY", "77");
    let said = failure(serve.env("RUST_LOG", "off")).await;
    assert!(said.contains("abacus: ABACUS_ANCHOR_KEY: key 1 is expected as 64 hexadecimal digits"), "{said}");
}

#[tokio::test]
async fn a_receipt_that_is_not_there_or_none_is_refused_in_one_line() {
    let folder = Folder::new();
    let check = |name: &str| {
        let mut command = command(&["verify", "--receipt", name]);
        command.current_dir(&folder.path);
        command
    };
    let said = one_line_failure(&mut check("none.json")).await;
    assert!(said.contains("none.json") && said.contains("No such file"), "{said}");
    let said = one_line_failure(&mut check(".")).await;
    assert!(said.contains("the receipt ."), "{said}");
    std::fs::write(folder.path.join("bytes"), [0xff, 0xfe]).unwrap();
    let said = one_line_failure(&mut check("bytes")).await;
    assert!(said.contains("the receipt bytes"), "{said}");
    for key in ["", "7", "zz", &"0".repeat(64)] {
        let said = failure(&mut command(&["verify", "--receipt", "bytes", "--public-key", key])).await;
        assert!(said.contains("--public-key"), "{said}");
    }
}
