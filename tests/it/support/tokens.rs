//! Prepayments in tokens, as a customer makes them.

use serde_json::{Value, json};

use super::{Client, TestServer};

pub const PREPAYMENT: &str =
    "id status depositAddress usd amount { amount currency } startTime endTime app { appId }
    transaction { id kind status amount { amount currency } paymentMethod balanceAfter }
    deposits { amount { amount currency } sender transactionHash blockNumber blockHash blockTime state }";

/// A customer who pays in tokens.
pub struct Buyer {
    pub operator: Client,
    pub customer: Client,
}

impl Buyer {
    pub fn of(server: &TestServer, namespace: &str) -> Self {
        Self { operator: server.operator(), customer: server.customer(namespace) }
    }

    /// Says what an ANKR is worth, so that 33.30 USD are 1110 of them.
    pub async fn set_rate(&self) {
        let rate = json!({ "base": "ANKR_ERC20", "quote": "USD", "rate": "0.03", "source": "exchange" });
        self.operator.mutate("setExchangeRate", "SetExchangeRateInput", rate, "exchangeRate { rate }").await;
    }

    /// An offer: 33.30 USD for three months.
    pub async fn quote(&self, asset: &str) -> Value {
        let input = json!({ "asset": asset, "clusterId": "cluster-1", "chartName": "wordpress", "cpuLimit": 1500,
            "memLimit": 1024, "storageLimit": 2048, "period": 3 });
        let fields = "quote { id amount usd expiresAt }";
        self.customer.mutate("quotePrepay", "QuotePrepayInput", input, fields).await["quote"].clone()
    }

    pub async fn try_prepay(&self, quote: &Value, more: Value) -> Value {
        let mut input = json!({ "quoteId": quote["id"], "amount": quote["amount"],
            "idempotencyKey": uuid::Uuid::new_v4().to_string() });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let fields = format!("prepayment {{ {PREPAYMENT} }}");
        self.customer.payload("prepay", "PrepayInput", input, &fields).await
    }

    /// A prepayment that waits for its tokens.
    pub async fn prepay(&self, asset: &str) -> Value {
        let payload = self.try_prepay(&self.quote(asset).await, json!({})).await;
        assert_eq!(payload["userErrors"], json!([]));
        let prepayment = payload["prepayment"].clone();
        assert_eq!(prepayment["status"], "AWAITING_DEPOSIT");
        prepayment
    }

    pub async fn bind(&self, prepayment: &Value, asset: &str) -> Value {
        let input = json!({ "prepaymentId": prepayment["id"], "asset": asset, "appId": "app-1", "clusterId": "cluster-1",
            "chartName": "wordpress", "cpuLimit": 1500, "memLimit": 1024, "storageLimit": 2048, "projectName": "Blog" });
        let fields = format!("prepayment {{ {PREPAYMENT} }}");
        self.customer.payload("bindApp", "BindAppInput", input, &fields).await
    }

    /// The prepayment as it is now.
    pub async fn now(&self, prepayment: &Value) -> Value {
        let query = format!("{{ node(id: {}) {{ ...on Prepayment {{ {PREPAYMENT} }} }} }}", prepayment["id"]);
        self.customer.data(&query).await["node"].clone()
    }

    pub async fn status(&self, prepayment: &Value) -> String {
        self.now(prepayment).await["status"].as_str().unwrap().to_owned()
    }

    /// What its deposits are good for, in the order of the chain.
    pub async fn states(&self, prepayment: &Value) -> Vec<String> {
        let now = self.now(prepayment).await;
        let state = |deposit: &Value| deposit["state"].as_str().unwrap().to_owned();
        now["deposits"].as_array().unwrap().iter().map(state).collect()
    }

    /// The notices that nobody has acknowledged, oldest first.
    pub async fn notices(&self) -> Vec<(String, String)> {
        let data = self.customer.data("{ account { notices { kind message } } }").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let told = |notice: &Value| (text(&notice["kind"]), text(&notice["message"]));
        data["account"]["notices"].as_array().unwrap().iter().rev().map(told).collect()
    }

    /// The movements of money, newest first: their kinds and where they stand.
    pub async fn moves(&self) -> Vec<String> {
        let data = self.customer.data("{ transactions(first: 100) { nodes { kind status } } }").await;
        let told = |t: &Value| format!("{} {}", t["kind"].as_str().unwrap(), t["status"].as_str().unwrap());
        data["transactions"]["nodes"].as_array().unwrap().iter().map(told).collect()
    }

    pub async fn simulate(&self, prepayment: &Value, asset: &str, amount: &str) -> Value {
        let input = json!({ "address": prepayment["depositAddress"], "asset": asset, "amount": amount });
        let fields = format!("prepayment {{ {PREPAYMENT} }}");
        self.customer.mutate("simulateDeposit", "SimulateDepositInput", input, &fields).await["prepayment"]
            .clone()
    }
}
