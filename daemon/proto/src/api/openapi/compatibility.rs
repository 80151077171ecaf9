//! What was documented before stays documented.
//!
//! `golden/api-v1.txt` has a line for each operation, each of its parameters, and each field of its bodies. With
//! `LINECAMP_GOLDEN=write`, lines are added. A line that no longer holds is a change that clients notice: a removed
//! path, parameter or field, another type, a field of requests that became required, a field of responses that became
//! optional. The test fails until `CHANGELOG.md` has that line, in backticks; then it is removed from the file.

use std::collections::BTreeMap;

use serde_json::Value;

/// Returns what clients may rely on: subjects, each with what is promised of it.
fn promises(document: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let name = operation["operationId"].as_str().unwrap_or_default();
            let route = format!("{} {path}", method.to_ascii_uppercase());
            let request = bodies(&operation["requestBody"]["content"]);
            let success = |(status, _): &(&String, &Value)| status.starts_with(['2', '3']);
            let (status, response) =
                operation["responses"].as_object().into_iter().flatten().find(success).expect("a success");
            let response = bodies(&response["content"]);
            found.insert(format!("operation {name}"), format!("{route} ({request}) -> {status} {response}"));
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let (place, parameter_name) = (&parameter["in"], &parameter["name"]);
                let subject = format!("parameter {name} {} {}", text(place), text(parameter_name));
                found.insert(
                    subject,
                    promise(&parameter["schema"], parameter["required"] == true, ["optional", "required"]),
                );
            }
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let is_request = schema["additionalProperties"] == false;
        let (kind, words) = match is_request {
            true => ("request", ["optional", "required"]),
            false => ("response", ["sometimes", "always"]),
        };
        let required: Vec<_> = schema["required"].as_array().into_iter().flatten().collect();
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            let is_required = required.iter().any(|name| *name == field);
            found.insert(format!("{kind} {name}.{field}"), promise(schema, is_required, words));
        }
    }
    found
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The media type and the schema of a body.
fn bodies(content: &Value) -> String {
    let one = |(media, body): (&String, &Value)| format!("{media} {}", kind(&body["schema"]));
    content.as_object().into_iter().flatten().map(one).collect::<Vec<_>>().join(" | ")
}

fn promise(schema: &Value, is_required: bool, [optional, required]: [&str; 2]) -> String {
    format!("{} {}", kind(schema), if is_required { required } else { optional })
}

/// The type of a value, in a word.
fn kind(schema: &Value) -> String {
    if let Some(target) = schema["$ref"].as_str() {
        return target.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if let Some(any) = schema["anyOf"].as_array().or_else(|| schema["oneOf"].as_array()) {
        return any.iter().map(kind).collect::<Vec<_>>().join("|");
    }
    let one = |found: &Value| match found.as_str() {
        Some("array") => format!("[{}]", kind(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!("{{{}}}", kind(&schema["additionalProperties"]))
        }
        Some(found) => found.to_owned(),
        None => "any".to_owned(),
    };
    match &schema["type"] {
        Value::Array(types) => types.iter().map(one).collect::<Vec<_>>().join("|"),
        found => one(found),
    }
}

fn lines(promises: &BTreeMap<String, String>) -> String {
    promises.iter().map(|(subject, promise)| format!("{subject}: {promise}\n")).collect()
}

fn parsed(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    pairs.map(|(subject, promise)| (subject.to_owned(), promise.to_owned())).collect()
}

/// Returns the lines of before that do not hold any more, and the operations whose requests must have more than before.
fn broken(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let mut broken = Vec::new();
    for (subject, was) in before {
        let holds = after.get(subject).is_some_and(|is| {
            let eased = was.strip_suffix(" required").map(|kind| format!("{kind} optional"));
            let always = was.strip_suffix(" sometimes").map(|kind| format!("{kind} always"));
            is == was || Some(is) == eased.as_ref() || Some(is) == always.as_ref()
        });
        if !holds {
            broken.push(format!("{subject}: {was}"));
        }
    }
    // A new field of a request that existed, and a new parameter of an operation that existed.
    for (subject, is) in
        after.iter().filter(|(subject, is)| is.ends_with(" required") && !before.contains_key(*subject))
    {
        let existed = match subject.split(' ').collect::<Vec<_>>()[..] {
            ["parameter", operation, ..] => before.contains_key(&format!("operation {operation}")),
            ["request", field] => {
                let prefix = format!("request {}.", field.split('.').next().unwrap_or_default());
                before.keys().any(|other| other.starts_with(&prefix))
            }
            _ => false,
        };
        if existed {
            broken.push(format!("{subject}: {is}"));
        }
    }
    broken
}

mod tests {
    use std::path::Path;

    use super::*;
    use crate::api::openapi::document::document;
    use crate::api::openapi::tests::compare;

    const FILE: &str = "golden/api-v1.txt";

    #[test]
    fn what_was_documented_is_kept_or_its_change_is_in_the_changelog() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let before = parsed(&std::fs::read_to_string(folder.join(FILE)).unwrap_or_default());
        let changelog = std::fs::read_to_string(folder.join("../../CHANGELOG.md")).expect("CHANGELOG.md");
        let after = promises(&document());
        let missing: Vec<_> =
            broken(&before, &after).into_iter().filter(|line| !changelog.contains(&format!("`{line}`"))).collect();
        assert!(
            missing.is_empty(),
            "CHANGELOG.md must have these lines in backticks, with what clients do instead:\n{}",
            missing.join("\n")
        );
        compare(FILE, &lines(&after));
    }

    #[test]
    fn a_change_that_clients_notice_is_found() {
        let before = parsed(
            "operation a.show: GET /a () -> 200 x A\nrequest R.old: string required\n\
             response A.f: string always\nresponse A.g: string sometimes\n",
        );
        let check = |after: &str, expected: &[&str]| assert_eq!(broken(&before, &parsed(after)), expected, "{after}");
        let same = lines(&before);
        check(&same, &[]);
        check(
            &format!(
                "{same}response A.h: string always\nrequest R.new: string optional\nrequest S.new: string required\n"
            ),
            &[],
        );
        check(&same.replace("string required", "string optional").replace("sometimes", "always"), &[]);
        check(&same.replace("GET /a", "GET /b"), &["operation a.show: GET /a () -> 200 x A"]);
        check(&same.replace("response A.f: string always\n", ""), &["response A.f: string always"]);
        check(&same.replace("A.f: string always", "A.f: string sometimes"), &["response A.f: string always"]);
        check(&same.replace("A.f: string", "A.f: integer"), &["response A.f: string always"]);
        check(&format!("{same}request R.new: string required\n"), &["request R.new: string required"]);
        check(
            &format!("{same}parameter a.show query q: string required\n"),
            &["parameter a.show query q: string required"],
        );
    }
}
