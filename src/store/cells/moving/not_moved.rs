//! Why an account is not moved, or not to its end.

use chrono_tz::Tz;

use crate::domain::cell::CellNumber;
use crate::domain::ids::AccountId;
use crate::store::error::StoreError;

/// Why something of an account that moved now would be done in neither cell, or in both.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Hindrance {
    #[error("there is no cell {0} in this installation")]
    NoSuchCell(CellNumber),
    #[error("the cell does not have the whole catalogue yet: try again once abacus_catalogue_behind is 0")]
    CatalogueBehind,
    #[error("{0} is being erased: move it once that is done")]
    BeingErased(AccountId),
    #[error("a month of {0} is being closed: move it once that is done")]
    MonthBeingClosed(Tz),
    #[error(
        "the cell that it goes to has closed a month of {0} that the other has not: move it once that is done"
    )]
    MonthBehind(Tz),
    #[error(
        "burst is charged later in the cell that it lives in than in the other: move it once that has caught up"
    )]
    BurstBehind,
}

/// Why an account is not moved, or not to its end. Asked again, it goes on where it was.
#[derive(Debug, thiserror::Error)]
pub enum NotMoved {
    #[error("there is no account {0}")]
    NoSuchAccount(AccountId),
    #[error("{0} is a SUB account: it moves with its MAIN account, {1}")]
    SubAccount(AccountId, AccountId),
    #[error("it is on its way to the cell \"{0}\" already: move it there first")]
    ToAnother(String),
    #[error("{0}")]
    Hindered(#[from] Hindrance),
    #[error("another account is being moved")]
    AnotherMoves,
    #[error("{0} does not let it be fenced off: what is written there takes too long")]
    Busy(&'static str),
    #[error("of {0} other rows came to the cell than had left: nothing is changed")]
    NotTheSame(&'static str),
    /// Whoever is told of the steps wants no more.
    #[error("it was stopped on the way: move it once more")]
    Stopped,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<diesel::result::Error> for NotMoved {
    fn from(error: diesel::result::Error) -> Self {
        Self::Store(error.into())
    }
}
