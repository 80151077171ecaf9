//! The members of a backup: their names, and how large they may be.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use linecamp_backup::MemberName;
use linecamp_model::PluginDigest;
use linecamp_model::limits::PLUGIN_BYTES_MAX;

/// The fleet database.
pub(super) const DATABASE: &str = "fleet.db";
/// The files with the key and the certificate of the authority: those that `init` made, or the one that a rotation has
/// put in their place.
pub(super) const AUTHORITIES: [&[&str]; 2] = [&["ca/key.pem", "ca/certificate.pem"], &["ca/current.pem"]];

const AUTHORITY: &str = "ca/";
const PLUGINS: &str = "plugins/";
const COMPONENT: &str = ".wasm";
/// The configuration in the data directory.
const SETTINGS: &str = "server.toml";
const SETTINGS_DROP_INS: &str = "server.d/";
/// The configuration elsewhere, under its absolute path.
const ELSEWHERE: &str = "config/";

/// The folder in which a restore puts configuration from elsewhere.
pub(super) const CONFIG_FROM_BACKUP: &str = "config-from-backup";

/// What a restore puts into a data directory before the database.
pub(super) const RESTORED: [&str; 5] = ["ca", "plugins", SETTINGS, "server.d", CONFIG_FROM_BACKUP];

/// Maximum bytes of the database: it is read into memory. A server with 10,000 sites has 200 MB. A larger one is
/// rejected.
pub(super) const DATABASE_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// Maximum bytes of a file of the authority or the configuration, which is far more than they have. A larger one is
/// rejected.
pub(super) const SMALL_BYTES_MAX: u64 = 1024 * 1024;

/// Maximum number of files of the authority and the configuration, which are kept in memory. More are rejected.
pub(super) const SMALL_FILES_MAX: usize = 256;

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberKind {
    Database,
    Authority,
    /// Configuration in the data directory.
    Settings,
    /// Configuration elsewhere.
    Elsewhere,
    /// The component of a plugin.
    Plugin(PluginDigest),
}

impl MemberKind {
    /// Returns what the member of this name is; `None` if no backup has such a member.
    pub(super) fn of(name: &str) -> Option<Self> {
        let is_file = |rest: &str| !rest.is_empty() && !rest.contains('/');
        if let Some(rest) = name.strip_prefix(PLUGINS) {
            let digest = HEXLOWER.decode(rest.strip_suffix(COMPONENT)?.as_bytes()).ok()?;
            return digest.try_into().ok().map(|digest| Self::Plugin(PluginDigest::from_bytes(digest)));
        }
        match name {
            DATABASE => Some(Self::Database),
            SETTINGS => Some(Self::Settings),
            name if name.strip_prefix(AUTHORITY).is_some_and(is_file) => Some(Self::Authority),
            name if name.strip_prefix(SETTINGS_DROP_INS).is_some_and(is_file) => Some(Self::Settings),
            name if name.starts_with(ELSEWHERE) => Some(Self::Elsewhere),
            _ => None,
        }
    }

    const fn bytes_max(self) -> u64 {
        match self {
            Self::Database => DATABASE_BYTES_MAX,
            Self::Authority | Self::Settings | Self::Elsewhere => SMALL_BYTES_MAX,
            Self::Plugin(_) => PLUGIN_BYTES_MAX,
        }
    }
}

/// Returns the maximum size of the member of this name; `None` if no backup has such a member.
pub(super) fn size_max(name: &str) -> Option<u64> {
    MemberKind::of(name).map(MemberKind::bytes_max)
}

/// Returns the name of a plugin's member.
pub(super) fn plugin_name(digest: PluginDigest) -> String {
    format!("{PLUGINS}{}{COMPONENT}", HEXLOWER.encode(digest.as_bytes()))
}

/// Returns the name of a configuration file's member; `None` if a backup cannot have it.
pub(super) fn config_name(data: &Path, path: &Path) -> Option<MemberName> {
    let inside = path.strip_prefix(data).ok().and_then(Path::to_str).map(str::to_owned);
    let inside = inside.filter(|name| MemberKind::of(name) == Some(MemberKind::Settings));
    let absolute = || std::path::absolute(path).ok()?.to_str().map(|path| format!("config{path}"));
    inside.or_else(absolute).and_then(|name| MemberName::parse(&name))
}

/// Returns where a restore puts a member, in the data directory. Configuration from elsewhere is for the operator, and
/// not read from there.
pub(super) fn restored_path(name: &MemberName) -> PathBuf {
    match name.as_str().strip_prefix(ELSEWHERE) {
        Some(path) => Path::new(CONFIG_FROM_BACKUP).join(path),
        None => PathBuf::from(name.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_has_only_members_that_a_server_has() {
        let plugin = plugin_name(PluginDigest::of(b"x"));
        for good in ["fleet.db", "ca/key.pem", "server.toml", "server.d/10-a.toml", "config/etc/x.toml", &plugin] {
            assert!(MemberKind::of(good).is_some(), "{good}");
        }
        for bad in
            ["lock", "ca/", "ca/a/b", "plugins/x.wasm", "fleet.db-wal", "etc/passwd", &plugin.replace(".w", ".x")]
        {
            assert_eq!(MemberKind::of(bad), None, "{bad}");
        }
    }

    #[test]
    fn configuration_is_named_by_where_it_is() {
        let name = |path: &str| config_name(Path::new("/d"), Path::new(path)).map(|name| name.to_string());
        assert_eq!(name("/d/server.toml").as_deref(), Some("server.toml"));
        assert_eq!(name("/d/server.d/a.toml").as_deref(), Some("server.d/a.toml"));
        assert_eq!(name("/etc/linecamp/server.toml").as_deref(), Some("config/etc/linecamp/server.toml"));
        assert_eq!(name("/d/other.toml").as_deref(), Some("config/d/other.toml"));
        assert_eq!(name("/etc/a b.toml"), None);
        let restored = restored_path(&MemberName::parse("config/etc/x.toml").unwrap());
        assert_eq!(restored, Path::new("config-from-backup/etc/x.toml"));
    }
}
