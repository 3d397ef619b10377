//! `abacus doctor`: what clocks and marks say, and what to do where that cannot be. It changes nothing.

use std::fmt::Display;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use super::Db;
use super::failure::{Failure, of_setting};
use super::keys::{anchor_keys, ledger_keys};
use crate::config::{DoctorArgs, GlobalArgs, currencies};
use crate::domain::anchor::AnchorKeys;
use crate::domain::money::Currencies;
use crate::domain::seal::SealKeys;
use crate::store::clock_check::{SKEW_MAX, length, machine_ahead, present};
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::installation::{self, InstallationKind};
use crate::store::ledger_check::standing::faults_count;
use crate::store::marks::{self, Ahead, MARKS, Mark};
use crate::store::migrations::Migrator;
use crate::store::{Conn, anchors};
use crate::telemetry;

/// A line of what was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    is: String,
    at_most: String,
    verdict: String,
    ok: bool,
    /// What to do where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

const OK: &str = "ok";
const TAKE_BACK: &str = "abacus take-back";

impl Finding {
    fn ok(what: impl Display, is: impl Display) -> Self {
        let [what, is, verdict] = [what.to_string(), is.to_string(), OK.to_owned()];
        Self { what, is, at_most: String::new(), verdict, ok: true, next: None }
    }

    fn at_most(self, at_most: impl Display) -> Self {
        Self { at_most: at_most.to_string(), ..self }
    }

    fn wrong(self, verdict: impl Display, next: impl Display) -> Self {
        Self { verdict: verdict.to_string(), ok: false, next: Some(next.to_string()), ..self }
    }

    /// Wrong where the instant is later than it may be.
    fn held(self, at: DateTime<Utc>, at_most: DateTime<Utc>, next: &str) -> Self {
        let ahead = at.signed_duration_since(at_most);
        let found = self.at_most(shown(at_most));
        if ahead <= TimeDelta::zero() {
            found
        } else {
            found.wrong(format!("ahead by {}", length(ahead)), next)
        }
    }
}

fn shown(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// What a database is held against.
struct Configured {
    kind: InstallationKind,
    currencies: Currencies,
    keys: SealKeys,
    anchor_keys: AnchorKeys,
}

pub(super) async fn doctor(global: &GlobalArgs, args: &DoctorArgs) -> Result<(), Failure> {
    telemetry::start(false);
    let currencies = currencies(&args.currencies).map_err(of_setting("ABACUS_CURRENCIES"))?;
    let keys = ledger_keys(global)?;
    let db = Db::open_one(global).await?;
    let is_sandbox = args.sandbox || db.private.is_some();
    let kind = if is_sandbox { InstallationKind::Sandbox } else { InstallationKind::Production };
    let anchor_keys = anchor_keys(global, is_sandbox)?;
    let findings = async {
        let server = Database::new(&db.url, 1)?;
        let migrator = Migrator::new(&server, db.owner_url.as_deref(), global.migrate_lock_wait)?;
        let connection = marks::looking(&server).await?;
        look(&connection, &migrator, &Configured { kind, currencies, keys, anchor_keys }).await
    }
    .await;
    db.close().await;
    let findings = findings?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        print(&findings);
    }
    match findings.iter().filter(|finding| !finding.ok).count() {
        0 => Ok(()),
        1 => Err("one thing is wrong".into()),
        wrong => Err(format!("{wrong} things are wrong").into()),
    }
}

async fn look(
    conn: Conn<'_>,
    migrator: &Migrator,
    configured: &Configured,
) -> Result<Vec<Finding>, StoreError> {
    let mut findings = vec![of_clock(conn).await?];
    let pending = migrator.pending().await?;
    if !pending.is_empty() {
        let behind = Finding::ok("migrations that have not run", pending.len()).at_most(0);
        findings.push(behind.wrong("the rest is not looked at", "abacus migrate"));
        return Ok(findings);
    }
    findings.push(Finding::ok("the time by the database, as a sandbox has it", shown(present(conn).await?)));
    for mark in &MARKS {
        looked(&mut findings, mark.name, of_mark(conn, mark).await.map(|found| [found]));
    }
    looked(&mut findings, "leases", of_leases(conn).await);
    looked(&mut findings, "closed months", of_months(conn).await.map(|found| [found]));
    looked(&mut findings, "what is dated into the future", of_dates(conn).await);
    looked(&mut findings, "chains", of_chains(conn).await);
    looked(&mut findings, "partitions of usage", of_partitions(conn).await.map(|found| [found]));
    looked(&mut findings, "the installation", of_installation(conn, configured).await);
    looked(&mut findings, "anchors", of_anchors(conn, &configured.anchor_keys).await.map(|found| [found]));
    looked(&mut findings, "faults", of_faults(conn).await);
    Ok(findings)
}

/// Adds what was found. What could not be looked at is no reason not to look at the rest.
fn looked(
    findings: &mut Vec<Finding>,
    what: &str,
    found: Result<impl IntoIterator<Item = Finding>, StoreError>,
) {
    match found {
        Ok(found) => findings.extend(found),
        Err(error) => {
            findings.push(Finding::ok(what, "").wrong(
                format!("could not be looked at: {error}"),
                "ask again, or look at the database's log",
            ))
        }
    }
}

async fn of_clock(conn: Conn<'_>) -> Result<Finding, StoreError> {
    let (ahead, database) = machine_ahead(conn).await?;
    let machine = database.checked_add_signed(ahead).unwrap_or(database);
    let found = Finding::ok("this machine's clock", shown(machine)).at_most(shown(database));
    if ahead.abs() <= SKEW_MAX {
        return Ok(found);
    }
    let way = if ahead < TimeDelta::zero() { "behind" } else { "ahead" };
    Ok(found.wrong(
        format!("{way} by {}", length(ahead)),
        "set it (NTP), here and on every machine that runs a server",
    ))
}

async fn of_mark(conn: Conn<'_>, mark: &Mark) -> Result<Finding, StoreError> {
    let (at, present) = marks::mark_at(conn, mark).await?;
    let Some(at) = at else { return Ok(Finding::ok(mark.name, "never")) };
    let at_most = present.checked_add_signed(mark.beyond).unwrap_or(present);
    Ok(Finding::ok(mark.name, shown(at)).held(at, at_most, mark.next))
}

async fn of_leases(conn: Conn<'_>) -> Result<Vec<Finding>, StoreError> {
    let lease = |held: marks::HeldLease| {
        let what = format!("the lease of {}, held by {}", held.name, held.holder);
        let next = "nothing, if servers of this version run: they take it over; else abacus take-back";
        Finding::ok(what, shown(held.expires_at)).held(held.expires_at, held.at_most, next)
    };
    Ok(marks::leases_held(conn).await?.into_iter().map(lease).collect())
}

/// A count, with the first of what is counted.
fn listed(what: &str, (count, first): (i64, Vec<Ahead>)) -> Finding {
    let mut is = count.to_string();
    for ahead in &first {
        is.push_str(&format!("\n  {} {}, {}", ahead.account, ahead.what, shown(ahead.at)));
    }
    let more = count.saturating_sub(i64::try_from(first.len()).unwrap_or(i64::MAX));
    if more > 0 {
        is.push_str(&format!("\n  and {more} more"));
    }
    Finding::ok(what, is)
}

async fn of_months(conn: Conn<'_>) -> Result<Finding, StoreError> {
    let found = marks::closed_early(conn).await?;
    let count = found.0;
    let finding = listed("accounts with months that were closed before they were over", found).at_most(0);
    Ok(if count == 0 { finding } else { finding.wrong("closed ahead of time", TAKE_BACK) })
}

async fn of_dates(conn: Conn<'_>) -> Result<[Finding; 2], StoreError> {
    let (ahead, accepted) = (marks::dated(conn, false).await?, marks::dated(conn, true).await?);
    let count = ahead.0;
    let finding = listed("what is dated into the future", ahead).at_most(0);
    let next = "abacus accept-future --all --reason …, and give back what should not have been bought or renewed: refund, cancelOrder, \
        voidBill";
    Ok([
        if count == 0 { finding } else { finding.wrong("dated ahead of time", next) },
        listed("what is dated into the future, and accepted", accepted),
    ])
}

async fn of_chains(conn: Conn<'_>) -> Result<Vec<Finding>, StoreError> {
    let chain = |scanned: marks::Scanned| {
        let newest = scanned.newest.map_or_else(|| "none yet".to_owned(), |newest| format!("block {newest}"));
        let is = format!("{newest}, begun after block {}", scanned.begin_after);
        let found = Finding::ok(format!("chain {} was scanned up to", scanned.chain), is);
        let is_right = scanned.newest.is_none_or(|newest| newest >= scanned.begin_after);
        let next = "hold it against the chain's node: what lies before where it began is not looked for";
        if is_right { found } else { found.wrong("not up to where it began", next) }
    };
    Ok(marks::chains_scanned(conn).await?.into_iter().map(chain).collect())
}

async fn of_partitions(conn: Conn<'_>) -> Result<Finding, StoreError> {
    const WHAT: &str = "the last month that there is a partition of usage for";
    let (last, at_most) = marks::last_partition(conn).await?;
    let Some(last) = last else { return Ok(Finding::ok(WHAT, "none")) };
    let found = Finding::ok(WHAT, last.format("%Y-%m")).at_most(at_most.format("%Y-%m"));
    let next = "voidUsage for what it holds; the owner may drop it where it is empty";
    Ok(if last <= at_most { found } else { found.wrong("ahead", next) })
}

async fn of_installation(conn: Conn<'_>, configured: &Configured) -> Result<[Finding; 2], StoreError> {
    let kind = installation::claim(conn, configured.kind, &configured.currencies, false).await?;
    let next = "give this command the settings of the servers (ABACUS_SANDBOX, ABACUS_CURRENCIES, ABACUS_LEDGER_KEYS), or them its own";
    let of = |what: &str, agrees: Result<(), installation::OtherInstallation>| match agrees {
        Ok(()) => Finding::ok(what, "as configured"),
        Err(other) => Finding::ok(what, "").wrong(other, next),
    };
    let keys = installation::check_keys(conn, &configured.keys).await?;
    Ok([of("whose database it is, and its scales", kind), of("the keys of its ledger", keys)])
}

/// Whether the newest anchor is one that a key of the configuration has signed. That none is made any more is told, and no fault: the
/// servers may be stopped.
async fn of_anchors(conn: Conn<'_>, keys: &AnchorKeys) -> Result<Finding, StoreError> {
    const WHAT: &str = "the ledger's newest anchor";
    let newest = anchors::newest(conn).await?;
    let Some(newest) = newest else {
        let why = if keys.signing().is_some() { "none yet" } else { "none: ABACUS_ANCHOR_KEY is not set" };
        return Ok(Finding::ok(WHAT, why));
    };
    let age = present(conn).await?.signed_duration_since(newest.facts.at);
    let is = format!("{}, {} ago, signed with key {}", newest.facts.number, length(age), newest.key.id());
    let found = Finding::ok(WHAT, is);
    Ok(match keys.check(&newest) {
        Ok(()) => found,
        Err(broken) => found.wrong(broken, "give this command the key of the servers; else docs/LEDGER.md"),
    })
}

async fn of_faults(conn: Conn<'_>) -> Result<[Finding; 2], StoreError> {
    let faults = faults_count(conn).await?;
    let found = Finding::ok("faults that the check of the ledger knows of", faults).at_most(0);
    let found = if faults == 0 { found } else { found.wrong("not in order", "ledgerHealth; docs/LEDGER.md") };
    let (open, newest) = marks::open_faults(conn).await?;
    let newest = newest.map_or_else(String::new, |at| format!(", the last of {}", shown(at)));
    Ok([found, Finding::ok("notices of faults that nobody has acknowledged", format!("{open}{newest}"))])
}

fn print(findings: &[Finding]) {
    let header = ["WHAT", "IS", "AT MOST", "VERDICT"].map(str::to_owned);
    let first_line = |is: &str| is.lines().next().unwrap_or_default().to_owned();
    let row = |found: &Finding| {
        [found.what.clone(), first_line(&found.is), found.at_most.clone(), found.verdict.clone()]
    };
    let rows: Vec<[String; 4]> = std::iter::once(header).chain(findings.iter().map(row)).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let [what, is, at_most] = [width(0), width(1), width(2)];
    let details = std::iter::once(None).chain(findings.iter().map(Some));
    for (row, found) in rows.iter().zip(details) {
        let [a, b, c, d] = row;
        println!("{a:what$}  {b:is$}  {c:at_most$}  {d}");
        for detail in found.iter().flat_map(|found| found.is.lines().skip(1)) {
            println!("{detail}");
        }
        if let Some(next) = found.and_then(|found| found.next.as_ref()) {
            println!("  → {next}");
        }
    }
}
