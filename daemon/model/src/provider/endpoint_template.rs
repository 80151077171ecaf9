//! The endpoints that a plugin declares, filled in from a provider's settings.
//!
//! A declared endpoint is `HOST:PORT`, or contains `{field}` for the value of that setting, which may be a URL, or a
//! list. A setting that is not set has the default of its schema. A plugin may also declare the default of a setting as
//! `HOST:PORT`; where the setting has another value, that endpoint is not called.

use super::Endpoint;
use crate::json::Json;

/// The settings of a provider, and their schema.
#[derive(Clone, Copy)]
pub(super) struct Settings<'a> {
    pub(super) config: &'a Json,
    pub(super) schema: &'a Json,
}

/// An endpoint that a provider calls.
pub(super) struct CalledEndpoint {
    pub(super) endpoint: Endpoint,
    /// Whether the setting is a URL without TLS.
    pub(super) is_plain_http: bool,
}

/// Returns the endpoints for a declared endpoint; none for a setting that is not set.
///
/// # Errors
/// The setting whose value is neither a URL nor `HOST:PORT`. A declaration that is invalid by itself is ignored.
pub(super) fn called_endpoints(declared: &str, settings: Settings<'_>) -> Result<Vec<CalledEndpoint>, String> {
    let Some((before, rest)) = declared.split_once('{') else {
        let endpoint = Endpoint::parse(declared).ok().filter(|endpoint| !settings.has_replaced(endpoint));
        return Ok(endpoint.map(|endpoint| CalledEndpoint { endpoint, is_plain_http: false }).into_iter().collect());
    };
    let Some((field, after)) = rest.split_once('}') else { return Ok(Vec::new()) };
    let values = match settings.value(field) {
        None | Some(Json::Null) => return Ok(Vec::new()),
        Some(Json::List(items)) => items.iter().collect(),
        Some(value) => vec![value],
    };
    values
        .into_iter()
        .filter_map(value_text)
        .map(|value| filled((before, &value, after)).ok_or_else(|| field.to_owned()))
        .collect()
}

impl<'a> Settings<'a> {
    /// Returns the value of a setting, or its default.
    fn value(self, field: &str) -> Option<&'a Json> {
        let value = field.split('.').try_fold(self.config, |value, key| value.get(key));
        value.or_else(|| {
            let schema = field.split('.').try_fold(self.schema, |schema, key| schema.get("properties")?.get(key));
            schema?.get("default")
        })
    }

    /// Whether an endpoint is the default of a setting that has another value.
    fn has_replaced(self, endpoint: &Endpoint) -> bool {
        let Some(Json::Object(properties)) = self.schema.get("properties") else { return false };
        properties.iter().any(|(name, schema)| {
            let default = schema.get("default").filter(|default| self.value(name) != Some(default));
            let url = default.and_then(Json::text).and_then(|default| filled(("", default, "")));
            url.is_some_and(|default| default.endpoint == *endpoint)
        })
    }
}

/// Returns the text of a value; `None` for one that cannot be part of an endpoint, which the schema reports.
fn value_text(value: &Json) -> Option<String> {
    match value {
        Json::Text(text) => Some(text.to_string()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the endpoint of a value between the texts around its placeholder.
fn filled((before, value, after): (&str, &str, &str)) -> Option<CalledEndpoint> {
    let text = format!("{before}{value}{after}");
    let is_plain_http = text.starts_with("http://");
    let endpoint = of_url(&text).or_else(|| Endpoint::parse(&text).ok()).or_else(|| {
        // `{api}:443` with a URL that has no port, or has a path.
        Endpoint::new(of_url(value)?.host(), after.strip_prefix(':')?.parse().ok()?)
    })?;
    Some(CalledEndpoint { endpoint, is_plain_http })
}

fn of_url(url: &str) -> Option<Endpoint> {
    let (scheme, rest) = url.split_once("://")?;
    let port = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let has_port = authority.contains(':') && !authority.ends_with(']');
    if has_port { Endpoint::parse(authority).ok() } else { Endpoint::new(authority, port) }
}
