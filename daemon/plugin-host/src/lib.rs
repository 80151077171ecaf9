//! The plugin host: runs providers, which are WebAssembly components of strangers, and lets them do what they were
//! granted and nothing else.
//!
//! # A call, from outside in
//!
//! [`PluginHost::call`] puts a call into a bounded queue, and [`PluginHost::event`] brings its reply. In between, all
//! on one thread of its own, so that a plugin that computes for ever never holds up the daemon's loop:
//!
//! 1. `library` finds the component, verifies its digest and signature, has it compiled by a child process, keeps the
//!    compiled form in a cache and maps it.
//! 2. `contract` makes a fresh instance, says the request in the words of the contract the component was built for, and
//!    believes no word of the answer before it has checked it.
//! 3. `sandbox` holds what an instance has: memory and time with limits, a coarse clock, a place for its last words.
//! 4. `gate` is the one way out. It checks the grant against the name and against the resolved address, counts requests
//!    and bytes, puts the secrets in, and asks [`Outbound`] to send.
//! 5. The instance is thrown away, and its memory with it.
//!
//! # Invariants
//!
//! - A plugin has no ambient power: no files, environment, sockets, arguments; no interface is linked that is not
//!   needed, and a component that wants more is refused when it is loaded.
//! - A plugin never sees a secret. It names one, and the host puts it where it belongs; in what comes back, in log
//!   lines and in error texts it is blotted out.
//! - A secret goes only where the site's configuration binds it to: `binding` says who, toward whom and how.
//! - Every call ends within its deadline, as data: [`ProviderReply`](linecamp_model::ProviderReply). Nothing a plugin
//!   or a service does is a panic here or costs another call more than its share of the processor.
//! - Every connection goes to an address that was checked, under the name that was checked.
//! - Native code is mapped only if this machine's own compiler wrote it, to a directory that nobody else can write to.
//!
//! All numbers stand in [`Limits`], and in `limits` what they are beside it. This crate retries nothing and has no
//! opinion on what a failure means for the next call: `core` does.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod binding;
mod call;
mod conformance;
mod contract;
mod engine;
mod engine_config;
mod error;
mod gate;
mod host;
mod inspect;
mod library;
mod limits;
mod network;
mod outbound;
mod plugin_log;
mod redact;
mod sandbox;
mod secret;
mod settings;
mod watch;
mod worker;

#[cfg(test)]
mod tests;

pub use binding::{SecretBinding, SecretScope, SecretUse};
pub use conformance::{ConformanceRun, Rehearsed};
pub use contract::{Description, SecretWant};
pub use error::PluginHostError;
pub use host::{HostEvent, PluginHost, PluginSeen, ProviderCall};
pub use inspect::{PluginReport, inspect};
pub use limits::Limits;
pub use network::Network;
pub use outbound::{Answering, Outbound, OutboundError, Target};
pub use secret::{Secret, SecretError, Secrets, SiteSecret};
pub use settings::{HostConfig, PublisherKey};
