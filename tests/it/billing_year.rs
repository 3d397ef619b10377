//! A year in the sandbox: what falls due on the days that a calendar gives, in four zones, with nothing billed twice
//! and nothing missed. The calendar here counts day by day and knows nothing of the server's arithmetic.

use std::collections::{BTreeMap, HashMap};

use abacus::clock::Clock;
use abacus::domain::period::months_after;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::sequences::trials;
use crate::support::{Client, TestServer};

/// Half past two in Berlin on 28 March 2027 does not exist: the clocks are set forward that night.
const ZONES: [Tz; 4] = [Tz::Asia__Shanghai, Tz::UTC, Tz::America__St_Johns, Tz::Europe__Berlin];
const TIME_OF_DAY: (u32, u32) = (2, 30);

/// The day `months` months after `first`, found by walking through every day on the way: the same day of the month, or
/// the month's last.
fn walked(first: NaiveDate, months: u32) -> NaiveDate {
    let (mut day, mut passed, mut found) = (first, 0, first);
    while passed <= months {
        if passed == months && day.day() <= first.day() {
            found = day;
        }
        day = day.succ_opt().unwrap();
        if day.day() == 1 {
            passed += 1;
        }
    }
    found
}

/// The instant of a local time: found by trying every offset that a zone can have. Of two the first; where there is
/// none, as the offset of the day before gives it.
fn instant(local: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    let offset_at = |utc: NaiveDateTime| zone.offset_from_utc_datetime(&utc).fix().local_minus_utc();
    let fits = |seconds: &i32| offset_at(local - TimeDelta::seconds(i64::from(*seconds))) == *seconds;
    let offset = (-14 * 60..=14 * 60).rev().map(|minutes| minutes * 60).find(fits);
    let offset = offset.unwrap_or_else(|| offset_at(local - TimeDelta::days(1)));
    Utc.from_utc_datetime(&(local - TimeDelta::seconds(i64::from(offset))))
}

fn by_the_calendar(begin: DateTime<Utc>, months: u32, zone: Tz) -> DateTime<Utc> {
    let local = begin.with_timezone(&zone).naive_local();
    instant(walked(local.date(), months).and_time(local.time()), zone)
}

proptest! {
    #![proptest_config(trials(400, 10_000))]

    #[test]
    fn periods_end_where_a_count_day_by_day_ends(
        minutes in 0i64..60 * 24 * 365 * 40, months in 0u32..40, zone in proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
    ) {
        let begin = Utc.with_ymd_and_hms(2000, 1, 1, 0, 0, 0).unwrap() + TimeDelta::minutes(minutes);
        let counted = by_the_calendar(begin, months, zone);
        prop_assert_eq!(months_after(begin, months, zone), Ok(counted), "{} {} {}", begin, months, zone);
    }

    #[test]
    fn periods_follow_each_other_without_gap_for_ever(
        minutes in 0i64..60 * 24 * 365 * 40, length in proptest::sample::select(vec![1u32, 3, 6, 12]),
        zone in proptest::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
    ) {
        let begin = Utc.with_ymd_and_hms(2000, 1, 1, 0, 0, 0).unwrap() + TimeDelta::minutes(minutes);
        let ends: Vec<_> = (0..30).map(|k| months_after(begin, k * length, zone).unwrap()).collect();
        prop_assert!(ends.windows(2).all(|pair| pair[0] < pair[1]));
    }
}

#[test]
fn the_naive_calendar_knows_its_months() {
    let day = |text: &str| text.parse::<NaiveDate>().unwrap();
    for (first, months, expected) in [
        ("2027-01-28", 1, "2027-02-28"),
        ("2027-01-31", 1, "2027-02-28"),
        ("2027-01-31", 2, "2027-03-31"),
        ("2027-01-31", 3, "2027-04-30"),
        ("2028-01-30", 1, "2028-02-29"),
        ("2027-12-31", 12, "2028-12-31"),
        ("2027-05-15", 0, "2027-05-15"),
        ("2027-01-31", 0, "2027-01-31"),
        ("2027-11-30", 3, "2028-02-29"),
    ] {
        assert_eq!(walked(day(first), months), day(expected), "{first} + {months}");
    }
}

struct Plan {
    id: String,
    months: u32,
    cents: i64,
}

/// What was bought: in which zone, when, and how.
struct Bought {
    zone: Tz,
    begin: DateTime<Utc>,
    months: u32,
    /// Instalments paid, or renewals.
    instalments: Option<u32>,
    cents: i64,
}

async fn plans(server: &TestServer) -> Vec<Plan> {
    let mut plans = Vec::new();
    for (period, months, cents) in
        [("MONTH", 1, 1_001), ("QUARTER", 3, 2_999), ("HALF_YEAR", 6, 5_000), ("YEAR", 12, 9_999)]
    {
        let price = json!({ "amount": Decimal::new(cents, 2).to_string(), "currency": "CNY" });
        let input = json!({ "name": period, "region": null, "price": price, "billPeriod": period });
        plans.push(Plan { id: server.plan_from(input).await, months, cents });
    }
    plans
}

async fn buy(customer: &Client, plan: &Plan, instalments: Option<u32>) -> String {
    let input = json!({ "planId": plan.id, "autoRenewal": instalments.is_none(), "instalments": instalments,
        "idempotencyKey": uuid::Uuid::new_v4().to_string() });
    let bought = customer.mutate("checkout", "CheckoutInput", input, "order { id }").await;
    bought["order"]["id"].as_str().unwrap().to_owned()
}

/// Everything of a kind that a client sees, page by page.
async fn all(client: &Client, list: &str, fields: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut after = String::new();
    loop {
        let query = format!(
            "{{ {list}(first: 20 {after}) {{ nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let page = client.data(&query).await[list].clone();
        found.extend(page["nodes"].as_array().unwrap().iter().cloned());
        if page["pageInfo"]["hasNextPage"] == false {
            return found;
        }
        after = format!(", after: {}", page["pageInfo"]["endCursor"]);
    }
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_year_of_every_period_from_the_ends_of_months_is_billed_as_a_calendar_says() {
    let clock = Clock::standing_at("2027-01-27T00:00:00Z".parse().unwrap());
    let server = TestServer::with(|config| config.clock = clock.clone()).await;
    let plans = plans(&server).await;
    let mut starts = Vec::new();
    for zone in ZONES {
        let namespace = zone.name().replace('/', "-");
        let input =
            json!({ "namespace": namespace, "name": namespace, "currency": "CNY", "timeZone": zone.name() });
        server.account_from(input, "1000000").await;
        for day in 28..=31 {
            let date = NaiveDate::from_ymd_opt(2027, 1, day).unwrap();
            let at = NaiveTime::from_hms_opt(TIME_OF_DAY.0, TIME_OF_DAY.1, 0).unwrap();
            starts.push((instant(date.and_time(at), zone), zone, namespace.clone()));
        }
    }
    starts.sort_by_key(|(begin, ..)| *begin);
    let operator = server.operator();
    let mut bought: HashMap<String, Bought> = HashMap::new();
    for (begin, zone, namespace) in starts {
        let moved = json!({ "to": begin.to_rfc3339() });
        operator.mutate("advanceClock", "AdvanceClockInput", moved, "now").await;
        let customer = server.customer(&namespace);
        for plan in &plans {
            let (months, cents) = (plan.months, plan.cents);
            for instalments in std::iter::once(None).chain((months <= 3).then_some(Some(12 / months))) {
                let order = buy(&customer, plan, instalments).await;
                bought.insert(order, Bought { zone, begin, months, instalments, cents });
            }
        }
    }
    // To the day after the last anniversary.
    for to in ["2027-07-01T00:00:00Z", "2028-02-02T00:00:00Z"] {
        operator.mutate("advanceClock", "AdvanceClockInput", json!({ "to": to }), "now").await;
    }
    let mut chains: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut origin: HashMap<String, String> = HashMap::new();
    let fields = "id state previous { id } payInfo { total { amount } }
        bills(first: 100) { nodes { status seq startTime endTime dueAt amount { amount } transactions { kind } } }";
    let mut orders = all(&operator, "orders", fields).await;
    orders.reverse();
    let mut totals: BTreeMap<String, Decimal> = BTreeMap::new();
    for order in &orders {
        let id = order["id"].as_str().unwrap().to_owned();
        let first = order["previous"]["id"].as_str().map_or(id.clone(), |previous| origin[previous].clone());
        origin.insert(id, first.clone());
        let bills = order["bills"]["nodes"].as_array().unwrap();
        let sum: Decimal = bills
            .iter()
            .map(|bill| bill["amount"]["amount"].as_str().unwrap().parse::<Decimal>().unwrap())
            .sum();
        assert_eq!(order["payInfo"]["total"]["amount"], json!(format!("{sum:.2}")), "{order:#}");
        *totals.entry(first.clone()).or_default() += sum;
        chains.entry(first).or_default().extend(bills.iter().rev().cloned());
    }
    assert_eq!(chains.len(), bought.len());
    for (order, bills) in chains {
        let Bought { zone, begin, months, instalments, cents } = &bought[&order];
        let when = format!("{zone}, {begin}, every {months} months, {instalments:?}");
        let mut bills = bills;
        bills.sort_by_key(|bill| time(&bill["startTime"]));
        // Renewed from 7 days before each end on; instalments end after their year.
        let periods = instalments.unwrap_or(12 / months + 1);
        assert_eq!(bills.len(), usize::try_from(periods).unwrap(), "{when}");
        for (k, bill) in (0..).zip(&bills) {
            let starts = by_the_calendar(*begin, k * months, *zone);
            assert_eq!(time(&bill["startTime"]), starts, "{when}, period {k}");
            assert_eq!(
                time(&bill["endTime"]),
                by_the_calendar(*begin, (k + 1) * months, *zone),
                "{when}, period {k}"
            );
            assert_eq!(
                (&bill["status"], bill["transactions"].as_array().unwrap().len()),
                (&json!("PAID"), 1),
                "{when}"
            );
            if instalments.is_some() {
                assert_eq!(time(&bill["dueAt"]), starts, "{when}, instalment {k}");
            }
        }
        assert_eq!(totals[&order], Decimal::new(cents * i64::from(periods), 2), "{when}");
    }
    server.assert_ledger_is_healthy().await;
}
