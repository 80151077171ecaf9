//! `linecamp login` and `linecamp logout`.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use linecamp_files::ReadError;
use linecamp_model::{Pin, printable};
use linecamp_proto::api::operation::ShowServer;
use serde_json::json;

use crate::client::{ApiRequest, Client};
use crate::context::Context;
use crate::credentials::{ApiKey, Config, ConfigError, ConfigFile, ServerUrl, config_path};

/// The largest key file, in bytes. A larger file is not a key.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// Log in to a server
///
/// Connects to the server and stores its URL, its pin or CA file, and your API key in
/// $XDG_CONFIG_HOME/linecamp/config.toml (default: ~/.config; override: LINECAMP_CONFIG), with mode 0600.
/// `linecamp-server init` prints the pin and the first API key.
///
/// Prefer --key-file: other users can see a key on the command line (ps), and your shell may store it. To run without
/// a login, set LINECAMP_URL, LINECAMP_KEY, and LINECAMP_PIN or LINECAMP_CA.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp login https://camp.example:8443 --pin sha256:… --key-file key.txt
  pass show camp | linecamp login https://camp.example:8443 --pin sha256:… --key-file -
  linecamp login https://camp.example --ca /etc/ssl/certs/company.pem --key-file key.txt")]
pub(crate) struct Login {
    /// Server URL: https://HOST[:PORT]
    #[arg(value_parser = ServerUrl::parse)]
    url: ServerUrl,
    /// Pin of the server's certificate authority: sha256:HEX
    #[arg(long, value_name = "PIN", value_parser = Pin::parse, required_unless_present = "ca", conflicts_with = "ca")]
    pin: Option<Pin>,
    /// API key, or `-` for stdin; visible to other users, prefer --key-file
    #[arg(long, value_name = "KEY", required_unless_present = "key_file", conflicts_with = "key_file")]
    key: Option<String>,
    /// File with the API key, or `-` for stdin
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// Log out and delete the stored login
#[derive(Debug, clap::Args)]
#[command(after_help = "\
This does not revoke the API key. Revoke it on the server.

Example:
  linecamp logout")]
pub(crate) struct Logout;

impl Login {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let path = config_path(context.env)?;
        let file = ConfigFile {
            url: Some(self.url.to_string()),
            pin: self.pin.map(|pin| pin.to_string()),
            ca: context.ca.as_deref().map(absolute).transpose()?,
            key: Some(self.read_key()?),
        };
        let config = Config::of_login(&file, &path)?;
        let mut client = Client::new(config, context.timeout);
        let server = client.send(ApiRequest::<ShowServer>::new()).await?;
        file.save(&path)?;
        let shown = json!({ "url": client.server(), "config": path, "server": server });
        let line = format!(
            "logged in to {} (linecamp-server {}); login stored in {}\n",
            client.server(),
            printable(&server.version),
            path.display()
        );
        Ok(context.out.show(&shown, |_| line)?)
    }

    fn read_key(&self) -> anyhow::Result<ApiKey> {
        let (text, origin) = match (self.key.as_deref(), self.key_file.as_deref()) {
            (Some("-"), _) => (read_stdin()?, "stdin".into()),
            (Some(key), _) => (key.into(), "--key".into()),
            (None, Some(path)) if path == Path::new("-") => (read_stdin()?, "stdin".into()),
            (None, Some(path)) => (read_file(path)?, path.display().to_string()),
            (None, None) => unreachable!("clap requires one of the two"),
        };
        ApiKey::parse(&text).map_err(|source| ConfigError::Key { origin, source }.into())
    }
}

impl Logout {
    pub(crate) fn run(&self, context: &Context<'_>) -> anyhow::Result<()> {
        let path = config_path(context.env)?;
        let removed = ConfigFile::remove(&path)?;
        let line = match removed {
            true => format!("logged out: deleted {}\n", path.display()),
            false => format!("not logged in: {} does not exist\n", path.display()),
        };
        Ok(context.out.show(&json!({ "removed": removed, "config": path }), |_| line)?)
    }
}

/// Makes a path absolute: the login is used from any working directory.
fn absolute(path: &Path) -> Result<PathBuf, ConfigError> {
    path.canonicalize().map_err(|source| ConfigError::Read { path: path.into(), source })
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let read = linecamp_files::read_given(path, KEY_FILE_BYTES_MAX);
    let text = read.and_then(|bytes| String::from_utf8(bytes).map_err(|_| ReadError::NotText));
    text.map_err(|error| ConfigError::Read { path: path.into(), source: error.into() })
}

fn read_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(KEY_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .context("cannot read the API key from stdin")?;
    Ok(text)
}
