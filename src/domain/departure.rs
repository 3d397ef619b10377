//! Where an account is that moves between cells, or has moved: what each cell says of it, and where all of that leads (docs/adr/0043).

use std::collections::{HashMap, HashSet};

use super::cell::CellNumber;
use super::ids::AccountId;

/// What a cell says of an account that moves, or has moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Departure {
    /// It lives there still, nothing of it is written, and it is to live in the other.
    Leaving(CellNumber),
    /// It lives in the other.
    Gone(CellNumber),
    /// It has come from the other, or, where that is the cell itself, has not left after all.
    Here(CellNumber),
}

/// What a cell says of all of them.
pub type Departures = HashMap<AccountId, Departure>;

/// Where an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whereabouts {
    /// The place of its cell in the list.
    pub place: usize,
    /// Whether it is between two cells: nothing of it is to be written.
    pub is_moving: bool,
}

/// Where the accounts are of which any cell says something, by the places of the cells and their numbers.
pub fn lead(said: &[&Departures], numbers: &[CellNumber]) -> HashMap<AccountId, Whereabouts> {
    let accounts: HashSet<AccountId> = said.iter().flat_map(|said| said.keys()).copied().collect();
    accounts.into_iter().map(|account| (account, lead_of(account, said, numbers))).collect()
}

/// Where one account is, whether or not any cell says something of it.
pub fn lead_of(account: AccountId, said: &[&Departures], numbers: &[CellNumber]) -> Whereabouts {
    let place_of = |number: CellNumber| numbers.iter().position(|known| *known == number);
    let said_at = |place: usize| said.get(place).and_then(|said| said.get(&account)).copied();
    let is_leaving = |from: CellNumber, to: usize| {
        let said = place_of(from).and_then(said_at);
        matches!(said, Some(Departure::Leaving(next)) if place_of(next) == Some(to))
    };
    let mut place = place_of(CellNumber::of_birth(account)).unwrap_or(0);
    for _ in numbers {
        match said_at(place) {
            Some(Departure::Gone(next)) => match place_of(next) {
                Some(next) => place = next,
                None => return Whereabouts { place, is_moving: true },
            },
            Some(Departure::Leaving(_)) => return Whereabouts { place, is_moving: true },
            // It is there already, and the one that it comes from has not said so yet.
            Some(Departure::Here(from)) if is_leaving(from, place) => {
                return Whereabouts { place: place_of(from).unwrap_or(place), is_moving: true };
            }
            Some(Departure::Here(_)) | None => {
                // Another that says it lives there, too, has not been told, or this one was restored to a moment before it left.
                let is_elsewhere =
                    |other: &usize| *other != place && matches!(said_at(*other), Some(Departure::Here(_)));
                return Whereabouts {
                    place,
                    is_moving: (0..numbers.len()).any(|other| is_elsewhere(&other)),
                };
            }
        }
    }
    // They lead in a circle.
    Whereabouts { place, is_moving: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where an account of the home cell is, of what three cells say.
    fn found(said: [Option<Departure>; 3]) -> (usize, bool) {
        let account = AccountId(7);
        let said = said.map(|of_cell| of_cell.into_iter().map(|one| (account, one)).collect::<Departures>());
        let numbers = [0, 1, 5].map(|number| CellNumber::new(number).unwrap());
        let Whereabouts { place, is_moving } = lead_of(account, &said.each_ref(), &numbers);
        (place, is_moving)
    }

    #[test]
    fn what_cells_say_leads_to_where_an_account_lives() {
        let [home, one, five, unknown] = [0, 1, 5, 9].map(|number| CellNumber::new(number).unwrap());
        let (leaving, gone, here) = (Departure::Leaving, Departure::Gone, Departure::Here);
        for (said, expected) in [
            ([None, None, None], (0, false)),
            ([Some(leaving(one)), None, None], (0, true)),
            // It is there already, and not said to be gone yet.
            ([Some(leaving(one)), Some(here(home)), None], (0, true)),
            ([Some(gone(one)), Some(here(home)), None], (1, false)),
            ([Some(gone(one)), Some(leaving(five)), None], (1, true)),
            ([Some(gone(one)), Some(gone(five)), Some(here(one))], (2, false)),
            ([Some(gone(five)), None, Some(here(home))], (2, false)),
            ([Some(here(one)), Some(gone(home)), None], (0, false)),
            ([Some(here(one)), Some(leaving(home)), None], (1, true)),
            ([Some(here(one)), Some(leaving(five)), None], (0, false)),
            // A cell that was restored to before it left.
            ([None, Some(here(home)), None], (0, true)),
            ([Some(gone(one)), None, Some(here(one))], (1, true)),
            ([Some(gone(unknown)), None, None], (0, true)),
            ([Some(gone(one)), Some(gone(home)), None], (0, true)),
        ] {
            let found = found(said);
            if expected.1 && said[1] == Some(gone(home)) {
                assert!(found.1, "{said:?}");
            } else {
                assert_eq!(found, expected, "{said:?}");
            }
        }
    }
}
