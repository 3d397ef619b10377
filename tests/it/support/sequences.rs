//! Random sequences of commands on accounts, carried out on a book alone; the engine is held against the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use abacus::domain::account::{Account, AccountStatus};
use abacus::domain::book::{Book, CapacityCatalogue, Catalogue};
use abacus::domain::burst::{Cycle, CycleCharge, ResourceCharge};
use abacus::domain::capacity::{ResourcePrice, TermDiscount, by_currency};
use abacus::domain::closing::{
    Month, RatedMonth, Standstill, closed_until, month_from, next_to_close, rate_on_demand,
};
use abacus::domain::command::Command;
use abacus::domain::decide::{
    Action, AddPaymentMethod, AdjustBalance, BillStep, BindApp, BookReversal, CancelOrder, ChargeBurst,
    Checkout, ClaimPayment, CloseMonth, Closing, EndHold, KeepQuote, OrderStep, PayBill, PayOrder, PayOut,
    PayOutWay, Prepay, PrepaymentStep, Recharge, RechargeByCard, Refund, RemovePaymentMethod, RenewOrder,
    SetAutoRenewal, SetPrepaymentRenewal, SettlePayment, Subscribe, UpdateAccount, VoidBill, decide,
};
use abacus::domain::fingerprint::fingerprint;
use abacus::domain::ids::{
    AccountId, BillId, IdMint, OrderId, OwnedId, PaymentMethodId, PlanId, PrepaymentId, QuoteId,
    ResourcePriceId, TransactionId,
};
use abacus::domain::ledger::{Fault, Verifier};
use abacus::domain::money::{Currencies, CurrencyCode};
use abacus::domain::order::Order;
use abacus::domain::outcome::Done;
use abacus::domain::payment::{ChargeState, Payment, Progress};
use abacus::domain::payment_method::Card;
use abacus::domain::period::BillPeriod;
use abacus::domain::plan::{Aggregation, Plan, Resource};
use abacus::domain::policies::Policies;
use abacus::domain::prepay::{App, DepositTo, Limits, Quoted};
use abacus::domain::rating::{Charge, Label, Line, Step as ChargeStep, Title};
use abacus::domain::refusal::Refusal;
use abacus::domain::reversal::{ReversalKind, ReversalReport};
use abacus::domain::seal::SealKeys;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use proptest::sample::Index;
use rust_decimal::Decimal;
use uuid::Uuid;

/// What happens to an account, some time after what happened before.
#[derive(Debug, Clone)]
pub struct Step {
    /// Sometimes negative: clocks are set back, and servers' clocks differ.
    pub seconds: i64,
    pub event: Event,
}

#[derive(Debug, Clone)]
pub enum Event {
    Ask {
        key: u8,
        dry_run: bool,
        what: What,
    },
    /// An earlier command once more, as it was.
    Again(Index),
    /// An operator suspends the account, reactivates or closes it.
    Status(AccountStatus),
    /// An operator sets how far the balance may go below zero.
    Limit(Option<i64>),
    /// A month that is over is closed, or one that was is rated again: what was used in it costs so much.
    Month {
        which: Index,
        units: i64,
        places: u32,
    },
    /// A job does what has been due longest.
    Job,
    /// A payment provider says something of a payment.
    Provider {
        which: Index,
        state: ChargeState,
    },
    /// A payment provider says something of what was taken back of a charge.
    Outside {
        which: Index,
        number: u8,
        stage: u8,
    },
    /// A cycle, some after or before that of now, charges so much.
    Burst {
        cycles: i32,
        units: i64,
        places: u32,
    },
}

#[derive(Debug, Clone)]
pub enum What {
    Recharge {
        units: i64,
        places: u32,
    },
    Checkout {
        plan: usize,
        region: Option<&'static str>,
        quantity: i32,
        expected: Expected,
        auto_renewal: bool,
        instalments: Option<i32>,
        pay_later: bool,
    },
    Subscribe {
        amount: i64,
        months: i32,
        auto_renewal: bool,
        resource: &'static str,
    },
    PayOrder(Index),
    PayBill(Index),
    Renew {
        which: Index,
        periods: i32,
    },
    Cancel {
        which: Index,
        at_period_end: bool,
    },
    AutoRenewal {
        which: Index,
        on: bool,
    },
    Adjust {
        units: i64,
        places: u32,
        force: bool,
    },
    Refund {
        which: Index,
        cents: Option<i64>,
    },
    RefundOfNothing,
    VoidBill(Index),
    PayOut {
        which: Option<Index>,
        cents: Option<i64>,
    },
    AddCard(u8),
    RemoveCard(Index),
    ByCard {
        which: Index,
        units: i64,
    },
    Offer {
        units: i64,
        months: i32,
    },
    Prepay {
        offer: Index,
        card: Index,
        amount: Expected,
        auto_renewal: bool,
    },
    Bind {
        which: Index,
        app: u8,
    },
    PrepaymentRenewal {
        which: Index,
        on: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    Nothing,
    Right,
    Wrong,
}

/// Who the account is.
#[derive(Debug, Clone)]
pub struct Tenant {
    pub credit_limit: Option<i64>,
    pub time_zone: Tz,
}

pub fn tenant() -> impl Strategy<Value = Tenant> {
    let zones = [Tz::UTC, Tz::Asia__Shanghai, Tz::America__New_York, Tz::Pacific__Apia];
    (proptest::option::of(0i64..50_000), proptest::sample::select(zones.to_vec()))
        .prop_map(|(credit_limit, time_zone)| Tenant { credit_limit, time_zone })
}

fn what() -> impl Strategy<Value = What> {
    let regions = vec![None, None, Some("cn-north-1"), Some("cn-north-1"), Some("cn-north-2")];
    let expected =
        prop_oneof![8 => Just(Expected::Nothing), 2 => Just(Expected::Right), 1 => Just(Expected::Wrong)];
    let quantity = prop_oneof![8 => Just(1), 3 => 2..5i32, 1 => Just(0), 1 => Just(-1), 1 => Just(10_001)];
    let instalments = prop_oneof![6 => Just(None), 8 => (2..6i32).prop_map(Some), 1 => Just(Some(0)), 1 => Just(Some(1_000))];
    // Pools often, as only they are changed.
    let plan = prop_oneof![3 => 0..MARKET.len(), 2 => 2..7usize];
    let parts = (instalments, proptest::bool::weighted(0.2));
    prop_oneof![
        6 => (1i64..90_000).prop_map(|units| What::Recharge { units, places: 2 }),
        1 => (-5i64..100, 0u32..4).prop_map(|(units, places)| What::Recharge { units, places }),
        1 => Just(What::Recharge { units: 10_000_000_000, places: 2 }),
        20 => (plan, proptest::sample::select(regions), quantity, expected, any::<bool>(), parts).prop_map(
            |(plan, region, quantity, expected, auto_renewal, (instalments, pay_later))| {
                What::Checkout { plan, region, quantity, expected, auto_renewal, instalments, pay_later }
            }
        ),
        5 => (0i64..3_000, prop_oneof![8 => 1..14i32, 1 => Just(0), 1 => Just(121)], any::<bool>(),
            proptest::sample::select(vec!["dssd", "dssd", "dssd", "dssd", "mem", "nothing"])).prop_map(
            |(amount, months, auto_renewal, resource)| What::Subscribe { amount, months, auto_renewal, resource }),
        3 => any::<Index>().prop_map(What::PayOrder),
        2 => any::<Index>().prop_map(What::PayBill),
        3 => (any::<Index>(), prop_oneof![6 => 1..4i32, 1 => Just(0), 1 => Just(61)])
            .prop_map(|(which, periods)| What::Renew { which, periods }),
        3 => (any::<Index>(), any::<bool>()).prop_map(|(which, at_period_end)| What::Cancel { which, at_period_end }),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(which, on)| What::AutoRenewal { which, on }),
        2 => (-3_000i64..3_000, 0u32..12, any::<bool>())
            .prop_map(|(units, places, force)| What::Adjust { units, places, force }),
        5 => (any::<Index>(), proptest::option::of(1i64..8_000)).prop_map(|(which, cents)| What::Refund { which, cents }),
        1 => Just(What::RefundOfNothing),
        1 => any::<Index>().prop_map(What::VoidBill),
        1 => (proptest::option::of(any::<Index>()), proptest::option::of(1i64..8_000))
            .prop_map(|(which, cents)| What::PayOut { which, cents }),
        14 => by_card(),
    ]
}

/// What has to do with cards.
fn by_card() -> impl Strategy<Value = What> {
    let expected =
        prop_oneof![8 => Just(Expected::Right), 1 => Just(Expected::Wrong), 1 => Just(Expected::Nothing)];
    prop_oneof![
        3 => (0..3u8).prop_map(What::AddCard),
        1 => any::<Index>().prop_map(What::RemoveCard),
        4 => (any::<Index>(), -1i64..50_000).prop_map(|(which, units)| What::ByCard { which, units }),
        4 => (1i64..10_000, 1..13i32).prop_map(|(units, months)| What::Offer { units, months }),
        6 => (any::<Index>(), any::<Index>(), expected, any::<bool>())
            .prop_map(|(offer, card, amount, auto_renewal)| What::Prepay { offer, card, amount, auto_renewal }),
        4 => (any::<Index>(), 0..2u8).prop_map(|(which, app)| What::Bind { which, app }),
        1 => (any::<Index>(), any::<bool>()).prop_map(|(which, on)| What::PrepaymentRenewal { which, on }),
    ]
}

fn charge_state() -> impl Strategy<Value = ChargeState> {
    prop_oneof![
        5 => Just(ChargeState::Succeeded),
        2 => Just(ChargeState::Failed { reason: "declined".to_owned() }),
        1 => Just(ChargeState::Processing),
        1 => Just(ChargeState::ActionNeeded { url: Some("https://bank.example".to_owned()) }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let status = prop_oneof![
        2 => Just(AccountStatus::Suspended),
        5 => Just(AccountStatus::Active),
        1 => Just(AccountStatus::Closed),
    ];
    prop_oneof![
        30 => (any::<u8>(), proptest::bool::weighted(0.1), what())
            .prop_map(|(key, dry_run, what)| Event::Ask { key, dry_run, what }),
        5 => any::<Index>().prop_map(Event::Again),
        2 => status.prop_map(Event::Status),
        1 => proptest::option::of(0i64..50_000).prop_map(Event::Limit),
        5 => (any::<Index>(), -3_000i64..30_000, 2u32..5)
            .prop_map(|(which, units, places)| Event::Month { which, units, places }),
        25 => Just(Event::Job),
        12 => (any::<Index>(), charge_state()).prop_map(|(which, state)| Event::Provider { which, state }),
        6 => (any::<Index>(), 0..4u8, 0..5u8)
            .prop_map(|(which, number, stage)| Event::Outside { which, number, stage }),
        3 => (-1..3i32, 1i64..3_000, 0u32..10)
            .prop_map(|(cycles, units, places)| Event::Burst { cycles, units, places }),
    ]
}

/// A step: mostly seconds after the one before, at times weeks, at times earlier.
pub fn step() -> impl Strategy<Value = Step> {
    let seconds = prop_oneof![
        6 => 0i64..120,
        2 => Just(0i64),
        2 => 3_600i64..5 * 86_400,
        2 => 5 * 86_400i64..20 * 86_400,
        1 => -7_200i64..0,
    ];
    (seconds, event()).prop_map(|(seconds, event)| Step { seconds, event })
}

pub fn steps(longest: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..=longest)
}

/// Name, type, region, currency, price and once price in cents, period, and whether it is still sold.
type Offer =
    (&'static str, &'static str, Option<&'static str>, &'static str, i64, Option<i64>, BillPeriod, bool);

const MARKET: [Offer; 12] = [
    ("Small", "C", None, "CNY", 2_000, None, BillPeriod::Month, true),
    ("Medium", "C", Some("cn-north-1"), "CNY", 4_088, Some(500), BillPeriod::Month, true),
    ("Pool S", "resources", None, "CNY", 19_900, None, BillPeriod::Month, true),
    ("Pool M", "resources", None, "CNY", 29_999, Some(1), BillPeriod::Quarter, true),
    ("Pool L", "resources", None, "CNY", 69_900, None, BillPeriod::Year, true),
    ("Pool of the north", "resources", Some("cn-north-1"), "CNY", 10_001, None, BillPeriod::HalfYear, true),
    ("Free pool", "resources", None, "CNY", 0, None, BillPeriod::Month, true),
    ("By the hour", "C", None, "CNY", 120, None, BillPeriod::Hour, true),
    ("Pool by the hour", "resources", None, "CNY", 300, None, BillPeriod::Hour, true),
    ("Abroad", "C", None, "USD", 100, None, BillPeriod::Month, true),
    ("Of old", "C", None, "CNY", 100, None, BillPeriod::Month, false),
    ("Dear", "C", None, "CNY", 9_999_999_999, None, BillPeriod::Month, true),
];

pub fn begin() -> DateTime<Utc> {
    "2026-01-31T15:59:58.123456Z".parse().unwrap()
}

/// What is sold, and what no longer is.
pub fn market() -> Vec<Plan> {
    let made = begin() - TimeDelta::days(1);
    let plan = |(index, offer): (usize, &Offer)| {
        let (name, plan_type, region, currency, price, once_price, bill_period, on_sale) = *offer;
        Plan {
            id: PlanId(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + index as u128)),
            name: name.to_owned(),
            plan_type: plan_type.to_owned(),
            region: region.map(str::to_owned),
            resource_type: "CLOUD".to_owned(),
            currency: CurrencyCode::parse(currency).unwrap(),
            price: Decimal::new(price, 2),
            once_price: once_price.map(|cents| Decimal::new(cents, 2)),
            bill_period,
            description: name.to_owned(),
            created_at: made,
            retired_at: (!on_sale).then_some(made),
        }
    };
    MARKET.iter().enumerate().map(plan).collect()
}

/// What can be subscribed to: of "mem" there is no price in the account's currency.
pub fn prices() -> Vec<ResourcePrice> {
    let price = |(resource, currency): (&str, &str)| ResourcePrice {
        id: ResourcePriceId(0),
        resource: resource.to_owned(),
        currency: CurrencyCode::parse(currency).unwrap(),
        level: 0,
        price: Decimal::new(137, 2),
        unit: "count/month".to_owned(),
        multiplier: Decimal::from(2_592_000),
        cluster: None,
        chart: None,
        effective_from: begin() - TimeDelta::days(1),
    };
    [("dssd", "CNY"), ("mem", "USD")].map(price).to_vec()
}

pub fn discounts() -> Vec<TermDiscount> {
    [("3 months", 3, 3), ("1 year", 12, 25)]
        .map(|(period, months, percent)| TermDiscount {
            period: period.to_owned(),
            months,
            value: Decimal::new(percent, 2),
        })
        .to_vec()
}

fn capacity() -> CapacityCatalogue {
    let resource = |(code, name): (&str, &str)| Resource {
        code: code.to_owned(),
        name: name.to_owned(),
        unit: String::new(),
        resource_type: "CLOUD".to_owned(),
        aggregation: Aggregation::Last,
        allows_corrections: false,
    };
    let resources = [("dssd", "Distributed SSD"), ("mem", "Memory")].map(resource);
    CapacityCatalogue {
        resources: resources.map(|resource| (resource.code.clone(), resource)).into(),
        prices: by_currency(prices()),
        discounts: discounts(),
    }
}

/// A new account of this tenant.
pub fn account(id: i64, tenant: &Tenant) -> Account {
    let (namespace, name) = (format!("tenant-{id}"), format!("Tenant {id}"));
    Account {
        time_zone: tenant.time_zone,
        credit_limit: tenant.credit_limit.map(|cents| Decimal::new(cents, 2)),
        ..Account::opened(AccountId(id), namespace, name, CurrencyCode::parse("CNY").unwrap(), begin())
    }
}

/// A command, and what became of it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub command: Command,
    pub outcome: Result<Done, Refusal>,
}

/// A sequence being carried out on one book.
pub struct Run {
    pub book: Book,
    pub catalogue: Catalogue,
    pub plans: Vec<Plan>,
    pub now: DateTime<Utc>,
    /// The latest that the clock has shown.
    pub latest: DateTime<Utc>,
    pub asked: Vec<Asked>,
}

impl Run {
    pub fn new(account: Account) -> Self {
        let plans = market();
        let catalogue = Catalogue {
            currencies: Arc::new(Currencies::default()),
            policies: Policies::default(),
            keys: Arc::new(SealKeys::of_sandbox()),
            plans: plans.iter().map(|plan| (plan.id, plan.clone())).collect(),
            capacity: capacity(),
        };
        Self { book: Book::new(account), catalogue, plans, now: begin(), latest: begin(), asked: Vec::new() }
    }

    /// What the step asks for, as things are now.
    pub fn deed(&self, event: &Event) -> Option<Command> {
        let command = match event {
            Event::Status(status) => {
                let closes = *status == AccountStatus::Closed;
                let closing = if closes { Some(self.closing()?) } else { None };
                let reason = (self.now.timestamp() % 2 == 0).then(|| "a reason".to_owned());
                self.update(UpdateAccount { status: Some(*status), closing, reason, ..Default::default() })
            }
            Event::Limit(limit) => {
                let limit = limit.map(|cents| Decimal::new(cents, 2));
                self.update(UpdateAccount { credit_limit: Some(limit), ..Default::default() })
            }
            Event::Month { which, units, places } => {
                let charge = Decimal::new(*units, *places);
                self.command(Action::CloseMonth(CloseMonth(Arc::new(self.month(which, charge)?))))
            }
            Event::Job => self.most_due()?,
            Event::Provider { which, state } => {
                let payments: Vec<_> = self.book.payments.keys().collect();
                if payments.is_empty() {
                    return None;
                }
                let payment = **which.get(&payments);
                let progress = Progress { reference: Some(format!("ref {payment}")), state: state.clone() };
                self.command(Action::SettlePayment(Box::new(SettlePayment { payment, progress })))
            }
            Event::Outside { which, number, stage } => {
                let charges: Vec<_> = self.book.payments.keys().copied().collect();
                if charges.is_empty() {
                    return None;
                }
                let charge = &self.book.payments[which.get(&charges)];
                let report = reversal(charge, *number, *stage);
                self.command(Action::BookReversal(Box::new(BookReversal(report))))
            }
            Event::Burst { cycles, units, places } => {
                let charge = Decimal::new(*units, *places);
                let cycle = Cycle::of(self.now).plus(*cycles);
                let charges = vec![ResourceCharge {
                    resource: "dssd".to_owned(),
                    amount: Decimal::ONE,
                    seconds: 300,
                    charge,
                    reason: "Burst".to_owned(),
                }];
                let charged = CycleCharge { cycle, charges, rate: charge };
                self.command(Action::ChargeBurst(ChargeBurst(Arc::new(charged))))
            }
            Event::Again(_) if self.asked.is_empty() => return None,
            Event::Again(which) => which.get(&self.asked).command.clone(),
            Event::Ask { key, dry_run, what } => {
                let command = self.command(self.action(what));
                let key = command.action.mutation().map(|_| format!("key-{key}"));
                Command { key, dry_run: *dry_run, ..command }
            }
        };
        Some(command)
    }

    pub fn update(&self, update: UpdateAccount) -> Command {
        self.command(Action::UpdateAccount(Box::new(update)))
    }

    /// The next month that is over, or one that was closed: what was used in it costs so much.
    fn month(&self, which: &Index, charge: Decimal) -> Option<RatedMonth> {
        let closed: Vec<_> = self.book.closed_months.values().collect();
        let next = next_to_close(&self.book.account, self.now).ok()?;
        match next {
            Some(month) => Some(self.rated(month, charge)),
            None if closed.is_empty() => None,
            None => {
                let closed = *which.get(&closed);
                let rated = self.rated(closed.month, charge);
                let (revision, usage_version) = (closed.revision, closed.usage_version + 1);
                Some(RatedMonth {
                    period: closed.period,
                    bill: closed.bill,
                    revision,
                    usage_version,
                    ..rated
                })
            }
        }
    }

    pub fn closing(&self) -> Option<Closing> {
        let mut months = Vec::new();
        let mut from = closed_until(&self.book.account);
        while from < self.now {
            let month = month_from(from, self.book.account.time_zone).ok()?;
            let month = Month { end: month.end.min(self.now), ..month };
            months.push(self.rated(month, Decimal::new(months.len() as i64 * 111, 2)));
            from = month.end;
        }
        Some(Closing { at: self.now, months })
    }

    fn rated(&self, month: Month, total: Decimal) -> RatedMonth {
        let account = &self.book.account;
        let currency = *self.catalogue.currencies.get(account.currency).expect("its currency");
        let over =
            self.book.gained.suspended_spans.iter().map(|span| Month { start: span.from, end: span.to });
        let now = account.suspended_at.map(|start| Month { start, end: DateTime::<Utc>::MAX_UTC });
        let standstill = Standstill { closed_at: account.closed_at, suspended: over.chain(now).collect() };
        let rate =
            |order: &Arc<Order>| rate_on_demand(order, month, &standstill, &currency).expect("a price");
        let orders = self.book.orders.values().filter(|order| order.is_on_demand());
        // Of a month that goes on after the account was closed in it, a part was billed.
        let before = self
            .book
            .closed_months
            .get(&(self.book.account.id, month.start))
            .filter(|part| part.month.end < month.end);
        let line = Line {
            title: Title::Resource("transfer_out".to_owned()),
            quantity: Some(Decimal::ONE),
            amount: total,
            steps: vec![ChargeStep::of(Label::Capacity, total)],
        };
        RatedMonth {
            month,
            period: month.period(account.time_zone),
            bill: before.and_then(|before| before.bill),
            revision: before.map_or(0, |before| before.revision),
            usage_version: before.map_or(0, |before| before.usage_version) + 1,
            resource_type: "CLOUD".to_owned(),
            usage: Some(Charge { total, lines: vec![line] }),
            on_demand: orders.filter_map(rate).collect(),
            silent: Vec::new(),
        }
    }

    /// The step of what has been due longest.
    fn most_due(&self) -> Option<Command> {
        let orders = self.book.orders.values().filter_map(|order| {
            let due = order.next_step_at?;
            Some((due, order.id.0, Action::OrderStep(OrderStep { order: order.id, due })))
        });
        let bills = self.book.bills.values().filter_map(|bill| {
            let due = bill.next_step_at?;
            Some((due, bill.id.0, Action::BillStep(BillStep { bill: bill.id, due })))
        });
        let payments = self.book.payments.values().filter_map(|payment| {
            let due = payment.next_step_at?;
            Some((due, payment.id.0, Action::ClaimPayment(ClaimPayment { payment: payment.id, due })))
        });
        let prepayments = self.book.prepayments.values().filter_map(|held| {
            let due = held.next_step_at?;
            let renewal = held.auto_renewal.then(|| Box::new(quoted(i64::from(held.months) * 777)));
            let step = PrepaymentStep { prepayment: held.id, due, renewal };
            Some((due, held.id.0, Action::PrepaymentStep(Box::new(step))))
        });
        let hold = self.book.account.suspension_held_until.map(|due| {
            let nobody = OwnedId::from_uuid(Uuid::nil());
            (due, nobody, Action::EndHold(EndHold(due)))
        });
        let all = orders.chain(bills).chain(payments).chain(prepayments).chain(hold);
        let (_, _, action) =
            all.filter(|(due, _, _)| *due <= self.now).min_by_key(|(due, id, _)| (*due, *id))?;
        Some(self.command(action))
    }

    fn command(&self, action: Action) -> Command {
        Command::by_itself(self.book.account.id, action)
    }

    fn a_card(&self, which: &Index) -> PaymentMethodId {
        let cards: Vec<_> = self.book.payment_methods.keys().collect();
        if cards.is_empty() { PaymentMethodId(nothing(self.book.account.id).0) } else { **which.get(&cards) }
    }

    fn a_prepayment(&self, which: &Index) -> PrepaymentId {
        let made: Vec<_> = self.book.prepayments.keys().collect();
        if made.is_empty() { PrepaymentId(nothing(self.book.account.id).0) } else { **which.get(&made) }
    }

    fn prepay(&self, offer: &Index, card: &Index, amount: Expected, auto_renewal: bool) -> Action {
        let offers: Vec<_> = self.book.gained.prepay_quotes.values().collect();
        let offer = if offers.is_empty() { None } else { Some(offer.get(&offers)) };
        let quoted = offer.map_or(Decimal::ONE, |offer| offer.amount);
        Action::Prepay(Prepay {
            quote: offer.map_or(QuoteId(nothing(self.book.account.id).0), |offer| offer.id),
            amount: if amount == Expected::Wrong { quoted + Decimal::ONE } else { quoted },
            method: (amount != Expected::Nothing).then(|| self.a_card(card)),
            auto_renewal,
            deposit_to: DepositTo::Nowhere,
        })
    }

    /// An order that was placed, or one that there is not.
    fn an_order(&self, which: &Index) -> OrderId {
        let made = &self.book.gained.orders.new;
        if made.is_empty() { OrderId(nothing(self.book.account.id).0) } else { which.get(made).id }
    }

    fn a_bill(&self, which: &Index) -> BillId {
        let made = &self.book.gained.bills.new;
        if made.is_empty() { BillId(nothing(self.book.account.id).0) } else { which.get(made).id }
    }

    fn action(&self, what: &What) -> Action {
        match what {
            What::Subscribe { amount, months, auto_renewal, resource } => Action::Subscribe(Subscribe {
                resource: (*resource).to_owned(),
                amount: Decimal::new(*amount, 1),
                months: *months,
                region: auto_renewal.then(|| "cn-north-1".to_owned()),
                auto_renewal: *auto_renewal,
            }),
            What::PayOrder(which) => Action::PayOrder(PayOrder(self.an_order(which))),
            What::PayBill(which) => Action::PayBill(PayBill(self.a_bill(which))),
            What::Renew { which, periods } => {
                Action::RenewOrder(RenewOrder { order: self.an_order(which), periods: *periods })
            }
            What::Cancel { which, at_period_end } => Action::CancelOrder(CancelOrder {
                order: self.an_order(which),
                at_period_end: *at_period_end,
            }),
            What::AutoRenewal { which, on } => {
                Action::SetAutoRenewal(SetAutoRenewal { order: self.an_order(which), auto_renewal: *on })
            }
            What::Adjust { units, places, force } => Action::AdjustBalance(AdjustBalance {
                amount: Decimal::new(*units, *places),
                reason: "a correction".to_owned(),
                force: *force,
            }),
            What::Recharge { units, places } => Action::Recharge(Recharge {
                amount: Decimal::new(*units, *places),
                payment_method: if units % 2 == 0 { "sandbox" } else { "offline" }.to_owned(),
                reason: (units % 3 == 0).then(|| format!("Voucher {units}, Grüße 元")),
            }),
            What::Checkout { plan, region, quantity, expected, auto_renewal, instalments, pay_later } => {
                let plan = &self.plans[*plan];
                Action::Checkout(Checkout {
                    plan: plan.id,
                    region: region.map(str::to_owned),
                    datacenter: auto_renewal.then(|| "dc-1".to_owned()),
                    quantity: *quantity,
                    comment: auto_renewal.then(|| "a comment".to_owned()),
                    // Now and then what is on demand is to be renewed, which it cannot be.
                    auto_renewal: *auto_renewal && (plan.bill_period != BillPeriod::Hour || *quantity > 2),
                    instalments: *instalments,
                    pay_later: *pay_later,
                    expected_price: match expected {
                        Expected::Nothing => None,
                        Expected::Right => Some(plan.price),
                        Expected::Wrong => Some(plan.price + Decimal::ONE),
                    },
                })
            }
            What::Refund { which, cents } => {
                let made = &self.book.gained.transactions.new;
                let transaction =
                    if made.is_empty() { nothing(self.book.account.id) } else { which.get(made).id };
                let amount = cents.map(|cents| Decimal::new(cents, 2));
                Action::Refund(Refund { transaction, amount, reason: "not delivered".to_owned() })
            }
            What::VoidBill(which) => {
                Action::VoidBill(VoidBill { bill: self.a_bill(which), reason: "not delivered".to_owned() })
            }
            What::PayOut { which, cents } => {
                let made = &self.book.gained.transactions.new;
                let way = match which {
                    Some(which) if !made.is_empty() => PayOutWay::Card(which.get(made).id),
                    Some(_) => PayOutWay::Card(nothing(self.book.account.id)),
                    None => PayOutWay::Outside("transfer 1".to_owned()),
                };
                let amount = cents.map(|cents| Decimal::new(cents, 2));
                Action::PayOut(PayOut { amount, way, reason: "closed".to_owned() })
            }
            What::AddCard(number) => Action::AddPaymentMethod(Box::new(AddPaymentMethod {
                asked: fingerprint(&format!("card-{number}")),
                provider: "provider".to_owned(),
                token: format!("card-{number}"),
                customer: (number % 2 == 0).then(|| "customer".to_owned()),
                card: Card {
                    brand: "visa".to_owned(),
                    last4: "4242".to_owned(),
                    expires_on: NaiveDate::from_ymd_opt(2040, 12, 31).unwrap(),
                },
            })),
            What::RemoveCard(which) => Action::RemovePaymentMethod(RemovePaymentMethod(self.a_card(which))),
            What::ByCard { which, units } => Action::RechargeByCard(RechargeByCard {
                amount: Decimal::new(*units, 2),
                method: self.a_card(which),
                reason: (units % 3 == 0).then(|| "a reason".to_owned()),
            }),
            What::Offer { units, months } => Action::KeepQuote(Box::new(KeepQuote {
                asked: fingerprint(&(units, months)),
                offer: abacus::domain::decide::Offer {
                    currency: CurrencyCode::parse("USD").unwrap(),
                    quoted: quoted(*units),
                    months: *months,
                    cluster: "c".to_owned(),
                    chart: "c".to_owned(),
                    limits: LIMITS,
                    rate: None,
                },
            })),
            What::Prepay { offer, card, amount, auto_renewal } => {
                self.prepay(offer, card, *amount, *auto_renewal)
            }
            What::Bind { which, app } => Action::BindApp(Box::new(BindApp {
                prepayment: self.a_prepayment(which),
                asset: CurrencyCode::parse("USD").unwrap(),
                cluster: "c".to_owned(),
                chart: "c".to_owned(),
                limits: LIMITS,
                app: App { id: format!("app-{app}"), icon_url: None, project: "p".to_owned() },
            })),
            What::PrepaymentRenewal { which, on } => Action::SetPrepaymentRenewal(SetPrepaymentRenewal {
                prepayment: self.a_prepayment(which),
                auto_renewal: *on,
            }),
            What::RefundOfNothing => Action::Refund(Refund {
                transaction: nothing(self.book.account.id),
                amount: None,
                reason: "never paid".to_owned(),
            }),
        }
    }

    /// Carries a deed out, as the engine would.
    /// What would become of a command.
    pub fn foretold(&self, command: &Command) -> Result<Done, Refusal> {
        decide(&self.book, &self.catalogue, command, self.now).map(|decision| decision.done)
    }

    pub fn carry_out(&mut self, command: &Command) -> &Asked {
        let outcome = decide(&self.book, &self.catalogue, command, self.now).map(|decision| {
            if let Some(change) = decision.change.filter(|_| !command.dry_run) {
                self.book.apply(change);
            }
            decision.done
        });
        self.asked.push(Asked { command: command.clone(), outcome });
        &self.asked[self.asked.len() - 1]
    }

    pub fn pass(&mut self, seconds: i64) {
        self.now += TimeDelta::seconds(seconds);
        self.latest = self.latest.max(self.now);
    }

    /// Carries out all steps.
    pub fn all(account: Account, steps: &[Step]) -> Self {
        let mut run = Self::new(account);
        for step in steps {
            run.pass(step.seconds);
            if let Some(deed) = run.deed(&step.event) {
                run.carry_out(&deed);
            }
        }
        run
    }

    /// What the ledger's check says of the book.
    pub fn faults(&self) -> Vec<Fault> {
        let mut verifier = Verifier::default();
        for entry in &self.book.gained.entries {
            let transaction = self.book.transactions.get(&entry.transaction());
            verifier.check(entry, transaction.map(AsRef::as_ref), None, &self.catalogue.keys);
        }
        verifier.finish(&self.book.account)
    }
}

const LIMITS: Limits = Limits { cpu: 1_000, mem: 0, storage: 0 };

/// So many cents.
fn quoted(cents: i64) -> Quoted {
    let usd = Decimal::new(cents, 2);
    Quoted { usd, amount: usd, steps: Vec::new() }
}

/// What a provider says of one of four reversals of a charge: of half of it, of the whole, of half as much again, and of the whole in
/// another currency. It is opened, withdrawn, given back in part, and whole, and withdrawn once more.
pub fn reversal(charge: &Payment, number: u8, stage: u8) -> ReversalReport {
    let amount = (charge.amount * Decimal::new(5 * i64::from(number % 3 + 1), 1)).round_dp(2);
    let half = (amount * Decimal::new(5, 1)).round_dp(2);
    let (withdrawn, reinstated) = match stage {
        0 => (Decimal::ZERO, Decimal::ZERO),
        1 => (amount, Decimal::ZERO),
        2 => (amount, half),
        3 => (amount, amount),
        _ => (amount + amount, amount),
    };
    let foreign = CurrencyCode::parse("XTS").unwrap();
    ReversalReport {
        payment: charge.id,
        provider: charge.card.provider.clone(),
        reference: format!("rev {} {number}", charge.id),
        kind: if number.is_multiple_of(2) { ReversalKind::Dispute } else { ReversalKind::Refund },
        currency: if number == 3 { foreign } else { charge.currency },
        amount,
        status: format!("stage {stage}"),
        withdrawn,
        reinstated,
        is_open: stage < 3,
    }
}

/// An id that no transaction has.
fn nothing(account: AccountId) -> TransactionId {
    TransactionId(IdMint::new(account, begin(), 1_000_000, false).next_id().unwrap())
}

/// Everything that a book holds, in an order of its own, for comparing.
pub fn contents(book: &Book) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    all.insert("account".to_owned(), format!("{:?}", book.account));
    all.insert("entries".to_owned(), format!("{:?}", book.gained.entries));
    all.insert("notices".to_owned(), format!("{:?}", book.gained.notices));
    for (key, answer) in &book.answers {
        all.insert(format!("answer {key}"), format!("{answer:?}"));
    }
    for (id, transaction) in &book.transactions {
        all.insert(format!("transaction {id}"), format!("{transaction:?}"));
    }
    for order in book.gained.orders.new.iter().chain(&book.gained.orders.changed) {
        all.insert(format!("order {}", order.id), format!("{order:?}"));
    }
    for bill in book.gained.bills.new.iter().chain(&book.gained.bills.changed) {
        all.insert(format!("bill {}", bill.id), format!("{bill:?}"));
    }
    for ((_, start), closed) in &book.closed_months {
        all.insert(format!("month {start}"), format!("{closed:?}"));
    }
    for (id, payment) in &book.payments {
        all.insert(format!("payment {id}"), format!("{payment:?}"));
    }
    for (id, prepayment) in &book.prepayments {
        all.insert(format!("prepayment {id}"), format!("{prepayment:?}"));
    }
    for ((_, reference), reversal) in &book.reversals {
        all.insert(format!("reversal {reference}"), format!("{reversal:?}"));
    }
    for (id, card) in &book.payment_methods {
        all.insert(format!("card {id}"), format!("{card:?}"));
    }
    for (_, answer) in &book.gained.answers {
        all.insert(format!("gained answer {}", answer.key), format!("{answer:?}"));
    }
    all
}

/// Whether the long trials run in full.
pub fn in_full() -> bool {
    std::env::var_os("ABACUS_TEST_FULL").is_some_and(|value| value == "1")
}

/// `few` trials by default, `many` in full.
pub fn trials(few: u32, many: u32) -> ProptestConfig {
    let cases = if in_full() { many } else { few };
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
