//! Anchors: where all ledgers ended at an instant, as the root of a Merkle tree that is signed with a key of its own. Who has kept one
//! can tell whether what a ledger said then is what it says now, whoever wrote to the database since. docs/adr/0036 has the reasons.

mod growth;
mod head;
mod keys;
pub mod merkle;
mod public_key;
mod receipt;
mod signed;

pub use growth::{AnchorGrowth, AnchorTree, HeadChange, PAGE_LEAVES, Page, PagesFault, root_of_pages};
pub use head::{AnchoredHead, LedgerEnd};
pub use keys::{AnchorKeyError, AnchorKeys, BrokenAnchor};
pub use public_key::PublicKey;
pub use receipt::{Attestation, Proof, Receipt, ReceiptError};
pub use signed::{Anchor, AnchorFacts, is_due, number_after};
