//! What a command is to those that carry it out.

use super::draft::Draft;
use crate::domain::ids::AccountId;
use crate::domain::money::Money;
use crate::domain::mutation::Mutation;
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::Refusal;
use crate::domain::stake::Stake;

/// What can be done to an account: who may ask for it, what has to be read for it, and what it does.
pub trait Decide {
    /// The mutation that asks for it, with a key; None: nobody does, or without one.
    const MUTATION: Option<Mutation> = None;

    /// What it has to do with money; None for what operators and jobs alone have done.
    const STAKE: Option<Stake> = None;

    /// Whether it is carried out of an account whose last entry is dated into the future, where that is accepted. What falls due by
    /// itself is judged by the instant of its decision, and would end, suspend and ask for too early: it waits.
    const IS_FOLLOWED: bool = true;

    /// Names what has to be read before it is decided.
    fn needs(&self, account: AccountId, reads: &mut ReadSet);

    /// Does it to the draft, or refuses to.
    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal>;

    /// What of it another operator may have to allow: the money that it has moved, or a limit that it raises; None: nothing.
    fn weight(&self, _draft: &Draft<'_>, _made: &Outcome) -> Option<Money> {
        None
    }
}

impl<T: Decide> Decide for Box<T> {
    const MUTATION: Option<Mutation> = T::MUTATION;
    const STAKE: Option<Stake> = T::STAKE;
    const IS_FOLLOWED: bool = T::IS_FOLLOWED;

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        T::needs(self, account, reads);
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        T::decide(self, draft)
    }

    fn weight(&self, draft: &Draft<'_>, made: &Outcome) -> Option<Money> {
        T::weight(self, draft, made)
    }
}
