//! Labels as files: `labels.d/*.toml`, watched.
//!
//! ```toml
//! rack = "r7"                 # of the whole site
//! io.linecamp.x = "y"         # tables flatten with dots
//! [host]                      # of the gateway host
//! gpu = true
//! ```
//!
//! Files count in the order of their names, and of one key at one level the later file wins. A file that does not
//! read keeps what it last said, and the daemon says what is wrong with it; where that is not known, because the
//! daemon has just started, the look is partial, and the site keeps the labels that it held. The kernel
//! tells of changes ([`notify`]); beside that there is a look every [`LOOK_PERIOD`], because some file systems
//! never tell. The look is a function of the folder and of what was said before, so it does not matter which
//! of the two caused it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
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

/// Files in the folder. The rest, in the order of names, is not read, and said to be invalid.
pub const FILES_MAX: usize = 64;

/// Bytes of a file: as many labels as one owner may have fit twice. A longer one is invalid.
pub const FILE_BYTES_MAX: u64 = 64 * 1024;

/// How long a folder must be left alone before it is looked at: editors write a file in several steps. While
/// somebody writes without a pause it is looked at after [`SETTLE_MAX`] all the same.
const SETTLE: Duration = Duration::from_millis(150);

/// The longest a change waits for others to settle.
const SETTLE_MAX: Duration = Duration::from_millis(600);

/// How often the folder is looked at unasked.
const LOOK_PERIOD: Duration = Duration::from_secs(30);

/// Looks after changes: ten at once, so that whoever edits files sees each of his changes at once, and then one every
/// two seconds. Each look may read 4 MB and, if something changed, costs a write here and one at the server. Somebody
/// who writes all the time is read late, and the last of what he wrote is always read.
const LOOK_RATE: RateLimit = RateLimit { burst: 10, interval: Duration::from_secs(2) };

/// One level and key, the value, and where in the file it stands.
type Found = Vec<(Level, LabelKey, LabelValue, usize)>;

/// The folder, and what its files said last.
#[derive(Debug)]
pub struct LabelsFolder {
    path: PathBuf,
    said: BTreeMap<String, Found>,
    was_listed: bool,
}

impl LabelsFolder {
    /// Names the folder, which is made when it is first looked at.
    pub fn new(path: PathBuf) -> Self {
        Self { path, said: BTreeMap::new(), was_listed: false }
    }

    /// Reads all files.
    pub fn look(&mut self) -> DropIns {
        let mut problems = Vec::new();
        let mut files = match list(&self.path) {
            Ok(files) => {
                self.was_listed = true;
                files
            }
            Err(error) => {
                problems.push(format!("{}: {error}", self.path.display()));
                self.said.keys().cloned().collect()
            }
        };
        // A file that is there and is not read keeps what it said.
        self.said.retain(|name, _| files.contains(name));
        let mut is_partial = !self.was_listed;
        if FILES_MAX < files.len() {
            is_partial |= files[FILES_MAX..].iter().any(|name| !self.said.contains_key(name));
            let first = &files[FILES_MAX];
            problems.push(format!("more than {FILES_MAX} files; {first} and those after it are not read"));
            files.truncate(FILES_MAX);
        }
        for name in files {
            match read(&self.path.join(&name)) {
                Ok(found) => {
                    self.said.insert(name, found);
                }
                Err(problem) => {
                    is_partial |= !self.said.contains_key(&name);
                    problems.push(format!("{name}: {problem}"));
                }
            }
        }
        let (labels, repeated) = overlay(&self.said);
        DropIns { labels, invalid: sentence(&problems), repeated: sentence(&repeated), is_partial }
    }

    /// Begins to watch, on a thread of its own, and sends what changes into `drop_ins` until nobody takes it.
    /// `current` is what the last look gave.
    ///
    /// # Errors
    /// Only if the system gives no thread.
    pub fn watch(mut self, mut current: DropIns, drop_ins: mpsc::Sender<DropIns>) -> io::Result<()> {
        let run = move || {
            let (wake, woken) = sync_channel(1);
            let mut watch = Watch::new(&self.path, &wake);
            let mut pace = TokenBucket::full(Instant::now());
            while !drop_ins.is_closed() {
                wait(&woken);
                std::thread::sleep(pace.reserve(1, LOOK_RATE, Instant::now()));
                let fresh = self.look();
                // A folder that was taken away and put back is another folder to the kernel.
                if watch.folder != folder_id(&self.path) {
                    watch = Watch::new(&self.path, &wake);
                }
                if fresh != current {
                    current = fresh.clone();
                    if drop_ins.blocking_send(fresh).is_err() {
                        return;
                    }
                }
            }
        };
        std::thread::Builder::new().name("labels.d".to_owned()).spawn(run)?;
        Ok(())
    }
}

/// The kernel's promise to tell.
struct Watch {
    folder: Option<(u64, u64)>,
    _watcher: Option<RecommendedWatcher>,
}

impl Watch {
    fn new(path: &Path, wake: &SyncSender<()>) -> Self {
        let watcher = watcher(path, wake.clone());
        if let Err(error) = &watcher {
            tracing::warn!(
                folder = %path.display(),
                %error,
                seconds = LOOK_PERIOD.as_secs(),
                "label files cannot be watched, so changes are noticed late"
            );
        }
        Self { folder: folder_id(path), _watcher: watcher.ok() }
    }
}

fn watcher(path: &Path, wake: SyncSender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading is an event too.
        if !event.is_ok_and(|event| event.kind.is_access()) {
            // Full means that a look is due anyway.
            let _ = wake.try_send(());
        }
    })?;
    watcher.watch(path, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Returns when it is time for a look.
fn wait(woken: &Receiver<()>) {
    if woken.recv_timeout(LOOK_PERIOD).is_err() {
        return;
    }
    let rounds = SETTLE_MAX.as_millis() / SETTLE.as_millis();
    for _ in 0..rounds {
        if woken.recv_timeout(SETTLE).is_err() {
            return;
        }
    }
}

fn folder_id(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Lists the label files in the order of their names; makes the folder if it is not there.
fn list(path: &Path) -> io::Result<Vec<String>> {
    fs::create_dir_all(path)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".toml") && !name.starts_with('.') {
            names.push(name);
            if names.len() == 2 * FILES_MAX {
                // Somebody points us at a folder that is not for labels: enough is known to say so.
                break;
            }
        }
    }
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Result<Found, String> {
    let mut text = String::new();
    // A pipe would keep us for ever.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a file".to_owned());
    }
    File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    if FILE_BYTES_MAX < text.len() as u64 {
        return Err(format!("it has more than {FILE_BYTES_MAX} bytes"));
    }
    parse(&text)
}

/// Reads a file's labels in the order in which they stand there.
fn parse(text: &str) -> Result<Found, String> {
    let at = |offset: usize, problem: &str| format!("line {}: {problem}", line_of(text, offset));
    let table = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        at(offset, &error.message().trim_end().replace('\n', "; "))
    })?;
    let mut found = Found::new();
    for (key, value) in table.get_ref() {
        let level = match (key.get_ref().as_ref(), value.get_ref()) {
            ("site", DeValue::Table(table)) => Some((Level::Site, table)),
            ("host", DeValue::Table(table)) => Some((Level::Host, table)),
            _ => None,
        };
        let flattened = match level {
            Some((level, table)) => table
                .iter()
                .try_for_each(|(key, value)| flatten(&mut found, level, key.get_ref(), key.span().start, value)),
            None => flatten(&mut found, Level::Site, key.get_ref(), key.span().start, value),
        };
        flattened.map_err(|(offset, problem)| at(offset, &problem))?;
    }
    found.sort_by_key(|(.., offset)| *offset);
    Ok(found)
}

fn flatten(
    found: &mut Found,
    level: Level,
    key: &str,
    offset: usize,
    value: &toml::Spanned<DeValue<'_>>,
) -> Result<(), (usize, String)> {
    let failed = |problem: String| (offset, problem);
    let text = match value.get_ref() {
        DeValue::Table(table) => {
            return table.iter().try_for_each(|(inner, value)| {
                let key = format!("{key}.{}", inner.get_ref());
                flatten(found, level, &key, inner.span().start, value)
            });
        }
        DeValue::String(text) => text.to_string(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|error| failed(format!("`{key}`: {error}")))?
            .to_string(),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) => {
            return Err(failed(format!("`{key}` is neither a text, a whole number, nor true or false")));
        }
    };
    let label_key = LabelKey::parse(key).map_err(|error| failed(error.to_string()))?;
    let label_value = LabelValue::parse(&text).map_err(|error| failed(format!("`{key}`: {error}")))?;
    found.push((level, label_key, label_value, offset));
    Ok(())
}

/// Lays the files on top of each other, and says what came twice.
fn overlay(said: &BTreeMap<String, Found>) -> (LabelLayer, Vec<String>) {
    let mut labels = LabelLayer::new();
    let mut from: BTreeMap<(Level, &LabelKey), &str> = BTreeMap::new();
    let mut repeated = Vec::new();
    for (name, found) in said {
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

fn sentence(parts: &[String]) -> Option<Text> {
    (!parts.is_empty()).then(|| Text::lossy(&parts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, LabelsFolder) {
        let directory = tempfile::tempdir().unwrap();
        let folder = LabelsFolder::new(directory.path().join("labels.d"));
        (directory, folder)
    }

    fn write(folder: &LabelsFolder, name: &str, text: &str) {
        fs::create_dir_all(&folder.path).unwrap();
        fs::write(folder.path.join(name), text).unwrap();
    }

    fn shown(drop_ins: &DropIns) -> Vec<String> {
        let levels = drop_ins.labels.iter();
        levels
            .flat_map(|(level, labels)| labels.iter().map(move |(key, value)| format!("{level} {key}={value}")))
            .collect()
    }

    fn words(text: &Option<Text>) -> &str {
        text.as_ref().map_or("", Text::as_str)
    }

    #[test]
    fn tables_flatten_and_name_their_level() {
        let (_directory, mut folder) = folder();
        write(
            &folder,
            "a.toml",
            "rack = \"r7\"\nio.linecamp.x = \"y\"\n[site]\nunits = 0x10\n[site.a.b]\nc = -1\n[host]\ngpu = true\n\"k/v\" = \"\"\n[zone]\nid = 3",
        );
        write(&folder, "readme.txt", "not = labels");
        let drop_ins = folder.look();
        assert_eq!((&drop_ins.invalid, &drop_ins.repeated), (&None, &None));
        assert_eq!(
            shown(&drop_ins),
            [
                "site a.b.c=-1",
                "site io.linecamp.x=y",
                "site rack=r7",
                "site units=16",
                "site zone.id=3",
                "host gpu=true",
                "host k/v=",
            ]
        );
    }

    #[test]
    fn a_missing_folder_is_made_and_empty() {
        let (_directory, mut folder) = folder();
        assert_eq!(folder.look(), DropIns::default());
        assert!(folder.path.is_dir());
    }

    #[test]
    fn the_later_file_wins_and_both_are_named() {
        let (_directory, mut folder) = folder();
        write(&folder, "20-b.toml", "rack = \"r2\"\n[host]\nrack = \"h\"");
        write(&folder, "10-a.toml", "rack = \"r1\"\nx.y = 1\n\"x.y\" = 2");
        let drop_ins = folder.look();
        assert_eq!(shown(&drop_ins), ["site rack=r2", "site x.y=2", "host rack=h"]);
        assert_eq!(
            words(&drop_ins.repeated),
            "site label x.y twice in 10-a.toml; site label rack in 10-a.toml and 20-b.toml"
        );
    }

    #[test]
    fn a_bad_file_is_named_with_its_line_and_keeps_what_it_said() {
        let (_directory, mut folder) = folder();
        write(&folder, "a.toml", "rack = \"r7\"");
        write(&folder, "b.toml", "tier = \"lab\"");
        folder.look();

        let mut check = |text: &str, expected: &str| {
            write(&folder, "a.toml", text);
            let drop_ins = folder.look();
            assert!(words(&drop_ins.invalid).starts_with(expected), "{:?}", drop_ins.invalid);
            assert_eq!(shown(&drop_ins), ["site rack=r7", "site tier=lab"], "{text}");
        };
        check("rack = \"r8\"\nrack = ", "a.toml: line 2: ");
        check("rack = \"r8\"\n\nrack = \"r9\"", "a.toml: line 3: ");
        check("x = 1\ny = 1.5", "a.toml: line 2: `y` is neither");
        check("x = [1]", "a.toml: line 1: `x` is neither");
        check("\n\"-x\" = 1", "a.toml: line 2: label key `-x`");
        check("x = \"a\\nb\"", "a.toml: line 1: `x`: a label's value has no control");
        check("x = 99999999999999999999", "a.toml: line 1: `x`: ");
        check(&"#".repeat(70_000), "a.toml: it has more than 65536 bytes");

        fs::remove_file(folder.path.join("a.toml")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.path.join("a.toml"), rustix::fs::Mode::RUSR).unwrap();
        let drop_ins = folder.look();
        assert_eq!(words(&drop_ins.invalid), "a.toml: it is not a file");
        fs::remove_file(folder.path.join("a.toml")).unwrap();

        write(&folder, "a.toml", "rack = \"r8\"");
        let drop_ins = folder.look();
        assert_eq!(drop_ins.invalid, None);
        assert_eq!(shown(&drop_ins), ["site rack=r8", "site tier=lab"]);
    }

    #[test]
    fn a_look_is_partial_while_something_is_not_known() {
        let (_directory, mut folder) = folder();
        fs::write(&folder.path, "a file where a folder should be").unwrap();
        assert!(folder.look().is_partial, "the folder cannot be listed");
        fs::remove_file(&folder.path).unwrap();
        write(&folder, "a.toml", "rack = ");
        assert!(folder.look().is_partial, "what the file said in an earlier run is not known");
        write(&folder, "a.toml", "rack = \"r7\"");
        assert!(!folder.look().is_partial);
        write(&folder, "a.toml", "rack = ");
        let drop_ins = folder.look();
        assert_eq!((drop_ins.is_partial, shown(&drop_ins)), (false, vec!["site rack=r7".to_owned()]));
        fs::remove_dir_all(&folder.path).unwrap();
        fs::write(&folder.path, "a file where a folder should be").unwrap();
        let drop_ins = folder.look();
        assert_eq!((drop_ins.is_partial, shown(&drop_ins)), (false, vec!["site rack=r7".to_owned()]));
    }

    #[test]
    fn a_file_that_goes_takes_its_labels_along() {
        let (_directory, mut folder) = folder();
        write(&folder, "a.toml", "rack = \"r7\"");
        folder.look();
        fs::remove_file(folder.path.join("a.toml")).unwrap();
        assert_eq!(shown(&folder.look()), [""; 0]);
    }

    #[test]
    fn more_files_than_the_limit_are_not_read() {
        let (_directory, mut folder) = folder();
        for number in 0..=FILES_MAX {
            write(&folder, &format!("{number:03}.toml"), &format!("k{number} = 1"));
        }
        let drop_ins = folder.look();
        assert_eq!(shown(&drop_ins).len(), FILES_MAX);
        assert!(words(&drop_ins.invalid).contains("more than 64 files; 064.toml"));
        assert!(drop_ins.is_partial);
    }

    #[test]
    fn a_file_more_than_the_limit_takes_no_label_away() {
        let (_directory, mut folder) = folder();
        for number in 1..=FILES_MAX {
            write(&folder, &format!("{number:03}.toml"), &format!("k{number} = 1"));
        }
        assert_eq!(shown(&folder.look()).len(), FILES_MAX);
        write(&folder, "000.toml", "k0 = 1");
        let drop_ins = folder.look();
        assert_eq!((shown(&drop_ins).len(), drop_ins.is_partial), (FILES_MAX + 1, false));
    }

    #[test]
    fn a_flood_of_changes_is_looked_at_ten_times_and_then_every_two_seconds() {
        let began = Instant::now();
        let (mut pace, mut now, mut looks) = (TokenBucket::full(began), began, Vec::new());
        while now.duration_since(began) < Duration::from_secs(600) {
            // Somebody writes as soon as the folder has settled.
            now += SETTLE;
            now += pace.reserve(1, LOOK_RATE, now);
            looks.push(now.duration_since(began));
        }
        assert!(looks[9] < Duration::from_secs(2), "who edits a few files waits for nothing");
        assert!((300..=311).contains(&looks.len()), "{} looks in ten minutes", looks.len());
    }

    #[test]
    fn a_change_is_noticed_while_the_folder_is_watched() {
        let (_directory, mut folder) = folder();
        let path = folder.path.clone();
        let first = folder.look();
        let (sender, mut receiver) = mpsc::channel(4);
        folder.watch(first, sender).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            // The watch may not have begun yet, so write until it is noticed.
            let mut number = 0;
            let noticed = loop {
                number += 1;
                fs::write(path.join("a.toml"), format!("n = {number}")).unwrap();
                let wait = tokio::time::timeout(Duration::from_secs(1), receiver.recv());
                if let Ok(drop_ins) = wait.await {
                    break drop_ins.unwrap();
                }
                assert!(number < 20, "nothing was noticed");
            };
            assert_eq!(shown(&noticed).len(), 1);
        });
    }
}
