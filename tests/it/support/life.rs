//! A sandbox whose clock a test moves, with one customer.

use std::collections::BTreeMap;

use abacus::clock::Clock;
use abacus::server::ServerConfig;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::{Client, TestServer};

pub struct Life {
    pub server: TestServer,
    pub clock: Clock,
    pub operator: Client,
    pub customer: Client,
    pub account: String,
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an instant")
}

/// What became of the jobs of each kind: how many ran, how many failed.
pub type Jobs = BTreeMap<String, (i64, i64)>;

impl Life {
    /// The customer "tenant" in UTC, with a balance in CNY, at an instant.
    pub async fn begin(now: &str, balance: &str) -> Self {
        Self::with(now, balance, json!({})).await
    }

    pub async fn with(now: &str, balance: &str, account: Value) -> Self {
        Self::on(now, balance, account, |_| {}).await
    }

    /// On a server that is set up so.
    pub async fn on(
        now: &str,
        balance: &str,
        account: Value,
        set_up: impl FnOnce(&mut ServerConfig),
    ) -> Self {
        let clock = Clock::standing_at(at(now));
        let server = TestServer::with(|config| {
            config.clock = clock.clone();
            set_up(config);
        })
        .await;
        let mut input = json!({ "namespace": "tenant", "name": "Tenant", "currency": "CNY" });
        input.as_object_mut().unwrap().extend(account.as_object().unwrap().clone());
        let account = server.account_from(input, balance).await;
        let (operator, customer) = (server.operator(), server.customer("tenant"));
        Self { server, clock, operator, customer, account }
    }

    /// Puts a plan on the market that is sold everywhere.
    pub async fn plan(&self, name: &str, plan_type: &str, price: &str, period: &str) -> String {
        let price = json!({ "amount": price, "currency": "CNY" });
        let plan =
            json!({ "name": name, "type": plan_type, "region": null, "price": price, "billPeriod": period });
        self.server.plan_from(plan).await
    }

    pub async fn buy(&self, plan: &str, more: Value) -> Value {
        let mut input = json!({ "planId": plan, "idempotencyKey": uuid::Uuid::new_v4().to_string() });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let fields = "order { id number type state seq seqCount expiresAt deliveredAt previous { id } }
            bill { id number status amount { amount } creditAmount { amount } startTime endTime dueAt }
            account { balance { amount } } schedule { dueAt amount { amount } seq }";
        self.customer.mutate("checkout", "CheckoutInput", input, fields).await
    }

    /// Has an operator change the account.
    pub async fn update(&self, change: Value) -> Value {
        let mut input = json!({ "accountId": self.account });
        input.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let fields =
            "account { status name externalId timeZone balance { amount creditLimit } manager { name }
            notices { kind message } }";
        self.operator.mutate("updateAccount", "UpdateAccountInput", input, fields).await
    }

    /// Moves the clock, and answers the jobs that ran on the way, but for the issuing of invoices, which comes with every month
    /// in which something was paid.
    pub async fn advance(&self, to: &str) -> Jobs {
        let mut ran = self.advance_and_tell_all(to).await;
        ran.remove("INVOICE");
        ran
    }

    /// Moves the clock, and answers all jobs that ran on the way.
    pub async fn advance_and_tell_all(&self, to: &str) -> Jobs {
        let input = json!({ "to": to });
        let fields = "now jobs { kind ran failed }";
        let moved = self.operator.mutate("advanceClock", "AdvanceClockInput", input, fields).await;
        assert_eq!(at(moved["now"].as_str().unwrap()), at(to));
        let job = |job: &Value| {
            let count = |name: &str| job[name].as_i64().unwrap();
            (job["kind"].as_str().unwrap().to_owned(), (count("ran"), count("failed")))
        };
        moved["jobs"].as_array().unwrap().iter().map(job).collect()
    }

    pub async fn recharge(&self, amount: &str) -> Value {
        let input = json!({ "amount": amount, "idempotencyKey": uuid::Uuid::new_v4().to_string() });
        let fields = "transaction { id balanceAfter } account { balance { amount } status }";
        self.customer.mutate("recharge", "RechargeInput", input, fields).await
    }

    pub async fn order(&self, id: &Value) -> Value {
        let query = format!(
            "{{ order(id: {id}) {{ id number type state seq seqCount expiresAt deliveredAt autoRenewal price {{ amount }}
                previous {{ id }} payInfo {{ total {{ amount }} payCycle payWay paymentMethod paidAt remainingPayments
                    firstPayment {{ amount }} oncePayment {{ amount }} comment }}
                schedule {{ dueAt amount {{ amount }} seq }}
                configChanges {{ at field before after charge {{ amount }} }}
                bills(first: 100) {{ nodes {{ id number status seq amount {{ amount }} startTime endTime dueAt lastPaidAt }} }} }} }}"
        );
        self.customer.data(&query).await["order"].clone()
    }

    /// The orders of the customer, newest first: type, state and when they end.
    pub async fn orders(&self) -> Vec<(String, String, String)> {
        let data = self.customer.data("{ orders(first: 100) { nodes { type state expiresAt } } }").await;
        let text = |value: &Value| value.as_str().unwrap_or("never").to_owned();
        let order = |order: &Value| (text(&order["type"]), text(&order["state"]), text(&order["expiresAt"]));
        data["orders"]["nodes"].as_array().unwrap().iter().map(order).collect()
    }

    pub async fn balance(&self) -> String {
        let data = self.customer.data("{ account { balance { amount } } }").await;
        data["account"]["balance"]["amount"].as_str().unwrap().to_owned()
    }

    /// The kinds of the notices that nobody has acknowledged, newest first.
    pub async fn notices(&self) -> Vec<String> {
        let data = self.customer.data("{ account { notices { kind } } }").await;
        let kind = |notice: &Value| notice["kind"].as_str().unwrap().to_owned();
        data["account"]["notices"].as_array().unwrap().iter().map(kind).collect()
    }
}

/// Jobs as a test writes them.
pub fn jobs(expected: &[(&str, i64, i64)]) -> Jobs {
    expected.iter().map(|(kind, ran, failed)| ((*kind).to_owned(), (*ran, *failed))).collect()
}
