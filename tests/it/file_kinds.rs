//! What is not a regular file, where a file belongs: a named pipe would block its reader forever.

use std::fs;
use std::path::Path;

use linecamp_tests::Fleet;
use rustix::fs::{CWD, Mode, mkfifoat};

use crate::cli_json::{connected_site, label, show, wait_condition, wait_label_at_server, wait_no_condition};

const PROBLEM: &str = "not a regular file but a pipe";

fn make_pipe(path: &Path) {
    mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR).expect("a pipe can be made");
}

/// A program, its arguments and its variables.
type CommandLine<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);

#[test]
fn a_pipe_instead_of_a_file_is_an_error_that_names_it() {
    let fleet = Fleet::start();
    let pipe = fleet.directory().join("pipe.toml");
    make_pipe(&pipe);
    let (pipe, data) = (pipe.to_str().expect("text"), fleet.directory().join("camp"));
    let (data, quic) = (data.to_str().expect("text"), format!("@{}", fleet.server.quic()));
    let server = fleet.directory().join("other");
    let url = ("LINECAMP_URL", fleet.url());
    let lines: [CommandLine<'_>; 7] = [
        ("linecampd", &["config", "check", pipe], &[]),
        ("linecampd", &["run", "--config", pipe, "--data", data], &[]),
        ("linecampd", &["join", &quic, "--token-file", pipe, "--name", "camp", "--data", data], &[]),
        ("linecamp-server", &["config", "check", pipe], &[]),
        ("linecamp-server", &["run", "--config", pipe, "--data", server.to_str().expect("text")], &[]),
        ("linecamp", &["site", "ls"], &[("LINECAMP_CONFIG", pipe)]),
        ("linecamp", &["site", "ls"], &[url, ("LINECAMP_KEY", fleet.key()), ("LINECAMP_CA", pipe)]),
    ];
    for (program, line, variables) in lines {
        let said = fleet.run(program, line, variables);
        assert_ne!(said.code, Some(0), "{program} {line:?}");
        assert!(said.stderr.contains(pipe) && said.stderr.contains(PROBLEM), "{program} {line:?}: {}", said.stderr);
    }
}

/// The daemon goes on, keeps the labels that the file had, and names the file.
#[test]
fn a_pipe_among_the_label_files_is_a_condition_and_the_daemon_goes_on() {
    let fleet = Fleet::start();
    let mut site = connected_site(&fleet, "camp");
    let (file, other) = (site.data().join("labels.d/50-shop.toml"), site.data().join("labels.d/60-rack.toml"));
    fs::write(&file, "shelf = \"4\"\n").expect("a file");
    wait_label_at_server(&fleet, "camp", "shelf", Some("4"));

    fs::remove_file(&file).expect("it was there");
    make_pipe(&file);
    fs::write(&other, "rack = \"r7\"\n").expect("a file");
    wait_label_at_server(&fleet, "camp", "rack", Some("r7"));
    let detail = wait_condition(&fleet, "camp", "labels-invalid");
    assert!(detail.contains("50-shop.toml") && detail.contains(PROBLEM), "{detail}");

    assert!(site.terminate().success());
    site.start();
    fleet.wait_link("camp", "connected");
    site.local(&["label", "set", "door=3"]).ok();
    wait_label_at_server(&fleet, "camp", "door", Some("3"));
    fs::remove_file(&file).expect("it was there");
    wait_no_condition(&fleet, "camp", "labels-invalid");
    wait_label_at_server(&fleet, "camp", "shelf", None);
    assert_eq!(label(&show(&fleet, "camp")["labels"], "rack"), Some("r7"));
}
