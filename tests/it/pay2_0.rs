//! The calls of the pay2.0 document in its order, with its sums: acquire_pre_amount, cards/{card_id}, callback_app_info and
//! invoice_list.

use serde_json::{Value, json};

use crate::support::life::Life;
use crate::support::tokens::Buyer;

const BEGIN: &str = "2020-08-05T10:00:00Z";
/// For each asset, what 33.3 dollars are in it.
const ASSETS: [(&str, &str); 3] =
    [("USD", "33.30"), ("USDT_ERC20", "33.300000"), ("ANKR_ERC20", "1110.000000000000000000")];

fn app(more: Value) -> Value {
    let mut input = json!({ "clusterId": "c", "chartName": "wordpress", "cpuLimit": 100, "memLimit": 100, "storageLimit": 100 });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

/// A customer who is charged 33.30 dollars for three months of the document's app.
async fn customer() -> (Life, Buyer) {
    let life = Life::begin(BEGIN, "0").await;
    let buyer = Buyer::of(&life.server, "tenant");
    buyer.set_rate().await;
    let price = json!({ "prices": [{ "resource": "app_cpu", "currency": "USD", "level": 0, "price": "110.46",
        "unit": "core/month", "multiplier": "2592000000" }] });
    life.operator.mutate("setResourcePrices", "SetResourcePricesInput", price, "prices { id }").await;
    (life, buyer)
}

/// Pays an offer at once by card, or in tokens that arrive.
async fn pay(life: &Life, buyer: &Buyer, quote: &Value, asset: &str, amount: &str) -> Value {
    if asset == "USD" {
        let card = json!({ "providerToken": "pm_card_visa" });
        let fields = "paymentMethod { id }";
        let added = life.customer.mutate("addPaymentMethod", "AddPaymentMethodInput", card, fields).await;
        let by_card = json!({ "paymentMethodId": added["paymentMethod"]["id"], "autoRenewal": true });
        return buyer.try_prepay(quote, by_card).await["prepayment"].clone();
    }
    let asked = buyer.try_prepay(quote, json!({ "autoRenewal": false })).await["prepayment"].clone();
    assert_eq!((&asked["status"], &asked["transaction"]), (&json!("AWAITING_DEPOSIT"), &json!(null)));
    let address = asked["depositAddress"].as_str().unwrap();
    assert!(address.starts_with("0x") && address.len() == 42, "{address}");
    let paid = buyer.simulate(&asked, asset, amount).await;
    let deposit = &paid["deposits"][0];
    assert_eq!(
        (&deposit["state"], &deposit["blockTime"], &deposit["amount"]["amount"]),
        (&json!("COUNTED"), &json!(BEGIN), &json!(amount))
    );
    paid
}

#[tokio::test]
async fn the_documents_four_calls_in_order_by_card_and_in_both_tokens() {
    let (life, buyer) = customer().await;
    for (asset, amount) in ASSETS {
        let offer = app(json!({ "asset": asset, "period": 3 }));
        let quoted =
            life.customer.mutate("quotePrepay", "QuotePrepayInput", offer, "quote { id amount usd }").await;
        let quote = &quoted["quote"];
        assert_eq!((&quote["amount"], &quote["usd"]), (&json!(amount), &json!("33.30")));

        let paid = pay(&life, &buyer, quote, asset, amount).await;
        assert_eq!(paid["status"], "PAID", "{asset}: {paid:#}");
        let moved = &paid["transaction"];
        let method = if asset == "USD" { "visa" } else { asset };
        assert_eq!(
            (&moved["kind"], &moved["status"], &moved["paymentMethod"], &moved["balanceAfter"]),
            (&json!("PREPAYMENT"), &json!("FINISHED"), &json!(method), &json!(null))
        );
        assert_eq!(moved["amount"], json!({ "amount": amount, "currency": asset }));

        let binding =
            app(json!({ "prepaymentId": paid["id"], "asset": asset, "appId": asset, "projectName": "p",
            "iconUrl": format!("https://example.com/{asset}.png") }));
        let fields = "prepayment { status endTime app { appId } }";
        let bound = life.customer.mutate("bindApp", "BindAppInput", binding, fields).await;
        let expected =
            json!({ "status": "BOUND", "endTime": "2020-11-03T10:00:00Z", "app": { "appId": asset } });
        assert_eq!(bound["prepayment"], expected, "three months of 30 days");
    }
    assert_eq!((buyer.notices().await, life.balance().await.as_str()), (vec![], "0.00"));

    life.advance("2020-09-02T00:00:00Z").await;
    let query = "{ account { invoices { nodes { period status totalUsd iconUrls
        groups { period paymentMethod totalUsd totalAmount iconUrls } } } } }";
    let invoices = life.customer.data(query).await["account"]["invoices"]["nodes"].clone();
    let icon = |asset: &str| format!("https://example.com/{asset}.png");
    let groups = ASSETS.map(|(asset, amount)| {
        json!({ "period": "2020-08-01", "paymentMethod": asset, "totalUsd": "33.30", "totalAmount": amount,
            "iconUrls": [icon(asset)] })
    });
    let icons = ASSETS.map(|(asset, _)| icon(asset));
    assert_eq!(
        invoices,
        json!([{ "period": "2020-08-01", "status": "ISSUED", "totalUsd": "99.90", "iconUrls": icons, "groups": groups }])
    );
    life.server.assert_ledger_is_healthy().await;
}
