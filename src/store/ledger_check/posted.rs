//! Whether bills, orders, payments and keys say what was posted. Each question answers whom it finds, and what is wrong.

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use super::{Look, Report, Told};
use crate::domain::ids::AccountId;
use crate::store::accounts::account_range::Range;
use crate::store::error::StoreError;
use crate::store::sql::statement::Statement;

/// What must not be found: the kind of fault, and who has it. `{range}` stands for ` BETWEEN first AND last`, `{now}` for the
/// server's time.
struct Question {
    kind: &'static str,
    sql: &'static str,
}

/// Faults of one kind that are told of at once.
const FOUND_MAX: i64 = 200;

const QUESTIONS: &[Question] = &[
    Question {
        kind: "BILL",
        sql: "SELECT b.account_id, 'bill ' || b.number || ' of ' || b.amount || ' is PAID, and no transaction paid that' \
              FROM bills b LEFT JOIN transactions t ON t.account_id = b.account_id AND t.id = b.paid_by \
              WHERE b.account_id{range} AND b.status = 'PAID' AND b.amount <> 0 AND (t.id IS NULL \
              OR t.bill_id IS DISTINCT FROM b.id OR t.order_id IS DISTINCT FROM b.order_id OR t.amount <> abs(b.amount) \
              OR t.currency <> b.currency OR t.status NOT IN ('FINISHED', 'REFUNDED') \
              OR 'customer' <> CASE WHEN b.amount > 0 THEN t.debit_ledger ELSE t.credit_ledger END)",
    },
    Question {
        kind: "BILL",
        sql: "SELECT b.account_id, 'bill ' || b.number || ' is ' || b.status || ', and was paid' FROM bills b \
              WHERE b.account_id{range} AND b.status <> 'PAID' AND (b.paid_by IS NOT NULL OR b.last_paid_at IS NOT NULL)",
    },
    Question {
        kind: "BILL",
        sql: "SELECT t.account_id, 'transaction ' || t.id || ' is of a bill that it did not pay' FROM transactions t \
              LEFT JOIN bills b ON b.account_id = t.account_id AND b.id = t.bill_id \
              WHERE t.account_id{range} AND t.kind IN ('CHECKOUT', 'BILL_PAYMENT', 'RENEWAL') \
              AND b.paid_by IS DISTINCT FROM t.id",
    },
    Question {
        kind: "BILL",
        sql: "SELECT b.account_id, 'bill ' || b.number || ' says that ' || b.refunded_amount || ' were given back, its payment ' \
              || coalesce(t.refunded_amount, 0) FROM bills b \
              LEFT JOIN transactions t ON t.account_id = b.account_id AND t.id = b.paid_by \
              WHERE b.account_id{range} AND b.refunded_amount <> coalesce(t.refunded_amount, 0)",
    },
    Question {
        kind: "BILL",
        sql: "SELECT b.account_id, 'bill ' || b.number || ' is of an order that is not there' FROM bills b \
              LEFT JOIN orders o ON o.account_id = b.account_id AND o.id = b.order_id \
              WHERE b.account_id{range} AND b.order_id IS NOT NULL AND o.id IS NULL",
    },
    Question {
        kind: "BILL",
        sql: "SELECT b.account_id, 'bill ' || b.number || ' is of a month that was not closed' FROM bills b \
              LEFT JOIN LATERAL (SELECT 1 AS there FROM closed_months m WHERE m.account_id = b.account_id AND m.bill_id = b.id \
              LIMIT 1) m ON true WHERE b.account_id{range} AND b.order_id IS NULL AND b.correction_of IS NULL AND m.there IS NULL",
    },
    Question {
        kind: "BILL",
        sql: "SELECT b.account_id, 'bill ' || b.number || ' asks for ' || b.cycle_amount || ', its records for ' || r.price \
              FROM bills b JOIN currency_scales c ON c.code = b.currency \
              CROSS JOIN LATERAL (SELECT coalesce(sum(price), 0) AS price FROM metered_records \
              WHERE account_id = b.account_id AND bill_id = b.id) r \
              WHERE b.account_id{range} AND b.order_id IS NULL AND b.correction_of IS NULL \
              AND b.cycle_amount <> round(r.price, c.display_scale)",
    },
    Question {
        kind: "REFUND",
        sql: "SELECT t.account_id, 'transaction ' || t.id || ' says that ' || t.refunded_amount || ' were given back; that was ' \
              || coalesce(t.back, 0) FROM (SELECT t.account_id, t.id, t.refunded_amount, \
              CASE WHEN charge.id IS NULL THEN (SELECT sum(r.amount) FROM transactions r \
              WHERE r.account_id = t.account_id AND r.refund_of = t.id) \
              ELSE coalesce((SELECT sum(p.amount) FROM payments p WHERE p.account_id = t.account_id \
              AND p.refund_of = charge.id AND p.state <> 'FAILED'), 0) \
              + coalesce((SELECT sum(v.booked - v.beyond) FROM reversals v WHERE v.account_id = t.account_id \
              AND v.payment_id = charge.id AND v.currency = charge.currency), 0) END AS back FROM transactions t \
              LEFT JOIN LATERAL (SELECT p.id, p.currency FROM payments p WHERE p.account_id = t.account_id \
              AND p.transaction_id = t.id AND p.purpose <> 'REFUND' LIMIT 1) charge ON true \
              WHERE t.account_id{range}) t WHERE t.refunded_amount <> coalesce(t.back, 0)",
    },
    Question {
        kind: "REFUND",
        sql: "SELECT t.account_id, 'transaction ' || t.id || ' is ' || t.status || ', and ' || t.refunded_amount || ' of ' \
              || t.amount || ' were given back' FROM transactions t WHERE t.account_id{range} \
              AND t.status IN ('FINISHED', 'REFUNDED') AND (t.status = 'REFUNDED') <> (t.refunded_amount = t.amount)",
    },
    Question {
        kind: "ORDER",
        sql: "SELECT o.account_id, 'order ' || o.number || ' ends at ' || o.expires_at || ', and its last period at ' \
              || coalesce(b.end_time::text, 'no time') \
              FROM orders o CROSS JOIN LATERAL (SELECT max(end_time) AS end_time FROM bills \
              WHERE account_id = o.account_id AND order_id = o.id) b \
              WHERE o.account_id{range} AND o.expires_at IS NOT NULL AND o.bill_period <> 'HOUR' \
              AND o.expires_at IS DISTINCT FROM b.end_time",
    },
    Question {
        kind: "ORDER",
        sql: "SELECT r.account_id, 'record ' || r.id || ' is of an order that is not there' FROM metered_records r \
              LEFT JOIN orders o ON o.account_id = r.account_id AND o.id = r.order_id \
              WHERE r.account_id{range} AND r.order_id IS NOT NULL AND o.id IS NULL",
    },
    Question {
        kind: "PAYMENT",
        sql: "SELECT p.account_id, 'payment ' || p.id || ' has succeeded, and no transaction is of it' FROM payments p \
              LEFT JOIN transactions t ON t.account_id = p.account_id AND t.id = p.transaction_id \
              WHERE p.account_id{range} AND p.state = 'SUCCEEDED' AND (t.id IS NULL OR t.amount <> p.amount \
              OR t.currency <> p.currency OR 'cash:' || p.provider <> CASE WHEN p.purpose = 'REFUND' THEN t.credit_ledger \
              ELSE t.debit_ledger END)",
    },
    Question {
        kind: "PAYMENT",
        sql: "SELECT p.account_id, 'prepayment ' || p.id || ' is ' || p.status || ', and no transaction paid it' \
              FROM prepayments p LEFT JOIN transactions t ON t.account_id = p.account_id AND t.id = p.transaction_id \
              WHERE p.account_id{range} AND p.status IN ('PAID', 'BOUND') AND (t.id IS NULL OR t.kind <> 'PREPAYMENT' \
              OR t.currency <> p.currency)",
    },
    Question {
        kind: "KEY",
        sql: "SELECT k.account_id, 'key ' || k.key || ' names what is not there' FROM idempotency_keys k \
              LEFT JOIN transactions t ON t.account_id = k.account_id AND t.id = k.transaction_id \
              LEFT JOIN orders o ON o.account_id = k.account_id AND o.id = k.order_id \
              LEFT JOIN bills b ON b.account_id = k.account_id AND b.id = k.bill_id \
              LEFT JOIN payments p ON p.account_id = k.account_id AND p.id = k.payment_id \
              LEFT JOIN prepayments y ON y.account_id = k.account_id AND y.id = k.prepayment_id \
              LEFT JOIN approvals a ON a.account_id = k.account_id AND a.id = k.approval_id \
              WHERE k.account_id{range} AND ((t.id IS NULL AND k.transaction_id IS NOT NULL) \
              OR (o.id IS NULL AND k.order_id IS NOT NULL) OR (b.id IS NULL AND k.bill_id IS NOT NULL) \
              OR (p.id IS NULL AND k.payment_id IS NOT NULL) OR (y.id IS NULL AND k.prepayment_id IS NOT NULL) \
              OR (a.id IS NULL AND k.approval_id IS NOT NULL))",
    },
    // Keys are kept for 90 days at least (KEYS_KEPT_LEAST).
    Question {
        kind: "KEY",
        sql: "SELECT m.account_id, 'transaction ' || m.id || ' was asked for, and its key is gone' FROM (\
              SELECT t.account_id, t.id FROM transactions t WHERE t.account_id{range} AND (t.kind IN ('CHECKOUT', 'PAYOUT') \
              OR (t.kind = 'RECHARGE' AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.account_id = t.account_id \
              AND p.transaction_id = t.id))) \
              AND t.created_at > {now} - interval '90 days' \
              EXCEPT SELECT k.account_id, k.transaction_id FROM idempotency_keys k \
              WHERE k.account_id{range} AND k.transaction_id IS NOT NULL) m",
    },
    // Printed numbers are made of ids (src/domain/ids.rs).
    Question {
        kind: "NUMBER",
        sql: "SELECT o.account_id, 'order ' || o.id || ' bears the number ' || o.number FROM orders o WHERE o.account_id{range} \
              AND o.number <> 'O' || o.account_id || '-' || to_char(o.created_at AT TIME ZONE 'UTC', 'YYYYMMDD') || '-' \
              || (('x' || right(o.id::text, 8))::bit(32)::bigint & 536870911)",
    },
    Question {
        kind: "NUMBER",
        sql: "SELECT b.account_id, 'bill ' || b.id || ' bears the number ' || b.number FROM bills b WHERE b.account_id{range} \
              AND b.number <> 'B' || b.account_id || '-' || to_char(b.created_at AT TIME ZONE 'UTC', 'YYYYMMDD') || '-' \
              || (('x' || right(b.id::text, 8))::bit(32)::bigint & 536870911)",
    },
];

/// Asks all questions of the accounts of a range.
pub(super) async fn check(look: Look<'_>, range: Range, report: &mut Report) -> Result<(), StoreError> {
    for question in QUESTIONS {
        let began = Instant::now();
        let found: Vec<(i64, String)> = asking(question, range, look.now).load(&mut &*look.conn).await?;
        for (owner, message) in found {
            report.fault(AccountId(owner), question.kind, message);
        }
        look.pace.rest(began).await;
    }
    Ok(())
}

fn asking(question: &Question, range: Range, now: DateTime<Utc>) -> Statement<Told> {
    // What cannot be told whole, as a part of it is missing, is a fault all the same.
    let mut whole = Statement::<Told>::new(
        "SELECT f.owner, coalesce(f.message, 'a row does not say what was posted') FROM (",
    );
    for (place, part) in question.sql.split("{range}").enumerate() {
        if place > 0 {
            whole = range.restrict(whole);
        }
        whole = match part.split_once("{now}") {
            Some((before, after)) => whole.sql(before).instant(now).sql(after),
            None => whole.sql(part),
        };
    }
    whole.sql(") f (owner, message) LIMIT ").bigint(FOUND_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::retention::KEYS_KEPT_LEAST;

    #[test]
    fn keys_are_asked_for_as_long_as_none_is_removed() {
        let days = format!("interval '{} days'", KEYS_KEPT_LEAST.num_days());
        let of_keys = QUESTIONS.iter().filter(|question| question.kind == "KEY");
        assert!(of_keys.clone().any(|question| question.sql.contains(&days)));
        assert!(of_keys.filter(|question| question.sql.contains("interval")).count() == 1);
        // As the database has it.
        let migration = include_str!("../../../migrations/2026-11-30-000035_retention/up.sql");
        assert!(migration.contains(&format!("before > abacus_now() - {days}")));
    }
}
