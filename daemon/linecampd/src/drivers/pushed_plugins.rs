//! Plugins pushed by the server in chunks: each is stored in a file of its own until it is complete.
//!
//! `pushed/DIGEST.part` grows chunk by chunk. When all bytes have arrived and match the digest, the file is synced and
//! renamed to `pushed/DIGEST.wasm`. A file that does not match its digest is deleted and uploaded again from the start.
//!
//! Everything here blocks on the disk: call it from a thread that may block.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use linecamp_model::limits::{PLUGIN_BYTES_MAX, PROVIDERS_PER_SITE_MAX};
use linecamp_model::{PluginDigest, PluginPiece};

/// Files kept, complete and partial: those of all providers of a site, and as many previous ones for rollback. Above
/// this limit the oldest is deleted; one that is still needed is uploaded again.
const FILES_MAX: usize = 2 * PROVIDERS_PER_SITE_MAX;

/// The directory of pushed plugins.
#[derive(Clone, Debug)]
pub(crate) struct PushedPlugins {
    directory: PathBuf,
}

impl PushedPlugins {
    pub(crate) fn new(plugins: PathBuf) -> Self {
        Self { directory: plugins.join("pushed") }
    }

    fn path(&self, digest: PluginDigest, ending: &str) -> PathBuf {
        let digits = digest.to_string().replace("sha256:", "");
        self.directory.join(format!("{digits}.{ending}"))
    }

    /// Returns how many bytes of a component are stored; `None` if it is complete.
    ///
    /// # Errors
    /// The I/O error; the stored size is unknown then.
    pub(crate) fn measure(&self, digest: PluginDigest) -> io::Result<Option<u64>> {
        if self.path(digest, "wasm").try_exists()? {
            return Ok(None);
        }
        match fs::metadata(self.path(digest, "part")) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    /// Appends a chunk; the last chunk completes the component. Returns as [`measure`](Self::measure) does.
    ///
    /// # Errors
    /// The I/O error; the stored size may then be smaller than before.
    pub(crate) fn append(&self, piece: &PluginPiece) -> io::Result<Option<u64>> {
        fs::create_dir_all(&self.directory)?;
        let part = self.path(piece.digest, "part");
        if !part.try_exists()? {
            self.delete_oldest()?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&part)?;
        let stored = file.metadata()?.len();
        if stored != piece.offset || PLUGIN_BYTES_MAX < piece.total {
            return Ok(Some(stored));
        }
        file.write_all(&piece.bytes)?;
        let stored = stored + piece.bytes.len() as u64;
        if stored < piece.total {
            return Ok(Some(stored));
        }
        if stored != piece.total || PluginDigest::of(&linecamp_files::read(&part, PLUGIN_BYTES_MAX)?) != piece.digest {
            tracing::warn!(digest = %piece.digest, "downloaded plugin does not match its digest; downloading again");
            fs::remove_file(&part)?;
            return Ok(Some(0));
        }
        file.sync_all()?;
        fs::rename(&part, self.path(piece.digest, "wasm"))?;
        linecamp_files::sync_dir(&self.directory)?;
        Ok(None)
    }

    /// Deletes the oldest files to make room for one more.
    fn delete_oldest(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort_unstable();
        let surplus = (files.len() + 1).saturating_sub(FILES_MAX);
        for (_, path) in files.into_iter().take(surplus) {
            tracing::info!(path = %path.display(), "deleting an old downloaded plugin");
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_a_component_and_a_wrong_one_restarts_the_upload() {
        let directory = tempfile::tempdir().unwrap();
        let pushed = PushedPlugins::new(directory.path().to_owned());
        let whole = b"0123456789";
        let digest = PluginDigest::of(whole);
        let piece = |offset: usize, bytes: &[u8]| PluginPiece {
            digest,
            offset: offset as u64,
            total: 10,
            bytes: bytes.to_vec(),
        };
        assert_eq!(pushed.measure(digest).unwrap(), Some(0));
        assert_eq!(pushed.append(&piece(0, &whole[..4])).unwrap(), Some(4));
        assert_eq!(pushed.append(&piece(0, &whole[..4])).unwrap(), Some(4), "the same one again");
        assert_eq!(pushed.append(&piece(4, b"xxxxxx")).unwrap(), Some(0), "not what the digest says");
        assert_eq!(pushed.append(&piece(0, whole)).unwrap(), None);
        assert_eq!(pushed.measure(digest).unwrap(), None);
        assert_eq!(fs::read(pushed.path(digest, "wasm")).unwrap(), whole);
    }

    #[test]
    fn stored_plugins_are_bounded_and_the_newest_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let pushed = PushedPlugins::new(directory.path().to_owned());
        let bytes = |number: u8| vec![number; 10];
        for number in 0..100_u8 {
            let digest = PluginDigest::of(&bytes(number));
            let piece = PluginPiece { digest, offset: 0, total: 10, bytes: bytes(number) };
            assert_eq!(pushed.append(&piece).unwrap(), None);
            assert!(fs::read_dir(directory.path().join("pushed")).unwrap().count() <= FILES_MAX);
            assert_eq!(pushed.measure(digest).unwrap(), None);
        }
    }

    #[test]
    fn an_unreadable_directory_is_an_error_and_not_an_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let pushed = PushedPlugins::new(directory.path().to_owned());
        let digest = PluginDigest::of(b"a component");
        fs::write(directory.path().join("pushed"), "a file where a directory should be").unwrap();
        pushed.measure(digest).unwrap_err();
        let piece = PluginPiece { digest, offset: 0, total: 11, bytes: b"a component".to_vec() };
        pushed.append(&piece).unwrap_err();
        fs::remove_file(directory.path().join("pushed")).unwrap();
        assert_eq!(pushed.append(&piece).unwrap(), None, "it works again when the disk does");
    }
}
