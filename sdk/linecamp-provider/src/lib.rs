//! The SDK for writing a provider: a plugin that manages DNS records at a DNS service for Linecamp.
//!
//! A provider is a struct, a config type and four functions. [`export_dns!`] turns it into a WebAssembly component.
//!
//! ```
//! use linecamp_provider::prelude::*;
//!
//! /// An API with one resource per record set.
//! struct Example;
//!
//! #[derive(serde::Deserialize, Config)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     /// Base URL of the API, such as `https://dns.example.org`.
//!     api: String,
//! }
//!
//! impl DnsProvider for Example {
//!     type Config = Settings;
//!
//!     fn describe() -> ProviderInfo {
//!         ProviderInfo::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "Manages records at Example DNS.")
//!             .secret("token", "API token. Used as: bearer.")
//!             .endpoint("{api}")
//!     }
//!
//!     fn validate(config: &Settings, cx: &Context) -> Result<(), ProviderError> {
//!         cx.get(url::join(&config.api, &["whoami"])).bearer("token").send()?.error_for_status()?;
//!         Ok(())
//!     }
//!
//!     fn observe(
//!         config: &Settings,
//!         cx: &Context,
//!         zone: &str,
//!         names: &[String],
//!     ) -> Result<Vec<RecordSet>, ProviderError> {
//!         let mut found = Vec::new();
//!         for name in names {
//!             let response = cx.get(url::join(&config.api, &["zones", zone, name])).bearer("token").send()?;
//!             found.extend(response.error_for_status()?.json::<Vec<RecordSet>>()?);
//!         }
//!         Ok(found)
//!     }
//!
//!     fn apply(
//!         config: &Settings,
//!         cx: &Context,
//!         zone: &str,
//!         _idempotency_key: &str,
//!         changes: &[Change],
//!     ) -> Result<Vec<RecordSet>, ProviderError> {
//!         let names: Vec<_> = changes.iter().map(|change| change.name().to_owned()).collect();
//!         for change in remaining_changes(changes, &Self::observe(config, cx, zone, &names)?)? {
//!             let url = url::join(&config.api, &["zones", zone, change.name(), change.rtype()]);
//!             let request = match &change.after {
//!                 Some(after) => cx.put(url).json(after),
//!                 None => cx.delete(url),
//!             };
//!             request.bearer("token").send()?.error_for_status()?;
//!         }
//!         Ok(changes.iter().filter_map(|change| change.after.clone()).collect())
//!     }
//! }
//!
//! linecamp_provider::export_dns!(Example);
//! ```
//!
//! # Guarantees
//!
//! - Each call runs in a new instance: no state to keep, nothing to clean up, no concurrency.
//! - All access to the outside goes through the [`Context`]: HTTP, DNS messages, the log and the clock. Files,
//!   environment variables and sockets are not available.
//! - A provider refers to secrets by name and never sees their values: the host inserts them where
//!   [`RequestBuilder::bearer`] and its siblings say.
//! - A provider never sleeps and never retries. It returns a [`ProviderError`] that tells the host what to do.
//! - The SDK converts observed and applied record sets to the contract's canonical form ([`RecordSet::canonical`]). A
//!   provider need not care about upper case, trailing dots, the order of values, or names that were not requested.
//!
//! # Build targets
//!
//! Built for `wasm32-wasip2`, [`export_dns!`] exports the component, and [`Host`] is implemented by the host. Built
//! for the author's machine, a provider is an ordinary struct, and [`Host`] is implemented by a test environment:
//! the testkit.
//!
//! What is *not* here: retries, rate limits, caches, redirects, cookies, async. The host does the first two; the rest
//! has no place in a call that lives for a second.

mod config;
mod context;
mod dns_client;
pub mod entry;
mod error;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
pub mod http;
pub mod names;
pub mod per_record;
pub mod prelude;
mod provider;
mod record;
pub mod txt;
pub mod url;

pub use config::Config;
#[doc(hidden)]
pub use config::text as config_text;
pub use context::{Context, Host, Level, Log};
pub use dns_client::{DnsError, Tsig, TsigCode};
pub use error::ProviderError;
pub use http::{Page, RequestBuilder, Response, Sigv4};
pub use linecamp_provider_derive::Config;
pub use provider::{DnsCapabilities, DnsProvider, ProviderInfo, SecretRequirement};
pub use record::{Change, RecordSet, remaining_changes};
pub use serde_json;

/// Exports a [`DnsProvider`] as a component: `export_dns!(MyProvider);`, once, at the top of the plugin's crate.
///
/// On targets other than `wasm32` it exports nothing, so the crate can be tested as an ordinary one. There it only
/// counts as a use of the provider.
#[macro_export]
macro_rules! export_dns {
    ($provider:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type Component = $crate::guest::Exported<$provider>;
    $crate::guest::export!(Component with_types_in $crate::guest::bindings);
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() -> $crate::entry::Description = $crate::entry::describe::<$provider>;
    };
}
