//! Orders: what an account has bought, and for how long.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;

use super::bill::Bill;
use super::codes::coded_enum;
use super::ids::{AccountId, OrderId, PlanId, printed_number};
use super::money::{self, CurrencyCode, Money, OutOfRange};
use super::period::{BillPeriod, months_after, next_of_series};

/// The most of one plan that one order can hold.
pub const QUANTITY_MAX: i32 = 10_000;
/// The most orders of one account that wait for their first payment: each has a bill for each of its periods, and costs
/// nothing yet.
pub const UNPAID_MAX: usize = 100;
/// The most periods that one order runs.
pub const PERIODS_MAX: i32 = 60;

/// So long before its end an order is expiring: renewal is tried from then on, or its end is warned of.
pub const EXPIRING: TimeDelta = TimeDelta::days(7);
/// So long after its end an order that was not renewed is over.
pub const ENDING: TimeDelta = TimeDelta::days(7);
/// An order that is not paid for so long after it was placed is cancelled.
pub const KEPT_UNPAID: TimeDelta = TimeDelta::days(7);
/// Renewal is tried, and an end warned of, once a day.
const TRIED_EVERY: TimeDelta = TimeDelta::days(1);

coded_enum! {
    /// How an order came about.
    OrderType {
        New = "NEW",
        /// Continues the order that it names as previous.
        Renew = "RENEW",
        /// Replaces the order that it names as previous.
        Change = "CHANGE",
    }
}

coded_enum! {
    /// Where an order stands.
    OrderState {
        /// Placed, and not paid yet.
        Unpaid = "UNPAID",
        Active = "ACTIVE",
        /// Within 7 days of its end.
        Expiring = "EXPIRING",
        /// Its end has passed without renewal, or a bill of it was not paid within the grace period.
        Suspended = "SUSPENDED",
        /// Its end has passed and another order continues it, or it was not renewed for seven days after.
        Ended = "ENDED",
        /// Ended before its time, or replaced.
        Cancelled = "CANCELLED",
    }
}

coded_enum! {
    /// Whether an order is paid in one or in several parts.
    PayCycle {
        /// A bill for each of its periods.
        Demand = "DEMAND",
        /// One bill.
        Once = "ONCE",
    }
}

impl OrderState {
    /// The states in which an order counts as the account's.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Unpaid | Self::Active | Self::Expiring | Self::Suspended)
    }
}

/// What a subscription is for: so much of one resource, for a term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The resource's code.
    pub resource: String,
    /// In the resource's unit.
    pub amount: Decimal,
    /// How long one period is, in calendar months.
    pub months: i32,
}

/// An order, with the prices at which it was bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    pub name: String,
    pub order_type: OrderType,
    pub state: OrderState,
    pub previous: Option<OrderId>,
    pub plan: Option<PlanId>,
    /// What it is for, where that is not a plan.
    pub subscription: Option<Subscription>,
    /// Whether its plan is one of which there is at most one live order per region.
    pub exclusive: bool,
    pub quantity: i32,
    pub region: Option<String>,
    pub datacenter: Option<String>,
    pub resource_type: String,
    pub product_name: String,
    pub bill_period: BillPeriod,
    pub currency: CurrencyCode,
    /// Of one, per period.
    pub price: Decimal,
    /// Of one, once.
    pub once_price: Option<Decimal>,
    /// The current period, from 1.
    pub seq: i32,
    /// How many periods it runs.
    pub seq_count: i32,
    pub auto_renewal: bool,
    pub comment: Option<String>,
    pub created_at: DateTime<Utc>,
    /// The beginning of its first period; None until it is paid. A renewal's may lie ahead.
    pub delivered_at: Option<DateTime<Utc>>,
    /// None: on demand, until it is cancelled (then, when that was); or not paid yet.
    pub expires_at: Option<DateTime<Utc>>,
    /// Its periods are cut so many months after this instant; renewals keep the anchor of the order that they continue,
    /// so that the 31st comes back after February.
    pub anchor_at: DateTime<Utc>,
    /// The months from the anchor to the beginning of its first period.
    pub anchor_months: i32,
    /// The order that continues it.
    pub renewed_by: Option<OrderId>,
    /// When it was ended before its time.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// When the jobs have to look at it next.
    pub next_step_at: Option<DateTime<Utc>>,
}

/// What lists show of an order before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderHeader {
    pub id: OrderId,
    pub name: String,
    pub order_type: OrderType,
    pub state: OrderState,
    pub created_at: DateTime<Utc>,
}

/// From when, to when.
pub type PeriodLimits = (DateTime<Utc>, DateTime<Utc>);

impl OrderHeader {
    pub fn number(&self) -> String {
        printed_number('O', self.id.0)
    }
}

impl Order {
    pub fn header(&self) -> OrderHeader {
        OrderHeader {
            id: self.id,
            name: self.name.clone(),
            order_type: self.order_type,
            state: self.state,
            created_at: self.created_at,
        }
    }

    pub fn account(&self) -> AccountId {
        self.id.account()
    }

    pub fn number(&self) -> String {
        printed_number('O', self.id.0)
    }

    /// What a period costs, for the whole quantity.
    pub fn cycle_price(&self) -> Result<Money, OutOfRange> {
        Ok(Money::new(money::multiply(self.price, Decimal::from(self.quantity))?, self.currency))
    }

    /// The calendar months of one of its periods; None for what is on demand.
    fn period_months(&self) -> Option<u32> {
        match &self.subscription {
            Some(subscription) => u32::try_from(subscription.months).ok(),
            None => self.bill_period.months(),
        }
    }

    /// Where `periods` of its periods have passed; None for what is on demand.
    pub fn boundary(&self, periods: i32, zone: Tz) -> Result<Option<DateTime<Utc>>, OutOfRange> {
        let Some(months) = self.period_months() else { return Ok(None) };
        if let (0, Some(begin)) = (periods, self.delivered_at) {
            return Ok(Some(begin));
        }
        let periods = u32::try_from(periods).map_err(|_| OutOfRange)?;
        let offset = u32::try_from(self.anchor_months).map_err(|_| OutOfRange)?;
        let months = months.checked_mul(periods).and_then(|months| months.checked_add(offset));
        months_after(self.anchor_at, months.ok_or(OutOfRange)?, zone).map(Some)
    }

    /// The months from its anchor to its end.
    pub fn months_to_end(&self) -> Result<i32, OutOfRange> {
        let months = self.period_months().and_then(|months| i32::try_from(months).ok()).unwrap_or(0);
        let own = months.checked_mul(self.seq_count);
        own.and_then(|own| own.checked_add(self.anchor_months)).ok_or(OutOfRange)
    }

    /// The limits of its first period; None for what is on demand.
    pub fn first_period(&self, zone: Tz) -> Result<Option<PeriodLimits>, OutOfRange> {
        Ok(self.boundary(0, zone)?.zip(self.boundary(1, zone)?))
    }

    /// The same with the beginning of the order that continues it, when it is renewed at `instant`: where it ends. A subscription
    /// that is over begins at that moment, as what was used between was charged as burst.
    pub fn continued(&self, instant: DateTime<Utc>) -> Result<Self, OutOfRange> {
        let is_over = self.expires_at.is_some_and(|end| end < instant);
        let (delivered_at, anchor_at, anchor_months) = match self.subscription.is_some() && is_over {
            true => (Some(instant), instant, 0),
            false => (self.expires_at, self.anchor_at, self.months_to_end()?),
        };
        Ok(Self { delivered_at, anchor_at, anchor_months, ..self.clone() })
    }

    pub fn pay_cycle(&self) -> PayCycle {
        if self.seq_count > 1 { PayCycle::Demand } else { PayCycle::Once }
    }

    /// Whether it is billed afterwards, by the second.
    pub fn is_on_demand(&self) -> bool {
        self.bill_period == BillPeriod::Hour
    }

    /// Whether it was paid and has not come to an end.
    pub fn runs(&self) -> bool {
        self.state.is_live() && self.state != OrderState::Unpaid
    }

    /// Where it stands at `instant`; `lapsed` says whether a bill of it was not paid within the grace period.
    pub fn state_at(&self, instant: DateTime<Utc>, lapsed: bool) -> OrderState {
        if !self.runs() {
            return self.state;
        }
        let until_end = self.expires_at.map(|end| end.signed_duration_since(instant));
        match until_end {
            Some(left) if left <= TimeDelta::zero() => {
                let over = self.renewed_by.is_some() || left <= -ENDING;
                if over { OrderState::Ended } else { OrderState::Suspended }
            }
            _ if lapsed => OrderState::Suspended,
            Some(left) if left <= EXPIRING && self.renewed_by.is_none() => OrderState::Expiring,
            _ => OrderState::Active,
        }
    }

    /// Whether, at `instant`, its end is near or past and nothing continues it.
    pub fn wants_renewal(&self, instant: DateTime<Utc>) -> bool {
        let near = |end: DateTime<Utc>| end.signed_duration_since(instant) <= EXPIRING;
        self.runs() && self.renewed_by.is_none() && self.expires_at.is_some_and(near)
    }

    /// Whether it renews itself, and could not be renewed yet.
    pub fn awaits_renewal(&self) -> bool {
        let was_tried = matches!(self.state, OrderState::Expiring | OrderState::Suspended);
        was_tried && self.auto_renewal && self.renewed_by.is_none()
    }

    /// The period of a new order that `instant` lies in, from 1, as its periods are going to be cut in `zone`.
    pub fn seq_to_begin_with(&self, instant: DateTime<Utc>, zone: Tz) -> Result<i32, OutOfRange> {
        let mut seq = 1;
        while seq < self.seq_count && self.boundary(seq, zone)?.is_some_and(|begin| begin <= instant) {
            seq = seq.checked_add(1).ok_or(OutOfRange)?;
        }
        Ok(seq)
    }

    /// The period that `instant` lies in, from 1; never before the current one. Its bills say when periods begin: what was
    /// cut is not cut anew when the account's zone changes.
    pub fn seq_at<'b>(&self, instant: DateTime<Utc>, bills: impl IntoIterator<Item = &'b Bill>) -> i32 {
        let begun = bills.into_iter().filter(|bill| bill.start_time <= instant).map(|bill| bill.seq);
        begun.fold(self.seq, i32::max)
    }

    /// When the jobs have to look at it after `instant`: when `next_period` begins, once a day from 7 days before its end,
    /// at its end, and 7 days later.
    pub fn next_step_after(
        &self,
        instant: DateTime<Utc>,
        next_period: Option<DateTime<Utc>>,
    ) -> Result<Option<DateTime<Utc>>, OutOfRange> {
        if self.state == OrderState::Unpaid {
            return Ok(self.created_at.checked_add_signed(KEPT_UNPAID));
        }
        let (true, Some(end)) = (self.runs(), self.expires_at) else { return Ok(None) };
        let towards_end = match self.renewed_by {
            Some(_) => Some(end),
            None => {
                let first = end.checked_sub_signed(EXPIRING).ok_or(OutOfRange)?;
                let last = end.checked_add_signed(ENDING).ok_or(OutOfRange)?;
                next_of_series(first, TRIED_EVERY, last, instant)
            }
        };
        Ok([next_period, towards_end].into_iter().flatten().min())
    }

    /// The debits to come: its unpaid bills, and its renewal at `renewal_price` (of one) if it renews itself.
    pub fn schedule<'b>(
        &self,
        bills: impl IntoIterator<Item = &'b Bill>,
        renewal_price: Option<Decimal>,
    ) -> Result<Vec<ScheduledDebit>, OutOfRange> {
        let debit = |bill: &Bill| ScheduledDebit {
            due_at: bill.due_at,
            amount: Money::new(bill.amount, bill.currency),
            seq: bill.seq,
        };
        let mut debits: Vec<ScheduledDebit> =
            bills.into_iter().filter(|bill| bill.is_open()).map(debit).collect();
        debits.sort_by_key(|debit| (debit.due_at, debit.seq));
        debits.extend(self.renewal_to_come(renewal_price)?);
        Ok(debits)
    }

    fn renewal_to_come(&self, price: Option<Decimal>) -> Result<Option<ScheduledDebit>, OutOfRange> {
        let renews = self.auto_renewal && self.renewed_by.is_none() && self.state.is_live();
        let (true, Some(end), Some(price)) = (renews, self.expires_at, price) else { return Ok(None) };
        let first_try = end.checked_sub_signed(EXPIRING).ok_or(OutOfRange)?;
        // After a try that failed, the next one.
        let due_at = self.next_step_at.map_or(first_try, |next| next.max(first_try));
        if due_at.signed_duration_since(end) >= ENDING {
            return Ok(None);
        }
        let amount = money::multiply(price, Decimal::from(self.quantity))?;
        let seq = self.seq_count.saturating_add(1);
        Ok(Some(ScheduledDebit { due_at, amount: Money::new(amount, self.currency), seq }))
    }
}

/// A debit to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduledDebit {
    pub due_at: DateTime<Utc>,
    pub amount: Money,
    /// Which of the order's periods it is for, from 1.
    pub seq: i32,
}
