//! Checks that the types in `generated/` are what prost generates from the schemas today.
//!
//! They are checked in so that building this crate does not build a schema compiler. After a schema change, regenerate
//! them with `LINECAMP_GOLDEN=write cargo test -p linecamp-proto generated`. `protox` compiles the schemas, in Rust, so
//! nothing has to be installed.

use std::fs;
use std::path::Path;

const SCHEMAS: [&str; 2] = ["link.proto", "record.proto"];

/// Fields boxed because they are part of a list: a hostile peer can put half a million empty elements into one frame,
/// and each would take the size of the largest. `wire.rs` tests the sizes.
const BOXED: [&str; 14] = [
    ".linecamp.link.v1.SpecDocument.body.site",
    ".linecamp.link.v1.SpecDocument.body.host",
    ".linecamp.link.v1.StatusDocument.body.site",
    ".linecamp.link.v1.StatusDocument.body.host",
    ".linecamp.link.v1.SpecDocument.body.provider",
    ".linecamp.link.v1.StatusDocument.body.provider",
    ".linecamp.link.v1.SpecEntry.document",
    ".linecamp.link.v1.StatusEntry.document",
    ".linecamp.link.v1.RecordStatus.id",
    ".linecamp.link.v1.SpecDocument.body.host_token",
    ".linecamp.link.v1.HostSpec.member",
    ".linecamp.link.v1.HostStatus.daemon",
    ".linecamp.link.v1.HostStatus.membership",
    ".linecamp.link.v1.Event.about.host",
];

#[test]
fn generated_types_match_the_schemas() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = tempfile::tempdir().unwrap();
    let mut config = prost_build::Config::new();
    for body in BOXED {
        config.boxed(body);
    }
    let schemas = SCHEMAS.map(|schema| package.join(schema));
    config.out_dir(made.path()).compile_fds(protox::compile(schemas, [package]).unwrap()).unwrap();

    for entry in fs::read_dir(made.path()).unwrap() {
        let entry = entry.unwrap();
        let stored = package.join("generated").join(entry.file_name());
        let text = fs::read_to_string(entry.path()).unwrap();
        if std::env::var_os("LINECAMP_GOLDEN").is_some_and(|verb| verb == "write") {
            fs::write(&stored, &text).unwrap();
        }
        let kept = fs::read_to_string(&stored).unwrap_or_default();
        let help = "run `LINECAMP_GOLDEN=write cargo test -p linecamp-proto generated`";
        assert!(kept == text, "{} is not what the schemas give today: {help}", stored.display());
    }
}
