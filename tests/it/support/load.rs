//! Clients that recharge and check out, lose their connections on the way, and ask again with the same key until they
//! are answered; and what the database must hold afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Where a client leaves in the middle of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    AfterHead,
    InBody,
    BeforeTheAnswer,
}

/// Numbers that look random and are the same at each run.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % bound
    }
}

/// Posts a GraphQL request on a connection of its own. None: there is no answer.
pub async fn post(address: &str, token: &str, body: &Value, cut: Option<Cut>) -> Option<(u16, Value)> {
    let body = body.to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(head.as_bytes()).await.ok()?;
    match cut {
        Some(Cut::AfterHead) => return None,
        Some(Cut::InBody) => {
            stream.write_all(&body.as_bytes()[..body.len() / 2]).await.ok()?;
            return None;
        }
        Some(Cut::BeforeTheAnswer) | None => stream.write_all(body.as_bytes()).await.ok()?,
    }
    if cut.is_some() {
        return None;
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    read(&answer)
}

/// The status and the body of an answer that came whole.
fn read(answer: &[u8]) -> Option<(u16, Value)> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    (body.len() == length).then(|| serde_json::from_str(body).ok())?.map(|body| (status, body))
}

/// Something to be done once.
#[derive(Debug, Clone)]
pub struct Deed {
    pub account: String,
    pub key: String,
    /// Cents to recharge, or None: the plan is bought.
    pub recharge: Option<i64>,
}

/// What a client was told: the ids of the transaction and the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub deed_key: String,
    pub account: String,
    pub transaction: Option<String>,
    pub order: Option<String>,
}

/// Who asks, and for what.
#[derive(Clone)]
pub struct Load {
    pub token: String,
    pub plan: String,
    pub price: Decimal,
    pub accounts: Vec<String>,
    /// Of three requests so many are dropped on the way.
    pub drops: usize,
}

impl Load {
    /// `count` deeds of one client.
    fn deeds(&self, client: usize, count: usize) -> Vec<Deed> {
        let mut dice = Dice::new(client as u64 + 1);
        let deed = |number: usize| Deed {
            account: self.accounts[dice.below(self.accounts.len())].clone(),
            key: format!("c{client}-{number}"),
            recharge: (dice.below(2) == 0).then(|| 1 + dice.below(100_000) as i64),
        };
        (0..count).map(deed).collect()
    }

    /// What is sent to have it done.
    pub fn request(&self, deed: &Deed) -> Value {
        match deed.recharge {
            Some(cents) => json!({
                "query": "mutation($input: RechargeInput!) { made: recharge(input: $input) { transaction { id } userErrors { code message } } }",
                "variables": { "input": { "accountId": deed.account, "idempotencyKey": deed.key,
                    "amount": Decimal::new(cents, 2).to_string() } } }),
            None => json!({
                "query": "mutation($input: CheckoutInput!) { made: checkout(input: $input) { order { id } bill { transactions { id } } userErrors { code message } } }",
                "variables": { "input": { "accountId": deed.account, "idempotencyKey": deed.key, "planId": self.plan } } }),
        }
    }

    /// Has `clients` clients do `count` deeds each, at whichever of the addresses there are at the time; `answered`
    /// counts on the way. Comes back when everything has been answered.
    pub async fn run(
        &self,
        clients: usize,
        count: usize,
        addresses: watch::Receiver<Vec<String>>,
        answered: Arc<AtomicUsize>,
    ) -> Done {
        let mut tasks = JoinSet::new();
        for client in 0..clients {
            let (load, addresses, answered) = (self.clone(), addresses.clone(), Arc::clone(&answered));
            tasks.spawn(async move {
                let mut dice = Dice::new(1_000 + client as u64);
                let mut done = Done::default();
                for deed in load.deeds(client, count) {
                    let told = load.until_answered(&deed, &addresses, &mut dice).await;
                    answered.fetch_add(1, Ordering::SeqCst);
                    done.deeds.push(deed);
                    done.told.push(told);
                }
                done
            });
        }
        let mut all = Done::default();
        while let Some(done) = tasks.join_next().await {
            let done = done.expect("a client that ends");
            all.deeds.extend(done.deeds);
            all.told.extend(done.told);
        }
        all
    }

    async fn until_answered(
        &self,
        deed: &Deed,
        addresses: &watch::Receiver<Vec<String>>,
        dice: &mut Dice,
    ) -> Told {
        let request = self.request(deed);
        let give_up = tokio::time::Instant::now() + Duration::from_secs(120);
        loop {
            assert!(tokio::time::Instant::now() < give_up, "{deed:?} is never answered");
            let cut = (dice.below(3) < self.drops)
                .then(|| [Cut::AfterHead, Cut::InBody, Cut::BeforeTheAnswer][dice.below(3)]);
            let address = {
                let addresses = addresses.borrow();
                addresses[dice.below(addresses.len())].clone()
            };
            match post(&address, &self.token, &request, cut).await {
                Some((_, answer)) if answer.get("errors").is_none() => return told(deed, &answer),
                Some((_, answer)) => {
                    let code = answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default();
                    assert!(["UNAVAILABLE", "OVERLOADED", "OUTCOME_UNKNOWN"].contains(&code), "{answer:#}");
                }
                None => {}
            }
            if cut.is_none() {
                // Whoever is not answered tries again a little later.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

/// What an answer without errors tells of it.
pub fn told(deed: &Deed, answer: &Value) -> Told {
    let made = &answer["data"]["made"];
    assert_eq!(made["userErrors"], json!([]), "{deed:?}");
    let id = |value: &Value| value.as_str().map(str::to_owned);
    let order = id(&made["order"]["id"]);
    let transaction = match deed.recharge {
        Some(_) => id(&made["transaction"]["id"]),
        None => id(&made["bill"]["transactions"][0]["id"]),
    };
    assert!(transaction.is_some(), "{answer:#}");
    assert_eq!(order.is_some(), deed.recharge.is_none());
    Told { deed_key: deed.key.clone(), account: deed.account.clone(), transaction, order }
}

/// What was asked for, and answered.
#[derive(Debug, Default)]
pub struct Done {
    pub deeds: Vec<Deed>,
    pub told: Vec<Told>,
}

impl Done {
    /// Asserts that the database holds each deed once, as it was told; the accounts had `opening` each, by one key.
    pub async fn assert_done_once(&self, load: &Load, opening: Decimal, sql: &tokio_postgres::Client) {
        for account in &load.accounts {
            let number: i64 = account.strip_prefix("acc_").unwrap().parse().unwrap();
            let deeds: Vec<&Deed> = self.deeds.iter().filter(|deed| deed.account == *account).collect();
            let keys: BTreeSet<&str> = deeds.iter().map(|deed| deed.key.as_str()).collect();
            assert_eq!(keys.len(), deeds.len());

            let query = "SELECT key, transaction_id, order_id FROM idempotency_keys WHERE account_id = $1 AND key LIKE 'c%-%'";
            let mut held = BTreeMap::new();
            for row in sql.query(query, &[&number]).await.unwrap() {
                let id = |prefix: &str, id: Option<uuid::Uuid>| {
                    id.map(|id| format!("{prefix}_{}", id.as_simple()))
                };
                held.insert(row.get::<_, String>(0), (id("txn", row.get(1)), id("ord", row.get(2))));
            }
            assert_eq!(held.keys().map(String::as_str).collect::<BTreeSet<_>>(), keys);
            for told in self.told.iter().filter(|told| told.account == *account) {
                assert_eq!(held[&told.deed_key], (told.transaction.clone(), told.order.clone()));
            }

            let bought = deeds.iter().filter(|deed| deed.recharge.is_none()).count();
            let recharged: i64 = deeds.iter().filter_map(|deed| deed.recharge).sum();
            let expected = opening + Decimal::new(recharged, 2) - load.price * Decimal::from(bought);
            let query = "SELECT a.balance::text, (SELECT -sum(amount) FROM ledger_entries WHERE account_id = a.id)::text,
                (SELECT count(*) FROM ledger_entries WHERE account_id = a.id),
                (SELECT count(*) FROM transactions WHERE account_id = a.id),
                (SELECT count(*) FROM orders WHERE account_id = a.id),
                (SELECT count(*) FROM bills WHERE account_id = a.id AND status = 'PAID'), a.last_entry_seq
                FROM accounts a WHERE a.id = $1";
            let row = sql.query_one(query, &[&number]).await.unwrap();
            let amount = |column: usize| row.get::<_, String>(column).parse::<Decimal>().unwrap();
            assert_eq!((amount(0), amount(1)), (expected, expected), "the balance of {account}");
            let count = |column: usize| row.get::<_, i64>(column);
            let moved = i64::try_from(deeds.len()).unwrap() + 1;
            let bought = i64::try_from(bought).unwrap();
            assert_eq!(
                [count(2), count(3), count(4), count(5), count(6)],
                [moved, moved, bought, bought, moved],
                "entries, transactions, orders, bills and the last number of {account}"
            );
        }
    }
}
