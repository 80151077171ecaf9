//! Checks the contents of a backup: its checksums, the database and every record in it, the digests of the plugins, and
//! that the authority is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use linecamp_backup::{BackupError, Manifest, ManifestEntry, MemberName, Unlock};
use linecamp_core::SavedFleet;
use linecamp_model::{FleetChange, PluginDigest, PluginFile};
use linecamp_store::{Kind, read_snapshot};

use super::BackupFile;
use super::members::{AUTHORITIES, DATABASE, MemberKind, SMALL_FILES_MAX, size_max};
use crate::drivers::store;
use crate::error::ServerError;

/// Permissions of what a backup contains.
pub(super) const FILE_MODE: u32 = 0o600;

/// A backup whose contents are valid.
#[derive(Debug)]
pub struct CheckedBackup {
    /// Its manifest.
    pub manifest: Manifest,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
    /// What it lacks: plugins and records that were missing or corrupt when it was taken.
    pub warnings: Vec<String>,
    /// The number of registered sites.
    pub sites: usize,
    /// The number of records in its database.
    pub records: usize,
    /// The number of plugins whose components it has.
    pub plugins: usize,
    pub(super) saved: SavedFleet,
    pub(super) database: Vec<u8>,
    pub(super) small: BTreeMap<MemberName, Vec<u8>>,
}

/// Checks the backup in `file`. Writes nothing.
///
/// # Errors
/// [`ServerError::Backup`], [`ServerError::BackupRejected`].
pub fn verify(file: &BackupFile, unlock: &Unlock) -> Result<CheckedBackup, ServerError> {
    check(file, file.open()?, unlock, None)
}

/// Checks the backup that `input` contains. The components of its plugins are written to `plugins`, if it is given.
pub(super) fn check(
    file: &BackupFile,
    input: impl Read,
    unlock: &Unlock,
    plugins: Option<&Path>,
) -> Result<CheckedBackup, ServerError> {
    let mut taken = Taken::default();
    let opened = linecamp_backup::read(input, unlock, size_max, |entry, contents| taken.take(entry, contents, plugins))
        .map_err(|error| file.failed("read", error))?;
    let Taken { database, small, components } = taken;
    let database = database.ok_or_else(|| file.rejected(format!("it has no {DATABASE}")))?;
    let has = |name: &&str| small.keys().any(|found| found.as_str() == *name);
    if !AUTHORITIES.iter().any(|files| files.iter().all(has)) {
        return Err(file.rejected("it has no certificate authority"));
    }
    let documents = read_snapshot(&database, Kind::Fleet, Path::new(DATABASE))
        .map_err(|error| file.rejected(linecamp_transport::error_chain(&error)))?;
    let saved = store::read(&documents);
    if documents.is_empty() {
        return Err(file.rejected("its database is empty"));
    }
    Ok(CheckedBackup {
        manifest: opened.manifest,
        is_encrypted: opened.is_encrypted,
        warnings: warnings(&saved, &components),
        sites: saved.records.iter().filter(|record| matches!(record, FleetChange::Site(..))).count(),
        records: documents.len(),
        plugins: components.len(),
        saved,
        database,
        small,
    })
}

/// What was taken from a backup so far.
#[derive(Debug, Default)]
struct Taken {
    database: Option<Vec<u8>>,
    small: BTreeMap<MemberName, Vec<u8>>,
    components: BTreeSet<PluginDigest>,
}

impl Taken {
    fn take(&mut self, entry: &ManifestEntry, contents: &mut dyn Read, plugins: Option<&Path>) -> io::Result<()> {
        match MemberKind::of(entry.name.as_str()) {
            Some(MemberKind::Database) => self.database = Some(read_all(contents)?),
            Some(MemberKind::Plugin(digest)) if entry.sha256 == *digest.as_bytes() => {
                if let Some(plugins) = plugins {
                    write_component(entry, contents, plugins)?;
                }
                self.components.insert(digest);
            }
            Some(MemberKind::Plugin(_)) => {
                return Err(corrupt(format!("{} is not the plugin of that digest", entry.name)));
            }
            Some(MemberKind::Authority | MemberKind::Settings | MemberKind::Elsewhere) => {
                if SMALL_FILES_MAX <= self.small.len() {
                    return Err(corrupt(format!("it has more than {SMALL_FILES_MAX} small files")));
                }
                self.small.insert(entry.name.clone(), read_all(contents)?);
            }
            None => return Err(corrupt(format!("no backup has a member {}", entry.name))),
        }
        Ok(())
    }
}

fn corrupt(problem: String) -> io::Error {
    io::Error::other(BackupError::Corrupt { problem })
}

/// Reads the contents of a member, whose size is bounded.
fn read_all(contents: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    contents.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn write_component(entry: &ManifestEntry, contents: &mut dyn Read, plugins: &Path) -> io::Result<()> {
    let name = Path::new(entry.name.as_str()).file_name().unwrap_or_default();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(plugins.join(name))?;
    io::copy(contents, &mut file)?;
    file.sync_all()
}

/// Returns the plugins that a database lists.
pub(super) fn listed_plugins(saved: &SavedFleet) -> impl Iterator<Item = (PluginDigest, &PluginFile)> {
    saved.records.iter().filter_map(|record| match record {
        FleetChange::Plugin(digest, Some(file)) => Some((*digest, file)),
        _ => None,
    })
}

fn warnings(saved: &SavedFleet, components: &BTreeSet<PluginDigest>) -> Vec<String> {
    let missing = listed_plugins(saved).filter(|(digest, _)| !components.contains(digest));
    let mut warnings: Vec<_> = missing
        .map(|(digest, file)| {
            format!("the component of plugin {} ({digest}) is not in the backup: push the plugin again", file.name)
        })
        .collect();
    if !saved.unreadable.is_empty() {
        let count = saved.unreadable.len();
        warnings.push(format!("{count} records of the database cannot be read; `linecamp event ls` names them"));
    }
    warnings
}
