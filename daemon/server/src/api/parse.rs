//! Strict parsing of requests, with errors that state what is wrong and where.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts as _, Path, Query};
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, Uri};
use http_body_util::LengthLimitError;
use linecamp_core::{HostRef, SiteRef};
use linecamp_model::limits::{IDEMPOTENCY_KEY_LENGTH_MAX, IDEMPOTENCY_KEY_LENGTH_MIN, SEARCH_CHARS_MAX};
use linecamp_model::{ConditionKind, Generation, Name, NameError, Phase, Selector, ServerAddress, excerpt};
use linecamp_proto::api::ErrorCode;
use linecamp_proto::api::operation::{DecodedBody, Operation, OperationSpec};
use linecamp_proto::api::query::HostNameQuery;
use linecamp_transport::error_chain;
use serde::de::DeserializeOwned;

use super::error::ApiError;
use super::limits::{BODY_BYTES_MAX, BODY_LIMIT};
use crate::idempotency::RequestKey;
use crate::server_url::ServerUrl;

/// How much of a media type or an entity tag an error quotes, in bytes.
const QUOTED_BYTES_MAX: usize = 64;

/// The header with the key of a request that may be sent again.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Parses the query of a request.
pub(super) fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, ApiError> {
    let invalid = |problem: String| ApiError::bad_request(format!("invalid query: {problem}"));
    Query::try_from_uri(uri).map(|Query(query)| query).map_err(|rejection| invalid(rejection.body_text()))
}

/// Decodes the body of a request.
pub(super) fn body<B: DecodedBody>(parts: &Parts, bytes: &[u8]) -> Result<B::Value, ApiError> {
    match B::MEDIA {
        None if bytes.is_empty() => {}
        None => return Err(ApiError::bad_request("this request takes no body; send it without one")),
        Some(media) => check_media(&parts.headers, media)?,
    }
    B::decode(bytes).map_err(|error| ApiError::bad_request(format!("invalid request body: {error}")))
}

/// Reads the body of a request.
pub(super) async fn read(body: Body) -> Result<Bytes, ApiError> {
    let Ok(read) = tokio::time::timeout(BODY_LIMIT, to_bytes(body, BODY_BYTES_MAX)).await else {
        return Err(ApiError::bad_request(format!("request body not received within {} s", BODY_LIMIT.as_secs())));
    };
    read.map_err(|error| match std::error::Error::source(&error).is_some_and(|cause| cause.is::<LengthLimitError>()) {
        true => ApiError::body_too_large(),
        false => ApiError::bad_request(format!("cannot read the request body: {}", error_chain(&error))),
    })
}

/// Checks that a body is announced with the media type `expected`. Parameters, such as `charset`, are ignored.
pub(super) fn check_media(headers: &HeaderMap, expected: &str) -> Result<(), ApiError> {
    let found = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let media = found.as_deref().map(|found| found.split(';').next().unwrap_or_default().trim());
    if media.is_some_and(|media| media.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    let found = media.map_or_else(|| "none".to_owned(), |media| excerpt(media, QUOTED_BYTES_MAX));
    let text = format!("the request's Content-Type is {found}; this operation takes {expected}");
    Err(ApiError::new(ErrorCode::UnsupportedMediaType, text))
}

/// Returns the entity tag of a spec generation.
pub(super) fn entity_tag(generation: u64) -> String {
    format!("\"g{generation}\"")
}

/// Parses `If-Match`: the entity tag of an earlier answer, or `*`.
pub(super) fn if_match(headers: &HeaderMap, spec: &OperationSpec) -> Result<Option<Generation>, ApiError> {
    let Some(value) = headers.get(IF_MATCH) else { return Ok(None) };
    if !spec.has_etag || spec.method.is_read() {
        return Err(ApiError::bad_request("If-Match: this operation does not support it").in_field("If-Match", None));
    }
    let text = String::from_utf8_lossy(value.as_bytes());
    let tag = text.trim();
    let number = tag.strip_prefix("\"g").and_then(|rest| rest.strip_suffix('"')?.parse().ok());
    match (tag, number) {
        ("*", _) => Ok(None),
        (_, Some(number)) => Ok(Some(Generation(number))),
        (_, None) => {
            let tag = excerpt(tag, QUOTED_BYTES_MAX);
            let text = format!("If-Match: {tag} is no entity tag of this server; use the ETag of an earlier answer");
            Err(ApiError::bad_request(text).in_field("If-Match", None))
        }
    }
}

/// Parses the idempotency key of a request with this body.
pub(super) fn request_key(parts: &Parts, spec: &OperationSpec, body: &[u8]) -> Result<Option<RequestKey>, ApiError> {
    let Some(value) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    if spec.method.is_read() {
        return Ok(None);
    }
    let bad = |problem: String| ApiError::bad_request(problem).in_field("Idempotency-Key", None);
    if !spec.is_keyed {
        let text = "Idempotency-Key: this operation does not support it; repeating it changes nothing more";
        return Err(bad(text.to_owned()));
    }
    let target = parts.uri.path_and_query().map_or_else(|| parts.uri.path(), PathAndQuery::as_str);
    let key = RequestKey::new(value.as_bytes(), spec.name, target, body);
    let malformed = format!(
        "Idempotency-Key: expected {IDEMPOTENCY_KEY_LENGTH_MIN} to {IDEMPOTENCY_KEY_LENGTH_MAX} printable characters without spaces, such as a \
         random UUID"
    );
    key.map(Some).ok_or_else(|| bad(malformed))
}

/// Returns the value of the parameter in the path of the operation `O`; empty if it has none.
pub(super) async fn path_parameter<O: Operation>(parts: &mut Parts) -> Result<String, ApiError> {
    let Some(parameter) = O::SPEC.parameter() else { return Ok(String::new()) };
    let found = Path::<String>::from_request_parts(parts, &()).await;
    found.map(|Path(text)| text).map_err(|rejection| ApiError::invalid(parameter, &rejection.body_text(), None))
}

/// Builds a reference to a site from the name in the path and the environment in the query.
pub(super) fn site_ref(name: Name, environment: Option<&str>) -> Result<SiteRef, ApiError> {
    Ok(SiteRef { environment: optional_name("environment", environment)?, name })
}

/// Builds a reference to a host from the name in the path, and the environment and the site in the query.
pub(super) fn host_ref(name: Name, query: &HostNameQuery) -> Result<HostRef, ApiError> {
    let environment = optional_name("environment", query.environment.as_deref())?;
    Ok(HostRef { environment, site: optional_name("site", query.site.as_deref())?, name })
}

/// Parses a name in the request, if it is there.
pub(super) fn optional_name(field: &str, text: Option<&str>) -> Result<Option<Name>, ApiError> {
    text.map(|text| parse_name(field, text)).transpose()
}

/// Parses a name in the request.
pub(super) fn parse_name(field: &str, text: &str) -> Result<Name, ApiError> {
    Name::parse(text).map_err(|error| {
        let column = match &error {
            NameError::BadCharacter { column, .. } => Some(*column),
            _ => None,
        };
        ApiError::invalid(field, &error, column)
    })
}

/// Parses a server URL in the request.
pub(super) fn server_url(text: &str) -> Result<ServerAddress, ApiError> {
    let parsed = ServerUrl::parse(text).map(|url| url.address().clone());
    parsed.map_err(|problem| ApiError::bad_request(format!("server_url {problem}")).in_field("server_url", None))
}

/// Parses a selector in the request.
pub(super) fn parse_selector(field: &str, text: &str) -> Result<Selector, ApiError> {
    Selector::parse(text).map_err(|error| ApiError::invalid(field, &error, Some(error.column)))
}

/// Parses the state of a site or a host in the query of a list.
pub(super) fn parse_phase(text: Option<&str>) -> Result<Option<Phase>, ApiError> {
    let all = || Phase::ALL.iter().map(|phase| phase.as_str());
    text.map(|text| Phase::parse(text).ok_or_else(|| unknown("state", text, all()))).transpose()
}

/// Parses a condition in the query of a list.
pub(super) fn parse_condition(text: Option<&str>) -> Result<Option<ConditionKind>, ApiError> {
    let all = || ConditionKind::ALL.iter().map(|kind| kind.as_str());
    text.map(|text| ConditionKind::parse(text).ok_or_else(|| unknown("condition", text, all()))).transpose()
}

/// Parses the text that a list is searched for, and returns it in lower case.
pub(super) fn parse_search(text: Option<&str>) -> Result<Option<String>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let chars = text.chars().count();
    if SEARCH_CHARS_MAX < chars {
        let problem = format!("has at most {SEARCH_CHARS_MAX} characters, not {chars}");
        return Err(ApiError::invalid("text", &problem, None));
    }
    Ok(Some(text.to_lowercase()))
}

/// Checks how many items a request asks for: from 1 to `max`.
pub(super) fn limit(wanted: Option<usize>, default: usize, max: usize) -> Result<usize, ApiError> {
    let wanted = wanted.unwrap_or(default);
    if (1..=max).contains(&wanted) {
        return Ok(wanted);
    }
    Err(ApiError::invalid("limit", &format!("is a number from 1 to {max}"), None))
}

/// A value of a query that is none of those that there are.
pub(super) fn unknown<'a>(field: &str, text: &str, all: impl Iterator<Item = &'a str>) -> ApiError {
    let all: Vec<_> = all.collect();
    let text = excerpt(text, QUOTED_BYTES_MAX);
    ApiError::invalid(field, &format!("unknown value `{text}`; use one of {}", all.join(", ")), None)
}
