//! Paths of local sockets, of any length.
//!
//! The kernel takes at most [`PATH_BYTES_MAX`] bytes as the address of a socket, although paths may be much longer. The
//! socket of a directory with a longer path is reached through an open handle of that directory: its path under
//! `/proc/self/fd` is short. Permissions are checked as ever: only users who may enter the directory get the handle.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// The longest address of a socket: `sockaddr_un` has 108 bytes (unix(7)), and the last one is a zero.
const PATH_BYTES_MAX: usize = 107;

/// The address of a socket, valid while this exists.
#[derive(Debug)]
pub(crate) struct SocketPath {
    path: PathBuf,
    _directory: Option<OwnedFd>,
}

impl SocketPath {
    /// Prepares to bind or connect to the socket at `path`.
    ///
    /// # Errors
    /// If the path is too long for an address, and its directory cannot be opened or `/proc` is not mounted.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let is_short = path.as_os_str().len() <= PATH_BYTES_MAX;
        let (false, Some(directory), Some(name)) = (is_short, path.parent(), path.file_name()) else {
            return Ok(Self { path: path.to_owned(), _directory: None });
        };
        let directory = rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let short = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        if fs::metadata(&short).is_err() {
            let problem = "its path has more than 107 bytes, and /proc is not mounted; mount it, or use a shorter path";
            return Err(io::Error::other(problem));
        }
        Ok(Self { path: short.join(name), _directory: Some(directory) })
    }

    /// Returns the address.
    pub(crate) fn as_path(&self) -> &Path {
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    /// Returns a directory below `top` whose path has this many bytes.
    fn directory(top: &Path, bytes: usize) -> PathBuf {
        let mut path = top.to_owned();
        while path.as_os_str().len() < bytes {
            let rest = bytes - path.as_os_str().len() - 1;
            // A name has at most 255 bytes, and a rest of one byte has no room for a slash and a name.
            path.push("d".repeat(if rest <= 200 { rest } else { 100 }));
        }
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_socket_can_be_reached_whatever_the_length_of_its_directorys_path() {
        let top = tempfile::tempdir().unwrap();
        for bytes in (80..=120).chain([1000, 4000]) {
            let directory = directory(top.path(), bytes);
            assert_eq!(directory.as_os_str().len(), bytes);
            let path = directory.join("linecampd.sock");
            let listener = UnixListener::bind(SocketPath::of(&path).unwrap().as_path()).unwrap();
            let mut client = UnixStream::connect(SocketPath::of(&path).unwrap().as_path()).unwrap();
            let (mut served, _) = listener.accept().unwrap();
            client.write_all(b"x").unwrap();
            served.read_exact(&mut [0]).unwrap();
            assert!(path.exists(), "{bytes}");
        }
    }

    #[test]
    fn a_missing_directory_is_not_found() {
        let path = Path::new("/nowhere").join("x".repeat(120)).join("linecampd.sock");
        assert_eq!(SocketPath::of(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
