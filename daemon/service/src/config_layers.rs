//! A layered configuration: one file and its drop-ins.
//!
//! `NAME.toml` is read first, then the files `NAME.d/*.toml` in the order of their names. For each key the later file
//! wins: tables are merged, everything else is replaced, except that lists of tables named by the owner are appended.
//! Each file is checked separately, so that an error names its file and line. [`LayeredConfig::place`] returns the
//! place of a key for errors found later, when its value turns out to be invalid.
//!
//! A file has at most [`FILE_BYTES_MAX`] bytes, a directory at most [`DROP_INS_MAX`] files; anything above is rejected
//! entirely. Files whose name starts with a dot or has another extension are ignored: editors and package managers
//! leave such files behind.

mod toml_problem;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

pub use linecamp_files::line_of;
use linecamp_files::{FileKind, ReadError};
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use self::toml_problem::TomlProblem;

/// Maximum bytes of one file. A longer one is rejected: it is probably a different kind of file.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Maximum files of one drop-in directory. More are rejected: the effective configuration would no longer be
/// understandable.
pub const DROP_INS_MAX: usize = 64;

/// Where a key is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub path: PathBuf,
    /// The line, starting at 1.
    pub line: usize,
}

/// Why a configuration cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LayersError {
    /// A file or directory cannot be read.
    #[error("failed to read {path}", path = path.display())]
    Read {
        /// The path.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Neither the file nor its drop-in directory exists.
    #[error(
        "neither {path} nor the drop-in directory {folder} exists; create one of them",
        path = path.display(),
        folder = folder.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// The directory of its drop-ins.
        folder: PathBuf,
    },
    /// A path names something that is not a regular file: such a path could block forever.
    #[error("{path} is not a regular file but a {kind}", path = path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it names.
        kind: FileKind,
    },
    /// A file is too long for a configuration.
    #[error("{path} is too large for a configuration file (maximum {FILE_BYTES_MAX} bytes)", path = path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
    },
    /// A directory has too many files.
    #[error(
        "{folder} has too many .toml files (maximum {DROP_INS_MAX}); merge some of them",
        folder = folder.display()
    )]
    TooMany {
        /// The directory.
        folder: PathBuf,
    },
    /// A file is invalid: malformed TOML, an unknown key, or a value of the wrong type.
    #[error("{path}: line {line}: {problem}", path = path.display())]
    Syntax {
        /// The path.
        path: PathBuf,
        /// The line, starting at 1.
        line: usize,
        /// The problem.
        problem: String,
    },
    /// The files are valid separately, but not together.
    #[error("the merged configuration is invalid: {0}")]
    Merged(String),
}

/// The merged content of all files added so far.
#[derive(Clone, Debug, Default)]
pub struct LayeredConfig {
    /// Names of the top-level lists of tables that are appended.
    appended_lists: &'static [&'static str],
    table: Table,
    files: Vec<PathBuf>,
    places: BTreeMap<String, Place>,
}

impl LayeredConfig {
    /// Creates an empty configuration. Lists of tables with these names are appended across files.
    pub fn new(appended_lists: &'static [&'static str]) -> Self {
        Self { appended_lists, ..Self::default() }
    }

    /// Adds the file at `path`, if it exists, and its drop-ins.
    ///
    /// # Errors
    /// [`LayersError`] names the file, the line and the key; [`LayersError::Missing`] if neither the file nor the
    /// directory exists.
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

    /// Adds `text`, the content of the file at `path`.
    ///
    /// # Errors
    /// [`LayersError::Syntax`] names the line and the key.
    pub fn add_text<T: DeserializeOwned>(&mut self, path: &Path, text: &str) -> Result<(), LayersError> {
        let syntax = |error: toml::de::Error| {
            let TomlProblem { line, problem } = TomlProblem::new(text, &error);
            LayersError::Syntax { path: path.to_owned(), line, problem }
        };
        toml::from_str::<T>(text).map_err(syntax)?;
        let table: Table = toml::from_str(text).map_err(syntax)?;
        self.record_places(path, text).map_err(syntax)?;
        for (key, value) in table {
            match (self.table.get_mut(&key), value) {
                (Some(Value::Array(known)), Value::Array(more)) if self.appended_lists.contains(&&*key) => {
                    known.extend(more)
                }
                (Some(known), value) => merge(known, value),
                (None, value) => drop(self.table.insert(key, value)),
            }
        }
        self.files.push(path.to_owned());
        Ok(())
    }

    /// Deserializes the merged configuration.
    ///
    /// # Errors
    /// [`LayersError::Merged`], which cannot happen for files that were added separately.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, LayersError> {
        Value::Table(self.table.clone()).try_into().map_err(|error| LayersError::Merged(error.to_string()))
    }

    /// Returns the files that were read, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Returns where the value of `key` is set. Keys are written as `log`, `link.metered`, or `provider.2` for the
    /// second entry of an appended list.
    pub fn place(&self, key: &str) -> Option<&Place> {
        self.places.get(key)
    }

    fn record_places(&mut self, path: &Path, text: &str) -> Result<(), toml::de::Error> {
        let mut record = |key: String, offset: usize| {
            self.places.insert(key, Place { path: path.to_owned(), line: line_of(text, offset) });
        };
        for (key, value) in DeTable::parse(text)?.get_ref() {
            let (name, start) = (key.get_ref(), key.span().start);
            record(name.to_string(), start);
            match value.get_ref() {
                DeValue::Table(table) => {
                    table.keys().for_each(|key| record(format!("{name}.{}", key.get_ref()), key.span().start));
                }
                DeValue::Array(list) if self.appended_lists.contains(&name.as_ref()) => {
                    let known = self.table.get(name.as_ref()).and_then(Value::as_array).map_or(0, Vec::len);
                    for (entry, number) in list.iter().zip(known + 1..) {
                        record(format!("{name}.{number}"), entry.span().start);
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

/// Lists the drop-ins in `folder`; `None` if the directory does not exist.
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
    Ok(Some(files))
}

/// Reads a complete small text file.
///
/// # Errors
/// [`LayersError::Read`], [`LayersError::NotAFile`] or [`LayersError::TooLong`] name the file.
pub fn read_text(path: &Path) -> Result<String, LayersError> {
    linecamp_files::read_text(path, FILE_BYTES_MAX).map_err(|error| {
        let path = path.to_owned();
        match error {
            ReadError::NotRegular(kind) => LayersError::NotAFile { path, kind },
            ReadError::TooLarge { .. } => LayersError::TooLong { path },
            error @ (ReadError::Io(_) | ReadError::NotText) => LayersError::Read { path, source: error.into() },
        }
    })
}

#[cfg(test)]
mod tests;
