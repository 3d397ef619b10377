use crate::domain::money::OutOfRange;

/// Why a month has no invoice yet. What something is worth in another currency is none of the reasons.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeldUp {
    #[error("what it comes to is out of range")]
    OutOfRange,
    #[error("it has more payments than can be read")]
    TooMany,
    #[error("something that is given back is on its way")]
    UnderWay,
    /// What the database said of it.
    #[error("its payments could not be read: {0}")]
    Unreadable(String),
}

impl From<OutOfRange> for HeldUp {
    fn from(_: OutOfRange) -> Self {
        Self::OutOfRange
    }
}
