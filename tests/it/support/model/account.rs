//! The rules, as the documentation tells them: what an account has, and what each move makes of it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::market::Market;
use super::moves::Move;

/// At most so many orders wait for their first payment.
const UNPAID_MAX: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderState {
    Unpaid,
    Active,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BillStatus {
    Unpaid,
    Paid,
    Void,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    Plan(usize),
    Disk { amount: i64, months: u32, nth: u32 },
}

#[derive(Debug, Clone)]
pub struct Order {
    pub id: String,
    pub thing: Thing,
    pub quantity: i64,
    pub state: OrderState,
    /// The order that this one continues.
    pub continues: Option<usize>,
    pub continued_by: Option<usize>,
}

#[derive(Debug, Clone)]
pub struct Bill {
    pub id: String,
    pub order: usize,
    pub seq: usize,
    pub cycle: Decimal,
    pub once: Decimal,
    pub amount: Decimal,
    pub status: BillStatus,
    pub refunded: Decimal,
    /// What of it was counted for an order that took this one's place.
    pub credited: Decimal,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaidFor {
    Bill(usize),
    /// A recharge by card, to which it can go back.
    Card,
    /// What cannot be given back.
    Other,
}

/// A movement of money.
#[derive(Debug, Clone)]
pub struct Payment {
    pub id: String,
    pub amount: Decimal,
    pub refunded: Decimal,
    pub paid_for: PaidFor,
}

/// An event that was taken: it stays known when it was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    pub quantity: i64,
    pub counts: bool,
}

/// What was made by a move, and has no name yet: that is the server's to give.
#[derive(Debug, Clone, Copy, Default)]
pub struct Made {
    pub order: Option<usize>,
    pub payment: Option<usize>,
}

/// The code of a user error.
pub type Refused = &'static str;

#[derive(Debug, Clone, Default)]
pub struct Account {
    pub balance: Decimal,
    pub limit: Decimal,
    pub is_suspended: bool,
    pub orders: Vec<Order>,
    pub bills: Vec<Bill>,
    pub payments: Vec<Payment>,
    /// By their number.
    pub events: BTreeMap<usize, Usage>,
    /// The states of prepayments, oldest first.
    pub prepayments: Vec<&'static str>,
}

fn money(cents: i64) -> Decimal {
    Decimal::new(cents, 2)
}

impl Account {
    pub fn order_of(&self, number: usize) -> Option<usize> {
        number.checked_rem(self.orders.len())
    }

    pub fn bill_of(&self, number: usize) -> Option<usize> {
        number.checked_rem(self.bills.len())
    }

    pub fn payment_of(&self, number: usize) -> Option<usize> {
        number.checked_rem(self.payments.len())
    }

    pub fn used(&self) -> Decimal {
        self.events.values().filter(|event| event.counts).map(|event| event.quantity).sum::<i64>().into()
    }

    /// Does what a move does, or says why not and does nothing. What it is about is there.
    pub fn apply(&mut self, what: &Move, market: &Market) -> Result<Made, Refused> {
        let mut after = self.clone();
        let made = after.make(what, market);
        if let (Move::Prepay { .. }, Err("PAYMENT_DECLINED")) = (what, &made) {
            self.prepayments.push("FAILED");
        }
        let made = made?;
        after.lift_where_it_is_within_its_limit();
        *self = after;
        Ok(made)
    }

    fn make(&mut self, what: &Move, market: &Market) -> Result<Made, Refused> {
        match what {
            Move::Recharge { cents } => self.recharge(money(*cents), PaidFor::Other),
            Move::CardRecharge { is_declined: true, .. } => Err("PAYMENT_DECLINED"),
            Move::CardRecharge { cents, .. } => self.recharge(money(*cents), PaidFor::Card),
            Move::Checkout { plan, quantity, instalments, is_later } => {
                self.check_out(market, *plan % market.plans.len(), *quantity, *instalments, *is_later)
            }
            Move::TryOut { plan, quantity } => {
                self.check_out(market, *plan % market.plans.len(), *quantity, 1, false)
            }
            Move::Subscribe { amount, months } => self.subscribe(market, *amount, *months),
            Move::PayOrder { order } => self.pay_order(self.order_of(*order).expect("an order")),
            Move::PayBill { bill } => self.pay_asked(self.bill_of(*bill).expect("a bill")),
            Move::Renew { order, periods } => {
                self.renew(market, self.order_of(*order).expect("an order"), *periods)
            }
            Move::Cancel { order } => self.cancel_asked(self.order_of(*order).expect("an order")),
            Move::VoidBill { bill } => self.void(self.bill_of(*bill).expect("a bill")),
            Move::Refund { payment, cents } => {
                self.refund(self.payment_of(*payment).expect("a payment"), cents.map(money))
            }
            Move::Adjust { cents, is_forced } => self.adjust(money(*cents), *is_forced),
            Move::SetLimit { cents } => self.set_limit(money(*cents)),
            Move::PayOut { cents } => self.pay_out(cents.map(money)),
            Move::Prepay { is_declined, .. } => self.prepay(*is_declined),
            Move::Use { event, quantity } => {
                self.events.entry(*event).or_insert(Usage { quantity: *quantity, counts: true });
                Ok(Made::default())
            }
            Move::VoidUse { event } => {
                self.events.entry(*event).and_modify(|event| event.counts = false);
                Ok(Made::default())
            }
            Move::Crowd { .. } | Move::Again { .. } | Move::OtherInput { .. } => {
                unreachable!("made of others")
            }
        }
    }

    // ── the balance ──

    fn require(&self, amount: Decimal) -> Result<(), Refused> {
        if self.balance + self.limit >= amount { Ok(()) } else { Err("INSUFFICIENT_BALANCE") }
    }

    fn require_active(&self) -> Result<(), Refused> {
        if self.is_suspended { Err("ACCOUNT_SUSPENDED") } else { Ok(()) }
    }

    fn lift_where_it_is_within_its_limit(&mut self) {
        self.is_suspended &= self.balance + self.limit < Decimal::ZERO;
    }

    fn moved(&mut self, amount: Decimal, by: Decimal, paid_for: PaidFor) -> usize {
        self.balance += by;
        self.payments.push(Payment { id: String::new(), amount, refunded: Decimal::ZERO, paid_for });
        self.payments.len() - 1
    }

    fn recharge(&mut self, amount: Decimal, paid_for: PaidFor) -> Result<Made, Refused> {
        if amount <= Decimal::ZERO {
            return Err("INVALID");
        }
        let payment = self.moved(amount, amount, paid_for);
        Ok(Made { payment: Some(payment), ..Made::default() })
    }

    fn adjust(&mut self, amount: Decimal, is_forced: bool) -> Result<Made, Refused> {
        if amount.is_zero() {
            return Err("INVALID");
        }
        if amount < Decimal::ZERO && !is_forced {
            self.require(-amount)?;
        }
        let payment = self.moved(amount.abs(), amount, PaidFor::Other);
        self.is_suspended |= self.balance + self.limit < Decimal::ZERO;
        Ok(Made { payment: Some(payment), ..Made::default() })
    }

    /// The balance is not below the limit unless something was forced.
    fn set_limit(&mut self, limit: Decimal) -> Result<Made, Refused> {
        let was_overdrawn = self.balance + self.limit < Decimal::ZERO;
        if self.balance + limit < Decimal::ZERO && !was_overdrawn {
            return Err("CONFLICT");
        }
        self.limit = limit;
        Ok(Made::default())
    }

    fn pay_out(&mut self, amount: Option<Decimal>) -> Result<Made, Refused> {
        // What waits for its order to be begun asks for nothing yet.
        let is_asked = |bill: &&Bill| {
            bill.status == BillStatus::Unpaid && self.orders[bill.order].state != OrderState::Unpaid
        };
        let open = self.bills.iter().filter(is_asked);
        let free = (self.balance - open.map(|bill| bill.amount).sum::<Decimal>()).max(Decimal::ZERO);
        if amount == Some(Decimal::ZERO) {
            return Err("INVALID");
        }
        let amount = amount.unwrap_or(free);
        if amount > free || amount.is_zero() {
            return Err("INSUFFICIENT_BALANCE");
        }
        let payment = self.moved(amount, -amount, PaidFor::Other);
        Ok(Made { payment: Some(payment), ..Made::default() })
    }

    fn refund(&mut self, payment: usize, amount: Option<Decimal>) -> Result<Made, Refused> {
        let Payment { amount: paid, refunded, paid_for, .. } = self.payments[payment].clone();
        let left = match paid_for {
            PaidFor::Other => return Err("INVALID"),
            PaidFor::Card => paid - refunded,
            PaidFor::Bill(bill) => {
                let bill = &self.bills[bill];
                let worth = bill.once + bill.cycle - bill.refunded - bill.credited;
                (paid - refunded).min(worth).max(Decimal::ZERO)
            }
        };
        if amount == Some(Decimal::ZERO) {
            return Err("INVALID");
        }
        let amount = amount.unwrap_or(left);
        if amount > left || left.is_zero() {
            return Err("LIMIT_EXCEEDED");
        }
        let by = match paid_for {
            PaidFor::Card if self.balance < amount => return Err("INSUFFICIENT_BALANCE"),
            PaidFor::Card => -amount,
            _ => amount,
        };
        self.payments[payment].refunded += amount;
        if let PaidFor::Bill(bill) = paid_for {
            self.bills[bill].refunded += amount;
        }
        let payment = self.moved(amount, by, PaidFor::Other);
        Ok(Made { payment: Some(payment), ..Made::default() })
    }

    fn prepay(&mut self, is_declined: bool) -> Result<Made, Refused> {
        self.require_active()?;
        if is_declined {
            return Err("PAYMENT_DECLINED");
        }
        self.prepayments.push("BOUND");
        Ok(Made::default())
    }

    // ── orders ──

    fn check_out(
        &mut self,
        market: &Market,
        plan: usize,
        quantity: i64,
        instalments: usize,
        is_later: bool,
    ) -> Result<Made, Refused> {
        self.require_active()?;
        let offer = &market.plans[plan];
        let held: Vec<usize> = if offer.is_exclusive { self.held(market) } else { Vec::new() };
        if held.last().is_some_and(|last| self.orders[*last].thing == Thing::Plan(plan)) {
            return Err("PLAN_UNCHANGED");
        }
        if is_later && !held.is_empty() {
            return Err("INVALID");
        }
        let unpaid = self.orders.iter().filter(|order| order.state == OrderState::Unpaid).count();
        if is_later && unpaid >= UNPAID_MAX {
            return Err("LIMIT_EXCEEDED");
        }
        let credit = held.iter().rev().map(|order| self.replace(*order)).sum();
        let cycle = offer.price * Decimal::from(quantity);
        let once = offer.once * Decimal::from(quantity);
        let order = self.new_order(Thing::Plan(plan), quantity, None);
        self.bill_periods(order, instalments, cycle, once, credit)?;
        self.begin(order, is_later)
    }

    /// The live orders of exclusive plans, oldest first.
    fn held(&self, market: &Market) -> Vec<usize> {
        let is_exclusive =
            |order: &Order| matches!(order.thing, Thing::Plan(plan) if market.plans[plan].is_exclusive);
        let all = self.orders.iter().enumerate();
        all.filter(|(_, order)| order.state != OrderState::Cancelled && is_exclusive(order))
            .map(|(at, _)| at)
            .collect()
    }

    /// Ends an order whose place another takes, and answers what counts of it: on its first day, all that was paid for it and
    /// not given back.
    fn replace(&mut self, order: usize) -> Decimal {
        let mut credit = Decimal::ZERO;
        for bill in
            self.bills.iter_mut().filter(|bill| bill.order == order && bill.status == BillStatus::Paid)
        {
            let beyond = (bill.refunded - bill.once).max(Decimal::ZERO);
            let counted = (bill.cycle - beyond).max(Decimal::ZERO);
            bill.credited += counted;
            credit += counted;
        }
        self.cancel(order);
        credit
    }

    fn subscribe(&mut self, market: &Market, amount: i64, months: u32) -> Result<Made, Refused> {
        self.require_active()?;
        let order = self.new_order(Thing::Disk { amount, months, nth: 0 }, 1, None);
        self.bill_periods(order, 1, market.disk(amount, months, 0), Decimal::ZERO, Decimal::ZERO)?;
        self.begin(order, false)
    }

    fn renew(&mut self, market: &Market, order: usize, periods: usize) -> Result<Made, Refused> {
        self.require_active()?;
        let Order { thing, quantity, state, continued_by, .. } = self.orders[order].clone();
        if continued_by.is_some() {
            return Err("CONFLICT");
        }
        match state {
            OrderState::Active => {}
            OrderState::Unpaid => return Err("CONFLICT"),
            OrderState::Cancelled => return Err("INVALID"),
        }
        let (thing, cycle) = match thing {
            Thing::Plan(plan) => (Thing::Plan(plan), market.plans[plan].price * Decimal::from(quantity)),
            Thing::Disk { .. } if periods != 1 => return Err("INVALID"),
            Thing::Disk { amount, months, nth } => {
                (Thing::Disk { amount, months, nth: nth + 1 }, market.disk(amount, months, nth + 1))
            }
        };
        let renewal = self.new_order(thing, quantity, Some(order));
        self.orders[order].continued_by = Some(renewal);
        self.bill_periods(renewal, periods, cycle, Decimal::ZERO, Decimal::ZERO)?;
        self.begin(renewal, false)
    }

    fn new_order(&mut self, thing: Thing, quantity: i64, continues: Option<usize>) -> usize {
        let (id, state) = (String::new(), OrderState::Unpaid);
        self.orders.push(Order { id, thing, quantity, state, continues, continued_by: None });
        self.orders.len() - 1
    }

    fn bill_periods(
        &mut self,
        order: usize,
        periods: usize,
        cycle: Decimal,
        once: Decimal,
        credit: Decimal,
    ) -> Result<(), Refused> {
        for seq in 1..=periods {
            let (once, credit) = if seq == 1 { (once, credit) } else { Default::default() };
            let amount = once + cycle - credit;
            if amount < Decimal::ZERO {
                return Err("CREDIT_EXCEEDS_PRICE");
            }
            self.bills.push(Bill {
                id: String::new(),
                order,
                seq,
                cycle,
                once,
                amount,
                status: BillStatus::Unpaid,
                refunded: Decimal::ZERO,
                credited: Decimal::ZERO,
            });
        }
        Ok(())
    }

    /// Pays the first bill of an order, unless that is for later.
    fn begin(&mut self, order: usize, is_later: bool) -> Result<Made, Refused> {
        let made = Made { order: Some(order), payment: None };
        if is_later {
            return Ok(made);
        }
        let first = self.bills_of(order).next().expect("a bill");
        self.require(self.bills[first].amount)?;
        Ok(Made { payment: self.pay(first), ..made })
    }

    pub fn bills_of(&self, order: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.bills.len()).filter(move |bill| self.bills[*bill].order == order)
    }

    fn pay(&mut self, bill: usize) -> Option<usize> {
        let Bill { order, amount, .. } = self.bills[bill];
        self.bills[bill].status = BillStatus::Paid;
        self.orders[order].state = OrderState::Active;
        (!amount.is_zero()).then(|| self.moved(amount, -amount, PaidFor::Bill(bill)))
    }

    fn pay_asked(&mut self, bill: usize) -> Result<Made, Refused> {
        let Bill { order, seq, amount, status, .. } = self.bills[bill];
        match status {
            BillStatus::Unpaid => {}
            BillStatus::Paid => return Err("ALREADY_PAID"),
            BillStatus::Void => return Err("INVALID"),
        }
        if self.orders[order].state == OrderState::Unpaid {
            self.require_active()?;
            if seq != 1 {
                return Err("CONFLICT");
            }
        }
        self.require(amount)?;
        Ok(Made { payment: self.pay(bill), order: None })
    }

    fn pay_order(&mut self, order: usize) -> Result<Made, Refused> {
        let open = self.bills_of(order).find(|bill| self.bills[*bill].status == BillStatus::Unpaid);
        let Some(open) = open else {
            let has_void = self.bills_of(order).any(|bill| self.bills[bill].status == BillStatus::Void);
            let is_over = self.orders[order].state == OrderState::Cancelled;
            return Err(if has_void || is_over { "INVALID" } else { "ALREADY_PAID" });
        };
        self.pay_asked(open)
    }

    fn cancel_asked(&mut self, order: usize) -> Result<Made, Refused> {
        if self.orders[order].state != OrderState::Cancelled {
            if self.orders[order].continued_by.is_some() {
                return Err("CONFLICT");
            }
            self.cancel(order);
        }
        Ok(Made::default())
    }

    /// Ends an order; what it continued runs out.
    fn cancel(&mut self, order: usize) {
        self.orders[order].state = OrderState::Cancelled;
        for bill in
            self.bills.iter_mut().filter(|bill| bill.order == order && bill.status == BillStatus::Unpaid)
        {
            bill.status = BillStatus::Void;
        }
        let is_last = self.orders[order].continued_by.is_none();
        if let Some(before) = self.orders[order].continues
            && is_last
            && self.orders[before].state != OrderState::Cancelled
        {
            self.orders[before].continued_by = None;
        }
    }

    fn void(&mut self, bill: usize) -> Result<Made, Refused> {
        let Bill { order, seq, status, .. } = self.bills[bill];
        match status {
            BillStatus::Paid => return Err("ALREADY_PAID"),
            BillStatus::Void => return Err("INVALID"),
            BillStatus::Unpaid if seq == 1 && self.orders[order].state == OrderState::Unpaid => {
                self.cancel(order)
            }
            BillStatus::Unpaid => self.bills[bill].status = BillStatus::Void,
        }
        Ok(Made::default())
    }
}
