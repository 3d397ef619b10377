//! What holds of every sequence of decisions, whatever is asked. No database takes part.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use abacus::domain::account::{AccountStatus, Suspension};
use abacus::domain::bill::{Bill, BillStatus};
use abacus::domain::book::Table;
use abacus::domain::command::Command;
use abacus::domain::decide::{Action, BillStep, Recharge, decide};
use abacus::domain::ids::{BillId, EntryId, IdMint, OrderId, OwnedId, TransactionId};
use abacus::domain::ledger::{Entry, Fault, Verifier};
use abacus::domain::money::CurrencyCode;
use abacus::domain::notice::NoticeKind;
use abacus::domain::order::{Order, OrderState, OrderType};
use abacus::domain::outcome::Done;
use abacus::domain::payment::{PaymentPurpose, PaymentState};
use abacus::domain::period::BillPeriod;
use abacus::domain::prepay::PrepaymentStatus;
use abacus::domain::refusal::RefusalCode;
use abacus::domain::transaction::{Ledger, Transaction, TransactionKind, TransactionStatus};
use chrono::TimeDelta;
use proptest::prelude::*;
use proptest::sample::Index;
use rust_decimal::Decimal;

use crate::support::sequences::{Asked, Event, Run, Step, What, account, contents, steps, tenant, trials};

type Checked = Result<(), TestCaseError>;

fn money_is_where_it_should_be(run: &Run) -> Checked {
    let account = &run.book.account;
    let limit = account.credit_limit.unwrap_or_default();
    prop_assert_eq!(account.overdrawn, account.balance < -limit);
    let mut ledgers: BTreeMap<String, Decimal> = BTreeMap::new();
    for transaction in &run.book.gained.transactions.new {
        prop_assert!(transaction.amount > Decimal::ZERO);
        prop_assert_ne!(&transaction.debit, &transaction.credit);
        *ledgers.entry(transaction.debit.to_string()).or_default() -= transaction.amount;
        *ledgers.entry(transaction.credit.to_string()).or_default() += transaction.amount;
    }
    prop_assert_eq!(ledgers.values().sum::<Decimal>(), Decimal::ZERO);
    let own = ledgers.get(&Ledger::Customer.to_string()).copied().unwrap_or_default();
    prop_assert_eq!(own, account.balance);
    let entries: Decimal = run.book.gained.entries.iter().map(|entry| entry.amount).sum();
    prop_assert_eq!(-entries, account.balance);
    Ok(())
}

fn entries_are_numbered_and_chained(run: &Run) -> Checked {
    let mut end = Decimal::ZERO;
    let mut hash = [0; 32];
    let mut last: Option<&Entry> = None;
    for (number, entry) in (1..).zip(&run.book.gained.entries) {
        prop_assert_eq!(entry.seq, number);
        prop_assert_eq!(entry.initial, end);
        prop_assert_eq!(entry.end, entry.initial - entry.amount);
        let transaction = &run.book.transactions[&entry.transaction()];
        prop_assert_eq!(Some(entry.hash), entry.hash_after(&hash, transaction, &run.catalogue.keys));
        if let Some(last) = last {
            prop_assert!(entry.time >= last.time, "a ledger's times never go back");
            prop_assert!(entry.id > last.id, "a ledger's ids ascend");
        }
        (end, hash, last) = (entry.end, entry.hash, Some(entry));
    }
    prop_assert_eq!(run.book.account.head.seq, run.book.gained.entries.len() as i64);
    prop_assert_eq!(run.book.account.head.hash, hash);
    prop_assert_eq!(run.faults(), Vec::<Fault>::new());
    Ok(())
}

fn refunds_stay_within_what_was_paid(run: &Run) -> Checked {
    let made = &run.book.gained.transactions.new;
    let mut given_back: HashMap<TransactionId, Decimal> = HashMap::new();
    let (refunds, charges): (Vec<_>, Vec<_>) =
        run.book.payments.values().partition(|payment| payment.purpose == PaymentPurpose::Refund);
    let by_card: HashSet<_> = charges.iter().filter_map(|charge| charge.transaction).collect();
    for refund in made.iter().filter(|t| t.kind == TransactionKind::Refund) {
        let of = refund.refund_of.expect("a refund names what it is of");
        if !by_card.contains(&of) {
            *given_back.entry(of).or_default() += refund.amount;
        }
    }
    // What a provider did not give back was put back.
    for refund in refunds.iter().filter(|payment| payment.state != PaymentState::Failed) {
        let of = run.book.payments[&refund.refund_of.expect("its charge")].transaction.expect("its movement");
        *given_back.entry(of).or_default() += refund.amount;
    }
    what_is_taken_back_outside_is_booked(run, &mut given_back)?;
    for transaction in made {
        let back = given_back.remove(&transaction.id).unwrap_or_default();
        prop_assert!(back <= transaction.amount);
        prop_assert_eq!(transaction.refunded_amount, back);
        let whole = back == transaction.amount;
        prop_assert_eq!(transaction.status == TransactionStatus::Refunded, whole);
    }
    prop_assert!(given_back.is_empty(), "every refund is of a transaction that there is");
    Ok(())
}

/// As much as a provider holds, of what is left of the charge first.
fn what_is_taken_back_outside_is_booked(
    run: &Run,
    given_back: &mut HashMap<TransactionId, Decimal>,
) -> Checked {
    for held in run.book.reversals.values() {
        let charge = &run.book.payments[&held.told.payment];
        let Some(of) = charge.transaction.filter(|_| held.told.currency == charge.currency) else {
            prop_assert_eq!(held.booked, Decimal::ZERO);
            continue;
        };
        prop_assert_eq!(held.booked, held.outstanding().unwrap(), "{:?}", held);
        prop_assert!(Decimal::ZERO <= held.beyond, "{:?}", held);
        *given_back.entry(of).or_default() += held.booked - held.beyond;
        if held.beyond > Decimal::ZERO {
            let original = &run.book.transactions[&of];
            prop_assert_eq!(original.refunded_amount, original.amount, "nothing is left: {:?}", held);
        }
    }
    Ok(())
}

fn is_of_a_reversal(transaction: &Transaction) -> bool {
    transaction.description.contains(" rev ") || transaction.description.contains(" ref ")
}

/// What a provider has charged is one movement of money, and what is paid for was charged.
fn a_card_is_charged_once_for_what_it_pays(run: &Run) -> Checked {
    let mut moved = HashSet::new();
    for payment in run.book.payments.values() {
        prop_assert_eq!(payment.next_step_at.is_some(), !payment.state.is_settled(), "{:?}", payment);
        let succeeded = payment.state == PaymentState::Succeeded;
        if payment.purpose != PaymentPurpose::Refund {
            prop_assert_eq!(payment.transaction.is_some(), succeeded);
        }
        if let Some(id) = payment.transaction {
            prop_assert!(moved.insert(id), "two payments of one movement");
            let transaction = &run.book.transactions[&id];
            prop_assert_eq!((transaction.amount, transaction.currency), (payment.amount, payment.currency));
        }
    }
    let by_card = |t: &&Arc<Transaction>| t.debit == Ledger::Cash("provider".to_owned());
    let come_in = run
        .book
        .gained
        .transactions
        .new
        .iter()
        .filter(by_card)
        .filter(|t| t.kind != TransactionKind::Adjustment);
    let come_in = come_in.filter(|transaction| !is_of_a_reversal(transaction));
    for transaction in come_in {
        prop_assert!(
            moved.contains(&transaction.id),
            "money came in that nobody has paid: {:?}",
            transaction
        );
    }
    let mut offers = HashSet::new();
    for held in run.book.prepayments.values() {
        prop_assert!(!held.status.holds_offer() || offers.insert(held.quote), "an offer was taken twice");
        let charged = held.payment.map(|id| run.book.payments[&id].state) == Some(PaymentState::Succeeded);
        let unpaid = [PrepaymentStatus::Processing, PrepaymentStatus::Failed].contains(&held.status);
        prop_assert_eq!(charged, !unpaid, "{:?}", held);
        prop_assert_eq!(held.transaction.is_some(), charged);
        prop_assert!(held.status != PrepaymentStatus::Bound || held.binding.is_some());
        if held.status.holds_offer() && held.status != PrepaymentStatus::Expired && !charged {
            prop_assert!(held.next_step_at.is_none(), "its payment is looked after");
        }
    }
    Ok(())
}

fn exclusive_orders_are_alone_in_their_region(run: &Run) -> Checked {
    let mut taken = BTreeSet::new();
    let live = run.book.gained.orders.new.iter().filter(|order| order.exclusive && order.state.is_live());
    for order in live.filter(|order| order.renewed_by.is_none()) {
        prop_assert!(taken.insert(order.region.clone()), "two live orders in {:?}", order.region);
    }
    Ok(())
}

/// Periods follow each other without gap or overlap, within an order and from one order to that which continues it.
fn no_period_is_missed_or_billed_twice(run: &Run) -> Checked {
    for order in &run.book.gained.orders.new {
        let mut bills: Vec<_> =
            run.book.gained.bills.new.iter().filter(|bill| bill.order == Some(order.id)).collect();
        bills.sort_by_key(|bill| bill.seq);
        let seqs: Vec<i32> = bills.iter().map(|bill| bill.seq).collect();
        let expected = if order.bill_period == BillPeriod::Hour { 0 } else { order.seq_count };
        prop_assert_eq!(seqs, (1..=expected).collect::<Vec<_>>());
        for pair in bills.windows(2) {
            prop_assert_eq!(pair[0].end_time, pair[1].start_time);
            prop_assert_eq!(pair[1].due_at, pair[1].start_time);
        }
        if let (Some(begin), [first, .., last]) = (order.delivered_at, &bills[..]) {
            prop_assert_eq!((first.start_time, Some(last.end_time)), (begin, order.expires_at));
        }
        if order.order_type == OrderType::Renew {
            let before = &run.book.orders[&order.previous.expect("what it continues")];
            // A subscription that was over begins when it is renewed.
            let begin =
                before.expires_at.filter(|end| order.subscription.is_none() || *end >= order.created_at);
            prop_assert_eq!(order.delivered_at, begin.or(Some(order.created_at)));
        }
        if let Some(next) = order.renewed_by {
            let next = &run.book.orders[&next];
            prop_assert_eq!(next.previous, Some(order.id));
            prop_assert!(next.state.is_live() || !order.runs(), "what runs is continued by what is live");
        }
    }
    Ok(())
}

/// What is to happen by itself is on the list of the jobs, and nothing else is.
fn nothing_is_forgotten(run: &Run) -> Checked {
    for order in &run.book.gained.orders.new {
        let is_suspended = order.state == OrderState::Suspended;
        let ends = order.state.is_live() && (!order.is_on_demand() || is_suspended);
        prop_assert_eq!(order.next_step_at.is_some(), ends, "{:?}", order);
        prop_assert_eq!(
            order.delivered_at.is_none(),
            order.state == OrderState::Unpaid || is_never_begun(order)
        );
        if !order.state.is_live() {
            let open = run
                .book
                .gained
                .bills
                .new
                .iter()
                .filter(|bill| bill.order == Some(order.id) && bill.is_open());
            prop_assert_eq!(open.count(), 0, "what is over asks for nothing");
        }
    }
    for bill in &run.book.gained.bills.new {
        let order = bill.order.map(|order| &run.book.orders[&order]);
        let waits = order.is_some_and(|order| order.state == OrderState::Unpaid);
        prop_assert_eq!(bill.next_step_at.is_some(), bill.is_open() && !waits, "{:?}", bill);
        let at_the_latest = bill.due_at.max(run.latest) + TimeDelta::days(1);
        prop_assert!(bill.next_step_at.is_none_or(|next| next <= at_the_latest), "{:?}", bill);
    }
    Ok(())
}

/// An account's standing is what its status says, and what runs on demand goes with it.
fn accounts_stand_as_they_say(run: &Run) -> Checked {
    let account = &run.book.account;
    let status = account.status;
    prop_assert_eq!(account.suspended_at.is_some(), status == AccountStatus::Suspended);
    prop_assert_eq!(account.suspension.is_some(), status == AccountStatus::Suspended);
    prop_assert_eq!(account.closed_at.is_some(), status == AccountStatus::Closed);
    prop_assert!(account.suspension_held_until.is_none() || status == AccountStatus::Active);
    let below = account.available().expect("in range") < Decimal::ZERO;
    let is_held = account.suspension_held_until.is_some();
    prop_assert!(!below || status != AccountStatus::Active || is_held, "below its limit and not suspended");
    let running = || run.book.gained.orders.new.iter().filter(|order| order.is_on_demand() && order.runs());
    let rate: Decimal = running().map(|order| order.price * Decimal::from(order.quantity)).sum();
    prop_assert_eq!(rate, account.on_demand_rate);
    let expected = if status == AccountStatus::Active { OrderState::Active } else { OrderState::Suspended };
    prop_assert!(running().all(|order| order.state == expected), "on demand runs with its account");
    let live = run.book.gained.orders.new.iter().any(|order| order.state.is_live());
    prop_assert!(!live || status != AccountStatus::Closed, "an order of a closed account lives");
    prop_assert!(run.book.gained.suspended_spans.iter().all(|span| span.from < span.to));
    Ok(())
}

/// Of each thing that was paid for, no more comes back than was paid: a period of an order, a month with all that corrects it;
/// recharges and prepayments are transactions of their own.
fn no_thing_gives_back_more_than_was_paid_for_it(run: &Run) -> Checked {
    let mut months: HashMap<BillId, (Decimal, Decimal)> = HashMap::new();
    for bill in &run.book.gained.bills.new {
        prop_assert!(bill.refunded_amount <= bill.amount.max(Decimal::ZERO), "{:?}", bill);
        let Some(original) = bill.original() else {
            let worth = bill.once_amount + bill.cycle_amount;
            prop_assert!(bill.refunded_amount + bill.credited_amount <= worth, "{:?}", bill);
            continue;
        };
        let (paid, back) = months.entry(original).or_default();
        let is_paid = bill.status == BillStatus::Paid;
        *back += bill.refunded_amount;
        match bill.amount < Decimal::ZERO {
            true if is_paid => *back -= bill.amount,
            false if is_paid => *paid += bill.amount,
            _ => {}
        }
    }
    for (month, (paid, back)) in months {
        prop_assert!(back <= paid, "of month {} came back {} of {}", month, back, paid);
    }
    Ok(())
}

/// What the bills of a month ask for in the end is what it costs, or what was given back of it where that is more.
fn bills_of_a_month_come_to_what_it_costs(run: &Run) -> Checked {
    for closed in run.book.closed_months.values() {
        let of_it = run.book.gained.bills.new.iter().filter(|bill| bill.original() == closed.bill);
        let asked: Decimal = of_it.clone().map(|bill| bill.amount - bill.replaced_amount).sum();
        prop_assert_eq!(asked, closed.billed_amount + closed.withheld_amount, "{:?}", closed);
        let carried = (closed.amount - closed.billed_amount).abs();
        prop_assert!(carried <= Decimal::new(5, 3), "{:?}", closed);
    }
    Ok(())
}

fn is_never_begun(order: &Order) -> bool {
    order.state == OrderState::Cancelled && order.delivered_at.is_none()
}

fn bills_are_the_sum_of_their_parts(run: &Run) -> Checked {
    let transactions: HashMap<TransactionId, &Arc<Transaction>> =
        run.book.gained.transactions.new.iter().map(|t| (t.id, t)).collect();
    for bill in &run.book.gained.bills.new {
        let own = bill.once_amount + bill.cycle_amount - bill.credit_amount;
        prop_assert_eq!(bill.amount, own + bill.replaced_amount + bill.withheld_amount);
        prop_assert!(bill.amount >= Decimal::ZERO || bill.correction_of.is_some(), "{:?}", bill);
        let lines = bill.lines().into_iter().chain(bill.taken_over());
        prop_assert_eq!(lines.map(|(_, amount)| amount).sum::<Decimal>(), bill.amount);
        prop_assert!(bill.end_time > bill.start_time);
        prop_assert_eq!(bill.last_paid_at.is_some(), bill.status == BillStatus::Paid);
        match bill.paid_by {
            None => prop_assert!(bill.amount.is_zero() || bill.status != BillStatus::Paid),
            Some(id) => {
                let paid = transactions.get(&id).expect("the payment is there");
                prop_assert_eq!(
                    (paid.amount, paid.bill, paid.order),
                    (bill.amount.abs(), Some(bill.id), bill.order)
                );
            }
        }
    }
    Ok(())
}

fn ids_are_unique_and_counted(run: &Run) -> Checked {
    let gained = &run.book.gained;
    let orders = gained.orders.new.iter().map(|order| order.id.0);
    let bills = gained.bills.new.iter().map(|bill| bill.id.0);
    let transactions = gained.transactions.new.iter().map(|transaction| transaction.id.0);
    let notices = gained.notices.iter().map(|notice| notice.id.0);
    let cards = run.book.payment_methods.keys().map(|id| id.0);
    let offers = gained.prepay_quotes.values().map(|offer| offer.id.0);
    let payments = run.book.payments.keys().map(|id| id.0);
    let prepayments = run.book.prepayments.keys().map(|id| id.0);
    let records = gained.records.iter().map(|record| record.id.0);
    let by_card = cards.chain(records).chain(offers).chain(payments).chain(prepayments);
    let mut ids: Vec<OwnedId> =
        orders.chain(bills).chain(transactions).chain(notices).chain(by_card).collect();
    ids.sort_by_key(|id| id.number());
    let numbers: Vec<i64> = ids.iter().map(|id| id.number()).collect();
    prop_assert_eq!(numbers, (1..=ids.len() as i64).collect::<Vec<_>>(), "every number is given once");
    prop_assert_eq!(run.book.account.last_number, ids.len() as i64);
    prop_assert_eq!(ids.iter().map(|id| id.uuid()).collect::<BTreeSet<_>>().len(), ids.len());
    prop_assert!(ids.iter().all(|id| id.account() == run.book.account.id));
    let posted = gained.transactions.new.iter().filter(|transaction| transaction.touches_balance());
    prop_assert!(posted.is_sorted_by(|a, b| a.id < b.id));
    Ok(())
}

fn everything_holds(run: &Run) -> Checked {
    money_is_where_it_should_be(run)?;
    entries_are_numbered_and_chained(run)?;
    refunds_stay_within_what_was_paid(run)?;
    a_card_is_charged_once_for_what_it_pays(run)?;
    exclusive_orders_are_alone_in_their_region(run)?;
    bills_are_the_sum_of_their_parts(run)?;
    no_period_is_missed_or_billed_twice(run)?;
    nothing_is_forgotten(run)?;
    accounts_stand_as_they_say(run)?;
    no_thing_gives_back_more_than_was_paid_for_it(run)?;
    bills_of_a_month_come_to_what_it_costs(run)?;
    ids_are_unique_and_counted(run)
}

fn made_by(done: &Done) -> (Option<TransactionId>, Option<OrderId>, Option<BillId>) {
    match done {
        Done::Executed(outcome) => (
            outcome.made.transaction.as_ref().map(|t| t.id),
            outcome.made.order.as_ref().map(|o| o.id),
            outcome.made.bill.as_ref().map(|b| b.id),
        ),
        Done::Replayed(answer) => (answer.made.transaction, answer.made.order, answer.made.bill),
        Done::Awaits(_) => (None, None, None),
    }
}

/// Gives an account bills of months that were due so many hours ago: cents, hours, and whether each has suspended it.
fn put_due_bills(run: &mut Run, bills: &[(i64, i64, bool)]) {
    let now = run.now;
    let mut mint = IdMint::new(run.book.account.id, now, run.book.account.last_number, false);
    for (cents, hours, is_late) in bills {
        let due_at = now
            - TimeDelta::hours(*hours)
            - TimeDelta::days(if *is_late { 10 } else { 0 })
            - TimeDelta::seconds(1);
        let bill = Bill {
            id: BillId(mint.next_id().unwrap()),
            order: None,
            status: BillStatus::Overdue,
            currency: run.book.account.currency,
            amount: Decimal::new(*cents, 2),
            once_amount: Decimal::ZERO,
            cycle_amount: Decimal::new(*cents, 2),
            credit_amount: Decimal::ZERO,
            replaced_amount: Decimal::ZERO,
            withheld_amount: Decimal::ZERO,
            start_time: due_at,
            end_time: due_at,
            seq: 1,
            seq_count: 1,
            due_at,
            last_paid_at: None,
            paid_by: None,
            refunded_amount: Decimal::ZERO,
            credited_amount: Decimal::ZERO,
            next_step_at: Some(now + TimeDelta::hours(1)),
            datacenter: None,
            correction_of: None,
            created_at: due_at,
        };
        run.book.bills.insert(bill.id, Arc::new(bill));
        if *is_late {
            let account = &mut run.book.account;
            account.status = AccountStatus::Suspended;
            account.suspension = Some(Suspension::OverdueBill);
            account.suspended_at = Some(now);
        }
    }
    run.book.account.last_number = mint.last_number();
}

/// Where so many bills are paid at once and more are due, the next one, as what reads a book says it.
fn horizon(run: &Run, at_once: usize) -> Option<(chrono::DateTime<chrono::Utc>, BillId)> {
    let due = run.book.bills.values().filter(|bill| bill.is_due(run.now));
    let mut due: Vec<_> = due.map(|bill| (bill.due_at, bill.id)).collect();
    due.sort();
    due.get(at_once).copied()
}

/// The bills that were paid, in the order in which they were.
fn paid(run: &Run) -> Vec<Option<BillId>> {
    let made = run.book.gained.transactions.new.iter();
    made.filter(|made| made.kind == TransactionKind::BillPayment).map(|made| made.bill).collect()
}

proptest! {
    #![proptest_config(trials(256, 100_000))]

    #[test]
    fn the_books_are_in_order_after_every_step(tenant in tenant(), steps in steps(60)) {
        let mut run = Run::new(account(1_001, &tenant));
        for step in &steps {
            run.pass(step.seconds);
            let Some(deed) = run.deed(&step.event) else { continue };
            run.carry_out(&deed);
            everything_holds(&run)?;
        }
    }

}

proptest! {
    #![proptest_config(trials(256, 4_000))]

    #[test]
    fn refusals_dry_runs_and_repeats_change_nothing(tenant in tenant(), steps in steps(60)) {
        let mut run = Run::new(account(1_001, &tenant));
        for step in &steps {
            run.pass(step.seconds);
            let Some(deed) = run.deed(&step.event) else { continue };
            let before = contents(&run.book);
            let asked = run.carry_out(&deed);
            let changes = matches!(asked.outcome, Ok(Done::Executed(_))) && !asked.command.dry_run;
            let keyed = asked.command.key.is_some();
            let outcome = format!("{:?}", asked.outcome);
            let after = contents(&run.book);
            if changes && keyed {
                prop_assert_ne!(before, after, "{}", outcome);
            } else if !changes {
                prop_assert_eq!(before, after, "{}", outcome);
            }
        }
    }

    #[test]
    fn a_key_is_answered_as_the_first_time_and_only_for_the_same_input(tenant in tenant(), steps in steps(60)) {
        let mut run = Run::new(account(1_001, &tenant));
        let mut first: HashMap<String, (Command, _)> = HashMap::new();
        for step in &steps {
            run.pass(step.seconds);
            let Some(deed) = run.deed(&step.event) else { continue };
            let asked = run.carry_out(&deed).clone();
            let Some(key) = asked.command.key.clone() else { continue };
            let held = first.get(&key);
            match (held, &asked.outcome) {
                (Some((command, made)), Ok(done)) => {
                    prop_assert!(matches!(done, Done::Replayed(_)));
                    prop_assert_eq!(command.action.fingerprint(), asked.command.action.fingerprint());
                    prop_assert_eq!(*made, made_by(done));
                }
                (Some((command, _)), Err(refusal)) => {
                    prop_assert_eq!(refusal.code, RefusalCode::IdempotencyKeyReused);
                    prop_assert_ne!(command.action.fingerprint(), asked.command.action.fingerprint());
                }
                (None, Ok(done)) => {
                    prop_assert!(matches!(done, Done::Executed(_)));
                    if !asked.command.dry_run {
                        first.insert(key, (asked.command.clone(), made_by(done)));
                    }
                }
                (None, Err(refusal)) => prop_assert_ne!(refusal.code, RefusalCode::IdempotencyKeyReused),
            }
        }
        prop_assert_eq!(first.len(), run.book.answers.len());
    }

    #[test]
    fn money_that_pays_in_steps_pays_what_it_would_pay_at_once(
        tenant in tenant(),
        bills in proptest::collection::vec((1i64..500, 0i64..40, any::<bool>()), 0..40),
        cents in 1i64..12_000,
        at_once in 1usize..6,
    ) {
        let mut in_steps = Run::new(account(1_001, &tenant));
        put_due_bills(&mut in_steps, &bills);
        let recharge = Action::Recharge(Recharge {
            amount: Decimal::new(cents, 2), payment_method: "sandbox".to_owned(), reason: None,
        });
        let recharge = Command::by_itself(in_steps.book.account.id, recharge);
        let mut whole = Run::new(account(1_001, &tenant));
        whole.book = in_steps.book.clone();
        whole.carry_out(&recharge);

        in_steps.book.due_horizon = horizon(&in_steps, at_once);
        let mut command = recharge;
        for _ in 0..=bills.len() {
            let before = paid(&in_steps).len();
            let done = in_steps.carry_out(&command).outcome.clone();
            prop_assert!(paid(&in_steps).len() - before <= at_once + 1, "no more than a step");
            let Ok(Done::Executed(outcome)) = done else { return Err(TestCaseError::fail("refused")) };
            if !outcome.goes_on {
                break;
            }
            in_steps.book.due_horizon = horizon(&in_steps, at_once);
            let next = in_steps.book.bills.values().find(|bill| {
                bill.is_open() && bill.next_step_at.is_some_and(|at| at <= in_steps.now)
            });
            let next = next.expect("the jobs look at the next one");
            let step = BillStep { bill: next.id, due: next.next_step_at.expect("it is due") };
            command = Command::by_itself(in_steps.book.account.id, Action::BillStep(step));
        }
        prop_assert_eq!(in_steps.book.account.balance, whole.book.account.balance);
        prop_assert_eq!(in_steps.book.account.status, whole.book.account.status);
        prop_assert_eq!(paid(&in_steps), paid(&whole), "the same ones, in the same order");
    }

    #[test]
    fn a_dry_run_foretells_what_the_command_does(tenant in tenant(), steps in steps(60)) {
        let mut run = Run::new(account(1_001, &tenant));
        for step in &steps {
            run.pass(step.seconds);
            let Some(deed) = run.deed(&step.event) else { continue };
            let dry = Command { dry_run: true, ..deed.clone() };
            let wet = Command { dry_run: false, ..deed.clone() };
            let foretold = decide(&run.book, &run.catalogue, &dry, run.now).map(|d| d.done);
            let done = decide(&run.book, &run.catalogue, &wet, run.now).map(|d| d.done);
            match (foretold, done) {
                (Ok(Done::Executed(dry)), Ok(Done::Executed(wet))) => {
                    prop_assert_eq!(dry.account.balance, wet.account.balance);
                    let parts = |bill: &Arc<abacus::domain::bill::Bill>| {
                        (bill.amount, bill.once_amount, bill.cycle_amount, bill.credit_amount, bill.end_time)
                    };
                    prop_assert_eq!(dry.made.bill.as_ref().map(parts), wet.made.bill.as_ref().map(parts));
                    let same = dry.made.transaction.as_ref().map(|t| t.id) == wet.made.transaction.as_ref().map(|t| t.id);
                    // What a provider says may be of a movement that there is.
                    let made = wet.made.transaction.is_some() && deed.key.is_some();
                    prop_assert!(!made || !same, "a provisional id is nobody's");
                }
                (Ok(Done::Replayed(dry)), Ok(Done::Replayed(wet))) => prop_assert_eq!(dry, wet),
                (Err(dry), Err(wet)) => prop_assert_eq!(dry, wet),
                (dry, wet) => prop_assert!(false, "{dry:?}\n{wet:?}"),
            }
            run.carry_out(&deed);
        }
    }

    #[test]
    fn a_suspended_account_may_recharge_and_is_given_back_but_buys_nothing(tenant in tenant(), steps in steps(40)) {
        let mut run = Run::new(account(1_001, &tenant));
        run.book.account.status = AccountStatus::Suspended;
        run.book.account.suspension = Some(Suspension::Operator);
        run.book.account.suspended_at = Some(run.now);
        for step in steps.iter().filter(|step| !matches!(step.event, Event::Status(_))) {
            run.pass(step.seconds);
            let Some(deed) = run.deed(&step.event) else { continue };
            run.carry_out(&deed);
        }
        for asked in &run.asked {
            let new = |action: &Action| {
                matches!(action, Action::Checkout(_) | Action::Subscribe(_) | Action::Prepay(_))
            };
            if let (true, Err(refusal)) = (new(&asked.command.action), &asked.outcome) {
                let codes = [RefusalCode::AccountSuspended, RefusalCode::IdempotencyKeyReused];
                prop_assert!(codes.contains(&refusal.code), "{:?}", refusal);
            } else {
                prop_assert!(!new(&asked.command.action), "bought while suspended");
            }
            if let Err(refusal) = &asked.outcome {
                let refused = refusal.code == RefusalCode::AccountSuspended;
                let renews = matches!(asked.command.action, Action::RenewOrder(_));
                prop_assert!(!refused || renews || new(&asked.command.action));
            }
        }
        prop_assert!(run.book.gained.orders.new.is_empty());
    }

    #[test]
    fn amounts_at_the_edge_of_what_fits_are_refused_and_never_lose_a_place(
        balance in any::<i64>(), high in any::<i32>(), scale in 0u32..=20, units in 1i64..10_000_000_000, tenant in tenant(),
    ) {
        let mut run = Run::new(account(1_001, &tenant));
        let mantissa = (i128::from(high.unsigned_abs()) << 64) | i128::from(balance.unsigned_abs());
        let Ok(balance) = Decimal::try_from_i128_with_scale(mantissa, scale) else { return Ok(()) };
        run.book.account.balance = balance;
        let amount = Decimal::new(units, 2);
        let recharge = Recharge { amount, payment_method: "sandbox".to_owned(), reason: None };
        let command = Command { key: Some("k".to_owned()), ..Command::by_itself(run.book.account.id, Action::Recharge(recharge)) };
        let decided = decide(&run.book, &run.catalogue, &command, run.now);
        match decided.map(|decision| decision.done) {
            Ok(Done::Executed(outcome)) => prop_assert_eq!(outcome.account.balance.checked_sub(amount), Some(balance)),
            Ok(Done::Replayed(_) | Done::Awaits(_)) => prop_assert!(false),
            Err(refusal) => prop_assert_eq!(refusal.code, RefusalCode::OutOfRange),
        }
    }

    #[test]
    fn the_check_finds_any_entry_that_was_altered(
        tenant in tenant(), steps in steps(40), which in any::<Index>(), alteration in any::<Index>(),
    ) {
        let run = with_entries(&tenant, &steps);
        let which = which.index(run.book.gained.entries.len());
        let (name, alter) = alteration.get(&ALTERATIONS);
        let mut entries = run.book.gained.entries.clone();
        alter(&mut entries[which]);
        prop_assert_ne!(&entries[which], &run.book.gained.entries[which], "{} alters", name);
        prop_assert_ne!(check(&run, &entries, &run.book.transactions), Vec::new(), "{} goes unnoticed", name);
    }

    #[test]
    fn the_check_finds_entries_that_are_missing_doubled_or_out_of_order(
        tenant in tenant(), steps in steps(40), which in any::<Index>(),
    ) {
        let run = with_entries(&tenant, &steps);
        let all = &run.book.gained.entries;
        let which = which.index(all.len());
        let mut missing = all.clone();
        missing.remove(which);
        prop_assert_ne!(check(&run, &missing, &run.book.transactions), Vec::new());
        let mut doubled = all.clone();
        doubled.insert(which, all[which].clone());
        prop_assert_ne!(check(&run, &doubled, &run.book.transactions), Vec::new());
        let mut swapped = all.clone();
        swapped.swap(which, all.len() - 1);
        if which != all.len() - 1 {
            prop_assert_ne!(check(&run, &swapped, &run.book.transactions), Vec::new());
        }
    }

    #[test]
    fn the_check_finds_a_transaction_that_no_longer_fits_its_entry(
        tenant in tenant(), steps in steps(40), which in any::<Index>(), alteration in 0usize..5,
    ) {
        let run = with_entries(&tenant, &steps);
        let id = which.get(&run.book.gained.entries).transaction();
        let mut transactions = run.book.transactions.clone();
        let mut altered = Transaction::clone(&transactions[&id]);
        match alteration {
            0 => altered.amount += Decimal::new(1, 2),
            1 => std::mem::swap(&mut altered.debit, &mut altered.credit),
            2 => altered.balance_after = altered.balance_after.map(|balance| balance + Decimal::ONE),
            3 => altered.currency = CurrencyCode::parse("USD").unwrap(),
            _ => altered.balance_after = None,
        }
        transactions.insert(id, Arc::new(altered));
        prop_assert_ne!(check(&run, &run.book.gained.entries, &transactions), Vec::new());
        transactions.remove(&id);
        prop_assert_ne!(check(&run, &run.book.gained.entries, &transactions), Vec::new());
    }
}

/// Steps that begin with three recharges, so that there is something to alter.
fn with_entries(tenant: &crate::support::sequences::Tenant, steps: &[Step]) -> Run {
    let recharge = |key: u8| Step {
        seconds: 1,
        event: Event::Ask {
            key,
            dry_run: false,
            what: What::Recharge { units: 70_000 + i64::from(key), places: 2 },
        },
    };
    let mut all: Vec<Step> = (0..3).map(recharge).collect();
    all.extend_from_slice(steps);
    Run::all(account(1_001, tenant), &all)
}

fn check(run: &Run, entries: &[Entry], transactions: &Table<Transaction>) -> Vec<Fault> {
    let mut verifier = Verifier::default();
    for entry in entries {
        let transaction = transactions.get(&entry.transaction());
        verifier.check(entry, transaction.map(AsRef::as_ref), None, &run.catalogue.keys);
    }
    verifier.finish(&run.book.account)
}

type Alteration = (&'static str, fn(&mut Entry));

/// A change of each field.
const ALTERATIONS: [Alteration; 18] = [
    ("another id", |entry| entry.id = another_id(entry, 1, 0)),
    ("an id of another instant", |entry| entry.id = another_id(entry, 0, 1)),
    ("another number", |entry| entry.seq += 1),
    ("a later time", |entry| entry.time += TimeDelta::microseconds(1)),
    ("an earlier time", |entry| entry.time -= TimeDelta::microseconds(1)),
    ("a poll time", |entry| entry.poll_time = Some(entry.time)),
    ("another currency", |entry| entry.currency = CurrencyCode::parse("USD").unwrap()),
    ("a larger amount", |entry| entry.amount += Decimal::new(1, 10)),
    ("the other direction", |entry| entry.amount = -entry.amount),
    ("another initial balance", |entry| entry.initial += Decimal::new(1, 10)),
    ("another end", |entry| entry.end -= Decimal::new(1, 10)),
    ("another reason", |entry| entry.reason.push(' ')),
    ("no reason", |entry| entry.reason.clear()),
    ("a billing cycle", |entry| entry.billing_cycle = Some(0)),
    ("an interval", |entry| entry.interval = Some(0)),
    ("a resource", |entry| entry.resource = Some("cpu".to_owned())),
    ("a resource's amount", |entry| entry.resource_amount += Decimal::ONE),
    ("another hash", |entry| entry.hash[31] ^= 1),
];

fn another_id(entry: &Entry, numbers: i64, micros: i64) -> EntryId {
    let id = entry.id.0;
    let instant = id.instant() + TimeDelta::microseconds(micros);
    EntryId(IdMint::new(id.account(), instant, id.number() - 1 + numbers, false).next_id().unwrap())
}

#[test]
fn the_check_tells_no_resource_from_one_without_a_name() {
    let run = with_entries(
        &crate::support::sequences::Tenant { credit_limit: None, time_zone: chrono_tz::Tz::UTC },
        &[],
    );
    let mut entries = run.book.gained.entries.clone();
    entries[1].resource = Some(String::new());
    assert_ne!(check(&run, &entries, &run.book.transactions), Vec::new());
}

/// On demand nothing is charged now, so there is nothing that the credit for a running period could count against.
#[test]
fn a_pool_by_the_hour_takes_the_place_of_one_whose_period_is_over_and_of_no_other() {
    use crate::support::sequences::Expected;
    let buy = |seconds: i64, key: u8, plan: usize| Step {
        seconds,
        event: Event::Ask {
            key,
            dry_run: false,
            what: What::Checkout {
                plan,
                region: None,
                quantity: 1,
                expected: Expected::Nothing,
                auto_renewal: false,
                instalments: None,
                pay_later: false,
            },
        },
    };
    const POOL_S: usize = 2;
    const POOL_BY_THE_HOUR: usize = 8;
    const DAY: i64 = 86_400;
    for (seconds, expected) in [(60, POOL_S), (40 * DAY, POOL_BY_THE_HOUR)] {
        let run = with_entries(
            &crate::support::sequences::Tenant { credit_limit: None, time_zone: chrono_tz::Tz::UTC },
            &[buy(60, 10, POOL_S), buy(seconds, 11, POOL_BY_THE_HOUR)],
        );
        let live: Vec<_> = run.book.gained.orders.new.iter().filter(|order| order.state.is_live()).collect();
        assert_eq!(live.len(), 1, "{live:#?}");
        assert_eq!(live[0].plan, Some(run.plans[expected].id), "after {seconds} s");
    }
}

/// The jobs have not come by for a month: the order before last still stands as it was when it was renewed.
#[test]
fn what_an_ended_order_has_continued_does_not_run_on() {
    use crate::support::sequences::Expected;
    use proptest::sample::Index;
    use proptest::strategy::ValueTree;
    const PLAN: usize = 6;
    const DAY: i64 = 86_400;
    let ask = |days: i64, key: u8, what: What| Step {
        seconds: days * DAY,
        event: Event::Ask { key, dry_run: false, what },
    };
    let newest = || -> Index {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        loop {
            let index = proptest::arbitrary::any::<Index>().new_tree(&mut runner).unwrap().current();
            if index.index(2) == 1 {
                return index;
            }
        }
    };
    let bought = What::Checkout {
        plan: PLAN,
        region: None,
        quantity: 1,
        expected: Expected::Nothing,
        auto_renewal: false,
        instalments: None,
        pay_later: false,
    };
    let renew = || What::Renew { which: newest(), periods: 1 };
    let steps = [
        ask(0, 1, What::Recharge { units: 1_000_000, places: 0 }),
        ask(0, 2, bought),
        ask(20, 3, renew()),
        ask(40, 4, renew()),
    ];
    let run = Run::all(
        account(
            1_001,
            &crate::support::sequences::Tenant { credit_limit: None, time_zone: chrono_tz::Tz::UTC },
        ),
        &steps,
    );
    let orders: Vec<_> = run.book.gained.orders.new.iter().collect();
    assert_eq!(orders.len(), 3, "{orders:#?}");
    let states: Vec<_> = orders.iter().map(|order| order.state.code()).collect();
    assert_eq!(states[..2], ["ENDED", "ENDED"], "{states:?}");
    assert!(orders[2].state.is_live(), "{states:?}");
}

/// A generator that never comes to a case proves nothing about it.
#[test]
fn the_sequences_come_to_every_kind_of_outcome() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..800 {
        let (tenant, steps) = (tenant(), steps(120)).new_tree(&mut runner).unwrap().current();
        let run = Run::all(account(1_001, &tenant), &steps);
        for asked in &run.asked {
            let outcome = match &asked.outcome {
                Err(refusal) => refusal.code.code(),
                Ok(Done::Replayed(_)) => "repeated",
                Ok(Done::Awaits(_)) => "waits for another operator",
                Ok(Done::Executed(_)) if asked.command.dry_run => "dry run",
                Ok(Done::Executed(outcome)) => {
                    match (&outcome.made.transaction, &outcome.made.order, &outcome.made.bill) {
                        (Some(paid), _, _) if paid.kind == TransactionKind::Renewal => "RENEWAL",
                        (Some(paid), _, _) if paid.kind == TransactionKind::BillPayment => "BILL_PAYMENT",
                        (None, Some(order), Some(_)) if order.state == OrderState::Unpaid => {
                            "placed to be paid later"
                        }
                        (_, Some(order), Some(_)) if order.previous.is_some() => "change",
                        (None, Some(_), Some(_)) => "free order",
                        (Some(_), Some(_), Some(_)) => "order",
                        (None, Some(_), None) => "order by the hour",
                        (Some(transaction), _, _) => transaction.kind.code(),
                        _ => "nothing",
                    }
                }
            };
            *seen.entry(outcome.to_owned()).or_default() += 1;
            if let Ok(Done::Executed(outcome)) = &asked.outcome {
                for job in &outcome.made.jobs {
                    let failed = if job.succeeded { "" } else { " failed" };
                    *seen.entry(format!("job {}{failed}", job.kind)).or_default() += 1;
                }
            }
        }
        let bills = || run.book.gained.bills.new.iter();
        let corrected = |is: fn(&Bill) -> bool| bills().any(|bill| bill.correction_of.is_some() && is(bill));
        let told = |kind| run.book.gained.notices.iter().any(|notice| notice.kind == kind);
        let closed = told(NoticeKind::AccountClosed);
        let on_demand = |order: &Arc<Order>| {
            order.is_on_demand() && matches!(order.state, OrderState::Suspended | OrderState::Ended)
        };
        let renewals = run.book.gained.transactions.new.iter().filter(|t| t.kind == TransactionKind::Renewal);
        let renewals: BTreeSet<_> = renewals.map(|renewal| renewal.created_at).collect();
        let by_money = |asked: &Asked| match (&asked.command.action, &asked.outcome) {
            (Action::RenewOrder(_) | Action::OrderStep(_), _) | (_, Err(_)) => false,
            (_, Ok(Done::Executed(outcome))) if !asked.command.dry_run => {
                outcome.account.head.time.is_some_and(|last| renewals.contains(&last))
            }
            _ => false,
        };
        for (kind, was_seen) in [
            ("account closed", closed),
            ("account closed and reopened", closed && run.book.account.status != AccountStatus::Closed),
            ("bill made void", told(NoticeKind::BillVoided)),
            ("correction credited", corrected(|bill| bill.amount < Decimal::ZERO)),
            ("correction withheld", corrected(|bill| !bill.withheld_amount.is_zero())),
            ("open bill replaced", corrected(|bill| !bill.replaced_amount.is_zero())),
            ("suspended with its account", run.book.gained.orders.new.iter().any(on_demand)),
            ("renewal as money came in", run.asked.iter().any(by_money)),
        ] {
            *seen.entry(kind.to_owned()).or_default() += u32::from(was_seen);
        }
        let credited = run.book.gained.bills.new.iter().any(|bill| !bill.credit_amount.is_zero());
        *seen.entry("credit".to_owned()).or_default() += u32::from(credited);
        let within_the_limit = run.book.gained.entries.iter().any(|entry| entry.end < Decimal::ZERO);
        *seen.entry("balance below zero".to_owned()).or_default() += u32::from(within_the_limit);
    }
    for kind in [
        "RECHARGE",
        "REFUND",
        "order",
        "free order",
        "order by the hour",
        "change",
        "credit",
        "repeated",
        "dry run",
        "balance below zero",
        "NOT_FOUND",
        "INVALID",
        "OUT_OF_RANGE",
        "LIMIT_EXCEEDED",
        "INSUFFICIENT_BALANCE",
        "IDEMPOTENCY_KEY_REUSED",
        "PRICE_CHANGED",
        "PLAN_UNCHANGED",
        "CREDIT_EXCEEDS_PRICE",
        "CURRENCY_MISMATCH",
        "ACCOUNT_SUSPENDED",
        "ALREADY_PAID",
        "CONFLICT",
        "ADJUSTMENT",
        "BILL_PAYMENT",
        "RENEWAL",
        "placed to be paid later",
        "job ORDER_PERIOD",
        "job ORDER_EXPIRY",
        "job ORDER_RENEWAL",
        "job ORDER_RENEWAL failed",
        "job ORDER_SUSPENSION",
        "job ORDER_END",
        "job ORDER_CANCELLATION",
        "job BILL_PAYMENT",
        "job BILL_PAYMENT failed",
        "job BILL_SUSPENSION",
        "job MONTH_CLOSING",
        "job MONTH_CORRECTION",
        "job HOLD_END",
        "PAYOUT",
        "bill made void",
        "account closed",
        "account closed and reopened",
        "correction credited",
        "correction withheld",
        "open bill replaced",
        "renewal as money came in",
        "suspended with its account",
        "job REVERSAL",
    ] {
        assert!(seen.get(kind).copied().unwrap_or(0) >= 5, "{kind} is hardly ever reached: {seen:?}");
    }
}
