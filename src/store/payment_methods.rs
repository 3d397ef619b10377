//! Payment methods.

use std::sync::Arc;

use diesel::sql_types::{Array, BigInt, Date, Nullable, Text, Timestamptz, Uuid as SqlUuid};

use super::error::StoreError;
use super::list;
use super::rows::PaymentMethodRow;
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows, select_from};
use crate::domain::ids::OwnedId;
use crate::domain::payment_method::PaymentMethod;

/// What accounts can pay with, newest first.
pub async fn methods_kept(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<PaymentMethod>, StoreError> {
    let statement = select_from::<PaymentMethodRow>("payment_methods")
        .sql(" WHERE removed_at IS NULL AND account_id = ANY(")
        .value::<Array<BigInt>, _>(accounts)
        .sql(") ORDER BY account_id, id DESC");
    rows::<PaymentMethodRow>(conn, statement).await
}

pub async fn method_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<PaymentMethod>, StoreError> {
    rows::<PaymentMethodRow>(conn, list::by_ids::<PaymentMethodRow>("payment_methods", ids)).await
}

/// Keeps payment methods, or says that they are removed.
pub async fn method_put(conn: Conn<'_>, methods: &[Arc<PaymentMethod>]) -> Result<(), StoreError> {
    let columns = Columns::new()
        .column::<BigInt, _>("account_id", methods.iter().map(|m| m.account().0))
        .column::<SqlUuid, _>("id", methods.iter().map(|m| m.id.uuid()))
        .column::<Text, _>("provider", methods.iter().map(|m| m.provider.clone()))
        .column::<Text, _>("provider_token", methods.iter().map(|m| m.token.clone()))
        .column::<Nullable<Text>, _>("provider_customer", methods.iter().map(|m| m.customer.clone()))
        .column::<Text, _>("brand", methods.iter().map(|m| m.card.brand.clone()))
        .column::<Text, _>("last4", methods.iter().map(|m| m.card.last4.clone()))
        .column::<Date, _>("expires_on", methods.iter().map(|m| m.card.expires_on))
        .column::<Nullable<Timestamptz>, _>("removed_at", methods.iter().map(|m| m.removed_at));
    let statement: Statement = columns
        .insert_into("payment_methods")
        .sql(" ON CONFLICT (account_id, id) DO UPDATE SET removed_at = excluded.removed_at");
    execute(conn, statement).await.map(drop)
}
