//! An account with its newest orders and the bills of each: over HTTP, and as one SQL statement.

use std::ops::Range;

use super::{HttpClient, find};

pub const ORDERS: usize = 10;
pub const BILLS: usize = 5;

const QUERY: &str = "query($id: ID!) { account(id: $id) { id orders(first: 10) { nodes { id state bills(first: 5) { nodes { id status amount { amount } } } } } } }";

/// A script for pgbench that reads the same of one of these accounts.
pub fn pgbench_script(accounts: Range<u64>) -> String {
    format!(
        "\\set id random({}, {})
SELECT a.id, o.id, o.state, b.id, b.status, b.amount FROM accounts a \
CROSS JOIN LATERAL (SELECT * FROM orders o WHERE o.account_id = a.id ORDER BY o.id DESC LIMIT {ORDERS}) o \
CROSS JOIN LATERAL (SELECT * FROM bills b WHERE b.account_id = o.account_id AND b.order_id = o.id ORDER BY b.id DESC LIMIT {BILLS}) b \
WHERE a.id = :id;
",
        accounts.start,
        accounts.end - 1
    )
}

pub fn request(token: &str, account: u64) -> Vec<u8> {
    let body = format!(r#"{{"query":"{QUERY}","variables":{{"id":"acc_{account}"}}}}"#);
    HttpClient::request(token, &body)
}

/// The answer has so many bills.
pub fn require_bills(answer: &[u8], bills: usize) {
    let found = memchr::memmem::find_iter(answer, b"\"status\":").count();
    assert!(found == bills && find(answer, b"errors").is_none(), "{}", String::from_utf8_lossy(answer));
}
