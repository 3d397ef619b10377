//! No read walks without a bound: each argument of each list is served by an index, or walked for a while and then gone on with
//! from a cursor; forecasts grow with the time and not with how many report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Instant;

use Served::{By, Few, Walked, Whose};
use abacus::clock::Clock;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::statements::{EXPLAINING, explain_all, plans};
use crate::support::cluster::{self, connect};
use crate::support::sequences::in_full;
use crate::support::{Client, TestServer};

/// What serves an argument of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Served {
    /// This index, for one account's list; with the other arguments beside it rows are walked along it.
    By(&'static str),
    /// Rows are walked along the list's own order, as many as may be.
    Walked,
    /// It is of the catalogue or of operators alone, or has a limit of its own: there is not much of it.
    Few,
    /// It says whose or how much, and not which.
    Whose,
}

type Argument = (&'static str, &'static str, Served, &'static str);

/// A word of orders that is a part of their numbers is found otherwise than one of their names.
const DIGITS: Argument =
    ("Query.orders", "filter.searchWord", By("orders_numbers"), r#"filter: { searchWord: "98765" }"#);

/// Every argument of every list, but those that say which page, with one that matches as little as can be.
const ARGUMENTS: &[Argument] = &[
    ("Account.priceRules", "at", Few, ""),
    ("Account.rechargeRecords", "startTime", By("transactions_recharges"), ""),
    ("Account.rechargeRecords", "endTime", By("transactions_recharges"), ""),
    ("Pricing.prices", "resource", Few, ""),
    ("Pricing.prices", "currency", Few, ""),
    ("Pricing.prices", "level", Few, ""),
    ("Query.accounts", "filter.kind", Walked, "filter: { kind: SUB }"),
    ("Query.accounts", "filter.searchWord", Walked, r#"filter: { searchWord: "nowhere" }"#),
    ("Query.accounts", "filter.status", Walked, "filter: { status: CLOSED }"),
    ("Query.approvals", "state", By("approvals_of_state"), ""),
    ("Query.billingRuns", "period", Few, ""),
    ("Query.bills", "accountId", Whose, ""),
    ("Query.bills", "filter.billStatus", By("bills_unpaid"), "filter: { billStatus: UNPAID }"),
    ("Query.bills", "filter.endTime", Walked, r#"filter: { endTime: "2020-01-01T00:00:00Z" }"#),
    ("Query.bills", "filter.searchWord", Walked, r#"filter: { searchWord: "nowhere" }"#),
    ("Query.bills", "filter.startTime", Walked, r#"filter: { startTime: "2120-01-01T00:00:00Z" }"#),
    ("Query.invoices", "accountId", Whose, ""),
    ("Query.ledger", "accountId", Whose, ""),
    ("Query.ledger", "filter.billingCycle", By("ledger_entries_of_cycle"), "filter: { billingCycle: 7 }"),
    (
        "Query.ledger",
        "filter.endTime",
        By("ledger_entries_pkey"),
        r#"filter: { endTime: "2026-01-01T00:00:00Z" }"#,
    ),
    (
        "Query.ledger",
        "filter.startTime",
        By("ledger_entries_pkey"),
        r#"filter: { startTime: "2120-01-01T00:00:00Z" }"#,
    ),
    ("Query.nodes", "ids", Few, ""),
    ("Query.orders", "accountId", Whose, ""),
    ("Query.orders", "filter.accountKind", Walked, "filter: { accountKind: SUB }"),
    ("Query.orders", "filter.endTime", By("orders_pkey"), r#"filter: { endTime: "2026-01-01T00:00:00Z" }"#),
    ("Query.orders", "filter.orderState", Walked, "filter: { orderState: SUSPENDED }"),
    ("Query.orders", "filter.orderType", Walked, "filter: { orderType: CHANGE }"),
    ("Query.orders", "filter.resourceType", Walked, r#"filter: { resourceType: "NONE" }"#),
    ("Query.orders", "filter.searchWord", By("orders_named"), r#"filter: { searchWord: "nowhere" }"#),
    (
        "Query.orders",
        "filter.startTime",
        By("orders_pkey"),
        r#"filter: { startTime: "2120-01-01T00:00:00Z" }"#,
    ),
    ("Query.plans", "filter.includeRetired", Few, ""),
    ("Query.plans", "filter.region", Few, ""),
    ("Query.plans", "filter.resourceType", Few, ""),
    ("Query.plans", "filter.type", Few, ""),
    ("Query.prepayments", "accountId", Whose, ""),
    ("Query.prepayments", "filter.status", Walked, "filter: { status: REFUNDED }"),
    ("Query.priceRules", "accountId", Few, ""),
    ("Query.priceRules", "at", Few, ""),
    ("Query.rechargeRecords", "accountId", Whose, ""),
    (
        "Query.rechargeRecords",
        "endTime",
        By("transactions_recharges"),
        r#"startTime: "2020-01-01T00:00:00Z", endTime: "2120-01-01T00:00:00Z""#,
    ),
    (
        "Query.rechargeRecords",
        "startTime",
        By("transactions_recharges"),
        r#"startTime: "2026-01-01T00:00:00Z", endTime: "2120-01-01T00:00:00Z""#,
    ),
    ("Query.records", "accountId", Whose, ""),
    ("Query.records", "filter.accountKind", Walked, "filter: { accountKind: SUB }"),
    ("Query.records", "filter.datacenter", Walked, r#"filter: { datacenter: "none" }"#),
    ("Query.records", "filter.endTime", Walked, r#"filter: { endTime: "2020-01-01T00:00:00Z" }"#),
    ("Query.records", "filter.orderType", Walked, "filter: { orderType: CHANGE }"),
    ("Query.records", "filter.resourceType", Walked, r#"filter: { resourceType: "NONE" }"#),
    ("Query.records", "filter.searchWord", Walked, r#"filter: { searchWord: "nowhere" }"#),
    ("Query.records", "filter.startTime", Walked, r#"filter: { startTime: "2120-01-01T00:00:00Z" }"#),
    ("Query.transactions", "accountId", Whose, ""),
    (
        "Query.transactions",
        "filter.endTime",
        By("transactions_pkey"),
        r#"filter: { endTime: "2026-01-01T00:00:00Z" }"#,
    ),
    ("Query.transactions", "filter.kind", Walked, "filter: { kind: REFUND }"),
    ("Query.transactions", "filter.region", Walked, r#"filter: { region: "none" }"#),
    (
        "Query.transactions",
        "filter.startTime",
        By("transactions_pkey"),
        r#"filter: { startTime: "2120-01-01T00:00:00Z" }"#,
    ),
    ("Query.transactions", "filter.status", Walked, "filter: { status: REFUNDED }"),
    ("Query.usage", "accountId", Whose, ""),
    ("Query.usage", "endTime", By("usage_hours_pkey"), ""),
    ("Query.usage", "granularity", Whose, ""),
    ("Query.usage", "resource", By("usage_hours_pkey"), ""),
    ("Query.usage", "startTime", By("usage_hours_pkey"), ""),
];

/// The schema without its descriptions.
fn schema() -> String {
    let mut code = String::new();
    for (index, part) in abacus::graphql::sdl().split("\"\"\"").enumerate() {
        if index % 2 == 0 {
            code.push_str(part);
        }
    }
    code
}

/// What stands between braces after each `keyword Name`, by name.
fn blocks<'s>(schema: &'s str, keyword: &str) -> BTreeMap<&'s str, &'s str> {
    let begin = format!("\n{keyword} ");
    let blocks = schema.split(begin.as_str()).skip(1).filter_map(|rest| {
        let (head, body) = rest.split_once('{')?;
        Some((head.split_whitespace().next()?, body.split("\n}").next()?))
    });
    blocks.collect()
}

/// Names with their types, as `name: Type` in a text that has nothing else.
fn typed(text: &str) -> Vec<(&str, &str)> {
    let pairs = text.split([',', '\n']).filter_map(|pair| pair.split_once(':'));
    pairs.map(|(name, kind)| (name.trim(), kind.trim())).filter(|(name, _)| !name.is_empty()).collect()
}

/// All arguments of lists, those of filters by their names, but those that say which page.
fn arguments_of_lists() -> BTreeSet<(String, String)> {
    let schema = schema();
    let inputs = blocks(&schema, "input");
    let mut found = BTreeSet::new();
    for (object, body) in blocks(&schema, "type") {
        if object == "Mutation" {
            continue;
        }
        let mut rest = body;
        while let Some((before, after)) = rest.split_once('(') {
            let (arguments, after) = after.split_once(')').expect("arguments end");
            let field = before.trim().rsplit(|c: char| !c.is_alphanumeric()).next().unwrap();
            let kind = after.trim_start_matches([':', ' ']).split_whitespace().next().unwrap_or_default();
            rest = after;
            if !kind.starts_with('[') && !kind.trim_end_matches('!').ends_with("Connection") {
                continue;
            }
            for (name, kind) in typed(arguments) {
                if ["first", "after", "last", "before", "offset"].contains(&name) {
                    continue;
                }
                let list = format!("{object}.{field}");
                match inputs.get(kind.trim_end_matches('!')) {
                    Some(fields) => found.extend(
                        typed(fields).iter().map(|(field, _)| (list.clone(), format!("{name}.{field}"))),
                    ),
                    None => drop(found.insert((list, name.to_owned()))),
                }
            }
        }
    }
    found
}

#[test]
fn of_every_argument_of_every_list_it_is_said_what_serves_it() {
    let said: BTreeSet<(String, String)> =
        ARGUMENTS.iter().map(|(list, name, ..)| ((*list).to_owned(), (*name).to_owned())).collect();
    assert_eq!(said.len(), ARGUMENTS.len(), "nothing is said twice");
    let mut there = arguments_of_lists();
    assert!(there.len() > 50, "{there:?}");
    // An account's own list is the root's of that account.
    let at_root = |(list, name): &(String, String)| (list.replacen("Account.", "Query.", 1), name.clone());
    let twice: Vec<_> = there.iter().filter(|asked| asked.0.starts_with("Account.")).cloned().collect();
    for asked in twice {
        if there.contains(&at_root(&asked)) && !said.contains(&asked) {
            there.remove(&asked);
        }
    }
    let missing: Vec<_> = there.difference(&said).collect();
    let gone: Vec<_> = said.difference(&there).collect();
    assert!(missing.is_empty() && gone.is_empty(), "nothing is said of {missing:?}; {gone:?} are no more");
}

/// One account's rows.
const LARGE: i64 = 6_001;

fn rows() -> i64 {
    if in_full() { 500_000 } else { 110_000 }
}

/// An account with very many of everything, among as many accounts. Only its oldest orders have a name of their own, and only
/// its oldest bill is void.
async fn fill(sql: &tokio_postgres::Client, rows: i64) {
    // As many as are walked, and half as many again.
    let few = if in_full() { rows } else { 15_000 };
    let script = format!(
        r#"
        CREATE FUNCTION pg_temp.at(g bigint) RETURNS timestamptz LANGUAGE sql AS
            $$ SELECT '2026-01-01T00:00:00Z'::timestamptz + g * interval '1 minute' $$;
        CREATE FUNCTION pg_temp.made(g bigint, number bigint) RETURNS uuid LANGUAGE sql AS $$
            SELECT (lpad(to_hex((extract(epoch FROM pg_temp.at(g)) * 1000)::bigint), 12, '0') || '7000'
                || to_hex((-9223372036854775808) + {LARGE}::bigint * 536870912 + number))::uuid $$;
        INSERT INTO accounts (id, namespace, name, kind, status, currency, time_zone, balance, last_no, created_at)
            SELECT {LARGE} + g, 'large-' || g, 'Large ' || g, 'MAIN', 'ACTIVE', 'CNY', 'UTC', 1000, 2000000,
                '2026-01-01T00:00:00Z'::timestamptz - g * interval '1 second' FROM generate_series(0, {few}) g;
        INSERT INTO namespaces SELECT namespace, id FROM accounts WHERE id >= {LARGE};
        INSERT INTO orders SELECT {LARGE}, pg_temp.made(g, g * 3), 'O' || g, CASE WHEN g < 30 THEN 'Old one' ELSE 'Plan C' END, 'NEW',
                'ACTIVE', NULL, NULL, false, 1, 'cn-north-1', NULL, 'CLOUD', 'Plan C',
                'MONTH', 'CNY', 1, NULL, 1, 1, false, NULL, pg_temp.at(g), pg_temp.at(g), pg_temp.at(g + 43200)
            FROM generate_series(1, {rows}) g;
        INSERT INTO product_names VALUES ('Plan C'), ('Old one') ON CONFLICT DO NOTHING;
        INSERT INTO bills SELECT {LARGE}, pg_temp.made(g, g * 3 + 1), 'B' || g, pg_temp.made(g, g * 3),
                CASE g WHEN 7 THEN 'VOID' WHEN 8 THEN 'UNPAID' ELSE 'PAID' END, 'CNY', 1, 0, 1, 0,
                pg_temp.at(g), pg_temp.at(g + 43200), 1, 1, pg_temp.at(g), pg_temp.at(g), pg_temp.made(g, g * 3 + 2), NULL, pg_temp.at(g)
            FROM generate_series(1, {rows}) g;
        INSERT INTO transactions SELECT {LARGE}, pg_temp.made(g, g * 3 + 2), CASE WHEN g < 5 THEN 'RECHARGE' ELSE 'CHECKOUT' END,
                'FINISHED', 'CNY', 1, CASE WHEN g < 5 THEN 'cash:sandbox' ELSE 'customer' END,
                CASE WHEN g < 5 THEN 'customer' ELSE 'revenue:checkout' END, 'Plan C', 'balance', pg_temp.made(g, g * 3),
                pg_temp.made(g, g * 3 + 1), NULL, 0, 0, 'cn-north-1', pg_temp.at(g)
            FROM generate_series(1, {few}) g;
        INSERT INTO ledger_entries (account_id, id, seq, time, currency, amount, initial, "end", reason, hash, billing_cycle)
            SELECT {LARGE}, pg_temp.made(g, g * 3 + 2), g, pg_temp.at(g), 'CNY', 1, 1, 0, 'Plan C', sha256('x'), CASE WHEN g < 10 THEN 7 END
            FROM generate_series(1, {few}) g;
        INSERT INTO metered_records SELECT {LARGE}, pg_temp.made(g, 2000000 + g), pg_temp.made(g, g * 3 + 1), NULL, 'CLOUD', 'Usage', NULL,
                pg_temp.at(g), pg_temp.at(g + 43200), 'CNY', 1, '[]', pg_temp.at(g) FROM generate_series(1, {few}) g;
        INSERT INTO prepayments (account_id, id, status, quote_id, currency, amount, usd, months, cluster_id, chart_name, cpu_limit,
                mem_limit, storage_limit, auto_renewal, deposit_address, next_step_at)
            SELECT {LARGE}, pg_temp.made(g, 3000000 + g), 'AWAITING_DEPOSIT', pg_temp.made(g, 4000000 + g), 'USDT_ERC20', 10, 10, 1, 'c',
                'c', 1, 1, 1, false, '0x' || lpad(to_hex(g), 40, '0'), '2100-01-01T00:00:00Z' FROM generate_series(1, {few}) g;
        ANALYZE;
        "#
    );
    sql.batch_execute(&script).await.expect("rows");
}

/// How many rows of tables a plan looks at, in its greediest place, and the indexes that it uses.
fn looked_at(plan: &Value, indexes: &mut BTreeSet<String>) -> u64 {
    let number = |name: &str| plan[name].as_f64().map_or(0, |number| number.round() as u64);
    let mut most = 0;
    if plan["Relation Name"].is_string() {
        let rows = number("Actual Rows")
            + number("Rows Removed by Filter")
            + number("Rows Removed by Index Recheck");
        most = rows * number("Actual Loops").max(1);
    }
    if let Some(index) = plan["Index Name"].as_str() {
        indexes.insert(index.to_owned());
    }
    let below = plan["Plans"].as_array().into_iter().flatten();
    below.map(|below| looked_at(below, indexes)).fold(most, u64::max)
}

/// What matches nothing, or little that is far away, is looked for in no more than 10,000 rows, by everybody and by whose it is.
#[tokio::test]
async fn what_matches_nothing_is_not_looked_for_for_ever() {
    let _alone = EXPLAINING.lock().await;
    let url = cluster::database().await;
    let sql = connect(&url).await;
    if sql.batch_execute("LOAD 'auto_explain'").await.is_err() {
        println!("PostgreSQL's auto_explain is not installed: nothing is tested");
        return;
    }
    let rows = rows();
    fill(&sql, rows).await;
    let log = explain_all(&sql).await;
    let server = TestServer::on(url, |_| {}).await;
    let (owner, operator) = (server.customer("large-0"), server.operator());
    let mut wrong = String::new();
    let asked = ARGUMENTS.iter().chain([&DIGITS]).filter(|(.., arguments)| !arguments.is_empty());
    for (list, argument, served, arguments) in asked {
        let field = list.split_once('.').unwrap().1;
        for (who, client, account) in [
            ("its owner", &owner, ""),
            ("an operator, of one", &operator, "accountId: \"acc_6001\", "),
            ("an operator", &operator, ""),
        ] {
            let account = if field == "accounts" { "" } else { account };
            let page = |page: &str| {
                format!(
                    "{{ {field}({account}{page}, {arguments}) {{ nodes {{ id }} pageInfo {{ hasNextPage hasPreviousPage }} }} }}"
                )
            };
            let mut indexes = BTreeSet::new();
            let mut most = 0;
            for end in ["first: 10", "last: 10"] {
                let begin = std::fs::metadata(&log).unwrap().len();
                client.data(&page(end)).await;
                for plan in plans(&log, begin).await {
                    most = most.max(looked_at(&plan["Plan"], &mut indexes));
                }
            }
            println!("{list} {argument}, {who}: {most} rows");
            if most > 10_100 {
                writeln!(wrong, "{list} {argument}, {who}: {most} rows were looked at").unwrap();
            }
            if let By(index) = served
                && who != "an operator"
                && !indexes.contains(*index)
            {
                writeln!(wrong, "{list} {argument}, {who}: {index} is not among {indexes:?}").unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    // Whoever goes on finds what there is, from either end, each once and in order.
    for (field, arguments, expected) in [
        ("bills", "filter: { billStatus: VOID }", 1),
        ("bills", "filter: { billStatus: UNPAID }", 1),
        ("orders", r#"filter: { searchWord: "old one" }"#, 29),
        ("orders", r#"filter: { searchWord: "old one", orderType: NEW }"#, 29),
        (
            "orders",
            r#"filter: { searchWord: "12", startTime: "2026-01-01T00:00:00Z", orderState: SUSPENDED }"#,
            0,
        ),
        ("rechargeRecords", r#"startTime: "2020-01-01T00:00:00Z", endTime: "2120-01-01T00:00:00Z""#, 4),
    ] {
        let forward = all(&owner, field, arguments, "first: 10, after", ("hasNextPage", "endCursor")).await;
        let back =
            all(&owner, field, arguments, "last: 10, before", ("hasPreviousPage", "startCursor")).await;
        assert_eq!(forward.len(), expected, "{field}({arguments})");
        let (forward, back): (BTreeSet<_>, BTreeSet<_>) =
            (forward.into_iter().collect(), back.into_iter().collect());
        assert_eq!((forward.len(), &forward), (expected, &back), "{field}({arguments})");
    }
    // What cannot be told without looking at too much is refused by name.
    for (query, argument) in [
        ("{ bills(filter: { billStatus: VOID }) { totalCount } }", "totalCount"),
        ("{ bills { summary { paidCount } } }", "summary"),
        ("{ bills(filter: { billStatus: VOID }, offset: 5) { nodes { id } } }", "offset"),
        ("{ orders(offset: 100001) { nodes { id } } }", "offset"),
    ] {
        let answer = owner.answer(query).await;
        let extensions = &answer["errors"][0]["extensions"];
        assert_eq!(
            (&extensions["code"], &extensions["argument"]),
            (&json!("LIMIT_EXCEEDED"), &json!(argument)),
            "{query}: {answer:#}"
        );
    }
    let counted =
        owner.data("{ orders { totalCount } bills(filter: { billStatus: UNPAID }) { totalCount } }").await;
    assert_eq!(
        (&counted["orders"]["totalCount"], &counted["bills"]["totalCount"]),
        (&json!(rows), &json!(1))
    );
    drop(server);
}

/// All ids of a list, page by page.
async fn all(
    client: &Client,
    field: &str,
    arguments: &str,
    page: &str,
    (more, cursor): (&str, &str),
) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = "null".to_owned();
    for _ in 0..100 {
        let query = format!(
            "{{ {field}({page}: {at}, {arguments}) {{ nodes {{ id }} pageInfo {{ {more} {cursor} }} }} }}"
        );
        let list = client.data(&query).await[field].clone();
        let nodes = list["nodes"].as_array().unwrap();
        found.extend(nodes.iter().map(|node| node["id"].as_str().unwrap().to_owned()));
        if list["pageInfo"][more] == false {
            return found;
        }
        at = list["pageInfo"][cursor].to_string();
    }
    panic!("{field}({arguments}) does not end");
}

/// An account with a gauge of each kind that so many servers report every 5 minutes, from 2026-03-01 on; some come and go.
async fn report(sql: &tokio_postgres::Client, servers: i64, slots: i64) {
    let script = format!(
        r#"
        INSERT INTO accounts (id, namespace, name, kind, status, currency, time_zone, created_at)
            VALUES (7001, 'metered', 'Metered', 'MAIN', 'ACTIVE', 'CNY', 'UTC', '2026-01-01T00:00:00Z');
        INSERT INTO namespaces VALUES ('metered', 7001);
        INSERT INTO resources (code, name, unit, resource_type, aggregation) VALUES ('g_last', 'Last', 'x', 'CLOUD', 'LAST'),
            ('g_average', 'Average', 'x', 'CLOUD', 'AVERAGE'), ('g_p95', 'P95', 'x', 'CLOUD', 'P95'), ('a_sum', 'Sum', 'x', 'CLOUD', 'SUM');
        INSERT INTO usage_samples SELECT 7001, r.code, '2026-02-28T23:00:00Z'::timestamptz + g * interval '5 minutes', 'server-' || s,
                (s * 7 + g * g) % 101 + 0.25, now(), 1
            FROM generate_series(0, {slots} - 1) g, generate_series(1, {servers}) s, (VALUES ('g_last'), ('g_average'), ('g_p95')) r (code)
            WHERE s > 3 OR (g / (s * 9)) % 3 > 0 AND (g * s) % 7 > 0;
        INSERT INTO usage_hours SELECT 7001, 'a_sum', '2026-03-01T00:00:00Z'::timestamptz + g * interval '1 hour', 'server-' || s, s, 1
            FROM generate_series(0, {slots} / 12 - 1) g, generate_series(1, {servers}) s;
        ANALYZE;
        "#
    );
    sql.batch_execute(&script).await.expect("reports");
}

/// What a gauge comes to in each slot of a window, by its samples one by one: whatever each server has reported last, in the hour
/// before at most.
async fn levels(sql: &tokio_postgres::Client, resource: &str, from: &str, to: &str) -> Vec<Decimal> {
    let query = format!(
        "SELECT coalesce(sum(q.quantity), 0)::text FROM generate_series('{from}'::timestamptz, '{to}'::timestamptz - interval '1 second', \
         '5 minutes') g (slot) LEFT JOIN LATERAL (SELECT DISTINCT ON (subject) quantity FROM usage_samples s WHERE account_id = 7001 \
         AND resource_code = $1 AND s.slot <= g.slot AND s.slot > g.slot - interval '1 hour' ORDER BY subject, s.slot DESC) q ON true \
         GROUP BY g.slot ORDER BY g.slot"
    );
    let rows = sql.query(&query, &[&resource]).await.unwrap();
    rows.iter().map(|row| row.get::<_, String>(0).parse().unwrap()).collect()
}

fn summary(resource: &str, levels: &[Decimal]) -> Decimal {
    match resource {
        "g_last" => *levels.last().unwrap(),
        "g_average" => levels.iter().sum::<Decimal>() / Decimal::from(levels.len()),
        _ => {
            let mut sorted = levels.to_vec();
            sorted.sort_by(|one, other| other.cmp(one));
            sorted[levels.len() * 5 / 100]
        }
    }
}

#[tokio::test]
async fn gauges_come_to_what_their_samples_do_one_by_one() {
    let server = TestServer::with(|config| {
        config.clock = Clock::standing_at("2026-03-03T10:07:00Z".parse().unwrap());
    })
    .await;
    let sql = server.sql().await;
    report(&sql, 5, 60 * 12).await;
    let customer = server.customer("metered");
    for resource in ["g_last", "g_average", "g_p95"] {
        for (granularity, points) in [
            (
                "DAY",
                vec![
                    ("2026-03-01", "2026-03-02"),
                    ("2026-03-02", "2026-03-03"),
                    ("2026-03-03", "2026-03-03T10:07:00"),
                ],
            ),
            ("MONTH", vec![("2026-03-01", "2026-03-03T10:07:00")]),
        ] {
            let query = format!(
                r#"{{ usage(resource: "{resource}", granularity: {granularity}, startTime: "2026-03-01T00:00:00Z",
                    endTime: "2026-03-03T12:00:00Z") {{ quantity }} }}"#
            );
            let found = customer.data(&query).await;
            let found = found["usage"].as_array().unwrap();
            assert_eq!(found.len(), points.len());
            for (point, (from, to)) in found.iter().zip(points) {
                let zoned =
                    |at: &str| if at.contains('T') { format!("{at}Z") } else { format!("{at}T00:00:00Z") };
                let expected = summary(resource, &levels(&sql, resource, &zoned(from), &zoned(to)).await);
                let quantity: Decimal = point["quantity"].as_str().unwrap().parse().unwrap();
                assert_eq!(
                    quantity.round_dp(9),
                    expected.round_dp(9),
                    "{resource} by {granularity} from {from}"
                );
            }
        }
    }
    // Of a hundred years no more is kept than there was.
    let query = r#"{ usage(resource: "g_p95", granularity: MONTH, startTime: "1926-01-01T00:00:00Z", endTime: "2026-03-01T00:00:00Z") {
        quantity } }"#;
    let months = customer.data(query).await;
    let months = months["usage"].as_array().unwrap();
    assert!(months.len() > 1_200 && months.iter().all(|month| month["quantity"].is_string()));
}

/// The memory that this process has.
fn memory_mib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() / 1_024
}

/// Two hundred servers, a month of them in full.
#[tokio::test]
async fn a_forecast_of_many_servers_takes_little_and_leaves_its_connection_to_others() {
    let _alone = EXPLAINING.lock().await;
    let days = if in_full() { 28 } else { 4 };
    let (servers, gauges) = (200, 3);
    let url = cluster::database().await;
    let sql = connect(&url).await;
    report(&sql, servers, days * 288).await;
    let explained = sql.batch_execute("LOAD 'auto_explain'").await.is_ok();
    let now = format!("2026-03-{days:02}T23:00:00Z").parse().unwrap();
    let clock = |config: &mut abacus::server::ServerConfig| config.clock = Clock::standing_at(now);
    let server = TestServer::on(url.clone(), clock).await;
    let query = "{ account { forecast { soFar { amount } atMonthEnd { amount } } } }";
    let before = memory_mib();
    let asked = Instant::now();
    server.customer("metered").data(query).await;
    let (took, grown) = (asked.elapsed(), memory_mib() - before);
    println!("a forecast from {} samples: {took:?}, {grown} MiB more", days * 288 * servers * gauges);
    assert!(grown < 100, "{grown} MiB");
    drop(server);
    if !explained {
        return;
    }
    let log = explain_all(&sql).await;
    let server = TestServer::on(url, clock).await;
    let begin = std::fs::metadata(&log).unwrap().len();
    server.customer("metered").data(query).await;
    let mut read = Vec::new();
    for plan in plans(&log, begin).await {
        let text = plan["Query Text"].as_str().unwrap_or_default();
        if text.contains("FROM usage_samples") && text.contains("'LAST', 'AVERAGE', 'P95'") {
            let mut indexes = BTreeSet::new();
            let rows = looked_at(&plan["Plan"], &mut indexes);
            assert!(indexes.contains("usage_samples_pkey"), "{indexes:?}");
            read.push((rows, plan["Plan"]["Actual Rows"].as_f64().unwrap_or_default()));
        }
    }
    assert!(read.len() >= usize::try_from(days).unwrap(), "each reads a day: {read:?}");
    for (rows, answered) in read {
        assert!(rows <= u64::try_from(288 * servers * gauges).unwrap(), "a statement reads {rows} samples");
        assert!(answered <= 288.0 * 3.0, "and answers a row for each slot: {answered}");
    }
}
