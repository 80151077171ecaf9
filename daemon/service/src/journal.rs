//! The systemd journal, over its native protocol: one datagram per entry, one line per field.
//!
//! systemd connects the stderr of a service to the journal, and `JOURNAL_STREAM` identifies that stream. The native
//! socket is used only then: a program run by hand or with redirected output writes lines to stderr.
//!
//! An entry has `MESSAGE`, `PRIORITY`, `SYSLOG_IDENTIFIER`, `TARGET` and the event's own fields in upper case, so that
//! `journalctl SITE=camp-042` finds the entries of one site. Invisible characters are replaced, so that no field can be
//! forged. Everything is truncated to its limit, with a note. A slow journal does not block the program: an
//! entry it does not accept immediately is lost, and the next accepted entry reports how many were.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use linecamp_model::printable;
use tracing::Level;

/// The path of the journal's socket on every distribution.
const SOCKET: &str = "/run/systemd/journal/socket";

/// Set by systemd for processes connected to the journal: the device and inode of the stream.
const STREAM_VARIABLE: &str = "JOURNAL_STREAM";

/// Maximum bytes of a message. The rest is cut off and counted: a datagram has to fit the socket's buffer of 208 KiB.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Maximum bytes of any other field. IDs, names and paths are shorter.
const FIELD_BYTES_MAX: usize = 1024;

/// Maximum fields of an event. `tracing` allows as many; spans add theirs, and the excess is dropped.
const FIELDS_MAX: usize = 32;

/// Maximum characters of a field name, as the journal defines it.
const NAME_LETTERS_MAX: usize = 64;

/// Fields of the entry itself, which an event must not override.
const OWN_FIELDS: [&str; 5] = ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "TARGET", "LOST"];

/// The severity, with the values of `syslog(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// The program no longer does its job.
    Error = 3,
    /// Needs attention.
    Warning = 4,
    /// A change that operators want to know about.
    Info = 6,
    /// For debugging.
    Debug = 7,
}

impl Priority {
    /// Returns the journal priority of a log level.
    pub(crate) const fn of(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warning,
            Level::INFO => Self::Info,
            Level::DEBUG | Level::TRACE => Self::Debug,
        }
    }
}

/// A journal entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// The severity.
    pub(crate) priority: Priority,
    /// The part of the program that logs it.
    pub(crate) target: &'a str,
    /// The message.
    pub(crate) message: &'a str,
    /// The event's fields, with their names in the code.
    pub(crate) fields: &'a [(String, String)],
}

/// A connection to the journal's socket.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    /// The name of the program.
    identifier: &'static str,
    lost: AtomicU64,
}

impl Journal {
    /// Returns the journal if systemd connected stderr to it.
    pub fn from_environment(identifier: &'static str) -> Option<Self> {
        let stream = std::env::var(STREAM_VARIABLE).ok()?;
        let path = is_stream(&stream, &io::stderr()).then(|| PathBuf::from(SOCKET))?;
        Self::at(&path, identifier).ok()
    }

    /// Connects to the journal at `path`.
    ///
    /// # Errors
    /// If the system cannot create a socket.
    pub fn at(path: &Path, identifier: &'static str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.to_owned(), identifier, lost: AtomicU64::new(0) })
    }

    /// Sends an entry, or counts it as lost. Never blocks. Returns false if the journal no longer exists.
    pub(crate) fn send(&self, entry: &Entry<'_>) -> bool {
        let lost = self.lost.load(Ordering::Relaxed);
        match self.socket.send_to(self.datagram(entry, lost).as_bytes(), &self.path) {
            Ok(_) => {
                self.lost.fetch_sub(lost, Ordering::Relaxed);
                true
            }
            Err(error) => {
                self.lost.fetch_add(1, Ordering::Relaxed);
                !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
            }
        }
    }

    fn datagram(&self, entry: &Entry<'_>, lost: u64) -> String {
        let mut text = String::new();
        put(&mut text, "MESSAGE", entry.message, MESSAGE_BYTES_MAX);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "PRIORITY={}", entry.priority as u8);
        put(&mut text, "SYSLOG_IDENTIFIER", self.identifier, FIELD_BYTES_MAX);
        put(&mut text, "TARGET", entry.target, FIELD_BYTES_MAX);
        if lost != 0 {
            let _ = writeln!(text, "LOST={lost}");
        }
        for (name, value) in entry.fields.iter().take(FIELDS_MAX) {
            if let Some(name) = field_name(name) {
                put(&mut text, &name, value, FIELD_BYTES_MAX);
            }
        }
        text
    }
}

/// Returns whether `stream`, as `DEVICE:INODE`, identifies `file`.
fn is_stream(stream: &str, file: &impl AsFd) -> bool {
    let Some((Ok(device), Ok(inode))) = stream.split_once(':').map(|(device, inode)| (device.parse(), inode.parse()))
    else {
        return false;
    };
    let found = file.as_fd().try_clone_to_owned().map(File::from).and_then(|file| file.metadata());
    found.is_ok_and(|found| (found.dev(), found.ino()) == (device, inode))
}

/// Converts a name to a journal field name: upper case letters, digits and underscores, starting with a letter. `None`
/// if nothing remains or the name is reserved.
fn field_name(name: &str) -> Option<String> {
    let letters = name.chars().map(|letter| match letter.to_ascii_uppercase() {
        upper @ ('A'..='Z' | '0'..='9') => upper,
        _ => '_',
    });
    let name: String = letters.skip_while(|letter| !letter.is_ascii_uppercase()).take(NAME_LETTERS_MAX).collect();
    (!name.is_empty() && !OWN_FIELDS.contains(&&*name)).then_some(name)
}

/// Writes one field as one line, whatever the value contains.
fn put(text: &mut String, name: &str, value: &str, bytes_max: usize) {
    let end = value.floor_char_boundary(bytes_max.min(value.len()));
    let _ = write!(text, "{name}=");
    text.push_str(&printable(&value[..end]));
    if end < value.len() {
        let _ = write!(text, " (truncated: {} more bytes)", value.len() - end);
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(directory: &Path) -> (UnixDatagram, Journal) {
        let path = directory.join("journal");
        (UnixDatagram::bind(&path).unwrap(), Journal::at(&path, "camp").unwrap())
    }

    fn entry<'a>(message: &'a str, fields: &'a [(String, String)]) -> Entry<'a> {
        Entry { priority: Priority::Info, target: "linecamp::link", message, fields }
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut bytes = vec![0; 256 * 1024];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[test]
    fn an_entry_has_its_own_fields_and_those_of_the_event_and_none_is_forged() {
        let directory = tempfile::tempdir().unwrap();
        let (socket, journal) = journal(directory.path());
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields =
            [field("site", "camp-1"), field("took.ms", "3"), field("priority", "0"), field("_x", "a\nMESSAGE=b")];
        assert!(journal.send(&entry("link up\nPRIORITY=0", &fields)));
        assert_eq!(
            received(&socket),
            "MESSAGE=link up PRIORITY=0\nPRIORITY=6\nSYSLOG_IDENTIFIER=camp\nTARGET=linecamp::link\nSITE=camp-1\n\
             TOOK_MS=3\nX=a MESSAGE=b\n"
        );
    }

    #[test]
    fn long_texts_are_truncated_with_a_note() {
        let directory = tempfile::tempdir().unwrap();
        let (socket, journal) = journal(directory.path());
        let fields = [("site".to_owned(), "ü".repeat(FIELD_BYTES_MAX))];
        assert!(journal.send(&entry(&"x".repeat(1024 * 1024), &fields)));
        let received = received(&socket);
        assert!(received.len() < 20_000);
        assert!(
            received.contains("x (truncated: 1032192 more bytes)\n")
                && received.contains("ü (truncated: 1024 more bytes)\n")
        );
    }

    #[test]
    fn a_slow_journal_blocks_nothing_and_lost_entries_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let (socket, journal) = journal(directory.path());
        let mut taken = 0;
        while journal.lost.load(Ordering::Relaxed) < 3 {
            assert!(journal.send(&entry("x", &[])), "it is still there");
            taken += 1;
        }
        for _ in 0..taken - 3 {
            assert!(!received(&socket).contains("LOST="));
        }
        assert!(journal.send(&entry("y", &[])));
        assert!(received(&socket).contains("\nLOST=3\n"));
        assert!(journal.send(&entry("z", &[])));
        assert!(!received(&socket).contains("LOST="));
        drop(socket);
        assert!(!journal.send(&entry("gone", &[])), "the caller then writes text lines");
    }

    #[test]
    fn a_stream_is_known_by_device_and_inode() {
        let file = tempfile::tempfile().unwrap();
        let found = file.metadata().unwrap();
        let check = |stream: &str, expected| assert_eq!(is_stream(stream, &file), expected, "{stream}");
        check(&format!("{}:{}", found.dev(), found.ino()), true);
        check(&format!("{}:{}", found.dev(), found.ino() + 1), false);
        check("nonsense", false);
        check("", false);
    }
}
