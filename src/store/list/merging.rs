//! One page of a list whose rows lie in several cells: each is asked for the same page, and what they answer is put in order.

use std::cmp::Reverse;

use super::{Found, Page};
use crate::store::error::StoreError;

/// So many are passed over at most: each cell reads them.
const PASSED_OVER_MAX: i64 = 10_000;

impl<C: Copy> Page<C> {
    /// What each cell is asked for: what is passed over may be of one of them alone.
    pub fn of_each_cell(&self) -> Result<Self, StoreError> {
        if self.offset > PASSED_OVER_MAX {
            let message = format!("at most {PASSED_OVER_MAX} are passed over: go on from a cursor");
            return Err(StoreError::TooMuch { argument: "offset", message });
        }
        let limit = self.limit.saturating_add(self.offset);
        Ok(Self { after: self.after, before: self.before, limit, from_oldest: self.from_oldest, offset: 0 })
    }
}

impl<T, C: Copy> Found<T, C> {
    /// Without the rows that are not a cell's to show: of an account that moves there are some in two. Where that leaves a page short the
    /// walk has ended with it.
    pub fn only(mut self, page: &Page<C>, key: impl Fn(&T) -> C, is_shown: impl Fn(&T) -> bool) -> Self {
        let last = if page.from_oldest { self.rows.first() } else { self.rows.last() }.map(key);
        let found = self.rows.len();
        self.rows.retain(is_shown);
        let was_full = usize::try_from(page.limit).is_ok_and(|limit| found >= limit);
        if was_full && self.rows.len() < found {
            self.stopped_at = self.stopped_at.or(last);
        }
        self
    }
}

/// The page that what cells have found comes to. Nothing is shown that lies beyond where the walk of one of them ended, for there may be
/// more of it that comes before.
pub fn merged<T, C: Copy + Ord>(
    parts: Vec<Found<T, C>>,
    page: &Page<C>,
    key: impl Fn(&T) -> C,
) -> Found<T, C> {
    let stops = parts.iter().filter_map(|part| part.stopped_at);
    let stopped_at = if page.from_oldest { stops.min() } else { stops.max() };
    let is_before_the_stop = |row: &T| match stopped_at {
        Some(stop) if page.from_oldest => key(row) <= stop,
        Some(stop) => key(row) >= stop,
        None => true,
    };
    let mut rows: Vec<T> = parts.into_iter().flat_map(|part| part.rows).filter(is_before_the_stop).collect();
    rows.sort_by_key(|row| Reverse(key(row)));
    if page.from_oldest {
        rows.reverse();
    }
    let size = |number: i64| usize::try_from(number).unwrap_or(0);
    let mut rows: Vec<T> = rows.into_iter().skip(size(page.offset)).take(size(page.limit)).collect();
    let is_full = rows.len() >= size(page.limit);
    if page.from_oldest {
        rows.reverse();
    }
    Found { rows, stopped_at: stopped_at.filter(|_| !is_full) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a cell answers that walks over so many of its rows and keeps the even ones.
    fn walked(mut rows: Vec<u32>, page: &Page<u32>, walk: usize) -> Found<u32, u32> {
        rows.sort_unstable();
        if !page.from_oldest {
            rows.reverse();
        }
        rows.retain(|row| {
            page.after.is_none_or(|after| *row < after) && page.before.is_none_or(|it| *row > it)
        });
        let stopped_at = (rows.len() > walk).then(|| rows[walk - 1]);
        rows.truncate(walk);
        rows.retain(|row| row % 2 == 0);
        let limit = usize::try_from(page.limit).unwrap();
        let is_full = rows.len() >= limit;
        rows.truncate(limit);
        if page.from_oldest {
            rows.reverse();
        }
        Found { rows, stopped_at: stopped_at.filter(|_| !is_full) }
    }

    proptest! {
        #[test]
        fn pages_of_all_cells_one_after_the_other_have_each_row_once_and_in_order(
            cells in proptest::collection::vec(proptest::collection::btree_set(0..500_u32, 0..60), 1..4),
            limit in 2..20_i64, walk in 3..40_usize, from_oldest in any::<bool>(),
        ) {
            // Each row is in one cell.
            let count = u32::try_from(cells.len()).unwrap();
            let cells: Vec<Vec<u32>> = (0..count).zip(cells)
                .map(|(nth, rows)| rows.into_iter().map(|row| (row * count + nth) * 2 + row % 2).collect()).collect();
            let mut page = Page { after: None, before: None, limit, from_oldest, offset: 0 };
            let mut seen = Vec::new();
            loop {
                let parts = cells.iter().map(|rows| walked(rows.clone(), &page, walk)).collect();
                let mut found = merged(parts, &page, |row| *row);
                if from_oldest {
                    found.rows.reverse();
                }
                let last = found.stopped_at.or(found.rows.last().copied());
                seen.extend(found.rows);
                let Some(last) = last else { break };
                if from_oldest { page.before = Some(last) } else { page.after = Some(last) }
            }
            let mut all: Vec<u32> = cells.concat().into_iter().filter(|row| row % 2 == 0).collect();
            all.sort_unstable();
            if !from_oldest {
                all.reverse();
            }
            prop_assert_eq!(seen, all);
        }

        #[test]
        fn what_is_passed_over_is_of_the_whole(rows in proptest::collection::btree_set(0..200_u32, 0..60), offset in 0..30_i64) {
            let page = Page { after: None, before: None, limit: 5, from_oldest: false, offset };
            let part = page.of_each_cell().unwrap();
            let of = |nth: u32| walked(rows.iter().filter(|row| **row % 2 == nth).map(|row| row * 2).collect(), &part, 1_000);
            let found = merged(vec![of(0), of(1)], &page, |row| *row);
            let whole: Vec<u32> = rows.iter().rev().map(|row| row * 2).collect();
            let expected: Vec<u32> = whole.into_iter().skip(usize::try_from(offset).unwrap()).take(5).collect();
            prop_assert_eq!(found.rows, expected);
        }
    }
}
