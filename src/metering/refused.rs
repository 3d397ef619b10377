//! Events of a request that are refused for what is known beside them.

use std::collections::HashSet;

use crate::domain::ids::AccountId;
use crate::domain::usage::Fault;
use crate::store::cells::Cells;
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
    cells: &Cells,
    events: &mut [Result<Metered, Fault>],
    refused: Vec<Refused>,
) -> Result<Option<String>, StoreError> {
    if refused.is_empty() {
        return Ok(None);
    }
    let of_place = |place: &Refused| events.get(place.place).and_then(|event| event.as_ref().ok());
    let named: Vec<&Metered> = refused.iter().filter_map(of_place).collect();
    let mut counted = HashSet::new();
    for (place, accounts) in cells.shares(named.iter().map(|metered| metered.event.account).collect()) {
        let accounts: HashSet<AccountId> = accounts.into_iter().collect();
        let conn = cells.at(place).database.connection().await?;
        let there = named.iter().copied().filter(|metered| accounts.contains(&metered.event.account));
        counted.extend(marked(&conn, there).await?);
    }
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
