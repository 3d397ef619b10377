//! One batch as one transaction: lock, load, decide, write, commit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::try_join;
use uuid::Uuid;

use crate::clock::Clock;
use crate::domain::account::Account;
use crate::domain::book::{Book, Catalogue, ExclusiveOrder, Gain};
use crate::domain::command::{Action, Answer, Command, Done};
use crate::domain::decide::decide;
use crate::domain::ids::{AccountId, OwnedId, PlanId};
use crate::domain::ledger::Entry;
use crate::domain::money::Currencies;
use crate::domain::refusal::Refusal;
use crate::store::accounts;
use crate::store::error::StoreError;
use crate::store::{Conn, bills, keys, ledger, orders, plans, transactions};

/// What a batch did with one of its commands.
pub(super) enum Verdict {
    Done(Done),
    Refused(Refusal),
    /// Another transaction holds the account; to be tried again.
    HeldElsewhere,
}

type Books = BTreeMap<AccountId, Book>;

/// Runs the commands in their order. When it fails nothing has been done, unless the connection was lost at the
/// commit.
pub(super) async fn run(
    connection: &mut AsyncPgConnection,
    currencies: &Arc<Currencies>,
    clock: &Clock,
    commands: &[&Command],
) -> Result<Vec<Verdict>, StoreError> {
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            // A statement of its own: what is read before the lock is held may be stale.
            let accounts = accounts::account_lock(conn, account_numbers(commands)).await?;
            let (mut books, catalogue) = load(conn, accounts, currencies, commands).await?;
            let now = clock.now();
            let decided = |command: &&Command| decide_in(&mut books, &catalogue, command, now);
            let verdicts: Vec<Verdict> = commands.iter().map(decided).collect();
            write(conn, books).await?;
            Ok(verdicts)
        })
        .await
}

fn account_numbers(commands: &[&Command]) -> Vec<i64> {
    let mut numbers: Vec<i64> = commands.iter().map(|command| command.account.0).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

fn decide_in(
    books: &mut Books,
    catalogue: &Catalogue,
    command: &Command,
    now: chrono::DateTime<chrono::Utc>,
) -> Verdict {
    let Some(book) = books.get_mut(&command.account) else { return Verdict::HeldElsewhere };
    match decide(book, catalogue, command, now) {
        Ok(decision) => {
            if let Some(change) = decision.change.filter(|_| !command.dry_run) {
                book.apply(change);
            }
            Verdict::Done(decision.done)
        }
        Err(refusal) => Verdict::Refused(refusal),
    }
}

/// Reads, under the locks, what the commands name. The statements go down the wire together.
async fn load(
    conn: Conn<'_>,
    accounts: Vec<Account>,
    currencies: &Arc<Currencies>,
    commands: &[&Command],
) -> Result<(Books, Catalogue), StoreError> {
    let named = Named::by(commands);
    let (answers, plans, exclusive, exclusive_bills, transactions) = try_join!(
        keys::answer_by_keys(conn, named.key_accounts, named.keys),
        when(!named.plans.is_empty(), plans::plan_by_ids(conn, named.plans)),
        when(!named.buyers.is_empty(), orders::order_exclusive(conn, named.buyers.clone())),
        when(!named.buyers.is_empty(), bills::bill_of_exclusive_orders(conn, named.buyers)),
        when(!named.transactions.is_empty(), transactions::transaction_by_ids(conn, &named.transactions)),
    )?;
    let mut books: Books = accounts.into_iter().map(|account| (account.id, Book::new(account))).collect();
    for (account, answer) in answers {
        if let Some(book) = books.get_mut(&account) {
            book.answers.insert(answer.key.clone(), answer);
        }
    }
    for transaction in transactions {
        if let Some(book) = books.get_mut(&transaction.account()) {
            book.transactions.insert(transaction.id, Arc::new(transaction));
        }
    }
    for order in exclusive {
        if let Some(book) = books.get_mut(&order.account()) {
            let bills = exclusive_bills.iter().filter(|bill| bill.order == Some(order.id));
            let bills = bills.cloned().map(Arc::new).collect();
            book.exclusive_orders.push(ExclusiveOrder { order: Arc::new(order), bills });
        }
    }
    let plans: HashMap<PlanId, _> = plans.into_iter().map(|plan| (plan.id, plan)).collect();
    Ok((books, Catalogue { currencies: Arc::clone(currencies), plans }))
}

/// What the commands of a batch name.
#[derive(Default)]
struct Named {
    key_accounts: Vec<i64>,
    keys: Vec<String>,
    plans: Vec<Uuid>,
    /// The accounts that buy something.
    buyers: Vec<i64>,
    transactions: Vec<OwnedId>,
}

impl Named {
    fn by(commands: &[&Command]) -> Self {
        let mut named = Self::default();
        for command in commands {
            named.key_accounts.push(command.account.0);
            named.keys.push(command.key.clone());
            match &command.action {
                Action::Recharge(_) => {}
                Action::Checkout(checkout) => {
                    named.plans.push(checkout.plan.0);
                    named.buyers.push(command.account.0);
                }
                Action::Refund(refund) => named.transactions.push(refund.transaction.0),
            }
        }
        named.plans.sort_unstable();
        named.plans.dedup();
        named
    }
}

/// Asks only if there is something to ask for.
async fn when<T: Default>(
    wanted: bool,
    question: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    if wanted { question.await } else { Ok(T::default()) }
}

/// Writes what the books gained: one statement per table, down the wire together.
async fn write(conn: Conn<'_>, books: Books) -> Result<(), StoreError> {
    let (accounts, gain, answers) = collect(books);
    if answers.is_empty() {
        return Ok(());
    }
    try_join!(
        accounts::account_post(conn, &accounts),
        write_orders(conn, &gain),
        when(!gain.bills.is_empty(), bills::bill_insert(conn, &gain.bills)),
        when(!gain.transactions.is_empty(), transactions::transaction_insert(conn, &gain.transactions)),
        when(!gain.entries.is_empty(), ledger::entry_insert(conn, &gain.entries)),
        when(!gain.changed_bills.is_empty(), bills::bill_change(conn, &gain.changed_bills)),
        when(
            !gain.changed_transactions.is_empty(),
            transactions::transaction_change(conn, &gain.changed_transactions)
        ),
        keys::answer_insert(conn, &answers),
    )?;
    Ok(())
}

/// The old order gives up its place before the new one takes it.
async fn write_orders(conn: Conn<'_>, gain: &Gain) -> Result<(), StoreError> {
    when(!gain.changed_orders.is_empty(), orders::order_change(conn, &gain.changed_orders)).await?;
    when(!gain.orders.is_empty(), orders::order_insert(conn, &gain.orders)).await
}

fn collect(books: Books) -> (Vec<Account>, Gain, Vec<(AccountId, Answer)>) {
    let mut accounts = Vec::with_capacity(books.len());
    let mut all = Gain::default();
    let mut answers = Vec::new();
    for (id, book) in books {
        let gained = book.gained;
        // Every change holds an answer.
        if gained.answers.is_empty() {
            continue;
        }
        accounts.push(book.account);
        all.orders.extend(gained.orders);
        all.changed_orders.extend(gained.changed_orders);
        all.bills.extend(gained.bills);
        all.changed_bills.extend(gained.changed_bills);
        all.transactions.extend(gained.transactions);
        all.changed_transactions.extend(gained.changed_transactions);
        all.entries.extend::<Vec<Entry>>(gained.entries);
        answers.extend(gained.answers.into_iter().map(|answer| (id, answer)));
    }
    (accounts, all, answers)
}
