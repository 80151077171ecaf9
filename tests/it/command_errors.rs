//! Errors with `-o json`: one line of JSON with a code, from each of the three programs.

use linecamp_tests::{CommandOutput, Fleet};
use serde_json::Value;

use crate::cli_json::connected_site;

/// Checks that a command printed this error, and nothing else, and returns it.
#[track_caller]
fn assert_error(said: CommandOutput, exit_code: i32, code: &str) -> Value {
    let said = said.exits(exit_code);
    assert_eq!(said.stderr.lines().count(), 1, "`{}` printed one line:\n{}", said.line, said.stderr);
    let error: Value = serde_json::from_str(&said.stderr)
        .unwrap_or_else(|error| panic!("`{}` printed no JSON ({error}):\n{}", said.line, said.stderr));
    assert_eq!(error["error"]["code"], code, "`{}`:\n{}", said.line, said.stderr);
    assert!(error["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{}", said.stderr);
    error["error"].clone()
}

#[test]
fn every_program_prints_its_errors_as_json() {
    let mut fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let absent = fleet.directory().join("absent");
    let absent = absent.to_str().expect("the path is text");
    let data = fleet.server.data().to_str().expect("the path is text").to_owned();

    // `linecamp`: the server's answer, the arguments, the login, the connection.
    assert_error(fleet.cli(&["site", "show", "nowhere", "-o", "json"]), 1, "not-found");
    assert_error(fleet.cli(&["site", "show", "Camp", "-o", "json"]), 2, "bad-arguments");
    assert_error(fleet.cli(&["-ojson", "site", "label", "camp", "rack"]), 2, "bad-arguments");
    let error = assert_error(fleet.run("linecamp", &["--output=json", "site", "ls"], &[]), 2, "not-logged-in");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("linecamp login")), "{error:#}");

    // `linecampd`: the daemon's answer, its absence, a rejected join.
    assert_error(site.local(&["label", "set", "-key=1", "-o", "json"]), 2, "bad-arguments");
    let adopt = ["dns", "adopt", "--provider", "none", "example.org", "a.example.org", "A", "-o", "json"];
    assert_error(site.local(&adopt), 1, "bad-request");
    assert_error(fleet.run("linecampd", &["status", "--data", absent, "-o", "json"], &[]), 1, "not-running");
    let used = fleet.token(&["--uses", "1"]);
    let quic = fleet.server.quic();
    fleet.join_by("first", &used, quic, &[]);
    let target = format!("{used}@{quic}");
    let join = ["join", &target, "--name", "late", "--data", absent, "-o", "json"];
    assert_error(fleet.run("linecampd", &join, &[]), 3, "join-rejected");

    // `linecamp-server`: a directory in use, and a server that exists already.
    let keys = ["key", "ls", "--data", &data, "-o", "json"];
    let error = assert_error(fleet.run("linecamp-server", &keys, &[]), 1, "directory-in-use");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("systemctl stop linecamp-server")), "{error:#}");
    let init = ["init", "--data", &data, "--server-url", "https://camp.example:8443", "-o", "json"];
    assert_error(fleet.run("linecamp-server", &init, &[]), 2, "already-initialized");
    assert!(fleet.server.terminate().success());
    assert_error(fleet.cli(&["site", "ls", "-o", "json"]), 1, "cannot-connect");
    let keys = fleet.run("linecamp-server", &keys, &[]).ok().json();
    assert_eq!(keys["items"][0]["name"], "admin", "{keys:#}");
}

/// Without `-o json`, errors are text.
#[test]
fn errors_are_text_by_default() {
    let fleet = Fleet::start();
    let said = fleet.cli(&["site", "show", "nowhere"]).exits(1);
    assert!(said.stderr.starts_with("linecamp: "), "{}", said.stderr);
    let said = fleet.cli(&["site", "show", "Camp"]).exits(2);
    assert!(said.stderr.starts_with("error: ") && said.stderr.contains("try '--help'"), "{}", said.stderr);
}
