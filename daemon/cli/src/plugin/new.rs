//! `linecamp plugin new`: creates a provider project from `sdk/template`.
//!
//! The template is embedded in this program. The provider's name and the path of the SDK are filled in.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use linecamp_model::Name;
use serde::Serialize;

use crate::argument::{self, ArgumentError};
use crate::context::Context;
use crate::credentials::Env;
use crate::input_file::invalid;

/// The environment variable with the path of a Linecamp checkout.
const CHECKOUT: &str = "LINECAMP";

/// Placeholders in the template for the provider's name and the SDK path.
const TEMPLATE_NAME: &str = "dns-template";
const TEMPLATE_SDK: &str = "path = \"../";

/// The SDK crates that a project depends on.
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

/// Create a provider plugin project
///
/// Creates a minimal Rust provider that passes the conformance tests, in a new directory. It needs the SDK: the sdk
/// directory of a Linecamp checkout.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp plugin new dns-example --sdk ~/linecamp/sdk
  LINECAMP=~/linecamp linecamp plugin new dns-example")]
pub(crate) struct New {
    /// Name of the provider and of its directory, which must not exist
    #[arg(value_name = "NAME", value_parser = argument::crate_name)]
    name: Name,
    /// SDK directory [default: $LINECAMP/sdk]
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

/// The created project.
#[derive(Debug, Serialize)]
struct NewProject {
    name: String,
    directory: PathBuf,
    /// Path of the component built by `cargo plugin`, relative to the project.
    component: String,
}

impl New {
    pub(crate) fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let sdk = sdk(self.sdk, context.env)?;
        let directory = PathBuf::from(self.name.as_str());
        write(&directory, self.name.as_str(), &sdk)?;
        let component = format!("target/wasm32-wasip2/release/{}.wasm", self.name.as_str().replace('-', "_"));
        let project = NewProject { name: self.name.to_string(), directory, component };
        Ok(context.out.show(&project, |_| next_steps(&project))?)
    }
}

fn next_steps(project: &NewProject) -> String {
    let NewProject { name, component, .. } = project;
    format!(
        "created {name}/. Next steps:\n\n  cd {name}\n  cargo test\n  cargo plugin && \
         linecamp plugin check {component}\n"
    )
}

/// Returns the SDK path, escaped for a TOML string.
fn sdk(given: Option<PathBuf>, env: &dyn Env) -> Result<String, ArgumentError> {
    let checkout = || env.var(CHECKOUT).map(|checkout| Path::new(&checkout).join("sdk"));
    let path = given.or_else(checkout).ok_or(ArgumentError::SdkNotFound)?;
    let sdk_error = |problem: String| invalid(&path, problem);
    for name in CRATES {
        if !path.join(name).join("Cargo.toml").is_file() {
            return Err(sdk_error(format!("not the SDK: it has no {name}/Cargo.toml")));
        }
    }
    let absolute = path.canonicalize().map_err(|error| sdk_error(error.to_string()))?;
    let text = absolute.to_str().ok_or_else(|| sdk_error("the path is not UTF-8, which cargo requires".to_owned()))?;
    let quoted = toml::Value::from(text).to_string();
    match quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => Ok(text.to_owned()),
        None => Err(sdk_error("the path contains quotes".to_owned())),
    }
}

/// Writes the project. Fails if the directory exists.
fn write(directory: &Path, name: &str, sdk: &str) -> Result<(), ArgumentError> {
    fs::create_dir(directory).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => invalid(directory, "already exists".to_owned()),
        _ => invalid(directory, format!("cannot create directory: {error}")),
    })?;
    for (file, text) in FILES {
        let path = directory.join(file);
        let text = text.replace(TEMPLATE_NAME, name).replace(TEMPLATE_SDK, &format!("path = \"{sdk}/"));
        let folder = path.parent().expect("a file is in a directory");
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
        written.map_err(|error| invalid(&path, format!("cannot write file: {error}")))?;
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
    fn a_project_has_its_name_and_the_sdk_path() {
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
        let again = write(&directory, "dns-example", &sdk).expect_err("it exists").to_string();
        assert!(again.ends_with("already exists"), "{again}");
    }

    #[test]
    fn every_template_file_is_embedded() {
        fn list(directory: &Path, found: &mut BTreeSet<PathBuf>) {
            for entry in fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                match path.file_name().and_then(|name| name.to_str()) {
                    // Build output.
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
    fn a_missing_sdk_is_reported() {
        let root = checkout().display().to_string();
        assert_eq!(sdk(None, &Variable(Some(root.clone()))), Ok(format!("{root}/sdk")));
        let error = sdk(None, &Variable(None)).expect_err("no SDK").to_string();
        assert!(error.contains("--sdk DIR") && error.contains("LINECAMP"), "{error}");
        let error = sdk(Some(checkout()), &Variable(None)).expect_err("not an SDK").to_string();
        assert!(error.contains("not the SDK"), "{error}");
    }

    #[test]
    fn the_next_steps_are_shown() {
        let project = NewProject {
            name: "dns-example".into(),
            directory: "dns-example".into(),
            component: "target/wasm32-wasip2/release/dns_example.wasm".into(),
        };
        insta::assert_snapshot!(next_steps(&project));
    }
}
