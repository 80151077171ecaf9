//! The server against its OpenAPI document: schemathesis makes valid and invalid requests from it, and checks every
//! answer. `tests/api/check.py` starts the server and says what is expected.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use linecamp_tests::{OidcProvider, program, skip, target_directory};
use serde_json::{Value, json};

/// Where `cargo xtask test` installs schemathesis, below cargo's target directory. `packaging/xtask/src/toolchain.rs`
/// has the same value.
const ENVIRONMENT: &str = "tools/schemathesis-4.32.5";

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/api/check.py");
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/proto/openapi.json");

/// Returns the Python that has schemathesis; `None` if it is not installed, and the skip is recorded.
fn python() -> Option<PathBuf> {
    let environment = target_directory().join(ENVIRONMENT);
    // Written last by the installation.
    if environment.join("complete").is_file() {
        return Some(environment.join("bin/python"));
    }
    let place = environment.display();
    let why = format!("the API's document: {place} not found, and `cargo xtask test` could not install it");
    skip("schemathesis", &why);
    None
}

/// Checks the operations, or all, with a key of the role.
fn check((python, provider): (&Path, &Path), document: &Path, role: &str, operations: &[&str]) -> Output {
    let server = program("linecamp-server");
    let mut check = Command::new(python);
    check.env("PYTHONDONTWRITEBYTECODE", "1");
    check.args([SCRIPT, "--role", role, "--binaries"]).arg(server.parent().expect("a folder"));
    check.arg("--provider").arg(provider).arg("--document").arg(document).args(operations);
    check.output().expect("Python runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn answers_as_documented(role: &str) {
    let (Some(python), Some(provider)) = (python(), OidcProvider::modules()) else { return };
    let output = check((&python, &provider), Path::new(DOCUMENT), role, &[]);
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn the_server_answers_an_admin_as_documented() {
    answers_as_documented("admin");
}

#[test]
fn the_server_answers_an_operator_as_documented() {
    answers_as_documented("operator");
}

#[test]
fn the_server_answers_a_viewer_as_documented() {
    answers_as_documented("viewer");
}

#[test]
fn the_server_answers_nobody_as_documented() {
    answers_as_documented("none");
}

/// A document in which a name is a number, and in which no list of sites is refused.
#[test]
fn a_difference_from_the_document_is_found() {
    let (Some(python), Some(provider)) = (python(), OidcProvider::modules()) else { return };
    let document = fs::read_to_string(DOCUMENT).expect("the document is there");
    let mut document: Value = serde_json::from_str(&document).expect("JSON");
    document["components"]["schemas"]["User"]["properties"]["name"] = json!({ "type": "integer" });
    let responses = &mut document["paths"]["/api/v1/sites"]["get"]["responses"];
    responses.as_object_mut().expect("responses").remove("400").expect("it was documented");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let changed = folder.path().join("openapi.json");
    fs::write(&changed, document.to_string()).expect("a file can be written");
    let output = check((&python, &provider), &changed, "admin", &["user.list", "site.list"]);
    let text = text(&output);
    assert!(!output.status.success(), "{text}");
    for expected in ["Response violates schema", "Undocumented status code"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}
