//! Events of a request that are refused for what is known beside them.

use crate::domain::usage::Fault;
use crate::store::database::Database;
use crate::store::error::StoreError;
use crate::store::usage::{Metered, marked};

/// An event that is refused: its place in the request, and why. The fault is its quantity.
pub(super) struct Refused {
    pub place: usize,
    pub message: String,
}

/// Makes faults of those that have not been counted before, which are let through to be answered as duplicates; answers why the
/// last one is refused.
pub(super) async fn refuse(
    database: &Database,
    events: &mut [Result<Metered, Fault>],
    refused: Vec<Refused>,
) -> Result<Option<String>, StoreError> {
    if refused.is_empty() {
        return Ok(None);
    }
    let of_place = |place: &Refused| events.get(place.place).and_then(|event| event.as_ref().ok());
    let conn = database.connection().await?;
    let counted = marked(&conn, refused.iter().filter_map(of_place)).await?;
    drop(conn);
    let mut last = None;
    for Refused { place, message } in refused {
        let Some(event) = events.get_mut(place) else { continue };
        let is_counted = event.as_ref().is_ok_and(|metered| counted.contains(&metered.event.id));
        if !is_counted {
            *event = Err(Fault::new("quantity", message.clone()));
            last = Some(message);
        }
    }
    Ok(last)
}
