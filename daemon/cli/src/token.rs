//! `linecamp token`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use linecamp_model::limits::TOKEN_USES_MAX;
use linecamp_model::{Label, Name, TokenState, printable, shell_quoted};
use linecamp_proto::api::operation::{CreateToken, ListTokens, RevokeToken};
use linecamp_proto::api::query::PageQuery;
use linecamp_proto::api::{Token, TokenCreated, TokenRequest};

use crate::argument;
use crate::client::ApiRequest;
use crate::context::Context;
use crate::installer;
use crate::labels;
use crate::paging::{self, LimitArg};
use crate::text_style::TextStyle;
use linecamp_table::{Cell, Color, Table};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum TokenCommand {
    Create(Create),
    /// List join tokens, without their secrets
    #[command(after_help = "\
Examples:
  linecamp token ls
  linecamp token ls --environment production -o json")]
    Ls(LimitArg),
    /// Revoke a join token; sites that already joined are not affected
    #[command(after_help = "\
Example:
  linecamp token revoke 07ff3c5d9a1b2c4e")]
    Revoke(Revoke),
}

/// Create a join token
///
/// Prints the token and the command to run at a site. The token is shown only once: the server stores only its hash. It
/// contains the pin of the server's key, so that a site authenticates the server on its first connection. Sites join
/// the environment given with --environment [default: default].
///
/// All users of a machine can see the arguments of its processes, so the printed commands pass the token on stdin.
/// Paste them with their leading spaces: most shells then keep them out of their history.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp token create
  linecamp token create --file camp.tar
  linecamp token create --environment production --ttl 7days --uses 50 --label region=eu
  linecamp token create --replace camp-042
  linecamp token create -q | ssh camp-042 sudo linecampd join - \\
      --data /var/lib/linecamp --name camp-042")]
pub(crate) struct Create {
    /// Lifetime of the token
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = argument::ttl)]
    ttl: Duration,
    /// Maximum number of sites that can join with it
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=i64::from(TOKEN_USES_MAX)))]
    uses: u32,
    /// Label for sites that join with it; repeatable
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = Label::parse)]
    labels: Vec<Label>,
    /// Site to take over: the machine that joins becomes this site, and the earlier machine's key is revoked
    #[arg(long, value_name = "SITE", value_parser = argument::name, conflicts_with_all = ["uses", "labels"])]
    replace: Option<Name>,
    /// Print only TOKEN@HOST:PORT
    #[arg(short, long)]
    quiet: bool,
    /// Write an offline installer that contains the token to FILE.tar
    #[arg(long, value_name = "FILE.tar", conflicts_with = "quiet")]
    file: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Revoke {
    /// Token id, as shown by `linecamp token ls`, or the token
    #[arg(value_name = "ID")]
    id: String,
}

impl TokenCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run(context).await,
            Self::Ls(limit) => list(limit, context).await,
            Self::Revoke(revoke) => {
                let request = ApiRequest::<RevokeToken>::at(&argument::token_id(&revoke.id)?);
                let token = context.client()?.send(request).await?;
                let line = format!("{}  {}\n", printable(&token.id), printable(&token.state));
                Ok(context.out.show(&token, |_| line)?)
            }
        }
    }
}

impl Create {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let request = TokenRequest {
            environment: context.environment_or_default(),
            ttl_seconds: self.ttl.as_secs(),
            uses: if self.replace.is_some() { 1 } else { self.uses },
            labels: labels::label_options(self.labels, &context.out)?,
            replaces: self.replace.map(|site| site.to_string()),
            hosts_of: None,
        };
        let mut client = context.client()?;
        let created = client.send(ApiRequest::<CreateToken>::new().body(&request)).await?;
        check_shown(&created)?;
        if let Some(file) = &self.file {
            let bytes = installer::write(&mut client, &created, file).await?;
            let name = file.file_name().unwrap_or(file.as_os_str());
            context.out.note(&format!(
                "wrote {} ({:.1} MB). It contains a join token. To install a site, copy it there and run as root:\n\n  \
                 tar -xf {} && sh linecamp-site/install",
                file.display(),
                bytes as f64 / 1e6,
                shell_quoted(name)
            ));
            return Ok(context.out.show(&created.token, |_| String::new())?);
        }
        if self.quiet {
            context.out.print(&(printable(&created.join) + "\n"))?;
        } else {
            context.out.show(&created, |style| created_text(&created, style))?;
        }
        Ok(())
    }
}

/// Checks that the secret of a new token has arrived.
pub(crate) fn check_shown(created: &TokenCreated) -> anyhow::Result<()> {
    if created.secret_withheld {
        bail!(
            "the connection was lost after the server had created token {id}, and with it the secret. Revoke the token \
             and create another one: linecamp token revoke {id}",
            id = printable(&created.token.id)
        );
    }
    Ok(())
}

async fn list(limit: LimitArg, context: &Context<'_>) -> anyhow::Result<()> {
    let (query, client) = (PageQuery::default(), &mut context.client()?);
    let tokens = match &context.environment {
        None => paging::list::<ListTokens, _>(&query, limit, client, &context.out).await?,
        Some(environment) => {
            let all = paging::list::<ListTokens, _>(&query, LimitArg::default(), client, &context.out).await?;
            let meant = all.items.into_iter().filter(|token| token.environment == environment.as_str());
            meant.take(limit.limit.unwrap_or(usize::MAX)).collect()
        }
    };
    context.out.show(&tokens, |style| list_text(&tokens.items, style))?;
    if tokens.items.is_empty() {
        context.out.note("no join tokens");
    }
    Ok(())
}

fn created_text(created: &TokenCreated, style: &TextStyle) -> String {
    let token = &created.token;
    let install = created.install.as_ref().map_or_else(String::new, |line| {
        let line = printable(line);
        format!("To install linecampd on Debian, join and start it, run as root:\n\n  {line}\n\n")
    });
    let purpose = match &token.replaces {
        Some(site) => format!("replaces the machine of site {}", printable(site)),
        None => format!("uses {}", token.uses_max),
    };
    format!(
        "token {}  environment {}  expires in {}  {purpose}\n\n\
         The token is shown only once. Anyone who has it can join a site.\n\n{install}\
         If linecampd is already installed:\n\n  {}\n",
        printable(&token.id),
        printable(&token.environment),
        style.until(&token.expires_at),
        printable(&created.command),
    )
}

fn list_text(tokens: &[Token], style: &TextStyle) -> String {
    if tokens.is_empty() {
        return String::new();
    }
    let row = |token: &Token| {
        let is_valid = token.state == TokenState::Valid.as_str();
        let color = if is_valid { Color::Green } else { Color::Dim };
        let labels: Vec<_> = token.labels.iter().map(|label| format!("{}={}", label.key, label.value)).collect();
        [
            Cell::from(&token.id),
            Cell::from(&token.environment),
            Cell::colored(&token.state, color),
            Cell::from(if is_valid { style.until(&token.expires_at) } else { String::new() }),
            Cell::from(format!("{}/{}", token.uses_left, token.uses_max)),
            Cell::from(style.age(&token.created_at)),
            Cell::from(labels.join(",")),
            Cell::from(token.replaces.clone().unwrap_or_default()),
            Cell::from(token.hosts_of.clone().unwrap_or_default()),
        ]
    };
    Table::new(["ID", "ENVIRONMENT", "STATE", "EXPIRES IN", "USES LEFT", "AGE", "LABELS", "REPLACES", "HOSTS OF"])
        .with(tokens.iter().map(row))
        .render(style.colors)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::text_style::plain;

    pub(crate) fn token(state: &str) -> Token {
        Token {
            id: "0707070707070707".into(),
            environment: "default".into(),
            created_at: "2026-11-22T01:27:00Z".into(),
            expires_at: "2026-11-23T01:27:00Z".into(),
            uses_max: 50,
            uses_left: 49,
            labels: Vec::new(),
            replaces: None,
            hosts_of: None,
            state: state.into(),
        }
    }

    #[test]
    fn a_token_is_shown_with_its_command_and_listed_without() {
        let created = TokenCreated {
            token: token("valid"),
            join: "lct_x@camp.example:8443".into(),
            command: "printf '%s\\n' lct_x@camp.example:8443 | sudo linecampd join -".into(),
            install: Some("f=$(mktemp) && fetch $f && sh $f".into()),
            packages: Vec::new(),
            secret_withheld: false,
        };
        let listed = list_text(&[token("valid"), token("revoked")], &plain());
        insta::assert_snapshot!(created_text(&created, &plain()) + "---\n" + &listed);
    }
}
