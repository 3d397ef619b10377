//! Closed months.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{
    BigInt, Binary, Date, Integer, Jsonb, Nullable, Numeric, Timestamptz, Uuid as SqlUuid,
};
use serde_json::Value;

use super::error::StoreError;
use super::list::each_window;
use super::rows::{ClosedMonthRow, select_list};
use super::seals::Sealer;
use super::statement::{Columns, Statement};
use super::{Conn, execute, rows, select_from};
use crate::domain::closing::{ClosedMonth, Month};
use crate::domain::ids::{AccountId, BillId};

/// The closed months of accounts that overlap a window of each; none is longer than 40 days.
pub async fn closed_overlapping(
    conn: Conn<'_>,
    windows: &[(AccountId, Month)],
) -> Result<Vec<ClosedMonth>, StoreError> {
    let select = Statement::new("SELECT ").sql(select_list::<ClosedMonthRow>("t."));
    let statement = each_window(select, windows.iter().copied()).sql(
        "(SELECT * FROM closed_months t WHERE t.account_id = k.account_id AND t.start_time < k.end_time \
         AND t.end_time > k.start_time AND t.start_time > k.start_time - interval '40 days' \
         ORDER BY t.start_time DESC LIMIT 10) t",
    );
    rows::<ClosedMonthRow>(conn, statement).await
}

/// The closed month of an account that an instant lies in, and its neighbours: the one before and the one after.
pub async fn closed_around(
    conn: Conn<'_>,
    account: AccountId,
    instant: DateTime<Utc>,
) -> Result<Vec<ClosedMonth>, StoreError> {
    let up_to = select_from::<ClosedMonthRow>("closed_months")
        .sql(" WHERE account_id = ")
        .bigint(account.0)
        .sql(" AND start_time <= ")
        .instant(instant)
        .sql(" ORDER BY start_time DESC LIMIT 2");
    let after = select_from::<ClosedMonthRow>("closed_months")
        .sql(" WHERE account_id = ")
        .bigint(account.0)
        .sql(" AND start_time > ")
        .instant(instant)
        .sql(" ORDER BY start_time LIMIT 1");
    let mut found = rows::<ClosedMonthRow>(conn, up_to).await?;
    found.extend(rows::<ClosedMonthRow>(conn, after).await?);
    Ok(found)
}

/// The closed month of an account that was that calendar month; of several the first.
pub async fn closed_of_period(
    conn: Conn<'_>,
    account: AccountId,
    period: NaiveDate,
) -> Result<Option<ClosedMonth>, StoreError> {
    let statement = select_from::<ClosedMonthRow>("closed_months")
        .sql(" WHERE account_id = ")
        .bigint(account.0)
        .sql(" AND period = ")
        .value::<Date, _>(period)
        .sql(" ORDER BY start_time LIMIT 1");
    Ok(rows::<ClosedMonthRow>(conn, statement).await?.pop())
}

pub async fn closed_put(
    conn: Conn<'_>,
    closed: &BTreeMap<(AccountId, DateTime<Utc>), ClosedMonth>,
    seals: &Sealer<'_>,
) -> Result<(), StoreError> {
    let months = || closed.values();
    let statement = Columns::new()
        .column::<BigInt, _>("account_id", months().map(|c| c.account.0))
        .column::<Timestamptz, _>("start_time", months().map(|c| c.month.start))
        .column::<Timestamptz, _>("end_time", months().map(|c| c.month.end))
        .column::<Date, _>("period", months().map(|c| c.period))
        .column::<Integer, _>("revision", months().map(|c| c.revision))
        .column::<BigInt, _>("usage_version", months().map(|c| c.usage_version))
        .column::<Nullable<SqlUuid>, _>("bill_id", months().map(|c| c.bill.map(BillId::uuid)))
        .column::<Numeric, _>("usage_amount", months().map(|c| c.usage_amount))
        .column::<Numeric, _>("amount", months().map(|c| c.amount))
        .column::<Numeric, _>("billed_amount", months().map(|c| c.billed_amount))
        .column::<Numeric, _>("withheld_amount", months().map(|c| c.withheld_amount))
        .column::<Numeric, _>("forgiven_amount", months().map(|c| c.forgiven_amount))
        .column::<Jsonb, _>("unrated", months().map(|c| Value::from(c.unrated.clone())))
        .column::<Timestamptz, _>("closed_at", months().map(|c| c.closed_at))
        .column::<Nullable<Binary>, _>("seal", months().map(|c| seals.seal(c)))
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
