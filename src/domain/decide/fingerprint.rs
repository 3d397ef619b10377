//! What keys hold of commands, as digests.

use super::action::Action;
use super::checkout::Checkout;
use crate::domain::account::Hash;
use crate::domain::fingerprint::{Fingerprints, fingerprint};

impl Action {
    /// A digest of the action as values: `5` and `5.00` are the same amount, and a default that is named is not another
    /// input than one that is left out. Keys are kept for long, so what is asked for must keep its digest: a field that
    /// comes later is left out where it says what was true before it came.
    pub fn fingerprint(&self) -> Hash {
        match self {
            Self::Checkout(checkout) if checkout.instalments == Some(1) => {
                fingerprint(&Self::Checkout(Checkout { instalments: None, ..checkout.clone() }))
            }
            // What a provider or the market says of it is not what was asked for.
            Self::AddPaymentMethod(adding) => adding.asked,
            Self::KeepQuote(offer) => offer.asked,
            action => fingerprint(action),
        }
    }

    /// The digests by which a key may hold the same. `sold_in` is the only region of the plan that a checkout names: it is
    /// where the order runs if no region is asked for.
    pub fn fingerprints(&self, sold_in: Option<&str>) -> Fingerprints {
        let Self::Checkout(checkout) = self else { return self.fingerprint().into() };
        let default =
            sold_in.filter(|sold_in| checkout.region.as_deref().is_none_or(|region| region == *sold_in));
        let regions = match default {
            Some(default) => vec![None, Some(default.to_owned())],
            None => vec![checkout.region.clone()],
        };
        // One instalment was once kept as it was written.
        let instalments = match checkout.instalments {
            None | Some(1) => vec![None, Some(1)],
            several => vec![several],
        };
        let written = regions.iter().flat_map(|region| instalments.iter().map(move |count| (region, count)));
        let others = written.map(|(region, instalments)| {
            let (region, instalments) = (region.clone(), *instalments);
            fingerprint(&Self::Checkout(Checkout { region, instalments, ..checkout.clone() }))
        });
        Fingerprints { own: self.fingerprint(), others: others.collect() }
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::domain::decide::{AdjustBalance, PayOrder, Recharge};
    use crate::domain::ids::{OrderId, PlanId};

    #[test]
    fn what_could_be_asked_for_at_first_keeps_its_fingerprint() {
        let checkout = Checkout {
            plan: PlanId::parse("pln_019a0000000070008000000000000001").unwrap(),
            region: Some("cn-north-1".to_owned()),
            datacenter: None,
            quantity: 1,
            comment: None,
            instalments: None,
            auto_renewal: false,
            pay_later: false,
            expected_price: Some(Decimal::new(2000, 2)),
        };
        let written = serde_json::to_string(&Action::Checkout(checkout)).unwrap();
        let expected = r#"{"Checkout":{"plan":"019a0000-0000-7000-8000-000000000001","region":"cn-north-1","datacenter":null,"quantity":1,"comment":null,"auto_renewal":false,"expected_price":"20"}}"#;
        assert_eq!(written, expected);
    }

    #[test]
    fn defaults_that_are_named_are_no_other_input() {
        let checkout = |region: Option<&str>, instalments| {
            Action::Checkout(Checkout {
                plan: PlanId::parse("pln_019a0000000070008000000000000001").unwrap(),
                region: region.map(str::to_owned),
                datacenter: None,
                quantity: 1,
                comment: None,
                instalments,
                auto_renewal: false,
                pay_later: false,
                expected_price: None,
            })
        };
        let sold_in = Some("cn-north-1");
        let forms = [(None, None), (None, Some(1)), (sold_in, None), (sold_in, Some(1))];
        assert_eq!(checkout(None, Some(1)).fingerprint(), checkout(None, None).fingerprint());
        for (region, instalments) in forms {
            let asked = checkout(region, instalments);
            for (kept_region, kept_instalments) in forms {
                // As it is kept now, and as it was before defaults were filled in.
                let kept = checkout(kept_region, kept_instalments);
                assert!(asked.fingerprints(sold_in).include(kept.fingerprint()), "{asked:?} {kept:?}");
                assert!(asked.fingerprints(sold_in).include(fingerprint(&kept)), "{asked:?} {kept:?}");
                let same = region == kept_region;
                assert_eq!(asked.fingerprints(None).include(kept.fingerprint()), same, "{asked:?} {kept:?}");
            }
            for other in [checkout(Some("cn-east-1"), None), checkout(region, Some(2))] {
                assert!(!asked.fingerprints(sold_in).include(other.fingerprint()), "{asked:?} {other:?}");
                assert!(!other.fingerprints(sold_in).include(asked.fingerprint()), "{asked:?} {other:?}");
            }
        }
    }

    #[test]
    fn paying_keeps_its_fingerprint() {
        let order = OrderId::parse("ord_019a0000000070008000000020000001").unwrap();
        let written = serde_json::to_string(&Action::PayOrder(PayOrder(order))).unwrap();
        assert_eq!(written, r#"{"PayOrder":"019a0000-0000-7000-8000-000020000001"}"#);
    }

    #[test]
    fn a_recharge_keeps_its_fingerprint() {
        let recharge =
            Recharge { amount: Decimal::new(500, 2), payment_method: "offline".to_owned(), reason: None };
        let written = serde_json::to_string(&Action::Recharge(recharge)).unwrap();
        assert_eq!(written, r#"{"Recharge":{"amount":"5","reason":null}}"#);
        let adjustment =
            AdjustBalance { amount: Decimal::new(-500, 2), reason: "r".to_owned(), force: false };
        let written = serde_json::to_string(&Action::AdjustBalance(adjustment)).unwrap();
        assert_eq!(written, r#"{"AdjustBalance":{"amount":"-5","reason":"r"}}"#);
    }
}
