//! Closed months.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::Date;
use rust_decimal::Decimal;
use serde_json::Value;

use super::error::StoreError;
use super::list::each_window;
use super::schema::closed_months as table;
use super::seals::Sealer;
use super::sql::row::{WriteRow, row, select_list};
use super::sql::statement::Statement;
use super::written::written;
use super::{Conn, execute, rows, select_from};
use crate::domain::book::Table;
use crate::domain::closing::{ClosedMonth, Month};
use crate::domain::ids::{AccountId, BillId};

row! {
    closed_months => ClosedMonth as c {
        kept {
            account_id: AccountId = c.account,
            start_time: DateTime<Utc> = c.month.start,
            end_time: DateTime<Utc> = c.month.end,
            period: NaiveDate = c.period,
            revision: i32 = c.revision,
            usage_version: i64 = c.usage_version,
            bill_id: Option<BillId> = c.bill,
            usage_amount: Decimal = c.usage_amount,
            amount: Decimal = c.amount,
            billed_amount: Decimal = c.billed_amount,
            withheld_amount: Decimal = c.withheld_amount,
            forgiven_amount: Decimal = c.forgiven_amount,
            unrated: Value = Value::from(c.unrated.clone()),
            closed_at: DateTime<Utc> = c.closed_at,
        }
    }
    Self {
        account: account_id,
        month: Month { start: start_time, end: end_time },
        period,
        revision,
        usage_version,
        bill: bill_id,
        usage_amount,
        amount,
        billed_amount,
        withheld_amount,
        forgiven_amount,
        unrated: serde_json::from_value(unrated)?,
        closed_at,
    }
}

/// The closed months of accounts that overlap a window of each; none is longer than 40 days.
pub async fn closed_overlapping(
    conn: Conn<'_>,
    windows: &[(AccountId, Month)],
) -> Result<Vec<ClosedMonth>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<ClosedMonth>("t."));
    let statement = each_window(select, windows.iter().copied()).sql(
        "(SELECT * FROM closed_months t WHERE t.account_id = k.account_id AND t.start_time < k.end_time \
         AND t.end_time > k.start_time AND t.start_time > k.start_time - interval '40 days' \
         ORDER BY t.start_time DESC LIMIT 10) t",
    );
    rows::<ClosedMonth>(conn, statement).await
}

/// The closed month of an account that an instant lies in, and its neighbours: the one before and the one after.
pub async fn closed_around(
    conn: Conn<'_>,
    account: AccountId,
    instant: DateTime<Utc>,
) -> Result<Vec<ClosedMonth>, StoreError> {
    let up_to = select_from::<ClosedMonth>("closed_months")
        .sql(" WHERE account_id = ")
        .bigint(account.0)
        .sql(" AND start_time <= ")
        .instant(instant)
        .sql(" ORDER BY start_time DESC LIMIT 2");
    let after = select_from::<ClosedMonth>("closed_months")
        .sql(" WHERE account_id = ")
        .bigint(account.0)
        .sql(" AND start_time > ")
        .instant(instant)
        .sql(" ORDER BY start_time LIMIT 1");
    let mut found = rows::<ClosedMonth>(conn, up_to).await?;
    found.extend(rows::<ClosedMonth>(conn, after).await?);
    Ok(found)
}

/// The closed month of an account that was that calendar month; of several the first.
pub async fn closed_of_period(
    conn: Conn<'_>,
    account: AccountId,
    period: NaiveDate,
) -> Result<Option<ClosedMonth>, StoreError> {
    let statement = select_from::<ClosedMonth>("closed_months")
        .sql(" WHERE account_id = ")
        .bigint(account.0)
        .sql(" AND period = ")
        .value::<Date, _>(period)
        .sql(" ORDER BY start_time LIMIT 1");
    Ok(rows::<ClosedMonth>(conn, statement).await?.pop())
}

written!(Table<ClosedMonth>, |conn, rows, seals| closed_put(conn, rows, seals));

async fn closed_put(
    conn: Conn<'_>,
    closed: &Table<ClosedMonth>,
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    if closed.is_empty() {
        return Ok(());
    }
    let statement = ClosedMonth::columns(closed.values().map(Arc::as_ref))
        .put::<table::seal, _>(closed.values().map(|month| seals.seal(&**month)))
        .insert_into("closed_months")
        .sql(
            " ON CONFLICT (account_id, start_time) DO UPDATE SET end_time = excluded.end_time, \
             revision = excluded.revision, \
             usage_version = excluded.usage_version, bill_id = excluded.bill_id, \
             usage_amount = excluded.usage_amount, amount = excluded.amount, \
             billed_amount = excluded.billed_amount, withheld_amount = excluded.withheld_amount, \
             forgiven_amount = excluded.forgiven_amount, unrated = excluded.unrated, \
             closed_at = excluded.closed_at, seal = excluded.seal",
        );
    execute(conn, statement).await.map(drop)
}
