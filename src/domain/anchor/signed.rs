//! What an anchor says, and when the next one is due.

use chrono::{DateTime, SecondsFormat, Utc};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::public_key::PublicKey;
use crate::domain::account::Hash;

/// Seconds between two anchors.
pub const ANCHOR_SECONDS: i64 = 60 * 60;
/// A clock may be behind the one that made the last anchor by so many seconds.
const BEHIND_SECONDS: i64 = 60;

/// What an anchor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorFacts {
    /// As a rule the hours since 1970, so that none is given twice, whatever is restored; always greater than the one before.
    pub number: i64,
    /// All that was committed by then is in it.
    pub at: DateTime<Utc>,
    /// How many accounts have a leaf: those that have an entry.
    pub accounts: i64,
    pub root: Hash,
    /// The hash of the anchor before; None of the first.
    pub previous: Option<Hash>,
}

/// An anchor, signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    pub facts: AnchorFacts,
    pub key: PublicKey,
    pub signature: [u8; 64],
}

impl AnchorFacts {
    /// What is signed: a text of seven lines, so that anybody can check it with any tool.
    pub fn text(&self, key: &PublicKey) -> String {
        let Self { number, at, accounts, root, previous } = self;
        let at = at.to_rfc3339_opts(SecondsFormat::Micros, true);
        let (root, key) = (HEXLOWER.encode(root), key.hex());
        let previous = previous.map_or_else(|| "none".to_owned(), |hash| HEXLOWER.encode(&hash));
        format!(
            "abacus ledger anchor 1\nnumber {number}\nat {at}\naccounts {accounts}\nroot {root}\nprevious {previous}\nkey {key}\n"
        )
    }
}

impl Anchor {
    pub fn text(&self) -> String {
        self.facts.text(&self.key)
    }

    /// What the next anchor names it by.
    pub fn hash(&self) -> Hash {
        Sha256::digest(self.text().as_bytes()).into()
    }

    /// Whether it is signed with the key that it names.
    pub fn is_signed(&self) -> bool {
        self.key.has_signed(&self.text(), &self.signature)
    }
}

/// Whether it is time for the next anchor: an hour has begun since the last one. One of a time that is still to come was made by a
/// clock that was wrong, and is not waited for.
pub fn is_due(newest: Option<&Anchor>, now: DateTime<Utc>) -> bool {
    let Some(newest) = newest else { return true };
    let (made, now) = (newest.facts.at.timestamp(), now.timestamp());
    made < hour_of(now).saturating_mul(ANCHOR_SECONDS) || made > now.saturating_add(BEHIND_SECONDS)
}

/// The number of an anchor that is made at `at`.
pub fn number_after(newest: Option<&Anchor>, at: DateTime<Utc>) -> i64 {
    let next = newest.map_or(0, |newest| newest.facts.number.saturating_add(1));
    hour_of(at.timestamp()).max(next)
}

fn hour_of(seconds: i64) -> i64 {
    seconds.div_euclid(ANCHOR_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::anchor::{AnchorKeys, merkle};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn anchor(number: i64, made: &str) -> Anchor {
        let facts = AnchorFacts { number, at: at(made), accounts: 0, root: merkle::EMPTY, previous: None };
        AnchorKeys::of_sandbox().sign(facts).unwrap()
    }

    #[test]
    fn there_is_one_an_hour_and_one_of_the_future_is_not_waited_for() {
        let newest = anchor(1, "2026-12-01T10:00:00.5Z");
        for (now, due) in [
            ("2026-12-01T10:00:01Z", false),
            ("2026-12-01T10:59:59.999999Z", false),
            ("2026-12-01T11:00:00Z", true),
            // Another server's clock is behind.
            ("2026-12-01T09:59:58Z", false),
            ("2026-11-30T10:00:00Z", true),
        ] {
            assert_eq!(is_due(Some(&newest), at(now)), due, "{now}");
        }
        assert!(is_due(None, at("2026-12-01T10:00:00Z")));
    }

    #[test]
    fn numbers_are_hours_and_always_go_up() {
        let now = at("1970-01-02T01:30:00Z");
        assert_eq!(number_after(None, now), 25);
        assert_eq!(number_after(Some(&anchor(24, "1970-01-02T00:30:00Z")), now), 25);
        assert_eq!(number_after(Some(&anchor(30, "1970-01-02T06:30:00Z")), now), 31);
    }

    #[test]
    fn the_text_that_is_signed_stays_as_it_is() {
        let anchor = anchor(494_000, "2026-05-10T08:00:00.000001Z");
        let key = anchor.key.hex();
        let expected = format!(
            "abacus ledger anchor 1\nnumber 494000\nat 2026-05-10T08:00:00.000001Z\naccounts 0\n\
             root e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nprevious none\nkey {key}\n"
        );
        assert_eq!(anchor.text(), expected);
    }
}
