//! Config parsing, and the constants of which a config schema is built.

use serde::de::DeserializeOwned;

use crate::error::ProviderError;

/// A provider's settings and their JSON Schema. Derive it alongside `serde::Deserialize`:
///
/// ```
/// # use linecamp_provider::Config;
/// #[derive(serde::Deserialize, Config)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     /// Base URL of the API, such as `https://dns.example.org`.
///     #[config(format = "uri", example = "https://dns.example.org")]
///     api: String,
///     /// Records per request.
///     #[serde(default = "hundred")]
///     #[config(default = 100, minimum = 1, maximum = 1000)]
///     page_size: u32,
///     /// How the zone is stored.
///     mode: Option<Mode>,
/// }
///
/// #[derive(serde::Deserialize, Config)]
/// #[serde(rename_all = "kebab-case")]
/// enum Mode {
///     Plain,
///     Signed,
/// }
/// # fn hundred() -> u32 { 100 }
/// assert!(Settings::SCHEMA.contains("Base URL of the API"));
/// ```
///
/// Doc comments become descriptions. A field is required unless it is an `Option` or has `#[serde(default)]`. Supported
/// types are the numbers, `bool`, `String`, `Option`, `Vec`, `BTreeMap<String, _>`, and other types that derive
/// `Config`: structs with `deny_unknown_fields`, and enums without fields. `#[config(…)]` accepts `default`, `example`,
/// `format`, `pattern`, `minimum`, `maximum`, `min_length`, `max_length`, `min_items` and `max_items`. Parsing the
/// config checks only what serde checks; the host and the form check the rest against the schema.
///
/// Whatever a schema cannot express does not compile:
///
/// ```compile_fail
/// # use linecamp_provider::Config;
/// #[derive(serde::Deserialize, Config)]
/// struct AcceptsUnknownFields {
///     api: String,
/// }
/// ```
pub trait Config: DeserializeOwned {
    /// The JSON Schema, an object.
    const SCHEMA: &'static str;

    /// The content of [`SCHEMA`](Self::SCHEMA) between its braces, without the description.
    #[doc(hidden)]
    const SCHEMA_BODY: &'static str;
}

/// Parses a config.
///
/// # Errors
/// [`ProviderError::Invalid`], which names the setting at fault.
pub(crate) fn parse<C: Config>(json: &str) -> Result<C, ProviderError> {
    // A list would fill the fields in order, and an empty one would leave all of them at their defaults.
    if !json.trim_start().starts_with('{') {
        return Err(ProviderError::invalid("invalid config: not a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    let config = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.into_inner().to_string();
        let reason = problem.rsplit_once(" at line ").map_or(&*problem, |(reason, _)| reason);
        let error = ProviderError::invalid(format!("invalid config: {reason}"));
        match field_at_fault(&path, reason) {
            Some(field) => error.field(field),
            None => error,
        }
    })?;
    reader.end().map_err(|_| ProviderError::invalid("invalid config: text after the JSON object"))?;
    Ok(config)
}

/// Returns the path of the setting at fault. For a missing setting, the message names it and the path names its parent.
fn field_at_fault(path: &str, reason: &str) -> Option<String> {
    let missing = reason.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    match (missing, path) {
        (Some(field), "." | "") => Some(field.to_owned()),
        (Some(field), parent) => Some(format!("{parent}.{field}")),
        (None, "." | "" | "?") => None,
        (None, path) => Some(path.to_owned()),
    }
}

/// Concatenates strings at compile time, so that a schema is a constant and costs no code.
pub mod text {
    /// Returns the total length of the strings.
    pub const fn length(parts: &[&str]) -> usize {
        let (mut bytes, mut part) = (0, 0);
        while part < parts.len() {
            bytes += parts[part].len();
            part += 1;
        }
        bytes
    }

    /// Concatenates the strings.
    pub const fn join<const BYTES: usize>(parts: &[&str]) -> [u8; BYTES] {
        let mut joined = [0; BYTES];
        let (mut at, mut part) = (0, 0);
        while part < parts.len() {
            let bytes = parts[part].as_bytes();
            let mut byte = 0;
            while byte < bytes.len() {
                joined[at] = bytes[byte];
                (at, byte) = (at + 1, byte + 1);
            }
            part += 1;
        }
        joined
    }

    /// Returns the bytes as a string.
    ///
    /// # Panics
    /// At compile time, if the bytes are invalid UTF-8, which concatenated strings never are.
    pub const fn of(bytes: &'static [u8]) -> &'static str {
        match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => panic!("concatenated strings are valid UTF-8"),
        }
    }
}
