//! Formats the daemon's answers as tables.

use linecamp_plugin_host::{PluginReport, SecretRequirement};
use linecamp_proto::api::Label;
use linecamp_proto::local::{LocalHost, LocalLabels, LocalProvider, LocalRecord, LocalStatus, WhyLine};

/// The gap between two columns.
const GAP: &str = "  ";

const UNKNOWN: &str = "-";

/// Formats the site's status.
pub(crate) fn status(status: &LocalStatus) -> String {
    let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| UNKNOWN.to_owned());
    let link = format!("{} since {}", status.link.state, status.link.since);
    let spec = format!("applied {}, converged {}", status.applied_generation, status.converged_generation);
    let events = format!("{} queued, {} dropped", status.outbox_events, status.events_dropped);
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let mut text = lay_out(&[
        row("site", or_unknown(&status.name)),
        row("id", or_unknown(&status.id)),
        row("environment", or_unknown(&status.environment)),
        row("target", or_unknown(&status.target)),
        row("link", link),
        row("", status.link_doing.clone()),
        row("spec", spec),
        row("events", events),
        row("certificate", format!("until {}", or_unknown(&status.certificate_expires_at))),
        row("daemon", status.daemon_version.clone()),
    ]);
    for condition in &status.conditions {
        text += &format!("! {} since {}: {}\n", condition.kind, condition.since, condition.detail);
    }
    if !status.labels.is_empty() {
        text += "\n";
        text += &label_table(&status.labels);
    }
    text
}

/// Formats what each part of the daemon is waiting for.
pub(crate) fn why(lines: &[WhyLine]) -> String {
    let mut rows = vec![header(&["PART", "STATE", "NEXT"])];
    rows.extend(lines.iter().map(|line| {
        let next = line.next.as_ref();
        vec![
            line.part.clone(),
            line.state.clone(),
            next.map_or_else(|| UNKNOWN.to_owned(), |next| format!("{} at {}", next.does, next.at)),
        ]
    }));
    lay_out(&rows)
}

/// Formats the labels effective for the gateway host, including those of the site.
pub(crate) fn labels(labels: &LocalLabels) -> String {
    let host = if labels.host.is_empty() { &labels.site } else { &labels.host };
    label_table(host)
}

/// Formats the site's hosts.
pub(crate) fn hosts(hosts: &[LocalHost]) -> String {
    let mut rows = vec![header(&["HOST", "ORIGIN", "TARGET", "LABELS"])];
    rows.extend(hosts.iter().map(|host| {
        vec![
            host.name.clone().unwrap_or_else(|| host.id.clone()),
            host.origin.clone(),
            host.target.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
            host.labels.len().to_string(),
        ]
    }));
    lay_out(&rows)
}

/// Formats the site's providers, the endpoints each may reach, and its errors.
pub(crate) fn providers(providers: &[LocalProvider]) -> String {
    let mut rows = vec![header(&["PROVIDER", "ORIGIN", "PLUGIN", "RECORDS", "FAILED", "MAY REACH", "FAILURE"])];
    rows.extend(providers.iter().map(|provider| {
        let settings = provider.settings.as_ref();
        let grants = settings.map(|settings| [settings.reach.clone(), settings.reach_private.clone()].concat());
        let grants = grants.filter(|grants| !grants.is_empty()).map(|grants| grants.join(" "));
        vec![
            provider.name.clone(),
            provider.origin.clone(),
            provider.plugin.clone(),
            provider.records.to_string(),
            provider.records_failed.to_string(),
            grants.unwrap_or_else(|| UNKNOWN.to_owned()),
            provider.failure.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
        ]
    }));
    lay_out(&rows)
}

/// Formats DNS records and their states.
pub(crate) fn records(records: &[LocalRecord]) -> String {
    let mut rows =
        vec![header(&["RECORD", "TYPE", "DESIRED", "OBSERVED", "OBSERVED AT", "STATE", "PROVIDER", "DETAIL"])];
    rows.extend(records.iter().map(|record| {
        let values = record.values.join(" ");
        vec![
            record.name.clone(),
            record.rtype.clone(),
            if values.is_empty() { UNKNOWN.to_owned() } else { values },
            observed(record),
            record.observed_at.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
            record.state.clone(),
            record.provider.clone(),
            record.failure.clone().filter(|_| record.detail.is_empty()).unwrap_or_else(|| record.detail.clone()),
        ]
    }));
    lay_out(&rows)
}

/// Formats the observed values.
fn observed(record: &LocalRecord) -> String {
    match record.observed.as_deref() {
        None => "never".to_owned(),
        Some([]) => "none".to_owned(),
        Some(values) => values.join(" "),
    }
}

/// Formats the description of a plugin.
pub(crate) fn plugin(report: &PluginReport) -> String {
    let about = &report.description;
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let list = |values: Vec<String>| if values.is_empty() { UNKNOWN.to_owned() } else { values.join(", ") };
    let secret = |secret: &SecretRequirement| {
        format!("{} ({}{})", secret.name, secret.summary, if secret.is_required { "" } else { "; optional" })
    };
    lay_out(&[
        row("plugin", format!("{} {}", about.name, about.version)),
        row("", about.summary.to_string()),
        row("file", report.path.display().to_string()),
        row("digest", report.digest.to_string()),
        row("bytes", report.bytes.to_string()),
        row("endpoints", list(about.endpoints.iter().map(ToString::to_string).collect())),
        row("secrets", list(about.secrets.iter().map(secret).collect())),
        row("imports", list(report.imports.clone())),
    ])
}

fn label_table(labels: &[Label]) -> String {
    let mut rows = vec![header(&["KEY", "VALUE", "OWNER", "LEVEL", "SINCE"])];
    rows.extend(labels.iter().map(|label| {
        let columns = [&label.key, &label.value, &label.owner, &label.level, &label.since];
        columns.map(Clone::clone).to_vec()
    }));
    lay_out(&rows)
}

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Aligns columns to their longest cell, counted in characters. The last column has no trailing spaces.
fn lay_out(rows: &[Vec<String>]) -> String {
    let width_of = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate();
        let padded: Vec<_> =
            cells.map(|(column, cell)| format!("{cell:width$}", width = width_of(column).unwrap_or(0))).collect();
        text += padded.join(GAP).trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let rows = [header(&["KEY", "VALUE"]), header(&["é", "x y"]), header(&["rack-42", ""])];
        assert_eq!(lay_out(&rows), "KEY      VALUE\né        x y\nrack-42\n");
    }

    #[test]
    fn host_labels_include_inherited_site_labels() {
        let label = |key: &str, level: &str| Label {
            key: key.to_owned(),
            value: "1".to_owned(),
            owner: "local".to_owned(),
            since: "2026-11-22T02:27:04Z".to_owned(),
            level: level.to_owned(),
        };
        let shown = labels(&LocalLabels {
            site: vec![label("rack", "site")],
            host: vec![label("gpu", "host"), label("rack", "site")],
        });
        assert_eq!(
            shown,
            "KEY   VALUE  OWNER  LEVEL  SINCE\n\
             gpu   1      local  host   2026-11-22T02:27:04Z\n\
             rack  1      local  site   2026-11-22T02:27:04Z\n"
        );
    }
}
