//! The wire format and the schemas do not change by accident: their digests are stored in frozen_formats.txt.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::report::Report;
use crate::tree::{file, files};

const DIGESTS: &str = "tests/tidy/frozen_formats.txt";

#[test]
fn the_wire_and_the_schemas_are_as_released() {
    let released = file(DIGESTS).expect("frozen_formats.txt stands beside this file");
    let rows = released.text.lines().zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let mut stored: BTreeMap<&str, (&str, usize)> = rows
        .filter_map(|(line, number)| line.split_once("  ").map(|(digest, path)| (path, (digest, number))))
        .collect();
    let mut report = Report::default();
    for file in files().iter().filter(|file| is_format(&file.path)) {
        let digest = data_encoding::HEXLOWER.encode(&Sha256::digest(&file.text));
        match stored.remove(file.path.as_str()) {
            Some((known, _)) if known == digest => {}
            Some((_, line)) => report.add(DIGESTS, line, format!("changed: the line is `{digest}  {}`", file.path)),
            None => report.add(DIGESTS, 1, format!("new: the line is `{digest}  {}`", file.path)),
        }
    }
    for (path, (_, line)) in stored {
        report.add(DIGESTS, line, format!("gone: {path}"));
    }
    report.finish(
        "before 0.1.0 is released: put the line into tests/tidy/frozen_formats.txt and say what changed in \
         CHANGELOG.md. After it: a released schema step is never edited (add the next number), and the wire changes only by adding, with a \
         line in the protocol version's history.",
    );
}

fn is_format(path: &str) -> bool {
    let is_wire = path.starts_with("daemon/proto/") && path.ends_with(".proto");
    is_wire || (path.starts_with("daemon/store/src/schema/") && path.ends_with(".sql"))
}
