//! The login: where the server is, whom to trust, which key.
//!
//! [`ConfigFile`] is exactly what was written; [`Config`] is complete and checked. [`Config::resolve`] makes the one
//! from the other and is, with the two functions at its side, the only place that reads the environment:
//!
//! - `LINECAMP_URL`, if set, stands in place of the login as a whole, so that no key of a login is ever sent to
//!   another server than the login's. `LINECAMP_KEY`, `LINECAMP_PIN` and `LINECAMP_CA` go with it.
//! - Without `LINECAMP_URL`, the other three replace that part of the login.
//! - `--ca` beats every pin and every other authority.

mod file;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use linecamp_model::{Pin, PinError};
use linecamp_transport::ApiTrust;
use serde::{Deserialize, Serialize};

pub(crate) use file::ConfigFile;

/// The port of `https://` without one (RFC 9110).
const HTTPS_PORT: u16 = 443;

/// What an API key begins with.
const KEY_PREFIX: &str = "lck_";

/// The longest API key: far beyond what the server makes. A longer one is a wrong file, and is refused.
const KEY_BYTES_MAX: usize = 256;

const URL: &str = "LINECAMP_URL";
const PIN: &str = "LINECAMP_PIN";
const CA: &str = "LINECAMP_CA";
const KEY: &str = "LINECAMP_KEY";

/// The process environment, or a stand-in for it. An empty variable counts as unset.
pub(crate) trait Env {
    /// Returns a variable.
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

/// An environment in which nothing is set.
struct NoEnv;

impl Env for NoEnv {
    fn var(&self, _name: &str) -> Option<String> {
        None
    }
}

/// Where the server is, whom to trust, which key: checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where the server is.
    pub(crate) server: ServerUrl,
    /// ServerTargets to trust.
    pub(crate) trust: ApiTrust,
    /// Which key.
    pub(crate) key: ApiKey,
}

impl Config {
    /// Reads the login, if it is needed, and resolves.
    pub(crate) fn find(ca: Option<&Path>, env: &dyn Env) -> Result<Self, ConfigError> {
        if env.var(URL).is_some() {
            return Self::resolve(Login::None, ca, env);
        }
        let path = config_path(env)?;
        match ConfigFile::load(&path)? {
            Some(file) => Self::resolve(Login::File(file, &path), ca, env),
            None => Err(ConfigError::NotLoggedIn { path }),
        }
    }

    /// Resolves what a login is about to write, whatever the environment says.
    pub(crate) fn of_login(file: &ConfigFile, path: &Path) -> Result<Self, ConfigError> {
        Self::resolve(Login::File(file.clone(), path), None, &NoEnv)
    }

    /// Makes what was written complete, or says what is missing or wrong, and where.
    pub(crate) fn resolve(login: Login<'_>, ca: Option<&Path>, env: &dyn Env) -> Result<Self, ConfigError> {
        let (file, place) = match login {
            Login::File(file, path) => (file, path.display().to_string()),
            Login::None => (ConfigFile::default(), String::new()),
        };
        let written = |variable: &'static str, key: &str, text: Option<String>| match env.var(variable) {
            Some(text) => Some(Sourced { text, place: variable.into() }),
            None => text.map(|text| Sourced { text, place: format!("`{key}` in {place}") }),
        };
        let missing = |what, variable| ConfigError::Missing { what, variable, place: place.clone() };
        let url = written(URL, "url", file.url).ok_or_else(|| missing("url", URL))?;
        let key = written(KEY, "key", file.key.map(|key| key.0)).ok_or_else(|| missing("key", KEY))?;
        let trust = match (ca, env.var(PIN), env.var(CA)) {
            (Some(ca), _, _) => ApiTrust::CaFile(ca.into()),
            (None, Some(_), Some(_)) => {
                return Err(ConfigError::TwoTrusts { place: format!("{PIN} and {CA}") });
            }
            (None, None, Some(ca)) => ApiTrust::CaFile(ca.into()),
            (None, Some(text), None) => ApiTrust::Pin(parse_pin(&text, PIN.into())?),
            (None, None, None) => match (file.pin, file.ca) {
                (Some(_), Some(_)) => {
                    return Err(ConfigError::TwoTrusts { place: format!("`pin` and `ca` in {place}") });
                }
                (Some(text), None) => ApiTrust::Pin(parse_pin(&text, format!("`pin` in {place}"))?),
                (None, Some(ca)) => ApiTrust::CaFile(ca),
                (None, None) => return Err(missing("pin", "LINECAMP_PIN or LINECAMP_CA")),
            },
        };
        let server = ServerUrl::parse(&url.text).map_err(|source| ConfigError::Url { place: url.place, source })?;
        let key = ApiKey::parse(&key.text).map_err(|source| ConfigError::Key { place: key.place, source })?;
        Ok(Self { server, trust, key })
    }
}

/// What was written down at a login.
#[derive(Debug)]
pub(crate) enum Login<'a> {
    /// This, in that file.
    File(ConfigFile, &'a Path),
    /// Nothing that counts.
    None,
}

struct Sourced {
    text: String,
    place: String,
}

fn parse_pin(text: &str, place: String) -> Result<Pin, ConfigError> {
    Pin::parse(text).map_err(|source| ConfigError::Pin { place, source })
}

/// Returns where the login is kept: `LINECAMP_CONFIG`, else below `XDG_CONFIG_HOME`, else below `~/.config`.
///
/// A relative `XDG_CONFIG_HOME` is ignored, as the XDG Base Directory Specification asks.
pub(crate) fn config_path(env: &dyn Env) -> Result<PathBuf, ConfigError> {
    if let Some(path) = env.var("LINECAMP_CONFIG") {
        return Ok(path.into());
    }
    let xdg = env.var("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || env.var("HOME").map(|home| Path::new(&home).join(".config"));
    let base = xdg.or_else(home).ok_or(ConfigError::NoHome)?;
    Ok(base.join("linecamp").join("config.toml"))
}

/// Whether the environment asks for no colours.
pub(crate) fn refuses_colours(env: &dyn Env) -> bool {
    env.var("NO_COLOR").is_some() || env.var("TERM").is_some_and(|term| term == "dumb")
}

/// `https://HOST[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    /// The host without brackets, as a resolver takes it.
    pub(crate) host: String,
    /// The TCP port.
    pub(crate) port: u16,
}

impl ServerUrl {
    /// Parses a URL. The error does not repeat it, because a URL may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, UrlError> {
        let uri: hyper::Uri = text.trim().parse().map_err(|_| UrlError::Malformed)?;
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") => return Err(UrlError::Unprotected),
            Some(_) | None => return Err(UrlError::Malformed),
        }
        let authority = uri.authority().ok_or(UrlError::Malformed)?;
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        if !is_bare || authority.as_str().contains('@') {
            return Err(UrlError::TooMuch);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => HTTPS_PORT,
            Some(rest) => rest[1..].parse().ok().filter(|port| *port != 0).ok_or(UrlError::Malformed)?,
            None => return Err(UrlError::Malformed),
        };
        Ok(Self { host: host.into(), port })
    }

    /// Returns `HOST[:PORT]`, as the HTTP header `Host` takes it.
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

/// Why a text is not the URL of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UrlError {
    /// Not a URL of a server at all.
    #[error("a server's URL reads https://HOST or https://HOST:PORT")]
    Malformed,
    /// Plain HTTP.
    #[error("a server's URL begins with https://, not http://: a key is never sent unprotected")]
    Unprotected,
    /// More than host and port.
    #[error("a server's URL is https://HOST or https://HOST:PORT and nothing more: no path, no user")]
    TooMuch,
}

/// An API key, `lck_…`. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ApiKey(String);

impl ApiKey {
    /// Parses a key: what may stand in a header, and begins as keys do. The error does not repeat it.
    pub(crate) fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let body = text.strip_prefix(KEY_PREFIX).ok_or(KeyError)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        match body.len() {
            1..=KEY_BYTES_MAX if body.bytes().all(fits) => Ok(Self(text.into())),
            _ => Err(KeyError),
        }
    }

    /// Returns the key, for the one header it is for.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

/// A text that is no API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an API key is `lck_` and letters, digits, `-` and `_`; part of this one is missing or changed")]
pub(crate) struct KeyError;

/// Why there is no usable login.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("not logged in: there is no {path}", path = path.display())]
    NotLoggedIn { path: PathBuf },
    #[error("nowhere to keep a login: neither LINECAMP_CONFIG nor XDG_CONFIG_HOME nor HOME is set")]
    NoHome,
    #[error("the {what} is missing: set {variable}{}", or_in(place))]
    Missing { what: &'static str, variable: &'static str, place: String },
    #[error("{place} are both set; one of them says whom to trust")]
    TwoTrusts { place: String },
    #[error("{place}")]
    Url { place: String, source: UrlError },
    #[error("{place}")]
    Pin { place: String, source: PinError },
    #[error("{place}")]
    Key { place: String, source: KeyError },
    #[error(
        "{path} can be read by others (mode {mode:o}) and holds a key; run: chmod 600 {path}",
        path = path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("failed to read {path}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The parser's words alone: its picture of the line may show the key.
    #[error("{path}: {problem}", path = path.display())]
    Parse { path: PathBuf, problem: String },
    #[error("failed to write {path}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
}

impl ConfigError {
    /// Returns what to do about it, where the error does not say.
    pub(crate) fn advice(&self) -> Option<String> {
        match self {
            Self::NotLoggedIn { .. } => Some(
                "run `linecamp login URL --pin sha256:… --key-file FILE`, or set LINECAMP_URL, LINECAMP_PIN and \
                 LINECAMP_KEY"
                    .into(),
            ),
            _ => None,
        }
    }
}

fn or_in(place: &str) -> String {
    match place {
        "" => String::new(),
        place => format!(", or log in again: {place} has none"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
