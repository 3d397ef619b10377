//! What is asked for, at random.

use crate::support::load::Dice;

/// What is asked for. What it is about is told by a number that is taken modulo how many there are, so that a sequence of
/// which something was left out still says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    Recharge {
        cents: i64,
    },
    CardRecharge {
        cents: i64,
        is_declined: bool,
    },
    Checkout {
        plan: usize,
        quantity: i64,
        instalments: usize,
        is_later: bool,
    },
    /// So many, each with a key of its own, all at once: no more are bought than can be paid.
    Crowd {
        plan: usize,
        count: usize,
    },
    Subscribe {
        amount: i64,
        months: u32,
    },
    PayOrder {
        order: usize,
    },
    PayBill {
        bill: usize,
    },
    Renew {
        order: usize,
        periods: usize,
    },
    Cancel {
        order: usize,
    },
    VoidBill {
        bill: usize,
    },
    /// None: all that is left.
    Refund {
        payment: usize,
        cents: Option<i64>,
    },
    Adjust {
        cents: i64,
        is_forced: bool,
    },
    SetLimit {
        cents: i64,
    },
    PayOut {
        cents: Option<i64>,
    },
    Prepay {
        months: i64,
        is_declined: bool,
    },
    Use {
        event: usize,
        quantity: i64,
    },
    VoidUse {
        event: usize,
    },
    /// Something that was asked for before, with the same key.
    Again {
        nth: usize,
    },
    /// A key that was used before, for something else.
    OtherInput {
        nth: usize,
    },
    /// Decided, answered, and not kept.
    TryOut {
        plan: usize,
        quantity: i64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub what: Move,
    /// It is asked for twice at once.
    pub has_twin: bool,
}

const EVENTS: usize = 12;

pub fn random_steps(dice: &mut Dice, count: usize) -> Vec<Step> {
    (0..count).map(|_| Step { what: random_move(dice), has_twin: dice.below(5) == 0 }).collect()
}

fn cents(dice: &mut Dice, most: usize) -> i64 {
    i64::try_from(dice.below(most)).expect("a small number")
}

fn random_move(dice: &mut Dice) -> Move {
    let any = dice.below(1_000);
    let quantity = 1 + cents(dice, 3);
    match dice.below(64) {
        0..=9 => Move::Recharge { cents: cents(dice, 60_000) },
        10..=11 => Move::CardRecharge { cents: 1 + cents(dice, 30_000), is_declined: dice.below(4) == 0 },
        12..=21 => {
            let instalments = [1, 1, 1, 2, 4][dice.below(5)];
            Move::Checkout { plan: any, quantity, instalments, is_later: dice.below(4) == 0 }
        }
        22..=23 => Move::Crowd { plan: any, count: 2 + dice.below(5) },
        24..=26 => Move::Subscribe { amount: 1 + cents(dice, 90), months: 1 + dice.below(6) as u32 },
        27..=29 => Move::PayOrder { order: any },
        30..=31 => Move::PayBill { bill: any },
        32..=35 => Move::Renew { order: any, periods: 1 + dice.below(3) },
        36..=38 => Move::Cancel { order: any },
        39..=40 => Move::VoidBill { bill: any },
        41..=44 => Move::Refund { payment: any, cents: (dice.below(3) > 0).then(|| cents(dice, 9_000)) },
        45..=47 => Move::Adjust { cents: cents(dice, 20_000) - 10_000, is_forced: dice.below(3) == 0 },
        48 => Move::SetLimit { cents: cents(dice, 20_000) },
        49..=50 => Move::PayOut { cents: (dice.below(4) > 0).then(|| cents(dice, 9_000)) },
        51..=52 => Move::Prepay { months: 1 + cents(dice, 12), is_declined: dice.below(4) == 0 },
        53..=55 => {
            let event = dice.below(EVENTS);
            // Another quantity is another event, which cannot have the same id.
            let quantity = if dice.below(4) == 0 { 1 + cents(dice, 500) } else { 7 + event as i64 };
            Move::Use { event, quantity }
        }
        56 => Move::VoidUse { event: dice.below(EVENTS) },
        57..=60 => Move::Again { nth: any },
        61 => Move::OtherInput { nth: any },
        _ => Move::TryOut { plan: any, quantity },
    }
}
