//! Runs all checks in order.

use linecamp_provider::DnsProvider;

use crate::checks::{self, Check};
use crate::harness::{Harness, NotPassed};
use crate::report::{Report, Verdict};
use crate::setup::Setup;
use crate::under_test::{InProcess, ProviderUnderTest};

/// Tests a provider in this process, against the setup's fake service.
pub fn conformance<P: DnsProvider + 'static>(setup: &Setup) -> Report {
    let under_test = InProcess::<P>::new();
    match under_test.describe() {
        Ok(described) => {
            let mut report = Report::new(format!("{} {}, natively", described.name, described.version));
            examine(&mut report, &Harness::new(setup, &under_test, &described), checks::ALL);
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
pub(crate) fn examine(report: &mut Report, harness: &Harness<'_>, checks: impl IntoIterator<Item = Check>) {
    for Check { name, examine, baseline, .. } in checks {
        match harness.succeeds(baseline).and_then(|()| examine(harness)) {
            Ok(evidence) => report.push(name, Verdict::Pass, evidence),
            Err(NotPassed::Failed(evidence)) => report.push(name, Verdict::Fail, evidence),
            Err(NotPassed::Skipped(evidence)) => report.push(name, Verdict::Skip, evidence),
            Err(NotPassed::Noted(evidence)) => report.push(name, Verdict::Note, evidence),
        }
    }
}
