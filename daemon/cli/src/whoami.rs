//! `linecamp whoami`.

use linecamp_model::printable;
use linecamp_proto::api::account::{CallerView, PendingStep};
use linecamp_proto::api::operation::ShowCaller;

use crate::client::ApiRequest;
use crate::context::Context;
use crate::role_args::roles_text;

/// Show who you are at the server, and what you may do
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  linecamp whoami")]
pub(crate) struct Whoami;

impl Whoami {
    pub(crate) async fn run(&self, context: &Context<'_>) -> anyhow::Result<()> {
        let mut client = context.client()?;
        let caller = client.send(ApiRequest::<ShowCaller>::new()).await?;
        let text = text(&client.server(), &caller);
        Ok(context.out.show(&caller, |_| text)?)
    }
}

fn text(server: &str, caller: &CallerView) -> String {
    let user = caller.user.as_deref().unwrap_or("(console)");
    let by = match (&caller.key, &caller.session) {
        (Some(key), _) => format!("API key {} ({})", key.name, key.id),
        (None, Some(session)) => format!("session {} until {}", session.id, session.ends_at),
        (None, None) => "unknown".to_owned(),
    };
    let roles = roles_text(caller.role.as_deref(), &caller.environment_roles);
    let mut lines = vec![
        format!("server  {server}"),
        format!("user    {}", printable(user)),
        format!("by      {}", printable(&by)),
        format!("roles   {}", printable(&roles)),
    ];
    lines.extend(caller.pending.iter().map(|step| {
        match step {
            PendingStep::ChangePassword => "to do   change the password: log in again with --user",
            PendingStep::ConfirmServerUrl => "to do   confirm the server URL: log in again with --user",
            PendingStep::Unknown => "to do   a step that this version does not know: update linecamp",
        }
        .to_owned()
    }));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use linecamp_proto::api::account::KeyName;

    use super::*;

    #[test]
    fn the_caller_is_shown_with_roles_and_what_is_to_be_done() {
        let caller = CallerView {
            user: Some("anna".into()),
            key: Some(KeyName { id: "07ff3c5d9a1b2c4e".into(), name: "ci".into() }),
            session: None,
            role: Some("viewer".into()),
            environment_roles: Default::default(),
            pending: vec![PendingStep::ChangePassword],
            server_url: "https://camp.example".into(),
        };
        insta::assert_snapshot!(text("https://camp.example", &caller));
    }
}
