//! What arrived with a request, and what of it was believed: for an operator who sets up a proxy.
//!
//! It requires a key: it shows addresses inside the operator's network. Only the values of headers on a list are shown,
//! because proxies add credentials under names of their own.

use axum::http::HeaderValue;
use linecamp_core::{HeaderVerdict, IgnoredReason, RequestOrigin};
use linecamp_model::excerpt;
use linecamp_proto::api::operation::ShowRequest;
use linecamp_proto::api::{ForwardingHeaderReport, IgnoredHeaderReason, RequestHeaderReport, RequestReport};

use super::call::Call;
use super::error::ApiError;
use crate::drivers::http_connection::ConnectionPeer;

/// Headers whose values are shown, besides those that state the origin.
const SHOWN: [&str; 14] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "te",
    "traceparent",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-server",
    "x-request-id",
    "x-scheme",
];

/// Maximum headers listed. Further ones are counted only.
const HEADERS_MAX: usize = 64;

/// Maximum bytes of a value shown. A longer one is shortened.
const VALUE_BYTES_MAX: usize = 256;

/// Reports where the server takes this request to come from.
pub(super) async fn show_request(Call { head, .. }: Call<ShowRequest>) -> Result<RequestReport, ApiError> {
    let (peer, origin) = (head.extensions.get::<ConnectionPeer>(), head.extensions.get::<RequestOrigin>());
    let (peer, origin) = peer.zip(origin).ok_or_else(ApiError::internal)?;
    let is_forwarding = |name: &str| origin.headers.iter().any(|verdict| verdict.header.name() == name);
    let others = head.headers.iter().filter(|(name, _)| !is_forwarding(name.as_str()));
    let headers: Vec<_> = others.map(|(name, value)| header_report(name.as_str(), value)).collect();
    Ok(RequestReport {
        url: origin.to_string(),
        client: origin.client.to_string(),
        scheme: origin.scheme.as_str().to_owned(),
        host: origin.host.clone(),
        port: origin.port,
        connection_address: peer.address.to_string(),
        connection_scheme: peer.scheme.as_str().to_owned(),
        http_version: format!("{:?}", head.version),
        proxy_trusted: origin.proxy.is_some(),
        forwarding_headers: origin.headers.iter().map(verdict_report).collect(),
        other_headers: headers.iter().take(HEADERS_MAX).cloned().collect(),
        headers_not_listed: headers.len().saturating_sub(HEADERS_MAX) as u64,
    })
}

fn verdict_report(verdict: &HeaderVerdict) -> ForwardingHeaderReport {
    ForwardingHeaderReport {
        name: verdict.header.name().to_owned(),
        value: verdict.value.clone(),
        believed: verdict.ignored.is_none(),
        reason: verdict.ignored.map(|reason| match reason {
            IgnoredReason::UntrustedSender => IgnoredHeaderReason::UntrustedSender,
            IgnoredReason::NotUsed => IgnoredHeaderReason::NotUsed,
            IgnoredReason::Repeated => IgnoredHeaderReason::Repeated,
            IgnoredReason::Invalid => IgnoredHeaderReason::Invalid,
            IgnoredReason::OtherScheme => IgnoredHeaderReason::OtherScheme,
        }),
    }
}

fn header_report(name: &str, value: &HeaderValue) -> RequestHeaderReport {
    let shown = || excerpt(&String::from_utf8_lossy(value.as_bytes()), VALUE_BYTES_MAX);
    RequestHeaderReport { name: excerpt(name, VALUE_BYTES_MAX), value: SHOWN.contains(&name).then(shown) }
}
