//! Whether the disk of a directory accepts writes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::statvfs;

use crate::finding::CheckResult;

/// Free space below which to warn: a database with its log and a plugin still fit a few times.
const ROOM_LOW: u64 = 100 * MIB;

/// Free space below which nothing important fits: the database's log grows to a megabyte, a plugin has up to 8.
const ROOM_NONE: u64 = 16 * MIB;

/// Free inodes below which to warn.
const FILES_LOW: u64 = 1000;

/// A slower write means that the disk is failing or overloaded: flash takes some 10 ms.
const WRITE_SLOW: Duration = Duration::from_secs(1);

/// Bytes of the test write: a page of the database.
const WRITE_BYTES: usize = 4096;

const MIB: u64 = 1024 * 1024;

/// What was observed of a disk.
#[derive(Debug)]
struct Seen {
    /// Free bytes available to a program.
    room: u64,
    /// Free inodes, if the file system counts them.
    files: Option<u64>,
    /// How long it took to write, flush and remove a file, or why that failed.
    write: io::Result<Duration>,
}

/// Measures the free space in `directory`, and writes, flushes and removes a small file there.
pub fn disk(directory: &Path) -> CheckResult {
    if !directory.is_dir() {
        return CheckResult::skipped(format!("{} is not there", directory.display()));
    }
    match statvfs(directory) {
        Ok(found) => {
            let seen = Seen {
                room: found.f_bavail.saturating_mul(found.f_frsize),
                files: (found.f_files != 0).then_some(found.f_favail),
                write: write(directory),
            };
            judge(directory, &seen)
        }
        Err(error) => CheckResult::fail(
            format!("failed to ask how full the disk of {} is: {error}", directory.display()),
            format!("look at the disk: `df -h {0}`, `dmesg | tail`", directory.display()),
        ),
    }
}

fn judge(directory: &Path, seen: &Seen) -> CheckResult {
    let place = directory.display();
    let make_room = format!("make room: `df -h {place}` and `du -xsh {place}/*` show where it went");
    let make_inodes = format!("remove files: `df -i {place}` and `du --inodes -x {place}` show where inodes went");
    let room = format!("{} MiB free in {place}", seen.room / MIB);
    if seen.files == Some(0) {
        return CheckResult::fail(format!("no more files can be made: all inodes are in use ({room})"), make_inodes);
    }
    let took = match &seen.write {
        Ok(took) => took,
        Err(error) => {
            let remedy = match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => make_room,
                io::ErrorKind::PermissionDenied => {
                    format!("see whose it is with `ls -ld {place}`, and run this as that user or with sudo")
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    format!("see why with `dmesg | tail`; `mount -o remount,rw` once the disk is sound ({place})")
                }
                _ => format!("look at the disk: `dmesg | tail`, `smartctl -a` on the device of `df {place}`"),
            };
            return CheckResult::fail(format!("a file could not be written there: {error} ({room})"), remedy);
        }
    };
    let evidence = format!("{room}; {} KiB written, flushed and removed in {took:.1?}", WRITE_BYTES / 1024);
    match seen.files {
        _ if seen.room < ROOM_NONE => CheckResult::fail(evidence, make_room),
        Some(files) if files < FILES_LOW => {
            CheckResult::warn(format!("{evidence}; only {files} inodes left"), make_inodes)
        }
        _ if seen.room < ROOM_LOW => CheckResult::warn(evidence, make_room),
        _ if WRITE_SLOW < *took => {
            CheckResult::warn(evidence, "the disk is slow or dying: `dmesg | tail`, `iostat -x 1`, `smartctl -a`")
        }
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
    fn a_disk_is_written_to_and_left_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let remark = disk(directory.path());
        assert!(remark.evidence.contains("written, flushed and removed"), "{remark:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        assert_eq!(disk(&directory.path().join("absent")).verdict, Verdict::Skipped);
    }

    #[test]
    fn a_verdict_follows_room_files_and_the_write() {
        let check = |room, files, write: io::Result<Duration>, expected, words: &str| {
            let remark = judge(Path::new("/d"), &Seen { room, files, write });
            assert_eq!(remark.verdict, expected, "{remark:?}");
            let text = format!("{} {}", remark.evidence, remark.remedy.unwrap_or_default());
            assert!(text.contains(words), "{text}");
        };
        let quick = || Ok(Duration::from_millis(3));
        check(5000 * MIB, None, quick(), Verdict::Ok, "5000 MiB free in /d");
        check(5000 * MIB, Some(9), quick(), Verdict::Warn, "9 inodes");
        check(5000 * MIB, Some(0), quick(), Verdict::Fail, "inodes are in use");
        check(50 * MIB, Some(99_999), quick(), Verdict::Warn, "make room");
        check(5 * MIB, None, quick(), Verdict::Fail, "make room");
        check(5000 * MIB, None, Ok(Duration::from_secs(4)), Verdict::Warn, "slow or dying");
        let failed = |kind: io::ErrorKind| Err(kind.into());
        check(0, None, failed(io::ErrorKind::StorageFull), Verdict::Fail, "make room");
        check(5000 * MIB, Some(0), failed(io::ErrorKind::StorageFull), Verdict::Fail, "`df -i /d`");
        check(5000 * MIB, None, failed(io::ErrorKind::PermissionDenied), Verdict::Fail, "whose it is");
        check(5000 * MIB, None, failed(io::ErrorKind::ReadOnlyFilesystem), Verdict::Fail, "remount,rw");
        check(5000 * MIB, None, failed(io::ErrorKind::Other), Verdict::Fail, "smartctl");
    }
}
