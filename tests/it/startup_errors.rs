//! Errors that keep a program from starting: each names the cause.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use linecamp_tests::{Fleet, PATIENCE, program, skip};

use crate::cli_json::connected_site;

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn a_data_directory_has_one_daemon() {
    let fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let first = format!(
        "locked by linecampd (pid {}). Stop it first: systemctl stop linecampd",
        site.id().expect("the process is running")
    );
    let data = text(site.data());
    let lines: [&[&str]; 3] = [
        &["run", "--data", data],
        &["forget", "--data", data],
        &["join", &format!("{}@127.0.0.1:1", fleet.token(&[])), "--name", "camp", "--data", data],
    ];
    for line in lines {
        let said = fleet.run("linecampd", line, &[]).exits(2);
        assert!(said.stderr.contains(&first), "{}", said.stderr);
    }
    site.local(&["status"]).ok();
    let server = fleet.server.data().to_owned();
    let said = fleet.run("linecamp-server", &["run", "--data", text(&server)], &[]);
    let first = format!(
        "locked by linecamp-server (pid {}). Stop it first",
        fleet.server.id().expect("the process is running")
    );
    assert!(said.code != Some(0) && said.stderr.contains(&first), "{}", said.stderr);
}

#[test]
fn a_port_in_use_is_reported() {
    let fleet = Fleet::start();
    let (data, address) = (fleet.directory().join("second"), fleet.server.https().to_string());
    let init = ["init", "--data", text(&data), "--server-url", "https://localhost:1"];
    fleet.run("linecamp-server", &init, &[]).ok();
    for (https, quic) in [(&*address, "127.0.0.1:0"), ("127.0.0.1:0", &*address)] {
        let run = ["run", "--data", text(&data), "--https", https, "--quic", quic];
        let said = fleet.run("linecamp-server", &run, &[]).exits(1);
        assert!(said.stderr.contains(&address) && said.stderr.contains("in use"), "{}", said.stderr);
    }
}

#[test]
fn an_invalid_configuration_is_rejected_with_file_line_and_key() {
    let fleet = Fleet::start();
    let check = |program, line: &[&str], words: &[&str]| {
        let said = fleet.run(program, line, &[]).exits(2);
        assert!(words.iter().all(|word| said.stderr.contains(word)), "{}", said.stderr);
    };
    let file = fleet.directory().join("site.toml");
    fs::write(&file, "log = \"info\"\nrancher_lables = true\n").expect("a file");
    let site = fleet.join("camp", &[]);
    let words = ["site.toml", "line 2", "rancher_lables"];
    check("linecampd", &["config", "check", text(&file)], &words);
    check("linecampd", &["run", "--data", text(site.data()), "--config", text(&file)], &words);

    let file = fleet.directory().join("odd.toml");
    fs::write(&file, "server_url = \"https://h:1\"\ncertifcate_life = \"1d\"\n").expect("a file");
    let words = ["odd.toml", "line 2", "certifcate_life"];
    check("linecamp-server", &["config", "check", text(&file)], &words);
    let json = fleet.run("linecamp-server", &["config", "check", text(&file), "-o", "json"], &[]).exits(2).json();
    assert!(
        json["ok"] == false && json["problem"].as_str().is_some_and(|problem| problem.contains("line 2")),
        "{json}"
    );
    let other = fleet.directory().join("other");
    check("linecamp-server", &["run", "--data", text(&other), "--config", text(&file)], &words);
}

/// A drop-in beside the file, and a variable: both programs list everything that was read.
#[test]
fn a_valid_configuration_lists_the_files_and_variables_read() {
    let fleet = Fleet::start();
    let folder = fleet.directory().join("c.d");
    fs::create_dir(&folder).expect("a folder");
    let (file, drop_in) = (fleet.directory().join("c.toml"), folder.join("10-own.toml"));
    fs::write(&drop_in, "log = \"warn\"\n").expect("a file");
    for (program, words) in [("linecampd", ""), ("linecamp-server", "server_url = \"https://h:1\"\n")] {
        fs::write(&file, words).expect("a file");
        let said = fleet.run(program, &["config", "check", text(&file)], &[("LINECAMP_LOG", "debug")]).ok();
        assert!(said.stdout.starts_with(&format!("{}: ok\n", file.display())), "{}", said.stdout);
        let json = fleet.run(program, &["config", "check", text(&file), "-o", "json"], &[]).ok().json();
        assert_eq!((&json["ok"], &json["files"][1]), (&true.into(), &text(&drop_in).into()), "{json}");
        for word in [text(&drop_in), "LINECAMP_LOG"] {
            assert!(said.stdout.contains(word), "{}", said.stdout);
        }
    }
}

/// A database of a newer build is not modified.
#[test]
fn a_newer_database_needs_a_newer_program() {
    let mut fleet = Fleet::start();
    let mut site = connected_site(&fleet, "camp");
    assert!(site.terminate().success() && fleet.server.terminate().success());
    for (program, data, name) in [
        ("linecampd", site.data().to_owned(), "site.db"),
        ("linecamp-server", fleet.server.data().to_owned(), "fleet.db"),
    ] {
        let path = data.join(name);
        let mut bytes = fs::read(&path).expect("the database exists");
        // The `user_version` of SQLite's header (SQLite, "Database File Format", 1.3).
        bytes[60..64].copy_from_slice(&1_000_u32.to_be_bytes());
        fs::write(&path, &bytes).expect("the database can be overwritten");
        let said = fleet.run(program, &["run", "--data", text(&data)], &[]).exits(3);
        assert!(said.stderr.contains(name) && said.stderr.contains("v1000, newer than"), "{}", said.stderr);
        assert_eq!(fs::read(&path).expect("the database exists"), bytes, "the file is unchanged");
    }
}

#[test]
fn a_read_only_data_directory_is_reported() {
    let fleet = Fleet::start();
    let site = fleet.join("camp", &[]);
    let open = |path: &std::path::Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    // Owned by another user, readable but not writable.
    for path in [fleet.directory(), site.data()] {
        open(path, 0o555).expect("the owner can change the mode");
    }
    let mut run = if rustix::process::geteuid().is_root() {
        let mut run = Command::new("setpriv");
        run.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
        run.arg(program("linecampd"));
        run
    } else {
        Command::new(program("linecampd"))
    };
    let said = run.args(["run", "--data", text(site.data())]).output();
    open(fleet.directory(), 0o755).expect("the owner can change the mode");
    let (code, words) = match &said {
        Ok(said) => (said.status.code(), String::from_utf8_lossy(&said.stderr)),
        Err(error) => return skip("another-user", &format!("setpriv not found: {error}")),
    };
    if words.contains("setpriv:") {
        return skip("another-user", &words);
    }
    assert!(matches!(code, Some(1 | 3)), "{code:?}: {words}");
    assert!(words.contains(text(site.data())) && words.contains("ermission denied"), "{words}");
}

/// A machine without a real-time clock boots in 1970, connects anyway, and reports that its clock is wrong.
#[test]
fn a_site_that_booted_in_1970_connects_and_reports_its_clock() {
    let fleet = Fleet::start();
    let mut site = fleet.join("camp", &[]);
    if !site.set_clock("@1970-01-02 00:00:00") {
        return;
    }
    site.start();
    fleet.wait_for("the link", PATIENCE, || {
        (crate::cli_json::show(&fleet, "camp")["link"]["state"] == "connected").then_some(())
    });
    let detail = crate::cli_json::wait_condition(&fleet, "camp", "clock-skew");
    assert!(detail.contains("behind"), "{detail}");
}

/// Neither a clock past the end of the server's certificate, which is valid for 90 days, nor one that is wrong by 20
/// years locks a site out.
#[test]
fn a_site_whose_clock_is_far_off_connects_and_reports_its_clock() {
    let fleet = Fleet::start();
    for (name, time, side) in
        [("days", "+100d", "ahead of"), ("ahead", "+20y", "ahead of"), ("behind", "-20y", "behind")]
    {
        let mut site = fleet.join(name, &[]);
        if !site.set_clock(time) {
            return;
        }
        site.start();
        fleet.wait_for("the link", PATIENCE, || {
            (crate::cli_json::show(&fleet, name)["link"]["state"] == "connected").then_some(())
        });
        let detail = crate::cli_json::wait_condition(&fleet, name, "clock-skew");
        assert!(detail.contains(side), "{detail}");
    }
}
