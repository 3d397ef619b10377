//! An anchor in the making: account by account, with little in memory however many there are.

use chrono::{DateTime, Utc};

use super::head::{AnchoredHead, LedgerEnd};
use super::merkle::{self, Tree};
use super::signed::{Anchor, AnchorFacts, number_after};
use crate::domain::account::Hash;
use crate::domain::ids::AccountId;

/// Leaves of a page: the root of each page is kept with the anchor, so that the path of one account is found without all others. A power
/// of two, so that pages are subtrees.
pub const PAGE_LEAVES: i64 = 1_024;

/// So many leaves that stand side by side, under the root of their subtree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub first: AccountId,
    pub last: AccountId,
    pub leaves: i64,
    pub root: Hash,
}

/// What is wrong with pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pages of the anchor's tree are not those that were signed")]
pub struct PagesFault;

/// The root above an anchor's pages, if they can be its pages.
pub fn root_of_pages(pages: &[Page], accounts: i64) -> Result<Hash, PagesFault> {
    let full = pages.iter().rev().skip(1).all(|page| page.leaves == PAGE_LEAVES);
    let leaves = pages.iter().fold(0_i64, |sum, page| sum.saturating_add(page.leaves));
    let ordered = pages.iter().is_sorted_by(|before, after| before.last < after.first);
    if !full || !ordered || leaves != accounts {
        return Err(PagesFault);
    }
    let roots: Vec<Hash> = pages.iter().map(|page| page.root).collect();
    Ok(merkle::root(&roots))
}

/// The tree of the anchor before, from what was kept of it, and the tree of the next one beside it.
#[derive(Debug, Default)]
pub struct AnchorGrowth {
    before: Tree,
    now: Tree,
    accounts: i64,
    page: Option<OpenPage>,
    pages: Vec<Page>,
}

#[derive(Debug)]
struct OpenPage {
    first: AccountId,
    last: AccountId,
    leaves: i64,
    tree: Tree,
}

/// What an account has become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadChange {
    /// It has a head that is to be kept.
    Moved(AnchoredHead),
    /// It is as it was, or has no leaf.
    Same,
    /// Its ledger does not go on from what was anchored, and so its leaf does not.
    Held,
}

/// The whole of it.
#[derive(Debug)]
pub struct AnchorTree {
    /// The root of the anchor before, by what was kept.
    pub before: Hash,
    pub root: Hash,
    pub accounts: i64,
    pub pages: Vec<Page>,
}

impl AnchorGrowth {
    /// Takes the next account, in the order of their numbers.
    pub fn take(&mut self, standing: &LedgerEnd) -> HeadChange {
        if let Some(anchored) = &standing.anchored {
            self.before.add(anchored.leaf());
        }
        let Some(head) = standing.leaf() else { return HeadChange::Same };
        self.add(head);
        match &standing.anchored {
            Some(anchored) if anchored == head => {
                let is_as_it_was = standing.goes_on && standing.now.as_ref() == Some(anchored);
                if is_as_it_was { HeadChange::Same } else { HeadChange::Held }
            }
            _ => HeadChange::Moved(head.clone()),
        }
    }

    fn add(&mut self, head: &AnchoredHead) {
        let leaf = head.leaf();
        self.now.add(leaf);
        self.accounts = self.accounts.saturating_add(1);
        let (first, last) = (head.account, head.account);
        let page =
            self.page.get_or_insert_with(|| OpenPage { first, last, leaves: 0, tree: Tree::default() });
        page.tree.add(leaf);
        (page.last, page.leaves) = (last, page.leaves.saturating_add(1));
        if page.leaves >= PAGE_LEAVES {
            self.close_page();
        }
    }

    fn close_page(&mut self) {
        let closed = self.page.take();
        self.pages.extend(closed.map(|OpenPage { first, last, leaves, tree }| Page {
            first,
            last,
            leaves,
            root: tree.root(),
        }));
    }

    pub fn finish(mut self) -> AnchorTree {
        self.close_page();
        let Self { before, now, accounts, pages, .. } = self;
        AnchorTree { before: before.root(), root: now.root(), accounts, pages }
    }
}

impl AnchorTree {
    /// Whether what was kept of the anchor before is what was signed.
    pub fn goes_on_from(&self, before: Option<&Anchor>) -> bool {
        self.before == before.map_or(merkle::EMPTY, |before| before.facts.root)
    }

    /// What the next anchor says.
    pub fn facts(&self, before: Option<&Anchor>, at: DateTime<Utc>) -> AnchorFacts {
        AnchorFacts {
            number: number_after(before, at),
            at,
            accounts: self.accounts,
            root: self.root,
            previous: before.map(Anchor::hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;

    fn head(account: i64, seq: i64) -> AnchoredHead {
        AnchoredHead { account: AccountId(account), seq, hash: [1; 32], balance: Decimal::ONE }
    }

    fn grown(standings: impl IntoIterator<Item = LedgerEnd>) -> AnchorTree {
        let mut growth = AnchorGrowth::default();
        for standing in standings {
            growth.take(&standing);
        }
        growth.finish()
    }

    #[test]
    fn pages_have_the_root_of_all_leaves_and_the_tree_before_is_found_again() {
        for count in [0, 1, 2, PAGE_LEAVES - 1, PAGE_LEAVES, PAGE_LEAVES + 1, 3 * PAGE_LEAVES + 7] {
            let new = |account| LedgerEnd { anchored: None, now: Some(head(account, 1)), goes_on: true };
            let first = grown((1..=count).map(new));
            assert_eq!(root_of_pages(&first.pages, count), Ok(first.root), "{count}");
            assert_eq!(first.before, merkle::EMPTY);
            let next = |account| LedgerEnd {
                anchored: (account != 5).then(|| head(account, 1)),
                now: Some(head(account, if account % 3 == 0 { 2 } else { 1 })),
                goes_on: true,
            };
            let second = grown((1..=count).map(next));
            assert_eq!(second.before == first.root, count < 5, "an account was not kept: {count}");
            assert_eq!(root_of_pages(&second.pages, count), Ok(second.root), "{count}");
        }
    }

    #[test]
    fn pages_that_cannot_be_an_anchors_are_refused() {
        let page = |first: i64, last: i64, leaves: i64| Page {
            first: AccountId(first),
            last: AccountId(last),
            leaves,
            root: [1; 32],
        };
        assert!(root_of_pages(&[page(1, 2_000, 1_024), page(2_001, 2_001, 1)], 1_025).is_ok());
        assert!(root_of_pages(&[page(1, 2_000, 1_023), page(2_001, 2_001, 1)], 1_024).is_err());
        assert!(root_of_pages(&[page(1, 2_000, 1_024), page(2_000, 2_001, 1)], 1_025).is_err());
        assert!(root_of_pages(&[page(1, 2_000, 1_024)], 1_025).is_err());
    }

    #[test]
    fn it_is_told_whose_ledger_moved_and_whose_does_not_go_on() {
        let mut growth = AnchorGrowth::default();
        let mut take = |anchored: Option<i64>, now: Option<i64>, goes_on| {
            let (anchored, now) = (anchored.map(|seq| head(1, seq)), now.map(|seq| head(1, seq)));
            growth.take(&LedgerEnd { anchored, now, goes_on })
        };
        assert_eq!(take(None, None, true), HeadChange::Same);
        assert_eq!(take(None, Some(1), true), HeadChange::Moved(head(1, 1)));
        assert_eq!(take(Some(1), Some(1), true), HeadChange::Same);
        assert_eq!(take(Some(1), Some(3), true), HeadChange::Moved(head(1, 3)));
        assert_eq!(take(Some(1), Some(3), false), HeadChange::Held);
        assert_eq!(take(Some(3), Some(2), true), HeadChange::Held);
        assert_eq!(take(Some(3), None, true), HeadChange::Held);
    }
}
