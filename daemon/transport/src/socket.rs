//! A UDP socket for QUIC.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{AsyncUdpSocket, Runtime as _};
use socket2::{Domain, Protocol, Socket, Type};

/// Opens `address`, for both families if it is the unspecified IPv6 address, and requests buffers of `buffer_bytes`;
/// smaller ones are accepted.
pub(crate) fn open_socket(address: SocketAddr, buffer_bytes: Option<usize>) -> io::Result<Arc<dyn AsyncUdpSocket>> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    if let Some(bytes) = buffer_bytes {
        let result = socket.set_recv_buffer_size(bytes).and_then(|()| socket.set_send_buffer_size(bytes));
        if let Err(error) = result {
            tracing::debug!(%error, bytes, "cannot set the socket buffer size; keeping the default");
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    quinn::TokioRuntime.wrap_udp_socket(socket.into())
}
