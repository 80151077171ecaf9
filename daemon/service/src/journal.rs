//! The journal of systemd, spoken to in its own protocol: a datagram an entry, a line a field.
//!
//! Whoever is started by systemd has stderr connected to the journal, and `JOURNAL_STREAM` names that stream. Only then
//! is the native socket used: who runs the program by hand, or into a file, gets lines.
//!
//! An entry has `MESSAGE`, `PRIORITY`, `SYSLOG_IDENTIFIER`, `TARGET` and the event's own fields in upper case, so that
//! `journalctl SITE=camp-042` finds what is about one site. Control characters are shown as `?`: nobody forges a field.
//! Everything is cut to its bound, and says so. Nobody waits for a journal that is slow: what it does not take at once
//! is lost, and the next entry that it takes says how many were.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::Level;

/// Where the journal listens on every distribution.
const SOCKET: &str = "/run/systemd/journal/socket";

/// What systemd sets for whom it connects to the journal: device and inode of the stream.
const STREAM_VARIABLE: &str = "JOURNAL_STREAM";

/// Bytes of a message. The rest is cut off and counted: a datagram has to fit the socket's buffer, which has 208 KiB.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Bytes of each other field. Ids, names and paths have less.
const FIELD_BYTES_MAX: usize = 1024;

/// Fields of an event. `tracing` has as many at most; spans add theirs, and what is too much is left out.
const FIELDS_MAX: usize = 32;

/// Letters of a field's name, as the journal has it.
const NAME_LETTERS_MAX: usize = 64;

/// What the entry itself says, which no event may say for it.
const OWN_FIELDS: [&str; 5] = ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "TARGET", "LOST"];

/// How bad it is, as `syslog(3)` counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// We stopped doing our job.
    Error = 3,
    /// Worth a look.
    Warning = 4,
    /// A change that an operator would mention.
    Info = 6,
    /// For who looks for something.
    Debug = 7,
}

impl Priority {
    /// Returns what a level of our log is in the journal.
    pub const fn of(level: Level) -> Self {
        match level {
            Level::ERROR => Self::Error,
            Level::WARN => Self::Warning,
            Level::INFO => Self::Info,
            Level::DEBUG | Level::TRACE => Self::Debug,
        }
    }
}

/// One entry.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// How bad it is.
    pub priority: Priority,
    /// Which part of the program says it.
    pub target: &'a str,
    /// The words.
    pub message: &'a str,
    /// The event's fields, by the names they have in code.
    pub fields: &'a [(String, String)],
}

/// The journal's socket.
#[derive(Debug)]
pub struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    /// What the program is called.
    identifier: &'static str,
    lost: AtomicU64,
}

impl Journal {
    /// Returns the journal if systemd has connected our stderr to it.
    pub fn of_environment(identifier: &'static str) -> Option<Self> {
        let stream = std::env::var(STREAM_VARIABLE).ok()?;
        let path = is_stream(&stream, &io::stderr()).then(|| PathBuf::from(SOCKET))?;
        Self::at(&path, identifier).ok()
    }

    /// Takes the journal that listens at `path`.
    ///
    /// # Errors
    /// If the system gives no socket.
    pub fn at(path: &Path, identifier: &'static str) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, path: path.to_owned(), identifier, lost: AtomicU64::new(0) })
    }

    /// Puts an entry in, or counts it as lost. Never waits. Returns false if there is no journal any more.
    pub fn say(&self, entry: &Entry<'_>) -> bool {
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
        // Writing to a string does not fail.
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

/// Says whether `stream`, `DEVICE:INODE`, is what `file` writes to.
fn is_stream(stream: &str, file: &impl AsFd) -> bool {
    let Some((Ok(device), Ok(inode))) = stream.split_once(':').map(|(device, inode)| (device.parse(), inode.parse()))
    else {
        return false;
    };
    let found = file.as_fd().try_clone_to_owned().map(File::from).and_then(|file| file.metadata());
    found.is_ok_and(|found| (found.dev(), found.ino()) == (device, inode))
}

/// Makes a name of the journal's: upper case, digits and underscores, a letter first. `None` if nothing is left.
fn field_name(name: &str) -> Option<String> {
    let letters = name.chars().map(|letter| match letter.to_ascii_uppercase() {
        upper @ ('A'..='Z' | '0'..='9') => upper,
        _ => '_',
    });
    let name: String = letters.skip_while(|letter| !letter.is_ascii_uppercase()).take(NAME_LETTERS_MAX).collect();
    (!name.is_empty() && !OWN_FIELDS.contains(&&*name)).then_some(name)
}

/// Writes one field on one line, whatever is in it.
fn put(text: &mut String, name: &str, value: &str, bytes_max: usize) {
    let end = value.floor_char_boundary(bytes_max.min(value.len()));
    let _ = write!(text, "{name}=");
    text.extend(value[..end].chars().map(|letter| if letter.is_control() { '?' } else { letter }));
    if end < value.len() {
        let _ = write!(text, " (cut: {} bytes more)", value.len() - end);
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

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = vec![0; 256 * 1024];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[test]
    fn an_entry_has_its_own_fields_and_those_of_the_event_and_nobody_forges_one() {
        let directory = tempfile::tempdir().unwrap();
        let (socket, journal) = journal(directory.path());
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let fields =
            [field("site", "camp-1"), field("took.ms", "3"), field("priority", "0"), field("_x", "a\nMESSAGE=b")];
        assert!(journal.say(&entry("link up\nPRIORITY=0", &fields)));
        assert_eq!(
            heard(&socket),
            "MESSAGE=link up?PRIORITY=0\nPRIORITY=6\nSYSLOG_IDENTIFIER=camp\nTARGET=linecamp::link\nSITE=camp-1\n\
             TOOK_MS=3\nX=a?MESSAGE=b\n"
        );
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let directory = tempfile::tempdir().unwrap();
        let (socket, journal) = journal(directory.path());
        let fields = [("site".to_owned(), "ü".repeat(FIELD_BYTES_MAX))];
        assert!(journal.say(&entry(&"x".repeat(1024 * 1024), &fields)));
        let heard = heard(&socket);
        assert!(heard.len() < 20_000);
        assert!(heard.contains("x (cut: 1032192 bytes more)\n") && heard.contains("ü (cut: 1024 bytes more)\n"));
    }

    #[test]
    fn nobody_waits_for_a_slow_journal_and_what_it_missed_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let (socket, journal) = journal(directory.path());
        let mut taken = 0;
        while journal.lost.load(Ordering::Relaxed) < 3 {
            assert!(journal.say(&entry("x", &[])), "it is still there");
            taken += 1;
        }
        for _ in 0..taken - 3 {
            assert!(!heard(&socket).contains("LOST="));
        }
        assert!(journal.say(&entry("y", &[])));
        assert!(heard(&socket).contains("\nLOST=3\n"));
        assert!(journal.say(&entry("z", &[])));
        assert!(!heard(&socket).contains("LOST="));
        drop(socket);
        assert!(!journal.say(&entry("gone", &[])), "whoever asks writes lines then");
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
