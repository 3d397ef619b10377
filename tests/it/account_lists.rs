//! What an account owns is narrowed on the account as it is at the root.

use serde_json::{Value, json};

use crate::support::life::Life;

async fn nodes(life: &Life, list: &str) -> (Value, Value) {
    let id = &life.account;
    let (name, arguments) = list.split_once('(').unwrap();
    let arguments = arguments.strip_suffix(')').unwrap();
    let query = format!(
        "{{ account(id: \"{id}\") {{ {name}({arguments}) {{ totalCount nodes {{ id }} }} }}
            {name}(accountId: \"{id}\", {arguments}) {{ totalCount nodes {{ id }} }} }}"
    );
    let data = life.operator.data(&query).await;
    (data["account"][name].clone(), data[name].clone())
}

#[tokio::test]
async fn lists_of_an_account_take_the_filters_of_the_root() {
    let life = Life::begin("2030-06-01T12:00:00Z", "500").await;
    let plan = life.plan("Monthly", "C", "30", "MONTH").await;
    for (key, later) in [("one", false), ("two", true), ("three", true)] {
        let input = json!({ "planId": plan, "idempotencyKey": key, "payLater": later });
        life.customer.mutate("checkout", "CheckoutInput", input, "order { id }").await;
    }
    for (list, count) in [
        ("orders(first: 10, filter: { orderState: UNPAID })", 2),
        ("orders(first: 1, filter: { orderState: UNPAID })", 2),
        ("bills(filter: { billStatus: PAID })", 1),
        ("records(filter: { searchWord: \"Monthly\" })", 1),
        ("transactions(filter: { kind: RECHARGE })", 1),
        ("ledger(filter: { startTime: \"2030-06-02T00:00:00Z\" })", 0),
        ("ledger(filter: { endTime: \"2030-06-02T00:00:00Z\" })", 2),
        ("prepayments(filter: { status: PAID })", 0),
    ] {
        let (own, root) = nodes(&life, list).await;
        assert_eq!(own, root, "{list}");
        assert_eq!(own["totalCount"], count, "{list}: {own:#}");
    }
}

#[tokio::test]
async fn a_filter_on_an_account_that_is_wrong_names_its_field_and_costs_what_it_costs_at_the_root() {
    let life = Life::begin("2030-06-01T12:00:00Z", "500").await;
    let wrong = "{ account { orders(filter: { startTime: \"2030-07-01T00:00:00Z\", endTime: \"2030-06-01T00:00:00Z\" }) { nodes { id } } } }";
    let answer = life.customer.answer(wrong).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "INVALID", "{answer:#}");
    assert_eq!(answer["errors"][0]["extensions"]["argument"], "filter", "{answer:#}");
    let dear =
        "{ accounts(first: 100) { nodes { orders(filter: { searchWord: \"x\" }) { nodes { id } } } } }";
    let answer = life.operator.answer(dear).await;
    assert!(answer["errors"][0]["extensions"]["cost"].as_i64().unwrap() > 100_000, "{answer:#}");
}
