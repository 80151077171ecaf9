//! DNS: the settings, calls and status of a DNS provider, and the types they share.
//!
//! Names and values are in canonical form, so that a desired value equals an observed one exactly when both mean the
//! same.
//!
//! A name is absolute, lower case, ASCII and without the trailing dot. Internationalized names are converted to IDNA
//! A-labels at the input boundaries, before they get here. An address is written as in RFC 5952. A TXT value is its
//! content: the concatenated character-strings, with backslashes and bytes outside printable ASCII written as `\DDD`.

mod call;
mod name;
mod owned_record;
mod ownership_txt;
mod record;
mod service_address;
mod settings;
mod status;
mod template;

pub use self::call::{CapabilitiesError, DnsCapabilities, DnsReply, DnsRequest};
pub use self::name::{DomainName, DomainNameError};
pub use self::owned_record::{OwnedRecord, OwnedRecordKey, Ownership};
pub use self::ownership_txt::{Claim, OwnerId};
pub use self::record::{RecordChange, RecordError, RecordKey, RecordSet, RecordType, Ttl};
pub use self::service_address::service_address_problem;
pub use self::settings::{DnsSettings, ExtraRecord};
pub use self::status::{DnsStatus, Observed, RecordState, RecordStatus};
pub use self::template::{NameTemplate, Place, TemplateError};
