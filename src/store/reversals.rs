//! What is taken back of charges outside this server.

use std::sync::Arc;

use rust_decimal::Decimal;

use super::error::StoreError;
use super::schema::reversals as table;
use super::seals::Sealer;
use super::sql::row::{WriteRow, row, select_list};
use super::sql::statement::Statement;
use super::written::written;
use super::{Conn, execute, list, rows, select_from};
use crate::domain::book::Table;
use crate::domain::ids::{AccountId, OwnedId, PaymentId, TransactionId};
use crate::domain::money::CurrencyCode;
use crate::domain::reversal::{Reversal, ReversalKind, ReversalReport};

row! {
    reversals => Reversal as r {
        kept {
            provider: String = r.told.provider,
            reference: String = r.told.reference,
            kind: ReversalKind = r.told.kind,
            payment_id: PaymentId = r.told.payment,
            currency: CurrencyCode = r.told.currency,
            amount: Decimal = r.told.amount,
            status: String = r.told.status,
            withdrawn: Decimal = r.told.withdrawn,
            reinstated: Decimal = r.told.reinstated,
            is_open: bool = r.told.is_open,
            booked: Decimal = r.booked,
            beyond: Decimal = r.beyond,
            taken_by: Option<TransactionId> = r.taken_by,
            returned_by: Option<TransactionId> = r.returned_by,
        }
        written {
            account_id: AccountId = r.account(),
        }
    }
    {
        let told = ReversalReport {
            payment: payment_id,
            provider,
            reference,
            kind,
            currency,
            amount,
            status,
            withdrawn,
            reinstated,
            is_open,
        };
        Self { told, booked, beyond, taken_by, returned_by }
    }
}

/// Of one payment so many are read: a charge has one refund for each cent at most, and as a rule one dispute.
const OF_ONE_MAX: i64 = 1_000;

/// What is, or was, taken back of these charges.
pub async fn reversals_of(conn: Conn<'_>, payments: &[OwnedId]) -> Result<Vec<Reversal>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<Reversal>("t."));
    let statement = list::each_key(select, payments)
        .sql("(SELECT * FROM reversals t WHERE t.account_id = k.account_id AND t.payment_id = k.id LIMIT ")
        .bigint(OF_ONE_MAX)
        .sql(") t");
    rows::<Reversal>(conn, statement).await
}

/// Those that something may still become of, or is still to be booked of, after one, in the order of their names.
pub async fn reversals_to_look_at(
    conn: Conn<'_>,
    after: Option<&Reversal>,
    limit: i64,
) -> Result<Vec<Reversal>, StoreError> {
    let (account, provider, reference) = match after {
        Some(last) => (last.account(), last.told.provider.clone(), last.told.reference.clone()),
        None => (AccountId(0), String::new(), String::new()),
    };
    let statement = select_from::<Reversal>("reversals")
        .sql(
            " WHERE (is_open OR booked <> greatest(withdrawn - reinstated, 0)) AND (account_id, provider, reference) > (",
        )
        .bigint(account.0)
        .sql(", ")
        .text(provider)
        .sql(", ")
        .text(reference)
        .sql(") ORDER BY account_id, provider, reference LIMIT ")
        .bigint(limit);
    rows::<Reversal>(conn, statement).await
}

written!(Table<Reversal>, |conn, rows, seals| reversal_put(conn, rows, seals));

/// Keeps reversals, or what has changed of them.
async fn reversal_put(
    conn: Conn<'_>,
    reversals: &Table<Reversal>,
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    if reversals.is_empty() {
        return Ok(());
    }
    let columns = Reversal::columns(reversals.values().map(Arc::as_ref))
        .put::<table::seal, _>(reversals.values().map(|r| seals.seal(&**r)));
    let statement = columns.insert_into("reversals").sql(
        " ON CONFLICT (account_id, provider, reference) DO UPDATE SET amount = excluded.amount, status = excluded.status, \
         withdrawn = excluded.withdrawn, reinstated = excluded.reinstated, is_open = excluded.is_open, booked = excluded.booked, \
         beyond = excluded.beyond, taken_by = excluded.taken_by, returned_by = excluded.returned_by, \
         seal = excluded.seal",
    );
    execute(conn, statement).await.map(drop)
}
