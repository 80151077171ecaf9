//! Conversions between `linecamp:provider@1.0` and the model, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use linecamp_model::{
    DnsReply, DnsRequest, DomainName, PluginDescription, ProviderFailure, ProviderReply, ProviderRequest, RecordChange,
    RecordSet,
};
use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker};

use self::linecamp::provider::{clock, dns_client, http, log, provider_types as types};
use super::validate::{RawCapabilities, RawDescription, RawError, RawRecordSet, observed, too_large_to_search};
use super::{Invocation, Validated};
use crate::host_calls::{Auth, DnsQuery, HostCallError, HttpRequest, HttpResponse, SigV4, TsigCode, TsigKey};
use crate::plugin_log::LogLevel;
use crate::redact::Redactor;
use crate::sandbox::{Sandbox, coarse_now};

wasmtime::component::bindgen!({
    path: "../../sdk/wit/v1",
    world: "dns-provider",
    imports: {
        "linecamp:provider/http.send": async,
        "linecamp:provider/dns-client.send": async,
    },
    exports: { default: async },
});

use self::exports::linecamp::provider::{dns, provider};

/// Links the interfaces of the contract.
pub(crate) fn link(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    DnsProvider::add_to_linker::<_, HasSelf<Sandbox>>(linker, |sandbox| sandbox)
}

/// A component built for this version, ready to be instantiated.
#[derive(Clone)]
pub(crate) struct Prepared(DnsProviderPre<Sandbox>);

impl Prepared {
    /// Resolves all exports that the contract requires.
    pub(crate) fn new(linker: &Linker<Sandbox>, component: &Component) -> wasmtime::Result<Self> {
        DnsProviderPre::new(linker.instantiate_pre(component)?).map(Self)
    }

    /// Calls `describe` on a fresh instance.
    pub(crate) async fn describe(&self, store: &mut Store<Sandbox>) -> Validated<PluginDescription> {
        let instance = self.0.instantiate_async(&mut *store).await?;
        let raw = instance.linecamp_provider_provider().call_describe(&mut *store).await?;
        Ok(RawDescription::try_from(raw).and_then(RawDescription::checked))
    }

    /// Runs the requested operation on a fresh instance.
    pub(crate) async fn call(
        &self,
        store: &mut Store<Sandbox>,
        invocation: Invocation<'_>,
    ) -> Validated<ProviderReply> {
        let Invocation { config, capabilities, request } = invocation;
        let instance = self.0.instantiate_async(&mut *store).await?;
        let dns = instance.linecamp_provider_dns();
        match request {
            ProviderRequest::Validate => {
                let validated = instance.linecamp_provider_provider().call_validate(&mut *store, config).await?;
                Ok(Ok(match validated {
                    Err(error) => failed(error, &BTreeSet::new(), &store.data().redactor),
                    Ok(()) => ProviderReply::Validated(capabilities),
                }))
            }
            ProviderRequest::Dns(DnsRequest::Observe { zone, names }) => {
                let requested: Vec<_> = names.iter().map(|name| name.as_str().to_owned()).collect();
                Ok(match dns.call_observe(&mut *store, config, zone.as_str(), &requested).await? {
                    Err(error) => Ok(failed(error, &names, &store.data().redactor)),
                    Ok(sets) => observed_reply(&zone, &names, raw_sets(sets), &store.data().redactor),
                })
            }
            ProviderRequest::Dns(DnsRequest::Apply { zone, key, changes }) => {
                let names = changed_names(&changes);
                let changes: Vec<_> = changes.iter().map(dns::Change::from).collect();
                Ok(match dns.call_apply(&mut *store, config, zone.as_str(), key.as_str(), &changes).await? {
                    Err(error) => Ok(failed(error, &names, &store.data().redactor)),
                    // The returned sets are only validated: the next observation reports the actual state.
                    Ok(sets) => observed(&zone, &BTreeSet::new(), raw_sets(sets), &store.data().redactor)
                        .map(|_| ProviderReply::Dns(DnsReply::Applied)),
                })
            }
        }
    }
}

/// A listing that is too large to be searched is no error of the plugin.
fn observed_reply(
    zone: &DomainName,
    names: &BTreeSet<DomainName>,
    sets: Vec<RawRecordSet>,
    redactor: &Redactor,
) -> Result<ProviderReply, String> {
    match too_large_to_search(zone, names, &sets) {
        Some(reason) => Ok(ProviderReply::Failed(ProviderFailure::LimitExceeded { reason })),
        None => observed(zone, names, sets, redactor).map(|sets| ProviderReply::Dns(DnsReply::Observed(sets))),
    }
}

fn raw_sets(sets: Vec<dns::RecordSet>) -> Vec<RawRecordSet> {
    sets.into_iter().map(RawRecordSet::from).collect()
}

/// Returns the names that an apply call is about.
fn changed_names(changes: &[RecordChange]) -> BTreeSet<DomainName> {
    let sets = changes.iter().flat_map(|change| [&change.before, &change.after]).flatten();
    sets.map(|set| set.key.name.clone()).collect()
}

fn failed(error: types::Error, names: &BTreeSet<DomainName>, redactor: &Redactor) -> ProviderReply {
    let failure: ProviderFailure = RawError::from(error).checked(names, redactor);
    ProviderReply::Failed(failure)
}

impl types::Host for Sandbox {}

impl http::Host for Sandbox {
    async fn send(&mut self, request: http::Request) -> Result<http::Response, http::HttpError> {
        Ok(self.host_calls.send(request.into()).await?.into())
    }
}

impl dns_client::Host for Sandbox {
    async fn send(
        &mut self,
        server: String,
        message: Vec<u8>,
        sign: Option<dns_client::Tsig>,
    ) -> Result<Vec<u8>, dns_client::DnsError> {
        let sign = sign.map(|dns_client::Tsig { key_name, algorithm, secret }| TsigKey { key_name, algorithm, secret });
        Ok(self.host_calls.send_dns(DnsQuery { server, message, sign }).await?)
    }
}

impl log::Host for Sandbox {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Error => LogLevel::Error,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Info => LogLevel::Info,
            log::Level::Debug => LogLevel::Debug,
        };
        self.plugin_log.write(level, &message);
    }
}

impl clock::Host for Sandbox {
    fn now_millis(&mut self) -> u64 {
        u64::try_from(coarse_now().as_millis()).unwrap_or(u64::MAX)
    }
}

impl From<http::Request> for HttpRequest {
    fn from(request: http::Request) -> Self {
        let http::Request { method, url, headers, body, auth, timeout_millis } = request;
        let time_limit = timeout_millis.map(|millis| Duration::from_millis(millis.into()));
        Self { method: method.into(), url, headers, body, auth: auth.map(Auth::from), time_limit }
    }
}

impl From<http::Method> for ::http::Method {
    fn from(method: http::Method) -> Self {
        match method {
            http::Method::Get => Self::GET,
            http::Method::Head => Self::HEAD,
            http::Method::Post => Self::POST,
            http::Method::Put => Self::PUT,
            http::Method::Patch => Self::PATCH,
            http::Method::Delete => Self::DELETE,
        }
    }
}

impl From<http::Auth> for Auth {
    fn from(auth: http::Auth) -> Self {
        match auth {
            http::Auth::Bearer(secret) => Self::Bearer(secret),
            http::Auth::Basic(http::BasicAuth { user, secret }) => Self::Basic { user, secret },
            http::Auth::Header(http::HeaderAuth { header, prefix, secret }) => Self::Header { header, prefix, secret },
            http::Auth::Sigv4(scope) => {
                let http::Sigv4Auth {
                    access_key_id_secret,
                    secret_access_key_secret,
                    session_token_secret,
                    region,
                    service,
                } = scope;
                Self::SigV4(SigV4 {
                    access_key_id_secret,
                    secret_access_key_secret,
                    session_token_secret,
                    region,
                    service,
                })
            }
        }
    }
}

impl From<HttpResponse> for http::Response {
    fn from(HttpResponse { status, headers, body }: HttpResponse) -> Self {
        Self { status, headers, body }
    }
}

impl From<HostCallError> for http::HttpError {
    fn from(error: HostCallError) -> Self {
        match error {
            HostCallError::Denied(why) | HostCallError::Tsig(_, why) => Self::Denied(why),
            HostCallError::Unreachable(why) => Self::Unreachable(why),
            HostCallError::Timeout => Self::Timeout,
            HostCallError::TooLarge(bytes) => Self::TooLarge(bytes),
            HostCallError::LimitExceeded(why) => Self::LimitExceeded(why),
            HostCallError::Protocol(why) => Self::Protocol(why),
        }
    }
}

impl From<HostCallError> for dns_client::DnsError {
    fn from(error: HostCallError) -> Self {
        match error {
            HostCallError::Denied(why) => Self::Denied(why),
            HostCallError::Unreachable(why) => Self::Unreachable(why),
            HostCallError::Timeout => Self::Timeout,
            HostCallError::TooLarge(bytes) => Self::Protocol(format!("the response has more than {bytes} bytes")),
            HostCallError::LimitExceeded(why) => Self::LimitExceeded(why),
            HostCallError::Protocol(why) => Self::Protocol(why),
            HostCallError::Tsig(code, reason) => Self::Tsig(dns_client::TsigError { code: code.into(), reason }),
        }
    }
}

impl From<TsigCode> for dns_client::TsigCode {
    fn from(code: TsigCode) -> Self {
        match code {
            TsigCode::BadKey => Self::BadKey,
            TsigCode::BadSignature => Self::BadSignature,
            TsigCode::BadTime => Self::BadTime,
            TsigCode::Unverified => Self::Unverified,
            TsigCode::InvalidKey => Self::InvalidKey,
        }
    }
}

impl TryFrom<provider::Description> for RawDescription {
    type Error = String;

    fn try_from(description: provider::Description) -> Result<Self, String> {
        let provider::Description { name, version, summary, capabilities, config_schema, secrets, endpoints, extra } =
            description;
        let provider::Capabilities::Dns(capabilities) = capabilities else {
            return Err("not a DNS provider; this daemon supports no other kind".into());
        };
        let provider::DnsCapabilities { atomic, can_list_records, ttl_min, ttl_max, max_batch_size } = capabilities;
        let capabilities = RawCapabilities { atomic, can_list_records, ttl_min, ttl_max, max_batch_size };
        let requirement = |provider::SecretRequirement { name, summary, required }| (name, summary, required);
        let secrets = secrets.into_iter().map(requirement).collect();
        Ok(Self { name, version, summary, capabilities, config_schema, secrets, endpoints, extra })
    }
}

impl From<dns::RecordSet> for RawRecordSet {
    fn from(dns::RecordSet { name, rtype, ttl, values }: dns::RecordSet) -> Self {
        Self { name, rtype, ttl, values }
    }
}

impl From<&RecordSet> for dns::RecordSet {
    fn from(set: &RecordSet) -> Self {
        Self {
            name: set.key.name.as_str().to_owned(),
            rtype: set.key.rtype.as_str().to_owned(),
            ttl: set.ttl.seconds(),
            values: set.values.iter().map(|value| value.to_string()).collect(),
        }
    }
}

impl From<&RecordChange> for dns::Change {
    fn from(change: &RecordChange) -> Self {
        Self { before: change.before.as_ref().map(Into::into), after: change.after.as_ref().map(Into::into) }
    }
}

impl From<types::Error> for RawError {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Retry(types::Retry { after_millis, reason }) => Self::Retry { after_millis, reason },
            types::Error::Invalid(types::Invalid { reason, field, name }) => Self::Invalid { reason, field, name },
            types::Error::Conflict(types::Conflict { name, found }) => Self::Conflict { name, found },
            types::Error::Unauthorized(reason) => Self::Unauthorized(reason),
        }
    }
}
