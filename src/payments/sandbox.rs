//! The sandbox's own provider: it knows the payment methods by which Stripe's integrations are tested, and no money moves. What
//! becomes of a charge follows from its card and the clock alone, so that it remembers nothing and is asked as often as one likes.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use futures_util::FutureExt;
use futures_util::future::ready;

use super::{Asking, CardRefund, Charge, KeptCard, PaymentProvider, ProviderError};
use crate::clock::Clock;
use crate::domain::ids::AccountId;
use crate::domain::payment::{ChargeState, Progress};
use crate::domain::payment_method::Card;

/// What a card is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conduct {
    Good,
    /// Declined, in these words.
    Declined(&'static str),
    /// Succeeds so long after it was charged.
    Slow(TimeDelta),
    /// Wants its holder to authenticate, who does so after this time.
    Authenticated(TimeDelta),
    /// Can be charged, and not be given back to.
    NoRefund,
}

use Conduct::{Authenticated, Declined, Good, NoRefund, Slow};

/// A token, with the brand and the last digits of its card. Source: Stripe's documentation, "Testing"; the slow one is ours.
const CARDS: [(&str, &str, &str, Conduct); 12] = [
    ("pm_card_visa", "visa", "4242", Good),
    ("pm_card_visa_debit", "visa", "5556", Good),
    ("pm_card_mastercard", "mastercard", "4444", Good),
    ("pm_card_amex", "amex", "8431", Good),
    ("pm_card_unionpay", "unionpay", "0005", Good),
    ("pm_card_chargeDeclined", "visa", "0002", Declined("Your card was declined.")),
    ("pm_card_visa_chargeDeclined", "visa", "0002", Declined("Your card was declined.")),
    (
        "pm_card_chargeDeclinedInsufficientFunds",
        "visa",
        "9995",
        Declined("Your card has insufficient funds."),
    ),
    ("pm_card_chargeDeclinedExpiredCard", "visa", "0069", Declined("Your card has expired.")),
    ("pm_card_authenticationRequired", "visa", "3184", Authenticated(TimeDelta::minutes(5))),
    ("pm_card_refundFail", "visa", "5126", NoRefund),
    ("pm_card_slow", "visa", "0077", Slow(TimeDelta::hours(1))),
];
/// Its cards are good to the end of the year so many years ahead.
const GOOD_FOR_YEARS: i32 = 3;

/// Cards that are all the sandbox's.
pub struct Sandbox {
    clock: Clock,
}

impl Sandbox {
    pub fn new(clock: Clock) -> Self {
        Self { clock }
    }

    fn card(&self, token: &str) -> Result<Card, ProviderError> {
        let (_, brand, last4, _) =
            CARDS.iter().find(|(known, ..)| *known == token).ok_or(ProviderError::NoSuchCard)?;
        let year = self.clock.now().year().saturating_add(GOOD_FOR_YEARS);
        let expires_on = NaiveDate::from_ymd_opt(year, 12, 31).unwrap_or(NaiveDate::MAX);
        Ok(Card { brand: (*brand).to_owned(), last4: (*last4).to_owned(), expires_on })
    }

    fn progress_of(&self, charge: &Charge) -> Result<Progress, ProviderError> {
        let conduct = conduct_of(&charge.token).ok_or(ProviderError::NoSuchCard)?;
        let state = match conduct {
            Good | NoRefund => ChargeState::Succeeded,
            Declined(reason) => ChargeState::Failed { reason: reason.to_owned() },
            Slow(time) if self.is_over(charge.created_at, time) => ChargeState::Succeeded,
            Slow(_) => ChargeState::Processing,
            Authenticated(time) if self.is_over(charge.created_at, time) => ChargeState::Succeeded,
            Authenticated(_) if charge.on_session => {
                let url = format!("https://sandbox.invalid/authenticate/{}", charge.payment);
                ChargeState::ActionNeeded { url: Some(url) }
            }
            Authenticated(_) => ChargeState::Failed { reason: "Your card needs its holder.".to_owned() },
        };
        Ok(Progress { reference: Some(reference_of(charge)), state })
    }

    fn is_over(&self, since: DateTime<Utc>, time: TimeDelta) -> bool {
        self.clock.now().signed_duration_since(since) >= time
    }
}

fn conduct_of(token: &str) -> Option<Conduct> {
    CARDS.iter().find(|(known, ..)| *known == token).map(|(.., conduct)| *conduct)
}

/// Says which card was charged, so that what is given back to it can be decided.
fn reference_of(charge: &Charge) -> String {
    format!("{}:{}", charge.token, charge.payment)
}

fn refund_progress(refund: &CardRefund) -> Progress {
    let token = refund.charge.split(':').next().unwrap_or_default();
    let state = match conduct_of(token) {
        Some(NoRefund) => ChargeState::Failed { reason: "The card cannot be given back to.".to_owned() },
        _ => ChargeState::Succeeded,
    };
    Progress { reference: Some(format!("{}:{}", refund.charge, refund.payment)), state }
}

impl PaymentProvider for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    fn keep_card<'p>(&'p self, _: AccountId, _: Option<&'p str>, token: &'p str) -> Asking<'p, KeptCard> {
        let kept = self.card(token).map(|card| KeptCard { card, token: token.to_owned(), customer: None });
        ready(kept).boxed()
    }

    fn forget_card<'p>(&'p self, _: &'p str) -> Asking<'p, ()> {
        ready(Ok(())).boxed()
    }

    fn charge<'p>(&'p self, charge: &'p Charge) -> Asking<'p, Progress> {
        ready(self.progress_of(charge)).boxed()
    }

    /// Nothing happens by being asked: whether it was charged before makes no difference.
    fn find_charge<'p>(&'p self, charge: &'p Charge, _: Option<&'p str>) -> Asking<'p, Option<Progress>> {
        ready(self.progress_of(charge).map(Some)).boxed()
    }

    fn give_up<'p>(&'p self, charge: &'p Charge, _: Option<&'p str>) -> Asking<'p, Progress> {
        let state = ChargeState::Failed { reason: "Its holder did not authenticate.".to_owned() };
        ready(Ok(Progress { reference: Some(reference_of(charge)), state })).boxed()
    }

    fn refund<'p>(&'p self, refund: &'p CardRefund) -> Asking<'p, Progress> {
        ready(Ok(refund_progress(refund))).boxed()
    }

    fn find_refund<'p>(&'p self, refund: &'p CardRefund, _: Option<&'p str>) -> Asking<'p, Option<Progress>> {
        ready(Ok(Some(refund_progress(refund)))).boxed()
    }
}
