//! Write a provider: a plugin that keeps DNS records for Linecamp at some service.
//!
//! A provider is a struct, a config and four functions; [`export_dns!`] makes a component of it.
//!
//! ```
//! use linecamp_provider::prelude::*;
//!
//! /// A zone behind an API that speaks of one record at a time.
//! struct Example;
//!
//! #[derive(serde::Deserialize, Config)]
//! #[serde(deny_unknown_fields)]
//! struct Settings {
//!     /// Where the API is, such as `https://dns.example.org`.
//!     api: String,
//! }
//!
//! impl DnsProvider for Example {
//!     type Config = Settings;
//!
//!     fn describe() -> About {
//!         About::new(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"), "Keeps records at Example DNS.")
//!             .secret("token", "The API token.")
//!             .reaches("{api}")
//!     }
//!
//!     fn check(config: &Settings, cx: &Context) -> Result<(), Failure> {
//!         cx.get(url::join(&config.api, &["whoami"])).bearer("token").send()?.ok()?;
//!         Ok(())
//!     }
//!
//!     fn observe(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, Failure> {
//!         let mut found: Vec<RecordSet> = Vec::new();
//!         for name in names {
//!             let answer = cx.get(url::join(&config.api, &["zones", zone, name])).bearer("token").send()?;
//!             found.extend(answer.ok()?.json::<Vec<RecordSet>>()?);
//!         }
//!         Ok(found)
//!     }
//!
//!     fn apply(
//!         config: &Settings,
//!         cx: &Context,
//!         zone: &str,
//!         _key: &str,
//!         changes: &[Change],
//!     ) -> Result<Vec<RecordSet>, Failure> {
//!         let names: Vec<_> = changes.iter().map(|change| change.name().to_owned()).collect();
//!         for change in pending(changes, &Self::observe(config, cx, zone, &names)?)? {
//!             let url = url::join(&config.api, &["zones", zone, change.name(), change.rtype()]);
//!             let request = match &change.after {
//!                 Some(after) => cx.put(url).json(after),
//!                 None => cx.delete(url),
//!             };
//!             request.bearer("token").send()?.ok()?;
//!         }
//!         Ok(changes.iter().filter_map(|change| change.after.clone()).collect())
//!     }
//! }
//!
//! linecamp_provider::export_dns!(Example);
//! ```
//!
//! # What a provider may rely on
//!
//! - Every call is a new instance: nothing is remembered, nothing has to be cleaned up, and nothing runs at once.
//! - Everything outside comes through the [`Context`]: HTTP, one DNS exchange, the log, the time. There is no file, no
//!   environment, no socket.
//! - Secrets are named and never seen: the host puts them where [`RequestBuilder::bearer`] and its siblings say.
//! - A provider never sleeps and never retries. It ends a call with a [`Failure`] that says what the host should do.
//! - What is observed and applied is brought into the contract's one form here ([`RecordSet::canonical`]): upper case,
//!   trailing dots, the order of values and names that nobody asked for need no care.
//!
//! # Two homes
//!
//! Built for `wasm32-wasip2`, [`export_dns!`] exports the component and the outside is the host. Built for the machine
//! of its author, a provider is an ordinary struct, and the outside is whatever implements [`Outside`]: the testkit.
//!
//! What is *not* here: retries, rate limits, caches, redirects, cookies, async. The host does the first two; the rest
//! has no place in a call that lives for a second.

mod config;
mod context;
pub mod entry;
mod exchange;
mod failure;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
pub mod http;
pub mod names;
pub mod prelude;
mod provider;
mod record;
pub mod single;
pub mod txt;
pub mod url;

pub use config::Config;
#[doc(hidden)]
pub use config::text as config_text;
pub use context::{Context, Level, Log, Outside, Page};
pub use exchange::{ExchangeError, Tsig};
pub use failure::Failure;
pub use http::{RequestBuilder, Response, Sigv4};
pub use linecamp_provider_derive::Config;
pub use provider::{About, DnsAbilities, DnsProvider, SecretWant};
pub use record::{Change, RecordSet, pending};
pub use serde_json;

/// Makes a component of a [`DnsProvider`]: `export_dns!(MyProvider);`, once, at the top of the plugin's crate.
///
/// Outside of `wasm32` it exports nothing, so that the same crate is tested as an ordinary one; there it only counts as
/// a use of the provider.
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
