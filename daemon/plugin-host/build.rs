//! Passes wasmtime's version to the crate, which has no other way to learn it. Compiled plugins are tagged with it, so
//! that an upgrade compiles them again.

use std::error::Error;
use std::fs;

/// The versions that cargo builds with.
const LOCK: &str = "../../Cargo.lock";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={LOCK}");
    let lock = fs::read_to_string(LOCK)?;
    let rest = lock.split_once("name = \"wasmtime\"\nversion = \"").map(|(_, rest)| rest);
    let version = rest.and_then(|rest| rest.split('"').next()).ok_or("Cargo.lock does not name wasmtime")?;
    println!("cargo::rustc-env=WASMTIME_VERSION={version}");
    Ok(())
}
