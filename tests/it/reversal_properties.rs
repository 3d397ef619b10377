//! Whatever is told of what was taken back of a charge, in whichever order and however often, comes to the same books.

use abacus::domain::account::Hash;
use abacus::domain::command::Command;
use abacus::domain::decide::{
    Action, AddPaymentMethod, AdjustBalance, BookReversal, RechargeByCard, SettlePayment, decide,
};
use abacus::domain::ids::PaymentId;
use abacus::domain::payment::{ChargeState, Progress};
use abacus::domain::payment_method::Card;
use abacus::domain::reversal::ReversalReport;
use chrono::NaiveDate;
use chrono_tz::Tz;
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::support::sequences::{Run, Tenant, account, reversal, trials};

fn done(run: &mut Run, action: Action, key: Option<&str>) {
    let command = Command { key: key.map(str::to_owned), ..Command::by_itself(run.book.account.id, action) };
    let decision = decide(&run.book, &run.catalogue, &command, run.now).expect("it is done");
    if let Some(change) = decision.change {
        run.book.apply(change);
    }
}

/// An account that has recharged 50 by a card and spent it; whether the charge is known to have succeeded is still to be told.
fn charged() -> (Run, PaymentId) {
    let mut run = Run::new(account(1_001, &Tenant { credit_limit: None, time_zone: Tz::UTC }));
    let card = Card {
        brand: "visa".to_owned(),
        last4: "4242".to_owned(),
        expires_on: NaiveDate::from_ymd_opt(2040, 12, 31).unwrap(),
    };
    let asked = Hash::default();
    let adding =
        AddPaymentMethod { asked, provider: "p".to_owned(), token: "t".to_owned(), customer: None, card };
    done(&mut run, Action::AddPaymentMethod(Box::new(adding)), None);
    let method = *run.book.payment_methods.keys().next().unwrap();
    let recharge = RechargeByCard { amount: Decimal::new(5_000, 2), method, reason: None };
    done(&mut run, Action::RechargeByCard(recharge), Some("k"));
    let charge = *run.book.payments.keys().next().unwrap();
    (run, charge)
}

fn succeed(run: &mut Run, charge: PaymentId) {
    let progress = Progress { reference: Some("pi".to_owned()), state: ChargeState::Succeeded };
    done(run, Action::SettlePayment(Box::new(SettlePayment { payment: charge, progress })), None);
}

/// The balance, what was given back of the charge, and what is booked of each reversal.
fn books(run: &Run, charge: PaymentId) -> (Decimal, Decimal, Vec<(String, Decimal)>) {
    let moved = run.book.payments[&charge].transaction.expect("its movement");
    let refunded = run.book.transactions[&moved].refunded_amount;
    let booked = run.book.reversals.values().map(|held| (held.told.reference.clone(), held.booked)).collect();
    (run.book.account.balance, refunded, booked)
}

fn told(run: &mut Run, charge: PaymentId, reports: &[(u8, u8)], succeeds_before: usize) {
    for (place, (number, stage)) in reports.iter().enumerate() {
        if place == succeeds_before {
            succeed(run, charge);
        }
        let report: ReversalReport = reversal(&run.book.payments[&charge].clone(), *number, *stage);
        done(run, Action::BookReversal(Box::new(BookReversal(report))), None);
    }
    if succeeds_before >= reports.len() {
        succeed(run, charge);
    }
}

/// Reports, each of one of the reversals, and how far it has come.
type Told = Vec<(u8, u8)>;

/// How far three reversals come in the end, and what is told on the way: each at least once as it ends.
fn reports() -> impl Strategy<Value = (Told, Told)> {
    (0..5u8, 0..5u8, 0..5u8).prop_flat_map(|(first, second, third)| {
        let ends = vec![(0, first), (1, second), (2, third)];
        let on_the_way = (0..3usize, 0..5u8).prop_map({
            let ends = ends.clone();
            move |(number, stage)| (ends[number].0, stage.min(ends[number].1))
        });
        let all = proptest::collection::vec(on_the_way, 0..12).prop_map({
            let ends = ends.clone();
            move |mut told| {
                told.extend(ends.clone());
                told
            }
        });
        (all.clone().prop_shuffle(), all.prop_shuffle())
    })
}

proptest! {
    #![proptest_config(trials(256, 4_000))]

    #[test]
    fn reports_come_to_the_same_books_in_any_order_and_however_often(
        (one, other) in reports(), before in 0..16usize, before_other in 0..16usize,
    ) {
        let (mut run, charge) = charged();
        told(&mut run, charge, &one, before);
        let (mut again, same) = charged();
        told(&mut again, same, &other, before_other);
        prop_assert_eq!(books(&run, charge), books(&again, same));
        let taken: Decimal = run.book.reversals.values().map(|held| held.booked).sum();
        prop_assert_eq!(run.book.account.balance, Decimal::new(5_000, 2) - taken);
        prop_assert_eq!(run.faults(), Vec::new());
        prop_assert_eq!(again.faults(), Vec::new());
    }
}

#[test]
fn a_refund_that_was_given_up_on_and_arrives_all_the_same_is_booked() {
    let (mut run, charge) = charged();
    succeed(&mut run, charge);
    let moved = run.book.payments[&charge].transaction.unwrap();
    let refund = abacus::domain::decide::Refund { transaction: moved, amount: None, reason: "r".to_owned() };
    done(&mut run, Action::Refund(refund), Some("r"));
    let refund = *run.book.payments.keys().find(|id| **id != charge).unwrap();
    let mut says = |state: ChargeState| {
        let progress = Progress { reference: Some("re".to_owned()), state };
        done(&mut run, Action::SettlePayment(Box::new(SettlePayment { payment: refund, progress })), None);
        (run.book.account.balance, run.book.transactions[&moved].refunded_amount)
    };
    let failed = || ChargeState::Failed { reason: "no".to_owned() };
    let (none, whole) = (Decimal::ZERO, Decimal::new(5_000, 2));
    assert_eq!(says(failed()), (whole, none), "it is put back");
    for _ in 0..2 {
        assert_eq!(says(ChargeState::Succeeded), (none, whole));
    }
    for _ in 0..2 {
        assert_eq!(says(failed()), (whole, none));
    }
    // Spent meanwhile, it overdraws.
    let spent = AdjustBalance { amount: -whole, reason: "spent".to_owned(), force: false };
    done(&mut run, Action::AdjustBalance(spent), Some("a"));
    assert_eq!(run.faults(), Vec::new());
}
