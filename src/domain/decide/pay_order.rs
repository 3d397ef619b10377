//! The earliest unpaid bill of an order is paid because somebody asks.

use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::payment;
use crate::domain::bill::BillStatus;
use crate::domain::ids::{AccountId, OrderId};
use crate::domain::mutation::Mutation;
use crate::domain::order::OrderState;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::stake::Stake;

/// Pays an order's earliest unpaid bill.
#[derive(Debug, Clone, Serialize)]
pub struct PayOrder(pub OrderId);

impl Decide for PayOrder {
    const MUTATION: Option<Mutation> = Some(Mutation::named("payOrder"));
    const STAKE: Option<Stake> = Some(Stake::Payment);

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.orders.push(self.0.0);
        reads.payers.push(account);
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        let Self(id) = *self;
        let order = draft.named_order(id)?;
        let bills = draft.bills_of(id);
        let Some(bill) = bills.iter().find(|bill| bill.is_open()) else {
            return Err(match order.state {
                OrderState::Cancelled => {
                    Refusal::new(RefusalCode::Invalid, "orderId", "the order is cancelled")
                }
                _ if bills.iter().any(|bill| bill.status == BillStatus::Void) => Refusal::new(
                    RefusalCode::Invalid,
                    "orderId",
                    "no bill of the order is to be paid any more",
                ),
                _ if bills.is_empty() => {
                    Refusal::new(RefusalCode::Invalid, "orderId", "an order on demand is billed afterwards")
                }
                _ => Refusal::new(RefusalCode::AlreadyPaid, "orderId", "every bill of the order is paid"),
            });
        };
        payment::pay_asked(draft, bill.id, "orderId")
    }
}
