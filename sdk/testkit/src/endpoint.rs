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
        let port = match scheme {
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
        let Some((before, rest)) = text.split_once('{') else {
            return Self::parse_pair(text)
                .map(|endpoint| vec![endpoint])
                .ok_or_else(|| format!("`{text}` is not HOST:PORT"));
        };
        let (field, after) = rest.split_once('}').ok_or_else(|| format!("`{text}` has an unclosed brace"))?;
        let value = at(config, field);
        let values: Vec<&Value> = match value {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items.iter().collect(),
            Some(value) => vec![value],
        };
        values.into_iter().map(|value| Self::filled(text, (before, after), value)).collect()
    }

    fn filled(text: &str, (before, after): (&str, &str), value: &Value) -> Result<Self, String> {
        let text_value = match value {
            Value::String(value) => value.clone(),
            other => other.to_string(),
        };
        let filled = format!("{before}{text_value}{after}");
        let endpoint = Self::parse_url(&filled).or_else(|| Self::parse_pair(&filled)).or_else(|| {
            // `{api}:443` with a URL that has no port, or has a path.
            let port = after.strip_prefix(':')?.parse().ok()?;
            Self::of(&Self::parse_url(&text_value)?.host, port)
        });
        endpoint.ok_or_else(|| format!("`{text}` becomes `{filled}`, which is neither a URL nor HOST:PORT"))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
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
