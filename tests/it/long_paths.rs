//! Data directories with long paths. A socket's address has 107 bytes, and a database's path 512.

use std::fs;
use std::path::{Path, PathBuf};

use linecamp_tests::{Fleet, PATIENCE};

/// Returns a path of this many bytes below `top`.
fn path_of(top: &Path, bytes: usize) -> PathBuf {
    let mut path = top.to_owned();
    while path.as_os_str().len() < bytes {
        let rest = bytes - path.as_os_str().len() - 1;
        path.push("d".repeat(if rest <= 200 { rest } else { 100 }));
    }
    path
}

#[test]
fn a_site_runs_and_answers_whatever_the_length_of_its_data_directorys_path() {
    let fleet = Fleet::start();
    let target = format!("{}@{}", fleet.token(&["--uses", "10"]), fleet.server.quic());
    for bytes in [93, 94, 107, 108, 200, 480] {
        let (data, name) = (path_of(fleet.directory(), bytes), format!("camp-{bytes}"));
        let data = data.to_str().expect("text");
        fleet.run("linecampd", &["join", &target, "--name", &name, "--data", data], &[]).ok();
        let mut daemon = fleet.process("linecampd", &["run", "--data", data], &format!("{name}.log"));
        daemon.start();
        fleet.wait_link(&name, "connected");
        fleet.wait_for("the daemon's answer", PATIENCE, || {
            let said = fleet.run("linecampd", &["label", "set", "door=3", "--data", data], &[]);
            (said.code == Some(0)).then_some(())
        });
        assert!(daemon.terminate().success());
    }
}

/// The limit is checked before the token is used and before anything is written.
#[test]
fn a_data_directory_whose_path_is_too_long_is_rejected_before_the_token_is_used() {
    let fleet = Fleet::start();
    let target = format!("{}@{}", fleet.token(&["--uses", "1"]), fleet.server.quic());
    let data = path_of(fleet.directory(), 481);
    let path = data.to_str().expect("text");
    let url = ["init", "--server-url", "https://localhost:1", "--data", path];
    for (program, line) in [
        ("linecampd", &["join", &*target, "--name", "camp", "--data", path][..]),
        ("linecampd", &["run", "--data", path]),
        ("linecamp-server", &url),
    ] {
        let said = fleet.run(program, line, &[]).exits(2);
        assert!(said.stderr.contains("has 481 bytes (maximum 480). Use a directory"), "{}", said.stderr);
    }
    assert_eq!(fs::read_dir(&data).expect("it was created").count(), 0);
    let short = fleet.directory().join("camp");
    let line = ["join", &*target, "--name", "camp", "--data", short.to_str().expect("text")];
    fleet.run("linecampd", &line, &[]).ok();
}
