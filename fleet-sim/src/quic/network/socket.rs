//! A socket on the simulated network, as quinn requires it.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use linecamp_transport::{AsyncUdpSocket, UdpPoller, udp};

use super::SimNetwork;

/// Maximum bytes buffered at a socket: what the server requests from its kernel. Datagrams beyond that are lost.
const WAITING_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The network's side of a socket.
#[derive(Default)]
pub(super) struct Port(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    is_dead: bool,
    datagrams: VecDeque<(SocketAddr, Arc<[u8]>)>,
    bytes: usize,
    reader: Option<Waker>,
}

impl Port {
    /// Queues a datagram for the reader.
    pub(super) fn take(&self, from: SocketAddr, bytes: Arc<[u8]>) {
        let mut waiting = self.waiting();
        if WAITING_BYTES_MAX < waiting.bytes + bytes.len() {
            return;
        }
        waiting.bytes += bytes.len();
        waiting.datagrams.push_back((from, bytes));
        if let Some(reader) = waiting.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn kill(&self) {
        *self.waiting() = Waiting { is_dead: true, ..Waiting::default() };
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().expect("no holder panics")
    }
}

/// The endpoint's side of a socket. Dropping it frees the address.
pub(super) struct SimSocket {
    network: SimNetwork,
    address: SocketAddr,
    port: Arc<Port>,
}

impl SimSocket {
    pub(super) const fn new(network: SimNetwork, address: SocketAddr, port: Arc<Port>) -> Self {
        Self { network, address, port }
    }
}

impl AsyncUdpSocket for SimSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &udp::Transmit<'_>) -> io::Result<()> {
        if self.port.waiting().is_dead {
            return Ok(());
        }
        let segment_bytes = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for bytes in transmit.contents.chunks(segment_bytes) {
            self.network.send(self.address, transmit.destination, bytes.into());
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [udp::RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut waiting = self.port.waiting();
        let mut count = 0;
        for (buffer, meta) in buffers.iter_mut().zip(meta) {
            let Some((from, bytes)) = waiting.datagrams.pop_front() else { break };
            waiting.bytes -= bytes.len();
            // Truncates, as a kernel does when the buffer is too short.
            let len = bytes.len().min(buffer.len());
            buffer[..len].copy_from_slice(&bytes[..len]);
            *meta = udp::RecvMeta::default();
            (meta.addr, meta.len, meta.stride) = (from, len, len);
            count += 1;
        }
        if count == 0 {
            waiting.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(count))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Drop for SimSocket {
    fn drop(&mut self) {
        self.network.release(self.address, &self.port);
    }
}

impl fmt::Debug for SimSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SimSocket").field(&self.address).finish()
    }
}

/// The in-memory network accepts everything immediately.
#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
