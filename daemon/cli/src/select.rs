//! `linecamp select`.

use linecamp_model::{Name, Selector};
use linecamp_proto::api::Candidate;
use linecamp_proto::api::operation::SelectHosts;
use linecamp_proto::api::query::SelectionQuery;
use linecamp_table::{Cell, Color, Table};

use crate::argument;
use crate::context::Context;
use crate::paging::{self, LimitArg};
use crate::text_style::TextStyle;

/// Show which hosts a selector selects for something new
///
/// A host is eligible if the selector matches its labels, it and its site are active, and it has a link. With --all,
/// the others are listed too, each with the reason. Hosts that are not eligible keep what they have.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp select 'gpu, zone in (a,b)'
  linecamp select 'io.linecamp.host.memory_mib>=8192' --site camp-042 --all")]
pub(crate) struct Select {
    /// Label selector
    #[arg(value_name = "SELECTOR", value_parser = argument::selector)]
    selector: Selector,
    /// Only hosts of this site
    #[arg(long, value_name = "NAME", value_parser = argument::name)]
    site: Option<Name>,
    /// Also list the hosts that are not eligible, with the reason
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    limit: LimitArg,
}

impl Select {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let query = SelectionQuery {
            selector: Some(self.selector.to_string()),
            environment: context.environment_text(),
            site: self.site.map(|site| site.to_string()),
            all: self.all,
            ..SelectionQuery::default()
        };
        let found = paging::list::<SelectHosts, _>(&query, self.limit, &mut context.client()?, &context.out).await?;
        context.out.show(&found, |style| list(&found.items, style))?;
        if found.items.is_empty() {
            context.out.note(if self.all { "no hosts" } else { "no eligible hosts; --all shows why" });
        }
        Ok(())
    }
}

fn list(found: &[Candidate], style: &TextStyle) -> String {
    if found.is_empty() {
        return String::new();
    }
    let row = |host: &Candidate| {
        let (word, color) = if host.eligible { ("yes", Color::Green) } else { ("no", Color::Dim) };
        [
            Cell::from(&host.name),
            Cell::from(&host.site),
            Cell::from(&host.environment),
            Cell::colored(word, color),
            Cell::from(host.reason.clone().unwrap_or_default()),
        ]
    };
    Table::new(["NAME", "SITE", "ENVIRONMENT", "ELIGIBLE", "REASON"]).with(found.iter().map(row)).render(style.colors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_style::plain;

    fn candidate(name: &str, reason: Option<(&str, &str)>) -> Candidate {
        Candidate {
            id: "0707".into(),
            name: name.into(),
            site: "camp-042".into(),
            environment: "default".into(),
            eligible: reason.is_none(),
            obstacle: reason.map(|(kind, _)| kind.into()),
            reason: reason.map(|(_, text)| text.into()),
        }
    }

    #[test]
    fn candidates_are_listed_with_the_reasons_of_those_that_are_not_eligible() {
        let all = [
            candidate("box-1", None),
            candidate("box-2", Some(("label", "gpu: there is no such label"))),
            candidate("box-3", Some(("phase", "the host is inactive"))),
        ];
        insta::assert_snapshot!(list(&all, &plain()));
    }
}
