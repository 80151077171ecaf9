//! Tests that a provider conforms to the contract.
//!
//! [`conformance`] runs a provider in this process, in a plain `cargo test`, against a fake of its service that its
//! author wrote: a [`Service`]. The kit seeds foreign records in the fake, injects faults in front of it, and reads its
//! zone as the source of truth. The result is a [`Report`]: a table with one line per test.
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
//! How it tests:
//! - Each test has its own service, seeded with the same foreign records. At its end they must still be there, byte for
//!   byte.
//! - A fault is injected at each request of a call in turn: a provider that sends three requests is interrupted at each
//!   of them, and its second attempt again at each of its own. The same call with the same key must finish whatever was
//!   left half done, including half a record set.
//! - The clock advances only by ten milliseconds per request, and nothing is random: every run is identical.
//!
//! With the feature `host`, `check_component` runs the same tests on a built component in the real host, with or
//! without a fake of its service.
//!
//! [`ZoneService`] is a fake of the small zone API that the template and `dns-fake` use, and [`serve`] serves it on a
//! loopback port, for end-to-end tests.

mod checks;
#[cfg(feature = "host")]
mod component;
mod conformance;
mod endpoint;
mod fake_host;
pub mod fake_service;
mod fake_zone;
mod fault;
mod harness;
mod report;
mod schema;
mod serve;
mod setup;
mod under_test;

#[cfg(test)]
mod flaws;

#[cfg(feature = "host")]
pub use component::{CheckSetup, DescribedComponent, check_component, describe_component};
pub use conformance::conformance;
pub use fake_service::{DnsRequest, Request, Service, reply};
pub use fake_zone::ZoneService;
pub use report::{Report, TestResult, Verdict};
pub use serve::{Served, serve};
pub use setup::Setup;
