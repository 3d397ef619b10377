//! The file that names the cells of an installation.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use super::Secret;
use crate::domain::cell::CellNumber;

/// A cell, and where its database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellAddress {
    pub number: CellNumber,
    pub name: String,
    pub url: Secret,
    /// For who owns its schema, if that is another.
    pub migrate_url: Option<Secret>,
}

/// More than anybody has to read.
const NAME_LENGTH_MAX: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    cells: Vec<WrittenCell>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCell {
    number: i64,
    name: String,
    url: Option<String>,
    url_file: Option<String>,
    migrate_url: Option<String>,
    migrate_url_file: Option<String>,
}

/// Reads the file; the home cell is the first of what it answers, and the others follow by their numbers.
pub fn read_cells(path: &Path) -> Result<Vec<CellAddress>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("the cells of {}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    cells_of(&text).map_err(|error| failed(&error))
}

fn cells_of(text: &str) -> Result<Vec<CellAddress>, String> {
    let written: Written = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut cells: Vec<CellAddress> =
        written.cells.into_iter().map(WrittenCell::read).collect::<Result<_, _>>()?;
    cells.sort_by_key(|cell| cell.number);
    let mut known = BTreeSet::new();
    for CellAddress { number, name, url, .. } in &cells {
        if !known.insert(number.to_string()) {
            return Err(format!("there are two cells of the number {number}"));
        }
        if !known.insert(format!("name {name}")) {
            return Err(format!("there are two cells of the name \"{name}\""));
        }
        if !known.insert(format!("url {}", url.expose())) {
            return Err(format!("the database of the cell \"{name}\" is another cell's as well"));
        }
    }
    match cells.first() {
        Some(home) if home.number == CellNumber::HOME => Ok(cells),
        _ => Err("there is no home cell: the one of the number 0".to_owned()),
    }
}

impl WrittenCell {
    fn read(self) -> Result<CellAddress, String> {
        let Self { number, name, url, url_file, migrate_url, migrate_url_file } = self;
        let number =
            CellNumber::new(number).ok_or_else(|| format!("{number}: cells have numbers from 0 to 128"))?;
        let length = name.chars().count();
        if length == 0 || length > NAME_LENGTH_MAX || name.chars().any(char::is_control) {
            return Err(format!("cell {number}: its name has 1 to {NAME_LENGTH_MAX} characters"));
        }
        let url = secret(number, "url", url, url_file)?;
        let url = url.ok_or_else(|| format!("cell {number}: url or url_file is needed"))?;
        let migrate_url = secret(number, "migrate_url", migrate_url, migrate_url_file)?;
        Ok(CellAddress { number, name, url, migrate_url })
    }
}

/// A secret that is written, or in a file.
fn secret(
    cell: CellNumber,
    key: &str,
    written: Option<String>,
    file: Option<String>,
) -> Result<Option<Secret>, String> {
    let text = match (written, file) {
        (Some(_), Some(_)) => {
            return Err(format!("cell {cell}: {key} and {key}_file cannot be used together"));
        }
        (Some(written), None) => written,
        (None, Some(file)) => std::fs::read_to_string(&file)
            .map_err(|error| format!("cell {cell}: {key}_file: {file} cannot be read: {error}"))?
            .trim_end_matches(['\r', '\n'])
            .to_owned(),
        (None, None) => return Ok(None),
    };
    if text.is_empty() {
        return Err(format!("cell {cell}: {key} is empty"));
    }
    text.parse().map(Some).map_err(|never| match never {})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(number: i64, more: &str) -> String {
        format!(r#"{{"number": {number}, "name": "c{number}", "url": "postgres://db{number}/abacus"{more}}}"#)
    }

    fn said(cells: &[String]) -> Result<Vec<String>, String> {
        let read = cells_of(&format!(r#"{{"cells": [{}]}}"#, cells.join(", ")));
        Ok(read?.into_iter().map(|cell| cell.name).collect())
    }

    #[test]
    fn cells_are_answered_by_their_numbers_the_home_cell_first() {
        let read =
            said(&[cell(2, ""), cell(0, r#", "migrate_url": "postgres://owner@db0/abacus""#), cell(1, "")]);
        assert_eq!(read, Ok(vec!["c0".to_owned(), "c1".to_owned(), "c2".to_owned()]));
    }

    #[test]
    fn what_cannot_be_right_is_refused_and_said() {
        for (cells, why) in [
            (vec![], "no home cell"),
            (vec![cell(1, "")], "no home cell"),
            (vec![cell(0, ""), cell(129, "")], "from 0 to 128"),
            (vec![cell(0, ""), cell(-1, "")], "from 0 to 128"),
            (vec![cell(0, ""), cell(0, "")], "two cells of the number 0"),
            (vec![cell(0, ""), cell(1, "").replace("c1", "c0")], "two cells of the name"),
            (vec![cell(0, ""), cell(1, "").replace("db1", "db0")], "another cell's"),
            (vec![cell(0, r#", "shards": 4"#)], "unknown field"),
            (vec![cell(0, r#", "url_file": "/run/secrets/db""#)], "cannot be used together"),
            (vec![cell(0, "").replace("url", "migrate_url")], "url or url_file is needed"),
            (vec![cell(0, "").replace("postgres://db0/abacus", "")], "url is empty"),
            (vec![cell(0, "").replace("c0", "")], "1 to 64 characters"),
        ] {
            let said = said(&cells).unwrap_err();
            assert!(said.contains(why), "{why}: {said}");
            assert!(!said.contains("postgres://"), "{said}");
        }
    }
}
