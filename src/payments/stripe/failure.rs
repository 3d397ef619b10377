//! Why a request to Stripe came to nothing, or to nothing that is known.

use serde::Deserialize;

use super::params::Params;
use crate::payments::ProviderError;

const BAD_REQUEST: u16 = 400;
const UNAUTHORIZED: u16 = 401;
const PAYMENT_REQUIRED: u16 = 402;
const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;
const REQUEST_TIMEOUT: u16 = 408;
const CONFLICT: u16 = 409;
const TOO_MANY: u16 = 429;

/// Why a request came to nothing.
#[derive(Debug)]
pub enum Failure {
    /// Stripe said no.
    Refusal(Box<Refusal>),
    /// What came of it is not known, or it may go better another time.
    Unknown(String),
}

/// Stripe's no.
#[derive(Debug)]
pub struct Refusal {
    status: u16,
    error: ErrorBody,
}

#[derive(Deserialize)]
struct Answer {
    error: ErrorBody,
}

#[derive(Debug, Deserialize)]
struct ErrorBody {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
    message: Option<String>,
    payment_intent: Option<IntentName>,
}

#[derive(Debug, Deserialize)]
struct IntentName {
    id: String,
}

impl Failure {
    /// What an answer other than a success means.
    pub fn of_answer(status: u16, body: &[u8]) -> Self {
        // Without Stripe's own words it was some server on the way that answered.
        let Ok(Answer { error }) = serde_json::from_slice(body) else {
            return Self::Unknown(format!("an answer of status {status} that is not Stripe's"));
        };
        if is_final(status, error.kind.as_deref()) {
            Self::Refusal(Box::new(Refusal { status, error }))
        } else {
            let message = error.message.unwrap_or_default();
            Self::Unknown(format!("Stripe answered with status {status}: {message}"))
        }
    }
}

/// Whether asking the same again would get the same answer.
fn is_final(status: u16, kind: Option<&str>) -> bool {
    match status {
        // A key that is refused is for the operator to put right: payments wait for it.
        UNAUTHORIZED | FORBIDDEN | REQUEST_TIMEOUT | CONFLICT | TOO_MANY => false,
        // Our idempotency key has been used with other parameters: what came of those has to be looked up.
        400..500 => kind != Some("idempotency_error"),
        _ => false,
    }
}

impl Refusal {
    /// Whether the card was declined, so that a payment failed. By the status, for the type is not all stand-ins' own.
    pub fn is_decline(&self) -> bool {
        self.status == PAYMENT_REQUIRED
    }

    /// Whether what a parameter names does not exist. Stand-ins only say that something does not.
    pub fn is_missing(&self, param: &str) -> bool {
        match self.error.param.as_deref() {
            Some(missing) => missing == param && self.error.code.as_deref() == Some("resource_missing"),
            None => self.is_not_found(),
        }
    }

    /// Whether what the request's path names does not exist.
    pub fn is_not_found(&self) -> bool {
        self.status == NOT_FOUND
    }

    /// Whether all that is wrong is that spare parameters are not known, as `localstripe` says it.
    pub fn is_of_spare(&self, params: &Params<'_>) -> bool {
        let unexpected =
            self.error.message.as_deref().and_then(|message| message.strip_prefix("Unexpected "));
        let is_of_spare = |names: &str| names.split(", ").all(|name| params.is_spare(name));
        self.status == BAD_REQUEST && unexpected.is_some_and(is_of_spare)
    }

    /// The payment that failed, if Stripe says.
    pub fn payment_intent(&self) -> Option<&str> {
        self.error.payment_intent.as_ref().map(|intent| intent.id.as_str())
    }

    /// In Stripe's words.
    pub fn message(&self) -> String {
        let words = self.error.message.as_ref().or(self.error.code.as_ref());
        words.cloned().unwrap_or_else(|| format!("status {} without a reason", self.status))
    }
}

impl From<Failure> for ProviderError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refusal(refusal) => Self::Refused(refusal.message()),
            Failure::Unknown(why) => Self::Unavailable(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider_error(status: u16, body: &str) -> ProviderError {
        Failure::of_answer(status, body.as_bytes()).into()
    }

    fn refusal(status: u16, body: &str) -> Refusal {
        match Failure::of_answer(status, body.as_bytes()) {
            Failure::Refusal(refusal) => *refusal,
            Failure::Unknown(why) => panic!("{why}"),
        }
    }

    #[test]
    fn bad_requests_are_refused_for_good() {
        let body = r#"{"error": {"type": "invalid_request_error", "message": "Invalid currency: xyz"}}"#;
        assert_eq!(provider_error(400, body), ProviderError::Refused("Invalid currency: xyz".to_owned()));
    }

    #[test]
    fn what_may_go_better_another_time_is_unavailable() {
        let body = r#"{"error": {"type": "api_error", "message": "later"}}"#;
        for status in [401, 403, 408, 409, 429, 500, 502, 503, 302] {
            assert!(matches!(provider_error(status, body), ProviderError::Unavailable(_)), "{status}");
        }
    }

    #[test]
    fn a_key_used_with_other_parameters_says_nothing_of_what_came_of_those() {
        let body = r#"{"error": {"type": "idempotency_error", "message": "Keys for idempotent requests …"}}"#;
        assert!(matches!(provider_error(400, body), ProviderError::Unavailable(_)));
    }

    #[test]
    fn an_answer_of_another_server_decides_nothing() {
        assert!(matches!(provider_error(404, "<html>not here</html>"), ProviderError::Unavailable(_)));
        assert!(matches!(provider_error(400, "{}"), ProviderError::Unavailable(_)));
    }

    #[test]
    fn a_missing_card_is_told_from_a_missing_customer() {
        let of = |param: &str| {
            let body = r#"{"error": {"code": "resource_missing", "param": "PARAM", "message": "No such"}}"#;
            refusal(400, &body.replace("PARAM", param))
        };
        assert!(of("payment_method").is_missing("payment_method"));
        assert!(!of("customer").is_missing("payment_method"));
        assert!(refusal(404, r#"{"error": {"message": "Not Found"}}"#).is_missing("payment_method"));
    }

    #[test]
    fn only_spare_parameters_are_worth_asking_without() {
        let params = Params::default().with("amount", "1").with_spare("description", Some("Bill"));
        let of = |message: &str| refusal(400, &format!(r#"{{"error": {{"message": "{message}"}}}}"#));
        assert!(of("Unexpected description").is_of_spare(&params));
        assert!(!of("Unexpected amount").is_of_spare(&params));
        assert!(!of("Unexpected amount, description").is_of_spare(&params));
        assert!(!of("Bad request").is_of_spare(&params));
    }
}
