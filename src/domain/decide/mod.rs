//! Decides what a command does: a pure function of the account's book, the command and the instant.
//!
//! A decision is a [`Change`] that has not happened yet. A refusal is no change at all.

mod checkout;
mod recharge;
mod refund;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::account::{Account, AccountStatus};
use super::book::{Book, Catalogue, Change, Gain};
use super::command::{Action, Answer, Command, Done, Outcome};
use super::ids::{IdMint, OwnedId};
use super::ledger::{self, Posting};
use super::money::{self, Currency, OutOfRange};
use super::refusal::{Refusal, RefusalCode};
use super::transaction::Transaction;

/// What was decided: the answer, and the change that makes it true (none if the key had been answered before).
#[derive(Debug)]
pub struct Decision {
    pub done: Done,
    pub change: Option<Change>,
}

/// Decides one command. The book is not touched; [`Book::apply`] makes the change true.
pub fn decide(
    book: &Book,
    catalogue: &Catalogue,
    command: &Command,
    now: DateTime<Utc>,
) -> Result<Decision, Refusal> {
    let fingerprint = command.action.fingerprint();
    if let Some(answer) = book.answers.get(&command.key) {
        return repeat(answer, command, fingerprint);
    }
    let mut draft = Draft::begin(book, catalogue, command.dry_run, now)?;
    let made = match &command.action {
        Action::Recharge(recharge) => recharge::decide(&mut draft, recharge)?,
        Action::Checkout(checkout) => checkout::decide(&mut draft, catalogue, checkout)?,
        Action::Refund(refund) => refund::decide(&mut draft, refund)?,
    };
    Ok(draft.finish(command, fingerprint, made))
}

fn repeat(answer: &Answer, command: &Command, fingerprint: ledger::Hash) -> Result<Decision, Refusal> {
    answer.require_same(command.action.mutation(), fingerprint)?;
    Ok(Decision { done: Done::Before(answer.clone()), change: None })
}

/// What a command made, for its answer.
#[derive(Debug, Default)]
struct Made {
    order: Option<Arc<super::order::Order>>,
    bill: Option<Arc<super::bill::Bill>>,
    transaction: Option<Arc<Transaction>>,
    refunded: Option<Arc<Transaction>>,
}

/// A decision in the making, on a copy of the account.
struct Draft<'a> {
    book: &'a Book,
    account: Account,
    currency: Currency,
    instant: DateTime<Utc>,
    mint: IdMint,
    gain: Gain,
}

impl<'a> Draft<'a> {
    fn begin(
        book: &'a Book,
        catalogue: &Catalogue,
        dry_run: bool,
        now: DateTime<Utc>,
    ) -> Result<Self, Refusal> {
        let account = book.account.clone();
        let currency = catalogue.currencies.get(account.currency).copied().ok_or_else(|| {
            let message = format!("this server does not know the account's currency {}", account.currency);
            Refusal::general(RefusalCode::CurrencyMismatch, message)
        })?;
        let instant = account.decision_instant(now);
        let mint = IdMint::new(account.id, instant, account.last_no, dry_run);
        Ok(Self { book, account, currency, instant, mint, gain: Gain::default() })
    }

    fn next_id(&mut self) -> Result<OwnedId, OutOfRange> {
        self.mint.next_id()
    }

    /// Refuses what would newly cost money while the account is not active.
    fn require_active(&self) -> Result<(), Refusal> {
        match self.account.status {
            AccountStatus::Active => Ok(()),
            status => {
                let message = format!("the account is {}", status.code().to_lowercase());
                Err(Refusal::general(RefusalCode::AccountSuspended, message))
            }
        }
    }

    fn require_open(&self) -> Result<(), Refusal> {
        if self.account.status == AccountStatus::Closed {
            return Err(Refusal::general(RefusalCode::AccountSuspended, "the account is closed"));
        }
        Ok(())
    }

    /// Refuses to spend more than the balance and the credit limit hold.
    fn require_available(&self, amount: Decimal) -> Result<(), Refusal> {
        let available = self.account.available()?;
        if available < amount {
            let message = format!(
                "{} {} is needed, {} is available",
                self.currency.format(amount),
                self.currency.code,
                self.currency.format(available)
            );
            return Err(Refusal::general(RefusalCode::InsufficientBalance, message));
        }
        Ok(())
    }

    /// Refuses amounts that people cannot pay: zero, negative, more places than the currency has, or too large.
    fn require_payable(&self, field: &'static str, amount: Decimal) -> Result<(), Refusal> {
        if amount <= Decimal::ZERO {
            return Err(Refusal::new(RefusalCode::Invalid, field, "must be greater than zero"));
        }
        require_display_places(&self.currency, field, amount)?;
        require_not_above_largest(field, amount)
    }

    /// Posts a transaction to the account's ledger.
    fn post(&mut self, mut transaction: Transaction, posting: Posting) -> Result<Arc<Transaction>, Refusal> {
        let entry = ledger::post(&mut self.account, &mut transaction, posting)?;
        if self.account.available()? >= Decimal::ZERO {
            self.account.overdrawn = false;
        }
        let transaction = Arc::new(transaction);
        self.gain.entries.push(entry);
        self.gain.transactions.push(Arc::clone(&transaction));
        Ok(transaction)
    }

    fn finish(mut self, command: &Command, fingerprint: ledger::Hash, made: Made) -> Decision {
        self.account.last_no = self.mint.last_number();
        self.gain.answers.push(Answer {
            key: command.key.clone(),
            mutation: command.action.mutation(),
            fingerprint,
            transaction: made.transaction.as_ref().map(|transaction| transaction.id),
            order: made.order.as_ref().map(|order| order.id),
            bill: made.bill.as_ref().map(|bill| bill.id),
            created_at: self.instant,
        });
        let outcome = Outcome {
            account: Arc::new(self.account.clone()),
            order: made.order,
            bill: made.bill,
            transaction: made.transaction,
            refunded: made.refunded,
        };
        let change = Change { account: self.account, gain: self.gain };
        Decision { done: Done::Now(Box::new(outcome)), change: Some(change) }
    }
}

/// The largest amount that can be paid at once, and the highest price: 99,999,999.99.
pub const AMOUNT_MAX: Decimal = Decimal::from_parts(1_410_065_407, 2, 0, false, 2);

/// Refuses an amount of more places than people pay in.
pub fn require_display_places(
    currency: &Currency,
    field: &'static str,
    amount: Decimal,
) -> Result<(), Refusal> {
    if currency.is_display_amount(amount) {
        return Ok(());
    }
    let message = format!("{} has {} decimal places", currency.code, currency.display_scale);
    Err(Refusal::new(RefusalCode::Invalid, field, message))
}

/// Refuses an amount above [`AMOUNT_MAX`].
pub fn require_not_above_largest(field: &'static str, amount: Decimal) -> Result<(), Refusal> {
    if amount <= AMOUNT_MAX {
        return Ok(());
    }
    let message = format!("must not exceed {}", money::format_decimal(AMOUNT_MAX, 2));
    Err(Refusal::new(RefusalCode::OutOfRange, field, message))
}
