use std::sync::Arc;

use async_graphql::{Context, ID, Interface};

use super::account::Account;
use super::approval::Approval;
use super::bill::Bill;
use super::invoice::Invoice;
use super::ledger_entry::LedgerEntry;
use super::license::License;
use super::order::Order;
use super::payment::Payment;
use super::payment_method::PaymentMethod;
use super::plan::Plan;
use super::prepayment::Prepayment;
use super::price_rule::PriceRule;
use super::record::ConsumptionRecord;
use super::resource::Resource;
use super::resource_price::ResourcePrice;
use super::transaction::Transaction;
use crate::domain::ids::NodeId;
use crate::graphql::error::ApiResult;
use crate::graphql::loaders::ResourceCode;
use crate::graphql::session::session;

/// Anything that has an id of its own.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The same for as long as the thing exists."))]
pub enum Node {
    Account(Account),
    Plan(Plan),
    Resource(Resource),
    Order(Order),
    Bill(Bill),
    ConsumptionRecord(ConsumptionRecord),
    Transaction(Transaction),
    LedgerEntry(LedgerEntry),
    PriceRule(PriceRule),
    ResourcePrice(ResourcePrice),
    License(License),
    PaymentMethod(PaymentMethod),
    Prepayment(Prepayment),
    Payment(Payment),
    Invoice(Invoice),
    Approval(Approval),
}

/// The thing of that id, if the viewer may see it.
pub(in crate::graphql) async fn load(ctx: &Context<'_>, id: NodeId) -> ApiResult<Option<Node>> {
    let session = session(ctx)?;
    Ok(match id {
        NodeId::Account(id) => session.load(id).await?.map(|row| Node::Account(Account(row))),
        NodeId::Plan(id) => session.load(id).await?.map(|row| Node::Plan(Plan(row))),
        NodeId::Resource(code) => {
            session.load(ResourceCode(code)).await?.map(|row| Node::Resource(Resource(Arc::clone(&row))))
        }
        NodeId::Order(id) => session.load(id).await?.map(|row| Node::Order(Order::from(row))),
        NodeId::Bill(id) => session.load(id).await?.map(|row| Node::Bill(Bill::from(row))),
        NodeId::Record(id) => {
            session.load(id).await?.map(|row| Node::ConsumptionRecord(ConsumptionRecord(row)))
        }
        NodeId::Transaction(id) => session.load(id).await?.map(|row| Node::Transaction(Transaction(row))),
        NodeId::PriceRule(id) => session.load(id).await?.map(|row| Node::PriceRule(PriceRule(row))),
        NodeId::ResourcePrice(id) => {
            session.load(id).await?.map(|row| Node::ResourcePrice(ResourcePrice(row)))
        }
        NodeId::License(id) => session.load(id).await?.map(|row| Node::License(License(row))),
        NodeId::PaymentMethod(id) => {
            session.load(id).await?.map(|row| Node::PaymentMethod(PaymentMethod(row)))
        }
        NodeId::Prepayment(id) => session.load(id).await?.map(|row| Node::Prepayment(Prepayment(row))),
        NodeId::Payment(id) => session.load(id).await?.map(|row| Node::Payment(Payment(row))),
        NodeId::Invoice(id) => session.load(id).await?.map(|row| Node::Invoice(Invoice(row))),
        NodeId::Approval(id) => session.load(id).await?.map(|row| Node::Approval(Approval(row))),
        NodeId::Entry(id) => session.load(id).await?.map(|row| Node::LedgerEntry(LedgerEntry(row))),
    })
}
