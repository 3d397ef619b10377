use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;

use super::{Limits, PrepayQuote};
use crate::domain::codes::coded_enum;
use crate::domain::ids::{AccountId, PaymentId, PaymentMethodId, PrepaymentId, QuoteId, TransactionId};
use crate::domain::money::{CurrencyCode, OutOfRange};
use crate::domain::refusal::{Refusal, RefusalCode};

/// A coming end is told of so long before.
const EXPIRY_NOTICE: TimeDelta = TimeDelta::days(7);
/// A renewal that fails is tried again once a day, for so long after the end.
pub const RENEWAL_GRACE: TimeDelta = TimeDelta::days(7);
/// A deposit is waited for until so long after the offer was made.
pub const DEPOSIT_TIME_MAX: TimeDelta = TimeDelta::hours(24);
/// Prepayments of an account that wait for tokens at the same time.
pub const AWAITING_DEPOSITS_MAX: i64 = 100;
/// A deposit that came in time is found so much later, with all confirmations, unless the chain cannot be looked at.
const DEPOSIT_SEEN_WITHIN: TimeDelta = TimeDelta::minutes(30);
/// A month of a term. Source: the pay2.0 document's later versions.
const MONTH: TimeDelta = TimeDelta::days(30);

coded_enum! {
    /// Where a prepayment stands.
    PrepaymentStatus {
        /// Its tokens have not arrived.
        AwaitingDeposit = "AWAITING_DEPOSIT",
        /// Its card is being charged.
        Processing = "PROCESSING",
        /// Paid, and not bound to an app.
        Paid = "PAID",
        /// Its term runs.
        Bound = "BOUND",
        /// Its term is over, or its tokens did not arrive in time.
        Expired = "EXPIRED",
        /// Its card could not be charged.
        Failed = "FAILED",
        /// Given back.
        Refunded = "REFUNDED",
    }
}

impl PrepaymentStatus {
    /// Whether nobody else can take the offer that it took.
    pub fn holds_offer(self) -> bool {
        !matches!(self, Self::Failed | Self::Refunded)
    }
}

/// The app that a prepayment is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// The provider's own id.
    pub id: String,
    pub icon_url: Option<String>,
    pub project: String,
}

/// When a prepayment's app may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrepaidTerm {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

/// An app's term, and what it runs for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub app: App,
    pub term: PrepaidTerm,
}

/// How a prepayment is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    Card(PaymentMethodId),
    /// Tokens, to an address of its own; a dry run reserves none.
    Deposit {
        address: Option<String>,
        /// Until when they are waited for after a re-organisation that undid the payment.
        again_until: Option<DateTime<Utc>>,
    },
}

/// Where tokens for an offer can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DepositTo {
    /// Nobody takes them.
    Nowhere,
    /// To an address that is not reserved before it is known that nothing is refused.
    Unreserved,
    Address(String),
}

/// An app's resources for a term, paid beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepayment {
    pub id: PrepaymentId,
    pub status: PrepaymentStatus,
    /// The offer that it took.
    pub quote: QuoteId,
    pub means: Means,
    pub currency: CurrencyCode,
    pub amount: Decimal,
    pub usd: Decimal,
    pub months: i32,
    pub cluster: String,
    pub chart: String,
    pub limits: Limits,
    /// Whether its card is charged for another term when it ends.
    pub auto_renewal: bool,
    /// Why it failed, in the provider's words.
    pub failure: Option<String>,
    /// Where the card's holder must go to authenticate.
    pub action_url: Option<String>,
    pub binding: Option<Binding>,
    /// The one that it renews.
    pub previous: Option<PrepaymentId>,
    /// What charges its card.
    pub payment: Option<PaymentId>,
    /// The movement of money, once it is paid.
    pub transaction: Option<TransactionId>,
    pub paid_at: Option<DateTime<Utc>>,
    /// When the jobs have to look at it next.
    pub next_step_at: Option<DateTime<Utc>>,
}

impl PrepaidTerm {
    /// When its coming end is told of.
    pub fn notice_at(&self) -> Result<DateTime<Utc>, OutOfRange> {
        self.end.checked_sub_signed(EXPIRY_NOTICE).ok_or(OutOfRange)
    }
}

impl Prepayment {
    /// Takes an offer.
    pub fn of(id: PrepaymentId, quote: &PrepayQuote, means: Means, auto_renewal: bool) -> Self {
        Self {
            id,
            status: PrepaymentStatus::Processing,
            quote: quote.id,
            means,
            currency: quote.currency,
            amount: quote.amount,
            usd: quote.usd,
            months: quote.months,
            cluster: quote.cluster.clone(),
            chart: quote.chart.clone(),
            limits: quote.limits,
            auto_renewal,
            failure: None,
            action_url: None,
            binding: None,
            previous: None,
            payment: None,
            transaction: None,
            paid_at: None,
            next_step_at: None,
        }
    }

    pub fn account(&self) -> AccountId {
        self.id.account()
    }

    pub fn created_at(&self) -> DateTime<Utc> {
        self.id.0.instant()
    }

    /// What its payment is for.
    pub fn title(&self) -> String {
        format!("{} on {}, {} months", self.chart, self.cluster, self.months)
    }

    /// The card that pays it.
    pub fn method(&self) -> Option<PaymentMethodId> {
        match self.means {
            Means::Card(method) => Some(method),
            Means::Deposit { .. } => None,
        }
    }

    /// The address that its tokens go to.
    pub fn deposit_address(&self) -> Option<&str> {
        match &self.means {
            Means::Deposit { address, .. } => address.as_deref(),
            Means::Card(_) => None,
        }
    }

    /// The time that the block of a deposit may have at the latest.
    pub fn deposit_deadline(&self) -> Result<DateTime<Utc>, OutOfRange> {
        match self.means {
            Means::Deposit { again_until: Some(until), .. } => Ok(until),
            _ => self.quote.0.instant().checked_add_signed(DEPOSIT_TIME_MAX).ok_or(OutOfRange),
        }
    }

    /// The same, waiting for its tokens.
    pub fn awaiting_deposit(self) -> Result<Self, OutOfRange> {
        let over = self.deposit_deadline()?.checked_add_signed(DEPOSIT_SEEN_WITHIN).ok_or(OutOfRange)?;
        Ok(Self {
            status: PrepaymentStatus::AwaitingDeposit,
            paid_at: None,
            next_step_at: Some(over),
            ..self
        })
    }

    /// The same, waiting for tokens once more, whose blocks may have this time at the latest.
    pub fn awaiting_deposit_again(&self, until: DateTime<Utc>) -> Result<Self, OutOfRange> {
        let address = self.deposit_address().map(str::to_owned);
        let means = Means::Deposit { address, again_until: Some(until) };
        Self { means, ..self.clone() }.awaiting_deposit()
    }

    /// The status of one that is paid.
    pub fn paid_status(&self) -> PrepaymentStatus {
        if self.binding.is_some() { PrepaymentStatus::Bound } else { PrepaymentStatus::Paid }
    }

    /// The term that begins at `start`.
    pub fn term_from(&self, start: DateTime<Utc>) -> Result<PrepaidTerm, OutOfRange> {
        let end = MONTH.checked_mul(self.months).and_then(|length| start.checked_add_signed(length));
        Ok(PrepaidTerm { start, end: end.ok_or(OutOfRange)? })
    }

    /// The same, bound to an app from `start` on, with the notice of its end to come.
    pub fn bound(&self, app: App, start: DateTime<Utc>) -> Result<Self, OutOfRange> {
        let term = self.term_from(start)?;
        Ok(Self {
            status: PrepaymentStatus::Bound,
            binding: Some(Binding { app, term }),
            next_step_at: Some(term.notice_at()?),
            ..self.clone()
        })
    }

    /// The same as it was before it was to be given back, which failed.
    pub fn restored(&self, instant: DateTime<Utc>) -> Result<Self, OutOfRange> {
        let (status, next_step_at) = match &self.binding {
            None => (PrepaymentStatus::Paid, None),
            Some(binding) if instant < binding.term.end => {
                let notice = binding.term.notice_at()?;
                let next = if notice > instant { notice } else { binding.term.end };
                (PrepaymentStatus::Bound, Some(next))
            }
            Some(_) => (PrepaymentStatus::Expired, None),
        };
        Ok(Self { status, next_step_at, ..self.clone() })
    }

    /// Refuses an app that is not the one that was paid for.
    pub fn require_same(&self, wanted: &Wanted<'_>) -> Result<(), Refusal> {
        let differs = |field: &'static str, paid: &dyn std::fmt::Display| {
            Refusal::new(RefusalCode::QuoteMismatch, field, format!("{paid} was paid for"))
        };
        if wanted.asset != self.currency {
            return Err(differs("asset", &self.currency));
        }
        if wanted.cluster != self.cluster {
            return Err(differs("clusterId", &self.cluster));
        }
        if wanted.chart != self.chart {
            return Err(differs("chartName", &self.chart));
        }
        for (field, wanted, paid) in [
            ("cpuLimit", wanted.limits.cpu, self.limits.cpu),
            ("memLimit", wanted.limits.mem, self.limits.mem),
            ("storageLimit", wanted.limits.storage, self.limits.storage),
        ] {
            if wanted != paid {
                return Err(differs(field, &paid));
            }
        }
        Ok(())
    }
}

/// What is to be run on a prepayment.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    pub asset: CurrencyCode,
    pub cluster: &'w str,
    pub chart: &'w str,
    pub limits: Limits,
}
