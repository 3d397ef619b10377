//! What is sealed of what waits for another operator: whoever could write it could have money moved by one alone.

use super::{Sealed, Sealing};
use crate::domain::approval::Approval;
use crate::domain::ids::AccountId;

impl Sealed for Approval {
    const KIND: &'static str = "approval";

    fn owner(&self) -> AccountId {
        self.account()
    }

    fn name(&self) -> String {
        self.id.to_string()
    }

    fn tell(&self, to: &mut Sealing) {
        let Self {
            id,
            mutation,
            input,
            money,
            key,
            asked_by,
            asked_at,
            state,
            decided_by,
            decided_at,
            reason,
            next_step_at,
        } = self;
        to.uuid(id.uuid());
        to.text(mutation.name());
        to.text(input);
        to.text(money.currency.as_str());
        to.number(money.amount);
        to.maybe(key.as_deref(), Sealing::text);
        to.text(asked_by);
        to.instant(*asked_at);
        to.text(state.code());
        to.maybe(decided_by.as_deref(), Sealing::text);
        to.maybe(*decided_at, Sealing::instant);
        to.maybe(reason.as_deref(), Sealing::text);
        to.maybe(*next_step_at, Sealing::instant);
    }
}
