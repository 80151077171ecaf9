//! The document, made from the table of operations.

use linecamp_model::{Requirement, Role};
use serde_json::{Map, Value, json};

use super::answers::answers;
use super::schemas::{Generators, OperationShapes, Schemas, reference};
use super::{bounds, patterns};
use crate::api::operation::{FollowEvents, Operation as _, OperationSpec, PROBLEM_MEDIA, SHAPES};
use crate::api::{ErrorCode, Problem};

/// The version of the API in its paths. The version of the server is in its responses.
const API_VERSION: &str = "1";

const DESCRIPTION: &str = "The API of linecamp-server. A request has an API key or the secret of a session as a bearer \
                           token; a browser has the session in a cookie. `x-linecamp-requires` says who may perform an \
                           operation, and `x-linecamp-audited` whether the audit log has it. Errors are problem \
                           documents (RFC 9457) with a `code`. A response may have fields that this document does not \
                           have; a request may not. Lengths of texts are in bytes of UTF-8; the patterns describe \
                           texts that are accepted whatever their characters.";

/// Makes the document.
pub(super) fn document() -> Value {
    let mut generators = Generators::new();
    let shapes: Vec<_> = SHAPES.iter().map(|shape| shape(&mut generators)).collect();
    // No operation's success, and every failure.
    generators.response_of::<Problem>();
    let schemas = generators.into_schemas();
    let mut paths = Map::new();
    for shape in &shapes {
        let path = paths.entry(shape.spec.path).or_insert_with(|| json!({}));
        path[shape.spec.method.as_str().to_ascii_lowercase()] = operation(shape, &schemas);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Linecamp",
            "version": API_VERSION,
            "description": DESCRIPTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas.all,
            "responses": problems(&shapes),
            "securitySchemes": {
                "bearer": {
                    "type": "http", "scheme": "bearer",
                    "description": "An API key, `lck_…`, or the secret of a session, `lcs_…`.",
                },
                "session": {
                    "type": "apiKey", "in": "cookie", "name": "__Host-linecamp",
                    "description": "The session of a browser. Requests that another web site caused are rejected.",
                },
            },
            "headers": {
                "ETag": {
                    "description": "The version of the object, for `If-Match`.",
                    "schema": { "type": "string", "pattern": patterns::entity_tag() },
                },
                "Idempotency-Replayed": {
                    "description": "The answer is that of an earlier request with this `Idempotency-Key`.",
                    "schema": { "type": "string", "const": "true" },
                },
                "Retry-After": {
                    "description": "After how many seconds a retry can succeed.",
                    "schema": { "type": "integer", "minimum": 0 },
                },
                "WWW-Authenticate": {
                    "description": "How to authenticate.",
                    "schema": { "type": "string" },
                },
                "X-Request-ID": {
                    "description": "The ID of the request, which the server's log has.",
                    "schema": { "type": "string", "pattern": patterns::hex(16) },
                },
            },
        },
    });
    document.sort_all_objects();
    document
}

/// Writes the document, in ASCII: the patterns have characters that are invisible.
pub(super) fn written(document: &Value) -> String {
    let text = serde_json::to_string_pretty(document).expect("JSON can be written");
    let mut ascii = String::with_capacity(text.len());
    for found in text.chars() {
        if found.is_ascii() && found != '\u{7f}' {
            ascii.push(found);
            continue;
        }
        let mut units = [0; 2];
        for unit in found.encode_utf16(&mut units) {
            ascii.push_str(&format!("\\u{unit:04x}"));
        }
    }
    ascii.push('\n');
    ascii
}

/// Says who may perform an operation.
pub(super) fn requirement(spec: &OperationSpec) -> String {
    let role = |role: Role| role.as_str();
    match spec.requires {
        Requirement::Nothing => "nothing".to_owned(),
        Requirement::Account => "a login, also one that is not complete".to_owned(),
        Requirement::Login => "a login".to_owned(),
        Requirement::Role(needed) => format!("{} in the environment", role(needed)),
        Requirement::RoleEverywhere(needed) => format!("{} in all environments", role(needed)),
    }
}

fn operation(shapes: &OperationShapes, schemas: &Schemas) -> Value {
    let spec = &shapes.spec;
    let security = match spec.requires {
        Requirement::Nothing => json!([]),
        _ => json!([{ "bearer": [] }, { "session": [] }]),
    };
    let noun = spec.name.split('.').next().unwrap_or_default();
    let mut operation = json!({
        "operationId": spec.name,
        "summary": spec.summary,
        "tags": [noun],
        "security": security,
        "parameters": parameters(shapes, schemas),
        "responses": responses(shapes),
        "x-linecamp-requires": requirement(spec),
        "x-linecamp-audited": spec.is_audited,
    });
    if let (Some(media), Some(schema)) = (spec.request_media, &shapes.request) {
        let content = json!({ media: { "schema": schemas.of_request(schema) } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

fn parameters(shapes: &OperationShapes, schemas: &Schemas) -> Vec<Value> {
    let spec = &shapes.spec;
    let mut parameters = Vec::new();
    if let Some(name) = spec.parameter() {
        let schema = bounds::path_parameter(spec.path, name);
        parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
    }
    for (name, schema, is_required) in &shapes.query {
        let mut schema = schemas.of_request(schema);
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let mut parameter = json!({ "name": name, "in": "query", "required": is_required, "schema": schema });
        if let Some(description) = description {
            parameter["description"] = description;
        }
        parameters.push(parameter);
    }
    if spec.has_etag && !spec.method.is_read() {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": false,
            "description": "The `ETag` of an earlier response. An object that has changed since is not changed.",
            "schema": { "type": "string", "pattern": patterns::entity_tag() },
        }));
    }
    if spec.is_keyed {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "A random text with which this request may be sent again, within 24 hours: it takes effect \
                            once, and the answer is that of the first time, without its secret. Another request needs \
                            another key.",
            "schema": { "type": "string", "pattern": patterns::idempotency_key() },
        }));
    }
    if spec.name == FollowEvents::SPEC.name {
        parameters.push(json!({
            "name": "Last-Event-ID", "in": "header", "required": false,
            "description": "The `id` of the last message received. It counts before `last_event_id`.",
            "schema": { "type": "string", "pattern": "^[!-~]{1,64}$" },
        }));
    }
    parameters
}

fn responses(shapes: &OperationShapes) -> Value {
    let spec = &shapes.spec;
    let mut success = json!({ "description": "Success.", "headers": headers(&["X-Request-ID"]) });
    if let (Some(media), Some(schema)) = (spec.response_media, &shapes.response) {
        success["content"] = json!({ media: { "schema": schema } });
    }
    if spec.has_etag {
        success["headers"]["ETag"] = json!({ "$ref": "#/components/headers/ETag" });
    }
    if spec.is_keyed {
        success["headers"]["Idempotency-Replayed"] = json!({ "$ref": "#/components/headers/Idempotency-Replayed" });
    }
    let mut responses = Map::from_iter([(spec.status.to_string(), success)]);
    for (status, codes) in answers(shapes) {
        let target = format!("#/components/responses/{}", problem_name(&codes));
        responses.insert(status.to_string(), json!({ "$ref": target }));
    }
    responses.into()
}

/// Returns the problems that operations answer with, by the codes that they may have.
fn problems(shapes: &[OperationShapes]) -> Map<String, Value> {
    let found = shapes.iter().flat_map(answers);
    found.map(|(status, codes)| (problem_name(&codes), problem(status, &codes))).collect()
}

fn problem_name(codes: &[ErrorCode]) -> String {
    codes.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(".")
}

fn problem(status: u16, codes: &[ErrorCode]) -> Value {
    let one = |code: &ErrorCode| format!("`{}`: {}.", code.as_str(), code.title());
    let description = codes.iter().map(one).collect::<Vec<_>>().join(" ");
    let names = match status {
        401 => headers(&["X-Request-ID", "WWW-Authenticate"]),
        429 => headers(&["X-Request-ID", "Retry-After"]),
        _ => headers(&["X-Request-ID"]),
    };
    json!({
        "description": description,
        "headers": names,
        "content": { PROBLEM_MEDIA: { "schema": reference("Problem") } },
    })
}

fn headers(names: &[&str]) -> Value {
    let one = |name: &&str| ((*name).to_owned(), json!({ "$ref": format!("#/components/headers/{name}") }));
    names.iter().map(one).collect::<Map<_, _>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_says_what_it_requires_and_how_it_may_fail() {
        let document = document();
        let edit = &document["paths"]["/api/v1/sites/{name}"]["patch"];
        assert_eq!(edit["x-linecamp-requires"], "operator in the environment");
        let statuses: Vec<_> = edit["responses"].as_object().expect("responses").keys().cloned().collect();
        assert_eq!(statuses, ["200", "400", "401", "403", "404", "409", "412", "413", "415", "429", "500", "503"]);
        let media: Vec<_> = edit["requestBody"]["content"].as_object().expect("a body").keys().collect();
        assert_eq!(media, ["application/merge-patch+json"]);
        assert!(
            edit["parameters"].as_array().is_some_and(|all| all.iter().all(|one| one["name"] != "Idempotency-Key"))
        );
        let create = &document["paths"]["/api/v1/tokens"]["post"];
        assert_eq!(create["parameters"][0]["name"], "Idempotency-Key");
        assert!(create["responses"].get("422").is_some());
        let health = &document["paths"]["/healthz"]["get"];
        assert_eq!((&health["security"], &health["x-linecamp-audited"]), (&json!([]), &json!(false)));
        assert!(
            document["paths"]["/api/v1/sites/{name}"]["get"]["parameters"].as_array().is_some_and(|all| all.len() == 2)
        );
    }

    #[test]
    fn the_document_is_written_in_ascii() {
        let text = written(&document());
        assert!(text.is_ascii());
        assert_eq!(serde_json::from_str::<Value>(&text).expect("it is JSON"), document());
    }
}
