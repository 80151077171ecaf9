//! Conversions between `linecamp:provider@1.0` and the model, and nothing else.

use std::collections::BTreeSet;
use std::time::Duration;

use linecamp_model::{DomainName, ProviderFailure, ProviderReply, ProviderRequest, RecordChange, RecordSet};
use wasmtime::Store;
use wasmtime::component::{Component, HasSelf, Linker};

use self::linecamp::provider::{clock, exchange, http, log, provider_types as types};
use super::checked::{RawAbilities, RawDescription, RawFailure, RawRecordSet, observed};
use super::{Answered, Description, Invocation};
use crate::gate::{Auth, Exchange, GateError, HttpAnswer, HttpRequest, SigV4, TsigKey};
use crate::plugin_log::Weight;
use crate::redact::Redactor;
use crate::sandbox::{Sandbox, coarse_now};

wasmtime::component::bindgen!({
    path: "../../sdk/wit/v1",
    world: "dns-provider",
    imports: {
        "linecamp:provider/http.send": async,
        "linecamp:provider/exchange.send": async,
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
    pub(crate) async fn describe(&self, store: &mut Store<Sandbox>) -> Answered<Description> {
        let instance = self.0.instantiate_async(&mut *store).await?;
        let raw = instance.linecamp_provider_provider().call_describe(&mut *store).await?;
        Ok(RawDescription::try_from(raw).and_then(RawDescription::checked))
    }

    /// Runs the requested operation on a fresh instance.
    pub(crate) async fn call(&self, store: &mut Store<Sandbox>, ask: Invocation<'_>) -> Answered<ProviderReply> {
        let Invocation { config, abilities, request } = ask;
        let instance = self.0.instantiate_async(&mut *store).await?;
        let dns = instance.linecamp_provider_dns();
        match request {
            ProviderRequest::Check => {
                let checked = instance.linecamp_provider_provider().call_check(&mut *store, config).await?;
                Ok(Ok(match checked {
                    Err(failure) => failed(failure, None, &store.data().redactor),
                    Ok(()) => ProviderReply::Checked(abilities),
                }))
            }
            ProviderRequest::Observe { zone, names } => {
                let asked: Vec<_> = names.iter().map(|name| name.as_str().to_owned()).collect();
                Ok(match dns.call_observe(&mut *store, config, zone.as_str(), &asked).await? {
                    Err(failure) => Ok(failed(failure, Some(&zone), &store.data().redactor)),
                    Ok(sets) => seen(&zone, &names, sets).map(ProviderReply::Observed),
                })
            }
            ProviderRequest::Apply { zone, key, changes } => {
                let changes: Vec<_> = changes.iter().map(dns::Change::from).collect();
                Ok(match dns.call_apply(&mut *store, config, zone.as_str(), key.as_str(), &changes).await? {
                    Err(failure) => Ok(failed(failure, Some(&zone), &store.data().redactor)),
                    // The returned sets are only validated: the next observation reports the actual state.
                    Ok(sets) => seen(&zone, &BTreeSet::new(), sets).map(|_| ProviderReply::Applied),
                })
            }
        }
    }
}

fn seen(zone: &DomainName, names: &BTreeSet<DomainName>, sets: Vec<dns::RecordSet>) -> Result<Vec<RecordSet>, String> {
    observed(zone, names, sets.into_iter().map(RawRecordSet::from).collect())
}

fn failed(failure: types::Failure, zone: Option<&DomainName>, redactor: &Redactor) -> ProviderReply {
    let failure: ProviderFailure = RawFailure::from(failure).checked(zone, redactor);
    ProviderReply::Failed(failure)
}

impl types::Host for Sandbox {}

impl http::Host for Sandbox {
    async fn send(&mut self, request: http::Request) -> Result<http::Response, http::HttpError> {
        Ok(self.gate.send(request.into()).await?.into())
    }
}

impl exchange::Host for Sandbox {
    async fn send(
        &mut self,
        server: String,
        message: Vec<u8>,
        sign: Option<exchange::Tsig>,
    ) -> Result<Vec<u8>, exchange::ExchangeError> {
        let sign = sign.map(|exchange::Tsig { key_name, algorithm, secret }| TsigKey { key_name, algorithm, secret });
        Ok(self.gate.exchange(Exchange { server, message, sign }).await?)
    }
}

impl log::Host for Sandbox {
    fn write(&mut self, level: log::Level, message: String) {
        let weight = match level {
            log::Level::Error => Weight::Error,
            log::Level::Warn => Weight::Warn,
            log::Level::Info => Weight::Info,
            log::Level::Debug => Weight::Debug,
        };
        self.plugin_log.write(weight, &message);
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
                let http::Sigv4Auth { access_key_id, secret_access_key, session_token, region, service } = scope;
                Self::SigV4(SigV4 { access_key_id, secret_access_key, session_token, region, service })
            }
        }
    }
}

impl From<HttpAnswer> for http::Response {
    fn from(HttpAnswer { status, headers, body }: HttpAnswer) -> Self {
        Self { status, headers, body }
    }
}

impl From<GateError> for http::HttpError {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Denied(why) | GateError::Tsig(why) => Self::Denied(why),
            GateError::Unreachable(why) => Self::Unreachable(why),
            GateError::Timeout => Self::Timeout,
            GateError::TooLarge(bytes) => Self::TooLarge(bytes),
            GateError::Budget(why) => Self::Budget(why),
            GateError::Protocol(why) => Self::Protocol(why),
        }
    }
}

impl From<GateError> for exchange::ExchangeError {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Denied(why) => Self::Denied(why),
            GateError::Unreachable(why) => Self::Unreachable(why),
            GateError::Timeout => Self::Timeout,
            GateError::TooLarge(bytes) => Self::Protocol(format!("the answer has more than {bytes} bytes")),
            GateError::Budget(why) => Self::Budget(why),
            GateError::Protocol(why) => Self::Protocol(why),
            GateError::Tsig(why) => Self::Tsig(why),
        }
    }
}

impl TryFrom<provider::Description> for RawDescription {
    type Error = String;

    fn try_from(description: provider::Description) -> Result<Self, String> {
        let provider::Description { name, version, about, abilities, config_schema, secrets, reaches, extra } =
            description;
        let provider::Abilities::Dns(abilities) = abilities else {
            return Err("it is no provider of DNS records, and this daemon has no use for others".into());
        };
        let provider::DnsAbilities { atomic, lists_zones, ttl_min, ttl_max, changes_max } = abilities;
        let abilities = RawAbilities { atomic, lists_zones, ttl_min, ttl_max, changes_max };
        let want = |provider::SecretWant { name, about, required }| (name, about, required);
        let secrets = secrets.into_iter().map(want).collect();
        Ok(Self { name, version, about, abilities, config_schema, secrets, reaches, extra })
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

impl From<types::Failure> for RawFailure {
    fn from(failure: types::Failure) -> Self {
        match failure {
            types::Failure::Retry(types::Retry { after_millis, reason }) => Self::Retry { after_millis, reason },
            types::Failure::Refused(types::Refusal { reason, field, name }) => Self::Refused { reason, field, name },
            types::Failure::Conflict(types::Conflict { name, owner }) => Self::Conflict { name, owner },
            types::Failure::Unauthorized(reason) => Self::Unauthorized(reason),
        }
    }
}
