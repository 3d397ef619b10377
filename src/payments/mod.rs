//! Payment providers: who holds cards, charges them and gives back to them; and the cashier, who carries payments on. Tokens go to
//! addresses of this server's own.
//!
//! Card numbers never reach this server. A customer gives the card to the provider, which answers a token of its own. A provider
//! is asked outside any transaction, and may be asked again after a crash: it does what a payment's id stands for once.

mod cashier;
mod deposit_addresses;
pub mod onchain;
mod outside;
mod sandbox;
pub mod stripe;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use rust_decimal::Decimal;

use crate::domain::ids::AccountId;
use crate::domain::money::CurrencyCode;
use crate::domain::payment::Progress;
use crate::domain::payment_method::Card;
use crate::domain::unmatched::OutsideKind;

pub use cashier::{CarryError, Cashier};
pub use deposit_addresses::{
    AddressFailure, CONFIRMATIONS_DEFAULT, DepositAddresses, DepositSettings, ScanFailure, Scanner,
    SettingError, TEST_KEY, TakenToken, WrittenSettings,
};
pub use outside::Looked;
pub use sandbox::Sandbox;
pub use stripe::{Stripe, StripeConfig};

/// Why a provider does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It knows no card of that token.
    #[error("the payment provider knows no such card")]
    NoSuchCard,
    /// It refuses for good: asking again is of no use.
    #[error("the payment provider refused: {0}")]
    Refused(String),
    /// It could not be asked, or what became of it is not known: to be asked again.
    #[error("the payment provider could not be reached: {0}")]
    Unavailable(String),
}

/// A card that a provider holds for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptCard {
    pub card: Card,
    /// The provider's name for it.
    pub token: String,
    /// The provider's name for its holder, where it needs one.
    pub customer: Option<String>,
}

/// A card is to be charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The payment's id: it is charged once.
    pub payment: String,
    pub token: String,
    pub customer: Option<String>,
    pub currency: CurrencyCode,
    /// At display scale.
    pub amount: Decimal,
    pub display_scale: u32,
    pub description: String,
    /// Whether its holder is there to authenticate.
    pub on_session: bool,
    pub created_at: DateTime<Utc>,
}

/// A card is to be given back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardRefund {
    /// The payment's id: it is given back once.
    pub payment: String,
    /// The provider's name for the charge.
    pub charge: String,
    pub currency: CurrencyCode,
    /// At display scale.
    pub amount: Decimal,
    pub display_scale: u32,
    pub created_at: DateTime<Utc>,
}

/// A charge, by its provider's name and by the id of ours that it bears; without one it is none of this server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeName {
    pub reference: String,
    pub payment: Option<String>,
}

/// Something at a provider that this server may not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    pub kind: OutsideKind,
    /// The provider's name for it.
    pub reference: String,
    /// The id of ours that it bears: a charge, or a refund that this server has asked for.
    pub payment: Option<String>,
    /// The charge that it is, or takes back from.
    pub charge: Option<ChargeName>,
    /// In upper case.
    pub currency: String,
    pub amount: Decimal,
    /// How it stands, in the provider's word.
    pub status: String,
    /// All that was ever withdrawn by it, and all of that which was given back again.
    pub withdrawn: Decimal,
    pub reinstated: Decimal,
    /// Whether something may still become of it.
    pub is_open: bool,
}

/// Something that has moved a provider's balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    pub kind: OutsideKind,
    pub reference: String,
    /// The thing itself, where the list shows it.
    pub found: Option<Outside>,
    /// Of a refund: the id of ours that it bears, where the list shows it.
    pub payment: Option<String>,
}

/// A page of what has moved a provider's balance, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MovedPage {
    pub moved: Vec<Moved>,
    /// After what the next page begins; None: this is the last.
    pub next: Option<String>,
}

/// What a provider answers.
pub type Asking<'p, T> = BoxFuture<'p, Result<T, ProviderError>>;

/// A payment provider.
pub trait PaymentProvider: Send + Sync {
    /// Its name, as payment methods keep it.
    fn name(&self) -> &'static str;

    /// Keeps a card for an account, whose holder may be known to the provider already.
    fn keep_card<'p>(
        &'p self,
        account: AccountId,
        customer: Option<&'p str>,
        token: &'p str,
    ) -> Asking<'p, KeptCard>;

    /// Forgets a card.
    fn forget_card<'p>(&'p self, token: &'p str) -> Asking<'p, ()>;

    /// Charges a card.
    fn charge<'p>(&'p self, charge: &'p Charge) -> Asking<'p, Progress>;

    /// What became of a charge that may have been asked for before; None: the provider knows nothing of it.
    fn find_charge<'p>(
        &'p self,
        charge: &'p Charge,
        reference: Option<&'p str>,
    ) -> Asking<'p, Option<Progress>>;

    /// Gives up on a charge whose card's holder does not come to authenticate: it cannot succeed any more, unless it has.
    fn give_up<'p>(&'p self, charge: &'p Charge, reference: Option<&'p str>) -> Asking<'p, Progress>;

    /// Gives back to a card.
    fn refund<'p>(&'p self, refund: &'p CardRefund) -> Asking<'p, Progress>;

    /// What became of a refund that may have been asked for before; None: the provider knows nothing of it.
    fn find_refund<'p>(
        &'p self,
        refund: &'p CardRefund,
        reference: Option<&'p str>,
    ) -> Asking<'p, Option<Progress>>;

    /// What there is of something that may have come about beside this server; None: the provider knows nothing of it. One at
    /// which nothing can knows nothing.
    fn outside<'p>(&'p self, _kind: OutsideKind, _reference: &'p str) -> Asking<'p, Option<Outside>> {
        ready(Ok(None)).boxed()
    }

    /// The names of all that was given back of a charge.
    fn refunds_of<'p>(&'p self, _charge: &'p str) -> Asking<'p, Vec<String>> {
        ready(Ok(Vec::new())).boxed()
    }

    /// Whether it lists what has moved its balance.
    fn tells_movements(&self) -> bool {
        false
    }

    /// What has moved its balance since an instant of the machines' clocks, after a page.
    fn moved<'p>(&'p self, _since: DateTime<Utc>, _after: Option<&'p str>) -> Asking<'p, MovedPage> {
        ready(Ok(MovedPage::default())).boxed()
    }
}

/// The providers of a server; the first takes new cards.
#[derive(Clone, Default)]
pub struct Providers(Vec<Arc<dyn PaymentProvider>>);

impl Providers {
    pub fn new(providers: Vec<Arc<dyn PaymentProvider>>) -> Self {
        Self(providers)
    }

    /// Who takes new cards; None: nobody is set up.
    pub fn of_new_cards(&self) -> Option<&dyn PaymentProvider> {
        self.0.first().map(AsRef::as_ref)
    }

    /// Those that list what has moved their balance.
    pub fn that_tell_movements(&self) -> impl Iterator<Item = &dyn PaymentProvider> {
        self.0.iter().map(AsRef::as_ref).filter(|provider| provider.tells_movements())
    }

    /// Who holds the cards that say so.
    pub fn named(&self, name: &str) -> Option<&dyn PaymentProvider> {
        self.0.iter().find(|provider| provider.name() == name).map(AsRef::as_ref)
    }
}
