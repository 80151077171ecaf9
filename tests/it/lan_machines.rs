//! A site's LAN of machines booted by real systemd, where only the gateway reaches the server.

use linecamp_tests::{Fleet, Machine, Network, PATIENCE, packages};

#[test]
fn a_gateway_installs_hosts_that_reach_nothing_else_on_debian_12() {
    lan("bookworm");
}

#[test]
fn a_gateway_installs_hosts_that_reach_nothing_else_on_debian_13() {
    lan("trixie");
}

/// The gateway is installed with the one line of the server, and each of two hosts with the one line of the gateway.
/// The hosts have a route to the gateway and no other.
fn lan(release: &str) {
    let Some((packages, mut network)) = packages().zip(Network::start()) else { return };
    let behind = network.lan_behind_site();
    let Some(gateway) = Machine::boot_at(release, &network.site_place()) else { return };
    let hosts = ["press", "lathe"].map(|name| (name, Machine::boot_at(release, &behind).expect("one has booted")));
    let config = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file can be made");
    let text = format!("site_packages = \"{}\"\n", packages.join("current").display());
    std::fs::write(config.path(), text).expect("a file can be written");
    let fleet = Fleet::start_in_with(&network, &["--config", config.path().to_str().expect("the path is text")]);

    // The first address is that of another network.
    let addresses = "[hosts]\naddresses = [\"10.1.0.2:4433\", \"10.200.0.1:4433\"]\n";
    gateway.write("/etc/linecamp/linecampd.d/10-hosts.toml", "644", addresses);
    let made = fleet.json(&["token", "create"]);
    let line = made["install"].as_str().expect("the server has packages");
    gateway.run(&format!("{line} --name camp")).ok();
    fleet.wait_link("camp", "connected");
    let made = gateway.run("linecampd token create --uses 2 --output json").ok().json();
    let line = made["install"].as_str().expect("the gateway has packages");
    for (name, host) in &hosts {
        let server = "2>&1 bash -c ': < /dev/tcp/198.51.100.200/8443'";
        assert!(host.run(server).stdout.contains("unreachable"), "the host has no route to the server");
        let said = host.run(&format!("{line} --name {name} --label line=3")).ok();
        assert!(said.stderr.contains(&format!("{name} has joined; its daemon is running")), "{}", said.stderr);
        assert_eq!(host.property("linecampd", "UnitFileState"), "enabled");
        host.run("! grep -rs lct_ /etc /var/lib/linecamp /var/log /run -l").ok();
        fleet.wait_for("the server to see the host", PATIENCE, || {
            let shown = fleet.cli(&["host", "show", &format!("camp/{name}"), "-o", "json"]);
            (shown.code == Some(0) && shown.json()["state"] == "active").then_some(())
        });
    }

    // Pasted again, the line changes nothing.
    let (name, host) = &hosts[0];
    let pid = host.property("linecampd", "MainPID");
    host.run(&format!("{line} --name {name}")).ok();
    assert_eq!(host.property("linecampd", "MainPID"), pid);
}
