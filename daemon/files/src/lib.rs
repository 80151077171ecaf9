//! Reads files that other programs and people write: configuration, labels, secrets, tokens, certificates, plugins.
//!
//! Such a path may name anything: a named pipe without a writer, where opening blocks forever; a terminal; a device
//! without an end. Each function here opens only regular files, never waits for a writer, never becomes the owner of a
//! terminal, and reads at most the bytes that its caller names. The kind is checked twice: before opening, because
//! opening some devices has effects, and on the open file, because another file can take the name in between.
//!
//! The exception is [`read_given`], for a file that a person names on the command line of a command that then ends:
//! there a pipe is on purpose, as in `linecamp provider add --file <(generate)`, and Ctrl-C ends the wait.
//!
//! A regular file on a network file system whose server is silent still blocks: the kernel offers no limit for that.
//! What a file means, and how large it may be, is the caller's decision.
//!
//! Private files and directories that must survive a power failure are written here too: [`write_new`], [`create_dir`],
//! [`sync_dir`].

#![forbid(unsafe_code)]

mod durable;
mod key_problem;

use std::fmt;
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

pub use self::durable::{create_dir, sync_dir, sync_parent, write_new};
pub use self::key_problem::{line_of, problem_at};

/// Why a file cannot be read. The texts do not contain the path.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened or read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The path names something that is not a regular file.
    #[error("not a regular file but a {0}")]
    NotRegular(FileKind),
    /// The file is larger than allowed.
    #[error("larger than {bytes_max} bytes")]
    TooLarge {
        /// The most bytes allowed.
        bytes_max: u64,
    },
    /// The file is not UTF-8 text.
    #[error("not UTF-8 text")]
    NotText,
}

impl ReadError {
    /// Whether nothing has this path.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }
}

impl From<ReadError> for io::Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => error,
            other => Self::other(other),
        }
    }
}

/// A kind of file that is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A named pipe, or the end of a pipe under `/dev/fd`.
    Pipe,
    /// A socket.
    Socket,
    /// A terminal, a disk, or another device.
    Device,
}

impl FileKind {
    /// Classifies what is not a regular file.
    fn of(found: FileType) -> Option<Self> {
        match found {
            regular if regular.is_file() => None,
            directory if directory.is_dir() => Some(Self::Directory),
            pipe if pipe.is_fifo() => Some(Self::Pipe),
            socket if socket.is_socket() => Some(Self::Socket),
            _ => Some(Self::Device),
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Directory => "directory",
            Self::Pipe => "pipe",
            Self::Socket => "socket",
            Self::Device => "device",
        })
    }
}

/// Opens a regular file for reading. Symbolic links are followed.
///
/// # Errors
/// [`ReadError::NotRegular`] for anything else, without waiting for it; [`ReadError::Io`].
pub fn open(path: &Path) -> Result<File, ReadError> {
    check(fs::metadata(path)?.file_type())?;
    open_unblocked(path)
}

/// Opens whatever has the path now, and checks what was opened.
fn open_unblocked(path: &Path) -> Result<File, ReadError> {
    // A pipe opens at once; a terminal does not become this process's.
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

fn check(found: FileType) -> Result<(), ReadError> {
    FileKind::of(found).map_or(Ok(()), |kind| Err(ReadError::NotRegular(kind)))
}

/// Reads a complete regular file of at most `bytes_max` bytes.
///
/// # Errors
/// As [`open`]; [`ReadError::TooLarge`].
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    complete(open(path)?, bytes_max)
}

/// Reads a complete regular file of UTF-8 text of at most `bytes_max` bytes.
///
/// # Errors
/// As [`read`]; [`ReadError::NotText`].
pub fn read_text(path: &Path, bytes_max: u64) -> Result<String, ReadError> {
    String::from_utf8(read(path, bytes_max)?).map_err(|_| ReadError::NotText)
}

/// Reads the first bytes of a regular file, at most `bytes_max`: for files of the system, of which the beginning is
/// enough.
///
/// # Errors
/// As [`open`].
pub fn read_prefix(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a file that a person named on the command line, of at most `bytes_max` bytes. It may be a pipe or a terminal:
/// then this waits for its writer, and reads until the writer closes it.
///
/// # Errors
/// [`ReadError::Io`]; [`ReadError::TooLarge`], also for a device without an end.
pub fn read_given(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    complete(File::open(path)?, bytes_max)
}

fn complete(file: File, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= bytes_max => Ok(bytes),
        Ok(_) | Err(_) => Err(ReadError::TooLarge { bytes_max }),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    /// One path of each kind, and the kind that is reported.
    fn not_regular(directory: &Path) -> Vec<(PathBuf, FileKind)> {
        let at = |name: &str| directory.join(name);
        mkfifoat(CWD, at("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
        drop(UnixListener::bind(at("socket")).unwrap());
        for (link, target) in [("zero", "/dev/zero"), ("tty", "/dev/tty"), ("to-pipe", "pipe"), ("to-dir", ".")] {
            symlink(target, at(link)).unwrap();
        }
        vec![
            (directory.to_owned(), FileKind::Directory),
            (at("to-dir"), FileKind::Directory),
            (at("pipe"), FileKind::Pipe),
            (at("to-pipe"), FileKind::Pipe),
            (at("socket"), FileKind::Socket),
            (at("zero"), FileKind::Device),
            (at("tty"), FileKind::Device),
        ]
    }

    #[test]
    fn only_a_regular_file_is_read_and_nothing_blocks() {
        let directory = tempfile::tempdir().unwrap();
        for (path, kind) in not_regular(directory.path()) {
            let error = read(&path, 16).unwrap_err();
            assert!(matches!(&error, ReadError::NotRegular(found) if *found == kind), "{}: {error}", path.display());
            assert_eq!(error.to_string(), format!("not a regular file but a {kind}"));
        }
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "text").unwrap();
        symlink("file", &link).unwrap();
        assert_eq!(read(&link, 4).unwrap(), b"text");
        assert!(read(&directory.path().join("none"), 4).unwrap_err().is_not_found());
    }

    /// What a path names can change after it was examined.
    #[test]
    fn a_pipe_that_takes_the_name_of_a_file_does_not_block() {
        let directory = tempfile::tempdir().unwrap();
        for (path, kind) in not_regular(directory.path()) {
            match open_unblocked(&path).unwrap_err() {
                ReadError::NotRegular(found) => assert_eq!(found, kind),
                // The kernel opens no socket, and no terminal in a process without one.
                ReadError::Io(_) => assert!(matches!(kind, FileKind::Socket | FileKind::Device), "{kind}"),
                other => panic!("{}: {other}", path.display()),
            }
        }
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, b"abc\xff").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"abc\xff");
        assert_eq!(read(&path, 3).unwrap_err().to_string(), "larger than 3 bytes");
        assert_eq!(read_prefix(&path, 3).unwrap(), b"abc");
        assert_eq!(read_text(&path, 4).unwrap_err().to_string(), "not UTF-8 text");
    }

    #[test]
    fn a_pipe_that_a_person_names_is_read_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let writer = {
            let path = path.clone();
            std::thread::spawn(move || OpenOptions::new().write(true).open(path)?.write_all(b"text"))
        };
        assert_eq!(read_given(&path, 4).unwrap(), b"text");
        writer.join().unwrap().unwrap();
        assert!(matches!(read_given(Path::new("/dev/zero"), 4), Err(ReadError::TooLarge { bytes_max: 4 })));
    }
}
