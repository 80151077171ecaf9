//! Ports that belong to one test as long as it runs, even while the server that uses them is down.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// Below the kernel's ephemeral ports (32768 and up), above the well-known ones.
const RANGE: std::ops::Range<u16> = 21_000..28_000;

/// A port for TCP and UDP on the loopback interface. A locked file keeps other tests off it, in any process; nothing
/// else picks a port from this range by chance.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a free port.
    pub fn take() -> Self {
        let directory = std::env::temp_dir().join("linecamp-test-ports");
        fs::create_dir_all(&directory).expect("the directory of port locks can be made");
        // Processes start at different offsets, so that they rarely collide.
        let offset =
            u16::try_from(std::process::id() % u32::from(RANGE.end - RANGE.start)).expect("it is in the range");
        let candidates = (RANGE.start + offset..RANGE.end).chain(RANGE.start..RANGE.start + offset);
        let mut ports = candidates.filter_map(|number| {
            let lock = File::options().create(true).append(true).open(directory.join(number.to_string())).ok()?;
            lock.try_lock().ok()?;
            let port = Self { number, _lock: lock };
            port.is_free().then_some(port)
        });
        ports.next().expect("one of 7,000 ports is free")
    }

    /// Returns the port's address.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }

    fn is_free(&self) -> bool {
        TcpListener::bind(self.address()).is_ok() && UdpSocket::bind(self.address()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_reserved_by_one_test_at_a_time() {
        let (first, second) = (Port::take(), Port::take());
        assert_ne!(first.address(), second.address());
    }
}
