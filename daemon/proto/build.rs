//! Compiles the schemas. `protox` is a compiler in Rust, so that nothing has to be installed.

use std::error::Error;

const SCHEMAS: [&str; 2] = ["link.proto", "record.proto"];

/// What lies behind a pointer because it is part of a list: a hostile peer can put half a million empty elements into
/// one frame, and each would take the room of the largest. `wire.rs` tests the sizes.
const BOXED: [&str; 9] = [
    ".linecamp.link.v1.SpecDocument.body.site",
    ".linecamp.link.v1.SpecDocument.body.host",
    ".linecamp.link.v1.StatusDocument.body.site",
    ".linecamp.link.v1.StatusDocument.body.host",
    ".linecamp.link.v1.SpecDocument.body.provider",
    ".linecamp.link.v1.StatusDocument.body.provider",
    ".linecamp.link.v1.SpecEntry.document",
    ".linecamp.link.v1.StatusEntry.document",
    ".linecamp.link.v1.RecordStatus.id",
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
