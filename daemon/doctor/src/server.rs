//! Checks of servers as seen from this machine: name, path, packets, certificate, clock.
//!
//! All addresses of all servers are probed concurrently: [`look`] takes [`NETWORK_LIMIT`] at most, whatever does not
//! respond. It completes a handshake and closes the connection. It sends no message of the link's protocol, so that no
//! session is opened and a daemon connected at the same time is not disturbed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use linecamp_model::{Pin, ServerAddress, WallTime};
use linecamp_transport::{DialError, LinkProbe, Probed, SystemClock, Trust, WallClock as _, probe_api, resolve};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::chain;
use crate::clock::{ServerTime, clock};
use crate::finding::{CheckResult, Finding, Verdict};
use crate::http::{Health, ask_health};
use crate::reach::{UdpSeen, tcp_answer, udp, udp_answer};
use crate::route::mtu;

/// The names of the checks made from one [`look`], in their order.
pub const SERVER_CHECKS: &[&str] = &["name-resolution", "mtu", "udp", "tls", "clock"];

/// The longest a [`look`] takes: name resolution, then a handshake, and a moment to close the connections.
pub const NETWORK_LIMIT: Duration = Duration::from_secs(12);

/// Time for name resolution: one name server may not respond. A daemon waits twice as long.
const NAME_LIMIT: Duration = Duration::from_secs(5);

/// Time for a handshake: of two round trips over a satellite, one may be lost.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);

/// Addresses per name that are probed: as many as a daemon dials.
const ADDRESSES_MAX: usize = 4;

/// Servers to probe, and the authority to trust.
#[derive(Clone, Debug)]
pub struct ServerTargets {
    /// The servers.
    pub servers: Vec<ServerAddress>,
    /// The servers' certificate authority; `None` if it is not known yet.
    pub trust: Option<Trust>,
}

/// What was observed of one address.
#[derive(Debug)]
pub struct AddressReport {
    /// The address.
    pub address: SocketAddr,
    /// The UDP and TCP probes.
    pub seen: UdpSeen,
    /// The handshake of the link.
    pub link: Probed<()>,
    /// The API at the same port number, and what our own clock showed when it responded.
    pub api: Option<(Health, WallTime)>,
}

/// What was observed of one server.
#[derive(Debug)]
pub struct ServerReport {
    /// The server.
    pub server: ServerAddress,
    /// How long its name resolution took, or why it has no address.
    pub named: Result<Duration, String>,
    /// Its addresses, as many as are probed.
    pub addresses: Vec<AddressReport>,
}

/// Probes all servers at once, on a runtime of its own.
///
/// # Errors
/// Why nothing was probed, for people: this machine provides no socket or no thread.
pub fn look(whom: &ServerTargets) -> Result<Vec<ServerReport>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("failed to start looking: {error}"))?;
    let looked = runtime.block_on(look_at_all(whom));
    // Do not wait for a name lookup that never ends.
    runtime.shutdown_background();
    looked
}

async fn look_at_all(whom: &ServerTargets) -> Result<Vec<ServerReport>, String> {
    let probe = LinkProbe::bind(HANDSHAKE_LIMIT).map_err(|error| chain(&error))?;
    let probe = Arc::new(probe);
    let trust = Arc::new(whom.trust.clone().unwrap_or(Trust::Authorities(Vec::new())));
    let mut tasks = JoinSet::new();
    for (place, server) in whom.servers.iter().cloned().enumerate() {
        let (probe, trust) = (Arc::clone(&probe), Arc::clone(&trust));
        tasks.spawn(async move { (place, look_at_server(server, &probe, &trust).await) });
    }
    let mut looked = tasks.join_all().await;
    looked.sort_by_key(|(place, _)| *place);
    if let Some(probe) = Arc::into_inner(probe) {
        probe.part().await;
    }
    Ok(looked.into_iter().map(|(_, looked)| looked).collect())
}

async fn look_at_server(server: ServerAddress, probe: &Arc<LinkProbe>, trust: &Arc<Trust>) -> ServerReport {
    let began = Instant::now();
    let resolved = match timeout(NAME_LIMIT, resolve(&server)).await {
        Ok(resolved) => resolved.map_err(|error| chain(&error)),
        Err(_) => Err(format!("no name server answered within {} s", NAME_LIMIT.as_secs())),
    };
    let addresses = match resolved {
        Ok(addresses) => addresses,
        Err(words) => return ServerReport { server, named: Err(words), addresses: Vec::new() },
    };
    let named = Ok(began.elapsed());
    let mut tasks = JoinSet::new();
    for address in addresses.into_iter().take(ADDRESSES_MAX) {
        let (probe, trust) = (Arc::clone(probe), Arc::clone(trust));
        tasks.spawn(async move { look_at_address(address, &probe, &trust).await });
    }
    let mut addresses = tasks.join_all().await;
    addresses.sort_by_key(|look| look.address);
    ServerReport { server, named, addresses }
}

async fn look_at_address(address: SocketAddr, probe: &LinkProbe, trust: &Trust) -> AddressReport {
    let (udp, link, tcp, api) = tokio::join!(
        udp_answer(address),
        probe.look(address, trust),
        tcp_answer(address),
        timeout(HANDSHAKE_LIMIT, health(address, trust)),
    );
    let seen = UdpSeen { udp, is_shaking: has_answered(&link), tcp };
    AddressReport { address, seen, link, api: api.ok().flatten() }
}

async fn health(address: SocketAddr, trust: &Trust) -> Option<(Health, WallTime)> {
    let stream = probe_api(address, None, trust).await.result.ok()?;
    let health = ask_health(stream).await.ok()?;
    Some((health, SystemClock.now()))
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
pub fn server_findings(looked: &[ServerReport], trust: Option<&Trust>, skew_max: Duration) -> Vec<Finding> {
    let (mut names, mut widths, mut ways, mut papers) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for one in looked {
        let server = one.server.to_string();
        names.push((name(one), server.clone()));
        for look in &one.addresses {
            let at = look.address.to_string();
            let subject = if at == server { at } else { format!("{server} at {}", look.address.ip()) };
            widths.push((mtu(look.address), subject.clone()));
            ways.push((udp(look.address, &look.seen), subject.clone()));
            papers.push((tls(&look.link, trust), subject));
        }
    }
    let groups = [("name-resolution", names), ("mtu", widths), ("udp", ways), ("tls", papers)];
    let mut found: Vec<_> = groups.into_iter().flat_map(|(name, remarks)| group(name, remarks)).collect();
    let (ours, theirs) = server_time(looked);
    found.push(clock(ours, theirs.as_ref(), skew_max).of("clock"));
    found
}

fn group(name: &'static str, remarks: Vec<(CheckResult, String)>) -> Vec<Finding> {
    if remarks.is_empty() {
        return vec![CheckResult::skipped("there is no address to look at").of(name)];
    }
    let works = remarks.iter().any(|(remark, _)| matches!(remark.verdict, Verdict::Ok | Verdict::Warn));
    let temper =
        |remark: CheckResult| if works { remark.tempered("another address does, and one is enough") } else { remark };
    remarks.into_iter().map(|(remark, subject)| temper(remark).about(name, &subject)).collect()
}

fn name(looked: &ServerReport) -> CheckResult {
    let host = looked.server.host();
    match &looked.named {
        Ok(_) if host.parse::<std::net::IpAddr>().is_ok() => {
            CheckResult::ok("an address, so there is nothing to look up")
        }
        Ok(took) => {
            let ips: Vec<_> = looked.addresses.iter().map(|look| look.address.ip().to_string()).collect();
            CheckResult::ok(format!("{host} is {}, found in {took:.1?}", ips.join(", ")))
        }
        Err(words) => CheckResult::fail(
            words.clone(),
            format!("`getent ahosts {host}`; the name servers are in /etc/resolv.conf, and the name is in DNS or not"),
        ),
    }
}

/// Evaluates a handshake of the link.
fn tls(link: &Probed<()>, trust: Option<&Trust>) -> CheckResult {
    let shown: &[Pin] = link.shown.as_ref().map_or(&[], |shown| &shown.authorities);
    let Some(trust) = trust else {
        return match shown.last() {
            Some(pin) => CheckResult::skipped(format!(
                "the authority there is {pin}; which one is right is known once this site has a join token"
            )),
            None => CheckResult::skipped("whom to trust is known once this site has a join token"),
        };
    };
    let error = match (&link.result, &link.shown) {
        (Ok(()), Some(shown)) => {
            let authority = shown.authorities.last().map_or_else(|| "the one trusted".to_owned(), Pin::to_string);
            return CheckResult::ok(format!(
                "handshake in {:.1?}, certificate good until {}, of authority {authority}",
                link.took, shown.validity.end
            ));
        }
        (Ok(()), None) => return CheckResult::ok(format!("handshake in {:.1?}", link.took)),
        (Err(error), _) => error,
    };
    let words = chain(error);
    let restored = "if the server was set up anew, restore its `ca` folder from the backup, or take a new token there \
                    and join again: `linecampd forget`, then `linecampd join`";
    match error {
        DialError::Silent { .. } => CheckResult::skipped("no handshake came to a certificate; see the check `udp`"),
        DialError::ForeignAuthority { .. } => CheckResult::fail(
            format!("{words}; it shows {}, trusted here is {}", pins(shown), pins(&trust.pins())),
            restored,
        ),
        DialError::WrongPin { .. } => CheckResult::fail(words, restored),
        DialError::Expired { .. } => {
            CheckResult::fail(words, "see the check `clock`, here and with `linecamp-server doctor`")
        }
        DialError::WrongName { .. } => {
            CheckResult::fail(words, "see who answers there: the address may be another machine's")
        }
        _ => CheckResult::fail(
            format!("something answers in QUIC, and it is no server of sites, or one of another kind: {words}"),
            "see who answers there, and whether the server is of a version that speaks with this one",
        ),
    }
}

fn pins(pins: &[Pin]) -> String {
    let words: Vec<_> = pins.iter().map(Pin::to_string).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// Returns the best available reading of the server's clock, and what ours showed at that time.
fn server_time(looked: &[ServerReport]) -> (WallTime, Option<ServerTime>) {
    let all = || looked.iter().flat_map(|one| &one.addresses);
    let said = all().find_map(|look| {
        let (health, ours) = look.api.as_ref()?;
        Some((*ours, Some(ServerTime::Said(health.date?))))
    });
    let within = || {
        all().find_map(|look| {
            let is_believed = matches!(look.link.result, Ok(()) | Err(DialError::Expired { .. }));
            let shown = look.link.shown.as_ref().filter(|_| is_believed)?;
            Some((SystemClock.now(), Some(ServerTime::Within(shown.server_time()))))
        })
    };
    said.or_else(within).unwrap_or_else(|| (SystemClock.now(), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probed(result: Result<(), DialError>) -> Probed<()> {
        let pin = Pin::of(b"shown");
        let validity = WallTime::EPOCH..WallTime::EPOCH + Duration::from_secs(1000);
        let shown = Some(linecamp_transport::Shown { authorities: vec![pin], validity });
        Probed { shown, took: Duration::from_millis(4), result }
    }

    #[track_caller]
    fn check(result: Result<(), DialError>, expected: Verdict, words: &str) {
        let remark = tls(&probed(result), Some(&Trust::Pin(Pin::of(b"trusted"))));
        assert_eq!(remark.verdict, expected, "{remark:?}");
        assert!(remark.evidence.contains(words), "{remark:?}");
    }

    #[test]
    fn a_certificate_is_judged_with_the_exact_reason() {
        let server = || "192.0.2.1:8443".to_owned();
        check(Ok(()), Verdict::Ok, "good until 1970-01-01");
        let silent = DialError::Silent { server: server(), limit: Duration::from_secs(5), transport: "UDP" };
        check(Err(silent), Verdict::Skipped, "see the check `udp`");
        let both = format!("it shows {}, trusted here is {}", Pin::of(b"shown"), Pin::of(b"trusted"));
        check(Err(DialError::ForeignAuthority { server: server() }), Verdict::Fail, &both);
        let (not_after, now) = (WallTime::EPOCH, WallTime::EPOCH + Duration::from_secs(5));
        check(Err(DialError::Expired { server: server(), not_after, now }), Verdict::Fail, "ended at 1970");
        let name = DialError::WrongName { server: server(), expected: "camp".to_owned() };
        check(Err(name), Verdict::Fail, "not for the server `camp`");
        let other = DialError::Handshake { server: server(), source: "no such protocol".into() };
        check(Err(other), Verdict::Fail, "no such protocol");
        let before = tls(&probed(Ok(())), None);
        assert_eq!(before.verdict, Verdict::Skipped);
    }

    #[test]
    fn one_address_that_works_makes_the_others_failures_warnings() {
        let bad = || (CheckResult::fail("dead", "look"), "b:1".to_owned());
        let verdicts = |remarks| group("udp", remarks).iter().map(|finding| finding.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(vec![bad()]), [Verdict::Fail]);
        assert_eq!(verdicts(vec![(CheckResult::ok(""), "a:1".to_owned()), bad()]), [Verdict::Ok, Verdict::Warn]);
        assert_eq!(verdicts(vec![]), [Verdict::Skipped]);
    }
}
