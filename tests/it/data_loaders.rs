//! A request's own look-ups answer what async-graphql's DataLoader answers (docs/adr/0006).

use serde_json::{Value, json};

use crate::support::TestServer;
use crate::support::life::Life;

const DOCUMENTS: [&str; 5] = [
    "{ accounts(first: 10) { totalCount nodes { id parent { id } subAccounts { nodes { id namespace } }
        orders(first: 3) { totalCount nodes { id number state account { id }
            bills(first: 2) { nodes { id number order { id number } account { id } } }
            records(first: 2) { nodes { id bill { id } } } } }
        bills(first: 5) { nodes { id order { id previous { id } } } }
        transactions(first: 5) { nodes { id kind order { id } bill { id } } }
        ledger(first: 5) { nodes { id } } notices { kind } plans { id name resources { amount } }
        balance { amount } priceRules { id } paymentMethods { id } prepayments { nodes { id } } invoices { nodes { id } } } } }",
    "{ orders(first: 20) { nodes { id account { id namespace } bills { totalCount nodes { id } } } } }",
    "{ bills(first: 20) { nodes { id amount { amount } order { id number } } } }",
    "{ transactions(first: 20) { nodes { id order { id } bill { id order { id } } } } }",
    "{ records(first: 20) { nodes { id bill { id } } } plans { nodes { id resources { amount } } } }",
];

#[tokio::test]
async fn a_requests_own_look_ups_answer_what_data_loaders_do() {
    let life = Life::begin("2030-06-01T12:00:00Z", "500").await;
    let plan = life.plan("Monthly", "C", "30", "MONTH").await;
    for key in ["one", "two", "three"] {
        let input = json!({ "planId": plan, "idempotencyKey": key, "instalments": 3 });
        life.customer.mutate("checkout", "CheckoutInput", input, "order { id }").await;
    }
    life.server.account("neighbour", "10").await;
    life.advance("2030-07-15T00:00:00Z").await;
    let clock = life.server.server.app.clock.clone();
    let other = TestServer::on(life.server.database_url.clone(), move |config| {
        config.data_loaders = true;
        config.clock = clock;
    })
    .await;
    for document in DOCUMENTS {
        let own = life.operator.data(document).await;
        assert_eq!(own, other.operator().data(document).await, "{document}");
        assert_ne!(own, Value::Null);
    }
    let ids: Vec<Value> =
        life.operator.data("{ orders { nodes { id } } bills { nodes { id } } }").await["orders"]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|order| order["id"].clone())
            .collect();
    assert!(ids.len() >= 3, "there is something to look up");
    let nodes = format!("{{ nodes(ids: {}) {{ id }} }}", json!(ids));
    assert_eq!(life.operator.data(&nodes).await, other.operator().data(&nodes).await);
}
