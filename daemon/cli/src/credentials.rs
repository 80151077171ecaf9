//! The login: server URL, trust anchor, and API key or secret of a session.
//!
//! [`LoginFile`] is the stored file, with a login ([`ConfigFile`]) for each context; [`Config`] is complete and
//! validated. `--context`, or `LINECAMP_CONTEXT`, or else the file says which login is used. [`Config::resolve`]
//! combines it with the environment:
//!
//! - `LINECAMP_URL` replaces the whole login, so that a stored key is never sent to another server. It requires
//!   `LINECAMP_KEY`, and `LINECAMP_PIN` or `LINECAMP_CA`.
//! - Without `LINECAMP_URL`, each of the other variables overrides its part of the login.
//! - `--ca` overrides every pin and CA file.

mod file;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use linecamp_model::{Name, NameError, Pin, PinError, shell_quoted};
use linecamp_transport::ApiTrust;
use serde::{Deserialize, Serialize};

pub(crate) use file::{ConfigFile, LoginFile};

/// The default port of `https://` (RFC 9110).
const HTTPS_PORT: u16 = 443;

/// The prefix of API keys.
const KEY_PREFIX: &str = "lck_";

/// The prefix of the secrets of sessions.
const SESSION_PREFIX: &str = "lcs_";

/// The context that is used if none is named.
pub(crate) const CONTEXT_DEFAULT: &str = "default";

/// The maximum length of an API key, far above what the server generates. A longer one is rejected.
const KEY_BYTES_MAX: usize = 256;

const URL: &str = "LINECAMP_URL";
const PIN: &str = "LINECAMP_PIN";
const CA: &str = "LINECAMP_CA";
const KEY: &str = "LINECAMP_KEY";

/// The process environment, or a fake. An empty variable counts as unset.
pub(crate) trait Env {
    /// Returns the value of a variable.
    fn var(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessEnv;

impl Env for ProcessEnv {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
}

/// An empty environment.
struct NoEnv;

impl Env for NoEnv {
    fn var(&self, _name: &str) -> Option<String> {
        None
    }
}

/// A validated login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Server URL.
    pub(crate) server: ServerUrl,
    /// Trust anchor: pin or CA file.
    pub(crate) trust: ApiTrust,
    /// API key or secret of a session; `None` during a login.
    pub(crate) key: Option<ApiKey>,
}

impl Config {
    /// Reads the login file unless the environment replaces it, and resolves.
    pub(crate) fn find(ca: Option<&Path>, context: Option<&Name>, env: &dyn Env) -> Result<Self, ConfigError> {
        if env.var(URL).is_some() && context.is_none() {
            return Self::resolve(Login::None, ca, env);
        }
        let path = config_path(env)?;
        let Some(mut file) = LoginFile::load(&path)? else { return Err(ConfigError::NotLoggedIn { path }) };
        let name = file.context_name(context, env)?;
        match file.contexts.remove(&name) {
            Some(login) => Self::resolve(Login::File(login, &path), ca, env),
            None if file.contexts.is_empty() => Err(ConfigError::NotLoggedIn { path }),
            None => Err(ConfigError::NoContext { name, path }),
        }
    }

    /// Resolves a login before it is stored, ignoring the environment.
    pub(crate) fn of_login(file: &ConfigFile, path: &Path) -> Result<Self, ConfigError> {
        Self::resolve(Login::File(file.clone(), path), None, &NoEnv)
    }

    /// Resolves a login that has no key yet, to get one.
    pub(crate) fn before_login(file: &ConfigFile, path: &Path) -> Result<Self, ConfigError> {
        let file = ConfigFile { key: Some(ApiKey(format!("{KEY_PREFIX}none"))), ..file.clone() };
        Ok(Self { key: None, ..Self::of_login(&file, path)? })
    }

    /// Combines login and environment. Reports what is missing or invalid, and where it was set.
    pub(crate) fn resolve(login: Login<'_>, ca: Option<&Path>, env: &dyn Env) -> Result<Self, ConfigError> {
        let (file, origin) = match login {
            Login::File(file, path) => (file, path.display().to_string()),
            Login::None => (ConfigFile::default(), String::new()),
        };
        let setting = |variable: &'static str, key: &str, text: Option<String>| match env.var(variable) {
            Some(text) => Some(Sourced { text, origin: variable.into() }),
            None => text.map(|text| Sourced { text, origin: format!("`{key}` in {origin}") }),
        };
        let missing = |what, variable| ConfigError::Missing { what, variable, origin: origin.clone() };
        let url = setting(URL, "url", file.url).ok_or_else(|| missing("url", URL))?;
        let key = setting(KEY, "key", file.key.map(|key| key.0)).ok_or_else(|| missing("key", KEY))?;
        let trust = match (ca, env.var(PIN), env.var(CA)) {
            (Some(ca), _, _) => ApiTrust::CaFile(ca.into()),
            (None, Some(_), Some(_)) => {
                return Err(ConfigError::ConflictingTrust { origin: format!("{PIN} and {CA}") });
            }
            (None, None, Some(ca)) => ApiTrust::CaFile(ca.into()),
            (None, Some(text), None) => ApiTrust::Pin(parse_pin(&text, PIN.into())?),
            (None, None, None) => match (file.pin, file.ca) {
                (Some(_), Some(_)) => {
                    return Err(ConfigError::ConflictingTrust { origin: format!("`pin` and `ca` in {origin}") });
                }
                (Some(text), None) => ApiTrust::Pin(parse_pin(&text, format!("`pin` in {origin}"))?),
                (None, Some(ca)) => ApiTrust::CaFile(ca),
                (None, None) => return Err(missing("pin", "LINECAMP_PIN or LINECAMP_CA")),
            },
        };
        let server = ServerUrl::parse(&url.text).map_err(|source| ConfigError::Url { origin: url.origin, source })?;
        let key = ApiKey::parse(&key.text).map_err(|source| ConfigError::Key { origin: key.origin, source })?;
        Ok(Self { server, trust, key: Some(key) })
    }
}

/// The stored login.
#[derive(Debug)]
pub(crate) enum Login<'a> {
    /// The contents and path of the login file.
    File(ConfigFile, &'a Path),
    /// No login, or one replaced by the environment.
    None,
}

struct Sourced {
    text: String,
    origin: String,
}

fn parse_pin(text: &str, origin: String) -> Result<Pin, ConfigError> {
    Pin::parse(text).map_err(|source| ConfigError::Pin { origin, source })
}

/// Returns the variable that replaces the pin of the login, and its value, if it is set.
pub(crate) fn pin_variable(env: &dyn Env) -> Option<(&'static str, String)> {
    env.var(PIN).map(|text| (PIN, text))
}

/// Returns the path of the login file: `LINECAMP_CONFIG`, or in `XDG_CONFIG_HOME`, or in `~/.config`.
///
/// A relative `XDG_CONFIG_HOME` is ignored, as the XDG Base Directory Specification requires.
pub(crate) fn config_path(env: &dyn Env) -> Result<PathBuf, ConfigError> {
    if let Some(path) = env.var("LINECAMP_CONFIG") {
        return Ok(path.into());
    }
    let xdg = env.var("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env.var("HOME").map(|home| Path::new(&home).join(".config"));
    let base = xdg.or_else(home).ok_or(ConfigError::NoConfigDir)?;
    Ok(base.join("linecamp").join("config.toml"))
}

/// Whether the environment disables colors.
pub(crate) fn disables_colors(env: &dyn Env) -> bool {
    env.var("NO_COLOR").is_some() || env.var("TERM").is_some_and(|term| term == "dumb")
}

/// `https://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    /// The host, without brackets.
    pub(crate) host: String,
    /// The TCP port.
    pub(crate) port: u16,
}

impl ServerUrl {
    /// Parses a URL. The error does not contain it: a URL may contain a password.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let uri: hyper::Uri = text.trim().parse().map_err(|_| UrlError::Malformed)?;
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") => return Err(UrlError::Insecure),
            Some(_) | None => return Err(UrlError::Malformed),
        }
        let authority = uri.authority().ok_or(UrlError::Malformed)?;
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if !is_bare || authority.as_str().contains('@') {
            return Err(UrlError::ExtraParts);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => HTTPS_PORT,
            Some(rest) => rest[1..].parse().ok().filter(|port| *port != 0).ok_or(UrlError::Malformed)?,
            None => return Err(UrlError::Malformed),
        };
        Ok(Self { host: host.into(), port })
    }

    /// Returns `HOST[:PORT]`, the value of the HTTP header `Host`.
    pub(crate) fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match self.port {
            HTTPS_PORT => host,
            port => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

/// Why a server URL is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    /// Not an `https://` URL.
    #[error("expected https://HOST or https://HOST:PORT")]
    Malformed,
    /// Plain HTTP.
    #[error("expected https://, not http://: API keys are sent only over TLS")]
    Insecure,
    /// Has a path, query or user.
    #[error("expected https://HOST or https://HOST:PORT, without path, query or user")]
    ExtraParts,
}

/// An API key, `lck_…`, or the secret of a session, `lcs_…`. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ApiKey(String);

impl ApiKey {
    /// Parses a key. The error does not contain it.
    pub(crate) fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let body = text.strip_prefix(KEY_PREFIX).or_else(|| text.strip_prefix(SESSION_PREFIX)).ok_or(KeyError)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        match body.len() {
            1..=KEY_BYTES_MAX if body.bytes().all(fits) => Ok(Self(text.into())),
            _ => Err(KeyError),
        }
    }

    /// Whether it is the secret of a session.
    pub(crate) fn is_session(&self) -> bool {
        self.0.starts_with(SESSION_PREFIX)
    }

    /// Returns the secret key.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// An invalid API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `lck_` followed by letters, digits, `-` or `_`; the key may be incomplete")]
pub(crate) struct KeyError;

/// Why there is no valid login.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("not logged in: {path} does not exist", path = path.display())]
    NotLoggedIn { path: PathBuf },
    #[error("there is no context {name} in {path}; `linecamp context ls` lists them", path = path.display())]
    NoContext { name: String, path: PathBuf },
    #[error("invalid name of a context ({origin})")]
    ContextName { origin: String, source: NameError },
    #[error("cannot locate the login file: set LINECAMP_CONFIG, XDG_CONFIG_HOME or HOME")]
    NoConfigDir,
    #[error("no {what} configured: set {variable}{}", or_in(origin))]
    Missing { what: &'static str, variable: &'static str, origin: String },
    #[error("{origin} are both set: set only one of them")]
    ConflictingTrust { origin: String },
    #[error("invalid server URL ({origin})")]
    Url { origin: String, source: UrlError },
    #[error("invalid pin ({origin})")]
    Pin { origin: String, source: PinError },
    #[error("invalid API key ({origin})")]
    Key { origin: String, source: KeyError },
    #[error(
        "{path} contains an API key and is readable by other users (mode {mode:o}). Run: chmod 600 {}",
        shell_quoted(path),
        path = path.display()
    )]
    InsecurePermissions { path: PathBuf, mode: u32 },
    #[error("cannot read {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The parser's message without its source excerpt, which may contain the key.
    #[error("{path}: {problem}", path = path.display())]
    Parse { path: PathBuf, problem: String },
    #[error("cannot write {path}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl ConfigError {
    /// Returns how to fix the error, unless its message says so.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::NotLoggedIn { .. } => Some(
                "run `linecamp login URL --pin sha256:… --user NAME` or `--key-file FILE`, or set LINECAMP_URL, \
                 LINECAMP_PIN and LINECAMP_KEY"
                    .into(),
            ),
            _ => None,
        }
    }
}

fn or_in(origin: &str) -> String {
    match origin {
        "" => String::new(),
        origin => format!(", or log in again ({origin} has none)"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
