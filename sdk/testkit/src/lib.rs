//! Proves that a provider keeps the contract.
//!
//! [`conformance`] runs a provider in this process, in a plain `cargo test`, against a model of its service that its
//! author wrote: a [`Service`]. The kit puts foreign records into that service, faults before it, and reads its zone as
//! the truth. What comes out is a [`Report`]: a table with a row for each promise.
//!
//! ```no_run
//! # use linecamp_testkit::{Setup, ZoneService, conformance};
//! # use linecamp_provider::prelude::*;
//! # fn run<MyProvider: DnsProvider + 'static>() {
//! let service = || ZoneService::new("example.org", "s3cret");
//! let setup = Setup::new("example.org", r#"{"api": "https://dns.test"}"#, service);
//! conformance::<MyProvider>(&setup.secret("token", "s3cret")).assert();
//! # }
//! ```
//!
//! How it examines:
//! - Every check has a service of its own, with the same foreign records in it; at its end they have to be there, to
//!   the byte.
//! - A fault is put before each request of a call in turn: a provider that asks three times is cut off at each of them,
//!   and its second attempt once more at each of its own. What was left half done, half a set too, has to be finished
//!   by the same call under the same key.
//! - Time stands still but for ten milliseconds a request. There is no chance in it: a second run is the same run.
//!
//! With the feature `host`, `check_component` makes the same examination of a built component in the real host, with
//! or without a model of its service.
//!
//! [`ZoneService`] is the model of the small zone API that the template and `dns-fake` speak, and [`serve`] puts it on
//! a loopback port, for journeys.

mod bench;
mod checks;
#[cfg(feature = "host")]
mod component;
mod conformance;
mod fault;
mod reach;
mod report;
mod schema;
mod serve;
pub mod service;
mod setup;
mod subject;
mod world;
mod zone;

#[cfg(test)]
mod flaws;

#[cfg(feature = "host")]
pub use component::{CheckSetup, check_component};
pub use conformance::conformance;
pub use report::{Report, Row, Verdict};
pub use serve::{Served, serve};
pub use service::{DnsRequest, Request, Service, reply};
pub use setup::Setup;
pub use zone::ZoneService;
