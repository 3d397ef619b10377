//! Licences.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};

use super::error::StoreError;
use super::list::{Page, newest_first, numbered_page};
use super::sql::row::{row, select_list};
use super::sql::statement::Statement;
use super::{Conn, plans, rows, select_from};
use crate::domain::ids::LicenseId;
use crate::domain::license::{License, LicenseType};
use crate::domain::plan::{Aggregation, Resource};

row! {
    licenses => License {
        id: LicenseId,
        resource_code: String,
        long_name: String,
        type_: LicenseType,
        user_metric: String,
        burstable: bool,
        created_at: DateTime<Utc>,
    }
    Self { id, name: resource_code, long_name, license_type: type_, user_metric, burstable, created_at }
}

pub async fn license_by_ids(conn: Conn<'_>, ids: Vec<LicenseId>) -> Result<Vec<License>, StoreError> {
    let statement = select_from::<License>("licenses")
        .sql(" WHERE id = ANY(")
        .keys::<BigInt, _>(ids.iter().map(|id| id.0).collect::<Vec<_>>())
        .sql(")");
    rows::<License>(conn, statement).await
}

/// The licences among resources of these codes.
pub async fn license_by_names(conn: Conn<'_>, names: Vec<String>) -> Result<Vec<License>, StoreError> {
    let statement =
        select_from::<License>("licenses").sql(" WHERE resource_code = ANY(").keys::<Text, _>(names).sql(")");
    rows::<License>(conn, statement).await
}

pub async fn license_list(conn: Conn<'_>, page: &Page<LicenseId>) -> Result<Vec<License>, StoreError> {
    let all = select_from::<License>("licenses t").sql(" WHERE true");
    let statement = numbered_page(all, page, |id| id.0);
    Ok(newest_first(rows::<License>(conn, statement).await?, page))
}

pub async fn license_count(mut conn: Conn<'_>) -> Result<i64, StoreError> {
    Ok(Statement::<BigInt>::new("SELECT count(*) FROM licenses").get_result(&mut conn).await?)
}

/// Makes a licence with its resource, or changes how it is called and whether it may be burst; None if there is a resource of
/// that code that is no licence, or is counted in another way.
pub async fn license_define(
    connection: &mut AsyncPgConnection,
    license: &License,
) -> Result<Option<License>, StoreError> {
    connection
        .transaction(async |connection| {
            let conn: Conn<'_> = connection;
            let is_new = plans::resource_add(conn, &counted(license)).await?;
            let defined = if is_new { insert(license) } else { update(license) };
            let defined = rows::<License>(conn, defined.returning()).await?.pop();
            if defined.is_some() && !is_new {
                plans::resource_rename(conn, &license.name, &license.long_name).await?;
            }
            Ok(defined)
        })
        .await
}

/// What reports of a licence are reports of.
fn counted(license: &License) -> Resource {
    Resource {
        code: license.name.clone(),
        name: license.long_name.clone(),
        unit: "license".to_owned(),
        resource_type: "CLOUD".to_owned(),
        aggregation: Aggregation::Last,
        allows_corrections: false,
    }
}

fn insert(license: &License) -> Statement {
    Statement::new(
        "INSERT INTO licenses (resource_code, long_name, type, user_metric, burstable, burst_since, created_at) VALUES (",
    )
    .text(license.name.clone())
    .sql(", ")
    .text(license.long_name.clone())
    .sql(", ")
    .value::<Text, _>(license.license_type.code())
    .sql(", ")
    .text(license.user_metric.clone())
    .sql(", ")
    .value::<Bool, _>(license.burstable)
    .sql(", ")
    .value::<Nullable<Timestamptz>, _>(license.burstable.then_some(license.created_at))
    .sql(", ")
    .instant(license.created_at)
    .sql(") RETURNING ")
    .sql(select_list::<License>(""))
}

fn update(license: &License) -> Statement {
    Statement::new("UPDATE licenses SET long_name = ")
        .text(license.long_name.clone())
        // What was charged stays as it was: burst begins, and ends, with the change.
        .sql(", burst_since = CASE WHEN NOT burstable AND ")
        .value::<Bool, _>(license.burstable)
        .sql(" THEN ")
        .instant(license.created_at)
        .sql(" ELSE burst_since END, burst_until = CASE WHEN ")
        .value::<Bool, _>(license.burstable)
        .sql(" THEN NULL WHEN burstable THEN ")
        .instant(license.created_at)
        .sql(" ELSE burst_until END, burstable = ")
        .value::<Bool, _>(license.burstable)
        .sql(" WHERE resource_code = ")
        .text(license.name.clone())
        .sql(" AND type = ")
        .value::<Text, _>(license.license_type.code())
        .sql(" AND user_metric = ")
        .text(license.user_metric.clone())
        .sql(" RETURNING ")
        .sql(select_list::<License>(""))
}
