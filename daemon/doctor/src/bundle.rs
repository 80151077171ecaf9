//! A support bundle: a `.tar.gz` of redacted texts, readable by its owner only.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use linecamp_table::Table;
use serde::Serialize;

use crate::redact::Redactor;

/// Bytes of one file in a bundle. A longer one is truncated, with a note at its end.
pub const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Files in a bundle, not counting the list of files. More are left out, and the list says how many. With
/// [`FILE_BYTES_MAX`], a bundle is at most 64 MiB unpacked; texts compress to a tenth.
pub const FILES_MAX: usize = 16;

/// Bundles are private to their owner.
const MODE: u32 = 0o600;

const TRUNCATED: &str = "\n[truncated: a file in a bundle has at most 4 MiB]\n";

/// Why a bundle was not written.
#[derive(Debug)]
pub struct BundleError {
    path: PathBuf,
    source: io::Error,
}

impl std::fmt::Display for BundleError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot write the support bundle {}", self.path.display())?;
        if self.source.kind() == io::ErrorKind::AlreadyExists {
            f.write_str("; remove it first, or choose another file with --file")?;
        }
        Ok(())
    }
}

impl std::error::Error for BundleError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A written bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedBundle {
    /// Its path.
    pub path: PathBuf,
    /// Its compressed size.
    pub bytes: u64,
}

impl SavedBundle {
    /// Formats the message for the user who requested the bundle.
    pub fn report(&self) -> String {
        let kib = self.bytes.div_ceil(1024);
        format!(
            "wrote {} ({kib} KiB). Secrets are redacted; names and addresses are not: review it before you send it.\n",
            self.path.display()
        )
    }
}

/// A bundle under construction.
#[derive(Debug)]
pub struct Bundle {
    title: String,
    redactor: Redactor,
    files: Vec<(&'static str, &'static str, String)>,
    left_out: usize,
}

impl Bundle {
    /// Creates an empty bundle. Everything added to it passes `redactor`.
    pub fn new(title: impl Into<String>, redactor: Redactor) -> Self {
        Self { title: title.into(), redactor, files: Vec::new(), left_out: 0 }
    }

    /// Adds a text under a name; `what` describes it in the list of files.
    pub fn text(&mut self, name: &'static str, what: &'static str, text: &str) {
        // Cut before redacting, which bounds the memory, and after it: a redacted text may be longer.
        let redacted = match text.len() <= FILE_BYTES_MAX {
            true => self.redactor.text(text),
            false => self.redactor.text_start(text, FILE_BYTES_MAX - TRUNCATED.len()) + TRUNCATED,
        };
        self.keep(name, what, truncated(&redacted));
    }

    /// Adds a JSON document.
    pub fn document(&mut self, name: &'static str, what: &'static str, document: &impl Serialize) {
        let text = match serde_json::to_value(document) {
            Ok(value) => serde_json::to_string_pretty(&self.redactor.value(value)).unwrap_or_default() + "\n",
            Err(error) => format!("cannot be serialized: {error}\n"),
        };
        self.keep(name, what, truncated(&text));
    }

    /// Adds the result of a request, or the reason it failed.
    pub fn answer<T: Serialize>(&mut self, name: &'static str, what: &'static str, answer: Result<T, String>) {
        match answer {
            Ok(document) => self.document(name, what, &document),
            Err(words) => self.text(name, what, &format!("not available: {words}\n")),
        }
    }

    fn keep(&mut self, name: &'static str, what: &'static str, text: String) {
        if self.files.len() < FILES_MAX {
            self.files.push((name, what, text));
        } else {
            self.left_out += 1;
        }
    }

    /// Writes the bundle to `path`, which must not exist: another user with write access to the directory must not
    /// choose where it is written.
    ///
    /// # Errors
    /// [`BundleError`]; a partly written file is removed.
    pub fn write(self, path: &Path) -> Result<SavedBundle, BundleError> {
        let failed = |source| BundleError { path: path.to_owned(), source };
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path).map_err(failed)?;
        match self.pack(file).and_then(|file| Ok(file.metadata()?.len())) {
            Ok(bytes) => Ok(SavedBundle { path: path.to_owned(), bytes }),
            Err(source) => {
                // Half a bundle is useless; if it cannot be removed, the error is enough.
                let _ = std::fs::remove_file(path);
                Err(failed(source))
            }
        }
    }

    fn pack(self, file: File) -> io::Result<File> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::default()));
        let mut add = |name: &str, text: &str| {
            let mut header = tar::Header::new_ustar();
            header.set_size(text.len() as u64);
            header.set_mode(MODE);
            header.set_mtime(now);
            archive.append_data(&mut header, Path::new("linecamp-support").join(name), text.as_bytes())
        };
        add("README.txt", &self.readme())?;
        for (name, _, text) in &self.files {
            add(name, text)?;
        }
        let mut file = archive.into_inner()?.finish()?;
        file.flush()?;
        file.sync_all()?;
        Ok(file)
    }

    fn readme(&self) -> String {
        let mut text = format!("{}\n\nContents:\n\n", self.redactor.text(&self.title));
        let files = self.files.iter().map(|(name, what, _)| [name.into(), what.into()]);
        text += &Table::bare().empty("").indent("  ").with(files).render(false);
        if 0 < self.left_out {
            text += &format!("\n{} more files were left out: a bundle has at most {FILES_MAX}.\n", self.left_out);
        }
        text += "\nReplaced by [redacted]: the contents of secret files, tokens, keys, the values of settings and labels\n\
                 whose names suggest a secret, and the user and query of URLs. Names, addresses, other labels and logs are\n\
                 unchanged. The configuration has no comments.\n";
        text
    }
}

fn truncated(text: &str) -> String {
    if text.len() <= FILE_BYTES_MAX {
        return text.to_owned();
    }
    let mut end = FILE_BYTES_MAX - TRUNCATED.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned() + TRUNCATED
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn unpack(path: &Path) -> BTreeMap<String, String> {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(path).unwrap()));
        let mut files = BTreeMap::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            files.insert(entry.path().unwrap().display().to_string(), text);
        }
        files
    }

    #[test]
    fn a_bundle_is_its_owners_listed_redacted_and_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.tar.gz");
        let mut redactor = Redactor::default();
        redactor.add_secret(b"hunter22");
        let mut bundle = Bundle::new("A bundle", redactor);
        bundle.text("log.txt", "what was logged", "it is hunter22\n");
        bundle.text("long.txt", "too much", &"0123456789abcde\n".repeat(FILE_BYTES_MAX / 16 + 9));
        bundle.answer("status.json", "how it is", Err::<(), _>("no answer".to_owned()));
        bundle.document("labels.json", "labels", &serde_json::json!({"password": "x"}));
        for _ in 0..FILES_MAX {
            bundle.text("more.txt", "more", "x");
        }
        let written = bundle.write(&path).unwrap();
        assert_eq!(written.bytes, std::fs::metadata(&path).unwrap().len());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let files = unpack(&path);
        assert_eq!(files["linecamp-support/log.txt"], "it is [redacted]\n");
        assert!(files["linecamp-support/long.txt"].len() <= FILE_BYTES_MAX);
        assert!(files["linecamp-support/long.txt"].ends_with(TRUNCATED));
        assert_eq!(files["linecamp-support/status.json"], "not available: no answer\n");
        let readme = &files["linecamp-support/README.txt"];
        assert!(readme.contains("log.txt      what was logged") && readme.contains("4 more files"), "{readme}");

        let again = Bundle::new("Another", Redactor::default()).write(&path).unwrap_err();
        assert!(again.to_string().contains("choose another file with --file"), "{again}");
    }
}
