//! The component's side of the contract: the imports as a [`Host`], and a [`DnsProvider`] as exports.

use std::marker::PhantomData;
use std::time::Duration;

use self::bindings::exports::linecamp::provider::dns as calls;
use self::bindings::exports::linecamp::provider::provider as base;
use self::bindings::linecamp::provider::{clock, dns_client, http, log, provider_types as types};
use crate::context::{Context, Host, Level};
use crate::dns_client::{DnsError, Tsig, TsigCode};
use crate::entry;
use crate::error::ProviderError;
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
        let entry::Description { info, config_schema } = entry::describe::<P>();
        let capabilities = info.capabilities;
        let requirement = |secret: &crate::SecretRequirement| base::SecretRequirement {
            name: secret.name.to_owned(),
            summary: secret.summary.to_owned(),
            required: secret.required,
        };
        base::Description {
            name: info.name.to_owned(),
            version: info.version.to_owned(),
            summary: info.summary.to_owned(),
            capabilities: base::Capabilities::Dns(base::DnsCapabilities {
                atomic: capabilities.atomic,
                can_list_records: capabilities.can_list_records,
                ttl_min: capabilities.ttl_min,
                ttl_max: capabilities.ttl_max,
                max_batch_size: capabilities.max_batch_size,
            }),
            config_schema: config_schema.to_owned(),
            secrets: info.secrets.iter().map(requirement).collect(),
            endpoints: info.endpoints.iter().map(|endpoint| (*endpoint).to_owned()).collect(),
            extra: Vec::new(),
        }
    }

    fn validate(config: String) -> Result<(), types::Error> {
        entry::validate::<P>(&config, &host()).map_err(Into::into)
    }
}

impl<P: DnsProvider> calls::Guest for Exported<P> {
    fn observe(config: String, zone: String, names: Vec<String>) -> Result<Vec<calls::RecordSet>, types::Error> {
        let found = entry::observe::<P>(&config, &host(), &zone, &names)?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    fn apply(
        config: String,
        zone: String,
        idempotency_key: String,
        changes: Vec<calls::Change>,
    ) -> Result<Vec<calls::RecordSet>, types::Error> {
        let changes: Vec<Change> = changes.into_iter().map(Into::into).collect();
        let change_set = entry::ChangeSet { idempotency_key: &idempotency_key, changes: &changes };
        let known = entry::apply::<P>(&config, &host(), &zone, change_set)?;
        Ok(known.into_iter().map(Into::into).collect())
    }
}

fn host() -> Context {
    Context::new(Imports)
}

/// The component's imports.
struct Imports;

impl Host for Imports {
    fn send_http(&self, request: &HttpRequest) -> Result<HttpResponse, HttpError> {
        let http::Response { status, headers, body } = http::send(&request.into())?;
        Ok(HttpResponse { status, headers, body })
    }

    fn send_dns(&self, server: &str, message: &[u8], sign: Option<&Tsig>) -> Result<Vec<u8>, DnsError> {
        let sign =
            sign.cloned().map(|Tsig { key_name, algorithm, secret }| dns_client::Tsig { key_name, algorithm, secret });
        Ok(dns_client::send(server, message, sign.as_ref())?)
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
                access_key_id_secret: sign.access_key_id_secret,
                secret_access_key_secret: sign.secret_access_key_secret,
                session_token_secret: sign.session_token_secret,
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
            http::HttpError::LimitExceeded(why) => Self::LimitExceeded(why),
            http::HttpError::Protocol(why) => Self::Protocol(why),
        }
    }
}

impl From<dns_client::DnsError> for DnsError {
    fn from(error: dns_client::DnsError) -> Self {
        match error {
            dns_client::DnsError::Denied(why) => Self::Denied(why),
            dns_client::DnsError::Unreachable(why) => Self::Unreachable(why),
            dns_client::DnsError::Timeout => Self::Timeout,
            dns_client::DnsError::LimitExceeded(why) => Self::LimitExceeded(why),
            dns_client::DnsError::Protocol(why) => Self::Protocol(why),
            dns_client::DnsError::Tsig(error) => Self::Tsig { code: error.code.into(), reason: error.reason },
        }
    }
}

impl From<dns_client::TsigCode> for TsigCode {
    fn from(code: dns_client::TsigCode) -> Self {
        match code {
            dns_client::TsigCode::BadKey => Self::BadKey,
            dns_client::TsigCode::BadSignature => Self::BadSignature,
            dns_client::TsigCode::BadTime => Self::BadTime,
            dns_client::TsigCode::Unverified => Self::Unverified,
            dns_client::TsigCode::InvalidKey => Self::InvalidKey,
        }
    }
}

impl From<ProviderError> for types::Error {
    fn from(failure: ProviderError) -> Self {
        let millis = |after: Duration| u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        match failure {
            ProviderError::Retry { after, reason } => {
                Self::Retry(types::Retry { after_millis: after.map(millis), reason })
            }
            ProviderError::Invalid { reason, field, name } => Self::Invalid(types::Invalid { reason, field, name }),
            ProviderError::Conflict { name, found } => Self::Conflict(types::Conflict { name, found }),
            ProviderError::Unauthorized { reason } => Self::Unauthorized(reason),
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
