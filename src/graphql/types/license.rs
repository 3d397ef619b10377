use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use super::resource::{self, Resource};
use crate::domain;
use crate::graphql::enums::LicenseType;
use crate::graphql::pagination::connection;
use crate::graphql::runtime::eager::ResolveEagerly;
use crate::graphql::scalars::Instant;
use crate::graphql::session::session;

/// Software that is counted by what servers report of themselves, and priced by the count and month.
pub struct License(pub Arc<domain::license::License>);

connection!(
    LicenseConnection,
    LicenseEdge,
    License,
    domain::license::License,
    |row: &Arc<domain::license::License>| row.id,
    "licences"
);

impl ResolveEagerly for License {
    const DEFERRED_FIELDS: &'static [&'static str] = &["resource"];
}

/// Software that is counted by what servers report of themselves, and priced by the count and month.
#[Object]
impl License {
    /// Its id.
    pub(super) async fn id(&self) -> ID {
        self.0.id.to_string().into()
    }

    /// Its name: the code of its resource, by which it is reported, priced and subscribed to.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Its name, for people.
    async fn long_name(&self) -> &str {
        &self.0.long_name
    }

    /// What is counted.
    #[graphql(name = "type")]
    async fn license_type(&self) -> LicenseType {
        self.0.license_type.into()
    }

    /// The attribute of a report that multiplies it: `smp` counts one licence for each core. Of a STUB, what the customer counts.
    async fn user_metric(&self) -> &str {
        &self.0.user_metric
    }

    /// Whether more may be used than is subscribed; otherwise what is more is refused when it is reported.
    async fn burstable(&self) -> bool {
        self.0.burstable
    }

    /// The resource of the same code.
    async fn resource(&self, ctx: &Context<'_>) -> async_graphql::Result<Resource> {
        Ok(resource::load(session(ctx)?, &self.0.name).await?)
    }

    /// When it was defined.
    async fn created_at(&self) -> Instant {
        Instant(self.0.created_at)
    }
}
