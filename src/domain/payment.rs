//! Payments: a card is charged, or given back to. The provider is asked outside any transaction, so a payment is a row of its
//! own that goes from created through processing to succeeded or failed, and says after a crash what has to be asked for.
//! docs/adr/0014 has the reasons.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use super::codes::coded_enum;
use super::ids::{AccountId, PaymentId, PaymentMethodId, PrepaymentId, TransactionId};
use super::money::CurrencyCode;
use super::payment_method::PaymentMethod;

/// Whoever asks for a payment waits for its provider so long; who asked longer ago is told by a notice.
pub const WAITED_FOR_MAX: Duration = Duration::from_secs(25);

coded_enum! {
    /// What a payment is for.
    PaymentPurpose {
        /// Money for the balance.
        Recharge = "RECHARGE",
        /// An app's term.
        Prepayment = "PREPAYMENT",
        /// Back to the card of another payment.
        Refund = "REFUND",
    }
}

coded_enum! {
    /// Where a payment stands.
    PaymentState {
        /// Wanted; the provider has not been asked.
        Created = "CREATED",
        /// The provider may have been asked: what became of it, it alone knows.
        Processing = "PROCESSING",
        Succeeded = "SUCCEEDED",
        Failed = "FAILED",
    }
}

impl PaymentState {
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// A card as its provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargedCard {
    pub method: PaymentMethodId,
    /// Who charges it.
    pub provider: String,
    /// The provider's name for it.
    pub token: String,
    /// The provider's name for its holder, where it needs one.
    pub customer: Option<String>,
    pub brand: String,
}

impl From<&PaymentMethod> for ChargedCard {
    fn from(method: &PaymentMethod) -> Self {
        Self {
            method: method.id,
            provider: method.provider.clone(),
            token: method.token.clone(),
            customer: method.customer.clone(),
            brand: method.card.brand.clone(),
        }
    }
}

/// A charge of a card, or what is given back to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Also what the provider is told to do only once.
    pub id: PaymentId,
    pub purpose: PaymentPurpose,
    pub state: PaymentState,
    pub currency: CurrencyCode,
    /// At display scale, always positive.
    pub amount: Decimal,
    pub description: String,
    pub card: ChargedCard,
    /// Whether its holder is there to be asked.
    pub on_session: bool,
    pub prepayment: Option<PrepaymentId>,
    /// Of what is given back: the payment that it is given back of.
    pub refund_of: Option<PaymentId>,
    /// The movement of money that it led to; of what is given back, which was made before.
    pub transaction: Option<TransactionId>,
    /// The provider's name for it.
    pub reference: Option<String>,
    /// Why it failed, in the provider's words.
    pub failure: Option<String>,
    /// Where its holder must go to authenticate.
    pub action_url: Option<String>,
    /// How often the provider was, or may have been, asked.
    pub attempts: i32,
    /// When it is to be carried on; None: it is settled.
    pub next_step_at: Option<DateTime<Utc>>,
}

/// What a provider says of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Its name for it; None where it refused without making one.
    pub reference: Option<String>,
    pub state: ChargeState,
}

/// How far a provider has come with a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChargeState {
    Succeeded,
    /// It will not be done.
    Failed {
        reason: String,
    },
    /// It is under way.
    Processing,
    /// The card's holder has to authenticate, at that address.
    ActionNeeded {
        url: Option<String>,
    },
}

/// Whoever carries a payment on has so long before another does.
const CLAIM: TimeDelta = TimeDelta::minutes(1);
/// What takes longer is asked for less often, at least so often.
const PAUSE_MAX: TimeDelta = TimeDelta::hours(1);
/// A holder who has not authenticated by then has left.
pub const ACTION_TIME_MAX: TimeDelta = TimeDelta::hours(24);

impl Payment {
    pub fn account(&self) -> AccountId {
        self.id.account()
    }

    pub fn created_at(&self) -> DateTime<Utc> {
        self.id.0.instant()
    }

    /// When it is carried on by others, if nothing is heard of the attempt that begins at `instant`: each time later.
    pub fn next_attempt(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let doublings = u32::try_from(self.attempts).unwrap_or(0).min(6);
        let pause = CLAIM.checked_mul(1 << doublings).map_or(PAUSE_MAX, |pause| pause.min(PAUSE_MAX));
        instant.checked_add_signed(pause)
    }

    /// Whether the holder of a card that is charged was waited for long enough.
    pub fn is_abandoned(&self, instant: DateTime<Utc>) -> bool {
        self.purpose != PaymentPurpose::Refund
            && instant.signed_duration_since(self.created_at()) >= ACTION_TIME_MAX
    }
}
