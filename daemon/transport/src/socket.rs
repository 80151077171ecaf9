//! Sockets: those of QUIC, and which address is listened on by a kernel without IPv6.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn::{AsyncUdpSocket, Runtime as _};
use socket2::{Domain, Protocol, Socket, Type};

/// `EAFNOSUPPORT` of Linux (`asm-generic/errno.h`): the kernel was started without IPv6, with `ipv6.disable=1`, or
/// built without it.
const FAMILY_NOT_SUPPORTED: i32 = 97;

/// Opens `address`, for both families if it is the unspecified IPv6 address, and requests buffers of `buffer_bytes`;
/// smaller ones are accepted. A kernel without IPv6 opens it for IPv4 ([`ipv4_instead`]).
pub(crate) fn open_socket(address: SocketAddr, buffer_bytes: Option<usize>) -> io::Result<Arc<dyn AsyncUdpSocket>> {
    open(address, buffer_bytes).or_else(|error| match ipv4_instead(address, &error) {
        Some(address) => open(address, buffer_bytes),
        None => Err(error),
    })
}

/// Returns what to listen on if `address` could not be opened because of `error`: the unspecified IPv6 address means
/// every address of the machine, which on a kernel without IPv6 is the unspecified IPv4 address. Every listener asks
/// here. An IPv6 address that was chosen has no substitute.
pub fn ipv4_instead(address: SocketAddr, error: &io::Error) -> Option<SocketAddr> {
    let is_every_address = address.ip() == Ipv6Addr::UNSPECIFIED;
    let lacks_ipv6 = error.raw_os_error() == Some(FAMILY_NOT_SUPPORTED);
    (is_every_address && lacks_ipv6).then(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
}

fn open(address: SocketAddr, buffer_bytes: Option<usize>) -> io::Result<Arc<dyn AsyncUdpSocket>> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_ipv6_listens_on_every_ipv4_address() {
        let check = |address: &str, error: io::Error, expected: Option<&str>| {
            let address = address.parse().unwrap();
            let expected = expected.map(|expected| expected.parse().unwrap());
            assert_eq!(ipv4_instead(address, &error), expected, "{address}: {error}");
        };
        let without_ipv6 = || io::Error::from_raw_os_error(FAMILY_NOT_SUPPORTED);
        check("[::]:4433", without_ipv6(), Some("0.0.0.0:4433"));
        check("[::1]:4433", without_ipv6(), None);
        check("[2001:db8::1]:4433", without_ipv6(), None);
        check("0.0.0.0:4433", without_ipv6(), None);
        check("[::]:4433", io::ErrorKind::AddrInUse.into(), None);
        check("[::]:4433", io::ErrorKind::PermissionDenied.into(), None);
    }

    /// The number is that of this system: a family that no kernel has is rejected with it.
    #[test]
    fn an_unknown_family_is_rejected_with_the_expected_error() {
        let error = Socket::new(Domain::from(250), Type::DGRAM, None).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(FAMILY_NOT_SUPPORTED), "{error}");
    }
}
