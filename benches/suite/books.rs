//! What must hold after every run: what clients were told is done is stored, no more and no less, and the ledger is whole.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::ground::Ground;
use super::support::purchases::is_done;
use super::support::{HttpClient, find};

/// What clients were told is done, so far.
#[derive(Default)]
pub struct Accepted {
    pub checkouts: AtomicU64,
    pub recharges: AtomicU64,
    pub events: AtomicU64,
}

/// What an answer says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Done,
    Overloaded,
}

impl Accepted {
    /// Counts what an answer says was done. What is neither done nor OVERLOADED must not be.
    pub fn take(&self, answer: &[u8], bills_read: usize) -> Answer {
        if is_done(answer) && answer.starts_with(br#"{"data":{"checkout":{"#) {
            self.checkouts.fetch_add(1, Ordering::Relaxed);
        } else if is_done(answer) && answer.starts_with(br#"{"data":{"recharge":{"#) {
            self.recharges.fetch_add(1, Ordering::Relaxed);
        } else if answer.starts_with(br#"{"data":{"account":{"#) {
            super::support::order_tree::require_bills(answer, bills_read);
        } else if find(answer, br#""code":"OVERLOADED""#).is_some() {
            return Answer::Overloaded;
        } else {
            panic!("an answer that must not be: {}", String::from_utf8_lossy(answer));
        }
        Answer::Done
    }

    /// The same of what must be done.
    pub fn require(&self, answer: &[u8], bills_read: usize) {
        let said = self.take(answer, bills_read);
        assert!(said == Answer::Done, "{}", String::from_utf8_lossy(answer));
    }

    fn so_far(&self) -> [i64; 3] {
        [&self.checkouts, &self.recharges, &self.events].map(|count| count.load(Ordering::Relaxed) as i64)
    }
}

/// How many rows there are of what a client is told of.
const STORED: &str = "SELECT o.*, b.*, t.*, k.*, u.* FROM (SELECT count(*) FROM orders) o,
    (SELECT count(*) FROM bills WHERE order_id IS NOT NULL) b,
    (SELECT count(*) FILTER (WHERE kind = 'CHECKOUT'), count(*) FILTER (WHERE kind = 'RECHARGE') FROM transactions) t,
    (SELECT count(*) FILTER (WHERE mutation = 'checkout'), count(*) FILTER (WHERE mutation = 'recharge') FROM idempotency_keys) k,
    (SELECT count(*) FROM usage_marks) u";

/// The rows, and what was told, before a run.
pub struct Books {
    stored: [i64; 7],
    accepted: [i64; 3],
}

async fn stored(ground: &Ground) -> [i64; 7] {
    let row = ground.sql.query_one(STORED, &[]).await.expect("counts");
    std::array::from_fn(|at| row.get(at))
}

impl Books {
    pub async fn open(ground: &Ground) -> Self {
        Self { stored: stored(ground).await, accepted: ground.accepted.so_far() }
    }

    /// Fails loudly if rows do not say what clients were told, or a ledger is not whole.
    pub async fn close(self, ground: &Ground) {
        let now = stored(ground).await;
        let rows: [i64; 7] = std::array::from_fn(|at| now[at] - self.stored[at]);
        let accepted = ground.accepted.so_far();
        let [checkouts, recharges, events] = std::array::from_fn(|at| accepted[at] - self.accepted[at]);
        let told = [checkouts, checkouts, checkouts, recharges, checkouts, recharges, events];
        assert_eq!(
            rows, told,
            "orders, bills, payments, recharges, two kinds of keys, events: as stored, and as clients were told"
        );
        health(ground, None).await;
    }
}

/// Asks as an operator for the health of one ledger, or of the next thousand; answers how many were checked.
pub async fn health(ground: &Ground, account: Option<u64>) -> i64 {
    let of = account.map(|account| format!(r#"(accountId: \"acc_{account}\")"#)).unwrap_or_default();
    let fields = "ok accountsChecked entriesChecked imbalance faults { kind message account { id } }";
    let body = format!(r#"{{"query":"{{ ledgerHealth{of} {{ {fields} }} }}"}}"#);
    let mut client = HttpClient::connect(ground.server.port).await;
    let answer = client.send(&HttpClient::request(&ground.operator, &body)).await;
    let answer: Value = serde_json::from_slice(answer).expect("JSON");
    let health = &answer["data"]["ledgerHealth"];
    assert!(health["ok"] == true && health["imbalance"] == "0", "the ledger is not whole: {answer:#}");
    health["accountsChecked"].as_i64().expect("a number")
}

/// The same of all ledgers.
pub async fn whole(ground: &Ground) {
    let from_the_first = "UPDATE ledger_check_position SET last_account_id = 0";
    ground.sql.execute(from_the_first, &[]).await.expect("a position");
    let mut checked = 0;
    loop {
        let accounts = health(ground, None).await;
        checked += accounts;
        if accounts < 1_000 {
            break;
        }
    }
    let there: i64 =
        ground.sql.query_one("SELECT count(*) FROM accounts", &[]).await.expect("a count").get(0);
    assert_eq!(checked, there, "all accounts are checked");
    println!("\nthe ledgers of all {checked} accounts of {} are whole", ground.name);
}
