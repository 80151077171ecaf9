//! The same thing done to one site, or to many that a selector matches.
//!
//! With a selector, the server is asked whom it matches, and nothing is changed without `--yes`: the preview says
//! whom it would hit, and how many of those are dark. With `--yes` the sites are gone through one by one over one
//! connection; a refusal does not stop the others, the loss of the server does. Either makes the command fail.

use linecamp_model::{Name, Selector};
use linecamp_proto::api::path::{self, NameQuery, RemoveQuery, SiteQuery, at};
use linecamp_proto::api::{LabelChange, List, Preview, PreviewItem, Site};
use serde::Serialize;

use crate::argument::{self, ArgumentError};
use crate::client::{ApiRequest, Client, ClientError};
use crate::global::Context;
use crate::output::{Cell, Colour, Table, TextStyle};
use crate::site;
use crate::state::State;

/// One site by name, or many by selector.
#[derive(Debug, clap::Args)]
pub(crate) struct Targets {
    /// The site
    #[arg(value_name = "NAME", value_parser = argument::name)]
    #[arg(required_unless_present = "selector", conflicts_with_all = ["selector", "yes"])]
    name: Option<Name>,
    #[command(flatten)]
    many: Many,
}

/// Many by selector.
#[derive(Debug, clap::Args)]
pub(crate) struct Many {
    /// Instead of a NAME: every site that matches; shows whom that hits, and changes nothing without --yes
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = argument::selector)]
    pub(crate) selector: Option<Selector>,
    /// Do it to all that match
    #[arg(long, requires = "selector")]
    pub(crate) yes: bool,
}

impl Targets {
    /// Does `action` to whom it is meant for.
    pub(crate) async fn run(self, action: Action, context: &Context<'_>) -> anyhow::Result<()> {
        match (self.name, self.many.selector) {
            (_, Some(selector)) => run_many(&selector, self.many.yes, &action, context).await,
            (Some(name), None) => run_one(&name, &action, context).await,
            (None, None) => unreachable!("clap asks for one of the two"),
        }
    }
}

/// What can be done to a site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Change its labels.
    Label(LabelChange),
    /// Take it out of service.
    Deactivate,
    /// Take it back into service.
    Activate,
    /// Accept it.
    Accept,
    /// Remove it, with force or without.
    Remove { force: bool },
}

impl Action {
    fn request(&self, name: &str, environment: Option<String>) -> ApiRequest {
        let query = NameQuery { environment: environment.clone() };
        let post = |path| ApiRequest::post(at(path, &name)).query(&query);
        match self {
            Self::Label(change) => post(path::SITE_LABELS).body(change),
            Self::Deactivate => post(path::SITE_DEACTIVATE),
            Self::Activate => post(path::SITE_ACTIVATE),
            Self::Accept => post(path::SITE_ACCEPT),
            Self::Remove { force } => {
                let force = *force;
                ApiRequest::delete(at(path::SITE, &name)).query(&RemoveQuery { environment, force })
            }
        }
    }
}

/// Does `action` to the site called `name`, and shows the site as it is afterwards.
pub(crate) async fn run_one(name: &Name, action: &Action, context: &Context<'_>) -> anyhow::Result<()> {
    let request = action.request(name.as_str(), context.environment_text());
    let site: Site = context.client()?.send(request).await?;
    context.out.show(&site, |style| site::changed(&site, style))?;
    Ok(())
}

/// Does `action` to every site that `selector` matches, or with `yes` unset says whom that would hit.
pub(crate) async fn run_many(
    selector: &Selector,
    yes: bool,
    action: &Action,
    context: &Context<'_>,
) -> anyhow::Result<()> {
    if selector.is_all() {
        return Err(ArgumentError::SelectsAll.into());
    }
    let mut client = context.client()?;
    let query =
        SiteQuery { selector: Some(selector.to_string()), environment: context.environment_text(), labels: None };
    let sites: List<Site> = client.send(ApiRequest::get(path::SITES).query(&query)).await?;
    let preview = Preview::from(&sites.items[..]);
    if !yes {
        context.out.show(&preview, |style| preview_text(&preview, style))?;
        context.out.note(&preview_note(&preview));
        return Ok(());
    }
    let outcomes = act(&preview, action, &mut client).await;
    let failed = outcomes.items.iter().filter(|outcome| outcome.error.is_some()).count();
    context.out.show(&outcomes, |style| outcomes_text(&outcomes, style))?;
    if preview.matched == 0 {
        context.out.note(&preview_note(&preview));
    }
    match failed {
        0 => Ok(()),
        _ => anyhow::bail!("{failed} of {} sites are not changed; the others are", preview.matched),
    }
}

/// Goes through the sites. A refusal concerns its site alone; anything else concerns all that follow.
async fn act(preview: &Preview, action: &Action, client: &mut Client) -> List<Outcome> {
    let mut items = Vec::with_capacity(preview.items.len());
    let mut lost = false;
    for item in &preview.items {
        let mut outcome =
            Outcome { name: item.name.clone(), environment: item.environment.clone(), state: None, error: None };
        if lost {
            outcome.error = Some("not tried".into());
        } else {
            let request = action.request(&item.name, Some(item.environment.clone()));
            match client.send::<Site>(request).await {
                Ok(site) => outcome.state = Some(State::from(&site).word().into()),
                Err(error) => {
                    lost = !matches!(error, ClientError::Refused { .. });
                    outcome.error = Some(format!("{:#}", anyhow::Error::from(error)));
                }
            }
        }
        items.push(outcome);
    }
    List { items }
}

/// What became of one of many.
#[derive(Debug, Serialize)]
struct Outcome {
    name: String,
    environment: String,
    /// How the site is afterwards; `null` if it refused.
    state: Option<String>,
    /// Why it refused; `null` if it did not.
    error: Option<String>,
}

pub(crate) fn preview_text(preview: &Preview, style: &TextStyle) -> String {
    if preview.items.is_empty() {
        return String::new();
    }
    let row = |item: &PreviewItem| {
        let state = State::from(item);
        [Cell::from(&item.name), Cell::from(&item.environment), state.cell(), state.since_cell(style)]
    };
    Table::new(["NAME", "ENVIRONMENT", "STATE", "SINCE"]).with(preview.items.iter().map(row)).render(style)
}

fn preview_note(preview: &Preview) -> String {
    let verb = if preview.matched == 1 { "site matches" } else { "sites match" };
    match preview.matched {
        0 => "no site matches; nothing was changed".into(),
        matched => format!("{matched} {verb}{}\nnothing was changed; add --yes to do it", dark_clause(preview)),
    }
}

pub(crate) fn dark_clause(preview: &Preview) -> String {
    match preview.dark {
        0 => String::new(),
        dark => format!(", {dark} of them dark: who is dark follows when it is back"),
    }
}

fn outcomes_text(outcomes: &List<Outcome>, style: &TextStyle) -> String {
    if outcomes.items.is_empty() {
        return String::new();
    }
    let row = |outcome: &Outcome| {
        let result = match &outcome.error {
            Some(error) => Cell::coloured(error, Colour::Red),
            None => Cell::from("done"),
        };
        let state = outcome.state.as_deref().unwrap_or_default();
        [Cell::from(&outcome.name), Cell::from(&outcome.environment), Cell::from(state), result]
    };
    Table::new(["NAME", "ENVIRONMENT", "STATE", "RESULT"]).with(outcomes.items.iter().map(row)).render(style)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tests::plain;
    use crate::site::tests::site;

    fn preview() -> Preview {
        let mut dark = site("camp-007");
        dark.link.state = "disconnected".into();
        Preview::from(&[site("camp-042"), dark][..])
    }

    #[test]
    fn a_preview_says_whom_it_hits_and_how_many_are_dark() {
        insta::assert_snapshot!(preview_text(&preview(), &plain()) + &preview_note(&preview()));
        let nobody = Preview::from(&[][..]);
        assert_eq!(preview_text(&nobody, &plain()), "");
        assert_eq!(preview_note(&nobody), "no site matches; nothing was changed");
    }

    #[test]
    fn an_outcome_says_what_was_refused() {
        let outcome = |name: &str, state: Option<&str>, error: Option<&str>| Outcome {
            name: name.into(),
            environment: "default".into(),
            state: state.map(Into::into),
            error: error.map(Into::into),
        };
        let items = vec![
            outcome("camp-007", Some("deactivating"), None),
            outcome("camp-042", None, Some("camp-042 is being removed")),
        ];
        insta::assert_snapshot!(outcomes_text(&List { items }, &plain()));
    }

    #[test]
    fn an_action_on_one_of_many_names_its_environment() {
        let request = Action::Remove { force: true }.request("camp-042", Some("lab".into()));
        let expected = ApiRequest::delete("/api/v1/sites/camp-042")
            .query(&RemoveQuery { environment: Some("lab".into()), force: true });
        assert_eq!(request, expected);
    }
}
