//! Renders providers as text.

use linecamp_model::printable;
use std::fmt;

use linecamp_proto::api::{DnsCapabilitiesBody, ProviderBody, ProviderView};

use crate::plugin::problem;
use crate::text_style::TextStyle;
use linecamp_table::{Cell, Color, Table};

/// Renders a list of providers.
pub(super) fn list(providers: &[ProviderView], style: &TextStyle) -> String {
    if providers.is_empty() {
        return String::new();
    }
    let row = |provider: &ProviderView| {
        [
            Cell::from(&provider.name),
            Cell::from(&provider.environment),
            Cell::from(&provider.settings.plugin),
            Cell::from(provider.settings.zones.join(",")),
            sites_cell(provider),
            placed_cell(provider),
            Cell::from(provider.converged_count.to_string()),
            failure_cell(provider),
        ]
    };
    let headings = ["NAME", "ENVIRONMENT", "PLUGIN", "ZONES", "SITES", "PLACED", "CONVERGED", "FAILING"];
    Table::new(headings).with(providers.iter().map(row)).render(style.colors)
}

/// A TTL that the plugin's limits change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WrittenTtl {
    configured: u32,
    written: u32,
}

impl WrittenTtl {
    /// Applies the plugin's limits; `None` if they change nothing.
    pub(super) fn new(configured: u32, limits: DnsCapabilitiesBody) -> Option<Self> {
        let written = configured.max(limits.ttl_min).min(limits.ttl_max);
        (written != configured).then_some(Self { configured, written })
    }
}

impl fmt::Display for WrittenTtl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { configured, written } = self;
        let limit = if configured < written { "below the plugin's minimum" } else { "above the plugin's maximum" };
        write!(f, "{configured} s is {limit}; {written} s is written")
    }
}

/// Renders a provider. `written` is its TTL, if the plugin's limits change it.
pub(super) fn show(provider: &ProviderView, written: Option<&WrittenTtl>, style: &TextStyle) -> String {
    let settings = &provider.settings;
    let mut properties = vec![
        ["name", &provider.name].map(Cell::from),
        ["environment", &provider.environment].map(Cell::from),
        ["sites".into(), sites_cell(provider)],
        ["selected by".into(), Cell::from(selected_by(provider))],
        ["placed at".into(), placed_cell(provider)],
        ["converged at".into(), Cell::from(provider.converged_count.to_string())],
        ["failing at".into(), failure_cell(provider)],
    ];
    let listed = |items: &[String]| items.join(" ");
    let optional = |value: &Option<String>| value.clone().unwrap_or_default();
    let ttl = settings.ttl.map(|seconds| format!("{seconds} s")).unwrap_or_default();
    let ttl = written.map_or(ttl, ToString::to_string);
    let pairs: Vec<_> = settings.secrets.iter().map(|(name, secret)| format!("{name}={secret}")).collect();
    let records = settings.records.iter();
    let records: Vec<_> =
        records.map(|record| format!("{} {} {}", record.template, record.rtype, record.values.join(" "))).collect();
    let more = [
        ("plugin", settings.plugin.clone()),
        ("digest", optional(&settings.digest)),
        ("owner", settings.owner.clone()),
        ("zones", listed(&settings.zones)),
        ("template", optional(&settings.template)),
        ("ttl", ttl),
        ("hosts", optional(&settings.hosts)),
        ("records", records.join("; ")),
        ("config", serde_json::Value::Object(settings.config.clone()).to_string()),
        ("secrets", listed(&pairs)),
        ("reach", listed(&settings.reach)),
        ("reach private", listed(&settings.reach_private)),
        ("enabled", switches(settings)),
    ];
    properties.extend(more.map(|(key, value)| [key.into(), Cell::from(value)]));
    properties.push(["validated", if provider.validated { "yes" } else { "no" }].map(Cell::from));
    properties.extend(provider.problems.iter().map(|one| ["problem".into(), Cell::from(problem(one))]));
    Table::bare().with(properties).render(style.colors)
}

/// Renders a removed provider.
pub(super) fn removed(provider: &ProviderView, force: bool) -> String {
    let name = printable(&provider.name);
    let rest = match (provider.site_count, provider.settings.allow_deletes && !force) {
        (0, _) => "it was not placed at any site",
        (_, true) => "its sites delete its records first; see `linecamp dns ls`",
        (_, false) => "its records stay in DNS; see `linecamp event ls` for their names",
    };
    let what = if provider.withdraw { "being removed" } else { "removed" };
    format!("{name}  {what}  {rest}\n")
}

/// Returns the labels that the site selector matches.
const fn selected_by(provider: &ProviderView) -> &'static str {
    if provider.match_facts { "assigned labels and reported facts" } else { "assigned labels" }
}

fn sites_cell(provider: &ProviderView) -> Cell {
    Cell::from(match provider.sites.as_str() {
        _ if provider.withdraw => "none (being removed)",
        "" => "all",
        sites => sites,
    })
}

fn placed_cell(provider: &ProviderView) -> Cell {
    let placed = provider.site_count;
    match provider.left_out_count {
        0 => Cell::from(placed.to_string()),
        left_out => Cell::colored(&format!("{placed} ({left_out} full)"), Color::Red),
    }
}

fn failure_cell(provider: &ProviderView) -> Cell {
    let color = if provider.failed_count == 0 { Color::Plain } else { Color::Red };
    Cell::colored(&provider.failed_count.to_string(), color)
}

fn switches(settings: &ProviderBody) -> String {
    let all = [
        ("withdraw", settings.withdraw),
        ("dry-run", settings.dry_run),
        ("allow-deletes", settings.allow_deletes),
        ("withdraw-inactive", settings.withdraw_inactive),
        ("observed-address", settings.observed_address),
        ("plain-http", settings.plain_http),
    ];
    let on: Vec<_> = all.iter().filter(|(_, is_on)| *is_on).map(|(name, _)| *name).collect();
    on.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_style::plain;

    fn provider() -> ProviderView {
        let settings = serde_json::json!({
            "name": "main-dns",
            "plugin": "dns-powerdns",
            "owner": "acme",
            "zones": ["example.org", "example.net"],
            "template": "{host}.{site}",
            "ttl": 300,
            "allow_deletes": true,
            "dry_run": true,
            "records": [{"template": "@", "type": "TXT", "values": ["site {site}"]}],
            "config": {"api": "http://10.0.0.5:8081"},
            "secrets": {"api-key": "pdns-key"},
            "reach_private": ["10.0.0.5:8081"],
        });
        ProviderView {
            name: "main-dns".into(),
            environment: "default".into(),
            sites: "tier=web".into(),
            match_facts: false,
            settings: serde_json::from_value(settings).expect("valid"),
            withdraw: false,
            site_count: 12,
            converged_count: 10,
            failed_count: 1,
            left_out_count: 0,
            validated: true,
            problems: Vec::new(),
        }
    }

    #[test]
    fn a_ttl_that_the_plugin_changes_is_shown_with_the_one_written() {
        let limits = |ttl_min, ttl_max| DnsCapabilitiesBody {
            atomic: true,
            can_list_records: true,
            ttl_min,
            ttl_max,
            max_batch_size: 2,
        };
        let raised = WrittenTtl::new(300, limits(3_600, 86_400)).expect("it is raised");
        assert_eq!(raised.to_string(), "300 s is below the plugin's minimum; 3600 s is written");
        let lowered = WrittenTtl::new(300, limits(1, 60)).expect("it is lowered");
        assert_eq!(lowered.to_string(), "300 s is above the plugin's maximum; 60 s is written");
        assert_eq!(WrittenTtl::new(300, limits(1, 86_400)), None);
        let shown = show(&provider(), Some(&raised), &plain());
        assert!(shown.contains("300 s is below the plugin's minimum; 3600 s is written"), "{shown}");
    }

    #[test]
    fn providers_are_listed_shown_and_removed() {
        let all = ProviderView { sites: String::new(), failed_count: 0, ..provider() };
        let withdrawing = ProviderView { withdraw: true, ..all.clone() };
        let mut kept = provider();
        kept.settings.allow_deletes = false;
        let unused = ProviderView { site_count: 0, ..provider() };
        let withdrawn = ProviderView { withdraw: true, ..provider() };
        let parts = [
            list(&[provider(), all, withdrawing], &plain()),
            show(&provider(), None, &plain()),
            [(withdrawn, false), (kept, false), (provider(), true), (unused, false)]
                .iter()
                .map(|(provider, force)| removed(provider, *force))
                .collect(),
        ];
        insta::assert_snapshot!(parts.join("---\n"));
    }
}
