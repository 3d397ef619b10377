//! Deposits: tokens that reached the address of a prepayment, and what they are good for.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::Prepayment;
use crate::domain::codes::coded_enum;
use crate::domain::ids::AccountId;
use crate::domain::money::{self, CurrencyCode, OutOfRange};

coded_enum! {
    /// What a deposit is good for.
    DepositState {
        /// Found on the chain, and not decided on.
        Seen = "SEEN",
        /// Part of what its prepayment is, or is to be, paid with.
        Counted = "COUNTED",
        /// Late, too little, too much or of another token: somebody has to look.
        Unused = "UNUSED",
        /// The chain was re-organised, and has it no more.
        Undone = "UNDONE",
    }
}

/// Where on a chain a deposit is: no two have the same, and they are in the chain's order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DepositPlace {
    pub block_number: i64,
    /// Its place among the events of the block.
    pub log_index: i64,
    pub block_hash: String,
}

/// Tokens that reached an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// Whose address it is.
    pub account: AccountId,
    pub place: DepositPlace,
    /// When its block was made, as its maker says.
    pub block_time: DateTime<Utc>,
    /// The hash of the transaction.
    pub transaction: String,
    pub asset: CurrencyCode,
    pub amount: Decimal,
    pub sender: String,
    pub address: String,
    /// Whether the chain has it no more.
    pub is_gone: bool,
    pub state: DepositState,
}

impl fmt::Display for Deposit {
    /// As operators need it to find the sender.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.amount.normalize();
        write!(f, "{amount} {} from {} (transaction {})", self.asset, self.sender, self.transaction)
    }
}

/// Why a deposit is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unused {
    NoPrepayment,
    /// The prepayment is paid in this one.
    OtherAsset(CurrencyCode),
    Late(DateTime<Utc>),
    PaidAlready,
    /// The time is over, and this was to be paid.
    TooLittle(Decimal),
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPrepayment => f.write_str("nothing is to be paid to this address"),
            Self::OtherAsset(asset) => write!(f, "{asset} was to be paid"),
            Self::Late(until) => write!(f, "it was waited for until {}", until.format("%Y-%m-%dT%H:%M:%SZ")),
            Self::PaidAlready => f.write_str("the prepayment was paid already"),
            Self::TooLittle(amount) => write!(f, "{} was to be paid in time", amount.normalize()),
        }
    }
}

/// What the deposits to a prepayment's address come to.
#[derive(Debug, Default)]
pub struct DepositCount {
    /// What it is, or is to be, paid with.
    pub counted: Vec<Arc<Deposit>>,
    /// What else the chain has.
    pub unused: Vec<(Arc<Deposit>, Unused)>,
    /// What the chain has no more.
    pub gone: Vec<Arc<Deposit>>,
    /// Whether what counts is as much as was to be paid.
    pub is_enough: bool,
    /// By how much what counts is more than that.
    pub surplus: Decimal,
}

impl DepositCount {
    /// Counts what reached a prepayment's address, whatever was decided before: those that counted come first, then the others in
    /// the chain's order. The time of a block decides, not the time of looking.
    pub fn of(held: &Prepayment, deposits: &[Arc<Deposit>]) -> Result<Self, OutOfRange> {
        let deadline = held.deposit_deadline()?;
        let (gone, mut there): (Vec<_>, Vec<_>) =
            deposits.iter().cloned().partition(|deposit| deposit.is_gone);
        there.sort_by(|a, b| {
            let order = |deposit: &Deposit| deposit.state != DepositState::Counted;
            (order(a), &a.place).cmp(&(order(b), &b.place))
        });
        let mut count = Self { gone, ..Self::default() };
        let mut left = held.amount;
        for deposit in there {
            let why = if !held.status.holds_offer() {
                Unused::NoPrepayment
            } else if deposit.asset != held.currency {
                Unused::OtherAsset(held.currency)
            } else if !came_by(deadline, &deposit, deposits) {
                Unused::Late(deadline)
            } else if count.is_enough {
                Unused::PaidAlready
            } else {
                count.is_enough = deposit.amount >= left;
                if count.is_enough {
                    count.surplus = money::subtract(deposit.amount, left).unwrap_or(deposit.amount);
                } else {
                    left = money::subtract(left, deposit.amount)?;
                }
                count.counted.push(deposit);
                continue;
            };
            count.unused.push((deposit, why));
        }
        Ok(count)
    }
}

/// Whether the chain had this transfer in time. One that a re-organisation moved into a later block was in time once.
fn came_by(deadline: DateTime<Utc>, deposit: &Deposit, deposits: &[Arc<Deposit>]) -> bool {
    let same = |other: &&Arc<Deposit>| {
        other.transaction == deposit.transaction
            && (&other.asset, other.amount) == (&deposit.asset, deposit.amount)
    };
    deposits.iter().filter(same).any(|other| other.block_time <= deadline)
}
