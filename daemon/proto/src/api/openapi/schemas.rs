//! The shapes of the API as JSON Schemas.
//!
//! A shape is described as what a request may be, or as what a response is: a field with a default is absent in the one
//! and there in the other. A shape that is used in both and differs has the name `…Request` in requests.

use std::collections::BTreeMap;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::bounds::{self, Direction};
use crate::api::operation::{
    Binary, Body, DebianPackage, Empty, EventStream, Json, MergePatch, Operation, OperationSpec, PlainText, ShellScript,
};

/// Where the document has the schemas.
const COMPONENTS: &str = "#/components/schemas/";

/// Makes the schemas of requests and of responses.
pub(in crate::api) struct Generators {
    request: SchemaGenerator,
    response: SchemaGenerator,
}

impl Generators {
    pub(super) fn new() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
        let request = settings.clone().for_deserialize().into_generator();
        Self { request, response: settings.for_serialize().into_generator() }
    }

    /// Returns the schema of a response that is no operation's.
    pub(super) fn response_of<T: JsonSchema>(&mut self) -> Value {
        self.response.subschema_for::<T>().to_value()
    }

    /// Returns the schemas that the shapes refer to.
    pub(super) fn into_schemas(mut self) -> Schemas {
        let requests = components(&mut self.request);
        let mut all: BTreeMap<String, Value> = BTreeMap::new();
        for (name, mut schema) in components(&mut self.response) {
            bounds::apply(&name, &mut schema, Direction::Response);
            open(&mut schema);
            all.insert(name, schema);
        }
        let mut renamed = BTreeMap::new();
        let mut bounded = Vec::new();
        for (name, mut schema) in requests {
            bounds::apply(&name, &mut schema, Direction::Request);
            if all.get(&name).is_some_and(|response| *response != schema) {
                renamed.insert(name.clone(), format!("{name}Request"));
            }
            bounded.push((name, schema));
        }
        for (name, mut schema) in bounded {
            rename(&mut schema, &renamed);
            all.insert(renamed.get(&name).cloned().unwrap_or(name), schema);
        }
        Schemas { all, renamed }
    }
}

/// The schemas that shapes refer to.
pub(super) struct Schemas {
    /// All of them, by name.
    pub(super) all: BTreeMap<String, Value>,
    /// The names that those of requests have.
    renamed: BTreeMap<String, String>,
}

impl Schemas {
    /// Returns a schema of a request, with the names that its parts have.
    pub(super) fn of_request(&self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        rename(&mut schema, &self.renamed);
        schema
    }
}

/// The shapes of an operation.
pub(in crate::api) struct OperationShapes {
    pub(super) spec: OperationSpec,
    /// The parameters of its query: name, schema, and whether it is required.
    pub(super) query: Vec<(String, Value, bool)>,
    pub(super) request: Option<Value>,
    pub(super) response: Option<Value>,
}

impl OperationShapes {
    pub(in crate::api) fn of<O>(generators: &mut Generators) -> Self
    where
        O: Operation<Query: JsonSchema, Request: BodySchema, Response: BodySchema>,
    {
        let mut query = O::Query::json_schema(&mut generators.request).to_value();
        bounds::apply(&O::Query::schema_name(), &mut query, Direction::Request);
        plain(&mut query);
        let required: Vec<_> = query["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let parameters = query["properties"].as_object().into_iter().flatten();
        let query = parameters.map(|(name, schema)| {
            let mut schema = schema.clone();
            // In a query, a parameter that is not wanted is absent.
            not_null(&mut schema);
            (name.clone(), schema, required.contains(&name.as_str()))
        });
        Self {
            spec: O::SPEC,
            query: query.collect(),
            request: O::Request::schema(&mut generators.request),
            response: O::Response::schema(&mut generators.response),
        }
    }
}

/// A kind of body that has a schema.
pub(in crate::api) trait BodySchema: Body {
    fn schema(generator: &mut SchemaGenerator) -> Option<Value>;
}

impl BodySchema for Empty {
    fn schema(_: &mut SchemaGenerator) -> Option<Value> {
        None
    }
}

impl<T: JsonSchema + Send + 'static> BodySchema for Json<T> {
    fn schema(generator: &mut SchemaGenerator) -> Option<Value> {
        Some(generator.subschema_for::<T>().to_value())
    }
}

impl<T: JsonSchema + Send + 'static> BodySchema for MergePatch<T> {
    fn schema(generator: &mut SchemaGenerator) -> Option<Value> {
        Some(generator.subschema_for::<T>().to_value())
    }
}

macro_rules! texts {
    ($($body:ty),*) => {$(
        impl BodySchema for $body {
            fn schema(_: &mut SchemaGenerator) -> Option<Value> {
                Some(json!({ "type": "string" }))
            }
        }
    )*};
}

texts!(PlainText, ShellScript);

impl BodySchema for EventStream {
    /// A stream has messages, which OpenAPI 3.1 cannot describe: tools differ in whether a schema is for a message or
    /// for the whole stream.
    fn schema(_: &mut SchemaGenerator) -> Option<Value> {
        Some(json!({ "description": "Server-sent events." }))
    }
}

macro_rules! bytes {
    ($($body:ty),*) => {$(
        impl BodySchema for $body {
            fn schema(_: &mut SchemaGenerator) -> Option<Value> {
                Some(json!({ "type": "string", "format": "binary" }))
            }
        }
    )*};
}

bytes!(Binary, DebianPackage);

fn components(generator: &mut SchemaGenerator) -> Vec<(String, Value)> {
    let found = generator.take_definitions(true);
    let plain_one = |(name, mut schema): (String, Value)| {
        plain(&mut schema);
        (name, schema)
    };
    found.into_iter().map(plain_one).collect()
}

/// Removes what is for readers of the source: links in descriptions.
fn plain(schema: &mut Value) {
    each(schema, &mut |object| {
        if let Some(Value::String(text)) = object.get_mut("description") {
            *text = without_links(text);
        }
        object.remove("title");
    });
}

/// Replaces `` [`name`](target) `` and `` [`name`] `` by `` `name` ``.
fn without_links(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let Some((name, after)) = after.split_once(']') else { break };
        kept.push_str(before);
        kept.push_str(name);
        rest = match after.strip_prefix('(').and_then(|target| target.split_once(')')) {
            Some((_, after)) => after,
            None => after,
        };
    }
    kept.push_str(rest);
    kept.replace('\n', " ").replace("::", ".")
}

/// Allows further fields: a response may have more of them in a later release.
fn open(schema: &mut Value) {
    each(schema, &mut |object| {
        if object.get("additionalProperties") == Some(&Value::Bool(false)) {
            object.remove("additionalProperties");
        }
    });
}

/// Removes `null` from the types of a schema.
fn not_null(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|found| found != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(any)) = object.get_mut("anyOf") {
        any.retain(|found| found["type"] != "null");
    }
    if let Some([only]) = object.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) {
        let only = only.as_object().cloned().unwrap_or_default();
        object.remove("anyOf");
        object.extend(only);
    }
    object.remove("default");
}

fn rename(schema: &mut Value, names: &BTreeMap<String, String>) {
    each(schema, &mut |object| {
        let Some(Value::String(target)) = object.get_mut("$ref") else { return };
        if let Some(name) = target.strip_prefix(COMPONENTS).and_then(|name| names.get(name)) {
            *target = format!("{COMPONENTS}{name}");
        }
    });
}

/// Visits every object in a value.
fn each(value: &mut Value, visit: &mut impl FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values_mut().for_each(|below| each(below, visit));
        }
        Value::Array(values) => values.iter_mut().for_each(|below| each(below, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Returns a reference to a schema of the document.
pub(super) fn reference(name: &str) -> Value {
    Schema::new_ref(format!("{COMPONENTS}{name}")).to_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_the_source_are_left_out() {
        let text = "At most [`MAX`](model::limits::MAX), see [`Environment::approval`].";
        assert_eq!(without_links(text), "At most `MAX`, see `Environment.approval`.");
    }

    #[test]
    fn a_response_may_have_further_fields_and_a_request_may_not() {
        let schemas = {
            let mut generators = Generators::new();
            for shapes in crate::api::operation::SHAPES {
                shapes(&mut generators);
            }
            generators.into_schemas()
        };
        assert_eq!(schemas.all["TokenRequest"]["additionalProperties"], false);
        assert_eq!(schemas.all["KeyLimitRequest"]["additionalProperties"], false);
        assert!(schemas.all["KeyLimit"].get("additionalProperties").is_none());
        let required = schemas.all["KeyLimit"]["required"].as_array().expect("a response has all fields");
        assert_eq!(required.len(), 2);
    }
}
