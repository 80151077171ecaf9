//! Tests of the rotation alone.

use super::*;
use crate::site::testing::{NOW, effects, outputs};
use crate::testing::addresses;

const DIAL: DialId = DialId(1);

fn set(number: u64, texts: &[&str]) -> ServerSet {
    ServerSet { number, addresses: addresses(texts) }
}

/// The next addresses, each dial failing.
fn dials(rotation: &mut ServerRotation, count: usize) -> Vec<String> {
    let mut next = || {
        let current = rotation.current().expect("an address").to_string();
        rotation.advance();
        current
    };
    (0..count).map(|_| next()).collect()
}

fn joined(texts: &[&str]) -> (ServerRotation, Effects) {
    let known = KnownServers::of_token(addresses(texts));
    (ServerRotation::new(ServerSource::Saved, Some(known)), effects())
}

#[test]
fn candidates_and_confirmed_addresses_take_turns() {
    let (mut rotation, mut effects) = joined(&["a:1", "b:1"]);
    assert_eq!(dials(&mut rotation, 3), ["a:1", "b:1", "a:1"]);
    let (mut rotation, _) = joined(&["a:1", "b:1"]);
    rotation.handle_linked(&mut effects);
    rotation.handle_told(set(1, &["c:1", "d:1", "e:1", "b:1"]), &mut effects);
    rotation.prefer_candidate();
    let expected = ["c:1", "a:1", "d:1", "b:1", "e:1", "a:1", "c:1", "b:1"];
    assert_eq!(dials(&mut rotation, 8), expected, "an address in both sets is a confirmed one");
    rotation.prefer_candidate();
    rotation.advance();
    assert_eq!(rotation.current(), addresses(&["a:1"]).first());
    rotation.advance();
    assert_eq!(rotation.current(), addresses(&["e:1"]).first());
    rotation.handle_linked(&mut effects);
    assert_eq!(rotation.known().confirmed.number, 1, "it is new in the set that was told");
    assert!(!rotation.has_candidates());
    assert_eq!(dials(&mut rotation, 3), ["e:1", "b:1", "c:1"], "the last good address comes first");
}

#[test]
fn a_set_is_reported_once_when_it_is_saved() {
    let (mut rotation, mut effects) = joined(&["a:1"]);
    rotation.handle_linked(&mut effects);
    rotation.report(DIAL, &mut effects);
    assert_eq!(outputs(&mut effects), [], "the server has told no set");
    rotation.handle_told(set(4, &["a:1"]), &mut effects);
    rotation.report(DIAL, &mut effects);
    let expected = KnownServers { confirmed: set(4, &["a:1"]), candidate: None };
    assert_eq!(outputs(&mut effects), [SiteOutput::SaveServers(expected)]);
    rotation.handle_saved(Ok(()), NOW, &mut effects);
    rotation.report(DIAL, &mut effects);
    rotation.report(DIAL, &mut effects);
    assert_eq!(outputs(&mut effects), [SiteOutput::Send { dial: DIAL, message: FromMember::ServersStored(4) }]);
    rotation.handle_told(set(4, &["a:1"]), &mut effects);
    assert_eq!(outputs(&mut effects), [], "nothing is written for what is known");
}

#[test]
fn a_set_with_new_addresses_is_confirmed_by_one_of_those() {
    let (mut rotation, mut effects) = joined(&["a:1", "b:1"]);
    rotation.handle_linked(&mut effects);
    rotation.handle_told(set(2, &["a:1", "x:1"]), &mut effects);
    let expected = KnownServers { confirmed: set(0, &["a:1", "b:1"]), candidate: Some(set(2, &["a:1", "x:1"])) };
    assert_eq!(*rotation.known(), expected, "the link's address says nothing about the new one");
    rotation.prefer_candidate();
    assert_eq!(dials(&mut rotation, 4), ["x:1", "a:1", "x:1", "b:1"]);
    rotation.advance();
    rotation.handle_linked(&mut effects);
    assert_eq!(*rotation.known(), expected, "nor does a later link through an old one");
    rotation.prefer_candidate();
    rotation.handle_linked(&mut effects);
    assert_eq!(*rotation.known(), KnownServers { confirmed: set(2, &["a:1", "x:1"]), candidate: None });
}

#[test]
fn a_set_without_new_addresses_is_confirmed_by_any_of_its_addresses() {
    let (mut rotation, mut effects) = joined(&["old:1", "new:1"]);
    rotation.handle_linked(&mut effects);
    rotation.handle_told(set(2, &["new:1"]), &mut effects);
    assert_eq!(rotation.known().candidate, Some(set(2, &["new:1"])));
    rotation.prefer_candidate();
    assert_eq!(rotation.current(), addresses(&["new:1"]).first(), "it is dialed first after this link");
    assert_eq!(dials(&mut rotation, 4), ["new:1", "old:1", "new:1", "new:1"]);
    let (mut rotation, mut effects) = joined(&["old:1", "new:1"]);
    rotation.advance();
    rotation.handle_linked(&mut effects);
    rotation.handle_told(set(2, &["new:1"]), &mut effects);
    assert_eq!(*rotation.known(), KnownServers { confirmed: set(2, &["new:1"]), candidate: None }, "linked by it");
}

#[test]
fn addresses_that_an_earlier_run_could_not_save_are_saved_again() {
    let (mut rotation, mut effects) = joined(&["a:1"]);
    rotation.handle_saved(Err(Text::lossy("disk full")), NOW, &mut effects);
    assert_eq!(rotation.describe().0, PartState::Failing);
    assert!(effects.deadline(Timer::SaveServers).is_some());
    rotation.save(&mut effects);
    rotation.handle_saved(Ok(()), NOW, &mut effects);
    assert_eq!(rotation.describe().0, PartState::Ok);
}

#[test]
fn the_description_names_the_set_and_the_candidates() {
    let (mut rotation, mut effects) = joined(&["a:1"]);
    assert_eq!(rotation.describe(), (PartState::Ok, "a:1, from the join token".to_owned()));
    rotation.handle_told(set(2, &["b:1", "c:1"]), &mut effects);
    let text = "a:1, from the join token; not confirmed yet, dialed in turn: set 2: b:1, c:1";
    assert_eq!(rotation.describe(), (PartState::Waiting, text.to_owned()));
    rotation.handle_saved(Err(Text::lossy("disk full")), NOW, &mut effects);
    assert_eq!(rotation.describe(), (PartState::Failing, format!("{text}; cannot save: disk full")));
    assert!(effects.deadline(Timer::SaveServers).is_some(), "it is saved again");
    let known = KnownServers { confirmed: set(2, &["b:1"]), candidate: None };
    let rotation = ServerRotation::new(ServerSource::Token(addresses(&["b:1"])), Some(known.clone()));
    assert_eq!(*rotation.known(), known, "a token with the addresses in use changes nothing");
    let own = ServerSource::Configured(addresses(&["x:1"]));
    let rotation = ServerRotation::new(own, Some(known));
    let text = "x:1, from the configuration; not used: set 2: b:1";
    assert_eq!(rotation.describe(), (PartState::Ok, text.to_owned()));
}
