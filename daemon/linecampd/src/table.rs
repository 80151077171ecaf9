//! Formats the daemon's answers as tables.

use linecamp_model::SecretRequirement;
use linecamp_plugin_host::PluginReport;
use linecamp_proto::api::{CapabilitiesBody, DnsRecord, Label, PluginDescriptionBody};
use linecamp_proto::local::{
    CreatedHostToken, LocalHost, LocalHostToken, LocalLabels, LocalProvider, LocalServers, LocalStatus, WhyLine,
};
use linecamp_table::{Cell, Table};

const UNKNOWN: &str = "-";

/// Formats the site's status.
pub(crate) fn status(status: &LocalStatus) -> String {
    let or_unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| UNKNOWN.to_owned());
    let link = format!("{} since {}", status.link.state, status.link.since);
    let spec = format!("applied {}, converged {}", status.applied_generation, status.converged_generation);
    let events = format!("{} queued, {} dropped", status.outbox_events, status.events_dropped);
    let mut text = properties([
        ("site", or_unknown(&status.name)),
        ("id", or_unknown(&status.id)),
        ("environment", or_unknown(&status.environment)),
        ("target", or_unknown(&status.target)),
        ("link", link),
        ("", status.link_doing.clone()),
        ("servers", servers(&status.servers)),
        ("spec", spec),
        ("events", events),
        ("certificate", format!("until {}", or_unknown(&status.certificate_expires_at))),
        ("daemon", status.daemon_version.clone()),
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

/// Formats the addresses of the server, and the number of their set.
fn servers(servers: &LocalServers) -> String {
    if !servers.configured.is_empty() {
        return format!("{} (from the configuration)", servers.configured.join(", "));
    }
    let number = if servers.set == 0 { "from the join token".to_owned() } else { format!("set {}", servers.set) };
    let confirmed = if servers.addresses.is_empty() {
        UNKNOWN.to_owned()
    } else {
        format!("{} ({number})", servers.addresses.join(", "))
    };
    match servers.candidate_set {
        Some(set) => format!("{confirmed}; new, not confirmed yet: {} (set {set})", servers.candidates.join(", ")),
        None => confirmed,
    }
}

/// Formats what each part of the daemon is waiting for.
pub(crate) fn why(lines: &[WhyLine]) -> String {
    let rows = lines.iter().map(|line| {
        let next = line.next.as_ref().map(|next| format!("{} at {}", next.does, next.at));
        [
            line.part.as_str().into(),
            line.state.as_str().into(),
            line.detail.as_str().into(),
            next.unwrap_or_default().into(),
        ]
    });
    Table::new(["PART", "STATE", "DETAIL", "NEXT"]).with(rows).render(false)
}

/// Formats the labels effective for the gateway host, including those of the site.
pub(crate) fn labels(labels: &LocalLabels) -> String {
    let host = if labels.host.is_empty() { &labels.site } else { &labels.host };
    label_table(host)
}

/// Formats the site's hosts.
pub(crate) fn hosts(hosts: &[LocalHost]) -> String {
    let rows = hosts.iter().map(|host| {
        [
            host.name.as_ref().unwrap_or(&host.id).into(),
            host.origin.as_str().into(),
            host.target.as_deref().unwrap_or_default().into(),
            host.link.as_ref().map(|link| link.state.clone()).unwrap_or_default().into(),
            host.link.as_ref().map(|link| link.since.clone()).unwrap_or_default().into(),
            host.labels.len().to_string().into(),
        ]
    });
    Table::new(["HOST", "ORIGIN", "TARGET", "LINK", "SINCE", "LABELS"]).with(rows).render(false)
}

/// Formats the tokens that hosts join with.
pub(crate) fn host_tokens(tokens: &[LocalHostToken]) -> String {
    let rows = tokens.iter().map(|token| {
        [
            token.id.as_str().into(),
            token.origin.as_str().into(),
            token.state.as_str().into(),
            format!("{}/{}", token.uses, token.uses_max).into(),
            token.expires_at.as_str().into(),
        ]
    });
    Table::new(["TOKEN", "ORIGIN", "STATE", "USES", "EXPIRES"]).with(rows).render(false)
}

/// Formats a host token that was created, with the commands that use it. The token is on stdin of those commands, where
/// other users of the machine do not see it.
pub(crate) fn host_token(token: &CreatedHostToken) -> String {
    let install = token.install.as_ref().map_or_else(String::new, |line| {
        format!("To install linecampd on Debian, join and start it, run as root:\n\n  {line}\n\n")
    });
    format!(
        "token {}  expires {}  uses {}\n\n\
         The token is shown only once. Anyone who has it can join as a host of this site.\n\n{install}\
         If linecampd is already installed:\n\n  {}\n",
        token.id, token.expires_at, token.uses, token.command
    )
}

/// Formats the site's providers, with the endpoints that each may reach and its current error.
pub(crate) fn providers(providers: &[LocalProvider]) -> String {
    let rows = providers.iter().map(|provider| {
        let settings = provider.settings.as_ref();
        let grants = settings.map(|settings| [settings.reach.clone(), settings.reach_private.clone()].concat());
        [
            provider.name.as_str().into(),
            provider.origin.as_str().into(),
            provider.plugin.as_str().into(),
            provider.records.to_string().into(),
            provider.records_failed.to_string().into(),
            grants.unwrap_or_default().join(" ").into(),
            provider.failure.as_deref().unwrap_or_default().into(),
        ]
    });
    Table::new(["PROVIDER", "ORIGIN", "PLUGIN", "RECORDS", "FAILED", "MAY REACH", "FAILURE"]).with(rows).render(false)
}

/// Formats DNS records and their states.
pub(crate) fn records(records: &[DnsRecord]) -> String {
    let rows = records.iter().map(|record| {
        let failure = record.failure.as_ref().filter(|_| record.detail.is_empty());
        [
            record.name.as_str().into(),
            record.rtype.as_str().into(),
            record.describe_ttl().into(),
            record.values.join(" ").into(),
            observed(record).into(),
            record.observed_at.as_deref().unwrap_or_default().into(),
            record.state.as_str().into(),
            record.provider.as_str().into(),
            failure.unwrap_or(&record.detail).into(),
        ]
    });
    Table::new(["RECORD", "TYPE", "TTL", "DESIRED", "OBSERVED", "OBSERVED AT", "STATE", "PROVIDER", "DETAIL"])
        .with(rows)
        .render(false)
}

/// Formats the observed values.
fn observed(record: &DnsRecord) -> String {
    match record.observed.as_deref() {
        None => "never".to_owned(),
        Some([]) => "none".to_owned(),
        Some(values) => values.join(" "),
    }
}

/// Formats the description of a plugin.
pub(crate) fn plugin(report: &PluginReport) -> String {
    let about = &report.description;
    let list = |values: Vec<String>| if values.is_empty() { UNKNOWN.to_owned() } else { values.join(", ") };
    let secret = |secret: &SecretRequirement| {
        format!("{} ({}{})", secret.name, secret.summary, if secret.is_required { "" } else { "; optional" })
    };
    let body = PluginDescriptionBody::from(about);
    let settings: Vec<_> = body.settings().into_iter().map(|(name, line)| format!("{name}  {line}")).collect();
    let CapabilitiesBody::Dns(dns) = body.capabilities;
    let text = properties([
        ("plugin", format!("{} {}", about.name, about.version)),
        ("", about.summary.to_string()),
        ("file", report.path.display().to_string()),
        ("digest", report.digest.to_string()),
        ("bytes", report.bytes.to_string()),
        ("endpoints", list(about.endpoints.iter().map(ToString::to_string).collect())),
        ("secrets", list(about.secrets.iter().map(secret).collect())),
        ("imports", list(report.imports.clone())),
        ("ttl", format!("{} to {} s", dns.ttl_min, dns.ttl_max)),
    ]);
    let settings = settings.into_iter().enumerate();
    let rows = settings.map(|(index, line)| [if index == 0 { "settings" } else { "" }.into(), line.into()]);
    text + &Table::bare().with(rows.collect::<Vec<[Cell; 2]>>()).render(false)
}

fn label_table(labels: &[Label]) -> String {
    let rows =
        labels.iter().map(|label| [&label.key, &label.value, &label.owner, &label.level, &label.since].map(Cell::from));
    Table::new(["KEY", "VALUE", "OWNER", "LEVEL", "SINCE"]).with(rows).render(false)
}

/// Formats names and values, one pair a line.
fn properties<const ROWS: usize>(rows: [(&str, String); ROWS]) -> String {
    Table::bare().empty("").with(rows.map(|(name, value)| [name.into(), value.into()])).render(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_token_is_shown_with_the_commands_that_use_it() {
        let token = |install| CreatedHostToken {
            join: "lct_x@10.0.0.1:4433".to_owned(),
            command: "join it".to_owned(),
            install,
            id: "0707070707070707".to_owned(),
            expires_at: "2026-11-22T02:27:04Z".to_owned(),
            uses: 2,
        };
        let shown = host_token(&token(Some("install it".to_owned())));
        assert!(shown.starts_with("token 0707070707070707  expires 2026-11-22T02:27:04Z  uses 2\n"), "{shown}");
        assert!(shown.contains("run as root:\n\n  install it\n") && shown.ends_with("\n  join it\n"), "{shown}");
        assert!(!host_token(&token(None)).contains("as root"));
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
