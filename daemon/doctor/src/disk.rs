//! Whether the disk of a directory accepts writes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use linecamp_model::shell_quoted;
use rustix::fs::statvfs;

use crate::code::FindingCode;
use crate::finding::CheckResult;

/// Free space below which to warn: a database with its log and a plugin still fit a few times.
const SPACE_LOW: u64 = 100 * MIB;

/// Free space below which nothing important fits: the database's log grows to a megabyte, a plugin has up to 8.
const SPACE_CRITICAL: u64 = 16 * MIB;

/// Free inodes below which to warn.
const INODES_LOW: u64 = 1000;

/// A slower write means that the disk is failing or overloaded: flash takes some 10 ms.
const WRITE_SLOW: Duration = Duration::from_secs(1);

/// Bytes of the test write: a page of the database.
const WRITE_BYTES: usize = 4096;

const MIB: u64 = 1024 * 1024;

/// What was observed of a disk.
#[derive(Debug)]
struct DiskState {
    /// Free bytes available to a program.
    free_bytes: u64,
    /// Free inodes, if the file system counts them.
    free_inodes: Option<u64>,
    /// How long it took to write, flush and remove a file, or why that failed.
    write: io::Result<Duration>,
}

/// Measures the free space in `directory`, and writes, flushes and removes a small file there.
pub fn disk(directory: &Path) -> CheckResult {
    if !directory.is_dir() {
        return CheckResult::skipped(FindingCode::DirectoryMissing, format!("{} does not exist", directory.display()));
    }
    match measure(directory) {
        Ok(state) => evaluate(directory, &state),
        Err(result) => result,
    }
}

/// As [`disk`], for a directory that may not exist yet: its closest parent that exists takes its place. A disk that has
/// little room but accepts writes is a warning: a join itself writes some kilobytes.
pub fn disk_to_join(directory: &Path) -> CheckResult {
    // The last parent of a relative path is empty: the current directory.
    let place = directory.ancestors().find(|path| path.is_dir()).unwrap_or_else(|| Path::new("."));
    match measure(place) {
        Ok(state) => evaluate_to_join(place, &state),
        Err(result) => result,
    }
}

fn evaluate_to_join(place: &Path, state: &DiskState) -> CheckResult {
    let result = evaluate(place, state);
    let has_little_room = result.code == FindingCode::DiskFull && state.write.is_ok();
    if has_little_room { result.downgraded("the join itself fits") } else { result }
}

fn measure(directory: &Path) -> Result<DiskState, CheckResult> {
    match statvfs(directory) {
        Ok(found) => Ok(DiskState {
            free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
            free_inodes: (found.f_files != 0).then_some(found.f_favail),
            write: write(directory),
        }),
        Err(error) => Err(CheckResult::fail(
            FindingCode::DiskFailing,
            format!("cannot get the free space of {}: {error}", directory.display()),
            format!("check the disk: `df -h {}`, `dmesg | tail`", shell_quoted(directory)),
        )),
    }
}

fn evaluate(directory: &Path, state: &DiskState) -> CheckResult {
    let (place, quoted) = (directory.display(), shell_quoted(directory));
    let free_space = format!("free space: `df -h {quoted}` and `du -xsh {quoted}/*` show what uses it");
    let free_inodes_remedy =
        format!("remove files: `df -i {quoted}` and `du --inodes -x {quoted}` show what uses the inodes");
    let room = format!("{} MiB free in {place}", state.free_bytes / MIB);
    if state.free_inodes == Some(0) {
        return CheckResult::fail(
            FindingCode::InodesExhausted,
            format!("no more files can be created: all inodes are in use ({room})"),
            free_inodes_remedy,
        );
    }
    let took = match &state.write {
        Ok(took) => took,
        Err(error) => {
            let (code, remedy) = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (FindingCode::DiskFull, free_space),
                io::ErrorKind::PermissionDenied => (
                    FindingCode::DiskNotWritable,
                    format!("find the owner with `ls -ld {quoted}`, and run this as that user or with sudo"),
                ),
                io::ErrorKind::ReadOnlyFilesystem => (
                    FindingCode::DiskReadOnly,
                    format!(
                        "find the cause with `dmesg | tail`; when the disk is healthy, `mount -o remount,rw` ({place})"
                    ),
                ),
                _ => (
                    FindingCode::DiskFailing,
                    format!("check the disk: `dmesg | tail`, `smartctl -a` on the device of `df {quoted}`"),
                ),
            };
            return CheckResult::fail(code, format!("cannot write a file there: {error} ({room})"), remedy);
        }
    };
    let evidence = format!("{room}; {} KiB written, flushed and removed in {took:.1?}", WRITE_BYTES / 1024);
    match state.free_inodes {
        _ if state.free_bytes < SPACE_CRITICAL => CheckResult::fail(FindingCode::DiskFull, evidence, free_space),
        Some(inodes) if inodes < INODES_LOW => CheckResult::warn(
            FindingCode::InodesLow,
            format!("{evidence}; only {inodes} inodes left"),
            free_inodes_remedy,
        ),
        _ if state.free_bytes < SPACE_LOW => CheckResult::warn(FindingCode::DiskSpaceLow, evidence, free_space),
        _ if WRITE_SLOW < *took => CheckResult::warn(
            FindingCode::DiskSlow,
            evidence,
            "the disk is slow or failing: `dmesg | tail`, `iostat -x 1`, `smartctl -a`",
        ),
        _ => CheckResult::ok(evidence),
    }
}

/// Writes a new file and removes it. Never follows a link that another user created.
fn write(directory: &Path) -> io::Result<Duration> {
    let path = directory.join(format!(".doctor-{}", std::process::id()));
    let began = Instant::now();
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let written = file.write_all(&[0; WRITE_BYTES]).and_then(|()| file.sync_all());
    let removed = fs::remove_file(&path);
    written.and(removed).and_then(|()| File::open(directory)?.sync_all())?;
    Ok(began.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[test]
    fn a_join_needs_a_disk_that_accepts_writes() {
        let check = |free_bytes, write, expected, code| {
            let state = DiskState { free_bytes, free_inodes: None, write };
            let result = evaluate_to_join(Path::new("/d"), &state);
            assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
        };
        let quick = || Ok(Duration::from_millis(1));
        check(SPACE_LOW, quick(), Verdict::Ok, FindingCode::Ok);
        check(SPACE_CRITICAL - 1, quick(), Verdict::Warn, FindingCode::DiskFull);
        check(0, Err(io::ErrorKind::StorageFull.into()), Verdict::Fail, FindingCode::DiskFull);
        check(SPACE_LOW, Err(io::ErrorKind::ReadOnlyFilesystem.into()), Verdict::Fail, FindingCode::DiskReadOnly);
        let directory = tempfile::tempdir().unwrap();
        let found = disk_to_join(&directory.path().join("not/created/yet"));
        assert!(matches!(found.verdict, Verdict::Ok | Verdict::Warn), "{found:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_write_test_leaves_no_file_behind() {
        let directory = tempfile::tempdir().unwrap();
        let result = disk(directory.path());
        assert!(matches!(result.verdict, Verdict::Ok | Verdict::Warn), "{result:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!(disk(&directory.path().join("absent")).verdict, Verdict::Skipped);
    }

    #[test]
    fn commands_quote_the_directory() {
        let state = DiskState { free_bytes: 0, free_inodes: None, write: Ok(Duration::ZERO) };
        let result = evaluate(Path::new("/my data"), &state);
        assert_eq!(
            result.remedy.unwrap(),
            "free space: `df -h '/my data'` and `du -xsh '/my data'/*` show what uses it"
        );
    }

    #[test]
    fn a_verdict_depends_on_space_inodes_and_the_write_test() {
        let check = |free_bytes, free_inodes, write: io::Result<Duration>, expected, code, command: &str| {
            let result = evaluate(Path::new("/d"), &DiskState { free_bytes, free_inodes, write });
            assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
            let remedy = result.remedy.unwrap_or_default();
            assert!(remedy.contains(command), "{remedy}");
        };
        let quick = || Ok(Duration::from_millis(3));
        let failed = |kind: io::ErrorKind| Err(kind.into());
        let (warn, fail) = (Verdict::Warn, Verdict::Fail);
        check(5000 * MIB, None, quick(), Verdict::Ok, FindingCode::Ok, "");
        check(5000 * MIB, Some(9), quick(), warn, FindingCode::InodesLow, "`df -i /d`");
        check(5000 * MIB, Some(0), quick(), fail, FindingCode::InodesExhausted, "`df -i /d`");
        check(50 * MIB, Some(99_999), quick(), warn, FindingCode::DiskSpaceLow, "free space");
        check(5 * MIB, None, quick(), fail, FindingCode::DiskFull, "free space");
        check(5000 * MIB, None, Ok(Duration::from_secs(4)), warn, FindingCode::DiskSlow, "iostat");
        check(0, None, failed(io::ErrorKind::StorageFull), fail, FindingCode::DiskFull, "free space");
        let full = || failed(io::ErrorKind::StorageFull);
        check(5000 * MIB, Some(0), full(), fail, FindingCode::InodesExhausted, "`df -i /d`");
        let denied = failed(io::ErrorKind::PermissionDenied);
        check(5000 * MIB, None, denied, fail, FindingCode::DiskNotWritable, "find the owner");
        let read_only = failed(io::ErrorKind::ReadOnlyFilesystem);
        check(5000 * MIB, None, read_only, fail, FindingCode::DiskReadOnly, "remount,rw");
        check(5000 * MIB, None, failed(io::ErrorKind::Other), fail, FindingCode::DiskFailing, "smartctl");
    }
}
