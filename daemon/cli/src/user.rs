//! `linecamp user`.

use std::path::PathBuf;

use linecamp_model::{Name, printable};
use linecamp_proto::api::account::{PasswordChange, PasswordReset, User, UserEdit, UserRequest};
use linecamp_proto::api::operation::{
    ChangePassword, CreateUser, EditUser, Json, ListUsers, Operation, RemoveUser, ResetPassword, ShowCaller, ShowUser,
};
use linecamp_proto::api::query::PageQuery;
use linecamp_table::{Cell, Table};

use crate::argument;
use crate::client::ApiRequest;
use crate::context::Context;
use crate::paging::{self, LimitArg};
use crate::password_prompt;
use crate::role_args::{RoleArgs, roles_text};
use crate::text_style::TextStyle;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum UserCommand {
    /// List users
    #[command(after_help = "\
Example:
  linecamp user ls")]
    Ls(LimitArg),
    /// Show a user
    #[command(after_help = "\
Example:
  linecamp user show anna")]
    Show(UserName),
    Create(Create),
    Edit(Edit),
    /// Disable a user: sessions end, and API keys are rejected until the user is enabled
    #[command(after_help = "\
Example:
  linecamp user disable anna")]
    Disable(UserName),
    /// Enable a user
    #[command(after_help = "\
Example:
  linecamp user enable anna")]
    Enable(UserName),
    /// Remove a user with all API keys and sessions
    #[command(after_help = "\
Example:
  linecamp user rm anna")]
    Rm(UserName),
    Password(Password),
}

#[derive(Debug, clap::Args)]
pub(crate) struct UserName {
    /// The user
    #[arg(value_parser = argument::name)]
    name: Name,
}

/// Create a user
///
/// A viewer reads, an operator changes sites, hosts, tokens and providers, and an admin also the rules of environments.
/// An admin in all environments manages users, plugins and the server as well. Asks for a first password, which the
/// user must change at the first login. A service account has no password: create API keys for it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp user create anna --role operator --environment-role lab=admin
  linecamp user create ben --environment-role shops=viewer --password-file first.txt
  linecamp user create deploy --role operator --service")]
pub(crate) struct Create {
    /// Name of the new user
    #[arg(value_parser = argument::name)]
    name: Name,
    #[command(flatten)]
    roles: RoleArgs,
    /// Create a service account, without a password
    #[arg(long, conflicts_with = "password_file")]
    service: bool,
    /// File with the first password, or `-` for stdin
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Change the roles of a user; it takes effect at once
///
/// Roles that are not given do not change.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp user edit anna --role admin
  linecamp user edit anna --role none --environment-role lab=operator
  linecamp user edit anna --environment-role lab=none")]
pub(crate) struct Edit {
    /// The user
    #[arg(value_parser = argument::name)]
    name: Name,
    #[command(flatten)]
    roles: RoleArgs,
}

/// Change your own password, or set that of another user
///
/// Without NAME, asks for your password and a new one, and ends your other sessions. With NAME, sets a password that
/// the user must change at the next login, and ends the user's sessions. A password has 12 to 256 characters.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp user password
  linecamp user password anna --password-file new.txt")]
pub(crate) struct Password {
    /// The other user
    #[arg(value_parser = argument::name)]
    name: Option<Name>,
    /// File with the new password, or `-` for stdin
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with your password so far
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    old_password_file: Option<PathBuf>,
}

impl UserCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Ls(limit) => {
                let query = PageQuery::default();
                let all = paging::list::<ListUsers, _>(&query, limit, &mut context.client()?, &context.out).await?;
                Ok(context.out.show(&all, |style| list(&all.items, style))?)
            }
            Self::Show(UserName { name }) => send(ApiRequest::<ShowUser>::at(&name), context).await,
            Self::Create(create) => create.run(context).await,
            Self::Edit(Edit { name, roles }) => {
                anyhow::ensure!(!roles.is_empty(), argument::ArgumentError::MissingRoles);
                let (role, environment_roles) = (roles.role.clone(), roles.environment_changes());
                let edit = UserEdit { role, environment_roles, disabled: None };
                send(ApiRequest::<EditUser>::at(&name).body(&edit), context).await
            }
            Self::Disable(UserName { name }) => set_disabled(&name, true, context).await,
            Self::Enable(UserName { name }) => set_disabled(&name, false, context).await,
            Self::Rm(UserName { name }) => {
                let user = context.client()?.send(ApiRequest::<RemoveUser>::at(&name)).await?;
                Ok(context.out.show(&user, |_| format!("user {name} removed\n"))?)
            }
            Self::Password(password) => password.run(context).await,
        }
    }
}

impl Create {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let password = match (self.service, &self.password_file) {
            (true, _) => None,
            (false, Some(path)) => Some(password_prompt::read(path)?),
            (false, None) => Some(password_prompt::ask_new(&format!("First password of {}", self.name))?),
        };
        let request = UserRequest {
            name: self.name.to_string(),
            role: self.roles.everywhere(),
            environment_roles: self.roles.environments(),
            password,
        };
        send(ApiRequest::<CreateUser>::new().body(&request), context).await
    }
}

impl Password {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let mut client = context.client()?;
        let new = |path: Option<&PathBuf>| match path {
            Some(path) => password_prompt::read(path),
            None => password_prompt::ask_new("New password"),
        };
        if let Some(name) = &self.name {
            let reset = PasswordReset { password: new(self.password_file.as_ref())? };
            let user = client.send(ApiRequest::<ResetPassword>::at(name).body(&reset)).await?;
            let line = format!("password of {name} set; it must be changed at the next login\n");
            return Ok(context.out.show(&user, |_| line)?);
        }
        // Fails early without a valid login.
        client.send(ApiRequest::<ShowCaller>::new()).await?;
        let old_password = match &self.old_password_file {
            Some(path) => password_prompt::read(path)?,
            None => password_prompt::ask("Password so far: ")?,
        };
        let change = PasswordChange { old_password, new_password: new(self.password_file.as_ref())? };
        let caller = client.send(ApiRequest::<ChangePassword>::new().body(&change)).await?;
        Ok(context.out.show(&caller, |_| "password changed; your other sessions have ended\n".to_owned())?)
    }
}

async fn set_disabled(name: &Name, disabled: bool, context: &Context<'_>) -> anyhow::Result<()> {
    let edit = UserEdit { disabled: Some(disabled), ..UserEdit::default() };
    send(ApiRequest::<EditUser>::at(name).body(&edit), context).await
}

async fn send<O>(request: ApiRequest<O>, context: &Context<'_>) -> anyhow::Result<()>
where
    O: Operation<Response = Json<User>> + Clone,
{
    let user = context.client()?.send(request).await?;
    Ok(context.out.show(&user, |style| list(std::slice::from_ref(&user), style))?)
}

fn list(users: &[User], style: &TextStyle) -> String {
    let state = |user: &User| match user {
        User { disabled_at: Some(_), .. } => "disabled",
        User { oidc: Some(_), .. } => "oidc",
        User { has_password: false, .. } => "service",
        User { must_change_password: true, .. } => "must change password",
        _ => "active",
    };
    let row = |user: &User| {
        [
            Cell::from(&user.name),
            Cell::from(printable(&roles_text(user.role.as_deref(), &user.environment_roles)).to_string()),
            Cell::from(state(user)),
            Cell::from(user.keys.to_string()),
            Cell::from(user.sessions.to_string()),
        ]
    };
    Table::new(["NAME", "ROLES", "STATE", "KEYS", "SESSIONS"]).with(users.iter().map(row)).render(style.colors)
}

#[cfg(test)]
mod tests {
    use linecamp_proto::api::account::OidcIdentity;

    use super::*;
    use crate::text_style::plain;

    #[test]
    fn users_are_listed_with_their_roles() {
        let anna = User {
            name: "anna".into(),
            role: Some("operator".into()),
            environment_roles: [("lab".to_owned(), "admin".to_owned())].into(),
            has_password: true,
            oidc: None,
            must_change_password: false,
            disabled_at: None,
            created_at: "2026-11-22T02:27:04Z".into(),
            keys: 2,
            sessions: 1,
        };
        let deploy = User { name: "deploy".into(), role: None, has_password: false, ..anna.clone() };
        let identity = OidcIdentity { issuer: "https://id.example".into(), subject: "u-7".into() };
        let mara = User { name: "mara".into(), oidc: Some(identity), ..deploy.clone() };
        insta::assert_snapshot!(list(&[anna, deploy, mara], &plain()));
    }
}
