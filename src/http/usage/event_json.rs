//! Events as JSON: as one would write them for `recordUsage`, or as CloudEvents.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::clock::to_microseconds;
use crate::domain::money::parse_decimal;
use crate::domain::usage::Fault;
use crate::metering::{Report, Reported};

/// An event of a line; the fields are those of UsageEventInput.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Event<'j> {
    id: String,
    account_id: Option<String>,
    namespace: Option<String>,
    resource: String,
    /// As it is written: a number is not read as a float.
    #[serde(borrow)]
    quantity: &'j RawValue,
    time: String,
    subject: Option<String>,
    datacenter: Option<String>,
    attributes: Option<Attributes>,
}

/// A list of names with values, or an object.
#[derive(Deserialize)]
#[serde(untagged)]
enum Attributes {
    List(Vec<Attribute>),
    Object(BTreeMap<String, String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attribute {
    name: String,
    value: String,
}

impl Attributes {
    fn pairs(self) -> Vec<(String, String)> {
        match self {
            Self::List(list) => list.into_iter().map(|attribute| (attribute.name, attribute.value)).collect(),
            Self::Object(object) => object.into_iter().collect(),
        }
    }
}

/// The event of a line, and its id as far as it could be read.
pub(super) fn read_line(line: &[u8]) -> (Option<String>, Result<Report, Fault>) {
    match serde_json::from_slice::<Event<'_>>(line) {
        Ok(event) => (Some(event.id.clone()), report(event)),
        Err(error) => {
            let id = serde_json::from_slice::<Value>(line).ok();
            let id = id.and_then(|event| event.get("id")?.as_str().map(str::to_owned));
            (id, Err(Fault::new("event", format!("it cannot be read: {error}"))))
        }
    }
}

fn report(event: Event<'_>) -> Result<Report, Fault> {
    Ok(Report {
        of: Reported::named(event.account_id.as_deref(), event.namespace)?,
        id: event.id,
        resource: event.resource,
        quantity: quantity(event.quantity.get())?,
        time: time(&event.time)?,
        subject: event.subject,
        datacenter: event.datacenter,
        attributes: event.attributes.map(Attributes::pairs).unwrap_or_default(),
    })
}

/// A number, or a string that holds one.
fn quantity(json: &str) -> Result<Decimal, Fault> {
    let text = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(json);
    parse_decimal(text).map_err(|message| Fault::new("quantity", message))
}

fn time(text: &str) -> Result<DateTime<Utc>, Fault> {
    let wrong = |_| Fault::new("time", "an instant such as \"2026-11-21T04:48:01Z\" is expected");
    DateTime::parse_from_rfc3339(text).map(|time| to_microseconds(time.with_timezone(&Utc))).map_err(wrong)
}

/// A CloudEvent 1.0 in JSON whose data are whose usage it is, the resource and the quantity. Such events are told apart by
/// their source and id together, so both make the id that counts once: `source id`.
#[derive(Deserialize)]
pub(super) struct CloudEvent {
    specversion: String,
    id: String,
    source: String,
    time: Option<String>,
    subject: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Data {
    account_id: Option<String>,
    namespace: Option<String>,
    resource: String,
    quantity: Value,
    datacenter: Option<String>,
    attributes: Option<Attributes>,
}

impl CloudEvent {
    /// The event, and its own id as far as it could be read.
    pub fn read(event: Value) -> (Option<String>, Result<Report, Fault>) {
        let id = event.get("id").and_then(Value::as_str).map(str::to_owned);
        let read = serde_json::from_value::<Self>(event)
            .map_err(|error| Fault::new("event", format!("it cannot be read: {error}")));
        (id, read.and_then(Self::report))
    }

    fn report(self) -> Result<Report, Fault> {
        if self.specversion != "1.0" {
            return Err(Fault::new("specversion", "must be 1.0"));
        }
        for (field, text) in [("id", &self.id), ("source", &self.source)] {
            if text.is_empty() {
                return Err(Fault::new(field, "must not be empty"));
            }
        }
        let data = self.data.ok_or_else(|| Fault::new("data", "is needed"))?;
        let at = self.time.ok_or_else(|| Fault::new("time", "is needed"))?;
        Ok(Report {
            id: format!("{} {}", self.source, self.id),
            of: Reported::named(data.account_id.as_deref(), data.namespace)?,
            resource: data.resource,
            quantity: quantity(&data.quantity.to_string())?,
            time: time(&at)?,
            subject: self.subject,
            datacenter: data.datacenter,
            attributes: data.attributes.map(Attributes::pairs).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_they_are_written() {
        for (json, expected) in [("1.10", "1.10"), ("\"0.1\"", "0.1"), ("-3", "-3")] {
            assert_eq!(quantity(json).unwrap().to_string(), expected);
        }
        for wrong in ["1e3", "NaN", "\"NaN\"", "\"\"", "\"", "null", "[1]", "\"1\\u0030\""] {
            assert!(quantity(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_still_tells_its_id() {
        let (id, read) = read_line(br#"{"id":"e1","resource":"space"}"#);
        assert_eq!(id.as_deref(), Some("e1"));
        assert!(read.unwrap_err().message.contains("missing field"));
        let (id, read) = read_line(b"{\"id\":\"e1\"");
        assert_eq!((id, read.is_err()), (None, true));
    }
}
