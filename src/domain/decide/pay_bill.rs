//! A bill is paid because somebody asks.

use serde::Serialize;

use super::decision::Decide;
use super::draft::Draft;
use super::payment;
use crate::domain::ids::{AccountId, BillId};
use crate::domain::mutation::Mutation;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;
use crate::domain::stake::Stake;

/// Pays a bill.
#[derive(Debug, Clone, Serialize)]
pub struct PayBill(pub BillId);

impl Decide for PayBill {
    const MUTATION: Option<Mutation> = Some(Mutation::named("payBill"));
    const STAKE: Option<Stake> = Some(Stake::Payment);

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.bills.push(self.0.0);
        reads.payers.push(account);
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        payment::pay_asked(draft, self.0, "billId")
    }
}
