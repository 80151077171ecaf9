//! A durable, ordered map of byte keys to byte bodies.
//!
//! The store is what "durable before acknowledged" stands on. It is given numbered *writes*, each a list of
//! changes that take effect together or not at all, and answers each write once its bytes are on the disk,
//! or with a fault. It knows nothing of sites, labels or generations: keys and bodies are bytes, and
//! [`Store::open`] hands all of them over once, in the order of their keys. After that nobody reads.
//!
//! The phases of a store's life:
//!
//! 1. **Lock** the data directory ([`DirectoryLock`]), so that no second process works on it.
//! 2. **Open** ([`Store::open`]): create or check the file, climb the schema ladder (`schema/*.sql`), load.
//!    A file that does not hold together is renamed aside or refused, as [`OnDamage`] says; one that is newer,
//!    or somebody else's, is always refused. A refused file is not changed. One that can be read and not written
//!    ([`Opened::unwritable`]) is read; its writes fail, and each of them tries the disk again.
//! 3. **Commit**: [`Store::submit`] puts a write on a bounded queue and returns. One thread owns the database. It
//!    takes everything that waits, commits it as one transaction, and answers each write in the order of submission.
//!    While it waits for the disk the next group gathers; there is no delay to tune.
//! 4. **Close** ([`Store::close`], or drop): what waits is committed and answered, then the thread ends.
//!
//! What holds:
//!
//! - An answer without a fault means that the write survives the death of the process and of the power
//!   (WAL and `synchronous=FULL`: one `fdatasync` for each group).
//! - **A failed write fails every write that was submitted after it**, since they were decided on top of it. The
//!   first failure shuts the *door* of the queue: its whole group fails, what waits behind it fails, and what comes
//!   later is refused. The door opens when the owner has undone the write that shut it, and all that followed it,
//!   and says so with [`Store::resume`]. A write refused because the queue is full shuts the door in the same way.
//!   So the writes that succeed between two resumes are a prefix of those that were submitted.
//! - A fault says "not known to be durable", not "gone": if the disk failed late in a commit and the process dies
//!   before the next one, the write may be found after all. That is the same as dying just before the answer.
//! - Nothing is written unless a change is submitted: [`Counters`] stand still while nothing happens.
//!
//! What it does not do: it does not compare (a body that equals the stored one is written again), it does not check
//! what bodies mean, and it keeps no copy of them. SQLite has no checksums either: a bit that flips inside a body
//! is for whoever decodes that body to notice, who may then [`set_aside`] the file.
//!
//! Memory is bounded by [`QUEUE_WRITES_MAX`] and [`QUEUE_BYTES_MAX`] and by SQLite's cache of a quarter megabyte.
//! The contract (load once, commit puts and deletes, answer) is small on purpose: etcd can keep it too.

#![forbid(unsafe_code)]

mod error;
mod examine;
mod file;
mod lock;
mod migrate;
mod quarantine;
mod queue;
mod store;
mod unwritable;
mod writer;

pub use error::{FaultKind, StoreError, StoreFault};
pub use examine::{Examined, examine};
pub use file::{Document, Kind, OnDamage};
pub use lock::DirectoryLock;
pub use quarantine::{QUARANTINED_FILES_MAX, set_aside};
pub use queue::{Change, QUEUE_BYTES_MAX, QUEUE_WRITES_MAX};
pub use store::{Opened, Store};
pub use writer::{Answer, Counters};
