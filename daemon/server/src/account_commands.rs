//! The commands on API keys and users, for a person with access to the data directory.

use clap::Subcommand;
use linecamp_model::Name;
use linecamp_server::{KeyView, Layout, create_key, keys, remove_key, reset_password};
use linecamp_table::{OutputFormat, Table};
use serde_json::json;

use crate::{Data, Failure, parse_name, show};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Create an API key and print it; it is shown only once
    Create {
        #[command(flatten)]
        data: Data,
        /// Name of the key
        #[arg(long, value_parser = parse_name)]
        name: Name,
    },
    /// List API keys, without their secrets
    Ls {
        #[command(flatten)]
        data: Data,
    },
    /// Delete an API key
    Rm {
        #[command(flatten)]
        data: Data,
        /// Name of the key
        #[arg(long, value_parser = parse_name)]
        name: Name,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Set a new one-time password for a user and print it; the user must change it at the next login
    ///
    /// Ends the user's sessions. If no admin can log in, the user becomes an admin in all environments, and is created
    /// or enabled if necessary. Stop the server first: systemctl stop linecamp-server.
    ResetPassword {
        #[command(flatten)]
        data: Data,
        /// Name of the user
        #[arg(value_parser = parse_name)]
        name: Name,
    },
}

impl KeyCommand {
    /// Runs the command.
    pub(crate) fn run(self, output: OutputFormat) -> Result<(), Failure> {
        match self {
            Self::Create { data, name } => {
                let key = create_key(&Layout::new(data.dir), name.clone())?;
                let value = json!({ "name": name.as_str(), "key": key.reveal() });
                show(output, &value, &[format!("{name} key: {}", key.reveal())])
            }
            Self::Ls { data } => {
                let keys = keys(&Layout::new(data.dir))?;
                let rows = keys.iter().map(|key| [key.name.as_str().into(), key.created_at.to_string().into()]);
                let table = Table::bare().with(rows).render(false);
                let item =
                    |key: &KeyView| json!({ "name": key.name.as_str(), "created_at": key.created_at.to_string() });
                let value = json!({ "items": keys.iter().map(item).collect::<Vec<_>>() });
                show(output, &value, &table.lines().map(str::to_owned).collect::<Vec<_>>())
            }
            Self::Rm { data, name } => {
                remove_key(&Layout::new(data.dir), name.clone())?;
                show(output, &json!({ "deleted": name.as_str() }), &[format!("API key {name} deleted")])
            }
        }
    }
}

impl UserCommand {
    /// Runs the command.
    pub(crate) fn run(self, output: OutputFormat) -> Result<(), Failure> {
        let Self::ResetPassword { data, name } = self;
        run_password_reset(&data, &name, output)
    }
}

fn run_password_reset(data: &Data, name: &Name, output: OutputFormat) -> Result<(), Failure> {
    let reset = reset_password(&Layout::new(&data.dir), name)?;
    let value = json!({ "name": name.as_str(), "password": reset.reveal(), "is_new_admin": reset.is_new_admin });
    let note = match reset.is_new_admin {
        true => format!("No other admin could log in: {name} is now an admin in all environments."),
        false => "All sessions of the user have ended.".to_owned(),
    };
    let lines = [
        format!("{name} password: {}", reset.reveal()),
        note,
        "The password is shown only once, and must be changed at the next login.".to_owned(),
    ];
    show(output, &value, &lines)
}
