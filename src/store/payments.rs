//! Payments by card.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::error::StoreError;
use super::list::{self, DuePage};
use super::schema::payments as table;
use super::seals::Sealer;
use super::sql::row::{WriteRow, row, select_list};
use super::sql::statement::Statement;
use super::written::written;
use super::{Conn, execute, rows};
use crate::domain::book::Table;
use crate::domain::ids::{AccountId, OwnedId, PaymentId, PaymentMethodId, PrepaymentId, TransactionId};
use crate::domain::money::CurrencyCode;
use crate::domain::payment::{ChargedCard, Payment, PaymentPurpose, PaymentState};

row! {
    payments => Payment as p {
        kept {
            id: PaymentId = p.id,
            purpose: PaymentPurpose = p.purpose,
            state: PaymentState = p.state,
            currency: CurrencyCode = p.currency,
            amount: Decimal = p.amount,
            description: String = p.description,
            method_id: PaymentMethodId = p.card.method,
            provider: String = p.card.provider,
            provider_token: String = p.card.token,
            provider_customer: Option<String> = p.card.customer,
            brand: String = p.card.brand,
            on_session: bool = p.on_session,
            prepayment_id: Option<PrepaymentId> = p.prepayment,
            refund_of: Option<PaymentId> = p.refund_of,
            transaction_id: Option<TransactionId> = p.transaction,
            reference: Option<String> = p.reference,
            failure: Option<String> = p.failure,
            action_url: Option<String> = p.action_url,
            attempts: i32 = p.attempts,
            next_step_at: Option<DateTime<Utc>> = p.next_step_at,
        }
        written {
            account_id: AccountId = p.account(),
        }
    }
    Self {
        id,
        purpose,
        state,
        currency,
        amount,
        description,
        card: ChargedCard {
            method: method_id,
            provider,
            token: provider_token,
            customer: provider_customer,
            brand,
        },
        on_session,
        prepayment: prepayment_id,
        refund_of,
        transaction: transaction_id,
        reference,
        failure,
        action_url,
        attempts,
        next_step_at,
    }
}

pub async fn payment_by_ids(conn: Conn<'_>, ids: &[OwnedId]) -> Result<Vec<Payment>, StoreError> {
    rows::<Payment>(conn, list::by_ids::<Payment>(ids)).await
}

/// The payments that led to these transactions.
pub async fn payment_of_transactions(
    conn: Conn<'_>,
    transactions: &[OwnedId],
) -> Result<Vec<Payment>, StoreError> {
    let statement = list::each_key(
        Statement::new("SELECT ").sql(select_list::<Payment>("t.")),
        transactions,
    )
    .sql(
        "(SELECT * FROM payments t WHERE t.account_id = k.account_id AND t.transaction_id = k.id LIMIT 1) t",
    );
    rows::<Payment>(conn, statement).await
}

/// Payments that have to be carried on by `now`, those that have waited longest first.
pub async fn payment_due(
    mut conn: Conn<'_>,
    due: &DuePage,
) -> Result<Vec<(PaymentId, DateTime<Utc>)>, StoreError> {
    let found: Vec<(Uuid, DateTime<Utc>)> = list::due("payments", due).load(&mut conn).await?;
    Ok(found.into_iter().map(|(id, at)| (PaymentId(OwnedId::from_uuid(id)), at)).collect())
}

written!(Table<Payment>, |conn, rows, seals| payment_put(conn, rows, seals));

/// Keeps payments, or what has changed of them.
async fn payment_put(
    conn: Conn<'_>,
    payments: &Table<Payment>,
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    if payments.is_empty() {
        return Ok(());
    }
    let columns = Payment::columns(payments.values().map(Arc::as_ref))
        .put::<table::seal, _>(payments.values().map(|p| seals.seal(&**p)));
    let statement = columns.insert_into("payments").sql(
        " ON CONFLICT (account_id, id) DO UPDATE SET state = excluded.state, transaction_id = excluded.transaction_id, \
         reference = excluded.reference, failure = excluded.failure, action_url = excluded.action_url, \
         attempts = excluded.attempts, next_step_at = excluded.next_step_at, seal = excluded.seal",
    );
    execute(conn, statement).await.map(drop)
}
