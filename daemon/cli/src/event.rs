//! `linecamp event`: what happened, and what happens.
//!
//! `tail` asks for what lies above the last event it has shown, and the server answers when there is something. It
//! goes on through a restart of the server: it says so once, asks again with a back-off, and when the server is
//! back shows what it missed. What it cannot outlive is an answer that asking again does not change.

mod follow;

use linecamp_model::Name;
use linecamp_proto::api::path::{self, EventQuery};
use linecamp_proto::api::{EVENTS_PER_ANSWER_MAX, Event, EventSource, List};

use crate::argument;
use crate::client::ApiRequest;
use crate::global::Context;
use crate::output::{Cell, Table, TextStyle, clean};

/// Events that `ls` shows unless told otherwise: about two screens.
const LS_DEFAULT: usize = 100;

/// Events that `tail` begins with: enough to see what led here.
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
    /// Goes on through a restart of the server. With -o json, every event is one line.
    #[command(after_help = "\
Examples:
  linecamp event tail
  linecamp event tail --site camp-042 -o json")]
    Tail(Of),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    of: Of,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = LS_DEFAULT, value_parser = limit)]
    limit: usize,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Of {
    /// Only events of this site
    #[arg(long, value_name = "NAME", value_parser = argument::name)]
    site: Option<Name>,
    /// Only events that the server says, or only those that sites do
    #[arg(long, value_name = "WHO", value_parser = parse_source)]
    source: Option<EventSource>,
}

fn parse_source(text: &str) -> Result<EventSource, String> {
    match text {
        "server" => Ok(EventSource::Server),
        "site" => Ok(EventSource::Site),
        _ => Err("write server or site".to_owned()),
    }
}

fn limit(text: &str) -> Result<usize, String> {
    let found = text.parse().ok().filter(|count| (1..=EVENTS_PER_ANSWER_MAX).contains(count));
    found.ok_or_else(|| format!("write a number from 1 to {EVENTS_PER_ANSWER_MAX}"))
}

impl Of {
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
            Self::Tail(of) => tokio::select! {
                ended = follow::follow(of.query(context), context) => ended,
                heard = tokio::signal::ctrl_c() => Ok(heard?),
            },
        }
    }
}

impl Ls {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let query = EventQuery { limit: Some(self.limit), ..self.of.query(context) };
        let events: List<Event> = context.client()?.send(ApiRequest::get(path::EVENTS).query(&query)).await?;
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
    Table::new(["AT", "SITE", "KIND", "SOURCE", "TEXT"]).with(events.iter().map(row)).render(style)
}

/// Who says so.
const fn source(event: &Event) -> &'static str {
    match event.source {
        EventSource::Server => "server",
        EventSource::Site => "site",
    }
}

/// One event on a line of its own. Columns fit names and kinds of a usual length.
fn line(event: &Event) -> String {
    let site = clean(event.site.as_deref().unwrap_or("-"));
    let (at, kind, text) = (clean(&event.at), clean(&event.kind), clean(&event.text));
    format!("{at}  {site:<16}  {kind:<19}  {:<6}  {text}", source(event))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::plain;

    #[test]
    fn events_are_shown_in_columns() {
        let event = |seq, site: Option<&str>, kind: &str| Event {
            seq,
            at: "2026-11-22T02:27:04Z".into(),
            kind: kind.into(),
            site: site.map(Into::into),
            text: "in words".into(),
            source: if site.is_some() { EventSource::Site } else { EventSource::Server },
            received_at: site.map(|_| "2026-11-22T02:27:05Z".into()),
        };
        let events = [event(1, Some("camp-042"), "site-joined"), event(2, None, "token-created")];
        let lines: Vec<_> = events.iter().map(line).collect();
        insta::assert_snapshot!(list(&events, &plain()) + "---\n" + &lines.join("\n"));
    }
}
