//! `linecamp key`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use linecamp_model::{KeyId, Name, printable};
use linecamp_proto::api::account::{Key, KeyCreated, KeyLimit, KeyRequest, KeyRotation};
use linecamp_proto::api::operation::{CreateKey, ListKeys, RevokeKey, RotateKey, ShowKey};
use linecamp_proto::api::query::PageQuery;
use linecamp_table::{Cell, Table};
use serde_json::json;

use crate::argument;
use crate::client::ApiRequest;
use crate::context::Context;
use crate::paging::{self, LimitArg};
use crate::role_args::{RoleArgs, roles_text};
use crate::text_style::TextStyle;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// List API keys: your own; an admin in all environments sees all
    #[command(after_help = "\
Example:
  linecamp key ls")]
    Ls(LimitArg),
    /// Show an API key
    #[command(after_help = "\
Example:
  linecamp key show 07ff3c5d9a1b2c4e")]
    Show(KeyArg),
    Create(Create),
    Rotate(Rotate),
    /// Revoke an API key; it is rejected at once
    #[command(after_help = "\
Example:
  linecamp key revoke 07ff3c5d9a1b2c4e")]
    Revoke(KeyArg),
}

#[derive(Debug, clap::Args)]
pub(crate) struct KeyArg {
    /// ID of the key, as shown by `linecamp key ls`
    #[arg(value_name = "ID", value_parser = key_id)]
    id: KeyId,
}

/// Create an API key and print its secret; it is shown only once
///
/// The key belongs to you, or to the user given with --user. It may do what its user may do, at most what --role and
/// --environment-role allow, at the time of each use.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp key create laptop
  linecamp key create ci --role viewer --ttl 90days --file ci.key
  linecamp key create rollout --user deploy --environment-role lab=operator")]
pub(crate) struct Create {
    /// Name of the key
    #[arg(value_parser = argument::name)]
    name: Name,
    /// User to create it for, for example a service account
    #[arg(long, value_name = "NAME", value_parser = argument::name)]
    user: Option<Name>,
    #[command(flatten)]
    roles: RoleArgs,
    /// Lifetime of the key [default: unlimited]
    #[arg(long, value_name = "DURATION", value_parser = argument::key_ttl)]
    ttl: Option<Duration>,
    /// Write the secret to a new file that only you can read, instead of printing it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Replace the secret of an API key and print the new one; it is shown only once
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp key rotate 07ff3c5d9a1b2c4e --file ci.key
  linecamp key rotate 07ff3c5d9a1b2c4e --grace 1h")]
pub(crate) struct Rotate {
    #[command(flatten)]
    key: KeyArg,
    /// How long the old secret stays valid
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = argument::key_grace)]
    grace: Duration,
    /// Write the secret to a new file that only you can read, instead of printing it
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl KeyCommand {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        match self {
            Self::Ls(limit) => {
                let query = PageQuery::default();
                let all = paging::list::<ListKeys, _>(&query, limit, &mut context.client()?, &context.out).await?;
                Ok(context.out.show(&all, |style| list(&all.items, style))?)
            }
            Self::Show(KeyArg { id }) => {
                let key = context.client()?.send(ApiRequest::<ShowKey>::at(&id)).await?;
                Ok(context.out.show(&key, |style| list(std::slice::from_ref(&key), style))?)
            }
            Self::Create(create) => create.run(context).await,
            Self::Rotate(Rotate { key, grace, file }) => {
                let target = file.as_deref().map(NewFile::create).transpose()?;
                let request = KeyRotation { grace_seconds: grace.as_secs() };
                let request = ApiRequest::<RotateKey>::at(&key.id).body(&request);
                let created = context.client()?.send(request).await;
                hand_out(created, target, context)
            }
            Self::Revoke(KeyArg { id }) => {
                let key = context.client()?.send(ApiRequest::<RevokeKey>::at(&id)).await?;
                let line = format!("API key {} revoked\n", printable(&key.name));
                Ok(context.out.show(&key, |_| line)?)
            }
        }
    }
}

impl Create {
    async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let target = self.file.as_deref().map(NewFile::create).transpose()?;
        let limit = (!self.roles.is_empty())
            .then(|| KeyLimit { role: self.roles.everywhere(), environment_roles: self.roles.environments() });
        let request = KeyRequest {
            name: self.name.to_string(),
            user: self.user.map(|user| user.to_string()),
            limit,
            ttl_seconds: self.ttl.map(|ttl| ttl.as_secs()),
        };
        let created = context.client()?.send(ApiRequest::<CreateKey>::new().body(&request)).await;
        hand_out(created, target, context)
    }
}

/// A new file for a secret, created before the request, so that no secret is lost because of its file.
struct NewFile<'a> {
    path: &'a Path,
    file: std::fs::File,
}

impl<'a> NewFile<'a> {
    fn create(path: &'a Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        Ok(Self { path, file: file.with_context(|| format!("cannot create {}", path.display()))? })
    }
}

/// Writes the secret to its file, or prints it.
fn hand_out(
    created: Result<KeyCreated, crate::client::ClientError>,
    target: Option<NewFile<'_>>,
    context: &Context<'_>,
) -> anyhow::Result<()> {
    let created = created.map_err(anyhow::Error::from).and_then(|created| match created.secret_withheld {
        true => bail!(
            "the connection was lost after the server had made the secret of key {id}. Make another one: linecamp key \
             rotate {id}",
            id = printable(&created.key.id)
        ),
        false => Ok(created),
    });
    let KeyCreated { key, secret, .. } = match (created, &target) {
        (Ok(created), _) => created,
        (Err(error), target) => {
            if let Some(NewFile { path, .. }) = target {
                // The file is empty.
                drop(std::fs::remove_file(path));
            }
            return Err(error);
        }
    };
    let name = printable(&key.name).to_string();
    let Some(NewFile { path, mut file }) = target else {
        let shown = json!({ "key": key, "secret": secret });
        return Ok(context.out.show(&shown, |_| format!("{name}  {}\n{secret}\n", printable(&key.id)))?);
    };
    let written = file.write_all(format!("{secret}\n").as_bytes()).and_then(|()| file.sync_all());
    written.with_context(|| format!("cannot write {}; rotate the key {}", path.display(), key.id))?;
    let line = format!("{name}  {}  secret written to {}\n", printable(&key.id), path.display());
    Ok(context.out.show(&json!({ "key": key, "file": path }), |_| line)?)
}

fn key_id(text: &str) -> Result<KeyId, &'static str> {
    KeyId::parse(text).ok_or("expected the 16 hexadecimal digits shown by `linecamp key ls`")
}

fn list(keys: &[Key], style: &TextStyle) -> String {
    let row = |key: &Key| {
        let limit = key.limit.as_ref().map(|limit| roles_text(limit.role.as_deref(), &limit.environment_roles));
        [
            Cell::from(&key.id),
            Cell::from(&key.name),
            Cell::from(key.user.clone().unwrap_or_else(|| "(console)".to_owned())),
            Cell::from(limit.unwrap_or_else(|| "-".to_owned())),
            Cell::from(key.expires_at.clone().unwrap_or_else(|| "never".to_owned())),
            Cell::from(key.last_used_at.clone().unwrap_or_else(|| "-".to_owned())),
        ]
    };
    Table::new(["ID", "NAME", "USER", "LIMIT", "EXPIRES", "LAST USED"]).with(keys.iter().map(row)).render(style.colors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_style::plain;

    #[test]
    fn keys_are_listed_with_their_users_and_limits() {
        let key = Key {
            id: "07ff3c5d9a1b2c4e".into(),
            name: "ci".into(),
            user: Some("anna".into()),
            limit: Some(KeyLimit { role: Some("viewer".into()), ..KeyLimit::default() }),
            created_at: "2026-11-22T02:27:04Z".into(),
            expires_at: Some("2027-02-20T02:27:04Z".into()),
            old_secret_until: None,
            last_used_at: None,
        };
        let console = Key { user: None, limit: None, expires_at: None, ..key.clone() };
        insta::assert_snapshot!(list(&[key, console], &plain()));
    }
}
