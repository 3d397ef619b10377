//! Who may see and do what: every root field, as everyone.

use std::sync::Arc;

use abacus::clock::{Clock, wall};
use abacus::domain::ids::{
    AccountId, BillId, EntryId, IdMint, InvoiceId, NoticeId, OrderId, PaymentId, PaymentMethodId, PlanId,
    PrepaymentId, QuoteId, RecordId, TransactionId, printed_number,
};
use abacus::domain::stake::Stake;
use abacus::domain::viewer::{Role, Viewer};
use abacus::http::token::TokenKey;
use abacus::jobs::LeaseGuard;
use abacus::jobs::anchors::anchor_pass;
use abacus::store::access::{AccessError, Repository};
use chrono::{DateTime, Datelike, NaiveTime, Utc};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::introspection::Schema;
use crate::support::server::{SECRET, token};
use crate::support::{Client, TestServer};

/// What a root field answers about an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// Nothing: everyone sees the same, or his own token.
    Nobody,
    /// The thing asked for; null if it is not the caller's to see.
    One,
    /// The things asked for; each null if it is not the caller's to see.
    Several,
    /// The account named in `accountId`; NOT_FOUND if it is not the caller's to see.
    Account,
    /// All that the caller may see.
    Seen,
    /// The caller's own account only.
    Own,
    /// What is done to the account named; a NOT_FOUND user error if it is not the caller's to act for.
    Act,
    /// What only operators may ask for.
    Operators,
}

use About::{Account, Act, Nobody, One, Operators, Own, Seen, Several};

/// What metering agents may read and do.
const FOR_SERVICE: [&str; 4] = ["viewer", "serviceConfig", "resources", "recordUsage"];

/// The root fields, each with what it is asked here. The variables are those of a [`Tenant`].
const MATRIX: &[(&str, About, &str)] = &[
    ("node", One, "query($account: ID!) { node(id: $account) { id ...on Account { namespace name balance { amount } } } }"),
    ("node", One, "query($order: ID!) { node(id: $order) { id ...on Order { number account { namespace } } } }"),
    ("node", One, "query($bill: ID!) { node(id: $bill) { id ...on Bill { number account { namespace } } } }"),
    ("node", One, "query($transaction: ID!) { node(id: $transaction) { id ...on Transaction { balanceAfter } } }"),
    ("node", One, "query($entry: ID!) { node(id: $entry) { id ...on LedgerEntry { end account { name } } } }"),
    ("nodes", Several, "query($account: ID!, $order: ID!, $bill: ID!, $transaction: ID!, $entry: ID!) {
        nodes(ids: [$account, $order, $bill, $transaction, $entry]) { __typename id } }"),
    ("viewer", Nobody, "{ viewer { subject role account { namespace } } }"),
    ("serviceConfig", Nobody, "{ serviceConfig { depthMax sandbox currencies { code } } }"),
    ("account", One, "query($account: ID!) { account(id: $account) { namespace name balance { amount }
        orders { totalCount nodes { number } } bills { totalCount nodes { number } } transactions { totalCount nodes { id } }
        ledger { totalCount nodes { end } } subAccounts { totalCount } plans { name } notices { id } } }"),
    ("account", One, "query($namespace: String!) { account(namespace: $namespace) { id name balance { amount } } }"),
    ("account", Own, "{ account { namespace balance { amount } } }"),
    ("accounts", Seen, "{ accounts(first: 100) { totalCount nodes { namespace name balance { amount } } } }"),
    ("accounts", Seen, "query($namespace: String!) { accounts(filter: { searchWord: $namespace }) { totalCount nodes { name } } }"),
    ("plans", Nobody, "{ plans { nodes { name price { amount } } } }"),
    ("plan", Nobody, "query($plan: ID!) { plan(id: $plan) { name } }"),
    ("resources", Nobody, "{ resources { code } }"),
    ("orders", Account, "query($account: ID) { orders(accountId: $account) { totalCount nodes { number account { namespace } } } }"),
    ("orders", Seen, "{ orders(first: 100) { totalCount nodes { number account { namespace } } } }"),
    ("orders", Seen, "query($orderNumber: String!) { orders(filter: { searchWord: $orderNumber }) { totalCount nodes { number } } }"),
    ("order", One, "query($order: ID) { order(id: $order) { number account { namespace } } }"),
    ("order", One, "query($orderNumber: String) { order(number: $orderNumber) { id account { namespace } } }"),
    ("bills", Account, "query($account: ID) { bills(accountId: $account) { totalCount nodes { number account { namespace } } } }"),
    ("bills", Seen, "{ bills(first: 100) { totalCount nodes { number account { namespace } } } }"),
    ("bill", One, "query($bill: ID) { bill(id: $bill) { number account { namespace } } }"),
    ("bill", One, "query($billNumber: String) { bill(number: $billNumber) { id account { namespace } } }"),
    ("transactions", Account, "query($account: ID) { transactions(accountId: $account) { totalCount nodes { id amount { amount } } } }"),
    ("transactions", Seen, "{ transactions(first: 100) { totalCount nodes { id amount { amount } } } }"),
    ("transaction", One, "query($transaction: ID!) { transaction(id: $transaction) { balanceAfter order { number } bill { number } } }"),
    ("ledger", Account, "query($account: ID) { ledger(accountId: $account) { totalCount nodes { end transaction { id } } } }"),
    ("ledger", Seen, "{ ledger(first: 100) { totalCount nodes { end transaction { id } } } }"),
    ("idempotentResult", Account, "query($account: ID, $key: String!) { idempotentResult(accountId: $account, key: $key) {
        key mutation order { number } bill { number } transaction { id } } }"),
    ("idempotentResult", Own, "query($key: String!) { idempotentResult(key: $key) { key order { number } transaction { id } } }"),
    ("ledgerHealth", Account, "query($account: ID) { ledgerHealth(accountId: $account) { ok accountsChecked entriesChecked } }"),
    ("ledgerHealth", Operators, "{ ledgerHealth { ok accountsChecked entriesChecked } }"),
    ("ledgerAnchor", Account, "query($account: ID) { ledgerAnchor(accountId: $account) { number accounts root receipt } }"),
    ("ledgerAnchor", Nobody, "{ ledgerAnchor { number at accounts root keyId publicKey signature } }"),
    ("node", One, "query($rule: ID!) { node(id: $rule) { id ...on PriceRule { account { namespace } effectiveFrom } } }"),
    ("priceRules", Account, "query($account: ID) { priceRules(accountId: $account) { id createdBy account { namespace } } }"),
    ("priceRules", Own, "{ priceRules { id account { namespace } } }"),
    ("simulateCharges", Nobody, "{ simulateCharges(input: { currency: \"CNY\", rules: [], usage: [] }) { total { amount } } }"),
    ("simulateCharges", Operators, "query($account: ID) { simulateCharges(input: { currency: \"CNY\", rules: [], accountId: $account,
        startTime: \"2020-01-01T00:00:00Z\", endTime: \"2020-02-01T00:00:00Z\" }) { total { amount } } }"),
    ("checkout", Act, "mutation($account: ID, $plan: ID!) { checkout(input: { accountId: $account, planId: $plan, dryRun: true,
        idempotencyKey: \"try\" }) { order { number } account { namespace balance { amount } } userErrors { path code message } } }"),
    ("checkout", Act, "mutation($namespace: String, $plan: ID!) { checkout(input: { namespace: $namespace, planId: $plan,
        dryRun: true, idempotencyKey: \"try\" }) { account { balance { amount } } userErrors { path code message } } }"),
    ("checkout", Act, "mutation($account: ID, $plan: ID!, $key: String!) { checkout(input: { accountId: $account, planId: $plan,
        idempotencyKey: $key }) { order { number } account { balance { amount } } userErrors { path code message } } }"),
    ("recharge", Act, "mutation($account: ID) { recharge(input: { accountId: $account, amount: 5, dryRun: true,
        idempotencyKey: \"try\" }) { account { balance { amount } } userErrors { path code message } } }"),
    ("recharge", Act, "mutation($namespace: String) { recharge(input: { namespace: $namespace, amount: 5, dryRun: true,
        idempotencyKey: \"try\" }) { account { balance { amount } } userErrors { path code message } } }"),
    ("refund", Operators, "mutation($transaction: ID!) { refund(input: { transactionId: $transaction, reason: \"r\", dryRun: true,
        idempotencyKey: \"try\" }) { refund { id } account { balance { amount } } userErrors { path code message } } }"),
    ("node", One, "query($record: ID!) { node(id: $record) { id ...on ConsumptionRecord { number account { namespace } } } }"),
    ("records", Account, "query($account: ID) { records(accountId: $account) { totalCount nodes { number account { namespace } } } }"),
    ("records", Seen, "{ records(first: 100) { totalCount nodes { number account { namespace } details { orderNumber } } } }"),
    ("records", Seen, "query($orderNumber: String!) { records(filter: { searchWord: $orderNumber }) { nodes { order { number } } } }"),
    ("record", One, "query($record: ID) { record(id: $record) { number account { namespace } bill { number } } }"),
    ("record", One, "query($recordNumber: String) { record(number: $recordNumber) { id account { namespace } } }"),
    ("rechargeRecords", Account, "query($account: ID) { rechargeRecords(accountId: $account, startTime: \"2020-01-01T00:00:00Z\",
        endTime: \"2120-01-01T00:00:00Z\") { totalCount nodes { id account { namespace } } } }"),
    ("rechargeRecords", Seen, "{ rechargeRecords(startTime: \"2020-01-01T00:00:00Z\", endTime: \"2120-01-01T00:00:00Z\") {
        totalCount nodes { id account { namespace } } } }"),
    ("bills", Seen, "{ bills(first: 100) { nodes { number } summary { paidCount unpaidCount totalAmounts { amount } } } }"),
    ("resourceTypes", Nobody, "{ resourceTypes { code label } }"),
    ("orderTypes", Nobody, "{ orderTypes { code label } }"),
    ("orderStates", Nobody, "{ orderStates { code label } }"),
    ("datacenters", Nobody, "{ datacenters { code label } }"),
    ("subscribe", Act, "mutation($account: ID) { subscribe(input: { accountId: $account, resource: \"ip\", amount: 1, months: 1,
        dryRun: true, idempotencyKey: \"try\" }) { order { number } account { balance { amount } } userErrors { path code message } } }"),
    ("licenses", Nobody, "{ licenses { totalCount nodes { name type } } }"),
    ("defineLicense", Operators, "mutation { defineLicense(input: { name: \"cpu\", longName: \"n\", type: INSTALL, userMetric: \"smp\",
        burstable: true }) { license { id } userErrors { path code message } } }"),
    ("exchangeRates", Nobody, "{ exchangeRates { base quote rate } }"),
    ("setExchangeRate", Operators, "mutation { setExchangeRate(input: { base: \"USD\", quote: \"USD\", rate: 1, source: \"s\" }) {
        exchangeRate { rate } userErrors { path code message } } }"),
    ("quotePrepay", Act, "mutation($account: ID) { quotePrepay(input: { accountId: $account, asset: \"USD\", clusterId: \"c\",
        chartName: \"c\", cpuLimit: 100, memLimit: 100, storageLimit: 100, period: 3 }) { quote { usd } userErrors { path code message } } }"),
    ("addPaymentMethod", Act, "mutation($account: ID) { addPaymentMethod(input: { accountId: $account, providerToken: \"pm_card_visa\" }) {
        paymentMethod { last4 } userErrors { path code message } } }"),
    ("removePaymentMethod", Act, "mutation($card: ID!) { removePaymentMethod(input: { paymentMethodId: $card }) {
        paymentMethod { last4 } userErrors { path code message } } }"),
    ("node", One, "query($card: ID!) { node(id: $card) { id ...on PaymentMethod { brand last4 } } }"),
    ("account", One, "query($account: ID!) { account(id: $account) { namespace paymentMethods { id brand } } }"),
    ("prepayments", Account, "query($account: ID) { prepayments(accountId: $account) { totalCount nodes { id usd account { namespace } } } }"),
    ("prepayments", Seen, "{ prepayments(first: 100) { totalCount nodes { id usd account { namespace } } } }"),
    ("account", One, "query($account: ID!) { account(id: $account) { prepayments { totalCount nodes { id usd } } } }"),
    ("node", One, "query($prepayment: ID!) { node(id: $prepayment) { id ...on Prepayment { usd paymentMethod { id } } } }"),
    ("node", One, "query($payment: ID!) { node(id: $payment) { id ...on Payment { amount { amount } prepayment { id } } } }"),
    ("prepay", Act, "mutation($quote: ID!, $otherCard: ID!) { prepay(input: { quoteId: $quote, amount: \"2.26\",
        paymentMethodId: $otherCard, dryRun: true, idempotencyKey: \"try\" }) { prepayment { id } userErrors { path code message } } }"),
    ("node", One, "query($tokens: ID!) { node(id: $tokens) { id ...on Prepayment { depositAddress deposits { sender state } } } }"),
    ("simulateDeposit", Act, "mutation($address: String!) { simulateDeposit(input: { address: $address, asset: \"USDT_ERC20\",
        amount: \"0.000001\" }) { prepayment { id } userErrors { path code message } } }"),
    ("bindApp", Act, "mutation($prepayment: ID!) { bindApp(input: { prepaymentId: $prepayment, asset: \"USD\", appId: \"a\",
        clusterId: \"c\", chartName: \"c\", cpuLimit: 100, memLimit: 100, storageLimit: 100, projectName: \"p\" }) {
        prepayment { id } userErrors { path code message } } }"),
    ("setAutoRenewal", Act, "mutation($prepayment: ID!) { setAutoRenewal(input: { prepaymentId: $prepayment, autoRenewal: false }) {
        prepayment { id } userErrors { path code message } } }"),
    ("invoices", Account, "query($account: ID) { invoices(accountId: $account) { totalCount nodes { id totalUsd account { namespace } } } }"),
    ("invoices", Seen, "{ invoices(first: 100) { totalCount nodes { id totalUsd account { namespace } } } }"),
    ("account", One, "query($account: ID!) { account(id: $account) { invoices { totalCount nodes { id totalUsd } } } }"),
    ("node", One, "query($invoice: ID!) { node(id: $invoice) { id ...on Invoice { number totalUsd account { namespace } } } }"),
    ("node", One, "query($draft: ID!) { node(id: $draft) { id ...on Invoice { totalUsd groups { items { title usd } } } } }"),
    ("pricing", Nobody, "{ pricing { current { level } next { level } nextAt prices { totalCount nodes { price level } } } }"),
    ("setBurstCapacity", Operators, "mutation { setBurstCapacity(input: { resource: \"none\", capacity: 1,
        curve: [{ fromUtilisation: 0, level: 1 }] }) { resource { code } userErrors { path code message } } }"),
    ("discounts", Nobody, "{ discounts { period months value } }"),
    ("price", Nobody, "{ price(input: { resourceKind: \"volume\", size: 1, amount: 1, paymentType: POSTPAY, currency: \"CNY\" }) {
        price { amount } } }"),
    ("payOrder", Act, "mutation($unpaidOrder: ID!) { payOrder(input: { orderId: $unpaidOrder, dryRun: true,
        idempotencyKey: \"try\" }) { order { number } account { balance { amount } } userErrors { path code message } } }"),
    ("payBill", Act, "mutation($unpaidBill: ID!) { payBill(input: { billId: $unpaidBill, dryRun: true,
        idempotencyKey: \"try\" }) { bill { number } account { balance { amount } } userErrors { path code message } } }"),
    ("renewOrder", Act, "mutation($order: ID!) { renewOrder(input: { orderId: $order, dryRun: true,
        idempotencyKey: \"try\" }) { order { number } account { balance { amount } } userErrors { path code message } } }"),
    ("cancelOrder", Act, "mutation($order: ID!) { cancelOrder(input: { orderId: $order, atPeriodEnd: true }) {
        order { number state } userErrors { path code message } } }"),
    ("setAutoRenewal", Act, "mutation($order: ID!) { setAutoRenewal(input: { orderId: $order, autoRenewal: false }) {
        order { number autoRenewal } userErrors { path code message } } }"),
    ("acknowledgeNotice", Act, "mutation($notice: ID!) { acknowledgeNotice(input: { noticeId: $notice }) {
        notice { message } userErrors { path code message } } }"),
    ("adjustBalance", Operators, "mutation($account: ID) { adjustBalance(input: { accountId: $account, amount: 1, reason: \"r\",
        dryRun: true, idempotencyKey: \"try\" }) { account { balance { amount } } userErrors { path code message } } }"),
    ("voidBill", Operators, "mutation($bill: ID!) { voidBill(input: { billId: $bill, reason: \"r\", dryRun: true,
        idempotencyKey: \"try\" }) { bill { number } account { balance { amount } } userErrors { path code message } } }"),
    ("voidUsage", Operators, "mutation($account: ID) { voidUsage(input: { accountId: $account, eventIds: [\"e\"], reason: \"r\",
        dryRun: true, idempotencyKey: \"try\" }) { voided unknown userErrors { path code message } } }"),
    ("payOut", Operators, "mutation($account: ID) { payOut(input: { accountId: $account, reference: \"t\", reason: \"r\",
        dryRun: true, idempotencyKey: \"try\" }) { account { balance { amount } } userErrors { path code message } } }"),
    ("eraseAccount", Operators, "mutation($account: ID!) { eraseAccount(input: { accountId: $account, reason: \"r\", dryRun: true,
        idempotencyKey: \"try\" }) { account { name } userErrors { path code message } } }"),
    ("approvals", Operators, "{ approvals { totalCount nodes { id mutation input askedBy state account { namespace } } } }"),
    ("decideApproval", Operators, "mutation { decideApproval(input: { approvalId: \"none\", approve: true, idempotencyKey: \"try\" }) {
        approval { id } userErrors { path code message } } }"),
    ("updatePlan", Operators, "mutation { updatePlan(input: { planId: \"none\" }) { plan { id } userErrors { path code message } } }"),
    ("advanceClock", Operators, "mutation { advanceClock(input: { to: \"2020-01-01T00:00:00Z\" }) {
        now userErrors { path code message } } }"),
    ("recordUsage", Operators, "mutation { recordUsage(input: { events: [] }) { results { id } userErrors { path code message } } }"),
    ("usage", Account, "query($account: ID) { usage(accountId: $account, resource: \"transfer_out\", granularity: HOUR,
        startTime: \"2026-11-01T00:00:00Z\", endTime: \"2026-11-01T01:00:00Z\") { time quantity } }"),
    ("usage", Own, "{ usage(resource: \"transfer_out\", granularity: HOUR, startTime: \"2026-11-01T00:00:00Z\",
        endTime: \"2026-11-01T01:00:00Z\") { time quantity } }"),
    ("setPrices", Operators, "mutation($account: ID) { setPrices(input: { accountId: $account, dryRun: true, idempotencyKey: \"try\",
        infos: [{ definition: { discount: { payablePercent: 90 } } }] }) { rules { id } userErrors { path code message } } }"),
    ("endPriceRule", Operators, "mutation { endPriceRule(input: { ruleId: \"rul_999999\", idempotencyKey: \"try\" }) {
        rule { id } userErrors { path code message } } }"),
    ("capacityCharge", Nobody, "{ capacityCharge(resource: \"cpu\", amount: 1, seconds: 1, currency: \"CNY\") { price { amount } } }"),
    ("setResourcePrices", Operators, "mutation { setResourcePrices(input: { prices: [] }) { prices { id } userErrors { path code message } } }"),
    ("setTermDiscounts", Operators, "mutation { setTermDiscounts(input: { discounts: [{ period: \"p\", months: 0, value: 0 }] }) {
        discounts { months } userErrors { path code message } } }"),
    ("unmatchedPayments", Operators, "{ unmatchedPayments { provider reference kind paymentId account { id } amount { amount currency } status why seenAt } }"),
    ("billingRuns", Operators, "{ billingRuns { period timeZone state done total } }"),
    ("rerate", Operators, "mutation($account: ID!) { rerate(input: { accountId: $account, period: \"2020-01-01\",
        idempotencyKey: \"try\", dryRun: true }) { bills { id } userErrors { path code message } } }"),
    ("defineResource", Operators, "mutation { defineResource(input: { code: \"cpu\", name: \"n\", unit: \"u\", resourceType: \"CLOUD\",
        aggregation: SUM }) { resource { code } userErrors { path code message } } }"),
    ("createPlan", Operators, "mutation { createPlan(input: { name: \"\", type: \"C\", resourceType: \"CLOUD\", billPeriod: MONTH,
        description: \"\", price: { amount: 1, currency: \"CNY\" } }) { plan { id } userErrors { path code message } } }"),
    ("retirePlan", Operators, "mutation { retirePlan(input: { planId: \"none\" }) { plan { id } userErrors { path code message } } }"),
    ("createAccount", Operators, "mutation($namespace: String!) { createAccount(input: { namespace: $namespace, name: \"\",
        currency: \"CNY\" }) { account { name } userErrors { path code message } } }"),
    ("updateAccount", Operators, "mutation($account: ID) { updateAccount(input: { accountId: $account }) {
        account { name balance { amount } } userErrors { path code message } } }"),
];

/// An account with an order, as the variables of the matrix, and what must not be told of it.
struct Tenant {
    namespace: String,
    variables: Value,
    secrets: Vec<String>,
}

impl Tenant {
    async fn make(
        server: &TestServer,
        plan: &str,
        namespace: &str,
        opening: &str,
        parent: Option<&Tenant>,
    ) -> Self {
        let parent = parent.map(|parent| parent.variables["account"].clone());
        let input = json!({ "namespace": namespace, "name": format!("{namespace} & Co"), "currency": "CNY", "parentId": parent });
        let account = server.account_from(input, opening).await;
        let key = format!("key of {namespace}");
        let discount = json!([{ "definition": { "discount": { "payablePercent": "90" } } }]);
        let prices = json!({ "accountId": account, "infos": discount, "idempotencyKey": "prices" });
        let set = server.operator().mutate("setPrices", "SetPricesInput", prices, "rules { id }").await;
        let later = json!({ "planId": plan, "payLater": true, "idempotencyKey": "later" });
        let unpaid = server
            .customer(namespace)
            .mutate("checkout", "CheckoutInput", later, "order { id } bill { id }")
            .await;
        server.customer(namespace).checkout(plan, &key).await;
        let card = json!({ "providerToken": "pm_card_mastercard" });
        let card = server
            .customer(namespace)
            .mutate("addPaymentMethod", "AddPaymentMethodInput", card, "paymentMethod { id }")
            .await;
        let notice = a_notice(server, &account, namespace).await;
        let query = "query($account: ID!) { account(id: $account) { balance { amount } orders { nodes { id number } }
            bills { nodes { id number } } records { nodes { id number } } transactions(first: 1) { nodes { id } } ledger(first: 1) { nodes { id hash } } } }";
        let (_, answer) = server.operator().post(query, json!({ "account": account })).await;
        let [quote, other_card, prepayment, payment] = prepaid(server, namespace).await;
        let [tokens, address] = awaiting_tokens(server, namespace).await;
        let seen = &answer["data"]["account"];
        let [invoice, draft] = invoices(server, &account, opening).await;
        let variables = json!({
            "account": account, "namespace": namespace, "plan": plan, "key": key,
            "order": seen["orders"]["nodes"][0]["id"], "orderNumber": seen["orders"]["nodes"][0]["number"],
            "bill": seen["bills"]["nodes"][0]["id"], "billNumber": seen["bills"]["nodes"][0]["number"],
            "transaction": seen["transactions"]["nodes"][0]["id"], "entry": seen["ledger"]["nodes"][0]["id"],
            "rule": set["rules"][0]["id"],
            "unpaidOrder": unpaid["order"]["id"], "unpaidBill": unpaid["bill"]["id"], "notice": notice,
            "card": card["paymentMethod"]["id"], "quote": quote, "otherCard": other_card, "prepayment": prepayment, "payment": payment,
            "tokens": tokens, "address": address,
            "invoice": invoice, "draft": draft,
            "record": seen["records"]["nodes"][0]["id"], "recordNumber": seen["records"]["nodes"][0]["number"],
        });
        let told = [
            "namespace",
            "key",
            "order",
            "orderNumber",
            "bill",
            "billNumber",
            "transaction",
            "entry",
            "notice",
            "unpaidOrder",
            "unpaidBill",
            "record",
            "recordNumber",
            "card",
            "quote",
            "prepayment",
            "payment",
            "tokens",
            "address",
            "invoice",
            "draft",
        ];
        let mut secrets: Vec<String> =
            told.iter().map(|name| variables[name].as_str().unwrap().to_owned()).collect();
        secrets.push(seen["balance"]["amount"].as_str().unwrap().to_owned());
        secrets.push(seen["ledger"]["nodes"][0]["hash"].as_str().unwrap().to_owned());
        secrets.push(usage_of(server, &account, opening).await);
        Self { namespace: namespace.to_owned(), variables, secrets }
    }

    /// The same, with a key that nothing was done with yet.
    fn with_a_new_key(&self) -> Self {
        let mut variables = self.variables.clone();
        variables["key"] = json!("a new one");
        Self { namespace: self.namespace.clone(), variables, secrets: self.secrets.clone() }
    }

    /// One that there is not: its ids and numbers are well-formed.
    fn absent(plan: &str) -> Self {
        let mut mint = IdMint::new(AccountId(999_999), wall(), 0, false);
        let id = mint.next_id().unwrap();
        let variables = json!({
            "account": AccountId(999_999).to_string(), "namespace": "nobody", "plan": plan, "key": "no key",
            "order": OrderId(id).to_string(), "orderNumber": printed_number('O', id),
            "bill": BillId(id).to_string(), "billNumber": printed_number('B', id),
            "transaction": TransactionId(id).to_string(), "entry": EntryId(id).to_string(),
            "rule": "rul_999999999",
            "unpaidOrder": OrderId(id).to_string(), "unpaidBill": BillId(id).to_string(),
            "notice": NoticeId(id).to_string(), "record": RecordId(id).to_string(),
            "recordNumber": printed_number('R', id), "card": PaymentMethodId(id).to_string(),
            "quote": QuoteId(id).to_string(), "otherCard": PaymentMethodId(id).to_string(), "prepayment": PrepaymentId(id).to_string(),
            "payment": PaymentId(id).to_string(), "tokens": PrepaymentId(id).to_string(),
            "address": "0xde709f2102306220921060314715629080e2fb77",
            "invoice": InvoiceId(id).to_string(),
            "draft": InvoiceId::of(AccountId(999_999), month_of(wall())).to_string(),
        });
        Self { namespace: "nobody".to_owned(), variables, secrets: Vec::new() }
    }

    fn assert_not_told(&self, body: &str, when: &str) {
        for secret in &self.secrets {
            assert!(!body.contains(secret), "{when} tells {secret}: {body}");
        }
    }
}

/// Has an account use a quantity of traffic that no other account uses, and answers it.
async fn usage_of(server: &TestServer, account: &str, opening: &str) -> String {
    let account = AccountId::parse(account).unwrap();
    let quantity = format!("{opening}77");
    let insert = format!(
        "INSERT INTO usage_hours VALUES ({}, 'transfer_out', '2026-11-01T00:00:00Z', '', {quantity}, 1)",
        account.0
    );
    server.sql().await.batch_execute(&insert).await.unwrap();
    quantity
}

/// An app that a customer has prepaid, and could once more: an offer, a card, the prepayment and the payment.
async fn prepaid(server: &TestServer, namespace: &str) -> [Value; 4] {
    let customer = server.customer(namespace);
    let quote = async || {
        let offer = json!({ "asset": "USD", "clusterId": "c", "chartName": "c", "cpuLimit": 100, "memLimit": 100,
            "storageLimit": 100, "period": 3 });
        customer.mutate("quotePrepay", "QuotePrepayInput", offer, "quote { id }").await["quote"]["id"].clone()
    };
    let card = json!({ "providerToken": "pm_card_visa" });
    let card =
        customer.mutate("addPaymentMethod", "AddPaymentMethodInput", card, "paymentMethod { id }").await;
    let card = &card["paymentMethod"]["id"];
    let prepay = json!({ "quoteId": quote().await, "amount": "2.26", "paymentMethodId": card, "idempotencyKey": "prepaid" });
    customer.mutate("prepay", "PrepayInput", prepay, "prepayment { id }").await;
    let held =
        customer.data("{ idempotentResult(key: \"prepaid\") { prepayment { id } payment { id } } }").await;
    let held = &held["idempotentResult"];
    [quote().await, card.clone(), held["prepayment"]["id"].clone(), held["payment"]["id"].clone()]
}

/// A prepayment that waits for tokens, and their address.
async fn awaiting_tokens(server: &TestServer, namespace: &str) -> [Value; 2] {
    let customer = server.customer(namespace);
    let offer = json!({ "asset": "USDT_ERC20", "clusterId": "c", "chartName": "c", "cpuLimit": 100, "memLimit": 100,
        "storageLimit": 100, "period": 3 });
    let quote = customer.mutate("quotePrepay", "QuotePrepayInput", offer, "quote { id amount }").await;
    let quote = &quote["quote"];
    let prepay = json!({ "quoteId": quote["id"], "amount": quote["amount"], "idempotencyKey": "tokens" });
    let made = customer.mutate("prepay", "PrepayInput", prepay, "prepayment { id depositAddress }").await;
    [made["prepayment"]["id"].clone(), made["prepayment"]["depositAddress"].clone()]
}

/// The first instant of a month in UTC.
fn month_of(instant: DateTime<Utc>) -> DateTime<Utc> {
    instant.date_naive().with_day(1).unwrap().and_time(NaiveTime::MIN).and_utc()
}

/// An invoice of an account that was issued, of an amount that no other's has, and the draft of its running month.
async fn invoices(server: &TestServer, account: &str, opening: &str) -> [String; 2] {
    let account = AccountId::parse(account).unwrap();
    let begin = "2020-01-01T00:00:00Z".parse().unwrap();
    let id = InvoiceId::of(account, begin);
    let insert = format!(
        "INSERT INTO invoices VALUES ({}, '{}', '2020-01-01', '2020-01-01', '2020-02-01', 'INV-2020-{}', now(), 'name', {opening}9, '[]')",
        account.0,
        id.uuid(),
        account.0
    );
    server.sql().await.batch_execute(&insert).await.unwrap();
    [id, InvoiceId::of(account, month_of(server.server.app.clock.now()))].map(|id| id.to_string())
}

/// A notice of an account, as a job would leave it.
async fn a_notice(server: &TestServer, account: &str, namespace: &str) -> String {
    let account = AccountId::parse(account).unwrap();
    let id = NoticeId(IdMint::new(account, wall(), 1_000, false).next_id().unwrap());
    let insert =
        "INSERT INTO notices (account_id, id, kind, message, at) VALUES ($1, $2, 'LOW_BALANCE', $3, now())";
    server.sql().await.execute(insert, &[&account.0, &id.uuid(), &format!("for {namespace}")]).await.unwrap();
    id.to_string()
}

struct World {
    server: TestServer,
    victim: Tenant,
    stranger: Tenant,
    main: Tenant,
    sub: Tenant,
    absent: Tenant,
}

impl World {
    async fn start() -> Self {
        let server = TestServer::with(|config| config.clock = Clock::sandbox()).await;
        let plan = server.plan("Plan Q", "21.09").await;
        let rate = json!({ "base": "CNY", "quote": "USD", "rate": "0.14", "source": "test" });
        server
            .operator()
            .mutate("setExchangeRate", "SetExchangeRateInput", rate, "exchangeRate { rate }")
            .await;
        let price = json!({ "prices": [{ "resource": "ip", "currency": "CNY", "level": 0, "price": "1", "unit": "count/month",
            "multiplier": "2592000" }] });
        server.operator().mutate("setResourcePrices", "SetResourcePricesInput", price, "prices { id }").await;
        let prices = "INSERT INTO resources VALUES ('idc_volume', 'Volumes', 'GB', 'IDC', 'LAST');
            INSERT INTO resource_prices (resource_code, currency, level, price, unit, multiplier, effective_from)
            VALUES ('idc_volume', 'CNY', 0, 0.6, 'GB/month', 2592000, now())";
        server.sql().await.batch_execute(prices).await.unwrap();
        let victim = Tenant::make(&server, &plan, "vortex", "4342.18", None).await;
        let stranger = Tenant::make(&server, &plan, "stranger", "121.12", None).await;
        let main = Tenant::make(&server, &plan, "maincorp", "7798.40", None).await;
        let sub = Tenant::make(&server, &plan, "subsidiary", "675.36", Some(&main)).await;
        anchor_pass(&server.server.app.jobs, &LeaseGuard::Always).await.unwrap();
        Self { server, victim, stranger, main, sub, absent: Tenant::absent(&plan) }
    }

    fn as_customer(&self, tenant: &Tenant) -> Client {
        self.server.customer(&tenant.namespace)
    }

    /// Asserts that to `viewer` the other is as if it were not there, whatever root field is asked.
    async fn assert_absent(&self, viewer: &Tenant, other: &Tenant) {
        let client = self.as_customer(viewer);
        let contents = self.server.contents().await;
        for (field, about, query) in MATRIX {
            let when = format!("{field} as {}, asked for {}\n{query}\n", viewer.namespace, other.namespace);
            let (status, body) = client.raw(query, &other.variables).await;
            assert_eq!(status, StatusCode::OK, "{when}");
            other.assert_not_told(&body, &when);
            let (_, of_nobody) = client.raw(query, &self.absent.variables).await;
            assert_eq!(body, of_nobody, "{when}");
            let answer: Value = serde_json::from_str(&body).unwrap();
            let (data, error) = (&answer["data"][field], &answer["errors"][0]["extensions"]);
            match about {
                One => assert_eq!(answer, json!({ "data": { *field: null } }), "{when}"),
                Several => assert_eq!(*data, json!([null, null, null, null, null]), "{when}"),
                Account => {
                    assert_eq!(*error, json!({ "code": "NOT_FOUND", "argument": "accountId" }), "{when}")
                }
                Act => assert_eq!(data["userErrors"][0]["code"], "NOT_FOUND", "{when}{body}"),
                Operators => assert_eq!(*error, json!({ "code": "FORBIDDEN" }), "{when}"),
                Nobody | Seen | Own => assert!(answer.get("errors").is_none(), "{when}{body}"),
            }
        }
        self.server.assert_holds_still(&contents).await;
    }

    /// Asserts that `viewer` sees of `tenant` what operators see of it, and may act for it.
    async fn assert_seen(&self, viewer: &Tenant, tenant: &Tenant) {
        let (client, operator) = (self.as_customer(viewer), self.server.operator());
        for (field, about, query) in MATRIX {
            let when = format!("{field} as {}, asked for {}\n{query}\n", viewer.namespace, tenant.namespace);
            let (_, body) = client.raw(query, &tenant.variables).await;
            let answer: Value = serde_json::from_str(&body).unwrap();
            let told = tenant.secrets.iter().any(|secret| body.contains(secret));
            match about {
                One | Several | Account => {
                    assert!(answer.get("errors").is_none() && !body.contains("null"), "{when}{body}");
                    assert_eq!(body, operator.raw(query, &tenant.variables).await.1, "{when}");
                }
                Seen => assert!(told, "{when}{body}"),
                Own => assert_eq!(told, viewer.namespace == tenant.namespace, "{when}{body}"),
                Act => assert_eq!(answer["data"][field]["userErrors"], json!([]), "{when}{body}"),
                Operators => assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{when}"),
                Nobody => assert!(answer.get("errors").is_none(), "{when}{body}"),
            }
        }
    }
}

fn code_of(body: &str) -> String {
    let answer: Value = serde_json::from_str(body).unwrap_or_else(|_| panic!("not JSON: {body}"));
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or("none").to_owned()
}

#[tokio::test]
async fn every_root_field_is_in_the_matrix() {
    let server = TestServer::start().await;
    let schema = Schema::of(&server.operator()).await;
    let asked: std::collections::BTreeSet<_> = MATRIX.iter().map(|(field, ..)| (*field).to_owned()).collect();
    let fields = [schema.fields("Query"), schema.fields("Mutation")].concat();
    assert_eq!(asked, fields.into_iter().collect(), "give the new root field a place in the matrix");
    // What lists by account is asked with and without one.
    for (field, about, query) in MATRIX.iter().filter(|(_, about, _)| *about == Account) {
        assert!(query.contains("accountId: $account"), "{field} {about:?}");
        assert!(
            MATRIX.iter().any(|(other, _, query)| other == field && !query.contains("accountId")),
            "{field}"
        );
    }
}

#[tokio::test]
async fn an_operator_sees_and_does_everything_and_absent_is_absent_to_it_too() {
    let world = World::start().await;
    let operator = world.server.operator();
    for (field, about, query) in MATRIX {
        let (status, body) = operator.raw(query, &world.victim.variables).await;
        assert_eq!(status, StatusCode::OK);
        let told = world.victim.secrets.iter().any(|secret| body.contains(secret));
        match about {
            Own => assert!(!told, "{field}: {body}"),
            Operators | Nobody => assert_eq!(code_of(&body), "none", "{field}: {body}"),
            _ => {
                assert_eq!(code_of(&body), "none", "{field}: {body}");
                let is_of_figures = ["ledgerHealth", "ledgerAnchor"].contains(field);
                assert!(told || *about == Act || is_of_figures, "{field}: {body}");
            }
        }
        if matches!(about, One | Several | Account) {
            let (_, absent) = operator.raw(query, &world.absent.variables).await;
            let to_others = world.as_customer(&world.stranger).raw(query, &world.absent.variables).await.1;
            assert_eq!(absent, to_others, "{field}");
        }
    }
}

#[tokio::test]
async fn a_customer_sees_its_own_and_acts_for_itself() {
    let world = World::start().await;
    for tenant in [&world.victim, &world.main, &world.sub] {
        world.assert_seen(tenant, tenant).await;
    }
}

#[tokio::test]
async fn to_a_customer_another_tenant_is_as_if_it_were_not_there() {
    let world = World::start().await;
    world.assert_absent(&world.stranger, &world.victim).await;
    world.assert_absent(&world.victim, &world.main).await;
    world.assert_absent(&world.main, &world.victim).await;
}

#[tokio::test]
async fn a_sub_account_sees_nothing_of_its_main_account() {
    let world = World::start().await;
    world.assert_absent(&world.sub, &world.main).await;
    let query =
        "{ account { kind parent { namespace } subAccounts { totalCount } } accounts { totalCount } }";
    assert_eq!(
        world.as_customer(&world.sub).data(query).await,
        json!({ "account": { "kind": "SUB", "parent": null, "subAccounts": { "totalCount": 0 } }, "accounts": { "totalCount": 1 } })
    );
}

#[tokio::test]
async fn a_main_account_sees_its_sub_accounts_and_acts_for_them() {
    let world = World::start().await;
    world.assert_seen(&world.main, &world.sub).await;
    world.assert_absent(&world.stranger, &world.sub).await;
    let query = "query($namespace: String) { account(namespace: $namespace) { parent { namespace } } }";
    let (_, answer) = world.as_customer(&world.main).post(query, world.sub.variables.clone()).await;
    assert_eq!(answer["data"]["account"]["parent"]["namespace"], "maincorp");

    // What it buys for its sub-account is paid from that one's own balance.
    let (plan, contents) =
        (&world.sub.variables["plan"], "account { namespace balance { amount } } order { isSelf }");
    let input = json!({ "planId": plan, "namespace": "subsidiary", "idempotencyKey": "by the main account" });
    let bought = world.as_customer(&world.main).mutate("checkout", "CheckoutInput", input, contents).await;
    assert_eq!(bought["account"], json!({ "namespace": "subsidiary", "balance": { "amount": "633.18" } }));
    assert_eq!(bought["order"]["isSelf"], false);
    let own = world.as_customer(&world.main).data("{ account { balance { amount } } }").await;
    assert_eq!(own["account"]["balance"]["amount"], "7777.31");
    world.server.assert_ledger_is_healthy().await;
}

/// What costs an account money, or moves it; the rest of what customers may do only sets something.
const MOVES_MONEY: [&str; 8] =
    ["checkout", "subscribe", "renewOrder", "prepay", "recharge", "payOrder", "payBill", "simulateDeposit"];

impl World {
    /// Puts an account into a status, however it came to that.
    async fn put(&self, tenant: &Tenant, status: &str) {
        let (suspension, closed_at) = match status {
            "CLOSED" => ("NULL", "now()"),
            "SUSPENDED" => ("'OPERATOR'", "NULL"),
            _ => ("NULL", "NULL"),
        };
        let put = format!(
            "UPDATE accounts SET status = '{status}', suspension = {suspension}, closed_at = {closed_at} WHERE namespace = '{}'",
            tenant.namespace
        );
        self.server.make_accounts_so(&put).await;
    }

    /// The codes of the refusals of what `viewer` does to `tenant`: of everything that a customer may do.
    async fn refusals(&self, viewer: &Tenant, tenant: &Tenant) -> Vec<(&'static str, Option<String>)> {
        let client = self.as_customer(viewer);
        let mut refusals = Vec::new();
        for (field, _, query) in MATRIX.iter().filter(|(_, about, _)| *about == Act) {
            let (_, answer) = client.post(query, tenant.variables.clone()).await;
            assert!(answer.get("errors").is_none(), "{field}: {answer:#}");
            let code = answer["data"][field]["userErrors"][0]["code"].as_str();
            refusals.push((*field, code.map(str::to_owned)));
        }
        refusals
    }
}

#[tokio::test]
async fn a_closed_main_account_does_nothing_for_its_sub_accounts() {
    let world = World::start().await;
    world.put(&world.main, "CLOSED").await;
    let contents = world.server.contents().await;
    let sub = world.sub.with_a_new_key();
    for (field, code) in world.refusals(&world.main, &sub).await {
        assert_eq!(code.as_deref(), Some("ACCOUNT_SUSPENDED"), "{field}");
    }
    world.server.assert_holds_still(&contents).await;
    // Operators are not concerned, and it still reads.
    let input = json!({ "planId": sub.variables["plan"], "namespace": "subsidiary", "idempotencyKey": "by an operator" });
    world.server.operator().mutate("checkout", "CheckoutInput", input, "order { id }").await;
    let query = "{ accounts { totalCount } }";
    assert_eq!(world.as_customer(&world.main).data(query).await["accounts"]["totalCount"], 2);
}

#[tokio::test]
async fn a_suspended_main_account_does_nothing_for_its_sub_accounts_that_costs_money() {
    let world = World::start().await;
    world.put(&world.main, "SUSPENDED").await;
    let sub = world.sub.with_a_new_key();
    for (field, code) in world.refusals(&world.main, &sub).await {
        let expected = MOVES_MONEY.contains(&field).then_some("ACCOUNT_SUSPENDED");
        assert_eq!(code.as_deref(), expected, "{field}");
    }
    // For itself it recharges.
    let own = world.refusals(&world.main, &world.main).await;
    for (field, code) in own.iter().filter(|(field, _)| *field == "recharge") {
        assert_eq!(code.as_deref(), None, "{field}");
    }
    world.server.assert_ledger_is_healthy().await;
}

#[tokio::test]
async fn a_closed_account_reads_and_sets_nothing_of_its_own() {
    let world = World::start().await;
    world.put(&world.victim, "CLOSED").await;
    let contents = world.server.contents().await;
    for (field, code) in world.refusals(&world.victim, &world.victim).await {
        // What is open may still be paid, and what was done before is answered again.
        if !["recharge", "payBill", "payOrder", "simulateDeposit", "checkout"].contains(&field) {
            assert_eq!(code.as_deref(), Some("ACCOUNT_SUSPENDED"), "{field}");
        }
    }
    let query = "{ account { namespace orders { totalCount } } }";
    assert_eq!(world.as_customer(&world.victim).data(query).await["account"]["namespace"], "vortex");
    let accounts = |contents: &[(String, String)]| {
        contents.iter().find(|(table, _)| table == "accounts").cloned().expect("a table")
    };
    assert_eq!(accounts(&world.server.contents().await), accounts(&contents));
}

#[tokio::test]
async fn what_a_main_account_had_done_before_it_was_closed_is_answered_again() {
    let world = World::start().await;
    let input = json!({ "planId": world.sub.variables["plan"], "namespace": "subsidiary", "idempotencyKey": "before" });
    let buy = async || {
        let fields = "order { id } bill { id }";
        let main = world.as_customer(&world.main);
        main.payload("checkout", "CheckoutInput", input.clone(), fields).await
    };
    let bought = buy().await;
    assert_eq!(bought["userErrors"], json!([]));
    world.put(&world.main, "CLOSED").await;
    assert_eq!(buy().await, bought);
}

#[tokio::test]
async fn the_order_of_a_sub_account_is_not_the_main_accounts_own() {
    let world = World::start().await;
    let query = "{ orders(filter: { orderState: ACTIVE }) { nodes { isSelf account { namespace } } } }";
    assert_eq!(
        world.as_customer(&world.main).data(query).await["orders"]["nodes"],
        json!([{ "isSelf": false, "account": { "namespace": "subsidiary" } },
            { "isSelf": true, "account": { "namespace": "maincorp" } }])
    );
}

#[tokio::test]
async fn a_metering_agent_reads_no_more_than_it_needs() {
    let world = World::start().await;
    let service = world.server.service();
    let contents = world.server.contents().await;
    for (field, _, query) in MATRIX {
        let (status, body) = service.raw(query, &world.victim.variables).await;
        assert_eq!(status, StatusCode::OK, "{field}");
        let expected = if FOR_SERVICE.contains(field) { "none" } else { "FORBIDDEN" };
        assert_eq!(code_of(&body), expected, "{field}: {body}");
        world.victim.assert_not_told(&body, field);
    }
    world.server.assert_holds_still(&contents).await;
}

/// Whether it is a mutation, as its text says.
fn changes(query: &str) -> bool {
    query.starts_with("mutation")
}

#[tokio::test]
async fn who_only_reads_sees_what_operators_see_and_changes_nothing() {
    let world = World::start().await;
    let (auditor, operator) = (world.server.auditor(), world.server.operator());
    // Where the check of the whole ledger goes on is the check's own.
    let same = |field: &str| !["viewer", "ledgerHealth"].contains(&field);
    let contents = world.server.contents().await;
    for tenant in [&world.victim, &world.absent] {
        for (field, _, query) in MATRIX {
            let when = format!("{field} of {}\n{query}\n", tenant.namespace);
            let (status, body) = auditor.raw(query, &tenant.variables).await;
            assert_eq!(status, StatusCode::OK, "{when}");
            if changes(query) {
                assert_eq!(code_of(&body), "FORBIDDEN", "{when}{body}");
            } else if same(field) {
                assert_eq!(body, operator.raw(query, &tenant.variables).await.1, "{when}");
            } else {
                let expected = if tenant.namespace == "nobody" && query.contains("accountId") {
                    "NOT_FOUND"
                } else {
                    "none"
                };
                assert_eq!(code_of(&body), expected, "{when}{body}");
            }
        }
    }
    world.server.assert_holds_still(&contents).await;
    let told = auditor.data("{ viewer { role account { id } } }").await;
    assert_eq!(told["viewer"], json!({ "role": "AUDITOR", "account": null }));
}

#[tokio::test]
async fn who_only_reads_is_refused_by_the_repository_too() {
    let world = World::start().await;
    let viewer = Viewer { subject: "reads".to_owned(), role: Role::Auditor, account: None };
    let repository = Repository::new(Arc::clone(&world.server.server.app.store), Arc::new(viewer));
    let account = AccountId::parse(world.victim.variables["account"].as_str().unwrap()).unwrap();
    let is_forbidden = |refused: &AccessError| matches!(refused, AccessError::Forbidden(_));
    for stake in [Some(Stake::Purchase), Some(Stake::Payment), Some(Stake::Setting), None] {
        let refused = repository.require_stake(stake, account).await;
        assert!(refused.as_ref().is_err_and(is_forbidden), "{stake:?}: {refused:?}");
    }
    let notice = NoticeId::parse(world.victim.variables["notice"].as_str().unwrap()).unwrap();
    let refused = repository.notice_acknowledge(notice, wall()).await;
    assert!(refused.as_ref().is_err_and(is_forbidden), "{refused:?}");
    assert!(
        repository.plan_retire(PlanId::new(wall()), wall()).await.is_err_and(|error| is_forbidden(&error))
    );
}

#[tokio::test]
async fn without_a_good_token_nothing_is_answered() {
    let world = World::start().await;
    let key = TokenKey::new(SECRET).unwrap();
    let other_key = TokenKey::new(b"another secret that is long enough, too").unwrap();
    let forged = other_key.issue("op", Role::Operator, None, wall(), 600).unwrap();
    let expired = key.issue("op", Role::Operator, None, wall(), -1).unwrap();
    let good = token(Role::Operator, None, 600);
    let (head, signature) = good.rsplit_once('.').unwrap();
    let tokens = [
        ("none", None),
        ("garbage", Some("garbage".to_owned())),
        ("empty", Some(String::new())),
        ("expired", Some(expired)),
        ("signed by someone else", Some(forged)),
        ("not signed", Some(format!("{head}."))),
        ("signature of other text", Some(format!("{head}x.{signature}"))),
        ("of no account", Some(token(Role::Customer, Some("nobody"), 600))),
        ("of a customer without an account", Some(token(Role::Customer, None, 600))),
    ];
    let contents = world.server.contents().await;
    for (kind, token) in tokens {
        let client = world.server.client_with(token);
        for (field, _, query) in MATRIX {
            let (status, body) = client.raw(query, &world.victim.variables).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{kind}: {field}: {body}");
            assert_eq!(code_of(&body), "UNAUTHENTICATED", "{kind}: {field}");
            let answer: Value = serde_json::from_str(&body).unwrap();
            assert!(answer["data"].is_null() && answer["errors"][0]["message"].is_string(), "{kind}: {body}");
            world.victim.assert_not_told(&body, kind);
        }
    }
    world.server.assert_holds_still(&contents).await;
}

#[tokio::test]
async fn a_customer_cannot_give_itself_an_operators_powers() {
    let world = World::start().await;
    let customer = world.as_customer(&world.stranger);
    let contents = world.server.contents().await;
    let account = &world.stranger.variables["account"];
    let price = json!({ "amount": "0.01", "currency": "CNY" });
    for (mutation, input_type, input) in [
        ("updateAccount", "UpdateAccountInput", json!({ "accountId": account, "creditLimit": "1000000" })),
        ("updateAccount", "UpdateAccountInput", json!({ "status": "CLOSED", "namespace": "vortex" })),
        (
            "createAccount",
            "CreateAccountInput",
            json!({ "namespace": "mine", "name": "m", "currency": "CNY", "parentId": account }),
        ),
        (
            "createPlan",
            "CreatePlanInput",
            json!({ "name": "cheap", "type": "C", "resourceType": "CLOUD", "price": price,
            "billPeriod": "YEAR", "description": "" }),
        ),
        ("retirePlan", "RetirePlanInput", json!({ "planId": world.stranger.variables["plan"] })),
        (
            "refund",
            "RefundInput",
            json!({ "transactionId": world.stranger.variables["transaction"], "reason": "r", "idempotencyKey": "r" }),
        ),
    ] {
        let (_, answer) = customer.try_mutate(mutation, input_type, input, "__typename").await;
        assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN", "{mutation}: {answer:#}");
    }
    world.server.assert_holds_still(&contents).await;
}

#[tokio::test]
async fn outside_the_sandbox_a_customer_does_not_recharge_without_paying() {
    let server = TestServer::with(|config| config.sandbox = false).await;
    server.account("tenant", "10").await;
    let contents = server.contents().await;
    let input = json!({ "amount": "5", "idempotencyKey": "k" });
    let refusal = server.customer("tenant").refusal("recharge", "RechargeInput", input).await;
    assert_eq!(refusal, ("REQUIRED".to_owned(), "input.paymentMethodId".to_owned()));
    server.assert_holds_still(&contents).await;
}
