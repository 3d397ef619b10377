//! What may still be given back of the thing that was paid for: a period of an order, or a month of the account with all that
//! corrects it. Refunds, corrections and the credit of a change count together.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::draft::Draft;
use crate::domain::bill::{Bill, BillStatus};
use crate::domain::ids::BillId;
use crate::domain::money::{self, OutOfRange};

/// What has come in for a month, and what of it has gone back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct MonthSums {
    pub paid: Decimal,
    /// By refunds.
    pub refunded: Decimal,
    /// By corrections.
    pub credited: Decimal,
    /// What its open bills ask for.
    pub open: Decimal,
}

/// What is left to give back of what a bill is for.
pub(super) fn refundable(draft: &Draft<'_>, bill: &Bill) -> Result<Decimal, OutOfRange> {
    let left = match bill.original() {
        Some(original) => {
            let sums = sums_of_month(draft, original)?;
            money::subtract(money::subtract(sums.paid, sums.refunded)?, sums.credited)?
        }
        None => refundable_of_period(bill)?,
    };
    Ok(left.max(Decimal::ZERO))
}

/// The worth of a period less what was refunded, or counted for an order that took the place of this one.
fn refundable_of_period(bill: &Bill) -> Result<Decimal, OutOfRange> {
    let worth = money::add(bill.once_amount, bill.cycle_amount)?;
    money::subtract(money::subtract(worth, bill.refunded_amount)?, bill.credited_amount)
}

/// The bills of a month, by the one that the others correct.
pub(super) fn bills_of_month(draft: &Draft<'_>, original: BillId) -> Vec<Arc<Bill>> {
    draft.bills_that(|bill| bill.original() == Some(original))
}

pub(super) fn sums_of_month(draft: &Draft<'_>, original: BillId) -> Result<MonthSums, OutOfRange> {
    let mut sums = MonthSums::default();
    for bill in bills_of_month(draft, original) {
        sums.refunded = money::add(sums.refunded, bill.refunded_amount)?;
        let sum = match bill.status {
            BillStatus::Paid if bill.amount < Decimal::ZERO => &mut sums.credited,
            BillStatus::Paid => &mut sums.paid,
            BillStatus::Unpaid | BillStatus::Overdue => &mut sums.open,
            BillStatus::Void => continue,
        };
        *sum = money::add(*sum, bill.amount.abs())?;
    }
    Ok(sums)
}
