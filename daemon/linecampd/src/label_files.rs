//! Labels as files: `labels.d/*.toml`, watched.
//!
//! ```toml
//! rack = "r7"                 # label of the site
//! io.linecamp.x = "y"         # tables flatten with dots
//! [host]                      # labels of the gateway host
//! gpu = true
//! ```
//!
//! Files are read in name order; if several set one key at one level, the last file wins. An entry that is not a valid
//! label is skipped, and the daemon reports it; the others apply. A file that cannot be read, or is not TOML, keeps its
//! previous labels. If no previous labels are known, because the daemon has just started, the scan is partial and the
//! site keeps the labels it last read from files. The kernel reports changes ([`notify`]); in addition the directory is
//! scanned every [`SCAN_INTERVAL`], because some file systems never report changes. A scan depends only on the
//! directory and the previous labels, not on what triggered it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use linecamp_core::{DropIns, LabelLayer};
use linecamp_model::{LabelKey, LabelValue, Level, Text};
use linecamp_service::{RateLimit, TokenBucket, line_of};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use toml::de::{DeTable, DeValue};

/// The most files read from the directory. Files beyond that, in name order, are skipped and reported as invalid.
pub const FILES_MAX: usize = 64;

/// The largest file, in bytes: twice the labels that one owner may have. A longer file is invalid.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// How many invalid entries of a file are described. The others are counted.
const INVALID_SHOWN_MAX: usize = 8;

/// How long the directory must be unchanged before a scan: editors write a file in several steps. During continuous
/// writes it is scanned after [`SETTLE_MAX`] anyway.
const SETTLE: Duration = Duration::from_millis(150);

/// The longest that a change waits for the directory to settle.
const SETTLE_MAX: Duration = Duration::from_millis(600);

/// The interval of scans without a change notification.
const SCAN_INTERVAL: Duration = Duration::from_secs(30);

/// Rate limit of scans: a burst of ten, so that someone editing files sees each change at once, then one every two
/// seconds. Each scan may read 4 MB and, if labels changed, costs a write here and one at the server. Continuous writes
/// are read late, but the last one is always read.
const SCAN_RATE: RateLimit = RateLimit { burst: 10, interval: Duration::from_secs(2) };

/// The labels of a file.
type ParsedLabels = Vec<ParsedLabel>;

/// Level, key, value, and byte offset in the file.
type ParsedLabel = (Level, LabelKey, LabelValue, usize);

/// An invalid entry: its byte offset in the file, and the problem.
type InvalidEntry = (usize, String);

/// The directory, and the labels last read from each file.
#[derive(Debug)]
pub struct LabelsDir {
    path: PathBuf,
    last_good: BTreeMap<String, ParsedLabels>,
    has_listed: bool,
}

impl LabelsDir {
    /// Sets the path; the first scan creates the directory.
    pub fn new(path: PathBuf) -> Self {
        Self { path, last_good: BTreeMap::new(), has_listed: false }
    }

    /// Scans all files.
    pub fn scan(&mut self) -> DropIns {
        let mut problems = Vec::new();
        let mut files = match list(&self.path) {
            Ok(files) => {
                self.has_listed = true;
                files
            }
            Err(error) => {
                problems.push(format!("{}: {error}", self.path.display()));
                self.last_good.keys().cloned().collect()
            }
        };
        // A file that exists but is not read keeps its previous labels.
        self.last_good.retain(|name, _| files.contains(name));
        let mut is_partial = !self.has_listed;
        if FILES_MAX < files.len() {
            is_partial |= files[FILES_MAX..].iter().any(|name| !self.last_good.contains_key(name));
            let first = &files[FILES_MAX];
            problems.push(format!("more than {FILES_MAX} files: {first} and later ones are ignored"));
            files.truncate(FILES_MAX);
        }
        for name in files {
            match read(&self.path.join(&name)) {
                Ok((found, invalid)) => {
                    problems.extend(invalid.iter().map(|problem| format!("{name}: {problem}")));
                    self.last_good.insert(name, found);
                }
                Err(problem) => {
                    is_partial |= !self.last_good.contains_key(&name);
                    problems.push(format!("{name}: {problem}"));
                }
            }
        }
        let (labels, repeated) = merge(&self.last_good);
        DropIns { labels, invalid: joined(&problems), repeated: joined(&repeated), is_partial }
    }

    /// Starts watching on a separate thread; sends each changed result to `drop_ins` until the receiver is closed.
    /// `current` is the result of the last scan.
    ///
    /// # Errors
    /// Only if the thread cannot be started.
    pub fn watch(self, current: DropIns, drop_ins: mpsc::Sender<DropIns>) -> io::Result<()> {
        self.watch_at(TokenBucket::full(Instant::now()), std::thread::sleep, (current, drop_ins))
    }

    /// [`watch`](Self::watch) with a given token bucket and sleep function.
    fn watch_at(
        mut self,
        mut bucket: TokenBucket,
        sleep: impl Fn(Duration) + Send + 'static,
        (mut current, drop_ins): (DropIns, mpsc::Sender<DropIns>),
    ) -> io::Result<()> {
        let run = move || {
            let (wake, wakeups) = sync_channel(1);
            let mut watch = Watch::new(&self.path, &wake);
            while !drop_ins.is_closed() {
                wait(&wakeups);
                sleep(bucket.reserve(1, SCAN_RATE, Instant::now()));
                let scanned = self.scan();
                // A directory that was removed and recreated is a different inode to the kernel.
                if watch.dir != dir_id(&self.path) {
                    watch = Watch::new(&self.path, &wake);
                }
                if scanned != current {
                    current = scanned.clone();
                    if drop_ins.blocking_send(scanned).is_err() {
                        return;
                    }
                }
            }
        };
        std::thread::Builder::new().name("labels.d".to_owned()).spawn(run)?;
        Ok(())
    }
}

/// The kernel's change notifications for the directory.
struct Watch {
    dir: Option<(u64, u64)>,
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    fn new(path: &Path, wake: &SyncSender<()>) -> Self {
        let watcher = watcher(path, wake.clone());
        if let Err(error) = &watcher {
            tracing::warn!(
                directory = %path.display(),
                %error,
                seconds = SCAN_INTERVAL.as_secs(),
                "cannot watch the label files; scanning them periodically"
            );
        }
        Self { dir: dir_id(path), _watcher: watcher.ok() }
    }
}

fn watcher(path: &Path, wake: SyncSender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reads also cause events.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            // Full means that a scan is already due.
            let _ = wake.try_send(());
        }
    })?;
    watcher.watch(path, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Waits until the next scan is due.
fn wait(wakeups: &Receiver<()>) {
    if wakeups.recv_timeout(SCAN_INTERVAL).is_err() {
        return;
    }
    let rounds = SETTLE_MAX.as_millis() / SETTLE.as_millis();
    for _ in 0..rounds {
        if wakeups.recv_timeout(SETTLE).is_err() {
            return;
        }
    }
}

fn dir_id(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Lists the label files in name order; creates the directory if it does not exist.
fn list(path: &Path) -> io::Result<Vec<String>> {
    fs::create_dir_all(path)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".toml") && !name.starts_with('.') {
            names.push(name);
            if names.len() == 2 * FILES_MAX {
                // This is not a labels directory: enough is known to report it.
                break;
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Reads a file's labels, and what is wrong with its invalid entries.
fn read(path: &Path) -> Result<(ParsedLabels, Vec<String>), String> {
    parse(&linecamp_files::read_text(path, FILE_BYTES_MAX).map_err(|error| error.to_string())?)
}

/// Parses a file's labels, in the order they appear, and describes its invalid entries.
fn parse(text: &str) -> Result<(ParsedLabels, Vec<String>), String> {
    let at = |offset: usize, problem: &str| format!("line {}: {problem}", line_of(text, offset));
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        at(offset, &error.message().trim_end().replace('\n', "; "))
    })?;
    let (mut found, mut invalid) = (ParsedLabels::new(), Vec::new());
    for (key, value) in table.get_ref() {
        let level = match (key.get_ref().as_ref(), value.get_ref()) {
            ("site", DeValue::Table(table)) => Some((Level::Site, table)),
            ("host", DeValue::Table(table)) => Some((Level::Host, table)),
            _ => None,
        };
        let mut entries = Vec::new();
        match level {
            Some((level, table)) => {
                for (key, value) in table {
                    flatten(&mut entries, level, key.get_ref(), key.span().start, value);
                }
            }
            None => flatten(&mut entries, Level::Site, key.get_ref(), key.span().start, value),
        }
        for entry in entries {
            match entry {
                Ok(label) => found.push(label),
                Err(entry) => invalid.push(entry),
            }
        }
    }
    found.sort_by_key(|(.., offset)| *offset);
    invalid.sort();
    let more = invalid.len().saturating_sub(INVALID_SHOWN_MAX);
    let shown = invalid.iter().take(INVALID_SHOWN_MAX).map(|(offset, problem)| at(*offset, problem));
    let rest = (0 < more).then(|| format!("{more} more invalid entries"));
    Ok((found, shown.chain(rest).collect()))
}

/// Adds the labels of one key, in a table those of each key inside it.
fn flatten(
    entries: &mut Vec<Result<ParsedLabel, InvalidEntry>>,
    level: Level,
    key: &str,
    offset: usize,
    value: &toml::Spanned<DeValue<'_>>,
) {
    if let DeValue::Table(table) = value.get_ref() {
        for (inner, value) in table {
            flatten(entries, level, &format!("{key}.{}", inner.get_ref()), inner.span().start, value);
        }
        return;
    }
    let label = label(key, value.get_ref());
    entries.push(label.map(|(key, value)| (level, key, value, offset)).map_err(|problem| (offset, problem)));
}

fn label(key: &str, value: &DeValue<'_>) -> Result<(LabelKey, LabelValue), String> {
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|error| format!("`{key}`: {error}"))?
            .to_string(),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
            return Err(format!("`{key}` must be a string, an integer or a boolean"));
        }
    };
    let label_key = LabelKey::parse(key).map_err(|error| error.to_string())?;
    let label_value = LabelValue::parse(&text).map_err(|error| format!("`{key}`: {error}"))?;
    Ok((label_key, label_value))
}

/// Merges the files, and reports duplicate keys.
fn merge(last_good: &BTreeMap<String, ParsedLabels>) -> (LabelLayer, Vec<String>) {
    let mut labels = LabelLayer::new();
    let mut from: BTreeMap<(Level, &LabelKey), &str> = BTreeMap::new();
    let mut repeated = Vec::new();
    for (name, found) in last_good {
        for (level, key, value, _) in found {
            labels.entry(*level).or_default().insert(key.clone(), value.clone());
            if let Some(earlier) = from.insert((*level, key), name) {
                let place =
                    if earlier == name { format!("twice in {name}") } else { format!("in {earlier} and {name}") };
                repeated.push(format!("{level} label {key} {place}"));
            }
        }
    }
    (labels, repeated)
}

fn joined(parts: &[String]) -> Option<Text> {
    (!parts.is_empty()).then(|| Text::lossy(&parts.join("; ")))
}

#[cfg(test)]
mod tests;
