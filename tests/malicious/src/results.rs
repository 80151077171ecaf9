//! Malicious results of `observe` and `apply`.

use crate::bindings::exports::linecamp::provider::dns::{Change, RecordSet};
use crate::bindings::linecamp::provider::provider_types::{Conflict, Error, Invalid};
use crate::{Config, outcome_error};

/// Returns wrong contents of a zone.
pub(crate) fn observe(config: &Config<'_>, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, Error> {
    let good = set(&format!("a.{zone}"));
    Ok(match config.get("do") {
        "honest" => {
            let mut sets: Vec<_> = names.iter().map(|name| set(name)).collect();
            sets.extend([set(&format!("not-asked-for.{zone}")), set(zone)]);
            sets
        }
        "list" => vec![good, set(&format!("a\\032b.{zone}")), set(&format!("0/25.{zone}"))],
        "no-name" => vec![set("")],
        "control-name" => vec![set(&format!("a\u{1b}[31m.{zone}"))],
        "long-name" => vec![set(&format!("{}.{zone}", "a".repeat(300)))],
        "outside" => vec![good, set("bank.example.com")],
        "almost-inside" => vec![set(&format!("bad{zone}"))],
        "twice" => vec![good.clone(), RecordSet { name: good.name.to_uppercase(), ..good }],
        "no-value" => vec![RecordSet { values: Vec::new(), ..good }],
        "no-type" => vec![RecordSet { rtype: "A B".into(), ..good }],
        "ttl" => vec![RecordSet { ttl: u32::MAX, ..good }],
        "many-values" => vec![RecordSet { values: vec!["192.0.2.1".into(); 1_000], ..good }],
        "long-value" => vec![RecordSet { values: vec!["a".repeat(300_000)], ..good }],
        "many" => (0..20_000).map(|index| set(&format!("a{index}.{zone}"))).collect(),
        "huge" => vec![RecordSet { values: vec!["a".repeat(1 << 20); 9], ..good }],
        "spin" => crate::attempts::spin(),
        other => return Err(outcome_error(format!("unknown attempt `{other}`"))),
    })
}

/// Returns wrong results of changes.
pub(crate) fn apply(
    config: &Config<'_>,
    zone: &str,
    idempotency_key: &str,
    changes: Vec<Change>,
) -> Result<Vec<RecordSet>, Error> {
    match config.get("do") {
        "honest" => Ok(changes.into_iter().filter_map(|change| change.after).collect()),
        "outside" => Ok(vec![set("bank.example.com")]),
        "conflict" => {
            Err(Error::Conflict(Conflict { name: format!("a.{zone}"), found: format!("others\n{}", idempotency_key) }))
        }
        "blame" => Err(Error::Invalid(Invalid {
            reason: "no".into(),
            field: Some("api".into()),
            name: Some(config.get("name").into()),
        })),
        other => Err(outcome_error(format!("unknown attempt `{other}`"))),
    }
}

fn set(name: &str) -> RecordSet {
    RecordSet { name: name.into(), rtype: "A".into(), ttl: 300, values: vec!["192.0.2.1".into()] }
}
