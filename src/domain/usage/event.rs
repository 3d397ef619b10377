//! One report of a metering agent.

use chrono::{DateTime, TimeDelta, Utc};
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use crate::domain::ids::AccountId;
use crate::domain::plan::{Aggregation, Resource};
use crate::domain::text;

/// The most events of one call.
pub const EVENTS_MAX: usize = 10_000;
/// The longest id, in characters.
pub const EVENT_ID_MAX: usize = 200;
/// The most attributes of an event.
pub const ATTRIBUTES_MAX: usize = 20;
/// The most decimal places of a quantity.
pub const QUANTITY_PLACES: u32 = 9;
/// The largest quantity of one event, either way: 10^14. Tens of thousands of them are added up without loss.
pub const QUANTITY_MAX: Decimal = Decimal::from_parts(276_447_232, 23_283, 0, false, 0);
/// From here on, either way, what events come to is out of range: 10^19, as long as a decimal can be with the places of quantities.
/// What comes to more is read as this.
pub const SUM_MAX: Decimal = Decimal::from_parts(2_313_682_944, 2_328_306_436, 0, false, 0);

/// When the time of an event may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// So long ago at the most.
    pub late: TimeDelta,
    /// So far ahead at the most: clocks differ.
    pub early: TimeDelta,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { late: TimeDelta::days(35), early: TimeDelta::minutes(15) }
    }
}

/// What a subject of an account used of a resource, or has of it, at an instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageEvent {
    /// The sender's own; the same id of the same account counts once, for ever.
    pub id: String,
    pub account: AccountId,
    /// A resource's code.
    pub resource: String,
    pub quantity: Decimal,
    pub time: DateTime<Utc>,
    /// The thing that used it: a server, a bucket.
    pub subject: Option<String>,
    pub datacenter: Option<String>,
    /// Names with values, by name.
    pub attributes: Vec<(String, String)>,
}

/// What became of a reported event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It counts.
    Accepted,
    /// It has counted before.
    Duplicate,
    /// It does not count: why.
    Rejected(String),
}

impl Outcome {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Duplicate => "DUPLICATE",
            Self::Rejected(_) => "REJECTED",
        }
    }
}

/// Why an event does not count: the field, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Fault {
    pub field: &'static str,
    pub message: String,
}

impl Fault {
    pub fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field, message: message.into() }
    }

    /// Whether it may be the clock's that it was held against.
    pub fn is_of_time(&self) -> bool {
        self.field == "time"
    }
}

impl UsageEvent {
    /// Checks what can be checked without knowing what there is.
    pub fn check(&self, now: DateTime<Utc>, allowance: Allowance) -> Result<(), Fault> {
        check_id(&self.id)?;
        self.check_quantity()?;
        self.check_time(now, allowance)?;
        for (field, value) in [("subject", &self.subject), ("datacenter", &self.datacenter)] {
            if let Some(value) = value {
                text::name(field, value).map_err(|refusal| Fault::new(field, refusal.message))?;
            }
        }
        self.check_attributes()
    }

    fn check_quantity(&self) -> Result<(), Fault> {
        if self.quantity.normalize().scale() > QUANTITY_PLACES {
            return Err(Fault::new("quantity", format!("has more than {QUANTITY_PLACES} decimal places")));
        }
        if self.quantity.abs() > QUANTITY_MAX {
            return Err(Fault::new("quantity", "must be within 10^14 either way"));
        }
        Ok(())
    }

    fn check_time(&self, now: DateTime<Utc>, allowance: Allowance) -> Result<(), Fault> {
        if self.time.signed_duration_since(now) > allowance.early {
            return Err(Fault::new("time", format!("lies ahead: it is {now}")));
        }
        if now.signed_duration_since(self.time) > allowance.late {
            let days = allowance.late.num_days();
            return Err(Fault::new("time", format!("is more than {days} days ago")));
        }
        Ok(())
    }

    fn check_attributes(&self) -> Result<(), Fault> {
        if self.attributes.len() > ATTRIBUTES_MAX {
            return Err(Fault::new("attributes", format!("there are at most {ATTRIBUTES_MAX}")));
        }
        for (name, value) in &self.attributes {
            let checked = text::code("name", name).and_then(|_| text::free_text("value", value));
            checked.map_err(|refusal| Fault::new("attributes", format!("{name}: {}", refusal.message)))?;
        }
        let mut names: Vec<&str> = self.attributes.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        let twice = names.windows(2).any(|pair| pair.first() == pair.last());
        if twice { Err(Fault::new("attributes", "a name comes twice")) } else { Ok(()) }
    }

    /// Checks it against the resource that it names. Less than nothing is used only where a resource allows corrections.
    pub fn check_against(&self, resource: &Resource) -> Result<(), Fault> {
        if self.quantity < Decimal::ZERO && !resource.allows_corrections {
            return Err(Fault::new("quantity", format!("{} cannot be negative", resource.code)));
        }
        Ok(())
    }

    /// A digest of all but the id and the account: an event that is sent again has the same.
    pub fn payload(&self) -> i64 {
        let mut digest = Sha256::new();
        let mut part = |text: &[u8]| {
            digest.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            digest.update(text);
        };
        part(self.resource.as_bytes());
        part(&self.quantity.normalize().serialize());
        part(&self.time.timestamp_micros().to_le_bytes());
        for optional in [&self.subject, &self.datacenter] {
            part(&[u8::from(optional.is_some())]);
            part(optional.as_deref().unwrap_or_default().as_bytes());
        }
        for (name, value) in &self.attributes {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        let digest: [u8; 32] = digest.finalize().into();
        let (first, _) = digest.split_at(8);
        first.try_into().map(i64::from_le_bytes).unwrap_or_default()
    }
}

/// Whether an event may have this id.
pub fn check_id(id: &str) -> Result<(), Fault> {
    if id.is_empty() {
        return Err(Fault::new("id", "must not be empty"));
    }
    if id.chars().count() > EVENT_ID_MAX {
        return Err(Fault::new("id", format!("is longer than {EVENT_ID_MAX} characters")));
    }
    if id.contains('\0') {
        return Err(Fault::new("id", "must not hold the character zero"));
    }
    Ok(())
}

impl Aggregation {
    /// Whether it tells how much there is, and not how much was used.
    pub fn is_gauge(self) -> bool {
        matches!(self, Self::Last | Self::Average | Self::P95)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_quantities_are_what_their_names_say() {
        assert_eq!(QUANTITY_MAX, Decimal::from(100_000_000_000_000_i64));
        assert_eq!(SUM_MAX, Decimal::from(10_000_000_000_000_000_000_u64));
        let longest = SUM_MAX - Decimal::new(1, QUANTITY_PLACES);
        assert_eq!(longest.to_string(), "9999999999999999999.999999999");
    }

    #[test]
    fn a_digest_tells_events_apart_and_not_how_they_are_written() {
        let event = UsageEvent {
            id: "1".to_owned(),
            account: AccountId(1),
            resource: "space".to_owned(),
            quantity: Decimal::new(150, 2),
            time: "2026-03-01T00:00:00Z".parse().unwrap(),
            subject: None,
            datacenter: None,
            attributes: vec![("smp".to_owned(), "4".to_owned())],
        };
        let same = UsageEvent { quantity: Decimal::new(15, 1), ..event.clone() };
        assert_eq!(event.payload(), same.payload());
        for other in [
            UsageEvent { quantity: Decimal::new(151, 2), ..event.clone() },
            UsageEvent { resource: "spac".to_owned(), ..event.clone() },
            UsageEvent { subject: Some(String::new()), ..event.clone() },
            UsageEvent { datacenter: Some("BA".to_owned()), ..event.clone() },
            UsageEvent { subject: Some("BA".to_owned()), ..event.clone() },
            UsageEvent { attributes: Vec::new(), ..event.clone() },
            UsageEvent { attributes: vec![("smp4".to_owned(), String::new())], ..event.clone() },
        ] {
            assert_ne!(event.payload(), other.payload(), "{other:?}");
        }
    }
}
