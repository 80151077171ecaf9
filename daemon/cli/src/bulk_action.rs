//! `linecamp bulk-action`.

use std::time::{Duration, Instant};

use linecamp_model::BulkActionId;
use linecamp_proto::api::operation::{ListBulkActions, ShowBulkAction};
use linecamp_proto::api::query::PageQuery;
use linecamp_proto::api::{BulkAction, BulkActionProgress, BulkActionSite, BulkActionState};
use linecamp_table::{Cell, Color, Table};

use crate::argument;
use crate::client::{ApiRequest, Client, ClientError};
use crate::context::Context;
use crate::exit::CommandFailure;
use crate::paging::{self, LimitArg};
use crate::text_style::TextStyle;

/// How often `wait` asks. Sites apply a change in less than a second.
const POLL_PERIOD: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Subcommand)]
pub(crate) enum BulkActionCommand {
    /// List the bulk actions of the last 30 days, newest first
    #[command(after_help = "\
Example:
  linecamp bulk-action ls")]
    Ls(LimitArg),
    /// Show a bulk action, with the state of each site
    #[command(after_help = "\
Examples:
  linecamp bulk-action show 07ff3c5d9a1b2c4e
  linecamp bulk-action show 07ff3c5d9a1b2c4e -o json")]
    Show(Id),
    Wait(Wait),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Id {
    /// Its id, as shown by the command that changed the sites
    #[arg(value_parser = id)]
    id: BulkActionId,
}

/// Wait until all sites have applied a bulk action
///
/// A site that is not connected applies it when it reconnects; with --connected, such sites are not waited for. The
/// command fails if a site was not changed or the time runs out. It waits for a server that does not answer.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp bulk-action wait 07ff3c5d9a1b2c4e
  linecamp bulk-action wait 07ff3c5d9a1b2c4e --connected --at-most 5min")]
pub(crate) struct Wait {
    #[command(flatten)]
    action: Id,
    /// Do not wait for sites that are not connected
    #[arg(long)]
    connected: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = argument::wait)]
    at_most: Duration,
}

impl BulkActionCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Ls(limit) => {
                let (query, client) = (PageQuery::default(), &mut context.client()?);
                let actions = paging::list::<ListBulkActions, _>(&query, limit, client, &context.out).await?;
                context.out.show(&actions, |style| list_text(&actions.items, style))?;
                if actions.items.is_empty() {
                    context.out.note("no bulk actions");
                }
                Ok(())
            }
            Self::Show(Id { id }) => {
                let action = show(id, &mut context.client()?).await?;
                context.out.show(&action, |style| sites_text(&action, style))?;
                context.out.note(&summary(&action));
                Ok(())
            }
            Self::Wait(wait) => wait.run(context).await,
        }
    }
}

impl Wait {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let (mut client, ends_at) = (context.client()?, Instant::now() + self.at_most);
        let action = loop {
            let is_over = ends_at <= Instant::now();
            match show(self.action.id, &mut client).await {
                Ok(action) if is_over || self.left(action.progress) == 0 => break action,
                Ok(action) => context.out.progress(&progress(action.progress)),
                Err(error) if !is_over && error.is_retryable() => context.out.progress(&error.to_string()),
                Err(error) => {
                    context.out.progress("");
                    return Err(error.into());
                }
            }
            tokio::time::sleep(POLL_PERIOD).await;
        };
        context.out.progress("");
        context.out.show(&action, |style| sites_text(&action, style))?;
        context.out.note(&summary(&action));
        let BulkActionProgress { sites, rejected, .. } = action.progress;
        match (self.left(action.progress), rejected) {
            (0, 0) => Ok(()),
            (0, failed) => Err(CommandFailure::Sites { failed, all: sites }.into()),
            (waiting, _) => Err(CommandFailure::SitesWaiting { waiting, all: sites }.into()),
        }
    }

    /// Returns how many sites are waited for.
    const fn left(&self, progress: BulkActionProgress) -> u64 {
        match self.connected {
            true => progress.waiting.saturating_sub(progress.offline),
            false => progress.waiting,
        }
    }
}

fn id(text: &str) -> Result<BulkActionId, &'static str> {
    BulkActionId::parse(text).ok_or("expected the 16 hexadecimal digits shown by `linecamp bulk-action ls`")
}

async fn show(id: BulkActionId, client: &mut Client) -> Result<BulkAction, ClientError> {
    client.send(ApiRequest::<ShowBulkAction>::at(&id)).await
}

fn list_text(actions: &[BulkAction], style: &TextStyle) -> String {
    if actions.is_empty() {
        return String::new();
    }
    let row = |action: &BulkAction| {
        let BulkActionProgress { sites, applied, waiting, offline, rejected } = action.progress;
        [
            Cell::from(&action.id),
            Cell::from(action.action.as_str()),
            Cell::from(&action.created_by),
            Cell::from(style.age(&action.created_at)),
            Cell::from(sites.to_string()),
            Cell::from(applied.to_string()),
            Cell::from(waiting.to_string()),
            Cell::from(offline.to_string()),
            Cell::from(rejected.to_string()),
        ]
    };
    Table::new(["ID", "ACTION", "BY", "AGE", "SITES", "APPLIED", "WAITING", "OFFLINE", "REJECTED"])
        .with(actions.iter().map(row))
        .render(style.colors)
}

/// Renders the state of each site.
pub(crate) fn sites_text(action: &BulkAction, style: &TextStyle) -> String {
    let row = |site: &BulkActionSite| {
        let color = match site.state {
            BulkActionState::Applied => Color::Dim,
            BulkActionState::Waiting | BulkActionState::Offline => Color::Yellow,
            BulkActionState::Rejected => Color::Red,
        };
        let error = site.error.as_ref().map(|error| error.detail.as_str()).unwrap_or_default();
        let state = Cell::colored(site.state.as_str(), color);
        [Cell::from(&site.name), Cell::from(&site.environment), state, Cell::from(error)]
    };
    let sites = action.sites.as_deref().unwrap_or_default();
    Table::new(["NAME", "ENVIRONMENT", "STATE", "ERROR"]).with(sites.iter().map(row)).render(style.colors)
}

/// Renders the progress of an action, and how to wait for it.
pub(crate) fn summary(action: &BulkAction) -> String {
    let line = format!("bulk action {}: {}", action.id, progress(action.progress));
    match action.progress.waiting {
        0 => line,
        _ => format!("{line}\nwait for them: linecamp bulk-action wait {}", action.id),
    }
}

/// Renders the number of sites in each state.
fn progress(BulkActionProgress { sites, applied, waiting, offline, rejected }: BulkActionProgress) -> String {
    let offline = if offline == 0 { String::new() } else { format!(" ({offline} of them offline)") };
    let waiting = if waiting == 0 { String::new() } else { format!(", {waiting} waiting{offline}") };
    let rejected = if rejected == 0 { String::new() } else { format!(", {rejected} rejected") };
    format!("{applied} of {sites} applied{waiting}{rejected}")
}

#[cfg(test)]
mod tests {
    use linecamp_proto::api::{BulkLabels, BulkRejection, SiteAction};

    use super::*;
    use crate::text_style::plain;

    fn action() -> BulkAction {
        let site = |name: &str, state, error: Option<&str>| BulkActionSite {
            id: "0707".into(),
            name: name.into(),
            environment: "default".into(),
            state,
            error: error.map(|detail| BulkRejection { code: "not-possible".into(), detail: detail.into() }),
        };
        BulkAction {
            id: "0808080808080808".into(),
            action: SiteAction::Deactivate,
            labels: BulkLabels::default(),
            created_at: "2026-11-22T02:15:00Z".into(),
            created_by: "user anna".into(),
            progress: BulkActionProgress { sites: 4, applied: 1, waiting: 2, offline: 1, rejected: 1 },
            sites: Some(vec![
                site("camp-007", BulkActionState::Applied, None),
                site("camp-040", BulkActionState::Waiting, None),
                site("camp-041", BulkActionState::Offline, None),
                site("camp-042", BulkActionState::Rejected, Some("site camp-042 was removed")),
            ]),
        }
    }

    #[test]
    fn an_action_shows_the_state_of_each_site() {
        insta::assert_snapshot!(sites_text(&action(), &plain()) + &summary(&action()));
    }

    #[test]
    fn a_list_shows_the_number_of_sites_in_each_state() {
        insta::assert_snapshot!(list_text(&[action()], &plain()));
        assert_eq!(list_text(&[], &plain()), "");
    }
}
