//! The making of a server: its directory, its authority, its database, its first admin key.
//!
//! The configuration file is written last, and the key is shown only after it: an init that was interrupted has told
//! nobody anything, and says so the next time.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};

use linecamp_model::{ApiKey, FleetChange, Name, Pin};
use linecamp_store::DirectoryLock;
use linecamp_transport::{Authority, SystemClock, WallClock as _};

use crate::config::{self, ServerUrl};
use crate::drive::store;
use crate::error::ServerError;
use crate::layout::Layout;
use crate::secret::ApiKeyText;

/// The name of the first API key.
const ADMIN: &str = "admin";

/// What the certificate of every server names, whatever it is called: operators try it out on the spot.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The directory holds secrets.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A server that was made: what its operator needs, shown once.
#[derive(Debug)]
pub struct Initialised {
    /// The key of the first operator. The server keeps its hash only.
    pub admin_key: ApiKeyText,
    /// Whom to trust.
    pub pin: Pin,
}

impl Initialised {
    /// Returns what to print, once: the key and the pin each on a line of their own, and what to do next.
    pub fn report(&self, layout: &Layout, url: &ServerUrl) -> Vec<String> {
        let (dir, pin) = (layout.dir().display(), self.pin);
        vec![
            format!("admin key: {}", self.admin_key.reveal()),
            format!("pin: {pin}"),
            String::new(),
            "The key is shown this once; keep it in a file that only you can read.".to_owned(),
            format!("Back up {dir}: without its `ca` folder, every site has to join anew."),
            format!("Start the server:  linecamp-server run --data {dir}"),
            format!("Then log in:       linecamp login {url} --pin {pin} --key-file FILE"),
        ]
    }
}

/// Makes a server in `layout` that is reached at `url`, and is called `names` as well.
///
/// # Errors
/// [`ServerError`]; what is there already is not changed.
pub fn init(layout: &Layout, url: &ServerUrl, names: &[String]) -> Result<Initialised, ServerError> {
    refuse_existing(layout)?;
    let create_error = |path: &std::path::Path| {
        let path = path.to_owned();
        |source| ServerError::Create { path, source }
    };
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(layout.dir()).map_err(create_error(layout.dir()))?;
    let _lock = DirectoryLock::acquire(layout.dir())?;
    // Somebody may have been quicker.
    refuse_existing(layout)?;
    let now = SystemClock.now();
    let authority = Authority::create(&layout.ca(), &certificate_names(url, names), now)?;

    let admin_key = ApiKeyText::draw()?;
    let key = ApiKey { name: Name::parse(ADMIN).expect("a constant that is a name"), created_at: now };
    store::write_once(&layout.database(), &[FleetChange::ApiKey(admin_key.hash(), Some(key))])?;

    let path = layout.config();
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&path)
        .and_then(|mut file| {
            file.write_all(config::template(url).as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| fs::File::open(layout.dir())?.sync_all());
    written.map_err(create_error(&path))?;
    Ok(Initialised { admin_key, pin: authority.pin() })
}

fn refuse_existing(layout: &Layout) -> Result<(), ServerError> {
    let dir = layout.dir().to_owned();
    let parts = [layout.ca(), layout.database(), layout.config()];
    let found: Vec<_> = parts.iter().filter(|path| path.exists()).map(|path| path.display().to_string()).collect();
    match found.len() {
        0 => Ok(()),
        count if count == parts.len() => Err(ServerError::Initialised { dir }),
        _ => Err(ServerError::HalfInitialised { dir, found: found.join(" and ") }),
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
