//! Where one account's ledger ended: a leaf of an anchor's tree.

use rust_decimal::Decimal;

use super::merkle;
use crate::domain::account::Hash;
use crate::domain::ids::AccountId;
use crate::domain::money;

/// Where an account's ledger ended when an anchor was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchoredHead {
    pub account: AccountId,
    /// The number of its last entry, from 1 on: an account without any has no leaf.
    pub seq: i64,
    /// The hash of its last entry, which hangs on all before.
    pub hash: Hash,
    pub balance: Decimal,
}

impl AnchoredHead {
    /// The hash of its leaf: over its number, its last entry's number and hash, and its balance as plain digits without zeros at the end.
    pub fn leaf(&self) -> Hash {
        let Self { account, seq, hash, balance } = self;
        let balance = money::format_decimal(*balance, 0);
        let data =
            [&account.0.to_be_bytes(), &seq.to_be_bytes(), hash.as_slice(), balance.as_bytes()].concat();
        merkle::leaf(&data)
    }
}

/// How an account stands when an anchor is made.
#[derive(Debug, Clone, Default)]
pub struct LedgerEnd {
    /// Where its ledger ended when that was anchored last.
    pub anchored: Option<AnchoredHead>,
    /// Where its ledger ends now, as its last entry and the account say alike; None: there is no such entry, or it cannot be read.
    pub now: Option<AnchoredHead>,
    /// Whether its ledger still has the entry that was anchored last, and nobody has found a fault in it.
    pub goes_on: bool,
}

impl LedgerEnd {
    /// The leaf of the next anchor. An anchored head goes on only from an anchored head: what was rewritten since keeps the leaf that
    /// it had, and is found by it.
    pub fn leaf(&self) -> Option<&AnchoredHead> {
        let Some(anchored) = &self.anchored else {
            return self.now.as_ref().filter(|_| self.goes_on);
        };
        let grown = self.now.as_ref().filter(|now| self.goes_on && now.seq > anchored.seq);
        Some(grown.unwrap_or(anchored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(seq: i64, balance: i64) -> AnchoredHead {
        AnchoredHead { account: AccountId(7), seq, hash: [1; 32], balance: Decimal::new(balance, 2) }
    }

    #[test]
    fn leaves_say_all_that_a_head_says_and_a_balance_by_its_value() {
        let is = head(3, 150);
        let others = [
            AnchoredHead { account: AccountId(8), ..is.clone() },
            head(4, 150),
            AnchoredHead { hash: [2; 32], ..is.clone() },
            head(3, 151),
            head(3, -150),
        ];
        assert!(others.iter().all(|other| other.leaf() != is.leaf()));
        let same = AnchoredHead { balance: Decimal::new(1_500, 3), ..is.clone() };
        assert_eq!(same.leaf(), is.leaf());
    }

    #[test]
    fn a_head_goes_on_from_one_that_is_still_there_and_from_no_other() {
        let leaf = |anchored: Option<i64>, now: Option<i64>, goes_on: bool| {
            let (anchored, now) = (anchored.map(|seq| head(seq, 0)), now.map(|seq| head(seq, 0)));
            LedgerEnd { anchored, now, goes_on }.leaf().map(|head| head.seq)
        };
        assert_eq!(leaf(None, None, true), None);
        assert_eq!(leaf(None, Some(2), true), Some(2));
        assert_eq!(leaf(None, Some(2), false), None);
        assert_eq!(leaf(Some(2), Some(5), true), Some(5));
        assert_eq!(leaf(Some(2), Some(5), false), Some(2));
        assert_eq!(leaf(Some(2), Some(1), true), Some(2));
        assert_eq!(leaf(Some(2), None, true), Some(2));
    }
}
