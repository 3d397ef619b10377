//! What statements and the schema are so that a cluster takes them as well (docs/adr/0035), looked at in the database.

use std::collections::BTreeSet;

use abacus::clock::wall;
use abacus::domain::closing::Month;
use abacus::domain::ids::{AccountId, OrderId, OwnedId};
use abacus::domain::order::Order;
use abacus::domain::seal::SealKeys;
use abacus::jobs::billing::begin_runs;
use abacus::store::database::Database;
use abacus::store::error::StoreError;
use abacus::store::usage::late_usage::{late_done, late_due, late_put_off, record_late};
use abacus::store::usage::{marked, metered_accounts, month_usage};
use abacus::store::{
    accounts, billing_runs, bills, burst, deposits, exchange_rates, keys, ledger, licenses, notices, orders,
    owned, plans, price_rules,
};
use chrono::{NaiveDate, TimeDelta};
use serde_json::{Value, json};
use tokio_postgres::error::SqlState;

use crate::support::TestServer;
use crate::support::cluster::{self, connect};

#[tokio::test]
async fn of_no_keys_nothing_is_sent() {
    let url = cluster::database().await;
    let database = Database::new(&url, 1).unwrap();
    let conn = &database.dedicated_connection().await.unwrap();
    // Whatever is sent from now on fails.
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
    connect(&url).await.batch_execute(others).await.unwrap();
    assert!(accounts::account_by_ids(conn, vec![1]).await.is_err());

    macro_rules! nothing {
        ($($asked:expr),* $(,)?) => {$(
            let found = $asked.await.unwrap_or_else(|error| panic!("{}: {error}", stringify!($asked)));
            assert!(found.is_empty(), "{}", stringify!($asked));
        )*};
    }
    let (none, no_ids, now) = (Vec::<i64>::new, &[] as &[OwnedId], wall());
    let no_months: &[(AccountId, Month)] = &[];
    nothing![
        accounts::account_by_ids(conn, none()),
        accounts::account_by_namespaces(conn, Vec::new()),
        accounts::account_with_open_subs(conn, none()),
        metered_accounts(conn, none()),
        owned::by_ids::<Order>(conn, no_ids),
        owned::newest::<Order>(conn, none(), 5),
        owned::count_of_each::<Order>(conn, none()),
        orders::order_exclusive(conn, none()),
        bills::bill_open_sums(conn, none()),
        bills::bill_newest_of_orders(conn, no_ids, 5),
        bills::bill_count_of_orders(conn, no_ids),
        bills::bill_open_due_from(conn, &[] as &[(OrderId, _)], Vec::new()),
        ledger::balances_at(conn, none(), now),
        keys::answer_by_keys(conn, none(), Vec::new()),
        keys::refused_keys(conn, Vec::new()),
        notices::notice_open(conn, none(), 5, true),
        plans::plan_by_ids(conn, Vec::new()),
        plans::plan_resources(conn, Vec::new()),
        plans::plans_in_use(conn, none()),
        plans::resource_by_codes(conn, Vec::new()),
        licenses::license_by_ids(conn, Vec::new()),
        price_rules::rule_by_ids(conn, none()),
        exchange_rates::rate_by_ids(conn, none()),
        deposits::address_owners(conn, Vec::new()),
        deposits::deposits_to(conn, &[]),
        burst::used_in_slot(conn, none(), vec!["cpu".to_owned()], now),
        burst::used_in_slot(conn, vec![1], Vec::new(), now),
        month_usage::gauges_usage(conn, no_months, &Default::default()),
        month_usage::voided_versions(conn, no_months),
        marked(conn, std::iter::empty()),
    ];
    let (locked, _, _) = accounts::account_lock(conn, none(), &SealKeys::of_sandbox()).await.unwrap();
    assert!(locked.is_empty());
    record_late(conn, &BTreeSet::new(), now).await.unwrap();
    late_done(conn, &[]).await.unwrap();
    late_put_off(conn, &[], now).await.unwrap();
    keys::refused_note(conn, BTreeSet::new()).await.unwrap();
    burst::backlog_done(conn, &[]).await.unwrap();
    let error = plans::resource_by_codes(conn, vec!["cpu".to_owned()]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

/// Which events a trigger is of, as pg_trigger has them: 8 DELETE, 16 UPDATE, 32 TRUNCATE.
const GUARDS: &str = "SELECT tgrelid::regclass::text, tgname::text, tgtype & 57 FROM pg_trigger
    WHERE tgfoid IN ('refuse_change()'::regprocedure, 'only_of_the_gone_go()'::regprocedure) AND NOT tgisinternal ORDER BY 1, 2";

#[tokio::test]
async fn a_guard_against_truncate_is_a_trigger_of_its_own_and_none_is_missing() {
    let server = TestServer::start().await;
    let sql = server.sql().await;
    let guards: Vec<(String, String, i32)> = sql
        .query(GUARDS, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    let whole: BTreeSet<&str> =
        guards.iter().filter(|guard| guard.2 == 32).map(|guard| guard.1.as_str()).collect();
    assert!(guards.iter().all(|guard| guard.2 == 32 || guard.2 & 32 == 0), "{guards:?}");
    assert_eq!(whole.len(), 24, "{whole:?}");
    for name in &whole {
        let of_rows = name.strip_suffix("_whole").unwrap();
        assert!(guards.iter().any(|guard| guard.1 == of_rows && guard.2 & 24 != 0), "{of_rows}");
    }
    for (table, name, events) in guards.iter().filter(|guard| !guard.1.ends_with("_whole")) {
        let has_whole = whole.contains(format!("{name}_whole").as_str());
        let all: i32 =
            guards.iter().filter(|guard| guard.0 == *table).map(|guard| guard.2).fold(0, |all, of| all | of);
        assert!(has_whole || all & 32 != 0 || table == "ledger_check_position", "{table} {name} {events}");
    }
    // The owner, too, is refused: by the guards of the whole where there are no rows either.
    for (table, name, _) in guards.iter().filter(|guard| guard.2 == 32) {
        let error = sql.batch_execute(&format!("TRUNCATE {table} CASCADE")).await.expect_err(name);
        assert_eq!(error.code(), Some(&SqlState::RESTRICT_VIOLATION), "{table}: {error:?}");
        let rows = guards.iter().find(|guard| format!("{}_whole", guard.1) == *name).unwrap();
        // Where rows go with an account that has left for another cell, of none there is nothing to refuse.
        if rows.2 & 9 == 8 {
            let error = sql.batch_execute(&format!("DELETE FROM {table}")).await.expect_err(&rows.1);
            assert_eq!(error.code(), Some(&SqlState::RESTRICT_VIOLATION), "{table}: {error:?}");
        }
    }
}

#[tokio::test]
async fn names_of_products_are_kept_by_the_server_where_no_trigger_does() {
    let server = TestServer::start().await;
    let sql = server.sql().await;
    sql.batch_execute(
        "DROP TRIGGER plans_keep_names ON plans; DROP TRIGGER resources_keep_names ON resources",
    )
    .await
    .unwrap();
    let operator = server.operator();
    let plan = server.plan("云X", "1").await;
    let renamed = json!({ "planId": plan, "name": "雾Y" });
    operator.mutate("updatePlan", "UpdatePlanInput", renamed, "plan { name }").await;
    let described = json!({ "planId": plan, "description": "Another" });
    operator.mutate("updatePlan", "UpdatePlanInput", described, "plan { name }").await;
    let define = async |code: &str, name: &str, unit: &str| {
        let input = json!({ "code": code, "name": name, "unit": unit, "resourceType": "CLOUD", "aggregation": "SUM" });
        operator.payload("defineResource", "DefineResourceInput", input, "resource { code }").await
    };
    define("r1", "One", "GB").await;
    define("r1", "One more", "GB").await;
    assert_ne!(define("r1", "Refused", "MB").await["userErrors"], json!([]));
    let license = async |name: &str, long: &str, kind: &str| -> Value {
        let input =
            json!({ "name": name, "longName": long, "type": kind, "userMetric": "smp", "burstable": true });
        operator.payload("defineLicense", "DefineLicenseInput", input, "license { id }").await
    };
    license("windows", "Windows 1", "INSTALL").await;
    license("windows", "Windows 2", "INSTALL").await;
    assert_ne!(license("windows", "Windows 3", "STUB").await["userErrors"], json!([]));
    let names = "SELECT name FROM product_names WHERE name IN
        ('云X', '雾Y', 'One', 'One more', 'Refused', 'Windows 1', 'Windows 2', 'Windows 3')";
    let kept: BTreeSet<String> = sql.query(names, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let expected = ["云X", "雾Y", "One", "One more", "Windows 1", "Windows 2"];
    assert_eq!(kept, expected.iter().map(|name| (*name).to_owned()).collect());
}

#[tokio::test]
async fn zones_of_accounts_are_noted_and_those_of_servers_of_before_are_found() {
    let server = TestServer::start().await;
    let zones = async || -> Vec<String> {
        let conn = server.server.app.jobs.database.connection().await.unwrap();
        let all = billing_runs::zones(&conn).await.unwrap();
        all.iter().map(|zone| zone.time_zone.name().to_owned()).collect()
    };
    let made = async |namespace: &str, zone: &str| {
        let input = json!({ "namespace": namespace, "name": namespace, "currency": "CNY", "timeZone": zone });
        server.account_from(input, "0").await
    };
    let first = made("one", "Asia/Shanghai").await;
    made("two", "Asia/Shanghai").await;
    assert_eq!(zones().await, ["Asia/Shanghai"]);
    let moved = json!({ "accountId": first, "timeZone": "Europe/Paris" });
    server.operator().mutate("updateAccount", "UpdateAccountInput", moved, "account { id }").await;
    assert_eq!(zones().await, ["Asia/Shanghai", "Europe/Paris"]);
    // A server of before has made one in another zone, and noted nothing.
    made("three", "America/Lima").await;
    let sql = server.sql().await;
    sql.batch_execute("DELETE FROM account_zones").await.unwrap();
    let jobs = server.server.app.jobs.clone();
    begin_runs(&jobs, None).await.unwrap();
    assert_eq!(zones().await, ["America/Lima", "Asia/Shanghai", "Europe/Paris"]);
    // Now and then only.
    sql.batch_execute("DELETE FROM account_zones").await.unwrap();
    begin_runs(&jobs, None).await.unwrap();
    assert_eq!(zones().await, Vec::<String>::new());
}

#[tokio::test]
async fn late_days_are_another_batch_each_time_that_they_are_noted() {
    let url = cluster::database().await;
    let database = Database::new(&url, 1).unwrap();
    let conn = &database.dedicated_connection().await.unwrap();
    let (now, day) = (wall(), NaiveDate::from_ymd_opt(2026, 3, 1).unwrap());
    let days: BTreeSet<(AccountId, NaiveDate)> = [(AccountId(1), day), (AccountId(2), day)].into();
    record_late(conn, &days, now).await.unwrap();
    let due =
        async || late_due(conn, now.checked_add_signed(TimeDelta::days(1)).unwrap(), None, 10).await.unwrap();
    let before = due().await;
    let one = [(AccountId(1), day)].into();
    record_late(conn, &one, now.checked_add_signed(TimeDelta::hours(1)).unwrap()).await.unwrap();
    let after = due().await;
    assert!(after[0].batch > before[1].batch && after[1] == before[1], "{before:?} {after:?}");
    assert_eq!(after[0].due_at, before[0].due_at, "as soon as he was going to");
    for late in &before {
        late_done(conn, std::slice::from_ref(late)).await.unwrap();
    }
    assert_eq!(due().await, [after[0]], "it was noted again since it was read");
}
