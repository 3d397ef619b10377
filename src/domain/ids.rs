//! Typed ids.
//!
//! What an account owns has an [`OwnedId`]: a UUIDv7 that is made of the instant (milliseconds, then
//! microseconds), the account's number and a number that the account counts up. So an id says where to look
//! (account, id), sorts by time, and is unique by construction. docs/adr/0002 has the reasons.

use std::fmt;

use chrono::{DateTime, Datelike, TimeZone as _, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::money::OutOfRange;

const NUMBER_BITS: u32 = 29;
/// An account can own this many things, over all kinds.
pub const NUMBER_MAX: i64 = (1 << NUMBER_BITS) - 1;
const VERSION_7: u128 = 0x7 << 76;
const VARIANT: u128 = 0b10 << 62;
const PROVISIONAL: u128 = 1 << 61;

/// An account's number, from which its id `acc_<number>` and the numbers of its orders and bills are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct AccountId(pub i64);

impl AccountId {
    /// Whom the provider's own keys belong to: no account has this number.
    pub const PROVIDER: Self = Self(0);

    /// Which of so many lanes is the account's: always the same one, so that what is done to one account by one process
    /// is done in order.
    pub fn lane(self, lanes: usize) -> usize {
        // Multiplied, so that neighbouring numbers do not fall into step with what they are used for.
        let hash = self.0.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        usize::try_from(hash).ok().and_then(|hash| hash.checked_rem(lanes)).unwrap_or(0)
    }

    /// The account of that id as the API writes it; None if it is not of that form.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("acc_")?;
        let number: u32 = digits.parse().ok()?;
        let id = Self(i64::from(number));
        (number > 0 && id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "acc_{}", self.0)
    }
}

/// The id of something that an account owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct OwnedId(Uuid);

impl OwnedId {
    pub fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    pub fn uuid(self) -> Uuid {
        self.0
    }

    /// The account that owns it.
    pub fn account(self) -> AccountId {
        AccountId(i64::from((self.0.as_u128() >> NUMBER_BITS) as u32))
    }

    /// The number that its account counted.
    pub fn number(self) -> i64 {
        (self.0.as_u128() as i64) & NUMBER_MAX
    }

    /// The instant in it, to the microsecond.
    pub fn instant(self) -> DateTime<Utc> {
        let bits = self.0.as_u128();
        let millis = (bits >> 80) as i64;
        let micros = ((bits >> 64) & 0xfff) as i64;
        let micros = millis.saturating_mul(1000).saturating_add(micros);
        Utc.timestamp_micros(micros).single().unwrap_or_default()
    }

    fn from_parts(instant: DateTime<Utc>, account: AccountId, number: i64, provisional: bool) -> Self {
        let mut bits = time_bits(instant) | VERSION_7 | VARIANT;
        bits |= u128::from(account.0 as u32) << NUMBER_BITS;
        bits |= (number & NUMBER_MAX) as u128;
        if provisional {
            bits |= PROVISIONAL;
        }
        Self(Uuid::from_u128(bits))
    }

    /// Not above any id made at `instant` or later.
    pub fn first_at(instant: DateTime<Utc>) -> Self {
        Self(Uuid::from_u128(time_bits(instant) | VERSION_7))
    }
}

fn time_bits(instant: DateTime<Utc>) -> u128 {
    let micros = u128::try_from(instant.timestamp_micros()).unwrap_or(0);
    let (millis, micros) = (micros.checked_div(1000).unwrap_or(0), micros.checked_rem(1000).unwrap_or(0));
    ((millis & 0xffff_ffff_ffff) << 80) | (micros << 64)
}

/// Makes the ids of what one command makes.
#[derive(Debug, Clone)]
pub struct IdMint {
    account: AccountId,
    instant: DateTime<Utc>,
    last_number: i64,
    provisional: bool,
}

impl IdMint {
    /// `last_number` is the last one that the account has counted; `provisional` marks what a dry run makes.
    pub fn new(account: AccountId, instant: DateTime<Utc>, last_number: i64, provisional: bool) -> Self {
        Self { account, instant, last_number, provisional }
    }

    pub fn next_id(&mut self) -> Result<OwnedId, OutOfRange> {
        let next = self.last_number.saturating_add(1);
        if next > NUMBER_MAX {
            return Err(OutOfRange);
        }
        self.last_number = next;
        Ok(OwnedId::from_parts(self.instant, self.account, self.last_number, self.provisional))
    }

    pub fn last_number(&self) -> i64 {
        self.last_number
    }
}

fn parse_uuid(text: &str, prefix: &str) -> Option<Uuid> {
    let hex = text.strip_prefix(prefix)?.strip_prefix('_')?;
    let uuid = Uuid::try_parse(hex).ok()?;
    // One id has one spelling.
    (uuid.as_simple().to_string() == hex).then_some(uuid)
}

macro_rules! owned_ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(pub OwnedId);

        impl $name {
            pub fn parse(text: &str) -> Option<Self> {
                let id = OwnedId::from_uuid(parse_uuid(text, $prefix)?);
                (id.account().0 > 0).then_some(Self(id))
            }
            pub fn account(self) -> AccountId { self.0.account() }
            pub fn uuid(self) -> Uuid { self.0.uuid() }
        }

        impl From<OwnedId> for $name {
            fn from(id: OwnedId) -> Self {
                Self(id)
            }
        }

        impl From<$name> for OwnedId {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}_{}", $prefix, self.0.uuid().as_simple())
            }
        }
    )*};
}

/// Has a macro expanded with the ids of all that accounts own, each with how it begins as the API writes it.
macro_rules! with_owned_ids {
    ($expanded:ident) => {
        $expanded! {
            /// An order's id.
            OrderId = "ord";
            /// A bill's id.
            BillId = "bil";
            /// A transaction's id; the ledger entry that it made has the same one under [`EntryId`].
            TransactionId = "txn";
            /// A ledger entry's id.
            EntryId = "ent";
            /// A consumption record's id; a prepaid period's has the same one as its payment under [`TransactionId`].
            RecordId = "rec";
            /// A notice's id.
            NoticeId = "ntc";
            /// A payment method's id.
            PaymentMethodId = "pmt";
            /// The id of an offer of a prepayment.
            QuoteId = "pqt";
            /// A prepayment's id.
            PrepaymentId = "ppy";
            /// The id of a charge of a card, or of what is given back to one.
            PaymentId = "pay";
            /// An invoice's id: made of its account and the instant at which its month begins, and so the same before and after it is
            /// issued.
            InvoiceId = "inv";
            /// The id of what waits for another operator, or has waited.
            ApprovalId = "apr";
        }
    };
}
pub(crate) use with_owned_ids;

with_owned_ids!(owned_ids);

impl InvoiceId {
    /// The invoice of an account's month that begins at `start`.
    pub fn of(account: AccountId, start: DateTime<Utc>) -> Self {
        Self(OwnedId::from_parts(start, account, 0, false))
    }
}

/// A plan's id; plans belong to the provider, not to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct PlanId(pub Uuid);

impl PlanId {
    /// A new id, of that instant and otherwise random.
    pub fn new(instant: DateTime<Utc>) -> Self {
        let random = Uuid::new_v4().as_u128() & (VARIANT.wrapping_sub(1));
        Self(Uuid::from_u128(time_bits(instant) | VERSION_7 | VARIANT | random))
    }

    pub fn parse(text: &str) -> Option<Self> {
        parse_uuid(text, "pln").map(Self)
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pln_{}", self.0.as_simple())
    }
}

macro_rules! numbered_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub i64);

        impl $name {
            pub fn parse(text: &str) -> Option<Self> {
                let number = text.strip_prefix($prefix)?.parse().ok()?;
                let id = Self(number);
                (number > 0 && id.to_string() == text).then_some(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

numbered_id! {
    /// A price rule's id: rules are numbered in the order in which they are set.
    PriceRuleId, "rul_"
}
numbered_id! {
    /// The id of a price of capacity.
    ResourcePriceId, "rpr_"
}
numbered_id! {
    /// An exchange rate's id: rates are numbered in the order in which they are set.
    ExchangeRateId, "rat_"
}
numbered_id! {
    /// A licence's id.
    LicenseId, "lic_"
}
numbered_id! {
    /// The id of what price rules say.
    PriceDefinitionId, "prc_"
}

/// What a node id names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NodeId {
    Account(AccountId),
    Plan(PlanId),
    Resource(String),
    Order(OrderId),
    Bill(BillId),
    Record(RecordId),
    Transaction(TransactionId),
    Entry(EntryId),
    PriceRule(PriceRuleId),
    ResourcePrice(ResourcePriceId),
    License(LicenseId),
    PaymentMethod(PaymentMethodId),
    Prepayment(PrepaymentId),
    Payment(PaymentId),
    Invoice(InvoiceId),
    Approval(ApprovalId),
}

impl NodeId {
    /// None if the text is no id of this server.
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('_')?.0 {
            "acc" => AccountId::parse(text).map(Self::Account),
            "pln" => PlanId::parse(text).map(Self::Plan),
            "res" => {
                let code = text.strip_prefix("res_")?;
                super::text::code("id", code).ok().map(Self::Resource)
            }
            "ord" => OrderId::parse(text).map(Self::Order),
            "bil" => BillId::parse(text).map(Self::Bill),
            "rec" => RecordId::parse(text).map(Self::Record),
            "txn" => TransactionId::parse(text).map(Self::Transaction),
            "rul" => PriceRuleId::parse(text).map(Self::PriceRule),
            "rpr" => ResourcePriceId::parse(text).map(Self::ResourcePrice),
            "lic" => LicenseId::parse(text).map(Self::License),
            "pmt" => PaymentMethodId::parse(text).map(Self::PaymentMethod),
            "ppy" => PrepaymentId::parse(text).map(Self::Prepayment),
            "pay" => PaymentId::parse(text).map(Self::Payment),
            "inv" => InvoiceId::parse(text).map(Self::Invoice),
            "apr" => ApprovalId::parse(text).map(Self::Approval),
            "ent" => EntryId::parse(text).map(Self::Entry),
            _ => None,
        }
    }
}

/// The number that people read: a letter for the kind, the account, the day (UTC) and the account's count, as in
/// `O1001-20261121-17`.
pub fn printed_number(letter: char, id: OwnedId) -> String {
    let day = id.instant().date_naive();
    let (year, month, day) = (day.year(), day.month(), day.day());
    format!("{letter}{}-{year:04}{month:02}{day:02}-{}", id.account().0, id.number())
}

/// The account that a printed number of that letter names, whether or not there is such a thing.
pub fn account_of_number(letter: char, number: &str) -> Option<AccountId> {
    parse_printed_number(letter, number).map(|(account, _)| account)
}

/// Where the thing of that printed number must lie: its account, and the day that its id must begin with.
pub fn parse_printed_number(letter: char, number: &str) -> Option<(AccountId, std::ops::Range<OwnedId>)> {
    let mut parts = number.strip_prefix(letter)?.split('-');
    let account: u32 = parts.next()?.parse().ok()?;
    let day = chrono::NaiveDate::parse_from_str(parts.next()?, "%Y%m%d").ok()?;
    let counted = parts.next()?;
    if counted.is_empty() || !counted.bytes().all(|b| b.is_ascii_digit()) || parts.next().is_some() {
        return None;
    }
    let begin = Utc.from_utc_datetime(&day.and_time(chrono::NaiveTime::MIN));
    let end = begin.checked_add_days(chrono::Days::new(1))?;
    Some((AccountId(i64::from(account)), OwnedId::first_at(begin)..OwnedId::first_at(end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_id_gives_back_what_it_was_made_of(
            micros in 0i64..4_000_000_000_000_000, account in 1u32..=u32::MAX, number in 1..NUMBER_MAX, dry in any::<bool>(),
        ) {
            let instant = Utc.timestamp_micros(micros).unwrap();
            let account = AccountId(i64::from(account));
            let id = IdMint::new(account, instant, number - 1, dry).next_id().unwrap();
            prop_assert_eq!(id.account(), account);
            prop_assert_eq!(id.number(), number);
            prop_assert_eq!(id.instant(), instant);
            prop_assert_eq!(id.uuid().get_version_num(), 7);
            prop_assert_eq!(OrderId::parse(&OrderId(id).to_string()), Some(OrderId(id)));
            let number = printed_number('O', id);
            let (owner, day) = parse_printed_number('O', &number).unwrap();
            prop_assert_eq!(owner, account);
            prop_assert!(day.contains(&id));
        }

        #[test]
        fn ids_sort_by_time_then_number(a in 0i64..10_000_000, later in -2_000i64..2_000, n in 1i64..1000, m in 1i64..1000) {
            let b = (a + later).max(0);
            let at = |micros, number| {
                let instant = Utc.timestamp_micros(micros).unwrap();
                IdMint::new(AccountId(7), instant, number - 1, false).next_id().unwrap()
            };
            prop_assert_eq!(at(a, n).cmp(&at(b, m)), (a, n).cmp(&(b, m)));
            prop_assert_eq!(at(a, n) >= OwnedId::first_at(Utc.timestamp_micros(b).unwrap()), a >= b);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in "\\PC*") {
            let _ = NodeId::parse(&text);
            let _ = parse_printed_number('O', &text);
        }
    }

    #[test]
    fn an_id_has_one_spelling_and_its_own_prefix() {
        let id =
            OrderId(IdMint::new(AccountId(1), Utc.timestamp_micros(1).unwrap(), 0, false).next_id().unwrap());
        assert!(OrderId::parse(&id.to_string().to_uppercase()).is_none());
        assert!(BillId::parse(&id.to_string()).is_none());
        assert!(AccountId::parse("acc_007").is_none());
        assert!(AccountId::parse("acc_0").is_none());
        assert!(AccountId::parse("acc_+7").is_none());
    }

    #[test]
    fn an_invoices_id_is_its_account_and_month() {
        let start = "2026-07-31T16:00:00Z".parse().unwrap();
        let id = InvoiceId::of(AccountId(1_001), start);
        assert_eq!((id.account(), id.0.instant()), (AccountId(1_001), start));
        assert_eq!(InvoiceId::parse(&id.to_string()), Some(id));
        assert_eq!(NodeId::parse(&id.to_string()), Some(NodeId::Invoice(id)));
    }

    #[test]
    fn an_account_that_has_counted_to_the_end_is_refused_more() {
        let mut mint = IdMint::new(AccountId(1), Utc.timestamp_micros(1).unwrap(), NUMBER_MAX, false);
        assert_eq!(mint.next_id(), Err(OutOfRange));
    }
}
