//! The SBOM of a program in CycloneDX 1.5: every crate linked into it for one target, with version, license, origin and
//! checksum.
//!
//! Generated here, because it must be reproducible: no serial number, no timestamp of its own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use serde_json::{Value, json};

use crate::commands::{cargo, read, root};

/// A crate's name and version. No program links two crates with the same name and version from different sources.
type Id = (String, String);

/// The crates, their dependencies, and their metadata.
struct Crates {
    own: Id,
    links: BTreeMap<Id, BTreeSet<Id>>,
    licenses: BTreeMap<Id, String>,
    checksums: BTreeMap<Id, String>,
}

/// Returns the SBOM of `package` for `target`, as JSON.
pub(crate) fn of(package: &str, target: &str) -> anyhow::Result<String> {
    // Only of this program: `cargo metadata` resolves the features of all programs together.
    let mut tree = cargo(["tree", "--locked", "--package", package, "--target", target, "--format", " {p}"]);
    tree.args(["--edges", "normal,no-proc-macro", "--prefix", "depth", "--no-dedupe"]);
    let (own, links) = links(&read(tree)?).with_context(|| format!("cargo knows no package {package}"))?;
    let output = read(cargo(["metadata", "--locked", "--format-version", "1", "--filter-platform", target]))?;
    let metadata: Value = serde_json::from_str(&output).context("cargo metadata prints JSON")?;
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).context("failed to read Cargo.lock")?;
    let crates = Crates { own, links, licenses: licenses(&metadata), checksums: checksums(&lock) };
    Ok(serde_json::to_string_pretty(&crates.list())? + "\n")
}

impl Crates {
    fn list(&self) -> Value {
        let linked = self.links.keys().filter(|id| **id != self.own);
        let components: Vec<_> = linked.map(|id| self.component(id, "library")).collect();
        let dependencies: Vec<_> = self.links.iter().map(|(id, below)| dependencies(id, below)).collect();
        json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": { "component": self.component(&self.own, "application") },
            "components": components,
            "dependencies": dependencies,
        })
    }

    fn component(&self, id: &Id, kind: &str) -> Value {
        let mut component = json!({
            "type": kind,
            "bom-ref": purl(id),
            "name": id.0,
            "version": id.1,
            "purl": purl(id),
        });
        if let Some(license) = self.licenses.get(id) {
            component["licenses"] = json!([{ "expression": license.replace('/', " OR ") }]);
        }
        if let Some(sum) = self.checksums.get(id) {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
        }
        component
    }
}

fn dependencies(id: &Id, below: &BTreeSet<Id>) -> Value {
    json!({ "ref": purl(id), "dependsOn": below.iter().map(purl).collect::<Vec<_>>() })
}

/// Parses the output of `cargo tree`, one line per crate prefixed by its depth; returns the root and the dependencies.
fn links(tree: &str) -> Option<(Id, BTreeMap<Id, BTreeSet<Id>>)> {
    let mut links: BTreeMap<Id, BTreeSet<Id>> = BTreeMap::new();
    let mut above: Vec<Id> = Vec::new();
    for line in tree.lines() {
        // `2 quinn v0.11.9 (SOURCE)`.
        let mut fields = line.split(' ');
        let (depth, name) = (fields.next()?.parse::<usize>().ok()?, fields.next()?);
        let id = (name.to_owned(), fields.next()?.strip_prefix('v')?.to_owned());
        above.truncate(depth);
        if let Some(parent) = above.last() {
            links.entry(parent.clone()).or_default().insert(id.clone());
        }
        links.entry(id.clone()).or_default();
        above.push(id);
    }
    Some((above.into_iter().next()?, links))
}

fn licenses(metadata: &Value) -> BTreeMap<Id, String> {
    let all = metadata["packages"].as_array().into_iter().flatten();
    all.filter_map(|one| Some(((text(one, "name")?, text(one, "version")?), text(one, "license")?))).collect()
}

/// Returns the checksums in the lock file, by name and version.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")));
        line.map(|line| line.trim_matches('"').to_owned())
    };
    let of_block = |block: &str| Some(((value(block, "name")?, value(block, "version")?), value(block, "checksum")?));
    lock.split("[[package]]").filter_map(of_block).collect()
}

fn purl((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{version}")
}

fn text(one: &Value, key: &str) -> Option<String> {
    one[key].as_str().map(str::to_owned)
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

    #[test]
    fn a_tree_is_read_by_its_depths() {
        let tree = "0 top v0.1.0 (/here/top)\n1 left v1.0.0\n2 leaf v2.0.0\n1 right v3.0.0\n2 leaf v2.0.0\n";
        let (own, links) = links(tree).unwrap();
        let below = |name: &str, version: &str| -> Vec<_> {
            links[&(name.to_owned(), version.to_owned())].iter().map(|(name, _)| name.as_str()).collect()
        };
        assert_eq!(own.0, "top");
        assert_eq!(below("top", "0.1.0"), ["left", "right"]);
        assert_eq!((below("left", "1.0.0"), below("right", "3.0.0")), (vec!["leaf"], vec!["leaf"]));
        assert!(below("leaf", "2.0.0").is_empty());
    }
}
