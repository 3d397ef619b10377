//! What one operator asks for above an amount, and another has to allow.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;

use abacus::clock::Clock;
use abacus::domain::approval::ApprovalPolicy;
use abacus::domain::money::Currencies;
use abacus::server::ServerConfig;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::life::at;
use crate::support::process::{Abacus, Folder, command, outcome};
use crate::support::{Client, TestServer};

const NOW: &str = "2026-03-10T08:00:00Z";
const FIELDS: &str = "id mutation input amount { amount currency } askedBy askedAt state expiresAt decidedBy decidedAt reason account { namespace }";

/// Two operators, of whom one alone moves up to 1000 CNY of an account within a day, and a customer with 10000.
struct Office {
    server: TestServer,
    first: Client,
    second: Client,
    customer: Client,
    account: String,
}

/// A setting of this office's kind.
pub fn two_people(config: &mut ServerConfig) {
    let settings = ["CNY=1000", "USD=1000"].map(str::to_owned);
    let policy = ApprovalPolicy::read(&settings, &Currencies::default(), TimeDelta::days(7)).unwrap();
    config.engine.policies.approvals = policy.map(Arc::new);
}

impl Office {
    async fn open() -> Self {
        let server = TestServer::with(|config| {
            config.clock = Clock::standing_at(at(NOW));
            two_people(config);
        })
        .await;
        let account = server.account("tenant", "10000").await;
        let (first, second) = (server.operator_named("ann"), server.operator_named("ben"));
        Self { first, second, customer: server.customer("tenant"), account, server }
    }

    /// Has an operator give so much, under a key; the whole payload.
    async fn adjust(&self, who: &Client, amount: &str, key: &str) -> Value {
        let input = json!({ "accountId": self.account, "amount": amount, "reason": "goodwill", "idempotencyKey": key });
        let fields = "transaction { id amount { amount } } account { balance { amount } }";
        who.payload("adjustBalance", "AdjustBalanceInput", input, fields).await
    }

    /// The same of what has to wait; answers its approval's id.
    async fn waits(&self, who: &Client, amount: &str, key: &str) -> String {
        approval_of(&self.adjust(who, amount, key).await, "input.amount")
    }

    async fn decide(&self, who: &Client, approval: &str, approve: bool, key: &str) -> Value {
        let (_, answer) = who
            .try_mutate("decideApproval", "DecideApprovalInput", decision(approval, approve, key), &decided())
            .await;
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"]["decideApproval"].clone()
    }

    async fn balance(&self) -> String {
        let data = self.customer.data("{ account { balance { amount } } }").await;
        data["account"]["balance"]["amount"].as_str().unwrap().to_owned()
    }

    async fn approval(&self, id: &str) -> Value {
        let query = format!("{{ node(id: \"{id}\") {{ ...on Approval {{ {FIELDS} }} }} }}");
        self.second.data(&query).await["node"].clone()
    }

    /// The ids of what stands so, newest first.
    async fn listed(&self, state: &str) -> Vec<String> {
        let query = format!("{{ approvals(state: {state}, first: 100) {{ nodes {{ id }} }} }}");
        let data = self.second.data(&query).await;
        let id = |node: &Value| node["id"].as_str().unwrap().to_owned();
        data["approvals"]["nodes"].as_array().unwrap().iter().map(id).collect()
    }

    async fn count(&self, query: &str) -> i64 {
        self.server.sql().await.query_one(query, &[]).await.unwrap().get(0)
    }

    async fn advance(&self, to: &str) -> Value {
        let input = json!({ "to": to });
        self.second.mutate("advanceClock", "AdvanceClockInput", input, "jobs { kind ran failed }").await["jobs"].clone()
    }
}

fn decision(approval: &str, approve: bool, key: &str) -> Value {
    json!({ "approvalId": approval, "approve": approve, "reason": "seen", "idempotencyKey": key })
}

fn decided() -> String {
    format!(
        "approval {{ {FIELDS} }} subject {{ __typename id ...on Transaction {{ amount {{ amount }} status }}
            ...on Account {{ balance {{ creditLimit }} }} }}"
    )
}

/// The approval that a payload's only user error names, about that field.
fn approval_of(payload: &Value, path: &str) -> String {
    let errors = payload["userErrors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{payload:#}");
    assert_eq!(errors[0]["code"], "APPROVAL_NEEDED", "{payload:#}");
    let parts: Vec<&str> =
        errors[0]["path"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
    assert_eq!(parts.join("."), path, "{payload:#}");
    let message = errors[0]["message"].as_str().unwrap();
    let id = message.split_whitespace().find(|word| word.starts_with("apr_"));
    id.unwrap_or_else(|| panic!("{message}")).trim_end_matches(':').to_owned()
}

#[tokio::test]
async fn the_amount_itself_passes_and_one_unit_above_it_waits() {
    let office = Office::open().await;
    let plan = office.server.plan("Large", "3000").await;
    office.customer.checkout(&plan, "bought").await;
    let newest = office.customer.data("{ transactions(first: 1) { nodes { id } } }").await;
    let paid = &newest["transactions"]["nodes"][0]["id"];
    let asked = |mutation: &str, amount: &str| {
        let mut input =
            json!({ "amount": amount, "reason": "r", "idempotencyKey": format!("{mutation} {amount}") });
        match mutation {
            "refund" => input["transactionId"] = paid.clone(),
            "payOut" => (input["accountId"], input["reference"]) = (json!(office.account), json!("wire")),
            _ => input["accountId"] = json!(office.account),
        }
        input
    };
    // Each with an operator of its own: what one has moved counts together.
    for (mutation, input_type, most, more) in [
        ("refund", "RefundInput", "1000", "1000.01"),
        ("payOut", "PayOutInput", "1000.00", "1000.01"),
        ("adjustBalance", "AdjustBalanceInput", "1000", "1000.0000000001"),
        ("adjustBalance", "AdjustBalanceInput", "-1000", "-1000.0000000001"),
    ] {
        let who = |which: &str| office.server.operator_named(&format!("{which} {mutation} {most}"));
        let passed =
            who("passes").payload(mutation, input_type, asked(mutation, most), "account { id }").await;
        assert_eq!(passed["userErrors"], json!([]), "{mutation}");
        let before = office.balance().await;
        let waiting =
            who("waits").payload(mutation, input_type, asked(mutation, more), "account { id }").await;
        assert_eq!(waiting["account"], Value::Null, "{mutation}");
        let approval = office.approval(&approval_of(&waiting, "input.amount")).await;
        assert_eq!((&approval["mutation"], &approval["state"]), (&json!(mutation), &json!("PENDING")));
        assert_eq!(office.balance().await, before, "nothing was moved");
    }
    office.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_another_operator_allows_is_carried_out_once_and_the_first_is_answered_by_its_key() {
    let office = Office::open().await;
    let id = office.waits(&office.first, "1500.50", "k").await;
    assert_eq!(office.waits(&office.first, "1500.5", "k").await, id, "the same key waits once");
    let expected = json!({ "id": id, "mutation": "adjustBalance", "input": r#"{"amount":"1500.5","reason":"goodwill","force":false}"#,
        "amount": { "amount": "1500.50", "currency": "CNY" }, "askedBy": "ann", "askedAt": NOW, "state": "PENDING", "expiresAt": "2026-03-17T08:00:00Z", "decidedBy": null,
        "decidedAt": null, "reason": null, "account": { "namespace": "tenant" } });
    assert_eq!(office.approval(&id).await, expected);
    assert_eq!(office.balance().await, "10000.00");

    let made = office.decide(&office.second, &id, true, "d").await;
    assert_eq!(made["userErrors"], json!([]));
    let approval = &made["approval"];
    assert_eq!(
        [
            &approval["state"],
            &approval["decidedBy"],
            &approval["reason"],
            &approval["decidedAt"],
            &approval["expiresAt"]
        ],
        [&json!("DONE"), &json!("ben"), &json!("seen"), &json!(NOW), &Value::Null]
    );
    assert_eq!(
        (&made["subject"]["__typename"], &made["subject"]["amount"]["amount"]),
        (&json!("Transaction"), &json!("1500.50"))
    );
    assert_eq!(office.balance().await, "11500.50");

    assert_eq!(
        office.decide(&office.second, &id, true, "d").await,
        made,
        "the decision's key is answered again"
    );
    let again = office.adjust(&office.first, "1500.50", "k").await;
    assert_eq!((&again["userErrors"], &again["transaction"]["id"]), (&json!([]), &made["subject"]["id"]));
    let query = format!(
        "{{ idempotentResult(accountId: \"{}\", key: \"k\") {{ mutation transaction {{ id }} }} }}",
        office.account
    );
    let held = office.first.data(&query).await["idempotentResult"].clone();
    assert_eq!(held, json!({ "mutation": "adjustBalance", "transaction": { "id": made["subject"]["id"] } }));
    let late = office.decide(&office.second, &id, true, "another key").await;
    assert_eq!(late["userErrors"][0]["code"], "CONFLICT", "{late}");
    assert_eq!(office.balance().await, "11500.50");
    assert_eq!(office.server.assert_ledger_is_healthy().await, 2);
}

#[tokio::test]
async fn a_refund_to_a_card_of_all_that_is_left_waits_and_goes_back_when_it_is_allowed() {
    let office = Office::open().await;
    let card = json!({ "providerToken": "pm_card_visa" });
    let card = office
        .customer
        .mutate("addPaymentMethod", "AddPaymentMethodInput", card, "paymentMethod { id }")
        .await;
    let input =
        json!({ "amount": "2000", "paymentMethodId": card["paymentMethod"]["id"], "idempotencyKey": "card" });
    let paid = office.customer.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    let input = json!({ "transactionId": paid["transaction"]["id"], "reason": "r", "idempotencyKey": "all" });
    let waiting = office.first.payload("refund", "RefundInput", input.clone(), "refund { id }").await;
    let id = approval_of(&waiting, "input.amount");
    let made = office.decide(&office.second, &id, true, "d").await;
    assert_eq!(made["userErrors"], json!([]), "{made}");
    assert_eq!(made["subject"]["amount"]["amount"], "2000.00");
    assert_eq!(office.balance().await, "10000.00");
    let again = office
        .first
        .mutate("refund", "RefundInput", input, "refund { id status } transaction { status }")
        .await;
    assert_eq!(
        (&again["refund"]["id"], &again["transaction"]["status"]),
        (&made["subject"]["id"], &json!("REFUNDED"))
    );
    assert_eq!(again["refund"]["status"], "FINISHED", "the card was asked");
    office.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn only_another_operator_allows_it() {
    let office = Office::open().await;
    let id = office.waits(&office.first, "2000", "k").await;
    let contents = office.server.contents().await;
    for (who, client) in [
        ("whoever has asked", office.first.clone()),
        ("who only reads", office.server.auditor()),
        ("the customer", office.customer.clone()),
        ("a metering agent", office.server.service()),
        ("nobody", office.server.operator_named("")),
        ("a blank", office.server.operator_named("  ")),
    ] {
        let (_, answer) = client
            .try_mutate("decideApproval", "DecideApprovalInput", decision(&id, true, who), "approval { id }")
            .await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{who}: {answer:#}");
    }
    office.server.assert_holds_still(&contents).await;
    // Of what there is nothing is told to customers.
    let query = format!("{{ node(id: \"{id}\") {{ id }} account {{ notices {{ kind message }} }} }}");
    let seen = office.customer.data(&query).await;
    assert_eq!(seen, json!({ "node": null, "account": { "notices": [] } }));
    let told = format!(
        "{{ account(id: \"{}\") {{ notices {{ kind message subject {{ id }} }} }} }}",
        office.account
    );
    for client in [&office.second, &office.server.auditor()] {
        let notices = client.data(&told).await["account"]["notices"].clone();
        let message = "ann asks for adjustBalance (2000.00 CNY): another operator has to allow it.";
        assert_eq!(
            notices,
            json!([{ "kind": "APPROVAL_NEEDED", "message": message, "subject": { "id": id } }])
        );
    }
}

#[tokio::test]
async fn the_database_takes_no_approval_that_one_person_gives_himself_nor_one_that_changes() {
    let office = Office::open().await;
    let id = office.waits(&office.first, "2000", "k").await;
    let sql = office.server.sql().await;
    let end = "next_step_at = NULL, decided_at = now()";
    for refused in [
        format!("UPDATE approvals SET state = 'DONE', decided_by = 'ann', {end}"),
        format!("UPDATE approvals SET state = 'DONE', {end}"),
        "UPDATE approvals SET input = '{}'".to_owned(),
        "DELETE FROM approvals".to_owned(),
    ] {
        assert!(sql.batch_execute(&refused).await.is_err(), "{refused}");
    }
    office.decide(&office.second, &id, false, "d").await;
    let reopened = "UPDATE approvals SET state = 'PENDING', decided_at = NULL, next_step_at = now()";
    assert!(sql.batch_execute(reopened).await.is_err(), "what is decided stays so");
}

/// Whoever has a server's connection to the database, and one operator's token, is still one.
#[tokio::test]
async fn an_approval_that_no_server_has_written_can_only_be_rejected() {
    let office = Office::open().await;
    office.waits(&office.first, "2000", "a").await;
    let forging = "INSERT INTO approvals (account_id, id, mutation, input, currency, amount, key, asked_by, asked_at, state,
        next_step_at, seal) SELECT account_id, overlay(id::text placing '0000' from 33)::uuid, mutation, replace(input, '2000', '9000'),
        currency, 9000, NULL, 'nobody', asked_at, state, next_step_at, seal FROM approvals RETURNING id::text";
    let forged: String = office.server.sql().await.query_one(forging, &[]).await.unwrap().get(0);
    let forged = format!("apr_{}", forged.replace('-', ""));
    let refused = office.decide(&office.second, &forged, true, "d").await;
    assert_eq!(refused["userErrors"][0]["code"], "CONFLICT", "{refused:#}");
    assert_eq!(office.balance().await, "10000.00");
    let rejected = office.decide(&office.second, &forged, false, "e").await;
    assert_eq!(rejected["approval"]["state"], "REJECTED", "{rejected:#}");
}

#[tokio::test]
async fn what_an_operator_has_moved_counts_whoever_would_forget_it() {
    let office = Office::open().await;
    office.adjust(&office.first, "600", "a").await;
    let sql = office.server.sql().await;
    let altering = "UPDATE operator_moves SET amount = 1";
    sql.batch_execute(altering).await.unwrap_err();
    // A sandbox's clock may be anywhere, and its moves are forgotten by that.
    let id =
        "SELECT moved_lately(id), moved_lately('ffffffff-ffff-7000-8000-000000000001') FROM operator_moves";
    let row = sql.query_one(id, &[]).await.unwrap();
    assert_eq!((row.get(0), row.get(1)), (false, false));
    let production = "SET session_replication_role = replica; UPDATE installation SET kind = 'PRODUCTION';
        INSERT INTO operator_moves SELECT account_id, 'ffffffff-ffff-7000-8000-000000000001', moved_by, currency, amount FROM operator_moves;
        SET session_replication_role = origin";
    sql.batch_execute(production).await.unwrap();
    sql.batch_execute("DELETE FROM operator_moves WHERE id::text LIKE 'f%'").await.unwrap_err();
    assert_eq!(sql.execute("DELETE FROM operator_moves WHERE id::text NOT LIKE 'f%'", &[]).await.unwrap(), 1);
}

#[tokio::test]
async fn an_operator_without_a_name_asks_for_nothing_that_another_would_have_to_allow() {
    let office = Office::open().await;
    let contents = office.server.contents().await;
    let refused = office.adjust(&office.server.operator_named(""), "1000.01", "k").await;
    let error = &refused["userErrors"][0];
    assert_eq!(error["code"], "APPROVAL_NEEDED");
    assert!(error["message"].as_str().unwrap().contains("does not say who you are"), "{error}");
    office.server.assert_holds_still(&contents).await;
}

#[tokio::test]
async fn two_who_decide_at_once_carry_it_out_once() {
    let office = Office::open().await;
    let third = office.server.operator_named("eve");
    for round in 0..5 {
        let id = office.waits(&office.first, "2000", &format!("k{round}")).await;
        let (key, other) = (format!("d{round}"), format!("e{round}"));
        let (one, two, three) = tokio::join!(
            office.decide(&office.second, &id, true, &key),
            office.decide(&third, &id, true, &other),
            office.decide(&office.second, &id, true, &key),
        );
        let done = [&one, &two, &three].into_iter().filter(|made| made["userErrors"] == json!([]));
        let ids: Vec<&Value> = done.map(|made| &made["subject"]["id"]).collect();
        assert!(!ids.is_empty() && ids.windows(2).all(|pair| pair[0] == pair[1]), "{one} {two} {three}");
        let expected = format!("{}.00", 10_000 + 2_000 * (round + 1));
        assert_eq!(office.balance().await, expected);
    }
    assert_eq!(office.server.assert_ledger_is_healthy().await, 6);
}

#[tokio::test]
async fn what_is_rejected_is_not_done_and_asked_once_more_by_another_key() {
    let office = Office::open().await;
    let id = office.waits(&office.first, "2000", "k").await;
    let made = office.decide(&office.second, &id, false, "d").await;
    assert_eq!((&made["approval"]["state"], &made["subject"]), (&json!("REJECTED"), &Value::Null));
    assert_eq!(
        (&made["approval"]["decidedBy"], &made["approval"]["reason"]),
        (&json!("ben"), &json!("seen"))
    );
    let again = office.adjust(&office.first, "2000", "k").await;
    assert_eq!(approval_of(&again, "input.amount"), id, "its key is used up");
    assert!(again["userErrors"][0]["message"].as_str().unwrap().contains("rejected (seen)"), "{again}");
    let other = office.waits(&office.first, "2000", "k2").await;
    assert_ne!(other, id);
    // Whoever has asked may take it back.
    let taken_back = office.decide(&office.first, &other, false, "d2").await;
    assert_eq!(
        (&taken_back["approval"]["state"], &taken_back["approval"]["decidedBy"]),
        (&json!("REJECTED"), &json!("ann"))
    );
    for id in [&id, &other] {
        let late = office.decide(&office.second, id, true, &format!("late {id}")).await;
        assert_eq!(late["userErrors"][0]["code"], "CONFLICT");
    }
    assert_eq!(office.balance().await, "10000.00");
    assert_eq!(office.listed("REJECTED").await, [other, id]);
    assert_eq!(office.server.assert_ledger_is_healthy().await, 1);
}

#[tokio::test]
async fn what_nobody_decides_on_expires_with_a_notice() {
    let office = Office::open().await;
    let id = office.waits(&office.first, "2000", "k").await;
    office.advance("2026-03-17T07:59:59Z").await;
    assert_eq!(office.listed("PENDING").await, [id.as_str()]);
    let jobs = office.advance("2026-03-18T00:00:00Z").await;
    assert_eq!(jobs, json!([{ "kind": "APPROVAL_EXPIRY", "ran": 1, "failed": 0 }]));
    let expired = office.approval(&id).await;
    assert_eq!(
        [&expired["state"], &expired["decidedBy"], &expired["decidedAt"]],
        [&json!("EXPIRED"), &Value::Null, &json!("2026-03-17T08:00:00Z")]
    );
    let late = office.decide(&office.second, &id, true, "d").await;
    assert_eq!(late["userErrors"][0]["code"], "CONFLICT");
    let again = office.adjust(&office.first, "2000", "k").await;
    assert!(again["userErrors"][0]["message"].as_str().unwrap().contains("has expired"), "{again}");
    let query = format!("{{ account(id: \"{}\") {{ notices {{ kind }} }} }}", office.account);
    let notices = office.second.data(&query).await["account"]["notices"].clone();
    assert_eq!(notices, json!([{ "kind": "APPROVAL_EXPIRED" }, { "kind": "APPROVAL_NEEDED" }]));
    assert_eq!(office.balance().await, "10000.00");
}

#[tokio::test]
async fn a_higher_credit_limit_waits_once_and_a_lower_one_does_not() {
    let office = Office::open().await;
    let change = |more: Value| {
        let mut input = json!({ "accountId": office.account });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let limit = async |who: &Client, limit: Value| {
        let input = change(json!({ "creditLimit": limit }));
        who.payload("updateAccount", "UpdateAccountInput", input, "account { balance { creditLimit } }").await
    };
    let passed = limit(&office.first, json!("1000")).await;
    assert_eq!(passed["account"]["balance"]["creditLimit"], "1000.00");
    let id = approval_of(&limit(&office.first, json!("1000.01")).await, "input.creditLimit");
    assert_eq!(
        approval_of(&limit(&office.second, json!("1000.010")).await, "input.creditLimit"),
        id,
        "it waits once"
    );
    let other = approval_of(&limit(&office.first, json!("5000")).await, "input.creditLimit");
    let refused = change(json!({ "creditLimit": "5000", "name": "Other" }));
    let refused = office.first.refusal("updateAccount", "UpdateAccountInput", refused).await;
    assert_eq!(refused, ("INVALID".to_owned(), "input.creditLimit".to_owned()));
    let made = office.decide(&office.second, &other, true, "d").await;
    assert_eq!(made["userErrors"], json!([]), "{made}");
    assert_eq!(made["subject"]["balance"]["creditLimit"], "5000.00");
    assert_eq!(made["approval"]["input"], r#"{"creditLimit":"5000"}"#);
    // By now the other one takes away.
    let lowered = limit(&office.first, json!("1000.01")).await;
    assert_eq!(lowered["account"]["balance"]["creditLimit"], "1000.01");
    assert_eq!(limit(&office.first, Value::Null).await["account"]["balance"]["creditLimit"], Value::Null);
    let made = office.decide(&office.second, &id, true, "d2").await;
    assert_eq!(made["subject"]["balance"]["creditLimit"], "1000.01");

    let with_limit =
        |limit: &str| json!({ "namespace": "new", "name": "New", "currency": "CNY", "creditLimit": limit });
    let refused = office.first.refusal("createAccount", "CreateAccountInput", with_limit("1000.01")).await;
    assert_eq!(refused, ("APPROVAL_NEEDED".to_owned(), "input.creditLimit".to_owned()));
    office.first.mutate("createAccount", "CreateAccountInput", with_limit("1000"), "account { id }").await;
}

#[tokio::test]
async fn what_cannot_be_carried_out_any_more_stays_pending_and_says_why() {
    let office = Office::open().await;
    let id = office.waits(&office.first, "-9500", "k").await;
    let plan = office.server.plan("Plan", "600").await;
    office.customer.checkout(&plan, "bought").await;
    for key in ["d", "d2"] {
        let refused = office.decide(&office.second, &id, true, key).await;
        let error = &refused["userErrors"][0];
        assert_eq!(
            (&error["code"], &error["path"]),
            (&json!("INSUFFICIENT_BALANCE"), &json!(["input", "approvalId"]))
        );
    }
    assert_eq!(office.listed("PENDING").await, [id.as_str()]);
    let input = json!({ "amount": "100", "idempotencyKey": "money" });
    office.customer.mutate("recharge", "RechargeInput", input, "transaction { id }").await;
    let made = office.decide(&office.second, &id, true, "d").await;
    assert_eq!(made["approval"]["state"], "DONE", "the same key is tried again: {made}");
    assert_eq!(office.balance().await, "0.00");
    // What could not be done when it was asked for is not kept.
    let refused = office.adjust(&office.first, "-9500", "k3").await;
    assert_eq!(refused["userErrors"][0]["code"], "INSUFFICIENT_BALANCE");
    assert_eq!(office.listed("PENDING").await, Vec::<String>::new());
}

#[tokio::test]
async fn what_comes_to_more_than_was_asked_for_is_not_carried_out() {
    let office = Office::open().await;
    let input = json!({ "accountId": office.account, "reference": "wire", "reason": "all of it", "idempotencyKey": "k" });
    let waiting = office.first.payload("payOut", "PayOutInput", input, "__typename").await;
    let id = approval_of(&waiting, "input.amount");
    assert_eq!(office.approval(&id).await["amount"]["amount"], "10000.00");
    let recharge = json!({ "amount": "0.01", "idempotencyKey": "more" });
    office.customer.mutate("recharge", "RechargeInput", recharge, "transaction { id }").await;
    let refused = office.decide(&office.second, &id, true, "d").await;
    assert_eq!(refused["userErrors"][0]["code"], "CONFLICT");
    let message = "it comes to 10000.01 CNY by now, and 10000.00 CNY was asked for";
    assert_eq!(refused["userErrors"][0]["message"], message);
    assert_eq!(
        (office.balance().await.as_str(), office.listed("PENDING").await),
        ("10000.01", vec![id.clone()])
    );
    let plan = office.server.plan("Plan", "0.02").await;
    office.customer.checkout(&plan, "less").await;
    let made = office.decide(&office.second, &id, true, "d").await;
    assert_eq!(made["subject"]["amount"]["amount"], "9999.99", "less than was asked for: {made}");
    office.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn what_an_operator_moves_of_an_account_within_a_day_counts_together() {
    let office = Office::open().await;
    let passes = async |who: &Client, amount: &str, key: &str| {
        let made = office.adjust(who, amount, key).await;
        assert_eq!(made["userErrors"], json!([]), "{amount} {key}");
    };
    passes(&office.first, "600", "1").await;
    let id = office.waits(&office.first, "-400.01", "2").await;
    passes(&office.first, "-400", "3").await;
    let input = json!({ "accountId": office.account, "amount": "0.01", "reference": "w", "reason": "r", "idempotencyKey": "4" });
    let waiting = office.first.payload("payOut", "PayOutInput", input, "__typename").await;
    approval_of(&waiting, "input.amount");
    // Neither of another, nor for another account, nor what is tried out or was allowed.
    passes(&office.second, "1000", "5").await;
    office.decide(&office.second, &id, true, "d").await;
    let other = office.server.account("other", "0").await;
    let input = json!({ "accountId": other, "amount": "1000", "reason": "r", "idempotencyKey": "6" });
    office.first.mutate("adjustBalance", "AdjustBalanceInput", input, "transaction { id }").await;
    office.advance("2026-03-11T08:00:01Z").await;
    passes(&office.first, "1000", "7").await;
    assert_eq!(office.count("SELECT count(*) FROM operator_moves").await, 5);
}

#[tokio::test]
async fn many_small_ones_at_once_come_to_no_more_than_one_after_the_other() {
    let office = Office::open().await;
    let keys: Vec<String> = (0..20).map(|key| key.to_string()).collect();
    let made =
        futures_util::future::join_all(keys.iter().map(|key| office.adjust(&office.first, "300", key))).await;
    assert_eq!(made.iter().filter(|made| made["userErrors"] == json!([])).count(), 3);
    assert_eq!(office.balance().await, "10900.00");
    assert_eq!(office.listed("PENDING").await.len(), 17);
}

#[tokio::test]
async fn a_key_that_waits_is_for_nothing_else_and_a_dry_run_keeps_nothing() {
    let office = Office::open().await;
    let contents = office.server.contents().await;
    let input = json!({ "accountId": office.account, "amount": "2000", "reason": "goodwill", "idempotencyKey": "k", "dryRun": true });
    let tried = office.first.payload("adjustBalance", "AdjustBalanceInput", input, "account { id }").await;
    assert_eq!(tried["userErrors"][0]["code"], "APPROVAL_NEEDED");
    assert!(!tried["userErrors"][0]["message"].as_str().unwrap().contains("apr_"), "{tried}");
    office.server.assert_holds_still(&contents).await;

    let id = office.waits(&office.first, "2000", "k").await;
    let reused = office.adjust(&office.first, "2000.01", "k").await;
    assert_eq!(reused["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED");
    let plan = office.server.plan("Plan", "1").await;
    let bought = office.customer.checkout(&plan, "k").await;
    assert_eq!(bought["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED");

    let contents = office.server.contents().await;
    let mut input = decision(&id, true, "d");
    input["dryRun"] = json!(true);
    let tried = office.second.mutate("decideApproval", "DecideApprovalInput", input, &decided()).await;
    assert_eq!(tried["approval"]["state"], "DONE");
    office.server.assert_holds_still(&contents).await;
}

#[tokio::test]
async fn a_currency_that_is_not_named_always_takes_two() {
    let office = Office::open().await;
    let input = json!({ "namespace": "euros", "name": "Euros", "currency": "EUR" });
    let account = office.server.account_from(input, "10").await;
    let input = json!({ "accountId": account, "amount": "0.01", "reason": "r", "idempotencyKey": "k" });
    let waiting = office.first.payload("adjustBalance", "AdjustBalanceInput", input, "__typename").await;
    approval_of(&waiting, "input.amount");
}

#[tokio::test]
async fn only_so_many_of_an_account_wait_at_once() {
    let office = Office::open().await;
    for key in 0..100 {
        office.waits(&office.first, "2000", &key.to_string()).await;
    }
    let refused = office.adjust(&office.first, "2000", "one more").await;
    assert_eq!(refused["userErrors"][0]["code"], "LIMIT_EXCEEDED");
    assert_eq!(office.count("SELECT count(*) FROM approvals").await, 100);
}

#[tokio::test]
async fn approvals_are_listed_newest_first_by_state_and_page() {
    let office = Office::open().await;
    let mut ids = Vec::new();
    for key in ["1", "2", "3"] {
        ids.insert(0, office.waits(&office.first, "2000", key).await);
    }
    office.decide(&office.second, &ids[1], true, "d").await;
    assert_eq!(office.listed("PENDING").await, [ids[0].clone(), ids[2].clone()]);
    assert_eq!(office.listed("DONE").await, [ids[1].clone()]);
    assert!(office.listed("EXPIRED").await.is_empty());
    let auditor = office.server.auditor();
    let page = auditor
        .data("{ approvals(first: 2) { totalCount nodes { id } pageInfo { hasNextPage endCursor } } }")
        .await;
    let page = &page["approvals"];
    assert_eq!((&page["totalCount"], &page["pageInfo"]["hasNextPage"]), (&json!(3), &json!(true)));
    assert_eq!(page["nodes"], json!([{ "id": ids[0] }, { "id": ids[1] }]));
    let next = format!(
        "{{ approvals(first: 2, after: {}) {{ nodes {{ id account {{ namespace }} }} }} }}",
        page["pageInfo"]["endCursor"]
    );
    let expected = json!([{ "id": ids[2], "account": { "namespace": "tenant" } }]);
    assert_eq!(auditor.data(&next).await["approvals"]["nodes"], expected);
}

/// A token of an operator of that name, of a server's own data.
async fn token_of(folder: &Folder, subject: &str) -> String {
    let data_dir = folder.data_dir();
    let args =
        ["token", "--role", "operator", "--subject", subject, "--data-dir", data_dir.to_str().unwrap()];
    let (status, token, said) = outcome(&mut command(&args)).await;
    assert!(status.success(), "{said}");
    token.trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_between_the_decision_and_its_commit_has_decided_and_done_nothing() {
    let folder = Folder::new();
    let amounts = ("ABACUS_APPROVE_ABOVE", "CNY=1000,USD=100");
    let settings = [amounts, ("FAILPOINTS", "approval-before-the-commit=return")];
    let mut server = Abacus::start_with(&folder, &settings).await;
    let by = async |server: &Abacus, name: &str| {
        Client::new(format!("http://{}", server.address), Some(token_of(&folder, name).await))
    };
    let ann = by(&server, "ann").await;
    let input = json!({ "namespace": "demo", "amount": "2000", "reason": "r", "idempotencyKey": "k" });
    let asked = input.clone();
    let waiting = ann.payload("adjustBalance", "AdjustBalanceInput", asked, "__typename").await;
    let id = approval_of(&waiting, "input.amount");
    let decide = decision(&id, true, "d");
    let fields = "approval { state } subject { id }";
    let ben = by(&server, "ben").await;
    assert!(ben.send("decideApproval", "DecideApprovalInput", decide.clone(), fields).await.is_err());
    assert_eq!(server.ended().await.signal(), Some(9));

    let next = Abacus::start_with(&folder, &[amounts]).await;
    let ben = by(&next, "ben").await;
    let query = "{ approvals { nodes { id state account { balance { amount } } } } }";
    let held = ben.data(query).await["approvals"]["nodes"][0].clone();
    let before =
        held["account"]["balance"]["amount"].as_str().unwrap().parse::<rust_decimal::Decimal>().unwrap();
    assert_eq!((&held["id"], &held["state"]), (&json!(id), &json!("PENDING")));
    for _ in 0..2 {
        let made = ben.mutate("decideApproval", "DecideApprovalInput", decide.clone(), fields).await;
        assert_eq!(made["approval"]["state"], "DONE");
        let after = ben.data(query).await["approvals"]["nodes"][0]["account"]["balance"]["amount"].clone();
        assert_eq!(after, format!("{:.2}", before + rust_decimal::Decimal::from(2_000)));
    }
    let again = by(&next, "ann")
        .await
        .mutate("adjustBalance", "AdjustBalanceInput", input, "transaction { id }")
        .await;
    assert!(again["transaction"]["id"].is_string());
}
