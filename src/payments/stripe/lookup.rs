//! Finding a payment or a refund among what Stripe keeps: by the name that Stripe has given it, or by our own id.
//!
//! By our id through its lists, page by page: they know at once of what has been made. Stripe's search does not.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::Client;
use super::failure::Failure;
use super::name::is_name;
use super::params::Params;

pub const PAGE_SIZE: &str = "100";
/// So many pages are looked through.
const PAGES_MAX: usize = 50;
/// For all of them.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The metadata of ours that a payment or a refund bears.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Metadata {
    /// Our id of it.
    pub abacus_payment: Option<String>,
}

/// The name of [`Metadata::abacus_payment`] as a parameter.
pub const PAYMENT_PARAM: &str = "metadata[abacus_payment]";

/// What Stripe lists.
pub trait Listed: DeserializeOwned {
    /// Stripe's name for it.
    fn name(&self) -> &str;

    /// Our id of it.
    fn payment(&self) -> Option<&str>;
}

/// A page of a list.
#[derive(Deserialize)]
pub struct Page<T> {
    pub data: Vec<T>,
    pub has_more: bool,
}

/// The name of something; where that was asked for, the thing itself.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Reference {
    Name(String),
    Thing { id: String },
}

impl Reference {
    pub fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::Thing { id: name } => name,
        }
    }

    pub fn into_name(self) -> String {
        match self {
            Self::Name(name) | Self::Thing { id: name } => name,
        }
    }
}

/// What there is under a name; None: nothing.
pub async fn at<T: DeserializeOwned>(client: &Client, path: &str, name: &str) -> Result<Option<T>, Failure> {
    if !is_name(name) {
        return Ok(None);
    }
    match client.get(&format!("{path}/{name}"), Params::default()).await {
        Err(Failure::Refusal(refusal)) if refusal.is_not_found() => Ok(None),
        found => found.map(Some),
    }
}

/// The one that Stripe has given a name. What is not there under it is another account's: nobody knows what became of it.
pub async fn by_name<T: Listed>(client: &Client, path: &str, name: &str) -> Result<T, Failure> {
    let unknown = || Failure::Unknown(format!("{name} is not known to this account of Stripe's"));
    at(client, path, name).await?.ok_or_else(unknown)
}

/// All of a list.
pub async fn all<T: Listed>(client: &Client, path: &str, filters: &Params<'_>) -> Result<Vec<T>, Failure> {
    let too_long = |_| Failure::Unknown(format!("{path} was not listed within {TIMEOUT:?}"));
    tokio::time::timeout(TIMEOUT, all_by_page(client, path, filters)).await.map_err(too_long)?
}

async fn all_by_page<T: Listed>(
    client: &Client,
    path: &str,
    filters: &Params<'_>,
) -> Result<Vec<T>, Failure> {
    let mut all: Vec<T> = Vec::new();
    for _ in 0..PAGES_MAX {
        let after = all.last().map(|last| last.name().to_owned());
        let params = filters.clone().with("limit", PAGE_SIZE).with_any("starting_after", after);
        let page: Page<T> = client.get(path, params).await?;
        let is_last = !page.has_more || page.data.is_empty();
        all.extend(page.data);
        if is_last {
            return Ok(all);
        }
    }
    Err(Failure::Unknown(format!("{path} has more than {PAGES_MAX} pages")))
}

/// The one of a list that bears our id; None: it is not in the list, all of which has been looked through.
pub async fn find<T: Listed>(
    client: &Client,
    path: &str,
    filters: &Params<'_>,
    payment: &str,
) -> Result<Option<T>, Failure> {
    let too_long = |_| Failure::Unknown(format!("{payment} is not found on {path} within {TIMEOUT:?}"));
    tokio::time::timeout(TIMEOUT, find_by_page(client, path, filters, payment)).await.map_err(too_long)?
}

async fn find_by_page<T: Listed>(
    client: &Client,
    path: &str,
    filters: &Params<'_>,
    payment: &str,
) -> Result<Option<T>, Failure> {
    let mut after: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let params = filters.clone().with("limit", PAGE_SIZE).with_any("starting_after", after.as_deref());
        let page: Page<T> = client.get(path, params).await?;
        let last = page.data.last().map(|last| last.name().to_owned());
        let found = page.data.into_iter().find(|listed| listed.payment() == Some(payment));
        if found.is_some() || !page.has_more {
            return Ok(found);
        }
        after = last;
    }
    // It may be on a later page. Whoever took this for a no could charge twice.
    Err(Failure::Unknown(format!("{payment} is not on the first {PAGES_MAX} pages of {path}")))
}
