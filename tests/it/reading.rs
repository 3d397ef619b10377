//! Reading: pages, filters, balances of earlier, numbers and ids, and what a dry run and a repeat answer.

use abacus::clock::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Client, TestServer};

const START: &str = "2026-03-01T00:00:00Z";

fn start() -> DateTime<Utc> {
    START.parse().unwrap()
}

/// So many hours after the start, as the API writes it.
fn hour(hours: i64) -> String {
    (start() + TimeDelta::hours(hours)).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

/// A server whose clock stands at the start.
async fn standing_server() -> (TestServer, Clock) {
    let clock = Clock::standing_at(start());
    let server = TestServer::with(|config| config.clock = clock.clone()).await;
    (server, clock)
}

/// A list: the fields around it, and its name.
struct List<'c> {
    client: &'c Client,
    around: &'static str,
    name: &'static str,
}

#[derive(Debug)]
struct Page {
    ids: Vec<String>,
    total: u64,
    has_next: bool,
    has_previous: bool,
    cursors: Vec<String>,
}

impl List<'_> {
    async fn page(&self, arguments: &str) -> Page {
        let arguments = if arguments.is_empty() { String::new() } else { format!("({arguments})") };
        let list = format!(
            "{}{arguments} {{ totalCount nodes {{ id }} edges {{ cursor node {{ id }} }}
            pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }}",
            self.name
        );
        let (query, close) =
            if self.around.is_empty() { (list, "") } else { (format!("{} {{ {list}", self.around), " }") };
        let data = self.client.data(&format!("{{ {query}{close} }}")).await;
        let outer = self.around.split('(').next().unwrap().trim();
        let page = if outer.is_empty() { &data[self.name] } else { &data[outer][self.name] };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let ids: Vec<_> =
            page["nodes"].as_array().unwrap().iter().map(|node| text(&node["id"]).unwrap()).collect();
        let edges = page["edges"].as_array().unwrap();
        let of_edges: Vec<_> = edges.iter().map(|edge| text(&edge["node"]["id"]).unwrap()).collect();
        assert_eq!(ids, of_edges, "nodes and edges are the same things");
        let cursors: Vec<_> = edges.iter().map(|edge| text(&edge["cursor"]).unwrap()).collect();
        let info = &page["pageInfo"];
        assert_eq!(
            (text(&info["startCursor"]), text(&info["endCursor"])),
            (cursors.first().cloned(), cursors.last().cloned())
        );
        Page {
            ids,
            total: page["totalCount"].as_u64().unwrap(),
            has_next: info["hasNextPage"].as_bool().unwrap(),
            has_previous: info["hasPreviousPage"].as_bool().unwrap(),
            cursors,
        }
    }

    /// All ids, by pages of `size` from the beginning.
    async fn forwards(&self, size: usize) -> Vec<String> {
        let (mut ids, mut after) = (Vec::new(), String::new());
        loop {
            let page = self.page(&format!("first: {size}{after}")).await;
            assert!(page.ids.len() == size || !page.has_next, "a page is full unless it is the last");
            assert_eq!(page.has_previous, !ids.is_empty());
            ids.extend(page.ids);
            assert!(ids.len() <= 200, "pages that never end");
            if !page.has_next {
                return ids;
            }
            after = format!(", after: \"{}\"", page.cursors.last().unwrap());
        }
    }

    /// All ids, by pages of `size` from the end; each page is newest first all the same.
    async fn backwards(&self, size: usize) -> Vec<String> {
        let (mut ids, mut before) = (Vec::new(), String::new());
        loop {
            let page = self.page(&format!("last: {size}{before}")).await;
            assert_eq!(page.has_next, !ids.is_empty());
            before = format!(", before: \"{}\"", page.cursors.first().unwrap());
            ids.splice(0..0, page.ids);
            assert!(ids.len() <= 200, "pages that never end");
            if !page.has_previous {
                return ids;
            }
        }
    }

    async fn by_offset(&self, size: usize, total: usize) -> Vec<String> {
        let mut ids = Vec::new();
        for offset in (0..total + size).step_by(size) {
            let page = self.page(&format!("first: {size}, offset: {offset}")).await;
            assert_eq!(page.has_next, offset + size < total, "offset {offset}");
            ids.extend(page.ids);
        }
        ids
    }

    /// Reads the list in every way there is, asserts that all agree, and answers the ids.
    async fn assert_pages_agree(&self, total: usize) -> Vec<String> {
        let what = format!("{}{}", self.around, self.name);
        let all = self.page("first: 100").await;
        assert_eq!((all.ids.len(), all.total), (total, total as u64), "{what}");
        assert!(!all.has_next && !all.has_previous, "{what}");
        let distinct: std::collections::BTreeSet<_> = all.ids.iter().collect();
        assert_eq!(distinct.len(), total, "{what}");
        for size in [1, 4, 7, total - 1, total, total + 1] {
            assert_eq!(self.forwards(size).await, all.ids, "{what}, {size} forwards");
            assert_eq!(self.backwards(size).await, all.ids, "{what}, {size} backwards");
            assert_eq!(self.by_offset(size, total).await, all.ids, "{what}, {size} by offset");
        }
        assert_eq!(self.page("").await.ids, all.ids[..10.min(total)], "{what}: ten unless told");
        let from_end = self.page("last: 3, offset: 2").await;
        assert_eq!(
            from_end.ids,
            all.ids[total - 5..total - 2],
            "{what}: the offset counts from the end with last"
        );
        let between =
            format!("first: 100, after: \"{}\", before: \"{}\"", all.cursors[2], all.cursors[total - 2]);
        let between = self.page(&between).await;
        assert_eq!(between.ids, all.ids[3..total - 2], "{what}");
        assert_eq!(between.total, total as u64, "{what}: the total is over all pages");
        let reversed =
            format!("first: 100, after: \"{}\", before: \"{}\"", all.cursors[total - 2], all.cursors[2]);
        assert!(self.page(&reversed).await.ids.is_empty(), "{what}");
        all.ids
    }
}

/// A MAIN account with two SUBs that buy in turns, 25 orders over all, 9 of them the MAIN account's own.
async fn family() -> (TestServer, Clock) {
    let (server, clock) = standing_server().await;
    let main = server.account("main", "1000").await;
    for sub in ["sub-a", "sub-b"] {
        let input = json!({ "namespace": sub, "name": sub, "currency": "CNY", "parentId": main });
        server.account_from(input, "1000").await;
    }
    server.account("other", "1000").await;
    let plan = server.plan("Plan A", "1").await;
    for n in 0..25 {
        // Every third at the same instant as the one before it: the id decides.
        clock.set(start() + TimeDelta::minutes(n - i64::from(n % 3 == 2)));
        let buyer = ["main", "sub-a", "sub-b"][(n % 3) as usize];
        server.customer(buyer).checkout(&plan, &format!("{n}")).await;
    }
    server.customer("other").checkout(&plan, "not theirs").await;
    (server, clock)
}

#[tokio::test]
async fn pages_by_cursor_and_by_offset_agree_in_both_directions() {
    let (server, _) = family().await;
    let main = server.customer("main");
    for (around, name, total) in [
        ("", "orders", 25),
        ("", "bills", 25),
        ("", "transactions", 28),
        ("", "ledger", 28),
        ("account", "orders", 9),
        ("account", "bills", 9),
        ("account", "transactions", 10),
        ("account", "ledger", 10),
        ("account(namespace: \"sub-b\")", "orders", 8),
    ] {
        List { client: &main, around, name }.assert_pages_agree(total).await;
    }
}

#[tokio::test]
async fn accounts_and_plans_are_paged_as_everything_is() {
    let (server, clock) = standing_server().await;
    let main = server.account("main", "0").await;
    for n in 0..22 {
        // Pairs at the same instant.
        clock.set(start() + TimeDelta::minutes(n / 2));
        let input =
            json!({ "namespace": format!("sub-{n}"), "name": "s", "currency": "CNY", "parentId": main });
        server.account_from(input, "0").await;
        server.plan(&format!("Plan {n}"), "1").await;
    }
    let (operator, customer) = (server.operator(), server.customer("main"));
    let newest_first = List { client: &operator, around: "", name: "accounts" }.assert_pages_agree(23).await;
    assert_eq!(newest_first.last(), Some(&main));
    List { client: &customer, around: "", name: "accounts" }.assert_pages_agree(23).await;
    List { client: &customer, around: "account", name: "subAccounts" }.assert_pages_agree(22).await;
    List { client: &customer, around: "", name: "plans" }.assert_pages_agree(22).await;
}

#[tokio::test]
async fn the_orders_of_a_main_account_and_its_subs_are_merged_newest_first() {
    let (server, _) = family().await;
    let query = "{ orders(first: 100) { nodes { id createdAt isSelf account { namespace } } } }";
    let nodes = server.customer("main").data(query).await["orders"]["nodes"].as_array().unwrap().clone();
    let places: Vec<_> = nodes
        .iter()
        .map(|node| {
            (
                node["createdAt"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap(),
                node["id"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(places.windows(2).all(|pair| pair[0] > pair[1]), "{places:#?}");
    let owners: Vec<_> = nodes.iter().map(|node| node["account"]["namespace"].as_str().unwrap()).collect();
    let newest = &owners[..6];
    assert_eq!(newest, ["main", "sub-b", "sub-a", "main", "sub-b", "sub-a"]);
    assert!(nodes.iter().all(|node| node["isSelf"] == (node["account"]["namespace"] == "main")));
    let own = server.customer("sub-a").data("{ orders(first: 100) { totalCount nodes { isSelf } } }").await;
    assert_eq!(own["orders"]["totalCount"], 8);
    assert!(own["orders"]["nodes"].as_array().unwrap().iter().all(|node| node["isSelf"] == true));
}

#[tokio::test]
async fn a_page_stays_where_it_is_while_newer_things_come() {
    let (server, clock) = family().await;
    let main = server.customer("main");
    let list = List { client: &main, around: "", name: "orders" };
    let first = list.page("first: 5").await;
    let rest = format!("first: 100, after: \"{}\"", first.cursors[4]);
    let before = list.page(&rest).await.ids;
    clock.set(start() + TimeDelta::days(1));
    let plan = server.plan("New", "1").await;
    main.checkout(&plan, "newer").await;
    assert_eq!(list.page(&rest).await.ids, before);
    assert_eq!(list.page("first: 2").await.ids[1], first.ids[0]);
}

/// The values of one field of all things in a list, sorted.
async fn listed(client: &Client, list: &str, filter: &str, field: &str) -> Vec<String> {
    let query =
        format!("{{ {list}(first: 100, filter: {{ {filter} }}) {{ totalCount nodes {{ {field} }} }} }}");
    let data = client.data(&query).await;
    let nodes = data[list]["nodes"].as_array().unwrap();
    assert_eq!(data[list]["totalCount"], nodes.len(), "{query}");
    let leaf = |node: &Value| {
        let mut value = node;
        while let Some(object) = value.as_object() {
            value = object.values().next().unwrap();
        }
        value.as_str().unwrap().to_owned()
    };
    let mut values: Vec<_> = nodes.iter().map(leaf).collect();
    values.sort();
    values
}

async fn assert_listed(client: &Client, list: &str, field: &str, cases: &[(String, &[&str])]) {
    for (filter, expected) in cases {
        assert_eq!(listed(client, list, filter, field).await, *expected, "{list}: {filter}");
    }
}

#[tokio::test]
async fn each_filter_of_accounts_and_of_the_market_narrows_on_its_own() {
    let (server, _) = standing_server().await;
    let operator = server.operator();
    let main = server
        .account_from(json!({ "namespace": "alpha", "name": "Ärzte 50% & Co", "currency": "CNY" }), "0")
        .await;
    server
        .account_from(
            json!({ "namespace": "beta_1", "name": "Alphabet", "currency": "USD", "parentId": null }),
            "0",
        )
        .await;
    server
        .account_from(
            json!({ "namespace": "beta-2", "name": "back\\slash", "currency": "CNY", "parentId": main }),
            "0",
        )
        .await;
    let suspended = json!({ "namespace": "beta_1", "status": "SUSPENDED" });
    operator.mutate("updateAccount", "UpdateAccountInput", suspended, "account { id }").await;
    let word = |word: &str| format!("searchWord: {}", json!(word));
    assert_listed(
        &operator,
        "accounts",
        "namespace",
        &[
            (String::new(), &["alpha", "beta-2", "beta_1"]),
            ("status: ACTIVE".to_owned(), &["alpha", "beta-2"]),
            ("status: SUSPENDED".to_owned(), &["beta_1"]),
            ("status: CLOSED".to_owned(), &[]),
            ("kind: MAIN".to_owned(), &["alpha", "beta_1"]),
            ("kind: SUB".to_owned(), &["beta-2"]),
            (word("ALPHA"), &["alpha", "beta_1"]),
            (word("eta"), &["beta-2", "beta_1"]),
            (word("ärzte"), &["alpha"]),
            (word("%"), &["alpha"]),
            (word("_"), &["beta_1"]),
            (word("\\"), &["beta-2"]),
            (word("nothing"), &[]),
            (word(""), &["alpha", "beta-2", "beta_1"]),
            ("status: ACTIVE, kind: SUB, searchWord: \"beta\"".to_owned(), &["beta-2"]),
        ],
    )
    .await;

    let price = json!({ "amount": "1", "currency": "CNY" });
    server.plan_from(json!({ "name": "a", "price": price })).await;
    server.plan_from(json!({ "name": "b", "type": "resources", "price": price })).await;
    server.plan_from(json!({ "name": "c", "region": "cn-east-1", "price": price })).await;
    server.plan_from(json!({ "name": "d", "resourceType": "IDC", "price": price })).await;
    let retired = server.plan_from(json!({ "name": "e", "region": null, "price": price })).await;
    operator
        .mutate("retirePlan", "RetirePlanInput", json!({ "planId": retired }), "plan { retiredAt }")
        .await;
    assert_listed(
        &server.customer("alpha"),
        "plans",
        "name",
        &[
            (String::new(), &["a", "b", "c", "d"]),
            ("type: \"resources\"".to_owned(), &["b"]),
            ("type: \"RESOURCES\"".to_owned(), &[]),
            ("region: \"cn-east-1\"".to_owned(), &["c"]),
            ("region: \"cn\"".to_owned(), &[]),
            ("resourceType: \"IDC\"".to_owned(), &["d"]),
            ("includeRetired: false".to_owned(), &["a", "b", "c", "d"]),
            ("includeRetired: true".to_owned(), &["a", "b", "c", "d", "e"]),
            ("type: \"C\", resourceType: \"CLOUD\", region: \"cn-north-1\"".to_owned(), &["a"]),
        ],
    )
    .await;
}

/// A MAIN account and its SUB, with five orders, an hour after each other, of all sorts. The last is a change, and the
/// second has been given back.
async fn varied_orders() -> TestServer {
    let (server, clock) = standing_server().await;
    let main = server.account("main", "1000").await;
    server
        .account_from(json!({ "namespace": "sub", "name": "s", "currency": "CNY", "parentId": main }), "1000")
        .await;
    let price = |amount: &str| json!({ "amount": amount, "currency": "CNY" });
    for (hours, buyer, name, plan) in [
        (1, "main", "Web 100%", json!({ "price": price("1") })),
        (2, "main", "Mail_1", json!({ "price": price("2"), "region": "cn-east-1" })),
        (3, "sub", "Rack", json!({ "price": price("3"), "resourceType": "IDC" })),
        (4, "main", "Small", json!({ "price": price("4"), "type": "resources" })),
        (5, "main", "Large", json!({ "price": price("50"), "type": "resources" })),
    ] {
        clock.set(start() + TimeDelta::hours(hours));
        let mut plan = plan;
        plan["name"] = json!(name);
        let plan = server.plan_from(plan).await;
        let bought = server.customer(buyer).checkout(&plan, name).await;
        assert_eq!(bought["userErrors"], json!([]));
    }
    clock.set(start() + TimeDelta::hours(6));
    let query = "{ transactions(filter: { region: \"cn-east-1\" }) { nodes { id } } }";
    let paid = server.customer("main").data(query).await["transactions"]["nodes"][0]["id"].clone();
    let refund = json!({ "transactionId": paid, "reason": "r", "idempotencyKey": "r" });
    server.operator().mutate("refund", "RefundInput", refund, "refund { id }").await;
    server
}

#[tokio::test]
async fn each_filter_of_orders_and_bills_narrows_on_its_own() {
    let server = varied_orders().await;
    let main = server.customer("main");
    let all: &[&str] = &["Large", "Mail_1", "Rack", "Small", "Web 100%"];
    let query = "{ orders { nodes { name number bills { nodes { number } } } } }";
    let nodes = main.data(query).await["orders"]["nodes"].as_array().unwrap().clone();
    let rack = nodes.iter().find(|node| node["name"] == "Rack").unwrap();
    let (number, bill_number) =
        (rack["number"].as_str().unwrap(), rack["bills"]["nodes"][0]["number"].as_str().unwrap());
    let by_time = |from: Option<String>, to: Option<String>| {
        let from = from.map(|from| format!("startTime: \"{from}\" ")).unwrap_or_default();
        from + &to.map(|to| format!("endTime: \"{to}\"")).unwrap_or_default()
    };
    let windows: [(String, &[&str]); 7] = [
        (String::new(), all),
        (by_time(Some(hour(4)), None), &["Large", "Small"]),
        (by_time(Some("2026-03-01T04:00:00.000001Z".to_owned()), None), &["Large"]),
        (by_time(Some("2026-03-01T12:00:00+08:00".to_owned()), None), &["Large", "Small"]),
        (by_time(None, Some(hour(3))), &["Mail_1", "Web 100%"]),
        (by_time(Some(hour(2)), Some(hour(4))), &["Mail_1", "Rack"]),
        (by_time(Some(hour(2)), Some(hour(2))), &[]),
    ];
    let words: [(String, &[&str]); 7] = [
        (format!("searchWord: \"{number}\""), &["Rack"]),
        (format!("searchWord: \"{}\"", number.to_lowercase()), &["Rack"]),
        ("searchWord: \"rAcK\"".to_owned(), &["Rack"]),
        ("searchWord: \"ai\"".to_owned(), &["Mail_1"]),
        ("searchWord: \"%\"".to_owned(), &["Web 100%"]),
        ("searchWord: \"_\"".to_owned(), &["Mail_1"]),
        ("searchWord: \"Plan\"".to_owned(), &[]),
    ];
    for (list, field) in [("orders", "name"), ("bills", "order { name }")] {
        assert_listed(&main, list, field, &windows).await;
        assert_listed(&main, list, field, &words).await;
    }
    assert_listed(
        &main,
        "orders",
        "name",
        &[
            ("orderType: NEW".to_owned(), &["Mail_1", "Rack", "Small", "Web 100%"]),
            ("orderType: CHANGE".to_owned(), &["Large"]),
            ("orderType: RENEW".to_owned(), &[]),
            ("resourceType: \"IDC\"".to_owned(), &["Rack"]),
            ("accountKind: MAIN".to_owned(), &["Large", "Mail_1", "Small", "Web 100%"]),
            ("accountKind: SUB".to_owned(), &["Rack"]),
            ("orderState: ACTIVE".to_owned(), &["Large", "Mail_1", "Rack", "Web 100%"]),
            ("orderState: CANCELLED".to_owned(), &["Small"]),
            ("orderState: UNPAID".to_owned(), &[]),
            (
                "orderType: NEW, orderState: ACTIVE, accountKind: MAIN, searchWord: \"web\"".to_owned(),
                &["Web 100%"],
            ),
        ],
    )
    .await;
    assert_listed(
        &main,
        "bills",
        "order { name }",
        &[
            ("billStatus: PAID".to_owned(), all),
            ("billStatus: UNPAID".to_owned(), &[]),
            ("billStatus: VOID".to_owned(), &[]),
            (format!("searchWord: \"{bill_number}\""), &["Rack"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn each_filter_of_transactions_and_of_the_ledger_narrows_on_its_own() {
    let server = varied_orders().await;
    let main = server.customer("main");
    let recharges: &[&str] = &["Recharge", "Recharge"];
    let time = |from: i64, to: i64| format!("startTime: \"{}\", endTime: \"{}\"", hour(from), hour(to));
    assert_listed(
        &main,
        "transactions",
        "description",
        &[
            (String::new(), &["Large", "Mail_1", "Rack", "Recharge", "Recharge", "Small", "Web 100%", "r"]),
            (time(0, 1), recharges),
            (time(1, 3), &["Mail_1", "Web 100%"]),
            (time(6, 7), &["r"]),
            ("kind: RECHARGE".to_owned(), recharges),
            ("kind: CHECKOUT".to_owned(), &["Large", "Mail_1", "Rack", "Small", "Web 100%"]),
            ("kind: REFUND".to_owned(), &["r"]),
            ("kind: BURST".to_owned(), &[]),
            ("status: REFUNDED".to_owned(), &["Mail_1"]),
            (
                "status: FINISHED".to_owned(),
                &["Large", "Rack", "Recharge", "Recharge", "Small", "Web 100%", "r"],
            ),
            ("status: PENDING".to_owned(), &[]),
            ("region: \"cn-east-1\"".to_owned(), &["Mail_1", "r"]),
            ("region: \"nowhere\"".to_owned(), &[]),
            ("kind: CHECKOUT, status: FINISHED, region: \"cn-east-1\"".to_owned(), &[]),
        ],
    )
    .await;
    assert_listed(
        &main,
        "ledger",
        "transaction { description }",
        &[
            (time(0, 1), recharges),
            (time(1, 3), &["Mail_1", "Web 100%"]),
            (time(2, 2), &[]),
            ("billingCycle: 1".to_owned(), &[]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_list_of_one_account_is_that_accounts_alone() {
    let server = varied_orders().await;
    let main = server.customer("main");
    let ids = main.data("{ accounts { nodes { id namespace } } }").await["accounts"]["nodes"].clone();
    for account in ids.as_array().unwrap() {
        let (id, count) = (&account["id"], if account["namespace"] == "sub" { 1 } else { 4 });
        let query = format!("{{ orders(accountId: {id}) {{ totalCount nodes {{ account {{ id }} }} }}
            bills(accountId: {id}) {{ totalCount }} transactions(accountId: {id}, filter: {{ kind: CHECKOUT }}) {{ totalCount }}
            ledger(accountId: {id}) {{ nodes {{ account {{ id }} }} }} }}");
        let data = main.data(&query).await;
        for list in ["orders", "bills", "transactions"] {
            assert_eq!(data[list]["totalCount"], count, "{list} of {account}");
        }
        for list in ["orders", "ledger"] {
            let nodes = data[list]["nodes"].as_array().unwrap();
            assert!(!nodes.is_empty() && nodes.iter().all(|node| node["account"]["id"] == *id), "{list}");
        }
    }
}

#[tokio::test]
async fn the_balance_at_an_instant_counts_the_entries_up_to_and_including_it() {
    let (server, clock) = standing_server().await;
    clock.set(start() + TimeDelta::hours(1));
    server.account("tenant", "100").await;
    let (customer, plan) = (server.customer("tenant"), server.plan("Plan A", "20").await);
    clock.set(start() + TimeDelta::hours(2));
    customer.checkout(&plan, "1").await;
    customer.checkout(&plan, "2").await;
    clock.set(start() + TimeDelta::hours(3));
    customer.checkout(&plan, "3").await;
    for (at, amount) in [
        ("1970-01-01T00:00:00Z", "0.00"),
        ("2026-03-01T00:59:59.999999Z", "0.00"),
        ("2026-03-01T01:00:00Z", "100.00"),
        ("2026-03-01T01:59:59.999999Z", "100.00"),
        ("2026-03-01T02:00:00Z", "60.00"),
        ("2026-03-01T10:00:00+08:00", "60.00"),
        ("2026-03-01T02:59:59.999999Z", "60.00"),
        ("2026-03-01T03:00:00Z", "40.00"),
        ("2126-03-01T00:00:00Z", "40.00"),
    ] {
        let query = format!("{{ account {{ balance(at: \"{at}\") {{ amount currency }} }} }}");
        let balance = &customer.data(&query).await["account"]["balance"];
        assert_eq!(*balance, json!({ "amount": amount, "currency": "CNY" }), "{at}");
    }
    let both =
        "{ account { now: balance { amount } then: balance(at: \"2026-03-01T01:30:00Z\") { amount } } }";
    assert_eq!(
        customer.data(both).await["account"],
        json!({ "now": { "amount": "40.00" }, "then": { "amount": "100.00" } })
    );
}

#[tokio::test]
async fn a_number_leads_back_to_its_order_or_bill_and_to_nothing_else() {
    let (server, _) = standing_server().await;
    server.account("tenant", "100").await;
    let (customer, plan) = (server.customer("tenant"), server.plan("Plan A", "20").await);
    for key in ["1", "2"] {
        customer.checkout(&plan, key).await;
    }
    let data = customer.data("{ orders { nodes { id number } } bills { nodes { id number } } }").await;
    let mut numbers = Vec::new();
    for (list, field, other) in [("orders", "order", "bill"), ("bills", "bill", "order")] {
        for thing in data[list]["nodes"].as_array().unwrap() {
            let (id, number) = (thing["id"].as_str().unwrap(), thing["number"].as_str().unwrap());
            let query = format!("{{ {field}(number: \"{number}\") {{ id number }} }}");
            assert_eq!(customer.data(&query).await[field], *thing);
            let query = format!("{{ {field}(id: \"{id}\") {{ id number }} }}");
            assert_eq!(customer.data(&query).await[field], *thing);
            numbers.push(number.to_owned());
            // The day, the account and the count are all part of the number.
            let unknown = [
                number.replace("20260301", "20260302"),
                format!("{number}0"),
                number.to_lowercase(),
                format!(" {number}"),
                number.replacen('-', "", 1),
                String::new(),
            ];
            for wrong in &unknown {
                let query = format!("{{ {field}(number: \"{wrong}\") {{ id }} }}");
                assert_eq!(customer.data(&query).await[field], Value::Null, "{wrong}");
            }
            let query = format!("{{ {other}(number: \"{number}\") {{ id }} }}");
            assert_eq!(customer.data(&query).await[other], Value::Null);
            let query = format!("{{ {field}(number: \"{number}\", id: \"{id}\") {{ id }} }}");
            assert_eq!(customer.error_code(&query).await, "INVALID");
        }
        assert_eq!(customer.error_code(&format!("{{ {field} {{ id }} }}")).await, "REQUIRED");
    }
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 4);
}

#[tokio::test]
async fn every_kind_of_id_is_a_node() {
    let (server, _) = standing_server().await;
    server.account("tenant", "100").await;
    let (customer, plan) = (server.customer("tenant"), server.plan("Plan A", "20").await);
    customer.checkout(&plan, "1").await;
    let discount = json!([{ "definition": { "discount": { "payablePercent": "90" } } }]);
    let prices = json!({ "everyone": true, "infos": discount, "idempotencyKey": "1" });
    server.operator().mutate("setPrices", "SetPricesInput", prices, "rules { id }").await;
    let of_capacity = json!({ "prices": [{ "resource": "cpu", "currency": "CNY", "level": 1, "price": "1", "unit": "core", "multiplier": "1" }] });
    let of_capacity = server
        .operator()
        .mutate("setResourcePrices", "SetResourcePricesInput", of_capacity, "prices { id }")
        .await;
    let license = json!({ "name": "windows", "longName": "Windows", "type": "INSTALL", "userMetric": "smp", "burstable": true });
    let license =
        server.operator().mutate("defineLicense", "DefineLicenseInput", license, "license { id }").await;
    let card = json!({ "providerToken": "pm_card_visa" });
    let card =
        customer.mutate("addPaymentMethod", "AddPaymentMethodInput", card, "paymentMethod { id }").await;
    let offer = json!({ "asset": "USD", "clusterId": "c", "chartName": "c", "cpuLimit": 1000, "memLimit": 0, "storageLimit": 0,
        "period": 1 });
    let offer = customer.mutate("quotePrepay", "QuotePrepayInput", offer, "quote { id }").await;
    let prepay = json!({ "quoteId": offer["quote"]["id"], "amount": "7", "paymentMethodId": card["paymentMethod"]["id"],
        "idempotencyKey": "prepaid" });
    customer.mutate("prepay", "PrepayInput", prepay, "prepayment { id }").await;
    let prepaid =
        customer.data("{ idempotentResult(key: \"prepaid\") { prepayment { id } payment { id } } }").await;
    let rate = json!({ "base": "CNY", "quote": "USD", "rate": "0.14", "source": "s", "observedAt": "2020-01-01T00:00:00Z" });
    server.operator().mutate("setExchangeRate", "SetExchangeRateInput", rate, "exchangeRate { rate }").await;
    let data = customer
        .data("{ account { id } plans { nodes { id } } resources { id } orders { nodes { id } } bills { nodes { id } }
            records { nodes { id } } transactions { nodes { id } } ledger { nodes { id } } priceRules { id }
            invoices { nodes { id } } }")
        .await;
    let ids = [
        ("Account", &data["account"]["id"]),
        ("Plan", &data["plans"]["nodes"][0]["id"]),
        ("Resource", &data["resources"][0]["id"]),
        ("Order", &data["orders"]["nodes"][0]["id"]),
        ("Bill", &data["bills"]["nodes"][0]["id"]),
        ("ConsumptionRecord", &data["records"]["nodes"][0]["id"]),
        ("Transaction", &data["transactions"]["nodes"][0]["id"]),
        ("LedgerEntry", &data["ledger"]["nodes"][0]["id"]),
        ("PriceRule", &data["priceRules"][0]["id"]),
        ("ResourcePrice", &of_capacity["prices"][0]["id"]),
        ("License", &license["license"]["id"]),
        ("PaymentMethod", &card["paymentMethod"]["id"]),
        ("Prepayment", &prepaid["idempotentResult"]["prepayment"]["id"]),
        ("Payment", &prepaid["idempotentResult"]["payment"]["id"]),
        ("Invoice", &data["invoices"]["nodes"][0]["id"]),
    ];
    let possible = customer.data("{ __type(name: \"Node\") { possibleTypes { name } } }").await;
    let possible = possible["__type"]["possibleTypes"].as_array().unwrap().clone();
    // Operators' alone: tests/it/approvals.rs.
    for kind in possible.iter().filter(|kind| kind["name"] != "Approval") {
        assert!(ids.iter().any(|(name, _)| kind["name"] == *name), "give an id of {kind}");
    }
    for (kind, id) in ids {
        let node = customer.data(&format!("{{ node(id: {id}) {{ __typename id }} }}")).await["node"].clone();
        assert_eq!(node, json!({ "__typename": kind, "id": id }));
    }
    // In their order, twice what is asked for twice, null for what is not there.
    let asked: Vec<_> = ids
        .iter()
        .rev()
        .map(|(_, id)| (*id).clone())
        .chain([ids[3].1.clone(), json!("acc_999999"), ids[0].1.clone()])
        .collect();
    let (_, answer) =
        customer.post("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": asked })).await;
    let expected: Vec<_> =
        asked.iter().map(|id| if id == "acc_999999" { Value::Null } else { json!({ "id": id }) }).collect();
    assert_eq!(answer["data"]["nodes"], json!(expected));
    assert_eq!(customer.data("{ nodes(ids: []) { id } }").await["nodes"], json!([]));
    for wrong in ["", "x", "acc_", "ntc_1", "ord_1", "123"] {
        assert_eq!(
            customer.error_code(&format!("{{ node(id: \"{wrong}\") {{ id }} }}")).await,
            "INVALID",
            "{wrong}"
        );
    }
    assert_eq!(customer.data("{ node(id: \"res_nothing\") { id } }").await["node"], Value::Null);
}

#[tokio::test]
async fn a_dry_run_answers_what_would_be_and_changes_nothing() {
    let (server, _) = standing_server().await;
    server.account("tenant", "100").await;
    let (customer, plan) = (server.customer("tenant"), server.plan("Plan A", "20").await);
    customer.checkout(&plan, "0").await;
    let contents = server.contents().await;
    let fields = "order { id number state bills { totalCount } } bill { id number status amount { amount } }
        account { balance { amount } } schedule { seq amount { amount } }";
    let input = |dry_run| json!({ "planId": plan, "quantity": 2, "autoRenewal": true, "idempotencyKey": "k", "dryRun": dry_run });
    let tried = customer.mutate("checkout", "CheckoutInput", input(true), fields).await;
    assert_eq!(tried["account"]["balance"]["amount"], "40.00");
    assert_eq!(
        (&tried["order"]["state"], &tried["bill"]["amount"]["amount"]),
        (&json!("ACTIVE"), &json!("40.00"))
    );
    let recharge = json!({ "amount": "5", "idempotencyKey": "k", "dryRun": true });
    let paid = customer
        .mutate(
            "recharge",
            "RechargeInput",
            recharge,
            "transaction { id balanceAfter } account { balance { amount } }",
        )
        .await;
    assert_eq!(
        (&paid["transaction"]["balanceAfter"], &paid["account"]["balance"]["amount"]),
        (&json!("85.00"), &json!("85.00"))
    );
    let original =
        customer.data("{ transactions(first: 1) { nodes { id } } }").await["transactions"]["nodes"][0]["id"]
            .clone();
    let refund = json!({ "transactionId": original, "reason": "r", "idempotencyKey": "k", "dryRun": true });
    let refund = server
        .operator()
        .mutate(
            "refund",
            "RefundInput",
            refund,
            "refund { id } transaction { status } account { balance { amount } }",
        )
        .await;
    assert_eq!(
        (&refund["transaction"]["status"], &refund["account"]["balance"]["amount"]),
        (&json!("REFUNDED"), &json!("100.00"))
    );
    server.assert_holds_still(&contents).await;

    for id in
        [&tried["order"]["id"], &tried["bill"]["id"], &paid["transaction"]["id"], &refund["refund"]["id"]]
    {
        assert_eq!(customer.data(&format!("{{ node(id: {id}) {{ id }} }}")).await["node"], Value::Null);
    }
    for (field, number) in [("order", &tried["order"]["number"]), ("bill", &tried["bill"]["number"])] {
        assert_eq!(
            customer.data(&format!("{{ {field}(number: {number}) {{ id }} }}")).await[field],
            Value::Null
        );
    }
    assert_eq!(
        customer.data("{ idempotentResult(key: \"k\") { key } }").await["idempotentResult"],
        Value::Null
    );

    // The key is still free, and what is then really done is what was foretold, under ids of its own.
    let done = customer.mutate("checkout", "CheckoutInput", input(false), fields).await;
    assert_eq!((&done["account"], &done["schedule"]), (&tried["account"], &tried["schedule"]));
    assert_ne!(done["order"]["id"], tried["order"]["id"]);
    assert_ne!(done["bill"]["id"], tried["bill"]["id"]);
    // Also after something provisional had the number that is now a real one's.
    let real = customer.data(&format!("{{ node(id: {}) {{ id }} }}", done["order"]["id"])).await;
    assert_eq!(real["node"]["id"], done["order"]["id"]);
    assert_eq!(
        customer.data(&format!("{{ node(id: {}) {{ id }} }}", tried["order"]["id"])).await["node"],
        Value::Null
    );
    server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_repeat_of_a_key_answers_the_same_objects_as_they_are_now() {
    let (server, clock) = standing_server().await;
    server.account("tenant", "100").await;
    let (customer, plan) = (server.customer("tenant"), server.plan("Plan A", "20").await);
    let fields = "order { id number state } bill { id number transactions { id status } } account { id balance { amount } }";
    let input = json!({ "planId": plan, "idempotencyKey": "k" });
    let first = customer.mutate("checkout", "CheckoutInput", input.clone(), fields).await;
    let held = customer.data("{ idempotentResult(key: \"k\") { key mutation createdAt order { id } bill { id } transaction { id } } }").await;
    let transaction = first["bill"]["transactions"][0]["id"].clone();
    assert_eq!(
        held["idempotentResult"],
        json!({ "key": "k", "mutation": "checkout", "createdAt": START, "order": { "id": first["order"]["id"] },
            "bill": { "id": first["bill"]["id"] }, "transaction": { "id": transaction } })
    );
    let contents = server.contents().await;
    assert_eq!(customer.mutate("checkout", "CheckoutInput", input.clone(), fields).await, first);
    server.assert_holds_still(&contents).await;

    // Later the account has less, the payment was given back, and the plan is gone; the answer tells so.
    clock.set(start() + TimeDelta::hours(1));
    let cheap = server.plan("Plan B", "1").await;
    customer.checkout(&cheap, "other").await;
    let refund = json!({ "transactionId": transaction, "reason": "r", "idempotencyKey": "r" });
    let operator = server.operator();
    operator.mutate("refund", "RefundInput", refund.clone(), "refund { id }").await;
    operator.mutate("retirePlan", "RetirePlanInput", json!({ "planId": plan }), "plan { id }").await;
    let contents = server.contents().await;
    let again = customer.mutate("checkout", "CheckoutInput", input, fields).await;
    assert_eq!((&again["order"], &again["bill"]["id"]), (&first["order"], &first["bill"]["id"]));
    assert_eq!(again["account"]["balance"]["amount"], "99.00");
    assert_eq!(again["bill"]["transactions"].as_array().unwrap().len(), 2);
    let refunded = operator
        .mutate("refund", "RefundInput", refund, "refund { id refundOf { id } } transaction { id status }")
        .await;
    assert_eq!(refunded["transaction"], json!({ "id": transaction, "status": "REFUNDED" }));
    assert_eq!(refunded["refund"]["refundOf"]["id"], transaction);
    server.assert_holds_still(&contents).await;
}

#[tokio::test]
async fn the_ledger_chains_from_entry_to_entry() {
    let server = varied_orders().await;
    let query = "{ account { ledger(first: 100) { nodes { seq amount initial end time hash transaction { direction amount { amount } balanceAfter } } } } }";
    let entries =
        server.customer("main").data(query).await["account"]["ledger"]["nodes"].as_array().unwrap().clone();
    assert_eq!(entries.len(), 6);
    let mut balance = "0.00".to_owned();
    for (n, entry) in entries.iter().rev().enumerate() {
        assert_eq!((&entry["seq"], &entry["initial"]), (&json!(n + 1), &json!(balance)));
        let paid = &entry["transaction"];
        let sign = if paid["direction"] == "DEBIT" { "" } else { "-" };
        assert_eq!(entry["amount"], format!("{sign}{}", paid["amount"]["amount"].as_str().unwrap()));
        assert_eq!(entry["end"], paid["balanceAfter"]);
        assert_eq!(entry["hash"].as_str().unwrap().len(), 64);
        balance = entry["end"].as_str().unwrap().to_owned();
    }
    // 1000 − 1 − 2 − 4 − (50 − 4 × 31 ÷ 31, for it is still the first day) + 2
    assert_eq!(balance, "949.00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_of_headers_what_it_shows_of_whole_rows() {
    let server = varied_orders().await;
    let main = server.customer("main");
    let page = "pageInfo { endCursor hasNextPage } totalCount";
    let order =
        "__typename id number name type state account { id } isSelf createdAt records { nodes { id } }";
    let bill = "__typename id number account { id } order { id } status amount { amount currency }";
    let sums = "summary { paidCount pageAmounts { amount } totalAmounts { amount } }";
    for (list, shown, also) in [
        (format!("orders(first: 3) {{ {page} nodes {{ LIST }} }}"), order, "region"),
        (format!("orders {{ {page} edges {{ cursor node {{ LIST }} }} }}"), order, "schedule { dueAt }"),
        (
            format!("orders {{ nodes {{ bills(first: 1) {{ {sums} {page} nodes {{ LIST }} }} }} }}"),
            bill,
            "seq",
        ),
        (
            format!("bills(first: 2) {{ {sums} {page} edges {{ cursor node {{ LIST }} }} }}"),
            bill,
            "lines { title }",
        ),
        ("bills { nodes { ...on Bill { LIST } } edges { node { LIST } } }".to_owned(), bill, "dueAt"),
    ] {
        let ask = async |fields: String| {
            main.data(&format!("{{ account {{ {} }} }}", list.replace("LIST", &fields))).await
        };
        let headers = ask(shown.to_owned()).await;
        let mut whole = ask(format!("{shown} {also}")).await;
        assert_ne!(headers, whole, "{list}");
        without(&mut whole, also.split(' ').next().unwrap());
        assert_eq!(headers, whole, "{list}");
        assert!(headers.to_string().contains("\"id\":"), "{headers}");
    }
}

/// Takes a field away, wherever it is.
fn without(value: &mut Value, field: &str) {
    match value {
        Value::Object(fields) => {
            fields.remove(field);
            fields.values_mut().for_each(|value| without(value, field));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| without(item, field)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_answers_the_same_however_its_selection_is_written() {
    let server = varied_orders().await;
    let operator = server.operator();
    let plain = "__typename id state price { amount currency } bills { nodes { id amount { amount } } } account { id }";
    let written_otherwise = [
        "...All",
        "... on Order { ...All }",
        "... { id __typename } ... on Node { id } state price { amount } price { currency } account { id }
         bills { nodes { id } } bills { nodes { amount { amount } } }",
        "__typename id @include(if: true) state price @skip(if: false) { amount currency }
         bills { nodes @include(if: true) { id amount { amount } } } account { id }",
    ];
    let fragment = format!("fragment All on Order {{ {plain} }}");
    let expected = operator.data(&format!("{{ orders {{ nodes {{ {plain} }} }} }}")).await;
    let orders = expected["orders"]["nodes"].as_array().unwrap();
    assert!(!orders.is_empty() && orders.iter().all(|order| order["__typename"] == "Order"));
    for selection in written_otherwise {
        let fragment = if selection.contains("...All") { &*fragment } else { "" };
        let answer = operator.data(&format!("{{ orders {{ nodes {{ {selection} }} }} }} {fragment}")).await;
        assert_eq!(answer, expected, "{selection}");
    }
    // What is asked for in two places is merged however far above.
    let apart = operator
        .data(
            "{ orders { nodes { __typename id state price { amount } } }
               orders { nodes { price { currency } bills { nodes { id amount { amount } } } account { id } } } }",
        )
        .await;
    assert_eq!(apart, expected);
}
