//! The thread that owns the database: takes the queued writes, commits them as one transaction, and answers in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, TransactionBehavior};

use crate::error::StoreFault;
use crate::migrate::LATEST;
use crate::queue::{Batch, Probe, Queue, Write};
use crate::read_only::Unwritable;

const PUT: &str =
    "INSERT INTO documents (key, body) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET body = excluded.body";
/// Never committed: the transaction is rolled back.
const FILL: &str = "INSERT OR REPLACE INTO documents (key, body) VALUES (x'00', zeroblob(?1))";
const DELETE: &str = "DELETE FROM documents WHERE key = ?1";

/// Minimum bytes a trial checks for: the first few writes after recovery. With less, the disk would be full again
/// immediately.
const SPACE_MIN: usize = 64 * 1024;

/// Bytes that a change may use beyond its own size: the B-tree pages that contain it, which are written whole.
const CHANGE_OVERHEAD: usize = 8 * 1024;

/// The result of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The number it was submitted with.
    pub write: u64,
    /// Durable, or why it is not known to be durable.
    pub result: Result<(), StoreFault>,
}

/// What a store has made durable since it was opened. Failed writes are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transactions, each with one sync.
    pub commits: u64,
    /// Writes, including those without changes.
    pub writes: u64,
    /// Documents put or deleted.
    pub changes: u64,
}

/// The live counters: one thread increments them, any thread reads them.
#[derive(Debug, Default)]
pub(crate) struct LiveCounters {
    commits: AtomicU64,
    writes: AtomicU64,
    changes: AtomicU64,
}

impl LiveCounters {
    pub(crate) fn counters(&self) -> Counters {
        Counters {
            commits: self.commits.load(Ordering::Relaxed),
            writes: self.writes.load(Ordering::Relaxed),
            changes: self.changes.load(Ordering::Relaxed),
        }
    }

    fn add(&self, counters: Counters) {
        self.commits.fetch_add(counters.commits, Ordering::Relaxed);
        self.writes.fetch_add(counters.writes, Ordering::Relaxed);
        self.changes.fetch_add(counters.changes, Ordering::Relaxed);
    }
}

/// The database as the thread owns it.
#[derive(Debug)]
pub(crate) enum Database {
    Open(Connection),
    Unwritable(Unwritable),
}

impl Database {
    /// Returns the connection. If the database was not writable before, tries to open it first.
    fn writable(&mut self) -> Result<&mut Connection, StoreFault> {
        if let Self::Unwritable(unwritable) = self {
            *self = Self::Open(unwritable.reopen()?);
        }
        match self {
            Self::Open(connection) => Ok(connection),
            Self::Unwritable(_) => unreachable!("it was opened a moment ago"),
        }
    }
}

/// Commits until the queue is closed and empty.
pub(crate) fn run(mut database: Database, queue: &Queue, counters: &LiveCounters, mut answer: impl FnMut(Answer)) {
    // The size of the largest group that failed since the last successful trial.
    let mut failed_bytes = 0;
    while let Some(Batch { writes: group, probe }) = queue.take() {
        match commit(&mut database, &group, failed_bytes) {
            Ok(committed) => {
                if is_trial(&group) {
                    failed_bytes = 0;
                }
                counters.add(committed);
                answer_all(group, &Ok(()), &mut answer);
            }
            Err(fault) => {
                failed_bytes = failed_bytes.max(space_for(&group));
                // The queue is suspended before the first answer is sent, so that its receiver cannot submit to an open
                // queue.
                let behind = group.front().map(|first| queue.fail(first.number, fault.clone()));
                answer_all(group.into_iter().chain(behind.into_iter().flatten()), &Err(fault), &mut answer);
            }
        }
        if let Some(Probe(tell)) = probe {
            tell();
        }
    }
    // Closing checkpoints the write-ahead log into the database. If that fails, nothing is lost: the next open does it.
    if let Database::Open(connection) = database {
        let _ = connection.close();
    }
}

fn answer_all(
    writes: impl IntoIterator<Item = Write>,
    result: &Result<(), StoreFault>,
    answer: &mut impl FnMut(Answer),
) {
    for write in writes {
        answer(Answer { write: write.number, result: result.clone() });
    }
}

/// Commits the whole group, or on any failure leaves the database unchanged: dropping a transaction rolls it back.
fn commit(database: &mut Database, group: &VecDeque<Write>, failed_bytes: usize) -> Result<Counters, StoreFault> {
    if !is_trial(group) && group.iter().all(|write| write.changes.is_empty()) {
        return Ok(Counters { writes: group.len() as u64, ..Counters::default() });
    }
    let connection = database.writable()?;
    let space = if is_trial(group) { try_space(connection, failed_bytes.max(SPACE_MIN)) } else { Ok(()) };
    space.and_then(|()| commit_changes(connection, group)).map_err(|error| StoreFault::of_commit(&error))
}

fn is_trial(group: &VecDeque<Write>) -> bool {
    group.iter().any(|write| write.is_trial)
}

fn space_for(group: &VecDeque<Write>) -> usize {
    group.iter().map(|write| write.bytes() + write.changes.len() * CHANGE_OVERHEAD).sum()
}

/// Writes `bytes` into the write-ahead log, where a transaction of that size would go, without committing them; the
/// next transaction overwrites them. Rewriting an unchanged document would prove nothing, because SQLite does not write
/// unchanged pages.
fn try_space(connection: &mut Connection, bytes: usize) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.prepare_cached(FILL)?.execute((i64::try_from(bytes).unwrap_or(i64::MAX),))?;
    transaction.cache_flush()?;
    transaction.rollback()
}

fn commit_changes(connection: &mut Connection, group: &VecDeque<Write>) -> rusqlite::Result<Counters> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut changes = 0;
    for change in group.iter().flat_map(|write| &write.changes) {
        match &change.body {
            Some(body) => transaction.prepare_cached(PUT)?.execute((&change.key, body))?,
            None => transaction.prepare_cached(DELETE)?.execute((&change.key,))?,
        };
        changes += 1;
    }
    if is_trial(group) {
        // The value is unchanged, but this page is always written and synced.
        transaction.pragma_update(None, "user_version", LATEST)?;
    }
    transaction.commit()?;
    Ok(Counters { commits: 1, writes: group.len() as u64, changes })
}
