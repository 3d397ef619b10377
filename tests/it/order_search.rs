//! A word in orders is found wherever it stands, among many orders of one account, as reading them all would find it.

use serde_json::Value;

use crate::support::{Client, TestServer};

/// More than a search walks, so that the older ones are found by their words.
const ORDERS: i64 = 9_000;

/// One account with many orders and a SUB account with few; some names are only among the oldest.
async fn fill(server: &TestServer) {
    let script = format!(
        r#"
        INSERT INTO accounts (id, namespace, name, kind, parent_id, status, currency, time_zone, created_at) VALUES
            (5001, 'many', 'Many', 'MAIN', NULL, 'ACTIVE', 'CNY', 'UTC', '2026-01-01T00:00:00Z'),
            (5002, 'few', 'Few', 'SUB', 5001, 'ACTIVE', 'CNY', 'UTC', '2026-01-01T00:00:00Z');
        INSERT INTO namespaces VALUES ('many', 5001), ('few', 5002);
        INSERT INTO orders (account_id, id, number, name, type, state, exclusive, quantity, region, resource_type, product_name,
                bill_period, currency, price, seq, seq_count, auto_renewal, created_at)
            SELECT a, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000'
                    || to_hex((-9223372036854775808) + a::bigint * 536870912 + g))::uuid,
                'O' || a || '-' || to_char(at AT TIME ZONE 'UTC', 'YYYYMMDD') || '-' || g,
                CASE WHEN g % 4001 = 7 THEN '云硬盘 高性能' WHEN g < 40 THEN 'VM of old_100%' ELSE
                    (ARRAY['云服务器', 'Cloud Server', 'Pool S', 'Object Storage', '机柜 1U'])[1 + g % 5] END,
                'NEW', CASE WHEN g % 3 = 0 THEN 'ENDED' ELSE 'ACTIVE' END, false, 1, NULL, 'CLOUD', 'x', 'MONTH', 'CNY', 1, 1, 1,
                false, at
            FROM (SELECT g, CASE WHEN g % 50 = 0 THEN 5002 ELSE 5001 END AS a, '2026-01-01T00:00:00Z'::timestamptz
                + g * interval '7 minutes' AS at FROM generate_series(1, {ORDERS}) g) r;
        INSERT INTO product_names SELECT DISTINCT name FROM orders ON CONFLICT DO NOTHING;
        ANALYZE;
        "#
    );
    server.sql().await.batch_execute(&script).await.unwrap();
}

/// The numbers that reading every order finds, newest first.
async fn read(server: &TestServer, condition: &str, word: &str) -> Vec<String> {
    let word = word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let query = format!(
        "SELECT number FROM orders WHERE {condition} AND (number ILIKE $1 OR name ILIKE $1) ORDER BY id DESC"
    );
    let rows = server.sql().await.query(&query, &[&format!("%{word}%")]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn page(client: &Client, arguments: &str, filter: &str, word: &str) -> (Vec<String>, Value) {
    let query = format!(
        "query($word: String) {{ orders({arguments}, filter: {{ searchWord: $word {filter} }}) {{ totalCount nodes {{ number }}
            pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }} }} }}"
    );
    let (_, answer) = client.post(&query, serde_json::json!({ "word": word })).await;
    assert!(answer.get("errors").is_none(), "{answer:#}");
    let orders = &answer["data"]["orders"];
    let numbers = orders["nodes"].as_array().unwrap();
    (numbers.iter().map(|node| node["number"].as_str().unwrap().to_owned()).collect(), orders.clone())
}

#[tokio::test]
async fn every_word_is_found_as_reading_all_orders_finds_it() {
    let server = TestServer::start().await;
    fill(&server).await;
    let (main, operator) = (server.customer("many"), server.operator());
    let words = [
        "pool",
        "云服务器",
        "云硬盘",
        "云硬",
        "云",
        "盘",
        "VM",
        "vm",
        "%",
        "_",
        "100%",
        "机柜",
        "O5001-",
        "-20260105-",
        "-4321",
        "17",
        "o5",
        "-",
        "nothing like it",
        "zz",
        "of old",
        "  ",
        "-8007",
        "Cloud Server",
        "\\",
    ];
    for (client, account, owners) in [
        (&main, "accountId: \"acc_5001\", ", "account_id = 5001"),
        (&main, "", "account_id IN (5001, 5002)"),
        (&operator, "", "true"),
        (&server.customer("few"), "", "account_id = 5002"),
    ] {
        // On shards the numbers of a family are walked for, and a page of them may end early.
        if owners.contains("IN") && server.server.app.store.home().topology().are_shards() {
            continue;
        }
        for (filter, condition) in [
            ("", String::new()),
            (", orderState: ENDED", " AND state = 'ENDED'".to_owned()),
            (
                ", startTime: \"2026-01-10T00:00:00Z\", endTime: \"2026-01-20T00:00:00Z\"",
                " AND created_at >= '2026-01-10T00:00:00Z' AND created_at < '2026-01-20T00:00:00Z'"
                    .to_owned(),
            ),
        ] {
            for word in words {
                let expected = read(&server, &format!("{owners}{condition}"), word).await;
                let when = format!("{word:?} of {owners}{condition}");
                let (first, told) = page(client, &format!("{account}first: 7"), filter, word).await;
                assert_eq!(first, expected[..expected.len().min(7)], "{when}");
                assert_eq!(told["totalCount"].as_u64().unwrap(), expected.len() as u64, "{when}");
                assert_eq!(told["pageInfo"]["hasNextPage"], expected.len() > 7, "{when}");
                let (offset, _) = page(client, &format!("{account}first: 5, offset: 4"), filter, word).await;
                assert_eq!(
                    offset,
                    expected[expected.len().min(4)..expected.len().min(9)],
                    "{when}, by offset"
                );
                let (last, _) = page(client, &format!("{account}last: 6"), filter, word).await;
                assert_eq!(last, expected[expected.len().saturating_sub(6)..], "{when}, from the end");
                let cursor = &told["pageInfo"]["endCursor"];
                if cursor.is_string() {
                    let (next, _) =
                        page(client, &format!("{account}first: 7, after: {cursor}"), filter, word).await;
                    assert_eq!(
                        next,
                        expected[expected.len().min(7)..expected.len().min(14)],
                        "{when}, the next page"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn whatever_a_plan_was_ever_called_is_found_by_a_short_word() {
    let server = TestServer::start().await;
    server.account("tenant", "100").await;
    let plan = server.plan("云X", "1").await;
    server.customer("tenant").checkout(&plan, "1").await;
    let renamed = serde_json::json!({ "planId": plan, "name": "雾Y" });
    server.operator().mutate("updatePlan", "UpdatePlanInput", renamed, "plan { name }").await;
    server.customer("tenant").checkout(&plan, "2").await;
    for (word, count) in [("云", 1), ("雾y", 1), ("Y", 1), ("Z", 0)] {
        let (found, _) = page(&server.customer("tenant"), "first: 5", "", word).await;
        assert_eq!(found.len(), count, "{word}");
    }
    let kept = "SELECT count(*) FROM product_names WHERE name IN ('云X', '雾Y')";
    let names: i64 = server.sql().await.query_one(kept, &[]).await.unwrap().get(0);
    assert_eq!(names, 2);
}
