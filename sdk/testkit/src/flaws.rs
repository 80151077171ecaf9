//! Tests of the kit itself: providers with one flaw each, and the check that must detect it.

use linecamp_provider::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Setup, Verdict, ZoneService, conformance};

/// A provider of the small zone API with one flaw.
struct Flawed<const FLAW: u8>;

const NONE: u8 = 0;
const BAD_NAME: u8 = 1;
const CHECK_WRITES: u8 = 2;
const CHECK_ASKS_NOBODY: u8 = 3;
const FIRST_PAGE_ONLY: u8 = 4;
const MISSING_ZONE_IS_EMPTY: u8 = 5;
const TXT_IS_QUOTED: u8 = 6;
const OVERWRITES: u8 = 7;
const WRITES_ALWAYS: u8 = 8;
const IGNORES_STATUS: u8 = 9;
const RETRIES_ITSELF: u8 = 10;
const GIVES_UP_AT_500: u8 = 11;
const FORGETS_RETRY_AFTER: u8 = 12;
const UNWRAPS: u8 = 13;
const ABSENT_IS_EMPTY: u8 = 14;
const CALLS_HOME: u8 = 15;
const ONE_BY_ONE: u8 = 16;
const TAKES_THE_NEIGHBOUR: u8 = 17;
const FORBIDDEN_IS_REFUSED: u8 = 18;
const CONFLICT_IS_REFUSED: u8 = 19;
const SHORT_TTL: u8 = 20;
const SECRET_IN_URL: u8 = 21;
const LISTS_HALF: u8 = 22;
const LOGS_MUCH: u8 = 23;
const LOSES_A_VALUE: u8 = 24;
const SAYS_WHAT_IS_NOT: u8 = 25;
const LOOKS_THEN_WRITES: u8 = 26;
const IGNORES_THE_BODY: u8 = 27;
const OVERLOOKS_THE_CLAIM: u8 = 28;
const LEAVES_HALF_A_SET: u8 = 29;
const REFUSES_QUOTES: u8 = 30;
const REFUSES_BYTES: u8 = 31;
const INFERS_THE_WHOLE_ZONE: u8 = 32;
const HIDDEN_IS_ABSENT: u8 = 33;
const HIDDEN_STAYS: u8 = 34;
const HIDES_WHOSE_FAULT: u8 = 35;
const DISABLED_IS_ABSENT: u8 = 36;
const DISABLED_IS_OVERWRITTEN: u8 = 37;
const ASKS_TOO_MUCH: u8 = 38;

#[derive(Deserialize, Config)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Where the zone API is.
    api: String,
    /// For one flaw.
    token: Option<String>,
}

#[derive(Deserialize)]
struct Listing {
    records: Vec<Listed>,
    next: Option<u32>,
    #[serde(default)]
    elsewhere: Vec<Elsewhere>,
}

/// A record set, and whether it is disabled.
#[derive(Deserialize)]
struct Listed {
    #[serde(flatten)]
    set: RecordSet,
    #[serde(default)]
    disabled: bool,
}

/// A name in a zone below.
#[derive(Deserialize)]
struct Elsewhere {
    name: String,
    zone: String,
}

impl Elsewhere {
    fn failure(self) -> Failure {
        Failure::in_zone_below(self.name, &self.zone)
    }
}

/// A listing that treats missing fields as empty.
#[derive(Deserialize)]
struct Lenient {
    #[serde(default)]
    records: Vec<Listed>,
    next: Option<u32>,
}

#[derive(Serialize)]
struct Order<'a> {
    key: &'a str,
    changes: &'a [Change],
}

impl<const FLAW: u8> Flawed<FLAW> {
    fn read(answer: &Response) -> Result<Listing, Failure> {
        match FLAW {
            UNWRAPS => Ok(serde_json::from_slice(answer.body()).unwrap()),
            ABSENT_IS_EMPTY => {
                answer.json().map(|Lenient { records, next }| Listing { records, next, elsewhere: Vec::new() })
            }
            _ => answer.json(),
        }
    }

    /// Lists the record sets at the names, in the contract's form.
    fn list(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, Failure> {
        let listed = Self::list_as_answered(config, cx, zone, names)?;
        let sets = listed.iter().map(RecordSet::canonical);
        Ok(sets.filter(|set| !set.values.is_empty() && (names.is_empty() || names.contains(&set.name))).collect())
    }

    fn list_as_answered(
        config: &Settings,
        cx: &Context,
        zone: &str,
        names: &[String],
    ) -> Result<Vec<RecordSet>, Failure> {
        let url = url::join(&config.api, &["zones", zone, "records"]);
        let first = names.iter().fold(cx.get(&url), |request, name| request.query("name", name));
        let query = first.as_request().url.clone();
        let first = if FLAW == SECRET_IN_URL { first.query("t", config.token.as_ref().unwrap()) } else { first };
        cx.paginate(first.bearer("token"), |answer| {
            let Listing { mut records, next, elsewhere } = Self::read(answer)?;
            if let Some(elsewhere) = elsewhere.into_iter().next().filter(|_| FLAW != HIDDEN_IS_ABSENT) {
                return Err(elsewhere.failure());
            }
            if FLAW == LISTS_HALF && names.is_empty() {
                records.truncate(records.len() / 2);
            }
            let next = next.filter(|_| FLAW != FIRST_PAGE_ONLY);
            records.retain(|listed| !listed.disabled || FLAW != DISABLED_IS_ABSENT);
            let records = records.into_iter().map(|listed| listed.set).collect();
            Ok(Page { items: records, next: next.map(|page| cx.get(&query).query("page", page).bearer("token")) })
        })
    }

    /// Queries one name after the other, and treats a response that contains another name as a listing of the whole
    /// zone.
    fn list_until_whole(
        config: &Settings,
        cx: &Context,
        zone: &str,
        names: &[String],
    ) -> Result<Vec<RecordSet>, Failure> {
        let mut all = Vec::new();
        for name in names {
            let found = Self::list_as_answered(config, cx, zone, std::slice::from_ref(name))?;
            if found.iter().any(|set| names::canonical(&set.name) != *name) {
                return Ok(found);
            }
            all.extend(found);
        }
        Ok(all)
    }

    fn send(config: &Settings, cx: &Context, zone: &str, step: (&str, &[Change])) -> Result<(), Failure> {
        let url = url::join(&config.api, &["zones", zone, "changes"]);
        let order = Order { key: step.0, changes: step.1 };
        let answer = cx.post(url).bearer("token").json(&order).send()?;
        match answer.status() {
            _ if FLAW == IGNORES_STATUS => Ok(()),
            200..=299 if FLAW == IGNORES_THE_BODY => Ok(()),
            409 if FLAW != CONFLICT_IS_REFUSED => {
                let obstacle: serde_json::Value = answer.json()?;
                let words = |key: &str| obstacle[key].as_str().unwrap_or_default().to_owned();
                Err(Failure::conflict(words("name"), words("found")))
            }
            421 if FLAW != HIDES_WHOSE_FAULT => Err(answer.json::<Elsewhere>()?.failure()),
            _ => answer.ok().map(drop),
        }
    }

    /// Overwrites whatever is there: uses the current record set as `before`.
    fn overwrite(config: &Settings, cx: &Context, zone: &str, step: (&str, &[Change])) -> Result<(), Failure> {
        let names: Vec<_> = step.1.iter().map(|change| change.name().to_owned()).collect();
        let found = Self::list(config, cx, zone, &names)?;
        let is_at = |set: &RecordSet, change: &Change| set.name == change.name() && set.rtype == change.rtype();
        let blind = step.1.iter().map(|change| Change {
            before: found.iter().find(|set| is_at(set, change)).cloned(),
            after: change.after.clone(),
        });
        let blind: Vec<_> = blind.filter(|change| change.before.is_some() || change.after.is_some()).collect();
        Self::send(config, cx, zone, (step.0, &blind))
    }

    /// Deletes the sets at the names, and writes the new ones.
    fn rewrite(config: &Settings, cx: &Context, zone: &str, step: (&str, &[Change])) -> Result<(), Failure> {
        let names: Vec<_> = step.1.iter().map(|change| change.name().to_owned()).collect();
        let found = Self::list(config, cx, zone, &names)?;
        if FLAW == WRITES_ALWAYS {
            pending(step.1, &found)?;
        }
        let is_mine = |set: &RecordSet| step.1.iter().any(|change| change.rtype() == set.rtype);
        let gone = found.into_iter().filter(|set| FLAW == TAKES_THE_NEIGHBOUR || is_mine(set)).map(Change::delete);
        Self::send(config, cx, zone, (step.0, &gone.collect::<Vec<_>>()))?;
        let made: Vec<_> = step.1.iter().filter_map(|change| change.after.clone()).map(Change::create).collect();
        Self::send(config, cx, zone, (step.0, &made))
    }

    /// Deletes each set and recreates it, value by value.
    fn write_by_value(config: &Settings, cx: &Context, zone: &str, step: (&str, &[Change])) -> Result<(), Failure> {
        let names: Vec<_> = step.1.iter().map(|change| change.name().to_owned()).collect();
        let found = Self::list(config, cx, zone, &names)?;
        for change in pending(step.1, &found)? {
            let mut there = change.before.clone();
            let values = change.after.iter().flat_map(|after| (1..=after.values.len()).map(move |end| (after, end)));
            let sets =
                values.map(|(after, end)| Some(RecordSet { values: after.values[..end].to_vec(), ..after.clone() }));
            let gone = there.is_some().then_some(None);
            for next in gone.into_iter().chain(sets) {
                Self::send(config, cx, zone, (step.0, &[Change { before: there, after: next.clone() }]))?;
                there = next;
            }
        }
        Ok(())
    }

    /// Refuses the values that, according to this flaw, the service cannot store.
    fn refusal(changes: &[Change]) -> Option<Failure> {
        let is_refused = |value: &String| match FLAW {
            REFUSES_QUOTES => value.contains('"'),
            REFUSES_BYTES => txt::to_bytes(value).iter().any(|byte| !(b' '..=b'~').contains(byte)),
            _ => false,
        };
        let after = changes.iter().filter_map(|change| change.after.as_ref());
        let refused = after.into_iter().find(|set| set.values.iter().any(is_refused))?;
        Some(Failure::refused("the service cannot hold it").name(&refused.name))
    }

    fn bend(failure: Failure) -> Failure {
        match (FLAW, failure) {
            (GIVES_UP_AT_500, Failure::Retry { after: None, reason }) => Failure::refused(reason),
            (FORGETS_RETRY_AFTER, Failure::Retry { reason, .. }) => Failure::retry(reason),
            (FORBIDDEN_IS_REFUSED, Failure::Unauthorized { reason }) => Failure::refused(reason),
            (_, failure) => failure,
        }
    }
}

impl<const FLAW: u8> DnsProvider for Flawed<FLAW> {
    type Config = Settings;

    fn describe() -> About {
        let name = if FLAW == BAD_NAME { "Dns Fake" } else { "dns-flawed" };
        let about = About::new(name, "1.2.3", "Has a flaw.").lists_zones();
        let about = if FLAW == LEAVES_HALF_A_SET { about } else { about.atomic() };
        about.secret("token", "The token.").reaches("{api}")
    }

    fn check(config: &Settings, cx: &Context) -> Result<(), Failure> {
        match FLAW {
            CHECK_ASKS_NOBODY => return Ok(()),
            CHECK_WRITES => {
                let set = RecordSet::new("probe.example.org", "A", 60, ["192.0.2.1"]);
                Self::send(config, cx, "example.org", ("k", &[Change::create(set)]))?;
            }
            CALLS_HOME => drop(cx.get("https://home.example/hello").send()),
            LOGS_MUCH => (0..200).for_each(|line| cx.log().info(line)),
            _ => {}
        }
        let request = || cx.get(url::join(&config.api, &["zones"])).bearer("token").send();
        let answer = request().and_then(Response::ok);
        let answer = if FLAW == RETRIES_ITSELF { answer.or_else(|_| request()?.ok()) } else { answer };
        answer.map(drop).map_err(Self::bend)
    }

    fn observe(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, Failure> {
        let found = match FLAW {
            // Five requests per name.
            ASKS_TOO_MUCH if 1 < names.len() => names.iter().try_fold(Vec::new(), |mut all, name| {
                let mut found = Vec::new();
                for _ in 0..5 {
                    found = Self::list(config, cx, zone, std::slice::from_ref(name))?;
                }
                all.extend(found);
                Ok(all)
            }),
            INFERS_THE_WHOLE_ZONE if !names.is_empty() => Self::list_until_whole(config, cx, zone, names),
            _ => Self::list(config, cx, zone, names),
        };
        let found = found.map_err(Self::bend);
        match (FLAW, found) {
            (MISSING_ZONE_IS_EMPTY, Err(Failure::Refused { .. })) => Ok(Vec::new()),
            (TXT_IS_QUOTED, Ok(mut found)) => {
                for set in found.iter_mut().filter(|set| set.rtype == "TXT") {
                    set.values = set.values.iter().map(|value| txt::quoted(value, txt::Escape::Decimal)).collect();
                }
                Ok(found)
            }
            (LOSES_A_VALUE, Ok(mut found)) => {
                found.iter_mut().for_each(|set| set.values.truncate(1));
                Ok(found)
            }
            (_, found) => found,
        }
    }

    fn apply(
        config: &Settings,
        cx: &Context,
        zone: &str,
        key: &str,
        changes: &[Change],
    ) -> Result<Vec<RecordSet>, Failure> {
        let mut changes = changes.to_vec();
        if FLAW == SHORT_TTL {
            let sets = changes.iter_mut().flat_map(|change| [&mut change.before, &mut change.after]);
            sets.flatten().for_each(|set| set.ttl = set.ttl.min(3600));
        }
        if FLAW == OVERLOOKS_THE_CLAIM {
            changes.retain(|change| change.before != change.after);
        }
        if let Some(refusal) = Self::refusal(&changes) {
            return Err(refusal);
        }
        if FLAW == HIDDEN_STAYS {
            let names: Vec<_> = changes.iter().map(|change| change.name().to_owned()).collect();
            Self::list(config, cx, zone, &names)?;
        }
        let step = (key, &*changes);
        let done = match FLAW {
            OVERWRITES | DISABLED_IS_OVERWRITTEN => Self::overwrite(config, cx, zone, step),
            LEAVES_HALF_A_SET => Self::write_by_value(config, cx, zone, step),
            WRITES_ALWAYS | TAKES_THE_NEIGHBOUR => Self::rewrite(config, cx, zone, step),
            LOOKS_THEN_WRITES => Self::list(config, cx, zone, &[changes[0].name().to_owned()])
                .and_then(|found| pending(&changes, &found).map(drop))
                .and_then(|()| Self::overwrite(config, cx, zone, step)),
            ONE_BY_ONE => {
                changes.iter().try_for_each(|change| Self::send(config, cx, zone, (key, std::slice::from_ref(change))))
            }
            _ => Self::send(config, cx, zone, step),
        };
        done.map_err(Self::bend)?;
        let side =
            |change: &Change| if FLAW == SAYS_WHAT_IS_NOT { change.before.clone() } else { change.after.clone() };
        Ok(changes.iter().filter_map(side).collect())
    }
}

/// Asserts that the check fails for this flaw.
#[track_caller]
fn finds<const FLAW: u8>(row: &str) {
    assert_eq!(verdict::<FLAW>(row), Verdict::Fail, "{row}");
}

#[track_caller]
fn verdict<const FLAW: u8>(row: &str) -> Verdict {
    let config = match FLAW {
        SECRET_IN_URL => r#"{"api": "https://zone.test", "token": "s3cret-token"}"#,
        _ => r#"{"api": "https://zone.test", "token": "another"}"#,
    };
    let setup = Setup::new("example.org", config, || ZoneService::new("example.org", "s3cret-token"));
    let report = conformance::<Flawed<FLAW>>(&setup.secret("token", "s3cret-token"));
    let found = report.rows.iter().find(|found| found.check == row);
    found.unwrap_or_else(|| panic!("no row `{row}` in\n{report}")).verdict
}

#[test]
fn a_provider_without_a_flaw_passes() {
    let setup =
        Setup::new("example.org", r#"{"api": "https://zone.test"}"#, || ZoneService::new("example.org", "t0ken"));
    conformance::<Flawed<NONE>>(&setup.secret("token", "t0ken")).assert();
}

#[test]
fn what_it_says_of_itself_is_examined() {
    finds::<BAD_NAME>("describes itself");
    finds::<CHECK_WRITES>("checks a config that works, changing nothing");
    finds::<CHECK_ASKS_NOBODY>("checks a config that works, changing nothing");
}

#[test]
fn what_it_sees_is_compared_with_the_truth() {
    finds::<FIRST_PAGE_ONLY>("reads every page");
    finds::<MISSING_ZONE_IS_EMPTY>("takes a missing zone for no empty one");
    finds::<TXT_IS_QUOTED>("sees TXT values to the byte");
    finds::<LOSES_A_VALUE>("sees what is there");
    finds::<LISTS_HALF>("lists the whole zone");
    finds::<ASKS_TOO_MUCH>("looks at sixteen names in one call");
}

#[test]
fn who_infers_what_was_not_answered_is_found() {
    finds::<INFERS_THE_WHOLE_ZONE>("infers nothing from what else an answer holds");
    assert_eq!(verdict::<INFERS_THE_WHOLE_ZONE>("lists the whole zone"), Verdict::Pass);
}

#[test]
fn who_takes_what_is_not_served_for_absent_is_found() {
    finds::<DISABLED_IS_ABSENT>("sees what is there and not served");
    finds::<DISABLED_IS_OVERWRITTEN>("sees what is there and not served");
}

#[test]
fn who_does_not_say_that_a_name_lies_in_a_zone_below_is_found() {
    finds::<HIDDEN_IS_ABSENT>("names the zone below that a name lies in");
    finds::<HIDES_WHOSE_FAULT>("names the zone below that a name lies in");
    finds::<HIDDEN_STAYS>("deletes what lies in a zone below by now");
}

#[test]
fn what_it_writes_is_compared_with_what_was_asked() {
    finds::<WRITES_ALWAYS>("writes nothing where nothing is to change");
    finds::<SHORT_TTL>("keeps times to live as it says");
    finds::<SAYS_WHAT_IS_NOT>("creates, replaces and deletes");
    finds::<TAKES_THE_NEIGHBOUR>("leaves foreign records as they were, to the byte");
    finds::<ONE_BY_ONE>("claims and writes all or none");
}

#[test]
fn who_leaves_half_a_set_is_found() {
    finds::<LEAVES_HALF_A_SET>("finishes a step that was cut off");
    finds::<LEAVES_HALF_A_SET>("finishes a step whose answer was lost");
    assert_eq!(verdict::<LEAVES_HALF_A_SET>("creates, replaces and deletes"), Verdict::Pass);
}

#[test]
fn only_what_is_no_text_may_be_refused() {
    assert_eq!(verdict::<REFUSES_BYTES>("writes TXT values to the byte"), Verdict::Note);
    finds::<REFUSES_QUOTES>("writes TXT values to the byte");
}

#[test]
fn who_writes_over_others_is_found() {
    finds::<OVERWRITES>("respects what somebody else put there");
    finds::<CONFLICT_IS_REFUSED>("respects what somebody else put there");
    finds::<OVERLOOKS_THE_CLAIM>("keeps what goes along unchanged");
    assert_eq!(verdict::<LOOKS_THEN_WRITES>("compares where it writes"), Verdict::Note);
}

#[test]
fn who_takes_trouble_wrongly_is_found() {
    finds::<IGNORES_STATUS>("finishes a step that was cut off");
    finds::<IGNORES_THE_BODY>("finishes a step whose answer was damaged");
    finds::<RETRIES_ITSELF>("leaves trying again to the host");
    finds::<GIVES_UP_AT_500>("has the call tried again when the service is in trouble");
    finds::<FORGETS_RETRY_AFTER>("comes back when it is told");
    finds::<FORBIDDEN_IS_REFUSED>("says when credentials are not accepted");
}

#[test]
fn who_believes_what_is_damaged_is_found() {
    finds::<UNWRAPS>("neither panics nor hangs");
    finds::<ABSENT_IS_EMPTY>("is not misled by a damaged answer");
}

#[test]
fn who_says_too_much_is_found() {
    finds::<CALLS_HOME>("goes only where it says, and says no secret");
    finds::<SECRET_IN_URL>("goes only where it says, and says no secret");
    finds::<LOGS_MUCH>("goes only where it says, and says no secret");
}
