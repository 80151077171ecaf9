//! `linecamp host`.

use linecamp_model::{Name, Selector, printable};
use linecamp_proto::api::operation::{
    ActivateHost, DeactivateHost, EditHost, Json, ListHosts, Operation, PatchHostLabels, RemoveHost, ShowHost,
};
use linecamp_proto::api::query::{HostNameQuery, HostQuery, HostSort};
use linecamp_proto::api::{Host, LabelChange};

use crate::argument;
use crate::client::ApiRequest;
use crate::conditions::conditions_table;
use crate::context::Context;
use crate::edit_args::EditArgs;
use crate::host_add::HostAdd;
use crate::host_arg::HostArg;
use crate::labels::{label_patch, labels_table};
use crate::list_args::{self, FilterArgs};
use crate::paging::{self, LimitArg};
use crate::site_state::{self, State};
use crate::text_style::TextStyle;
use linecamp_table::{Cell, Table};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum HostCommand {
    /// List hosts
    ///
    /// A host inherits the labels of its site; its own labels override them. The name of a host is unique within its
    /// site.
    #[command(after_help = "\
Examples:
  linecamp host ls --site camp-042
  linecamp host ls -l 'gpu, io.linecamp.host.memory_mib>=8192'")]
    Ls(Ls),
    /// Show a host
    #[command(after_help = "\
Examples:
  linecamp host show box-1
  linecamp host show camp-042/box-1")]
    Show(Target),
    Label(Label),
    /// Change a host's name or description
    #[command(override_usage = "linecamp host edit <[SITE/]HOST> [--name <NEW_NAME>] [--description <TEXT>]")]
    #[command(after_help = "\
Examples:
  linecamp host edit box-1 --description 'the left one'
  linecamp host edit camp-042/box-1 --name gateway")]
    Edit(Edit),
    /// Deactivate a host: take it out of service
    ///
    /// The machine keeps running. Providers with --withdraw-inactive delete its records.
    #[command(after_help = "\
Examples:
  linecamp host deactivate box-1
  linecamp host deactivate camp-042/box-1")]
    Deactivate(Target),
    /// Activate a host
    #[command(after_help = "\
Examples:
  linecamp host activate box-1
  linecamp host activate camp-042/box-1")]
    Activate(Target),
    Add(HostAdd),
    /// Remove a host that joined its gateway or the server
    ///
    /// Only an inactive host is removed; --force removes it in any state. The machine is left as it is, and prints how
    /// to clean it up. Its key is never accepted again.
    #[command(after_help = "\
Examples:
  linecamp host rm camp-042/box-1
  linecamp host rm camp-042/box-1 --force      in any state, without waiting for the site")]
    Rm(Rm),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    target: Target,
    /// Remove in any state, without waiting for the site to confirm
    #[arg(long)]
    force: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Ls {
    /// Only hosts whose labels match
    #[arg(short = 'l', long, value_name = "SELECTOR", value_parser = argument::selector)]
    selector: Option<Selector>,
    /// Only hosts of this site
    #[arg(long, value_name = "NAME", value_parser = argument::name)]
    site: Option<Name>,
    #[command(flatten)]
    filter: FilterArgs,
    /// Sort by name, site, state, link or link-since [default: name]
    #[arg(long, value_name = "FIELD", value_parser = list_args::value::<HostSort>)]
    sort: Option<HostSort>,
    /// Show the highest first
    #[arg(long)]
    descending: bool,
    #[command(flatten)]
    limit: LimitArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Target {
    /// The host, with its site if several sites have a host of that name
    #[arg(value_name = "[SITE/]HOST")]
    host: HostArg,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Edit {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    values: EditArgs,
}

/// Set or remove labels of a host
///
/// KEY=VALUE sets a label, KEY- removes it; other labels do not change. These are the centrally assigned labels. They
/// override labels set locally at the site.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp host label box-1 rack=r7 tier-
  linecamp host label camp-042/box-1 rack=r7")]
pub(crate) struct Label {
    #[command(flatten)]
    target: Target,
    /// Labels to set or remove
    #[arg(value_name = "KEY=VALUE|KEY-", required = true)]
    arguments: Vec<String>,
}

impl HostCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Ls(ls) => ls.run(context).await,
            Self::Show(target) => {
                let host = context.client()?.send(target.request::<ShowHost>(context)).await?;
                Ok(context.out.show(&host, |style| show(&host, style))?)
            }
            Self::Label(label) => {
                let change = LabelChange::from(&label_patch(&label.arguments, context)?);
                let request = label.target.request::<PatchHostLabels>(context);
                change_host(request.body(&change), context).await
            }
            Self::Edit(edit) => {
                let request = edit.target.request::<EditHost>(context);
                change_host(request.body(&edit.values.edit()), context).await
            }
            Self::Deactivate(target) => change_host(target.request::<DeactivateHost>(context), context).await,
            Self::Activate(target) => change_host(target.request::<ActivateHost>(context), context).await,
            Self::Add(add) => add.run(context).await,
            Self::Rm(Rm { target: Target { host }, force }) => {
                let query = host.remove_query(force, context);
                let request = ApiRequest::<RemoveHost>::at(&host.name).query(&query);
                let removed = context.client()?.send(request).await?;
                Ok(context.out.show(&removed, |style| removed_text(&removed, style))?)
            }
        }
    }
}

impl Target {
    /// Creates a request about the host.
    fn request<O: Operation<Query = HostNameQuery>>(&self, context: &Context<'_>) -> ApiRequest<O> {
        ApiRequest::at(&self.host.name).query(&self.host.query(context))
    }
}

impl Ls {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let query = HostQuery {
            selector: self.selector.map(|selector| selector.to_string()),
            environment: context.environment_text(),
            site: self.site.map(|site| site.to_string()),
            state: self.filter.state(),
            link: self.filter.link,
            condition: self.filter.condition(),
            text: self.filter.text,
            sort: self.sort,
            descending: self.descending,
            ..HostQuery::default()
        };
        let hosts = paging::list::<ListHosts, _>(&query, self.limit, &mut context.client()?, &context.out).await?;
        context.out.show(&hosts, |style| list(&hosts.items, style))?;
        if hosts.items.is_empty() {
            context.out.note("no hosts");
        }
        Ok(())
    }
}

async fn change_host<O>(request: ApiRequest<O>, context: &Context<'_>) -> anyhow::Result<()>
where
    O: Operation<Response = Json<Host>> + Clone,
{
    let host = context.client()?.send(request).await?;
    Ok(context.out.show(&host, |style| changed(&host, style))?)
}

fn list(hosts: &[Host], style: &TextStyle) -> String {
    if hosts.is_empty() {
        return String::new();
    }
    let row = |host: &Host| {
        let state = State::from(host);
        [
            Cell::from(&host.name),
            Cell::from(&host.site),
            Cell::from(&host.environment),
            Cell::from(&host.origin),
            state.cell(),
            state.since_cell(style),
            Cell::from(&host.description),
        ]
    };
    Table::new(["NAME", "SITE", "ENVIRONMENT", "ORIGIN", "STATE", "SINCE", "DESCRIPTION"])
        .with(hosts.iter().map(row))
        .render(style.colors)
}

fn show(host: &Host, style: &TextStyle) -> String {
    let state = State::from(host);
    let mut properties = vec![
        ["name".into(), Cell::from(&host.name)],
        ["id".into(), Cell::from(&host.id)],
        ["site".into(), Cell::from(&host.site)],
        ["environment".into(), Cell::from(&host.environment)],
        ["origin".into(), Cell::from(&host.origin)],
        ["description".into(), Cell::from(&host.description)],
        ["state".into(), state.cell()],
        ["since".into(), Cell::from(format!("{} ({} ago)", state.since(), style.age(state.since())))],
    ];
    if let Some(waits_for) = &host.waits_for {
        properties.push(["waits for".into(), Cell::from(waits_for)]);
    }
    let link = format!("{} {} with the {}", host.link.state, style.age(&host.link.since), host.via);
    properties.push(["link".into(), Cell::colored(&link, site_state::color(&host.link.state))]);
    properties.push(["joined".into(), Cell::from(format!("{} ago", style.age(&host.joined_at)))]);
    properties.push(["daemon".into(), Cell::from(&host.daemon_version)]);
    let properties = Table::bare().with(properties).render(style.colors);
    let parts = [properties, labels_table(&host.labels, style), conditions_table(&host.conditions, style)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

fn changed(host: &Host, style: &TextStyle) -> String {
    let state = State::from(host);
    let state_text = style.paint(state.name(), site_state::color(state.name()));
    let mut text = format!("{}/{}  {state_text}\n", printable(&host.site), printable(&host.name));
    if !host.link.is_connected() {
        text += "the host is offline; it applies this when it reconnects\n";
    }
    text
}

fn removed_text(host: &Host, style: &TextStyle) -> String {
    let state = State::from(host);
    let state_text = style.paint(state.name(), site_state::color(state.name()));
    let waits_for =
        host.waits_for.as_deref().map_or_else(String::new, |text| format!(", waits for {}", printable(text)));
    format!(
        "{}/{}  {state_text}{waits_for}\n\
         The machine is left as it is. To remove linecampd from it, run there as root:\n\n  \
         apt-get purge linecampd\n",
        printable(&host.site),
        printable(&host.name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::host;
    use crate::text_style::plain;

    #[test]
    fn hosts_are_listed_and_shown_with_their_labels() {
        let mut offline = Host { name: "box-1".into(), ..host("camp-007") };
        offline.link.state = "reconnecting".into();
        let all = [
            list(&[host("camp-042"), offline.clone()], &plain()),
            show(&host("camp-042"), &plain()),
            changed(&offline, &plain()),
        ];
        insta::assert_snapshot!(all.join("---\n"));
    }
}
