//! Checks of what a provider observes.

use linecamp_provider::{Change, RecordSet, txt};

use super::expect::{conflict, same};
use crate::fake_host::FaultPlan;
use crate::harness::{Harness, NotPassed, Outcome, compared, difference, ensure};
use crate::under_test::{Call, CallResult};

/// TXT contents that services represent in different ways.
const TXT_VALUES: [&str; 9] = [
    "v=spf1 include:_spf.example.org ~all",
    "with \"quotes\" and a \\092 backslash",
    "semicolon; comma, =equals= $dollar @at (paren)",
    "\\195\\188ml\\195\\164ut",
    "all of \\000\\001\\009\\010\\013\\127\\255",
    "  blanks  around  ",
    "\\092\\092\"",
    "\\092065 is no A",
    "percent %41 &amp; <tag>",
];

/// The number of records that the kit seeds if it cannot set a small page size: three pages of 100.
const MANY: usize = 250;

pub(super) fn observes_records(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let seeded = [
        harness.set("one", "A", &["192.0.2.1"]),
        harness.set("many", "A", &["192.0.2.9", "192.0.2.1", "192.0.2.5"]),
        harness.set("many", "AAAA", &["2001:db8::1", "2001:db8:0:1::"]),
        harness.set("many", "TXT", &["one", "two"]),
        harness.set("alias", "CNAME", &["target.elsewhere.example"]),
        harness.set("*.any", "A", &["192.0.2.2"]),
        harness.set("_under.score-s.xn--bcher-kva", "TXT", &["x"]),
        harness.set("a.b.c.d.e", "A", &["192.0.2.3"]),
        RecordSet { ttl: harness.described.capabilities.ttl_min.max(60), ..harness.set("ttl", "A", &["192.0.2.4"]) },
    ];
    let labels =
        ["one", "many", "alias", "*.any", "_under.score-s.xn--bcher-kva", "a.b.c.d.e", "ttl", "foreign", "mail"];
    for set in &seeded {
        ensure(fixture.seed(set), || format!("the fake server cannot store {} {}", set.name, set.rtype))?;
    }
    same(&fixture, &labels)?;
    for label in labels {
        same(&fixture, &[label])?;
    }
    Ok(format!("{} sets at {} names", fixture.truth_at(&labels).len(), labels.len()))
}

pub(super) fn observes_txt(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let mut unsupported = Vec::new();
    let values = txt_values();
    for (index, value) in values.iter().map(String::as_str).chain([""]).enumerate() {
        let set = harness.set(&format!("t{index}"), "TXT", &[value]);
        match fixture.seed(&set) {
            true => same(&fixture, &[&format!("t{index}")])?,
            false if has_other_bytes(value) => unsupported.push(value),
            false => return Err(NotPassed::Failed(format!("the fake server cannot store the TXT value {value:?}"))),
        }
    }
    observed_or_noted(values.len() + 1, &unsupported)
}

/// Returns TXT contents that services represent in different ways, short ones and ones of several character-strings.
pub(super) fn txt_values() -> Vec<String> {
    let string = "x".repeat(255);
    let long = [
        string.clone(),
        format!("{string}y"),
        format!("{string}y{string} end"),
        format!("{string}\\255{string}"),
        "0123456789".repeat(200),
    ];
    TXT_VALUES.map(str::to_owned).into_iter().chain(long).collect()
}

/// Whether a TXT content has bytes outside printable ASCII, which a service that stores text may be unable to
/// represent.
pub(super) fn has_other_bytes(value: &str) -> bool {
    txt::to_bytes(value).iter().any(|byte| !(b' '..=b'~').contains(byte))
}

/// Ends a check of `count` TXT values, some of which the service may be unable to represent.
pub(super) fn observed_or_noted(count: usize, unsupported: &[&str]) -> Outcome {
    let supported = count - unsupported.len();
    match unsupported.first() {
        None => Ok(format!("{supported} values")),
        Some(first) => {
            let why =
                format!("{supported} values; the service cannot store {} others, such as {first:?}", unsupported.len());
            Err(NotPassed::Noted(why))
        }
    }
}

pub(super) fn observes_absence(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    fixture.seed(&harness.set("there", "A", &["192.0.2.1"]));
    // Below an existing name, beside it, above it, and a name that a wildcard covers.
    let labels = ["nothing", "below.there", "ther", "x.wild", "wild"];
    for label in labels {
        same(&fixture, &[label])?;
    }
    same(&fixture, &["nothing", "there"])?;
    Ok(format!("{} names", labels.len()))
}

pub(super) fn infers_nothing(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    if !fixture.sends_unusual_responses() {
        return Err(NotPassed::Skipped("the fake server does not implement `send_unusual_responses`".to_owned()));
    }
    fixture.seed(&harness.set("taken", "A", &["198.51.100.9"]));
    fixture.seed(&harness.set("_linecamp-a.zz", "TXT", &["claim of others"]));
    // Existing names before, after and between names that do not exist; few names and many.
    let few: [&[&str]; 4] = [&["absent", "taken"], &["taken", "zzz"], &["foreign", "none", "taken"], &["commented"]];
    let many = ["a1", "a2", "a3", "a4", "a5", "a6", "foreign", "taken", "z1", "_linecamp-a.zz", "z2"];
    for labels in few.into_iter().chain([&many[..]]) {
        same(&fixture, labels)?;
    }
    let create = |label: &str| Change::create(harness.set(label, "A", &["192.0.2.1"]));
    conflict(&fixture, &[create("taken")])?;
    if harness.described.capabilities.atomic {
        conflict(&fixture, &[create("absent"), create("taken")])?;
        conflict(&fixture, &[create("taken"), create("zzz")])?;
    }
    Ok(format!("{} calls; the responses had unrequested sets and sets without values", few.len() + 1))
}

/// The number of names that the host observes in one call.
const NAMES_PER_CALL: usize = 16;

pub(super) fn observes_many_names(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let hosts: Vec<_> = (0..NAMES_PER_CALL / 2).map(|index| format!("n{index}.many")).collect();
    let claims: Vec<_> = hosts.iter().map(|host| format!("_linecamp-a.{host}")).collect();
    let labels: Vec<_> = hosts.iter().chain(&claims).map(String::as_str).collect();
    // With no records, with all records, and with half of them.
    same(&fixture, &labels)?;
    for (host, claim) in hosts.iter().zip(&claims) {
        fixture.seed(&harness.set(host, "A", &["192.0.2.1"]));
        fixture.seed(&harness.set(claim, "TXT", &["claim"]));
        same(&fixture, &labels)?;
    }
    Ok(format!("{NAMES_PER_CALL} names within the request limit of a call"))
}

pub(super) fn lists_the_zone(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    if !harness.described.capabilities.can_list_records {
        return Err(NotPassed::Skipped("it does not declare this".to_owned()));
    }
    fixture.seed(&harness.set("one", "A", &["192.0.2.1"]));
    fixture.seed(&harness.set("*.any", "TXT", &["two"]));
    let found = compared(fixture.done(&fixture.observing(&[]))?);
    let truth = fixture.truth();
    ensure(found == truth, || difference(&truth, &found))?;
    Ok(format!("{} sets", truth.len()))
}

pub(super) fn reads_every_page(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    fixture.set_page_size(7);
    for index in 0..MANY {
        fixture.seed(&harness.set(&format!("n{index:03}"), "A", &["192.0.2.1"]));
    }
    let last = format!("n{:03}", MANY - 1);
    same(&fixture, &["n000", "n123", &last])?;
    if harness.described.capabilities.can_list_records {
        let found = compared(fixture.done(&fixture.observing(&[]))?);
        let truth = fixture.truth();
        ensure(found == truth, || difference(&truth, &found))?;
    }
    Ok(format!("{} sets in the zone", fixture.truth().len()))
}

pub(super) fn fails_on_a_missing_zone(harness: &Harness<'_>) -> Outcome {
    let fixture = harness.fixture();
    let zone = "missing.invalid".to_owned();
    let call = Call::Observe { names: vec![format!("a.{zone}")], zone };
    match fixture.call(FaultPlan::NoFault, &call).0 {
        CallResult::Failed(failure) => Ok(failure.to_string()),
        other => Err(NotPassed::Failed(format!("{other:?}"))),
    }
}
