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

/// Which event of a chain a deposit is: no two are the same, and they are in the chain's order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DepositPlace {
    pub block_number: i64,
    /// Its place among the events of the block, as it was told first.
    pub log_index: i64,
    pub block_hash: String,
    /// The hash of the transaction.
    pub transaction: String,
    /// Where the tokens went.
    pub address: String,
    pub asset: CurrencyCode,
    /// Which of the transaction's transfers of the asset to the address it is, from 0 on: on that nodes agree, and not on the
    /// number among the block's events.
    pub nth: i32,
}

/// Tokens that reached an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// Whose address it is.
    pub account: AccountId,
    pub place: DepositPlace,
    /// When its block was made, as its maker says.
    pub block_time: DateTime<Utc>,
    pub amount: Decimal,
    pub sender: String,
    /// Whether the chain has it no more.
    pub is_gone: bool,
    pub state: DepositState,
}

impl fmt::Display for Deposit {
    /// As operators need it to find the sender.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = self.amount.normalize();
        write!(
            f,
            "{amount} {} from {} (transaction {})",
            self.place.asset, self.sender, self.place.transaction
        )
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
        let (gone, mut there): (Vec<_>, Vec<_>) =
            deposits.iter().cloned().partition(|deposit| deposit.is_gone);
        there.sort_by(|a, b| {
            let order = |deposit: &Deposit| deposit.state != DepositState::Counted;
            (order(a), &a.place).cmp(&(order(b), &b.place))
        });
        let mut count = Self { gone, ..Self::default() };
        let mut left = held.amount;
        for deposit in there {
            match count.no_use_of(&deposit, held, deposits)? {
                Some(why) => count.unused.push((deposit, why)),
                None => count.take(deposit, &mut left)?,
            }
        }
        Ok(count)
    }

    fn no_use_of(
        &self,
        deposit: &Deposit,
        held: &Prepayment,
        deposits: &[Arc<Deposit>],
    ) -> Result<Option<Unused>, OutOfRange> {
        let deadline = held.deposit_deadline()?;
        Ok(if !held.status.holds_offer() {
            Some(Unused::NoPrepayment)
        } else if deposit.place.asset != held.currency {
            Some(Unused::OtherAsset(held.currency))
        } else if !came_by(deadline, deposit, deposits) {
            Some(Unused::Late(deadline))
        } else {
            self.is_enough.then_some(Unused::PaidAlready)
        })
    }

    /// Counts one more; `left` is what was to be paid before it.
    fn take(&mut self, deposit: Arc<Deposit>, left: &mut Decimal) -> Result<(), OutOfRange> {
        self.is_enough = deposit.amount >= *left;
        if self.is_enough {
            // More digits than a number has: what is left of it is as good as all of it.
            self.surplus = money::subtract(deposit.amount, *left).unwrap_or(deposit.amount);
        } else {
            *left = money::subtract(*left, deposit.amount)?;
        }
        self.counted.push(deposit);
        Ok(())
    }
}

/// Whether the chain had this transfer in time. One that a re-organisation moved into a later block was in time once.
fn came_by(deadline: DateTime<Utc>, deposit: &Deposit, deposits: &[Arc<Deposit>]) -> bool {
    let same = |other: &&Arc<Deposit>| {
        let (one, another) = (&deposit.place, &other.place);
        (&one.transaction, one.asset, one.nth) == (&another.transaction, another.asset, another.nth)
            && other.amount == deposit.amount
    };
    deposit.block_time <= deadline || deposits.iter().filter(same).any(|other| other.block_time <= deadline)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::domain::ids::{IdMint, PrepaymentId, QuoteId};
    use crate::domain::prepay::{Limits, Means, PrepayQuote};

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn code(text: &str) -> CurrencyCode {
        CurrencyCode::parse(text).unwrap()
    }

    fn begin() -> DateTime<Utc> {
        "2026-03-01T10:00:00Z".parse().unwrap()
    }

    /// Of 33.3 USDT_ERC20.
    fn prepayment() -> Prepayment {
        let mut mint = IdMint::new(AccountId(1), begin(), 0, false);
        let quote = PrepayQuote {
            id: QuoteId(mint.next_id().unwrap()),
            currency: code("USDT_ERC20"),
            amount: dec("33.3"),
            usd: dec("33.3"),
            months: 3,
            cluster: "c".to_owned(),
            chart: "c".to_owned(),
            limits: Limits { cpu: 1, mem: 1, storage: 1 },
            rate: None,
            steps: Vec::new(),
            expires_at: begin(),
        };
        let means = Means::Deposit { address: Some("address".to_owned()), again_until: None };
        Prepayment::of(PrepaymentId(mint.next_id().unwrap()), &quote, means, false)
    }

    /// In a block so many minutes after the offer, in a transaction of its own.
    fn deposit(minutes: i64, amount: &str) -> Deposit {
        Deposit {
            account: AccountId(1),
            place: DepositPlace {
                block_number: minutes,
                log_index: 0,
                block_hash: format!("block {minutes}"),
                transaction: format!("transaction {minutes}"),
                address: "address".to_owned(),
                asset: code("USDT_ERC20"),
                nth: 0,
            },
            block_time: begin() + TimeDelta::minutes(minutes),
            amount: dec(amount),
            sender: "sender".to_owned(),
            is_gone: false,
            state: DepositState::Seen,
        }
    }

    fn count(deposits: Vec<Deposit>) -> DepositCount {
        let deposits: Vec<_> = deposits.into_iter().map(Arc::new).collect();
        DepositCount::of(&prepayment(), &deposits).unwrap()
    }

    /// Of those that count, the minutes.
    fn counted(count: &DepositCount) -> Vec<i64> {
        count.counted.iter().map(|deposit| deposit.place.block_number).collect()
    }

    #[test]
    fn deposits_count_in_the_chain_s_order_until_they_are_enough() {
        let count = count(vec![deposit(9, "5"), deposit(2, "23.3"), deposit(1, "10.5"), deposit(3, "1")]);
        assert_eq!((counted(&count), count.is_enough, count.surplus), (vec![1, 2], true, dec("0.5")));
        assert!(count.unused.iter().all(|(_, why)| *why == Unused::PaidAlready));
        assert_eq!(count.unused.len(), 2);
    }

    #[test]
    fn those_that_count_already_go_first() {
        let paid = Deposit { state: DepositState::Counted, ..deposit(5, "33.3") };
        let count = count(vec![deposit(1, "33.3"), paid]);
        assert_eq!((counted(&count), count.unused.len()), (vec![5], 1));
    }

    #[test]
    fn the_last_second_is_in_time_and_a_transfer_that_was_is_so_later() {
        let day = 24 * 60;
        let on_time = count(vec![deposit(day, "33.3")]);
        assert!(on_time.is_enough);
        let late = Deposit { block_time: begin() + TimeDelta::seconds(86_401), ..deposit(day, "33.3") };
        assert_eq!(count(vec![late.clone()]).unused[0].1, Unused::Late(begin() + TimeDelta::hours(24)));
        let before = Deposit {
            place: DepositPlace { transaction: late.place.transaction.clone(), ..deposit(7, "0").place },
            is_gone: true,
            state: DepositState::Undone,
            ..deposit(7, "33.3")
        };
        let count = count(vec![late, before]);
        assert_eq!((counted(&count), count.is_enough, count.gone.len()), (vec![day], true, 1));
    }

    #[test]
    fn what_is_short_gone_or_of_another_token_is_not_enough() {
        let mut other = deposit(1, "33.3");
        other.place.asset = code("ANKR_ERC20");
        let gone = Deposit { is_gone: true, ..deposit(2, "33.3") };
        let count = count(vec![other, gone, deposit(3, "33.299999")]);
        assert!(!count.is_enough);
        assert_eq!((counted(&count), count.gone.len()), (vec![3], 1));
        assert_eq!(count.unused[0].1, Unused::OtherAsset(code("USDT_ERC20")));
    }

    #[test]
    fn the_largest_amount_that_there_is_is_enough() {
        let count = count(vec![deposit(1, "0.000001"), deposit(2, "79228162514264337593543950335")]);
        assert!(count.is_enough && count.surplus > dec("1000000"));
    }
}
