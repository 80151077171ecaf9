//! Renders sites as text.

use linecamp_model::{Phase, printable};
use linecamp_proto::api::{Host, Site};

use crate::conditions::conditions_table;
use crate::labels::labels_table;
use crate::site_state::{self, State};
use crate::text_style::TextStyle;
use linecamp_table::{Cell, Color, Table};

/// Renders a list of sites.
pub(crate) fn list(sites: &[Site], style: &TextStyle) -> String {
    if sites.is_empty() {
        return String::new();
    }
    let row = |site: &Site| {
        let state = State::from(site);
        let conditions: Vec<_> = site.conditions.iter().map(|condition| condition.kind.as_str()).collect();
        [
            Cell::from(&site.name),
            Cell::from(&site.environment),
            state.cell(),
            state.since_cell(style),
            Cell::from(site.hosts.len().to_string()),
            Cell::from(site.spec_generation.to_string()),
            Cell::from(site.converged_generation.to_string()),
            Cell::from(&site.daemon_version),
            Cell::colored(&conditions.join(","), Color::Red),
        ]
    };
    let headings = ["NAME", "ENVIRONMENT", "STATE", "SINCE", "HOSTS", "SPEC", "CONVERGED", "DAEMON", "CONDITIONS"];
    Table::new(headings).with(sites.iter().map(row)).render(style.colors)
}

/// Renders a site. The last line is its sync state.
pub(crate) fn show(site: &Site, style: &TextStyle) -> String {
    let state = State::from(site);
    let dated = |moment: &str| format!("{moment} ({} ago)", style.age(moment));
    let mut properties = vec![
        ["name".into(), Cell::from(&site.name)],
        ["id".into(), Cell::from(&site.id)],
        ["environment".into(), Cell::from(&site.environment)],
        ["description".into(), Cell::from(&site.description)],
        ["state".into(), state.cell()],
        ["since".into(), Cell::from(dated(state.since()))],
    ];
    if let Some(waits_for) = &site.waits_for {
        properties.push(["waits for".into(), Cell::from(waits_for)]);
    }
    properties.extend([
        ["address".into(), Cell::from(&site.link.address)],
        ["daemon".into(), Cell::from(&site.daemon_version)],
        ["joined".into(), Cell::from(dated(&site.joined_at))],
        ["token".into(), Cell::from(&site.token)],
        ["recoveries".into(), Cell::from(site.recoveries.to_string())],
    ]);
    let sections = [
        Table::bare().with(properties).render(style.colors),
        hosts_table(&site.hosts, style),
        labels_table(&site.labels, style),
        conditions_table(&site.conditions, style),
        sync_line(site, style) + "\n",
    ];
    let filled: Vec<_> = sections.into_iter().filter(|section| !section.is_empty()).collect();
    filled.join("\n")
}

/// Renders a site after a change: its state, its sync state, and whether it applies the change later.
pub(crate) fn changed(site: &Site, style: &TextStyle) -> String {
    let state = State::from(site);
    let state_text = style.paint(state.name(), site_state::color(state.name()));
    let mut text = format!("{}  {state_text}  {}\n", printable(&site.name), sync_line(site, style));
    let is_removed = site.state == Phase::Removed.as_str();
    if !is_removed && !site.link.is_connected() && site.converged_generation < site.spec_generation {
        text += "the site is offline; it applies this when it reconnects\n";
    }
    text
}

/// Renders which spec generation a site has applied.
fn sync_line(site: &Site, style: &TextStyle) -> String {
    let link = &site.link;
    format!(
        "spec {}  applied {}  converged {}  link {} {}",
        site.spec_generation,
        site.applied_generation,
        site.converged_generation,
        style.paint(&link.state, site_state::color(&link.state)),
        style.age(&link.since),
    )
}

fn hosts_table(hosts: &[Host], style: &TextStyle) -> String {
    if hosts.is_empty() {
        return String::new();
    }
    let row = |host: &Host| {
        let state = State::from(host);
        [
            Cell::from(&host.name),
            Cell::from(&host.origin),
            state.cell(),
            state.since_cell(style),
            Cell::from(&host.description),
        ]
    };
    Table::new(["HOST", "ORIGIN", "STATE", "SINCE", "DESCRIPTION"]).with(hosts.iter().map(row)).render(style.colors)
}

#[cfg(test)]
mod tests {
    use linecamp_proto::api::Condition;

    use super::*;
    use crate::fixtures::site;
    use crate::text_style::plain;

    fn degraded() -> Site {
        let mut site = site("harbour-1");
        site.state = "deactivating".into();
        site.waits_for = Some("the site to confirm spec 20".into());
        site.link.state = "disconnected".into();
        site.spec_generation = 20;
        site.hosts.clear();
        site.labels.clear();
        site.conditions.push(Condition {
            kind: "phase-late".into(),
            since: "2026-11-22T02:20:00Z".into(),
            detail: "waiting for the site, which is offline".into(),
        });
        site
    }

    #[test]
    fn a_list_shows_the_link_state_of_an_offline_active_site() {
        let mut offline = site("camp-007");
        offline.link.state = "disconnected".into();
        insta::assert_snapshot!(list(&[site("camp-042"), offline, degraded()], &plain()));
    }

    #[test]
    fn a_site_is_shown_with_its_sync_state() {
        let text = show(&site("camp-042"), &plain());
        assert!(text.ends_with("\nspec 19  applied 19  converged 19  link connected 3d\n"), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn an_offline_site_applies_changes_later() {
        insta::assert_snapshot!(show(&degraded(), &plain()) + "---\n" + &changed(&degraded(), &plain()));
    }
}
