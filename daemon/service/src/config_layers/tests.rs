use std::fs;

use serde::Deserialize;
use tempfile::TempDir;

use super::*;

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sample {
    log: Option<String>,
    list: Vec<u32>,
    link: Option<Link>,
    entry: Vec<Entry>,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Link {
    metered: Option<bool>,
    limit: Option<u32>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Entry {
    name: String,
}

/// A directory with a configuration `c.toml` and its drop-ins.
struct Folder(TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn written(&self) -> Result<LayeredConfig, LayersError> {
        let mut written = LayeredConfig::new(&["entry"]);
        written.add::<Sample>(&self.0.path().join("c.toml"))?;
        Ok(written)
    }

    fn refused(&self) -> String {
        self.written().unwrap_err().to_string().replace(&self.0.path().display().to_string(), "")
    }
}

#[test]
fn the_later_file_wins_key_by_key_and_each_key_knows_its_place() {
    let folder = Folder::new(&[
        ("c.toml", "log = \"info\"\nlist = [1, 2]\n[link]\nmetered = true\nlimit = 3\n[[entry]]\nname = \"a\"\n"),
        ("c.d/10-a.toml", "list = [3]\n[[entry]]\nname = \"b\"\n"),
        ("c.d/20-b.toml", "\n[link]\nlimit = 4\n"),
        ("c.d/5-early.toml", "log = \"warn\""),
        ("c.d/.hidden.toml", "nothing = 1"),
        ("c.d/note.txt", "nothing"),
    ]);
    let written = folder.written().unwrap();
    let sample: Sample = written.read().unwrap();
    assert_eq!(sample.log.as_deref(), Some("warn"));
    assert_eq!(sample.list, [3], "a list is replaced");
    assert_eq!(sample.link, Some(Link { metered: Some(true), limit: Some(4) }), "a table grows");
    assert_eq!(sample.entry.iter().map(|entry| &*entry.name).collect::<Vec<_>>(), ["a", "b"], "these add up");

    let place = |key| {
        let place = written.place(key)?;
        Some(format!("{}:{}", place.path.file_name()?.to_str()?, place.line))
    };
    assert_eq!(place("log").as_deref(), Some("5-early.toml:1"));
    assert_eq!(place("link.metered").as_deref(), Some("c.toml:4"));
    assert_eq!(place("link.limit").as_deref(), Some("20-b.toml:3"));
    assert_eq!(place("entry.1").as_deref(), Some("c.toml:6"));
    assert_eq!(place("entry.2").as_deref(), Some("10-a.toml:2"));
    assert_eq!(place("nothing"), None);
    let names: Vec<_> = written.files().iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["c.toml", "10-a.toml", "20-b.toml", "5-early.toml"], "in the order of names, letter by letter");
}

#[test]
fn a_mistake_in_any_file_is_named_with_file_line_and_key() {
    let check = |files: &[(&str, &str)], expected: &str| {
        let found = Folder::new(files).refused();
        assert!(found.starts_with(expected), "{found}");
    };
    check(&[("c.toml", "log = \"x\"\nlgo = 1")], "/c.toml: line 2: unknown field `lgo`");
    check(&[("c.toml", ""), ("c.d/x.toml", "\n\nlist = 1")], "/c.d/x.toml: line 3: key `list`: invalid type");
    check(&[("c.toml", "= 1")], "/c.toml: line 1: ");
}

#[test]
fn the_file_may_be_missing_if_there_are_drop_ins_and_then_only() {
    let folder = Folder::new(&[("c.d/x.toml", "log = \"x\"")]);
    assert_eq!(folder.written().unwrap().read::<Sample>().unwrap().log.as_deref(), Some("x"));
    let refused = Folder::new(&[]).refused();
    assert!(refused.starts_with("neither /c.toml nor the drop-in directory /c.d exists; "), "{refused}");
}

#[test]
fn too_much_of_anything_is_refused() {
    let long = "#".repeat(usize::try_from(FILE_BYTES_MAX).unwrap() + 1);
    assert!(Folder::new(&[("c.toml", &*long)]).refused().starts_with("/c.toml is too large for a configuration file"));
    assert!(Folder::new(&[("c.d/x.toml", &*long)]).refused().starts_with("/c.d/x.toml is too large"));
    let deep = format!("list = {}", "[".repeat(10_000));
    assert!(Folder::new(&[("c.toml", &*deep)]).refused().starts_with("/c.toml: line 1: "));

    let names: Vec<_> = (0..=DROP_INS_MAX).map(|number| format!("c.d/{number}.toml")).collect();
    let files: Vec<_> = names.iter().map(|name| (&**name, "")).collect();
    assert!(Folder::new(&files[1..]).written().is_ok());
    assert!(Folder::new(&files).refused().starts_with("/c.d has too many .toml files"));
}

#[test]
fn a_path_that_is_not_a_regular_file_is_rejected_without_blocking() {
    let folder = Folder::new(&[("c.d/x.toml/y", "")]);
    assert_eq!(folder.refused(), "/c.d/x.toml is not a regular file but a directory");
    let folder = Folder::new(&[("c.toml/x", "")]);
    assert_eq!(folder.refused(), "/c.toml is not a regular file but a directory");
}
