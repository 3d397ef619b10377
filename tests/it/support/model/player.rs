//! Asks a server for what a model does, and compares what comes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::account::{Account, BillStatus, Made, OrderState, Refused};
use super::market::{DISK, Market, TRAFFIC};
use super::moves::{Move, Step};
use crate::support::load::post;

/// So long a request is waited for, and so long it is asked for again.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(90);
const ASKED_FOR: Duration = Duration::from_secs(300);
const PAGE: usize = 20;

/// What is not as the model has it.
pub type Deviation = String;

/// The way to the servers.
#[derive(Clone)]
pub struct Net {
    pub addresses: watch::Receiver<Vec<String>>,
    pub token: String,
    /// Whether what is not answered, or not known, is asked for again: where servers suffer.
    pub asks_again: bool,
    /// How many requests were answered.
    pub answered: Arc<AtomicUsize>,
    /// How many were asked for again.
    pub repeated: Arc<AtomicUsize>,
}

impl Net {
    pub fn to(addresses: watch::Receiver<Vec<String>>, token: String, asks_again: bool) -> Self {
        Self { addresses, token, asks_again, answered: Arc::default(), repeated: Arc::default() }
    }

    /// The data of an answer, asked for until there is one.
    async fn ask(&self, body: &Value) -> Result<Value, Deviation> {
        let begin = Instant::now();
        loop {
            let address = {
                let addresses = self.addresses.borrow();
                addresses[self.answered.load(Ordering::Relaxed) % addresses.len()].clone()
            };
            let answer =
                timeout(ANSWER_TIME_MAX, post(&address, &self.token, body, None)).await.ok().flatten();
            match answer {
                Some((_, answer)) if answer.get("errors").is_none() => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    return Ok(answer["data"].clone());
                }
                // One of two at once may come after the other was refused (docs/adr/0003).
                Some((_, answer)) if answer["errors"][0]["extensions"]["code"] == "OVERLOADED" => {}
                Some((_, answer)) if !(self.asks_again && may_be_asked_again(&answer)) => {
                    return Err(format!("{body} is answered {answer}"));
                }
                None if !self.asks_again => return Err(format!("{body} is not answered")),
                _ => {}
            }
            if begin.elapsed() > ASKED_FOR {
                return Err(format!("{body} is never answered"));
            }
            self.repeated.fetch_add(1, Ordering::Relaxed);
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn may_be_asked_again(answer: &Value) -> bool {
    let error = &answer["errors"][0];
    // What was made could not be shown whole: the error is not the mutation's.
    let is_below = error["path"].as_array().is_some_and(|path| path.len() > 1);
    is_below
        || matches!(
            error["extensions"]["code"].as_str(),
            Some("UNAVAILABLE" | "OVERLOADED" | "OUTCOME_UNKNOWN")
        )
}

/// A mutation as it is sent.
#[derive(Debug, Clone)]
struct Request {
    mutation: &'static str,
    input_type: &'static str,
    fields: &'static str,
    input: Value,
}

impl Request {
    fn body(&self) -> Value {
        let Self { mutation, input_type, fields, input } = self;
        let query = format!(
            "mutation($input: {input_type}!) {{ made: {mutation}(input: $input) {{ {fields} userErrors {{ code message }} }} }}"
        );
        json!({ "query": query, "variables": { "input": input } })
    }
}

const ACCOUNT: &str = "account { status balance { amount } }";

/// What never changes of what was made.
fn essence(payload: &Value) -> Value {
    let names = ["order", "bill", "transaction", "refund", "prepayment"];
    names.iter().map(|name| payload[*name]["id"].clone()).collect()
}

pub struct Player {
    pub namespace: String,
    pub model: Account,
    net: Net,
    market: Arc<Market>,
    id: String,
    /// A card that is charged, and one that is declined.
    cards: [String; 2],
    used_at: DateTime<Utc>,
    keys: usize,
    /// What was done with a key, and what came of it.
    history: Vec<(Request, Value)>,
}

impl Player {
    /// One with a new account.
    pub async fn begin(
        net: &Net,
        market: &Arc<Market>,
        namespace: String,
        now: DateTime<Utc>,
    ) -> Result<Self, Deviation> {
        let mut player = Self {
            namespace,
            model: Account::default(),
            net: net.clone(),
            market: Arc::clone(market),
            id: String::new(),
            cards: Default::default(),
            used_at: now - TimeDelta::minutes(2),
            keys: 0,
            history: Vec::new(),
        };
        let mut input = market.account(&player.namespace);
        // These keys are the provider's.
        input["idempotencyKey"] = json!(player.namespace);
        let creation = Request {
            mutation: "createAccount",
            input_type: "CreateAccountInput",
            fields: "account { id }",
            input,
        };
        let made = player.payload(&creation).await?;
        player.id = text(&made["account"]["id"]).map_err(|deviation| format!("{deviation}: {made}"))?;
        for (card, token) in ["pm_card_visa", "pm_card_chargeDeclined"].iter().enumerate() {
            let input = json!({ "accountId": player.id, "providerToken": token });
            let addition = Request {
                mutation: "addPaymentMethod",
                input_type: "AddPaymentMethodInput",
                fields: "paymentMethod { id }",
                input,
            };
            player.cards[card] = text(&player.payload(&addition).await?["paymentMethod"]["id"])?;
        }
        Ok(player)
    }

    /// Plays all steps, and looks at everything now and then, and at the end.
    pub async fn play(&mut self, steps: &[Step]) -> Result<(), Deviation> {
        for (number, step) in steps.iter().enumerate() {
            self.play_one(step).await?;
            if number % 25 == 24 {
                self.compare().await?;
            }
        }
        self.compare().await
    }

    pub async fn play_one(&mut self, step: &Step) -> Result<(), Deviation> {
        self.step(step).await.map_err(|deviation| format!("{step:?} of {}: {deviation}", self.namespace))
    }

    async fn payload(&self, request: &Request) -> Result<Value, Deviation> {
        Ok(self.net.ask(&request.body()).await?["made"].clone())
    }

    fn new_key(&mut self) -> String {
        self.keys += 1;
        format!("k{}", self.keys)
    }

    async fn step(&mut self, step: &Step) -> Result<(), Deviation> {
        let model = &self.model;
        let has_subject = match &step.what {
            Move::PayOrder { order } | Move::Renew { order, .. } | Move::Cancel { order } => {
                model.order_of(*order).is_some()
            }
            Move::PayBill { bill } | Move::VoidBill { bill } => model.bill_of(*bill).is_some(),
            Move::Refund { payment, .. } => model.payment_of(*payment).is_some(),
            Move::Again { .. } | Move::OtherInput { .. } => !self.history.is_empty(),
            _ => true,
        };
        if !has_subject {
            return Ok(());
        }
        match &step.what {
            Move::Crowd { plan, count } => self.crowd(*plan, *count).await,
            Move::Again { nth } => self.again(*nth).await,
            Move::OtherInput { nth } => self.other_input(*nth).await,
            Move::Prepay { months, is_declined } => self.prepay(*months, *is_declined).await,
            Move::Use { event, quantity } => self.use_some(*event, *quantity).await,
            Move::VoidUse { event } => self.void_use(*event).await,
            Move::TryOut { .. } => self.try_out(&step.what).await,
            what => self.mutate(what, step.has_twin).await,
        }
    }

    /// Asks for one thing, or for it twice at once, and compares.
    async fn mutate(&mut self, what: &Move, has_twin: bool) -> Result<(), Deviation> {
        let request = self.request(what);
        let payload = if has_twin {
            let (one, other) = tokio::join!(self.settled(&request), self.settled(&request));
            let (one, other) = (one?, other?);
            let both = |payload: &Value| (code_of(payload).map(str::to_owned), essence(payload));
            if both(&one) != both(&other) {
                return Err(format!("the same at once comes to {one} and {other}"));
            }
            one
        } else {
            self.settled(&request).await?
        };
        let expected = self.model.apply(what, &self.market);
        self.hold(&request, expected, &payload)
    }

    /// The payload, with what a card's provider says: that may come later.
    async fn settled(&self, request: &Request) -> Result<Value, Deviation> {
        let mut payload = self.payload(request).await?;
        let is_charged = request.input.get("paymentMethodId").is_some() && request.mutation == "recharge";
        if is_charged && payload["userErrors"] == json!([]) && payload["transaction"].is_null() {
            let query = "query($id: ID!) { node(id: $id) { ...on Payment { state transaction { id balanceAfter } account { status balance { amount } } } } }";
            let payment = self.until_settled(query, &payload["payment"]["id"], "state").await?;
            payload["transaction"] = payment["transaction"].clone();
            payload["account"] = payment["account"].clone();
            if payment["state"] == "FAILED" {
                payload["userErrors"] = json!([{ "code": "PAYMENT_DECLINED" }]);
            }
        }
        Ok(payload)
    }

    async fn until_settled(&self, query: &str, id: &Value, field: &str) -> Result<Value, Deviation> {
        let begin = Instant::now();
        loop {
            let data = self.net.ask(&json!({ "query": query, "variables": { "id": id } })).await?;
            match data["node"][field].as_str() {
                Some("CREATED" | "PROCESSING") if begin.elapsed() < ASKED_FOR => {
                    sleep(Duration::from_millis(200)).await
                }
                _ => return Ok(data["node"].clone()),
            }
        }
    }

    /// Compares what came of a request, and learns the names of what was made.
    fn hold(
        &mut self,
        request: &Request,
        expected: Result<Made, Refused>,
        payload: &Value,
    ) -> Result<(), Deviation> {
        let code = code_of(payload);
        let made = match (expected, code) {
            (Err(expected), Some(code)) if expected == code => return Ok(()),
            (Ok(made), None) => made,
            (expected, _) => {
                return Err(format!("{expected:?} is expected, and {request:?} comes to {payload}"));
            }
        };
        self.learn(made, payload)?;
        self.compare_account(&payload["account"])?;
        if let Some(after) = payload["transaction"]["balanceAfter"].as_str()
            && after.parse::<Decimal>() != Ok(self.model.balance)
        {
            return Err(format!("{request:?} leaves {after} instead of {}", self.model.balance));
        }
        if request.input.get("idempotencyKey").is_some() {
            self.history.push((request.clone(), essence(payload)));
        }
        Ok(())
    }

    fn learn(&mut self, made: Made, payload: &Value) -> Result<(), Deviation> {
        if let Some(order) = made.order {
            self.model.orders[order].id = text(&payload["order"]["id"])?;
            let mut bills = payload["order"]["bills"]["nodes"].as_array().cloned().unwrap_or_default();
            bills.sort_by_key(|bill| bill["seq"].as_i64());
            let of_order: Vec<usize> = self.model.bills_of(order).collect();
            if bills.len() != of_order.len() {
                return Err(format!("{} bills are expected of {payload}", of_order.len()));
            }
            for (bill, shown) in of_order.into_iter().zip(bills) {
                self.model.bills[bill].id = text(&shown["id"])?;
            }
        }
        if let Some(payment) = made.payment {
            let places = [
                &payload["refund"]["id"],
                &payload["transaction"]["id"],
                &payload["bill"]["transactions"][0]["id"],
            ];
            let named = places.iter().find(|id| id.is_string());
            self.model.payments[payment].id = text(named.ok_or(format!("no payment in {payload}"))?)?;
        }
        Ok(())
    }

    fn compare_account(&self, shown: &Value) -> Result<(), Deviation> {
        if shown.is_null() {
            return Ok(());
        }
        let status = if self.model.is_suspended { "SUSPENDED" } else { "ACTIVE" };
        let balance = shown["balance"]["amount"].as_str().and_then(|amount| amount.parse::<Decimal>().ok());
        if shown["status"] == status && balance == Some(self.model.balance) {
            return Ok(());
        }
        Err(format!("the account is {status} with {}, and shown as {shown}", self.model.balance))
    }

    // ── moves that are more than a mutation ──

    async fn crowd(&mut self, plan: usize, count: usize) -> Result<(), Deviation> {
        // Of exclusive plans the second would be for the same again.
        let plans = &self.market.plans;
        let Some(plan) =
            (plan..plan + plans.len()).map(|plan| plan % plans.len()).find(|plan| !plans[*plan].is_exclusive)
        else {
            return Ok(());
        };
        let what = Move::Checkout { plan, quantity: 1, instalments: 1, is_later: false };
        let requests: Vec<Request> = (0..count).map(|_| self.request(&what)).collect();
        let payloads = join_all(requests.iter().map(|request| self.payload(request))).await;
        let mut asked: Vec<(Request, Value)> = Vec::new();
        for (request, payload) in requests.into_iter().zip(payloads) {
            asked.push((request, payload?));
        }
        // In which order is the server's to say: those that are refused come last.
        asked.sort_by_key(|(_, payload)| code_of(payload).is_some());
        for (request, mut payload) in asked {
            let expected = self.model.apply(&what, &self.market);
            // What is shown of the account has what others did in it, or has not.
            payload["account"] = Value::Null;
            self.hold(&request, expected, &payload)?;
        }
        Ok(())
    }

    async fn again(&mut self, nth: usize) -> Result<(), Deviation> {
        let (request, before) = &self.history[nth % self.history.len()];
        let payload = self.settled(request).await?;
        if code_of(&payload).is_none() && essence(&payload) == *before {
            return Ok(());
        }
        Err(format!("{request:?} came to {before}, and comes to {payload} when it is asked for again"))
    }

    async fn other_input(&mut self, nth: usize) -> Result<(), Deviation> {
        let (used, _) = &self.history[nth % self.history.len()];
        let input = json!({ "accountId": self.id, "amount": "7777.77", "idempotencyKey": used.input["idempotencyKey"] });
        let request = Request {
            mutation: "recharge",
            input_type: "RechargeInput",
            fields: "transaction { id }",
            input,
        };
        let payload = self.payload(&request).await?;
        if code_of(&payload) == Some("IDEMPOTENCY_KEY_REUSED") {
            return Ok(());
        }
        Err(format!("{used:?} was asked for, and {request:?} comes to {payload}"))
    }

    async fn try_out(&mut self, what: &Move) -> Result<(), Deviation> {
        let mut request = self.request(what);
        request.input["dryRun"] = json!(true);
        let payload = self.payload(&request).await?;
        let mut tried = self.model.clone();
        match (tried.apply(what, &self.market), code_of(&payload)) {
            (Ok(_), None) => {}
            (Err(expected), Some(code)) if expected == code => return Ok(()),
            (expected, _) => {
                return Err(format!("{expected:?} is expected, and {request:?} comes to {payload}"));
            }
        }
        let before = std::mem::replace(&mut self.model, tried);
        let compared = self.compare_account(&payload["account"]);
        self.model = before;
        compared
    }

    async fn prepay(&mut self, months: i64, is_declined: bool) -> Result<(), Deviation> {
        let what = Move::Prepay { months, is_declined };
        let app = json!({ "clusterId": "cluster-1", "chartName": "wordpress", "cpuLimit": 1500, "memLimit": 1024, "storageLimit": 2048 });
        let mut input = json!({ "accountId": self.id, "asset": "USD", "period": months, "idempotencyKey": self.new_key() });
        extend(&mut input, &app);
        let fields = "quote { id amount }";
        let request = Request { mutation: "quotePrepay", input_type: "QuotePrepayInput", fields, input };
        let payload = self.payload(&request).await?;
        let expected = self.model.apply(&what, &self.market);
        if code_of(&payload).is_some() {
            return self.hold(&request, expected, &payload);
        }
        let quote = &payload["quote"];
        // 1.5 cores at 7, 1 GiB at 0.5, 2 GiB at 0.05: 11.1 a month.
        let price = Decimal::new(111, 1) * Decimal::from(months);
        if quote["amount"].as_str().and_then(|amount| amount.parse().ok()) != Some(price) {
            return Err(format!("{price} is to be paid, and not {quote}"));
        }
        let input = json!({ "accountId": self.id, "quoteId": quote["id"], "amount": quote["amount"],
            "paymentMethodId": self.cards[usize::from(is_declined)], "idempotencyKey": self.new_key() });
        let request = Request {
            mutation: "prepay",
            input_type: "PrepayInput",
            fields: "prepayment { id status }",
            input,
        };
        let mut payload = self.payload(&request).await?;
        if payload["prepayment"]["status"] == "PROCESSING" {
            let query = "query($id: ID!) { node(id: $id) { ...on Prepayment { id status } } }";
            payload["prepayment"] = self.until_settled(query, &payload["prepayment"]["id"], "status").await?;
        }
        if payload["prepayment"]["status"] == "FAILED" {
            payload["userErrors"] = json!([{ "code": "PAYMENT_DECLINED" }]);
        }
        self.hold(&request, expected, &payload)?;
        if expected.is_err() {
            return Ok(());
        }
        let mut input = json!({ "prepaymentId": payload["prepayment"]["id"], "asset": "USD", "appId": format!("app-{}", self.keys),
            "projectName": "Blog" });
        extend(&mut input, &app);
        let fields = "prepayment { id status }";
        let bound =
            self.payload(&Request { mutation: "bindApp", input_type: "BindAppInput", fields, input }).await?;
        if bound["prepayment"]["status"] == "BOUND" {
            Ok(())
        } else {
            Err(format!("it is paid, and {bound}"))
        }
    }

    fn event(&self, event: usize) -> String {
        format!("{}-{event}", self.namespace)
    }

    async fn use_some(&mut self, event: usize, quantity: i64) -> Result<(), Deviation> {
        let known = self.model.events.get(&event).map(|known| known.quantity);
        let (id, time) = (self.event(event), self.used_at.to_rfc3339());
        let used = json!({ "id": id, "accountId": self.id, "resource": TRAFFIC, "quantity": quantity.to_string(), "time": time });
        let request = Request {
            mutation: "recordUsage",
            input_type: "RecordUsageInput",
            fields: "results { outcome message }",
            input: json!({ "events": [used] }),
        };
        let payload = self.payload(&request).await?;
        let outcome = payload["results"][0]["outcome"].as_str().unwrap_or_default();
        let is_right = match known {
            // One that was not answered may have counted.
            None => outcome == "ACCEPTED" || outcome == "DUPLICATE" && self.net.asks_again,
            Some(known) if known == quantity => outcome == "DUPLICATE",
            Some(_) => outcome == "REJECTED",
        };
        if !is_right {
            return Err(format!("{request:?}, of which {known:?} is known, comes to {payload}"));
        }
        self.model.apply(&Move::Use { event, quantity }, &self.market).map(drop).map_err(str::to_owned)
    }

    async fn void_use(&mut self, event: usize) -> Result<(), Deviation> {
        let counts = self.model.events.get(&event).is_some_and(|event| event.counts);
        let input = json!({ "accountId": self.id, "eventIds": [self.event(event)], "reason": "wrong", "idempotencyKey": self.new_key() });
        let request =
            Request { mutation: "voidUsage", input_type: "VoidUsageInput", fields: "voided", input };
        let payload = self.payload(&request).await?;
        if code_of(&payload).is_some() || payload["voided"] != json!(i64::from(counts)) {
            return Err(format!("{request:?}, which counts: {counts}, comes to {payload}"));
        }
        self.model.apply(&Move::VoidUse { event }, &self.market).map(drop).map_err(str::to_owned)
    }

    // ── what is sent ──

    fn request(&mut self, what: &Move) -> Request {
        const ORDER: &str = "order { id state bills(first: 12) { nodes { id seq } } } bill { id transactions { id } } account { status balance { amount } }";
        const PAID: &str = "bill { id transactions { id } } account { status balance { amount } }";
        const MOVED: &str = "transaction { id balanceAfter } account { status balance { amount } }";
        let key = self.new_key();
        let model = &self.model;
        let cents = |cents: &i64| Decimal::new(*cents, 2).to_string();
        let order = |order: &usize| model.orders[model.order_of(*order).expect("an order")].id.clone();
        let bill = |bill: &usize| model.bills[model.bill_of(*bill).expect("a bill")].id.clone();
        let (mutation, input_type, fields, mut input) = match what {
            Move::Recharge { cents: amount } => {
                ("recharge", "RechargeInput", MOVED, json!({ "accountId": self.id, "amount": cents(amount) }))
            }
            Move::CardRecharge { cents: amount, is_declined } => {
                let card = &self.cards[usize::from(*is_declined)];
                let input = json!({ "accountId": self.id, "amount": cents(amount), "paymentMethodId": card });
                (
                    "recharge",
                    "RechargeInput",
                    "transaction { id balanceAfter } payment { id } account { status balance { amount } }",
                    input,
                )
            }
            Move::Checkout { plan, quantity, .. } | Move::TryOut { plan, quantity } => {
                let plan = &self.market.plans[plan % self.market.plans.len()];
                let mut input = json!({ "accountId": self.id, "planId": plan.id, "quantity": quantity });
                if let Move::Checkout { instalments, is_later, .. } = what {
                    extend(&mut input, &json!({ "instalments": instalments, "payLater": is_later }));
                }
                ("checkout", "CheckoutInput", ORDER, input)
            }
            Move::Subscribe { amount, months } => {
                let input = json!({ "accountId": self.id, "resource": DISK, "amount": amount.to_string(), "months": months });
                ("subscribe", "SubscribeInput", ORDER, input)
            }
            Move::PayOrder { order: number } => {
                ("payOrder", "PayOrderInput", PAID, json!({ "orderId": order(number) }))
            }
            Move::PayBill { bill: number } => {
                ("payBill", "PayBillInput", PAID, json!({ "billId": bill(number) }))
            }
            Move::Renew { order: number, periods } => (
                "renewOrder",
                "RenewOrderInput",
                ORDER,
                json!({ "orderId": order(number), "periods": periods }),
            ),
            Move::Cancel { order: number } => {
                ("cancelOrder", "CancelOrderInput", "order { id state }", json!({ "orderId": order(number) }))
            }
            Move::VoidBill { bill: number } => {
                let input = json!({ "billId": bill(number), "reason": "a model" });
                ("voidBill", "VoidBillInput", "bill { id } account { status balance { amount } }", input)
            }
            Move::Refund { payment, cents: amount } => {
                let payment = &model.payments[model.payment_of(*payment).expect("a payment")].id;
                let input = json!({ "transactionId": payment, "amount": amount.as_ref().map(cents), "reason": "a model" });
                ("refund", "RefundInput", "refund { id } account { status balance { amount } }", input)
            }
            Move::Adjust { cents: amount, is_forced } => {
                let input = json!({ "accountId": self.id, "amount": cents(amount), "reason": "a model", "force": is_forced });
                ("adjustBalance", "AdjustBalanceInput", MOVED, input)
            }
            Move::SetLimit { cents: limit } => (
                "updateAccount",
                "UpdateAccountInput",
                ACCOUNT,
                json!({ "accountId": self.id, "creditLimit": cents(limit) }),
            ),
            Move::PayOut { cents: amount } => {
                let amount = amount.as_ref().map(cents);
                let input = json!({ "accountId": self.id, "amount": amount, "reason": "a model", "reference": "by hand" });
                ("payOut", "PayOutInput", MOVED, input)
            }
            Move::Crowd { .. }
            | Move::Prepay { .. }
            | Move::Use { .. }
            | Move::VoidUse { .. }
            | Move::Again { .. }
            | Move::OtherInput { .. } => unreachable!("no mutation of its own"),
        };
        if !matches!(what, Move::Cancel { .. } | Move::SetLimit { .. }) {
            input["idempotencyKey"] = json!(key);
        }
        Request { mutation, input_type, fields, input }
    }

    // ── everything ──

    /// Compares everything that the account has.
    pub async fn compare(&self) -> Result<(), Deviation> {
        let deviates = |deviation| format!("{} deviates: {deviation}", self.namespace);
        self.compare_all().await.map_err(deviates)
    }

    async fn compare_all(&self) -> Result<(), Deviation> {
        let query = "query($id: ID!, $start: DateTime!, $end: DateTime!, $resource: String!) { account(id: $id) { status balance { amount creditLimit }
            orders { totalCount } bills { totalCount } transactions { totalCount } prepayments(first: 100) { nodes { status } } }
            usage(accountId: $id, resource: $resource, startTime: $start, endTime: $end, granularity: DAY) { quantity }
            ledgerHealth(accountId: $id) { ok imbalance } }";
        let (start, end) = self.market.usage_window();
        let variables = json!({ "id": self.id, "start": start, "end": end, "resource": TRAFFIC });
        let data = self.net.ask(&json!({ "query": query, "variables": variables })).await?;
        let (account, model) = (&data["account"], &self.model);
        self.compare_account(account)?;
        let count = |what: &str| account[what]["totalCount"].as_u64();
        same("orders", count("orders"), Some(model.orders.len() as u64))?;
        same("bills", count("bills"), Some(model.bills.len() as u64))?;
        let on_balance = model.payments.len() as u64;
        let of_prepayments = model.prepayments.iter().filter(|status| **status == "BOUND").count() as u64;
        same("movements", count("transactions"), Some(on_balance + of_prepayments))?;
        let statuses = account["prepayments"]["nodes"].as_array().cloned().unwrap_or_default();
        let statuses: Vec<String> = statuses
            .iter()
            .rev()
            .map(|node| node["status"].as_str().unwrap_or_default().to_owned())
            .collect();
        same("prepayments", statuses, model.prepayments.iter().map(|status| (*status).to_owned()).collect())?;
        let used = data["usage"].as_array().cloned().unwrap_or_default();
        let used = used
            .iter()
            .filter_map(|point| point["quantity"].as_str()?.parse::<Decimal>().ok())
            .sum::<Decimal>();
        same("usage", used, model.used())?;
        same("the ledger", &data["ledgerHealth"]["ok"], &json!(true))?;
        self.compare_orders().await?;
        self.compare_payments().await
    }

    async fn pages(&self, what: &str, fields: &str) -> Result<Vec<Value>, Deviation> {
        let query = format!(
            "query($id: ID!, $offset: Int!) {{ account(id: $id) {{ {what}(first: {PAGE}, offset: $offset) {{ nodes {{ {fields} }} }} }} }}"
        );
        let mut all = Vec::new();
        loop {
            let variables = json!({ "id": self.id, "offset": all.len() });
            let data = self.net.ask(&json!({ "query": query, "variables": variables })).await?;
            let page = data["account"][what]["nodes"].as_array().cloned().unwrap_or_default();
            let is_last = page.len() < PAGE;
            all.extend(page);
            if is_last {
                return Ok(all);
            }
        }
    }

    async fn compare_orders(&self) -> Result<(), Deviation> {
        let fields = "id state bills(first: 12) { nodes { id status amount { amount } } }";
        let mut shown = self.pages("orders", fields).await?;
        shown.sort_by_key(|order| order["id"].as_str().unwrap_or_default().to_owned());
        let mut orders: Vec<usize> = (0..self.model.orders.len()).collect();
        orders.sort_by_key(|order| &self.model.orders[*order].id);
        for (order, shown) in orders.into_iter().zip(&shown) {
            let model = &self.model.orders[order];
            let state = match model.state {
                OrderState::Unpaid => "UNPAID",
                OrderState::Active => "ACTIVE",
                OrderState::Cancelled => "CANCELLED",
            };
            same(&model.id, (&shown["id"], &shown["state"]), (&json!(model.id), &json!(state)))?;
            let nodes = shown["bills"]["nodes"].as_array().cloned().unwrap_or_default();
            let mut bills: Vec<_> = nodes
                .iter()
                .map(|bill| (string(&bill["id"]), string(&bill["status"]), amount(bill)))
                .collect();
            bills.sort();
            let of_model = |bill: usize| {
                let bill = &self.model.bills[bill];
                let status = match bill.status {
                    BillStatus::Unpaid => "UNPAID",
                    BillStatus::Paid => "PAID",
                    BillStatus::Void => "VOID",
                };
                (bill.id.clone(), status.to_owned(), Some(bill.amount))
            };
            let mut expected: Vec<_> = self.model.bills_of(order).map(of_model).collect();
            expected.sort();
            same(&model.id, bills, expected)?;
        }
        same("orders", shown.len(), self.model.orders.len())
    }

    /// Movements on the balance: those of prepayments pass it by.
    async fn compare_payments(&self) -> Result<(), Deviation> {
        let shown = self.pages("transactions", "id kind amount { amount } refundedAmount").await?;
        let moved = shown.iter().filter(|moved| moved["kind"] != "PREPAYMENT");
        let decimal = |value: &Value| value.as_str().and_then(|text| text.parse::<Decimal>().ok());
        let mut shown: Vec<_> = moved
            .map(|moved| {
                (
                    string(&moved["id"]),
                    amount(moved).map(|amount| amount.abs()),
                    decimal(&moved["refundedAmount"]),
                )
            })
            .collect();
        shown.sort();
        let payments = self.model.payments.iter();
        let mut expected: Vec<_> = payments
            .map(|payment| (payment.id.clone(), Some(payment.amount), Some(payment.refunded)))
            .collect();
        expected.sort();
        same("movements", shown, expected)
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, shown: T, expected: T) -> Result<(), Deviation> {
    if shown == expected {
        Ok(())
    } else {
        Err(format!("{what}: {expected:?} is expected, and {shown:?} is shown"))
    }
}

fn code_of(payload: &Value) -> Option<&str> {
    payload["userErrors"][0]["code"].as_str()
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn amount(value: &Value) -> Option<Decimal> {
    value["amount"]["amount"].as_str()?.parse().ok()
}

fn text(value: &Value) -> Result<String, Deviation> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("a text is expected, and not {value}"))
}

fn extend(input: &mut Value, more: &Value) {
    if let (Some(input), Some(more)) = (input.as_object_mut(), more.as_object()) {
        input.extend(more.clone());
    }
}
