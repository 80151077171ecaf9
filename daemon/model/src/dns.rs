//! Words of DNS in one form each, so that what was written and what was observed compare as equal when they are.
//!
//! A name is absolute, lower case, ASCII and without the trailing dot; a name of other letters is turned into IDNA
//! A-labels at the doors, before it comes here. An address is as RFC 5952 writes it. A TXT value is its content, its
//! strings joined, with bytes outside of printable ASCII, and the backslash, as `\DDD`.

mod claim;
mod name;
mod record;
mod template;

pub use self::claim::{Claim, OwnerId};
pub use self::name::{DomainName, DomainNameError};
pub use self::record::{RecordChange, RecordError, RecordKey, RecordSet, RecordType, Ttl};
pub use self::template::{NameTemplate, Place, TemplateError};
