//! Lanes: what many ask for at once is written as one transaction, batch after batch, for as long as the server runs.
//!
//! The engine's lanes write commands, the meter's write usage (docs/adr/0003, docs/adr/0011). What both share is here: a lane's life, its
//! connection, how often what fails is tried and how it is halved, whether the lane can write, and how it is stopped. What a batch is, and
//! what is answered, is theirs (docs/adr/0032).

mod connection;
mod crew;
mod parts;
mod places;
mod retry;
mod run;
mod state;
mod teller;
mod trial;
mod turns;

pub use connection::{LaneConnection, in_time};
pub use crew::Crew;
pub use parts::Parts;
pub use places::{Attendant, Batch, Place, Places};
pub use retry::{ATTEMPTS_MAX, Retry};
pub use run::Lane;
pub use state::{LaneKind, LaneNumber, LaneState, LaneWatch};
pub use teller::{NoticeQueue, NoticeSink, Teller};
pub use trial::still_in_the_way;
pub use turns::Next;
