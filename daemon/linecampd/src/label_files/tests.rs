use super::*;

fn dir() -> (tempfile::TempDir, LabelsDir) {
    let directory = tempfile::tempdir().unwrap();
    let dir = LabelsDir::new(directory.path().join("labels.d"));
    (directory, dir)
}

fn write(dir: &LabelsDir, name: &str, text: &str) {
    fs::create_dir_all(&dir.path).unwrap();
    fs::write(dir.path.join(name), text).unwrap();
}

fn shown(drop_ins: &DropIns) -> Vec<String> {
    let levels = drop_ins.labels.iter();
    levels.flat_map(|(level, labels)| labels.iter().map(move |(key, value)| format!("{level} {key}={value}"))).collect()
}

fn words(text: &Option<Text>) -> &str {
    text.as_ref().map_or("", Text::as_str)
}

#[test]
fn tables_flatten_and_name_their_level() {
    let (_directory, mut dir) = dir();
    write(
        &dir,
        "a.toml",
        "rack = \"r7\"\nio.linecamp.x = \"y\"\n[site]\nunits = 0x10\n[site.a.b]\nc = -1\n\
         [host]\ngpu = true\n\"k/v\" = \"\"\n[zone]\nid = 3",
    );
    write(&dir, "readme.txt", "not = labels");
    let drop_ins = dir.scan();
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
fn a_missing_directory_is_created_empty() {
    let (_directory, mut dir) = dir();
    assert_eq!(dir.scan(), DropIns::default());
    assert!(dir.path.is_dir());
}

#[test]
fn the_later_file_wins_and_both_are_reported() {
    let (_directory, mut dir) = dir();
    write(&dir, "20-b.toml", "rack = \"r2\"\n[host]\nrack = \"h\"");
    write(&dir, "10-a.toml", "rack = \"r1\"\nx.y = 1\n\"x.y\" = 2");
    let drop_ins = dir.scan();
    assert_eq!(shown(&drop_ins), ["site rack=r2", "site x.y=2", "host rack=h"]);
    assert_eq!(
        words(&drop_ins.repeated),
        "site label x.y twice in 10-a.toml; site label rack in 10-a.toml and 20-b.toml"
    );
}

#[test]
fn an_invalid_file_is_reported_with_its_line_and_keeps_its_labels() {
    let (_directory, mut dir) = dir();
    write(&dir, "a.toml", "rack = \"r7\"");
    write(&dir, "b.toml", "tier = \"lab\"");
    dir.scan();

    let mut check = |text: &str, expected: &str| {
        write(&dir, "a.toml", text);
        let drop_ins = dir.scan();
        assert!(words(&drop_ins.invalid).starts_with(expected), "{:?}", drop_ins.invalid);
        assert_eq!(shown(&drop_ins), ["site rack=r7", "site tier=lab"], "{text}");
    };
    check("rack = \"r8\"\nrack = ", "a.toml: line 2: ");
    check("rack = \"r8\"\n\nrack = \"r9\"", "a.toml: line 3: ");
    check(&"#".repeat(70_000), "a.toml: larger than 65536 bytes");

    fs::remove_file(dir.path.join("a.toml")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, dir.path.join("a.toml"), rustix::fs::Mode::RUSR).unwrap();
    let drop_ins = dir.scan();
    assert_eq!(words(&drop_ins.invalid), "a.toml: not a regular file but a pipe");
    fs::remove_file(dir.path.join("a.toml")).unwrap();

    write(&dir, "a.toml", "rack = \"r8\"");
    let drop_ins = dir.scan();
    assert_eq!(drop_ins.invalid, None);
    assert_eq!(shown(&drop_ins), ["site rack=r8", "site tier=lab"]);
}

/// As in the environment: one bad entry does not affect the others.
#[test]
fn an_invalid_entry_of_a_file_is_skipped_and_named_with_its_line() {
    let (_directory, mut dir) = dir();
    write(&dir, "a.toml", "rack = \"r7\"");
    dir.scan();
    let mut check = |line: &str, expected: &str| {
        write(&dir, "a.toml", &format!("rack = \"r8\"\n{line}\nz = 1\n"));
        let drop_ins = dir.scan();
        assert!(words(&drop_ins.invalid).starts_with(expected), "{:?}", drop_ins.invalid);
        assert_eq!((shown(&drop_ins), drop_ins.is_partial), (vec!["site rack=r8".into(), "site z=1".into()], false));
    };
    check("y = 1.5", "a.toml: line 2: `y` must be a string");
    check("x = [1]", "a.toml: line 2: `x` must be a string");
    check("\"-x\" = 1", "a.toml: line 2: label key `-x`");
    check("x = \"a\\nb\"", "a.toml: line 2: `x`: a label's value has no control");
    check("x = 99999999999999999999", "a.toml: line 2: `x`: ");
    write(&dir, "a.toml", "[host]\nx = 1.5\nd.y = 1.5\nok = 1");
    let drop_ins = dir.scan();
    assert_eq!(shown(&drop_ins), ["host ok=1"]);
    let expected =
        "a.toml: line 2: `x` must be a string, an integer or a boolean; a.toml: line 3: `d.y` must be a string";
    assert!(words(&drop_ins.invalid).starts_with(expected), "{:?}", drop_ins.invalid);
    let (_, invalid) = parse(&(0..1000).map(|number| format!("k{number} = 1.5\n")).collect::<String>()).unwrap();
    assert_eq!((invalid.len(), &*invalid[INVALID_SHOWN_MAX]), (INVALID_SHOWN_MAX + 1, "992 more invalid entries"));
}

#[test]
fn a_scan_is_partial_while_a_files_contents_are_unknown() {
    let (_directory, mut dir) = dir();
    fs::write(&dir.path, "a file where a directory should be").unwrap();
    assert!(dir.scan().is_partial, "the directory cannot be listed");
    fs::remove_file(&dir.path).unwrap();
    write(&dir, "a.toml", "rack = ");
    assert!(dir.scan().is_partial, "the previous contents of the file are not known");
    write(&dir, "a.toml", "rack = \"r7\"");
    assert!(!dir.scan().is_partial);
    write(&dir, "a.toml", "rack = ");
    let drop_ins = dir.scan();
    assert_eq!((drop_ins.is_partial, shown(&drop_ins)), (false, vec!["site rack=r7".to_owned()]));
    fs::remove_dir_all(&dir.path).unwrap();
    fs::write(&dir.path, "a file where a directory should be").unwrap();
    let drop_ins = dir.scan();
    assert_eq!((drop_ins.is_partial, shown(&drop_ins)), (false, vec!["site rack=r7".to_owned()]));
}

#[test]
fn deleting_a_file_removes_its_labels() {
    let (_directory, mut dir) = dir();
    write(&dir, "a.toml", "rack = \"r7\"");
    dir.scan();
    fs::remove_file(dir.path.join("a.toml")).unwrap();
    assert_eq!(shown(&dir.scan()), [""; 0]);
}

#[test]
fn more_files_than_the_limit_are_not_read() {
    let (_directory, mut dir) = dir();
    for number in 0..=FILES_MAX {
        write(&dir, &format!("{number:03}.toml"), &format!("k{number} = 1"));
    }
    let drop_ins = dir.scan();
    assert_eq!(shown(&drop_ins).len(), FILES_MAX);
    assert!(words(&drop_ins.invalid).contains("more than 64 files: 064.toml"));
    assert!(drop_ins.is_partial);
}

#[test]
fn a_file_above_the_limit_removes_no_label() {
    let (_directory, mut dir) = dir();
    for number in 1..=FILES_MAX {
        write(&dir, &format!("{number:03}.toml"), &format!("k{number} = 1"));
    }
    assert_eq!(shown(&dir.scan()).len(), FILES_MAX);
    write(&dir, "000.toml", "k0 = 1");
    let drop_ins = dir.scan();
    assert_eq!((shown(&drop_ins).len(), drop_ins.is_partial), (FILES_MAX + 1, false));
}

#[test]
fn continuous_changes_are_scanned_ten_times_and_then_every_two_seconds() {
    let began = Instant::now();
    let (mut bucket, mut now, mut scans) = (TokenBucket::full(began), began, Vec::new());
    while now.duration_since(began) < Duration::from_secs(600) {
        // A file is written as soon as the directory has settled.
        now += SETTLE;
        now += bucket.reserve(1, SCAN_RATE, now);
        scans.push(now.duration_since(began));
    }
    assert!(scans[9] < Duration::from_secs(2), "a few edits are not delayed");
    assert!((300..=311).contains(&scans.len()), "{} looks in ten minutes", scans.len());
}

#[test]
fn a_change_is_noticed_within_the_rate_limit() {
    let (_directory, mut dir) = dir();
    let path = dir.path.clone();
    let first = dir.scan();
    let (sender, mut receiver) = mpsc::channel(4);
    // Reserve so much that the bucket does not refill during this test.
    let mut emptied = TokenBucket::full(Instant::now());
    emptied.reserve(10 * SCAN_RATE.burst, SCAN_RATE, Instant::now());
    let (slept, sleeps) = std::sync::mpsc::channel();
    dir.watch_at(emptied, move |time| _ = slept.send(time), (first, sender)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // The watch may not have started yet, so write until a change is noticed.
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
    let waited = sleeps.try_iter().last().expect("it waited for its turn before it looked");
    assert!(Duration::ZERO < waited, "the bucket was empty");
}
