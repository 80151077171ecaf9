//! What arrived with a request, and what of it was believed.

use serde::{Deserialize, Serialize};

/// Where the server takes a request to come from, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RequestReport {
    /// The server's URL as the client uses it.
    pub url: String,
    /// The client's address.
    pub client: String,
    /// The scheme that the client used: `https` or `http`.
    pub scheme: String,
    /// The host that the client used, without brackets.
    pub host: String,
    /// The port that the client used.
    pub port: u16,
    /// The address that the connection came from: the client, or the last proxy.
    pub connection_address: String,
    /// The scheme of the connection: `https` or `http`.
    pub connection_scheme: String,
    /// The HTTP version of the connection, such as `HTTP/1.1`.
    pub http_version: String,
    /// Whether the address is one of `trusted_proxies`.
    pub proxy_trusted: bool,
    /// The headers that state where a request came from.
    pub forwarding_headers: Vec<ForwardingHeaderReport>,
    /// The other headers.
    pub other_headers: Vec<RequestHeaderReport>,
    /// How many other headers are not listed.
    pub headers_not_listed: u64,
}

/// A header that states where a request came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ForwardingHeaderReport {
    /// Its name, in lower case.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Whether it counted.
    pub believed: bool,
    /// Why it did not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<IgnoredHeaderReason>,
}

/// Another header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RequestHeaderReport {
    /// Its name, in lower case.
    pub name: String,
    /// Its value; absent where it may be a secret, such as that of `authorization` or `cookie`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Why a header did not count. On the wire `untrusted-sender` and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum IgnoredHeaderReason {
    /// The sender's address is not one of `trusted_proxies`.
    UntrustedSender,
    /// It is not one of the four headers that count.
    NotUsed,
    /// It occurs more than once, or is a list.
    Repeated,
    /// Its value is invalid.
    Invalid,
    /// Its value is neither `https` nor `http`.
    OtherScheme,
    /// A reason that this build does not know. Never sent.
    #[serde(other)]
    Unknown,
}
