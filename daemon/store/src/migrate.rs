//! Schema migrations: numbered files, each applied in one transaction.
//!
//! SQLite's `user_version` holds the number of the last migration applied to a database. Opening applies the remaining
//! ones in order. A new file gets all of them, so it cannot differ from a migrated one. A released migration is never
//! edited. A crash between two migrations leaves the database at a complete version.

use rusqlite::{Connection, TransactionBehavior};

use crate::kind::Kind;

/// The oldest version that this build reads. Version 1 was never released and used other record keys.
pub(crate) const OLDEST: u32 = 2;

/// The migrations in order: the one at index 0 leads to version [`OLDEST`].
const MIGRATIONS: [&str; 1] = [include_str!("schema/0002_documents.sql")];

/// The version after the last migration.
pub(crate) const LATEST: u32 = {
    assert!(MIGRATIONS.len() < 9_000, "a migration's file name has four digits");
    #[expect(clippy::cast_possible_truncation, reason = "fewer than 9,000")]
    let steps = MIGRATIONS.len() as u32;
    OLDEST - 1 + steps
};

/// A failed migration, with the cause.
#[derive(Debug)]
pub(crate) struct FailedMigration {
    pub(crate) version: u32,
    pub(crate) cause: rusqlite::Error,
}

/// Applies the migrations after `version`, up to [`LATEST`].
pub(crate) fn apply(connection: &mut Connection, kind: Kind, version: u32) -> Result<(), FailedMigration> {
    for (next, sql) in (OLDEST..).zip(MIGRATIONS) {
        if version < next {
            apply_one(connection, kind, next, sql).map_err(|cause| FailedMigration { version: next, cause })?;
        }
    }
    Ok(())
}

/// Every migration sets the application ID, so that no file has tables but no kind.
fn apply_one(connection: &mut Connection, kind: Kind, version: u32, sql: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(sql)?;
    transaction.pragma_update(None, "application_id", kind.application_id())?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_schema_file_is_a_migration() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/schema");
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names.len(), MIGRATIONS.len());
        for (version, name) in (OLDEST..).zip(names) {
            assert!(name.starts_with(&format!("{version:04}_")), "{name} is not migration {version}");
        }
    }

    /// Adding a migration changes this text: it is the schema of a file that this build has opened.
    #[test]
    fn the_migrations_end_in_the_expected_schema() {
        let mut connection = Connection::open_in_memory().unwrap();
        apply(&mut connection, Kind::Site, 0).unwrap();

        let schema: String =
            connection.query_row("SELECT group_concat(sql, ';') FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        let tokens: Vec<_> = schema.split_whitespace().collect();
        assert_eq!(
            tokens.join(" "),
            "CREATE TABLE documents ( key BLOB PRIMARY KEY NOT NULL, body BLOB NOT NULL ) WITHOUT ROWID, STRICT"
        );
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(version, LATEST);
    }

    #[test]
    fn a_failed_migration_leaves_nothing_behind() {
        let mut connection = Connection::open_in_memory().unwrap();
        let half_done = "CREATE TABLE half (a); CREATE TABLE half (a);";

        apply_one(&mut connection, Kind::Site, 1, half_done).unwrap_err();

        let tables: u32 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).unwrap();
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!((tables, version), (0, 0));
    }
}
