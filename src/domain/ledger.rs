//! The ledger of one account: numbered, chained and hashed entries.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use super::account::{Account, Hash, Head};
use super::ids::{AccountId, EntryId, OwnedId, TransactionId};
use super::money::{self, CurrencyCode, OutOfRange};
use super::seal::{KeyVersion, SealKeys, Sealed, Sealing};
use super::transaction::{Direction, Transaction};

/// One change of one account's balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: EntryId,
    pub seq: i64,
    pub time: DateTime<Utc>,
    pub poll_time: Option<DateTime<Utc>>,
    pub currency: CurrencyCode,
    /// Positive for debits, negative for credits.
    pub amount: Decimal,
    pub initial: Decimal,
    /// `initial` − `amount`.
    pub end: Decimal,
    pub reason: String,
    pub billing_cycle: Option<i32>,
    /// Seconds billed.
    pub interval: Option<i32>,
    pub resource: Option<String>,
    pub resource_amount: Decimal,
    pub hash: Hash,
    /// The key of the hash.
    pub key: KeyVersion,
}

impl Entry {
    /// The transaction that made it.
    pub fn transaction(&self) -> TransactionId {
        TransactionId(self.id.0)
    }

    /// HMAC-SHA-256 over the hash before, every field, and the transaction that made it; None where there is no such key.
    /// (Entries of before there were keys: SHA-256 over the hash before and every field.)
    pub fn hash_after(&self, previous: &Hash, transaction: &Transaction, keys: &SealKeys) -> Option<Hash> {
        let unkeyed = self.unkeyed_hash_after(previous);
        if self.key == 0 {
            return Some(unkeyed);
        }
        keys.mac(self.key, |to| {
            to.text("entry");
            to.bytes(&unkeyed);
            transaction.tell_of_posting(to);
        })
    }

    /// SHA-256 over the hash before and every field, each with its length, so that no two entries read alike.
    pub(in crate::domain) fn unkeyed_hash_after(&self, previous: &Hash) -> Hash {
        let mut hasher = Sha256::new();
        hasher.update(previous);
        hasher.update(self.id.0.uuid().as_bytes());
        hasher.update(self.seq.to_be_bytes());
        hasher.update(self.time.timestamp_micros().to_be_bytes());
        hash_optional(&mut hasher, self.poll_time.map(|time| time.timestamp_micros().to_be_bytes()));
        hash_optional(&mut hasher, self.billing_cycle.map(i32::to_be_bytes));
        hash_optional(&mut hasher, self.interval.map(i32::to_be_bytes));
        for number in [self.amount, self.initial, self.end, self.resource_amount] {
            hash_text(&mut hasher, &money::format_decimal(number, 0));
        }
        hash_text(&mut hasher, self.currency.as_str());
        hash_optional(&mut hasher, self.resource.as_ref().map(|_| []));
        hash_text(&mut hasher, self.resource.as_deref().unwrap_or_default());
        hash_text(&mut hasher, &self.reason);
        hasher.finalize().into()
    }
}

/// What is absent differs from every value.
fn hash_optional<const N: usize>(hasher: &mut Sha256, bytes: Option<[u8; N]>) {
    hasher.update([u8::from(bytes.is_some())]);
    hasher.update(bytes.unwrap_or([0; N]));
}

fn hash_text(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_be_bytes());
    hasher.update(text.as_bytes());
}

/// What an entry says beside the money that moves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Posting {
    pub reason: String,
    pub poll_time: Option<DateTime<Utc>>,
    pub billing_cycle: Option<i32>,
    pub interval: Option<i32>,
    pub resource: Option<String>,
    pub resource_amount: Decimal,
}

impl Posting {
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }
}

/// Posts a transaction that touches the balance: moves the account's balance and the end of its ledger, and answers
/// the entry. Whether the balance may go there is for the caller to have decided.
pub fn post(
    account: &mut Account,
    transaction: &mut Transaction,
    posting: Posting,
    keys: &SealKeys,
) -> Result<Entry, OutOfRange> {
    let amount = match transaction.direction() {
        Direction::Debit => transaction.amount,
        Direction::Credit => money::negate(transaction.amount),
    };
    let initial = account.balance;
    let end = money::subtract(initial, amount)?;
    let seq = account.head.seq.checked_add(1).ok_or(OutOfRange)?;
    let mut entry = Entry {
        id: EntryId(transaction.id.0),
        seq,
        time: transaction.created_at,
        poll_time: posting.poll_time,
        currency: transaction.currency,
        amount,
        initial,
        end,
        reason: posting.reason,
        billing_cycle: posting.billing_cycle,
        interval: posting.interval,
        resource: posting.resource,
        resource_amount: posting.resource_amount,
        hash: Hash::default(),
        key: keys.sealing(),
    };
    entry.hash = entry.hash_after(&account.head.hash, transaction, keys).ok_or(OutOfRange)?;
    account.balance = end;
    account.head = Head { seq, hash: entry.hash, time: Some(entry.time) };
    transaction.balance_after = Some(end);
    Ok(entry)
}

/// Something about a ledger that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A code: `SEQUENCE`, `CHAIN`, `HASH`, `TIME`, `TRANSACTION`, `BALANCE`, `LIMIT`, `HEAD` of the ledger itself; `SEAL` of a row
    /// that is not what was sealed, `UNREADABLE` of one that cannot be read; `BILL`, `ORDER`, `REFUND`, `PAYMENT`, `KEY` and
    /// `NUMBER` where rows do not say what was posted; `CHECKPOINT` where the ledger is not what was looked at before, `ANCHOR` where
    /// it is not what was anchored; `UNCHECKED` where that could not be found out.
    pub kind: &'static str,
    pub message: String,
}

/// Checks one account's ledger, entry by entry, oldest first.
#[derive(Debug, Default)]
pub struct Verifier {
    head: Head,
    end: Decimal,
    last_id: Option<OwnedId>,
    key: KeyVersion,
    faults: Vec<Fault>,
}

/// More faults than this are not listed: one broken entry can break all that follow.
const FAULTS_MAX: usize = 20;

impl Verifier {
    fn fault(&mut self, kind: &'static str, message: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault { kind, message });
        }
    }

    /// Takes the next entry, and the transaction of the same id if there is one; of an entry whose words were blanked, what says that
    /// its hash was right.
    pub fn check(
        &mut self,
        entry: &Entry,
        transaction: Option<&Transaction>,
        erased: Option<&[u8]>,
        keys: &SealKeys,
    ) {
        let seq = entry.seq;
        if seq != self.head.seq.saturating_add(1) {
            self.fault("SEQUENCE", format!("entry {seq} follows entry {}", self.head.seq));
        }
        if entry.initial != self.end || money::subtract(entry.initial, entry.amount) != Ok(entry.end) {
            self.fault("CHAIN", format!("entry {seq} does not continue from {}", self.end));
        }
        self.check_hash(entry, transaction, erased, keys);
        if self.head.time.is_some_and(|last| entry.time < last) || self.last_id >= Some(entry.id.0) {
            self.fault("TIME", format!("entry {seq} is older than the one before"));
        }
        if !transaction.is_some_and(|transaction| matches(entry, transaction)) {
            self.fault("TRANSACTION", format!("entry {seq} is not what its transaction says"));
        }
        self.head = Head { seq, hash: entry.hash, time: Some(entry.time) };
        self.end = entry.end;
        self.last_id = Some(entry.id.0);
    }

    fn check_hash(
        &mut self,
        entry: &Entry,
        transaction: Option<&Transaction>,
        erased: Option<&[u8]>,
        keys: &SealKeys,
    ) {
        let seq = entry.seq;
        if entry.key == 0 && self.key > 0 {
            self.fault("HASH", format!("entry {seq} has no key, and those before it have"));
        }
        self.key = entry.key;
        // What has no transaction is a fault already.
        let Some(transaction) = transaction else { return };
        if erased.is_some() {
            let erased_entry = ErasedEntry { previous: self.head.hash, entry, transaction };
            if let Err(broken) = keys.check(&erased_entry, erased) {
                self.fault("HASH", format!("entry {seq}, whose words were blanked, {broken}"));
            }
            return;
        }
        match entry.hash_after(&self.head.hash, transaction, keys) {
            None => {
                self.fault("HASH", format!("entry {seq} has key {}, which this server does not", entry.key))
            }
            Some(hash) if hash == entry.hash => {}
            Some(_) => self.fault("HASH", format!("entry {seq} is not what was hashed")),
        }
    }

    /// Compares the end with what the account says.
    pub fn finish(mut self, account: &Account) -> Vec<Fault> {
        if account.balance != self.end {
            self.fault(
                "BALANCE",
                format!("the balance is {}, the ledger ends at {}", account.balance, self.end),
            );
        }
        if account.head != self.head {
            self.fault("HEAD", format!("the account names entry {} as its last", account.head.seq));
        }
        if !account.overdrawn && account.available().is_ok_and(|available| available < Decimal::ZERO) {
            self.fault("LIMIT", format!("the balance {} is below its limit", account.balance));
        }
        self.faults
    }
}

fn matches(entry: &Entry, transaction: &Transaction) -> bool {
    let signed = match transaction.direction() {
        Direction::Debit => transaction.amount,
        Direction::Credit => money::negate(transaction.amount),
    };
    transaction.touches_balance()
        && signed == entry.amount
        && transaction.currency == entry.currency
        && transaction.balance_after == Some(entry.end)
        && transaction.id == entry.transaction()
}

/// Seconds for people: seconds below a minute, else minutes, with 45 seconds and more rounded up.
pub fn human_interval(seconds: i32) -> String {
    if seconds < 60 {
        return format!("{seconds} {}", if seconds == 1 { "second" } else { "seconds" });
    }
    let minutes = seconds.saturating_add(15).checked_div(60).unwrap_or_default();
    format!("{minutes} {}", if minutes == 1 { "minute" } else { "minutes" })
}

/// An entry whose words are blank, with its transaction: its hash is over what they were, and was right.
pub struct ErasedEntry<'e> {
    /// The hash of the entry before.
    pub previous: Hash,
    pub entry: &'e Entry,
    pub transaction: &'e Transaction,
}

impl Sealed for ErasedEntry<'_> {
    const KIND: &'static str = "erased entry";

    fn owner(&self) -> AccountId {
        self.entry.id.account()
    }

    fn name(&self) -> String {
        self.entry.id.to_string()
    }

    fn tell(&self, to: &mut Sealing) {
        let Self { previous, entry, transaction } = self;
        to.bytes(&entry.hash);
        to.bytes(&entry.unkeyed_hash_after(previous));
        transaction.tell_of_posting(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_read_as_the_source_writes_them() {
        for (seconds, expected) in
            [(298, "5 minutes"), (49, "49 seconds"), (60, "1 minute"), (104, "1 minute"), (105, "2 minutes")]
        {
            assert_eq!(human_interval(seconds), expected);
        }
    }
}
