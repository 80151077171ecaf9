//! Labels, in both directions.

use std::fs;

use linecamp_tests::{CommandOutput, Fleet, PATIENCE};

use crate::cli_json::{
    connected_site, entry, label, show, wait_condition, wait_converged, wait_label_at_server, wait_label_at_site,
    wait_no_condition,
};

/// Each label has an owner; a centrally set one takes precedence, and the one below it reappears when it is removed.
#[test]
fn labels_set_centrally_and_locally_keep_their_owners() {
    let fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");

    site.local(&["label", "set", "rack=local", "door=3"]).ok();
    wait_label_at_server(&fleet, "camp", "door", Some("3"));
    fleet.cli(&["site", "label", "camp", "rack=r7", "tier=gold"]).ok();
    wait_label_at_site(&fleet, &site, "rack", Some("r7"));
    wait_converged(&fleet, "camp");
    let shown = show(&fleet, "camp");
    for (key, value, owner) in [("rack", "r7", "assigned"), ("tier", "gold", "assigned"), ("door", "3", "local")] {
        let found = entry(&shown["labels"], "key", key).expect("it is there");
        assert_eq!((&found["value"], &found["owner"]), (&value.into(), &owner.into()), "{key}");
        let since = found["since"].as_str().expect("a time");
        assert!(since.starts_with("20") && since.ends_with('Z'), "{key} since {since}");
    }

    fleet.cli(&["host", "label", "camp", "tier=silver"]).ok();
    fleet.wait_for("the host's label to overlay its site's", PATIENCE, || {
        let labels = site.local(&["label", "ls", "-o", "json"]).ok().json();
        let (of_site, of_host) = (label(&labels["site"], "tier"), label(&labels["host"], "tier"));
        ((of_site, of_host) == (Some("gold"), Some("silver"))).then_some(())
    });
    for host in ["camp", "camp/camp"] {
        assert_eq!(label(&fleet.json(&["host", "show", host])["labels"], "tier"), Some("silver"), "{host}");
    }

    fleet.cli(&["site", "label", "camp", "rack-", "tier-"]).ok();
    wait_label_at_site(&fleet, &site, "rack", Some("local"));
    wait_label_at_site(&fleet, &site, "tier", None);
    site.local(&["label", "rm", "rack", "never-there"]).ok();
    wait_label_at_server(&fleet, "camp", "rack", None);
}

/// Files in `labels.d` take effect as soon as they exist, and a broken one is a condition that names it.
#[test]
fn label_files_are_reloaded_while_the_daemon_runs() {
    let fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let file = site.data().join("labels.d/50-shop.toml");

    fs::write(&file, "rack = \"r7\"\n[host]\ngpu = true\n").expect("a file");
    wait_label_at_server(&fleet, "camp", "rack", Some("r7"));
    let host = &show(&fleet, "camp")["hosts"][0];
    assert_eq!(label(&host["labels"], "gpu"), Some("true"));

    fs::write(&file, "rack = \"r8\"\n").expect("a file");
    wait_label_at_server(&fleet, "camp", "rack", Some("r8"));

    fs::write(&file, "rack = \"r9\"\nrack = ").expect("a file");
    let detail = wait_condition(&fleet, "camp", "labels-invalid");
    assert!(detail.contains("50-shop.toml") && detail.contains("line 2"), "{detail}");
    assert_eq!(label(&show(&fleet, "camp")["labels"], "rack"), Some("r8"), "the last valid labels are kept");

    let other = site.data().join("labels.d/60-twice.toml");
    fs::write(&file, "rack = \"r9\"\n").expect("a file");
    fs::write(&other, "rack = \"r10\"\n").expect("a file");
    wait_no_condition(&fleet, "camp", "labels-invalid");
    let detail = wait_condition(&fleet, "camp", "labels-repeated");
    assert!(detail.contains("rack") && detail.contains("60-twice.toml"), "{detail}");
    wait_label_at_server(&fleet, "camp", "rack", Some("r10"));

    fs::remove_file(&file).expect("it was there");
    fs::remove_file(&other).expect("it was there");
    wait_label_at_server(&fleet, "camp", "rack", None);
    wait_no_condition(&fleet, "camp", "labels-repeated");
}

/// The environment is a layer of its own: an invalid entry is skipped and named, and what it no longer has is gone.
#[test]
fn labels_of_the_environment_last_as_long_as_the_environment_has_them() {
    let fleet = Fleet::start();
    let token = fleet.token(&[]);
    let (target, data) = (format!("{token}@{}", fleet.server.quic()), fleet.directory().join("camp"));
    let line = ["join", &*target, "--name", "camp", "--host-label", "door=3", "--data", data.to_str().expect("text")];
    let said = fleet.run("linecampd", &line, &[("LINECAMP_HOST_LABELS", "rack=r7&-x=1")]).ok();
    assert!(said.stderr.contains("warning: variable LINECAMP_HOST_LABELS: label key `-x`"), "{}", said.stderr);
    let said = fleet.run("linecampd", &[&line[..], &["--label=-x=1"]].concat(), &[]).exits(2);
    assert!(said.stderr.contains("--label: label key `-x`"), "{}", said.stderr);

    let mut site = fleet.site("camp");
    site.env("LINECAMP_HOST_LABELS", "rack=r8&-x=1");
    site.start();
    let host_label = |key: &str| {
        let shown = show(&fleet, "camp");
        label(&shown["hosts"][0]["labels"], key).map(str::to_owned)
    };
    fleet.wait_for("the label of the environment", PATIENCE, || (host_label("rack")? == "r8").then_some(()));
    assert_eq!(host_label("door").as_deref(), Some("3"));
    let detail = wait_condition(&fleet, "camp", "labels-invalid");
    assert!(detail.contains("variable LINECAMP_HOST_LABELS: label key `-x`"), "{detail}");

    assert!(site.terminate().success());
    site.env("LINECAMP_HOST_LABELS", "");
    site.start();
    wait_no_condition(&fleet, "camp", "labels-invalid");
    fleet.wait_for("the label to go", PATIENCE, || match host_label("rack") {
        None => Some(()),
        Some(_) => None,
    });
    assert_eq!(host_label("door").as_deref(), Some("3"), "what was set by hand stays");
}

/// How soon a file takes effect is promised: one second, on this machine.
#[test]
fn a_changed_label_file_applies_within_about_a_second() {
    let fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let written = std::time::Instant::now();
    fs::write(site.data().join("labels.d/a.toml"), "rack = 7\n").expect("a file");
    wait_label_at_site(&fleet, &site, "rack", Some("7"));
    let took = written.elapsed();
    // Slack for a machine that compiles at the same time; the fallback poll, without inotify, comes after 30 s.
    assert!(took.as_secs() < 10, "took {took:?}");
}

#[test]
fn a_selector_matches_sites_and_a_syntax_error_is_located() {
    let fleet = Fleet::start();
    let quic = fleet.server.quic();
    let (eu, us) = (fleet.token(&["--label", "region=eu"]), fleet.token(&["--label", "region=us"]));
    let mut sites =
        [fleet.join_by("camp-eu", &eu, quic, &["--label", "ssd=yes"]), fleet.join_by("camp-us", &us, quic, &[])];
    for site in &mut sites {
        site.start();
        crate::cli_json::wait_facts(&fleet, site.name());
    }
    let check = |selector: &str, expected: &[&str]| {
        let listed = fleet.json(&["site", "ls", "-l", selector]);
        let items = listed["items"].as_array().expect("a list");
        let names: Vec<_> = items.iter().filter_map(|one| one["name"].as_str()).collect();
        assert_eq!(names, expected, "{selector}");
    };
    check("region=eu,io.linecamp.host.linux_kernel_version>=4.0", &["camp-eu"]);
    check("io.linecamp.host.linux_kernel_version<4.0", &[]);
    check("region in (eu,us)", &["camp-eu", "camp-us"]);
    check("region!=eu", &["camp-us"]);
    check("ssd", &["camp-eu"]);
    check("!ssd", &["camp-us"]);

    let said = fleet.cli(&["site", "ls", "-l", "region=eu, tier in gold"]).exits(2);
    assert!(said.stderr.contains("column 20"), "{}", said.stderr);
}

#[test]
fn many_sites_are_labeled_after_a_preview() {
    let fleet = Fleet::start();
    let token = fleet.token(&["--label", "region=eu"]);
    let mut site = fleet.join_by("camp-1", &token, fleet.server.quic(), &[]);
    site.start();
    fleet.wait_link("camp-1", "connected");
    // It never runs, so it is offline.
    fleet.join_by("camp-2", &token, fleet.server.quic(), &[]);
    let _other = fleet.join("elsewhere", &[]);

    let previewed = fleet.cli(&["site", "label", "-l", "region=eu", "ring=canary"]).ok();
    let text = format!("{}{}", previewed.stdout, previewed.stderr);
    assert!(text.contains("2 sites match, 1 of them offline"), "{text}");
    assert!(text.contains("nothing changed; add --yes"), "{text}");
    assert_eq!(label(&show(&fleet, "camp-1")["labels"], "ring"), None);

    fleet.cli(&["site", "label", "-l", "region=eu", "ring=canary", "--yes"]).ok();
    wait_label_at_site(&fleet, &site, "ring", Some("canary"));
    assert_eq!(label(&show(&fleet, "camp-2")["labels"], "ring"), Some("canary"));
    assert_eq!(label(&show(&fleet, "elsewhere")["labels"], "ring"), None);

    // What was seen is changed, unless it has changed since.
    let preview = fleet.cli(&["site", "label", "-l", "region=eu", "ring=stable", "-o", "json"]).ok();
    let file = fleet.directory().join("preview.json");
    fs::write(&file, &preview.stdout).expect("written");
    fleet.cli(&["site", "edit", "camp-2", "--description", "behind the shop"]).ok();
    let from = ["--from", file.to_str().expect("a text"), "ring=stable"];
    let shown = fleet.cli(&[&["site", "label"], &from[..]].concat()).ok();
    assert!(shown.stderr.contains("2 sites match") && shown.stderr.contains("add --yes"), "{}", shown.stderr);
    let applied = fleet.cli(&[&["site", "label", "--yes", "-o", "json"], &from[..]].concat()).exits(1);
    assert!(applied.stderr.contains("1 of 2 sites could not be changed"), "{}", applied.stderr);
    let action = &applied.json()["items"][0];
    assert_eq!(
        (&action["sites"][1]["name"], &action["sites"][1]["error"]["code"]),
        (&"camp-2".into(), &"stale".into())
    );
    wait_label_at_site(&fleet, &site, "ring", Some("stable"));
    assert_eq!(label(&show(&fleet, "camp-2")["labels"], "ring"), Some("canary"));

    let id = action["id"].as_str().expect("an id");
    let waited = fleet.cli(&["bulk-action", "wait", id]).exits(1);
    assert!(waited.stderr.contains("1 of 2 applied, 1 rejected"), "{}", waited.stderr);
    let listed = fleet.cli(&["bulk-action", "ls"]).ok();
    assert_eq!(listed.stdout.lines().count(), 3, "{}", listed.stdout);
    let offline = fleet.cli(&["site", "deactivate", "-l", "ring=canary", "--yes", "-o", "json"]).ok();
    let id = offline.json()["items"][0]["id"].as_str().expect("an id").to_owned();
    fleet.cli(&["bulk-action", "wait", &id, "--connected"]).ok();
    let late = fleet.cli(&["bulk-action", "wait", &id, "--at-most", "1s"]).exits(1);
    assert!(late.stderr.contains("1 of 1 sites have not applied the change yet"), "{}", late.stderr);
}

#[test]
fn too_many_labels_are_rejected_without_any_change() {
    let fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let many: Vec<_> = (0..80).map(|number| format!("k{number}=v")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let check = |said: CommandOutput, code| {
        let said = said.exits(code);
        assert!(said.stderr.contains("at most 64 labels"), "{}", said.stderr);
    };
    let assign = |labels: &[&str]| fleet.cli(&[&["site", "label", "camp"], labels].concat());
    let set = |labels: &[&str]| site.local(&[&["label", "set", "--host"], labels].concat());

    // More than the absolute limit is a usage error; more than the remaining capacity depends on the state.
    check(assign(&many), 2);
    for labelled in [&assign as &dyn Fn(&[&str]) -> CommandOutput, &set] {
        labelled(&many[..40]).ok();
        check(labelled(&many[40..]), 1);
    }
    let lines: Vec<_> = many.iter().map(|label| label.replace("=v", "=1")).collect();
    fs::write(site.data().join("labels.d/many.toml"), lines.join("\n")).expect("a file");
    let detail = wait_condition(&fleet, "camp", "labels-too-many");
    assert!(detail.contains("at most 64 labels"), "{detail}");

    let labels = &show(&fleet, "camp")["labels"];
    assert_eq!((label(labels, "k39"), label(labels, "k40")), (Some("v"), None));
    assign(&many[..64]).ok();
}
