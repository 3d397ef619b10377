//! Whether ledgers still are what was anchored. Seals are made by whoever holds the server's keys; an anchor's signature was given before,
//! and a chain that was rewritten since, with whatever keys, does not fit it.

use tokio::time::Instant;

use super::{Look, Report, Told};
use crate::domain::anchor::{Anchor, Page, root_of_pages};
use crate::domain::ids::AccountId;
use crate::store::accounts::account_range::Range;
use crate::store::anchors;
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;

const KIND: &str = "ANCHOR";

/// Compares the ledgers of a range of accounts with the newest anchor. What is kept of a page's leaves is held against what was signed
/// with the page's first account, or with the one account that is asked for: so once in a round. Each anchor goes on only from what was
/// signed with the one before (docs/adr/0036), so the newest says all that those before it said.
pub(super) async fn check(look: Look<'_>, range: Range, report: &mut Report) -> Result<(), StoreError> {
    let began = Instant::now();
    let newest = match anchors::newest(look.conn).await {
        Err(StoreError::Corrupt(message)) => {
            let message = format!("the newest anchor cannot be read: {message}");
            if is_first(range) {
                report.fault(first_of(range, report), KIND, message);
            }
            return Ok(());
        }
        newest => newest?,
    };
    let Some(newest) = newest else { return Ok(()) };
    let pages = kept_pages(look, &newest).await?;
    if is_first(range) {
        let wrong = what_is_wrong(look, &newest, &pages).await?;
        let owner = first_of(range, report);
        wrong.into_iter().for_each(|message| report.fault(owner, KIND, message));
    }
    for page in pages.iter().filter(|page| is_looked_at(page, range)) {
        check_page(look, &newest, page, range, report).await?;
    }
    let found: Vec<(i64, String)> = contradicting(&newest, range).load(&mut &*look.conn).await?;
    for (owner, message) in found {
        report.fault(AccountId(owner), KIND, message);
    }
    look.pace.rest(began).await;
    Ok(())
}

/// What is wrong with the anchor itself is told with the first accounts, and with an account that is asked for by itself.
fn is_first(range: Range) -> bool {
    range.first.0 <= 1 || range.first == range.last
}

fn first_of(range: Range, report: &Report) -> AccountId {
    report.accounts.keys().next().copied().unwrap_or(range.first)
}

fn is_looked_at(page: &Page, range: Range) -> bool {
    let is_one = range.first == range.last && (page.first..=page.last).contains(&range.first);
    is_one || (range.first..=range.last).contains(&page.first)
}

/// What cannot be read is not there, and so not what was signed.
async fn kept_pages(look: Look<'_>, anchor: &Anchor) -> Result<Vec<Page>, StoreError> {
    match anchors::pages(look.conn, anchor.facts.number).await {
        Err(StoreError::Corrupt(_)) => Ok(Vec::new()),
        pages => pages,
    }
}

async fn what_is_wrong(look: Look<'_>, newest: &Anchor, pages: &[Page]) -> Result<Vec<String>, StoreError> {
    let (number, mut wrong) = (newest.facts.number, Vec::new());
    if let Err(broken) = look.anchor_keys.check(newest) {
        wrong.push(format!("the newest anchor, {number}, {broken}"));
    }
    let before = anchors::before(look.conn, number).await?;
    if before.map(|before| before.hash()) != newest.facts.previous {
        wrong.push(format!("the newest anchor, {number}, does not go on from the one before it"));
    }
    if root_of_pages(pages, newest.facts.accounts) != Ok(newest.facts.root) {
        wrong.push(format!("the pages of the newest anchor, {number}, are not those that were signed"));
    }
    Ok(wrong)
}

async fn check_page(
    look: Look<'_>,
    anchor: &Anchor,
    page: &Page,
    range: Range,
    report: &mut Report,
) -> Result<(), StoreError> {
    let heads = match anchors::heads(look.conn, anchor.facts.number, page).await {
        Err(StoreError::Corrupt(_)) => Vec::new(),
        heads => heads?,
    };
    if anchors::root_of_heads(&heads) != page.root {
        let Page { first, last, .. } = page;
        let message = format!("where the ledgers of {first} to {last} ended is not kept as it was anchored");
        let owner = if range.first == range.last { range.first } else { page.first };
        report.fault(owner, KIND, message);
    }
    Ok(())
}

/// Accounts whose ledgers do not have the entry that was anchored.
fn contradicting(anchor: &Anchor, range: Range) -> Statement<Told> {
    let statement = Statement::new(
        "SELECT a.id, CASE WHEN e.seq IS NULL OR a.last_entry_seq < h.seq \
         THEN 'the ledger had ' || h.seq || ' entries when it was anchored, and has fewer now' \
         ELSE 'entry ' || h.seq || ' is not the one that was anchored' END \
         FROM accounts a CROSS JOIN LATERAL (SELECT seq, hash, balance FROM ledger_anchor_heads WHERE account_id = a.id AND anchor <= ",
    )
    .bigint(anchor.facts.number)
    .sql(
        " ORDER BY anchor DESC LIMIT 1) h LEFT JOIN ledger_entries e ON e.account_id = a.id AND e.seq = h.seq WHERE a.id",
    );
    range.restrict(statement).sql(
        " AND (e.hash IS DISTINCT FROM h.hash OR e.\"end\" IS DISTINCT FROM h.balance OR a.last_entry_seq < h.seq) LIMIT 200",
    )
}
