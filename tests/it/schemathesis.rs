//! Queries and mutations that schemathesis makes of the schema, as an operator and as a customer: none is answered INTERNAL, or
//! with a 5xx but UNAVAILABLE and its like.

use serde_json::json;

use crate::support::TestServer;
use crate::support::schemathesis::{program, run};
use crate::support::sequences::in_full;
use crate::support::server::token;
use abacus::clock::Clock;
use abacus::domain::viewer::Role;

/// It would have the jobs of thousands of years run.
const EXCEPT: [&str; 1] = ["Mutation.advanceClock"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_query_that_the_schema_allows_is_answered_with_a_fault_of_the_server() {
    let Some(program) = program() else {
        println!("passed over: schemathesis is neither named by SCHEMATHESIS nor installed");
        return;
    };
    // Of some 80 root fields each, for each of two: 5,000 and more in full.
    let each = if in_full() { 35 } else { 2 };
    let server = TestServer::with(|config| config.clock = Clock::sandbox()).await;
    let account = server.account("acme", "1000").await;
    let plan = server.plan("Plan C", "88.88").await;
    let customer = server.customer("acme");
    let bought = customer.checkout(&plan, "bought").await;
    let moved = customer.data("{ transactions(first: 1) { nodes { id } } }").await;
    let card = json!({ "providerToken": "pm_card_visa" });
    let card =
        customer.mutate("addPaymentMethod", "AddPaymentMethodInput", card, "paymentMethod { id }").await;
    let known = json!({
        "accountId": account, "namespace": "acme", "planId": plan, "orderId": bought["order"]["id"], "billId": bought["bill"]["id"],
        "transactionId": moved["transactions"]["nodes"][0]["id"], "paymentMethodId": card["paymentMethod"]["id"],
        "resource": "transfer_out", "clusterId": "cluster-1", "chartName": "wordpress", "id": bought["order"]["id"],
        "number": bought["order"]["number"], "amount": "12.50", "currency": "CNY", "region": "cn-north-1",
    });
    for (role, namespace) in [(Role::Operator, None), (Role::Customer, Some("acme"))] {
        let token = token(role, namespace, 86_400);
        let seen = run(&program, &server.url(), &token, &known, each, &EXCEPT).await;
        println!("{role:?}: {} requests, {} answered without an error", seen.answered, seen.whole);
        assert!(seen.wrongs.is_empty(), "{} of {}: {:#?}", seen.wrongs.len(), seen.answered, seen.wrongs);
        assert!(seen.answered >= 70 * each, "{} requests are few", seen.answered);
    }
    server.assert_ledger_is_healthy().await;
}
