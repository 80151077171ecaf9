//! The requests on the local socket: their methods, paths and bodies.

use linecamp_model::Level;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{
    ADOPT_RECORD, CREATE_HOST_TOKEN, HOST_LABELS, HOST_TOKENS, HOSTS, LABELS, LEAVE, METRICS, PLAN_RECORDS, PROVIDERS,
    RECORDS, REMOVE_HOST, REVOKE_HOST_TOKEN, SITE_LABELS, STATUS, WHY,
};
use crate::api::{Error, ErrorCode, LabelChange, strict_json};

/// A request on the local socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalRequest {
    /// Show the site's status.
    Status,
    /// Show what each part waits for.
    Why,
    /// List the labels of the site and its gateway.
    Labels,
    /// Change local labels; removing an absent one is not an error.
    ChangeLabels {
        /// The level to change them at.
        level: Level,
        /// The change.
        change: LabelChange,
    },
    /// List the site's hosts.
    Hosts,
    /// Remove a host that joined this gateway.
    RemoveHost(HostRemoval),
    /// List the tokens that hosts join this gateway with.
    HostTokens,
    /// Create a token that hosts join this gateway with.
    CreateHostToken(NewHostToken),
    /// Revoke a token that was created at this gateway.
    RevokeHostToken(HostTokenRevocation),
    /// Leave the site, on a host.
    Leave,
    /// List the site's providers.
    Providers,
    /// List the site's DNS records as of the last reconcile.
    Records,
    /// Observe all zones and plan without changing anything.
    PlanRecords,
    /// Take over a DNS name from its current owner with the next reconcile.
    AdoptRecord(RecordAdoption),
    /// Show the daemon's metrics.
    Metrics,
}

/// The record to take over, and the provider that is to manage it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct RecordAdoption {
    /// The zone; Unicode is allowed.
    pub zone: String,
    /// The name, absolute; Unicode is allowed.
    pub name: String,
    /// The type, such as `A`.
    #[serde(rename = "type")]
    pub rtype: String,
    /// The provider that is to manage it.
    pub provider: String,
}

/// The host to remove.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct HostRemoval {
    /// Its name.
    pub name: String,
}

/// A host token to create.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct NewHostToken {
    /// How long it is valid, in seconds.
    pub ttl_seconds: u64,
    /// How many hosts may join with it.
    pub uses: u32,
}

/// The host token to revoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub struct HostTokenRevocation {
    /// Its id.
    pub id: String,
}

/// A host token that was created.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedHostToken {
    /// The argument of a join, `TOKEN@HOST:PORT[,HOST:PORT…]`, with the token's secret: it is shown once.
    pub join: String,
    /// The command to run at a machine that has the daemon installed.
    pub command: String,
    /// The one-line command that installs and joins a bare Debian machine; `null` if the gateway has no packages to
    /// install.
    pub install: Option<String>,
    /// The ID of the token.
    pub id: String,
    /// When it expires.
    pub expires_at: String,
    /// How many hosts may join with it.
    pub uses: u32,
}

/// `Debug` hides the secret.
impl std::fmt::Debug for CreatedHostToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedHostToken").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a request is rejected.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalRequestError {
    /// The path is unknown.
    #[error("no such path; the client may have a different version than the daemon")]
    UnknownPath,
    /// The path has another method.
    #[error("method not allowed for this path; use {allowed}")]
    Method {
        /// The only method of the path.
        allowed: &'static str,
    },
    /// The path has a query, and takes none.
    #[error("this path takes no query")]
    Query,
    /// The request has a body, and takes none.
    #[error("this request takes no body")]
    UnexpectedBody,
    /// The body is invalid, for this reason.
    #[error("invalid request body: {0}")]
    Body(String),
}

impl LocalRequestError {
    /// Returns the error for the client.
    pub fn to_error(&self) -> Error {
        let code = match self {
            Self::UnknownPath => ErrorCode::NotFound,
            Self::Method { .. } | Self::Query | Self::UnexpectedBody | Self::Body(_) => ErrorCode::BadRequest,
        };
        Error::new(code, self.to_string())
    }
}

/// The method of each path.
const METHODS: [(&str, &str); 16] = [
    (STATUS, "GET"),
    (WHY, "GET"),
    (LABELS, "GET"),
    (SITE_LABELS, "POST"),
    (HOST_LABELS, "POST"),
    (HOSTS, "GET"),
    (REMOVE_HOST, "POST"),
    (HOST_TOKENS, "GET"),
    (CREATE_HOST_TOKEN, "POST"),
    (REVOKE_HOST_TOKEN, "POST"),
    (LEAVE, "POST"),
    (PROVIDERS, "GET"),
    (RECORDS, "GET"),
    (PLAN_RECORDS, "POST"),
    (ADOPT_RECORD, "POST"),
    (METRICS, "GET"),
];

fn method_of(path: &str) -> Option<&'static str> {
    METHODS.iter().find(|(known, _)| *known == path).map(|(_, method)| *method)
}

impl LocalRequest {
    /// Parses a request. `target` is its path with its query. The query of [`METRICS`] is ignored, because collectors
    /// may add one; other paths take none.
    ///
    /// # Errors
    /// [`LocalRequestError`] if there is no such request.
    pub fn parse(method: &str, target: &str, body: &[u8]) -> Result<Self, LocalRequestError> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let allowed = method_of(path).ok_or(LocalRequestError::UnknownPath)?;
        if method != allowed {
            return Err(LocalRequestError::Method { allowed });
        }
        if !query.is_empty() && path != METRICS {
            return Err(LocalRequestError::Query);
        }
        let request = match path {
            SITE_LABELS => return Ok(Self::ChangeLabels { level: Level::Site, change: read(body)? }),
            HOST_LABELS => return Ok(Self::ChangeLabels { level: Level::Host, change: read(body)? }),
            ADOPT_RECORD => return Ok(Self::AdoptRecord(read(body)?)),
            REMOVE_HOST => return Ok(Self::RemoveHost(read(body)?)),
            CREATE_HOST_TOKEN => return Ok(Self::CreateHostToken(read(body)?)),
            REVOKE_HOST_TOKEN => return Ok(Self::RevokeHostToken(read(body)?)),
            HOST_TOKENS => Self::HostTokens,
            STATUS => Self::Status,
            WHY => Self::Why,
            LABELS => Self::Labels,
            HOSTS => Self::Hosts,
            LEAVE => Self::Leave,
            PROVIDERS => Self::Providers,
            RECORDS => Self::Records,
            PLAN_RECORDS => Self::PlanRecords,
            METRICS => Self::Metrics,
            _ => return Err(LocalRequestError::UnknownPath),
        };
        if body.is_empty() { Ok(request) } else { Err(LocalRequestError::UnexpectedBody) }
    }

    /// Returns its path.
    pub const fn path(&self) -> &'static str {
        match self {
            Self::Status => STATUS,
            Self::Why => WHY,
            Self::Labels => LABELS,
            Self::ChangeLabels { level: Level::Site, .. } => SITE_LABELS,
            Self::ChangeLabels { level: Level::Host, .. } => HOST_LABELS,
            Self::Hosts => HOSTS,
            Self::RemoveHost(_) => REMOVE_HOST,
            Self::HostTokens => HOST_TOKENS,
            Self::CreateHostToken(_) => CREATE_HOST_TOKEN,
            Self::RevokeHostToken(_) => REVOKE_HOST_TOKEN,
            Self::Leave => LEAVE,
            Self::Providers => PROVIDERS,
            Self::Records => RECORDS,
            Self::PlanRecords => PLAN_RECORDS,
            Self::AdoptRecord(_) => ADOPT_RECORD,
            Self::Metrics => METRICS,
        }
    }

    /// Returns its method.
    pub fn method(&self) -> &'static str {
        method_of(self.path()).expect("every path has a method")
    }

    /// Returns its body; empty if it takes none.
    pub fn body(&self) -> Vec<u8> {
        let body = match self {
            Self::ChangeLabels { change, .. } => serde_json::to_vec(change),
            Self::AdoptRecord(adoption) => serde_json::to_vec(adoption),
            Self::RemoveHost(removal) => serde_json::to_vec(removal),
            Self::CreateHostToken(new) => serde_json::to_vec(new),
            Self::RevokeHostToken(revocation) => serde_json::to_vec(revocation),
            Self::HostTokens
            | Self::Leave
            | Self::Status
            | Self::Why
            | Self::Labels
            | Self::Hosts
            | Self::Providers
            | Self::Records
            | Self::PlanRecords
            | Self::Metrics => return Vec::new(),
        };
        body.expect("strings are plain JSON")
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, LocalRequestError> {
    strict_json::decode(body).map_err(|error| LocalRequestError::Body(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> LabelChange {
        LabelChange { set: [("rack".into(), "r7".into())].into(), remove: vec!["tier".into()] }
    }

    fn adoption() -> RecordAdoption {
        RecordAdoption {
            zone: "acme.example".into(),
            name: "a.acme.example".into(),
            rtype: "A".into(),
            provider: "shop".into(),
        }
    }

    #[test]
    fn a_local_request_is_read_from_its_method_path_and_body() {
        let requests = [
            LocalRequest::Status,
            LocalRequest::Why,
            LocalRequest::Labels,
            LocalRequest::ChangeLabels { level: Level::Site, change: change() },
            LocalRequest::ChangeLabels { level: Level::Host, change: change() },
            LocalRequest::Hosts,
            LocalRequest::RemoveHost(HostRemoval { name: "press".into() }),
            LocalRequest::HostTokens,
            LocalRequest::CreateHostToken(NewHostToken { ttl_seconds: 3600, uses: 2 }),
            LocalRequest::RevokeHostToken(HostTokenRevocation { id: "0011223344556677".into() }),
            LocalRequest::Leave,
            LocalRequest::Providers,
            LocalRequest::Records,
            LocalRequest::PlanRecords,
            LocalRequest::AdoptRecord(adoption()),
            LocalRequest::Metrics,
        ];
        for request in &requests {
            assert_eq!(LocalRequest::parse(request.method(), request.path(), &request.body()).as_ref(), Ok(request));
        }
        let paths = requests.map(|request| request.path());
        assert_eq!(paths, METHODS.map(|(path, _)| path));
    }

    #[test]
    fn a_local_request_is_read_strictly() {
        let check = |request: &str, body: &str, expected| {
            let (method, target) = request.split_once(' ').expect("a method and a path");
            assert_eq!(LocalRequest::parse(method, target, body.as_bytes()), expected, "{request} {body}");
        };
        let set = LabelChange { set: [("rack".into(), "r7".into())].into(), ..LabelChange::default() };
        let body = r#"{"set":{"rack":"r7"}}"#;
        check("POST /v1/labels/host", body, Ok(LocalRequest::ChangeLabels { level: Level::Host, change: set }));
        check("GET /metrics?x=1", "", Ok(LocalRequest::Metrics));
        for unknown in ["GET /", "GET /v1", "GET /v1/status/", "GET /v1/STATUS", "POST /v1/labels/rack", "GET "] {
            check(unknown, "", Err(LocalRequestError::UnknownPath));
        }
        for (request, allowed) in [("POST /v1/status", "GET"), ("get /metrics", "GET"), ("GET /v1/dns/plan", "POST")] {
            check(request, "", Err(LocalRequestError::Method { allowed }));
        }
        check("GET /v1/status?now=true", "", Err(LocalRequestError::Query));
        check("POST /v1/dns/plan", r#"{"write":true}"#, Err(LocalRequestError::UnexpectedBody));
        for (path, body) in [
            (SITE_LABELS, ""),
            (SITE_LABELS, r#"{"labels":{}}"#),
            (SITE_LABELS, r#"{"set":{"rack":7}}"#),
            (ADOPT_RECORD, r#"{"zone":"acme.example","name":"a.acme.example","provider":"shop"}"#),
            (ADOPT_RECORD, "[[[[[[[["),
        ] {
            let read = LocalRequest::parse("POST", path, body.as_bytes());
            assert!(matches!(read, Err(LocalRequestError::Body(_))), "{path} {body}: {read:?}");
        }
    }
}
