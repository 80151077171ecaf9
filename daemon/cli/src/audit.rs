//! `linecamp audit`: who did what.
//!
//! `verify` does not rely on the server: it reads all entries, computes their hashes, and compares them with the chain
//! and with what was kept elsewhere: a head, or an exported file.

mod export;
mod verify;

use std::time::Duration;

use linecamp_model::{Name, printable};
use linecamp_proto::api::operation::ListAudit;
use linecamp_proto::api::query::AuditQuery;
use linecamp_proto::api::{AUDIT_PER_ANSWER_MAX, AuditActor, AuditEntry, AuditPage};
use linecamp_table::{Cell, Table};

use crate::argument;
use crate::client::{ApiRequest, Client, ClientError};
use crate::context::Context;
use crate::text_style::TextStyle;

/// Default `--limit` of `ls`.
const LS_DEFAULT: usize = 50;

/// Maximum `--limit` of `ls`; `export` has everything.
const LS_MAX: usize = 10_000;

/// Number of past entries that `tail` shows first.
const TAIL_DEFAULT: usize = 10;

/// How often `tail` asks for further entries.
const TAIL_INTERVAL: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Subcommand)]
pub(crate) enum AuditCommand {
    /// List the newest entries of the audit log, oldest first
    #[command(after_help = "\
Examples:
  linecamp audit ls
  linecamp audit ls --user anna --outcome refused
  linecamp audit ls --operation site.remove --limit 1000 -o json")]
    Ls(Ls),
    /// Follow the audit log, until Ctrl-C
    ///
    /// With -o json, prints one entry per line.
    #[command(after_help = "\
Examples:
  linecamp audit tail
  linecamp audit tail --user anna -o json")]
    Tail(Filter),
    /// Verify that no entry of the audit log was changed, removed or reordered
    ///
    /// Reads the log of the server, or an exported file without a server. A log whose end was cut off, or that was
    /// rewritten as a whole, is detected by comparing it with a head that was printed before, or with a file that was
    /// exported before. Prints the head: keep it in another place than the server.
    #[command(after_help = "\
Examples:
  linecamp audit verify
  linecamp audit verify --head 6b0c…@4711
  linecamp audit verify --against audit-2026-11.jsonl
  linecamp audit verify audit-2026-12.jsonl --against audit-2026-11.jsonl")]
    Verify(verify::Verify),
    /// Export the audit log as JSON lines: one entry per line, oldest first
    #[command(after_help = "\
Examples:
  linecamp audit export audit.jsonl
  linecamp audit export --after 4711 > audit-new.jsonl")]
    Export(export::Export),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    filter: Filter,
    /// Maximum number of entries
    #[arg(long, value_name = "N", default_value_t = LS_DEFAULT, value_parser = limit)]
    limit: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    /// Only entries of this user, and of the user's API keys
    #[arg(long, value_name = "NAME", value_parser = argument::name)]
    user: Option<Name>,
    /// Only entries of this operation, such as site.remove
    #[arg(long, value_name = "NAME")]
    operation: Option<String>,
    /// Only entries with this outcome: done, refused or failed
    #[arg(long, value_name = "OUTCOME", value_parser = ["done", "refused", "failed"])]
    outcome: Option<String>,
}

fn limit(text: &str) -> Result<usize, String> {
    let found = text.parse().ok().filter(|count| (1..=LS_MAX).contains(count));
    found.ok_or_else(|| format!("expected a number from 1 to {LS_MAX}"))
}

impl Filter {
    fn matches(&self, entry: &AuditEntry) -> bool {
        let user = self.user.as_ref().map(Name::as_str);
        (user.is_none() || entry.actor.user.as_deref() == user || entry.account.as_deref() == user)
            && self.operation.as_ref().is_none_or(|operation| *operation == entry.operation)
            && self.outcome.as_ref().is_none_or(|outcome| *outcome == entry.outcome)
    }
}

impl AuditCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Ls(ls) => ls.run(context).await,
            Self::Tail(filter) => tokio::select! {
                result = tail(&filter, context) => result,
                interrupt = tokio::signal::ctrl_c() => Ok(interrupt?),
            },
            Self::Verify(verify) => verify.run(context).await,
            Self::Export(export) => export.run(context).await,
        }
    }
}

impl Ls {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let client = &mut context.client()?;
        let mut page = page(client, AuditQuery::default()).await?;
        let mut found: Vec<AuditEntry> = Vec::new();
        loop {
            let oldest = page.items.first().map(|entry| entry.number);
            let matching = page.items.drain(..).rev().filter(|entry| self.filter.matches(entry));
            found.extend(matching.take(self.limit - found.len()));
            let Some(oldest) = oldest.filter(|_| found.len() < self.limit) else { break };
            page = self::page(client, AuditQuery { before: Some(oldest), ..AuditQuery::default() }).await?;
        }
        found.reverse();
        page.items = found;
        context.out.show(&page, |style| list(&page.items, style))?;
        if page.items.is_empty() {
            context.out.note("no entries");
        }
        Ok(())
    }
}

async fn tail(filter: &Filter, context: &Context<'_>) -> anyhow::Result<()> {
    let client = &mut context.client()?;
    let first = AuditQuery { limit: Some(TAIL_DEFAULT), ..AuditQuery::default() };
    let mut page = page(client, first).await?;
    let mut shown = 0;
    loop {
        for entry in &page.items {
            shown = entry.number;
            if filter.matches(entry) {
                context.out.show_line(entry, || line(entry))?;
            }
        }
        if page.items.len() < AUDIT_PER_ANSWER_MAX {
            tokio::time::sleep(TAIL_INTERVAL).await;
        }
        page = self::page(client, AuditQuery { after: Some(shown), ..AuditQuery::default() }).await?;
    }
}

/// Reads one page.
async fn page(client: &mut Client, query: AuditQuery) -> Result<AuditPage, ClientError> {
    client.send(ApiRequest::<ListAudit>::new().query(&query)).await
}

fn list(entries: &[AuditEntry], style: &TextStyle) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let row = |entry: &AuditEntry| {
        [
            Cell::from(&entry.number.to_string()),
            Cell::from(&entry.at),
            Cell::from(&actor(&entry.actor)),
            Cell::from(entry.address.as_deref().unwrap_or_default()),
            Cell::from(&entry.operation),
            Cell::from(&outcome(entry)),
            Cell::from(&entry.target),
            Cell::from(&changes(entry)),
        ]
    };
    Table::new(["NUMBER", "AT", "WHO", "FROM", "OPERATION", "OUTCOME", "ON", "CHANGED"])
        .with(entries.iter().map(row))
        .render(style.colors)
}

/// Renders one entry as a line, padded to typical column widths.
fn line(entry: &AuditEntry) -> String {
    let text = |text: &str| printable(text).into_owned();
    format!(
        "{}  {:<16}  {:<15}  {:<16}  {:<8}  {}  {}",
        text(&entry.at),
        text(&actor(&entry.actor)),
        text(entry.address.as_deref().unwrap_or("-")),
        text(&entry.operation),
        text(&outcome(entry)),
        text(&entry.target),
        text(&changes(entry))
    )
}

fn actor(actor: &AuditActor) -> String {
    match (actor.user.as_deref(), actor.key.as_deref(), actor.site.as_deref()) {
        (Some(user), Some(key), _) => format!("{user}, key {key}"),
        (Some(user), None, _) => user.to_owned(),
        (None, Some(key), _) => format!("key {key}"),
        (None, None, Some(site)) => format!("site {site}"),
        (None, None, None) => actor.kind.clone(),
    }
}

fn outcome(entry: &AuditEntry) -> String {
    let code = entry.code.as_deref().map(|code| format!(": {code}")).unwrap_or_default();
    let times = entry.repeats.as_ref().map(|repeats| format!(" ({} times)", repeats.count)).unwrap_or_default();
    format!("{}{code}{times}", entry.outcome)
}

/// Returns the first change, and how many more there are.
fn changes(entry: &AuditEntry) -> String {
    let Some(first) = entry.changes.first() else { return String::new() };
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let more = match entry.changes.len() - 1 + entry.changes_left_out as usize {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    format!("{}: {}: {} -> {}{more}", first.object, first.field, value(&first.before), value(&first.after))
}
