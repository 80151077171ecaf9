//! A server that moves to another address.

use linecamp_tests::{Fleet, PATIENCE, Port, Site};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::cli_json::connected_site;

fn servers(site: &Site) -> Value {
    site.local(&["status", "-o", "json"]).ok().json()["servers"].clone()
}

/// The server tells its next address before it moves there: the site follows, and keeps only the new one.
#[test]
fn a_site_follows_its_server_to_an_address_that_it_was_told() {
    let mut fleet = Fleet::start();
    let site = connected_site(&fleet, "camp");
    let (before, port) = (fleet.server.quic().to_string(), Port::take());
    let after = port.address().to_string();
    fleet.wait_for("the first set to be confirmed", PATIENCE, || (servers(&site)["set"] == 1).then_some(()));

    let path = fleet.server.data().join("server.d");
    std::fs::create_dir(&path).expect("a folder can be made");
    std::fs::write(path.join("50-move.toml"), format!("link_addresses = [\"{after}\"]\n")).expect("a drop-in");
    fleet.server.signal(Signal::HUP);
    let told = fleet.wait_for("the site to be told", PATIENCE, || {
        Some(servers(&site)).filter(|servers| servers["candidate_set"] == 2)
    });
    assert_eq!((&told["candidates"], &told["addresses"]), (&json!([after]), &json!([before])), "{told}");
    let status = site.local(&["status"]).ok().stdout;
    assert!(status.contains(&format!("new, not confirmed yet: {after} (set 2)")), "{status}");
    assert!(site.local(&["why"]).ok().stdout.contains("not confirmed yet, dialed in turn"));

    assert!(fleet.server.terminate().success());
    fleet.move_server(port);
    fleet.wait_link("camp", "connected");
    let kept = fleet
        .wait_for("the set to be confirmed", PATIENCE, || Some(servers(&site)).filter(|servers| servers["set"] == 2));
    assert_eq!((&kept["addresses"], &kept["candidate_set"]), (&json!([after]), &Value::Null), "{kept}");
}

/// The server moved without telling: a join with a new token replaces the address, and one that leads nowhere does not.
#[test]
fn a_token_of_the_same_server_takes_a_site_to_its_new_address() {
    let mut fleet = Fleet::start();
    let mut site = connected_site(&fleet, "camp");
    assert!(fleet.server.terminate().success());
    fleet.move_server(Port::take());
    let (token, quic) = (fleet.token(&[]), fleet.server.quic());

    let busy = fleet.try_join("camp", &token, quic, &[]);
    assert_eq!(busy.code, Some(2));
    assert!(busy.stderr.contains("Stop it first: systemctl stop linecampd"), "{}", busy.stderr);
    assert!(site.terminate().success());
    let nowhere = Port::take();
    let failed = fleet.try_join("camp", &token, nowhere.address(), &["--timeout", "2s"]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);

    let said = fleet.try_join("camp", &token, quic, &[]).ok();
    assert!(said.stdout.starts_with("already joined as camp"), "{}", said.stdout);
    assert!(said.stdout.contains("its server addresses are replaced"), "{}", said.stdout);
    let tokens = fleet.json(&["token", "ls"]);
    let unused = |token: &Value| token["uses_left"] == token["uses_max"];
    assert!(tokens["items"].as_array().expect("tokens").iter().any(unused), "the token is not spent: {tokens}");
    site.start();
    fleet.wait_link("camp", "connected");
    assert_eq!(servers(&site)["addresses"], json!([quic.to_string()]));

    let other = Fleet::start();
    assert!(site.terminate().success());
    let refused = fleet.try_join("camp", &other.token(&[]), other.server.quic(), &[]);
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("linecampd forget"), "{}", refused.stderr);
}
