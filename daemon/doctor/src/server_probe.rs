//! Checks of servers as seen from this machine: name, path, packets, certificate, clock.
//!
//! All addresses of all servers are probed concurrently: [`probe_servers`] takes [`NETWORK_LIMIT`] at most, whatever
//! does not respond. It completes a handshake and closes the connection. It sends no message of the link's protocol, so
//! that no session is opened and a daemon connected at the same time is not disturbed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::{ServerTime, clock};
use crate::code::FindingCode;
use crate::finding::{CheckResult, Finding, Verdict};
use crate::health::{Health, fetch_health};
use crate::path_mtu::{mtu, path_mtu};
use crate::reach::{Fragments, PathProbe, UdpAnswer, tcp_answer, udp, udp_answer};
use linecamp_model::{Pin, ServerAddress};
use linecamp_transport::{
    ADDRESSES_MAX, DialError, ExpiryFloor, LinkProbe, Probed, SystemClock, Trust, WallClock as _, dial_order,
    error_chain, probe_api, resolve,
};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// The names of the checks made from one [`probe_servers`], in their order.
pub const SERVER_CHECKS: &[&str] = &["name-resolution", "mtu", "udp", "tls", "clock"];

/// The longest a [`probe_servers`] takes: name resolution, then a handshake, and a moment to close the connections.
pub const NETWORK_LIMIT: Duration = Duration::from_secs(12);

/// Time for name resolution: one name server may not respond. A daemon waits twice as long.
const NAME_LIMIT: Duration = Duration::from_secs(5);

/// Time for a handshake: of two round trips over a satellite, one may be lost.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);

/// Addresses that are probed, of all servers together: each takes four sockets of the usual 1,024. Of one or two
/// servers these are all addresses that a daemon uses.
const PROBES_MAX: usize = 2 * ADDRESSES_MAX;

/// Servers to probe, and the authority to trust.
#[derive(Clone, Debug)]
pub struct ServerTargets {
    /// The servers.
    pub servers: Vec<ServerAddress>,
    /// New addresses of the server that have not carried a link yet.
    pub candidates: Vec<ServerAddress>,
    /// The servers' certificate authority; `None` if it is not known yet.
    pub trust: Option<Trust>,
    /// The floor for the dates of their certificates.
    pub floor: ExpiryFloor,
}

/// What was observed of one address.
#[derive(Debug)]
pub struct AddressReport {
    /// The address.
    pub address: SocketAddr,
    /// The UDP and TCP probes.
    pub paths: PathProbe,
    /// The handshake of the link.
    pub link: Probed<()>,
    /// The API at the same port number.
    pub api: Option<Health>,
}

/// What was observed of one server.
#[derive(Debug)]
pub struct ServerReport {
    /// The server.
    pub server: ServerAddress,
    /// Whether it is a new address that has not carried a link yet.
    pub is_candidate: bool,
    /// How long its name resolution took, or why it has no address.
    pub resolved: Result<Duration, String>,
    /// Its addresses, as many as are probed.
    pub addresses: Vec<AddressReport>,
    /// The number of its addresses that are not probed, because there are too many.
    pub omitted: usize,
}

impl ServerReport {
    fn unresolved(server: ServerAddress, words: String) -> Self {
        Self { server, is_candidate: false, resolved: Err(words), addresses: Vec::new(), omitted: 0 }
    }
}

/// Probes all servers at once, on a runtime of its own.
///
/// # Errors
/// Why nothing was probed, for people: this machine provides no socket or no thread.
pub fn probe_servers(targets: &ServerTargets) -> Result<Vec<ServerReport>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the network checks: {error}"))?;
    let probed = runtime.block_on(probe_all(targets));
    // Do not wait for a name lookup that never ends.
    runtime.shutdown_background();
    probed
}

async fn probe_all(targets: &ServerTargets) -> Result<Vec<ServerReport>, String> {
    let probe = LinkProbe::bind(HANDSHAKE_LIMIT).map_err(|error| error_chain(&error))?;
    let probe = Arc::new(probe);
    let trust = Arc::new(targets.trust.clone().unwrap_or(Trust::Authorities(Vec::new())));
    let floor = targets.floor;
    let mut tasks = JoinSet::new();
    let share = PROBES_MAX / (targets.servers.len() + targets.candidates.len()).max(1);
    for (place, server) in targets.servers.iter().chain(&targets.candidates).cloned().enumerate() {
        let (probe, trust) = (Arc::clone(&probe), Arc::clone(&trust));
        tasks.spawn(async move { (place, probe_server(server, share, &probe, (&trust, floor)).await) });
    }
    let mut probed = tasks.join_all().await;
    probed.sort_by_key(|(place, _)| *place);
    for (_, candidate) in probed.iter_mut().skip(targets.servers.len()) {
        candidate.is_candidate = true;
    }
    if let Some(probe) = Arc::into_inner(probe) {
        probe.close().await;
    }
    Ok(probed.into_iter().map(|(_, probed)| probed).collect())
}

/// Probes the first addresses in the order of a dial, at most `addresses_max`.
async fn probe_server(
    server: ServerAddress,
    addresses_max: usize,
    probe: &Arc<LinkProbe>,
    (trust, floor): (&Arc<Trust>, ExpiryFloor),
) -> ServerReport {
    let began = Instant::now();
    let resolution = match timeout(NAME_LIMIT, resolve(&server)).await {
        Ok(addresses) => addresses.map_err(|error| error_chain(&error)),
        Err(_) => Err(format!("no name server answered within {} s", NAME_LIMIT.as_secs())),
    };
    let addresses = match resolution {
        Ok(addresses) => dial_order(&addresses, None),
        Err(words) => return ServerReport::unresolved(server, words),
    };
    let (resolved, omitted) = (Ok(began.elapsed()), addresses.len().saturating_sub(addresses_max));
    let mut tasks = JoinSet::new();
    for address in addresses.into_iter().take(addresses_max) {
        let (probe, trust) = (Arc::clone(probe), Arc::clone(trust));
        tasks.spawn(async move { probe_address(address, &probe, (&trust, floor)).await });
    }
    let mut addresses = tasks.join_all().await;
    addresses.sort_by_key(|report| report.address);
    ServerReport { server, is_candidate: false, resolved, addresses, omitted }
}

async fn probe_address(address: SocketAddr, probe: &LinkProbe, (trust, floor): (&Trust, ExpiryFloor)) -> AddressReport {
    let (udp, fragmented, link, tcp, api) = tokio::join!(
        udp_answer(address, Fragments::Forbidden),
        udp_answer(address, Fragments::Allowed),
        probe.probe(address, trust, floor),
        tcp_answer(address),
        timeout(HANDSHAKE_LIMIT, health(address, trust)),
    );
    let fragments_pass = matches!(fragmented, UdpAnswer::Answered(_));
    let mtu = path_mtu(address).ok();
    let paths = PathProbe { udp, fragments_pass, mtu, has_handshake: has_answered(&link), tcp };
    AddressReport { address, paths, link, api: api.ok().flatten() }
}

async fn health(address: SocketAddr, trust: &Trust) -> Option<Health> {
    let stream = probe_api(address, None, trust).await.result.ok()?;
    fetch_health(stream).await.ok()
}

/// Whether the handshake got a reply, trusted or not.
fn has_answered(link: &Probed<()>) -> bool {
    match &link.result {
        Ok(()) => true,
        Err(DialError::Silent { .. } | DialError::Local { .. } | DialError::Resolve { .. }) => false,
        Err(_) => true,
    }
}

/// Evaluates the reports of the servers. An unreachable server is a warning if another one is reachable.
pub fn server_findings(probed: &[ServerReport], trust: Option<&Trust>, skew_max: Duration) -> Vec<Finding> {
    let (mut names, mut mtus, mut paths, mut handshakes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for one in probed {
        let server = one.server.to_string();
        let label = if one.is_candidate { " (new, not confirmed)" } else { "" };
        names.push((name(one), format!("{server}{label}")));
        for report in &one.addresses {
            let at = report.address.to_string();
            let subject = if at == server { at } else { format!("{server} at {}", report.address.ip()) } + label;
            mtus.push((mtu(report.address), subject.clone()));
            paths.push((udp(report.address, &report.paths), subject.clone()));
            handshakes.push((tls(&report.link, trust), subject));
        }
    }
    let groups = [("name-resolution", names), ("mtu", mtus), ("udp", paths), ("tls", handshakes)];
    let mut found: Vec<_> = groups.into_iter().flat_map(|(name, results)| group(name, results)).collect();
    found.push(clock(SystemClock.now(), server_time(probed).as_ref(), skew_max).of("clock"));
    found
}

fn group(name: &'static str, results: Vec<(CheckResult, String)>) -> Vec<Finding> {
    if results.is_empty() {
        return vec![CheckResult::skipped(FindingCode::NoAddress, "no address to check").of(name)];
    }
    let works = results.iter().any(|(result, _)| matches!(result.verdict, Verdict::Ok | Verdict::Warn));
    let downgrade = |result: CheckResult| {
        if works { result.downgraded("another address works, and one is enough") } else { result }
    };
    results.into_iter().map(|(result, subject)| downgrade(result).about(name, &subject)).collect()
}

fn name(probed: &ServerReport) -> CheckResult {
    let host = probed.server.host();
    match &probed.resolved {
        Ok(_) if host.parse::<std::net::IpAddr>().is_ok() => {
            CheckResult::ok("an IP address, so no name resolution is needed")
        }
        Ok(took) => {
            let ips: Vec<_> = probed.addresses.iter().map(|report| report.address.ip().to_string()).collect();
            let more = match probed.omitted {
                0 => String::new(),
                omitted => format!(" and {omitted} more, which are not checked,"),
            };
            CheckResult::ok(format!("{host} resolves to {}{more} in {took:.1?}", ips.join(", ")))
        }
        Err(words) => CheckResult::fail(
            FindingCode::NameNotResolved,
            words.clone(),
            format!("check the name with `getent ahosts {host}`, and the name servers in /etc/resolv.conf"),
        ),
    }
}

/// Evaluates a handshake of the link.
fn tls(link: &Probed<()>, trust: Option<&Trust>) -> CheckResult {
    let shown: &[Pin] = link.shown.as_ref().map_or(&[], |shown| &shown.authorities);
    let Some(trust) = trust else {
        return match shown.last() {
            Some(pin) => CheckResult::skipped(
                FindingCode::NoTrust,
                format!("the server shows authority {pin}; this site needs a join token to verify it"),
            ),
            None => {
                CheckResult::skipped(FindingCode::NoTrust, "no trusted authority yet: this site needs a join token")
            }
        };
    };
    let error = match (&link.result, &link.shown) {
        (Ok(()), Some(shown)) => {
            let authority = shown.authorities.last().map_or_else(|| "the trusted one".to_owned(), Pin::to_string);
            return CheckResult::ok(format!(
                "handshake in {:.1?}, certificate valid until {}, authority {authority}",
                link.took, shown.validity.end
            ));
        }
        (Ok(()), None) => return CheckResult::ok(format!("handshake in {:.1?}", link.took)),
        (Err(error), _) => error,
    };
    let words = error_chain(error);
    let restored = "if the server was reinstalled, restore its `ca` directory from a backup, or create a new token there \
                    and join again: `linecampd forget`, then `linecampd join`";
    match error {
        DialError::Silent { .. } | DialError::Local { .. } => {
            CheckResult::skipped(FindingCode::NoHandshake, "the handshake did not complete; see the check `udp`")
        }
        DialError::ForeignAuthority { .. } => CheckResult::fail(
            FindingCode::WrongAuthority,
            format!("{words}; the server shows {}, this site trusts {}", pins(shown), pins(&trust.pins())),
            restored,
        ),
        DialError::WrongPin { .. } | DialError::Replaced { .. } => {
            CheckResult::fail(FindingCode::WrongAuthority, words, restored)
        }
        DialError::Expired { .. } => CheckResult::fail(
            FindingCode::ServerCertificateExpired,
            words,
            "see the check `clock` here and in `linecamp-server doctor`",
        ),
        DialError::WrongName { .. } => {
            CheckResult::fail(FindingCode::WrongName, words, "check the address: it may belong to another machine")
        }
        _ => CheckResult::fail(
            FindingCode::IncompatibleServer,
            format!("a QUIC server answers, but it is not a compatible linecamp-server: {words}"),
            "check the address, and that the server's version is compatible with this one",
        ),
    }
}

fn pins(pins: &[Pin]) -> String {
    let words: Vec<_> = pins.iter().map(Pin::to_string).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// Returns the best available reading of the server's clock.
fn server_time(probed: &[ServerReport]) -> Option<ServerTime> {
    let all = || probed.iter().flat_map(|one| &one.addresses);
    let reported = all().find_map(|report| report.api.as_ref()?.date.clone().map(ServerTime::Reported));
    let within = || {
        all().find_map(|report| {
            let is_trusted = matches!(report.link.result, Ok(()) | Err(DialError::Expired { .. }));
            let shown = report.link.shown.as_ref().filter(|_| is_trusted)?;
            Some(ServerTime::Within(shown.server_time()))
        })
    };
    reported.or_else(within)
}

#[cfg(test)]
mod tests {
    use linecamp_model::{Parent, WallTime};

    use super::*;

    fn probed(result: Result<(), DialError>) -> Probed<()> {
        let pin = Pin::of(b"shown");
        let validity = WallTime::EPOCH..WallTime::EPOCH + Duration::from_secs(1000);
        let shown = Some(linecamp_transport::PresentedChain { authorities: vec![pin], validity });
        Probed { shown, took: Duration::from_millis(4), result }
    }

    #[track_caller]
    fn check(result: Result<(), DialError>, expected: Verdict, code: FindingCode) {
        let result = tls(&probed(result), Some(&Trust::Pin(Pin::of(b"trusted"))));
        assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
    }

    #[test]
    fn a_handshake_failure_has_its_exact_reason() {
        let (server, parent) = (|| "192.0.2.1:8443".to_owned(), Parent::Server);
        check(Ok(()), Verdict::Ok, FindingCode::Ok);
        let silent = DialError::Silent { server: server(), limit: Duration::from_secs(5), transport: "UDP" };
        check(Err(silent), Verdict::Skipped, FindingCode::NoHandshake);
        let foreign = || Err(DialError::ForeignAuthority { server: server(), parent });
        check(foreign(), Verdict::Fail, FindingCode::WrongAuthority);
        let evidence = tls(&probed(foreign()), Some(&Trust::Pin(Pin::of(b"trusted")))).evidence;
        for pin in [Pin::of(b"shown"), Pin::of(b"trusted")] {
            assert!(evidence.contains(&pin.to_string()), "both pins are named: {evidence}");
        }
        let (not_after, now) = (WallTime::EPOCH, WallTime::EPOCH + Duration::from_secs(5));
        check(
            Err(DialError::Expired { server: server(), parent, not_after, now }),
            Verdict::Fail,
            FindingCode::ServerCertificateExpired,
        );
        let name = DialError::WrongName { server: server(), parent, expected: "camp".to_owned() };
        check(Err(name), Verdict::Fail, FindingCode::WrongName);
        let other = DialError::Handshake { server: server(), source: "no such protocol".into() };
        check(Err(other), Verdict::Fail, FindingCode::IncompatibleServer);
        let before = tls(&probed(Ok(())), None);
        assert_eq!((before.verdict, before.code), (Verdict::Skipped, FindingCode::NoTrust));
    }

    #[test]
    fn one_address_that_works_makes_the_others_failures_warnings() {
        let bad = || (CheckResult::fail(FindingCode::ServerSilent, "no answer", "check it"), "b:1".to_owned());
        let verdicts = |results| group("udp", results).iter().map(|finding| finding.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(vec![bad()]), [Verdict::Fail]);
        assert_eq!(verdicts(vec![(CheckResult::ok(""), "a:1".to_owned()), bad()]), [Verdict::Ok, Verdict::Warn]);
        assert_eq!(verdicts(vec![]), [Verdict::Skipped]);
    }
}
