//! What a migration locks, before it runs. Each says so itself, in a line of its `up.sql` that begins with `-- Locks: `.

use include_dir::{Dir, include_dir};

/// The line that tells.
const SAYS: &str = "-- Locks: ";

/// The migrations' folders, as they were when this was built.
static FOLDERS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../migrations");

/// What the migration of that name locks, if it says so: those from number 27 on do.
pub(super) fn locks_of(name: &str) -> Option<&'static str> {
    says(FOLDERS.get_file(format!("{name}/up.sql"))?.contents_utf8()?)
}

fn says(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix(SAYS))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    /// Where all partitions have an index, it cannot be built beside those who write.
    const PARTITIONED: [&str; 1] = ["USAGE_EVENTS"];

    /// From this one on.
    const FIRST: u32 = 27;

    /// The folders that say what they lock.
    fn folders() -> Vec<PathBuf> {
        let all = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations")).unwrap();
        let number = |path: &Path| -> u32 {
            let name = path.file_name().unwrap().to_str().unwrap();
            name[11..17].parse().unwrap()
        };
        let mut folders: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).collect();
        folders.retain(|path| number(path) >= FIRST);
        folders.sort();
        folders
    }

    fn up(folder: &Path) -> String {
        fs::read_to_string(folder.join("up.sql")).unwrap()
    }

    /// The statements of a migration, without comments, each in one line.
    fn statements(text: &str) -> Vec<String> {
        let code = text.lines().map(|line| line.split("--").next().unwrap()).collect::<Vec<_>>().join(" ");
        let plain = code.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
        plain.split(';').map(|statement| statement.trim().to_owned()).filter(|s| !s.is_empty()).collect()
    }

    #[test]
    fn every_migration_says_what_it_locks() {
        for folder in folders() {
            let name = folder.file_name().unwrap().to_str().unwrap();
            assert!(says(&up(&folder)).is_some(), "{name}/up.sql has no line that begins with {SAYS:?}");
            assert!(locks_of(name).is_some(), "{name} does not say what it locks");
        }
    }

    #[test]
    fn indexes_of_tables_that_may_be_filled_are_built_beside_those_who_write() {
        for folder in folders() {
            let name = folder.file_name().unwrap().to_str().unwrap();
            let metadata = fs::read_to_string(folder.join("metadata.toml")).unwrap_or_default();
            let statements = statements(&up(&folder));
            if metadata.contains("run_in_transaction = false") {
                // Several would be one transaction; and what was built, but not noted, is not built again.
                assert_eq!(statements.len(), 1, "{name}: a migration outside a transaction is one statement");
                let statement = &statements[0];
                let begins = |with: &[&str]| with.iter().any(|begin| statement.starts_with(begin));
                let is_concurrent = begins(&[
                    "CREATE INDEX CONCURRENTLY IF NOT EXISTS ",
                    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ",
                    "DROP INDEX CONCURRENTLY IF EXISTS ",
                ]);
                assert!(is_concurrent, "{name}: {statement}");
                continue;
            }
            for statement in &statements {
                let Some((_, of)) =
                    statement.split_once("INDEX ").filter(|(what, _)| what.starts_with("CREATE"))
                else {
                    continue;
                };
                let table = of.split_once(" ON ").unwrap().1.split([' ', '(']).next().unwrap();
                let is_new =
                    statements.iter().any(|made| made.starts_with(&format!("CREATE TABLE {table} ")));
                assert!(
                    is_new || PARTITIONED.contains(&table),
                    "{name}: {table} may be filled: CREATE INDEX CONCURRENTLY IF NOT EXISTS, in a folder of its own"
                );
            }
        }
    }
}
