//! Charges rated per second on one core, for a tariff of 5 tiers with a package and two discounts: the total alone, and
//! with every step. The reference is the same tariff worked out with rust_decimal by hand, without any explanation.
#![allow(
    clippy::all,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_arithmetic
)]

#[path = "support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use abacus::domain::price_rule::{Discount, Package, PackageType, Quota, Tariff, Terms, Tier, TierMode};
use abacus::domain::rating::{Part, Quantity, RuleInForce, Usage, rate, total};
use rust_decimal::Decimal;
use support::{median, rounds, seconds};

const QUANTITIES: i64 = 1_000;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn rules() -> Vec<Terms> {
    let tiers = [("0", "0.29"), ("10240", "0.27"), ("51200", "0.25"), ("102400", "0.23"), ("512000", "0.21")];
    let tier = |(from, unit_price): (&str, &str)| Tier {
        from: decimal(from),
        unit_price: decimal(unit_price),
        flat_fee: Decimal::ZERO,
    };
    let tariff = Tariff {
        resource: "transfer_out".to_owned(),
        mode: TierMode::Graduated,
        per: Decimal::ONE,
        round_up: false,
        tiers: tiers.into_iter().map(tier).collect(),
    };
    let quotas = vec![Quota { resource: "transfer_out".to_owned(), quantity: decimal("100") }];
    let percent = Discount { money: None, payable_percent: Some(decimal("90")) };
    let money = Discount { money: Some(decimal("5")), payable_percent: None };
    vec![
        Terms::Base(vec![tariff]),
        Terms::Package(Package { package_type: PackageType::Normal, money: decimal("9.9"), quotas }),
        Terms::Discount(percent),
        Terms::Discount(money),
    ]
}

fn usage(number: i64) -> [Usage; 1] {
    let quantity = Decimal::new(number * 701_237 % 60_000_000, 2);
    [Usage { resource: "transfer_out".to_owned(), quantity: Quantity::Summed(vec![quantity]) }]
}

/// The same, without rules: the figures in a loop of checked decimals.
fn by_hand(terms: &[Terms], quantity: Decimal) -> Decimal {
    let Terms::Base(tariffs) = &terms[0] else { unreachable!() };
    let tiers = &tariffs[0].tiers;
    let included = decimal("100");
    let mut amount = Decimal::ZERO;
    for (index, tier) in tiers.iter().enumerate() {
        let low = tier.from.max(included);
        let high = tiers.get(index + 1).map_or(quantity, |next| next.from.min(quantity));
        if high > low {
            let cost = high.checked_sub(low).unwrap().checked_mul(tier.unit_price).unwrap();
            amount = amount.checked_add(cost).unwrap();
        }
    }
    amount = amount.checked_mul(decimal("90")).unwrap().checked_div(Decimal::ONE_HUNDRED).unwrap();
    amount = amount.checked_sub(amount.min(decimal("5"))).unwrap();
    let total = amount.checked_add(decimal("9.9")).unwrap();
    total.round_dp_with_strategy(2, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
}

fn per_second(mut one: impl FnMut(usize)) -> f64 {
    let time = Duration::from_secs(seconds().div_ceil(4));
    let (started, mut done) = (Instant::now(), 0u64);
    while started.elapsed() < time {
        (0..QUANTITIES as usize).for_each(&mut one);
        done += QUANTITIES as u64;
    }
    done as f64 / started.elapsed().as_secs_f64()
}

fn main() {
    let terms = rules();
    let rules = terms.iter().zip(0..).map(|(terms, order)| RuleInForce { id: None, order, terms });
    let parts = [Part { seconds: 1, rules: rules.collect() }];
    let usages: Vec<_> = (0..QUANTITIES).map(usage).collect();
    let quantities: Vec<Decimal> = usages
        .iter()
        .map(|usage| match &usage[0].quantity {
            Quantity::Summed(quantities) => quantities[0],
            Quantity::Whole(quantity) => *quantity,
        })
        .collect();
    for (usage, quantity) in usages.iter().zip(&quantities) {
        let expected = by_hand(&terms, *quantity);
        assert_eq!(total(&parts, usage, 2), Ok(expected));
        assert_eq!(rate(&parts, usage, 2).map(|charge| charge.total), Ok(expected));
    }
    let (mut totals, mut charges, mut references) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=rounds() {
        totals.push(per_second(|at| _ = black_box(total(&parts, black_box(&usages[at]), 2))));
        charges.push(per_second(|at| _ = black_box(rate(&parts, black_box(&usages[at]), 2))));
        references.push(per_second(|at| _ = black_box(by_hand(&terms, black_box(quantities[at])))));
        println!(
            "round {round}: totals {:>9.0}/s, with steps {:>9.0}/s, rust_decimal by hand {:>9.0}/s",
            totals[round - 1],
            charges[round - 1],
            references[round - 1]
        );
    }
    let (totals, charges, references) = (median(totals), median(charges), median(references));
    println!("\nmedians of {} rounds", rounds());
    println!("totals: {totals:.0}/s (aim: 1000000/s), {:.2} × rust_decimal by hand", totals / references);
    println!("with steps: {charges:.0}/s, {:.2} × the time without (at most 3)", totals / charges);
}
