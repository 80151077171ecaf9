//! Login delay: how long to wait after failed logins.
//!
//! The delay grows with the failures of one account from one address, and of one address for all accounts. It never
//! depends on an account alone: nobody can lock out others. Neither does it depend on whether the account exists.
//!
//! An attempt counts as failed when it begins, so that attempts at the same time are limited too; a success takes that
//! back. An attempt that is refused does not count. The table is bounded: at the limit, the entry that was used least
//! recently is dropped, so an attacker needs as many addresses to be forgotten.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use linecamp_model::{Instant, Name};

/// The longest delay of one account from one address.
pub const LOGIN_DELAY_MAX: Duration = Duration::from_secs(300);

/// The longest delay of one address for all accounts. It is shorter, because many people may have one address.
const ADDRESS_DELAY_MAX: Duration = Duration::from_secs(30);

/// Failed attempts without a delay: of one account from one address.
const FREE_PER_ACCOUNT: u32 = 3;

/// Failed attempts without a delay: of one address for all accounts.
const FREE_PER_ADDRESS: u32 = 30;

/// After how long without an attempt the failures are forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(900);

/// The entries of each of the two tables.
const ENTRIES_MAX: usize = 10_000;

/// Failed logins, and the delays that follow from them.
#[derive(Clone, Debug, Default)]
pub struct LoginDelays {
    accounts: BTreeMap<(Origin, Name), Failures>,
    addresses: BTreeMap<Origin, Failures>,
}

/// Where attempts come from: an IPv4 address, or a /64 network of IPv6, which is one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Origin(IpAddr);

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    last: Instant,
}

/// Returns the network of an address that is one customer: an IPv4 address, or a /64 network of IPv6.
pub(crate) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let mut network = address.octets();
            network[8..].fill(0);
            network.into()
        }
    }
}

impl Origin {
    fn of(address: IpAddr) -> Self {
        Self(network_of(address))
    }
}

impl Failures {
    /// Returns how long to wait, if it is too early.
    fn wait(self, free: u32, max: Duration, now: Instant) -> Option<Duration> {
        let beyond = self.count.checked_sub(free)?;
        let delay = Duration::from_secs(1 << beyond.min(16)).min(max);
        let wait = (self.last + delay).saturating_since(now);
        (!wait.is_zero()).then_some(wait)
    }

    fn is_forgotten(self, now: Instant) -> bool {
        FORGET_AFTER <= now.saturating_since(self.last)
    }
}

impl LoginDelays {
    /// Begins an attempt, and counts it as failed. `account` is `None` for a text that cannot be a name.
    ///
    /// # Errors
    /// How long to wait: the attempt must not be made.
    pub fn begin(&mut self, account: Option<&Name>, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let origin = Origin::of(address);
        let key = account.map(|name| (origin, name.clone()));
        let of_account = key.as_ref().and_then(|key| self.accounts.get(key)).copied().unwrap_or_default();
        let of_address = self.addresses.get(&origin).copied().unwrap_or_default();
        let waits = [
            of_account.wait(FREE_PER_ACCOUNT, LOGIN_DELAY_MAX, now),
            of_address.wait(FREE_PER_ADDRESS, ADDRESS_DELAY_MAX, now),
        ];
        if let Some(wait) = waits.into_iter().flatten().max() {
            return Err(wait);
        }
        if let Some(key) = key {
            count(&mut self.accounts, key, now);
        }
        count(&mut self.addresses, origin, now);
        Ok(())
    }

    /// Takes back attempts without an account: they led to a login, or failed for a reason that is not the client's.
    pub fn take_back(&mut self, attempts: u32, address: IpAddr) {
        if let Some(failures) = self.addresses.get_mut(&Origin::of(address)) {
            failures.count = failures.count.saturating_sub(attempts);
        }
    }

    /// Takes back an attempt that succeeded: the failures of the account from this address are forgotten.
    pub fn succeed(&mut self, account: &Name, address: IpAddr) {
        self.accounts.remove(&(Origin::of(address), account.clone()));
        self.take_back(1, address);
    }
}

fn count<K: Ord + Clone>(table: &mut BTreeMap<K, Failures>, key: K, now: Instant) {
    if table.len() >= ENTRIES_MAX && !table.contains_key(&key) {
        table.retain(|_, failures| !failures.is_forgotten(now));
        if table.len() >= ENTRIES_MAX {
            let oldest = table.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| key.clone());
            oldest.map(|oldest| table.remove(&oldest));
        }
    }
    let failures = table.entry(key).or_default();
    let before = if failures.is_forgotten(now) { 0 } else { failures.count };
    *failures = Failures { count: before.saturating_add(1), last: now };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::name;

    fn at(seconds: u64) -> Instant {
        Instant::ORIGIN + Duration::from_secs(seconds)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_delay_of_an_account_and_an_address_grows_and_decays() {
        let (mut delays, anna, home) = (LoginDelays::default(), name("anna"), address("192.0.2.1"));
        let mut clock = 10_000;
        let mut waits = Vec::new();
        for _ in 0..14 {
            while let Err(wait) = delays.begin(Some(&anna), home, at(clock)) {
                waits.push(wait.as_secs());
                clock += wait.as_secs();
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        let later = clock + FORGET_AFTER.as_secs();
        for _ in 0..FREE_PER_ACCOUNT {
            assert_eq!(delays.begin(Some(&anna), home, at(later)), Ok(()), "the failures are forgotten");
        }
        assert!(delays.begin(Some(&anna), home, at(later)).is_err());
    }

    #[test]
    fn failures_elsewhere_do_not_delay_a_user() {
        let (mut delays, anna) = (LoginDelays::default(), name("anna"));
        for number in 0..1_000_u32 {
            let attacker = std::net::Ipv4Addr::from_bits(0x0a00_0000 + number % 100).into();
            let _ = delays.begin(Some(&anna), attacker, at(10_000));
        }
        assert_eq!(delays.begin(Some(&anna), address("192.0.2.1"), at(10_000)), Ok(()));
    }

    #[test]
    fn an_address_is_delayed_for_all_accounts_and_an_ipv6_network_is_one_address() {
        let mut delays = LoginDelays::default();
        for number in 0..FREE_PER_ADDRESS {
            let account = name(&format!("user{number}"));
            let source = address(&format!("2001:db8:0:1::{number}"));
            assert_eq!(delays.begin(Some(&account), source, at(10_000)), Ok(()));
        }
        assert!(delays.begin(None, address("2001:db8:0:1:ffff::"), at(10_000)).is_err());
        assert_eq!(delays.begin(None, address("2001:db8:0:2::"), at(10_000)), Ok(()));
    }

    #[test]
    fn a_success_clears_the_failures() {
        let (mut delays, anna, home) = (LoginDelays::default(), name("anna"), address("192.0.2.1"));
        for _ in 0..10 * FREE_PER_ADDRESS {
            assert_eq!(delays.begin(Some(&anna), home, at(10_000)), Ok(()));
            delays.succeed(&anna, home);
        }
    }

    #[test]
    fn attempts_that_are_taken_back_do_not_count() {
        let (mut delays, home) = (LoginDelays::default(), address("192.0.2.1"));
        for _ in 0..10 * FREE_PER_ADDRESS {
            assert_eq!(delays.begin(None, home, at(10_000)), Ok(()));
            assert_eq!(delays.begin(None, home, at(10_000)), Ok(()));
            delays.take_back(2, home);
        }
        delays.take_back(1, address("192.0.2.2"));
    }

    #[test]
    fn the_tables_are_bounded() {
        let mut delays = LoginDelays::default();
        for number in 0..u32::try_from(ENTRIES_MAX).unwrap() + 100 {
            let source = std::net::Ipv4Addr::from_bits(number).into();
            assert_eq!(delays.begin(Some(&name("anna")), source, at(10_000)), Ok(()));
        }
        assert_eq!((delays.accounts.len(), delays.addresses.len()), (ENTRIES_MAX, ENTRIES_MAX));
    }
}
