//! Checks whether a grant covers a host and port, and then the addresses that the host resolves to.

use std::net::{IpAddr, SocketAddr};

use linecamp_model::{Endpoint, Grant, is_public_address};

use super::HostCallError;

/// How an endpoint is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GrantKind {
    /// Only if all of its addresses are public.
    Public,
    /// At any address.
    Anywhere,
}

/// Returns how `endpoint` is granted.
pub(crate) fn granted(grant: &Grant, endpoint: &Endpoint) -> Result<GrantKind, HostCallError> {
    if grant.reach_private.contains(endpoint) {
        Ok(GrantKind::Anywhere)
    } else if grant.reach.contains(endpoint) {
        Ok(GrantKind::Public)
    } else {
        Err(HostCallError::Denied(format!("the provider is not granted {endpoint}; add it to the provider's `reach`")))
    }
}

/// Returns the addresses to connect to, if the grant covers every address of `endpoint`: a name with both public and
/// private addresses is suspicious.
pub(crate) fn allowed_addresses(
    endpoint: &Endpoint,
    kind: GrantKind,
    found: Vec<IpAddr>,
) -> Result<Vec<SocketAddr>, HostCallError> {
    if let Some(inside) = found.iter().find(|address| kind == GrantKind::Public && !is_public_address(**address)) {
        return Err(HostCallError::Denied(format!(
            "{endpoint} resolves to {inside}, which is not a public address; to allow that, add it to the provider's \
             `reach_private`"
        )));
    }
    if found.is_empty() {
        return Err(HostCallError::Unreachable(format!("{} has no address", endpoint.host())));
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
        let check =
            |text: &str, expected: Option<GrantKind>| assert_eq!(granted(&grant, &endpoint(text)).ok(), expected);
        check("api.example.org:443", Some(GrantKind::Public));
        check("API.example.org.:443", Some(GrantKind::Public));
        check("api.example.org:80", None);
        check("example.org:443", None);
        check("x.api.example.org:443", None);
        check("pdns:8081", Some(GrantKind::Anywhere));
        check("127.0.0.1:53", Some(GrantKind::Anywhere));
        check("127.0.0.1:8081", None);
    }

    #[test]
    fn a_public_name_with_a_private_address_is_rejected() {
        let check = |addresses: &[&str], reach| {
            let found = addresses.iter().map(|text| text.parse().unwrap()).collect();
            allowed_addresses(&endpoint("api.example.org:443"), reach, found)
        };
        assert_eq!(check(&["1.1.1.1"], GrantKind::Public).unwrap(), ["1.1.1.1:443".parse().unwrap()]);
        assert!(matches!(check(&["1.1.1.1", "127.0.0.1"], GrantKind::Public), Err(HostCallError::Denied(_))));
        assert!(matches!(check(&["4000::1"], GrantKind::Public), Err(HostCallError::Denied(_))));
        assert!(matches!(check(&["::ffff:0:127.0.0.1"], GrantKind::Public), Err(HostCallError::Denied(_))));
        assert!(matches!(check(&["::ffff:192.168.0.1"], GrantKind::Public), Err(HostCallError::Denied(_))));
        assert!(check(&["1.1.1.1", "127.0.0.1"], GrantKind::Anywhere).is_ok());
        assert!(matches!(check(&[], GrantKind::Public), Err(HostCallError::Unreachable(_))));
    }
}
