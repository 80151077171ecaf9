//! Writing and reading the archive.

use std::io::{self, BufRead, BufReader, Read, Write};

use linecamp_model::excerpt;
use ring::digest::{Context, SHA256};
use tar::{Archive, Builder, EntryType, Header};

use crate::encryption::{DecryptReader, EncryptWriter, FileKey, HEADER_MAGIC, Lock, Unlock};
use crate::error::BackupError;
use crate::manifest::{MANIFEST_BYTES_MAX, Manifest, ManifestEntry, of_digest};

/// The name of the manifest in the archive.
const MANIFEST: &str = "manifest";

/// Maximum bytes after the last member: the end of a tar archive is two blocks, padded to a record of 10 KiB.
const END_BYTES_MAX: u64 = 20 * 512;

const BLOCK_BYTES: usize = 512;

/// A backup that was read completely and without an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its manifest.
    pub manifest: Manifest,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
}

/// Writes a backup: the manifest, and then the contents of each member, which `contents` returns. Returns the key of
/// the file if it is encrypted, to verify it with.
///
/// # Errors
/// [`BackupError::Io`], also if the contents of a member are shorter than the manifest says.
pub fn write<C: Read>(
    out: impl Write,
    manifest: &Manifest,
    lock: &Lock,
    contents: impl FnMut(&ManifestEntry) -> io::Result<C>,
) -> Result<Option<FileKey>, BackupError> {
    match lock {
        Lock::Open => {
            write_archive(out, manifest, contents)?.flush()?;
            Ok(None)
        }
        Lock::Passphrase(_) | Lock::Recipients(_) => {
            let (encrypting, key) = EncryptWriter::begin(out, lock)?;
            write_archive(encrypting, manifest, contents)?.finish()?.flush()?;
            Ok(Some(key))
        }
    }
}

fn write_archive<W: Write, C: Read>(
    out: W,
    manifest: &Manifest,
    mut contents: impl FnMut(&ManifestEntry) -> io::Result<C>,
) -> Result<W, BackupError> {
    let mut archive = Builder::new(out);
    let text = manifest.to_text();
    let header = |bytes: u64| {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_mtime(manifest.taken_at.unix_millis() / 1000);
        header
    };
    archive.append_data(&mut header(text.len() as u64), MANIFEST, text.as_bytes())?;
    for entry in &manifest.members {
        let mut exact = Exact { inner: contents(entry)?, left: entry.bytes };
        archive.append_data(&mut header(entry.bytes), entry.name.as_str(), &mut exact)?;
    }
    Ok(archive.into_inner()?)
}

/// Reads exactly so many bytes; fewer are an error.
struct Exact<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        match self.inner.read(&mut buffer[..wanted])? {
            0 => Err(io::Error::new(io::ErrorKind::InvalidData, "a file became shorter while it was read")),
            read => {
                self.left -= read as u64;
                Ok(read)
            }
        }
    }
}

/// Returns whether a file that begins with `start` is encrypted. `start` has at least the first 32 bytes.
pub fn is_encrypted(start: &[u8]) -> bool {
    start.starts_with(HEADER_MAGIC.as_bytes())
}

/// Reads and checks a backup. `size_max` returns the maximum size of a member, or `None` if no backup has a member of
/// that name. `take` gets each member with a reader of its contents; it need not read all of them.
///
/// # Errors
/// [`BackupError`]. What `take` got before is not to be used then.
pub fn read<R: Read>(
    input: R,
    unlock: &Unlock,
    size_max: impl Fn(&str) -> Option<u64>,
    take: impl FnMut(&ManifestEntry, &mut dyn Read) -> io::Result<()>,
) -> Result<Opened, BackupError> {
    let mut input = BufReader::new(input);
    let start = input.fill_buf()?;
    let is_locked = is_encrypted(start);
    let is_archive = start.starts_with(MANIFEST.as_bytes());
    let manifest = match (is_locked, unlock) {
        (true, unlock) => read_archive(DecryptReader::begin(input, unlock)?, size_max, take)?,
        (false, Unlock::Open) => read_archive(input, size_max, take)?,
        (false, _) if is_archive => return Err(BackupError::NotEncrypted),
        (false, _) => return Err(BackupError::NotBackup),
    };
    Ok(Opened { manifest, is_encrypted: is_locked })
}

fn read_archive<R: Read>(
    mut input: R,
    size_max: impl Fn(&str) -> Option<u64>,
    mut take: impl FnMut(&ManifestEntry, &mut dyn Read) -> io::Result<()>,
) -> Result<Manifest, BackupError> {
    let mut archive = Archive::new(&mut input);
    // Raw: an extended header is a member like any other, and rejected. It would be read into memory otherwise.
    let mut found = archive.entries().map_err(BackupError::of_io)?.raw(true);
    let manifest = read_manifest(found.next())?;
    for entry in &manifest.members {
        let max = size_max(entry.name.as_str())
            .ok_or_else(|| BackupError::BadName { name: entry.name.as_str().to_owned() })?;
        if max < entry.bytes {
            return Err(BackupError::TooLarge { name: entry.name.to_string(), bytes: entry.bytes, max });
        }
    }
    for entry in &manifest.members {
        let member = found.next().ok_or(BackupError::Truncated)?.map_err(of_header)?;
        check_header(member.header(), entry.name.as_str(), Some(entry.bytes))?;
        let mut checked = Checked { inner: member, hash: Context::new(&SHA256), bytes: 0 };
        take(entry, &mut checked).map_err(BackupError::of_io)?;
        io::copy(&mut checked, &mut io::sink()).map_err(BackupError::of_io)?;
        if checked.bytes != entry.bytes {
            return Err(BackupError::Truncated);
        }
        if of_digest(&checked.hash.finish()) != entry.sha256 {
            return Err(BackupError::corrupt(format!("the checksum of {} is wrong", entry.name)));
        }
    }
    if found.next().is_some() {
        return Err(BackupError::corrupt("it has a member that its manifest does not list"));
    }
    // To the end: only the last chunk proves that an encrypted file is complete.
    let rest = io::copy(&mut input.take(END_BYTES_MAX + 1), &mut io::sink()).map_err(BackupError::of_io)?;
    match rest <= END_BYTES_MAX {
        true => Ok(manifest),
        false => Err(BackupError::corrupt("data follows after its end")),
    }
}

fn read_manifest<R: Read>(first: Option<io::Result<tar::Entry<'_, R>>>) -> Result<Manifest, BackupError> {
    let member = match first {
        None => return Err(BackupError::NotBackup),
        Some(Err(error)) => return Err(of_header_of_first(error)),
        Some(Ok(member)) => member,
    };
    check_header(member.header(), MANIFEST, None).map_err(|_| BackupError::NotBackup)?;
    let bytes = member.header().entry_size().map_err(|_| BackupError::NotBackup)?;
    if MANIFEST_BYTES_MAX < bytes {
        return Err(BackupError::TooLarge { name: MANIFEST.to_owned(), bytes, max: MANIFEST_BYTES_MAX });
    }
    let mut text = Vec::new();
    member.take(MANIFEST_BYTES_MAX).read_to_end(&mut text).map_err(BackupError::of_io)?;
    match text.len() as u64 == bytes {
        true => Manifest::parse(&text),
        false => Err(BackupError::Truncated),
    }
}

fn check_header(header: &Header, name: &str, bytes: Option<u64>) -> Result<(), BackupError> {
    let found = header.path_bytes();
    if *found != *name.as_bytes() {
        let found = String::from_utf8_lossy(&found[..found.len().min(BLOCK_BYTES)]).into_owned();
        return Err(BackupError::corrupt(format!("`{}` stands in place of {name}", excerpt(&found, 60))));
    }
    if header.entry_type() != EntryType::Regular {
        return Err(BackupError::corrupt(format!("{name} is not a regular file")));
    }
    let size = header.entry_size().map_err(|_| BackupError::corrupt(format!("the size of {name} is invalid")))?;
    match bytes.is_none_or(|bytes| bytes == size) {
        true => Ok(()),
        false => Err(BackupError::corrupt(format!("the size of {name} is not that in the manifest"))),
    }
}

/// Converts an error of reading a header. The `tar` crate has one kind for all problems of a header.
fn of_header(error: io::Error) -> BackupError {
    match BackupError::of_io(error) {
        BackupError::Io(error) if error.raw_os_error().is_none() => {
            BackupError::corrupt("a member's header is invalid")
        }
        other => other,
    }
}

/// Converts an error of reading the first header: what is not a backup has none.
fn of_header_of_first(error: io::Error) -> BackupError {
    match error.downcast::<BackupError>() {
        Ok(inner) => inner,
        Err(error) if error.raw_os_error().is_some() => BackupError::Io(error),
        Err(_) => BackupError::NotBackup,
    }
}

/// Counts and hashes what is read.
struct Checked<R> {
    inner: R,
    hash: Context,
    bytes: u64,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hash.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
