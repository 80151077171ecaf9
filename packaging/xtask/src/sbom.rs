//! The list of what a program is made of, as CycloneDX 1.5 writes it: every crate that is linked into it for one
//! target, with version, licence, origin and checksum.
//!
//! Ours, because it has to be the same for the same commit: no serial number, no time of its own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde_json::{Value, json};

use crate::run::{cargo, read, root};

/// What cargo says of every crate.
struct Crates {
    by_id: BTreeMap<String, Value>,
    /// What each is linked with.
    links: BTreeMap<String, Vec<String>>,
    checksums: BTreeMap<(String, String), String>,
}

/// Returns the list of `package` for `target`, as JSON.
pub(crate) fn of(package: &str, target: &str) -> anyhow::Result<String> {
    let said = read(cargo(["metadata", "--locked", "--format-version", "1", "--filter-platform", target]))?;
    let metadata: Value = serde_json::from_str(&said).context("cargo metadata prints JSON")?;
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).context("failed to read Cargo.lock")?;
    let crates = Crates { by_id: packages(&metadata), links: links(&metadata), checksums: checksums(&lock) };
    let (own, _) = crates.by_id.iter().find(|(_, one)| one["name"] == package).context("no such package")?;
    let mut linked = BTreeSet::new();
    let mut waiting = vec![own.clone()];
    while let Some(id) = waiting.pop() {
        if linked.insert(id.clone()) {
            waiting.extend(crates.links.get(&id).into_iter().flatten().cloned());
        }
    }
    linked.remove(own);
    let components: Vec<_> = linked.iter().map(|id| crates.component(id, "library")).collect();
    let dependencies: Vec<_> = linked.iter().chain([own]).map(|id| crates.dependencies(id)).collect();
    let list = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": crates.component(own, "application") },
        "components": components,
        "dependencies": dependencies,
    });
    Ok(serde_json::to_string_pretty(&list)? + "\n")
}

impl Crates {
    fn component(&self, id: &str, kind: &str) -> Value {
        let one = &self.by_id[id];
        let (name, version) = (text(one, "name"), text(one, "version"));
        let mut component = json!({
            "type": kind,
            "bom-ref": purl(one),
            "name": name,
            "version": version,
            "purl": purl(one),
        });
        if let Some(licence) = one["license"].as_str() {
            component["licenses"] = json!([{ "expression": licence.replace('/', " OR ") }]);
        }
        if let Some(sum) = self.checksums.get(&(name, version)) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
        }
        component
    }

    fn dependencies(&self, id: &str) -> Value {
        let below = self.links.get(id).into_iter().flatten().map(|other| purl(&self.by_id[other]));
        json!({ "ref": purl(&self.by_id[id]), "dependsOn": below.collect::<BTreeSet<_>>() })
    }
}

fn packages(metadata: &Value) -> BTreeMap<String, Value> {
    let all = metadata["packages"].as_array().into_iter().flatten();
    all.map(|one| (text(one, "id"), one.clone())).collect()
}

/// What is linked with what: neither what only builds nor what only tests.
fn links(metadata: &Value) -> BTreeMap<String, Vec<String>> {
    let is_linked = |dependency: &&Value| {
        dependency["dep_kinds"].as_array().into_iter().flatten().any(|kind| kind["kind"].is_null())
    };
    let of_node = |node: &Value| {
        let linked = node["deps"].as_array().into_iter().flatten().filter(is_linked);
        (text(node, "id"), linked.map(|dependency| text(dependency, "pkg")).collect())
    };
    metadata["resolve"]["nodes"].as_array().into_iter().flatten().map(of_node).collect()
}

/// The checksums that stand in the lock file, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
        line.map(|line| line.trim_matches('"').to_owned())
    };
    let of_block = |block: &str| Some(((value(block, "name")?, value(block, "version")?), value(block, "checksum")?));
    lock.split("[[package]]").filter_map(of_block).collect()
}

fn purl(one: &Value) -> String {
    format!("pkg:cargo/{}@{}", text(one, "name"), text(one, "version"))
}

fn text(one: &Value, key: &str) -> String {
    one[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_found_by_name_and_version() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0\"\nchecksum = \"00ff\"\n\n\
                    [[package]]\nname = \"ours\"\nversion = \"1.0\"\n";
        let found = checksums(lock);
        assert_eq!(found.get(&("a".to_owned(), "1.0".to_owned())).map(String::as_str), Some("00ff"));
        assert_eq!(found.len(), 1);
    }
}
