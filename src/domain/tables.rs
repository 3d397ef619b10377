//! The tables that a decision reads and writes: one list, from which a [`Book`] has what is held of each, and a [`WriteSet`] what
//! came to be of each. A new kind of row is a line here, and what says how it is called.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use rust_decimal::Decimal;

use super::account::{Account, SuspendedSpan};
use super::approval::{Approval, OperatorMove};
use super::bill::{Bill, DueAt, OpenBills};
use super::closing::ClosedMonth;
use super::erasure::Erasure;
use super::idempotency::IdempotencyRecord;
use super::ids::{
    AccountId, ApprovalId, BillId, OrderId, PaymentId, PaymentMethodId, PrepaymentId, QuoteId, TransactionId,
};
use super::ledger::Entry;
use super::money::CurrencyCode;
use super::notice::Notice;
use super::order::Order;
use super::payment::Payment;
use super::payment_method::PaymentMethod;
use super::prepay::{Deposit, DepositPlace, PrepayQuote, Prepayment};
use super::record::Record;
use super::reversal::{ProviderReference, Reversal};
use super::transaction::Transaction;

/// What has a key of its own among all that are like it, and is an account's.
pub trait Keyed {
    type Key: Ord;

    fn key(&self) -> Self::Key;

    fn owner(&self) -> AccountId;
}

/// Rows of one table, as far as they are held.
pub type Table<T> = BTreeMap<<T as Keyed>::Key, Arc<T>>;

/// Rows that came to be, and rows that changed: they are written by different statements.
#[derive(Debug, Clone)]
pub struct Rows<T> {
    pub new: Vec<Arc<T>>,
    pub changed: Vec<Arc<T>>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { new: Vec::new(), changed: Vec::new() }
    }
}

/// What is written as it is, whether it is new or has changed.
pub trait InTable: Keyed + Sized {
    fn written(set: &mut WriteSet) -> &mut Table<Self>;
}

macro_rules! in_table {
    (Table $table:ident $row:ty) => {
        impl InTable for $row {
            fn written(set: &mut WriteSet) -> &mut Table<Self> {
                &mut set.$table
            }
        }
    };
    (Rows $table:ident $row:ty) => {};
}

/// What was written before something else is.
trait Written: Sized {
    /// Adds what has nothing in common with it.
    fn append(&mut self, others: Self);

    /// Adds what came later. What came to be or changed before and has changed again is kept once, as it is now.
    fn merge(&mut self, later: Self) {
        self.append(later);
    }

    fn is_empty(&self) -> bool;
}

/// What was written of a table.
trait WrittenRows<T: Keyed>: Written {
    fn enter(&self, table: &mut Table<T>);
}

impl<T: Keyed> Written for Rows<T> {
    fn append(&mut self, others: Self) {
        self.new.extend(others.new);
        self.changed.extend(others.changed);
    }

    fn merge(&mut self, later: Self) {
        for row in later.changed {
            let mut held = self.new.iter_mut().chain(self.changed.iter_mut());
            match held.find(|held| held.key() == row.key()) {
                Some(held) => *held = row,
                None => self.changed.push(row),
            }
        }
        self.new.extend(later.new);
    }

    fn is_empty(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty()
    }
}

impl<T: Keyed> WrittenRows<T> for Rows<T> {
    fn enter(&self, table: &mut Table<T>) {
        table.extend(self.changed.iter().chain(&self.new).map(|row| (row.key(), Arc::clone(row))));
    }
}

impl<K: Ord, V> Written for BTreeMap<K, V> {
    fn append(&mut self, others: Self) {
        self.extend(others);
    }

    fn is_empty(&self) -> bool {
        BTreeMap::is_empty(self)
    }
}

impl<T: Keyed> WrittenRows<T> for Table<T> {
    fn enter(&self, table: &mut Table<T>) {
        table.extend(self.values().map(|row| (row.key(), Arc::clone(row))));
    }
}

impl<T> Written for Vec<T> {
    fn append(&mut self, others: Self) {
        self.extend(others);
    }

    fn is_empty(&self) -> bool {
        Vec::is_empty(self)
    }
}

impl<T: Ord> Written for BTreeSet<T> {
    fn append(&mut self, others: Self) {
        self.extend(others);
    }

    fn is_empty(&self) -> bool {
        BTreeSet::is_empty(self)
    }
}

macro_rules! tables {
    (
        held and written { $($(#[$table_doc:meta])* $table:ident: $row:ty as $written:ident,)* }
        $(#[$held_doc:meta])* held { $($(#[$fact_doc:meta])* $fact:ident: $fact_type:ty,)* }
        $(#[$write_doc:meta])* written { $($(#[$list_doc:meta])* $list:ident: $list_type:ty,)* }
    ) => {
        $(#[$held_doc])*
        #[derive(Debug, Clone)]
        pub struct Book {
            pub account: Account,
            $($(#[$table_doc])* pub $table: Table<$row>,)*
            $($(#[$fact_doc])* pub $fact: $fact_type,)*
            /// What came to be since it was read.
            pub gained: WriteSet,
        }

        impl Book {
            pub fn new(account: Account) -> Self {
                Self {
                    account,
                    $($table: Table::new(),)*
                    $($fact: Default::default(),)*
                    gained: WriteSet::default(),
                }
            }

            /// Makes rows that were written those that are held.
            pub(super) fn enter(&mut self, written: &WriteSet) {
                $(written.$table.enter(&mut self.$table);)*
            }
        }

        $(#[$write_doc])*
        #[derive(Debug, Clone, Default)]
        pub struct WriteSet {
            $(pub $table: $written<$row>,)*
            $($(#[$list_doc])* pub $list: $list_type,)*
            /// Whether what few commands change of accounts has changed.
            pub account_settings: bool,
            /// Whether anything was decided that must be kept.
            pub changed: bool,
        }

        $(in_table!($written $table $row);)*

        impl WriteSet {
            /// Whether there is anything to write beside the account.
            pub fn holds_anything(&self) -> bool {
                $(!Written::is_empty(&self.$table))||* $(|| !Written::is_empty(&self.$list))*
            }

            /// Adds what other accounts gained.
            pub fn append(&mut self, others: Self) {
                $(Written::append(&mut self.$table, others.$table);)*
                $(Written::append(&mut self.$list, others.$list);)*
                self.account_settings |= others.account_settings;
                self.changed |= others.changed;
            }

            /// Adds what the same account gained later.
            pub fn merge(&mut self, later: Self) {
                $(Written::merge(&mut self.$table, later.$table);)*
                $(Written::merge(&mut self.$list, later.$list);)*
                self.account_settings |= later.account_settings;
                self.changed |= later.changed;
            }
        }
    };
}

/// Has a macro expanded with the tables that books hold, in the order in which they are written, what else they hold, and what else is
/// written.
macro_rules! with_tables {
    ($expanded:ident) => {
        $expanded! {
            held and written {
                orders: Order as Rows,
                bills: Bill as Rows,
                transactions: Transaction as Rows,
                approvals: Approval as Table,
                prepay_quotes: PrepayQuote as Table,
                /// Before one is added all that are kept; else those that are named.
                payment_methods: PaymentMethod as Table,
                payments: Payment as Table,
                prepayments: Prepayment as Table,
                /// All of the charges that are named.
                reversals: Reversal as Table,
                /// All to the addresses that are named, and of the prepayments that wait for some.
                deposits: Deposit as Table,
                closed_months: ClosedMonth as Table,
            }

            /// One account under its lock, with what its commands need, and what it has gained since it was read.
            ///
            /// It holds at least: the answers of the commands' keys; the orders, bills and transactions that they name, and those
            /// orders' bills and predecessors with theirs; before a purchase, all live orders of exclusive plans with their bills; before
            /// money comes in or a bill is paid, the open bills that are due up to `due_horizon`, with their orders, beyond that the next
            /// ones of those orders and of months, and some of the orders whose renewal waits for money, those that end first; before the
            /// account may be suspended or not any more, all live orders on demand; before it is closed, all live orders and open bills, if
            /// they are not too many; before it is opened again, its last month; before it is erased, whether anything of it is open; of a
            /// month's bill that is named, all bills of that month; before a
            /// month is closed or corrected, the closed ones that overlap it; of payments and prepayments that are named, each other,
            /// what they renew or give back, their transactions, their reversals, and whatever has taken the same offer; the
            /// prepayments of the addresses that are named; of what waits for another operator, what is named, or held by a key that is, and
            /// before an operator's command is weighed all of it, with what operators have moved within a day.
            held {
                answers: HashMap<String, IdempotencyRecord>,
                /// What is named of what does not match, and operators were not told of.
                untold: BTreeSet<ProviderReference>,
                /// Those of the approvals that are not what a server has sealed.
                altered_approvals: BTreeSet<ApprovalId>,
                /// What operators have moved without another within a day.
                moved_alone: HashMap<(String, CurrencyCode), Decimal>,
                /// How many of its orders wait for their first payment; read before one is placed that will.
                unpaid_orders: usize,
                /// How many offers hold; read before one is made.
                open_quotes: usize,
                /// Whether it has SUB accounts that are not closed; read before it is closed.
                has_open_subs: bool,
                /// Whether its MAIN account is closed; read before it is opened again.
                has_closed_parent: bool,
                /// Where more bills are due than are paid at once, the first that is not paid now; None: the book holds all that are due.
                due_horizon: Option<DueAt>,
                /// What its open bills ask for in all, where that counts and the book does not hold them; None: it does.
                open_bills: Option<OpenBills>,
                /// Whether more runs and is open than can be ended at once; read before it is closed.
                is_too_large_to_close: bool,
                /// What of it is still open or waits for something, for people; read before it is erased.
                unsettled: Option<String>,
            }

            /// Rows that came to be, and rows that changed.
            written {
                entries: Vec<Entry>,
                notices: Vec<Arc<Notice>>,
                /// What keys hold that held nothing, with their accounts.
                answers: Vec<(AccountId, IdempotencyRecord)>,
                /// What keys hold that held something else.
                changed_answers: Vec<(AccountId, IdempotencyRecord)>,
                operator_moves: Vec<OperatorMove>,
                records: Vec<Record>,
                /// What does not match, and operators are told of.
                told: BTreeSet<ProviderReference>,
                suspended_spans: Vec<SuspendedSpan>,
                /// Days (UTC) of accounts whose months are to be looked at again.
                late_days: Vec<(AccountId, NaiveDate)>,
                /// Accounts whose time zone has changed.
                moved: Vec<AccountId>,
                /// Accounts that are erased from now on.
                erasures: Vec<Erasure>,
            }
        }
    };
}
pub(crate) use with_tables;

with_tables!(tables);

/// What an account owns, by its id.
macro_rules! keyed {
    ($($row:ty = $id:ty),* $(,)?) => {$(
        impl Keyed for $row {
            type Key = $id;

            fn key(&self) -> $id {
                self.id
            }

            fn owner(&self) -> AccountId {
                self.id.account()
            }
        }
    )*};
}
keyed![
    Order = OrderId,
    Bill = BillId,
    Transaction = TransactionId,
    PaymentMethod = PaymentMethodId,
    PrepayQuote = QuoteId,
    Prepayment = PrepaymentId,
    Payment = PaymentId,
    Approval = ApprovalId,
];

impl Keyed for Reversal {
    type Key = ProviderReference;

    fn key(&self) -> ProviderReference {
        self.name()
    }

    fn owner(&self) -> AccountId {
        self.account()
    }
}

impl Keyed for Deposit {
    type Key = DepositPlace;

    fn key(&self) -> DepositPlace {
        self.place.clone()
    }

    fn owner(&self) -> AccountId {
        self.account
    }
}

/// A month of an account's by its beginning.
impl Keyed for ClosedMonth {
    type Key = (AccountId, DateTime<Utc>);

    fn key(&self) -> (AccountId, DateTime<Utc>) {
        (self.account, self.month.start)
    }

    fn owner(&self) -> AccountId {
        self.account
    }
}
