//! Who owes very many bills has them paid in steps: all of them, oldest first, and nobody waits for that.

use std::time::{Duration, Instant};

use abacus::domain::command::Command;
use abacus::domain::decide::{Action, Recharge};
use abacus::domain::ids::AccountId;
use abacus::engine::Priority;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use crate::support::life::Life;
use crate::support::sequences::in_full;

fn number(account: &str) -> AccountId {
    AccountId::parse(account).unwrap()
}

fn recharge(account: &str, key: &str) -> Command {
    let recharge = Recharge { amount: Decimal::ONE, payment_method: "sandbox".to_owned(), reason: None };
    Command { key: Some(key.to_owned()), ..Command::by_itself(number(account), Action::Recharge(recharge)) }
}

/// Gives an account that many bills of months, of 0.01 each, that were due an hour after the other, long ago.
async fn owe(life: &Life, bills: i64) {
    let id = number(&life.account).0;
    let statements = format!(
        r#"
        CREATE FUNCTION pg_temp.made(due timestamptz, number bigint) RETURNS uuid LANGUAGE sql AS $$
            SELECT (lpad(to_hex((extract(epoch FROM due) * 1000)::bigint), 12, '0') || '7000'
                || to_hex((-9223372036854775808) + {id}::bigint * 536870912 + number))::uuid $$;
        INSERT INTO bills (account_id, id, number, status, currency, amount, once_amount, cycle_amount, credit_amount,
                start_time, end_time, seq, seq_count, due_at, next_step_at, created_at)
            SELECT {id}, pg_temp.made(due, 1000 + g), 'Bowed' || g, 'OVERDUE', 'CNY', 0.01, 0, 0.01, 0,
                due - interval '30 days', due, 1, 1, due, '2030-06-01T12:30:00Z', due
            FROM (SELECT g, '2020-01-01T00:00:00Z'::timestamptz + g * interval '1 hour' AS due
                FROM generate_series(1, {bills}) g) b;
        UPDATE accounts SET last_no = 100000000, status = 'SUSPENDED', suspension = 'OVERDUE_BILL',
            suspended_at = '2030-01-01T00:00:00Z' WHERE id = {id}"#
    );
    life.server.make_accounts_so(&statements).await;
}

async fn counted(life: &Life, query: &str) -> i64 {
    life.server.sql().await.query_one(query, &[]).await.unwrap().get(0)
}

async fn account_of(life: &Life) -> Value {
    life.customer.data("{ account { status balance { amount } } }").await["account"].clone()
}

/// Moves the clock, and asks again where that takes longer than a request may: it goes on meanwhile.
async fn advance_in_parts(life: &Life, to: &str) {
    let begin = Instant::now();
    loop {
        let input = json!({ "to": to });
        let (_, answer) = life.operator.try_mutate("advanceClock", "AdvanceClockInput", input, "now").await;
        let is_under_way = answer["errors"][0]["extensions"]["code"] == "OUTCOME_UNKNOWN"
            || answer["data"]["advanceClock"]["userErrors"][0]["message"]
                == "the clock is being moved by another";
        if !is_under_way {
            assert_eq!(answer["data"]["advanceClock"], json!({ "now": to, "userErrors": [] }), "{answer:#}");
            return;
        }
        assert!(begin.elapsed() < Duration::from_secs(300), "{answer:#}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_thousand_open_bills_are_settled_in_steps() {
    let bills: i64 = if in_full() { 60_000 } else { 1_230 };
    let life = Life::begin("2030-06-01T12:00:00Z", "0").await;
    owe(&life, bills).await;
    let neighbour = life.server.account("neighbour", "0").await;
    let owed = Decimal::new(bills, 2);
    let fields = "account { status balance { amount } }";
    let input = |key: &str, dry_run: bool| {
        let amount = (owed + Decimal::ONE).to_string();
        json!({ "accountId": life.account, "amount": amount, "idempotencyKey": key, "dryRun": dry_run })
    };
    let begin = Instant::now();
    let foretold = life.operator.mutate("recharge", "RechargeInput", input("k", true), fields).await;
    let tried = begin.elapsed();
    let begin = Instant::now();
    let made = life.operator.mutate("recharge", "RechargeInput", input("k", false), fields).await;
    let took = begin.elapsed();
    assert_eq!(foretold["account"], made["account"], "what is tried out is what is done");
    let left = (owed + Decimal::ONE - Decimal::new(50, 2)).to_string();
    assert_eq!(made["account"], json!({ "status": "SUSPENDED", "balance": { "amount": left } }));
    assert_eq!(counted(&life, "SELECT count(*) FROM bills WHERE status = 'PAID'").await, 50);

    // A neighbour is served meanwhile.
    let stepping = async {
        let begin = Instant::now();
        advance_in_parts(&life, "2030-06-01T12:00:01Z").await;
        begin.elapsed()
    };
    tokio::pin!(stepping);
    let (mut slowest, mut index) = (Duration::ZERO, 0);
    let stepped = loop {
        index += 1;
        let command = recharge(&neighbour, &format!("{index}"));
        let asked = Instant::now();
        tokio::select! {
            biased;
            stepped = &mut stepping => break stepped,
            done = life.server.server.app.engine.submit(command, Priority::Interactive) => {
                done.unwrap();
                slowest = slowest.max(asked.elapsed());
            }
        }
    };
    println!(
        "{bills} bills: tried out in {tried:?}, recharged in {took:?}, the rest in {stepped:?}; the slowest of {index} beside {slowest:?}"
    );
    assert!(slowest < Duration::from_secs(1), "a neighbour waited for {slowest:?}");
    assert_eq!(counted(&life, "SELECT count(*) FROM bills WHERE status <> 'PAID'").await, 0);
    let account = account_of(&life).await;
    assert_eq!(account, json!({ "status": "ACTIVE", "balance": { "amount": "1.00" } }));
    let out_of_order = "SELECT count(*) FROM (SELECT b.due_at, lag(b.due_at) OVER (ORDER BY t.seq) AS before \
         FROM bills b JOIN ledger_entries t ON t.account_id = b.account_id AND t.id = b.paid_by) o WHERE due_at < before";
    assert_eq!(counted(&life, out_of_order).await, 0, "oldest first");
}

#[tokio::test]
async fn money_that_does_not_pay_all_pays_the_oldest_and_leaves_the_account_suspended() {
    let life = Life::begin("2030-06-01T12:00:00Z", "0").await;
    owe(&life, 200).await;
    life.recharge("1.20").await;
    life.advance("2030-06-01T12:00:01Z").await;
    assert_eq!(account_of(&life).await, json!({ "status": "SUSPENDED", "balance": { "amount": "0.00" } }));
    let youngest_paid = "SELECT count(*) FROM bills p JOIN bills o ON o.status <> 'PAID' AND o.due_at < p.due_at WHERE p.status = 'PAID'";
    assert_eq!(counted(&life, "SELECT count(*) FROM bills WHERE status = 'PAID'").await, 120);
    assert_eq!(counted(&life, youngest_paid).await, 0);
}

/// The daily looks of all of them come while they are paid in steps, the youngest first.
#[tokio::test]
async fn a_bills_own_look_pays_nothing_before_what_is_older() {
    let life = Life::begin("2030-06-01T12:00:00Z", "0").await;
    owe(&life, 200).await;
    let sooner = "UPDATE bills SET next_step_at = '2030-06-01T12:00:00.9Z'::timestamptz - (due_at - '2020-01-01Z'::timestamptz) / 10000000";
    life.server.make_accounts_so(sooner).await;
    life.recharge("1.20").await;
    life.advance("2030-06-01T12:00:01Z").await;
    let youngest_paid = "SELECT count(*) FROM bills p JOIN bills o ON o.status <> 'PAID' AND o.due_at < p.due_at WHERE p.status = 'PAID'";
    assert_eq!(counted(&life, "SELECT count(*) FROM bills WHERE status = 'PAID'").await, 120);
    assert_eq!(counted(&life, youngest_paid).await, 0);
}

#[tokio::test]
async fn the_rest_is_paid_where_somebody_pays_the_next_one_himself() {
    let life = Life::begin("2030-06-01T12:00:00Z", "0").await;
    owe(&life, 80).await;
    life.recharge("0.90").await;
    let next = "SELECT id::text FROM bills WHERE status <> 'PAID' ORDER BY due_at LIMIT 1";
    let next: String = life.server.sql().await.query_one(next, &[]).await.unwrap().get(0);
    let input = json!({ "billId": format!("bil_{}", next.replace('-', "")), "idempotencyKey": "pay" });
    life.customer.mutate("payBill", "PayBillInput", input, "bill { status }").await;
    assert_eq!(counted(&life, "SELECT count(*) FROM bills WHERE status <> 'PAID'").await, 0);
    let account = account_of(&life).await;
    assert_eq!(account, json!({ "status": "ACTIVE", "balance": { "amount": "0.10" } }));
}

#[tokio::test]
async fn a_late_order_stays_suspended_until_the_last_of_its_instalments_is_paid() {
    let life = Life::begin("2030-06-01T12:00:00Z", "1").await;
    let plan = life.plan("Plan", "C", "1.00", "MONTH").await;
    let bought = life.buy(&plan, json!({ "instalments": 60 })).await;
    let order = &bought["order"]["id"];
    // As if 59 periods were over and none of them paid but the first.
    life.server
        .sql()
        .await
        .batch_execute(
            "UPDATE bills SET status = 'OVERDUE', due_at = '2029-01-01T00:00:00Z'::timestamptz + seq * interval '1 day',
                next_step_at = '2030-06-01T18:00:00Z', seal = NULL WHERE seq > 1;
             UPDATE orders SET state = 'SUSPENDED', seal = NULL",
        )
        .await
        .unwrap();
    life.recharge("59.00").await;
    assert_eq!(life.order(order).await["state"], "SUSPENDED", "50 are paid, and 9 are late");
    assert_eq!(life.balance().await, "9.00");
    life.advance("2030-06-01T12:00:01Z").await;
    assert_eq!(
        (life.order(order).await["state"].clone(), life.balance().await),
        (json!("ACTIVE"), "0.00".to_owned())
    );
}

/// Of bills that are due at the same instant any may be read first: of the first order one is, and the other after all of the second.
#[tokio::test]
async fn no_order_goes_on_while_one_of_its_bills_is_late_whichever_are_read_first() {
    let life = Life::begin("2030-06-01T12:00:00Z", "2").await;
    let plan = life.plan("Plan", "C", "1.00", "MONTH").await;
    let first = life.buy(&plan, json!({ "instalments": 3 })).await["order"]["number"].clone();
    life.buy(&plan, json!({ "instalments": 60 })).await;
    let number = first.as_str().unwrap();
    for which in ["= 'first' AND seq = 2", "= 'second' AND seq > 1", "= 'first' AND seq = 3"] {
        let late = format!(
            "UPDATE bills SET status = 'OVERDUE', due_at = '2029-01-01T00:00:00Z', next_step_at = '2030-06-01T18:00:00Z', seal = NULL
             WHERE (SELECT CASE o.number WHEN '{number}' THEN 'first' ELSE 'second' END FROM orders o WHERE o.id = order_id) {which};
             UPDATE orders SET state = 'SUSPENDED', seal = NULL"
        );
        life.server.sql().await.batch_execute(&late).await.unwrap();
    }
    life.recharge("52.00").await;
    let late = "SELECT count(*) FROM orders o WHERE state <> 'SUSPENDED' AND EXISTS (SELECT FROM bills b WHERE b.order_id = o.id
        AND b.status = 'OVERDUE')";
    assert_eq!(counted(&life, late).await, 0);
    life.advance("2030-06-01T12:00:01Z").await;
    assert_eq!(life.balance().await, "0.00");
    assert_eq!(counted(&life, late).await, 0);
}

#[tokio::test]
async fn an_account_that_is_too_large_to_be_closed_at_once_says_so_and_can_be_made_smaller() {
    let life = Life::begin("2030-06-01T12:00:00Z", "0").await;
    owe(&life, 501).await;
    let close = json!({ "accountId": life.account, "status": "CLOSED" });
    let refused = life.operator.refusal("updateAccount", "UpdateAccountInput", close.clone()).await;
    assert_eq!(refused, ("LIMIT_EXCEEDED".to_owned(), "input.status".to_owned()));
    life.recharge("0.01").await;
    life.operator.mutate("updateAccount", "UpdateAccountInput", close, "account { status }").await;
    // A closed account takes what is open, and nothing more.
    let above = json!({ "accountId": life.account, "amount": "5.01", "idempotencyKey": "above" });
    let refused = life.operator.refusal("recharge", "RechargeInput", above).await;
    assert_eq!(refused, ("LIMIT_EXCEEDED".to_owned(), "input.amount".to_owned()));
    life.recharge("5.00").await;
    life.advance("2030-06-01T12:00:01Z").await;
    assert_eq!(account_of(&life).await, json!({ "status": "CLOSED", "balance": { "amount": "0.00" } }));
    assert_eq!(counted(&life, "SELECT count(*) FROM bills WHERE status <> 'PAID'").await, 0);
}
