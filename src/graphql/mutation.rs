//! The root fields that change something.

mod accounts;
mod approvals;
mod billing;
mod burst;
mod capacity;
mod erasure;
mod exchange_rates;
mod licenses;
mod money;
mod notices;
mod orders;
mod pay_out;
mod payment_methods;
mod plans;
mod prepay;
mod prepayments;
mod prices;
mod sandbox;
mod subscription;
mod usage;
mod void_bill;
mod void_usage;

use async_graphql::MergedObject;

/// What can be changed. Every mutation takes one input and answers a payload whose fields are null where userErrors tell
/// why; those that move money have an idempotency key, with which they are done once however often they are sent.
#[derive(MergedObject, Default)]
pub struct Mutation(
    money::MoneyMutation,
    orders::OrderMutation,
    notices::NoticeMutation,
    plans::PlanMutation,
    prices::PriceMutation,
    billing::BillingMutation,
    capacity::CapacityMutation,
    burst::BurstMutation,
    subscription::SubscriptionMutation,
    licenses::LicenseMutation,
    payment_methods::PaymentMethodMutation,
    prepay::PrepayMutation,
    prepayments::PrepaymentMutation,
    exchange_rates::ExchangeRateMutation,
    accounts::AccountMutation,
    approvals::ApprovalMutation,
    erasure::ErasureMutation,
    void_bill::VoidBillMutation,
    pay_out::PayOutMutation,
    usage::UsageMutation,
    void_usage::VoidUsageMutation,
    sandbox::SandboxMutation,
);
