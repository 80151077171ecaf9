//! Parsing what the programs print with `-o json`, and waiting for it.

use linecamp_tests::{Fleet, PATIENCE, Site};
use serde_json::Value;

/// Joins a site, starts it, and waits until it is connected and the server has its first facts.
#[track_caller]
pub(crate) fn connected_site(fleet: &Fleet, name: &str) -> Site {
    let mut site = fleet.join(name, &[]);
    site.start();
    wait_facts(fleet, name);
    site
}

/// Waits until the site is connected and the server has its first facts.
#[track_caller]
pub(crate) fn wait_facts(fleet: &Fleet, name: &str) {
    fleet.wait_link(name, "connected");
    let has_facts = |host: &Value| label(&host["labels"], "io.linecamp.host.os").is_some();
    fleet.wait_for(&format!("the facts of {name}"), PATIENCE, || {
        has_facts(&show(fleet, name)["hosts"][0]).then_some(())
    });
}

/// Returns the server's view of a site.
#[track_caller]
pub(crate) fn show(fleet: &Fleet, name: &str) -> Value {
    fleet.json(&["site", "show", name])
}

/// Returns the entry of a list whose field has this value.
pub(crate) fn entry<'a>(list: &'a Value, field: &str, word: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|one| one[field] == word)
}

/// Returns the value of a label in a list of labels.
pub(crate) fn label<'a>(labels: &'a Value, key: &str) -> Option<&'a str> {
    entry(labels, "key", key)?["value"].as_str()
}

/// Returns the detail of a condition of a site.
pub(crate) fn condition<'a>(shown: &'a Value, kind: &str) -> Option<&'a str> {
    entry(&shown["conditions"], "kind", kind)?["detail"].as_str()
}

/// Waits until the server has this value of a site's label; `None` for no such label.
#[track_caller]
pub(crate) fn wait_label_at_server(fleet: &Fleet, name: &str, key: &str, value: Option<&str>) {
    fleet.wait_for(&format!("{key} of {name} to be {value:?} at the server"), PATIENCE, || {
        (label(&show(fleet, name)["labels"], key) == value).then_some(())
    });
}

/// Waits until the site itself has this value of a site's label; `None` for no such label.
#[track_caller]
pub(crate) fn wait_label_at_site(fleet: &Fleet, site: &Site, key: &str, value: Option<&str>) {
    fleet.wait_for(&format!("{key} to be {value:?} at the site"), PATIENCE, || {
        let status = site.local(&["status", "-o", "json"]);
        (status.code == Some(0) && label(&status.json()["labels"], key) == value).then_some(())
    });
}

/// Waits until the site has the newest spec and reports that it has converged to it.
#[track_caller]
pub(crate) fn wait_converged(fleet: &Fleet, name: &str) {
    fleet.wait_for(&format!("{name} to match its spec"), PATIENCE, || {
        let shown = show(fleet, name);
        (shown["spec_generation"] == shown["converged_generation"]).then_some(())
    });
}

/// Waits until the site has a condition, and returns its detail.
#[track_caller]
pub(crate) fn wait_condition(fleet: &Fleet, name: &str, kind: &str) -> String {
    fleet.wait_for(&format!("the condition {kind} of {name}"), PATIENCE, || {
        condition(&show(fleet, name), kind).map(str::to_owned)
    })
}

/// Waits until the site does not have a condition.
#[track_caller]
pub(crate) fn wait_no_condition(fleet: &Fleet, name: &str, kind: &str) {
    fleet.wait_for(&format!("{name} without the condition {kind}"), PATIENCE, || {
        condition(&show(fleet, name), kind).is_none().then_some(())
    });
}

/// Returns the texts of a site's events of one kind, oldest first.
#[track_caller]
pub(crate) fn events(fleet: &Fleet, name: &str, kind: &str) -> Vec<String> {
    let listed = fleet.json(&["event", "ls", "--site", name, "--limit", "200"]);
    let all = listed["items"].as_array().expect("a list");
    let of_kind = all.iter().filter(|event| event["kind"] == kind);
    of_kind.map(|event| event["text"].as_str().expect("a text").to_owned()).collect()
}
