//! Anchors as they are kept: what was signed, the pages of its tree, and where each ledger ended. docs/adr/0036 has the reasons.

mod making;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Nullable, Numeric, Timestamptz};

use super::cells::any_has_gone;
use super::error::StoreError;
use super::sql::row::answered;
use super::sql::statement::Statement;
use super::{Conn, rows};
use crate::domain::account::Hash;
use crate::domain::anchor::{
    Anchor, AnchorFacts, AnchoredHead, PAGE_LEAVES, Page, Proof, PublicKey, merkle, root_of_pages,
};
use crate::domain::ids::AccountId;

pub use making::{AnchorDraft, AnchorRefusal, PageOutcome};

const ANCHORS: &str =
    "SELECT number, at, accounts, root, previous, public_key, signature FROM ledger_anchors";

/// What has another length is none that was written.
fn of_length<const N: usize>(bytes: &[u8]) -> diesel::deserialize::Result<[u8; N]> {
    <[u8; N]>::try_from(bytes).map_err(|_| format!("{} bytes where {N} were written", bytes.len()).into())
}

answered! {
    Anchor {
        number: i64 as BigInt,
        at: DateTime<Utc> as Timestamptz,
        accounts: i64 as BigInt,
        root: Vec<u8> as Binary,
        previous: Option<Vec<u8>> as Nullable<Binary>,
        public_key: Vec<u8> as Binary,
        signature: Vec<u8> as Binary,
    }
    {
        let previous = previous.map(|hash| of_length(&hash)).transpose()?;
        let facts = AnchorFacts { number, at, accounts, root: of_length(&root)?, previous };
        let key = PublicKey::from_bytes(of_length(&public_key)?);
        Self { facts, key, signature: of_length(&signature)? }
    }
}

answered! {
    Page {
        first: AccountId as BigInt,
        last: AccountId as BigInt,
        leaves: i64 as BigInt,
        root: Vec<u8> as Binary,
    }
    Self { first, last, leaves, root: of_length(&root)? }
}

answered! {
    AnchoredHead {
        account: AccountId as BigInt,
        seq: i64 as BigInt,
        hash: Vec<u8> as Binary,
        balance: rust_decimal::Decimal as Numeric,
    }
    Self { account, seq, hash: of_length(&hash)?, balance }
}

async fn one(conn: Conn<'_>, statement: Statement) -> Result<Option<Anchor>, StoreError> {
    Ok(rows::<Anchor>(conn, statement.sql(" LIMIT 1")).await?.pop())
}

/// The anchor that was made last.
pub async fn newest(conn: Conn<'_>) -> Result<Option<Anchor>, StoreError> {
    one(conn, Statement::new(ANCHORS).sql(" ORDER BY number DESC")).await
}

/// The newest anchor of an instant or of before.
pub async fn newest_at(conn: Conn<'_>, at: DateTime<Utc>) -> Result<Option<Anchor>, StoreError> {
    let statement = Statement::new(ANCHORS).sql(" WHERE at <= ").instant(at);
    one(conn, statement.sql(" ORDER BY at DESC, number DESC")).await
}

/// The anchor before that of a number.
pub async fn before(conn: Conn<'_>, number: i64) -> Result<Option<Anchor>, StoreError> {
    let statement = Statement::new(ANCHORS).sql(" WHERE number < ").bigint(number);
    one(conn, statement.sql(" ORDER BY number DESC")).await
}

/// The next anchors after that of a number, at most so many.
pub async fn after(conn: Conn<'_>, number: i64, most: i64) -> Result<Vec<Anchor>, StoreError> {
    let statement = Statement::new(ANCHORS).sql(" WHERE number > ").bigint(number);
    rows(conn, statement.sql(" ORDER BY number LIMIT ").bigint(most)).await
}

/// The pages of an anchor's tree: one for each thousand accounts.
pub async fn pages(conn: Conn<'_>, anchor: i64) -> Result<Vec<Page>, StoreError> {
    let statement = Statement::new(
        "SELECT first_account, last_account, leaves, root FROM ledger_anchor_pages WHERE anchor = ",
    );
    rows(conn, statement.bigint(anchor).sql(" ORDER BY page")).await
}

/// The leaves of an anchor's page, as they were kept. More than a page has are not read.
pub async fn heads(conn: Conn<'_>, anchor: i64, page: &Page) -> Result<Vec<AnchoredHead>, StoreError> {
    // One that has left for another cell keeps the leaves that it has here.
    let accounts = if any_has_gone(conn).await? {
        "(SELECT id FROM accounts UNION SELECT account_id FROM departures WHERE state = 'GONE')"
    } else {
        "accounts"
    };
    let statement = Statement::new(format!(
        "SELECT a.id, h.seq, h.hash, h.balance FROM {accounts} a CROSS JOIN LATERAL (SELECT seq, hash, balance \
         FROM ledger_anchor_heads WHERE account_id = a.id AND anchor <= "
    ))
    .bigint(anchor)
    .sql(" ORDER BY anchor DESC LIMIT 1) h WHERE a.id BETWEEN ")
    .bigint(page.first.0)
    .sql(" AND ")
    .bigint(page.last.0);
    rows(conn, statement.sql(" ORDER BY a.id LIMIT ").bigint(PAGE_LEAVES.saturating_add(1))).await
}

/// The root of the subtree above heads.
pub fn root_of_heads(heads: &[AnchoredHead]) -> Hash {
    merkle::root(&leaves(heads))
}

fn leaves(heads: &[AnchoredHead]) -> Vec<Hash> {
    heads.iter().map(AnchoredHead::leaf).collect()
}

/// The way from an account's leaf to an anchor's root; None: it had no entry then.
pub async fn proof(conn: Conn<'_>, anchor: &Anchor, account: AccountId) -> Result<Option<Proof>, StoreError> {
    let number = anchor.facts.number;
    let altered = || StoreError::Corrupt(format!("what was kept of anchor {number} is not what was signed"));
    let pages = pages(conn, number).await?;
    if root_of_pages(&pages, anchor.facts.accounts) != Ok(anchor.facts.root) {
        return Err(altered());
    }
    let place = pages.iter().position(|page| (page.first..=page.last).contains(&account));
    let Some((place, page)) = place.and_then(|place| Some((place, pages.get(place)?))) else {
        return Ok(None);
    };
    let heads = heads(conn, number, page).await?;
    if root_of_heads(&heads) != page.root {
        return Err(altered());
    }
    let Some(within) = heads.iter().position(|head| head.account == account) else { return Ok(None) };
    let roots: Vec<Hash> = pages.iter().map(|page| page.root).collect();
    let (lower, upper) = (merkle::path(&leaves(&heads), within), merkle::path(&roots, place));
    let head = heads.into_iter().nth(within);
    let (Some(lower), Some(upper), Some(head)) = (lower, upper, head) else { return Err(altered()) };
    let leaves_before = u64::try_from(PAGE_LEAVES)
        .ok()
        .zip(u64::try_from(place).ok())
        .and_then(|(all, place)| all.checked_mul(place));
    let index =
        leaves_before.zip(u64::try_from(within).ok()).and_then(|(before, own)| before.checked_add(own));
    let index = index.ok_or_else(altered)?;
    Ok(Some(Proof { head, index, path: [lower, upper].concat() }))
}
