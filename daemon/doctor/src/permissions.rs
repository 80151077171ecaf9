//! Ownership and permissions of private files.

use std::error::Error;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use linecamp_model::shell_quoted;

use crate::code::FindingCode;
use crate::finding::CheckResult;

/// Bytes read of `/etc/passwd`: some 20,000 users. Users beyond that are shown by their uid.
const USERS_BYTES_MAX: u64 = 1024 * 1024;

/// Permission bits of group and others.
const OTHERS: u32 = 0o077;

/// Permission bits that the owner of a directory needs.
const OWNER_OF_DIRECTORY: u32 = 0o700;

/// Permission bits that the owner of a file needs.
const OWNER_OF_FILE: u32 = 0o400;

/// A file or directory that only its owner may access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Private {
    /// The file or directory.
    pub path: PathBuf,
    /// Whether its absence is a problem.
    pub is_needed: bool,
}

/// What was observed of a file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    /// Its path.
    pub path: PathBuf,
    /// Its owner.
    pub uid: u32,
    /// Its permission bits.
    pub mode: u32,
    /// Whether it is a directory.
    pub is_directory: bool,
}

/// Examines `directory` and the private files in it. They must all belong to one user: the one that runs `program`,
/// which is `process_uid` if a process of it is running.
pub fn permissions(directory: &Path, private: &[Private], program: &str, process_uid: Option<u32>) -> CheckResult {
    let top = match inspect(directory) {
        Ok(top) if top.is_directory => top,
        Ok(_) => {
            return CheckResult::fail(
                FindingCode::NotADirectory,
                format!("{} is not a directory", directory.display()),
                "pass the data directory with --data",
            );
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return CheckResult::skipped(
                FindingCode::DirectoryMissing,
                format!("{} does not exist", directory.display()),
            );
        }
        Err(error) => return failed(directory, &error),
    };
    let mut seen = vec![top];
    let mut missing = Vec::new();
    for one in private {
        match inspect(&one.path) {
            Ok(found) => seen.push(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                missing.extend(one.is_needed.then_some(one.path.as_path()));
            }
            Err(error) => return failed(&one.path, &error),
        }
    }
    evaluate(&seen, &missing, program, process_uid, &users())
}

fn failed(path: &Path, error: &io::Error) -> CheckResult {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return CheckResult::skipped(
            FindingCode::AccessDenied,
            format!("this user may not read {}; run this with sudo", path.display()),
        );
    }
    CheckResult::fail(
        FindingCode::FileUnreadable,
        format!("cannot read {}: {error}", path.display()),
        "check the disk: `dmesg | tail`",
    )
}

fn inspect(path: &Path) -> io::Result<Owned> {
    let found = fs::symlink_metadata(path)?;
    // A link to a directory on another disk is allowed.
    let found = if found.is_symlink() { fs::metadata(path)? } else { found };
    Ok(Owned { path: path.to_owned(), uid: found.uid(), mode: found.mode() & 0o7777, is_directory: found.is_dir() })
}

/// Evaluates what was observed, the directory first.
fn evaluate(seen: &[Owned], missing: &[&Path], program: &str, process_uid: Option<u32>, users: &str) -> CheckResult {
    let Some(top) = seen.first() else {
        return CheckResult::skipped(FindingCode::DirectoryMissing, "there is nothing to check");
    };
    let name = |uid| user(users, uid);
    let (place, owner) = (top.path.display(), name(top.uid));
    let mut problems = Problems::default();
    for path in missing {
        let path = path.display();
        problems.add(FindingCode::FileMissing, format!("{path} is missing"), format!("restore {path} from a backup"));
    }
    // Root's processes can read any file.
    if let Some(process_uid) = process_uid.filter(|process_uid| *process_uid != 0 && *process_uid != top.uid) {
        let problem = format!("{program} runs as {}, and {place} belongs to {owner}", name(process_uid));
        problems.add(
            FindingCode::WrongOwner,
            problem,
            format!("chown -R {}: {}", name(process_uid), shell_quoted(&top.path)),
        );
    }
    for one in seen {
        let (path, quoted) = (one.path.display(), shell_quoted(&one.path));
        if one.uid != top.uid {
            let problem = format!("{path} belongs to {}, and {place} to {owner}", name(one.uid));
            problems.add(FindingCode::WrongOwner, problem, format!("chown -R {owner}: {quoted}"));
        }
        if one.mode & OTHERS != 0 {
            let problem = format!("{path} has mode {:03o}: users other than its owner have access", one.mode);
            let mode = if one.is_directory { "700" } else { "600" };
            problems.add(FindingCode::WrongMode, problem, format!("chmod {mode} {quoted}"));
        }
        let needed = if one.is_directory { OWNER_OF_DIRECTORY } else { OWNER_OF_FILE };
        if one.mode & needed != needed {
            let problem = format!("{path} has mode {:03o}: its owner cannot use it", one.mode);
            problems.add(FindingCode::WrongMode, problem, format!("chmod u+rwX {quoted}"));
        }
    }
    let all_right = || CheckResult::ok(format!("{place} belongs to {owner}, and only its owner has access"));
    problems.result().unwrap_or_else(all_right)
}

/// The problems found, with their remedies.
#[derive(Default)]
struct Problems {
    /// The code of the first problem.
    code: Option<FindingCode>,
    texts: Vec<String>,
    remedies: Vec<String>,
}

impl Problems {
    fn add(&mut self, code: FindingCode, text: String, remedy: String) {
        self.code.get_or_insert(code);
        self.texts.push(text);
        self.remedies.push(remedy);
    }

    /// Returns the failure that lists all problems, if there are any.
    fn result(&self) -> Option<CheckResult> {
        let code = self.code?;
        Some(CheckResult::fail(code, self.texts.join("; "), format!("as root: {}", self.remedies.join("; "))))
    }
}

/// Returns the contents of `/etc/passwd`; users missing from it are shown by their uid.
fn users() -> String {
    // If it cannot be read, users are shown by their uid.
    let read = linecamp_files::read_prefix(Path::new("/etc/passwd"), USERS_BYTES_MAX);
    read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

fn user(users: &str, uid: u32) -> String {
    let named = users.lines().find_map(|line| {
        let mut words = line.split(':');
        let name = words.next()?;
        (words.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| uid.to_string())
}

/// Whether an error is caused by missing permissions.
pub fn is_forbidden(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Verdict;
    use crate::command::run_command;

    const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nlinecamp:x:990:990::/var/lib/linecamp:/bin/false\n";

    fn owned(path: &str, uid: u32, mode: u32) -> Owned {
        Owned { path: path.into(), uid, mode, is_directory: mode & 0o100 != 0 }
    }

    #[track_caller]
    fn check(seen: &[Owned], process_uid: Option<u32>, code: FindingCode, commands: &[&str]) {
        let result = evaluate(seen, &[], "linecampd", process_uid, USERS);
        let expected = if code == FindingCode::Ok { Verdict::Ok } else { Verdict::Fail };
        assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
        let remedy = result.remedy.unwrap_or_default();
        assert!(commands.iter().all(|command| remedy.contains(command)), "{remedy}");
    }

    #[test]
    fn a_shell_reads_the_commands_for_hostile_paths_as_they_are_meant() {
        let path = "/d/it's; $(reboot) `x` \"é\" * & \\ #";
        let result = evaluate(&[owned("/d", 990, 0o700), owned(path, 0, 0o644)], &[], "linecampd", Some(990), USERS);
        let remedy = result.remedy.unwrap();
        let commands = remedy.strip_prefix("as root: ").unwrap();
        // The commands print their arguments.
        let script = format!("chown() {{ printf '%s\\n' \"$@\"; }}; chmod() {{ printf '%s\\n' \"$@\"; }}; {commands}");
        let said = run_command("sh", &["-c", &script], Duration::from_secs(30), 10_000).unwrap();
        assert_eq!(said.stdout, format!("-R\nlinecamp:\n{path}\n600\n{path}\n"), "{commands}");
    }

    #[test]
    fn private_files_belong_to_one_user() {
        let top = owned("/d", 990, 0o700);
        check(&[top.clone(), owned("/d/key.pem", 990, 0o600)], Some(990), FindingCode::Ok, &[]);
        // The process runs as root.
        check(std::slice::from_ref(&top), Some(0), FindingCode::Ok, &[]);
        let foreign = [top.clone(), owned("/d/key.pem", 0, 0o600)];
        check(&foreign, None, FindingCode::WrongOwner, &["chown -R linecamp: /d/key.pem"]);
        let readable = [top.clone(), owned("/d/key.pem", 990, 0o644)];
        check(&readable, None, FindingCode::WrongMode, &["chmod 600 /d/key.pem"]);
        check(&[owned("/d", 990, 0o555)], None, FindingCode::WrongMode, &["chmod u+rwX /d", "chmod 700 /d"]);
        check(&[owned("/d", 0, 0o700)], Some(990), FindingCode::WrongOwner, &["chown -R linecamp: /d"]);
    }

    #[test]
    fn a_missing_required_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        // Independent of the umask of the test.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(directory.path(), mode).unwrap();
        let private = |is_needed| [Private { path: directory.path().join("key.pem"), is_needed }];
        let needed = permissions(directory.path(), &private(true), "linecampd", None);
        assert_eq!(needed.code, FindingCode::FileMissing, "{needed:?}");
        assert_eq!(permissions(directory.path(), &private(false), "linecampd", None).verdict, Verdict::Ok);
        let absent = permissions(&directory.path().join("absent"), &[], "linecampd", None);
        assert_eq!((absent.verdict, absent.code), (Verdict::Skipped, FindingCode::DirectoryMissing));
    }
}
