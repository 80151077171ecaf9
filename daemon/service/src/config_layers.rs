//! A configuration as it was written: one file, and the drop-ins beside it.
//!
//! After `NAME.toml` come the files `NAME.d/*.toml`, in the order of their names. Key by key the later file wins:
//! tables grow together, everything else is replaced, but for lists of tables that their owner lets add up. Each file
//! is checked by itself, so that what is wrong is named with its file and line; [`LayeredConfig::place`] says the same of a
//! key later, when its value turns out to mean nothing.
//!
//! A file has at most [`FILE_BYTES_MAX`], a folder [`DROP_INS_MAX`] files; past either it is refused, whole. Names that
//! begin with a dot or end otherwise are not looked at: editors and package managers leave such behind.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

/// Bytes of one file. A longer one is refused: it is some other file.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Files of one drop-in folder. With more it is refused: nobody can say any more what holds.
pub const DROP_INS_MAX: usize = 64;

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// In which file.
    pub path: PathBuf,
    /// On which line, from 1.
    pub line: usize,
}

/// Why what was written cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LayersError {
    /// A file or folder cannot be read.
    #[error("failed to read {path}", path = path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There is neither the file nor the folder beside it.
    #[error(
        "there is neither {path} nor a folder {folder} with drop-ins; write one of them",
        path = path.display(),
        folder = folder.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The folder of its drop-ins.
        folder: PathBuf,
    },
    /// A drop-in is a folder, a pipe, a device.
    #[error("{path} is no file", path = path.display())]
    NoFile {
        /// Which.
        path: PathBuf,
    },
    /// A file is longer than any configuration.
    #[error("{path} has more than {FILE_BYTES_MAX} bytes; is it the right file?", path = path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
    },
    /// A folder has more files than anybody reads.
    #[error(
        "{folder} has more than {DROP_INS_MAX} files that end in .toml; put several into one",
        folder = folder.display()
    )]
    TooMany {
        /// Which.
        folder: PathBuf,
    },
    /// A file does not read: broken TOML, an unknown key, a value of another type.
    #[error("{path}: line {line}: {problem}", path = path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// Files that read one by one do not together.
    #[error("the files do not go together: {0}")]
    Together(String),
}

/// What was written so far, in all files that were added.
#[derive(Clone, Debug, Default)]
pub struct LayeredConfig {
    /// Top-level lists of tables that add up.
    adding: &'static [&'static str],
    table: Table,
    files: Vec<PathBuf>,
    places: BTreeMap<String, Place>,
}

impl LayeredConfig {
    /// Nothing. The lists of tables with these names will add up over the files.
    pub fn new(adding: &'static [&'static str]) -> Self {
        Self { adding, ..Self::default() }
    }

    /// Adds the file at `path`, if there is one, and its drop-ins.
    ///
    /// # Errors
    /// [`LayersError`] names the file, the line and the key; [`LayersError::Missing`] if there is nothing at all.
    pub fn add<T: DeserializeOwned>(&mut self, path: &Path) -> Result<(), LayersError> {
        let folder = path.with_extension("d");
        let drop_ins = drop_ins(&folder)?;
        match read_text(path) {
            Ok(text) => self.add_text::<T>(path, &text)?,
            Err(LayersError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                if drop_ins.is_none() {
                    return Err(LayersError::Missing { path: path.to_owned(), folder });
                }
            }
            Err(error) => return Err(error),
        }
        for path in drop_ins.unwrap_or_default() {
            self.add_text::<T>(&path, &read_text(&path)?)?;
        }
        Ok(())
    }

    /// Adds `text`, which stands in the file at `path`.
    ///
    /// # Errors
    /// [`LayersError::Syntax`] names the line and the key.
    pub fn add_text<T: DeserializeOwned>(&mut self, path: &Path, text: &str) -> Result<(), LayersError> {
        let syntax = |error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let problem = describe(text, start, error.message());
            LayersError::Syntax { path: path.to_owned(), line: line_of(text, start), problem }
        };
        toml::from_str::<T>(text).map_err(syntax)?;
        let table: Table = toml::from_str(text).map_err(syntax)?;
        self.note_places(path, text).map_err(syntax)?;
        for (key, value) in table {
            match (self.table.get_mut(&key), value) {
                (Some(Value::Array(known)), Value::Array(more)) if self.adding.contains(&&*key) => known.extend(more),
                (Some(known), value) => merge(known, value),
                (None, value) => drop(self.table.insert(key, value)),
            }
        }
        self.files.push(path.to_owned());
        Ok(())
    }

    /// Returns what all of it says.
    ///
    /// # Errors
    /// [`LayersError::Together`], which files that were added one by one do not bring about.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, LayersError> {
        Value::Table(self.table.clone()).try_into().map_err(|error| LayersError::Together(error.to_string()))
    }

    /// Returns the files that have a part, in the order they were read.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Returns where `key` has its value from: `log`, `link.metered`, or `provider.2` for the second of a list that
    /// adds up.
    pub fn place(&self, key: &str) -> Option<&Place> {
        self.places.get(key)
    }

    fn note_places(&mut self, path: &Path, text: &str) -> Result<(), toml::de::Error> {
        let mut note = |key: String, offset: usize| {
            self.places.insert(key, Place { path: path.to_owned(), line: line_of(text, offset) });
        };
        for (key, value) in DeTable::parse(text)?.get_ref() {
            let (name, start) = (key.get_ref(), key.span().start);
            note(name.to_string(), start);
            match value.get_ref() {
                DeValue::Table(table) => {
                    table.keys().for_each(|key| note(format!("{name}.{}", key.get_ref()), key.span().start));
                }
                DeValue::Array(list) if self.adding.contains(&name.as_ref()) => {
                    let known = self.table.get(name.as_ref()).and_then(Value::as_array).map_or(0, Vec::len);
                    for (entry, number) in list.iter().zip(known + 1..) {
                        note(format!("{name}.{number}"), entry.span().start);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn merge(known: &mut Value, value: Value) {
    match (known, value) {
        (Value::Table(known), Value::Table(more)) => {
            for (key, value) in more {
                match known.get_mut(&key) {
                    Some(known) => merge(known, value),
                    None => drop(known.insert(key, value)),
                }
            }
        }
        (known, value) => *known = value,
    }
}

/// Lists the drop-ins in `folder`; `None` if there is no such folder.
fn drop_ins(folder: &Path) -> Result<Option<Vec<PathBuf>>, LayersError> {
    let failed = |source| LayersError::Read { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        if !is_hidden && Path::new(&name).extension().is_some_and(|extension| extension == "toml") {
            files.push(folder.join(name));
        }
        if DROP_INS_MAX < files.len() {
            return Err(LayersError::TooMany { folder: folder.to_owned() });
        }
    }
    files.sort();
    for path in &files {
        let kind = std::fs::metadata(path).map_err(|source| LayersError::Read { path: path.clone(), source })?;
        if !kind.is_file() {
            return Err(LayersError::NoFile { path: path.clone() });
        }
    }
    Ok(Some(files))
}

/// Reads a small text file whole.
///
/// # Errors
/// [`LayersError::Read`] or [`LayersError::TooLong`] name the file.
pub fn read_text(path: &Path) -> Result<String, LayersError> {
    use std::io::Read as _;

    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|source| LayersError::Read { path: path.to_owned(), source })?;
    if FILE_BYTES_MAX < text.len() as u64 {
        return Err(LayersError::TooLong { path: path.to_owned() });
    }
    Ok(text)
}

/// Returns the line that byte `offset` of `text` is on, from 1.
pub fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before.filter(|byte| **byte == b'\n').count() + 1
}

/// Adds the key to a problem that does not name it: a value of the wrong type.
fn describe(text: &str, offset: usize, message: &str) -> String {
    let message = message.trim_end().replace('\n', "; ");
    let line = text.lines().nth(line_of(text, offset) - 1).unwrap_or_default();
    match line.split_once('=') {
        Some((key, _)) if !message.contains('`') || message.starts_with("invalid type") => {
            format!("key `{}`: {message}", key.trim())
        }
        Some(_) | None => message,
    }
}

#[cfg(test)]
mod tests;
