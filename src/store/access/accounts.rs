//! Accounts, and what is known of each beside what it owns.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::try_join_all;
use rust_decimal::Decimal;

use super::{AccessError, Repository, made};
use crate::domain::account::{Account, SuspendedSpan};
use crate::domain::closing::Month;
use crate::domain::idempotency::{Attempt, IdempotencyRecord};
use crate::domain::ids::{AccountId, NoticeId, OwnedId, PaymentMethodId};
use crate::domain::notice::Notice;
use crate::domain::payment_method::PaymentMethod;
use crate::domain::stake::Stake;
use crate::domain::viewer::Scope;
use crate::store::accounts::account_creation::NewAccount;
use crate::store::accounts::account_list::{self, AccountCursor, AccountFilter};
use crate::store::accounts::suspensions;
use crate::store::cells::births;
use crate::store::error::StoreError;
use crate::store::grouped::Rows;
use crate::store::list::{Found, Page, merged};
use crate::store::{keys, notices, payment_methods};

impl Repository {
    pub async fn accounts(
        &self,
        ids: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Arc<Account>>, StoreError> {
        if self.viewer.scope() == Scope::Nothing {
            return Ok(HashMap::new());
        }
        let mut found = self.store.fetch.accounts.get(ids).await?;
        found.retain(|_, account| self.viewer.sees(account));
        Ok(found)
    }

    pub async fn accounts_by_namespace(
        &self,
        names: Vec<String>,
    ) -> Result<HashMap<String, Arc<Account>>, StoreError> {
        let ids =
            try_join_all(names.iter().map(|name| self.store.account_of_namespace(name.clone()))).await?;
        let accounts = self.accounts(ids.iter().flatten().copied().collect()).await?;
        let found = names.into_iter().zip(ids).filter_map(|(name, id)| Some((name, accounts.get(&id?)?)));
        Ok(found.map(|(name, account)| (name, Arc::clone(account))).collect())
    }

    /// The account of that number, if the viewer may see it.
    pub async fn account(&self, id: AccountId) -> Result<Option<Arc<Account>>, StoreError> {
        Ok(self.accounts(vec![id]).await?.remove(&id))
    }

    pub async fn account_list(
        &self,
        filter: &AccountFilter,
        page: &Page<AccountCursor>,
    ) -> Result<Found<Account, AccountCursor>, StoreError> {
        let scope = self.viewer.scope();
        let is_narrowed = *filter != AccountFilter::default();
        let readings = self.readings(filter.place_of(scope), is_narrowed).await?;
        if let [(_, conn)] = readings.as_slice() {
            return account_list::account_list(conn, scope, filter, page).await;
        }
        let part = page.of_each_cell()?;
        let (cells, cursor) = (&self.store.cells, |account: &Account| (account.created_at, account.id));
        let reading = readings.iter().map(|(place, conn)| async {
            let found = account_list::account_list(conn, scope, filter, &part).await;
            let found = found.map_err(|error| cells.told(*place, error))?;
            Ok::<_, StoreError>(found.only(&part, cursor, |account| cells.is_at(*place, account.id)))
        });
        Ok(merged(try_join_all(reading).await?, page, cursor))
    }

    pub async fn account_count(&self, filter: &AccountFilter) -> Result<i64, StoreError> {
        let scope = self.viewer.scope();
        let mut count = 0_i64;
        for (place, conn) in self.readings(filter.place_of(scope), true).await? {
            let counted = account_list::account_count(&conn, scope, filter).await;
            let counted = counted.map_err(|error| self.store.cells.told(place, error))?;
            count = count.saturating_add(counted);
        }
        Ok(count)
    }

    /// Makes an account.
    pub async fn account_create(&self, account: Account, attempt: Attempt) -> Result<Account, AccessError> {
        self.require_operator()?;
        if self.store.cells.are_several() {
            return made(births::born(&self.store.cells, account, attempt).await?);
        }
        let seals = Arc::clone(self.store.home().keys());
        self.once(0, attempt, NewAccount { account, seals, of_several: false }).await
    }

    pub async fn balances_at(
        &self,
        keys: Vec<(AccountId, DateTime<Utc>)>,
    ) -> Result<HashMap<(AccountId, DateTime<Utc>), Decimal>, StoreError> {
        self.of_visible(&self.store.fetch.balances_at, keys, |(account, _)| *account).await
    }

    pub async fn notices(
        &self,
        keys: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Rows<Notice>>, StoreError> {
        let fetch = &self.store.fetch;
        let notices = if self.viewer.is_of_provider() { &fetch.all_notices } else { &fetch.notices };
        self.of_visible(notices, keys, |account| *account).await
    }

    /// Takes a notice off its account's list; None if there is none or it is not the viewer's to acknowledge.
    pub async fn notice_acknowledge(
        &self,
        id: NoticeId,
        at: DateTime<Utc>,
    ) -> Result<Option<Notice>, AccessError> {
        if !self.visible(std::iter::once(id.account())).await?.contains(&id.account()) {
            return Ok(None);
        }
        self.require_stake(Some(Stake::Setting), id.account()).await?;
        let by_operator = self.viewer.is_operator();
        let place = self.store.cells.place_of(id.account());
        let acknowledged =
            self.write_in(place, move |conn| notices::notice_acknowledge(conn, id, at, by_operator).boxed());
        Ok(acknowledged.await?)
    }

    /// The answer that a key of an account holds.
    pub async fn answer(
        &self,
        account: AccountId,
        key: String,
    ) -> Result<Option<IdempotencyRecord>, AccessError> {
        if self.account(account).await?.is_none() {
            return Err(AccessError::NoSuchAccount);
        }
        let conn = self.connection_of(account).await?;
        Ok(keys::answer_by_keys(&conn, vec![account.0], vec![key]).await?.pop().map(|(_, answer)| answer))
    }

    /// What accounts can pay with, newest first.
    pub async fn payment_methods_of(
        &self,
        accounts: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Rows<PaymentMethod>>, StoreError> {
        let visible = self.visible(accounts.into_iter()).await?;
        let mut of: HashMap<AccountId, Vec<Arc<PaymentMethod>>> = HashMap::new();
        for (place, accounts) in self.store.cells.statements(visible.into_iter().collect()) {
            let conn = self.reading(place, false).await?;
            let numbers = accounts.iter().map(|account| account.0).collect();
            for method in payment_methods::methods_kept(&conn, numbers).await? {
                of.entry(method.account()).or_default().push(Arc::new(method));
            }
        }
        Ok(of.into_iter().map(|(account, methods)| (account, methods.into())).collect())
    }

    pub async fn payment_methods(
        &self,
        ids: &[PaymentMethodId],
    ) -> Result<HashMap<PaymentMethodId, Arc<PaymentMethod>>, StoreError> {
        let visible = self.visible(ids.iter().map(|id| id.account())).await?;
        let ids: Vec<OwnedId> =
            ids.iter().filter(|id| visible.contains(&id.account())).map(|id| id.0).collect();
        let mut methods = HashMap::with_capacity(ids.len());
        for (place, ids) in self.store.cells.statements(ids) {
            let conn = self.reading(place, false).await?;
            let found = payment_methods::method_by_ids(&conn, &ids).await?;
            methods.extend(found.into_iter().map(|method| (method.id, Arc::new(method))));
        }
        Ok(methods)
    }

    /// When an account was suspended within a window; nothing of an account that the viewer may not see.
    pub async fn suspensions(
        &self,
        account: AccountId,
        window: Month,
    ) -> Result<Vec<SuspendedSpan>, StoreError> {
        if self.account(account).await?.is_none() {
            return Ok(Vec::new());
        }
        let conn = self.connection_of(account).await?;
        suspensions::spans_overlapping(&conn, &[(account, window)]).await
    }
}
