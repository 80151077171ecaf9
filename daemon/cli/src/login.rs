//! `linecamp login` and `linecamp logout`.

mod oidc;

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use linecamp_files::ReadError;
use linecamp_model::{Pin, printable};
use linecamp_proto::api::account::{CallerView, LoggedIn, LoginRequest, PasswordChange, PendingStep, SetupRequest};
use linecamp_proto::api::operation::{ChangePassword, CompleteSetup, LogIn, LogOut, ShowServer};
use serde_json::json;

use crate::client::{ApiRequest, Client};
use crate::context::Context;
use crate::credentials::{ApiKey, Config, ConfigError, ConfigFile, LoginFile, ServerUrl, config_path};
use crate::password_prompt;

/// The largest key file, in bytes. A larger file is not a key.
const KEY_FILE_BYTES_MAX: u64 = 4096;

/// Log in to a server
///
/// Connects to the server and stores its URL, its pin or CA file, and your session or API key in
/// $XDG_CONFIG_HOME/linecamp/config.toml (default: ~/.config; override: LINECAMP_CONFIG), with mode 0600.
/// `linecamp-server init` prints the pin, the one-time password of the user admin, and the first API key.
///
/// With --user, asks for the password and begins a session, which lasts 12 hours and ends after an hour without a
/// request. The first login asks for a new password, and to confirm the server's URL.
///
/// With --oidc, you log in at the identity provider of the server, in a browser on this machine; with --device, in a
/// browser on any machine.
///
/// Each server has its own context, named with --context [default: the current one]; see `linecamp context`.
///
/// Prefer --key-file: other users can see a key on the command line (ps), and your shell may store it. To run without
/// a login, set LINECAMP_URL, LINECAMP_KEY, and LINECAMP_PIN or LINECAMP_CA.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  linecamp login https://camp.example:8443 --pin sha256:… --user anna
  linecamp login https://camp.example:8443 --pin sha256:… --oidc
  linecamp login https://lab.example --pin sha256:… --user anna --context lab
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
    #[arg(long, value_name = "KEY", conflicts_with = "key_file")]
    #[arg(required_unless_present_any = ["key_file", "user", "oidc"])]
    key: Option<String>,
    /// File with the API key, or `-` for stdin
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// User to log in as, with a password
    #[arg(long, value_name = "NAME", conflicts_with_all = ["key", "key_file"])]
    user: Option<String>,
    /// Log in at the server's identity provider
    #[arg(long, conflicts_with_all = ["key", "key_file", "user"])]
    oidc: bool,
    /// Enter a code in a browser on any machine
    #[arg(long, requires = "oidc")]
    device: bool,
    /// File with the password, or `-` for stdin [default: ask]
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// File with the new password, for the first login [default: ask]
    #[arg(long, value_name = "FILE", requires = "user")]
    new_password_file: Option<PathBuf>,
    /// The server's URL to confirm, for the first login [default: ask]
    #[arg(long, value_name = "URL", conflicts_with_all = ["key", "key_file"], value_parser = ServerUrl::parse)]
    server_url: Option<ServerUrl>,
}

/// Log out: end the session at the server, and delete the stored login
#[derive(Debug, clap::Args)]
#[command(after_help = "\
This does not revoke an API key. Revoke it with `linecamp key revoke`.

Example:
  linecamp logout")]
pub(crate) struct Logout;

impl Login {
    pub(crate) async fn run(self, context: &Context<'_>) -> anyhow::Result<()> {
        let path = config_path(context.env)?;
        let mut stored = LoginFile::load(&path)?.unwrap_or_default();
        let login = ConfigFile {
            url: Some(self.url.to_string()),
            pin: self.pin.map(|pin| pin.to_string()),
            ca: context.ca.as_deref().map(absolute).transpose()?,
            key: None,
        };
        let (mut client, key) = match &self.user {
            Some(user) => self.begin_session(user, &login, &path, context).await?,
            None if self.oidc => self.begin_oidc_session(&login, &path, context).await?,
            None => {
                let key = self.read_key()?;
                let login = ConfigFile { key: Some(key.clone()), ..login.clone() };
                (Client::new(Config::of_login(&login, &path)?, context.timeout), key)
            }
        };
        let server = client.send(ApiRequest::<ShowServer>::new()).await?;
        let name = stored.context_name(context.login.as_ref(), context.env)?;
        stored.contexts.insert(name.clone(), ConfigFile { key: Some(key), ..login });
        stored.current = Some(name.clone());
        stored.save(&path)?;
        let shown = json!({ "url": client.server(), "config": path, "context": name, "server": server });
        let line = format!(
            "logged in to {} (linecamp-server {}); login stored in {}\n",
            client.server(),
            printable(&server.version),
            path.display()
        );
        Ok(context.out.show(&shown, |_| line)?)
    }

    /// Logs in with a password, and does what the first login requires.
    async fn begin_session(
        &self,
        user: &str,
        login: &ConfigFile,
        path: &Path,
        context: &Context<'_>,
    ) -> anyhow::Result<(Client, ApiKey)> {
        let password = match &self.password_file {
            Some(file) => password_prompt::read(file)?,
            None => password_prompt::ask(&format!("Password of {user} at {}: ", self.url))?,
        };
        let mut client = Client::new(Config::before_login(login, path)?, context.timeout);
        let request = LoginRequest { name: user.to_owned(), password, bearer: true };
        let answer = client.send(ApiRequest::<LogIn>::new().body(&request)).await?;
        self.use_session(client, answer, &request.password).await
    }

    /// Logs in at the identity provider.
    async fn begin_oidc_session(
        &self,
        login: &ConfigFile,
        path: &Path,
        context: &Context<'_>,
    ) -> anyhow::Result<(Client, ApiKey)> {
        let mut client = Client::new(Config::before_login(login, path)?, context.timeout);
        let answer = match self.device {
            true => oidc::with_device(&mut client, context).await?,
            false => oidc::with_browser(&mut client, context).await?,
        };
        self.use_session(client, answer, "").await
    }

    /// Uses a session that has begun, and does what the first login requires.
    async fn use_session(&self, client: Client, answer: LoggedIn, password: &str) -> anyhow::Result<(Client, ApiKey)> {
        let secret = answer.secret.context("the server did not answer with the secret of the session")?;
        let origin = self.url.to_string();
        let key = ApiKey::parse(&secret).map_err(|source| ConfigError::Key { origin, source })?;
        let mut client = client.with_key(key.clone());
        self.complete_setup(&mut client, &answer.caller, password).await?;
        Ok((client, key))
    }

    async fn complete_setup(&self, client: &mut Client, caller: &CallerView, old: &str) -> anyhow::Result<()> {
        let is_pending = |step| caller.pending.contains(&step);
        let new_password = match (is_pending(PendingStep::ChangePassword), &self.new_password_file) {
            (false, _) => None,
            (true, Some(file)) => Some(password_prompt::read(file)?),
            (true, None) => Some(password_prompt::ask_new("New password, 12 to 256 characters")?),
        };
        if is_pending(PendingStep::ConfirmServerUrl) {
            let server_url = match &self.server_url {
                Some(url) => url.to_string(),
                None if password_prompt::is_available() => {
                    password_prompt::ask_text("URL at which operators reach this server", &caller.server_url)?
                }
                None => anyhow::bail!(
                    "the first login confirms the server's URL: give --server-url {}, or another one",
                    printable(&caller.server_url)
                ),
            };
            let setup = SetupRequest { new_password, server_url };
            client.send(ApiRequest::<CompleteSetup>::new().body(&setup)).await?;
        } else if let Some(new_password) = new_password {
            let change = PasswordChange { old_password: old.to_owned(), new_password };
            client.send(ApiRequest::<ChangePassword>::new().body(&change)).await?;
        }
        Ok(())
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
    pub(crate) async fn run(&self, context: &Context<'_>) -> anyhow::Result<()> {
        let path = config_path(context.env)?;
        let mut file = LoginFile::load(&path)?.unwrap_or_default();
        let name = file.context_name(context.login.as_ref(), context.env)?;
        let Some(login) = file.contexts.remove(&name) else {
            let line = format!("not logged in: {} does not exist\n", path.display());
            return Ok(context.out.show(&json!({ "removed": false, "config": path }), |_| line)?);
        };
        if login.key.as_ref().is_some_and(ApiKey::is_session) {
            let mut client = Client::new(Config::of_login(&login, &path)?, context.timeout);
            if let Err(error) = client.send(ApiRequest::<LogOut>::new()).await {
                context
                    .out
                    .note(&format!("the session could not be ended at the server: {:#}", anyhow::Error::new(error)));
            }
        }
        if file.current.as_deref() == Some(&*name) {
            file.current = None;
        }
        file.save(&path)?;
        let line = match file.contexts.is_empty() {
            true => format!("logged out: deleted {}\n", path.display()),
            false => format!("logged out: deleted context {name} in {}\n", path.display()),
        };
        Ok(context.out.show(&json!({ "removed": true, "config": path }), |_| line)?)
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
