//! `linecamp event`: lists and follows events.
//!
//! `tail` follows the server's event stream. If the server becomes unreachable, it prints one note, retries with
//! backoff, and shows the missed events after reconnecting. It exits on errors that a retry cannot fix.

mod follow;

use linecamp_model::{Name, printable};
use linecamp_proto::api::operation::ListEvents;
use linecamp_proto::api::query::EventQuery;
use linecamp_proto::api::{EVENTS_PER_ANSWER_MAX, Event, EventSource};

use crate::argument;
use crate::client::ApiRequest;
use crate::context::Context;
use crate::text_style::TextStyle;
use linecamp_table::{Cell, Table};

/// Default `--limit` of `ls`.
const LS_DEFAULT: usize = 100;

/// Number of past events that `tail` shows first.
const TAIL_DEFAULT: usize = 10;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum EventCommand {
    /// List the newest events, oldest first
    #[command(after_help = "\
Examples:
  linecamp event ls
  linecamp event ls --site camp-042 --limit 1000 -o json")]
    Ls(Ls),
    /// Follow events as they happen, until Ctrl-C
    ///
    /// Reconnects if the server restarts. With -o json, prints one event per line.
    #[command(after_help = "\
Examples:
  linecamp event tail
  linecamp event tail --site camp-042 -o json")]
    Tail(EventFilter),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    filter: EventFilter,
    /// Maximum number of events
    #[arg(long, value_name = "N", default_value_t = LS_DEFAULT, value_parser = limit)]
    limit: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct EventFilter {
    /// Only events of this site
    #[arg(long, value_name = "NAME", value_parser = argument::name)]
    site: Option<Name>,
    /// Only events of this source: server or site
    #[arg(long, value_name = "SOURCE", value_parser = parse_source)]
    source: Option<EventSource>,
}

fn parse_source(text: &str) -> Result<EventSource, String> {
    match text {
        "server" => Ok(EventSource::Server),
        "site" => Ok(EventSource::Site),
        _ => Err("expected server or site".to_owned()),
    }
}

fn limit(text: &str) -> Result<usize, String> {
    let found = text.parse().ok().filter(|count| (1..=EVENTS_PER_ANSWER_MAX).contains(count));
    found.ok_or_else(|| format!("expected a number from 1 to {EVENTS_PER_ANSWER_MAX}"))
}

impl EventFilter {
    fn query(&self, context: &Context<'_>) -> EventQuery {
        EventQuery {
            site: self.site.as_ref().map(ToString::to_string),
            environment: context.environment_text(),
            source: self.source,
            ..EventQuery::default()
        }
    }
}

impl EventCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Ls(ls) => ls.run(context).await,
            Self::Tail(filter) => tokio::select! {
                result = follow::follow(filter.query(context), context) => result,
                interrupt = tokio::signal::ctrl_c() => Ok(interrupt?),
            },
        }
    }
}

impl Ls {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let query = EventQuery { limit: Some(self.limit), ..self.filter.query(context) };
        let events = context.client()?.send(ApiRequest::<ListEvents>::new().query(&query)).await?;
        context.out.show(&events, |style| list(&events.items, style))?;
        if events.items.is_empty() {
            context.out.note("no events");
        }
        Ok(())
    }
}

fn list(events: &[Event], style: &TextStyle) -> String {
    if events.is_empty() {
        return String::new();
    }
    let row = |event: &Event| {
        [
            Cell::from(&event.at),
            Cell::from(event.site.as_deref().unwrap_or_default()),
            Cell::from(&event.kind),
            Cell::from(source(event)),
            Cell::from(&event.text),
        ]
    };
    Table::new(["AT", "SITE", "KIND", "SOURCE", "TEXT"]).with(events.iter().map(row)).render(style.colors)
}

/// Returns the source of an event.
const fn source(event: &Event) -> &'static str {
    match event.source {
        EventSource::Server => "server",
        EventSource::Site => "site",
    }
}

/// Renders one event as a line, padded to typical column widths.
fn line(event: &Event) -> String {
    let site = printable(event.site.as_deref().unwrap_or("-"));
    let (at, kind, text) = (printable(&event.at), printable(&event.kind), printable(&event.text));
    format!("{at}  {site:<16}  {kind:<19}  {:<6}  {text}", source(event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_style::plain;

    #[test]
    fn events_are_shown_in_columns() {
        let event = |seq, site: Option<&str>, kind: &str| Event {
            seq,
            at: "2026-11-22T02:27:04Z".into(),
            kind: kind.into(),
            site: site.map(Into::into),
            text: "description".into(),
            source: if site.is_some() { EventSource::Site } else { EventSource::Server },
            received_at: site.map(|_| "2026-11-22T02:27:05Z".into()),
            actor: None,
        };
        let events = [event(1, Some("camp-042"), "site-joined"), event(2, None, "token-created")];
        let lines: Vec<_> = events.iter().map(line).collect();
        insta::assert_snapshot!(list(&events, &plain()) + "---\n" + &lines.join("\n"));
    }
}
