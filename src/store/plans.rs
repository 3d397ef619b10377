//! The catalogue: plans and resources.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Bool, Nullable, Numeric, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::error::StoreError;
use super::list::{self, Found, Narrow, Page};
use super::once::{KeyedWrite, Stop, created_ids, gone};
use super::sql::numeric::Exact;
use super::sql::row::{WriteRow, row, select_list};
use super::sql::statement::{Columns, Statement};
use super::{Conn, execute, rows, select_from};
use crate::domain::idempotency::Attempt;
use crate::domain::ids::{OwnedId, PlanId};
use crate::domain::money::CurrencyCode;
use crate::domain::mutation::Mutation;
use crate::domain::period::BillPeriod;
use crate::domain::plan::{Aggregation, Plan, PlanResource, Resource};
use crate::domain::viewer::Scope;

row! {
    resources => Resource as r {
        kept {
            code: String = r.code,
            name: String = r.name,
            unit: String = r.unit,
            resource_type: String = r.resource_type,
            aggregation: Aggregation = r.aggregation,
            allows_corrections: bool = r.allows_corrections,
        }
    }
    Self { code, name, unit, resource_type, aggregation, allows_corrections }
}

row! {
    plans => Plan as p {
        kept {
            id: PlanId = p.id,
            name: String = p.name,
            type_: String = p.plan_type,
            region: Option<String> = p.region,
            resource_type: String = p.resource_type,
            currency: CurrencyCode = p.currency,
            price: Decimal = p.price,
            once_price: Option<Decimal> = p.once_price,
            bill_period: BillPeriod = p.bill_period,
            description: String = p.description,
            created_at: DateTime<Utc> = p.created_at,
        }
        read {
            retired_at: Option<DateTime<Utc>>,
        }
    }
    Self {
        id,
        name,
        plan_type: type_,
        region,
        resource_type,
        currency,
        price,
        once_price,
        bill_period,
        description,
        created_at,
        retired_at,
    }
}

pub async fn plan_by_ids(conn: Conn<'_>, ids: Vec<Uuid>) -> Result<Vec<Plan>, StoreError> {
    let statement = select_from::<Plan>("plans").sql(" WHERE id = ANY(").keys::<SqlUuid, _>(ids).sql(")");
    rows::<Plan>(conn, statement).await
}

/// The plans of these orders.
pub async fn plan_of_orders(conn: Conn<'_>, orders: &[OwnedId]) -> Result<Vec<Plan>, StoreError> {
    let statement = Statement::new("SELECT DISTINCT ").sql(select_list::<Plan>("p."));
    let statement = list::each_key(statement, orders).sql(
        "(SELECT plan_id FROM orders o WHERE o.account_id = k.account_id AND o.id = k.id LIMIT 1) o \
         JOIN plans p ON p.id = o.plan_id",
    );
    rows::<Plan>(conn, statement).await
}

/// What the market is narrowed by; conditions are joined by AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanFilter {
    pub plan_type: Option<String>,
    pub region: Option<String>,
    pub resource_type: Option<String>,
    pub include_retired: bool,
}

impl Narrow for PlanFilter {
    fn kept<ST>(&self, _: Scope, mut statement: Statement<ST>) -> Statement<ST> {
        for (column, value) in [
            (" AND type = ", &self.plan_type),
            (" AND region = ", &self.region),
            (" AND resource_type = ", &self.resource_type),
        ] {
            if let Some(value) = value {
                statement = statement.sql(column).text(value.clone());
            }
        }
        if self.include_retired { statement } else { statement.sql(" AND retired_at IS NULL") }
    }

    fn is_walked(&self, _: Scope) -> bool {
        *self != Self { include_retired: true, ..Self::default() }
    }
}

pub async fn plan_list(conn: Conn<'_>, filter: &PlanFilter, page: &Page) -> Result<Found<Plan>, StoreError> {
    list::page::<Plan, _>(conn, Scope::Catalogue, page, filter).await
}

pub async fn plan_count(conn: Conn<'_>, filter: &PlanFilter) -> Result<i64, StoreError> {
    list::count(conn, "plans", Scope::Catalogue, filter).await
}

/// A plan that is to be put on the market, with what it includes. A resource that there is not is a violation of
/// `plan_resources_resource_code_fkey`.
pub struct NewPlan {
    pub plan: Plan,
    pub resources: Vec<PlanResource>,
}

impl KeyedWrite for NewPlan {
    const MUTATION: Mutation = Mutation::named("createPlan");
    type Made = Plan;

    fn write<'c>(&'c self, conn: Conn<'c>, _: &'c Attempt) -> BoxFuture<'c, Result<Vec<String>, Stop>> {
        async move {
            let Self { plan, resources } = self;
            execute(conn, Plan::columns(std::iter::once(plan)).insert_row_into("plans")).await?;
            product_name_keep(conn, &plan.name).await?;
            if !resources.is_empty() {
                let columns = Columns::new()
                    .column::<SqlUuid, _>("plan_id", resources.iter().map(|_| plan.id.0))
                    .column::<Text, _>("resource_code", resources.iter().map(|r| r.resource_code.clone()))
                    .column::<Numeric, _>("amount", resources.iter().map(|r| r.amount));
                execute(conn, columns.insert_into("plan_resources")).await?;
            }
            Ok(vec![plan.id.to_string()])
        }
        .boxed()
    }

    fn made<'c>(
        &'c self,
        conn: Conn<'c>,
        _: &'c Attempt,
        created: Vec<String>,
    ) -> BoxFuture<'c, Result<Plan, StoreError>> {
        async move {
            let ids = created_ids(&created, PlanId::parse)?;
            plan_by_ids(conn, ids.iter().map(|id| id.0).collect()).await?.pop().ok_or_else(gone)
        }
        .boxed()
    }
}

/// Takes a plan off the market; one that is off it already stays as it was.
pub async fn plan_retire(
    conn: Conn<'_>,
    id: PlanId,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<Option<Plan>, StoreError> {
    let statement = Statement::new("UPDATE plans SET retired_at = coalesce(retired_at, ")
        .instant(at)
        .sql(") WHERE id = ")
        .uuid(id.0)
        .sql(" RETURNING ")
        .sql(select_list::<Plan>(""));
    Ok(rows::<Plan>(conn, statement).await?.pop())
}

/// What an operator may change of a plan; None leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct PlanPatch {
    pub name: Option<String>,
    pub description: Option<String>,
    pub price: Option<Decimal>,
    /// `Some(None)`: there is none any more.
    pub once_price: Option<Option<Decimal>>,
}

/// Changes a plan; orders keep what they were bought at until they renew.
pub async fn plan_update(
    connection: &mut AsyncPgConnection,
    id: PlanId,
    patch: PlanPatch,
) -> Result<Option<Plan>, StoreError> {
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            let updated = rows::<Plan>(conn, update(id, &patch)).await?.pop();
            if let Some(plan) = updated.as_ref().filter(|_| patch.name.is_some()) {
                product_name_keep(conn, &plan.name).await?;
            }
            Ok(updated)
        })
        .await
}

fn update(id: PlanId, patch: &PlanPatch) -> Statement {
    Statement::new("UPDATE plans SET name = coalesce(")
        .value::<Nullable<Text>, _>(patch.name.clone())
        .sql(", name), description = coalesce(")
        .value::<Nullable<Text>, _>(patch.description.clone())
        .sql(", description), price = coalesce(")
        .value::<Nullable<Numeric>, _>(patch.price)
        .sql(", price), once_price = CASE WHEN ")
        .value::<Bool, _>(patch.once_price.is_some())
        .sql(" THEN ")
        .value::<Nullable<Numeric>, _>(patch.once_price.flatten())
        .sql(" ELSE once_price END WHERE id = ")
        .uuid(id.0)
        .sql(" RETURNING ")
        .sql(select_list::<Plan>(""))
}

/// Keeps a name that orders can have, by which searches find them (docs/adr/0010); in the transaction that gives it to a plan or a
/// resource.
pub(super) async fn product_name_keep(conn: Conn<'_>, name: &str) -> Result<(), StoreError> {
    let statement = Statement::new("INSERT INTO product_names (name) VALUES (")
        .text(name.to_owned())
        .sql(") ON CONFLICT DO NOTHING");
    execute(conn, statement).await.map(drop)
}

/// What plans include, in the order of the resources' codes.
pub async fn plan_resources(
    mut conn: Conn<'_>,
    plans: Vec<Uuid>,
) -> Result<Vec<(PlanId, PlanResource)>, StoreError> {
    let statement = Statement::<(SqlUuid, Text, Numeric)>::new(
        "SELECT plan_id, resource_code, amount FROM plan_resources WHERE plan_id = ANY(",
    )
    .keys::<SqlUuid, _>(plans)
    .sql(") ORDER BY plan_id, resource_code");
    let found: Vec<(Uuid, String, Exact)> = statement.load(&mut conn).await?;
    let included =
        |(plan, resource_code, Exact(amount))| (PlanId(plan), PlanResource { resource_code, amount });
    Ok(found.into_iter().map(included).collect())
}

/// So many orders of an account are looked at for the plans that it uses.
const ORDERS_IN_USE_MAX: i64 = 100_000;

/// The plans of accounts' live orders, each plan once.
pub async fn plans_in_use(mut conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<(i64, PlanId)>, StoreError> {
    let statement = Statement::<(BigInt, SqlUuid)>::new(
        "SELECT DISTINCT a.id, o.plan_id FROM accounts a CROSS JOIN LATERAL (SELECT o.plan_id, o.state FROM orders o \
         WHERE o.account_id = a.id ORDER BY o.id DESC LIMIT ",
    )
    .bigint(ORDERS_IN_USE_MAX)
    .sql(
        ") o WHERE o.plan_id IS NOT NULL AND o.state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED') AND a.id = ANY(",
    )
    .accounts(accounts)
    .sql(") ORDER BY a.id, o.plan_id");
    let found: Vec<(i64, Uuid)> = statement.load(&mut conn).await?;
    Ok(found.into_iter().map(|(account, plan)| (account, PlanId(plan))).collect())
}

pub async fn resource_by_codes(conn: Conn<'_>, codes: Vec<String>) -> Result<Vec<Resource>, StoreError> {
    let statement =
        select_from::<Resource>("resources").sql(" WHERE code = ANY(").keys::<Text, _>(codes).sql(")");
    rows::<Resource>(conn, statement).await
}

/// The resource catalogue, by code.
pub async fn resource_list(conn: Conn<'_>) -> Result<Vec<Resource>, StoreError> {
    rows::<Resource>(conn, select_from::<Resource>("resources").sql(" ORDER BY code")).await
}

/// Makes a resource, or changes its name and kind of product; None if it is there with another unit or aggregation.
pub async fn resource_define(
    connection: &mut AsyncPgConnection,
    resource: &Resource,
) -> Result<Option<Resource>, StoreError> {
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            let defined = rows::<Resource>(conn, define(resource)).await?.pop();
            if let Some(resource) = &defined {
                product_name_keep(conn, &resource.name).await?;
            }
            Ok(defined)
        })
        .await
}

fn define(resource: &Resource) -> Statement {
    Resource::columns(std::iter::once(resource))
        .insert_row_into("resources")
        .sql(
            " ON CONFLICT (code) DO UPDATE SET name = excluded.name, resource_type = excluded.resource_type, \
             allows_corrections = excluded.allows_corrections \
             WHERE resources.unit = excluded.unit AND resources.aggregation = excluded.aggregation RETURNING ",
        )
        .sql(select_list::<Resource>("resources."))
}

/// Makes a resource; whether there was none of its code.
pub(super) async fn resource_add(mut conn: Conn<'_>, resource: &Resource) -> Result<bool, StoreError> {
    let statement = Resource::columns(std::iter::once(resource))
        .insert_row_into("resources")
        .sql(" ON CONFLICT DO NOTHING RETURNING code")
        .returning::<Text>();
    let added: Vec<String> = statement.load(&mut conn).await?;
    if added.is_empty() {
        return Ok(false);
    }
    product_name_keep(conn, &resource.name).await?;
    Ok(true)
}

pub(super) async fn resource_rename(conn: Conn<'_>, code: &str, name: &str) -> Result<(), StoreError> {
    let statement = Statement::new("UPDATE resources SET name = ")
        .text(name.to_owned())
        .sql(" WHERE code = ")
        .text(code.to_owned());
    execute(conn, statement).await?;
    product_name_keep(conn, name).await
}
