//! Tests of the uplink alone.

use super::*;
use crate::site::testing::{NOW, config, effects, grant, outputs, welcome};

const DIAL: DialId = DialId(1);

fn servers() -> Vec<ServerAddress> {
    ["a:1", "b:1"].map(|server| ServerAddress::parse(server).unwrap()).to_vec()
}

/// An uplink whose first dial is in flight.
fn dialing(purpose: Purpose) -> (Uplink, Effects) {
    let (config, mut effects) = (config(servers(), purpose == Purpose::Join), effects());
    let mut uplink = Uplink::new(&config, purpose == Purpose::Link, (None, None), NOW);
    uplink.dial(NOW, &mut effects);
    outputs(&mut effects);
    (uplink, effects)
}

fn up() -> (Uplink, Effects) {
    let (mut uplink, mut effects) = dialing(Purpose::Link);
    assert!(uplink.handle_dialed(DIAL, NOW, &mut effects));
    uplink.handle_welcome(&welcome(), NOW, &mut effects);
    (uplink, effects)
}

fn failed() -> LossReason {
    LossReason::Failed(Text::lossy("no route"))
}

#[test]
fn a_session_is_announced_once_when_it_starts_and_when_it_ends() {
    let (mut uplink, mut effects) = up();
    let (server, session) = (servers()[0].clone(), welcome().session);
    let link_up = SiteOutput::LinkUp { server: server.clone(), session, server_wall: NOW.wall };
    let mut produced = outputs(&mut effects);
    produced.retain(|output| !matches!(output, SiteOutput::Persist { .. }));
    assert_eq!(produced, [link_up], "besides what is noted of the link");
    uplink.handle_welcome(&welcome(), NOW, &mut effects);
    assert_eq!(outputs(&mut effects), [], "a second welcome changes nothing");
    uplink.lose(&failed(), NOW, &mut effects);
    assert_eq!(outputs(&mut effects), [SiteOutput::LinkDown { server, session, reason: failed() }]);
    assert_eq!((uplink.session(), uplink.current()), (None, None));
    uplink.assert_timers(&effects);
}

#[test]
fn a_failed_dial_is_followed_by_a_dial_to_the_next_server() {
    let (mut uplink, mut effects) = dialing(Purpose::Link);
    uplink.lose(&failed(), NOW, &mut effects);
    uplink.dial(NOW, &mut effects);
    let [SiteOutput::DialFailed { server: first, .. }, SiteOutput::Dial(second)] = &outputs(&mut effects)[..] else {
        panic!("a failure and a dial")
    };
    assert_eq!([first, &second.server], [&servers()[0], &servers()[1]]);
    assert_eq!(second.dial, DialId(2));
}

#[test]
fn events_of_an_earlier_dial_are_ignored() {
    let (mut uplink, mut effects) = dialing(Purpose::Link);
    assert!(!uplink.handle_dialed(DialId(9), NOW, &mut effects));
    assert!(!uplink.is_connected(DIAL), "it is not answered yet");
    assert!(uplink.handle_dialed(DIAL, NOW, &mut effects) && uplink.is_connected(DIAL));
    assert!(!uplink.is_connected(DialId(9)));
}

#[test]
fn an_unresponsive_server_times_out() {
    let (mut uplink, mut effects) = dialing(Purpose::Link);
    assert_eq!(effects.deadline(Timer::DialLate), Some(NOW.instant + DIAL_MAX));
    uplink.give_up(NOW, &mut effects);
    let produced = outputs(&mut effects);
    assert!(
        matches!(produced[..], [SiteOutput::Hangup { dial: DIAL, .. }, SiteOutput::DialFailed { .. }]),
        "{produced:?}"
    );
    assert!(effects.deadline(Timer::DialLate).is_none() && effects.deadline(Timer::Redial).is_some());
    uplink.give_up(NOW, &mut effects);
    assert_eq!(outputs(&mut effects), [], "nothing is left to give up");
}

#[test]
fn a_retry_slot_from_the_server_is_respected_up_to_a_day() {
    for (slot, delay) in [(Duration::from_secs(7), Duration::from_secs(7)), (RETRY_SLOT_MAX * 2, RETRY_SLOT_MAX)] {
        let (mut uplink, mut effects) = up();
        let refusal = Refusal::new(RefusalCode::Done, "later").retry_after(slot);
        uplink.lose(&LossReason::Closed(refusal), NOW, &mut effects);
        assert_eq!(effects.deadline(Timer::Redial), Some(NOW.instant + delay));
    }
}

#[test]
fn a_refusal_that_revokes_the_registration_stops_dialing() {
    let removed = || LossReason::Closed(Refusal::new(RefusalCode::Removed, "removed"));
    let (mut uplink, mut effects) = up();
    outputs(&mut effects);
    uplink.lose(&removed(), NOW, &mut effects);
    let produced = outputs(&mut effects);
    assert!(matches!(produced[..], [SiteOutput::LinkDown { .. }, SiteOutput::Removed(_)]), "{produced:?}");
    assert!(uplink.is_removed() && effects.deadline(Timer::Redial).is_none());
    let (mut uplink, mut effects) = dialing(Purpose::Join);
    uplink.lose(&removed(), NOW, &mut effects);
    let produced = outputs(&mut effects);
    assert!(matches!(produced[..], [SiteOutput::DialFailed { .. }, SiteOutput::JoinRefused(_)]), "{produced:?}");
}

#[test]
fn a_certificate_ends_the_handshake_and_the_next_dial_uses_it() {
    let (mut uplink, mut effects) = dialing(Purpose::Join);
    uplink.handle_dialed(DIAL, NOW, &mut effects);
    uplink.handle_certificate(grant(), &mut effects);
    let produced = outputs(&mut effects);
    assert!(
        matches!(produced[..], [SiteOutput::Hangup { dial: DIAL, .. }, SiteOutput::SaveIdentity(_)]),
        "{produced:?}"
    );
    uplink.use_certificate(NOW, &mut effects);
    let produced = outputs(&mut effects);
    assert!(matches!(&produced[..], [SiteOutput::Dial(dial)] if dial.purpose == Purpose::Link), "{produced:?}");
}

#[test]
fn a_renewal_keeps_the_session() {
    let (mut uplink, mut effects) = up();
    outputs(&mut effects);
    uplink.handle_certificate(grant(), &mut effects);
    uplink.use_certificate(NOW, &mut effects);
    assert_eq!((outputs(&mut effects), uplink.session()), (vec![SiteOutput::SaveIdentity(grant())], Some(DIAL)));
}
