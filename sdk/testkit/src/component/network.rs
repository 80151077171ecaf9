//! The replacement for the network: requests that the host allows go to the current fixture.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use linecamp_model::{Endpoint, Name, SecretName};
use linecamp_plugin_host::{
    Outbound, OutboundError, OutboundFuture, Secret, SecretBinding, SecretScope, SecretUse, Secrets, SiteSecret, Target,
};
use linecamp_provider::DnsError;
use linecamp_provider::http::{HttpError, HttpResponse, Method};

use super::signature;
use crate::fake_host::FakeHost;
use crate::fake_service::{DnsRequest, Request};

/// The address to which every name resolves: a documentation address (RFC 5737), so that a mistake reaches no real
/// host.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// The name of the provider under test.
pub(super) fn provider_name() -> Name {
    Name::parse("examined").expect("a constant that is a name")
}

/// The replacement for the network and for the site's secrets.
#[derive(Clone, Default)]
pub(super) struct FakeNetwork(Arc<Mutex<CurrentHost>>);

#[derive(Default)]
struct CurrentHost {
    fake_host: Option<FakeHost>,
    secrets: Vec<(String, String)>,
}

impl FakeNetwork {
    /// Sets the environment of the next calls.
    pub(super) fn set(&self, fake_host: &FakeHost) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *current = CurrentHost { fake_host: Some(fake_host.clone()), secrets: fake_host.secrets() };
    }

    fn fake_host(&self) -> Result<FakeHost, OutboundError> {
        let fake_host = self.0.lock().unwrap_or_else(PoisonError::into_inner).fake_host.clone();
        fake_host.ok_or_else(|| OutboundError::Unreachable("no fixture is active".to_owned()))
    }

    /// Every secret of the setup may be sent to the endpoints that the provider may call, and nowhere else.
    fn scope(&self) -> SecretScope {
        let endpoints = self.fake_host().map(|fake_host| fake_host.endpoints()).unwrap_or_default();
        let hosts: BTreeSet<_> =
            endpoints.into_iter().filter_map(|endpoint| Endpoint::parse(&endpoint.to_string()).ok()).collect();
        let providers = BTreeSet::from([provider_name()]);
        SecretScope::Bound(SecretBinding { plain_http: hosts.clone(), hosts, uses: SecretUse::ALL.into(), providers })
    }

    fn secrets(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).secrets.clone()
    }

    fn http(
        &self,
        target: &Target,
        request: &http::Request<Bytes>,
        response_bytes_max: u64,
    ) -> Result<http::Response<Bytes>, OutboundError> {
        let request = arrived(target, request)?;
        match self.fake_host()?.handle_http(&request) {
            Ok(response) if response_bytes_max < response.body.len() as u64 => Err(OutboundError::TooLarge),
            Ok(response) => departed(response),
            Err(HttpError::Timeout) => Err(OutboundError::Timeout),
            Err(HttpError::TooLarge(_)) => Err(OutboundError::TooLarge),
            Err(HttpError::Protocol(why)) => Err(OutboundError::Protocol(why)),
            Err(other) => Err(OutboundError::Unreachable(other.to_string())),
        }
    }

    fn dns(&self, target: &Target, message: &[u8]) -> Result<Bytes, OutboundError> {
        let strange = |why: &str| OutboundError::Protocol(why.to_owned());
        let (unsigned, signed) = signature::take_off(message, &self.secrets()).map_err(|why| strange(&why))?;
        let sign = signed.as_ref().map(|signed| signed.key.clone());
        let request = DnsRequest { server: target.endpoint.to_string(), message: unsigned, sign };
        let response = match self.fake_host()?.handle_dns(&request) {
            Ok(response) => response,
            Err(DnsError::Timeout) => return Err(OutboundError::Timeout),
            Err(DnsError::LimitExceeded(_)) => return Err(OutboundError::TooLarge),
            Err(DnsError::Protocol(why)) => return Err(OutboundError::Protocol(why)),
            Err(DnsError::Tsig { .. }) => return Ok(signature::not_authorized(message).into()),
            Err(other) => return Err(OutboundError::Unreachable(other.to_string())),
        };
        Ok(match signed {
            Some(signed) => signed.sign(response).into(),
            None => response.into(),
        })
    }
}

impl Outbound for FakeNetwork {
    fn resolve<'a>(&'a self, _endpoint: &'a Endpoint) -> OutboundFuture<'a, Vec<IpAddr>> {
        Box::pin(std::future::ready(Ok(vec![NOWHERE])))
    }

    fn send<'a>(
        &'a self,
        target: &'a Target,
        request: http::Request<Bytes>,
        response_bytes_max: u64,
    ) -> OutboundFuture<'a, http::Response<Bytes>> {
        Box::pin(std::future::ready(self.http(target, &request, response_bytes_max)))
    }

    fn send_dns<'a>(&'a self, target: &'a Target, message: Bytes) -> OutboundFuture<'a, Bytes> {
        Box::pin(std::future::ready(self.dns(target, &message)))
    }
}

impl Secrets for FakeNetwork {
    fn find(&self, name: &SecretName) -> SiteSecret {
        match self.secrets().into_iter().find(|(known, _)| known == name.as_str()) {
            Some((_, value)) => SiteSecret { scope: self.scope(), content: Ok(Secret::new(value.into_bytes())) },
            None => SiteSecret::missing(name, "the conformance setup"),
        }
    }
}

/// Converts a request from the host's type to the fake service's.
fn arrived(target: &Target, request: &http::Request<Bytes>) -> Result<Request, OutboundError> {
    let methods = [Method::Get, Method::Head, Method::Post, Method::Put, Method::Patch, Method::Delete];
    let method = methods.into_iter().find(|method| method.as_str() == request.method().as_str());
    let method =
        method.ok_or_else(|| OutboundError::Protocol("a method that the contract does not have".to_owned()))?;
    let scheme = if target.is_tls { "https" } else { "http" };
    let url = format!("{scheme}://{}{}", target.endpoint, request.uri());
    let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Ok(Request::new(method, &url, request.headers().iter().map(pair).collect(), request.body().to_vec()))
}

/// Converts a response from the fake service's type to the host's.
fn departed(response: HttpResponse) -> Result<http::Response<Bytes>, OutboundError> {
    let mut builder = http::Response::builder().status(response.status);
    for (name, value) in &response.headers {
        builder = builder.header(name, value);
    }
    builder.body(Bytes::from(response.body)).map_err(|error| OutboundError::Protocol(error.to_string()))
}
