//! What the mutations that move money must come to, said once more: a plain map of what an account has, with none of the
//! server's code, and players who ask a real server for the same and compare.
//!
//! One who plays an account asks for one thing after the other, each again until it is answered, so that what must come of
//! it is known whatever befalls the server meanwhile. Many play at once, and a move can be many requests at once.

pub mod account;
pub mod market;
pub mod moves;
pub mod player;
pub mod shrink;

pub use market::Market;
pub use moves::{Step, random_steps};
pub use player::{Net, Player};
