//! Where requests came from, and the redirect of plain HTTP.
//!
//! [`evaluate`] runs first and puts a [`RequestOrigin`] into the request's extensions: the only statement about the
//! client, the scheme, the host and the port that anything else uses. URLs that leave the server are built as follows:
//!
//! | URL | base | why |
//! |---|---|---|
//! | the install command and script | the server URL | both are stored, and the script has a digest: they are the same for everyone |
//! | the redirect to HTTPS | the server URL | a request over HTTP does not know the port of HTTPS, and a header of the client must not lead elsewhere |
//! | the report of `doctor request` | the origin | it shows what was believed |
//! | links in responses | none, a path | the client resolves it against the URL that it used |

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CACHE_CONTROL, HOST, HeaderMap, LOCATION, STRICT_TRANSPORT_SECURITY};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use linecamp_core::{ForwardingHeader, RequestOrigin, RequestPeer};
use linecamp_proto::api::operation::{Operation as _, ShowHealth, ShowReadiness, ShowRequest};
use linecamp_service::Network;

use super::Api;
use super::error::ApiError;
use crate::drivers::http_connection::ConnectionPeer;
use crate::drivers::request_permit::RequestPermit;

/// A year: browsers then use HTTPS for this host even if a link says HTTP.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Decides where a request came from, and charges the connection of a proxy to the client.
pub(super) async fn evaluate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let Some(peer) = request.extensions().get::<ConnectionPeer>().copied() else {
        return ApiError::internal().into_response();
    };
    let addresses = api.info().addresses();
    let peer = RequestPeer {
        address: peer.address,
        scheme: peer.scheme,
        server_host: addresses.server_url.host(),
        server_port: addresses.server_url.port(),
    };
    let headers = forwarding_headers(request.uri(), request.headers());
    let headers: Vec<_> = headers.iter().map(|(header, value)| (*header, &**value)).collect();
    let origin = RequestOrigin::evaluate(peer, &headers, &api.info().trusted_proxies.networks());
    if origin.proxy.is_some()
        && let Some(permit) = request.extensions().get::<RequestPermit>()
    {
        permit.forward_for(Network::of(origin.client));
    }
    request.extensions_mut().insert(origin);
    next.run(request).await
}

/// Returns the forwarding headers of a request. HTTP/2 has the host in the target.
fn forwarding_headers(target: &Uri, headers: &HeaderMap) -> Vec<(ForwardingHeader, String)> {
    let authority = target.authority().filter(|_| !headers.contains_key(HOST));
    let authority = authority.map(|authority| (ForwardingHeader::Host, authority.to_string()));
    let values = |header: ForwardingHeader| {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.get_all(header.name()).iter().map(move |value| (header, text(value)))
    };
    authority.into_iter().chain(ForwardingHeader::ALL.into_iter().flat_map(values)).collect()
}

/// Redirects a request over HTTP to HTTPS, and tells browsers to use HTTPS from then on.
pub(super) async fn require_https(State(api): State<Api>, request: Request, next: Next) -> Response {
    let origin = request.extensions().get::<RequestOrigin>();
    let is_https = origin.is_some_and(RequestOrigin::is_https);
    let has_proxy = origin.is_some_and(|origin| origin.proxy.is_some());
    if !is_https && !is_exempt(request.uri().path(), has_proxy) {
        return redirect(&api, request.uri());
    }
    let mut response = next.run(request).await;
    if is_https {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
    }
    response
}

/// Health checks of a proxy carry no headers, and nothing secret. The report of a request is how an operator finds out
/// that a proxy does not send `X-Forwarded-Proto`.
fn is_exempt(target: &str, has_proxy: bool) -> bool {
    [ShowHealth::SPEC.path, ShowReadiness::SPEC.path].contains(&target)
        || (has_proxy && target == ShowRequest::SPEC.path)
}

/// Not to be cached: the redirect of a proxy that does not send `X-Forwarded-Proto` would outlive its correction.
fn redirect(api: &Api, target: &Uri) -> Response {
    let rest = target.path_and_query().map_or("/", |rest| rest.as_str());
    let rest = if rest.starts_with('/') { rest } else { "/" };
    let location = format!("{}{rest}", api.info().addresses().server_url);
    let Ok(location) = HeaderValue::try_from(location) else {
        return ApiError::internal().into_response();
    };
    let headers = [(LOCATION, location), (CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (StatusCode::PERMANENT_REDIRECT, headers, Body::empty()).into_response()
}
