//! Values with invariants: what Linecamp talks about, before anybody does anything.
//!
//! A value that exists is valid: texts are parsed once, here, and trusted from then on. There is no I/O,
//! no clock, no serialisation and no decision that needs more than the values themselves; `core`
//! decides, `proto` knows the bytes.

#![forbid(unsafe_code)]

pub mod limits;

mod digest;
mod generation;
mod id;
mod name;
mod time;
mod token;

pub use digest::{KeyFingerprint, Pin, PinError, SecretHash};
pub use generation::Generation;
pub use id::{CommandId, DialId, HostId, RunId, SessionId, SiteId, TokenId, WriteId};
pub use name::{Name, NameError, Text, TextError};
pub use time::{Instant, Now, WallTime};
pub use token::{JoinSecret, JoinTarget, JoinToken, ServerAddress, TokenError};
