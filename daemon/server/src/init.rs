//! Initializes a server: its directory, authority, database, first admin key and first user.
//!
//! The configuration file is written last, and the key is shown only after that: an interrupted init has shown no
//! secret, and the next init reports it.

use linecamp_core::SavedFleet;
use linecamp_model::{ApiKey, FleetChange, Name, Pin, shell_quoted};
use linecamp_store::DirectoryLock;
use linecamp_transport::{Authority, SystemClock, WallClock as _};

use crate::config;
use crate::data_directory::{Layout, UNIT};
use crate::drivers::store;
use crate::error::ServerError;
use crate::passwords::Password;
use crate::secret::ApiKeyText;
use crate::server_url::ServerUrl;
use crate::users::{new_admin, one_time_password};

/// The name of the first API key, and of the first user.
const ADMIN: &str = "admin";

/// Names in the certificate of every server, for operators who test it locally.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A newly initialized server: what its operator needs, shown once.
#[derive(Debug)]
pub struct Initialized {
    /// The first operator's key. The server stores only its hash.
    pub admin_key: ApiKeyText,
    /// The one-time password of the user `admin`. The server stores only its hash.
    pub(crate) admin_password: Password,
    /// The pin of the server's authority.
    pub pin: Pin,
}

impl Initialized {
    /// Returns the one-time password of the user `admin`, which grants access to anyone who reads it.
    pub fn reveal_password(&self) -> &str {
        self.admin_password.reveal()
    }

    /// Returns the lines to print, once: the key and the pin on separate lines, and the next steps.
    pub fn report(&self, layout: &Layout, url: &ServerUrl) -> Vec<String> {
        let (dir, pin, url) = (layout.dir().display(), self.pin, shell_quoted(url.to_string()));
        vec![
            format!("admin key: {}", self.admin_key.reveal()),
            format!("admin password: {}", self.admin_password.reveal()),
            format!("pin: {pin}"),
            String::new(),
            "The key and the password are shown only once. Store the key in a file that only you can read; the first \
             login as user admin changes the password."
                .to_owned(),
            format!("Back up {dir}: without its `ca` directory, every site must join again."),
            format!("Start the server:  linecamp-server run --data {}", shell_quoted(layout.dir())),
            format!("Then log in:       linecamp login {url} --pin {pin} --user admin"),
            format!("Or with the key:   linecamp login {url} --pin {pin} --key-file FILE"),
        ]
    }
}

/// Initializes a server in `layout` that is reached at `url`, with `names` as additional names.
///
/// # Errors
/// [`ServerError`]; existing files are not changed.
pub fn init(layout: &Layout, url: &ServerUrl, names: &[String]) -> Result<Initialized, ServerError> {
    check_not_initialized(layout)?;
    let create_error = |path: &std::path::Path| {
        let path = path.to_owned();
        |source| ServerError::Create { path, source }
    };
    linecamp_files::create_dir(layout.dir()).map_err(create_error(layout.dir()))?;
    let _lock = DirectoryLock::acquire(layout.dir(), UNIT)?;
    // Another process may have initialized it before this one got the lock.
    check_not_initialized(layout)?;
    let now = SystemClock.now();
    let authority = Authority::create(&layout.ca(), &certificate_names(url, names), now)?;

    let admin_key = ApiKeyText::generate()?;
    let name = Name::parse(ADMIN).expect("a constant that is a name");
    let key = ApiKey::of_console(admin_key.hash(), name.clone(), now);
    let (admin_password, hash) = one_time_password()?;
    let user = FleetChange::User(name, Some(new_admin(hash)));
    let changes = vec![FleetChange::ApiKey(admin_key.hash(), Some(key)), user];
    store::write_audited(&layout.database(), &SavedFleet::default(), "server.init", changes)?;

    let path = layout.config();
    linecamp_files::write_new(&path, config::template(url).as_bytes())
        .and_then(|()| linecamp_files::sync_parent(&path))
        .map_err(create_error(&path))?;
    Ok(Initialized { admin_key, admin_password, pin: authority.pin() })
}

fn check_not_initialized(layout: &Layout) -> Result<(), ServerError> {
    let dir = layout.dir().to_owned();
    let parts = [layout.ca(), layout.database(), layout.config()];
    let found: Vec<_> = parts.iter().filter(|path| path.exists()).map(|path| path.display().to_string()).collect();
    match found.len() {
        0 => Ok(()),
        count if count == parts.len() => Err(ServerError::Initialized { dir }),
        _ => Err(ServerError::PartlyInitialized { dir, found: found.join(" and ") }),
    }
}

fn certificate_names(url: &ServerUrl, names: &[String]) -> Vec<String> {
    let all = std::iter::once(url.host().to_owned()).chain(names.iter().cloned()).chain(LOCAL_NAMES.map(str::to_owned));
    let mut unique = Vec::new();
    for name in all {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}
