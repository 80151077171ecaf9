//! `linecamp dns`: DNS records and planned changes, as last reported by the sites.

use std::collections::BTreeSet;

use linecamp_model::{ConditionKind, Name, RecordState, Selector, printable};
use linecamp_proto::api::operation::{ListRecords, ShowSite};
use linecamp_proto::api::query::RecordQuery;
use linecamp_proto::api::{Condition, DnsRecord, Link, RecordView, Site};
use serde::Serialize;

use crate::argument;
use crate::client::ApiRequest;
use crate::conditions::conditions_table;
use crate::context::Context;
use crate::paging::{self, LimitArg};
use crate::text_style::TextStyle;
use linecamp_table::{Cell, Color, Table};

/// Conditions that explain why records are not in sync.
const CONDITIONS: [ConditionKind; 5] = [
    ConditionKind::PluginFailed,
    ConditionKind::ProviderFailed,
    ConditionKind::RecordConflict,
    ConditionKind::RecordQuarantined,
    ConditionKind::RecordsRetained,
];

#[derive(Debug, clap::Subcommand)]
pub(crate) enum DnsCommand {
    /// List DNS records
    #[command(after_help = "\
Examples:
  linecamp dns ls
  linecamp dns ls --site camp-042
  linecamp dns ls --environment production --state conflict -o json")]
    Ls(Ls),
    /// Show the DNS changes planned by a site
    ///
    /// Shows desired and observed values, and when they were observed. A provider with --dry-run plans changes
    /// without applying them. For an offline site, shows its last report.
    #[command(after_help = "\
Examples:
  linecamp dns plan camp-042
  linecamp dns plan camp-042 --environment lab -o json")]
    Plan(Plan),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// Only records of sites whose labels match
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = argument::selector)]
    selector: Option<Selector>,
    /// Only records of this site
    #[arg(long, value_name = "NAME", value_parser = argument::name)]
    site: Option<Name>,
    /// Only records of this provider
    #[arg(long, value_name = "NAME", value_parser = argument::name)]
    provider: Option<Name>,
    /// Only records in this state, such as in-sync or conflict
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<RecordState>,
    #[command(flatten)]
    limit: LimitArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// The site
    #[arg(value_name = "SITE", value_parser = argument::name)]
    site: Name,
}

/// The records of a site that are not in sync.
#[derive(Debug, Serialize)]
struct SitePlan {
    site: String,
    environment: String,
    /// If not connected, the records are from the last report.
    link: Link,
    /// Number of records in sync.
    in_sync: usize,
    /// The other records.
    records: Vec<RecordView>,
    /// Conditions that explain why.
    conditions: Vec<Condition>,
}

fn state(text: &str) -> Result<RecordState, String> {
    let states: Vec<_> = RecordState::ALL.iter().map(|state| state.as_str()).collect();
    RecordState::parse(text).ok_or_else(|| format!("expected one of {}", states.join(", ")))
}

impl DnsCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Ls(ls) => ls.run(context).await,
            Self::Plan(plan) => plan.run(context).await,
        }
    }
}

impl Ls {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let query = RecordQuery {
            selector: self.selector.map(|selector| selector.to_string()),
            environment: context.environment_text(),
            site: self.site.map(|site| site.to_string()),
            provider: self.provider.map(|provider| provider.to_string()),
            state: self.state.map(|state| state.to_string()),
            ..RecordQuery::default()
        };
        let records = paging::list::<ListRecords, _>(&query, self.limit, &mut context.client()?, &context.out).await?;
        context.out.show(&records, |style| list(&records.items, style))?;
        if records.items.is_empty() {
            context.out.note("no records");
        }
        Ok(())
    }
}

impl Plan {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let mut client = context.client()?;
        let site = client.send(ApiRequest::<ShowSite>::at(&self.site).query(&context.name_query())).await?;
        let query = RecordQuery {
            site: Some(site.name.clone()),
            environment: Some(site.environment.clone()),
            ..RecordQuery::default()
        };
        let records = paging::list::<ListRecords, _>(&query, LimitArg::default(), &mut client, &context.out).await?;
        let planned = SitePlan::new(site, records.items);
        Ok(context.out.show(&planned, |style| planned.text(style))?)
    }
}

impl SitePlan {
    fn new(site: Site, records: Vec<RecordView>) -> Self {
        let (in_sync, records): (Vec<_>, Vec<_>) =
            records.into_iter().partition(|view| view.record.state == RecordState::InSync.as_str());
        let is_relevant = |condition: &Condition| {
            ConditionKind::parse(&condition.kind).is_some_and(|kind| CONDITIONS.contains(&kind))
        };
        Self {
            site: site.name,
            environment: site.environment,
            link: site.link,
            in_sync: in_sync.len(),
            records,
            conditions: site.conditions.into_iter().filter(is_relevant).collect(),
        }
    }

    fn text(&self, style: &TextStyle) -> String {
        let mut text = match self.records.len() {
            0 if self.in_sync == 0 => format!("{}: no records\n", printable(&self.site)),
            0 => format!("{}: all records in sync ({})\n", printable(&self.site), self.in_sync),
            count => format!("{}: {count} not in sync, {} in sync\n", printable(&self.site), self.in_sync),
        };
        if !self.link.is_connected() {
            let (since, age) = (printable(&self.link.since), style.age(&self.link.since));
            text += &format!("the site is offline since {since} ({age} ago); showing its last report\n");
        }
        let row = |RecordView { record, .. }: &RecordView| {
            [
                Cell::from(&record.name),
                Cell::from(&record.rtype),
                Cell::colored(describe(&record.state), color(&record.state)),
                Cell::from(record.describe_ttl()),
                Cell::from(record.values.join(" ")),
                Cell::from(observed(record, style)),
                Cell::from(&record.provider),
                Cell::from(detail(record)),
            ]
        };
        if !self.records.is_empty() {
            let table = Table::new(["RECORD", "TYPE", "PLAN", "TTL", "DESIRED", "OBSERVED", "PROVIDER", "DETAIL"]);
            text += &format!("\n{}", table.with(self.records.iter().map(row)).render(style.colors));
        }
        if !self.conditions.is_empty() {
            text += &format!("\n{}", conditions_table(&self.conditions, style));
        }
        text
    }
}

fn list(records: &[RecordView], style: &TextStyle) -> String {
    if records.is_empty() {
        return String::new();
    }
    let row = |RecordView { site, environment, record }: &RecordView| {
        [
            Cell::from(&record.name),
            Cell::from(&record.rtype),
            Cell::colored(&record.state, color(&record.state)),
            Cell::from(record.describe_ttl()),
            Cell::from(record.values.join(" ")),
            Cell::from(observed(record, style)),
            Cell::from(site),
            Cell::from(environment),
            Cell::from(&record.provider),
            Cell::from(detail(record)),
        ]
    };
    let headings =
        ["RECORD", "TYPE", "STATE", "TTL", "DESIRED", "OBSERVED", "SITE", "ENVIRONMENT", "PROVIDER", "DETAIL"];
    let table = Table::new(headings).with(records.iter().map(row)).render(style.colors);
    // A failure concerns all records of its provider at a site: it is printed once.
    let failures = records.iter().filter_map(|RecordView { site, environment, record }| {
        let failure = record.failure.as_ref().filter(|_| record.detail.is_empty())?;
        Some(format!(
            "{} at {} ({}): {}\n",
            printable(&record.provider),
            printable(site),
            printable(environment),
            printable(failure)
        ))
    });
    let below: String = failures.collect::<BTreeSet<_>>().into_iter().collect();
    if below.is_empty() { table } else { format!("{table}\n{below}") }
}

/// Renders the observed values, with their age unless the record is in sync and its provider works.
fn observed(record: &DnsRecord, style: &TextStyle) -> String {
    let (Some(values), Some(at)) = (&record.observed, &record.observed_at) else { return "never".into() };
    let values = if values.is_empty() { "nothing".to_owned() } else { values.join(" ") };
    match record.state == RecordState::InSync.as_str() && record.failure.is_none() {
        true => values,
        false => format!("{values} ({} ago)", style.age(at)),
    }
}

/// Returns why a record is not in sync: its own detail, else that its provider fails, for a reason given below.
fn detail(record: &DnsRecord) -> &str {
    match (&record.failure, record.detail.is_empty()) {
        (Some(_), true) => "provider failed, see below",
        (_, _) => &record.detail,
    }
}

/// Describes a state as a plan. A state unknown to this version is printed as is.
fn describe(state: &str) -> &str {
    match RecordState::parse(state) {
        Some(RecordState::InSync) => "in sync",
        Some(RecordState::Create) => "create",
        Some(RecordState::Update) => "update",
        Some(RecordState::Delete) => "delete",
        Some(RecordState::Conflict) => "conflict, left unchanged",
        Some(RecordState::Quarantined) => "quarantined, retried later",
        Some(RecordState::Retained) => "no longer desired, retained",
        Some(RecordState::Unknown) => "not observed yet",
        None => state,
    }
}

fn color(state: &str) -> Color {
    match RecordState::parse(state) {
        Some(RecordState::InSync) => Color::Green,
        Some(RecordState::Create | RecordState::Update | RecordState::Delete) => Color::Yellow,
        Some(RecordState::Conflict | RecordState::Quarantined) => Color::Red,
        Some(RecordState::Retained | RecordState::Unknown) => Color::Dim,
        None => Color::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::site;
    use crate::text_style::plain;

    fn record(name: &str, state: RecordState, detail: &str) -> RecordView {
        let values = if state == RecordState::Retained { Vec::new() } else { vec!["192.0.2.7".into()] };
        let observed = match state {
            RecordState::Unknown => None,
            RecordState::Create => Some(Vec::new()),
            RecordState::InSync => Some(values.clone()),
            _ => Some(vec!["192.0.2.1".into()]),
        };
        let record = DnsRecord {
            provider: "main-dns".into(),
            zone: "example.org".into(),
            name: format!("{name}.example.org"),
            rtype: "A".into(),
            ttl: (!values.is_empty()).then_some(3_600),
            observed_ttl: observed.as_ref().filter(|values| !values.is_empty()).map(|_| match state {
                RecordState::Update => 60,
                _ => 3_600,
            }),
            values,
            observed_at: observed.as_ref().map(|_| "2026-11-22T02:20:00Z".into()),
            observed,
            state: state.to_string(),
            detail: detail.into(),
            failure: (state == RecordState::Update).then(|| "provider main-dns: wrong key".into()),
        };
        RecordView { site: "camp-042".into(), environment: "default".into(), record }
    }

    fn records() -> Vec<RecordView> {
        let detail = |state| if state == RecordState::Conflict { "no ownership TXT record" } else { "" };
        let all = RecordState::ALL.iter().enumerate();
        all.map(|(index, state)| record(&format!("r{index}"), *state, detail(*state))).collect()
    }

    #[test]
    fn records_are_listed_with_their_sites() {
        insta::assert_snapshot!(list(&records(), &plain()));
    }

    #[test]
    fn a_plan_shows_pending_changes_and_the_last_report_of_an_offline_site() {
        let mut offline = site("camp-042");
        offline.link.state = "disconnected".into();
        for (kind, detail) in [("provider-failed", "main-dns: no answer"), ("phase-late", "waits")] {
            let since = "2026-11-22T02:20:00Z".into();
            offline.conditions.push(Condition { kind: kind.into(), since, detail: detail.into() });
        }
        let plan = |site, records| SitePlan::new(site, records).text(&plain());
        let done = plan(site("camp-042"), vec![record("a", RecordState::InSync, "")]);
        let none = plan(site("camp-042"), Vec::new());
        insta::assert_snapshot!([plan(offline, records()), done, none].join("---\n"));
    }
}
