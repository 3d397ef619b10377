//! Accounts that buy a plan over HTTP.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abacus::domain::ids::AccountId;
use abacus::store::accounts::account_range;
use abacus::store::database::Database;
use abacus::store::seals::seal_what_is_not;
use futures_util::FutureExt;

use super::{HttpClient, customer_token, find, token_key};

/// Of a month for 0.12 CNY.
pub const PLAN: &str = "01a1fcafc01673008bfc8bbffe0c23f8";

const SEALED_AT_ONCE: u64 = 1_000;

/// The next number that nothing else in this process has.
pub fn number() -> u64 {
    static NUMBERS: AtomicU64 = AtomicU64::new(0);
    NUMBERS.fetch_add(1, Ordering::Relaxed)
}

/// Accounts that may owe whatever they buy.
pub async fn sow_accounts(client: &tokio_postgres::Client, accounts: Range<u64>) {
    let (first, last) = (accounts.start, accounts.end - 1);
    let script = format!(
        "INSERT INTO accounts (id, namespace, name, kind, status, currency, time_zone, balance, credit_limit, created_at)
            SELECT i, 'bench-' || i, 'Bench', 'MAIN', 'ACTIVE', 'CNY', 'Asia/Shanghai', 0, 99999999, now()
            FROM generate_series({first}, {last}) i;
         INSERT INTO namespaces SELECT namespace, id FROM accounts WHERE id BETWEEN {first} AND {last}"
    );
    client.batch_execute(&script).await.expect("accounts");
}

pub async fn sow_plan(client: &tokio_postgres::Client) {
    let script = format!(
        "INSERT INTO plans (id, name, type, region, resource_type, currency, price, bill_period, description, created_at)
            VALUES ('{PLAN}', 'Plan A', 'C', 'cn-north-1', 'CLOUD', 'CNY', 0.12, 'MONTH', '', now())"
    );
    client.batch_execute(&script).await.expect("a plan");
}

/// The accounts are as if the server had made them.
pub async fn seal_accounts(database: &Database, accounts: Range<u64>) {
    let id = |number: u64| AccountId(i64::try_from(number).expect("an account's number"));
    let mut first = accounts.start;
    while first < accounts.end {
        let end = accounts.end.min(first + SEALED_AT_ONCE);
        let range = account_range::Range { first: id(first), last: id(end - 1) };
        let of = database.clone();
        let sealing = database.write(move |connection| {
            async move { seal_what_is_not(connection, of.topology(), range, of.keys()).await }.boxed()
        });
        assert_eq!(sealing.await.expect("they are sealed"), (end - first) as i64);
        first = end;
    }
}

/// The tokens of customers, in the order of their accounts.
pub fn customer_tokens(accounts: Range<u64>) -> Arc<Vec<String>> {
    let key = token_key();
    Arc::new(accounts.map(|account| customer_token(&key, &format!("bench-{account}"))).collect())
}

/// A purchase that nobody has asked for before.
pub fn checkout(token: &str) -> Vec<u8> {
    let key = number();
    let body = format!(
        r#"{{"query":"mutation Buy($input: CheckoutInput!) {{ checkout(input: $input) {{ order {{ id number state }} account {{ balance {{ amount }} }} userErrors {{ code message }} }} }}","variables":{{"input":{{"planId":"pln_{PLAN}","region":"cn-north-1","idempotencyKey":"bench-{key}"}}}}}}"#
    );
    HttpClient::request(token, &body)
}

/// Money for an account that nobody has asked for before, by an operator.
pub fn recharge(operator: &str, account: u64) -> Vec<u8> {
    let key = number();
    let body = format!(
        r#"{{"query":"mutation Pay($input: RechargeInput!) {{ recharge(input: $input) {{ transaction {{ id status }} account {{ balance {{ amount }} }} userErrors {{ code message }} }} }}","variables":{{"input":{{"accountId":"acc_{account}","amount":"0.12","idempotencyKey":"bench-{key}"}}}}}}"#
    );
    HttpClient::request(operator, &body)
}

pub fn is_done(answer: &[u8]) -> bool {
    find(answer, br#""userErrors":[]"#).is_some()
}

pub fn require_done(answer: &[u8]) {
    assert!(is_done(answer), "{}", String::from_utf8_lossy(answer));
}
