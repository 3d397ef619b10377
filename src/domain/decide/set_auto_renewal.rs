//! Whether an order is renewed when it ends.

use std::sync::Arc;

use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use crate::domain::ids::{AccountId, OrderId};
use crate::domain::mutation::Mutation;
use crate::domain::order::Order;
use crate::domain::outcome::Outcome;
use crate::domain::period::BillPeriod;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::stake::Stake;

/// Says whether an order is renewed when it ends.
#[derive(Debug, Clone, Serialize)]
pub struct SetAutoRenewal {
    pub order: OrderId,
    pub auto_renewal: bool,
}

impl Decide for SetAutoRenewal {
    const MUTATION: Option<Mutation> = Some(Mutation::named("setAutoRenewal"));
    const STAKE: Option<Stake> = Some(Stake::Setting);

    fn needs(&self, _: AccountId, reads: &mut ReadSet) {
        reads.orders.push(self.order.0);
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        draft.require_open()?;
        let order = draft.named_order(self.order)?;
        let refuse = |message: &str| Err(Refusal::new(RefusalCode::Invalid, "orderId", message));
        if !order.state.is_live() {
            return refuse("the order is over");
        }
        if order.bill_period == BillPeriod::Hour {
            return refuse("an order on demand has no end");
        }
        if order.renewed_by.is_some() {
            return refuse("another order continues this one: set it there");
        }
        let order: Arc<Order> = draft.put_order(Order { auto_renewal: self.auto_renewal, ..order });
        Ok(Outcome { order: Some(order), ..Outcome::default() })
    }
}
