//! Journeys through real processes: a server, its sites, the operator's command line, and the wire between them.
//!
//! A test begins with [`Fleet::start`]: a temporary directory, a server with ports nobody else has, its admin's login.
//! [`Fleet::token`] and [`Fleet::join`] go the operator's way, through the programs; [`Fleet::cli`] is that way.
//! Processes are killed, asked to end and started again ([`Process`]); a [`UdpProxy`] between a site and its server
//! cuts the link, delays it, or moves it to another address.
//!
//! What holds:
//!
//! - Nobody sleeps. A test waits for a condition with [`Fleet::wait_for`], which asks every 20 ms and fails with what
//!   it waited for and the end of every log.
//! - Every process is killed when its owner is dropped, so that a failed test leaves nothing running.
//! - A log line of the level ERROR fails the test when the fleet is dropped, unless the test said that it is expected
//!   ([`Fleet::expect_error`]).
//! - Nothing is shared between tests: directories and ports are each test's own, and the user's login is not read.
//!
//! Beside it stand name servers of other people's, really run, for the plugins to meet: [`NameServer`].
//!
//! And a router between a site and its server, each on a host of its own: [`Network`].
//!
//! And machines: Debian in namespaces of its own, booted by its own systemd, to install packages on: [`Machine`].
//!
//! The programs are those beside the test's own executable, and `cargo xtask test` has built them. Started by other
//! means, the harness asks cargo to bring them up to date, once in a process.

#![allow(clippy::print_stderr, reason = "what is skipped is said to the person who runs the tests")]
#![forbid(unsafe_code)]

mod binaries;
mod bind;
mod cli;
mod dig;
mod fleet;
mod knot;
mod logs;
mod machine;
mod moto;
mod name_server;
mod network;
mod place;
mod ports;
mod powerdns;
mod process;
mod proxy;
mod skip;
mod update_server;
mod wait;

pub use binaries::{plugin, program, target_directory};
pub use cli::Said;
pub use dig::{Answer, TsigKey, dig};
pub use fleet::{Fleet, Server, Site};
pub use machine::{Machine, packages};
pub use moto::Moto;
pub use name_server::{NameServer, ProviderSetup, SecretSetup, ZoneDump};
pub use network::Network;
pub use ports::Port;
pub use powerdns::PowerDns;
pub use process::Process;
pub use proxy::{Traffic, UdpProxy};
pub use skip::skip;
pub use update_server::UpdateServer;
pub use wait::{PATIENCE, wait_until};
