//! Cards that customers pay with: added by the payment provider's tokens, listed, removed.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::life::Life;
use crate::support::{Client, TestServer};

async fn add(client: &Client, token: &str) -> Value {
    let input = json!({ "providerToken": token });
    let fields = "paymentMethod { id brand last4 expiresOn createdAt }";
    client.payload("addPaymentMethod", "AddPaymentMethodInput", input, fields).await
}

async fn kept(client: &Client) -> Vec<Value> {
    let data = client.data("{ account { paymentMethods { id brand last4 } } }").await;
    data["account"]["paymentMethods"].as_array().unwrap().clone()
}

#[tokio::test]
async fn cards_are_added_by_their_tokens_listed_newest_first_and_removed() {
    let life = Life::begin("2026-03-01T10:00:00Z", "0").await;
    let visa = add(&life.customer, "pm_card_visa").await["paymentMethod"].clone();
    let expected = json!({ "id": visa["id"], "brand": "visa", "last4": "4242", "expiresOn": "2029-12-31",
        "createdAt": "2026-03-01T10:00:00Z" });
    assert_eq!(visa, expected);
    let master = add(&life.customer, "pm_card_mastercard").await["paymentMethod"].clone();
    assert_eq!(add(&life.customer, "pm_card_visa").await["paymentMethod"], visa, "kept already");
    let shown = |card: &Value| json!({ "id": card["id"], "brand": card["brand"], "last4": card["last4"] });
    assert_eq!(kept(&life.customer).await, [shown(&master), shown(&visa)]);

    let removal = json!({ "paymentMethodId": visa["id"] });
    for _ in 0..2 {
        let fields = "paymentMethod { id }";
        let removed = life
            .customer
            .mutate("removePaymentMethod", "RemovePaymentMethodInput", removal.clone(), fields)
            .await;
        assert_eq!(removed["paymentMethod"]["id"], visa["id"]);
    }
    assert_eq!(kept(&life.customer).await, [shown(&master)]);
    let again = add(&life.customer, "pm_card_visa").await["paymentMethod"].clone();
    assert_ne!(again["id"], visa["id"], "one that was removed does not come back");
    assert_eq!(kept(&life.customer).await, [shown(&again), shown(&master)]);
    // What people see of it says nothing of its token.
    let node = format!("{{ node(id: {}) {{ __typename id ...on PaymentMethod {{ brand }} }} }}", again["id"]);
    assert_eq!(life.customer.data(&node).await["node"]["brand"], "visa");
}

#[tokio::test]
async fn what_is_no_token_of_a_card_is_refused_and_a_cards_number_is_never_taken() {
    let life = Life::begin("2026-03-01T10:00:00Z", "0").await;
    let still = life.server.contents().await;
    for (token, code) in [
        ("pm_card_nobody", "NOT_FOUND"),
        ("", "INVALID"),
        ("a b", "INVALID"),
        ("4242424242424242", "INVALID"),
        ("4242-4242-4242-4242", "INVALID"),
    ] {
        let refused = add(&life.customer, token).await;
        let error = &refused["userErrors"][0];
        assert_eq!(
            (&error["path"], &error["code"]),
            (&json!(["input", "providerToken"]), &json!(code)),
            "{token}"
        );
        assert!(token.is_empty() || !refused.to_string().contains(token), "{refused}");
    }
    life.server.assert_holds_still(&still).await;

    // Where no provider is set up.
    let earnest = TestServer::with(|config| config.sandbox = false).await;
    earnest.account("tenant", "0").await;
    let refused = add(&earnest.customer("tenant"), "pm_card_visa").await;
    assert_eq!(refused["userErrors"][0]["message"], "this server has no payment provider");
}

#[tokio::test]
async fn an_account_keeps_twenty_cards_at_most() {
    let life = Life::begin("2026-03-01T10:00:00Z", "0").await;
    add(&life.customer, "pm_card_visa").await;
    let copies = "INSERT INTO payment_methods SELECT account_id, (left(id::text, 34) || lpad(to_hex(g), 2, '0'))::uuid, provider,
        'token-' || g, brand, last4, expires_on FROM payment_methods, generate_series(101, 118) g";
    life.server.sql().await.batch_execute(copies).await.unwrap();
    assert!(add(&life.customer, "pm_card_amex").await["paymentMethod"].is_object(), "the twentieth");
    let refused = add(&life.customer, "pm_card_mastercard").await;
    assert_eq!(refused["userErrors"][0]["code"], "LIMIT_EXCEEDED");
    assert_eq!(kept(&life.customer).await.len(), 20);
    assert!(add(&life.customer, "pm_card_visa").await["paymentMethod"].is_object(), "it is there already");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_shown_a_charge_settled_meanwhile_is_shown_its_money_in_the_account() {
    const AT_ONCE: usize = 24;
    let life = Life::begin("2026-03-01T10:00:00Z", "0").await;
    let card = add(&life.customer, "pm_card_visa").await["paymentMethod"]["id"].clone();
    for round in 1..=20 {
        let input =
            json!({ "amount": "1", "paymentMethodId": card, "idempotencyKey": format!("round {round}") });
        let fields = "transaction { balanceAfter } account { balance { amount } }";
        let asked =
            (0..AT_ONCE).map(|_| life.customer.payload("recharge", "RechargeInput", input.clone(), fields));
        for shown in join_all(asked).await {
            if shown["transaction"].is_object() {
                assert_eq!(
                    shown["account"]["balance"]["amount"], shown["transaction"]["balanceAfter"],
                    "{shown}"
                );
            }
        }
    }
    assert_eq!(life.balance().await, "20.00");
}
