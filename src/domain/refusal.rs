//! Why something that was asked for is not done.

use std::borrow::Cow;

use super::codes::coded_enum;
use super::money::OutOfRange;

coded_enum! {
    /// The kinds of refusal, as the API names them.
    RefusalCode {
        NotFound = "NOT_FOUND",
        Invalid = "INVALID",
        Required = "REQUIRED",
        OutOfRange = "OUT_OF_RANGE",
        LimitExceeded = "LIMIT_EXCEEDED",
        Conflict = "CONFLICT",
        InsufficientBalance = "INSUFFICIENT_BALANCE",
        IdempotencyKeyReused = "IDEMPOTENCY_KEY_REUSED",
        PriceChanged = "PRICE_CHANGED",
        PlanUnchanged = "PLAN_UNCHANGED",
        CreditExceedsPrice = "CREDIT_EXCEEDS_PRICE",
        AlreadyPaid = "ALREADY_PAID",
        AlreadyBound = "ALREADY_BOUND",
        QuoteExpired = "QUOTE_EXPIRED",
        QuoteMismatch = "QUOTE_MISMATCH",
        PaymentDeclined = "PAYMENT_DECLINED",
        CurrencyMismatch = "CURRENCY_MISMATCH",
        RuleStarted = "RULE_STARTED",
        AccountSuspended = "ACCOUNT_SUSPENDED",
        RateStale = "RATE_STALE",
        ApprovalNeeded = "APPROVAL_NEEDED",
    }
}

/// A refusal: nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefusalCode,
    /// The field of the input that it is about.
    pub field: Option<Cow<'static, str>>,
    pub message: String,
}

impl Refusal {
    pub fn new(code: RefusalCode, field: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self { code, field: Some(field.into()), message: message.into() }
    }

    /// The same, about a field.
    pub fn about(self, field: &'static str) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// The same of what lies at `path` of a larger input.
    #[must_use]
    pub fn within(self, path: &str) -> Self {
        let field = self.field.map_or_else(|| path.to_owned(), |field| format!("{path}.{field}"));
        Self { field: Some(field.into()), ..self }
    }

    /// A refusal that no single field is the reason of.
    pub fn general(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, field: None, message: message.into() }
    }
}

impl From<OutOfRange> for Refusal {
    fn from(error: OutOfRange) -> Self {
        Self::general(RefusalCode::OutOfRange, error.to_string())
    }
}
