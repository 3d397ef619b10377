//! What one operator asks for and another has to allow: refunds, adjustments, payouts and credit limits above amounts that the
//! provider has set. docs/adr/0024 has the reasons.

mod asked;
mod policy;

use chrono::{DateTime, Utc};

use super::codes::coded_enum;
use super::ids::{AccountId, ApprovalId, TransactionId};
use super::money::Money;
use super::mutation::{Mutation, UPDATE_ACCOUNT};
use super::refusal::{Refusal, RefusalCode};

pub use asked::input_of;
pub use policy::{ApprovalPolicy, ApprovalSettingError, COUNTED_TOGETHER};

/// So many of an account wait at once.
pub const PENDING_MAX: usize = 100;

coded_enum! {
    /// Where what was asked for stands.
    ApprovalState {
        /// Another operator has to decide.
        Pending = "PENDING",
        /// Another has allowed it, and it was carried out with that.
        Done = "DONE",
        Rejected = "REJECTED",
        /// Nobody has decided in time.
        Expired = "EXPIRED",
    }
}

/// What one operator has asked for and another has to allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    pub id: ApprovalId,
    /// The mutation that was asked for.
    pub mutation: Mutation,
    /// Its input, but for the account and the key, as canonical JSON.
    pub input: String,
    /// What it came to when it was asked for: the money that it moves, or the new credit limit.
    pub money: Money,
    /// Its key; None of a mutation that has none.
    pub key: Option<String>,
    /// The subject of the token that it was asked with.
    pub asked_by: String,
    pub asked_at: DateTime<Utc>,
    pub state: ApprovalState,
    /// The subject of the token that it was decided with; None also of what has expired.
    pub decided_by: Option<String>,
    pub decided_at: Option<DateTime<Utc>>,
    /// What was said with the decision.
    pub reason: Option<String>,
    /// When it expires, while it is pending.
    pub next_step_at: Option<DateTime<Utc>>,
}

impl Approval {
    pub fn account(&self) -> AccountId {
        self.id.account()
    }

    pub fn is_done(&self) -> bool {
        self.state == ApprovalState::Done
    }

    /// Whether this is what waits in it.
    pub fn is_for(&self, mutation: &Mutation, input: &str) -> bool {
        self.mutation == *mutation && self.input == input
    }

    /// The same, over.
    pub fn ended(&self, state: ApprovalState, at: DateTime<Utc>) -> Self {
        Self { state, decided_at: Some(at), next_step_at: None, ..self.clone() }
    }

    /// What is told to whoever asks for it, as long as it is not done.
    pub fn refusal(&self) -> Refusal {
        let id = self.id;
        let message = match self.state {
            ApprovalState::Pending => format!("another operator has to allow it: approval {id}"),
            ApprovalState::Rejected => {
                let reason = self.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                format!("approval {id} was rejected{reason}: to ask once more takes another key")
            }
            ApprovalState::Expired => {
                format!("approval {id} has expired: to ask once more takes another key")
            }
            ApprovalState::Done => format!("approval {id} is done"),
        };
        Refusal::new(RefusalCode::ApprovalNeeded, weighed_field(&self.mutation), message)
    }
}

/// What an operator has moved without another's approval: what he moves of an account within a day counts together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorMove {
    pub transaction: TransactionId,
    pub by: String,
    pub money: Money,
}

/// The field of a mutation's input by which it is too much for one operator.
pub fn weighed_field(mutation: &Mutation) -> &'static str {
    if mutation.name() == UPDATE_ACCOUNT { "creditLimit" } else { "amount" }
}
