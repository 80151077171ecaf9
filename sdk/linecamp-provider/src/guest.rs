//! The component's side of the contract: the host as an [`Outside`], and a [`DnsProvider`] as exports.

use std::marker::PhantomData;
use std::time::Duration;

use self::bindings::exports::linecamp::provider::dns as calls;
use self::bindings::exports::linecamp::provider::provider as base;
use self::bindings::linecamp::provider::{clock, exchange, http, log, provider_types as words};
use crate::context::{Context, Level, Outside};
use crate::entry;
use crate::exchange::{ExchangeError, Tsig};
use crate::failure::Failure;
use crate::http::{Auth, HttpError, HttpRequest, HttpResponse, Method};
use crate::provider::DnsProvider;
use crate::record::{Change, RecordSet};

/// The bindings that `wit_bindgen` generates from the contract.
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit/v1",
        world: "dns-provider",
        pub_export_macro: true,
        default_bindings_module: "linecamp_provider::guest::bindings",
    });
}

pub use self::bindings::export;

/// The exports of a component with the provider `P`.
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

impl<P: DnsProvider> base::Guest for Exported<P> {
    fn describe() -> base::Description {
        let entry::Description { about, config_schema } = entry::describe::<P>();
        let abilities = about.abilities;
        let want = |want: &crate::SecretWant| base::SecretWant {
            name: want.name.to_owned(),
            about: want.about.to_owned(),
            required: want.required,
        };
        base::Description {
            name: about.name.to_owned(),
            version: about.version.to_owned(),
            about: about.about.to_owned(),
            abilities: base::Abilities::Dns(base::DnsAbilities {
                atomic: abilities.atomic,
                lists_zones: abilities.lists_zones,
                ttl_min: abilities.ttl_min,
                ttl_max: abilities.ttl_max,
                changes_max: abilities.changes_max,
            }),
            config_schema: config_schema.to_owned(),
            secrets: about.secrets.iter().map(want).collect(),
            reaches: about.reaches.iter().map(|reach| (*reach).to_owned()).collect(),
            extra: Vec::new(),
        }
    }

    fn check(config: String) -> Result<(), words::Failure> {
        entry::check::<P>(&config, &host()).map_err(Into::into)
    }
}

impl<P: DnsProvider> calls::Guest for Exported<P> {
    fn observe(config: String, zone: String, names: Vec<String>) -> Result<Vec<calls::RecordSet>, words::Failure> {
        let found = entry::observe::<P>(&config, &host(), &zone, &names)?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    fn apply(
        config: String,
        zone: String,
        key: String,
        changes: Vec<calls::Change>,
    ) -> Result<Vec<calls::RecordSet>, words::Failure> {
        let changes: Vec<Change> = changes.into_iter().map(Into::into).collect();
        let step = entry::Step { key: &key, changes: &changes };
        let known = entry::apply::<P>(&config, &host(), &zone, step)?;
        Ok(known.into_iter().map(Into::into).collect())
    }
}

fn host() -> Context {
    Context::new(Host)
}

/// The host's imports as an [`Outside`].
struct Host;

impl Outside for Host {
    fn send(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let http::Response { status, headers, body } = http::send(&request.into())?;
        Ok(HttpResponse { status, headers, body })
    }

    fn exchange(&self, server: &str, message: &[u8], sign: Option<&Tsig>) -> Result<Vec<u8>, ExchangeError> {
        let sign =
            sign.cloned().map(|Tsig { key_name, algorithm, secret }| exchange::Tsig { key_name, algorithm, secret });
        Ok(exchange::send(server, message, sign.as_ref())?)
    }

    fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Error => log::Level::Error,
            Level::Warn => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
        };
        log::write(level, message);
    }

    fn now_millis(&self) -> u64 {
        clock::now_millis()
    }
}

impl From<&HttpRequest> for http::Request {
    fn from(request: &HttpRequest) -> Self {
        let HttpRequest { method, url, headers, body, auth, timeout_millis } = request.clone();
        let method = match method {
            Method::Get => http::Method::Get,
            Method::Head => http::Method::Head,
            Method::Post => http::Method::Post,
            Method::Put => http::Method::Put,
            Method::Patch => http::Method::Patch,
            Method::Delete => http::Method::Delete,
        };
        Self { method, url, headers, body, auth: auth.map(Into::into), timeout_millis }
    }
}

impl From<Auth> for http::Auth {
    fn from(auth: Auth) -> Self {
        match auth {
            Auth::Bearer { secret } => Self::Bearer(secret),
            Auth::Basic { user, secret } => Self::Basic(http::BasicAuth { user, secret }),
            Auth::Header { header, prefix, secret } => Self::Header(http::HeaderAuth { header, prefix, secret }),
            Auth::Sigv4(sign) => Self::Sigv4(http::Sigv4Auth {
                access_key_id: sign.access_key_id,
                secret_access_key: sign.secret_access_key,
                session_token: sign.session_token,
                region: sign.region,
                service: sign.service,
            }),
        }
    }
}

impl From<http::HttpError> for HttpError {
    fn from(error: http::HttpError) -> Self {
        match error {
            http::HttpError::Denied(why) => Self::Denied(why),
            http::HttpError::Unreachable(why) => Self::Unreachable(why),
            http::HttpError::Timeout => Self::Timeout,
            http::HttpError::TooLarge(bytes) => Self::TooLarge(bytes),
            http::HttpError::Budget(why) => Self::Budget(why),
            http::HttpError::Protocol(why) => Self::Protocol(why),
        }
    }
}

impl From<exchange::ExchangeError> for ExchangeError {
    fn from(error: exchange::ExchangeError) -> Self {
        match error {
            exchange::ExchangeError::Denied(why) => Self::Denied(why),
            exchange::ExchangeError::Unreachable(why) => Self::Unreachable(why),
            exchange::ExchangeError::Timeout => Self::Timeout,
            exchange::ExchangeError::Budget(why) => Self::Budget(why),
            exchange::ExchangeError::Protocol(why) => Self::Protocol(why),
            exchange::ExchangeError::Tsig(why) => Self::Tsig(why),
        }
    }
}

impl From<Failure> for words::Failure {
    fn from(failure: Failure) -> Self {
        let millis = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        match failure {
            Failure::Retry { after, reason } => Self::Retry(words::Retry { after_millis: after.map(millis), reason }),
            Failure::Refused { reason, field, name } => Self::Refused(words::Refusal { reason, field, name }),
            Failure::Conflict { name, owner } => Self::Conflict(words::Conflict { name, owner }),
            Failure::Unauthorized { reason } => Self::Unauthorized(reason),
        }
    }
}

impl From<calls::RecordSet> for RecordSet {
    fn from(set: calls::RecordSet) -> Self {
        let calls::RecordSet { name, rtype, ttl, values } = set;
        Self { name, rtype, ttl, values }
    }
}

impl From<RecordSet> for calls::RecordSet {
    fn from(set: RecordSet) -> Self {
        let RecordSet { name, rtype, ttl, values } = set;
        Self { name, rtype, ttl, values }
    }
}

impl From<calls::Change> for Change {
    fn from(change: calls::Change) -> Self {
        Self { before: change.before.map(Into::into), after: change.after.map(Into::into) }
    }
}
