//! The manifest: the list of the members, in text.
//!
//! ```text
//! linecamp-backup 1
//! server 0.1.0
//! taken-at 1795314424000
//! 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae 3 server.toml
//! ```

use std::fmt;
use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use linecamp_model::{WallTime, excerpt};
use ring::digest;

use crate::FORMAT;
use crate::error::BackupError;

/// Maximum members of a backup, the manifest excluded: the most plugins, with headroom. A backup with more is rejected.
pub const MEMBERS_MAX: usize = 4_096;

/// Maximum bytes of a manifest: the most members with the longest names.
pub(crate) const MANIFEST_BYTES_MAX: u64 = 1024 * 1024;

/// Maximum bytes of a member's name: what a tar header holds.
const NAME_BYTES_MAX: usize = 100;

/// Bytes of a name that an error shows.
const SHOWN_BYTES_MAX: usize = 60;

const MAGIC: &str = "linecamp-backup";

/// The name of a member: a relative path of `[A-Za-z0-9._@+-]`, without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberName(String);

impl MemberName {
    /// Parses a name; `None` if no member may have it.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
        let is_part = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(is_plain);
        let is_name = text.len() <= NAME_BYTES_MAX && text.split('/').all(is_part);
        is_name.then(|| Self(text.to_owned()))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One member, as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Its name.
    pub name: MemberName,
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 of its contents.
    pub sha256: [u8; 32],
}

/// The manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The version of the server that wrote the backup: printable ASCII without spaces.
    pub server: String,
    /// When the backup was taken.
    pub taken_at: WallTime,
    /// The members, in the order of the file.
    pub members: Vec<ManifestEntry>,
}

impl Manifest {
    /// Formats the manifest.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{MAGIC} {FORMAT}\nserver {}\ntaken-at {}\n", self.server, self.taken_at.unix_millis());
        for ManifestEntry { name, bytes, sha256 } in &self.members {
            writeln!(text, "{} {bytes} {name}", HEXLOWER.encode(sha256)).expect("writing to a string cannot fail");
        }
        text
    }

    /// Parses a manifest.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, BackupError> {
        let text = std::str::from_utf8(text).map_err(|_| BackupError::NotBackup)?;
        let mut lines = text.lines();
        let format = lines.next().and_then(|line| line.strip_prefix(MAGIC)).ok_or(BackupError::NotBackup)?;
        match format.trim_start().parse::<u32>() {
            Ok(FORMAT) => {}
            Ok(found) if FORMAT < found => return Err(BackupError::TooNew { found }),
            Ok(_) | Err(_) => return Err(BackupError::NotBackup),
        }
        let mut field = |name: &str| lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let bad_head = || BackupError::corrupt("its manifest has no version or time");
        let server = field("server").filter(|version| is_version(version)).ok_or_else(bad_head)?.to_owned();
        let taken_at = field("taken-at").and_then(|millis| millis.parse().ok()).ok_or_else(bad_head)?;
        let mut members: Vec<ManifestEntry> = Vec::new();
        for line in lines {
            let entry = parse_entry(line)?;
            if members.iter().any(|other| other.name == entry.name) {
                return Err(BackupError::corrupt(format!("its manifest lists {} twice", entry.name)));
            }
            if MEMBERS_MAX <= members.len() {
                return Err(BackupError::corrupt(format!("its manifest lists more than {MEMBERS_MAX} members")));
            }
            members.push(entry);
        }
        Ok(Self { server, taken_at: WallTime::from_unix_millis(taken_at), members })
    }
}

fn is_version(text: &str) -> bool {
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn parse_entry(line: &str) -> Result<ManifestEntry, BackupError> {
    let bad = || BackupError::corrupt("a line of its manifest is invalid");
    let mut words = line.splitn(3, ' ');
    let mut word = || words.next().ok_or_else(bad);
    let sha256 = HEXLOWER.decode(word()?.as_bytes()).ok().and_then(|digest| digest.try_into().ok());
    let sha256 = sha256.ok_or_else(bad)?;
    let bytes = word()?.parse().map_err(|_| bad())?;
    let name = word()?;
    let name = MemberName::parse(name)
        .ok_or_else(|| BackupError::BadName { name: excerpt(name, SHOWN_BYTES_MAX).to_string() })?;
    Ok(ManifestEntry { name, bytes, sha256 })
}

/// Returns the SHA-256 of `bytes`.
pub fn checksum(bytes: &[u8]) -> [u8; 32] {
    of_digest(&digest::digest(&digest::SHA256, bytes))
}

pub(crate) fn of_digest(digest: &digest::Digest) -> [u8; 32] {
    digest.as_ref().try_into().expect("a SHA-256 has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_inside_its_directory() {
        for good in ["fleet.db", "ca/key.pem", "config/etc/linecamp/server.toml.d/10-x.toml"] {
            assert!(MemberName::parse(good).is_some(), "{good}");
        }
        let long = "a".repeat(NAME_BYTES_MAX + 1);
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".", "a b", "a\\b", "a\0", "ä", &long] {
            assert!(MemberName::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_manifest_is_read_as_written() {
        let entry = |name: &str| ManifestEntry { name: MemberName::parse(name).unwrap(), bytes: 7, sha256: [9; 32] };
        let manifest = Manifest {
            server: "0.1.0".to_owned(),
            taken_at: WallTime::from_unix_millis(1_795_314_424_000),
            members: vec![entry("fleet.db"), entry("ca/key.pem")],
        };
        assert_eq!(Manifest::parse(manifest.to_text().as_bytes()).unwrap(), manifest);
    }

    #[test]
    fn an_invalid_manifest_is_rejected_with_the_reason() {
        let check = |text: &str, words: &str| {
            let error = Manifest::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        };
        let head = "linecamp-backup 1\nserver 0.1.0\ntaken-at 5\n";
        let digest = "00".repeat(32);
        check("", "not a backup");
        check("linecamp-backup one\n", "not a backup");
        check("linecamp-backup 2\n", "format 2, newer than 1");
        check("linecamp-backup 1\nserver 0.1.0\n", "no version or time");
        check(&format!("{head}{digest} x fleet.db\n"), "a line of its manifest");
        check(&format!("{head}{digest} 5\n"), "a line of its manifest");
        check(&format!("{head}{digest} 5 ../../etc/passwd\n"), "the name `../../etc/passwd`");
        check(&format!("{head}{digest} 5 a\n{digest} 5 a\n"), "lists a twice");
    }
}
