use proptest::prelude::*;

use super::*;

const LIMITS: ShareLimits = ShareLimits {
    unauthenticated_max: 8,
    authenticated_max: 4,
    idle_grace: Duration::from_secs(2),
    busy_grace: Duration::from_secs(60),
};

/// Shares with a manually advanced clock.
struct Port {
    shares: ConnectionShares<&'static str>,
    now: Instant,
}

impl Port {
    fn new() -> Self {
        Self { shares: ConnectionShares::new(LIMITS), now: Instant::now() }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn admit(&mut self, source: &'static str) -> Option<Admission> {
        self.shares.admit(source, Class::Unauthenticated, self.now)
    }

    fn fill(&mut self, source: &'static str) -> Vec<ConnectionId> {
        let room = LIMITS.unauthenticated_max - self.shares.count(Class::Unauthenticated);
        (0..room).map(|_| self.admit(source).unwrap().id).collect()
    }
}

#[test]
fn below_the_limit_one_source_may_have_every_connection() {
    let mut port = Port::new();
    for _ in 0..LIMITS.unauthenticated_max {
        assert_eq!(port.admit("nat").unwrap().evicted, None);
    }
}

#[test]
fn a_flood_from_one_source_loses_its_oldest_connection_to_each_other_source() {
    let mut port = Port::new();
    let flood = port.fill("flood");
    assert_eq!(port.admit("operator").unwrap().evicted, Some(flood[0]));
    assert_eq!(port.admit("site").unwrap().evicted, Some(flood[1]));
}

#[test]
fn behind_one_address_a_long_idle_connection_is_evicted_and_a_new_one_is_not() {
    let mut port = Port::new();
    let silent = port.fill("proxy");
    assert_eq!(port.admit("proxy"), None, "a burst of honest newcomers does not evict itself");
    port.wait(2);
    assert_eq!(port.admit("proxy").unwrap().evicted, Some(silent[0]));
}

#[test]
fn a_busy_connection_keeps_its_place_longer_than_an_idle_one() {
    let mut port = Port::new();
    let all = port.fill("nat");
    for id in &all[1..] {
        port.shares.set_busy(*id, true, port.now);
    }
    port.wait(2);
    assert_eq!(port.admit("nat").unwrap().evicted, Some(all[0]), "the idle one");
    port.wait(58);
    let newest = port.admit("nat").unwrap();
    assert_eq!(newest.evicted.map(|id| all.contains(&id)), Some(false), "idle since the last line, and younger");
    let slow = newest.id;
    port.shares.set_busy(slow, true, port.now);
    assert_eq!(port.admit("nat").unwrap().evicted, Some(all[1]), "a minute of one download is enough under pressure");
}

#[test]
fn a_flood_of_unauthenticated_connections_evicts_no_authenticated_one() {
    let mut port = Port::new();
    let operator = port.admit("nat").unwrap().id;
    assert_eq!(port.shares.authenticate(operator, "key", port.now), None);
    port.fill("nat");
    port.wait(3600);
    for _ in 0..1000 {
        assert_ne!(port.admit("nat").unwrap().evicted, Some(operator));
        port.wait(2);
    }
    assert_eq!(port.shares.count(Class::Authenticated), 1);
}

#[test]
fn one_key_does_not_hold_every_place_of_those_that_have_shown_one() {
    let mut port = Port::new();
    for _ in 0..LIMITS.authenticated_max {
        let id = port.admit("a").unwrap().id;
        assert_eq!(port.shares.authenticate(id, "greedy", port.now), None);
    }
    let other = port.admit("b").unwrap().id;
    assert!(port.shares.authenticate(other, "other", port.now).is_some());
    let third = port.admit("a").unwrap().id;
    assert_eq!(port.shares.authenticate(third, "greedy", port.now), None, "it stays where it was");
    assert_eq!((port.shares.count(Class::Authenticated), port.shares.count(Class::Unauthenticated)), (4, 1));
}

/// A proxy forwards for many clients: each has a share of its own, so a flood through the proxy loses places first.
#[test]
fn a_connection_of_a_proxy_is_charged_to_the_client_it_forwards_for() {
    let mut port = Port::new();
    let flood = port.fill("proxy");
    for id in &flood {
        port.shares.set_busy(*id, true, port.now);
        assert_eq!(port.shares.charge(*id, "flood", port.now), None);
    }
    let honest = port.admit("proxy").unwrap();
    assert_eq!(honest.evicted, Some(flood[0]));
    assert_eq!(port.shares.charge(honest.id, "operator", port.now), None);
    assert_eq!(port.shares.authenticate(honest.id, "key", port.now), None);
    let next = port.admit("proxy").unwrap();
    assert_eq!((next.evicted, port.shares.charge(honest.id, "other", port.now)), (None, Some(flood[1])));
    assert_eq!(port.shares.count(Class::Authenticated), 0, "the next client has shown no key");
}

#[test]
fn a_connection_busy_for_too_long_is_evicted_below_the_limit_too() {
    let mut port = Port::new();
    let (stuck, idle) = (port.admit("a").unwrap().id, port.admit("a").unwrap().id);
    port.shares.set_busy(stuck, true, port.now);
    port.wait(900);
    assert_eq!(port.shares.evict_overdue(Duration::from_secs(900), port.now), []);
    port.wait(1);
    assert_eq!(port.shares.evict_overdue(Duration::from_secs(900), port.now), [stuck]);
    port.shares.release(idle);
    assert_eq!(port.shares.count(Class::Unauthenticated), 0);
}

#[derive(Clone, Debug)]
enum Act {
    Admit(u8),
    Authenticate(usize, u8),
    Busy(usize, bool),
    Release(usize),
    Wait(u8),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..5_u8).prop_map(Act::Admit),
        2 => (any::<usize>(), 0..3_u8).prop_map(|(at, key)| Act::Authenticate(at, key)),
        2 => (any::<usize>(), any::<bool>()).prop_map(|(at, is_busy)| Act::Busy(at, is_busy)),
        1 => any::<usize>().prop_map(Act::Release),
        2 => (0..100_u8).prop_map(Act::Wait),
    ]
}

proptest! {
    /// In every state, neither class exceeds its limit. A new connection that is owed a place gets it from the source
    /// of its own class with the most connections. No source with fewer connections than the new connection's source
    /// loses one.
    #[test]
    fn shares_are_bounded_and_fair(acts in prop::collection::vec(act(), 1..200)) {
        let mut shares = ConnectionShares::new(LIMITS);
        let mut now = Instant::now();
        for act in acts {
            let ids: Vec<_> = shares.connections.keys().copied().collect();
            let pick = |at: usize| ids.get(at % ids.len().max(1)).copied();
            let before = shares.clone();
            let count = |source: u8| {
                before.connections.values().filter(|c| (c.class, c.source) == (Class::Unauthenticated, source)).count()
            };
            match act {
                Act::Admit(source) => {
                    let most = (0..5).map(count).max().unwrap_or_default();
                    let is_full = before.count(Class::Unauthenticated) == LIMITS.unauthenticated_max;
                    match shares.admit(source, Class::Unauthenticated, now) {
                        Some(Admission { evicted: Some(evicted), .. }) => {
                            let lost = &before.connections[&evicted];
                            prop_assert!(is_full && lost.class == Class::Unauthenticated);
                            prop_assert!(count(lost.source) == most && count(source) <= most);
                        }
                        Some(Admission { evicted: None, .. }) => prop_assert!(!is_full),
                        None => prop_assert!(is_full && most <= count(source) + 1),
                    }
                }
                Act::Authenticate(at, key) => {
                    if let Some(id) = pick(at) {
                        shares.authenticate(id, key, now);
                    }
                }
                Act::Busy(at, is_busy) => {
                    if let Some(id) = pick(at) {
                        shares.set_busy(id, is_busy, now);
                    }
                }
                Act::Release(at) => {
                    if let Some(id) = pick(at) {
                        shares.release(id);
                    }
                }
                Act::Wait(seconds) => now += Duration::from_secs(seconds.into()),
            }
            prop_assert!(shares.count(Class::Unauthenticated) <= LIMITS.unauthenticated_max);
            prop_assert!(shares.count(Class::Authenticated) <= LIMITS.authenticated_max);
        }
    }
}
