//! `linecamp host add`.

use std::time::Duration;

use linecamp_model::limits::TOKEN_USES_MAX;
use linecamp_model::{Label, Name, printable};
use linecamp_proto::api::operation::CreateToken;
use linecamp_proto::api::{TokenCreated, TokenRequest};

use crate::argument;
use crate::client::ApiRequest;
use crate::context::Context;
use crate::labels;
use crate::text_style::TextStyle;
use crate::token::check_shown;

/// Add machines to a site as hosts that join the server
///
/// Prints a token and the commands to run at the machines, which may be anywhere. The token is shown only once: the
/// server stores only its hash. Machines on the LAN of the site can join its gateway instead, also while the server is
/// away: `linecampd token create` there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp host add --custom --site camp-042
  linecamp host add --custom --site camp-042 --uses 5 --label line=3
  linecamp host add --custom --site camp-042 -q | ssh box-1 sudo linecampd join - \\
      --data /var/lib/linecamp --host --site camp-042 --name box-1")]
pub(crate) struct HostAdd {
    /// Machines that exist: they join by themselves
    #[arg(long, required = true)]
    custom: bool,
    /// Site that the hosts belong to
    #[arg(long, value_name = "NAME", value_parser = argument::name)]
    site: Name,
    /// Lifetime of the token
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = argument::ttl)]
    ttl: Duration,
    /// Maximum number of hosts that can join with it
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(TOKEN_USES_MAX)))]
    uses: u32,
    /// Label for hosts that join with it; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = Label::parse)]
    labels: Vec<Label>,
    /// Print only TOKEN@HOST:PORT
    #[arg(short, long)]
    quiet: bool,
}

impl HostAdd {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let request = TokenRequest {
            environment: context.environment_or_default(),
            ttl_seconds: self.ttl.as_secs(),
            uses: self.uses,
            labels: labels::label_options(self.labels, &context.out)?,
            replaces: None,
            hosts_of: Some(self.site.to_string()),
        };
        let created = context.client()?.send(ApiRequest::<CreateToken>::new().body(&request)).await?;
        check_shown(&created)?;
        match self.quiet {
            true => Ok(context.out.print(&(printable(&created.join) + "\n"))?),
            false => Ok(context.out.show(&created, |style| created_text(&created, &self.site, style))?),
        }
    }
}

fn created_text(created: &TokenCreated, site: &Name, style: &TextStyle) -> String {
    let token = &created.token;
    let install = created.install.as_ref().map_or_else(String::new, |line| {
        let line = printable(line);
        format!("To install linecampd on Debian, join and start it, run as root:\n\n  {line}\n\n")
    });
    format!(
        "token {}  hosts of site {site}  expires in {}  uses {}\n\n\
         The token is shown only once. Anyone who has it can join a host of the site.\n\n{install}\
         If linecampd is already installed:\n\n  {}\n",
        printable(&token.id),
        style.until(&token.expires_at),
        token.uses_max,
        printable(&created.command),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_style::plain;
    use crate::token::tests::token;

    #[test]
    fn a_token_for_hosts_is_shown_with_its_commands() {
        let created = TokenCreated {
            token: linecamp_proto::api::Token { hosts_of: Some("camp-042".into()), uses_max: 1, ..token("valid") },
            join: "lct_x@camp.example:8443".into(),
            command: "printf '%s\\n' lct_x@camp.example:8443 | sudo linecampd join - --host --site camp-042".into(),
            install: Some("f=$(mktemp) && fetch $f && sh $f --host --site camp-042".into()),
            packages: Vec::new(),
            secret_withheld: false,
        };
        insta::assert_snapshot!(created_text(&created, &Name::parse("camp-042").unwrap(), &plain()));
    }
}
