//! Records that cannot be written are quarantined one by one: the rest continues, and no status flaps.

use linecamp_model::{
    ConditionKind, DnsSettings, DomainName, EventKind, ExtraRecord, NameTemplate, ProviderSpec, RecordState,
    RecordType, Text,
};

use super::records::{GATEWAY, MINUTE, conditions, configure, is_converged, plain_site, provider, shown, state_of};
use crate::testing::{DAY, Pair};
use crate::{RECONCILE_INTERVAL, SiteCommand};

fn domain(name: &str) -> DomainName {
    DomainName::parse(name).unwrap()
}

pub(super) fn extra(template: &str, rtype: RecordType, value: &str) -> ExtraRecord {
    let template = NameTemplate::parse(template).unwrap();
    ExtraRecord { template, rtype, values: vec![Text::lossy(value)] }
}

fn with(extra: Vec<ExtraRecord>) -> ProviderSpec {
    ProviderSpec { kind: DnsSettings { extra, ..provider().dns().clone() }.into(), ..provider() }
}

fn alias_and_note() -> ProviderSpec {
    with(vec![extra("alias", RecordType::Cname, "target.example"), extra("note", RecordType::Txt, "x")])
}

fn raised(pair: &Pair, kind: ConditionKind) -> usize {
    let is_meant = |text: &Text| text.as_str().starts_with(kind.as_str());
    let events = pair.events().into_iter().filter(|event| event.kind == EventKind::ConditionRaised);
    events.filter(|event| is_meant(&event.text)).count()
}

/// A CNAME is desired where the name server has a record of a type that no query asks for.
#[test]
fn one_conflicting_record_is_quarantined_and_blocks_no_other() {
    for atomic in [true, false] {
        let mut pair = plain_site(70);
        pair.name_server.atomic = atomic;
        pair.name_server.unseen.insert(domain("alias.example.org"));
        configure(&mut pair, Some(alias_and_note()));
        pair.run_for(MINUTE);
        let expected = [format!("{GATEWAY} A 300 192.0.2.1"), "note.example.org TXT 300 x".to_owned()];
        assert_eq!(shown(&pair), expected);
        let found = conditions(&pair);
        assert!(found.len() == 1 && found[0].0 == ConditionKind::RecordQuarantined, "{found:?}");
        let said = &found[0].1;
        assert!(said.contains("alias.example.org CNAME") && said.contains("another type"), "{said}");
        assert!(said.contains("next attempt after"), "{said}");
        assert!(is_converged(&pair), "a quarantined record does not block convergence");
        let looks = pair.name_server.looks;
        pair.run_for(DAY);
        assert_eq!(raised(&pair, ConditionKind::RecordQuarantined), 1, "a retry that fails again raises no event");
        let looks = pair.name_server.looks - looks;
        assert!(looks < 400, "{looks} looks in a day: it is retried every half minute");
        pair.name_server.unseen.clear();
        pair.run_for(crate::QUARANTINE + 2 * RECONCILE_INTERVAL);
        assert_eq!(shown(&pair).len(), 3, "and it is retried");
        assert_eq!(conditions(&pair), []);
    }
}

/// More bad records than a round has passes, by conflict and by rejection: each one blocks only itself.
#[test]
fn many_rejected_records_block_no_other() {
    for is_refused in [false, true] {
        let mut pair = plain_site(71);
        let aliases = (0..12).map(|n| extra(&format!("alias{n}"), RecordType::Cname, "target.example"));
        for n in 0..12 {
            let bad = domain(&format!("alias{n}.example.org"));
            if is_refused {
                pair.name_server.refused.insert(bad)
            } else {
                pair.name_server.unseen.insert(bad)
            };
        }
        configure(&mut pair, Some(with(aliases.chain([extra("note", RecordType::Txt, "x")]).collect())));
        pair.run_for(MINUTE);
        assert_eq!(shown(&pair).len(), 2, "{:?}", shown(&pair));
        let found = conditions(&pair);
        assert!(found.len() == 1 && found[0].0 == ConditionKind::RecordQuarantined, "{found:?}");
    }
}

/// A name server confirms a change and does not keep it.
#[test]
fn records_that_a_service_drops_are_reported() {
    let mut pair = plain_site(72);
    pair.name_server.dropped.insert(domain("note.example.org"));
    configure(&mut pair, Some(with(vec![extra("note", RecordType::Txt, "x")])));
    pair.run_for(MINUTE);
    assert_eq!(shown(&pair), [format!("{GATEWAY} A 300 192.0.2.1")]);
    let found = conditions(&pair);
    assert!(found.len() == 1 && found[0].1.contains("note.example.org TXT"), "{found:?}");
    assert!(!found[0].1.contains(GATEWAY), "{found:?}");
}

#[test]
fn a_requested_plan_retries_quarantined_records() {
    let mut pair = plain_site(73);
    pair.name_server.refused.insert(domain("note.example.org"));
    pair.name_server.hidden.insert(domain("default.example.org"));
    configure(&mut pair, Some(with(vec![extra("note", RecordType::Txt, "x")])));
    pair.run_for(MINUTE);
    let states = |pair: &Pair| [state_of(pair, &RecordType::A), state_of(pair, &RecordType::Txt)];
    assert_eq!(states(&pair), [Some(RecordState::Quarantined); 2]);
    pair.local_command(SiteCommand::PlanRecords);
    pair.run_for(MINUTE / 60);
    let seen = [Some(RecordState::Quarantined), Some(RecordState::Create)];
    assert_eq!(states(&pair), seen, "the hidden record was observed and quarantined again");
    pair.name_server.refused.clear();
    pair.name_server.hidden.clear();
    pair.local_command(SiteCommand::PlanRecords);
    pair.run_for(MINUTE / 60);
    assert_eq!(states(&pair), [Some(RecordState::Create); 2]);
    pair.run_for(2 * RECONCILE_INTERVAL);
    assert_eq!(shown(&pair).len(), 2);
}
