//! Operators: licences.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, SimpleObject};

use crate::domain::ids::LicenseId;
use crate::domain::license::{License as DomainLicense, LicenseType as DomainType};
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::text;
use crate::graphql::enums::LicenseType;
use crate::graphql::error::MutationResult;
use crate::graphql::payload::answer;
use crate::graphql::session::{Session, operator_session};
use crate::graphql::types::license::License;
use crate::graphql::types::user_error::UserError;

/// Defines a licence, or changes how it is called and whether it may be burst.
#[derive(InputObject)]
pub struct DefineLicenseInput {
    /// Its name: the code of its resource, which comes with it.
    name: String,
    /// Its name, for people.
    long_name: String,
    /// What is counted. It never changes.
    #[graphql(name = "type")]
    license_type: LicenseType,
    /// The attribute of a report that multiplies it, a code such as `smp`; of a STUB, what the customer counts, or nothing. It never
    /// changes.
    user_metric: String,
    /// Whether more may be used than is subscribed.
    burstable: bool,
}

/// The licence that was defined.
#[derive(SimpleObject, Default)]
pub struct DefineLicensePayload {
    /// The licence.
    license: Option<License>,
    /// Why it stays as it was.
    user_errors: Vec<UserError>,
}

/// The mutations of licences.
#[derive(Default)]
pub struct LicenseMutation;

/// The mutations of licences.
#[Object]
impl LicenseMutation {
    /// Operators: defines a licence with its resource. Reports of it name the server as their subject and have its attributes;
    /// what is used beyond subscriptions is charged every 5 minutes, at level 1 unless a capacity is declared.
    async fn define_license(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The licence.")] input: DefineLicenseInput,
    ) -> async_graphql::Result<DefineLicensePayload> {
        answer(define(operator_session(ctx)?, input).await, |license, user_errors| DefineLicensePayload {
            license: license.map(|license| License(Arc::new(license))),
            user_errors,
        })
    }
}

async fn define(session: &Session, input: DefineLicenseInput) -> MutationResult<DomainLicense> {
    let license_type: DomainType = input.license_type.into();
    let user_metric = match (license_type, input.user_metric.as_str()) {
        (DomainType::Stub, "") => String::new(),
        (_, metric) => text::code("userMetric", metric)?,
    };
    let license = DomainLicense {
        // The database gives the number.
        id: LicenseId(0),
        name: text::code("name", &input.name)?,
        long_name: text::name("longName", &input.long_name)?,
        license_type,
        user_metric,
        burstable: input.burstable,
        created_at: session.app.clock.now(),
    };
    let defined = session.repository().license_define(license).await?;
    let message =
        "there is a licence or resource of this name that is counted in another way, which never changes";
    Ok(defined.ok_or_else(|| Refusal::new(RefusalCode::Conflict, "name", message))?)
}
