//! Tests of the kit itself: providers with one flaw each, and the check that must detect it.

mod flaw;
mod provider;

use linecamp_provider::RecordSet;
use linecamp_provider::http::HttpResponse;

use self::flaw::*;
use self::provider::Flawed;
use crate::{Request, Service, Setup, Verdict, ZoneService, conformance};

/// Asserts that the check fails for this flaw.
#[track_caller]
fn finds<const FLAW: u8>(test: &str) {
    assert_eq!(verdict::<FLAW>(test), Verdict::Fail, "{test}");
}

#[track_caller]
fn verdict<const FLAW: u8>(test: &str) -> Verdict {
    let config = match FLAW {
        SECRET_IN_URL => r#"{"api": "https://zone.test", "token": "s3cret-token"}"#,
        _ => r#"{"api": "https://zone.test", "token": "another"}"#,
    };
    let setup = Setup::new("example.org", config, || ZoneService::new("example.org", "s3cret-token"));
    let report = conformance::<Flawed<FLAW>>(&setup.secret("token", "s3cret-token"));
    let found = report.tests.iter().find(|found| found.name == test);
    found.unwrap_or_else(|| panic!("no test `{test}` in\n{report}")).verdict
}

#[test]
fn a_provider_without_a_flaw_passes() {
    let setup =
        Setup::new("example.org", r#"{"api": "https://zone.test"}"#, || ZoneService::new("example.org", "t0ken"));
    conformance::<Flawed<NONE>>(&setup.secret("token", "t0ken")).assert();
}

#[test]
fn a_wrong_description_or_validation_is_detected() {
    finds::<BAD_NAME>("describes itself");
    finds::<VALIDATE_WRITES>("validates a config without changing anything");
    finds::<VALIDATE_SENDS_NOTHING>("validates a config without changing anything");
}

#[test]
fn a_wrong_observation_is_detected() {
    finds::<FIRST_PAGE_ONLY>("reads every page");
    finds::<MISSING_ZONE_IS_EMPTY>("does not mistake a missing zone for an empty one");
    finds::<TXT_IS_QUOTED>("observes TXT values byte for byte");
    finds::<LOSES_A_VALUE>("observes existing records");
    finds::<LISTS_HALF>("lists the whole zone");
    finds::<SENDS_TOO_MANY_REQUESTS>("observes 16 names in one call");
}

#[test]
fn an_inferred_observation_is_detected() {
    finds::<INFERS_THE_WHOLE_ZONE>("infers nothing from other records in a response");
    assert_eq!(verdict::<INFERS_THE_WHOLE_ZONE>("lists the whole zone"), Verdict::Pass);
}

#[test]
fn a_disabled_record_taken_for_absent_is_detected() {
    finds::<DISABLED_IS_ABSENT>("observes records that are not served");
    finds::<DISABLED_IS_OVERWRITTEN>("observes records that are not served");
}

#[test]
fn an_unreported_child_zone_is_detected() {
    finds::<HIDDEN_IS_ABSENT>("names the child zone that contains a name");
    finds::<OMITS_THE_NAME>("names the child zone that contains a name");
    finds::<KEEPS_HIDDEN_RECORDS>("deletes records hidden by a child zone");
}

#[test]
fn a_wrong_write_is_detected() {
    finds::<WRITES_ALWAYS>("writes nothing when nothing changes");
    finds::<SHORT_TTL>("keeps TTLs in its declared range");
    finds::<RETURNS_WRONG_SETS>("creates, replaces and deletes");
    finds::<DELETES_OTHER_TYPES>("leaves foreign records unchanged, byte for byte");
    finds::<ONE_BY_ONE>("applies all changes or none");
}

#[test]
fn a_half_written_set_is_detected() {
    finds::<LEAVES_HALF_WRITTEN_SETS>("finishes an interrupted change set");
    finds::<LEAVES_HALF_WRITTEN_SETS>("finishes after a lost response");
    assert_eq!(verdict::<LEAVES_HALF_WRITTEN_SETS>("creates, replaces and deletes"), Verdict::Pass);
}

#[test]
fn only_values_outside_ascii_may_be_rejected() {
    assert_eq!(verdict::<REJECTS_BYTES>("writes TXT values byte for byte"), Verdict::Note);
    finds::<REJECTS_QUOTES>("writes TXT values byte for byte");
}

#[test]
fn overwriting_foreign_records_is_detected() {
    finds::<OVERWRITES>("does not overwrite others' records");
    finds::<CONFLICT_IS_INVALID>("does not overwrite others' records");
    finds::<IGNORES_THE_CLAIM>("requires an unchanged ownership record to exist");
    assert_eq!(verdict::<COMPARES_BEFORE_WRITING>("compares and writes atomically"), Verdict::Note);
}

#[test]
fn wrong_handling_of_failures_is_detected() {
    finds::<IGNORES_STATUS>("finishes an interrupted change set");
    finds::<IGNORES_THE_BODY>("finishes after a corrupt response");
    finds::<RETRIES_ITSELF>("does not retry by itself");
    finds::<GIVES_UP_AT_500>("asks for a retry when the service fails");
    finds::<IGNORES_RETRY_AFTER>("honors Retry-After");
    finds::<FORBIDDEN_IS_INVALID>("reports rejected credentials");
}

#[test]
fn acceptance_of_corrupt_responses_is_detected() {
    finds::<UNWRAPS>("neither panics nor hangs");
    finds::<ABSENT_IS_EMPTY>("fails on a corrupt response");
}

#[test]
fn a_leaked_secret_or_undeclared_call_is_detected() {
    finds::<CALLS_UNDECLARED_HOST>("calls only declared endpoints and leaks no secret");
    finds::<SECRET_IN_URL>("calls only declared endpoints and leaks no secret");
    finds::<FLOODS_THE_LOG>("calls only declared endpoints and leaks no secret");
}

#[test]
fn an_error_about_another_name_is_detected() {
    finds::<BLAMES_THE_ZONE>("blames the right name");
    finds::<BLAMES_THE_FIRST>("blames the right name");
}

#[test]
fn a_failure_counts_only_if_the_same_call_succeeds_without_the_fault() {
    for test in [
        "rejects a wrong setting and names it",
        "does not mistake a missing zone for an empty one",
        "honors Retry-After",
        "does not retry by itself",
        "asks for a retry when the service fails",
        "applies all changes or none",
        "fails on a corrupt response",
        "survives oversized and unexpected responses",
    ] {
        finds::<FAILS_ALWAYS>(test);
    }
}

#[test]
fn an_inexact_url_is_detected() {
    for found in [verdict::<DOUBLES_A_SLASH>, verdict::<LEAVES_A_SPACE>, verdict::<LEAVES_A_PERCENT>] {
        assert_eq!(found("requests exact URLs"), Verdict::Fail);
    }
}

#[test]
fn a_set_that_is_not_written_whole_is_detected() {
    finds::<WRITES_TEN_VALUES>("writes sets of 16 values");
    finds::<CUTS_LONG_TXT>("writes TXT values byte for byte");
}

/// A fake server that also answers requests with superfluous slashes.
struct LenientService(ZoneService);

impl Service for LenientService {
    fn handle(&mut self, request: &Request) -> HttpResponse {
        let mut request = request.clone();
        request.path.retain(|segment| !segment.is_empty());
        self.0.handle(&request)
    }

    fn seed(&mut self, set: &RecordSet) -> bool {
        self.0.seed(set)
    }

    fn records(&self) -> Vec<RecordSet> {
        self.0.records()
    }

    fn writes(&self) -> u64 {
        self.0.writes()
    }
}

#[test]
fn a_fake_server_with_lenient_paths_is_detected() {
    let service = || LenientService(ZoneService::new("example.org", "s3cret-token"));
    let setup = Setup::new("example.org", r#"{"api": "https://zone.test"}"#, service);
    let report = conformance::<Flawed<NONE>>(&setup.secret("token", "s3cret-token"));
    let found = report.tests.iter().find(|found| found.name == "requests exact URLs").expect("the test exists");
    assert_eq!(found.verdict, Verdict::Fail, "{report}");
    assert!(found.evidence.contains("//"), "{report}");
}
