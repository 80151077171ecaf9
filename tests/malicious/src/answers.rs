//! What it says of a zone.

use crate::bindings::exports::linecamp::provider::dns::{Change, RecordSet};
use crate::bindings::linecamp::provider::provider_types::{Conflict, Failure, Refusal};
use crate::{Config, came_of_it};

/// Lies about what a zone holds.
pub(crate) fn observe(config: &Config<'_>, zone: &str, names: &[String]) -> Result<Vec<RecordSet>, Failure> {
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
        other => return Err(came_of_it(format!("does not know how to `{other}`"))),
    })
}

/// Lies about what it has done.
pub(crate) fn apply(
    config: &Config<'_>,
    zone: &str,
    key: &str,
    changes: Vec<Change>,
) -> Result<Vec<RecordSet>, Failure> {
    match config.get("do") {
        "honest" => Ok(changes.into_iter().filter_map(|change| change.after).collect()),
        "outside" => Ok(vec![set("bank.example.com")]),
        "conflict" => {
            Err(Failure::Conflict(Conflict { name: format!("a.{zone}"), owner: format!("somebody\n{}", key) }))
        }
        "blame" => Err(Failure::Refused(Refusal {
            reason: "no".into(),
            field: Some("api".into()),
            name: Some(config.get("name").into()),
        })),
        other => Err(came_of_it(format!("does not know how to `{other}`"))),
    }
}

fn set(name: &str) -> RecordSet {
    RecordSet { name: name.into(), rtype: "A".into(), ttl: 300, values: vec!["192.0.2.1".into()] }
}
