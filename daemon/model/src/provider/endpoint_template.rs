//! The endpoints that a plugin declares, filled in from a provider's settings.
//!
//! A declared endpoint is `HOST:PORT` or a URL. `{field}` in it stands for the value of that setting, which may be a
//! URL, or a list. A setting that is not set has the default of its schema; one that is empty calls nothing. A plugin
//! may also declare the default of a setting as `HOST:PORT`; where the setting has another value, that endpoint is not
//! called.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv6Addr;

use super::Endpoint;
use crate::json::Json;
use crate::limits::GRANTS_PER_PROVIDER_MAX;

/// How many fields a declaration may have.
const FIELDS_MAX: usize = 8;

/// The longest value that is filled in, in bytes: no plugin can call a longer URL.
const VALUE_BYTES_MAX: usize = 8 * 1024;

/// How many elements of a list are filled in: more than a provider can be granted.
const FILLED_MAX: usize = 2 * GRANTS_PER_PROVIDER_MAX + 1;

/// The settings of a provider, and their schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings<'a> {
    pub(super) config: &'a Json,
    pub(super) schema: &'a Json,
}

/// An endpoint that a provider calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CalledEndpoint {
    pub(super) endpoint: Endpoint,
    /// Whether it is called by a URL without TLS.
    pub(super) is_plain_http: bool,
}

/// A declared endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EndpointTemplate<'a> {
    /// Each field, with the text before it.
    fields: Vec<(&'a str, &'a str)>,
    /// The text after the last field.
    after: &'a str,
}

impl<'a> EndpointTemplate<'a> {
    /// Parses a declaration. `None` if it has an unpaired brace or a field without a name, or has no field and is
    /// neither a URL nor `HOST:PORT`, or has more than 8 fields.
    pub(super) fn parse(declared: &'a str) -> Option<Self> {
        let (mut fields, mut after) = (Vec::new(), declared);
        while let Some((before, rest)) = after.split_once('{') {
            let (field, rest) = rest.split_once('}')?;
            if field.is_empty() || field.contains('{') || before.contains('}') {
                return None;
            }
            fields.push((before, field));
            after = rest;
        }
        let is_readable = !fields.is_empty() || read(declared).is_some();
        (is_readable && fields.len() <= FIELDS_MAX && !after.contains('}')).then_some(Self { fields, after })
    }

    /// Returns the first field.
    pub(super) fn field(&self) -> Option<&'a str> {
        self.fields.first().map(|(_, field)| *field)
    }

    /// Whether it is `{field}` and nothing else.
    pub(super) fn is_bare(&self) -> bool {
        matches!(self.fields[..], [("", _)]) && self.after.is_empty()
    }

    /// Returns the endpoints that a provider with these settings calls. None if a field is not set or empty, or has a
    /// value that is left to the plugin: an object, or a second list.
    ///
    /// # Errors
    /// A filled text that is neither a URL nor `HOST:PORT`.
    pub(super) fn called(&self, settings: Settings<'_>) -> Result<Vec<CalledEndpoint>, NotAnEndpoint> {
        let (mut texts, mut has_list) = (vec![(String::new(), None)], false);
        for (before, field) in &self.fields {
            let values = match settings.value(field) {
                Some(Json::List(items)) if !has_list => {
                    has_list = true;
                    items.iter().filter_map(value_text).take(FILLED_MAX).collect()
                }
                value => Vec::from_iter(value.and_then(value_text)),
            };
            let append = |(text, first): &(String, Option<String>), value: &str| {
                let start = format!("{text}{before}");
                let value = if self.is_bare() { value.to_owned() } else { bracketed(&start, value) };
                let first = first.clone().or_else(|| start.is_empty().then(|| value.clone()));
                (start + &value, first)
            };
            texts = values.iter().flat_map(|value| texts.iter().map(move |text| append(text, value))).collect();
        }
        let filled = texts.into_iter().map(|(text, first)| filled(&(text + self.after), first.as_deref()));
        filled.collect::<Option<_>>().ok_or(NotAnEndpoint)
    }
}

impl fmt::Display for EndpointTemplate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (before, field) in &self.fields {
            write!(f, "{before}{{{field}}}")?;
        }
        f.write_str(self.after)
    }
}

/// The settings do not make an endpoint of a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAnEndpoint;

impl<'a> Settings<'a> {
    /// Returns the value of a setting, or its default.
    fn value(self, field: &str) -> Option<&'a Json> {
        let value = field.split('.').try_fold(self.config, |value, key| value.get(key));
        value.or_else(|| {
            let schema = field.split('.').try_fold(self.schema, |schema, key| schema.get("properties")?.get(key));
            schema?.get("default")
        })
    }

    /// Returns the endpoints that are called only while settings have their defaults: those of the plugin's templates
    /// and of each setting by itself, without those that are called with these settings.
    pub(super) fn replaced_endpoints(self, templates: &[EndpointTemplate<'_>]) -> BTreeSet<Endpoint> {
        let names = match self.schema.get("properties") {
            Some(Json::Object(properties)) => properties.keys().map(|name| &**name).collect(),
            _ => Vec::new(),
        };
        let settings = names.into_iter().map(|name| EndpointTemplate { fields: vec![("", name)], after: "" });
        let defaults = Settings { config: &Json::Null, ..self };
        let called = |template: &EndpointTemplate<'_>, settings: Self| {
            let called = template.called(settings).unwrap_or_default();
            called.into_iter().map(|called| called.endpoint).collect::<BTreeSet<_>>()
        };
        let templates = templates.iter().filter(|template| !template.fields.is_empty()).cloned().chain(settings);
        let (mut by_default, mut now) = (BTreeSet::new(), BTreeSet::new());
        for template in templates {
            by_default.extend(called(&template, defaults));
            now.extend(called(&template, self));
        }
        by_default.difference(&now).cloned().collect()
    }
}

/// Returns the text of a value; `None` for an empty one, and for one that cannot be part of an endpoint: the schema
/// reports it, or the plugin.
fn value_text(value: &Json) -> Option<String> {
    match value {
        Json::Text(text) => Some(text.to_string()).filter(|text| (1..=VALUE_BYTES_MAX).contains(&text.len())),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the value, an IPv6 address in brackets unless the text before it opens them.
fn bracketed(before: &str, value: &str) -> String {
    let is_open = before.ends_with('[') || value.parse::<Ipv6Addr>().is_err();
    if is_open { value.to_owned() } else { format!("[{value}]") }
}

/// Returns the endpoint of a filled text. `first` is the value that it starts with.
fn filled(text: &str, first: Option<&str>) -> Option<CalledEndpoint> {
    read(text).or_else(|| {
        // `{api}:443` with a URL that has a port.
        let url = of_url(first?)?;
        let port = text.strip_prefix(first?)?.strip_prefix(':')?.parse().ok()?;
        Some(CalledEndpoint { endpoint: Endpoint::new(&bracketed("", url.endpoint.host()), port)?, ..url })
    })
}

/// Reads a URL, or `HOST:PORT`.
fn read(text: &str) -> Option<CalledEndpoint> {
    let pair = || Some(CalledEndpoint { endpoint: Endpoint::parse(text).ok()?, is_plain_http: false });
    of_url(text).or_else(pair)
}

/// Reads a URL. Its scheme is compared without case, as the host of a plugin does.
fn of_url(url: &str) -> Option<CalledEndpoint> {
    let (scheme, rest) = url.split_once("://")?;
    let is_plain_http = scheme.eq_ignore_ascii_case("http");
    if !is_plain_http && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let has_port = authority.contains(':') && !authority.ends_with(']');
    let endpoint = if has_port {
        Endpoint::parse(authority).ok()?
    } else {
        Endpoint::new(authority, if is_plain_http { 80 } else { 443 })?
    };
    Some(CalledEndpoint { endpoint, is_plain_http })
}
