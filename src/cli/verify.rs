//! `abacus verify`: whether the whole ledger of a database is what was posted and anchored, or, without any database, whether a receipt
//! holds. It changes nothing.

use std::io::Read;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::Db;
use super::failure::Failure;
use super::keys::{anchor_keys, ledger_keys};
use crate::config::{GlobalArgs, VerifyArgs};
use crate::domain::anchor::{Anchor, AnchorKeys, Attestation, Receipt};
use crate::domain::ids::AccountId;
use crate::domain::seal::SealKeys;
use crate::jobs::ledger_check::check_all;
use crate::store::accounts::account_range::Range;
use crate::store::clock_check::present;
use crate::store::database::{Connection, Database};
use crate::store::error::StoreError;
use crate::store::ledger_check::standing::progress;
use crate::store::ledger_check::{Look, Pace, Report, accounts_count, last_of_next};
use crate::store::migrations::Migrator;
use crate::store::{anchors, installation};
use crate::telemetry;

/// A receipt is some two thousand bytes long.
const RECEIPT_BYTES_MAX: u64 = 64 * 1024;
/// Accounts that are looked at together.
const ACCOUNTS: i64 = 200;
/// Anchors that are read at a time: those of six weeks.
const ANCHORS: i64 = 1_000;
/// Faults that are printed; more are counted.
const PRINTED_MAX: usize = 1_000;

pub(super) async fn verify(global: &GlobalArgs, args: &VerifyArgs) -> Result<(), Failure> {
    match &args.receipt {
        Some(file) => verify_receipt(file, &trusted(global, args, args.sandbox)?),
        None => verify_ledger(global, args).await,
    }
}

/// Whose anchors are trusted: of the keys that were named, and otherwise of those of the configuration.
fn trusted(global: &GlobalArgs, args: &VerifyArgs, sandbox: bool) -> Result<AnchorKeys, Failure> {
    if args.public_keys.is_empty() {
        return anchor_keys(global, sandbox);
    }
    Ok(AnchorKeys::checking(args.public_keys.clone()))
}

fn verify_receipt(file: &Path, trusted: &AnchorKeys) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| format!("the receipt {}: {error}", file.display());
    let mut text = String::new();
    let opened = std::fs::File::open(file).map_err(|error| failed(&error))?;
    opened
        .take(RECEIPT_BYTES_MAX.saturating_add(1))
        .read_to_string(&mut text)
        .map_err(|error| failed(&error))?;
    if u64::try_from(text.len()).is_ok_and(|length| length > RECEIPT_BYTES_MAX) {
        return Err(failed(&"it is longer than any receipt").into());
    }
    let proven = Receipt::read(&text).and_then(|receipt| receipt.check(trusted.known()));
    let Attestation { anchor, head } = proven.map_err(|error| failed(&error))?;
    let (number, at, key) = (anchor.facts.number, anchor.facts.at, anchor.key);
    println!("the receipt holds: anchor {number} of {at} says that the ledger of {} ended", head.account);
    println!(
        "with entry {} of the hash {}, at a balance of {}",
        head.seq,
        data_encoding::HEXLOWER.encode(&head.hash),
        crate::domain::money::format_decimal(head.balance, 0)
    );
    if trusted.known().is_empty() {
        println!(
            "signed with key {}, which the receipt itself names: hold it against the one that is published,",
            key.id()
        );
        println!("or name that with --public-key; this one is {}", key.hex());
    } else {
        println!("signed with key {}, which is trusted", key.id());
    }
    Ok(())
}

async fn verify_ledger(global: &GlobalArgs, args: &VerifyArgs) -> Result<(), Failure> {
    telemetry::start(false);
    let seal_keys = ledger_keys(global)?;
    let db = Db::open_one(global).await?;
    let outcome = async {
        let anchor_keys = trusted(global, args, args.sandbox || db.private.is_some())?;
        let server = Database::new(&db.url, 2)?;
        let pending =
            Migrator::new(&server, db.owner_url.as_deref(), global.migrate_lock_wait)?.pending().await?;
        if !pending.is_empty() {
            return Err("the schema is not current: abacus migrate".into());
        }
        look_with(server, seal_keys, anchor_keys).await
    }
    .await;
    db.close().await;
    outcome?.tell()
}

/// Looks at the whole ledger with these keys.
async fn look_with(
    server: Database,
    seal_keys: SealKeys,
    anchor_keys: AnchorKeys,
) -> Result<Findings, Failure> {
    let server = server.sealed_with(seal_keys.into()).anchored_with(anchor_keys.into());
    installation::check_keys(&*server.connection().await?, server.keys()).await??;
    Ok(look(&server).await?)
}

/// The same as a part of another command: it says what it has found, and fails where anything is wrong.
pub(super) async fn require_whole(global: &GlobalArgs, db: &Db, sandbox: bool) -> Result<(), Failure> {
    let (seal_keys, anchor_keys) = (ledger_keys(global)?, anchor_keys(global, sandbox)?);
    look_with(Database::new(&db.url, 2)?, seal_keys, anchor_keys).await?.tell()
}

/// What was found.
#[derive(Default)]
struct Findings {
    accounts: usize,
    entries: i64,
    anchors: usize,
    /// What is printed of what is wrong.
    printed: Vec<String>,
    wrong: usize,
    /// Whether it was known whose anchors to trust.
    keys_known: bool,
}

impl Findings {
    fn tell(self) -> Result<(), Failure> {
        let Self { accounts, entries, anchors, printed, wrong, keys_known } = self;
        for line in printed {
            println!("{line}");
        }
        println!("{accounts} accounts with {entries} entries and {anchors} anchors were looked at");
        if anchors > 0 && !keys_known {
            println!(
                "which key signs anchors was not said (ABACUS_ANCHOR_KEY, --public-key): each was checked with its own"
            );
        }
        match wrong {
            0 => Ok(()),
            1 => Err("one thing is wrong".into()),
            more => Err(format!("{more} things are wrong").into()),
        }
    }
}

async fn look(database: &Database) -> Result<Findings, StoreError> {
    let conn = database.connection().await?;
    let mut findings =
        Findings { keys_known: !database.anchor_keys().known().is_empty(), ..Findings::default() };
    look_at_anchors(&conn, database.anchor_keys(), &mut findings).await?;
    let bar = ProgressBar::new(u64::try_from(accounts_count(&conn).await?).unwrap_or(0));
    if let Ok(style) =
        ProgressStyle::with_template("[{wide_bar}] {human_pos}/{human_len} accounts, {eta} left")
    {
        bar.set_style(style);
    }
    let looked = look_at_accounts(&conn, database, &bar, &mut findings).await;
    bar.finish_and_clear();
    looked.map(|()| findings)
}

async fn look_at_accounts(
    conn: &Connection,
    database: &Database,
    bar: &ProgressBar,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let (keys, anchor_keys) = (database.keys(), database.anchor_keys());
    let (all_sealed, now) = (progress(conn).await?.all_sealed_at.is_some(), present(conn).await?);
    let look = Look { conn, keys, anchor_keys, pace: Pace::AT_ONCE, all_sealed, now };
    let mut done = AccountId(0);
    while let Some(last) = last_of_next(conn, done, ACCOUNTS).await? {
        let first = AccountId(done.0.saturating_add(1));
        let report = check_all(look, Range { first, last }).await?;
        findings.take(&report);
        bar.set_position(u64::try_from(findings.accounts).unwrap_or(0));
        done = last;
    }
    Ok(())
}

impl Findings {
    fn take(&mut self, report: &Report) {
        self.accounts = self.accounts.saturating_add(report.accounts.len());
        self.entries = self.entries.saturating_add(report.entries_checked);
        for (account, fault) in &report.faults {
            self.note(format!("{account} {}: {}", fault.kind, fault.message));
        }
        if !report.imbalance.is_zero() {
            self.note(format!("balances and transfers differ by {}", report.imbalance));
        }
    }

    fn note(&mut self, wrong: String) {
        self.wrong = self.wrong.saturating_add(1);
        if self.printed.len() < PRINTED_MAX {
            self.printed.push(wrong);
        }
    }
}

/// Whether every anchor is signed, and goes on from the one before it.
async fn look_at_anchors(
    conn: &Connection,
    keys: &AnchorKeys,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    let mut last: Option<Anchor> = None;
    loop {
        let number = last.as_ref().map_or(i64::MIN, |last| last.facts.number);
        let page = anchors::after(conn, number, ANCHORS).await?;
        if page.is_empty() {
            return Ok(());
        }
        for anchor in page {
            let number = anchor.facts.number;
            findings.anchors = findings.anchors.saturating_add(1);
            if let Err(broken) = keys.check(&anchor) {
                findings.note(format!("anchor {number} {broken}"));
            }
            if anchor.facts.previous != last.as_ref().map(Anchor::hash) {
                findings.note(format!("anchor {number} does not go on from the one before it"));
            }
            last = Some(anchor);
        }
    }
}
