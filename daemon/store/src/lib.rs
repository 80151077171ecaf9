//! A durable, ordered map of byte keys to byte bodies.
//!
//! The store is the basis of "durable before acknowledged". Its owner submits numbered *writes*, each a list of changes
//! that take effect together or not at all. The store answers each write with success once its bytes are on disk, or
//! with a fault. It knows nothing of sites, labels or generations: keys and bodies are bytes. [`Store::open`] returns
//! all documents once, ordered by key; there is no other read, except a [`snapshot`] for a backup. Documents whose keys
//! begin with [`LOG_PREFIX`] are left out there: a [`LogReader`] reads them on request.
//!
//! The phases of a store:
//!
//! 1. **Lock** the data directory ([`DirectoryLock`]), so that no second process uses it.
//! 2. **Open** ([`Store::open`]): create or check the file, apply the schema migrations (`schema/*.sql`), load. A
//!    corrupt file is moved aside or rejected, as [`OnCorruption`] specifies. A file that is newer than this build, or
//!    not a Linecamp database of the expected kind, is always rejected. A rejected file is not changed. If the file can
//!    be read but not written ([`Opened::unwritable`]), it is loaded; its writes fail, and each of them tries the disk
//!    again.
//! 3. **Commit**: [`Store::submit`] puts a write on a bounded queue and returns. One thread owns the database. It takes
//!    all queued writes, commits them as one transaction, and answers each write in the order of submission. The next
//!    group accumulates while the thread waits for the disk, so there is no batching delay to tune.
//! 4. **Close** ([`Store::close`], or drop): queued writes are committed and answered, then the thread exits.
//!
//! Invariants:
//!
//! - An answer without a fault means that the write survives a crash of the process and a loss of power (WAL and
//!   `synchronous=FULL`: one `fdatasync` per group).
//! - **A failed write fails every write submitted after it**, because later writes were decided on the assumption that
//!   it succeeds. The first failure *suspends* the queue: its whole group fails, the writes queued behind it fail, and
//!   later ones are rejected. The queue is resumed when the owner has rolled back the write that suspended it and
//!   everything after it, and calls [`Store::resume`]. A write rejected because the queue is full suspends it in the
//!   same way. The writes that succeed between two calls of `resume` are therefore a prefix of those submitted.
//! - A fault means "not known to be durable", not "lost": if the disk fails late in a commit and the process dies
//!   before the next one, the write may be found after the restart. That is equivalent to a crash just before the
//!   answer.
//! - Nothing is written unless a change is submitted: [`Counters`] do not change while the store is idle.
//!
//! What it does not do: it does not compare (a body equal to the stored one is written again), it does not interpret
//! bodies, and it keeps no copy of them. SQLite has no checksums either: the code that decodes a body has to detect a
//! flipped bit in it, and may then [`set_aside`] the file.
//!
//! Memory is bounded by [`QUEUE_WRITES_MAX`], [`QUEUE_BYTES_MAX`] and SQLite's cache of 256 KiB. The contract (load
//! once, commit puts and deletes, answer) is deliberately small, so that etcd could implement it too.

#![forbid(unsafe_code)]

mod error;
mod examine;
mod file;
mod handle;
mod kind;
mod lock;
mod log;
mod migrate;
mod move_aside;
mod queue;
mod read_only;
mod snapshot;
mod writer;

pub use error::{FaultKind, StoreError, StoreFault};
pub use examine::{Examined, examine};
pub use file::{Document, LOG_PREFIX, OnCorruption};
pub use handle::{Opened, Store};
pub use kind::Kind;
pub use lock::DirectoryLock;
pub use log::{LogReader, ReadFrom};
pub use move_aside::{QUARANTINED_FILES_MAX, set_aside};
pub use queue::{Change, QUEUE_BYTES_MAX, QUEUE_WRITES_MAX};
pub use read_only::read_stopped;
pub use snapshot::{read_snapshot, snapshot};
pub use writer::{Answer, Counters};
