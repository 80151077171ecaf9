//! Checks whether a grant covers a host and port, and then the addresses that the host resolves to.

use std::net::{IpAddr, SocketAddr};

use linecamp_model::{Endpoint, Grant};

use super::GateError;
use super::address::is_public;

/// How an endpoint is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Only if all of its addresses are public.
    Public,
    /// At any address.
    Anywhere,
}

/// Returns how `endpoint` is granted.
pub(crate) fn granted(grant: &Grant, endpoint: &Endpoint) -> Result<Reach, GateError> {
    if grant.reach_private.contains(endpoint) {
        Ok(Reach::Anywhere)
    } else if grant.reach.contains(endpoint) {
        Ok(Reach::Public)
    } else {
        Err(GateError::Denied(format!("the provider is not granted {endpoint}; add it to the provider's `reach`")))
    }
}

/// Returns the addresses to connect to, if the grant covers every address of `endpoint`: a name with both public and
/// private addresses is suspicious.
pub(crate) fn vetted(endpoint: &Endpoint, reach: Reach, found: Vec<IpAddr>) -> Result<Vec<SocketAddr>, GateError> {
    if let Some(inside) = found.iter().find(|address| reach == Reach::Public && !is_public(**address)) {
        return Err(GateError::Denied(format!(
            "{endpoint} leads to {inside}, which is not a public address; if that is meant, grant it in the provider's \
             `reach_private`"
        )));
    }
    if found.is_empty() {
        return Err(GateError::Unreachable(format!("{} has no address", endpoint.host())));
    }
    Ok(found.into_iter().map(|address| SocketAddr::new(address, endpoint.port())).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        Endpoint::parse(text).unwrap()
    }

    #[test]
    fn a_grant_is_of_a_host_and_a_port() {
        let reach = BTreeSet::from([endpoint("api.example.org:443")]);
        let reach_private = BTreeSet::from([endpoint("pdns:8081"), endpoint("127.0.0.1:53")]);
        let grant = Grant { reach, reach_private, plain_http: false };
        let check = |text: &str, expected: Option<Reach>| assert_eq!(granted(&grant, &endpoint(text)).ok(), expected);
        check("api.example.org:443", Some(Reach::Public));
        check("API.example.org.:443", Some(Reach::Public));
        check("api.example.org:80", None);
        check("example.org:443", None);
        check("x.api.example.org:443", None);
        check("pdns:8081", Some(Reach::Anywhere));
        check("127.0.0.1:53", Some(Reach::Anywhere));
        check("127.0.0.1:8081", None);
    }

    #[test]
    fn one_private_address_spoils_a_public_name() {
        let check = |addresses: &[&str], reach| {
            let found = addresses.iter().map(|text| text.parse().unwrap()).collect();
            vetted(&endpoint("api.example.org:443"), reach, found)
        };
        assert_eq!(check(&["1.1.1.1"], Reach::Public).unwrap(), ["1.1.1.1:443".parse().unwrap()]);
        assert!(matches!(check(&["1.1.1.1", "127.0.0.1"], Reach::Public), Err(GateError::Denied(_))));
        assert!(matches!(check(&["::ffff:192.168.0.1"], Reach::Public), Err(GateError::Denied(_))));
        assert!(check(&["1.1.1.1", "127.0.0.1"], Reach::Anywhere).is_ok());
        assert!(matches!(check(&[], Reach::Public), Err(GateError::Unreachable(_))));
    }
}
