//! The books of a batch's accounts, and how they are filled.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::book::{Book, Keyed, Table};
use crate::domain::ids::AccountId;
use crate::domain::money::Currencies;
use crate::domain::policies::Policies;
use crate::domain::seal::SealKeys;
use crate::store::error::StoreError;

/// What decisions stand on, beside what is read for them.
#[derive(Clone)]
pub(super) struct Ground {
    pub currencies: Arc<Currencies>,
    pub policies: Policies,
    /// What seals and hashes are made with.
    pub keys: Arc<SealKeys>,
}

/// What a batch is decided on, and what it makes, by account.
pub(super) type Books = BTreeMap<AccountId, Book>;

/// Asks only if there is something to ask for.
pub(super) async fn when<T: Default>(
    wanted: bool,
    question: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    if wanted { question.await } else { Ok(T::default()) }
}

/// Puts rows into the books of their accounts.
pub(super) fn enter<T: Keyed>(
    books: &mut Books,
    rows: impl IntoIterator<Item = T>,
    table: impl Fn(&mut Book) -> &mut Table<T>,
) {
    for row in rows {
        if let Some(book) = books.get_mut(&row.owner()) {
            table(book).insert(row.key(), Arc::new(row));
        }
    }
}

/// Notes in the books of accounts what is known of them.
pub(super) fn note<T>(
    books: &mut Books,
    facts: impl IntoIterator<Item = (AccountId, T)>,
    note: impl Fn(&mut Book, T),
) {
    for (account, fact) in facts {
        if let Some(book) = books.get_mut(&account) {
            note(book, fact);
        }
    }
}
