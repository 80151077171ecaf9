//! A running digest of everything on the wire: FNV-1a, 64 bits (Fowler, Noll, Vo).
//!
//! It covers each datagram sent, in order: its time in microseconds since the start of the run, its source as others
//! see it, its destination, its length, its bytes. Numbers are little-endian; an address is 4 or 16 bytes followed by
//! the port.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

#[derive(Debug)]
pub(super) struct WireHash {
    digest: u64,
    datagrams: u64,
}

impl Default for WireHash {
    fn default() -> Self {
        Self { digest: OFFSET, datagrams: 0 }
    }
}

impl WireHash {
    pub(super) fn add(&mut self, time: Duration, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.mix(&micros.to_le_bytes());
        self.mix_address(from);
        self.mix_address(to);
        self.mix(&(bytes.len() as u64).to_le_bytes());
        self.mix(bytes);
        self.datagrams += 1;
    }

    pub(super) const fn digest(&self) -> u64 {
        self.digest
    }

    #[cfg(test)]
    pub(super) const fn datagrams(&self) -> u64 {
        self.datagrams
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.digest = bytes.iter().fold(self.digest, |digest, byte| (digest ^ u64::from(*byte)).wrapping_mul(PRIME));
    }

    fn mix_address(&mut self, address: SocketAddr) {
        match address.ip() {
            IpAddr::V4(ip) => self.mix(&ip.octets()),
            IpAddr::V6(ip) => self.mix(&ip.octets()),
        }
        self.mix(&address.port().to_le_bytes());
    }
}

/// Returns the digest of an address alone.
pub(super) fn digest_of(address: SocketAddr) -> u64 {
    let mut hash = WireHash::default();
    hash.mix_address(address);
    hash.digest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_matches_the_published_values() {
        let digest = |text: &str| {
            let mut hash = WireHash::default();
            hash.mix(text.as_bytes());
            hash.digest
        };
        assert_eq!(digest(""), OFFSET);
        assert_eq!(digest("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(digest("foobar"), 0x8594_4171_f739_67e8);
    }
}
