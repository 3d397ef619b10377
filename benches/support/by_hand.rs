//! The statements of one checkout, as the engine sends them, each in one transaction of tokio-postgres.

use std::ops::Range;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, Statement};

use super::purchases::{PLAN, number};
use super::{Latencies, scatter, seconds};

const STATEMENTS: [&str; 11] = [
    "SELECT id, balance, credit_limit, last_no, last_entry_seq, last_entry_hash FROM accounts WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE",
    "SELECT t.account_id, t.key, t.fingerprint FROM UNNEST($1::bigint[], $2::text[]) k (account_id, key) CROSS JOIN LATERAL (SELECT * FROM idempotency_keys t WHERE t.account_id = k.account_id AND t.key = k.key LIMIT 1) t",
    "SELECT id, name, price FROM plans WHERE id = ANY($1::uuid[])",
    "SELECT account_id, id FROM orders WHERE exclusive AND state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED') AND account_id = ANY($1::bigint[])",
    "SELECT t.account_id, t.id FROM orders o CROSS JOIN LATERAL (SELECT * FROM bills t WHERE t.account_id = o.account_id AND t.order_id = o.id LIMIT 100) t WHERE o.exclusive AND o.state IN ('UNPAID', 'ACTIVE', 'EXPIRING', 'SUSPENDED') AND o.account_id = ANY($1::bigint[])",
    "UPDATE accounts SET balance = balance - 0.12, last_no = last_no + 3, last_entry_seq = last_entry_seq + 1, purchased = true WHERE id = ANY($1::bigint[])",
    "INSERT INTO orders (account_id, id, number, name, type, state, plan_id, exclusive, quantity, region, resource_type, product_name, bill_period, currency, price, seq, seq_count, auto_renewal, created_at) SELECT a, $2::uuid, 'O1001-20261121-17', 'Plan A', 'NEW', 'ACTIVE', $3::uuid, false, 1, 'cn-north-1', 'CLOUD', 'Plan A', 'MONTH', 'CNY', 0.12, 1, 1, false, now() FROM UNNEST($1::bigint[]) a",
    "INSERT INTO bills (account_id, id, number, order_id, status, currency, amount, once_amount, cycle_amount, credit_amount, start_time, end_time, seq, seq_count, due_at, created_at) SELECT a, $2::uuid, 'B1001-20261121-18', $2::uuid, 'PAID', 'CNY', 0.12, 0, 0.12, 0, now(), now(), 1, 1, now(), now() FROM UNNEST($1::bigint[]) a",
    "INSERT INTO transactions (account_id, id, kind, status, currency, amount, debit_ledger, credit_ledger, description, payment_method, order_id, bill_id, balance_after, created_at) SELECT a, $2::uuid, 'CHECKOUT', 'FINISHED', 'CNY', 0.12, 'customer', 'revenue:checkout', 'Plan A', 'balance', $2::uuid, $2::uuid, 1, now() FROM UNNEST($1::bigint[]) a",
    "INSERT INTO ledger_entries (account_id, id, seq, time, currency, amount, initial, \"end\", reason, hash) SELECT a.id, $2::uuid, a.last_entry_seq, now(), 'CNY', 0.12, 0, -0.12, 'Plan A, order O1001-20261121-17', '\\x00' FROM accounts a WHERE a.id = ANY($1::bigint[])",
    "INSERT INTO idempotency_keys (account_id, key, mutation, fingerprint, order_id, created_at) SELECT a, $2::text, 'checkout', '\\x00', $3::uuid, now() FROM UNNEST($1::bigint[]) a",
];

/// A connection that checks out by hand. What it writes is not sealed: its accounts are nobody else's.
pub struct ByHand {
    client: Client,
    prepared: Vec<Statement>,
    plan: uuid::Uuid,
}

impl ByHand {
    pub async fn new(client: Client) -> Self {
        let mut prepared = Vec::new();
        for statement in STATEMENTS {
            prepared.push(client.prepare(statement).await.expect("the statement is right"));
        }
        Self { client, prepared, plan: uuid::Uuid::parse_str(PLAN).expect("an id") }
    }

    /// Whoever has the account at the time is waited for.
    pub async fn checkout(&mut self, account: u64) {
        let (number, plan, prepared) = (number(), self.plan, &self.prepared);
        let account = vec![account as i64];
        let id = uuid::Uuid::from_u128(u128::from(number) << 80 | 0x7000_8000_0000_0000_0000);
        let (key, keys) = (format!("hand-{number}"), vec![format!("hand-{number}")]);
        let transaction = self.client.transaction().await.unwrap();
        transaction.query(&prepared[0], &[&account]).await.unwrap();
        transaction.query(&prepared[1], &[&account, &keys]).await.unwrap();
        transaction.query(&prepared[2], &[&vec![plan]]).await.unwrap();
        transaction.query(&prepared[3], &[&account]).await.unwrap();
        transaction.query(&prepared[4], &[&account]).await.unwrap();
        transaction.execute(&prepared[5], &[&account]).await.unwrap();
        transaction.execute(&prepared[6], &[&account, &id, &plan]).await.unwrap();
        for statement in &prepared[7..10] {
            transaction.execute(statement, &[&account, &id]).await.unwrap();
        }
        transaction.execute(&prepared[10], &[&account, &key, &id]).await.unwrap();
        transaction.commit().await.unwrap();
    }

    /// The median latency of one connection that checks out for accounts at random.
    pub async fn median_latency(client: Client, accounts: Range<u64>) -> Duration {
        let mut hand = Self::new(client).await;
        let mut latencies = Latencies::new();
        let until = Instant::now() + Duration::from_secs(seconds());
        while Instant::now() < until {
            let account = accounts.start + scatter(number()) % (accounts.end - accounts.start);
            let started = Instant::now();
            hand.checkout(account).await;
            latencies.record(started.elapsed());
        }
        latencies.median()
    }
}
