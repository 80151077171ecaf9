//! Event streams: what clients of the API receive while it happens.
//!
//! There is one backlog of messages for all streams ([`StreamBacklog`]), and a stream is a position in it. So a slow
//! reader delays no other one and needs no queue of its own: when the backlog has dropped what it has not read, it is
//! told to read everything again ([`ResetReason`]). A message is identified by its [`StreamPosition`], with which a
//! client continues after it lost the connection. The backlog is in memory: a position of an earlier run of the server
//! is as good as none.
//!
//! Whether a stream gets a message is decided when it reads it, with the access that its caller has then
//! ([`StreamFilter`]). How many streams there are, and which one leaves for another, is decided by [`StreamShares`].
//!
//! Not here: what the messages say (`fleet`), their encoding, and when to write to which connection (the server).

mod backlog;
mod filter;
mod shares;

pub use backlog::{BACKLOG_BYTES_MAX, BACKLOG_MESSAGES_MAX, ResetReason, StreamBacklog, StreamPosition};
pub use filter::{MessageKind, StreamFilter, StreamSubject};
pub use shares::{STREAMS_MAX, STREAMS_PER_USER_MAX, StreamId, StreamShares};
