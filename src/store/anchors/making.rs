//! The making of an anchor: one transaction that sees all ledgers at one instant, and is either whole or not at all.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Bool, Integer, Nullable, Numeric, Text};
use diesel_async::SimpleAsyncConnection;
use rust_decimal::Decimal;

use super::newest;
use crate::clock::HeldBy;
use crate::domain::account::Hash;
use crate::domain::anchor::{
    Anchor, AnchorGrowth, AnchorKeys, AnchoredHead, HeadChange, LedgerEnd, Page, is_due, number_after,
};
use crate::domain::ids::AccountId;
use crate::store::cells::any_has_gone;
use crate::store::clock_check::require_past;
use crate::store::database::{Database, OwnConnection};
use crate::store::error::StoreError;
use crate::store::sql::row::answered;
use crate::store::sql::statement::{Columns, Statement};
use crate::store::{execute, rows};

/// Accounts that are read at a time.
const ACCOUNTS: i64 = 1_000;

/// Why no anchor is made: one that is signed would say that all is well with what is kept of the one before.
#[derive(Debug, thiserror::Error)]
pub enum AnchorRefusal {
    #[error("the last anchor, {number} of {at}, {why}")]
    Signature { number: i64, at: DateTime<Utc>, why: String },
    #[error(
        "what is kept of where ledgers ended is not what was signed with the last anchor, {0}: rows of ledger_anchor_heads or \
         accounts were changed or are gone"
    )]
    Altered(i64),
    #[error("there is no key that signs")]
    NoKey,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the next page came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageOutcome {
    /// Whether there are more.
    pub goes_on: bool,
    /// Accounts whose ledgers do not go on from what was anchored: they keep the leaves that they had.
    pub held: Vec<AccountId>,
}

/// An anchor in the making. Dropped, it leaves nothing behind.
pub struct AnchorDraft {
    /// In a transaction that began with the instant that all is read at.
    connection: OwnConnection,
    before: Option<Anchor>,
    at: DateTime<Utc>,
    growth: AnchorGrowth,
    /// All accounts up to this one were taken.
    taken_to: AccountId,
    /// Whether any account has left for another cell: its leaf stays as it is.
    some_have_gone: bool,
}

impl AnchorDraft {
    /// Begins one that is of `at`, after a look at the one before. None: there is one of that hour, which may have come since whoever asks has
    /// looked.
    pub async fn begin(
        database: &Database,
        held_by: HeldBy,
        at: DateTime<Utc>,
    ) -> Result<Option<Self>, AnchorRefusal> {
        let mut connection = database.dedicated_connection().await?;
        require_past(&connection, held_by, at, "the last anchor of the ledger").await?;
        connection.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.map_err(StoreError::from)?;
        let before = newest(&connection).await?;
        if !is_due(before.as_ref(), at) {
            return Ok(None);
        }
        if let Some(before) = &before
            && let Err(broken) = database.anchor_keys().check(before)
        {
            let (number, at) = (before.facts.number, before.facts.at);
            return Err(AnchorRefusal::Signature { number, at, why: broken.to_string() });
        }
        let some_have_gone = any_has_gone(&connection).await?;
        let (growth, taken_to) = (AnchorGrowth::default(), AccountId(0));
        Ok(Some(Self { connection, before, at, growth, taken_to, some_have_gone }))
    }

    /// Takes the next accounts.
    pub async fn take_page(&mut self) -> Result<PageOutcome, StoreError> {
        let standings =
            if self.some_have_gone { standings_of_all(self.taken_to) } else { standings(self.taken_to) };
        let found = rows::<AccountStanding>(&self.connection, standings).await?;
        let mut taken = PageOutcome { goes_on: is_full(found.len()), held: Vec::new() };
        let mut moved = Vec::new();
        for AccountStanding { account, standing } in found {
            match self.growth.take(&standing) {
                HeadChange::Moved(head) => moved.push(head),
                HeadChange::Same => {}
                HeadChange::Held => taken.held.push(account),
            }
            self.taken_to = account;
        }
        self.keep_heads(&moved).await?;
        Ok(taken)
    }

    /// The number that it gets.
    fn number(&self) -> i64 {
        number_after(self.before.as_ref(), self.at)
    }

    async fn keep_heads(&self, heads: &[AnchoredHead]) -> Result<(), StoreError> {
        if heads.is_empty() {
            return Ok(());
        }
        let number = self.number();
        let statement = Columns::new()
            .column::<BigInt, _>("account_id", heads.iter().map(|head| head.account.0))
            .column::<BigInt, _>("anchor", heads.iter().map(|_| number))
            .column::<BigInt, _>("seq", heads.iter().map(|head| head.seq))
            .column::<Binary, _>("hash", heads.iter().map(|head| head.hash.to_vec()))
            .column::<Numeric, _>("balance", heads.iter().map(|head| head.balance))
            .insert_into("ledger_anchor_heads");
        execute(&self.connection, statement).await.map(drop)
    }

    /// Signs it, once all accounts were taken, and commits it.
    pub async fn finish(mut self, keys: &AnchorKeys) -> Result<Anchor, AnchorRefusal> {
        let grown = std::mem::take(&mut self.growth).finish();
        let before = self.before.as_ref();
        if !grown.goes_on_from(before) {
            return Err(AnchorRefusal::Altered(before.map_or(0, |before| before.facts.number)));
        }
        let anchor = keys.sign(grown.facts(before, self.at)).ok_or(AnchorRefusal::NoKey)?;
        self.keep_pages(&grown.pages).await?;
        self.keep(&anchor).await?;
        self.connection.batch_execute("COMMIT").await.map_err(StoreError::from)?;
        Ok(anchor)
    }

    async fn keep_pages(&self, pages: &[Page]) -> Result<(), StoreError> {
        if pages.is_empty() {
            return Ok(());
        }
        let number = self.number();
        let statement = Columns::new()
            .column::<BigInt, _>("anchor", pages.iter().map(|_| number))
            .column::<Integer, _>("page", (0_i32..).zip(pages).map(|(place, _)| place))
            .column::<BigInt, _>("first_account", pages.iter().map(|page| page.first.0))
            .column::<BigInt, _>("last_account", pages.iter().map(|page| page.last.0))
            .column::<BigInt, _>("leaves", pages.iter().map(|page| page.leaves))
            .column::<Binary, _>("root", pages.iter().map(|page| page.root.to_vec()))
            .insert_into("ledger_anchor_pages");
        execute(&self.connection, statement).await.map(drop)
    }

    async fn keep(&self, anchor: &Anchor) -> Result<(), StoreError> {
        let Anchor { facts, key, signature } = anchor;
        let statement = Statement::new(
            "INSERT INTO ledger_anchors (number, at, accounts, root, previous, public_key, signature) VALUES (",
        )
        .bigint(facts.number)
        .sql(", ")
        .instant(facts.at)
        .sql(", ")
        .bigint(facts.accounts)
        .sql(", ")
        .value::<Binary, _>(facts.root.to_vec())
        .sql(", ")
        .value::<Nullable<Binary>, _>(facts.previous.map(|hash| hash.to_vec()))
        .sql(", ")
        .value::<Binary, _>(key.bytes().to_vec())
        .sql(", ")
        .value::<Binary, _>(signature.to_vec())
        .sql(")");
        execute(&self.connection, statement).await.map(drop)
    }
}

fn is_full(found: usize) -> bool {
    i64::try_from(found).is_ok_and(|found| found >= ACCOUNTS)
}

struct AccountStanding {
    account: AccountId,
    standing: LedgerEnd,
}

answered! {
    AccountStanding {
        account: AccountId as BigInt,
        seq: i64 as BigInt,
        hash: Option<Vec<u8>> as Nullable<Binary>,
        balance: String as Text,
        anchored_seq: Option<i64> as Nullable<BigInt>,
        anchored_hash: Option<Vec<u8>> as Nullable<Binary>,
        anchored_balance: Option<Decimal> as Nullable<Numeric>,
        is_whole: bool as Bool,
        goes_on: bool as Bool,
    }
    {
        let now = head_now(account, seq, hash.as_deref(), &balance).filter(|_| is_whole);
        let anchored = match (anchored_seq, anchored_hash, anchored_balance) {
            (Some(seq), Some(hash), Some(balance)) => {
                Some(AnchoredHead { account, seq, hash: super::of_length(&hash)?, balance })
            }
            _ => None,
        };
        Self { account, standing: LedgerEnd { anchored, now, goes_on } }
    }
}

/// What cannot be read is no head: an account that somebody has altered holds up no other.
fn head_now(account: AccountId, seq: i64, hash: Option<&[u8]>, balance: &str) -> Option<AnchoredHead> {
    let hash = Hash::try_from(hash?).ok()?;
    let balance = balance.parse().ok()?;
    (seq > 0).then_some(AnchoredHead { account, seq, hash, balance })
}

/// How the next accounts stand: where each ledger ends, by the account and by its last entry, and where it ended by the last anchor. One
/// whose ledger is known to have a fault does not go on.
fn standings(after: AccountId) -> Statement {
    of_those_here(Statement::new(""), after)
}

fn of_those_here(statement: Statement, after: AccountId) -> Statement {
    let statement = statement.sql(
        "SELECT a.id, a.last_entry_seq, a.last_entry_hash, a.balance::text, h.seq, h.hash, h.balance, \
         EXISTS (SELECT 1 FROM ledger_entries n WHERE n.account_id = a.id AND n.seq = a.last_entry_seq \
             AND n.hash = a.last_entry_hash AND n.\"end\" = a.balance), \
         NOT EXISTS (SELECT 1 FROM ledger_faults f WHERE f.account_id = a.id AND f.kind IN ('SEQUENCE', 'CHAIN', 'TIME', 'HASH', \
             'TRANSACTION', 'BALANCE', 'HEAD', 'CHECKPOINT')) AND (h.seq IS NULL \
             OR EXISTS (SELECT 1 FROM ledger_entries e WHERE e.account_id = a.id AND e.seq = h.seq AND e.hash = h.hash)) \
         FROM accounts a LEFT JOIN LATERAL (SELECT seq, hash, balance FROM ledger_anchor_heads WHERE account_id = a.id \
         ORDER BY anchor DESC LIMIT 1) h ON true WHERE a.id > ",
    );
    statement.bigint(after.0).sql(" ORDER BY a.id LIMIT ").bigint(ACCOUNTS)
}

/// The same with those that have left for another cell, as they stood: what was anchored of them here stays anchored.
fn standings_of_all(after: AccountId) -> Statement {
    let gone = of_those_here(Statement::new("("), after).sql(
        ") UNION ALL (SELECT d.account_id, h.seq, h.hash, h.balance::text, h.seq, h.hash, h.balance, true, true \
         FROM departures d CROSS JOIN LATERAL (SELECT seq, hash, balance FROM ledger_anchor_heads \
             WHERE account_id = d.account_id ORDER BY anchor DESC LIMIT 1) h \
         WHERE d.state = 'GONE' AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.id = d.account_id) AND d.account_id > ",
    );
    let gone = gone.bigint(after.0).sql(" ORDER BY d.account_id LIMIT ").bigint(ACCOUNTS);
    gone.sql(") ORDER BY 1 LIMIT ").bigint(ACCOUNTS)
}
