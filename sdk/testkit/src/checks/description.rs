//! Checks of a provider's description and config schema.

use linecamp_provider::Failure;
use serde_json::{Map, Value, json};

use crate::bench::{Bench, Outcome, Trouble, completed, ensure};
use crate::reach::Reach;
use crate::schema::Schema;
use crate::subject::{Ask, Ending};
use crate::world::Plan;

/// Maximum length of a plugin's name in bytes: a DNS label, like all names in Linecamp.
const NAME_BYTES_MAX: usize = 63;

/// Maximum length of a plugin's one-sentence description in characters.
const ABOUT_LETTERS_MAX: usize = 200;

/// Maximum length of a secret's name in bytes.
const SECRET_NAME_BYTES_MAX: usize = 64;

pub(super) fn describes_itself(bench: &Bench<'_>) -> Outcome {
    let described = bench.described;
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
    let letters = described.about.chars().count();
    let is_sentence = (1..=ABOUT_LETTERS_MAX).contains(&letters) && !described.about.contains('\n');
    ensure(is_sentence, || format!("`about` has {letters} letters: write one sentence"))?;
    let abilities = described.abilities;
    ensure(2 <= abilities.changes_max, || "a step holds two changes, so that a claim goes with its record".to_owned())?;
    ensure(abilities.ttl_min <= abilities.ttl_max, || "the least time to live is the greater".to_owned())?;
    for secret in &described.secrets {
        let is_inner = |byte: u8| is_word(byte) || byte == b'_' || byte == b'.';
        let is_name = (1..=SECRET_NAME_BYTES_MAX).contains(&secret.len()) && secret.bytes().all(is_inner);
        ensure(is_name, || format!("the secret's name `{secret}` is not a-z, 0-9, `-`, `_` and `.`"))?;
        ensure(bench.setup.secrets.contains_key(secret), || format!("the setup gives no secret `{secret}`"))?;
    }
    let config = completed(bench.setup, described);
    let mut reaches = Vec::new();
    for text in &described.reaches {
        let found = Reach::of_description(text, &config).map_err(Trouble::Failed)?;
        reaches.extend(found.iter().map(ToString::to_string));
    }
    let atomic = if abilities.atomic { "atomic" } else { "not atomic" };
    let lists = if abilities.lists_zones { "lists zones" } else { "does not list zones" };
    let (secrets, reaches) = (described.secrets.join(", "), reaches.join(", "));
    Ok(format!("{atomic}, {lists}; secrets: {secrets}; reaches: {reaches}"))
}

pub(super) fn has_a_schema(bench: &Bench<'_>) -> Outcome {
    let schema = Schema::parse(&bench.described.config_schema).map_err(Trouble::Failed)?;
    let config = config(bench)?;
    match schema.problem(&Value::Object(config)) {
        Some(problem) => Err(Trouble::Failed(format!("the schema refuses the setup's config: {problem}"))),
        None => {
            let bare = schema.properties().into_iter().find(|(_, schema)| schema.get("description").is_none());
            ensure(bare.is_none(), || format!("`{}` has no description", bare.map_or("", |(name, _)| name)))?;
            Ok(format!("{} settings, {} bytes", schema.properties().len(), bench.described.config_schema.len()))
        }
    }
}

pub(super) fn names_a_wrong_setting(bench: &Bench<'_>) -> Outcome {
    let schema = Schema::parse(&bench.described.config_schema).map_err(Trouble::Failed)?;
    let mut names = Vec::new();
    for (name, inner) in schema.properties() {
        let mut wrong = config(bench)?;
        let value = match inner.get("type").and_then(Value::as_str) {
            Some("object") => json!("no object"),
            Some("array") => json!({"no": "array"}),
            _ => json!(["no", "such", "value"]),
        };
        wrong.insert(name.to_owned(), value);
        refuses(bench, &schema, wrong, name)?;
        names.push(name);
    }
    for text in ["", "{", "[]", "null", "17"] {
        let (ending, _) = bench.room().call_with(text, Plan::Calm, &Ask::Check);
        ensure(matches!(ending, Ending::Failed(Failure::Refused { .. })), || format!("config `{text}`: {ending:?}"))?;
    }
    Ok(names.join(", "))
}

pub(super) fn names_an_unknown_setting(bench: &Bench<'_>) -> Outcome {
    const UNKNOWN: &str = "linecamp_unknown";
    let schema = Schema::parse(&bench.described.config_schema).map_err(Trouble::Failed)?;
    let mut wrong = config(bench)?;
    wrong.insert(UNKNOWN.to_owned(), json!(1));
    refuses(bench, &schema, wrong, UNKNOWN)?;
    Ok(String::new())
}

pub(super) fn names_a_missing_setting(bench: &Bench<'_>) -> Outcome {
    let schema = Schema::parse(&bench.described.config_schema).map_err(Trouble::Failed)?;
    let required = schema.required();
    for name in &required {
        let mut wrong = config(bench)?;
        wrong.remove(*name);
        refuses(bench, &schema, wrong, name)?;
    }
    match required.is_empty() {
        true => Err(Trouble::Skipped("no setting is required".to_owned())),
        false => Ok(required.join(", ")),
    }
}

pub(super) fn checks_without_a_change(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let before = room.truth();
    let (ending, seen) = room.call(Plan::Calm, &Ask::Check);
    ensure(ending == Ending::Done(Vec::new()), || format!("{ending:?}"))?;
    ensure(room.truth() == before && room.writes() == 0, || "it wrote".to_owned())?;
    ensure(0 < seen.requests(), || "it did not ask the service".to_owned())?;
    Ok(format!("{} requests", seen.requests()))
}

fn config(bench: &Bench<'_>) -> Result<Map<String, Value>, Trouble> {
    match serde_json::from_str(&bench.setup.config) {
        Ok(Value::Object(fields)) => Ok(fields),
        _ => Err(Trouble::Failed("the setup's config is no JSON object".to_owned())),
    }
}

/// Checks that both the schema and the provider refuse the config, and that the provider names the setting and sends no
/// requests.
fn refuses(bench: &Bench<'_>, schema: &Schema, wrong: Map<String, Value>, setting: &str) -> Result<(), Trouble> {
    let wrong = Value::Object(wrong);
    ensure(schema.problem(&wrong).is_some(), || format!("`{setting}`: the schema lets it pass"))?;
    let (ending, seen) = bench.room().call_with(&wrong.to_string(), Plan::Calm, &Ask::Check);
    let Ending::Failed(Failure::Refused { field, reason, .. }) = ending else {
        return Err(Trouble::Failed(format!("`{setting}`: not refused, but {ending:?}")));
    };
    let is_named = match &field {
        Some(field) => field.split(['.', '[']).next() == Some(setting),
        None => !bench.subject.is_native() && reason.contains(setting),
    };
    ensure(is_named, || format!("`{setting}`: it blames {field:?}: {reason}"))?;
    ensure(seen.requests() == 0, || format!("`{setting}`: it asked the service all the same"))
}
