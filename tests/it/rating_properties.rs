//! What holds for every tariff, package and discount, whatever its figures.

use abacus::domain::price_rule::{Discount, Package, PackageType, Quota, Tariff, Terms, Tier, TierMode};
use abacus::domain::rating::{Charge, Part, Quantity, RuleInForce, Usage, rate, total};
use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::support::sequences::trials;

const RESOURCES: [&str; 3] = ["space", "transfer_out", "api_get"];
const PLACES: u32 = 8;

fn amount(units_max: i64, scale: u32) -> impl Strategy<Value = Decimal> {
    (0..units_max).prop_map(move |units| Decimal::new(units, scale))
}

fn tiers(flat_fees: bool) -> impl Strategy<Value = Vec<Tier>> {
    let tier = (1i64..5_000, amount(100_000, 4), amount(if flat_fees { 5_000 } else { 1 }, 2));
    prop::collection::vec(tier, 1..5).prop_map(|tiers| {
        let mut from = Decimal::ZERO;
        let mut next = |(width, unit_price, flat_fee)| {
            let tier = Tier { from, unit_price, flat_fee };
            from += Decimal::new(width, 1);
            tier
        };
        tiers.into_iter().map(&mut next).collect()
    })
}

fn tariff(resource: &'static str, mode: TierMode, smooth: bool) -> impl Strategy<Value = Tariff> {
    let per = prop::sample::select(vec![1i64, 10, 1_000, 3, 7, 1_024]).prop_map(Decimal::from);
    (per, any::<bool>(), tiers(!smooth)).prop_map(move |(per, round_up, tiers)| Tariff {
        resource: resource.to_owned(),
        mode,
        per,
        round_up: round_up && !smooth,
        tiers,
    })
}

fn any_mode() -> impl Strategy<Value = TierMode> {
    prop::sample::select(TierMode::ALL)
}

fn base() -> impl Strategy<Value = Terms> {
    let of = |resource| any_mode().prop_flat_map(move |mode| tariff(resource, mode, false));
    (of(RESOURCES[0]), of(RESOURCES[1])).prop_map(|(one, other)| Terms::Base(vec![one, other]))
}

fn package() -> impl Strategy<Value = Terms> {
    (amount(10_000, 2), prop::sample::select(RESOURCES.to_vec()), amount(3_000, 1)).prop_map(
        |(money, resource, quantity)| {
            let quotas = vec![Quota { resource: resource.to_owned(), quantity }];
            Terms::Package(Package { package_type: PackageType::Normal, money, quotas })
        },
    )
}

fn discount() -> impl Strategy<Value = Terms> {
    (prop::option::of(amount(20_000, 2)), prop::option::of(amount(10_001, 2)))
        .prop_map(|(money, payable_percent)| Terms::Discount(Discount { money, payable_percent }))
}

fn other_terms() -> impl Strategy<Value = Vec<Terms>> {
    prop::collection::vec(prop_oneof![package(), discount()], 0..5)
}

fn rules(terms: &[Terms]) -> Vec<RuleInForce<'_>> {
    terms.iter().zip(0..).map(|(terms, order)| RuleInForce { id: None, order, terms }).collect()
}

fn month(terms: &[Terms]) -> Vec<Part<'_>> {
    vec![Part { seconds: 1_000, rules: rules(terms) }]
}

fn summed(quantities: &[Decimal]) -> Vec<Usage> {
    let used = RESOURCES.iter().zip(quantities);
    used.map(|(resource, used)| Usage {
        resource: (*resource).to_owned(),
        quantity: Quantity::Summed(vec![*used]),
    })
    .collect()
}

fn used() -> impl Strategy<Value = Vec<Decimal>> {
    prop::collection::vec(amount(200_000, 2), 3)
}

fn charge(terms: &[Terms], quantities: &[Decimal]) -> Charge {
    rate(&month(terms), &summed(quantities), PLACES).unwrap()
}

fn cost_of_units(tariff: &Tariff, quantity: Decimal) -> Decimal {
    total(&month(&[Terms::Base(vec![tariff.clone()])]), &summed(&[quantity]), 20).unwrap()
}

proptest! {
    #![proptest_config(trials(200, 10_000))]

    #[test]
    fn a_graduated_charge_never_falls_as_the_quantity_grows(
        tariff in tariff("space", TierMode::Graduated, false), low in amount(200_000, 2), more in amount(50_000, 2),
    ) {
        prop_assert!(cost_of_units(&tariff, low) <= cost_of_units(&tariff, low + more));
    }

    #[test]
    fn a_graduated_charge_does_not_jump_without_fees_and_rounding_up(
        tariff in tariff("space", TierMode::Graduated, true), quantity in amount(200_000, 2), tier in any::<prop::sample::Index>(),
    ) {
        let step = Decimal::new(1, 6);
        let dearest = tariff.tiers.iter().map(|tier| tier.unit_price).max().unwrap();
        let most = dearest * step + Decimal::new(1, 19);
        for quantity in [quantity, tier.get(&tariff.tiers).from] {
            prop_assert!(cost_of_units(&tariff, quantity + step) - cost_of_units(&tariff, quantity) <= most);
        }
    }

    #[test]
    fn a_split_at_any_instant_without_a_change_of_rules_changes_nothing(
        base in base(), others in other_terms(), used in used(),
        shares in prop::collection::vec(0u32..=100, 3), seconds in 1i64..1_000,
    ) {
        let terms: Vec<Terms> = std::iter::once(base).chain(others).collect();
        let split = |quantity: Decimal, share: u32| {
            let first = (quantity * Decimal::from(share) / Decimal::ONE_HUNDRED).round_dp(2);
            vec![first, quantity - first]
        };
        let parts = vec![
            Part { seconds, rules: rules(&terms) },
            Part { seconds: 1_000 - seconds, rules: rules(&terms) },
        ];
        let usage: Vec<Usage> = RESOURCES.iter().zip(&used).zip(&shares)
            .map(|((resource, used), share)| Usage {
                resource: (*resource).to_owned(),
                quantity: Quantity::Summed(split(*used, *share)),
            })
            .collect();
        prop_assert_eq!(total(&parts, &usage, PLACES), total(&month(&terms), &summed(&used), PLACES));

        let whole: Vec<Usage> = RESOURCES.iter().zip(&used)
            .map(|(resource, used)| Usage { resource: (*resource).to_owned(), quantity: Quantity::Whole(*used) })
            .collect();
        prop_assert_eq!(total(&parts, &whole, PLACES), total(&month(&terms), &summed(&used), PLACES));
    }

    #[test]
    fn no_package_and_no_discount_makes_a_charge_negative(
        base in base(), others in other_terms(), used in used(),
    ) {
        let terms: Vec<Terms> = std::iter::once(base).chain(others).collect();
        prop_assert!(charge(&terms, &used).total >= Decimal::ZERO);
    }

    #[test]
    fn the_steps_sum_to_the_lines_and_the_lines_to_the_total(
        base in base(), others in other_terms(), used in used(),
    ) {
        let terms: Vec<Terms> = std::iter::once(base).chain(others).collect();
        let charge = charge(&terms, &used);
        for line in &charge.lines {
            prop_assert_eq!(line.steps.iter().map(|step| step.amount).sum::<Decimal>(), line.amount);
        }
        prop_assert_eq!(charge.lines.iter().map(|line| line.amount).sum::<Decimal>(), charge.total);
        prop_assert_eq!(total(&month(&terms), &summed(&used), PLACES), Ok(charge.total));
    }

    #[test]
    fn a_step_is_its_quantity_by_its_price_by_its_factor_through_its_divisor(
        base in base(), others in other_terms(), used in used(),
    ) {
        let terms: Vec<Terms> = std::iter::once(base).chain(others).collect();
        for step in charge(&terms, &used).lines.iter().flat_map(|line| &line.steps) {
            let Some(quantity) = step.quantity else { continue };
            let factors = [step.unit_price, step.factor].into_iter().flatten();
            let product = factors.fold(quantity, |product, factor| product * factor);
            let amount = product / step.divisor.unwrap_or(Decimal::ONE);
            prop_assert!((amount - step.amount).abs() < Decimal::new(1, 15), "{:?}", step);
        }
    }

    #[test]
    fn the_order_of_tariffs_usage_and_packages_makes_no_difference(
        base in base(), others in other_terms(), used in used(),
    ) {
        let terms: Vec<Terms> = std::iter::once(base.clone()).chain(others.clone()).collect();
        let Terms::Base(mut tariffs) = base else { unreachable!() };
        tariffs.reverse();
        // Discounts keep their order; packages go before them, and the base price last.
        let (packages, discounts): (Vec<Terms>, Vec<Terms>) =
            others.into_iter().partition(|terms| matches!(terms, Terms::Package(_)));
        let reordered: Vec<Terms> =
            packages.into_iter().rev().chain(discounts).chain([Terms::Base(tariffs)]).collect();
        let mut usage = summed(&used);
        usage.reverse();
        prop_assert_eq!(total(&month(&reordered), &usage, PLACES), Ok(charge(&terms, &used).total));
    }
}

fn tariff_of(resource: &str, tiers: &[(i64, i64, i64)]) -> Terms {
    let tier = |(from, unit_price, flat_fee): &(i64, i64, i64)| Tier {
        from: Decimal::from(*from),
        unit_price: Decimal::from(*unit_price),
        flat_fee: Decimal::from(*flat_fee),
    };
    Terms::Base(vec![Tariff {
        resource: resource.to_owned(),
        mode: TierMode::Graduated,
        per: Decimal::ONE,
        round_up: false,
        tiers: tiers.iter().map(tier).collect(),
    }])
}

/// Two parts of a month, of 250 and 750 seconds, each with rules of its own, numbered as they were set.
fn two_parts<'r>(first: &[(i64, &'r Terms)], second: &[(i64, &'r Terms)]) -> Vec<Part<'r>> {
    let rules = |rules: &[(i64, &'r Terms)]| {
        rules
            .iter()
            .map(|(order, terms)| RuleInForce { id: None, order: i128::from(*order), terms })
            .collect()
    };
    vec![Part { seconds: 250, rules: rules(first) }, Part { seconds: 750, rules: rules(second) }]
}

fn of(resource: &str, quantity: Quantity) -> Vec<Usage> {
    vec![Usage { resource: resource.to_owned(), quantity }]
}

fn ints(quantities: &[i64]) -> Quantity {
    Quantity::Summed(quantities.iter().copied().map(Decimal::from).collect())
}

#[test]
fn a_new_price_rates_what_is_used_under_it_at_its_place_on_the_months_scale() {
    let (old, new) =
        (tariff_of("calls", &[(0, 4, 0), (100, 3, 0)]), tariff_of("calls", &[(0, 2, 0), (100, 1, 0)]));
    let parts = two_parts(&[(1, &old)], &[(1, &old), (2, &new)]);
    // 80 at 4; then 20 at 2 up to 100 and 30 at 1 above.
    assert_eq!(total(&parts, &of("calls", ints(&[80, 50])), 2), Ok(Decimal::from(320 + 40 + 30)));
}

#[test]
fn one_quantity_of_the_month_counts_under_each_price_for_its_seconds() {
    let (old, new) = (tariff_of("disk", &[(0, 4, 0)]), tariff_of("disk", &[(0, 8, 0)]));
    let parts = two_parts(&[(1, &old)], &[(2, &new)]);
    let usage = of("disk", Quantity::Whole(Decimal::from(10)));
    // A quarter of 40, three quarters of 80.
    assert_eq!(total(&parts, &usage, 2), Ok(Decimal::from(70)));
    let charge = rate(&parts, &usage, 2).unwrap();
    let step = &charge.lines[1].steps[0];
    assert_eq!((step.factor, step.divisor), (Some(Decimal::from(750)), Some(Decimal::from(1_000))));
}

#[test]
fn flat_fees_packages_and_money_of_discounts_count_once_a_month_for_each_rule() {
    let base = tariff_of("calls", &[(0, 1, 7), (100, 1, 9)]);
    let package = Terms::Package(Package {
        package_type: PackageType::Normal,
        money: Decimal::from(5),
        quotas: vec![Quota { resource: "calls".to_owned(), quantity: Decimal::from(10) }],
    });
    let discount = Terms::Discount(Discount { money: Some(Decimal::from(30)), payable_percent: None });
    let rules = [(1, &base), (2, &package), (3, &discount)];
    let parts = two_parts(&rules, &rules);
    // 40 used and then 80: 110 above the quota, both tiers' fees, less 30, and the package.
    assert_eq!(total(&parts, &of("calls", ints(&[40, 80])), 2), Ok(Decimal::from(110 + 7 + 9 - 30 + 5)));
    // Nothing used: the first tier's fee, which the discount takes, and the package.
    assert_eq!(total(&parts, &of("calls", ints(&[0, 0])), 2), Ok(Decimal::from(5)));
}

#[test]
fn a_discount_of_a_part_takes_off_that_part_alone() {
    let base = tariff_of("calls", &[(0, 1, 0)]);
    let half = Terms::Discount(Discount { money: None, payable_percent: Some(Decimal::from(50)) });
    let parts = two_parts(&[(1, &base)], &[(1, &base), (2, &half)]);
    assert_eq!(total(&parts, &of("calls", ints(&[40, 60])), 2), Ok(Decimal::from(40 + 30)));
}

#[test]
fn usage_without_a_price_is_told_and_costs_nothing() {
    let base = tariff_of("calls", &[(0, 1, 0)]);
    let charge = rate(&two_parts(&[], &[(1, &base)]), &of("calls", ints(&[40, 60])), 2).unwrap();
    assert_eq!(charge.total, Decimal::from(60));
    let titles: Vec<_> = charge.lines.iter().map(|line| line.title.to_string()).collect();
    assert_eq!(titles, ["calls (UNPRICED)", "calls"]);
}

#[test]
fn blocks_are_of_what_a_rule_charges_and_not_of_what_was_free_or_anothers() {
    let blocks = |per: i64, round_up| {
        let Terms::Base(mut tariffs) = tariff_of("calls", &[(0, 1, 0)]) else { unreachable!() };
        tariffs[0].per = Decimal::from(per);
        tariffs[0].round_up = round_up;
        Terms::Base(tariffs)
    };
    let (rounded, proportional) = (blocks(1_000, true), blocks(1_000, false));
    let package = Terms::Package(Package {
        package_type: PackageType::Reward,
        money: Decimal::ZERO,
        quotas: vec![Quota { resource: "calls".to_owned(), quantity: Decimal::from(500) }],
    });
    let usage = of("calls", ints(&[1, 998]));
    // One call is free while the package lasts; the 998 after it are one started block.
    let ended = two_parts(&[(1, &rounded), (2, &package)], &[(1, &rounded)]);
    assert_eq!(total(&ended, &usage, 2), Ok(Decimal::ONE));
    assert_eq!(total(&two_parts(&[], &[(1, &rounded)]), &usage, 2), Ok(Decimal::ONE));
    let changed = two_parts(&[(1, &proportional)], &[(2, &rounded)]);
    assert_eq!(total(&changed, &usage, 3), Ok(Decimal::new(1_001, 3)));
}

#[test]
fn a_volume_tariff_charges_the_flat_fee_of_one_tier_a_month() {
    let Terms::Base(mut tariffs) = tariff_of("calls", &[(0, 1, 10), (100, 1, 20)]) else { unreachable!() };
    tariffs[0].mode = TierMode::Volume;
    let base = Terms::Base(tariffs);
    let package = Terms::Package(Package {
        package_type: PackageType::Reward,
        money: Decimal::ZERO,
        quotas: vec![Quota { resource: "calls".to_owned(), quantity: Decimal::from(60) }],
    });
    let parts = two_parts(&[(1, &base)], &[(1, &base), (2, &package)]);
    // 80, and of the 40 up to 120 all above the 60 that are included; the fee of the tier of the first part's 120.
    assert_eq!(total(&parts, &of("calls", ints(&[80, 40])), 2), Ok(Decimal::from(80 + 40 + 20)));
}

#[test]
fn an_explanation_of_very_large_and_very_small_amounts_does_not_refuse_the_charge() {
    let priced = |resource: &str, per: i64| {
        let Terms::Base(mut tariffs) = tariff_of(resource, &[(0, 1, 0)]) else { unreachable!() };
        tariffs[0].per = Decimal::from(per);
        tariffs.remove(0)
    };
    let base = Terms::Base(vec![priced("a", 1), priced("b", 3)]);
    let usage = [("a", 10_000_000_000_i64), ("b", 1)];
    let usage: Vec<Usage> = usage.iter().flat_map(|(resource, used)| of(resource, ints(&[*used]))).collect();
    let charge = rate(&month(&[base]), &usage, 2).unwrap();
    assert_eq!(charge.total, "10000000000.33".parse().unwrap());
    assert_eq!(charge.lines.iter().map(|line| line.amount).sum::<Decimal>(), charge.total);
}
