//! `linecamp plugin new`: the smallest provider, as a project of its own.
//!
//! The project is `sdk/template`, which this program has in it. Two things are put into it: the provider's name, and
//! where the SDK is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use linecamp_model::Name;
use serde::Serialize;

use crate::argument::{self, ArgumentError};
use crate::config::Env;
use crate::global::Context;

/// The variable naming a checkout of Linecamp, which has the SDK in it.
const CHECKOUT: &str = "LINECAMP";

/// What stands in the template for the provider's name, and for the SDK's directory.
const TEMPLATE_NAME: &str = "dns-template";
const TEMPLATE_SDK: &str = "path = \"../";

/// The crates of the SDK that a project names.
const CRATES: [&str; 2] = ["linecamp-provider", "testkit"];

/// The files of the template.
const FILES: [(&str, &str); 7] = [
    ("Cargo.toml", include_str!("../../../../sdk/template/Cargo.toml")),
    ("README.md", include_str!("../../../../sdk/template/README.md")),
    ("rust-toolchain.toml", include_str!("../../../../sdk/template/rust-toolchain.toml")),
    ("rustfmt.toml", include_str!("../../../../sdk/template/rustfmt.toml")),
    (".gitignore", include_str!("../../../../sdk/template/.gitignore")),
    (".cargo/config.toml", include_str!("../../../../sdk/template/.cargo/config.toml")),
    ("src/lib.rs", include_str!("../../../../sdk/template/src/lib.rs")),
];

/// Begin a provider: the smallest one that keeps the contract, as a project in a new directory
///
/// The project is written in Rust and needs the SDK, which is the directory sdk of a checkout of Linecamp.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp plugin new dns-example --sdk ~/linecamp/sdk
  LINECAMP=~/linecamp linecamp plugin new dns-example")]
pub(crate) struct New {
    /// The provider's name, and its directory's, which must not be there yet
    #[arg(value_name = "NAME", value_parser = argument::crate_name)]
    name: Name,
    /// Where the SDK is; without it, the directory sdk of the checkout that LINECAMP names
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// What was made, for programs.
#[derive(Debug, Serialize)]
struct Made {
    name: String,
    directory: PathBuf,
    /// Where `cargo plugin` puts the component, from the project's directory.
    component: String,
}

impl New {
    pub(crate) fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let sdk = sdk(self.sdk, context.env)?;
        let directory = PathBuf::from(self.name.as_str());
        write(&directory, self.name.as_str(), &sdk)?;
        let component = format!("target/wasm32-wasip2/release/{}.wasm", self.name.as_str().replace('-', "_"));
        let made = Made { name: self.name.to_string(), directory, component };
        Ok(context.out.show(&made, |_| next(&made))?)
    }
}

fn next(made: &Made) -> String {
    let Made { name, component, .. } = made;
    format!(
        "{name}/ holds a provider that keeps the contract. What comes next, there:\n\n  cargo test\n  cargo plugin && \
         linecamp plugin check {component}\n"
    )
}

/// Returns where the SDK is, as TOML writes a text.
fn sdk(given: Option<PathBuf>, env: &dyn Env) -> Result<String, ArgumentError> {
    let checkout = || env.var(CHECKOUT).map(|checkout| Path::new(&checkout).join("sdk"));
    let path = given.or_else(checkout).ok_or(ArgumentError::NoSdk)?;
    let bad = |problem: String| ArgumentError::File { path: path.clone(), problem };
    for name in CRATES {
        if !path.join(name).join("Cargo.toml").is_file() {
            return Err(bad(format!("is not the SDK: there is no {name}/Cargo.toml in it")));
        }
    }
    let whole = path.canonicalize().map_err(|error| bad(error.to_string()))?;
    let text = whole.to_str().ok_or_else(|| bad("its path is not UTF-8, which cargo needs".to_owned()))?;
    let quoted = toml::Value::from(text).to_string();
    match quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => Ok(text.to_owned()),
        None => Err(bad("its path has quotes in it".to_owned())),
    }
}

/// Writes the project. What is there is never written over: the directory is new, or it is an error.
fn write(directory: &Path, name: &str, sdk: &str) -> Result<(), ArgumentError> {
    let bad = |path: &Path, problem: String| ArgumentError::File { path: path.into(), problem };
    fs::create_dir(directory).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => bad(directory, "is there already, and nothing is written over".to_owned()),
        _ => bad(directory, format!("cannot be made: {error}")),
    })?;
    for (file, text) in FILES {
        let path = directory.join(file);
        let text = text.replace(TEMPLATE_NAME, name).replace(TEMPLATE_SDK, &format!("path = \"{sdk}/"));
        let folder = path.parent().expect("a file is in a directory");
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
        written.map_err(|error| bad(&path, format!("cannot be written: {error}")))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    struct Variable(Option<String>);

    impl Env for Variable {
        fn var(&self, name: &str) -> Option<String> {
            self.0.clone().filter(|_| name == CHECKOUT)
        }
    }

    fn checkout() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
    }

    #[test]
    fn a_project_names_itself_and_the_sdk() {
        let dir = tempfile::tempdir().expect("a directory");
        let directory = dir.path().join("dns-example");
        let sdk = sdk(Some(checkout().join("sdk")), &Variable(None)).expect("the SDK");
        write(&directory, "dns-example", &sdk).expect("written");
        let read = |file: &str| fs::read_to_string(directory.join(file)).expect(file);
        let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
        assert_eq!(manifest["package"]["name"].as_str(), Some("dns-example"));
        for (section, name) in [("dependencies", "linecamp-provider"), ("dev-dependencies", "linecamp-testkit")] {
            let path = manifest[section][name]["path"].as_str().expect("a path");
            assert!(Path::new(path).join("Cargo.toml").is_file(), "{path}");
        }
        assert!(FILES.iter().all(|(file, _)| !read(file).contains(TEMPLATE_NAME)));
        let again = write(&directory, "dns-example", &sdk).expect_err("it is there").to_string();
        assert!(again.ends_with("nothing is written over"), "{again}");
    }

    #[test]
    fn the_program_has_every_file_of_the_template() {
        fn list(directory: &Path, found: &mut BTreeSet<PathBuf>) {
            for entry in fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                match path.file_name().and_then(|name| name.to_str()) {
                    // What cargo makes in it is not of it.
                    Some("target" | "Cargo.lock") => {}
                    _ if path.is_dir() => list(&path, found),
                    _ => drop(found.insert(path)),
                }
            }
        }
        let (template, mut found) = (checkout().join("sdk/template"), BTreeSet::new());
        list(&template, &mut found);
        assert_eq!(found, FILES.iter().map(|(file, _)| template.join(file)).collect());
    }

    #[test]
    fn the_sdk_is_found_or_asked_for() {
        let root = checkout().display().to_string();
        assert_eq!(sdk(None, &Variable(Some(root.clone()))), Ok(format!("{root}/sdk")));
        let error = sdk(None, &Variable(None)).expect_err("nobody says").to_string();
        assert!(error.contains("--sdk DIR") && error.contains("LINECAMP"), "{error}");
        let error = sdk(Some(checkout()), &Variable(None)).expect_err("the wrong one").to_string();
        assert!(error.contains("is not the SDK"), "{error}");
    }

    #[test]
    fn what_comes_next_is_said() {
        let made = Made {
            name: "dns-example".into(),
            directory: "dns-example".into(),
            component: "target/wasm32-wasip2/release/dns_example.wasm".into(),
        };
        insta::assert_snapshot!(next(&made));
    }
}
