//! The schedule with a moved clock: any number of dead addresses, in any order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::DialHistory;

/// How long an attempt takes if nothing answers.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);

/// How long the good address takes to answer.
const ROUND_TRIP: Duration = Duration::from_millis(600);

/// What answers at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Silent,
    RefusedAfter(u64),
    Good,
}

impl Answer {
    fn takes(self) -> Duration {
        match self {
            Self::Silent => ATTEMPT_LIMIT,
            Self::RefusedAfter(millis) => Duration::from_millis(millis),
            Self::Good => ROUND_TRIP,
        }
    }
}

fn address(number: usize, is_ipv6: bool) -> SocketAddr {
    let low = u16::try_from(number).unwrap_or(u16::MAX);
    if is_ipv6 {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, low], 8443))
    } else {
        SocketAddr::from(([192, 0, (low >> 8) as u8, (low & 0xff) as u8], 8443))
    }
}

/// What a dial did, with a clock that is moved from event to event.
#[derive(Debug, Default)]
struct DialLog {
    tried: Vec<SocketAddr>,
    parallel: usize,
    took: Duration,
    connected: Option<SocketAddr>,
}

fn dial(order: Vec<SocketAddr>, pace: Pace, answer: impl Fn(SocketAddr) -> Answer) -> DialLog {
    let mut schedule = AddressSchedule::new(order, pace);
    let (mut log, mut now) = (DialLog::default(), Duration::ZERO);
    let mut ends: BTreeSet<(Duration, SocketAddr)> = BTreeSet::new();
    loop {
        let step = schedule.next_step(now);
        let wake = match step {
            ScheduleStep::Start(address) => {
                log.tried.push(address);
                ends.insert((now + answer(address).takes(), address));
                log.parallel = log.parallel.max(ends.len());
                continue;
            }
            ScheduleStep::WaitUntil(time) => Some(time),
            ScheduleStep::WaitForResult => None,
            ScheduleStep::Exhausted => return DialLog { took: now, ..log },
        };
        match ends.first().copied().filter(|(end, _)| wake.is_none_or(|wake| *end <= wake)) {
            Some((end, address)) => {
                ends.remove(&(end, address));
                now = end;
                if answer(address) == Answer::Good {
                    return DialLog { took: now, connected: Some(address), ..log };
                }
                schedule.attempt_failed(now);
            }
            None => now = wake.expect("something is in progress or due"),
        }
    }
}

/// Addresses of any family, at most one of which is good, in any order.
fn names(max: usize) -> impl Strategy<Value = (Vec<(SocketAddr, Answer)>, SocketAddr)> {
    let dead = prop_oneof![Just(Answer::Silent), (0_u64..10_000).prop_map(Answer::RefusedAfter)];
    (proptest::collection::vec((any::<bool>(), dead), 1..=max), any::<prop::sample::Index>()).prop_map(|(all, good)| {
        let good = good.index(all.len());
        let place = |(number, (is_ipv6, answer))| {
            let answer = if number == good { Answer::Good } else { answer };
            (address(number, is_ipv6), answer)
        };
        let all: Vec<_> = all.into_iter().enumerate().map(place).collect();
        let good = all[good].0;
        (all, good)
    })
}

proptest! {
    /// Eight addresses per dial at least, and a dial ends within 18 s: so 64 addresses take eight dials at most.
    #[test]
    fn a_link_reaches_the_one_good_address((all, good) in names(ADDRESSES_MAX)) {
        let resolved: Vec<_> = all.iter().map(|(address, _)| *address).collect();
        let answer = |address| all.iter().find(|(known, _)| *known == address).expect("a known address").1;
        let mut history = DialHistory::default();
        let mut tried = BTreeSet::new();
        for _ in 0..all.len().div_ceil(Pace::LINK.parallel_max) {
            let log = dial(history.remaining(&resolved), Pace::LINK, answer);
            prop_assert!(log.parallel <= Pace::LINK.parallel_max);
            prop_assert!(log.took <= Duration::from_secs(18));
            for address in &log.tried {
                prop_assert!(tried.insert(*address), "{address} is tried twice in a round");
                history.attempt_failed(*address, false);
            }
            if log.connected == Some(good) {
                history.connected(good);
                break;
            }
        }
        prop_assert_eq!(history.remaining(&resolved).first().copied(), Some(good), "it was reached, and is first now");
        let again = dial(history.remaining(&resolved), Pace::LINK, answer);
        prop_assert_eq!((again.tried, again.took), (vec![good], ROUND_TRIP));
    }

    #[test]
    fn one_tcp_dial_tries_every_address((all, good) in names(ADDRESSES_MAX)) {
        let answer = |address| all.iter().find(|(known, _)| *known == address).expect("a known address").1;
        let resolved: Vec<_> = all.iter().map(|(address, _)| *address).collect();
        let log = dial(dial_order(&resolved, None), Pace::TCP, answer);
        prop_assert_eq!(log.connected, Some(good));
        prop_assert!(log.parallel <= Pace::TCP.parallel_max);
        prop_assert!(log.took <= Duration::from_secs(18) + ROUND_TRIP, "it took {:?}", log.took);
    }

    #[test]
    fn an_order_has_each_address_once_and_alternates_between_families((all, good) in names(ADDRESSES_MAX)) {
        let resolved: Vec<_> = all.iter().map(|(address, _)| *address).collect();
        for preferred in [None, Some(good)] {
            let order = dial_order(&[&*resolved, &*resolved].concat(), preferred);
            prop_assert_eq!(order.iter().collect::<BTreeSet<_>>(), resolved.iter().collect());
            prop_assert_eq!(order.len(), resolved.len());
            prop_assert_eq!(order.first(), preferred.as_ref().or_else(|| resolved.first()));
            let families: Vec<_> = order.iter().map(SocketAddr::is_ipv6).collect();
            let fewer = families.iter().filter(|is_ipv6| **is_ipv6).count().min(
                families.iter().filter(|is_ipv6| !**is_ipv6).count(),
            );
            prop_assert!(families.windows(2).take((2 * fewer).saturating_sub(1)).all(|pair| pair[0] != pair[1]));
        }
    }
}

#[test]
fn four_dead_addresses_of_a_family_do_not_hide_the_other_family() {
    let all: Vec<_> = (0..4).map(|number| address(number, true)).chain([address(9, false)]).collect();
    let answer = |tried: SocketAddr| if tried.is_ipv4() { Answer::Good } else { Answer::Silent };
    for pace in [Pace::LINK, Pace::TCP] {
        let log = dial(dial_order(&all, None), pace, answer);
        assert_eq!((log.connected, log.took), (Some(address(9, false)), pace.delay + ROUND_TRIP));
    }
}

#[test]
fn a_name_has_a_bounded_number_of_addresses() {
    let many: Vec<_> = (0..200).map(|number| address(number, number % 3 == 0)).collect();
    assert_eq!(dial_order(&many, None).len(), ADDRESSES_MAX);
}
