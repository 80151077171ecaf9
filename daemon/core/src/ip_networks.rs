//! Sets of IP networks, such as those of trusted proxies.

use std::fmt;
use std::net::IpAddr;

/// Maximum number of networks in a set. A larger set is rejected.
pub const IP_NETWORKS_MAX: usize = 64;

/// An IP network: `10.0.0.0/8`, `fd00::/8`, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNetwork {
    address: IpAddr,
    prefix: u8,
}

impl IpNetwork {
    /// Parses `ADDRESS/PREFIX` or `ADDRESS`. Bits below the prefix must be zero.
    ///
    /// # Errors
    /// The problem, as a phrase that follows the name of a key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("contains `{text}`; use an address or a network, for example 10.0.0.0/8 or 2001:db8::1");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let bits = bits_of(address);
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(bad)?,
            None => bits,
        };
        let network = Self { address, prefix };
        if network.masked(address) != Some(value_of(address)) {
            return Err(format!("contains `{text}`, which has bits below /{prefix}; set them to 0"));
        }
        Ok(network)
    }

    /// Returns whether the network contains `address`. An IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.masked(address.to_canonical()) == Some(value_of(self.address))
    }

    /// Returns the bits of `address` above the prefix; `None` for the other family.
    fn masked(&self, address: IpAddr) -> Option<u128> {
        if address.is_ipv4() != self.address.is_ipv4() {
            return None;
        }
        let host_bits = u32::from(bits_of(address) - self.prefix);
        Some(value_of(address).checked_shr(host_bits).unwrap_or(0).checked_shl(host_bits).unwrap_or(0))
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

const fn bits_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn value_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A set of networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpNetworks(Vec<IpNetwork>);

impl IpNetworks {
    /// Parses up to [`IP_NETWORKS_MAX`] networks.
    ///
    /// # Errors
    /// The problem, as a phrase that follows the name of a key.
    pub fn parse(texts: &[impl AsRef<str>]) -> Result<Self, String> {
        if IP_NETWORKS_MAX < texts.len() {
            return Err(format!("has {} networks (maximum {IP_NETWORKS_MAX})", texts.len()));
        }
        texts.iter().map(|text| IpNetwork::parse(text.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether one of the networks contains `address`.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Returns whether the set is empty.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_the_addresses_above_its_prefix() {
        let check = |network: &str, address: &str, expected: bool| {
            let found = IpNetwork::parse(network).unwrap().contains(address.parse().unwrap());
            assert_eq!(found, expected, "{network} {address}");
        };
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("10.0.0.0/8", "::ffff:10.0.0.1", true);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.6", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "::1", false);
        check("2001:db8::/32", "2001:db8:ffff::1", true);
        check("2001:db8::/32", "2001:db9::1", false);
        check("::/0", "2001:db9::1", true);
        check("::/0", "10.0.0.1", false);
        check("::1", "::1", true);
    }

    #[test]
    fn an_invalid_network_is_rejected_with_an_example() {
        for bad in ["", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0/8", "::/129", "camp.example", "10.0.0.0/8/8"] {
            let problem = IpNetwork::parse(bad).unwrap_err();
            assert!(problem.contains(&format!("`{bad}`")) && problem.contains("10.0.0.0/8"), "{problem}");
        }
        let problem = IpNetwork::parse("10.0.0.1/8").unwrap_err();
        assert_eq!(problem, "contains `10.0.0.1/8`, which has bits below /8; set them to 0");
        let many = vec!["10.0.0.1"; IP_NETWORKS_MAX + 1];
        assert_eq!(IpNetworks::parse(&many).unwrap_err(), "has 65 networks (maximum 64)");
    }
}
