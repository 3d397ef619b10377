//! Cells: the databases that accounts are spread over, and which numbers each gives to those that are born in it (docs/adr/0042).

use std::fmt;
use std::ops::RangeInclusive;

use super::ids::AccountId;

/// A cell's number. The home cell has 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellNumber(u8);

/// The greatest number of a cell.
const CELL_MAX: u8 = 128;
/// Numbers up to this one are the home cell's: a database that becomes it keeps what it has given.
const HOME_LAST: i64 = (1 << 31) - 1;
/// How many accounts can be born in each of the others.
const ACCOUNTS_BITS: u32 = 24;
/// The greatest place of a deposit address that the home cell gives, and how many each of the others can give after that.
const HOME_LAST_PLACE: i64 = 0x5fff_ffff;
const PLACES_BITS: u32 = 22;
/// Rows that are numbered one by one.
const ROWS_BITS: u32 = 48;

impl CellNumber {
    /// Where the catalogue and the directory of namespaces are.
    pub const HOME: Self = Self(0);

    /// None: no cell can have it.
    pub fn new(number: i64) -> Option<Self> {
        let number = u8::try_from(number).ok()?;
        (number <= CELL_MAX).then_some(Self(number))
    }

    pub fn number(self) -> i16 {
        i16::from(self.0)
    }

    /// The numbers of accounts that are born in it.
    pub fn accounts(self) -> RangeInclusive<i64> {
        self.share(1..=HOME_LAST, ACCOUNTS_BITS)
    }

    /// The places of the deposit addresses that it gives: all cells' addresses are of one key.
    pub fn address_places(self) -> RangeInclusive<i64> {
        self.share(0..=HOME_LAST_PLACE, PLACES_BITS)
    }

    /// The numbers of what it numbers one by one.
    pub fn rows(self) -> RangeInclusive<i64> {
        self.share(1..=(1 << ROWS_BITS) - 1, ROWS_BITS)
    }

    fn share(self, home: RangeInclusive<i64>, bits: u32) -> RangeInclusive<i64> {
        let Some(nth) = i64::from(self.0).checked_sub(1).filter(|nth| *nth >= 0) else { return home };
        let begin = home.end().saturating_add(1).saturating_add(nth << bits);
        begin..=begin.saturating_add((1_i64 << bits).saturating_sub(1))
    }

    /// Where an account was born, whether or not there is such a cell, or account.
    pub fn of_birth(account: AccountId) -> Self {
        let nth = account.0.saturating_sub(HOME_LAST).saturating_sub(1);
        if nth < 0 {
            return Self::HOME;
        }
        Self(u8::try_from((nth >> ACCOUNTS_BITS).saturating_add(1)).unwrap_or(u8::MAX))
    }
}

impl fmt::Display for CellNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all() -> impl Iterator<Item = CellNumber> {
        (0..=i64::from(CELL_MAX)).filter_map(CellNumber::new)
    }

    #[test]
    fn the_cells_share_what_can_be_numbered() {
        type Share = fn(CellNumber) -> RangeInclusive<i64>;
        let accounts: Share = CellNumber::accounts;
        let shares =
            [(accounts, 1, i64::from(u32::MAX)), (CellNumber::address_places, 0, i64::from(i32::MAX))];
        for (share, first, last) in shares {
            let mut next = first;
            for cell in all() {
                assert_eq!(*share(cell).start(), next);
                next = share(cell).end() + 1;
            }
            assert_eq!(next - 1, last);
        }
        assert!(all().map(|cell| *cell.rows().end()).all(|last| last > 0));
        assert!(CellNumber::new(129).is_none() && CellNumber::new(-1).is_none());
    }

    proptest! {
        #[test]
        fn an_account_is_born_in_the_cell_whose_numbers_have_its_own(account in 1..=i64::from(u32::MAX)) {
            let cell = CellNumber::of_birth(AccountId(account));
            prop_assert!(cell.accounts().contains(&account));
        }
    }
}
