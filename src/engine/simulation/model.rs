//! What the lanes know of PostgreSQL, without PostgreSQL: transactions that hold accounts, commits that are done, done late, or never,
//! answers that are lost, statements that wait, connections that end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use tokio::time::Instant;

use super::dice::Dice;
use super::ground::begin;
use crate::clock::Clock;
use crate::domain::account::Account;
use crate::domain::book::{Book, CapacityCatalogue, Catalogue};
use crate::domain::command::{Command, CommandKey};
use crate::domain::idempotency::IdempotencyRecord;
use crate::domain::ids::AccountId;
use crate::domain::ledger::Entry;
use crate::domain::money::{Currencies, CurrencyCode};
use crate::domain::policies::Policies;
use crate::domain::seal::SealKeys;
use crate::engine::batch_store::{AccountLocks, BatchStore};
use crate::engine::books::Books;
use crate::store::clock_check::SKEW_MAX;
use crate::store::error::StoreError;
use crate::store::seals::AltSeals;

/// What the store refuses to write.
pub(super) const POISON: &str = "poison";
/// A transaction whose connection is gone is noticed by then.
const NOTICED_AFTER_MAX: u64 = 8_000;
/// A commit may reach the store as late as this.
const LATE_MAX: u64 = 90_000;

/// The store, as all servers share it.
#[derive(Clone)]
pub(super) struct Model {
    state: Arc<Mutex<State>>,
    began: Instant,
}

/// The store as a server sees it.
#[derive(Clone)]
pub(super) struct ServerView {
    model: Model,
    /// The server's clock.
    clock: Clock,
}

pub(super) struct State {
    dice: Dice,
    fails: bool,
    /// Accounts live in so many places, or all in one.
    places: Option<u64>,
    /// Nothing is answered until then.
    paused_until: Instant,
    pub statements: u64,
    last_transaction: u64,
    accounts: BTreeMap<AccountId, Account>,
    /// Which transaction holds an account.
    held: BTreeMap<AccountId, u64>,
    pub answers: BTreeMap<CommandKey, IdempotencyRecord>,
    pub refused: BTreeMap<CommandKey, DateTime<Utc>>,
    pub entries: BTreeMap<AccountId, Vec<Entry>>,
    digest: DefaultHasher,
}

/// A transaction's writes.
#[derive(Default)]
struct Writes {
    books: Vec<Book>,
    refused: BTreeSet<CommandKey>,
}

struct Transaction {
    number: u64,
    writes: Writes,
}

pub(super) struct Connection {
    model: Model,
    /// None where none was begun, or it has ended.
    transaction: Mutex<Option<Transaction>>,
    is_gone: AtomicBool,
    /// What it writes goes with it.
    is_for_trial: bool,
}

impl Drop for Connection {
    /// The store notices some time.
    fn drop(&mut self) {
        let Some(transaction) = self.transaction().take() else { return };
        let (model, after) = (self.model.clone(), self.model.state().dice.millis(NOTICED_AFTER_MAX));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                tokio::time::sleep(after).await;
                model.state().release(transaction.number);
            });
        }
    }
}

impl Connection {
    fn transaction(&self) -> MutexGuard<'_, Option<Transaction>> {
        self.transaction.lock().expect("nobody panics here")
    }
}

impl State {
    fn release(&mut self, transaction: u64) {
        self.held.retain(|_, by| *by != transaction);
    }

    fn note(&mut self, what: &str, number: u64) {
        (what, number).hash(&mut self.digest);
    }

    /// Makes what a transaction wrote true.
    fn apply(&mut self, Transaction { number, writes }: Transaction, now: DateTime<Utc>) {
        for book in writes.books {
            let id = book.account.id;
            assert_eq!(self.held.get(&id), Some(&number), "an account is written by whoever holds it");
            for (account, answer) in book.gained.answers {
                let taken = self.answers.insert((account, answer.key.clone()), answer);
                assert!(taken.is_none(), "a key is used once");
            }
            self.entries.entry(id).or_default().extend(book.gained.entries);
            self.accounts.insert(id, book.account);
        }
        for key in writes.refused {
            self.refused.insert(key, now);
        }
        self.note("applied", number);
        self.release(number);
    }
}

/// How a statement goes.
enum Course {
    Answered,
    Contended,
    /// The connection is gone with it.
    Lost,
}

/// How a commit goes.
enum Fate {
    Done,
    /// Done, and nobody is told.
    AnswerLost,
    /// The client gives up before it arrives.
    Late,
    /// It never arrives.
    Lost,
}

impl Model {
    pub fn new(mut dice: Dice, accounts: i64) -> Self {
        let now = Instant::now();
        let places = Some(dice.below(4)).filter(|places| *places > 0);
        let state = State {
            dice,
            fails: true,
            places,
            paused_until: now,
            statements: 0,
            last_transaction: 0,
            accounts: (1..=accounts).map(|number| (AccountId(number), account(number))).collect(),
            held: BTreeMap::new(),
            answers: BTreeMap::new(),
            refused: BTreeMap::new(),
            entries: BTreeMap::new(),
            digest: DefaultHasher::new(),
        };
        Self { state: Arc::new(Mutex::new(state)), began: now }
    }

    pub fn seen_by(&self, clock: Clock) -> ServerView {
        ServerView { model: self.clone(), clock }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics here")
    }

    /// What time it is by the store's clock.
    pub fn now(&self) -> DateTime<Utc> {
        begin() + TimeDelta::from_std(self.began.elapsed()).expect("no run takes so long")
    }

    pub fn fails(&self) -> bool {
        self.state().fails
    }

    pub fn fail_no_more(&self) {
        self.state().fails = false;
    }

    pub fn balance(&self, account: AccountId) -> Decimal {
        self.state().accounts[&account].balance
    }

    /// Of all that happened, in its order.
    pub fn digest(&self) -> u64 {
        self.state().digest.finish()
    }

    /// Lets time pass as a statement does; what comes of it.
    async fn statement(&self) -> Course {
        let (wait, course) = {
            let mut state = self.state();
            state.statements += 1;
            let count = state.statements;
            state.note("statement", count);
            let fails = state.fails;
            let dice = &mut state.dice;
            let mut wait = if dice.one_in(50) { dice.millis(300) } else { dice.millis(4) };
            let mut course = Course::Answered;
            if fails {
                if dice.one_in(400) {
                    wait += dice.millis(20_000);
                }
                course = match dice.below(300) {
                    0 => Course::Contended,
                    1 | 2 => Course::Lost,
                    _ => Course::Answered,
                };
                if dice.one_in(4_000) {
                    let pause = dice.millis(100_000);
                    state.paused_until = Instant::now() + pause;
                }
            }
            (wait, course)
        };
        loop {
            let paused_until = self.state().paused_until;
            if paused_until <= Instant::now() {
                break;
            }
            tokio::time::sleep_until(paused_until).await;
        }
        tokio::time::sleep(wait).await;
        course
    }

    async fn ask(&self, conn: &Connection) -> Result<(), StoreError> {
        if conn.is_gone.load(Ordering::Relaxed) {
            return Err(gone());
        }
        match self.statement().await {
            Course::Answered => Ok(()),
            Course::Contended => Err(StoreError::Contended("canceled on lock timeout".to_owned())),
            Course::Lost => {
                conn.is_gone.store(true, Ordering::Relaxed);
                Err(gone())
            }
        }
    }

    async fn connected(&self, is_for_trial: bool) -> Result<Connection, StoreError> {
        if matches!(self.statement().await, Course::Lost) {
            return Err(gone());
        }
        let (transaction, is_gone) = (Mutex::new(None), AtomicBool::new(false));
        Ok(Connection { model: self.clone(), transaction, is_gone, is_for_trial })
    }

    /// Goes on although whoever sent it has left.
    async fn commit(self, transaction: Transaction, fate: Fate) {
        let wait = {
            let mut state = self.state();
            match fate {
                Fate::Done | Fate::AnswerLost => state.dice.millis(20),
                Fate::Late => state.dice.millis(LATE_MAX),
                Fate::Lost => state.dice.millis(NOTICED_AFTER_MAX),
            }
        };
        tokio::time::sleep(wait).await;
        let now = self.now();
        match fate {
            Fate::Lost => self.state().release(transaction.number),
            Fate::Done | Fate::AnswerLost | Fate::Late => self.state().apply(transaction, now),
        }
    }

    fn fate(&self) -> Fate {
        let mut state = self.state();
        if !state.fails {
            return Fate::Done;
        }
        match state.dice.below(60) {
            0 => Fate::AnswerLost,
            1 => Fate::Late,
            2 => Fate::Lost,
            _ => Fate::Done,
        }
    }
}

fn gone() -> StoreError {
    StoreError::Unavailable("the connection is gone".to_owned())
}

impl BatchStore for ServerView {
    type Connection = Connection;

    fn place_of(&self, account: AccountId) -> Option<usize> {
        let places = self.model.state().places?;
        Some((account.0.unsigned_abs() % places) as usize)
    }

    async fn connect(&self) -> Result<Connection, StoreError> {
        self.model.connected(false).await
    }

    async fn connect_for_trial(&self) -> Result<Connection, StoreError> {
        self.model.connected(true).await
    }

    async fn begin(&self, conn: &Connection, accounts: Vec<i64>) -> Result<AccountLocks, StoreError> {
        self.model.ask(conn).await?;
        let transaction = {
            let mut state = self.model.state();
            state.last_transaction += 1;
            state.last_transaction
        };
        *conn.transaction() = Some(Transaction { number: transaction, writes: Writes::default() });
        self.model.ask(conn).await?;
        let now = self.model.now();
        if self.clock.now().signed_duration_since(now).abs() > SKEW_MAX {
            return Err(StoreError::WrongClock("the machine's clock is wrong".to_owned()));
        }
        let places: BTreeSet<_> = accounts.iter().map(|id| self.place_of(AccountId(*id))).collect();
        assert!(places.len() <= 1, "a transaction has several places: {accounts:?}");
        let mut state = self.model.state();
        let mut locked = Vec::new();
        for id in accounts.into_iter().map(AccountId) {
            if *state.held.entry(id).or_insert(transaction) == transaction {
                locked.push(state.accounts[&id].clone());
            }
        }
        let at = (!locked.is_empty()).then_some(now);
        Ok(AccountLocks { accounts: locked, others: AltSeals::new(), at })
    }

    async fn refused_keys(
        &self,
        conn: &Connection,
        keys: Vec<CommandKey>,
    ) -> Result<Vec<(AccountId, String, DateTime<Utc>)>, StoreError> {
        self.model.ask(conn).await?;
        let state = self.model.state();
        let refused = |key: CommandKey| state.refused.get(&key).map(|at| (key.0, key.1.clone(), *at));
        Ok(keys.into_iter().filter_map(refused).collect())
    }

    async fn accepted_until(
        &self,
        _: &Connection,
        _: Vec<i64>,
    ) -> Result<Vec<(AccountId, DateTime<Utc>)>, StoreError> {
        Ok(Vec::new())
    }

    async fn load(
        &self,
        conn: &Connection,
        accounts: Vec<Account>,
        _: DateTime<Utc>,
        commands: &[&Command],
    ) -> Result<(Books, Catalogue), StoreError> {
        self.model.ask(conn).await?;
        let mut books: Books = accounts.into_iter().map(|account| (account.id, Book::new(account))).collect();
        let state = self.model.state();
        for key in commands.iter().filter_map(|command| command.kept_key()) {
            if let (Some(book), Some(answer)) = (books.get_mut(&key.0), state.answers.get(&key)) {
                book.answers.insert(key.1, answer.clone());
            }
        }
        Ok((books, catalogue()))
    }

    async fn write(
        &self,
        conn: &Connection,
        books: Books,
        _: DateTime<Utc>,
        _: AltSeals,
    ) -> Result<(), StoreError> {
        self.model.ask(conn).await?;
        let books: Vec<Book> = books.into_values().filter(|book| book.gained.changed).collect();
        if books.iter().flat_map(|book| &book.gained.entries).any(|entry| entry.reason.contains(POISON)) {
            return Err(StoreError::Rejected { constraint: None, message: "no such value".to_owned() });
        }
        conn.transaction().as_mut().expect("it was begun").writes.books = books;
        Ok(())
    }

    async fn note_refused(&self, conn: &Connection, keys: BTreeSet<CommandKey>) -> Result<(), StoreError> {
        self.model.ask(conn).await?;
        conn.transaction().as_mut().expect("it was begun").writes.refused = keys;
        Ok(())
    }

    async fn commit(&self, conn: &Connection) -> Result<(), StoreError> {
        let transaction = conn.transaction().take().expect("it was begun");
        if conn.is_for_trial {
            self.model.state().release(transaction.number);
            return Ok(());
        }
        let fate = self.model.fate();
        let is_told = matches!(fate, Fate::Done);
        let committing = tokio::spawn(self.model.clone().commit(transaction, fate));
        if is_told {
            committing.await.map_err(|_| gone())
        } else {
            let wait = self.model.state().dice.millis(70_000);
            tokio::time::sleep(wait).await;
            Err(gone())
        }
    }

    async fn roll_back(&self, conn: &Connection, error: StoreError) -> StoreError {
        // One that is gone is rolled back when that is noticed.
        if !matches!(error, StoreError::Unavailable(_))
            && let Some(transaction) = conn.transaction().take()
        {
            self.model.state().release(transaction.number);
        }
        error
    }
}

fn catalogue() -> Catalogue {
    Catalogue {
        currencies: Arc::new(Currencies::default()),
        policies: Policies::default(),
        keys: Arc::new(SealKeys::of_sandbox()),
        plans: HashMap::new(),
        capacity: CapacityCatalogue::default(),
    }
}

fn account(number: i64) -> Account {
    let currency = CurrencyCode::parse("CNY").expect("a code");
    let (namespace, name) = (format!("tenant-{number}"), format!("Tenant {number}"));
    Account::opened(AccountId(number), namespace, name, currency, begin())
}

/// Longer than any statement takes once nothing fails.
pub(super) const SOON: Duration = Duration::from_secs(20);
