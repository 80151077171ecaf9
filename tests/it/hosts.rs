//! Hosts and their addresses.

use linecamp_tests::Fleet;

use crate::cli_json::{connected_site, label, wait_facts};

/// The gateway keeps its first name when its site gets another one, and another site may then join by that name.
#[test]
fn hosts_of_the_same_name_at_two_sites_are_addressed_with_their_site() {
    let fleet = Fleet::start();
    let _moved = connected_site(&fleet, "camp");
    fleet.cli(&["host", "label", "camp", "tier=silver"]).ok();
    fleet.cli(&["site", "edit", "camp", "--name", "moved"]).ok();
    let target = format!("{}@{}", fleet.token(&[]), fleet.server.quic());
    let data = fleet.directory().join("second");
    fleet.run("linecampd", &["join", &target, "--name", "camp", "--data", data.to_str().expect("text")], &[]).ok();
    let mut second = fleet.site("second");
    second.start();
    wait_facts(&fleet, "camp");

    let said = fleet.cli(&["host", "show", "camp"]).exits(1);
    assert!(said.stderr.contains("ambiguous host name camp: "), "{}", said.stderr);
    for part in ["camp/camp", "moved/camp", "; use SITE/HOST"] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    let tier = |host: &str| label(&fleet.json(&["host", "show", host])["labels"], "tier").map(str::to_owned);
    assert_eq!((tier("moved/camp").as_deref(), tier("camp/camp")), (Some("silver"), None));

    let said = fleet.cli(&["host", "deactivate", "camp/camp"]).ok();
    assert!(said.stdout.starts_with("camp/camp  "), "{}", said.stdout);
    fleet.cli(&["host", "activate", "camp/camp"]).ok();
    fleet.cli(&["host", "label", "moved/camp", "tier-"]).ok();
    assert_eq!(tier("moved/camp"), None);
    let said = fleet.cli(&["host", "edit", "moved/camp", "--name", "gateway"]).ok();
    assert!(said.stdout.starts_with("moved/gateway  "), "{}", said.stdout);
    let listed = fleet.json(&["host", "ls"]);
    let names = listed["items"].as_array().expect("a list").iter().map(|host| (&host["name"], &host["site"]));
    assert_eq!(names.collect::<Vec<_>>(), [(&"camp".into(), &"camp".into()), (&"gateway".into(), &"moved".into())]);
    for (host, site) in [("camp", "camp"), ("gateway", "moved")] {
        assert_eq!(fleet.json(&["host", "show", host])["site"], site, "the name alone works again");
    }
    // The new name may be ambiguous where the old one was not.
    let said = fleet.cli(&["host", "edit", "gateway", "--name", "camp"]).ok();
    assert!(said.stdout.starts_with("moved/camp  "), "{}", said.stdout);
    let said = fleet.cli(&["host", "show", "camp/gateway"]).exits(1);
    assert!(said.stderr.contains("there is no host camp/gateway"), "{}", said.stderr);
}
