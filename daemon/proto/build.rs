//! Compiles the schemas. `protox` is a compiler in Rust, so that nothing has to be installed.

use std::error::Error;

const SCHEMAS: [&str; 2] = ["link.proto", "record.proto"];

/// Bodies of documents that live behind a pointer: a hostile peer can put half a million empty documents into
/// one frame, and each would take the room of the largest body. `wire.rs` tests the sizes.
const BOXED: [&str; 4] = [
    ".linecamp.link.v1.SpecDocument.body.site",
    ".linecamp.link.v1.SpecDocument.body.host",
    ".linecamp.link.v1.StatusDocument.body.site",
    ".linecamp.link.v1.StatusDocument.body.host",
];

fn main() -> Result<(), Box<dyn Error>> {
    for schema in SCHEMAS {
        println!("cargo::rerun-if-changed={schema}");
    }
    let mut config = prost_build::Config::new();
    for body in BOXED {
        config.boxed(body);
    }
    config.compile_fds(protox::compile(SCHEMAS, ["."])?)?;
    Ok(())
}
