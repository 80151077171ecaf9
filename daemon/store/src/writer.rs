//! The thread that owns the database: take what waits, commit it as one transaction, answer in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, TransactionBehavior};

use crate::error::StoreFault;
use crate::queue::{Probe, Queue, Taken, Write};
use crate::unwritable::Unwritable;

const PUT: &str =
    "INSERT INTO documents (key, body) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET body = excluded.body";
const DELETE: &str = "DELETE FROM documents WHERE key = ?1";

/// What became of one write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The number that it was submitted under.
    pub write: u64,
    /// Durable, or why it is not known to be.
    pub result: Result<(), StoreFault>,
}

/// What a store has made durable since it was opened. Failed writes do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Transactions: each cost the disk one sync.
    pub commits: u64,
    /// Writes, those without changes included.
    pub writes: u64,
    /// Documents put or deleted.
    pub changes: u64,
}

/// The counters while they are counted: one thread adds, any thread reads.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    commits: AtomicU64,
    writes: AtomicU64,
    changes: AtomicU64,
}

impl Tally {
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

/// What the thread owns.
#[derive(Debug)]
pub(crate) enum Database {
    Open(Connection),
    Unwritable(Unwritable),
}

impl Database {
    /// Returns the connection; tries to open the database first, if it could not be written before.
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
pub(crate) fn run(mut database: Database, queue: &Queue, tally: &Tally, mut answer: impl FnMut(Answer)) {
    while let Some(Taken { writes: group, probe }) = queue.take() {
        match commit(&mut database, &group) {
            Ok(counters) => {
                tally.add(counters);
                answer_all(group, &Ok(()), &mut answer);
            }
            Err(fault) => {
                // The door is shut before the first answer leaves: who hears it must find it shut.
                let behind = group.front().map(|first| queue.fail(first.number, fault.clone()));
                answer_all(group.into_iter().chain(behind.into_iter().flatten()), &Err(fault), &mut answer);
            }
        }
        if let Some(Probe(tell)) = probe {
            tell();
        }
    }
    // Closing moves the write-ahead log into the database. If that fails nothing is lost: the next open does it.
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

/// Commits a group whole, or, whatever fails, leaves the database as it was: a transaction that is dropped rolls back.
fn commit(database: &mut Database, group: &VecDeque<Write>) -> Result<Counters, StoreFault> {
    if group.iter().all(|write| write.changes.is_empty()) {
        return Ok(Counters { writes: group.len() as u64, ..Counters::default() });
    }
    commit_changes(database.writable()?, group).map_err(|error| StoreFault::of_commit(&error))
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
    transaction.commit()?;
    Ok(Counters { commits: 1, writes: group.len() as u64, changes })
}
