//! `linecamp restore`: what is held since the server was restored from a backup.

use linecamp_model::{Name, Selector, printable};
use linecamp_proto::api::operation::Json;
use linecamp_proto::api::operation::{AcceptHeld, Operation, RejectHeld, ShowRestore};
use linecamp_proto::api::query::RestoreQuery;
use linecamp_proto::api::{HELD_ITEMS_MAX, HeldApiKey, HeldItems, HeldLeft, HeldSite, RefusedContact, Restore};
use linecamp_table::{Cell, Color, Table};

use crate::argument::{self, ArgumentError};
use crate::client::{ApiRequest, Client};
use crate::context::Context;
use crate::paging::{self, LimitArg, Page};
use crate::text_style::TextStyle;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum RestoreCommand {
    /// List what is held since the server was restored from a backup
    #[command(after_help = "\
Examples:
  linecamp restore ls
  linecamp restore ls -l region=eu")]
    Ls(Ls),
    /// Accept what is held: sites connect, join tokens and API keys are valid again
    #[command(override_usage = "linecamp restore accept <SELECTION>... [--yes]")]
    #[command(after_help = "\
Examples:
  linecamp restore accept --site camp-042 --token 07ff3c5d9a1b2c4e
  linecamp restore accept -l region=eu --yes
  linecamp restore accept --all --yes")]
    Accept(Settle),
    /// Reject what is held: remove sites as by `site rm --force`, revoke join tokens, delete API keys
    #[command(override_usage = "linecamp restore reject <SELECTION>... [--yes]")]
    #[command(after_help = "\
Examples:
  linecamp restore reject --site camp-007
  linecamp restore reject --key old-ci")]
    Reject(Settle),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// List only sites whose labels match
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = argument::selector)]
    selector: Option<Selector>,
}

#[derive(Debug, clap::Args)]
#[command(group(
    clap::ArgGroup::new("settled").required(true).multiple(true)
        .args(["selector", "all", "sites", "tokens", "keys"])
))]
pub(crate) struct Settle {
    /// All held sites whose labels match; without --yes, only preview
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = argument::selector, conflicts_with = "all")]
    selector: Option<Selector>,
    /// Everything that is held; without --yes, only preview
    #[arg(long, conflicts_with_all = ["sites", "tokens", "keys"])]
    all: bool,
    /// A held site; may be repeated
    #[arg(long = "site", value_name = "NAME", value_parser = argument::name)]
    sites: Vec<Name>,
    /// A held join token, as shown by `restore ls`; may be repeated
    #[arg(long = "token", value_name = "ID")]
    tokens: Vec<String>,
    /// A held API key, by its name or its ID; may be repeated
    #[arg(long = "key", value_name = "NAME|ID", value_parser = argument::name)]
    keys: Vec<Name>,
    /// Apply the change to all that --all or a selector matches
    #[arg(long)]
    yes: bool,
}

impl RestoreCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Ls(ls) => list(ls.selector.as_ref(), context).await,
            Self::Accept(settle) => settle.run::<AcceptHeld>("accepted", context).await,
            Self::Reject(settle) => settle.run::<RejectHeld>("rejected", context).await,
        }
    }
}

async fn held(client: &mut Client, selector: Option<&Selector>, context: &Context<'_>) -> anyhow::Result<Restore> {
    let query = RestoreQuery {
        selector: selector.map(ToString::to_string),
        environment: context.environment_text(),
        ..RestoreQuery::default()
    };
    Ok(paging::list::<ShowRestore, _>(&query, LimitArg::default(), client, &context.out).await?)
}

impl Page for Restore {
    fn append(&mut self, page: Self) {
        let mut sites = std::mem::take(&mut self.sites);
        sites.extend(page.sites);
        *self = Self { sites, ..page };
    }

    fn next(&self) -> Option<&str> {
        self.next.as_deref()
    }

    fn counts(&self) -> (usize, u64) {
        (self.sites.len(), self.total)
    }
}

async fn list(selector: Option<&Selector>, context: &Context<'_>) -> anyhow::Result<()> {
    let held = held(&mut context.client()?, selector, context).await?;
    context.out.show(&held, |style| list_text(&held, style))?;
    if held.restored.is_none() {
        context.out.note("nothing is held: the server was not restored from a backup, or everything is settled");
    }
    Ok(())
}

impl Settle {
    async fn run<O>(self, done: &str, context: &Context<'_>) -> anyhow::Result<()>
    where
        O: Operation<Request = Json<HeldItems>, Response = Json<HeldLeft>> + Clone,
    {
        if self.selector.as_ref().is_some_and(Selector::is_all) {
            return Err(ArgumentError::EmptySelector.into());
        }
        let mut client = context.client()?;
        let held = held(&mut client, self.selector.as_ref(), context).await?;
        let is_bulk = self.all || self.selector.is_some();
        let is_narrowed = self.selector.is_some() || context.environment.is_some();
        let items = match is_bulk {
            true => everything(&held, is_narrowed),
            false => self.named(&held)?,
        };
        let count = items.sites.len() + items.tokens.len() + items.api_keys.len();
        if is_bulk && !self.yes {
            context.out.show(&items, |style| list_text(&chosen(&held, &items), style))?;
            context.out.note("nothing changed; add --yes to apply");
            return Ok(());
        }
        if count == 0 {
            context.out.note("nothing matches; nothing changed");
            return Ok(());
        }
        let mut left = None;
        for part in parts(&items) {
            left = Some(client.send(ApiRequest::<O>::new().body(&part)).await?);
        }
        let Some(left) = left else { return Ok(()) };
        context.out.show(&left, |_| settled_text(done, &items, &left))?;
        Ok(())
    }

    /// Returns what is named, by its ids.
    fn named(&self, held: &Restore) -> Result<HeldItems, ArgumentError> {
        let site = |name: &Name| {
            let mut found = held.sites.iter().filter(|site| site.name == name.as_str());
            match (found.next(), found.next()) {
                (Some(site), None) => Ok(site.id.clone()),
                (None, _) => Err(ArgumentError::NotHeld { what: format!("site {name}") }),
                (Some(_), Some(_)) => Err(ArgumentError::AmbiguousHeldSite { name: name.to_string() }),
            }
        };
        let token = |argument: &String| {
            let id = argument::token_id(argument)?.to_string();
            let is_held = held.tokens.iter().any(|token| token.id == id);
            is_held.then_some(id.clone()).ok_or_else(|| ArgumentError::NotHeld { what: format!("join token {id}") })
        };
        let key = |argument: &Name| {
            let is_given = |key: &&HeldApiKey| key.id == argument.as_str() || key.name == argument.as_str();
            let mut found = held.api_keys.iter().filter(is_given);
            match (found.next(), found.next()) {
                (Some(key), None) => Ok(key.id.clone()),
                (None, _) => Err(ArgumentError::NotHeld { what: format!("API key {argument}") }),
                (Some(_), Some(_)) => Err(ArgumentError::AmbiguousHeldKey { name: argument.to_string() }),
            }
        };
        Ok(HeldItems {
            sites: self.sites.iter().map(site).collect::<Result<_, _>>()?,
            tokens: self.tokens.iter().map(token).collect::<Result<_, _>>()?,
            api_keys: self.keys.iter().map(key).collect::<Result<_, _>>()?,
        })
    }
}

/// Returns all that is listed: with a selector or an environment, only sites.
fn everything(held: &Restore, is_narrowed: bool) -> HeldItems {
    let sites = held.sites.iter().map(|site| site.id.clone()).collect();
    match is_narrowed {
        true => HeldItems { sites, ..HeldItems::default() },
        false => HeldItems {
            sites,
            tokens: held.tokens.iter().map(|token| token.id.clone()).collect(),
            api_keys: held.api_keys.iter().map(|key| key.id.clone()).collect(),
        },
    }
}

/// Returns the listed objects that `items` names.
fn chosen(held: &Restore, items: &HeldItems) -> Restore {
    let mut chosen = held.clone();
    chosen.sites.retain(|site| items.sites.contains(&site.id));
    chosen.tokens.retain(|token| items.tokens.contains(&token.id));
    chosen.api_keys.retain(|key| items.api_keys.contains(&key.id));
    chosen.unknown.clear();
    chosen
}

/// Splits `items` into requests of a size that the server takes.
fn parts(items: &HeldItems) -> Vec<HeldItems> {
    let sites =
        items.sites.chunks(HELD_ITEMS_MAX).map(|sites| HeldItems { sites: sites.to_vec(), ..HeldItems::default() });
    let tokens =
        items.tokens.chunks(HELD_ITEMS_MAX).map(|tokens| HeldItems { tokens: tokens.to_vec(), ..HeldItems::default() });
    let keys =
        items.api_keys.chunks(HELD_ITEMS_MAX).map(|keys| HeldItems { api_keys: keys.to_vec(), ..HeldItems::default() });
    sites.chain(tokens).chain(keys).collect()
}

fn settled_text(done: &str, items: &HeldItems, left: &HeldLeft) -> String {
    let remaining = match &left.restored {
        None => "nothing is held any more".to_owned(),
        Some(left) => {
            format!("still held: {}", counts(left.held_sites, left.held_tokens, left.held_api_keys))
        }
    };
    let settled = counts(items.sites.len(), items.tokens.len(), items.api_keys.len());
    format!("{done}: {settled}\n{remaining}\n")
}

fn counts(sites: usize, tokens: usize, api_keys: usize) -> String {
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    [counted(sites, "site"), counted(tokens, "join token"), counted(api_keys, "API key")].join(", ")
}

fn list_text(held: &Restore, style: &TextStyle) -> String {
    let Some(from) = &held.restored else { return String::new() };
    let (restored, taken) = (printable(&from.restored_at), printable(&from.taken_at));
    let mut sections = vec![format!("restored at {restored} from a backup taken at {taken}\n")];
    let asked = |contact: &Option<RefusedContact>| match contact {
        Some(contact) => format!("{} ago from {}", style.age(&contact.at), contact.address),
        None => "no".to_owned(),
    };
    let site = |site: &HeldSite| {
        let color = if site.evidence == "unchanged" { Color::Dim } else { Color::Yellow };
        [
            Cell::from(&site.name),
            Cell::from(&site.environment),
            Cell::from(&site.state),
            Cell::from(style.age(&site.last_contact)),
            Cell::from(asked(&site.asked)),
            Cell::colored(&site.evidence, color),
        ]
    };
    if !held.sites.is_empty() {
        let headings = ["SITE", "ENVIRONMENT", "STATE", "LAST CONTACT", "ASKED TO CONNECT", "EVIDENCE"];
        sections.push(Table::new(headings).with(held.sites.iter().map(site)).render(style.colors));
    }
    if !held.tokens.is_empty() {
        let rows = held.tokens.iter().map(|token| {
            let age = Cell::from(style.age(&token.created_at));
            [Cell::from(&token.id), Cell::from(&token.environment), age, Cell::from(style.until(&token.expires_at))]
        });
        sections.push(Table::new(["TOKEN", "ENVIRONMENT", "AGE", "EXPIRES IN"]).with(rows).render(style.colors));
    }
    if !held.api_keys.is_empty() {
        let rows = held.api_keys.iter().map(|key| {
            let user = key.user.as_deref().unwrap_or("-");
            [Cell::from(&key.name), Cell::from(user), Cell::from(&key.id), Cell::from(style.age(&key.created_at))]
        });
        sections.push(Table::new(["API KEY", "USER", "ID", "AGE"]).with(rows).render(style.colors));
    }
    if !held.unknown.is_empty() {
        let rows = held
            .unknown
            .iter()
            .map(|contact| [Cell::from(&contact.address), Cell::from(format!("{} ago", style.age(&contact.at)))]);
        sections.push(Table::new(["UNKNOWN MACHINE", "ASKED TO CONNECT"]).with(rows).render(style.colors));
        sections.push("Unknown machines joined after the backup: join them again with a new token.\n".to_owned());
    }
    sections.join("\n")
}

#[cfg(test)]
mod tests {
    use linecamp_proto::api::Restored;

    use super::*;
    use crate::text_style::plain;

    fn restore() -> Restore {
        let at = || "2026-11-22T01:27:00Z".to_owned();
        let contact = || RefusedContact { at: at(), address: "192.0.2.7:4711".into() };
        let site = |name: &str, asked, evidence: &str| HeldSite {
            id: format!("id-of-{name}"),
            name: name.into(),
            environment: "default".into(),
            state: "active".into(),
            last_contact: at(),
            asked,
            evidence: evidence.into(),
        };
        let key = |id: &str, user: Option<&str>| HeldApiKey {
            id: id.into(),
            name: "ci".into(),
            user: user.map(Into::into),
            created_at: at(),
        };
        let restored = Restored { taken_at: at(), restored_at: at(), held_sites: 2, held_tokens: 0, held_api_keys: 1 };
        Restore {
            restored: Some(restored),
            sites: vec![site("camp-007", None, "not-seen"), site("camp-042", Some(contact()), "changed")],
            next: None,
            total: 2,
            tokens: Vec::new(),
            api_keys: vec![key("07ff3c5d9a1b2c4e", None)],
            unknown: vec![contact()],
        }
    }

    #[test]
    fn what_is_held_is_listed_with_its_evidence() {
        let left = HeldLeft { restored: restore().restored };
        let items = everything(&restore(), false);
        let text = list_text(&restore(), &plain()) + "---\n" + &settled_text("accepted", &items, &left);
        insta::assert_snapshot!(text);
    }

    #[test]
    fn many_are_settled_in_several_requests() {
        let sites = (0..=HELD_ITEMS_MAX).map(|number| number.to_string()).collect();
        let items = HeldItems { sites, tokens: vec!["a".into()], api_keys: Vec::new() };
        let sizes: Vec<_> = parts(&items).iter().map(|part| (part.sites.len(), part.tokens.len())).collect();
        assert_eq!(sizes, [(HELD_ITEMS_MAX, 0), (1, 0), (0, 1)]);
    }

    #[test]
    fn a_selection_in_one_environment_leaves_tokens_and_keys() {
        assert_eq!(everything(&restore(), true).api_keys.len(), 0);
        assert_eq!(everything(&restore(), false).api_keys.len(), 1);
    }
}
