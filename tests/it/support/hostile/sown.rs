//! What a hostile tenant has: as much as quotas allow, and more than anybody needs.

use std::net::SocketAddr;

use abacus::clock::wall;
use abacus::domain::viewer::Role;
use abacus::http::token::TokenKey;
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::caller::Caller;

/// Neighbours of the hostile tenant.
const NEIGHBOURS: usize = 3;
/// Longer than any trial.
const TOKEN_SECONDS: i64 = 36_000;
/// As many orders of an account may wait for their first payment, and prepayments for their tokens.
const WAITING: usize = 100;
const SUB_ACCOUNTS: usize = 20;
const RECHARGES: usize = 200;
const PREPAID: usize = 20;
/// Mutations of one request, and requests at once, while it is sown.
const OF_REQUEST: usize = 50;
const REQUESTS: usize = 8;
/// Ids of each kind that the attacks take in turn.
const IDS: usize = 1_000;
/// Bills that are not paid, of orders that run.
const OF_RUNNING: &str = "AND status = 'UNPAID' AND EXISTS (SELECT FROM orders o
    WHERE o.account_id = bills.account_id AND o.id = bills.order_id AND o.state = 'ACTIVE')";
/// The cards that the sandbox's provider knows and that are good.
const CARDS: [&str; 5] =
    ["pm_card_visa", "pm_card_visa_debit", "pm_card_mastercard", "pm_card_amex", "pm_card_unionpay"];
/// What is prepaid.
pub const APP: &str = r#"clusterId: "c", chartName: "c", cpuLimit: 100, memLimit: 100, storageLimit: 100"#;

/// How much the hostile tenant has.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Orders that are paid; each tenth has 60 bills.
    pub orders: usize,
    /// Things that use something all the month.
    pub subjects: usize,
}

/// What the hostile tenant has, and who else is there.
pub struct Sown {
    /// The hostile tenant's token, and its account.
    pub hog: String,
    pub account: String,
    /// The tokens of others, who have money.
    pub neighbours: Vec<String>,
    /// The account, and nobody else's, of the order that the jobs are to look at.
    pub clockwork: i64,
    pub plan: String,
    pub plans: Vec<String>,
    /// Those with the most bills first.
    pub orders: Vec<String>,
    pub order_numbers: Vec<String>,
    pub unpaid: Vec<String>,
    pub bills: Vec<String>,
    pub bill_numbers: Vec<String>,
    pub open_bills: Vec<String>,
    pub transactions: Vec<String>,
    pub record_numbers: Vec<String>,
    pub notices: Vec<String>,
    pub cards: Vec<String>,
    /// Where tokens are waited for.
    pub addresses: Vec<String>,
    /// Prepayments that were paid by card.
    pub prepaid: Vec<String>,
    /// An offer in dollars that is not taken, and its amount as JSON.
    pub quote: String,
    pub quote_amount: String,
}

struct Sower<'s> {
    address: SocketAddr,
    key: TokenKey,
    sql: &'s tokio_postgres::Client,
    operator: Caller,
}

/// Sows it all on a sandbox's server whose database is empty.
pub async fn sow(address: SocketAddr, secret: &[u8], sql: &tokio_postgres::Client, size: Size) -> Sown {
    let key = TokenKey::new(secret).expect("a key");
    let token = key.issue("operator", Role::Operator, None, wall(), TOKEN_SECONDS).expect("a token");
    let mut sower = Sower { address, key, sql, operator: Caller::new(address, &token) };
    sower.sow(size).await
}

impl Sower<'_> {
    async fn sow(&mut self, size: Size) -> Sown {
        let plan = self.market().await;
        let account = self.account("hog", Value::Null, "9000000").await;
        let hog = self.token("hog");
        let mut neighbours = Vec::new();
        for number in 0..NEIGHBOURS {
            let namespace = format!("neighbour-{number}");
            self.account(&namespace, Value::Null, "1000000").await;
            neighbours.push(self.token(&namespace));
        }
        let clockwork = self.account("clockwork", Value::Null, "10").await;
        let buying = json!({ "planId": plan, "idempotencyKey": "the order" });
        Caller::new(self.address, &self.token("clockwork")).done("checkout", buying, "order { id }").await;
        for number in 0..SUB_ACCOUNTS {
            self.account(&format!("hog-{number}"), json!(account), "10").await;
        }
        self.written(number_of(&account), size.subjects).await;
        self.prices(&account).await;
        self.bought(&hog, &plan, size.orders).await;
        let (addresses, prepaid, quote) = self.prepaid(&hog).await;
        // What is not sealed is no fault: the order that falls due is not.
        let unsealed = "SET session_replication_role = replica; UPDATE ledger_check_position SET all_sealed_at = NULL; \
            RESET session_replication_role; ANALYZE";
        self.sql.batch_execute(unsealed).await.expect("it is analyzed");
        let of_hog = format!("account_id = {}", number_of(&account));
        let ids = async |prefix: &str, table: &str, rest: &str| {
            let shown = format!("'{prefix}_' || replace(id::text, '-', '')");
            self.texts(&format!("SELECT {shown} FROM {table} WHERE {of_hog} {rest} LIMIT {IDS}")).await
        };
        let numbers = async |table: &str| {
            self.texts(&format!("SELECT number FROM {table} WHERE {of_hog} LIMIT {IDS}")).await
        };
        Sown {
            plans: self
                .texts(&format!("SELECT 'pln_' || replace(id::text, '-', '') FROM plans LIMIT {IDS}"))
                .await,
            orders: ids("ord", "orders", "AND state = 'ACTIVE' ORDER BY seq_count DESC, id").await,
            order_numbers: numbers("orders").await,
            unpaid: ids("ord", "orders", "AND state = 'UNPAID'").await,
            bills: ids("bil", "bills", "AND status = 'PAID'").await,
            bill_numbers: numbers("bills").await,
            open_bills: ids("bil", "bills", OF_RUNNING).await,
            transactions: ids("txn", "transactions", "AND order_id IS NOT NULL").await,
            record_numbers: numbers("consumption_records").await,
            notices: ids("ntc", "notices", "ORDER BY id DESC").await,
            cards: ids("pmt", "payment_methods", "").await,
            quote: text(&quote["id"]),
            quote_amount: quote["amount"].to_string(),
            clockwork: number_of(&clockwork),
            hog,
            account,
            neighbours,
            plan,
            addresses,
            prepaid,
        }
    }

    fn token(&self, namespace: &str) -> String {
        let issued = self.key.issue(namespace, Role::Customer, Some(namespace), wall(), TOKEN_SECONDS);
        issued.expect("a token")
    }

    async fn texts(&self, query: &str) -> Vec<String> {
        let rows = self.sql.query(query, &[]).await.expect("rows");
        assert!(!rows.is_empty(), "nothing of {query}");
        rows.iter().map(|row| row.get(0)).collect()
    }

    async fn account(&mut self, namespace: &str, parent: Value, balance: &str) -> String {
        let input =
            json!({ "namespace": namespace, "name": namespace, "currency": "CNY", "parentId": parent });
        let made = self.operator.done("createAccount", input, "account { id }").await;
        let id = text(&made["account"]["id"]);
        let opening = json!({ "accountId": id, "amount": balance, "idempotencyKey": "opening" });
        self.operator.done("recharge", opening, "transaction { id }").await;
        id
    }

    /// What is sold, and what it costs. Answers the plan that is bought.
    async fn market(&mut self) -> String {
        let rate = json!({ "base": "CNY", "quote": "USD", "rate": "0.14", "source": "test" });
        self.operator.done("setExchangeRate", rate, "exchangeRate { rate }").await;
        let price = json!({ "prices": [{ "resource": "ip", "currency": "CNY", "level": 0, "price": "1", "unit": "count/month",
            "multiplier": "2592000" }] });
        self.operator.done("setResourcePrices", price, "prices { id }").await;
        let plans = "INSERT INTO resources (code, name, unit, resource_type, aggregation)
                VALUES ('idc_volume', 'Volumes', 'GB', 'IDC', 'LAST');
            INSERT INTO resource_prices (resource_code, currency, level, price, unit, multiplier, effective_from)
                VALUES ('idc_volume', 'CNY', 0, 0.6, 'GB/month', 2592000, now());
            INSERT INTO plans (id, name, type, region, resource_type, currency, price, bill_period, description, created_at)
                SELECT gen_random_uuid(), 'Plan ' || g, 'C', 'cn-north-1', 'CLOUD', 'CNY', 1, 'MONTH', '', now()
                FROM generate_series(1, 300) g;
            INSERT INTO plan_resources SELECT p.id, r.code, 4 FROM plans p, resources r WHERE r.resource_type = 'CLOUD';";
        self.sql.batch_execute(plans).await.expect("plans");
        let plan = json!({ "name": "Small", "type": "C", "region": "cn-north-1", "resourceType": "CLOUD", "billPeriod": "MONTH",
            "description": "", "price": { "amount": "0.01", "currency": "CNY" } });
        text(&self.operator.done("createPlan", plan, "plan { id }").await["plan"]["id"])
    }

    /// What would take long to come about: a month's usage, notices, and the invoices of ten years.
    async fn written(&self, account: i64, subjects: usize) {
        let statements = format!(
            "CREATE FUNCTION pg_temp.id_of(millis bigint, number bigint) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
                SELECT (lpad(to_hex(millis), 12, '0') || '7000'
                    || to_hex(x'8000000000000000'::bigint | ({account}::bigint << 29) | number))::uuid $$;
            INSERT INTO usage_hours (account_id, resource_code, hour, subject, quantity, version)
                SELECT {account}, r, date_trunc('hour', now()) - h * interval '1 hour', 'server-' || s, 1 + h * s % 97, 1
                FROM unnest(ARRAY['transfer_out', 'api_get']) r, generate_series(0, 743) h, generate_series(1, {subjects}) s;
            INSERT INTO usage_samples (account_id, resource_code, slot, subject, quantity, reported_at, version)
                SELECT {account}, 'bandwidth', t, 'server-' || s, 1 + g * s % 97, t, 1
                FROM generate_series(0, 8927) g, generate_series(1, {subjects}) s,
                LATERAL (SELECT date_bin('5 minutes', now(), '1970-01-01T00:00:00Z') - g * interval '5 minutes') l (t);
            INSERT INTO notices (account_id, id, kind, message, at)
                SELECT {account}, pg_temp.id_of(extract(epoch FROM now())::bigint * 1000 - g, 100000000 + g), 'LOW_BALANCE', 'Notice ' || g, now()
                FROM generate_series(1, 5000) g;
            INSERT INTO invoices (account_id, id, period, start_time, end_time, number, issued_at, customer, total_usd, groups)
                SELECT {account}, pg_temp.id_of(extract(epoch FROM t)::bigint * 1000, 0), t::date, t, t + interval '1 month',
                    'INV-' || to_char(t, 'YYYYMM'), t + interval '1 month', 'hog', 1.4, i.groups
                FROM generate_series('2015-01-01T00:00:00Z'::timestamptz, '2024-12-01T00:00:00Z'::timestamptz, '1 month') t,
                (SELECT jsonb_build_array(jsonb_build_object('currency', 'CNY', 'total_amount', '10', 'total_usd', '1.4', 'items',
                    jsonb_agg(jsonb_build_object('title', 'Item ' || n, 'amount', '1', 'usd', '0.14')))) AS groups
                    FROM generate_series(1, 10) n) i;"
        );
        self.sql.batch_execute(&statements).await.expect("what is sown");
    }

    /// As many rules as are set at once, the first with as many tiers as it may have.
    async fn prices(&mut self, account: &str) {
        let tiers: Vec<Value> = (0..100)
            .map(|n| json!({ "from": (n * 7).to_string(), "unitPrice": format!("0.{:04}", 1_000 - n) }))
            .collect();
        let tariff = |resource: &str| json!({ "resource": resource, "per": "7", "tiers": tiers });
        let tariffs: Vec<Value> = ["bandwidth", "transfer_out", "api_get"].map(tariff).to_vec();
        let base = json!({ "type": "standard", "description": "all", "currency": "CNY", "tariffs": tariffs });
        let since = (wall() - chrono::TimeDelta::days(40)).format("%Y-%m-%dT00:00:00Z").to_string();
        let mut infos = vec![json!({ "effectiveFrom": since, "definition": { "base": base } })];
        let discount = |n: usize| json!({ "effectiveFrom": since, "definition": { "discount": { "payablePercent": format!("99.{n:02}") } } });
        infos.extend((1..100).map(discount));
        let input =
            json!({ "accountId": account, "allowPast": true, "infos": infos, "idempotencyKey": "prices" });
        self.operator.done("setPrices", input, "rules { id }").await;
    }

    /// Orders that are paid and such that are not, and money that comes in.
    async fn bought(&self, hog: &str, plan: &str, orders: usize) {
        let buy = |key: String, instalments: usize, pay_later: bool| {
            format!(
                r#"checkout(input: {{ planId: "{plan}", instalments: {instalments}, payLater: {pay_later}, idempotencyKey: "{key}" }}) {{
                    order {{ id }} userErrors {{ path code message }} }}"#
            )
        };
        let paid = |n: usize| buy(format!("sown-{n}"), if n.is_multiple_of(10) { 60 } else { 1 }, false);
        self.all_done(hog, orders, paid).await;
        self.all_done(hog, WAITING, |n| buy(format!("later-{n}"), 60, true)).await;
        let recharge = |n: usize| {
            format!(
                r#"recharge(input: {{ amount: "0.01", idempotencyKey: "more-{n}" }}) {{ userErrors {{ path code message }} }}"#
            )
        };
        self.all_done(hog, RECHARGES, recharge).await;
    }

    /// Cards, and prepayments by card and in tokens. Answers the addresses of the ones, the ids of the others, and an offer that
    /// is not taken.
    async fn prepaid(&self, hog: &str) -> (Vec<String>, Vec<String>, Value) {
        let keep = |n: usize| {
            let card = CARDS[n];
            format!(
                r#"addPaymentMethod(input: {{ providerToken: "{card}" }}) {{ paymentMethod {{ id }} userErrors {{ path code message }} }}"#
            )
        };
        let cards = self.all_done(hog, CARDS.len(), keep).await;
        let card = text(&cards[0]["paymentMethod"]["id"]);
        let in_tokens = self.taken(hog, "USDT_ERC20", WAITING, "").await;
        let by_card = self.taken(hog, "USD", PREPAID, &format!(r#"paymentMethodId: "{card}","#)).await;
        let addresses = in_tokens.iter().map(|made| text(&made["depositAddress"])).collect();
        let prepaid = by_card.iter().map(|made| text(&made["id"])).collect();
        let offers = self.all_done(hog, 1, |_| quote("USD")).await;
        (addresses, prepaid, offers[0]["quote"].clone())
    }

    /// Offers, each of which is taken.
    async fn taken(&self, hog: &str, asset: &str, count: usize, paid_with: &str) -> Vec<Value> {
        let offers = self.all_done(hog, count, |_| quote(asset)).await;
        let prepay = |n: usize| {
            let offer = &offers[n]["quote"];
            format!(
                r#"prepay(input: {{ quoteId: {}, amount: {}, {paid_with} idempotencyKey: "{asset}-{n}" }}) {{
                    prepayment {{ id depositAddress }} userErrors {{ path code message }} }}"#,
                offer["id"], offer["amount"]
            )
        };
        let made = self.all_done(hog, count, prepay).await;
        made.into_iter().map(|payload| payload["prepayment"].clone()).collect()
    }

    /// Has a customer do something so many times, many at once; answers the payloads in their order.
    async fn all_done(&self, token: &str, count: usize, piece: impl Fn(usize) -> String) -> Vec<Value> {
        let numbers: Vec<usize> = (0..count).collect();
        let requests = numbers.chunks(OF_REQUEST).map(|chunk| {
            let pieces: String = chunk.iter().map(|n| format!("a{n}: {} ", piece(*n))).collect();
            async move {
                let mut caller = Caller::new(self.address, token);
                let data = caller.data(&format!("mutation {{ {pieces} }}"), &json!({})).await;
                chunk.iter().map(|n| data[format!("a{n}")].clone()).collect::<Vec<_>>()
            }
        });
        let payloads: Vec<Vec<Value>> = stream::iter(requests).buffered(REQUESTS).collect().await;
        let payloads = payloads.concat();
        for payload in &payloads {
            assert_eq!(payload["userErrors"], json!([]), "{payload}");
        }
        payloads
    }
}

fn quote(asset: &str) -> String {
    format!(
        r#"quotePrepay(input: {{ asset: "{asset}", {APP}, period: 3 }}) {{ quote {{ id amount }} userErrors {{ path code message }} }}"#
    )
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn number_of(account: &str) -> i64 {
    account.strip_prefix("acc_").and_then(|number| number.parse().ok()).expect("an account's id")
}
