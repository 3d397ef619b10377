//! What the bills that a filter matches come to.

use diesel::sql_types::{BigInt, Nullable, Numeric, Text};
use diesel_async::RunQueryDsl;

use crate::domain::bill::BillStatus;
use crate::domain::money::{CurrencyCode, Money};
use crate::domain::viewer::Scope;
use crate::store::Conn;
use crate::store::bills::bill_filter::{BillFilter, Counted};
use crate::store::error::StoreError;
use crate::store::list::{self, Narrow};
use crate::store::sql::numeric::Exact;
use crate::store::sql::statement::Statement;

/// What a filter's bills come to: counts that leave its status out, and the sums of what it matches, by currency.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BillSums {
    pub paid: i64,
    pub unpaid: i64,
    pub amounts: Vec<Money>,
}

impl BillSums {
    /// With those of another cell.
    pub fn add(&mut self, other: Self) {
        self.paid = self.paid.saturating_add(other.paid);
        self.unpaid = self.unpaid.saturating_add(other.unpaid);
        for money in other.amounts {
            match self.amounts.iter_mut().find(|known| known.currency == money.currency) {
                Some(known) => known.amount = known.amount.saturating_add(money.amount),
                None => self.amounts.push(money),
            }
        }
        self.amounts.sort_by_key(|money| money.currency);
    }
}

/// So many bills are looked at for what they come to.
const SUMMED_MAX: i64 = 100_000;

pub async fn bill_sums(
    mut conn: Conn<'_>,
    scope: Scope,
    filter: &BillFilter,
) -> Result<BillSums, StoreError> {
    let any_status = BillFilter { status: None, ..filter.clone() };
    let all = Statement::<BigInt>::new("SELECT count(*) FROM (SELECT 1 FROM bills t WHERE ");
    let all = Counted(&any_status)
        .along(scope, list::of_owners(all, scope))
        .sql(" LIMIT ")
        .bigint(SUMMED_MAX.saturating_add(1));
    if all.sql(") t").get_result::<i64>(&mut conn).await? > SUMMED_MAX {
        let message =
            format!("more than {SUMMED_MAX} bills would have to be added up: ask for less, or without it");
        return Err(StoreError::TooMuch { argument: "summary", message });
    }
    let statement = Statement::<(Text, BigInt, BigInt, BigInt, Numeric)>::new(
        "SELECT t.currency, count(*) FILTER (WHERE t.status = 'PAID'), \
         count(*) FILTER (WHERE t.status IN ('UNPAID', 'OVERDUE')), \
         count(*) FILTER (WHERE t.status = w.status OR w.status IS NULL), \
         coalesce(sum(t.amount) FILTER (WHERE t.status = w.status OR w.status IS NULL), 0) \
         FROM bills t CROSS JOIN (SELECT ",
    )
    .value::<Nullable<Text>, _>(filter.status.map(BillStatus::code))
    .sql("::text AS status) w WHERE ")
    .then(|statement| list::of_owners(statement, scope))
    .then(|statement| any_status.kept(scope, Counted(&any_status).along(scope, statement)))
    .sql(" GROUP BY t.currency ORDER BY t.currency");
    let found: Vec<(String, i64, i64, i64, Exact)> = statement.load(&mut conn).await?;
    let mut sums = BillSums::default();
    for (currency, paid, unpaid, matching, Exact(amount)) in found {
        let unknown = || StoreError::Corrupt(format!("currency \"{currency}\""));
        let currency = CurrencyCode::parse(&currency).ok_or_else(unknown)?;
        sums.paid = sums.paid.saturating_add(paid);
        sums.unpaid = sums.unpaid.saturating_add(unpaid);
        if matching > 0 {
            sums.amounts.push(Money::new(amount, currency));
        }
    }
    Ok(sums)
}
