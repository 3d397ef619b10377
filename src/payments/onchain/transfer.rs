//! A token's Transfer event (ERC-20).

use rust_decimal::Decimal;

use crate::payments::onchain::address::Address;
use crate::payments::onchain::amount::{BaseUnits, TooManyDigits};
use crate::payments::onchain::chain::{BlockRef, Hash, Log};

/// `Transfer(address,address,uint256)`, hashed: the first topic of each such event.
pub const TRANSFER: Hash = Hash::new([
    0xdd, 0xf2, 0x52, 0xad, 0x1b, 0xe2, 0xc8, 0x9b, 0x69, 0xc2, 0xb0, 0x68, 0xfc, 0x37, 0x8d, 0xaa, 0x95,
    0x2b, 0xa7, 0xf1, 0x63, 0xc4, 0xa1, 0x16, 0x28, 0xf5, 0x5a, 0x4d, 0xf5, 0x23, 0xb3, 0xef,
]);

/// A token that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    pub contract: Address,
    /// Decimal places of one token.
    pub places: u32,
}

/// What an event says: who gave what to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedTransfer {
    pub from: Address,
    pub to: Address,
    pub parts: BaseUnits,
}

/// Where an event is: no two have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub block: BlockRef,
    /// Its place among the events of the block.
    pub log_index: u64,
    pub transaction: Hash,
}

/// Tokens that an address got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub place: Place,
    /// When its block was made, in seconds of Unix time.
    pub timestamp: u64,
    /// The token's contract.
    pub token: Address,
    pub from: Address,
    pub to: Address,
    /// In tokens; or that it cannot be written down.
    pub amount: Result<Decimal, TooManyDigits>,
}

/// An event of a token that is no transfer by the standard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndecodableLog {
    pub place: Place,
    /// The token's contract.
    pub token: Address,
}

impl Place {
    /// The place of an event.
    pub fn of(log: &Log) -> Self {
        Self { block: log.block, log_index: log.index, transaction: log.transaction }
    }
}

impl DecodedTransfer {
    /// What an event says; None: it is no transfer by the standard.
    pub fn of(log: &Log) -> Option<Self> {
        let [TRANSFER, from, to] = log.topics.as_slice() else { return None };
        Some(Self {
            from: Address::of_word(from.bytes())?,
            to: Address::of_word(to.bytes())?,
            parts: BaseUnits::of_word(log.data.as_slice().try_into().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use sha3::{Digest, Keccak256};

    use super::*;

    fn log(topics: &[Hash], data: &[u8]) -> Log {
        let block = BlockRef { number: 1, hash: Hash::new([1; 32]) };
        let contract = Address::new([1; 20]);
        let transaction = Hash::new([2; 32]);
        Log {
            contract,
            topics: topics.to_vec(),
            data: data.to_vec(),
            block,
            transaction,
            index: 0,
            removed: false,
        }
    }

    #[test]
    fn the_topic_is_the_hash_of_the_signature() {
        let hash: [u8; 32] = Keccak256::digest("Transfer(address,address,uint256)").into();
        assert_eq!(TRANSFER, Hash::new(hash));
    }

    #[test]
    fn a_transfer_is_read() {
        let (from, to) = (Address::new([3; 20]), Address::new([4; 20]));
        let mut data = [0; 32];
        data[31] = 5;
        let moved =
            DecodedTransfer::of(&log(&[TRANSFER, Hash::new(from.word()), Hash::new(to.word())], &data))
                .unwrap();
        assert_eq!(moved, DecodedTransfer { from, to, parts: BaseUnits::of_word(&data) });
    }

    #[test]
    fn other_forms_are_no_transfers() {
        let word = Hash::new(Address::new([3; 20]).word());
        let full = Hash::new([9; 32]);
        let number = [0; 32];
        for (topics, data) in [
            (vec![], number.as_slice()),
            (vec![TRANSFER, word], &number),
            // A token that is one of a kind (ERC-721) names itself in a fourth topic.
            (vec![TRANSFER, word, word, word], &[]),
            (vec![TRANSFER, word, word], &[]),
            (vec![TRANSFER, word, word], &[0; 64]),
            (vec![TRANSFER, full, word], &number),
            (vec![full, word, word], &number),
        ] {
            assert_eq!(DecodedTransfer::of(&log(&topics, data)), None, "{topics:?}");
        }
    }
}
