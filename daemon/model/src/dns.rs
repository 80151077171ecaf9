//! DNS types in canonical form, so that a desired value equals an observed one exactly when both mean the same.
//!
//! A name is absolute, lower case, ASCII and without the trailing dot. Internationalized names are converted to IDNA
//! A-labels at the input boundaries, before they get here. An address is written as in RFC 5952. A TXT value is its
//! content: the concatenated character-strings, with backslashes and bytes outside printable ASCII written as `\DDD`.

mod claim;
mod name;
mod record;
mod template;

pub use self::claim::{Claim, OwnerId};
pub use self::name::{DomainName, DomainNameError};
pub use self::record::{RecordChange, RecordError, RecordKey, RecordSet, RecordType, Ttl};
pub use self::template::{NameTemplate, Place, TemplateError};
