//! The imports and exports of a component, by name: enough to tell which contract it was built for, and whether it
//! imports interfaces that plugins do not get.

use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::PluginHostError;
use crate::sandbox::{LINKED, LINKED_RANDOM};

/// The package of the contract.
const PACKAGE: &str = "linecamp:provider";

/// The supported versions of the contract, for error messages.
const SUPPORTED: &str = "linecamp:provider@1.0.x";

/// The interfaces that a DNS provider exports.
const EXPORTS: [&str; 2] = ["linecamp:provider/provider", "linecamp:provider/dns"];

/// Bytes of the names quoted from a component in an error.
const QUOTE_BYTES_MAX: usize = 300;

/// Rejects a component that was not built for a supported contract, or that imports interfaces that plugins do not get.
pub(crate) fn check(component: &Component, engine: &Engine, plugin: &Path) -> Result<(), PluginHostError> {
    let (imports, exports) = (imports(component, engine), exports(component, engine));
    let plugin = || plugin.to_owned();
    for name in imports.iter().chain(&exports) {
        if let Some(remedy) = remedy_for(name) {
            let (interface, version) = split(name);
            let package = interface.split('/').next().unwrap_or_default();
            let required = quoted(&format!("{package}@{version}"));
            return Err(PluginHostError::Contract { plugin: plugin(), required, supported: SUPPORTED, remedy });
        }
    }
    let unwanted: Vec<&str> = imports.iter().map(String::as_str).filter(|name| !is_linked(name)).collect();
    if !unwanted.is_empty() {
        return Err(PluginHostError::ForbiddenImport { plugin: plugin(), imports: quoted(&unwanted.join(", ")) });
    }
    match EXPORTS.into_iter().find(|required| !exports.iter().any(|name| split(name).0 == *required)) {
        Some(missing) => Err(PluginHostError::NotAProvider { plugin: plugin(), missing: format!("{missing}@1.0.0") }),
        None => Ok(()),
    }
}

/// Returns the names of a component's imports.
pub(crate) fn imports(component: &Component, engine: &Engine) -> Vec<String> {
    component.component_type().imports(engine).map(|(name, _)| name.to_owned()).collect()
}

/// Returns the names of a component's exports.
pub(crate) fn exports(component: &Component, engine: &Engine) -> Vec<String> {
    component.component_type().exports(engine).map(|(name, _)| name.to_owned()).collect()
}

/// Returns what to do about a name from an unsupported version of the contract; `None` if the name is from another
/// package or a supported version.
fn remedy_for(name: &str) -> Option<&'static str> {
    let (interface, version) = split(name);
    if interface.split('/').next() != Some(PACKAGE) {
        return None;
    }
    match version.split('.').next().map(str::parse::<u64>) {
        Some(Ok(1)) => None,
        Some(Ok(0)) => Some("rebuild the plugin with the current SDK"),
        Some(Ok(_)) => Some("update the daemon"),
        Some(Err(_)) | None => Some("build the plugin with the SDK"),
    }
}

fn is_linked(name: &str) -> bool {
    let (interface, _) = split(name);
    interface.split('/').next() == Some(PACKAGE) || LINKED.contains(&interface) || LINKED_RANDOM.contains(&interface)
}

/// Splits `namespace:package/interface@version`.
fn split(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

fn quoted(text: &str) -> String {
    let kept = text.floor_char_boundary(QUOTE_BYTES_MAX);
    let rest = if kept < text.len() { "…" } else { "" };
    format!("{}{rest}", text[..kept].escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contract_is_known_by_its_first_number() {
        let check = |name: &str, expected: Option<&str>| {
            let remedy = remedy_for(name);
            assert_eq!(remedy.is_some(), expected.is_some(), "{name}");
            assert!(remedy.unwrap_or_default().contains(expected.unwrap_or_default()), "{name}: {remedy:?}");
        };
        check("linecamp:provider/http@1.0.0", None);
        check("linecamp:provider/http@1.7.3", None);
        check("linecamp:provider/http@2.0.0", Some("update the daemon"));
        check("linecamp:provider/http@0.1.0", Some("rebuild"));
        check("linecamp:provider/http", Some("SDK"));
        check("wasi:io/streams@0.2.6", None);
    }

    #[test]
    fn files_and_sockets_are_not_offered() {
        for name in ["wasi:io/streams@0.2.6", "wasi:cli/environment@0.2.0", "linecamp:provider/http@1.0.0"] {
            assert!(is_linked(name), "{name}");
        }
        for name in ["wasi:filesystem/types@0.2.6", "wasi:sockets/tcp@0.2.6", "wasi:http/types@0.2.6", "run", "x:y/z"] {
            assert!(!is_linked(name), "{name}");
        }
    }
}
