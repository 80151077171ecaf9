//! What the texts, numbers and lists of the API may be, beside their types.
//!
//! A rule is for the field of a type, or for the fields of this name in all types; the first one that fits counts. A
//! test checks that every text, number and list of a request has one.

use std::time::Duration;

use linecamp_model::limits::{
    API_KEY_LIFE_MAX, EXTRA_RECORDS_MAX, GRANTS_PER_PROVIDER_MAX, LABELS_PER_OWNER_MAX, NAME_BYTES_MAX, PAGE_ITEMS_MAX,
    PLUGIN_DESCRIPTION_BYTES_MAX, RECORD_VALUE_BYTES_MAX, ROTATION_GRACE_MAX, SEARCH_CHARS_MAX,
    SECRETS_PER_PROVIDER_MAX, SELECTOR_BYTES_MAX, SITES_PER_BULK_ACTION_MAX, TEXT_BYTES_MAX, TOKEN_TTL_MAX,
    TOKEN_USES_MAX, ZONES_PER_PROVIDER_MAX,
};
use linecamp_model::{ConditionKind, Phase, RecordState, Role, SiteAction};
use serde_json::{Map, Value, json};

use super::patterns;
use crate::api::{
    AUDIT_PER_ANSWER_MAX, CURSOR_CHARS_MAX, EVENT_WAIT_SECONDS_MAX, EVENTS_PER_ANSWER_MAX, HELD_ITEMS_MAX,
    STREAM_ID_CHARS_MAX,
};
use crate::limits::{COUNTER_MAX, EXTRA_VALUES_MAX};

/// Whether a value is sent to the server, or by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// The keywords that a value has besides its type.
#[derive(Clone, Debug, Default)]
struct Rule {
    /// For a text, and for the texts in a list or a map.
    text: Option<Value>,
    /// Whether the keywords describe all such texts. Others describe some that are accepted: a response may have more.
    is_exact: bool,
    /// For the keys of a map.
    keys: Option<Value>,
    /// For a number.
    number: Option<Value>,
    /// The least and the most elements of a list or a map.
    count: Option<(usize, usize)>,
}

impl Rule {
    fn text(keywords: Value) -> Self {
        Self { text: Some(keywords), ..Self::default() }
    }

    fn exact(keywords: Value) -> Self {
        Self { is_exact: true, ..Self::text(keywords) }
    }

    fn number(min: u64, max: u64) -> Self {
        Self { number: Some(json!({ "minimum": min, "maximum": max })), ..Self::default() }
    }

    fn seconds(min: u64, max: Duration) -> Self {
        Self::number(min, max.as_secs())
    }

    fn keys(self, keywords: Value) -> Self {
        Self { keys: Some(keywords), ..self }
    }

    fn count(self, min: usize, max: usize) -> Self {
        Self { count: Some((min, max)), ..self }
    }
}

/// A text of these lengths.
fn length(min: usize, max: usize) -> Value {
    json!({ "minLength": min, "maxLength": max })
}

fn pattern(pattern: &str) -> Value {
    json!({ "pattern": pattern })
}

fn name() -> Value {
    json!({ "minLength": 1, "maxLength": NAME_BYTES_MAX, "pattern": patterns::name() })
}

fn time() -> Value {
    json!({ "format": "date-time", "pattern": patterns::time() })
}

fn selector() -> Value {
    json!({ "maxLength": SELECTOR_BYTES_MAX, "pattern": patterns::selector() })
}

fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    json!({ "enum": words.into_iter().collect::<Vec<_>>() })
}

fn role() -> Value {
    one_of(Role::ALL.iter().map(|role| role.as_str()))
}

fn role_or_none() -> Value {
    one_of(Role::ALL.iter().map(|role| role.as_str()).chain(["none"]))
}

fn password() -> Value {
    json!({ "minLength": 12, "maxLength": 256, "pattern": patterns::password() })
}

/// Returns the rule for a field of a type.
fn rule(shape: &str, field: &str) -> Option<Rule> {
    special(shape, field).or_else(|| general(field))
}

/// The fields that differ from others of their name.
fn special(shape: &str, field: &str) -> Option<Rule> {
    Some(match (shape, field) {
        ("ProviderRequest" | "ProviderEdit" | "ProviderView", "sites") => Rule::text(selector()),
        ("HeldItems", "sites") => Rule::exact(pattern(&patterns::hex(32))).count(0, HELD_ITEMS_MAX),
        ("HeldItems", "tokens" | "api_keys") => Rule::exact(pattern(&patterns::hex(16))).count(0, HELD_ITEMS_MAX),
        ("BulkActionRequest", "sites") => {
            let sites = Rule::number(0, COUNTER_MAX).keys(pattern(&patterns::hex(32)));
            sites.count(1, SITES_PER_BULK_ACTION_MAX)
        }
        ("LoginRequest", "name" | "password") => Rule::text(length(0, 1024)),
        ("PasswordChange", "old_password") => Rule::text(length(0, 1024)),
        ("UserEdit", "role") => Rule::text(role_or_none()),
        ("UserEdit", "environment_roles") => Rule::text(role_or_none()).keys(name()).count(0, 100),
        ("SiteQuery" | "HostQuery", "state") => Rule::text(one_of(Phase::ALL.iter().map(|phase| phase.as_str()))),
        ("SiteQuery" | "HostQuery", "condition") => {
            Rule::text(one_of(ConditionKind::ALL.iter().map(|kind| kind.as_str())))
        }
        ("SiteQuery" | "HostQuery", "text") => Rule::text(length(0, SEARCH_CHARS_MAX)),
        (
            "SiteQuery" | "HostQuery" | "RecordQuery" | "ProviderQuery" | "PageQuery" | "RestoreQuery"
            | "SelectionQuery",
            "limit",
        ) => Rule::number(1, PAGE_ITEMS_MAX as u64),
        ("RecordQuery", "state") => Rule::text(one_of(RecordState::ALL.iter().map(|state| state.as_str()))),
        ("ExtraRecordBody", "type") => Rule::text(one_of(["A", "AAAA", "CNAME", "TXT"])),
        ("ExtraRecordBody", "values") => Rule::text(length(1, RECORD_VALUE_BYTES_MAX)).count(1, EXTRA_VALUES_MAX),
        ("ProviderBody", "records") => Rule::default().count(0, EXTRA_RECORDS_MAX),
        ("ProviderBody", "zones") => Rule::text(pattern(&patterns::zone())).count(1, ZONES_PER_PROVIDER_MAX),
        ("ProviderBody", "owner") => Rule::text(json!({ "maxLength": NAME_BYTES_MAX, "pattern": patterns::owner() })),
        ("ProviderBody", "hosts") => Rule::text(selector()),
        ("ProviderBody", "ttl") => Rule::number(0, i32::MAX.unsigned_abs().into()),
        ("ProviderBody", "secrets") => {
            let name = pattern(&patterns::secret_name());
            Rule::text(name.clone()).keys(name).count(0, SECRETS_PER_PROVIDER_MAX)
        }
        ("ProviderBody", "reach" | "reach_private") => {
            Rule::text(pattern(&patterns::endpoint())).count(0, GRANTS_PER_PROVIDER_MAX)
        }
        ("TokenRequest", "labels") | ("LabelChange", "set") => {
            let value = pattern(&patterns::label_value());
            Rule::text(value).keys(pattern(&patterns::label_key())).count(0, LABELS_PER_OWNER_MAX)
        }
        ("LabelChange", "remove") => Rule::text(pattern(&patterns::label_key())).count(0, LABELS_PER_OWNER_MAX),
        ("KeyRotation", "grace_seconds") => Rule::seconds(0, ROTATION_GRACE_MAX),
        ("KeyRequest", "ttl_seconds") => Rule::seconds(1, API_KEY_LIFE_MAX),
        ("TokenRequest", "ttl_seconds") => Rule::seconds(1, TOKEN_TTL_MAX),
        ("TokenRequest", "uses") => Rule::number(1, TOKEN_USES_MAX.into()),
        ("OidcLoginQuery", "return_to") => Rule::text(json!({ "maxLength": 512, "pattern": patterns::own_path() })),
        ("OidcLoginQuery", "port") => Rule::number(1024, u16::MAX.into()),
        ("OidcLoginQuery", "challenge") => Rule::text(pattern(&patterns::base64url_32())),
        ("OidcLoginQuery", "state") => Rule::text(pattern("^[A-Za-z0-9_-]{1,128}$")),
        ("OidcCallbackQuery", "code" | "state" | "iss" | "error") => Rule::text(length(0, 2048)),
        ("OidcCode", "code" | "verifier") | ("DeviceLoginHandle", "handle") => Rule::text(length(0, 1024)),
        ("AuditQuery", "limit") => Rule::number(1, AUDIT_PER_ANSWER_MAX as u64),
        ("StreamQuery", "last_event_id") => Rule::text(length(0, STREAM_ID_CHARS_MAX)),
        ("EventQuery", "wait") => Rule::number(0, EVENT_WAIT_SECONDS_MAX),
        ("EventQuery", "limit") => Rule::number(1, EVENTS_PER_ANSWER_MAX as u64),
        ("PluginQuery", "description_bytes") => Rule::number(0, PLUGIN_DESCRIPTION_BYTES_MAX),
        // Names of DNS records, headers and secrets, and the role of an authority.
        (
            "DnsRecord" | "RecordView" | "RequestHeaderReport" | "ForwardingHeaderReport" | "SecretRequirementBody",
            "name",
        )
        | ("CaAuthority", "role") => Rule::default(),
        _ => return None,
    })
}

/// The fields that are the same in all types.
fn general(field: &str) -> Option<Rule> {
    Some(match field {
        "name" | "environment" | "site" | "user" | "provider" | "plugin" | "replaces" | "hosts_of" => {
            Rule::exact(name())
        }
        "selector" => Rule::text(selector()),
        "cursor" => Rule::text(json!({ "maxLength": CURSOR_CHARS_MAX, "pattern": "^[A-Za-z0-9_-]*$" })),
        "since" | "state_since" | "expires_at" | "ends_at" | "began_at" | "at" | "old_secret_until" => {
            Rule::exact(time())
        }
        field if field.ends_with("_at") => Rule::exact(time()),
        "description" => Rule::text(json!({ "maxLength": TEXT_BYTES_MAX, "pattern": patterns::text() })),
        "role" => Rule::exact(role()),
        "environment_roles" => Rule::exact(role()).keys(name()).count(0, 100),
        "password" | "new_password" => Rule::text(password()),
        "server_url" => Rule::text(json!({ "maxLength": 300, "pattern": patterns::server_url() })),
        "digest" => Rule::text(pattern(&patterns::digest())),
        "template" => Rule::text(pattern(&patterns::template())),
        _ => return None,
    })
}

/// Returns what the parameter in a path may be.
pub(super) fn path_parameter(path: &str, parameter: &str) -> Value {
    let keywords = match parameter {
        "id" => pattern(&patterns::hex(16)),
        "digest" => pattern(&patterns::digest()),
        _ if path.starts_with("/install/") => length(1, 255),
        _ => name(),
    };
    with(json!({ "type": "string" }), keywords)
}

/// What the values of an extra record may be, by its type.
fn record_values() -> Value {
    let of = |rtype: &str, value: &str, max: usize| {
        json!({ "properties": {
            "type": { "const": rtype },
            "values": { "minItems": 1, "maxItems": max, "items": { "pattern": value } },
        } })
    };
    json!([
        of("A", &patterns::ipv4(), EXTRA_VALUES_MAX),
        of("AAAA", &patterns::ipv6(), EXTRA_VALUES_MAX),
        of("CNAME", &patterns::zone(), 1),
        of("TXT", &patterns::txt(), EXTRA_VALUES_MAX),
    ])
}

/// Only the action `label` has labels.
fn labels_of_action() -> Value {
    let others = SiteAction::ALL.iter().filter(|action| **action != SiteAction::Label).map(|action| action.as_str());
    let none = json!({ "properties": { "set": { "maxProperties": 0 }, "remove": { "maxItems": 0 } } });
    json!([
        { "properties": { "action": { "const": SiteAction::Label.as_str() } } },
        { "properties": { "action": one_of(others), "labels": none } },
    ])
}

/// At least one of the lists has an item.
fn some_held_items() -> Value {
    let some = |field: &str| json!({ "required": [field], "properties": { field: { "minItems": 1 } } });
    json!([some("sites"), some("tokens"), some("api_keys")])
}

/// Adds the rules to the schema of a type.
pub(super) fn apply(shape: &str, schema: &mut Value, direction: Direction) {
    if let (Direction::Request, Some(object)) = (direction, schema.as_object_mut()) {
        match shape {
            "ExtraRecordBody" => drop(object.insert("oneOf".to_owned(), record_values())),
            "HeldItems" => drop(object.insert("anyOf".to_owned(), some_held_items())),
            "BulkActionRequest" => drop(object.insert("oneOf".to_owned(), labels_of_action())),
            _ => {}
        }
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    for (field, schema) in properties {
        match (rule(shape, field), direction) {
            (Some(rule), Direction::Request) => apply_rule(&rule, schema),
            (Some(Rule { text, is_exact: true, .. }), Direction::Response) => {
                apply_rule(&Rule { text, ..Rule::default() }, schema);
            }
            (_, _) => {}
        }
        if direction == Direction::Request {
            apply_width(schema);
        }
    }
}

/// Adds the largest number of its type to a number that has no smaller one.
fn apply_width(schema: &mut Value) {
    if let Some(Value::Array(any)) = schema.get_mut("anyOf") {
        return any.iter_mut().for_each(apply_width);
    }
    let max = match schema.get("format").and_then(Value::as_str) {
        Some("uint8") => u8::MAX.into(),
        Some("uint16") => u16::MAX.into(),
        Some("uint32") => u32::MAX.into(),
        Some("uint" | "uint64") => u64::MAX,
        _ => return,
    };
    if let Some(object) = schema.as_object_mut() {
        object.entry("maximum").or_insert(max.into());
    }
}

fn apply_rule(rule: &Rule, schema: &mut Value) {
    if let Some(Value::Array(any)) = schema.get_mut("anyOf") {
        return any.iter_mut().for_each(|schema| apply_rule(rule, schema));
    }
    let Some(object) = schema.as_object_mut() else { return };
    let is = |object: &Map<String, Value>, kind: &str| match object.get("type") {
        Some(Value::String(found)) => found == kind,
        Some(Value::Array(found)) => found.iter().any(|found| found == kind),
        _ => false,
    };
    if is(object, "string") {
        extend(object, rule.text.as_ref());
        // What may be absent may be `null`.
        if is(object, "null")
            && let Some(Value::Array(words)) = object.get_mut("enum")
        {
            words.push(Value::Null);
        }
    }
    if is(object, "integer") {
        extend(object, rule.number.as_ref());
    }
    if is(object, "array") {
        if let Some((min, max)) = rule.count {
            object.insert("minItems".to_owned(), min.into());
            object.insert("maxItems".to_owned(), max.into());
        }
        object.get_mut("items").into_iter().for_each(|items| apply_rule(rule, items));
    }
    if is(object, "object") && object.get("additionalProperties").is_some_and(Value::is_object) {
        if let Some((min, max)) = rule.count {
            object.insert("maxProperties".to_owned(), max.into());
            if 0 < min {
                object.insert("minProperties".to_owned(), min.into());
            }
        }
        if let Some(keys) = &rule.keys {
            object.insert("propertyNames".to_owned(), keys.clone());
        }
        object.get_mut("additionalProperties").into_iter().for_each(|values| apply_rule(rule, values));
    }
}

fn with(mut schema: Value, keywords: Value) -> Value {
    schema.as_object_mut().into_iter().for_each(|object| extend(object, Some(&keywords)));
    schema
}

fn extend(object: &mut Map<String, Value>, keywords: Option<&Value>) {
    let keywords = keywords.and_then(Value::as_object).into_iter().flatten();
    object.extend(keywords.map(|(name, value)| (name.clone(), value.clone())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::openapi::document::document;

    /// Finds what in a schema of a request does not say how long a text is, how many elements a list has, or how large
    /// a number is.
    fn unbounded(schema: &Value, place: &str, found: &mut Vec<String>) {
        if !schema.is_object() {
            return;
        }
        let is = |kind: &str| {
            schema["type"] == kind || schema["type"].as_array().is_some_and(|all| all.contains(&kind.into()))
        };
        let has = |keywords: &[&str]| keywords.iter().any(|keyword| schema.get(keyword).is_some());
        if is("string") && !has(&["maxLength", "pattern", "enum", "const", "format"]) {
            found.push(place.to_owned());
        }
        if is("array") && !has(&["maxItems"]) {
            found.push(place.to_owned());
        }
        if is("integer") && !has(&["maximum"]) {
            found.push(place.to_owned());
        }
        for (name, below) in schema["properties"].as_object().into_iter().flatten() {
            unbounded(below, &format!("{place}.{name}"), found);
        }
        for below in [&schema["items"], &schema["additionalProperties"]] {
            unbounded(below, place, found);
        }
    }

    #[test]
    fn every_text_number_and_list_of_a_request_is_bounded() {
        let document = document();
        let mut found = Vec::new();
        for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
            if schema["additionalProperties"] == false {
                unbounded(schema, name, &mut found);
            }
        }
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for operation in methods.as_object().expect("methods").values() {
                for parameter in operation["parameters"].as_array().into_iter().flatten() {
                    unbounded(&parameter["schema"], &format!("{path} {}", parameter["name"]), &mut found);
                }
            }
        }
        assert!(found.is_empty(), "add a rule for: {}", found.join(", "));
    }
}
