//! Payment methods.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};

use super::error::StoreError;
use super::sql::row::{WriteRow, row};
use super::written::written;
use super::{Conn, execute, list, rows, select_from};
use crate::domain::book::Table;
use crate::domain::ids::{AccountId, OwnedId, PaymentMethodId};
use crate::domain::payment_method::{Card, PaymentMethod};

row! {
    payment_methods => PaymentMethod as m {
        kept {
            id: PaymentMethodId = m.id,
            provider: String = m.provider,
            provider_token: String = m.token,
            provider_customer: Option<String> = m.customer,
            brand: String = m.card.brand,
            last4: String = m.card.last4,
            expires_on: NaiveDate = m.card.expires_on,
            removed_at: Option<DateTime<Utc>> = m.removed_at,
        }
        written {
            account_id: AccountId = m.account(),
        }
    }
    Self {
        id,
        provider,
        token: provider_token,
        customer: provider_customer,
        card: Card { brand, last4, expires_on },
        removed_at,
    }
}

/// What accounts can pay with, newest first.
pub async fn methods_kept(conn: Conn<'_>, accounts: Vec<i64>) -> Result<Vec<PaymentMethod>, StoreError> {
    let statement = select_from::<PaymentMethod>("payment_methods")
        .sql(" WHERE removed_at IS NULL AND account_id = ANY(")
        .accounts(accounts)
        .sql(") ORDER BY account_id, id DESC");
    rows::<PaymentMethod>(conn, statement).await
}

pub async fn method_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<PaymentMethod>, StoreError> {
    rows::<PaymentMethod>(conn, list::by_ids::<PaymentMethod>(ids)).await
}

written!(Table<PaymentMethod>, |conn, rows, _seals| method_put(conn, rows));

/// Keeps payment methods, or says that they are removed.
async fn method_put(conn: Conn<'_>, methods: &Table<PaymentMethod>) -> Result<(), StoreError> {
    if methods.is_empty() {
        return Ok(());
    }
    let statement = PaymentMethod::columns(methods.values().map(Arc::as_ref))
        .insert_into("payment_methods")
        .sql(" ON CONFLICT (account_id, id) DO UPDATE SET removed_at = excluded.removed_at");
    execute(conn, statement).await.map(drop)
}
