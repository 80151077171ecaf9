//! Runs all checks in order.

use linecamp_provider::DnsProvider;

use crate::checks::{self, Check};
use crate::harness::{Baseline, Harness, NotPassed, ensure};
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
        match succeeds(harness, baseline).and_then(|()| examine(harness)) {
            Ok(evidence) => report.push(name, Verdict::Pass, evidence),
            Err(NotPassed::Failed(evidence)) => report.push(name, Verdict::Fail, evidence),
            Err(NotPassed::Skipped(evidence)) => report.push(name, Verdict::Skip, evidence),
            Err(NotPassed::Noted(evidence)) => report.push(name, Verdict::Note, evidence),
        }
    }
}

/// Fails unless the calls of the baseline succeed without a fault. Without a fake of the service, no call can.
fn succeeds(harness: &Harness<'_>, baseline: Baseline) -> Result<(), NotPassed> {
    let calls = match baseline {
        _ if !harness.setup.has_data => return Ok(()),
        Baseline::Nothing => return Ok(()),
        Baseline::Validate => 1,
        Baseline::EveryCall => usize::MAX,
    };
    let failures = harness.failures.get_or_init(|| {
        let count = checks::all_calls(harness, &harness.fixture()).len();
        let failure = |index| {
            let fixture = harness.fixture();
            match fixture.done(&checks::all_calls(harness, &fixture)[index]) {
                Err(NotPassed::Failed(why)) => Some(why),
                _ => None,
            }
        };
        (0..count).map(failure).collect()
    });
    let first = failures.iter().take(calls).flatten().next();
    ensure(first.is_none(), || {
        format!("shows nothing, because the call also fails without a fault: {}", first.map_or("", String::as_str))
    })
}
