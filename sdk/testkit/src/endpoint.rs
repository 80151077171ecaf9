//! Endpoints: those that a provider calls, and those that it declares.

use std::fmt;

use serde_json::Value;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    host: String,
    port: u16,
}

impl Endpoint {
    /// Parses `HOST:PORT`, with an IPv6 address in brackets.
    pub(crate) fn parse_pair(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        Self::of(host, port.parse().ok()?)
    }

    /// Returns a URL's host and port.
    pub(crate) fn parse_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let port = match &*scheme.to_ascii_lowercase() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let has_no_port = !authority.contains(':') || authority.ends_with(']');
        if has_no_port { Self::of(authority, port) } else { Self::parse_pair(authority) }
    }

    fn of(host: &str, port: u16) -> Option<Self> {
        let is_host_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
        let is_valid = !host.is_empty() && host.bytes().all(is_host_byte) && port != 0;
        is_valid.then(|| Self { host: host.trim_end_matches('.').to_ascii_lowercase(), port })
    }

    /// Parses a declared endpoint and fills it in from a config: one endpoint, or several from a list.
    ///
    /// # Errors
    /// A message that says what is invalid.
    pub(crate) fn from_description(text: &str, config: &Value) -> Result<Vec<Self>, String> {
        // Each filled text, and the value that it starts with.
        let (mut filled, mut rest) = (vec![(String::new(), None)], text);
        while let Some((before, tail)) = rest.split_once('{') {
            let (field, after) = tail.split_once('}').ok_or_else(|| format!("`{text}` has an unclosed brace"))?;
            let values: Vec<String> = match at(config, field) {
                None | Some(Value::Null) => return Ok(Vec::new()),
                Some(Value::Array(items)) => items.iter().map(value_text).collect(),
                Some(value) => vec![value_text(value)],
            };
            let append = |(start, first): &(String, Option<String>), value: &String| {
                let start = format!("{start}{before}");
                let first = first.clone().or_else(|| start.is_empty().then(|| value.clone()));
                (start + value, first)
            };
            filled = filled.iter().flat_map(|start| values.iter().map(move |value| append(start, value))).collect();
            rest = after;
        }
        let endpoint = |(start, first): (String, Option<String>)| {
            let filled = start + rest;
            Self::of_filled(&filled, first.as_deref())
                .ok_or_else(|| format!("`{text}` becomes `{filled}`, which is neither a URL nor HOST:PORT"))
        };
        filled.into_iter().map(endpoint).collect()
    }

    fn of_filled(filled: &str, first: Option<&str>) -> Option<Self> {
        Self::parse_url(filled).or_else(|| Self::parse_pair(filled)).or_else(|| {
            // `{api}:443` with a URL that has a port.
            let port = filled.strip_prefix(first?)?.strip_prefix(':')?.parse().ok()?;
            Self::of(&Self::parse_url(first?)?.host, port)
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

fn value_text(value: &Value) -> String {
    match value {
        Value::String(value) => value.clone(),
        other => other.to_string(),
    }
}

/// Returns the config's value at a path such as `primary.server`.
fn at<'a>(config: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(config, |value, key| value.get(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_filled_in_from_the_config() {
        let config = serde_json::json!({
            "api": "https://DNS.example.org:8443/v1", "bare": "http://a.test", "server": "ns.test",
            "servers": ["[2001:db8::1]:53", "b.test:5353"], "deep": {"port": 99}
        });
        let check = |text: &str, expected: &[&str]| {
            let endpoints = Endpoint::from_description(text, &config).unwrap();
            assert_eq!(endpoints.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{text}");
        };
        check("{api}", &["dns.example.org:8443"]);
        check("{bare}", &["a.test:80"]);
        check("{server}:53", &["ns.test:53"]);
        check("{server}:{deep.port}", &["ns.test:99"]);
        check("HTTPS://{server}/{absent}", &[]);
        check("HTTPS://{server}/x", &["ns.test:443"]);
        check("{servers}", &["[2001:db8::1]:53", "b.test:5353"]);
        check("a.test:{deep.port}", &["a.test:99"]);
        check("{absent}", &[]);
        check("api.test:443", &["api.test:443"]);
        for text in ["api.test", "{server}", "{api", "https://{api}"] {
            assert!(Endpoint::from_description(text, &config).is_err(), "{text}");
        }
    }

    #[test]
    fn invalid_urls_have_no_endpoint() {
        for url in ["ftp://a/", "a.test/x", "https://user@a.test/", "https:///x", "https://a:0/", "https://a b/"] {
            assert_eq!(Endpoint::parse_url(url), None, "{url}");
        }
    }
}
