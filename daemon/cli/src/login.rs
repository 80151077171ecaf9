//! `linecamp login` and `linecamp logout`.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use linecamp_model::Pin;
use linecamp_proto::api::Server;
use linecamp_proto::api::path::SERVER;
use serde_json::json;

use crate::client::{ApiRequest, Client};
use crate::config::{ApiKey, Config, ConfigError, ConfigFile, ServerUrl, config_path};
use crate::global::Context;
use crate::output::clean;

/// Bytes of a key file: a key fits many times. A longer one is a wrong file; its beginning is then no key.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// Log in to a server: check that it answers, and keep where it is, whom to trust and the key
///
/// The pin and the first key are printed by `linecamp-server init`. The login is kept in
/// $XDG_CONFIG_HOME/linecamp/config.toml (or ~/.config, or where LINECAMP_CONFIG says), readable by you alone.
///
/// A key in an argument is seen by everybody on this machine (ps) and kept by your shell: prefer --key-file.
/// LINECAMP_URL, LINECAMP_PIN (or LINECAMP_CA) and LINECAMP_KEY in the environment serve in place of a login.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp login https://camp.example:8443 --pin sha256:… --key-file key.txt
  pass show camp | linecamp login https://camp.example:8443 --pin sha256:… --key-file -
  linecamp login https://camp.example --ca /etc/ssl/certs/company.pem --key-file key.txt")]
pub(crate) struct Login {
    /// The server: https://HOST[:PORT]
    #[arg(value_parser = ServerUrl::parse)]
    url: ServerUrl,
    /// The pin of the server's certificate authority, sha256:HEX
    #[arg(long, value_name = "PIN", value_parser = Pin::parse, required_unless_present = "ca", conflicts_with = "ca")]
    pin: Option<Pin>,
    /// The API key, or `-` to read it from stdin; discouraged: others can see it
    #[arg(long, value_name = "KEY", required_unless_present = "key_file", conflicts_with = "key_file")]
    key: Option<String>,
    /// The file that holds the API key, or `-` for stdin
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

/// Forget the login
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The key itself goes on working until it is revoked at the server.

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
        let server: Server = client.send(ApiRequest::get(SERVER)).await?;
        file.save(&path)?;
        let shown = json!({ "url": client.server(), "config": path, "server": server });
        let line = format!(
            "logged in to {}, linecamp-server {}; kept in {}\n",
            client.server(),
            clean(&server.version),
            path.display()
        );
        Ok(context.out.show(&shown, |_| line)?)
    }

    fn read_key(&self) -> anyhow::Result<ApiKey> {
        let (text, place) = match (self.key.as_deref(), self.key_file.as_deref()) {
            (Some("-"), _) => (read_stdin()?, "stdin".into()),
            (Some(key), _) => (key.into(), "--key".into()),
            (None, Some(path)) if path == Path::new("-") => (read_stdin()?, "stdin".into()),
            (None, Some(path)) => (read_file(path)?, path.display().to_string()),
            (None, None) => unreachable!("clap asks for one of the two"),
        };
        ApiKey::parse(&text).map_err(|source| ConfigError::Key { place, source }.into())
    }
}

impl Logout {
    pub(crate) fn run(&self, context: &Context<'_>) -> anyhow::Result<()> {
        let path = config_path(context.env)?;
        let removed = ConfigFile::remove(&path)?;
        let line = match removed {
            true => format!("logged out: {} is gone\n", path.display()),
            false => format!("not logged in: there is no {}\n", path.display()),
        };
        Ok(context.out.show(&json!({ "removed": removed, "config": path }), |_| line)?)
    }
}

/// The login is used from other directories than this one.
fn absolute(path: &Path) -> Result<PathBuf, ConfigError> {
    path.canonicalize().map_err(|source| ConfigError::Read { path: path.into(), source })
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let open = || -> io::Result<String> {
        let mut text = String::new();
        std::fs::File::open(path)?.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    };
    open().map_err(|source| ConfigError::Read { path: path.into(), source })
}

fn read_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .take(KEY_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .context("failed to read the key from stdin")?;
    Ok(text)
}
