//! A provider of the small zone API with one flaw.

use linecamp_provider::prelude::*;
use serde::{Deserialize, Serialize};

use super::flaw::*;

/// A provider of the small zone API with one flaw.
pub(super) struct Flawed<const FLAW: u8>;

#[derive(Deserialize, Config)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
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
    delegated: Vec<Delegated>,
}

/// A record set, and whether it is disabled.
#[derive(Deserialize)]
struct Listed {
    #[serde(flatten)]
    set: RecordSet,
    #[serde(default)]
    disabled: bool,
}

/// A name in a child zone.
#[derive(Deserialize)]
struct Delegated {
    name: String,
    zone: String,
}

impl Delegated {
    fn error(self) -> ProviderError {
        ProviderError::in_child_zone(self.name, &self.zone)
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
struct ChangeRequest<'a> {
    key: &'a str,
    changes: &'a [Change],
}

impl<const FLAW: u8> Flawed<FLAW> {
    fn read(response: &Response) -> Result<Listing, ProviderError> {
        match FLAW {
            UNWRAPS => Ok(serde_json::from_slice(response.body()).unwrap()),
            ABSENT_IS_EMPTY => {
                response.json().map(|Lenient { records, next }| Listing { records, next, delegated: Vec::new() })
            }
            _ => response.json(),
        }
    }

    /// Lists the record sets at the names, in the contract's form.
    fn list(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, ProviderError> {
        let listed = Self::list_raw(config, cx, zone, names)?;
        let sets = listed.iter().map(RecordSet::canonical);
        Ok(sets.filter(|set| !set.values.is_empty() && (names.is_empty() || names.contains(&set.name))).collect())
    }

    fn list_raw(
        config: &Settings,
        cx: &Context,
        zone: &str,
        names: &[String],
    ) -> Result<Vec<RecordSet>, ProviderError> {
        let url = url::join(&config.api, &["zones", zone, "records"]);
        let first = names.iter().fold(cx.get(&url), |request, name| request.query("name", name));
        let query = first.as_request().url.clone();
        let first = if FLAW == SECRET_IN_URL { first.query("t", config.token.as_ref().unwrap()) } else { first };
        cx.paginate(first.bearer("token"), |response| {
            let Listing { mut records, next, delegated } = Self::read(response)?;
            if let Some(delegated) = delegated.into_iter().next().filter(|_| FLAW != HIDDEN_IS_ABSENT) {
                return Err(delegated.error());
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
    ) -> Result<Vec<RecordSet>, ProviderError> {
        let mut all = Vec::new();
        for name in names {
            let found = Self::list_raw(config, cx, zone, std::slice::from_ref(name))?;
            if found.iter().any(|set| names::canonical(&set.name) != *name) {
                return Ok(found);
            }
            all.extend(found);
        }
        Ok(all)
    }

    fn send(config: &Settings, cx: &Context, zone: &str, change_set: (&str, &[Change])) -> Result<(), ProviderError> {
        let url = url::join(&config.api, &["zones", zone, "changes"]);
        let order = ChangeRequest { key: change_set.0, changes: change_set.1 };
        let response = cx.post(url).bearer("token").json(&order).send()?;
        match response.status() {
            _ if FLAW == IGNORES_STATUS => Ok(()),
            200..=299 if FLAW == IGNORES_THE_BODY => Ok(()),
            409 if FLAW != CONFLICT_IS_INVALID => {
                let obstacle: serde_json::Value = response.json()?;
                let words = |key: &str| obstacle[key].as_str().unwrap_or_default().to_owned();
                Err(ProviderError::conflict(words("name"), words("found")))
            }
            421 if FLAW != OMITS_THE_NAME => Err(response.json::<Delegated>()?.error()),
            _ => response.error_for_status().map(drop),
        }
    }

    /// Overwrites whatever is there: uses the current record set as `before`.
    fn overwrite(
        config: &Settings,
        cx: &Context,
        zone: &str,
        change_set: (&str, &[Change]),
    ) -> Result<(), ProviderError> {
        let names: Vec<_> = change_set.1.iter().map(|change| change.name().to_owned()).collect();
        let found = Self::list(config, cx, zone, &names)?;
        let is_at = |set: &RecordSet, change: &Change| set.name == change.name() && set.rtype == change.rtype();
        let blind = change_set.1.iter().map(|change| Change {
            before: found.iter().find(|set| is_at(set, change)).cloned(),
            after: change.after.clone(),
        });
        let blind: Vec<_> = blind.filter(|change| change.before.is_some() || change.after.is_some()).collect();
        Self::send(config, cx, zone, (change_set.0, &blind))
    }

    /// Deletes the sets at the names, and writes the new ones.
    fn rewrite(
        config: &Settings,
        cx: &Context,
        zone: &str,
        change_set: (&str, &[Change]),
    ) -> Result<(), ProviderError> {
        let names: Vec<_> = change_set.1.iter().map(|change| change.name().to_owned()).collect();
        let found = Self::list(config, cx, zone, &names)?;
        if FLAW == WRITES_ALWAYS {
            remaining_changes(change_set.1, &found)?;
        }
        let is_mine = |set: &RecordSet| change_set.1.iter().any(|change| change.rtype() == set.rtype);
        let gone = found.into_iter().filter(|set| FLAW == DELETES_OTHER_TYPES || is_mine(set)).map(Change::delete);
        Self::send(config, cx, zone, (change_set.0, &gone.collect::<Vec<_>>()))?;
        let made: Vec<_> = change_set.1.iter().filter_map(|change| change.after.clone()).map(Change::create).collect();
        Self::send(config, cx, zone, (change_set.0, &made))
    }

    /// Deletes each set and recreates it, value by value.
    fn write_by_value(
        config: &Settings,
        cx: &Context,
        zone: &str,
        change_set: (&str, &[Change]),
    ) -> Result<(), ProviderError> {
        let names: Vec<_> = change_set.1.iter().map(|change| change.name().to_owned()).collect();
        let found = Self::list(config, cx, zone, &names)?;
        for change in remaining_changes(change_set.1, &found)? {
            let mut there = change.before.clone();
            let values = change.after.iter().flat_map(|after| (1..=after.values.len()).map(move |end| (after, end)));
            let sets =
                values.map(|(after, end)| Some(RecordSet { values: after.values[..end].to_vec(), ..after.clone() }));
            let gone = there.is_some().then_some(None);
            for next in gone.into_iter().chain(sets) {
                Self::send(config, cx, zone, (change_set.0, &[Change { before: there, after: next.clone() }]))?;
                there = next;
            }
        }
        Ok(())
    }

    /// Refuses the values that, according to this flaw, the service cannot store.
    fn rejection(changes: &[Change]) -> Option<ProviderError> {
        let is_rejected = |value: &String| match FLAW {
            REJECTS_QUOTES => value.contains('"'),
            REJECTS_BYTES => txt::to_bytes(value).iter().any(|byte| !(b' '..=b'~').contains(byte)),
            _ => false,
        };
        let after = changes.iter().filter_map(|change| change.after.as_ref());
        let rejected = after.into_iter().find(|set| set.values.iter().any(is_rejected))?;
        Some(ProviderError::invalid("the service cannot store it").name(&rejected.name))
    }

    /// Fails without a request.
    fn failure<T>() -> Result<T, ProviderError> {
        Err(ProviderError::retry("not today"))
    }

    /// Drops what, according to this flaw, is too much in a set.
    fn shorten(set: &mut RecordSet) {
        match FLAW {
            WRITES_TEN_VALUES => set.values.truncate(10),
            CUTS_LONG_TXT => set.values.iter_mut().for_each(|value| value.truncate(1000)),
            _ => {}
        }
    }

    fn change_error(error: ProviderError) -> ProviderError {
        match (FLAW, error) {
            (GIVES_UP_AT_500, ProviderError::Retry { after: None, reason }) => ProviderError::invalid(reason),
            (IGNORES_RETRY_AFTER, ProviderError::Retry { reason, .. }) => ProviderError::retry(reason),
            (FORBIDDEN_IS_INVALID, ProviderError::Unauthorized { reason }) => ProviderError::invalid(reason),
            (BLAMES_THE_ZONE, ProviderError::Invalid { reason, .. }) => {
                ProviderError::invalid(reason).name("example.org")
            }
            (_, error) => error,
        }
    }
}

impl<const FLAW: u8> DnsProvider for Flawed<FLAW> {
    type Config = Settings;

    fn describe() -> ProviderInfo {
        let name = if FLAW == BAD_NAME { "Dns Fake" } else { "dns-flawed" };
        let about = ProviderInfo::new(name, "1.2.3", "Has a flaw.").can_list_records();
        let is_atomic = !matches!(FLAW, LEAVES_HALF_WRITTEN_SETS | BLAMES_THE_FIRST);
        let about = if is_atomic { about.atomic() } else { about };
        about.secret("token", "The token.").endpoint("{api}")
    }

    fn validate(config: &Settings, cx: &Context) -> Result<(), ProviderError> {
        match FLAW {
            VALIDATE_SENDS_NOTHING => return Ok(()),
            VALIDATE_WRITES => {
                let set = RecordSet::new("probe.example.org", "A", 60, ["192.0.2.1"]);
                Self::send(config, cx, "example.org", ("k", &[Change::create(set)]))?;
            }
            CALLS_UNDECLARED_HOST => drop(cx.get("https://home.example/hello").send()),
            FLOODS_THE_LOG => (0..200).for_each(|line| cx.log().info(line)),
            FAILS_ALWAYS => return Self::failure(),
            _ => {}
        }
        let path = match FLAW {
            DOUBLES_A_SLASH => "//zones",
            LEAVES_A_SPACE => "/zones?note=a b",
            LEAVES_A_PERCENT => "/zones?note=100%",
            _ => "/zones",
        };
        let request = || cx.get(format!("{}{path}", config.api)).bearer("token").send();
        let response = request().and_then(Response::error_for_status);
        let response =
            if FLAW == RETRIES_ITSELF { response.or_else(|_| request()?.error_for_status()) } else { response };
        response.map(drop).map_err(Self::change_error)
    }

    fn observe(config: &Settings, cx: &Context, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, ProviderError> {
        let found = match FLAW {
            FAILS_ALWAYS => Self::failure(),
            // Five requests per name.
            SENDS_TOO_MANY_REQUESTS if 1 < names.len() => names.iter().try_fold(Vec::new(), |mut all, name| {
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
        let found = found.map_err(Self::change_error);
        match (FLAW, found) {
            (MISSING_ZONE_IS_EMPTY, Err(ProviderError::Invalid { .. })) => Ok(Vec::new()),
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
    ) -> Result<Vec<RecordSet>, ProviderError> {
        let mut changes = changes.to_vec();
        if FLAW == SHORT_TTL {
            let sets = changes.iter_mut().flat_map(|change| [&mut change.before, &mut change.after]);
            sets.flatten().for_each(|set| set.ttl = set.ttl.min(3600));
        }
        if FLAW == IGNORES_THE_CLAIM {
            changes.retain(|change| change.before != change.after);
        }
        if let Some(rejection) = Self::rejection(&changes) {
            return Err(rejection);
        }
        if FLAW == FAILS_ALWAYS {
            return Self::failure();
        }
        let after = changes.iter_mut().filter_map(|change| change.after.as_mut());
        after.for_each(Self::shorten);
        if FLAW == KEEPS_HIDDEN_RECORDS {
            let names: Vec<_> = changes.iter().map(|change| change.name().to_owned()).collect();
            Self::list(config, cx, zone, &names)?;
        }
        let change_set = (key, &*changes);
        let done = match FLAW {
            OVERWRITES | DISABLED_IS_OVERWRITTEN => Self::overwrite(config, cx, zone, change_set),
            LEAVES_HALF_WRITTEN_SETS => Self::write_by_value(config, cx, zone, change_set),
            WRITES_ALWAYS | DELETES_OTHER_TYPES => Self::rewrite(config, cx, zone, change_set),
            COMPARES_BEFORE_WRITING => Self::list(config, cx, zone, &[changes[0].name().to_owned()])
                .and_then(|found| remaining_changes(&changes, &found).map(drop))
                .and_then(|()| Self::overwrite(config, cx, zone, change_set)),
            BLAMES_THE_FIRST => changes.iter().try_for_each(|change| {
                let sent = Self::send(config, cx, zone, (key, std::slice::from_ref(change)));
                sent.map_err(|error| match error {
                    ProviderError::Invalid { reason, .. } => ProviderError::invalid(reason).name(changes[0].name()),
                    error => error,
                })
            }),
            ONE_BY_ONE => {
                changes.iter().try_for_each(|change| Self::send(config, cx, zone, (key, std::slice::from_ref(change))))
            }
            _ => Self::send(config, cx, zone, change_set),
        };
        done.map_err(Self::change_error)?;
        let side =
            |change: &Change| if FLAW == RETURNS_WRONG_SETS { change.before.clone() } else { change.after.clone() };
        Ok(changes.iter().filter_map(side).collect())
    }
}
