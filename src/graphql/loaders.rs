//! A request's loaders: each asks the repository as the request's viewer, which shares the look-up with other requests
//! and answers only what the viewer may see. The key says what is loaded.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use async_graphql::dataloader::Loader;
use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::runtime::key::Lookups;
use crate::domain::account::Account;
use crate::domain::approval::Approval;
use crate::domain::bill::{Bill, BillHeader};
use crate::domain::capacity::ResourcePrice;
use crate::domain::ids::{
    AccountId, ApprovalId, BillId, InvoiceId, LicenseId, OrderId, PaymentId, PaymentMethodId, PlanId,
    PriceRuleId, ResourcePriceId, TransactionId,
};
use crate::domain::invoice::Invoice;
use crate::domain::license::License;
use crate::domain::notice::Notice;
use crate::domain::payment::Payment;
use crate::domain::payment_method::PaymentMethod;
use crate::domain::plan::{Plan, PlanResource, Resource};
use crate::domain::prepay::Deposit;
use crate::domain::price_rule::PriceRule;
use crate::domain::record::Record;
use crate::domain::transaction::Transaction;
use crate::store::deposits::AddressOf;
use crate::store::error::StoreError;
use crate::store::grouped::{Newest, Rows};
use crate::store::owned::{Header, Owned};

/// Declares a loader: `key => value`, answered by a method of the repository. A key type of its own keeps loaders
/// apart that look up different things of the same owner.
macro_rules! loader {
    ($key:ty => $value:ty, |$repository:ident, $keys:ident| $load:expr) => {
        impl Loader<$key> for Lookups {
            type Value = $value;
            type Error = StoreError;

            async fn load(&self, $keys: &[$key]) -> Result<HashMap<$key, Self::Value>, StoreError> {
                let $repository = &self.0;
                $load.await
            }
        }
    };
}

macro_rules! owner_key {
    ($($(#[$doc:meta])* $name:ident($owner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) struct $name(pub $owner);
    )*};
}

owner_key! {
    /// An account's open notices, newest first.
    NoticesOf(AccountId);
    /// What an account can pay with, newest first.
    PaymentMethodsOf(AccountId);
    /// The plans of an account's live orders.
    PlansOf(AccountId);
    /// What a plan includes.
    ResourcesOf(PlanId);
    /// An order's newest bills: so many.
    NewestBillsOfOrder((OrderId, i64));
    /// The headers of an order's newest bills: so many.
    NewestBillHeadersOfOrder((OrderId, i64));
    /// What a bill charges afterwards.
    RecordsOf(BillId);
    /// What was given back of a transaction.
    RefundsOf(TransactionId);
    /// An account's newest invoices, drafts among them: so many.
    NewestInvoicesOf((AccountId, i64));
    /// An account's own price rules, in the order in which they were set.
    OwnRulesOf(AccountId);
    /// The price rules for everyone, in the order in which they were set.
    DefaultRules(());
    /// An account's balance at an earlier instant.
    BalanceAt((AccountId, DateTime<Utc>));
}

macro_rules! newest_key {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name<T> {
            pub account: AccountId,
            pub limit: i64,
            pub of: PhantomData<fn() -> T>,
        }

        impl<T> $name<T> {
            pub fn new((account, limit): Newest<AccountId>) -> Self {
                Self { account, limit, of: PhantomData }
            }

            fn key(&self) -> Newest<AccountId> {
                (self.account, self.limit)
            }
        }

        // Derived, they would ask for the same of the row.
        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                Self::new(self.key())
            }
        }

        impl<T> PartialEq for $name<T> {
            fn eq(&self, other: &Self) -> bool {
                self.key() == other.key()
            }
        }

        impl<T> Eq for $name<T> {}

        impl<T> Hash for $name<T> {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.key().hash(state);
            }
        }
    )*};
}

newest_key! {
    /// An account's newest of what it owns: so many.
    NewestOf;
    /// The headers of an account's newest: so many.
    NewestHeadersOf;
}

impl<H: Header> Loader<NewestHeadersOf<H>> for Lookups {
    type Value = Arc<[H::Shared]>;
    type Error = StoreError;

    async fn load(
        &self,
        keys: &[NewestHeadersOf<H>],
    ) -> Result<HashMap<NewestHeadersOf<H>, Arc<[H::Shared]>>, StoreError> {
        let found = self.0.newest_headers::<H>(keys.iter().map(NewestHeadersOf::key).collect()).await?;
        Ok(rekeyed(found, NewestHeadersOf::new))
    }
}

impl<T: Owned> Loader<NewestOf<T>> for Lookups {
    type Value = Rows<T>;
    type Error = StoreError;

    async fn load(&self, keys: &[NewestOf<T>]) -> Result<HashMap<NewestOf<T>, Rows<T>>, StoreError> {
        let found = self.0.newest::<T>(keys.iter().map(NewestOf::key).collect()).await?;
        Ok(rekeyed(found, NewestOf::new))
    }
}

/// An id by which requests look up what accounts own, as it is kept.
pub trait LoadedById: Copy + Eq + Hash + Debug + Send + Sync + 'static {
    type Row: Owned<Id = Self>;
}

impl<I: LoadedById> Loader<I> for Lookups {
    type Value = Arc<I::Row>;
    type Error = StoreError;

    async fn load(&self, ids: &[I]) -> Result<HashMap<I, Arc<I::Row>>, StoreError> {
        self.0.by_ids::<I::Row>(ids).await
    }
}

/// A resource's code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ResourceCode(pub String);

/// What reached an account's deposit address, in the order of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct DepositsTo(pub AddressOf);

/// An account's namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Namespace(pub String);

fn inner<K, I: Clone>(keys: &[K], inner: impl Fn(&K) -> &I) -> Vec<I> {
    keys.iter().map(|key| inner(key).clone()).collect()
}

fn rekeyed<I: std::hash::Hash + Eq, K: std::hash::Hash + Eq, V>(
    found: HashMap<I, V>,
    key: impl Fn(I) -> K,
) -> HashMap<K, V> {
    found.into_iter().map(|(id, value)| (key(id), value)).collect()
}

loader!(AccountId => Arc<Account>, |repository, keys| repository.accounts(keys.to_vec()));
loader!(PlanId => Arc<Plan>, |repository, keys| repository.plans(keys.to_vec()));
loader!(PriceRuleId => Arc<PriceRule>, |repository, keys| repository.price_rules(keys.to_vec()));
loader!(ResourcePriceId => Arc<ResourcePrice>, |repository, keys| repository.resource_prices(keys.to_vec()));
loader!(LicenseId => Arc<License>, |repository, keys| repository.licenses(keys.to_vec()));
loader!(PaymentMethodId => Arc<PaymentMethod>, |repository, keys| repository.payment_methods(keys));
loader!(PaymentId => Arc<Payment>, |repository, keys| repository.payments(keys));
loader!(ApprovalId => Arc<Approval>, |repository, keys| repository.approvals(keys));
loader!(InvoiceId => Arc<Invoice>, |repository, keys| repository.invoices(keys));

macro_rules! owner_loader {
    ($key:ident => $value:ty, $method:ident) => {
        loader!($key => $value, |repository, keys| async move {
            Ok(rekeyed(repository.$method(inner(keys, |key| &key.0)).await?, $key))
        });
    };
}

owner_loader!(Namespace => Arc<Account>, accounts_by_namespace);
owner_loader!(ResourceCode => Arc<Resource>, resources);
owner_loader!(NoticesOf => Rows<Notice>, notices);
owner_loader!(PaymentMethodsOf => Rows<PaymentMethod>, payment_methods_of);
owner_loader!(PlansOf => Arc<[PlanId]>, plans_in_use);
owner_loader!(ResourcesOf => Arc<[PlanResource]>, plan_resources);
owner_loader!(NewestBillsOfOrder => Rows<Bill>, newest_bills_of_orders);
owner_loader!(NewestBillHeadersOfOrder => Arc<[BillHeader]>, newest_bill_headers_of_orders);
owner_loader!(DepositsTo => Rows<Deposit>, deposits_to);
owner_loader!(NewestInvoicesOf => Rows<Invoice>, newest_invoices);
owner_loader!(OwnRulesOf => Rows<PriceRule>, own_price_rules);
owner_loader!(DefaultRules => Rows<PriceRule>, default_price_rules);
owner_loader!(BalanceAt => Decimal, balances_at);

loader!(RefundsOf => Rows<Transaction>, |repository, keys| async move {
    let ids: Vec<TransactionId> = inner(keys, |key| &key.0);
    Ok(rekeyed(repository.refunds(&ids).await?, RefundsOf))
});

loader!(RecordsOf => Rows<Record>, |repository, keys| async move {
    let ids: Vec<BillId> = inner(keys, |key| &key.0);
    Ok(rekeyed(repository.records_of_bills(&ids).await?, RecordsOf))
});
