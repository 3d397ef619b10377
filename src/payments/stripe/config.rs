//! How Stripe is reached.

use std::fmt;
use std::time::Duration;

/// Stripe itself.
pub const DEFAULT_URL: &str = "https://api.stripe.com";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(20);

/// How Stripe is reached.
#[derive(Clone)]
pub struct StripeConfig {
    /// Where its API is.
    pub url: String,
    /// The secret key: `sk_…`, or a restricted one, `rk_…`.
    pub secret_key: String,
    /// Where a customer comes back to after authenticating. Without it Stripe answers no address to authenticate at.
    pub return_url: Option<String>,
    pub connect_timeout: Duration,
    /// For a whole request with its answer.
    pub timeout: Duration,
}

impl StripeConfig {
    /// Stripe itself, with this key.
    pub fn of_key(secret_key: impl Into<String>) -> Self {
        Self {
            url: DEFAULT_URL.to_owned(),
            secret_key: secret_key.into(),
            return_url: None,
            connect_timeout: CONNECT_TIMEOUT,
            timeout: TIMEOUT,
        }
    }

    /// Whether the key moves real money.
    pub fn is_live(&self) -> bool {
        self.secret_key.contains("_live_")
    }
}

/// Written by hand so that the key gets into no log.
impl fmt::Debug for StripeConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StripeConfig").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why Stripe cannot be asked in this way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not an address of a server.
    #[error("Stripe's URL is neither http:// nor https:// with a host: {0}")]
    Url(String),
    /// Real money is moved over https:// only.
    #[error("a live key of Stripe is sent over https:// only")]
    LiveKeyInTheClear,
    /// A sandbox's clock is moved by years, and everything that falls due on the way is charged.
    #[error("a sandbox takes test keys of Stripe only")]
    LiveKeyInASandbox,
    /// Not a key.
    #[error("Stripe's secret key is empty or not of letters, digits and _")]
    Key,
    /// The machine's own fault, such as certificates that cannot be read.
    #[error("no client for Stripe can be made: {0}")]
    Client(String),
}
