//! Configs: how they are read, and what their schema is made of.

use serde::de::DeserializeOwned;

use crate::failure::Failure;

/// A provider's settings, and their JSON Schema. Derive it, beside `serde::Deserialize`:
///
/// ```
/// # use linecamp_provider::Config;
/// #[derive(serde::Deserialize, Config)]
/// #[serde(deny_unknown_fields)]
/// struct Settings {
///     /// Where the API is, such as `https://dns.example.org`.
///     #[config(format = "uri", example = "https://dns.example.org")]
///     api: String,
///     /// How many records to ask for at once.
///     #[serde(default = "hundred")]
///     #[config(default = 100, minimum = 1, maximum = 1000)]
///     page_size: u32,
///     /// How the zone is kept.
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
/// assert!(Settings::SCHEMA.contains("Where the API is"));
/// ```
///
/// Doc comments become descriptions. A field is required unless it is an `Option` or has `#[serde(default)]`. The types
/// are the numbers, `bool`, `String`, `Option`, `Vec`, `BTreeMap<String, _>`, and other types that derive `Config`:
/// structs with `deny_unknown_fields`, and enums without fields. `#[config(…)]` takes `default`, `example`, `format`,
/// `pattern`, `minimum`, `maximum`, `min_length`, `max_length`, `min_items` and `max_items`. Only what serde knows is
/// checked when the config is read; the host and the form check the rest by the schema.
///
/// What a schema cannot say does not compile:
///
/// ```compile_fail
/// # use linecamp_provider::Config;
/// #[derive(serde::Deserialize, Config)]
/// struct LetsAnythingPass {
///     api: String,
/// }
/// ```
pub trait Config: DeserializeOwned {
    /// The JSON Schema, an object.
    const SCHEMA: &'static str;

    /// What stands between the braces of [`SCHEMA`](Self::SCHEMA) but its description.
    #[doc(hidden)]
    const SCHEMA_BODY: &'static str;
}

/// Reads a config.
///
/// # Errors
/// A refusal that names the setting that is to blame.
pub(crate) fn parse<C: Config>(json: &str) -> Result<C, Failure> {
    // A list would fill in the fields by their order, and an empty one leave all of them at their defaults.
    if !json.trim_start().starts_with('{') {
        return Err(Failure::refused("the config does not read: it is no JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    let config = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let problem = error.into_inner().to_string();
        let reason = problem.rsplit_once(" at line ").map_or(&*problem, |(reason, _)| reason);
        let refusal = Failure::refused(format!("the config does not read: {reason}"));
        match blamed(&path, reason) {
            Some(field) => refusal.field(field),
            None => refusal,
        }
    })?;
    reader.end().map_err(|_| Failure::refused("the config does not read: something follows it"))?;
    Ok(config)
}

/// Returns the path of the setting that is to blame. A missing one is named in the words, and its parent by the path.
fn blamed(path: &str, reason: &str) -> Option<String> {
    let missing = reason.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
    match (missing, path) {
        (Some(field), "." | "") => Some(field.to_owned()),
        (Some(field), parent) => Some(format!("{parent}.{field}")),
        (None, "." | "" | "?") => None,
        (None, path) => Some(path.to_owned()),
    }
}

/// Joins texts when the component is compiled, so that a schema is a constant and costs no code.
pub mod text {
    /// Returns how long the texts are together.
    pub const fn length(parts: &[&str]) -> usize {
        let (mut bytes, mut part) = (0, 0);
        while part < parts.len() {
            bytes += parts[part].len();
            part += 1;
        }
        bytes
    }

    /// Returns the texts joined.
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

    /// Returns the bytes as the text they are.
    ///
    /// # Panics
    /// When compiling, if they are no UTF-8: what is joined of texts is.
    pub const fn of(bytes: &'static [u8]) -> &'static str {
        match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(_) => panic!("texts joined are a text"),
        }
    }
}
