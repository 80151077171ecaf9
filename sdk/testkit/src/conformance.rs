//! Runs all checks in order.

use linecamp_provider::DnsProvider;

use crate::bench::{Bench, Trouble};
use crate::checks::{self, Check};
use crate::report::{Report, Verdict};
use crate::setup::Setup;
use crate::subject::{Native, Subject};

/// Tests a provider in this process, against the setup's fake service.
pub fn conformance<P: DnsProvider + 'static>(setup: &Setup) -> Report {
    let subject = Native::<P>::new();
    match subject.describe() {
        Ok(described) => {
            let mut report = Report::new(format!("{} {}, natively", described.name, described.version));
            examine(&mut report, &Bench::new(setup, &subject, &described), checks::ALL);
            report
        }
        Err(why) => {
            let mut report = Report::new("a provider, natively".to_owned());
            report.push("describes itself", Verdict::Fail, why);
            report
        }
    }
}

/// Runs checks and adds their results to the report.
pub(crate) fn examine(report: &mut Report, bench: &Bench<'_>, checks: impl IntoIterator<Item = Check>) {
    for Check { name, examine, .. } in checks {
        match examine(bench) {
            Ok(evidence) => report.push(name, Verdict::Pass, evidence),
            Err(Trouble::Failed(evidence)) => report.push(name, Verdict::Fail, evidence),
            Err(Trouble::Skipped(evidence)) => report.push(name, Verdict::Skip, evidence),
            Err(Trouble::Noted(evidence)) => report.push(name, Verdict::Note, evidence),
        }
    }
}
