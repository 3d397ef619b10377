//! Invoices, and the drafts of those that are not issued yet.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;

use super::{AccessError, Repository};
use crate::domain::ids::{AccountId, InvoiceId};
use crate::domain::invoice::Invoice;
use crate::domain::viewer::Scope;
use crate::store::error::StoreError;
use crate::store::grouped::{Newest, Rows};
use crate::store::invoices::invoice_drafts::InvoiceDraft;
use crate::store::list::Page;

/// Drafts stand among invoices: those that a page passes over are read.
const INVOICES_PASSED_OVER_MAX: i64 = 1_000;

impl Repository {
    /// Accounts' months that have no invoice, newest first: those with something on it that is known.
    async fn drafts(
        &self,
        accounts: Vec<AccountId>,
    ) -> Result<HashMap<AccountId, Rows<InvoiceDraft>>, StoreError> {
        self.of_visible(&self.store.fetch.drafts, accounts, |account| *account).await
    }

    async fn shown_drafts(&self, scope: Scope) -> Result<Vec<Arc<Invoice>>, StoreError> {
        let Some(account) = draft_owner(scope) else { return Ok(Vec::new()) };
        let drafts = self.drafts(vec![account]).await?.remove(&account).unwrap_or_default();
        Ok(shown(&drafts).collect())
    }

    pub async fn invoices(&self, ids: &[InvoiceId]) -> Result<HashMap<InvoiceId, Arc<Invoice>>, StoreError> {
        let mut found =
            self.of_visible_by_id(&self.store.fetch.owned.of::<Invoice>().by_id, ids, |id| id.0).await?;
        let is_missing = |found: &HashMap<InvoiceId, _>, id: &InvoiceId| !found.contains_key(id);
        let missing: Vec<InvoiceId> = ids.iter().copied().filter(|id| is_missing(&found, id)).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        let drafts = self.drafts(missing.iter().map(|id| id.account()).collect()).await?;
        let drafts = drafts.values().flat_map(|drafts| shown(drafts));
        found.extend(drafts.filter(|draft| missing.contains(&draft.id)).map(|draft| (draft.id, draft)));
        // One that was issued meanwhile was neither.
        let missing: Vec<InvoiceId> = missing.into_iter().filter(|id| is_missing(&found, id)).collect();
        if !missing.is_empty() {
            found.extend(
                self.of_visible_by_id(&self.store.fetch.owned.of::<Invoice>().by_id, &missing, |id| id.0)
                    .await?,
            );
        }
        Ok(found)
    }

    pub async fn newest_invoices(
        &self,
        keys: Vec<Newest<AccountId>>,
    ) -> Result<HashMap<Newest<AccountId>, Rows<Invoice>>, StoreError> {
        let mut accounts: Vec<AccountId> = keys.iter().map(|(account, _)| *account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        let drafts = self.drafts(accounts).await?;
        let issued = self
            .of_visible(&self.store.fetch.owned.of::<Invoice>().newest, keys, |(account, _)| *account)
            .await?;
        let merge = |(key, issued): (Newest<AccountId>, Rows<Invoice>)| {
            let own = drafts.get(&key.0).map(|drafts| shown(drafts).collect()).unwrap_or_default();
            (key, merged(own, issued.to_vec(), &Page::first(key.1)).into())
        };
        Ok(issued.into_iter().map(merge).collect())
    }

    pub async fn invoice_counts(&self, keys: Vec<AccountId>) -> Result<HashMap<AccountId, i64>, StoreError> {
        let drafts = self.drafts(keys.clone()).await?;
        let mut counts =
            self.of_visible(&self.store.fetch.owned.of::<Invoice>().counts, keys, |account| *account).await?;
        for (account, drafts) in drafts {
            let more = i64::try_from(shown(&drafts).count()).unwrap_or(0);
            counts.entry(account).and_modify(|count| *count = count.saturating_add(more));
        }
        Ok(counts)
    }

    pub async fn invoice_list(
        &self,
        account: Option<AccountId>,
        page: &Page,
    ) -> Result<Vec<Arc<Invoice>>, AccessError> {
        let Some(scope) = self.scope_of(account).await? else { return Ok(Vec::new()) };
        let drafts = self.shown_drafts(scope).await?;
        let passed_over = page.offset.min(INVOICES_PASSED_OVER_MAX);
        let whole = Page { limit: page.limit.saturating_add(passed_over), offset: 0, ..page.clone() };
        let issued = self.page_of::<Invoice>(scope, &(), &whole, false).await?.rows;
        let is_cut = i64::try_from(issued.len()).is_ok_and(|count| count >= whole.limit);
        if is_cut && page.offset > passed_over {
            let message = format!("at most {INVOICES_PASSED_OVER_MAX} are passed over: go on from a cursor");
            return Err(StoreError::TooMuch { argument: "offset", message }.into());
        }
        Ok(merged(drafts, issued.into_iter().map(Arc::new).collect(), page))
    }

    pub async fn invoice_count(&self, account: Option<AccountId>) -> Result<i64, AccessError> {
        let Some(scope) = self.scope_of(account).await? else { return Ok(0) };
        let drafts = i64::try_from(self.shown_drafts(scope).await?.len()).unwrap_or(0);
        Ok(self.count_of::<Invoice>(scope, &(), false).await?.saturating_add(drafts))
    }

    /// The months whose drafts are missing in a list, as what is on them cannot be read or added up.
    pub async fn unvalued_months(&self, account: Option<AccountId>) -> Result<Vec<NaiveDate>, AccessError> {
        let owner = match self.scope_of(account).await? {
            Some(scope) => draft_owner(scope),
            None => None,
        };
        let Some(owner) = owner else { return Ok(Vec::new()) };
        let drafts = self.drafts(vec![owner]).await?.remove(&owner).unwrap_or_default();
        let unknown = drafts.iter().filter(|draft| draft.is_unknown());
        Ok(unknown.map(|draft| draft.invoice.period).collect())
    }
}

/// The drafts that can be shown, as invoices.
fn shown(drafts: &[Arc<InvoiceDraft>]) -> impl Iterator<Item = Arc<Invoice>> {
    drafts.iter().filter(|draft| draft.is_shown()).map(|draft| Arc::clone(&draft.invoice))
}

/// A page of drafts and issued invoices, newest first; of what was issued meanwhile the issued one.
fn merged(drafts: Vec<Arc<Invoice>>, issued: Vec<Arc<Invoice>>, page: &Page) -> Vec<Arc<Invoice>> {
    let is_issued = |draft: &Arc<Invoice>| issued.iter().any(|invoice| invoice.id == draft.id);
    let is_within = |draft: &Arc<Invoice>| {
        let id = draft.id.uuid();
        page.after.is_none_or(|after| id < after) && page.before.is_none_or(|before| id > before)
    };
    let drafts = drafts.into_iter().filter(|draft| !is_issued(draft) && is_within(draft));
    let mut all: Vec<Arc<Invoice>> = drafts.collect();
    all.extend(issued);
    all.sort_unstable_by_key(|invoice| std::cmp::Reverse(invoice.id));
    let size = |number: i64| usize::try_from(number).unwrap_or(0);
    if page.from_oldest {
        all.reverse();
    }
    let mut part: Vec<Arc<Invoice>> =
        all.into_iter().skip(size(page.offset)).take(size(page.limit)).collect();
    if page.from_oldest {
        part.reverse();
    }
    part
}

/// Whose drafts stand in a list: the account's that it is of; a customer's own.
fn draft_owner(scope: Scope) -> Option<AccountId> {
    match scope {
        Scope::One(account) | Scope::Family(account) => Some(account),
        Scope::All | Scope::Nothing | Scope::Catalogue => None,
    }
}
