//! Checks of a provider's description and config schema.

use linecamp_provider::ProviderError;
use serde_json::{Map, Value, json};

use crate::endpoint::Endpoint;
use crate::fake_host::FaultPlan;
use crate::harness::{Harness, NotPassed, Outcome, completed, ensure};
use crate::schema::Schema;
use crate::under_test::{Call, CallResult};

/// Maximum length of a plugin's name in bytes: a DNS label, like all names in Linecamp.
const NAME_BYTES_MAX: usize = 63;

/// Maximum length of a plugin's one-sentence description in characters.
const SUMMARY_CHARS_MAX: usize = 200;

/// Maximum length of a secret's name in bytes.
const SECRET_NAME_BYTES_MAX: usize = 64;

pub(super) fn describes_itself(harness: &Harness<'_>) -> Outcome {
    let described = harness.described;
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let name = &described.name;
    let is_name = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(is_word)
        && !name.starts_with('-')
        && !name.ends_with('-');
    ensure(is_name, || format!("the name `{name}` is not a-z, 0-9 and `-`"))?;
    let version = &described.version;
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<_> = core.split('.').map(str::parse::<u32>).collect();
    ensure(parts.len() == 3 && parts.iter().all(Result::is_ok), || format!("the version `{version}` is not 1.2.3"))?;
    let chars = described.summary.chars().count();
    let is_sentence = (1..=SUMMARY_CHARS_MAX).contains(&chars) && !described.summary.contains('\n');
    ensure(is_sentence, || {
        format!("`summary` has {chars} characters; write one sentence of at most {SUMMARY_CHARS_MAX}")
    })?;
    let capabilities = described.capabilities;
    ensure(2 <= capabilities.max_batch_size, || {
        "`max_batch_size` is less than 2: an ownership TXT record and its record belong in one change set".to_owned()
    })?;
    ensure(capabilities.ttl_min <= capabilities.ttl_max, || "`ttl_min` is greater than `ttl_max`".to_owned())?;
    for secret in &described.secrets {
        let is_inner = |byte: u8| is_word(byte) || byte == b'_' || byte == b'.';
        let is_name = (1..=SECRET_NAME_BYTES_MAX).contains(&secret.len()) && secret.bytes().all(is_inner);
        ensure(is_name, || format!("the secret's name `{secret}` is not a-z, 0-9, `-`, `_` and `.`"))?;
        ensure(harness.setup.secrets.contains_key(secret), || format!("the setup has no secret `{secret}`"))?;
    }
    let config = completed(harness.setup, described);
    let mut endpoints = Vec::new();
    for text in &described.endpoints {
        let found = Endpoint::from_description(text, &config).map_err(NotPassed::Failed)?;
        endpoints.extend(found.iter().map(ToString::to_string));
    }
    let atomic = if capabilities.atomic { "atomic" } else { "not atomic" };
    let lists = if capabilities.can_list_records { "lists records" } else { "does not list records" };
    let (secrets, endpoints) = (described.secrets.join(", "), endpoints.join(", "));
    Ok(format!("{atomic}, {lists}; secrets: {secrets}; endpoints: {endpoints}"))
}

pub(super) fn has_a_schema(harness: &Harness<'_>) -> Outcome {
    let schema = Schema::parse(&harness.described.config_schema).map_err(NotPassed::Failed)?;
    let config = config(harness)?;
    match schema.problem(&Value::Object(config)) {
        Some(problem) => Err(NotPassed::Failed(format!("the schema rejects the setup's config: {problem}"))),
        None => {
            let bare = schema.properties().into_iter().find(|(_, schema)| schema.get("description").is_none());
            ensure(bare.is_none(), || format!("`{}` has no description", bare.map_or("", |(name, _)| name)))?;
            Ok(format!("{} settings, {} bytes", schema.properties().len(), harness.described.config_schema.len()))
        }
    }
}

pub(super) fn names_a_wrong_setting(harness: &Harness<'_>) -> Outcome {
    let schema = Schema::parse(&harness.described.config_schema).map_err(NotPassed::Failed)?;
    let mut names = Vec::new();
    for (name, inner) in schema.properties() {
        let mut wrong = config(harness)?;
        let value = match inner.get("type").and_then(Value::as_str) {
            Some("object") => json!("not an object"),
            Some("array") => json!({"no": "array"}),
            _ => json!(["no", "such", "value"]),
        };
        wrong.insert(name.to_owned(), value);
        rejects(harness, &schema, wrong, name)?;
        names.push(name);
    }
    for text in ["", "{", "[]", "null", "17"] {
        let (result, _) = harness.fixture().call_with(text, FaultPlan::NoFault, &Call::Validate);
        ensure(matches!(result, CallResult::Failed(ProviderError::Invalid { .. })), || {
            format!("config `{text}`: {result:?}")
        })?;
    }
    Ok(names.join(", "))
}

pub(super) fn names_an_unknown_setting(harness: &Harness<'_>) -> Outcome {
    const UNKNOWN: &str = "linecamp_unknown";
    let schema = Schema::parse(&harness.described.config_schema).map_err(NotPassed::Failed)?;
    let mut wrong = config(harness)?;
    wrong.insert(UNKNOWN.to_owned(), json!(1));
    rejects(harness, &schema, wrong, UNKNOWN)?;
    Ok(String::new())
}

pub(super) fn names_a_missing_setting(harness: &Harness<'_>) -> Outcome {
    let schema = Schema::parse(&harness.described.config_schema).map_err(NotPassed::Failed)?;
    let required = schema.required();
    for name in &required {
        let mut wrong = config(harness)?;
        wrong.remove(*name);
        rejects(harness, &schema, wrong, name)?;
    }
    match required.is_empty() {
        true => Err(NotPassed::Skipped("it requires no setting".to_owned())),
        false => Ok(required.join(", ")),
    }
}

pub(super) fn validates_without_a_change(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let before = fixture.truth();
    let (result, stats) = fixture.call(FaultPlan::NoFault, &Call::Validate);
    ensure(result == CallResult::Done(Vec::new()), || format!("{result:?}"))?;
    ensure(fixture.truth() == before && fixture.writes() == 0, || "it wrote".to_owned())?;
    ensure(0 < stats.requests(), || "it did not call the service".to_owned())?;
    Ok(format!("{} requests", stats.requests()))
}

fn config(harness: &Harness<'_>) -> Result<Map<String, Value>, NotPassed> {
    match serde_json::from_str(&harness.setup.config) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(NotPassed::Failed("the setup's config is not a JSON object".to_owned())),
    }
}

/// Checks that both the schema and the provider refuse the config, and that the provider names the setting and sends no
/// requests.
fn rejects(harness: &Harness<'_>, schema: &Schema, wrong: Map<String, Value>, setting: &str) -> Result<(), NotPassed> {
    let wrong = Value::Object(wrong);
    ensure(schema.problem(&wrong).is_some(), || format!("`{setting}`: the schema accepts it"))?;
    let (result, stats) = harness.fixture().call_with(&wrong.to_string(), FaultPlan::NoFault, &Call::Validate);
    let CallResult::Failed(ProviderError::Invalid { field, reason, .. }) = result else {
        return Err(NotPassed::Failed(format!("`{setting}`: expected `Invalid`, got {result:?}")));
    };
    let is_named = match &field {
        Some(field) => field.split(['.', '[']).next() == Some(setting),
        None => !harness.under_test.is_native() && reason.contains(setting),
    };
    ensure(is_named, || format!("`{setting}`: the error names {field:?}: {reason}"))?;
    ensure(stats.requests() == 0, || format!("`{setting}`: it sent a request"))
}
