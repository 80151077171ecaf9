//! The peer that a client expects, which decides the name in the certificate that it accepts.

use linecamp_model::{Parent, SiteId};
use rustls::pki_types::ServerName;

use crate::identity::{GATEWAY_NAME, SERVER_NAME, gateway_name};

/// The peer that a client expects: it accepts no other one, whatever authority issued the certificate.
///
/// A host trusts the authority of its gateway besides that of the server, and a thief of the gateway has that
/// authority's key. So trust that includes a gateway's authority is only for dialing a gateway, never for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A server.
    Server,
    /// The gateway of this site. `None`, for a host that joins: of any site, with a certificate of the gateway's own
    /// authority, which the pin identifies.
    Gateway(Option<SiteId>),
}

impl Expected {
    /// Returns what the peer is, for messages.
    pub const fn parent(self) -> Parent {
        match self {
            Self::Server => Parent::Server,
            Self::Gateway(_) => Parent::Gateway,
        }
    }

    /// Returns the name that the peer's certificate must have.
    pub(crate) fn name(self) -> ServerName<'static> {
        let name = match self {
            Self::Server => SERVER_NAME.to_owned(),
            Self::Gateway(None) => GATEWAY_NAME.to_owned(),
            Self::Gateway(Some(site)) => gateway_name(site),
        };
        ServerName::try_from(name).expect("it is a DNS name")
    }
}
