//! `linecamp session`.

use linecamp_model::{Name, UserSessionId};
use linecamp_proto::api::account::Session;
use linecamp_proto::api::operation::{EndSession, EndUserSessions, ListSessions};
use linecamp_proto::api::query::PageQuery;
use linecamp_table::{Cell, Table};

use crate::argument;
use crate::client::ApiRequest;
use crate::context::Context;
use crate::paging::{self, LimitArg};
use crate::text_style::TextStyle;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum SessionCommand {
    /// List sessions: your own; an admin in all environments sees all
    #[command(after_help = "\
Example:
  linecamp session ls")]
    Ls(LimitArg),
    /// End a session, or all sessions of a user
    #[command(after_help = "\
Examples:
  linecamp session end 07ff3c5d9a1b2c4e
  linecamp session end --user anna")]
    End(End),
}

#[derive(Debug, clap::Args)]
pub(crate) struct End {
    /// ID of the session, as shown by `linecamp session ls`
    #[arg(value_name = "ID", value_parser = session_id, required_unless_present = "user")]
    id: Option<UserSessionId>,
    /// User whose sessions all end
    #[arg(long, value_name = "NAME", value_parser = argument::name, conflicts_with = "id")]
    user: Option<Name>,
}

impl SessionCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let mut client = context.client()?;
        match self {
            Self::Ls(limit) => {
                let query = PageQuery::default();
                let all = paging::list::<ListSessions, _>(&query, limit, &mut client, &context.out).await?;
                Ok(context.out.show(&all, |style| list(&all.items, style))?)
            }
            Self::End(End { id: Some(id), .. }) => {
                let session = client.send(ApiRequest::<EndSession>::at(&id)).await?;
                Ok(context.out.show(&session, |_| format!("session {id} ended\n"))?)
            }
            Self::End(End { id: None, user }) => {
                let user = user.expect("clap requires one of the two");
                let ended = client.send(ApiRequest::<EndUserSessions>::at(&user)).await?;
                Ok(context.out.show(&ended, |_| format!("{} sessions of {user} ended\n", ended.ended))?)
            }
        }
    }
}

fn session_id(text: &str) -> Result<UserSessionId, &'static str> {
    UserSessionId::parse(text).ok_or("expected the 16 hexadecimal digits shown by `linecamp session ls`")
}

fn list(sessions: &[Session], style: &TextStyle) -> String {
    let row = |session: &Session| {
        [
            Cell::from(&session.id),
            Cell::from(&session.user),
            Cell::from(&session.address),
            Cell::from(&session.created_at),
            Cell::from(&session.ends_at),
            Cell::from(session.last_used_at.clone().unwrap_or_else(|| "-".to_owned())),
        ]
    };
    Table::new(["ID", "USER", "ADDRESS", "BEGAN", "ENDS", "LAST USED"])
        .with(sessions.iter().map(row))
        .render(style.colors)
}
