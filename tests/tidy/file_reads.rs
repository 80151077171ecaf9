//! Files of others are read in one way.

use crate::report::Report;
use crate::rust::paths;
use crate::tree::rust_files;

/// Where the programs live. The crate that reads files for all of them is an exception.
const PROGRAMS: &str = "daemon/";
const READER: &str = "daemon/files/src/";

/// Ways to read a file that wait for the writer of a pipe, and have no bound.
const UNBOUNDED: [&str; 3] = ["fs::read", "fs::read_to_string", "File::open"];

/// Files that use them on a directory, to make a change durable, or on a file of the program alone, in a directory that
/// only its user can write to.
const EXCEPTIONS: [(&str, &str); 10] = [
    ("daemon/store/src/", "the database and its lock, which this process creates"),
    ("daemon/plugin-host/build.rs", "runs when the programs are built"),
    ("daemon/plugin-host/src/plugin_store/cache.rs", "the cache, checked to be private"),
    ("daemon/cli/src/credentials/file.rs", "syncs a directory"),
    ("daemon/doctor/src/disk.rs", "syncs a directory"),
    ("daemon/linecampd/src/drivers/pushed_plugins.rs", "syncs a directory"),
    ("daemon/server/src/backup.rs", "syncs a directory"),
    ("daemon/server/src/init.rs", "syncs a directory"),
    ("daemon/server/src/plugin_folder.rs", "syncs a directory"),
    ("daemon/transport/src/identity/files.rs", "syncs a directory"),
];

#[test]
fn a_program_reads_files_of_others_without_blocking_and_with_a_bound() {
    let mut report = Report::default();
    let is_exception =
        |path: &str| path.starts_with(READER) || EXCEPTIONS.iter().any(|(place, _)| path.starts_with(place));
    for file in rust_files().filter(|file| file.path.starts_with(PROGRAMS) && !file.is_test()) {
        if is_exception(&file.path) {
            continue;
        }
        for (line, path) in paths(file.code_outside_tests()) {
            let is_unbounded = |way: &str| path == way || path.ends_with(&format!("::{way}"));
            if UNBOUNDED.iter().any(|way| is_unbounded(way)) {
                report.add(&file.path, line, format!("`{path}` may wait forever, and reads without a bound"));
            }
        }
    }
    report.finish("use `linecamp_files`: it opens only regular files, and reads a given number of bytes.");
}
