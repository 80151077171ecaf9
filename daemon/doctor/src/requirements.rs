//! What a machine needs to run a daemon: verdicts on its memory, its processor, its kernel and its clock.
//!
//! What was observed is passed in. What could not be observed is not held against the machine: the check is skipped.

use linecamp_model::WallTime;
use linecamp_model::limits::{
    KERNEL_FAST_MIN, KERNEL_MIN, MEMORY_COMFORTABLE_BYTES, MEMORY_FREE_BYTES_MIN, PLAUSIBLE_TIME_MIN,
};

use crate::code::FindingCode;
use crate::finding::CheckResult;

const MIB: u64 = 1024 * 1024;

/// Evaluates the memory that programs can still use, in bytes. It is `None` if the kernel does not report it.
pub fn memory(available: &Result<Option<u64>, String>) -> CheckResult {
    let available = match available {
        Ok(Some(bytes)) => *bytes,
        Ok(None) => {
            return CheckResult::skipped(FindingCode::MemoryUnknown, "the kernel does not report the available memory");
        }
        Err(problem) => return CheckResult::skipped(FindingCode::MemoryUnknown, problem.clone()),
    };
    let evidence = format!("{} MiB of memory available", available / MIB);
    let remedy = "stop what is not needed (`ps -eo rss,cmd --sort -rss | head` shows the largest), or add memory";
    if available < MEMORY_FREE_BYTES_MIN {
        let needed = format!("{evidence}; the daemon needs {} MiB", MEMORY_FREE_BYTES_MIN / MIB);
        return CheckResult::fail(FindingCode::MemoryInsufficient, needed, remedy);
    }
    if available < MEMORY_COMFORTABLE_BYTES {
        let words = format!(
            "{evidence}: enough for the daemon, but little for what runs beside it ({} MiB recommended)",
            MEMORY_COMFORTABLE_BYTES / MIB
        );
        return CheckResult::warn(FindingCode::MemoryLow, words, remedy);
    }
    CheckResult::ok(evidence)
}

/// Evaluates whether the processor has AES instructions. It is `None` if the kernel lists no instructions.
///
/// They are not required: some common ARM boards have none, and the link works there.
pub fn processor(has_aes: &Result<Option<bool>, String>) -> CheckResult {
    match has_aes {
        Ok(Some(true)) => CheckResult::ok("the processor has AES instructions"),
        Ok(Some(false)) => CheckResult::warn(
            FindingCode::AesMissing,
            "the processor has no AES instructions: encryption takes more processor time",
            "in a virtual machine, pass the processor of its host through (`-cpu host` in QEMU); otherwise nothing to do",
        ),
        Ok(None) => {
            CheckResult::skipped(FindingCode::ProcessorUnknown, "the kernel does not list the processor's instructions")
        }
        Err(problem) => CheckResult::skipped(FindingCode::ProcessorUnknown, problem.clone()),
    }
}

/// Evaluates the kernel's version, as `uname -r` prints it.
pub fn kernel(release: &Result<Option<String>, String>) -> CheckResult {
    let release = match release {
        Ok(Some(release)) => release,
        Ok(None) => return CheckResult::skipped(FindingCode::KernelUnknown, "the kernel does not report its version"),
        Err(problem) => return CheckResult::skipped(FindingCode::KernelUnknown, problem.clone()),
    };
    let Some(found) = version(release) else {
        let evidence = format!("the kernel reports an unusual version: {release}");
        return CheckResult::skipped(FindingCode::KernelUnknown, evidence);
    };
    let shown = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    let evidence = format!("Linux {release}");
    if found < KERNEL_MIN {
        return CheckResult::fail(
            FindingCode::KernelTooOld,
            format!("{evidence}; the daemon needs {} or later", shown(KERNEL_MIN)),
            "upgrade the operating system",
        );
    }
    if found < KERNEL_FAST_MIN {
        return CheckResult::warn(
            FindingCode::KernelOld,
            format!(
                "{evidence}: it sends every packet with a system call of its own, before {}",
                shown(KERNEL_FAST_MIN)
            ),
            "upgrade the operating system when possible",
        );
    }
    CheckResult::ok(evidence)
}

/// Evaluates the local clock before any server is known to compare it with. `synchronized` is what systemd reports.
///
/// A wrong clock does not prevent a join: the link measures the difference, and reports it as a condition.
pub fn local_clock(now: WallTime, synchronized: CheckResult) -> CheckResult {
    if now < PLAUSIBLE_TIME_MIN {
        return CheckResult::warn(
            FindingCode::ClockBehind,
            format!("the local clock shows {now}, which is before this program was made"),
            "set it: `timedatectl set-ntp true` (or chrony) keeps it correct, and `date -s` sets it once",
        );
    }
    synchronized
}

/// Parses the first two numbers of a kernel's version.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Verdict;

    #[track_caller]
    fn check(result: &CheckResult, expected: Verdict, code: FindingCode) {
        assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
        assert_eq!(result.remedy.is_some(), matches!(expected, Verdict::Warn | Verdict::Fail), "{result:?}");
    }

    #[test]
    fn too_little_memory_fails_and_little_memory_is_a_warning() {
        let memory = |mib: u64| memory(&Ok(Some(mib * MIB)));
        check(&memory(255), Verdict::Fail, FindingCode::MemoryInsufficient);
        check(&memory(256), Verdict::Warn, FindingCode::MemoryLow);
        check(&memory(1023), Verdict::Warn, FindingCode::MemoryLow);
        check(&memory(1024), Verdict::Ok, FindingCode::Ok);
        assert!(memory(255).evidence.contains("255 MiB of memory available; the daemon needs 256 MiB"));
    }

    #[test]
    fn a_processor_without_aes_instructions_is_a_warning() {
        check(&processor(&Ok(Some(true))), Verdict::Ok, FindingCode::Ok);
        check(&processor(&Ok(Some(false))), Verdict::Warn, FindingCode::AesMissing);
    }

    #[test]
    fn an_old_kernel_fails() {
        let kernel = |release: &str| kernel(&Ok(Some(release.to_owned())));
        check(&kernel("3.16.0-4-amd64"), Verdict::Fail, FindingCode::KernelTooOld);
        check(&kernel("3.17"), Verdict::Warn, FindingCode::KernelOld);
        check(&kernel("4.9.0-19-amd64"), Verdict::Warn, FindingCode::KernelOld);
        check(&kernel("4.18.0"), Verdict::Ok, FindingCode::Ok);
        check(&kernel("6.12+rpt-rpi-v8"), Verdict::Ok, FindingCode::Ok);
        check(&kernel("custom"), Verdict::Skipped, FindingCode::KernelUnknown);
    }

    #[test]
    fn what_was_not_observed_is_not_held_against_the_machine() {
        let problem = || "cannot read /proc/x: denied".to_owned();
        check(&memory(&Ok(None)), Verdict::Skipped, FindingCode::MemoryUnknown);
        check(&memory(&Err(problem())), Verdict::Skipped, FindingCode::MemoryUnknown);
        check(&processor(&Ok(None)), Verdict::Skipped, FindingCode::ProcessorUnknown);
        check(&processor(&Err(problem())), Verdict::Skipped, FindingCode::ProcessorUnknown);
        check(&kernel(&Ok(None)), Verdict::Skipped, FindingCode::KernelUnknown);
        check(&kernel(&Err(problem())), Verdict::Skipped, FindingCode::KernelUnknown);
    }

    #[test]
    fn a_clock_that_was_never_set_is_a_warning() {
        let synchronized = || CheckResult::ok("synchronized");
        check(&local_clock(WallTime::EPOCH, synchronized()), Verdict::Warn, FindingCode::ClockBehind);
        let now = PLAUSIBLE_TIME_MIN + Duration::from_secs(1);
        check(&local_clock(now, synchronized()), Verdict::Ok, FindingCode::Ok);
        let not = CheckResult::warn(FindingCode::ClockNotSynchronized, "not synchronized", "synchronize it");
        check(&local_clock(now, not), Verdict::Warn, FindingCode::ClockNotSynchronized);
    }
}
