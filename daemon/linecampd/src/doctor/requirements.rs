//! What `linecampd join` checks before it uses its token.

use linecamp_doctor::{Finding, Job, Progress, Verdict, disk_to_join, local_clock, run, synchronized};
use linecamp_transport::{SystemClock, WallClock as _};

use super::{Installation, LOCAL_LIMIT, machine};
use crate::error::DaemonError;

/// Checks what a daemon needs of this machine. Returns the warnings. Changes nothing.
///
/// # Errors
/// [`DaemonError::Requirements`] with what was found and what to do, unless this machine has joined already.
pub fn check_requirements(site: &Installation, progress: impl FnMut(&Progress)) -> Result<Vec<String>, DaemonError> {
    evaluate_requirements(requirements(site, progress))
}

/// Makes the checks. The machine of a daemon that has joined is in use: what it lacks is a warning.
pub(super) fn requirements(site: &Installation, progress: impl FnMut(&Progress)) -> Vec<Finding> {
    let job = |names, check: fn(&Installation) -> Vec<Finding>| {
        let site = site.clone();
        Job::new(names, LOCAL_LIMIT, move || check(&site))
    };
    let jobs = vec![
        job(machine::RESOURCES, machine::resources),
        job(&["disk"], |site| vec![disk_to_join(site.directory.path()).of("disk")]),
        job(&["clock"], |_| vec![local_clock(SystemClock.now(), synchronized()).of("clock")]),
        job(&["docker"], |site| vec![machine::docker(site).of("docker")]),
    ];
    run(jobs, progress)
}

pub(super) fn evaluate_requirements(findings: Vec<Finding>) -> Result<Vec<String>, DaemonError> {
    let lines = |verdict, start: &str| -> Vec<String> {
        let matching = findings.iter().filter(|finding| finding.verdict == verdict);
        matching.map(|finding| format!("{start}{}", line(finding))).collect()
    };
    let failed = lines(Verdict::Fail, "");
    if failed.is_empty() { Ok(lines(Verdict::Warn, "warning: ")) } else { Err(DaemonError::Requirements(failed)) }
}

fn line(finding: &Finding) -> String {
    let remedy = finding.remedy.iter().map(|remedy| format!("; {remedy}")).collect::<String>();
    format!("{}: {}{remedy}", finding.name, finding.evidence)
}
