//! Adjustment: an operator corrects a balance.

use rust_decimal::Decimal;
use serde::Serialize;

use super::amounts::{AMOUNT_MAX, require_ledger_places};
use super::decision::Decide;
use super::draft::Draft;
use super::{forced, payment, weighing};
use crate::domain::ids::AccountId;
use crate::domain::ledger::Posting;
use crate::domain::money::Money;
use crate::domain::mutation::{ADJUST_BALANCE, Mutation};
use crate::domain::outcome::Outcome;
use crate::domain::read_set::ReadSet;
use crate::domain::refusal::{Refusal, RefusalCode};
use crate::domain::spelling::by_value;
use crate::domain::transaction::{Ledger, Movement, TransactionKind};

/// Corrects a balance.
#[derive(Debug, Clone, Serialize)]
pub struct AdjustBalance {
    /// Negative takes away.
    #[serde(serialize_with = "by_value")]
    pub amount: Decimal,
    pub reason: String,
    /// Takes it away even where the balance does not hold it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

impl Decide for AdjustBalance {
    const MUTATION: Option<Mutation> = Some(Mutation::named(ADJUST_BALANCE));

    fn needs(&self, account: AccountId, reads: &mut ReadSet) {
        reads.payers.push(account);
        if self.force {
            reads.may_suspend(account, None);
        }
    }

    fn decide(&self, draft: &mut Draft<'_>) -> Result<Outcome, Refusal> {
        require_ledger_amount(draft, self.amount)?;
        let amount = self.amount.abs();
        let gives = self.amount > Decimal::ZERO;
        if !self.force {
            draft.require_open()?;
            if !gives {
                draft.require_available(amount)?;
            }
        }
        let (debit, credit) = if gives {
            (Ledger::Promotions, Ledger::Customer)
        } else {
            (Ledger::Customer, Ledger::Promotions)
        };
        let transaction = draft.transaction_of(Movement {
            kind: TransactionKind::Adjustment,
            money: Money::new(amount, draft.currency.code),
            debit,
            credit,
            description: self.reason.clone(),
            payment_method: "balance".to_owned(),
        })?;
        let posting = Posting::because(format!("Adjustment: {}", self.reason));
        let transaction = if gives {
            let given = draft.post(transaction, posting)?;
            payment::settle(draft)?;
            given
        } else {
            forced::debit(draft, transaction, posting, "a correction")?
        };
        Ok(Outcome { transaction: Some(transaction), ..Outcome::default() })
    }

    fn weight(&self, _: &Draft<'_>, made: &Outcome) -> Option<Money> {
        weighing::moved(made)
    }
}

/// Refuses zero, more places than the ledger keeps, and what is too large.
fn require_ledger_amount(draft: &Draft<'_>, amount: Decimal) -> Result<(), Refusal> {
    if amount.is_zero() {
        return Err(Refusal::new(RefusalCode::Invalid, "amount", "must not be zero"));
    }
    require_ledger_places(&draft.currency, "amount", amount)?;
    if amount.abs() > AMOUNT_MAX {
        let message = format!("must be within {} either way", draft.currency.format(AMOUNT_MAX));
        return Err(Refusal::new(RefusalCode::OutOfRange, "amount", message));
    }
    Ok(())
}
