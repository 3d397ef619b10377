//! Accounts that are spread over several databases (docs/adr/0042).

use std::collections::BTreeSet;
use std::time::Duration;

use abacus::clock::{Clock, wall};
use abacus::domain::ids::AccountId;
use abacus::server::{CellConfig, Server, ServerConfig};
use abacus::store::cells::catalogue;
use abacus::store::database::Database;
use abacus::store::{erasures, restorations};
use serde_json::{Value, json};

use crate::support::cells::{SECOND_BEGINS, TwoCells, cell, is_of_second, owned_cell};
use crate::support::cluster;
use crate::support::life::at;
use crate::support::proxy::{Proxy, Way};
use crate::support::server::SECRET;
use crate::support::{Client, TestServer};

const NAMES: [&str; 6] = ["t0", "t1", "t2", "t3", "t4", "t5"];

/// Why a server does not start on these cells.
async fn refused(change: impl FnOnce(&mut ServerConfig)) -> String {
    let listen = "127.0.0.1:0".parse().unwrap();
    let mut config =
        ServerConfig::new(listen, "postgres://nobody@127.0.0.1:1/none".to_owned(), SECRET.to_vec());
    config.sandbox = true;
    config.run_jobs = false;
    config.connections_max = 2;
    change(&mut config);
    match Server::start(config).await {
        Ok(_) => panic!("it starts"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn accounts_are_born_in_the_emptiest_cell_and_each_has_all_of_its_own_there() {
    let cells = TwoCells::start().await;
    let ids = cells.tenants(&NAMES).await;
    assert_eq!(ids.iter().filter(|id| is_of_second(id)).count(), 3, "{ids:?}");
    let plan = cells.plan("small").await;
    for (name, id) in NAMES.iter().zip(&ids) {
        let customer = cells.server.customer(name);
        let bought = customer.checkout(&plan, "first").await;
        assert_eq!(bought["userErrors"], json!([]), "{name}");
        assert_eq!(bought["account"]["balance"]["amount"], "990.00", "{name}");
        // A key is its account's, wherever that lives.
        assert_eq!(customer.checkout(&plan, "first").await["order"], bought["order"]);
        let own =
            customer.data("{ account { id namespace orders { nodes { number } } plans { id } } }").await;
        assert_eq!(own["account"]["id"], *id);
        assert_eq!(own["account"]["orders"]["nodes"][0]["number"], bought["order"]["number"]);
        assert_eq!(own["account"]["plans"][0]["id"], plan);
        let number = bought["order"]["number"].as_str().unwrap();
        let order =
            format!("{{ order(number: \"{number}\") {{ id }} node(id: {}) {{ id }} }}", bought["bill"]["id"]);
        let found = customer.data(&order).await;
        assert_eq!(
            (&found["order"]["id"], &found["node"]["id"]),
            (&bought["order"]["id"], &bought["bill"]["id"])
        );
    }
    // What is one account's is no other's, of the same cell or another.
    for (name, other) in [("t0", &ids[1]), ("t0", &ids[2]), ("t1", &ids[0]), ("t1", &ids[3])] {
        let asked =
            format!("{{ node(id: \"{other}\") {{ id }} orders(accountId: \"{other}\") {{ totalCount }} }}");
        let answer = cells.server.customer(name).answer(&asked).await;
        assert_eq!(answer["data"]["node"], Value::Null, "{name} {other}: {answer}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "NOT_FOUND", "{answer}");
    }
    cells.server.assert_ledger_is_healthy().await;
    for (url, born) in [(&cells.server.database_url, 3_i64), (&cells.second_url, 3)] {
        let sql = cluster::connect(url).await;
        let counts =
            "SELECT accounts, (SELECT count(*) FROM accounts), (SELECT count(*) FROM orders) FROM cell";
        let row = sql.query_one(counts, &[]).await.unwrap();
        assert_eq!((row.get(0), row.get(1), row.get(2)), (born, born, born));
    }
}

#[tokio::test]
async fn a_namespace_is_one_accounts_over_all_cells_and_a_key_makes_one_account() {
    let cells = TwoCells::start().await;
    let operator = cells.server.operator();
    cells.tenants(&NAMES).await;
    for name in NAMES {
        let again = json!({ "namespace": name, "name": "again", "currency": "CNY" });
        let refused = operator.refusal("createAccount", "CreateAccountInput", again).await;
        assert_eq!(refused, ("CONFLICT".to_owned(), "input.namespace".to_owned()), "{name}");
    }
    for number in 0..4 {
        let input = json!({ "namespace": format!("k{number}"), "name": "k", "currency": "CNY", "idempotencyKey": format!("k{number}") });
        let made =
            operator.mutate("createAccount", "CreateAccountInput", input.clone(), "account { id }").await;
        let again =
            operator.mutate("createAccount", "CreateAccountInput", input.clone(), "account { id }").await;
        assert_eq!(made, again);
        let mut other = input;
        other["namespace"] = json!(format!("other{number}"));
        let refused = operator.refusal("createAccount", "CreateAccountInput", other).await;
        assert_eq!(refused.0, "IDEMPOTENCY_KEY_REUSED", "{refused:?}");
    }
    // SUB accounts live where their MAIN account does.
    for main in ["t0", "t1"] {
        let parent =
            operator.data(&format!("{{ account(namespace: \"{main}\") {{ id }} }}")).await["account"]["id"]
                .clone();
        for sub in 0..3 {
            let input = json!({ "namespace": format!("{main}.{sub}"), "name": "s", "currency": "CNY", "parentId": parent });
            let made = operator.mutate("createAccount", "CreateAccountInput", input, "account { id }").await;
            let id = made["account"]["id"].as_str().unwrap();
            assert_eq!(is_of_second(id), is_of_second(parent.as_str().unwrap()), "{main} {id}");
        }
        let family = cells
            .server
            .customer(main)
            .data("{ account { subAccounts { totalCount } } accounts { totalCount } }")
            .await;
        assert_eq!(
            family,
            json!({ "account": { "subAccounts": { "totalCount": 3 } }, "accounts": { "totalCount": 4 } })
        );
    }
}

#[tokio::test]
async fn an_account_whose_making_was_cut_short_is_made_by_whoever_asks_next() {
    let cells = TwoCells::start().await;
    // As if the server had died once the namespace was taken.
    let home = cluster::connect(&cells.server.database_url).await;
    let number = SECOND_BEGINS + 77;
    home.execute("INSERT INTO namespaces (namespace, account_id) VALUES ('cut', $1)", &[&number])
        .await
        .unwrap();
    assert_eq!(
        cells.server.customer("cut").answer("{ account { id } }").await["data"]["account"],
        Value::Null
    );
    // Not as a SUB account of somebody who lives elsewhere.
    let main = cells.tenants(&["t0"]).await.remove(0);
    assert!(!is_of_second(&main));
    let sub = json!({ "namespace": "cut", "name": "s", "currency": "CNY", "parentId": main });
    let refused = cells.server.operator().refusal("createAccount", "CreateAccountInput", sub).await;
    assert_eq!(refused, ("CONFLICT".to_owned(), "input.namespace".to_owned()));
    let id = cells.server.account("cut", "5").await;
    assert_eq!(id, format!("acc_{number}"));
    let own = cells.server.customer("cut").data("{ account { id balance { amount } } }").await;
    assert_eq!(own["account"]["id"], id);
}

/// All nodes of a list, page by page from one end.
async fn paged(client: &Client, list: &str, fields: &str, from_the_end: bool) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let mut cursor = String::new();
    loop {
        let args = match from_the_end {
            true => format!(
                "last: 3{}",
                if cursor.is_empty() { String::new() } else { format!(", before: \"{cursor}\"") }
            ),
            false => format!(
                "first: 3{}",
                if cursor.is_empty() { String::new() } else { format!(", after: \"{cursor}\"") }
            ),
        };
        let query = format!(
            "{{ {list}({args}) {{ nodes {{ {fields} }} pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
        );
        let page = client.data(&query).await[list].clone();
        let nodes = page["nodes"].as_array().unwrap().clone();
        let (more, next) =
            if from_the_end { ("hasPreviousPage", "startCursor") } else { ("hasNextPage", "endCursor") };
        if from_the_end {
            all.splice(0..0, nodes);
        } else {
            all.extend(nodes);
        }
        if page["pageInfo"][more] != json!(true) {
            return all;
        }
        cursor = page["pageInfo"][next].as_str().unwrap().to_owned();
    }
}

#[tokio::test]
async fn lists_over_everybody_are_one_list_in_order() {
    let cells = TwoCells::start().await;
    let ids = cells.tenants(&NAMES).await;
    let plan = cells.plan("small").await;
    for round in 0..3 {
        for name in NAMES {
            cells.server.customer(name).checkout(&plan, &format!("o{round}")).await;
        }
    }
    let operator = cells.server.operator();
    for (list, key, count) in [
        ("orders", "id", 18),
        ("bills", "id", 18),
        ("transactions", "id", 24),
        ("ledger", "id", 24),
        ("accounts", "id", 6),
    ] {
        let forward = paged(&operator, list, key, false).await;
        let backward = paged(&operator, list, key, true).await;
        assert_eq!(forward, backward, "{list}");
        let distinct: BTreeSet<String> = forward.iter().map(|node| node[key].to_string()).collect();
        assert_eq!((forward.len(), distinct.len()), (count, count), "{list}");
        let total =
            operator.data(&format!("{{ {list} {{ totalCount }} }}")).await[list]["totalCount"].clone();
        assert_eq!(total, json!(count), "{list}");
        let passed_over =
            operator.data(&format!("{{ {list}(first: 4, offset: 2) {{ nodes {{ {key} }} }} }}")).await;
        assert_eq!(passed_over[list]["nodes"].as_array().unwrap()[..], forward[2..6], "{list}");
    }
    let orders = paged(&operator, "orders", "id createdAt account { id }", false).await;
    let times: Vec<&str> = orders.iter().map(|order| order["createdAt"].as_str().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] >= pair[1]), "{times:?}");
    let owners: BTreeSet<&str> =
        orders.iter().map(|order| order["account"]["id"].as_str().unwrap()).collect();
    assert_eq!(owners, ids.iter().map(String::as_str).collect());
    let sums = operator
        .data("{ bills { summary { paidCount unpaidCount totalAmounts { amount currency } } } }")
        .await;
    assert_eq!(sums["bills"]["summary"]["paidCount"], json!(18), "{sums}");
}

#[tokio::test]
async fn the_catalogue_is_the_same_everywhere_and_caught_up_with_by_a_cell_that_was_away() {
    let cells = TwoCells::start().await;
    cells.tenants(&["t0", "t1"]).await;
    let operator = cells.server.operator();
    let plan = cells.plan("before").await;
    let resource = json!({ "code": "gpu", "name": "GPU", "unit": "core", "resourceType": "CLOUD", "aggregation": "AVERAGE" });
    operator.mutate("defineResource", "DefineResourceInput", resource, "resource { code }").await;
    let rate = json!({ "base": "CNY", "quote": "USD", "rate": "0.140000000000000001", "source": "test" });
    operator.mutate("setExchangeRate", "SetExchangeRateInput", rate, "exchangeRate { rate }").await;
    let price = json!({ "planId": plan, "price": { "amount": "20", "currency": "CNY" } });
    operator.mutate("updatePlan", "UpdatePlanInput", price, "plan { id }").await;
    for name in ["t0", "t1"] {
        let bought = cells.server.customer(name).checkout(&plan, "new price").await;
        assert_eq!(bought["account"]["balance"]["amount"], "980.00", "{name}: {bought}");
    }
    cells.way.set(Way::Closed);
    let meanwhile = cells.plan("meanwhile").await;
    let bought = cells.server.customer("t0").checkout(&meanwhile, "meanwhile").await;
    assert_eq!(bought["userErrors"], json!([]));
    cells.way.set(Way::Open);
    catalogue::copy_to_all(cells.server.server.app.store.cells()).await.unwrap();
    let bought = cells.server.customer("t1").checkout(&meanwhile, "meanwhile").await;
    assert_eq!(bought["userErrors"], json!([]), "{bought}");
    let tables = "SELECT (SELECT md5(string_agg(t::text, ';' ORDER BY t.id)) FROM plans t), (SELECT md5(string_agg(t::text, ';' ORDER BY code)) FROM resources t),
        (SELECT md5(string_agg(t::text, ';' ORDER BY t.id)) FROM exchange_rates t), (SELECT catalogue FROM cell)";
    let of = async |url: &str| {
        let row = cluster::connect(url).await.query_one(tables, &[]).await.unwrap();
        let texts: Vec<String> = (0..3).map(|nth| row.get::<_, String>(nth)).collect();
        (texts, row.get::<_, i64>(3))
    };
    assert_eq!(of(&cells.server.database_url).await, of(&cells.second_url).await);

    // The home cell is restored to before some of it.
    let home = cluster::connect(&cells.server.database_url).await;
    home.batch_execute("UPDATE cell SET catalogue = catalogue - 3").await.unwrap();
    let owner = Database::new(&cluster::owner_url(&cells.server.database_url), 1).unwrap();
    let mut connection = owner.dedicated_connection().await.unwrap();
    restorations::resume(&mut connection).await.unwrap();
    let after = cells.plan("after").await;
    let bought = cells.server.customer("t1").checkout(&after, "after").await;
    assert_eq!(bought["userErrors"], json!([]), "{bought}");
}

#[tokio::test]
async fn a_cell_that_is_away_keeps_nobody_elsewhere_from_anything() {
    let cells = TwoCells::start().await;
    let ids = cells.tenants(&["t0", "t1"]).await;
    let plan = cells.plan("small").await;
    cells.server.customer("t1").checkout(&plan, "before").await;
    cells.way.set(Way::Closed);
    let first = cells.server.customer("t0");
    let bought = first.checkout(&plan, "alone").await;
    assert_eq!(bought["userErrors"], json!([]), "{bought}");
    let own = first.data("{ account { id orders { totalCount } } }").await;
    assert_eq!(own["account"]["orders"]["totalCount"], json!(1));
    // Whoever lives in the other is told so, and lists over everybody are no shorter than they should be.
    let operator = cells.server.operator();
    let other = format!("{{ account(id: \"{}\") {{ id }} }}", ids[1]);
    assert_eq!(operator.error_code(&other).await, "UNAVAILABLE");
    let failed = operator.answer("{ orders { nodes { id } } }").await;
    assert_eq!(failed["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{failed}");
    assert!(failed["errors"][0]["message"].as_str().unwrap().contains("\"second\""), "{failed}");
    let other_buys = async || {
        let input = json!({ "planId": plan, "idempotencyKey": "away" });
        let other = cells.server.customer("t1");
        other.try_mutate("checkout", "CheckoutInput", input, "order { id }").await.1
    };
    let answer = other_buys().await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer}");
    // New accounts are born where they can be.
    let born = cells.tenants(&["t2", "t3"]).await;
    assert!(!born.iter().any(|id| is_of_second(id)), "{born:?}");
    let ready = cells.server.client_with(None).request(reqwest::Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    cells.way.set(Way::Open);
    let back = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let answer = other_buys().await;
            if answer["data"]["checkout"]["order"].is_object() {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    back.await.expect("it comes back");
    cells.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn time_passes_in_all_cells_and_each_numbers_its_own_invoices() {
    let clock = Clock::standing_at(at("2026-01-15T00:00:00Z"));
    let of_server = clock.clone();
    let cells = TwoCells::with(|config| config.clock = of_server).await;
    let ids = cells.tenants(&["t0", "t1"]).await;
    let plan = cells.plan("monthly").await;
    for name in ["t0", "t1"] {
        cells.server.customer(name).checkout(&plan, "one").await;
    }
    let operator = cells.server.operator();
    let moved = operator
        .mutate(
            "advanceClock",
            "AdvanceClockInput",
            json!({ "to": "2026-03-05T00:00:00Z" }),
            "now jobs { kind ran failed }",
        )
        .await;
    let ran = |kind: &str| {
        moved["jobs"]
            .as_array()
            .unwrap()
            .iter()
            .find(|job| job["kind"] == kind)
            .map(|job| job["ran"].as_i64().unwrap())
    };
    assert_eq!(ran("INVOICE"), Some(2), "{moved}");
    for (id, prefix) in [(&ids[0], "INV-2026-0"), (&ids[1], "INV-2026-C1-0")] {
        let query = format!("{{ invoices(accountId: \"{id}\", first: 10) {{ nodes {{ number status }} }} }}");
        let invoices = operator.data(&query).await["invoices"]["nodes"].as_array().unwrap().clone();
        let numbers: Vec<&str> = invoices.iter().filter_map(|invoice| invoice["number"].as_str()).collect();
        assert_eq!(numbers.len(), 1, "{invoices:?}");
        assert!(numbers.iter().all(|number| number.starts_with(prefix)), "{numbers:?}");
        let account =
            operator.data(&format!("{{ account(id: \"{id}\") {{ orders {{ nodes {{ state }} }} }} }}")).await;
        assert_eq!(account["account"]["orders"]["nodes"][0]["state"], "ENDED", "{account}");
    }
    let runs = operator.data("{ billingRuns { period timeZone state total done } }").await["billingRuns"]
        .as_array()
        .unwrap()
        .clone();
    assert!(!runs.is_empty() && runs.iter().all(|run| run["state"] == "DONE"), "{runs:?}");
    let months: BTreeSet<String> =
        runs.iter().map(|run| format!("{} {}", run["period"], run["timeZone"])).collect();
    assert_eq!(months.len(), runs.len());
    cells.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn usage_is_counted_where_its_account_lives() {
    let cells = TwoCells::start().await;
    let ids = cells.tenants(&["t0", "t1"]).await;
    let operator = cells.server.operator();
    let resource = json!({ "code": "traffic", "name": "Traffic", "unit": "GB", "resourceType": "CLOUD", "aggregation": "SUM" });
    operator.mutate("defineResource", "DefineResourceInput", resource, "resource { code }").await;
    let now = wall().to_rfc3339();
    let event = |id: &str, of: Value| {
        let mut event = json!({ "id": id, "resource": "traffic", "quantity": "2.5", "time": now });
        event.as_object_mut().unwrap().extend(of.as_object().unwrap().clone());
        event
    };
    let events = json!([
        event("a", json!({ "accountId": ids[0] })),
        event("b", json!({ "accountId": ids[1] })),
        event("c", json!({ "namespace": "t1" }))
    ]);
    let input = json!({ "events": events });
    let fields = "accepted duplicates rejected";
    let counted = operator.payload("recordUsage", "RecordUsageInput", input.clone(), fields).await;
    assert_eq!((&counted["accepted"], &counted["duplicates"]), (&json!(3), &json!(0)), "{counted}");
    let again = operator.payload("recordUsage", "RecordUsageInput", input, fields).await;
    assert_eq!((&again["accepted"], &again["duplicates"]), (&json!(0), &json!(3)), "{again}");
    for (url, events) in [(&cells.server.database_url, 1_i64), (&cells.second_url, 2)] {
        let row =
            cluster::connect(url).await.query_one("SELECT count(*) FROM usage_events", &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), events);
    }
}

#[tokio::test]
async fn databases_that_are_not_the_cells_that_they_are_said_to_be_are_refused() {
    let cells = TwoCells::start().await;
    let (home, second) = (cells.server.database_url.clone(), cells.second_url.clone());
    let exchanged = refused(|config| config.cells = vec![cell(0, "a", &second), cell(1, "b", &home)]).await;
    assert!(exchanged.contains("is cell 1 of this installation, and not 0"), "{exchanged}");
    let twice = refused(|config| config.cells = vec![cell(0, "a", &home), cell(1, "b", &home)]).await;
    assert!(twice.contains("is cell 0 of this installation, and not 1"), "{twice}");
    let third = cluster::database().await;
    let forgotten =
        refused(|config| config.cells = vec![owned_cell(0, "a", &home), owned_cell(2, "c", &third)]).await;
    assert!(forgotten.contains("cell 1 has joined"), "{forgotten}");
    for url in [&home, &second] {
        let alone = refused(|config| config.database_url = url.clone()).await;
        assert!(alone.contains("of an installation of several"), "{alone}");
    }
    let away = refused(|config| {
        config.cells = vec![cell(0, "a", &home), cell(1, "b", "postgres://abacus@127.0.0.1:1/none")]
    })
    .await;
    assert!(away.contains("the cell \"b\""), "{away}");
    // The server's role may not have a database join, and one with accounts is no new cell.
    let fresh = cluster::database().await;
    let unprivileged = refused(|config| config.cells = vec![cell(0, "a", &fresh)]).await;
    assert!(unprivileged.contains("abacus migrate --cells"), "{unprivileged}");
    let used = TestServer::start().await;
    used.account("somebody", "0").await;
    let url = used.database_url.clone();
    used.server.stop().await;
    let not_empty =
        refused(|config| config.cells = vec![owned_cell(0, "a", &fresh), owned_cell(1, "b", &url)]).await;
    assert!(not_empty.contains("begins with an empty one"), "{not_empty}");
}

/// The level of a resource that holds now.
async fn level(operator: &Client, resource: &str) -> Option<i64> {
    let pricing = operator.data("{ pricing { current { resource { code } level } } }").await;
    let current = pricing["pricing"]["current"].as_array().unwrap().clone();
    current.iter().find(|one| one["resource"]["code"] == resource).and_then(|one| one["level"].as_i64())
}

#[tokio::test]
async fn burst_levels_are_those_of_what_is_used_in_all_cells_together() {
    let clock = Clock::standing_at(at("2026-03-01T10:02:00Z"));
    let cells = TwoCells::with(|config| config.clock = clock).await;
    cells.tenants(&["t0", "t1"]).await;
    let operator = cells.server.operator();
    let price = |level: i64, price: &str| json!({ "resource": "cpu", "currency": "CNY", "level": level, "price": price, "unit": "GHz/hour", "multiplier": "3600000" });
    let prices = json!({ "prices": [price(0, "0.1"), price(1, "0.2"), price(2, "0.3")] });
    operator.mutate("setResourcePrices", "SetResourcePricesInput", prices, "prices { id }").await;
    // Neither cell uses half of it, both together do.
    let curve = json!([{ "fromUtilisation": "0", "level": 1 }, { "fromUtilisation": "0.5", "level": 2 }]);
    let capacity = json!({ "resource": "cpu", "capacity": "1000", "curve": curve });
    operator.mutate("setBurstCapacity", "SetBurstCapacityInput", capacity, "resource { code }").await;
    for (namespace, quantity) in [("t0", "300"), ("t1", "400")] {
        let event = json!({ "id": namespace, "namespace": namespace, "resource": "cpu", "quantity": quantity, "time": "2026-03-01T10:02:00Z", "subject": "s" });
        operator.mutate("recordUsage", "RecordUsageInput", json!({ "events": [event] }), "accepted").await;
    }
    assert_eq!(level(&operator, "cpu").await, Some(1));
    operator
        .mutate("advanceClock", "AdvanceClockInput", json!({ "to": "2026-03-01T10:40:00Z" }), "now")
        .await;
    assert_eq!(level(&operator, "cpu").await, Some(2));
    let levels = "SELECT string_agg(t::text, ';' ORDER BY cycle) FROM burst_levels t";
    let of = async |url: &str| -> String {
        cluster::connect(url).await.query_one(levels, &[]).await.unwrap().get(0)
    };
    assert_eq!(of(&cells.server.database_url).await, of(&cells.second_url).await);
    cells.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn the_namespace_of_an_account_elsewhere_that_is_erased_leaves_the_directory_and_is_nobodys() {
    let cells = TwoCells::start().await;
    let ids = cells.tenants(&["t0", "person"]).await;
    assert!(is_of_second(&ids[1]));
    let home = &cells.server.server.app.store.cells().home().database;
    let conn = home.connection().await.unwrap();
    let person = AccountId::parse(&ids[1]).unwrap();
    erasures::directory_give_up(&conn, person, home.keys()).await.unwrap();
    erasures::directory_give_up(&conn, person, home.keys()).await.unwrap();
    let row = conn_to(&cells)
        .await
        .query_one("SELECT count(*) FROM namespaces WHERE namespace = 'person'", &[])
        .await
        .unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
    let again = json!({ "namespace": "person", "name": "again", "currency": "CNY" });
    let refused = cells.server.operator().refusal("createAccount", "CreateAccountInput", again).await;
    assert_eq!(refused.0, "CONFLICT");
    // Of an account that lives there it is not for this to say.
    let own = conn_to(&cells).await.query("SELECT give_up_namespace_elsewhere(1001, 'x')", &[]).await;
    assert!(own.is_err());
}

async fn conn_to(cells: &TwoCells) -> tokio_postgres::Client {
    cluster::connect(&cells.server.database_url).await
}

#[tokio::test]
async fn usage_of_accounts_elsewhere_is_counted_while_the_home_cell_is_away() {
    let (home, second) = (cluster::database().await, cluster::database().await);
    let way = Proxy::before(&home).await;
    let first = CellConfig { database_url: way.url.clone(), ..owned_cell(0, "first", &home) };
    let addresses = vec![first, owned_cell(1, "second", &second)];
    let server = TestServer::on(home, |config| config.cells = addresses).await;
    let ids = [server.account("t0", "10").await, server.account("t1", "10").await];
    let elsewhere = ids.iter().find(|id| is_of_second(id)).unwrap();
    let operator = server.operator();
    let report = async |id: &str, resource: &str| {
        let event = json!({ "id": id, "accountId": elsewhere, "resource": resource, "quantity": "1", "time": wall(), "subject": "s" });
        let input = json!({ "events": [event] });
        operator.try_mutate("recordUsage", "RecordUsageInput", input, "accepted").await.1
    };
    assert_eq!(report("a", "cpu").await["data"]["recordUsage"]["accepted"], 1);
    way.set(Way::Closed);
    // What was known is not fresh any more by then, and the home cell has not been heard for too long.
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(report("b", "cpu").await["data"]["recordUsage"]["accepted"], 1);
    let unknown = report("c", "memory").await;
    assert_eq!(unknown["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{unknown}");
    way.set(Way::Open);
}
