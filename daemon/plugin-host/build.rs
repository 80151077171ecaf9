//! Finds out which engine this is built with: it does not say so itself, and code that an older one compiled, with the
//! older one's faults, must not outlive an upgrade.

use std::error::Error;
use std::fs;

/// Where cargo writes down what it builds with.
const LOCK: &str = "../../Cargo.lock";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={LOCK}");
    let lock = fs::read_to_string(LOCK)?;
    let rest = lock.split_once("name = \"wasmtime\"\nversion = \"").map(|(_, rest)| rest);
    let version = rest.and_then(|rest| rest.split('"').next()).ok_or("Cargo.lock does not name wasmtime")?;
    println!("cargo::rustc-env=WASMTIME_VERSION={version}");
    Ok(())
}
