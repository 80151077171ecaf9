//! Sample sites and hosts for tests.

use linecamp_proto::api::{Host, Label, Link, Site};

fn label(key: &str, value: &str, owner: &str) -> Label {
    Label {
        key: key.into(),
        value: value.into(),
        owner: owner.into(),
        since: "2026-11-20T02:27:00Z".into(),
        level: "site".into(),
    }
}

/// Returns an active gateway host at the site of the same name.
pub(crate) fn host(name: &str) -> Host {
    Host {
        id: "0707".into(),
        name: name.into(),
        site: name.into(),
        environment: "default".into(),
        origin: "gateway".into(),
        description: String::new(),
        state: "active".into(),
        state_since: "2026-11-01T02:27:00Z".into(),
        waits_for: None,
        link: link(),
        via: "server".into(),
        joined_at: "2026-10-01T02:27:00Z".into(),
        daemon_version: "0.1.0".into(),
        conditions: Vec::new(),
        labels: vec![label("rack", "r7", "assigned")],
        spec_generation: 19,
    }
}

fn link() -> Link {
    Link { state: "connected".into(), since: "2026-11-19T02:27:00Z".into(), address: "192.0.2.7:4711".into() }
}

/// Returns an active site that is connected and in sync.
pub(crate) fn site(name: &str) -> Site {
    Site {
        id: "0707".into(),
        name: name.into(),
        environment: "default".into(),
        description: "behind the shop".into(),
        state: "active".into(),
        state_since: "2026-11-01T02:27:00Z".into(),
        waits_for: None,
        link: link(),
        labels: vec![label("io.linecamp.host.docker_version", "27.1.0", "reported"), label("rack", "r7", "assigned")],
        spec_generation: 19,
        applied_generation: 19,
        converged_generation: 19,
        daemon_version: "0.1.0".into(),
        joined_at: "2025-10-18T02:27:00Z".into(),
        token: "0909090909090909".into(),
        recoveries: 1,
        hosts: vec![host(name)],
        conditions: Vec::new(),
    }
}
