//! Secrets are stored only in their own files, which only their owner can read.

use std::fs;
use std::path::Path;

use linecamp_tests::Fleet;

use crate::cli_json::{connected_site, wait_facts, wait_label_at_server, wait_label_at_site};
use crate::shell::Shell;

/// Returns the longest line of a PEM file: the key itself.
fn private_key(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    lines.max_by_key(|line| line.len()).expect("it has lines").to_owned()
}

/// Returns the command lines of all processes on this machine, as any user can see them.
fn command_lines() -> String {
    let processes = fs::read_dir("/proc").expect("this is Linux").flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).into_owned() + "\n").collect()
}

fn holds(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// Runs a site from join to removal at the most verbose log level, and then searches everything it left behind.
#[test]
fn no_secret_is_in_a_log_response_command_line_or_database() {
    let mut fleet = Fleet::start_with(&["--log", "trace"]);
    let (token, lost) = (fleet.token(&["--label", "region=eu"]), fleet.token(&["--uses", "1"]));
    let quic = fleet.server.quic();
    let variables = [("LINECAMP_LOG", "trace")];
    let (target, data) = (format!("{token}@{quic}"), fleet.directory().join("camp"));
    let line = ["join", &*target, "--name", "camp", "--data", data.to_str().expect("text")];
    let mut said = vec![fleet.run("linecampd", &line, &variables).ok()];
    said.push(fleet.run("linecampd", &line, &variables).ok());
    let _used = fleet.join_by("used", &lost, quic, &[]);
    said.push(fleet.try_join("late", &lost, quic, &[]).exits(3));
    let mut site = fleet.site("camp");
    site.env("LINECAMP_LOG", "trace");
    site.start();
    wait_facts(&fleet, "camp");
    site.local(&["label", "set", "door=3"]).ok();
    wait_label_at_server(&fleet, "camp", "door", Some("3"));
    fleet.cli(&["site", "label", "camp", "rack=r7"]).ok();
    wait_label_at_site(&fleet, &site, "rack", Some("r7"));
    let lines = command_lines();
    for verb in [&["status"][..], &["why"], &["host", "ls"], &["label", "ls"]] {
        said.push(site.local(&[verb, &["-o", "json"]].concat()).ok());
    }
    for noun in ["site", "host", "token", "environment", "event"] {
        said.push(fleet.cli(&[noun, "ls", "-o", "json"]).ok());
    }
    said.push(fleet.cli(&["site", "show", "camp", "-o", "json"]).ok());
    said.push(fleet.cli(&["version", "-o", "json"]).ok());
    let (site_key, server_key) =
        (private_key(&site.data().join("identity/key.pem")), private_key(&fleet.server.data().join("ca/key.pem")));
    let (cli_key, databases) = (fleet.key().to_owned(), [site.data().to_owned(), fleet.server.data().to_owned()]);
    assert!(site.terminate().success() && fleet.server.terminate().success());

    // A token begins with its id and ends with the server's pin, which are public; its secret is between them.
    let secrets =
        [&token["lct_".len() + 12..][..20], &lost["lct_".len() + 12..][..20], &cli_key, &site_key, &server_key];
    let outputs = said.iter().map(|said| format!("{}{}", said.stdout, said.stderr));
    let places = outputs.chain([lines, site.log(), fleet.server.log()]);
    for place in places {
        for secret in secrets {
            assert!(!place.contains(secret), "{secret} is in:\n{place}");
        }
    }
    for file in databases.iter().flat_map(|data| fs::read_dir(data).expect("it is there").flatten()) {
        let bytes = fs::read(file.path()).unwrap_or_default();
        for secret in secrets {
            assert!(!holds(&bytes, secret), "{secret} is in {}", file.path().display());
        }
    }
    assert!(100 < site.log().lines().count(), "the log has debug lines");
}

/// The command that `token create` prints is pasted into a shell, in which `sudo` records what all users can see.
#[test]
fn the_printed_join_command_shows_the_token_to_no_process() {
    let fleet = Fleet::start();
    let created = fleet.cli(&["token", "create"]).ok().stdout;
    let data = fleet.directory().join("camp");
    let command = created.lines().find(|line| line.contains("linecampd join")).expect("it prints the command");
    let command =
        command.replace("/var/lib/linecamp", data.to_str().expect("text")).replace("--name NAME", "--name camp");
    let (_, token) = command.split_once("lct_").expect("it has a token");
    let mut shell = Shell::start(fleet.directory(), &[]);
    let sudo = r#"sudo() { cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\0' ' ' > seen; echo "$*" >> seen; "$@"; }"#;
    shell.run(&format!("{sudo}\n"));
    let said = shell.run(&format!("{command}\n"));
    assert!(said.contains("joined as camp in environment default"), "{said}");
    let seen = fs::read_to_string(fleet.directory().join("seen")).expect("it was called");
    assert!(seen.contains("linecampd join - --data"), "{seen}");
    assert!(!seen.contains(&token[12..][..20]), "the secret is in a process's arguments:\n{seen}");
}

/// A token in the arguments is accepted, with a warning.
#[test]
fn a_token_in_the_arguments_of_a_join_is_reported() {
    let fleet = Fleet::start();
    let (target, data) = (format!("{}@{}", fleet.token(&[]), fleet.server.quic()), fleet.directory().join("camp"));
    let line = ["join", &*target, "--name", "camp", "--data", data.to_str().expect("text")];
    let said = fleet.run("linecampd", &line, &[]).ok();
    assert!(said.stderr.starts_with("warning: all users of this machine can see the join token"), "{}", said.stderr);
}

/// Files that contain a secret are accessible to their owner only.
#[test]
fn files_with_a_secret_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;

    let fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let (data, server) = (site.data(), fleet.server.data());
    for path in [
        data.join("identity/key.pem"),
        data.join("site.db"),
        server.join("ca/key.pem"),
        server.join("ca/quic-secrets"),
        server.join("fleet.db"),
        data.to_owned(),
        server.to_owned(),
    ] {
        let mode = fs::metadata(&path).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    }
}
