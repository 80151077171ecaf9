//! Checks of what a provider observes.

use linecamp_provider::{Change, RecordSet, txt};

use super::conflict::conflict;
use crate::bench::{Bench, Outcome, Room, Trouble, compared, difference, ensure};
use crate::subject::{Ask, Ending};
use crate::world::Plan;

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

pub(super) fn sees_what_is_there(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let planted = [
        bench.set("one", "A", &["192.0.2.1"]),
        bench.set("many", "A", &["192.0.2.9", "192.0.2.1", "192.0.2.5"]),
        bench.set("many", "AAAA", &["2001:db8::1", "2001:db8:0:1::"]),
        bench.set("many", "TXT", &["one", "two"]),
        bench.set("alias", "CNAME", &["target.elsewhere.example"]),
        bench.set("*.any", "A", &["192.0.2.2"]),
        bench.set("_under.score-s.xn--bcher-kva", "TXT", &["x"]),
        bench.set("a.b.c.d.e", "A", &["192.0.2.3"]),
        RecordSet { ttl: bench.described.abilities.ttl_min.max(60), ..bench.set("ttl", "A", &["192.0.2.4"]) },
    ];
    let labels =
        ["one", "many", "alias", "*.any", "_under.score-s.xn--bcher-kva", "a.b.c.d.e", "ttl", "foreign", "mail"];
    for set in &planted {
        ensure(room.plant(set), || format!("the model cannot hold {} {}", set.name, set.rtype))?;
    }
    same(&room, &labels)?;
    for label in labels {
        same(&room, &[label])?;
    }
    Ok(format!("{} sets at {} names", room.truth_at(&labels).len(), labels.len()))
}

pub(super) fn sees_txt(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let mut left_out = Vec::new();
    let values = txt_values();
    for (index, value) in values.iter().map(String::as_str).chain([""]).enumerate() {
        let set = bench.set(&format!("t{index}"), "TXT", &[value]);
        match room.plant(&set) {
            true => same(&room, &[&format!("t{index}")])?,
            false if is_more_than_text(value) => left_out.push(value),
            false => return Err(Trouble::Failed(format!("the model cannot hold the TXT value {value:?}"))),
        }
    }
    seen_or_noted(values.len() + 1, &left_out)
}

/// Returns TXT contents that services represent in different ways, short ones and ones of several character-strings.
pub(super) fn txt_values() -> Vec<String> {
    let string = "x".repeat(255);
    let long = [string.clone(), format!("{string}y{string} end"), format!("{string}\\255{string}")];
    TXT_VALUES.map(str::to_owned).into_iter().chain(long).collect()
}

/// Whether a TXT content has bytes outside printable ASCII, which a service that stores text may be unable to
/// represent.
pub(super) fn is_more_than_text(value: &str) -> bool {
    txt::to_bytes(value).iter().any(|byte| !(b' '..=b'~').contains(byte))
}

/// Ends a check of `count` TXT values, some of which the service may be unable to represent.
pub(super) fn seen_or_noted(count: usize, left_out: &[&str]) -> Outcome {
    let kept = count - left_out.len();
    match left_out.first() {
        None => Ok(format!("{kept} values")),
        Some(first) => {
            let why = format!("{kept} values; {} cannot be kept there, as {first:?} cannot", left_out.len());
            Err(Trouble::Noted(why))
        }
    }
}

pub(super) fn sees_nothing(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    room.plant(&bench.set("there", "A", &["192.0.2.1"]));
    // Below an existing name, beside it, above it, and a name that a wildcard covers.
    let labels = ["nothing", "below.there", "ther", "x.wild", "wild"];
    for label in labels {
        same(&room, &[label])?;
    }
    same(&room, &["nothing", "there"])?;
    Ok(format!("{} names", labels.len()))
}

pub(super) fn infers_nothing(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    if !room.answers_oddly() {
        return Err(Trouble::Skipped("its model answers what it is asked and nothing else: `answer_oddly`".to_owned()));
    }
    room.plant(&bench.set("taken", "A", &["198.51.100.9"]));
    room.plant(&bench.set("_linecamp-a.zz", "TXT", &["claim of others"]));
    // Existing names before, after and between names that do not exist; few names and many.
    let few: [&[&str]; 4] = [&["absent", "taken"], &["taken", "zzz"], &["foreign", "none", "taken"], &["commented"]];
    let many = ["a1", "a2", "a3", "a4", "a5", "a6", "foreign", "taken", "z1", "_linecamp-a.zz", "z2"];
    for labels in few.into_iter().chain([&many[..]]) {
        same(&room, labels)?;
    }
    let create = |label: &str| Change::create(bench.set(label, "A", &["192.0.2.1"]));
    conflict(&room, &[create("taken")])?;
    if bench.described.abilities.atomic {
        conflict(&room, &[create("absent"), create("taken")])?;
        conflict(&room, &[create("taken"), create("zzz")])?;
    }
    Ok(format!("{} questions, sets that were not asked for and sets without values in the answers", few.len() + 1))
}

/// The number of names that the host observes in one call.
const NAMES_ASKED: usize = 16;

pub(super) fn looks_at_many_names(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let hosts: Vec<_> = (0..NAMES_ASKED / 2).map(|index| format!("n{index}.many")).collect();
    let claims: Vec<_> = hosts.iter().map(|host| format!("_linecamp-a.{host}")).collect();
    let labels: Vec<_> = hosts.iter().chain(&claims).map(String::as_str).collect();
    // With no records, with all records, and with half of them.
    same(&room, &labels)?;
    for (host, claim) in hosts.iter().zip(&claims) {
        room.plant(&bench.set(host, "A", &["192.0.2.1"]));
        room.plant(&bench.set(claim, "TXT", &["claim"]));
        same(&room, &labels)?;
    }
    Ok(format!("{NAMES_ASKED} names within the requests of a call"))
}

pub(super) fn lists_the_zone(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    if !bench.described.abilities.lists_zones {
        return Err(Trouble::Skipped("it says it does not".to_owned()));
    }
    room.plant(&bench.set("one", "A", &["192.0.2.1"]));
    room.plant(&bench.set("*.any", "TXT", &["two"]));
    let found = compared(room.done(&room.observing(&[]))?);
    let truth = room.truth();
    ensure(found == truth, || difference(&truth, &found))?;
    Ok(format!("{} sets", truth.len()))
}

pub(super) fn reads_every_page(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    room.turn_pages_at(7);
    for index in 0..MANY {
        room.plant(&bench.set(&format!("n{index:03}"), "A", &["192.0.2.1"]));
    }
    let last = format!("n{:03}", MANY - 1);
    same(&room, &["n000", "n123", &last])?;
    if bench.described.abilities.lists_zones {
        let found = compared(room.done(&room.observing(&[]))?);
        let truth = room.truth();
        ensure(found == truth, || difference(&truth, &found))?;
    }
    Ok(format!("{} sets in the zone", room.truth().len()))
}

pub(super) fn misses_a_zone(bench: &Bench<'_>) -> Outcome {
    let room = bench.room();
    let zone = "missing.invalid".to_owned();
    let ask = Ask::Observe { names: vec![format!("a.{zone}")], zone };
    match room.call(Plan::Calm, &ask).0 {
        Ending::Failed(failure) => Ok(failure.to_string()),
        other => Err(Trouble::Failed(format!("{other:?}"))),
    }
}

/// Checks that the records observed at these labels are the zone's contents.
pub(super) fn same(room: &Room<'_>, labels: &[&str]) -> Result<(), Trouble> {
    let found = compared(room.done(&room.observing(labels))?);
    let truth = room.truth_at(labels);
    ensure(found == truth, || difference(&truth, &found))
}
