//! The plugin host: runs providers, which are untrusted WebAssembly components, and lets each do only what its grant
//! allows.
//!
//! # The path of a call
//!
//! [`PluginHost::call`] puts a call into a bounded queue; [`PluginHost::event`] delivers its reply. Everything in
//! between runs on a dedicated thread, so that a plugin stuck in an infinite loop never blocks the daemon's loop:
//!
//! 1. `plugin_store` finds the component, verifies its digest and signature, has a child process compile it, caches the
//!    compiled artifact and maps it into memory.
//! 2. `contract` creates a fresh instance, translates the request into the contract version the component was built
//!    for, and validates everything the plugin returns before using it.
//! 3. `sandbox` holds what an instance has: memory and CPU time with limits, a coarse clock, a buffer for its stderr.
//! 4. `host_calls` serves the requests that a plugin makes of the host, its only way out of the sandbox: it checks the
//!    grant against the host name and against the resolved addresses, counts requests and bytes, inserts the secrets,
//!    and sends through [`Outbound`].
//! 5. The instance is dropped together with its memory.
//!
//! # Invariants
//!
//! - A plugin has no ambient authority: no files, environment, sockets or arguments. Only the required interfaces are
//!   linked, and a component that imports any other is rejected at load time.
//! - A plugin never sees a secret. It names one, and the host inserts it into the request; in responses, log lines and
//!   error texts the secret is redacted.
//! - A secret is sent only where the site's configuration binds it: `secret_binding` defines which providers may use
//!   it, for which hosts, and how.
//! - Every call ends within its deadline, as data: [`ProviderReply`](linecamp_model::ProviderReply). Nothing a plugin
//!   or a service does causes a panic here or costs another call more than its share of the CPU.
//! - Every connection goes to an address that was checked, under the host name that was checked.
//! - Native code is mapped only if this machine's own compiler wrote it, to a directory that no other user can write
//!   to.
//!
//! All limits are in [`Limits`] and the other constants of `limits`. This crate retries nothing and does not
//! decide what a failure means for the next call: `core` does.

#![cfg_attr(not(test), deny(clippy::unwrap_used))]

mod call;
mod call_and_event;
mod contract;
mod direct_call;
mod engine;
mod engine_config;
mod error;
mod host;
mod host_calls;
mod inspect;
mod limits;
mod log_rate;
mod network;
mod outbound;
mod plugin_log;
mod plugin_store;
mod redact;
mod sandbox;
mod secret;
mod secret_binding;
mod settings;
mod watch;
mod worker;

#[cfg(test)]
mod tests;

pub use call_and_event::{HostEvent, PluginIdentity, ProviderCall};
pub use direct_call::{InlineHost, LoadedPlugin};
pub use error::PluginHostError;
pub use host::PluginHost;
pub use host_calls::RESERVED_HEADERS;
pub use inspect::{PluginReport, inspect};
pub use limits::Limits;
pub use linecamp_transport::error_chain;
pub use network::Network;
pub use outbound::{Outbound, OutboundError, OutboundFuture, Target};
pub use secret::{Secret, SecretError, Secrets, SiteSecret};
pub use secret_binding::{SecretBinding, SecretScope, SecretUse};
pub use settings::{HostConfig, PublisherKey};
