//! A month that is over is billed; one that was billed, and has been rated again, is corrected.

use std::sync::Arc;

use chrono::TimeDelta;
use rust_decimal::Decimal;

use super::draft::Draft;
use super::{payment, refunds, suspension};
use crate::domain::account::AccountStatus;
use crate::domain::bill::{Bill, BillStatus};
use crate::domain::closing::{
    self, ClosedMonth, DUE_AFTER, Month, OnDemand, RatedMonth, less_charged_before,
};
use crate::domain::ids::{BillId, RecordId};
use crate::domain::money::{self, OutOfRange};
use crate::domain::notice::NoticeKind;
use crate::domain::rating::Charge;
use crate::domain::record::{Content, Record};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::transaction::TransactionKind;

pub(super) fn is_as_it_was_read(draft: &Draft<'_>, rated: &RatedMonth) -> bool {
    // What was taken back of others is in nobody's way: the account's time zone may be another since.
    let is_in_the_way = |closed: &&ClosedMonth| {
        closed.month.overlaps(&rated.month)
            && !(closed.is_taken_back() && closed.month.start != rated.month.start)
    };
    let mut overlapping = draft.closed_months().filter(is_in_the_way);
    match (overlapping.next(), overlapping.next()) {
        (None, _) => rated.revision == 0,
        // An account that was closed within a month and opened again goes on with it.
        (Some(closed), None) => {
            let is_same = closed.month.start == rated.month.start && closed.month.end <= rated.month.end;
            is_same && closed.revision == rated.revision
        }
        (Some(_), Some(_)) => false,
    }
}

/// Bills a month, or what has changed of one that was billed; what comes to less than can be paid is carried to the next
/// correction.
pub(super) fn close(draft: &mut Draft<'_>, rated: &RatedMonth) -> Result<Option<Arc<Bill>>, Refusal> {
    if rated.month.end > draft.now {
        let message = format!("the month is not over: it ends at {}", rated.month.end);
        return Err(Refusal::new(RefusalCode::Conflict, "period", message));
    }
    if closing::is_taken_back(&rated.month) {
        let message = "the month was taken back: it is closed once it is over";
        return Err(Refusal::new(RefusalCode::Conflict, "period", message));
    }
    let was_closed_until = draft.account.closed_until;
    let closed_until = was_closed_until.map_or(rated.month.end, |until| until.max(rated.month.end));
    draft.account.closed_until = Some(closed_until);
    let before = draft.closed_months().find(|closed| closed.month.start == rated.month.start).cloned();
    let to_charge = to_charge(rated, before.as_ref())?;
    if before.is_none() && to_charge.is_empty() {
        return Ok(None);
    }
    if before.as_ref().is_none_or(|before| before.usage_version != rated.usage_version) {
        tell(draft, rated)?;
    }
    tell_unrated(draft, rated, before.as_ref())?;
    let is_first = before.as_ref().is_none_or(ClosedMonth::is_taken_back);
    let before = before.unwrap_or_else(|| never_closed(draft, rated));
    let mut closed = ClosedMonth {
        month: rated.month,
        revision: before.revision.checked_add(1).ok_or(OutOfRange)?,
        usage_version: rated.usage_version,
        unrated: rated.unrated().into_iter().map(str::to_owned).collect(),
        closed_at: draft.instant,
        ..before.clone()
    };
    let mut amount = before.amount;
    for (_, charge) in &to_charge {
        amount = money::add(amount, charge.total)?;
    }
    let billed_amount = draft.currency.round_to_display(amount);
    let is_late = is_first && was_closed_until.is_some_and(|until| until >= rated.month.end);
    let is_carried = billed_amount == before.billed_amount && (!is_first || (is_late && !amount.is_zero()));
    if to_charge.is_empty() || is_carried {
        draft.put(closed);
        return Ok(None);
    }
    if !is_held_back(rated, &before) {
        closed.usage_amount = rated.usage.as_ref().map_or(Decimal::ZERO, |charge| charge.total);
    }
    closed.amount = amount;
    closed.billed_amount = billed_amount;
    closed.withheld_amount = withheld(draft, &closed)?;
    let ask = Ask {
        cycle: money::subtract(closed.billed_amount, before.billed_amount)?,
        withheld: money::subtract(closed.withheld_amount, before.withheld_amount)?,
    };
    let bill = bill(draft, rated, ask, before.bill, to_charge)?;
    closed.bill = before.bill.or(Some(bill.id));
    draft.put(closed);
    Ok(Some(bill))
}

/// What bills of a month do not credit: whatever it costs by now, no more comes back than was paid and not given back.
pub(super) fn withheld(draft: &Draft<'_>, closed: &ClosedMonth) -> Result<Decimal, OutOfRange> {
    let refunded = match closed.bill {
        Some(original) => refunds::sums_of_month(draft, original)?.refunded,
        None => Decimal::ZERO,
    };
    let given_back = money::add(refunded, closed.forgiven_amount)?;
    Ok(money::subtract(given_back, closed.billed_amount)?.max(Decimal::ZERO))
}

/// What a bill is to ask for.
#[derive(Clone, Copy)]
pub(super) struct Ask {
    /// The change of what the month costs.
    pub cycle: Decimal,
    /// The change of what is not credited.
    pub withheld: Decimal,
}

impl Ask {
    fn amount(self) -> Result<Decimal, OutOfRange> {
        money::add(self.cycle, self.withheld)
    }
}

fn never_closed(draft: &Draft<'_>, rated: &RatedMonth) -> ClosedMonth {
    ClosedMonth {
        account: draft.account.id,
        month: rated.month,
        period: rated.period,
        revision: 0,
        usage_version: 0,
        bill: None,
        usage_amount: Decimal::ZERO,
        amount: Decimal::ZERO,
        billed_amount: Decimal::ZERO,
        withheld_amount: Decimal::ZERO,
        forgiven_amount: Decimal::ZERO,
        unrated: Vec::new(),
        closed_at: draft.instant,
    }
}

/// What a record is of: an order on demand, or usage.
type Of<'r> = Option<&'r OnDemand>;

/// Nothing is given back of a month in which something cannot be rated: what was charged for it before may be right.
fn is_held_back(rated: &RatedMonth, before: &ClosedMonth) -> bool {
    let total = rated.usage.as_ref().map_or(Decimal::ZERO, |charge| charge.total);
    !rated.unrated().is_empty() && total < before.usage_amount
}

/// What is to be charged now. Orders on demand are charged whole when the month is closed, and do not change after.
fn to_charge<'r>(
    rated: &'r RatedMonth,
    before: Option<&ClosedMonth>,
) -> Result<Vec<(Of<'r>, Charge)>, OutOfRange> {
    let Some(before) = before.filter(|before| !before.is_taken_back()) else {
        let usage = rated.usage.iter().map(|charge| (None, charge.clone()));
        let orders = rated.on_demand.iter().map(|order| (Some(order), order.charge.clone()));
        return Ok(usage.chain(orders).collect());
    };
    let nothing = || Charge { total: Decimal::ZERO, lines: Vec::new() };
    let again = rated.usage.clone().unwrap_or_else(nothing);
    let mut to_charge = Vec::new();
    if again.total != before.usage_amount && !is_held_back(rated, before) {
        to_charge.push((None, less_charged_before(again, before.usage_amount)?));
    }
    // Where the month goes on, what began since.
    let begun_since = rated.on_demand.iter().filter(|order| order.ran.start >= before.month.end);
    to_charge.extend(begun_since.map(|order| (Some(order), order.charge.clone())));
    Ok(to_charge)
}

/// Makes the bill with its records. It is paid from the balance if that covers it and nothing else waits to be paid.
pub(super) fn bill(
    draft: &mut Draft<'_>,
    rated: &RatedMonth,
    ask: Ask,
    correction_of: Option<BillId>,
    charges: Vec<(Of<'_>, Charge)>,
) -> Result<Arc<Bill>, Refusal> {
    let id = BillId(draft.next_id()?);
    for (order, charge) in charges {
        let record = record(draft, rated, id, order, charge, correction_of.is_some())?;
        draft.put_record(record);
    }
    put_bill(draft, rated, id, ask, correction_of)?;
    match correction_of.filter(|_| ask.amount().is_ok_and(|amount| amount < Decimal::ZERO)) {
        Some(original) => credit(draft, id, original)?,
        None => pay_if_possible(draft, id)?,
    }
    draft.bill(id).cloned().ok_or_else(|| OutOfRange.into())
}

fn put_bill(
    draft: &mut Draft<'_>,
    rated: &RatedMonth,
    id: BillId,
    ask: Ask,
    correction_of: Option<BillId>,
) -> Result<(), OutOfRange> {
    // What is asked of an account that is closed is due at once.
    let is_closed = draft.account.status == AccountStatus::Closed;
    let due_after = if is_closed { TimeDelta::zero() } else { DUE_AFTER };
    let due_at = draft.instant.checked_add_signed(due_after).ok_or(OutOfRange)?;
    draft.put_bill(Bill {
        id,
        order: None,
        status: BillStatus::Unpaid,
        currency: draft.currency.code,
        amount: ask.amount()?,
        once_amount: Decimal::ZERO,
        cycle_amount: ask.cycle,
        credit_amount: Decimal::ZERO,
        replaced_amount: Decimal::ZERO,
        withheld_amount: ask.withheld,
        start_time: rated.month.start,
        end_time: rated.month.end,
        seq: 1,
        seq_count: 1,
        due_at,
        last_paid_at: None,
        paid_by: None,
        refunded_amount: Decimal::ZERO,
        credited_amount: Decimal::ZERO,
        next_step_at: Some(due_at),
        datacenter: None,
        correction_of,
        created_at: draft.instant,
    });
    Ok(())
}

/// What is credited pays what is still open of the same month. Where it does not cover that, nothing has been paid that could
/// come back: then the bill takes the place of those that are open, and asks for what is left.
fn credit(draft: &mut Draft<'_>, id: BillId, original: BillId) -> Result<(), Refusal> {
    let mut attempt = draft.clone();
    payment::pay(&mut attempt, id, TransactionKind::BillPayment)?;
    payment::settle(&mut attempt)?;
    for open in open_bills(&attempt, original) {
        pay_if_possible(&mut attempt, open.id)?;
    }
    if open_bills(&attempt, original).is_empty() {
        *draft = attempt;
        return Ok(());
    }
    let replaced: Vec<Arc<Bill>> =
        open_bills(draft, original).into_iter().filter(|open| open.id != id).collect();
    let mut bill = draft.bill(id).map(|bill| Bill::clone(bill)).ok_or(OutOfRange)?;
    for open in &replaced {
        bill.replaced_amount = money::add(bill.replaced_amount, open.amount)?;
        bill.amount = money::add(bill.amount, open.amount)?;
        bill.due_at = bill.due_at.min(open.due_at);
        draft.put_bill(open.voided());
    }
    let is_credit = bill.amount < Decimal::ZERO;
    draft.put_bill(Bill { next_step_at: bill.next_step_after(draft.instant), ..bill });
    if is_credit {
        payment::pay(draft, id, TransactionKind::BillPayment)?;
        return payment::settle(draft);
    }
    pay_if_possible(draft, id)?;
    suspension::restore(draft);
    Ok(())
}

fn open_bills(draft: &Draft<'_>, original: BillId) -> Vec<Arc<Bill>> {
    let mut bills = refunds::bills_of_month(draft, original);
    bills.retain(|bill| bill.is_open());
    bills
}

/// Pays an open bill, if the balance covers it and nothing else that is due waits for it.
fn pay_if_possible(draft: &mut Draft<'_>, id: BillId) -> Result<(), Refusal> {
    let Some(bill) = draft.bill(id).filter(|bill| bill.is_open()).cloned() else { return Ok(()) };
    let nothing_waits = payment::due_bills(draft).iter().all(|due| due.id == id);
    let can_pay = nothing_waits && draft.has(bill.amount)?;
    if bill.amount.is_zero() || can_pay {
        payment::pay(draft, id, TransactionKind::BillPayment)?;
    }
    Ok(())
}

fn record(
    draft: &mut Draft<'_>,
    rated: &RatedMonth,
    bill: BillId,
    order: Of<'_>,
    charge: Charge,
    is_correction: bool,
) -> Result<Record, Refusal> {
    let period = rated.period.format("%Y-%m");
    let Month { start, end } = order.map_or(rated.month, |order| order.ran);
    let of_usage =
        || if is_correction { format!("Usage {period}, correction") } else { format!("Usage {period}") };
    Ok(Record {
        id: RecordId(draft.next_id()?),
        bill,
        order: order.map(|order| order.order.clone()),
        resource_type: order.map_or_else(|| rated.resource_type.clone(), |order| order.resource_type.clone()),
        product_name: order.map_or_else(of_usage, |order| order.product_name.clone()),
        datacenter: order.and_then(|order| order.datacenter.clone()),
        start_time: start,
        end_time: end,
        currency: draft.currency.code,
        price: charge.total,
        content: Content::Rated(charge.lines),
        created_at: draft.instant,
    })
}

/// Tells of usage that has no price, and of gauges that nobody reported for a time.
fn tell(draft: &mut Draft<'_>, rated: &RatedMonth) -> Result<(), Refusal> {
    let period = rated.period.format("%Y-%m");
    let subject = draft.account.id.to_string();
    let unpriced = rated.unpriced();
    if !unpriced.is_empty() {
        let message =
            format!("What was used in {period} of {} has no price: it is not charged.", unpriced.join(", "));
        draft.notify(NoticeKind::UnpricedUsage, message, subject.clone())?;
    }
    // What comes late fills gaps that were told of.
    let silent = rated.silent.iter().filter(|_| rated.revision == 0);
    for (resource, slots) in silent {
        let message = format!(
            "{resource} was not reported for {slots} of the 5-minute slots of {period}: they count as zero."
        );
        draft.notify(NoticeKind::GaugeSilent, message, subject.clone())?;
    }
    Ok(())
}

/// Tells operators, once, of usage that cannot be rated, and has the month looked at again until it can be.
fn tell_unrated(
    draft: &mut Draft<'_>,
    rated: &RatedMonth,
    before: Option<&ClosedMonth>,
) -> Result<(), Refusal> {
    let mut unrated = rated.unrated();
    if unrated.is_empty() {
        return Ok(());
    }
    draft.look_again_at(rated.month.middle());
    unrated.retain(|resource| before.is_none_or(|before| before.unrated.iter().all(|told| told != resource)));
    if unrated.is_empty() {
        return Ok(());
    }
    let message = format!(
        "What was used in {} of {} cannot be rated, as it is out of range: it is not charged until it can be.",
        rated.period.format("%Y-%m"),
        unrated.join(", ")
    );
    Ok(draft.notify(NoticeKind::UnratedUsage, message, draft.account.id.to_string())?)
}
