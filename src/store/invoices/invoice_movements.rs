//! What was paid in months of accounts, as invoices see it: read by ranges of ids, which begin with the instant
//! (docs/adr/0002).

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Bool, Nullable, Numeric, Text, Uuid as SqlUuid};
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::domain::closing::Month;
use crate::domain::ids::{AccountId, BillId, OwnedId, PrepaymentId};
use crate::domain::invoice::{BurstPart, HeldUp, Movement, Original, Prepaid};
use crate::domain::money::CurrencyCode;
use crate::domain::transaction::{Direction, TransactionKind, TransactionStatus};
use crate::store::error::StoreError;
use crate::store::sql::row::answered;
use crate::store::sql::statement::Statement;
use crate::store::{Conn, rows};

/// A month with more movements than this has no invoice.
const MOVEMENTS_MAX: usize = 10_000;
/// Rates of a month of burst, for each resource and currency, may be as many as its cycles.
const BURST_PARTS_MAX: usize = 50_000;

/// What happened in a month: its movements, oldest first, and its burst.
pub type Happened = Result<(Vec<Movement>, Vec<BurstPart>), HeldUp>;

/// What one of the currency of a transaction `t` was worth in US dollars at an instant, an expression.
fn rate_at(instant: &str) -> String {
    format!(
        "LEFT JOIN LATERAL (SELECT r.rate FROM exchange_rates r WHERE r.base = t.currency AND r.quote = 'USD' \
         AND r.observed_at <= {instant} ORDER BY r.observed_at DESC, r.id DESC LIMIT 1) r ON true"
    )
}

/// What a transaction `t` gives back from is `o`, and if that gave back itself, that is from `f`; what credits for a bill that
/// it corrects takes back from the payment `w` of that bill.
const TAKEN_BACK: &str = "LEFT JOIN LATERAL (SELECT o.kind, o.description, o.refund_of, o.created_at FROM transactions o \
    WHERE o.account_id = t.account_id AND o.id = t.refund_of LIMIT 1) o ON true \
    LEFT JOIN LATERAL (SELECT f.created_at FROM transactions f \
    WHERE f.account_id = t.account_id AND f.id = o.refund_of LIMIT 1) f ON true \
    LEFT JOIN LATERAL (SELECT w.created_at FROM bills c JOIN bills b ON b.account_id = c.account_id AND b.id = c.correction_of \
    JOIN transactions w ON w.account_id = b.account_id AND w.id = b.paid_by \
    WHERE c.account_id = t.account_id AND c.id = t.bill_id AND t.credit_ledger = 'customer' LIMIT 1) w ON true ";

/// When it was paid, or what it takes back was.
const PAID_AT: &str = "coalesce(f.created_at, o.created_at, w.created_at, t.created_at)";

/// Reads months; the answers are in their order.
pub async fn happened(conn: Conn<'_>, months: &[(AccountId, Month)]) -> Result<Vec<Happened>, StoreError> {
    let mut all: Vec<Happened> = months.iter().map(|_| Ok((Vec::new(), Vec::new()))).collect();
    if months.is_empty() {
        return Ok(all);
    }
    for Placed { place, what: movement } in movements(conn, months).await? {
        let month = at_place(&mut all, place);
        if let Some(Ok((movements, _))) = month {
            movements.push(movement);
        }
    }
    for Placed { place, what: part } in burst_parts(conn, months).await? {
        if let Some(Ok((_, burst))) = at_place(&mut all, place) {
            burst.push(part);
        }
    }
    let is_too_much = |happened: &Happened| {
        happened
            .as_ref()
            .is_ok_and(|(movements, burst)| movements.len() > MOVEMENTS_MAX || burst.len() > BURST_PARTS_MAX)
    };
    for happened in all.iter_mut().filter(|happened| is_too_much(happened)) {
        *happened = Err(HeldUp::TooMany);
    }
    Ok(all)
}

/// Places are counted from 1.
fn at_place(all: &mut [Happened], place: i64) -> Option<&mut Happened> {
    all.get_mut(usize::try_from(place.checked_sub(1)?).ok()?)
}

/// Goes on with the months as the outer side of a look-up: `k`, each with its place.
fn each_month<ST>(select: Statement<ST>, months: &[(AccountId, Month)]) -> Statement<ST> {
    let first = |instant: DateTime<Utc>| OwnedId::first_at(instant).uuid();
    let accounts: Vec<i64> = months.iter().map(|(account, _)| account.0).collect();
    let begins: Vec<Uuid> = months.iter().map(|(_, month)| first(month.start)).collect();
    let ends: Vec<Uuid> = months.iter().map(|(_, month)| first(month.end)).collect();
    select
        .sql(" FROM UNNEST(")
        .accounts(accounts)
        .sql(", ")
        .keys::<SqlUuid, _>(begins)
        .sql(", ")
        .keys::<SqlUuid, _>(ends)
        .sql(") WITH ORDINALITY k (account_id, first_id, end_id, place) CROSS JOIN LATERAL ")
}

const OF_MONTH: &str = "t.account_id = k.account_id AND t.id >= k.first_id AND t.id < k.end_id";

/// Something of the month that has this place among those asked for.
struct Placed<T> {
    place: i64,
    what: T,
}

answered! {
    Placed<Movement> {
        place: i64 as BigInt,
        kind: TransactionKind as Text,
        status: TransactionStatus as Text,
        currency: CurrencyCode as Text,
        amount: Decimal as Numeric,
        is_credit: bool as Bool,
        description: String as Text,
        bill: Option<BillId> as Nullable<SqlUuid>,
        original_kind: Option<TransactionKind> as Nullable<Text>,
        original_description: Option<String> as Nullable<Text>,
        prepayment: Option<PrepaymentId> as Nullable<SqlUuid>,
        prepaid_amount: Option<Decimal> as Nullable<Numeric>,
        prepaid_usd: Option<Decimal> as Nullable<Numeric>,
        icon_url: Option<String> as Nullable<Text>,
        project: Option<String> as Nullable<Text>,
        rate: Option<Decimal> as Nullable<Numeric>,
    }
    {
        let original =
            original_kind.zip(original_description).map(|(kind, description)| Original { kind, description });
        let prepaid = match (prepayment, prepaid_amount, prepaid_usd) {
            (Some(id), Some(amount), Some(usd)) => Some(Prepaid { id, amount, usd, icon_url, project }),
            _ => None,
        };
        let direction = if is_credit { Direction::Credit } else { Direction::Debit };
        let what =
            Movement { kind, status, currency, amount, direction, description, bill, original, prepaid, rate };
        Self { place, what }
    }
}

answered! {
    Placed<BurstPart> {
        place: i64 as BigInt,
        resource: String as Text,
        currency: CurrencyCode as Text,
        amount: Decimal as Numeric,
        rate: Option<Decimal> as Nullable<Numeric>,
    }
    Self { place, what: BurstPart { resource, currency, amount, rate } }
}

async fn movements(
    conn: Conn<'_>,
    months: &[(AccountId, Month)],
) -> Result<Vec<Placed<Movement>>, StoreError> {
    let select = Statement::new(
        "SELECT k.place, t.kind, t.status, t.currency, t.amount, t.credit_ledger = 'customer', t.description, t.bill_id, \
         o.kind, o.description, p.id, p.amount, p.usd, p.icon_url, p.project_name, r.rate",
    );
    let statement = each_month(select, months)
        .sql(format!(
            "(SELECT * FROM transactions t WHERE {OF_MONTH} AND t.kind NOT IN ('BURST', 'RECHARGE', 'ADJUSTMENT') \
             ORDER BY t.id LIMIT "
        ))
        .bigint(i64::try_from(MOVEMENTS_MAX).unwrap_or(i64::MAX).saturating_add(1))
        .sql(") t ")
        .sql(TAKEN_BACK)
        .sql(
            "LEFT JOIN LATERAL (SELECT p.id, p.amount, p.usd, p.icon_url, p.project_name FROM prepayments p \
             WHERE p.account_id = t.account_id AND p.transaction_id = coalesce(t.refund_of, t.id) \
             AND 'PREPAYMENT' IN (t.kind, o.kind) LIMIT 1) p ON true ",
        )
        .sql(rate_at(PAID_AT))
        .sql(" ORDER BY k.place, t.id");
    rows::<Placed<Movement>>(conn, statement).await
}

async fn burst_parts(
    conn: Conn<'_>,
    months: &[(AccountId, Month)],
) -> Result<Vec<Placed<BurstPart>>, StoreError> {
    let select =
        Statement::new("SELECT k.place, coalesce(s.name, b.description), b.currency, b.amount, b.rate");
    let statement = each_month(select, months)
        .sql(format!(
            "(SELECT t.description, t.currency, sum(t.amount) AS amount, r.rate FROM transactions t {} \
             WHERE {OF_MONTH} AND t.kind = 'BURST' AND t.status IN ('FINISHED', 'REFUNDED') \
             GROUP BY t.description, t.currency, r.rate LIMIT ",
            rate_at("t.created_at")
        ))
        .bigint(i64::try_from(BURST_PARTS_MAX).unwrap_or(i64::MAX).saturating_add(1))
        .sql(") b LEFT JOIN resources s ON s.code = b.description");
    rows::<Placed<BurstPart>>(conn, statement).await
}
