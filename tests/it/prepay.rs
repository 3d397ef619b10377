//! pay2.0: what apps cost for a term, paid beforehand.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::life::Life;

fn dec(value: &Value) -> Decimal {
    value.as_str().unwrap_or_else(|| panic!("{value} is no decimal")).parse().unwrap()
}

async fn quote(life: &Life, more: Value) -> Value {
    let mut input = json!({ "asset": "USD", "clusterId": "cluster-1", "chartName": "wordpress", "cpuLimit": 100, "memLimit": 100,
        "storageLimit": 100, "period": 3 });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let fields = "quote { id amount currency usd months rate { base quote rate source observedAt } expiresAt
        steps { label quantity unitPrice factor divisor amount } }";
    life.customer.payload("quotePrepay", "QuotePrepayInput", input, fields).await
}

async fn set_rate(life: &Life, more: Value) -> Value {
    let mut input = json!({ "base": "ANKR_ERC20", "quote": "USD", "rate": "0.03", "source": "exchange" });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let fields = "exchangeRate { base quote rate source observedAt }";
    life.operator.payload("setExchangeRate", "SetExchangeRateInput", input, fields).await
}

#[tokio::test]
async fn an_app_costs_its_limits_for_the_months_in_any_asset_and_the_steps_say_how() {
    let life = Life::begin("2026-03-01T10:00:00Z", "0").await;
    let offered = quote(&life, json!({})).await["quote"].clone();
    // 0.1 core at 7, 100 ÷ 1024 GiB at 0.5 and at 0.05, three times: 2.1 + 0.146484375 + 0.0146484375.
    assert_eq!((&offered["amount"], &offered["usd"]), (&json!("2.26"), &json!("2.26")));
    assert_eq!(
        (&offered["currency"], &offered["months"], &offered["rate"]),
        (&json!("USD"), &json!(3), &json!(null))
    );
    assert_eq!(offered["expiresAt"], "2026-03-01T10:15:00Z");
    assert!(offered["id"].as_str().unwrap().starts_with("pqt_"));
    let steps = offered["steps"].as_array().unwrap();
    assert_eq!(steps.iter().map(|step| dec(&step["amount"])).sum::<Decimal>(), dec(&json!("2.26")));
    let first = json!({ "label": "processors", "quantity": "100", "unitPrice": "7", "factor": "7776000", "divisor": "2592000000",
        "amount": "2.1" });
    assert_eq!((&steps[0], steps.len()), (&first, 4));

    let in_dollar_tokens = quote(&life, json!({ "asset": "USDT_ERC20" })).await["quote"].clone();
    assert_eq!(dec(&in_dollar_tokens["amount"]), dec(&in_dollar_tokens["usd"]));
    let set = set_rate(&life, json!({})).await["exchangeRate"].clone();
    let in_tokens = quote(&life, json!({ "asset": "ANKR_ERC20" })).await["quote"].clone();
    assert_eq!(in_tokens["rate"], set);
    assert_eq!(in_tokens["amount"], "75.333333333333333334", "rounded up at the token's places");
    assert_eq!(in_tokens["usd"], "2.26");
    let listed = life.customer.data("{ exchangeRates { base quote rate source observedAt } }").await;
    assert_eq!(listed["exchangeRates"], json!([set]));
}

#[tokio::test]
async fn a_price_for_the_cluster_and_the_chart_goes_before_one_for_everything() {
    let life = Life::begin("2026-03-01T10:00:00Z", "0").await;
    let price = |price: &str, cluster: Option<&str>, chart: Option<&str>| {
        json!({ "resource": "app_cpu", "currency": "USD", "level": 0, "price": price, "unit": "core/month", "multiplier": "2592000000",
            "clusterId": cluster, "chartName": chart })
    };
    let usd = async |cluster: &str, chart: &str| {
        let limits = json!({ "clusterId": cluster, "chartName": chart, "cpuLimit": 1000, "memLimit": 0, "storageLimit": 0, "period": 1 });
        quote(&life, limits).await["quote"]["usd"].clone()
    };
    let prices = json!({ "prices": [price("11", Some("c"), None), price("22", None, Some("wp")), price("33.3", Some("c"), Some("wp"))] });
    life.operator.mutate("setResourcePrices", "SetResourcePricesInput", prices, "prices { id }").await;
    // Newer than those, and for everything.
    let prices = json!({ "prices": [price("8", None, None)] });
    life.operator.mutate("setResourcePrices", "SetResourcePricesInput", prices, "prices { id }").await;
    for (cluster, chart, expected) in
        [("c", "wp", "33.30"), ("c", "other", "11.00"), ("d", "wp", "22.00"), ("d", "other", "8.00")]
    {
        assert_eq!(usd(cluster, chart).await, expected, "{cluster} {chart}");
    }
}

#[tokio::test]
async fn a_stale_rate_refuses_to_quote_and_the_rate_that_was_observed_last_holds() {
    let life = Life::begin("2026-03-01T10:00:00Z", "0").await;
    let in_tokens = async || {
        quote(
            &life,
            json!({ "asset": "ANKR_ERC20", "cpuLimit": 1000, "memLimit": 0, "storageLimit": 0, "period": 1 }),
        )
        .await
    };
    let refused = in_tokens().await;
    assert_eq!(refused["userErrors"][0]["code"], "RATE_STALE", "there is none");
    set_rate(&life, json!({ "observedAt": "2026-03-01T09:30:00Z" })).await;
    set_rate(&life, json!({ "rate": "0.04", "observedAt": "2026-03-01T09:10:00Z" })).await;
    assert_eq!(in_tokens().await["quote"]["rate"]["rate"], "0.03", "the later one was observed earlier");
    life.advance("2026-03-01T10:30:00Z").await;
    assert_eq!(in_tokens().await["quote"]["rate"]["rate"], "0.03");
    life.advance("2026-03-01T10:30:01Z").await;
    let refused = in_tokens().await;
    assert_eq!(
        (&refused["userErrors"][0]["code"], &refused["userErrors"][0]["path"]),
        (&json!("RATE_STALE"), &json!(["input", "asset"]))
    );
    set_rate(&life, json!({ "rate": "0.0625" })).await;
    assert_eq!(dec(&in_tokens().await["quote"]["amount"]), Decimal::from(112));
}

#[tokio::test]
async fn what_cannot_be_quoted_is_refused_by_its_field() {
    let life = Life::begin("2026-03-01T10:00:00Z", "0").await;
    let still = life.server.contents().await;
    for (field, value, code) in [
        ("period", json!(0), "OUT_OF_RANGE"),
        ("period", json!(13), "OUT_OF_RANGE"),
        ("cpuLimit", json!(-1), "INVALID"),
        ("memLimit", json!(-1), "INVALID"),
        ("storageLimit", json!(-1), "INVALID"),
        ("asset", json!("CNY"), "INVALID"),
        ("asset", json!("XXX"), "INVALID"),
        ("clusterId", json!(""), "INVALID"),
        ("chartName", json!("a b"), "INVALID"),
        ("namespace", json!("nobody"), "NOT_FOUND"),
    ] {
        let refused = quote(&life, json!({ field: value })).await;
        let error = &refused["userErrors"][0];
        assert_eq!((&error["path"], &error["code"]), (&json!(["input", field]), &json!(code)), "{refused}");
    }
    let nothing = quote(&life, json!({ "cpuLimit": 0, "memLimit": 0, "storageLimit": 1 })).await;
    assert_eq!(nothing["userErrors"][0]["message"], "what is asked for comes to nothing");
    for (field, value, code) in [
        ("base", json!("USD"), "INVALID"),
        ("base", json!("XXX"), "INVALID"),
        ("rate", json!("0"), "INVALID"),
        ("rate", json!("-1"), "INVALID"),
        ("rate", json!("1000000000001"), "OUT_OF_RANGE"),
        ("rate", json!("0.0000000000000000001"), "INVALID"),
        ("source", json!(" "), "INVALID"),
        ("observedAt", json!("2026-03-01T10:00:01Z"), "INVALID"),
    ] {
        let refused = set_rate(&life, json!({ field: value })).await;
        let error = &refused["userErrors"][0];
        let path = if value == "USD" { "quote" } else { field };
        assert_eq!((&error["path"], &error["code"]), (&json!(["input", path]), &json!(code)), "{refused}");
    }
    life.server.assert_holds_still(&still).await;
}
