mod model;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::error::FaultKind;
use crate::queue::QUEUE_WRITES_MAX;

/// Far longer than any disk needs; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

fn put(key: &str, body: &[u8]) -> Change {
    Change { key: key.into(), body: Some(body.to_vec()) }
}

fn delete(key: &str) -> Change {
    Change { key: key.into(), body: None }
}

/// A store in its own directory. While the gate is held, the writer waits at the end of each answer.
struct Bench {
    /// Declared before the store, so that a failing test does not wait for a writer that waits for the gate.
    gate: Option<Sender<()>>,
    store: Option<Store>,
    answers: Receiver<Answer>,
    directory: TempDir,
    documents: Vec<Document>,
}

impl Bench {
    fn new() -> Self {
        Self::in_directory(tempfile::tempdir().unwrap(), |_| {})
    }

    /// Opens a store with a connection that `setup` has made fail in some way.
    fn faulty(setup: impl FnOnce(&Connection)) -> Self {
        Self::in_directory(tempfile::tempdir().unwrap(), setup)
    }

    fn in_directory(directory: TempDir, setup: impl FnOnce(&Connection)) -> Self {
        let path = directory.path().join("site.db");
        let opened = file::open(&path, Kind::Site, OnCorruption::Refuse).unwrap();
        setup(&opened.connection);
        let (answer_tx, answers) = mpsc::channel();
        let (gate, gate_rx) = mpsc::channel::<()>();
        let answer = move |answer| {
            answer_tx.send(answer).unwrap();
            // An error means that the gate is open: its other end is dropped.
            let _ = gate_rx.recv();
        };
        let store = Some(Store::start(&path, Database::Open(opened.connection), answer).unwrap());
        Self { directory, store, answers, gate: Some(gate), documents: opened.documents }
    }

    fn free_running(mut self) -> Self {
        self.open_gate();
        self
    }

    /// Opens the gate: from now on the writer does not wait.
    fn open_gate(&mut self) {
        self.gate = None;
    }

    fn reopened(mut self) -> Self {
        self.open_gate();
        self.store = None;
        Self::in_directory(self.directory, |_| {}).free_running()
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn submit(&self, write: u64, change: Change) {
        self.store().submit(write, vec![change]).unwrap();
    }

    fn answer(&self) -> (u64, Option<FaultKind>) {
        let Answer { write, result } = self.answers.recv_timeout(PATIENCE).unwrap();
        (write, result.err().map(|fault| fault.kind))
    }

    fn keys(&self) -> Vec<&str> {
        self.documents.iter().map(|(key, _)| str::from_utf8(key).unwrap()).collect()
    }
}

/// Leaves space for small documents, but not for [`large`] ones.
fn nearly_full(connection: &Connection) {
    let pages: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    connection.pragma_update(None, "max_page_count", pages + 8).unwrap();
}

fn large() -> Vec<u8> {
    vec![7; 1024 * 1024]
}

#[test]
fn answered_writes_survive_a_reopen() {
    let bench = Bench::new().free_running();
    bench.store().submit(1, vec![put("b", b"1"), put("a", b"2"), put("c", b"3")]).unwrap();
    bench.store().submit(2, vec![put("b", b"4"), delete("c"), delete("never there")]).unwrap();
    assert_eq!((bench.answer(), bench.answer()), ((1, None), (2, None)));

    let bench = bench.reopened();
    assert_eq!(bench.documents, [(b"a".to_vec(), b"2".to_vec()), (b"b".to_vec(), b"4".to_vec())]);
}

#[test]
fn the_changes_of_a_write_take_effect_in_their_order() {
    let bench = Bench::new().free_running();
    bench.store().submit(1, vec![put("a", b"1"), delete("a"), put("b", b"1"), put("b", b"2")]).unwrap();
    let bench = bench.reopened();
    assert_eq!(bench.documents, [(b"b".to_vec(), b"2".to_vec())]);
}

#[test]
fn empty_keys_and_bodies_are_documents_like_any_other() {
    let bench = Bench::new().free_running();
    bench.submit(1, put("", b""));
    assert_eq!(bench.answer(), (1, None));
    assert_eq!(bench.reopened().documents, [(Vec::new(), Vec::new())]);
}

#[test]
fn writes_that_wait_for_the_disk_share_one_commit_and_are_answered_in_order() {
    let mut bench = Bench::new();
    bench.submit(0, put("first", b""));
    assert_eq!(bench.answer(), (0, None));
    for write in 1..=100 {
        bench.submit(write, put(&format!("key {write}"), b"body"));
    }
    bench.open_gate();
    for write in 1..=100 {
        assert_eq!(bench.answer(), (write, None));
    }
    assert_eq!(bench.store().counters(), Counters { commits: 2, writes: 101, changes: 101 });
}

#[test]
fn a_write_without_changes_is_answered_and_costs_no_commit() {
    let bench = Bench::new().free_running();
    bench.store().submit(1, Vec::new()).unwrap();
    assert_eq!(bench.answer(), (1, None));
    assert_eq!(bench.store().counters(), Counters { commits: 0, writes: 1, changes: 0 });
}

#[test]
fn a_probe_is_answered_after_what_waits_and_not_while_the_writer_hangs() {
    let mut bench = Bench::new();
    bench.submit(1, put("a", b"1"));
    bench.answer();
    let (sender, receiver) = mpsc::channel();
    let opened = Arc::new(AtomicBool::new(false));
    let is_open = Arc::clone(&opened);
    bench.store().probe(move || sender.send(is_open.load(Ordering::SeqCst)).unwrap());
    opened.store(true, Ordering::SeqCst);
    bench.open_gate();
    assert!(receiver.recv_timeout(PATIENCE).unwrap(), "the writer stood at the gate");
    assert_eq!(bench.store().counters().commits, 1, "and it costs the disk nothing");
}

#[test]
fn closing_commits_and_answers_what_waits() {
    let mut bench = Bench::new();
    for write in 0..50 {
        bench.submit(write, put(&format!("{write:02}"), b""));
    }
    bench.open_gate();
    bench.store.take().unwrap().close();
    assert_eq!(bench.answers.try_iter().filter(|answer| answer.result.is_ok()).count(), 50);
    assert_eq!(bench.reopened().documents.len(), 50);
}

/// A killed process leaves the files as they are, without the cleanup of a close.
#[test]
fn answered_writes_survive_a_kill() {
    let bench = Bench::new().free_running();
    for write in 0..20 {
        bench.submit(write, put(&format!("{write:02}"), b"body"));
        assert_eq!(bench.answer(), (write, None));
    }
    let killed = tempfile::tempdir().unwrap();
    for name in ["site.db", "site.db-wal"] {
        fs::copy(bench.directory.path().join(name), killed.path().join(name)).unwrap();
    }
    assert_eq!(Bench::in_directory(killed, |_| {}).free_running().documents.len(), 20);
}

#[test]
fn a_truncated_log_keeps_complete_commits_only() {
    let bench = Bench::new().free_running();
    let log = bench.directory.path().join("site.db-wal");
    let mut log_bytes = Vec::new();
    for write in 0..4 {
        bench.store().submit(write, vec![put(&format!("{write}a"), b""), put(&format!("{write}b"), b"")]).unwrap();
        assert_eq!(bench.answer(), (write, None));
        log_bytes.push(fs::metadata(&log).unwrap().len());
    }
    let killed = tempfile::tempdir().unwrap();
    fs::copy(bench.directory.path().join("site.db"), killed.path().join("site.db")).unwrap();
    let whole = fs::read(&log).unwrap();
    let truncated = usize::try_from(log_bytes[2]).unwrap() - 100;
    fs::write(killed.path().join("site.db-wal"), &whole[..truncated]).unwrap();

    let bench = Bench::in_directory(killed, |_| {}).free_running();
    assert_eq!(bench.keys(), ["0a", "0b", "1a", "1b"]);
}

#[test]
fn a_full_disk_fails_the_group_until_the_store_is_resumed() {
    let mut bench = Bench::faulty(nearly_full);
    bench.submit(0, put("before", b""));
    assert_eq!(bench.answer(), (0, None));
    bench.submit(1, put("small", b""));
    bench.submit(2, put("large", &large()));
    bench.submit(3, put("behind", b""));
    bench.open_gate();
    for write in 1..=3 {
        assert_eq!(bench.answer(), (write, Some(FaultKind::DiskFull)));
    }
    let refused = bench.store().submit(4, vec![put("later", b"")]).unwrap_err();
    assert_eq!(refused.kind, FaultKind::DiskFull);
    assert_eq!(&*refused.text, "failed to commit: database or disk is full");

    bench.store().resume(1);
    bench.submit(5, put("after", b""));
    assert_eq!(bench.answer(), (5, None));
    assert_eq!(bench.store().counters(), Counters { commits: 2, writes: 2, changes: 2 });
    assert_eq!(bench.reopened().keys(), ["after", "before"]);
}

/// A failed statement leaves SQLite's transaction open, with the changes made before it.
#[test]
fn one_failed_change_rolls_back_its_group() {
    let mut bench = Bench::faulty(|connection| {
        let trigger = "CREATE TEMP TRIGGER picky BEFORE INSERT ON main.documents WHEN new.key = CAST('bad' AS BLOB)
                       BEGIN SELECT RAISE(ABORT, 'not this one'); END";
        connection.execute_batch(trigger).unwrap();
    });
    bench.submit(0, put("before", b""));
    assert_eq!(bench.answer(), (0, None));
    bench.submit(1, put("good", b""));
    bench.submit(2, put("bad", b""));
    bench.open_gate();
    assert_eq!(bench.answer(), (1, Some(FaultKind::Other)));
    assert_eq!(bench.answer(), (2, Some(FaultKind::Other)));

    bench.store().resume(1);
    bench.submit(3, put("after", b""));
    assert_eq!(bench.answer(), (3, None));
    assert_eq!(bench.reopened().keys(), ["after", "before"]);
}

/// The owner submits faster than it receives answers: these writes depend on one that is about to fail.
#[test]
fn a_write_submitted_before_a_failure_is_reported_fails_too() {
    let bench = Bench::faulty(nearly_full);
    bench.submit(1, put("large", &large()));
    assert_eq!(bench.answer(), (1, Some(FaultKind::DiskFull)));
    // The writer waits in its answer, which the owner has not received yet.
    bench.store().submit(2, vec![put("on top", b"")]).unwrap_err();

    bench.store().resume(2);
    bench.store().submit(3, vec![put("still on top", b"")]).unwrap_err();
    bench.store().resume(1);
    bench.submit(4, put("afresh", b""));
    assert_eq!(bench.reopened().keys(), ["afresh"]);
}

#[test]
fn a_disk_that_stays_full_fails_every_attempt_and_nothing_else_happens() {
    let bench = Bench::faulty(nearly_full).free_running();
    for write in 0..10 {
        bench.submit(write, put("large", &large()));
        assert_eq!(bench.answer(), (write, Some(FaultKind::DiskFull)));
        bench.store().resume(write);
    }
    assert_eq!(bench.store().counters(), Counters::default());
    assert!(bench.reopened().documents.is_empty());
}

/// A small write fits where a large one does not, and a write without changes always fits.
#[test]
fn a_trial_succeeds_once_there_is_room_for_what_failed() {
    let with_room = |connection: &Connection| {
        let pages: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        connection.pragma_update(None, "max_page_count", pages + 64).unwrap();
    };
    let bench = Bench::faulty(with_room).free_running();
    bench.store().submit_trial(1).unwrap();
    assert_eq!(bench.answer(), (1, None), "nothing has failed");
    bench.submit(2, put("large", &large()));
    assert_eq!(bench.answer(), (2, Some(FaultKind::DiskFull)));
    bench.store().resume(2);
    bench.submit(3, put("small", b"1"));
    assert_eq!(bench.answer(), (3, None));
    for write in 4..6 {
        bench.store().submit_trial(write).unwrap();
        assert_eq!(bench.answer(), (write, Some(FaultKind::DiskFull)));
        bench.store().resume(write);
    }
    assert_eq!(bench.store().counters(), Counters { commits: 2, writes: 2, changes: 1 });
    let bench = bench.reopened();
    assert_eq!(bench.keys(), ["small"], "nothing is kept of a trial");
    bench.store().submit_trial(1).unwrap();
    assert_eq!(bench.answer(), (1, None));
}

#[test]
fn a_trial_of_a_disk_that_has_hardly_any_room_fails() {
    let bench = Bench::faulty(nearly_full).free_running();
    bench.submit(1, put("small", b"1"));
    assert_eq!(bench.answer(), (1, None));
    bench.store().submit_trial(2).unwrap();
    assert_eq!(bench.answer(), (2, Some(FaultKind::DiskFull)));
}

#[test]
fn a_database_that_became_read_only_reports_it() {
    let bench = Bench::faulty(|connection| connection.pragma_update(None, "query_only", true).unwrap()).free_running();
    bench.submit(1, put("a", b""));
    assert_eq!(bench.answer(), (1, Some(FaultKind::ReadOnly)));
}

#[test]
fn a_full_queue_rejects_new_writes_and_commits_queued_ones() {
    let mut bench = Bench::new();
    bench.submit(0, put("first", b""));
    assert_eq!(bench.answer(), (0, None));
    let inside = QUEUE_WRITES_MAX as u64;
    for write in 1..=inside {
        bench.submit(write, put(&write.to_string(), b""));
    }
    let refused = bench.store().submit(inside + 1, vec![put("refused", b"")]).unwrap_err();
    assert_eq!(refused.kind, FaultKind::Overloaded);
    bench.open_gate();
    for write in 1..=inside {
        assert_eq!(bench.answer(), (write, None));
    }
    bench.store().resume(inside + 1);
    bench.submit(inside + 2, put("afresh", b""));
    assert_eq!(bench.answer(), (inside + 2, None));
    assert_eq!(bench.reopened().documents.len(), QUEUE_WRITES_MAX + 2);
}

#[test]
fn a_document_larger_than_the_cache_is_read_completely() {
    let bench = Bench::new().free_running();
    bench.submit(1, put("large", &large()));
    assert_eq!(bench.answer(), (1, None));
    assert_eq!(bench.reopened().documents, [(b"large".to_vec(), large())]);
}

#[test]
fn the_log_does_not_grow_without_end() {
    let bench = Bench::new().free_running();
    for write in 0..2_000 {
        bench.submit(write, put("same key", &[0; 3_000]));
        assert_eq!(bench.answer(), (write, None));
    }
    let log_bytes = fs::metadata(bench.directory.path().join("site.db-wal")).unwrap().len();
    assert!(log_bytes < 2 * 1024 * 1024, "{log_bytes}");
}

#[test]
fn the_public_decoder_decodes_what_the_tests_decode() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("fleet.db");
    let (answer_tx, answers) = mpsc::channel();
    let answer = move |answer| answer_tx.send(answer).unwrap();
    let opened = Store::open(&path, Kind::Fleet, OnCorruption::Refuse, answer).unwrap();
    opened.store.submit(9, vec![put("a", b"1")]).unwrap();
    assert_eq!(answers.recv_timeout(PATIENCE).unwrap(), Answer { write: 9, result: Ok(()) });
    opened.store.close();

    let opened = Store::open(&path, Kind::Fleet, OnCorruption::Refuse, |_| {}).unwrap();
    assert_eq!(opened.documents, [(b"a".to_vec(), b"1".to_vec())]);
    assert_eq!(opened.store.counters(), Counters::default(), "opening writes nothing");
}
