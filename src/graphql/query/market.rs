//! What can be bought and measured, and what codes are called.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};

use crate::domain::ids::PlanId;
use crate::domain::label::{self, LabelList};
use crate::graphql::error::{ApiError, ApiResult};
use crate::graphql::input::argument_id;
use crate::graphql::nullable::{self, Nullable};
use crate::graphql::session::{Session, any_session, session};
use crate::graphql::types::code_label::CodeLabel;
use crate::graphql::types::plan::Plan;
use crate::graphql::types::price_quote::TermDiscount;
use crate::graphql::types::resource::Resource;

async fn labels_of(session: &Session, list: LabelList) -> ApiResult<Vec<CodeLabel>> {
    Ok(CodeLabel::all(&session.repository().labels(list).await?, session.language))
}

#[derive(Default)]
pub struct MarketQuery;

#[Object]
impl MarketQuery {
    /// The plan of that id, also after it was retired.
    async fn plan(&self, ctx: &Context<'_>, #[graphql(desc = "The plan's id.")] id: ID) -> Nullable<Plan> {
        nullable::of(async {
            let id = argument_id("id", &id, PlanId::parse)?;
            Ok(session(ctx)?.load(id).await?.map(Plan))
        })
        .await
    }

    /// What is metered or sold, by code.
    async fn resources(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<Resource>> {
        let resources = any_session(ctx)?.repository().resource_list().await.map_err(ApiError::from)?;
        Ok(resources.into_iter().map(Arc::new).map(Resource).collect())
    }

    /// The kinds of product.
    async fn resource_types(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<CodeLabel>> {
        Ok(labels_of(session(ctx)?, LabelList::ResourceType).await?)
    }

    /// How orders come about.
    async fn order_types(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<CodeLabel>> {
        Ok(CodeLabel::all(&label::order_types(), session(ctx)?.language))
    }

    /// Where orders stand.
    async fn order_states(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<CodeLabel>> {
        Ok(CodeLabel::all(&label::order_states(), session(ctx)?.language))
    }

    /// Where the provider runs.
    async fn datacenters(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<CodeLabel>> {
        Ok(labels_of(session(ctx)?, LabelList::Datacenter).await?)
    }

    /// The discounts on subscriptions, the shortest term first.
    async fn discounts(&self, ctx: &Context<'_>) -> async_graphql::Result<Vec<TermDiscount>> {
        let discounts = session(ctx)?.repository().term_discounts().await.map_err(ApiError::from)?;
        Ok(discounts.into_iter().map(TermDiscount::from).collect())
    }
}
