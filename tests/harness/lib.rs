//! Harness of the end-to-end tests: real processes of a server, its sites and the operator's CLI, and the network
//! between them.
//!
//! A test starts with [`Fleet::start`]: a temporary directory, a server with exclusive ports, its admin's login.
//! [`Fleet::token`] and [`Fleet::join`] use the programs as an operator would; [`Fleet::cli`] runs the operator's CLI.
//! Processes are killed, asked to exit and restarted ([`Process`]); a [`UdpProxy`] between a site and its server cuts
//! the link, delays it, or moves it to another address.
//!
//! Invariants:
//!
//! - No test sleeps. It waits for a condition with [`Fleet::wait_for`], which polls every 20 ms and fails with what it
//!   waited for and the end of every log.
//! - Every process is killed when its owner is dropped, so that a failed test leaves nothing running.
//! - A log line at level ERROR fails the test when the fleet is dropped, unless the test expects it
//!   ([`Fleet::expect_error`]).
//! - Tests share nothing: each has its own directories and ports, and the user's login is not read.
//!
//! [`NameServer`] runs real third-party name servers for the plugins to use.
//!
//! [`Nginx`] is a proxy that ends TLS, with a certificate of a [`CompanyCa`].
//!
//! [`OidcProvider`] is an identity provider, and [`Browser`] a browser without scripts.
//!
//! [`Network`] is a router between a site and its server, each on its own host.
//!
//! [`Machine`] is Debian in its own namespaces, booted by its own systemd, to install packages on.
//!
//! The programs are those next to the test's own executable, as built by `cargo xtask test`. When started by other
//! means, the harness has cargo rebuild them, once per process.

#![allow(clippy::print_stderr, reason = "skipped tests are reported to the person who runs them")]
#![forbid(unsafe_code)]

mod binaries;
mod bind;
mod browser;
mod certificates;
mod cli;
mod curl;
mod dig;
mod fleet;
mod knot;
mod logs;
mod machine;
mod moto;
mod name_server;
mod namespace;
mod network;
mod nginx;
mod oidc_provider;
mod ports;
mod powerdns;
mod process;
mod proxy;
mod rfc2136_server;
mod skip;
mod wait;

pub use binaries::{plugin, program, target_directory};
pub use browser::{Browser, WebForm, WebPage};
pub use certificates::CompanyCa;
pub use cli::CommandOutput;
pub use dig::{Answer, TsigKey, dig};
pub use fleet::{Fleet, Server, Site};
pub use machine::{Machine, packages};
pub use moto::Moto;
pub use name_server::{NameServer, ProviderSetup, SecretSetup, ZoneDump};
pub use network::{Network, Place};
pub use nginx::Nginx;
pub use oidc_provider::OidcProvider;
pub use ports::Port;
pub use powerdns::PowerDns;
pub use process::Process;
pub use proxy::{Traffic, UdpProxy};
pub use rfc2136_server::UpdateServer;
pub use skip::skip;
pub use wait::{PATIENCE, wait_until};
