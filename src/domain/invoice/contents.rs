use std::sync::Arc;

use rust_decimal::Decimal;

use super::movement::{BurstPart, Movement};
use super::{Group, HeldUp, Item, icon_urls, value};
use crate::domain::money::{self, CurrencyCode, OutOfRange};

/// What was paid in a month.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// One for each asset, in the order in which they were first paid with.
    pub groups: Vec<Arc<Group>>,
    /// What all of it was worth in US dollars; None where that is not known of something.
    pub total_usd: Option<Decimal>,
}

impl Contents {
    /// What was paid in a currency, zero if nothing was.
    pub fn total_in(&self, currency: CurrencyCode) -> Decimal {
        let group = self.groups.iter().find(|group| group.currency == currency);
        group.map_or(Decimal::ZERO, |group| group.total_amount)
    }

    /// The pictures of all items, each once.
    pub fn icon_urls(&self) -> Vec<&str> {
        icon_urls(self.groups.iter().flat_map(|group| &group.items))
    }
}

/// What a month's movements come to: an item for each payment, in their order, and one for each resource's burst.
pub fn contents_of(movements: &[Movement], burst: &[BurstPart]) -> Result<Contents, HeldUp> {
    let mut groups = Groups::default();
    for movement in movements.iter().filter(|movement| movement.is_payment() && movement.has_happened()) {
        groups.add(movement.currency, item_of(movement))?;
    }
    for parts in by_resource(burst) {
        let Some(first) = parts.first() else { continue };
        groups.add(first.currency, item_of_burst(&first.resource, &parts)?)?;
    }
    Ok(groups.finish())
}

#[derive(Default)]
struct Groups(Vec<Group>);

impl Groups {
    fn add(&mut self, currency: CurrencyCode, item: Item) -> Result<(), OutOfRange> {
        let Some(group) = self.0.iter_mut().find(|group| group.currency == currency) else {
            let (total_amount, total_usd) = (item.amount, item.usd);
            self.0.push(Group { currency, total_amount, total_usd, items: vec![Arc::new(item)] });
            return Ok(());
        };
        group.total_amount = money::add(group.total_amount, item.amount)?;
        group.total_usd = value::together([group.total_usd, item.usd]);
        group.items.push(Arc::new(item));
        Ok(())
    }

    fn finish(self) -> Contents {
        let total_usd = value::together(self.0.iter().map(|group| group.total_usd));
        Contents { groups: self.0.into_iter().map(Arc::new).collect(), total_usd }
    }
}

fn item_of(movement: &Movement) -> Item {
    Item {
        title: movement.title(),
        amount: movement.paid(),
        usd: value::of_movement(movement),
        icon_url: movement.prepaid.as_ref().and_then(|prepaid| prepaid.icon_url.clone()),
        prepayment: movement.prepaid.as_ref().map(|prepaid| prepaid.id),
        bill: movement.bill,
    }
}

/// The parts of each resource in each asset, by their names.
fn by_resource(burst: &[BurstPart]) -> Vec<Vec<&BurstPart>> {
    let mut parts: Vec<&BurstPart> = burst.iter().collect();
    parts.sort_by(|a, b| (a.currency, &a.resource).cmp(&(b.currency, &b.resource)));
    let same = |a: &&BurstPart, b: &&BurstPart| a.currency == b.currency && a.resource == b.resource;
    parts.chunk_by(same).map(<[&BurstPart]>::to_vec).collect()
}

fn item_of_burst(resource: &str, parts: &[&BurstPart]) -> Result<Item, OutOfRange> {
    let mut amount = Decimal::ZERO;
    for part in parts {
        amount = money::add(amount, part.amount)?;
    }
    Ok(Item {
        title: format!("Burst: {resource}"),
        amount,
        usd: value::of_burst(parts),
        icon_url: None,
        prepayment: None,
        bill: None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::{AccountId, IdMint, PrepaymentId};
    use crate::domain::invoice::movement::{Original, Prepaid};
    use crate::domain::transaction::{Direction, TransactionKind, TransactionStatus};

    fn dec(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn code(text: &str) -> CurrencyCode {
        CurrencyCode::parse(text).unwrap()
    }

    fn movement(kind: TransactionKind, currency: &str, amount: &str, rate: Option<&str>) -> Movement {
        Movement {
            kind,
            status: TransactionStatus::Finished,
            currency: code(currency),
            amount: dec(amount),
            direction: Direction::Debit,
            description: "Plan C".to_owned(),
            bill: None,
            original: None,
            prepaid: None,
            rate: rate.map(dec),
        }
    }

    fn prepaid(amount: &str, usd: &str, icon: &str) -> Prepaid {
        let id =
            IdMint::new(AccountId(7), "2026-08-01T00:00:00Z".parse().unwrap(), 0, false).next_id().unwrap();
        Prepaid {
            id: PrepaymentId(id),
            amount: dec(amount),
            usd: dec(usd),
            icon_url: Some(icon.to_owned()),
            project: Some("Blog".to_owned()),
        }
    }

    fn told(contents: &Contents) -> Vec<(String, String, String)> {
        let items = contents.groups.iter().flat_map(|group| &group.items);
        let usd = |item: &Item| item.usd.map_or("unknown".to_owned(), |usd| usd.to_string());
        items.map(|item| (item.title.clone(), item.amount.to_string(), usd(item))).collect()
    }

    fn owned(items: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
        items.iter().map(|(t, a, u)| ((*t).to_owned(), (*a).to_owned(), (*u).to_owned())).collect()
    }

    #[test]
    fn what_is_paid_and_given_back_is_on_it_and_nothing_else() {
        use TransactionKind as Kind;
        let credit = |movement: Movement| Movement { direction: Direction::Credit, ..movement };
        let refund = |of: Kind, movement: Movement| Movement {
            kind: Kind::Refund,
            original: Some(Original { kind: of, description: movement.description }),
            description: "broken".to_owned(),
            ..movement
        };
        let month = [
            movement(Kind::Checkout, "CNY", "100", Some("0.14")),
            movement(Kind::Recharge, "CNY", "500", Some("0.14")),
            credit(movement(Kind::BillPayment, "CNY", "10", Some("0.14"))),
            movement(Kind::Adjustment, "CNY", "3", Some("0.14")),
            movement(Kind::Renewal, "CNY", "0.25", Some("0.14")),
            credit(refund(Kind::Checkout, movement(Kind::Refund, "CNY", "40", Some("0.14")))),
            refund(Kind::Recharge, movement(Kind::Refund, "CNY", "50", Some("0.15"))),
            Movement { status: TransactionStatus::Pending, ..movement(Kind::Checkout, "CNY", "1", None) },
            Movement { status: TransactionStatus::Failed, ..movement(Kind::Checkout, "CNY", "1", None) },
            Movement { status: TransactionStatus::Refunded, ..movement(Kind::Checkout, "USD", "7.5", None) },
        ];
        let contents = contents_of(&month, &[]).unwrap();
        let expected = owned(&[
            ("Plan C", "100", "14.00"),
            ("Plan C", "-10", "-1.40"),
            ("Renewal of Plan C", "0.25", "0.04"),
            ("Refund of Plan C (broken)", "-40", "-5.60"),
            ("Plan C", "7.5", "7.5"),
        ]);
        assert_eq!(told(&contents), expected);
        let totals: Vec<_> =
            contents.groups.iter().map(|group| (group.currency.as_str(), group.total_usd)).collect();
        assert_eq!(totals, [("CNY", Some(dec("7.04"))), ("USD", Some(dec("7.5")))]);
        assert_eq!(contents.total_usd, Some(dec("14.54")));
        let total_in = |currency| contents.total_in(code(currency));
        assert_eq!(["CNY", "USD", "EUR"].map(total_in), [dec("50.25"), dec("7.5"), dec("0")]);
    }

    #[test]
    fn a_prepayment_is_worth_what_it_cost_when_it_was_offered() {
        use TransactionKind as Kind;
        let paid = Movement {
            prepaid: Some(prepaid("300", "33.30", "a.png")),
            ..movement(Kind::Prepayment, "ANKR_ERC20", "300", None)
        };
        let back = Movement {
            kind: Kind::Refund,
            amount: dec("100"),
            original: Some(Original { kind: Kind::Prepayment, description: "wordpress".to_owned() }),
            ..paid.clone()
        };
        let more = Movement { prepaid: Some(prepaid("1", "1.00", "b.png")), ..paid.clone() };
        let contents = contents_of(&[paid.clone(), more, back, paid], &[]).unwrap();
        let expected = owned(&[
            ("Blog: Plan C", "300", "33.30"),
            ("Blog: Plan C", "300", "1.00"),
            ("Refund of Blog: wordpress (Plan C)", "-100", "-11.10"),
            ("Blog: Plan C", "300", "33.30"),
        ]);
        assert_eq!(told(&contents), expected);
        assert_eq!(contents.icon_urls(), ["a.png", "b.png"]);
    }

    #[test]
    fn burst_is_one_item_for_each_resource_rounded_once() {
        let part = |resource: &str, currency: &str, amount: &str, rate: Option<&str>| BurstPart {
            resource: resource.to_owned(),
            currency: code(currency),
            amount: dec(amount),
            rate: rate.map(dec),
        };
        let burst = [
            part("cpu", "CNY", "0.024", Some("0.125")),
            part("ip", "CNY", "1", Some("0.125")),
            part("cpu", "CNY", "0.016", Some("0.125")),
            part("cpu", "USD", "0.0000000001", None),
        ];
        let contents = contents_of(&[], &burst).unwrap();
        let expected = owned(&[
            ("Burst: cpu", "0.040", "0.01"),
            ("Burst: ip", "1", "0.13"),
            ("Burst: cpu", "0.0000000001", "0.0000000001"),
        ]);
        assert_eq!(told(&contents), expected);
    }

    #[test]
    fn what_has_no_rate_is_not_guessed_and_holds_up_nothing() {
        let paid = |currency, amount, rate| movement(TransactionKind::Checkout, currency, amount, rate);
        let month = [paid("CNY", "100", Some("0.14")), paid("CNY", "50", None), paid("USD", "7", None)];
        let burst = |rate: Option<&str>| BurstPart {
            resource: "cpu".to_owned(),
            currency: code("EUR"),
            amount: dec("1"),
            rate: rate.map(dec),
        };
        let contents = contents_of(&month, &[burst(Some("1.08")), burst(None)]).unwrap();
        let expected = owned(&[
            ("Plan C", "100", "14.00"),
            ("Plan C", "50", "unknown"),
            ("Plan C", "7", "7"),
            ("Burst: cpu", "2", "unknown"),
        ]);
        assert_eq!(told(&contents), expected);
        let totals: Vec<_> =
            contents.groups.iter().map(|group| (group.total_amount, group.total_usd)).collect();
        assert_eq!(totals, [(dec("150"), None), (dec("7"), Some(dec("7"))), (dec("2"), None)]);
        assert_eq!(contents.total_usd, None);
    }

    #[test]
    fn a_worth_that_does_not_fit_holds_up_nothing() {
        let most = movement(TransactionKind::Checkout, "CNY", "79228162514264337593543950335", Some("1000"));
        let contents = contents_of(&[most], &[]).unwrap();
        assert_eq!((contents.groups[0].items[0].usd, contents.total_usd), (None, None));
    }

    #[test]
    fn what_is_put_on_the_balance_is_on_no_invoice() {
        let paid_in = movement(TransactionKind::Recharge, "CNY", "100", None);
        assert_eq!(contents_of(&[paid_in], &[]).unwrap().groups, []);
    }

    fn movements() -> impl Strategy<Value = Movement> {
        let kinds = [
            TransactionKind::Checkout,
            TransactionKind::Renewal,
            TransactionKind::BillPayment,
            TransactionKind::Refund,
        ];
        let currencies = ["USD", "CNY", "ANKR_ERC20"];
        let rates = proptest::option::weighted(0.9, 1i64..2_000_000);
        let parts = (0..kinds.len(), 0..currencies.len(), 1i64..100_000_000_000, rates);
        parts.prop_map(move |(kind, currency, amount, rate)| Movement {
            amount: Decimal::new(amount, 4),
            original: Some(Original { kind: TransactionKind::Checkout, description: String::new() }),
            rate: rate.map(|rate| Decimal::new(rate, 6)),
            ..movement(kinds[kind], currencies[currency], "1", None)
        })
    }

    proptest! {
        #[test]
        fn totals_are_the_sums_of_items_to_the_last_digit(month in proptest::collection::vec(movements(), 0..40)) {
            let contents = contents_of(&month, &[]).unwrap();
            let items: usize = contents.groups.iter().map(|group| group.items.len()).sum();
            prop_assert_eq!(items, month.len());
            for group in &contents.groups {
                let amounts: Decimal = group.items.iter().map(|item| item.amount).sum();
                let usd: Option<Decimal> = group.items.iter().map(|item| item.usd).sum();
                prop_assert_eq!((group.total_amount, group.total_usd), (amounts, usd));
            }
            let of_groups: Option<Decimal> = contents.groups.iter().map(|group| group.total_usd).sum();
            prop_assert_eq!(contents.total_usd, of_groups);
        }
    }
}
