use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use crate::domain;
use crate::graphql::enums::Aggregation;
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::loaders::ResourceCode;
use crate::graphql::session::{Session, session};

/// A thing that is metered or sold: cpu, mem, dssd, space, transfer_out, api_get, a licence.
pub struct Resource(pub Arc<domain::plan::Resource>);

/// A thing that is metered or sold: cpu, mem, dssd, space, transfer_out, api_get, a licence.
#[Object]
impl Resource {
    /// Its id, `res_` and the code.
    pub(super) async fn id(&self) -> ID {
        format!("res_{}", self.0.code).into()
    }

    /// The code by which inputs name it.
    async fn code(&self) -> &str {
        &self.0.code
    }

    /// Its name, for people.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What quantities of it are counted in.
    async fn unit(&self) -> &str {
        &self.0.unit
    }

    /// The kind of product that it belongs to, a code.
    async fn resource_type(&self) -> &str {
        &self.0.resource_type
    }

    /// How the reports on it become one quantity for a period.
    async fn aggregation(&self) -> Aggregation {
        self.0.aggregation.into()
    }

    /// Whether reports may be negative: what was reported too much is taken back.
    async fn allows_corrections(&self) -> bool {
        self.0.allows_corrections
    }
}

/// The resource of that code, which a price names, for a field.
pub(in crate::graphql) async fn load_for(ctx: &Context<'_>, code: &str) -> ApiResult<Resource> {
    load(session(ctx)?, code).await
}

/// The resource of that code, which a price names.
pub(in crate::graphql) async fn load(session: &Session, code: &str) -> ApiResult<Resource> {
    let resource = session.load(ResourceCode(code.to_owned())).await?;
    resource.map(Resource).ok_or_else(|| ApiError::internal(format!("there is no resource {code}")))
}
