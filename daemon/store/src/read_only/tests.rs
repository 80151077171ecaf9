use std::fs;
use std::io;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use super::*;
use crate::{Answer, Change, Opened, Store, StoreFault};

const PATIENCE: Duration = Duration::from_secs(20);

/// A directory with a database that contains `a`, optionally with the log that a crash leaves behind.
struct Fixture {
    directory: tempfile::TempDir,
}

impl Fixture {
    fn new(with_log: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("site.db");
        let (opened, answers) = open(&path, OnCorruption::Refuse).unwrap();
        submit(&opened.store, 1, b"a");
        answers.recv_timeout(PATIENCE).unwrap().result.unwrap();
        if !with_log {
            opened.store.close();
            return Self { directory };
        }
        // As after a crash: the log exists, its index does not.
        let crashed = tempfile::tempdir().unwrap();
        for name in ["site.db", "site.db-wal"] {
            fs::copy(directory.path().join(name), crashed.path().join(name)).unwrap();
        }
        Self { directory: crashed }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("site.db")
    }

    /// SQLite needs a file of this name before it can write. A symlink to itself stops every user, root included.
    fn block(&self) {
        std::os::unix::fs::symlink("site.db-shm", self.directory.path().join("site.db-shm")).unwrap();
    }

    fn unblock(&self) {
        fs::remove_file(self.directory.path().join("site.db-shm")).unwrap();
    }

    fn files(&self) -> Vec<(std::ffi::OsString, Vec<u8>)> {
        let entries = fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> =
            entries.map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap_or_default())).collect();
        files.sort();
        files
    }
}

fn open(path: &Path, on_corruption: OnCorruption) -> Result<(Opened, Receiver<Answer>), StoreError> {
    let (sender, answers) = mpsc::channel();
    let opened = Store::open(path, Kind::Site, on_corruption, move |answer| drop(sender.send(answer)))?;
    Ok((opened, answers))
}

fn submit(store: &Store, write: u64, key: &[u8]) {
    store.submit(write, vec![Change { key: key.to_vec(), body: Some(Vec::new()) }]).unwrap();
}

fn fault(answers: &Receiver<Answer>) -> StoreFault {
    answers.recv_timeout(PATIENCE).unwrap().result.unwrap_err()
}

fn read_only(path: &Path) -> StoreError {
    StoreError::File { path: path.to_owned(), source: io::ErrorKind::ReadOnlyFilesystem.into() }
}

fn keys(documents: &[Document]) -> Vec<&[u8]> {
    documents.iter().map(|(key, _)| key.as_slice()).collect()
}

#[test]
fn a_read_only_database_is_read_and_written_once_it_is_writable() {
    for with_log in [false, true] {
        let fixture = Fixture::new(with_log);
        fixture.block();
        let (opened, answers) = open(&fixture.path(), OnCorruption::Quarantine).unwrap();
        assert_eq!(keys(&opened.documents), [b"a"], "log: {with_log}");
        assert!(opened.unwritable.is_some());

        submit(&opened.store, 1, b"b");
        assert_eq!(fault(&answers).kind, FaultKind::ReadOnly, "log: {with_log}");
        opened.store.resume(1);
        opened.store.submit(2, Vec::new()).unwrap();
        assert!(answers.recv_timeout(PATIENCE).unwrap().result.is_ok(), "what changes nothing needs no disk");

        fixture.unblock();
        submit(&opened.store, 3, b"c");
        assert_eq!(answers.recv_timeout(PATIENCE).unwrap(), Answer { write: 3, result: Ok(()) });
        opened.store.close();
        let (again, _) = open(&fixture.path(), OnCorruption::Refuse).unwrap();
        assert_eq!(keys(&again.documents), [b"a", b"c"]);
        assert!(again.unwritable.is_none());
    }
}

#[test]
fn a_database_and_its_log_are_read_without_changes() {
    for with_log in [false, true] {
        let fixture = Fixture::new(with_log);
        let before = fixture.files();
        let found =
            Unwritable::read((&fixture.path(), Kind::Site, OnCorruption::Refuse), read_only(&fixture.path())).unwrap();
        assert_eq!(keys(&found.1), [b"a"]);
        drop(found);
        assert_eq!(fixture.files(), before, "log: {with_log}");
    }
}

#[test]
fn another_database_in_its_place_is_not_written() {
    let fixture = Fixture::new(false);
    fixture.block();
    let (opened, answers) = open(&fixture.path(), OnCorruption::Quarantine).unwrap();
    fixture.unblock();
    let other = open(&fixture.path(), OnCorruption::Refuse).unwrap().0;
    submit(&other.store, 1, b"z");
    other.store.close();
    submit(&opened.store, 1, b"b");
    let fault = fault(&answers);
    assert!(fault.text.contains("restart"), "{}", fault.text);
}

#[test]
fn a_missing_database_is_empty_for_a_site_and_an_error_for_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("site.db");
    let read = |on_corruption| Unwritable::read((&path, Kind::Site, on_corruption), read_only(&path));
    assert_eq!(read(OnCorruption::Quarantine).unwrap().1, []);
    read(OnCorruption::Refuse).unwrap_err();
    fs::write(&path, "rubbish".repeat(1000)).unwrap();
    assert_eq!(read(OnCorruption::Quarantine).unwrap().1, []);
    read(OnCorruption::Refuse).unwrap_err();
}

#[test]
fn only_write_failures_open_read_only() {
    let fixture = Fixture::new(false);
    let path = fixture.path();
    let check = |problem, is_read: bool| {
        let read = Unwritable::read((&path, Kind::Site, OnCorruption::Quarantine), problem);
        assert_eq!(read.is_ok(), is_read, "{read:?}");
    };
    for kind in [io::ErrorKind::ReadOnlyFilesystem, io::ErrorKind::PermissionDenied, io::ErrorKind::StorageFull] {
        check(StoreError::File { path: path.clone(), source: kind.into() }, true);
    }
    check(StoreError::File { path: path.clone(), source: io::ErrorKind::NotFound.into() }, false);
    check(StoreError::TooNew { path: path.clone(), found: 9, supported: 1 }, false);
}
