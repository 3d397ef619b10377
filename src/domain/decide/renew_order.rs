//! An order is renewed because somebody asks.

use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::renewal;
use crate::domain::ids::{AccountId, OrderId};
use crate::domain::mutation::Mutation;
use crate::domain::order::PERIODS_MAX;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::stake::Stake;

/// Continues an order with a new one, at the plan's price of now.
#[derive(Debug, Clone, Serialize)]
pub struct RenewOrder {
    pub order: OrderId,
    /// How many periods the new order runs.
    pub periods: i32,
}

impl Decide for RenewOrder {
    const MUTATION: Option<Mutation> = Some(Mutation::named("renewOrder"));
    const STAKE: Option<Stake> = Some(Stake::Purchase);

    fn needs(&self, _: AccountId, reads: &mut ReadSet) {
        reads.orders.push(self.order.0);
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        draft.require_active()?;
        if !(1..=PERIODS_MAX).contains(&self.periods) {
            let message = format!("must be from 1 to {PERIODS_MAX}");
            return Err(Refusal::new(RefusalCode::OutOfRange, "periods", message));
        }
        let order = draft.named_order(self.order)?;
        renewal::renew(draft, &order, self.periods)
    }
}
