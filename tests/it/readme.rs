//! The README's tour, as pasted.

use std::process::Command;

use linecamp_tests::{Port, program};

/// The port that the README's tour uses; here it gets one of its own.
const PORT: &str = "8443";

#[test]
fn every_command_of_the_readmes_tour_works_as_pasted() {
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo names the package's directory");
    let readme = std::fs::read_to_string(format!("{root}/../README.md")).expect("there is a README");
    let port = Port::take();
    let tour = tour(&readme).replace(PORT, &port.address().port().to_string());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let programs = program("linecamp");
    let programs = programs.parent().expect("programs are in a folder").display();
    let path = std::env::var("PATH").unwrap_or_default();
    let said = Command::new("timeout")
        .args(["60", "bash", "-e", "-c", &tour])
        .current_dir(folder.path())
        .env("PATH", format!("{programs}:{path}"))
        .output()
        .expect("bash can be run");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(said.status.success(), "{}\n{}", text(&said.stdout), text(&said.stderr));
    for words in ["tier", "reconnecting", "site-joined", "the daemon ended with 3"] {
        assert!(text(&said.stdout).contains(words), "the tour shows {words}: {}", text(&said.stdout));
    }
    assert!(!folder.path().join("tour").exists(), "it cleans up after itself");
}

/// Returns the commands of the tour, but those that build and find the programs.
fn tour(readme: &str) -> String {
    let (_, tour) = readme.split_once("## Five minutes").expect("the README has a tour");
    let (tour, _) = tour.split_once("\n## ").expect("and goes on after it");
    let blocks = tour.split("```sh\n").skip(1).filter_map(|block| block.split("```").next());
    let lines = blocks.flat_map(str::lines);
    let lines = lines.filter(|line| !line.starts_with("cargo build") && !line.starts_with("export PATH"));
    lines.collect::<Vec<_>>().join("\n")
}
