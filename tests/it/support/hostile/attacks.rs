//! The dearest that is allowed of every root field: long pages, all of them by their order, deep selections, and as many aliases
//! of the field in a document as the limits let through, each asking for something else.

use abacus::clock::wall;
use chrono::TimeDelta;
use serde_json::{Value, json};

use super::sown::{APP, Sown};

/// The aliases that a document may have.
pub const ALIASES_MAX: usize = 100;

/// A field with its arguments and what is selected of it, of an alias of a request, both by their numbers.
type Piece = fn(&Sown, usize, u64) -> String;

pub struct Attack {
    pub field: &'static str,
    /// What is dear about it.
    pub how: &'static str,
    piece: Piece,
}

/// What only operators, or machines, may do: it is refused before anything is done.
pub const NOT_FOR_CUSTOMERS: &[&str] = &[
    "billingRuns",
    "approvals",
    "unmatchedPayments",
    "refund",
    "adjustBalance",
    "createPlan",
    "updatePlan",
    "retirePlan",
    "setPrices",
    "endPriceRule",
    "defineResource",
    "rerate",
    "setResourcePrices",
    "setTermDiscounts",
    "setBurstCapacity",
    "defineLicense",
    "setExchangeRate",
    "createAccount",
    "updateAccount",
    "decideApproval",
    "eraseAccount",
    "voidBill",
    "payOut",
    "voidUsage",
    "advanceClock",
];

const ORDER: &str =
    "id number state price { amount } payInfo { total { amount } firstPayment { amount } paidAt }
    schedule { dueAt amount { amount } seq } details { name products { name } } configChanges { at field }";
const BILL: &str = "id number status amount { amount currency } startTime endTime dueAt
    transactions { id balanceAfter } lines { title amount { amount } record { id number } }";
const RECORD: &str = "id number price { amount } order { id number } bill { id number }
    details { id title quantity price { amount } explanation { label amount } }";
const TRANSACTION: &str =
    "id kind status amount { amount } balanceAfter order { id number } bill { id number }";
const ERRORS: &str = "userErrors { path code message }";

const QUERIES: &[Attack] = &[
    dear("node", "orders, with all that hangs on each", |sown, n, _| {
        let id = one(&sown.orders, n);
        format!(
            r#"node(id: "{id}") {{ ...on Order {{ {ORDER} bills(first: 100) {{ totalCount nodes {{ {BILL} }} }}
                records(first: 100) {{ totalCount nodes {{ {RECORD} }} }} }} }}"#
        )
    }),
    dear("nodes", "100 ids, a count for each", |sown, n, _| {
        let ids: Vec<&str> = (0..100).map(|at| one(&sown.orders, n * 100 + at)).collect();
        format!(
            "nodes(ids: {ids:?}) {{ ...on Order {{ id number bills(first: 1) {{ totalCount nodes {{ id }} }} }} }}"
        )
    }),
    dear("viewer", "its account's orders and bills", |_, n, _| {
        format!("viewer {{ account {{ {} }} }}", orders_of_account(n))
    }),
    dear("serviceConfig", "all of it", |_, _, _| {
        "serviceConfig { costs { field cost times } currencies { code displayScale ledgerScale } sandbox }"
            .to_owned()
    }),
    dear("account", "forecasts", |_, _, _| {
        "account { forecast { soFar { amount } atMonthEnd { amount } asOf } }".to_owned()
    }),
    dear("account", "balances of other times", |_, n, _| {
        let at = hours_ago(n);
        format!(
            r#"account {{ balance(at: "{at}") {{ amount available lastsUntil }} priceRules(at: "{at}") {{ id }} }}"#
        )
    }),
    dear("account", "all lists, counted", |_, n, _| {
        let page = format!("first: 20, offset: {}", n * 20);
        let counted = |list: &str| format!("{list}({page}) {{ totalCount nodes {{ id }} }}");
        let lists = ["orders", "bills", "records", "transactions", "prepayments", "invoices", "ledger"];
        format!(
            "account {{ {} notices {{ id message }} paymentMethods {{ id }} plans {{ name }}
                subAccounts(first: 20) {{ nodes {{ orders(first: 5) {{ totalCount nodes {{ id }} }} }} }} }}",
            lists.map(counted).concat()
        )
    }),
    dear("accounts", "by a word, with the orders of each", |_, n, _| {
        let orders = orders_of_account(n);
        format!(
            r#"accounts(first: 20, filter: {{ searchWord: "hog" }}) {{ totalCount nodes {{ id name {orders} }} }}"#
        )
    }),
    dear("plans", "pages, with what is in each", |_, n, _| {
        format!(
            "plans(first: 100, offset: {}) {{ totalCount nodes {{ id name price {{ amount }} resources {{ amount
                resource {{ code name }} }} }} }}",
            n * 3
        )
    }),
    dear("plan", "with what is in each", |sown, n, _| {
        let id = one(&sown.plans, n);
        format!(r#"plan(id: "{id}") {{ id name resources {{ amount resource {{ code name unit }} }} }}"#)
    }),
    dear("resources", "all of them", |_, _, _| {
        "resources { id code name unit resourceType aggregation allowsCorrections }".to_owned()
    }),
    dear("priceRules", "all tiers, at other times", |_, n, _| {
        format!(
            r#"priceRules(at: "{}") {{ id effectiveFrom createdBy definition {{ ...on BasePrice {{ id tariffs {{ mode
                per tiers {{ from unitPrice flatFee }} }} }} ...on Discount {{ payablePercent }} }} }}"#,
            hours_ago(n)
        )
    }),
    dear("simulateCharges", "all rules, with fractions", |_, _, _| {
        "simulateCharges(input: $input) { total { amount } lines { title quantity amount { amount }
            steps { label quantity unitPrice amount } } }"
            .to_owned()
    }),
    dear("orders", "pages, with their bills", |_, n, _| orders_from(n, "")),
    dear("orders", "words that some have", |_, n, _| {
        orders_from(0, &format!(r#"filter: {{ searchWord: "{}" }},"#, 10 + n))
    }),
    dear("orders", "words that none have", |_, n, number| {
        orders_from(0, &format!(r#"filter: {{ searchWord: "-x{n}y{number}" }},"#))
    }),
    dear("orders", "the last of all", |_, n, _| {
        format!("orders(last: 100, offset: {n}) {{ totalCount nodes {{ {ORDER} }} }}")
    }),
    dear("order", "by number, with its bills", |sown, n, _| {
        let number = one(&sown.order_numbers, n);
        format!(
            r#"order(number: "{number}") {{ {ORDER} bills(first: 100) {{ totalCount nodes {{ {BILL} }} }} }}"#
        )
    }),
    dear("bills", "pages, with payments and lines", |_, n, _| {
        format!(
            "bills(first: 100, offset: {}) {{ totalCount nodes {{ {BILL} order {{ id number }} }} }}",
            n * 100
        )
    }),
    dear("bills", "words, and what they come to", |_, n, _| {
        format!(
            r#"bills(first: 20, filter: {{ searchWord: "{}", startTime: "2020-01-01T00:00:00Z" }}) {{ totalCount
                summary {{ paidCount unpaidCount pageAmounts {{ amount }} totalAmounts {{ amount }} }} nodes {{ id }} }}"#,
            10 + n
        )
    }),
    dear("bill", "by number, with payments and lines", |sown, n, _| {
        let number = one(&sown.bill_numbers, n);
        format!(
            r#"bill(number: "{number}") {{ {BILL} order {{ {ORDER} bills(first: 100) {{ nodes {{ id number }} }} }} }}"#
        )
    }),
    dear("records", "pages, explained", |_, n, _| {
        format!("records(first: 100, offset: {}) {{ totalCount nodes {{ {RECORD} }} }}", n * 100)
    }),
    dear("records", "words that none have", |_, n, number| {
        format!(
            r#"records(first: 20, filter: {{ searchWord: "-x{n}y{number}" }}) {{ totalCount nodes {{ {RECORD} }} }}"#
        )
    }),
    dear("record", "by number, explained", |sown, n, _| {
        let number = one(&sown.record_numbers, n);
        format!(r#"record(number: "{number}") {{ {RECORD} account {{ {} }} }}"#, orders_of_account(n))
    }),
    dear("rechargeRecords", "pages of a hundred years", |_, n, _| {
        format!(
            r#"rechargeRecords(startTime: "2020-01-01T00:00:00Z", endTime: "2120-01-01T00:00:00Z", first: 100, offset: {n}) {{
                totalCount nodes {{ {TRANSACTION} }} }}"#
        )
    }),
    dear("prepayments", "pages, with their deposits", |_, n, _| {
        format!(
            "prepayments(first: 100, offset: {n}) {{ totalCount nodes {{ id status usd depositAddress
                deposits {{ amount {{ amount }} sender state }} paymentMethod {{ last4 }} transaction {{ id }} previous {{ id }} }} }}"
        )
    }),
    dear("invoices", "all months, with their items", |_, n, _| {
        format!(
            "invoices(first: 100, offset: {n}) {{ totalCount unvaluedMonths nodes {{ id number status total {{ amount }} totalUsd
                groups {{ totalAmount items {{ title amount {{ amount }} usd bill {{ id }} }} }} }} }}"
        )
    }),
    dear("resourceTypes", "again and again", |_, _, _| "resourceTypes { code label }".to_owned()),
    dear("orderTypes", "again and again", |_, _, _| "orderTypes { code label }".to_owned()),
    dear("orderStates", "again and again", |_, _, _| "orderStates { code label }".to_owned()),
    dear("datacenters", "again and again", |_, _, _| "datacenters { code label }".to_owned()),
    dear("pricing", "pages of prices", |_, n, _| {
        format!(
            "pricing {{ current {{ level resource {{ code }} }} next {{ level resource {{ code }} }} nextAt
                prices(first: 100, offset: {n}) {{ totalCount nodes {{ price level unit resource {{ code name }} }} }} }}"
        )
    }),
    dear("exchangeRates", "again and again", |_, _, _| {
        "exchangeRates { base quote rate source observedAt }".to_owned()
    }),
    dear("licenses", "pages", |_, n, _| {
        format!(
            "licenses(first: 100, offset: {n}) {{ totalCount nodes {{ id name longName resource {{ code }} }} }}"
        )
    }),
    dear("discounts", "again and again", |_, _, _| "discounts { period months value }".to_owned()),
    dear("price", "of other sizes", |_, n, _| {
        format!(
            r#"price(input: {{ resourceKind: "volume", size: {}, amount: 7, paymentType: POSTPAY, currency: "CNY" }}) {{
                price {{ amount }} listPrice {{ amount }} steps {{ label quantity amount }} }}"#,
            n + 1
        )
    }),
    dear("transactions", "pages, with orders and bills", |_, n, _| {
        format!(
            "transactions(first: 100, offset: {}) {{ totalCount nodes {{ {TRANSACTION} account {{ name }} }} }}",
            n * 100
        )
    }),
    dear("transactions", "of a region that none have", |_, n, _| {
        format!(
            r#"transactions(first: 100, filter: {{ region: "none-{n}", kind: CHECKOUT }}) {{ totalCount nodes {{ {TRANSACTION} }} }}"#
        )
    }),
    dear("transaction", "with its order's bills", |sown, n, _| {
        let id = one(&sown.transactions, n);
        format!(
            r#"transaction(id: "{id}") {{ {TRANSACTION} order {{ {ORDER} bills(first: 100) {{ nodes {{ {BILL} }} }} }} }}"#
        )
    }),
    dear("ledger", "pages, with what made each", |_, n, _| {
        format!(
            "ledger(first: 100, offset: {}) {{ totalCount nodes {{ id seq time amount initial end reason hash
                transaction {{ {TRANSACTION} }} }} }}",
            n * 100
        )
    }),
    dear("idempotentResult", "with all that was made", |_, n, _| {
        format!(
            r#"idempotentResult(key: "sown-{n}") {{ key mutation createdAt bill {{ {BILL} }} order {{ {ORDER}
                bills(first: 100) {{ nodes {{ id number }} }} }} }}"#
        )
    }),
    dear("usage", "a month by the hour", |_, n, _| {
        let resource = ["bandwidth", "transfer_out", "api_get"][n % 3];
        format!(
            r#"usage(resource: "{resource}", granularity: HOUR, startTime: "{}", endTime: "{}") {{ time quantity }}"#,
            hours_ago(30 * 24 + n),
            hours_ago(n)
        )
    }),
    dear("capacityCharge", "of other amounts", |_, n, _| {
        format!(
            r#"capacityCharge(resource: "ip", amount: {}, seconds: 86401, currency: "CNY") {{ price {{ amount }} steps {{ label }} }}"#,
            n + 1
        )
    }),
    dear("ledgerHealth", "its own, whole", |sown, _, _| {
        let account = &sown.account;
        format!(
            r#"ledgerHealth(accountId: "{account}") {{ ok entriesChecked imbalance faults {{ kind message }} }}"#
        )
    }),
    dear("ledgerAnchor", "its own receipt", |sown, _, _| {
        let account = &sown.account;
        format!(r#"ledgerAnchor(accountId: "{account}") {{ number accounts root text signature receipt }}"#)
    }),
    dear("__schema", "as often as it may be", |_, _, _| {
        "__schema { types { name kind description fields { name description args { name type { name } } type { name } } } }"
            .to_owned()
    }),
];

const MUTATIONS: &[Attack] = &[
    dear("checkout", "60 bills each, to see how it would be", |sown, n, number| {
        checkout(sown, n, number, "dryRun: true,")
    }),
    dear("payOrder", "60 bills each, to see how it would be", |sown, n, number| {
        let id = one(&sown.unpaid, n);
        format!(
            r#"payOrder(input: {{ orderId: "{id}", dryRun: true, idempotencyKey: "p{number}-{n}" }}) {{
                order {{ id bills(first: 100) {{ nodes {{ id status }} }} }} bill {{ id }} {ERRORS} }}"#
        )
    }),
    dear("payBill", "to see how it would be", |sown, n, number| {
        let id = one(&sown.open_bills, n);
        format!(
            r#"payBill(input: {{ billId: "{id}", dryRun: true, idempotencyKey: "b{number}-{n}" }}) {{
                bill {{ id lines {{ title }} }} transaction {{ id }} account {{ balance {{ amount }} }} {ERRORS} }}"#
        )
    }),
    dear("renewOrder", "60 bills each, to see how it would be", |sown, n, number| {
        let id = one(&sown.orders, n);
        format!(
            r#"renewOrder(input: {{ orderId: "{id}", periods: 60, dryRun: true, idempotencyKey: "r{number}-{n}" }}) {{
                order {{ id }} schedule {{ dueAt amount {{ amount }} }} {ERRORS} }}"#
        )
    }),
    dear("setAutoRenewal", "to and fro", |sown, n, number| {
        let (id, renewal) = (one(&sown.orders, n), number.is_multiple_of(2));
        format!(
            r#"setAutoRenewal(input: {{ orderId: "{id}", autoRenewal: {renewal} }}) {{
                order {{ id autoRenewal bills(first: 100) {{ nodes {{ id }} }} }} {ERRORS} }}"#
        )
    }),
    dear("acknowledgeNotice", "one after the other", |sown, n, number| {
        let id = one(&sown.notices, n + usize::try_from(number).unwrap_or(0) * ALIASES_MAX);
        format!(r#"acknowledgeNotice(input: {{ noticeId: "{id}" }}) {{ notice {{ id message }} {ERRORS} }}"#)
    }),
    dear("quotePrepay", "as many as hold", |_, n, _| {
        let period = 1 + n % 12;
        format!(
            r#"quotePrepay(input: {{ asset: "USD", {APP}, period: {period} }}) {{ quote {{ id amount steps {{ label amount }} }} {ERRORS} }}"#
        )
    }),
    dear("prepay", "to see how it would be", |sown, n, number| {
        let (quote, amount, card) = (&sown.quote, &sown.quote_amount, one(&sown.cards, n));
        format!(
            r#"prepay(input: {{ quoteId: "{quote}", amount: {amount}, paymentMethodId: "{card}", dryRun: true,
                idempotencyKey: "y{number}-{n}" }}) {{ prepayment {{ id usd }} {ERRORS} }}"#
        )
    }),
    dear("bindApp", "the same again", |sown, n, _| {
        let id = one(&sown.prepaid, n);
        format!(
            r#"bindApp(input: {{ prepaymentId: "{id}", asset: "USD", appId: "a", {APP}, projectName: "p" }}) {{
                prepayment {{ id app {{ appId }} transaction {{ id }} }} {ERRORS} }}"#
        )
    }),
    dear("simulateDeposit", "the least, to each address", |sown, n, _| {
        let address = one(&sown.addresses, n);
        format!(
            r#"simulateDeposit(input: {{ address: "{address}", asset: "USDT_ERC20", amount: "0.000001" }}) {{
                prepayment {{ id deposits {{ state }} }} {ERRORS} }}"#
        )
    }),
    dear("recharge", "of the least", |_, n, number| {
        format!(
            r#"recharge(input: {{ amount: "0.01", idempotencyKey: "m{number}-{n}" }}) {{ transaction {{ id }}
                account {{ balance {{ amount }} }} {ERRORS} }}"#
        )
    }),
    dear("subscribe", "for a year", |_, n, number| {
        format!(
            r#"subscribe(input: {{ resource: "ip", amount: 1, months: 12, idempotencyKey: "s{number}-{n}" }}) {{
                order {{ id details {{ name }} }} bill {{ id }} price {{ steps {{ label amount }} }} {ERRORS} }}"#
        )
    }),
    dear("checkout", "60 bills each", |sown, n, number| checkout(sown, n, number, "")),
    dear("checkout", "more than wait for their payment", |sown, n, number| {
        checkout(sown, n, number, "payLater: true,")
    }),
    dear("cancelOrder", "at their end", |sown, n, _| {
        let id = one(&sown.orders, n);
        format!(
            r#"cancelOrder(input: {{ orderId: "{id}", atPeriodEnd: true }}) {{
                order {{ id state bills(first: 100) {{ nodes {{ id status }} }} }} {ERRORS} }}"#
        )
    }),
    dear("addPaymentMethod", "one that is kept", |_, _, _| {
        format!(
            r#"addPaymentMethod(input: {{ providerToken: "pm_card_visa" }}) {{ paymentMethod {{ id last4 }} {ERRORS} }}"#
        )
    }),
    dear("removePaymentMethod", "the same again", |sown, n, _| {
        let id = one(&sown.cards, n);
        format!(
            r#"removePaymentMethod(input: {{ paymentMethodId: "{id}" }}) {{ paymentMethod {{ id }} {ERRORS} }}"#
        )
    }),
    dear("recordUsage", "many events, which is forbidden", |_, _, _| {
        format!("recordUsage(input: $input) {{ accepted results {{ id outcome message }} {ERRORS} }}")
    }),
];

const fn dear(field: &'static str, how: &'static str, piece: Piece) -> Attack {
    Attack { field, how, piece }
}

/// All of them, those that read first.
pub fn all() -> impl Iterator<Item = &'static Attack> {
    QUERIES.iter().chain(MUTATIONS)
}

impl Attack {
    pub fn is_mutation(&self) -> bool {
        MUTATIONS.iter().any(|attack| attack.field == self.field)
    }

    /// The body of a request of that number, with so many aliases of the field.
    pub fn body(&self, sown: &Sown, aliases: usize, number: u64) -> String {
        let pieces: String =
            (0..aliases).map(|n| format!("a{n}: {} ", (self.piece)(sown, n, number))).collect();
        let kind = if self.is_mutation() { "mutation" } else { "query" };
        let (declared, variables) = self.variables();
        json!({ "query": format!("{kind}{declared} {{ {pieces}}}"), "variables": variables }).to_string()
    }

    /// The variables of a document, as it declares them, and their values.
    fn variables(&self) -> (&'static str, Value) {
        match self.field {
            "simulateCharges" => ("($input: SimulateChargesInput!)", json!({ "input": charges() })),
            "recordUsage" => ("($input: RecordUsageInput!)", json!({ "input": { "events": events() } })),
            _ => ("", json!({})),
        }
    }
}

/// The one whose turn it is.
fn one(ids: &[String], turn: usize) -> &str {
    &ids[turn % ids.len()]
}

fn hours_ago(hours: usize) -> String {
    let hours = i64::try_from(hours).unwrap_or(0);
    (wall() - TimeDelta::hours(hours)).format("%Y-%m-%dT%H:00:00Z").to_string()
}

fn orders_of_account(n: usize) -> String {
    format!(
        "orders(first: 20, offset: {}) {{ totalCount nodes {{ id number bills(first: 3) {{ nodes {{ id number }} }} }} }}",
        n * 20
    )
}

fn orders_from(n: usize, filter: &str) -> String {
    format!(
        "orders({filter} first: 100, offset: {}) {{ totalCount nodes {{ {ORDER} bills(first: 3) {{ nodes {{ id number }} }} }} }}",
        n * 100
    )
}

fn checkout(sown: &Sown, n: usize, number: u64, more: &str) -> String {
    let plan = &sown.plan;
    format!(
        r#"checkout(input: {{ planId: "{plan}", instalments: 60, {more} idempotencyKey: "c{number}-{n}" }}) {{
            order {{ id }} bill {{ id }} schedule {{ dueAt amount {{ amount }} }} account {{ balance {{ amount }} }} {ERRORS} }}"#
    )
}

/// As many tiers, and as many rules, as there may be; nothing divides evenly.
fn charges() -> Value {
    let tiers: Vec<Value> = (0..100)
        .map(|n| json!({ "from": (n * 7).to_string(), "unitPrice": format!("0.{:06}", 100_003 - n), "flatFee": "0.01" }))
        .collect();
    let resources = ["cpu", "mem", "dssd", "ip", "space", "transfer_out", "bandwidth", "api_get", "api_put"];
    let tariff = |resource: &str| json!({ "resource": resource, "per": "7", "tiers": tiers });
    let mut rules = vec![json!({ "base": { "tariffs": resources.map(tariff) } })];
    let quota = |resource: &str| json!({ "resource": resource, "quantity": "0.333333333" });
    rules.extend((1..50).map(|_| json!({ "package": { "quotas": resources.map(quota) } })));
    rules.extend((50..100).map(|n| json!({ "discount": { "payablePercent": format!("99.{n}7") } })));
    let usage = resources.map(|resource| json!({ "resource": resource, "quantity": "98765.432109877" }));
    json!({ "currency": "CNY", "scale": 18, "rules": rules, "usage": usage })
}

/// Almost as many values as a customer's request may have.
fn events() -> Vec<Value> {
    let time = hours_ago(1);
    let event = |n: usize| json!({ "id": format!("event-{n}"), "resource": "api_get", "quantity": "1", "time": time });
    (0..3_000).map(event).collect()
}
