//! Users, with the programs: the first login, contexts, keys, a crash, and a lost password.

use std::fs;

use linecamp_tests::{CommandOutput, Fleet};

/// Writes a password file in the fleet's directory.
fn file(fleet: &Fleet, name: &str, text: &str) -> String {
    let path = fleet.directory().join(name);
    fs::write(&path, format!("{text}\n")).expect("the file can be written");
    path.display().to_string()
}

/// Runs `linecamp` with the logins of a file instead of the admin's key.
fn cli(fleet: &Fleet, arguments: &[&str]) -> CommandOutput {
    let config = fleet.directory().join("logins/config.toml").display().to_string();
    fleet.run("linecamp", arguments, &[("LINECAMP_CONFIG", &config)])
}

fn log_in(fleet: &Fleet, arguments: &[&str]) -> CommandOutput {
    cli(fleet, &[&["login", fleet.url(), "--pin", fleet.pin()], arguments].concat())
}

#[test]
fn a_first_login_sets_up_the_server_and_users_work_with_it() {
    let mut fleet = Fleet::start();
    let (once, new) = (file(&fleet, "once", fleet.password()), file(&fleet, "new", "a much better password"));
    let first = ["--user", "admin", "--password-file", &once, "--new-password-file", &new, "--server-url", fleet.url()];
    log_in(&fleet, &first).ok();
    let refused = log_in(&fleet, &first).exits(3);
    assert!(
        refused.stderr.contains("wrong user name or password"),
        "the one-time password is gone: {}",
        refused.stderr
    );
    let me = cli(&fleet, &["whoami", "-o", "json"]).ok().json();
    assert_eq!((&me["user"], &me["role"], &me["pending"]), (&"admin".into(), &"admin".into(), &serde_json::json!([])));

    let anna = file(&fleet, "anna", "a first password");
    let roles = ["--role", "viewer", "--environment-role", "default=operator"];
    cli(&fleet, &[&["user", "create", "anna", "--password-file", &anna][..], &roles].concat()).ok();
    let later = file(&fleet, "later", "another better password");
    let login = ["--context", "second", "--user", "anna", "--password-file", &anna, "--new-password-file", &later];
    log_in(&fleet, &login).ok();
    let contexts = cli(&fleet, &["context", "ls"]).ok().stdout;
    assert!(contexts.contains("default") && contexts.contains("second"), "{contexts}");
    cli(&fleet, &["token", "create", "-q"]).ok();
    let refused = cli(&fleet, &["environment", "create", "lab"]).exits(3);
    assert!(refused.stderr.contains("requires the role admin"), "{}", refused.stderr);

    let key = fleet.directory().join("ci.key").display().to_string();
    let created = cli(&fleet, &["key", "create", "ci", "--role", "viewer", "--file", &key]).ok();
    assert!(!created.stdout.contains("lck_"), "{}", created.stdout);
    log_in(&fleet, &["--context", "ci", "--key-file", &key]).ok();
    fleet.server.kill();
    fleet.start_server();
    for context in ["default", "second", "ci"] {
        cli(&fleet, &["--context", context, "whoami"]).ok();
    }
    let refused = cli(&fleet, &["--context", "ci", "token", "create"]).exits(3);
    assert!(refused.stderr.contains("requires the role operator"), "{}", refused.stderr);
    cli(&fleet, &["--context", "default", "user", "rm", "anna"]).ok();
    for context in ["second", "ci"] {
        cli(&fleet, &["--context", context, "whoami"]).exits(3);
    }
    cli(&fleet, &["--context", "default", "logout"]).ok();
    let listed = fleet.json(&["session", "ls"]);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(0), "{listed}");
}

#[test]
fn a_lost_password_is_reset_while_the_server_is_stopped() {
    let mut fleet = Fleet::start();
    let data = fleet.server.data().display().to_string();
    let reset = ["user", "reset-password", "--data", &data, "admin"];
    let running = fleet.run("linecamp-server", &reset, &[]);
    assert_ne!(running.code, Some(0), "{}", running.stdout);
    assert!(running.stderr.contains("locked") || running.stderr.contains("in use"), "{}", running.stderr);
    fleet.server.kill();
    let password = fleet.run("linecamp-server", &reset, &[]).ok().word_after("admin password:");
    fleet.start_server();
    let (once, new) = (file(&fleet, "once", &password), file(&fleet, "new", "a much better password"));
    log_in(
        &fleet,
        &["--user", "admin", "--password-file", &once, "--new-password-file", &new, "--server-url", fleet.url()],
    )
    .ok();
}
