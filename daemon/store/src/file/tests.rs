use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;
use crate::move_aside::QUARANTINED_FILES_MAX;

const PAGE_BYTES: usize = 4096;

/// A closed database with enough documents to fill several pages.
fn filled(path: &Path, kind: Kind) {
    let opened = open(path, kind, OnCorruption::Refuse).unwrap();
    for number in 0..100_u8 {
        opened.connection.execute("INSERT INTO documents VALUES (?1, ?2)", (vec![number], vec![number; 200])).unwrap();
    }
}

fn overwrite(path: &Path, offset: usize, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(offset as u64)).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn a_new_database_is_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site.db");
    let opened = open(&path, Kind::Site, OnCorruption::Refuse).unwrap();
    assert!(opened.documents.is_empty() && opened.quarantined.is_none());
    let files: Vec<_> = fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 3, "the database and its two logs");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, FILE_MODE, "{file:?}");
    }
}

#[test]
fn commits_wait_for_the_disk_and_memory_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let opened = open(&directory.path().join("site.db"), Kind::Site, OnCorruption::Refuse).unwrap();
    let check = |pragma: &str, expected: &str| {
        let sql = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
        let found: String = opened.connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        assert_eq!(found, expected, "{pragma}");
    };
    check("journal_mode", "wal");
    check("synchronous", "2");
    check("cache_size", "-256");
    let mapped = opened.connection.pragma_query_value(None, "mmap_size", |row| row.get::<_, i64>(0));
    assert_eq!(mapped.unwrap(), 0);
    let pages = opened.connection.pragma_query_value(None, "wal_autocheckpoint", |row| row.get::<_, u32>(0));
    assert_eq!(pages.unwrap(), CHECKPOINT_PAGES);
}

#[test]
fn a_corrupt_site_database_is_moved_aside_and_the_site_starts_empty() {
    let check = |offset: usize, bytes: &[u8]| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.db");
        filled(&path, Kind::Site);
        overwrite(&path, offset, bytes);
        let corrupt = fs::read(&path).unwrap();

        let opened = open(&path, Kind::Site, OnCorruption::Quarantine).unwrap();

        let aside = directory.path().join("site.db.corrupt-1");
        assert!(opened.documents.is_empty());
        assert_eq!(opened.quarantined.as_deref(), Some(aside.as_path()));
        assert_eq!(fs::read(aside).unwrap(), corrupt);
        drop(opened);
        assert_eq!(open(&path, Kind::Site, OnCorruption::Refuse).unwrap().quarantined, None);
    };
    check(0, b"not a database at all");
    check(36, &[9]);
    check(100, &[0xff; 8]);
    check(PAGE_BYTES, &[0xff; 64]);
    check(3 * PAGE_BYTES, &[0; PAGE_BYTES]);
}

#[test]
fn a_corrupt_fleet_database_is_rejected_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fleet.db");
    filled(&path, Kind::Fleet);
    overwrite(&path, PAGE_BYTES, &[0xff; 64]);
    let corrupt = fs::read(&path).unwrap();

    let refused = open(&path, Kind::Fleet, OnCorruption::Refuse).unwrap_err();

    assert!(matches!(&refused, StoreError::Corrupt { path: named, .. } if *named == path), "{refused}");
    assert!(refused.to_string().contains("restore it from a backup"), "{refused}");
    assert!(refused.needs_operator());
    assert_eq!(fs::read(&path).unwrap(), corrupt);
}

/// A build that was never released used other record keys: its databases are not converted.
#[test]
fn a_database_of_an_unreleased_build_is_refused_and_left_unchanged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site.db");
    filled(&path, Kind::Site);
    Connection::open(&path).unwrap().pragma_update(None, "user_version", OLDEST - 1).unwrap();
    let before = fs::read(&path).unwrap();

    let refused = open(&path, Kind::Site, OnCorruption::Quarantine).unwrap_err();

    assert!(matches!(refused, StoreError::TooOld { found, .. } if found == OLDEST - 1), "{refused}");
    assert!(fs::read(&path).unwrap() == before, "the file was changed");
}

/// Neither the database nor the log of a killed process is touched: the newer build finds both unchanged.
#[test]
fn a_newer_database_is_rejected_unchanged() {
    let written = tempfile::tempdir().unwrap();
    let newer = open(&written.path().join("site.db"), Kind::Site, OnCorruption::Refuse).unwrap();
    newer.connection.pragma_update(None, "user_version", LATEST + 1).unwrap();
    let killed = tempfile::tempdir().unwrap();
    let names = ["site.db", "site.db-wal"];
    for name in names {
        fs::copy(written.path().join(name), killed.path().join(name)).unwrap();
    }

    let refused = open(&killed.path().join("site.db"), Kind::Site, OnCorruption::Quarantine).unwrap_err();

    assert!(matches!(refused, StoreError::TooNew { found, .. } if found == LATEST + 1), "{refused}");
    for name in names {
        let [before, after] = [&written, &killed].map(|directory| fs::read(directory.path().join(name)).unwrap());
        assert!(before == after, "{name} was changed");
    }
}

#[test]
fn a_database_of_another_kind_is_rejected_and_never_moved_aside() {
    let directory = tempfile::tempdir().unwrap();
    let check = |path: &Path, kind, id| {
        let refused = open(path, kind, OnCorruption::Quarantine).unwrap_err();
        assert!(matches!(refused, StoreError::OtherKind { found, .. } if found == id), "{refused}");
    };
    let fleet = directory.path().join("fleet.db");
    filled(&fleet, Kind::Fleet);
    check(&fleet, Kind::Site, Kind::Fleet.application_id());

    let foreign = directory.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE documents (key, body)").unwrap();
    check(&foreign, Kind::Fleet, 0);
}

#[test]
fn a_database_whose_tables_are_not_ours_is_corrupt() {
    let check = |sql: &str| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("fleet.db");
        filled(&path, Kind::Fleet);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let refused = open(&path, Kind::Fleet, OnCorruption::Refuse).unwrap_err();
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused}");
    };
    check("DROP TABLE documents");
    check("PRAGMA user_version = 0");
    check("PRAGMA user_version = -1");
    check("DROP TABLE documents; CREATE TABLE documents (key, body); INSERT INTO documents VALUES ('text', 7)");
}

/// The state after a crash between the renames of a quarantine.
#[test]
fn a_log_without_its_database_is_not_replayed_into_a_fresh_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site.db");
    let opened = open(&path, Kind::Site, OnCorruption::Refuse).unwrap();
    opened.connection.execute("INSERT INTO documents VALUES (x'01', x'02')", []).unwrap();
    let log = fs::read(directory.path().join("site.db-wal")).unwrap();
    drop(opened);
    fs::remove_file(&path).unwrap();
    fs::write(directory.path().join("site.db-wal"), log).unwrap();

    assert!(open(&path, Kind::Site, OnCorruption::Refuse).unwrap().documents.is_empty());
}

#[test]
fn a_place_where_no_file_can_be_is_named() {
    let refused = open(Path::new("/nowhere/site.db"), Kind::Site, OnCorruption::Quarantine).unwrap_err();
    assert_eq!(refused.to_string(), "failed to create or open /nowhere/site.db");
    assert!(!refused.needs_operator());

    let directory = tempfile::tempdir().unwrap();
    let refused = open(directory.path(), Kind::Site, OnCorruption::Quarantine).unwrap_err();
    assert!(matches!(refused, StoreError::File { .. }), "{refused}");
}

/// `/proc` rejects new files from every user, root included, so the test needs no unprivileged user.
#[cfg(target_os = "linux")]
#[test]
fn a_directory_that_cannot_be_written_is_an_error_and_not_corruption() {
    let refused = open(Path::new("/proc/site.db"), Kind::Site, OnCorruption::Quarantine).unwrap_err();
    assert!(matches!(refused, StoreError::File { .. }), "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happened to the file, opening it succeeds, starts empty or returns an error. It never panics.
    #[test]
    fn no_corruption_makes_opening_panic(
        offset in prop_oneof![0..200_usize, 0..4 * PAGE_BYTES],
        bytes in proptest::collection::vec(any::<u8>(), 1..32),
        kept in proptest::option::of(0..6 * PAGE_BYTES),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.db");
        filled(&path, Kind::Site);
        overwrite(&path, offset, &bytes);
        if let Some(kept) = kept {
            OpenOptions::new().write(true).open(&path).unwrap().set_len(kept as u64).unwrap();
        }
        for _ in 0..=QUARANTINED_FILES_MAX {
            let _ = open(&path, Kind::Site, OnCorruption::Quarantine);
        }
    }
}
