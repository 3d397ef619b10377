//! Licences: software that is counted by what servers report of themselves. Source: CloudSigma's billing documentation.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;

use super::codes::coded_enum;
use super::ids::LicenseId;
use super::money;
use super::usage::{Fault, QUANTITY_MAX, QUANTITY_PLACES};

/// Licences are never short, as long as nobody declares how many there are: they are used at this level.
pub const LICENSE_LEVEL: i32 = 1;
/// The attribute that says whether a server runs.
const RUNNING: &str = "running";

coded_enum! {
    /// What of a licence is counted.
    LicenseType {
        /// Installations, whether or not their servers run.
        Install = "INSTALL",
        /// Installations on servers that run.
        Instance = "INSTANCE",
        /// What the customer reports.
        Stub = "STUB",
    }
}

/// A licence; its name is the code of its resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct License {
    pub id: LicenseId,
    pub name: String,
    pub long_name: String,
    pub license_type: LicenseType,
    /// The attribute of a server that multiplies: `smp` counts one licence for each core. Of a STUB, what the customer counts.
    pub user_metric: String,
    /// Whether more may be used than is subscribed.
    pub burstable: bool,
    pub created_at: DateTime<Utc>,
}

impl License {
    /// How many licences a report of so many installations stands for.
    pub fn counted(&self, quantity: Decimal, attributes: &[(String, String)]) -> Result<Decimal, Fault> {
        match self.license_type {
            LicenseType::Stub => return Ok(quantity),
            LicenseType::Instance if !is_running(attributes)? => return Ok(Decimal::ZERO),
            LicenseType::Instance | LicenseType::Install => {}
        }
        let each = self.metric(attributes)?;
        let counted = money::multiply(quantity, each).ok().filter(|counted| {
            counted.abs() <= QUANTITY_MAX && counted.normalize().scale() <= QUANTITY_PLACES
        });
        let out_of_range = || {
            let message = format!("{} times the quantity is out of range", self.user_metric);
            Fault::new("attributes", message)
        };
        counted.ok_or_else(out_of_range)
    }

    fn metric(&self, attributes: &[(String, String)]) -> Result<Decimal, Fault> {
        let name = &self.user_metric;
        let value = value_of(attributes, name).ok_or_else(|| {
            Fault::new("attributes", format!("{name} is missing: {} is counted by it", self.name))
        })?;
        let number = money::parse_decimal(value).ok().filter(|number| *number >= Decimal::ZERO);
        number.ok_or_else(|| Fault::new("attributes", format!("{name} must be a number, not negative")))
    }
}

fn is_running(attributes: &[(String, String)]) -> Result<bool, Fault> {
    match value_of(attributes, RUNNING) {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(Fault::new("attributes", "running must be true or false")),
        None => Err(Fault::new("attributes", "running is missing: only servers that run are counted")),
    }
}

fn value_of<'a>(attributes: &'a [(String, String)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(
        license_type: LicenseType,
        quantity: &str,
        attributes: &[(&str, &str)],
    ) -> Result<Decimal, String> {
        let license = License {
            id: LicenseId(1),
            name: "windows".to_owned(),
            long_name: "Windows Server".to_owned(),
            license_type,
            user_metric: "smp".to_owned(),
            burstable: true,
            created_at: DateTime::UNIX_EPOCH,
        };
        let attributes: Vec<(String, String)> =
            attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        license.counted(quantity.parse().unwrap(), &attributes).map_err(|fault| fault.to_string())
    }

    #[test]
    fn installations_count_always_instances_while_they_run_and_stubs_as_they_are_reported() {
        use LicenseType::{Install, Instance, Stub};
        let server = [("running", "true"), ("smp", "4")];
        let stopped = [("running", "false"), ("smp", "4")];
        for (license_type, attributes, expected) in [
            (Install, &server[..], 8),
            (Install, &stopped, 8),
            (Install, &[("smp", "4")], 8),
            (Install, &[("smp", "0")], 0),
            (Instance, &server, 8),
            (Instance, &stopped, 0),
            (Stub, &server, 2),
            (Stub, &[], 2),
        ] {
            assert_eq!(
                counted(license_type, "2", attributes),
                Ok(Decimal::from(expected)),
                "{license_type} {attributes:?}"
            );
        }
    }

    #[test]
    fn a_report_without_what_its_licence_is_counted_by_is_at_fault() {
        use LicenseType::{Install, Instance};
        for (license_type, quantity, attributes, message) in [
            (Install, "1", &[][..], "attributes: smp is missing: windows is counted by it"),
            (
                Instance,
                "1",
                &[("smp", "4")],
                "attributes: running is missing: only servers that run are counted",
            ),
            (Instance, "1", &[("running", "yes"), ("smp", "4")], "attributes: running must be true or false"),
            (Install, "1", &[("smp", "-1")], "attributes: smp must be a number, not negative"),
            (Install, "1", &[("smp", "four")], "attributes: smp must be a number, not negative"),
            (
                Install,
                "99999999999999",
                &[("smp", "4")],
                "attributes: smp times the quantity is out of range",
            ),
            (Install, "0.00001", &[("smp", "0.00001")], "attributes: smp times the quantity is out of range"),
        ] {
            assert_eq!(counted(license_type, quantity, attributes), Err(message.to_owned()));
        }
    }
}
