//! Running checks concurrently, each with a time limit.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::code::FindingCode;
use crate::finding::{CheckResult, Finding};

/// How often progress is reported to the user.
const PROGRESS_PERIOD: Duration = Duration::from_millis(500);

/// A check, or several made from the same observation.
pub struct Job {
    names: &'static [&'static str],
    limit: Duration,
    check: Box<dyn FnOnce() -> Vec<Finding> + Send>,
}

impl Job {
    /// Creates a job whose findings have these names, and that fails unless it returns within `limit`.
    pub fn new(
        names: &'static [&'static str],
        limit: Duration,
        check: impl FnOnce() -> Vec<Finding> + Send + 'static,
    ) -> Self {
        Self { names, limit, check: Box::new(check) }
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job").field("names", &self.names).field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// What a run is waiting for, and for how long so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The checks that have not returned.
    pub waiting_for: Vec<&'static str>,
    /// Time since the start.
    pub elapsed: Duration,
}

/// Runs all jobs concurrently and returns their findings, in the order of the jobs. It takes no longer than the longest
/// limit; an overdue job is abandoned in its thread, and its checks have failed.
pub fn run(jobs: Vec<Job>, mut progress: impl FnMut(&Progress)) -> Vec<Finding> {
    let began = Instant::now();
    let (sender, receiver) = sync_channel(jobs.len().max(1));
    let mut waiting = Vec::new();
    for (place, job) in jobs.into_iter().enumerate() {
        let sender = sender.clone();
        let spawned = thread::Builder::new().name(format!("check-{place}")).spawn(move || {
            // Fails if the run has timed out on this job.
            drop(sender.send((place, (job.check)())));
        });
        let refused = spawned.err().map(|error| format!("cannot start a thread for the check: {error}"));
        let found = refused.map(|words| failed(job.names, FindingCode::CheckNotStarted, &words));
        waiting.push(Waiting { names: job.names, until: began + job.limit, limit: job.limit, found });
    }
    loop {
        let now = Instant::now();
        for job in waiting.iter_mut().filter(|job| job.found.is_none() && job.until <= now) {
            let words = format!("the check did not finish within {} s", job.limit.as_secs());
            job.found = Some(failed(job.names, FindingCode::CheckTimedOut, &words));
        }
        let open: Vec<_> = waiting.iter().filter(|job| job.found.is_none()).collect();
        let Some(next) = open.iter().map(|job| job.until).min() else { break };
        let wait = next.saturating_duration_since(now).min(PROGRESS_PERIOD);
        let waiting_for = open.iter().flat_map(|job| job.names.iter().copied()).collect();
        match receiver.recv_timeout(wait) {
            Ok((place, found)) => waiting[place].found = Some(found),
            Err(RecvTimeoutError::Timeout) => progress(&Progress { waiting_for, elapsed: began.elapsed() }),
            Err(RecvTimeoutError::Disconnected) => unreachable!("this function holds a sender"),
        }
    }
    waiting.into_iter().flat_map(|job| job.found.unwrap_or_default()).collect()
}

struct Waiting {
    names: &'static [&'static str],
    until: Instant,
    limit: Duration,
    found: Option<Vec<Finding>>,
}

fn failed(names: &[&'static str], code: FindingCode, words: &str) -> Vec<Finding> {
    let remedy = "find the disk, name server or program that hangs: `dmesg | tail`, `ps -eo pid,stat,cmd`";
    names.iter().map(|name| CheckResult::fail(code, words, remedy).of(name)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::Verdict;

    #[test]
    fn a_check_that_hangs_fails_and_the_others_keep_their_order() {
        let (release, hangs) = sync_channel::<()>(0);
        let jobs = vec![
            Job::new(&["slow", "slower"], Duration::from_millis(50), move || {
                let _ = hangs.recv();
                vec![]
            }),
            Job::new(&["quick"], Duration::from_secs(60), || vec![CheckResult::ok("seen").of("quick")]),
        ];
        let found = run(jobs, |_| {});
        drop(release);
        let names: Vec<_> = found.iter().map(|finding| (finding.name, finding.verdict)).collect();
        assert_eq!(names, [("slow", Verdict::Fail), ("slower", Verdict::Fail), ("quick", Verdict::Ok)]);
        assert_eq!(found[0].code, FindingCode::CheckTimedOut, "{found:?}");
    }

    #[test]
    fn progress_names_the_checks_that_are_still_running() {
        let (release, hangs) = sync_channel::<()>(0);
        let job = Job::new(&["slow"], Duration::from_secs(60), move || {
            let _ = hangs.recv();
            vec![]
        });
        let mut release = Some(release);
        let mut received = Vec::new();
        run(vec![job], |progress| {
            received.push(progress.waiting_for.clone());
            release = None;
        });
        assert_eq!(received[0], ["slow"]);
    }
}
