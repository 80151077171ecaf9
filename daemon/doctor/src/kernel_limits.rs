//! Kernel limits of a process: open files, and socket buffers.

use std::path::Path;

use rustix::process::{Resource, getrlimit};

use crate::code::FindingCode;
use crate::finding::CheckResult;

/// Bytes read from a kernel file: single numbers have a few dozen, the limits of a process less than 2 KiB.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// Evaluates how many files a process may have open at once; it needs `needed`. Without a process, evaluates the limit
/// of this one, which the same command would inherit.
pub fn file_limit(pid: Option<u32>, needed: u64, unit: &str) -> CheckResult {
    let of_process = pid.and_then(|pid| Some((pid, open_files(&read(&format!("/proc/{pid}/limits"))?)?)));
    match of_process {
        Some((pid, limit)) => evaluate_files(&format!("process {pid} may open"), limit, needed, unit),
        None => {
            let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
            evaluate_files("a process started from this shell may open", limit, needed, unit)
        }
    }
}

fn evaluate_files(who: &str, limit: u64, needed: u64, unit: &str) -> CheckResult {
    let shown = if limit == u64::MAX { "an unlimited number of".to_owned() } else { limit.to_string() };
    let evidence = format!("{who} {shown} files; {needed} are enough");
    if limit < needed {
        let remedy = format!(
            "raise it: LimitNOFILE={needed} in `systemctl edit {unit}`, then `systemctl restart {unit}`; in a shell \
             `ulimit -n {needed}`"
        );
        return CheckResult::fail(FindingCode::FileLimitLow, evidence, remedy);
    }
    CheckResult::ok(evidence)
}

/// Parses the soft limit on open files from `/proc/PID/limits`.
fn open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Evaluates the buffers that the kernel grants a socket that requests `wanted` bytes.
pub fn udp_buffers(receive: Option<u64>, send: Option<u64>, wanted: u64) -> CheckResult {
    let (Some(receive), Some(send)) = (receive, send) else {
        return CheckResult::skipped(
            FindingCode::UdpBuffersUnknown,
            "cannot read net.core.rmem_max and net.core.wmem_max here",
        );
    };
    let evidence = format!(
        "net.core.rmem_max is {receive} and net.core.wmem_max {send} bytes; the link's socket requests {wanted}"
    );
    if receive.min(send) < wanted {
        let remedy = format!(
            "needed when hundreds of sites reconnect at once: `sysctl -w net.core.rmem_max={wanted} \
             net.core.wmem_max={wanted}`, save it in /etc/sysctl.d/, then restart the server"
        );
        return CheckResult::warn(FindingCode::UdpBuffersSmall, evidence, remedy);
    }
    CheckResult::ok(evidence)
}

/// Reads a kernel file that contains one number.
pub fn kernel_number(path: &str) -> Option<u64> {
    read(path)?.trim().parse().ok()
}

fn read(path: &str) -> Option<String> {
    String::from_utf8(linecamp_files::read_prefix(Path::new(path), FILE_BYTES_MAX).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Verdict;

    #[test]
    fn the_file_limit_of_a_process_is_evaluated() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units\n\
                      Max open files            1024                 524288               files\n";
        assert_eq!(open_files(limits), Some(1024));
        assert_eq!(open_files("Max open files  unlimited unlimited files"), Some(u64::MAX));
        assert_eq!(open_files("Max processes 1 1"), None);
        assert_eq!(evaluate_files("it may open", 1024, 256, "linecampd").verdict, Verdict::Ok);
        let low = evaluate_files("it may open", 64, 256, "linecampd");
        assert_eq!((low.verdict, low.code), (Verdict::Fail, FindingCode::FileLimitLow));
        assert!(low.remedy.is_some_and(|remedy| remedy.contains("LimitNOFILE=256")));
        let own = file_limit(Some(std::process::id()), 1, "linecampd");
        assert!(own.evidence.starts_with(&format!("process {}", std::process::id())), "{own:?}");
    }

    #[test]
    fn small_buffers_are_a_warning() {
        assert_eq!(udp_buffers(None, Some(1), 10).code, FindingCode::UdpBuffersUnknown);
        assert_eq!(udp_buffers(Some(10), Some(10), 10).verdict, Verdict::Ok);
        let small = udp_buffers(Some(9), Some(10), 10);
        assert_eq!((small.verdict, small.code), (Verdict::Warn, FindingCode::UdpBuffersSmall));
        assert!(small.remedy.is_some_and(|remedy| remedy.contains("sysctl -w net.core.rmem_max=10")));
    }
}
