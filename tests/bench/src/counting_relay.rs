//! A counting wire: a UDP relay between a site and its server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Bytes of the IPv4 and UDP headers of each datagram.
const HEADER_BYTES: u64 = 28;

/// Datagrams closer together than this belong to one exchange.
const EXCHANGE_GAP: Duration = Duration::from_secs(2);

/// A relay for one site. Dropping it cuts the path.
#[derive(Debug)]
pub(crate) struct CountingWire {
    address: SocketAddr,
    datagrams: Arc<Mutex<Vec<(Instant, u64)>>>,
    relaying: JoinHandle<()>,
}

/// The cost of an idle link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdleRate {
    /// Bytes per second, headers included, both directions.
    pub(crate) bytes_per_second: f64,
    /// Datagrams in `span`.
    pub(crate) datagrams: usize,
    /// The observed time: whole periods, from one exchange to another.
    pub(crate) span: Duration,
}

impl CountingWire {
    /// Starts a relay to `server`.
    pub(crate) async fn start(server: SocketAddr) -> anyhow::Result<Self> {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.context("failed to open a wire")?;
        let behind = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        behind.connect(server).await?;
        let datagrams = Arc::new(Mutex::default());
        Ok(Self {
            address: front.local_addr()?,
            relaying: tokio::spawn(relay(front, behind, Arc::clone(&datagrams))),
            datagrams,
        })
    }

    /// Returns the address that a site dials instead of the server's.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the rate over whole periods since `from`: from the first exchange up to the last, excluding the last.
    /// `None` until there are two.
    pub(crate) fn idle_rate(&self, from: Instant) -> Option<IdleRate> {
        let datagrams = self.datagrams.lock().unwrap_or_else(PoisonError::into_inner);
        let since: Vec<_> = datagrams.iter().filter(|(at, _)| from <= *at).copied().collect();
        rate(&since)
    }
}

impl Drop for CountingWire {
    fn drop(&mut self) {
        self.relaying.abort();
    }
}

fn rate(datagrams: &[(Instant, u64)]) -> Option<IdleRate> {
    let starts: Vec<_> =
        (0..datagrams.len()).filter(|&at| at == 0 || EXCHANGE_GAP < datagrams[at].0 - datagrams[at - 1].0).collect();
    // The very first one may be the second half of an exchange.
    let (first, last) = (*starts.get(1)?, *starts.last()?);
    let span = datagrams[last].0 - datagrams[first].0;
    let bytes: u64 = datagrams[first..last].iter().map(|(_, bytes)| bytes + HEADER_BYTES).sum();
    (first < last).then(|| IdleRate {
        bytes_per_second: crate::numbers::count(bytes) / span.as_secs_f64(),
        datagrams: last - first,
        span,
    })
}

async fn relay(front: UdpSocket, behind: UdpSocket, datagrams: Arc<Mutex<Vec<(Instant, u64)>>>) {
    let (mut up, mut down) = (vec![0; 65_535], vec![0; 65_535]);
    let mut site = None;
    loop {
        // A server that is not running means a lost datagram, as on any wire.
        let passed = tokio::select! {
            received = front.recv_from(&mut up) => match received {
                Ok((bytes, from)) => {
                    site = Some(from);
                    behind.send(&up[..bytes]).await
                }
                Err(error) => Err(error),
            },
            received = behind.recv(&mut down) => match (received, site) {
                (Ok(bytes), Some(site)) => front.send_to(&down[..bytes], site).await,
                (received, _) => received,
            },
        };
        if let Ok(bytes @ 1..) = passed {
            let entry = (Instant::now(), bytes as u64);
            datagrams.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_measured_over_whole_periods() {
        let start = Instant::now();
        let at = |millis, bytes| (start + Duration::from_millis(millis), bytes);
        let seen = [at(0, 9), at(15_000, 42), at(15_001, 30), at(30_000, 42), at(30_001, 30), at(45_000, 42)];
        let rate = rate(&seen).unwrap();
        assert_eq!((rate.datagrams, rate.span), (4, Duration::from_secs(30)));
        assert!((rate.bytes_per_second - 256.0 / 30.0).abs() < 1e-9);
        assert!(super::rate(&seen[..2]).is_none());
    }
}
