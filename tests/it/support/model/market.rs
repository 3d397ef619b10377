//! What the model's accounts buy.

use chrono::{DateTime, Days, Months, NaiveDate, TimeDelta, Timelike, Utc};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};

use crate::support::Client;

/// A plan as it is sold.
#[derive(Debug, Clone)]
pub struct Plan {
    pub id: String,
    pub price: Decimal,
    pub once: Decimal,
    /// Of these an account has one.
    pub is_exclusive: bool,
}

/// Name, type, period, price and what is charged once, in cents.
const PLANS: [(&str, &str, &str, i64, i64); 5] = [
    ("Model A", "C", "MONTH", 2_000, 0),
    ("Model B", "C", "QUARTER", 8_888, 1_000),
    ("Model free", "C", "MONTH", 0, 0),
    ("Model pool S", "resources", "MONTH", 19_900, 0),
    ("Model pool L", "resources", "MONTH", 69_900, 500),
];
/// What is subscribed: hundredths for so many units for a month of 30 days.
pub const DISK: &str = "model_disk";
const DISK_PRICE: i64 = 60;
const DISK_MULTIPLIER: i64 = 30 * 86_400;
/// What is used: it adds up.
pub const TRAFFIC: &str = "model_traffic";

#[derive(Debug, Clone)]
pub struct Market {
    pub plans: Vec<Plan>,
    /// The day on which everything happens, in the accounts' zone.
    pub today: NaiveDate,
    /// Where it is about noon now: no day ends while the players are at it.
    pub zone: String,
}

/// A zone without summer time in which it is about noon.
fn zone_of_noon(hour: u32) -> (String, i64) {
    let ahead = 12 - i64::from(hour);
    // The names count westwards.
    (if ahead == 0 { "Etc/UTC".to_owned() } else { format!("Etc/GMT{:+}", -ahead) }, ahead)
}

impl Market {
    /// Opens it on a server whose time is that.
    pub async fn open(operator: &Client, now: DateTime<Utc>) -> Self {
        let (zone, ahead) = zone_of_noon(now.hour());
        let today = (now + TimeDelta::hours(ahead)).date_naive();
        for (code, aggregation) in [(DISK, "LAST"), (TRAFFIC, "SUM")] {
            let define = json!({ "code": code, "name": code, "unit": "GB", "resourceType": "CLOUD", "aggregation": aggregation });
            operator.mutate("defineResource", "DefineResourceInput", define, "resource { code }").await;
        }
        let price = json!({ "resource": DISK, "currency": "CNY", "level": 0, "price": Decimal::new(DISK_PRICE, 2),
            "unit": "GB/month", "multiplier": DISK_MULTIPLIER.to_string() });
        let prices = json!({ "prices": [price] });
        operator.mutate("setResourcePrices", "SetResourcePricesInput", prices, "prices { id }").await;
        let none = json!({ "discounts": [] });
        operator.mutate("setTermDiscounts", "SetTermDiscountsInput", none, "discounts { months }").await;
        let mut plans = Vec::new();
        for (name, plan_type, period, price, once) in PLANS {
            let money = |cents: i64| json!({ "amount": Decimal::new(cents, 2), "currency": "CNY" });
            let mut input = json!({ "name": name, "type": plan_type, "resourceType": "CLOUD", "billPeriod": period,
                "description": "", "price": money(price) });
            if once != 0 {
                input["oncePrice"] = money(once);
            }
            let made = operator.mutate("createPlan", "CreatePlanInput", input, "plan { id }").await;
            plans.push(Plan {
                id: made["plan"]["id"].as_str().expect("a plan").to_owned(),
                price: Decimal::new(price, 2),
                once: Decimal::new(once, 2),
                is_exclusive: plan_type == "resources",
            });
        }
        Self { plans, today, zone }
    }

    /// The input that makes an account of this name.
    pub fn account(&self, namespace: &str) -> Value {
        json!({ "namespace": namespace, "name": namespace, "currency": "CNY", "timeZone": self.zone })
    }

    /// What so much of the disk costs for the `nth` of terms of so many months that began today: its seconds, rounded half up.
    pub fn disk(&self, amount: i64, months: u32, nth: u32) -> Decimal {
        let day = |months: u32| self.today.checked_add_months(Months::new(months)).expect("a day");
        let days = day(months * (nth + 1)).signed_duration_since(day(months * nth)).num_days();
        let unit_seconds = Decimal::from(amount * days * 86_400);
        let price = Decimal::new(DISK_PRICE, 2) * unit_seconds / Decimal::from(DISK_MULTIPLIER);
        price.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero)
    }

    /// Days that what is used now lies in.
    pub fn usage_window(&self) -> (String, String) {
        let day = |day: Option<NaiveDate>| format!("{}T00:00:00Z", day.expect("a day"));
        (day(self.today.checked_sub_days(Days::new(2))), day(self.today.checked_add_days(Days::new(2))))
    }
}
