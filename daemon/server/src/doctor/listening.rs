//! Port checks: which process holds a port, and what answers on it for operators and sites.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use linecamp_doctor::{
    CheckResult, Finding, Health, ServerReport, ServerTargets, Verdict, Versions, chain, fetch_health, probe_servers,
    udp, versions,
};
use linecamp_model::ServerAddress;
use linecamp_transport::{Authority, DialError, SystemClock, Trust, WallClock as _, probe_api};
use tokio::time::timeout;

use super::{Place, UNIT};
use crate::config::Config;

/// The checks of the two ports.
pub(super) const PORTS: &[&str] = &["https-port", "quic-port"];

/// The checks of the services that answer.
pub(super) const CHECKS: &[&str] = &["server-url", "https", "link", "versions"];

/// Timeout for the API to answer on this machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Maximum clock difference to a server on this machine, which uses the same clock.
const SAME_CLOCK: Duration = Duration::from_secs(5);

/// Reports for each port whether it is free for a start or held by the running server.
pub(super) fn ports(place: &Place) -> Vec<Finding> {
    let Ok(config) = place.read_config() else {
        return skipped(PORTS, "the configuration does not say which: it cannot be read");
    };
    let running = place.running();
    let tcp = running.map_or_else(|| TcpListener::bind(config.https).map(drop), |_| Ok(()));
    let udp = running.map_or_else(|| UdpSocket::bind(config.quic).map(drop), |_| Ok(()));
    vec![
        judge_port("TCP", config.https, running, tcp).of("https-port"),
        judge_port("UDP", config.quic, running, udp).of("quic-port"),
    ]
}

fn judge_port(protocol: &str, address: SocketAddr, running: Option<u32>, bound: io::Result<()>) -> CheckResult {
    let port = address.port();
    match (running, bound) {
        (Some(pid), _) => CheckResult::ok(format!("{protocol} {address} is for process {pid}, the server that runs")),
        (None, Ok(())) => CheckResult::ok(format!("{protocol} {address} is free; no server runs")),
        (None, Err(error)) if error.kind() == io::ErrorKind::AddrInUse => CheckResult::fail(
            format!("{protocol} {address} is taken by another process, and no server runs on this directory"),
            format!("`ss -lntup 'sport = :{port}'` shows by which; end it, or give the server another port"),
        ),
        (None, Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => CheckResult::warn(
            format!("{protocol} {address} may not be opened by this user"),
            format!(
                "ports below 1024 need CAP_NET_BIND_SERVICE: take another one than {port}, or grant it in the unit"
            ),
        ),
        (None, Err(error)) if error.kind() == io::ErrorKind::AddrNotAvailable => CheckResult::fail(
            format!("{protocol} {address}: this machine has no such address"),
            "`ip address` lists them; 0.0.0.0 or [::] is all of them",
        ),
        (None, Err(error)) => CheckResult::fail(
            format!("{protocol} {address} could not be opened: {error}"),
            "`dmesg | tail`, `ip address`",
        ),
    }
}

/// Connects as operators and sites do, as far as that is possible from this machine.
pub(super) fn answers(place: &Place) -> Vec<Finding> {
    let Ok(config) = place.read_config() else {
        return skipped(CHECKS, "the configuration does not say where: it cannot be read");
    };
    let Some(pin) = Authority::load(&place.layout.ca()).ok().map(|authority| authority.pin()) else {
        return skipped(CHECKS, "nobody can be believed: the authority cannot be loaded");
    };
    let trust = Trust::Pin(pin);
    let is_running = place.running().is_some();
    let link_addresses = link_addresses(&config);
    let whom = ServerTargets { servers: link_addresses.clone(), trust: Some(trust.clone()) };
    let urls = ServerTargets {
        servers: config.server_url.with_port(config.server_url.port()).into_iter().collect(),
        trust: None,
    };
    // One thread for each: sequentially they would take too long.
    let (looked, (resolved, api)) = std::thread::scope(|scope| {
        let looking = scope.spawn(|| probe_servers(&whom));
        let here = (look_up(&urls), ask_here(&config, &trust));
        let lost = || Err("the look ended by itself".to_owned());
        (looking.join().unwrap_or_else(|_| lost()), here)
    });
    let health = api.as_ref().ok().cloned();
    let known =
        Versions { own: env!("CARGO_PKG_VERSION"), running: health.and_then(|health| health.version), server: None };
    let mut found = vec![resolved.of("server-url"), https(&config, api, is_running).of("https")];
    found.extend(links(looked, &config, is_running));
    found.push(versions(&known, UNIT).of("versions"));
    found
}

fn skipped(names: &[&'static str], words: &str) -> Vec<Finding> {
    names.iter().map(|name| CheckResult::skipped(words).of(name)).collect()
}

/// Returns the addresses at which sites reach the server, as listed in join tokens.
fn link_addresses(config: &Config) -> Vec<ServerAddress> {
    match config.link_addresses.is_empty() {
        true => config.server_url.with_port(config.quic.port()).into_iter().collect(),
        false => config.link_addresses.clone(),
    }
}

fn look_up(whom: &ServerTargets) -> CheckResult {
    let Some(server) = whom.servers.first() else {
        return CheckResult::skipped("server_url names no host");
    };
    let host = server.host();
    if host.parse::<IpAddr>().is_ok() {
        return CheckResult::ok(format!("{host} is an address, so there is nothing to look up"));
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return CheckResult::fail(format!("failed to start looking: {error}"), "`ulimit -a`, `dmesg | tail`");
        }
    };
    let resolved = runtime.block_on(async { timeout(ANSWER_LIMIT, linecamp_transport::resolve(server)).await });
    runtime.shutdown_background();
    match resolved {
        Ok(Ok(addresses)) => {
            let ips: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
            CheckResult::ok(format!("{host} is {}", ips.join(", ")))
        }
        Ok(Err(error)) => CheckResult::fail(
            chain(&error),
            format!(
                "operators and sites go by that name: put {host} into DNS, or correct server_url in the configuration"
            ),
        ),
        Err(_) => CheckResult::fail(
            format!("no name server answered for {host} within {} s", ANSWER_LIMIT.as_secs()),
            format!("`getent ahosts {host}`; the name servers are in /etc/resolv.conf"),
        ),
    }
}

/// Returns the address at which a server that listens on `address` is reached from its own machine.
fn own(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Queries the API on this machine, under the host name that operators use.
fn ask_here(config: &Config, trust: &Trust) -> Result<Health, Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Trouble::Broken(error.to_string()))?;
    let host = config.server_url.host();
    runtime.block_on(async {
        let mut failure = Trouble::Broken(format!("no answer within {} s", ANSWER_LIMIT.as_secs()));
        // A machine without IPv6 also listens on [::], but answers only on 127.0.0.1.
        for address in [own(config.https), SocketAddr::from((Ipv4Addr::LOCALHOST, config.https.port()))] {
            let asked = async {
                let stream = probe_api(address, Some(host), trust).await.result.map_err(Trouble::Dial)?;
                fetch_health(stream).await.map_err(|error| Trouble::Broken(error.to_string()))
            };
            match timeout(ANSWER_LIMIT / 2, asked).await {
                Ok(Ok(health)) => return Ok(health),
                Ok(Err(error)) => failure = error,
                Err(_) => {}
            }
            if matches!(&failure, Trouble::Dial(error) if error.needs_operator()) {
                break;
            }
        }
        Err(failure)
    })
}

/// Why the API did not answer.
#[derive(Debug)]
enum Trouble {
    Dial(DialError),
    Broken(String),
}

fn https(config: &Config, api: Result<Health, Trouble>, is_running: bool) -> CheckResult {
    let address = own(config.https);
    let host = config.server_url.host();
    match api {
        Ok(health) if health.status == 200 => {
            let skew = health.date.map_or(Duration::ZERO, |date| date.distance(SystemClock.now()));
            let evidence = format!("{address} serves, with a certificate for {host} of this authority");
            match SAME_CLOCK < skew {
                true => CheckResult::warn(
                    format!("{evidence}; its clock is {} s from the one here", skew.as_secs()),
                    "another machine answers there, or the clock has just been set",
                ),
                false => CheckResult::ok(evidence),
            }
        }
        Ok(health) => CheckResult::fail(
            format!("{address} answers with status {}: it does not serve", health.status),
            "its log says why: `journalctl -u linecamp-server -n 50`; the check `disk` may too",
        ),
        Err(Trouble::Dial(error @ DialError::WrongName { .. })) => CheckResult::fail(
            format!("{}; server_url says {host}", chain(&error)),
            "the names of the certificate are in the file `names` of the `ca` folder, one a line: add it, then restart \
             the server",
        ),
        Err(Trouble::Dial(error)) if error.needs_operator() => CheckResult::fail(
            format!("another process answers at {address}: {}", chain(&error)),
            format!("`ss -lntp 'sport = :{}'` shows who", address.port()),
        ),
        Err(_) if !is_running => CheckResult::skipped("no server runs on this directory"),
        Err(Trouble::Dial(error)) => unanswered(address, &chain(&error)),
        Err(Trouble::Broken(words)) => unanswered(address, &words),
    }
}

fn unanswered(address: SocketAddr, words: &str) -> CheckResult {
    CheckResult::fail(
        format!("a server runs, and does not answer at {address}: {words}"),
        "it may listen elsewhere (arguments --https and --quic go before the configuration), or hang: `journalctl -u \
         linecamp-server -n 50`",
    )
}

/// Evaluates each address in join tokens.
fn links(looked: Result<Vec<ServerReport>, String>, config: &Config, is_running: bool) -> Vec<Finding> {
    let looked = match looked {
        Ok(looked) if !looked.is_empty() => looked,
        Ok(_) => return skipped(&["link"], "server_url and link_addresses name no place where sites go"),
        Err(words) => {
            return vec![
                CheckResult::fail(words, "this machine gives no socket: `ulimit -a`, `dmesg | tail`").of("link"),
            ];
        }
    };
    looked.iter().map(|one| link(one, config, is_running).about("link", &one.server.to_string())).collect()
}

fn link(looked: &ServerReport, config: &Config, is_running: bool) -> CheckResult {
    if let Err(words) = &looked.resolved {
        return CheckResult::fail(words.clone(), "sites go by that name: put it into DNS, or correct link_addresses");
    }
    let mut worst: Option<CheckResult> = None;
    for at in &looked.addresses {
        let remark = match &at.link.result {
            Ok(()) => CheckResult::ok(format!("a handshake of QUIC with {} took {:.1?}", at.address, at.link.took)),
            Err(error) if error.needs_operator() => CheckResult::fail(
                format!("another server answers there: {}", chain(error)),
                "correct link_addresses, or what forwards packets to this machine",
            ),
            Err(_) if !is_running => CheckResult::skipped("no server runs on this directory"),
            Err(error) => unreached(udp(at.address, &at.paths), config, &chain(error)),
        };
        if worst.as_ref().is_none_or(|worst| worst.verdict < remark.verdict) {
            worst = Some(remark);
        }
    }
    worst.unwrap_or_else(|| CheckResult::skipped("the name has no address"))
}

/// From inside a network, the external address of its router is often unreachable.
fn unreached(way: CheckResult, config: &Config, error: &str) -> CheckResult {
    if way.verdict == Verdict::Ok {
        return CheckResult::fail(error.to_owned(), "its log says why: `journalctl -u linecamp-server -n 50`");
    }
    let port = config.quic.port();
    CheckResult::warn(
        format!("not reached from this machine: {}", way.evidence),
        format!(
            "ask from outside with `linecampd doctor` at a site; a router need not lead its own address back inside, but \
             UDP {port} must come in: see its forwarding and every firewall"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_free_ours_or_taken() {
        let address: SocketAddr = "127.0.0.1:8443".parse().unwrap();
        let check = |running, bound, expected, words: &str| {
            let remark = judge_port("UDP", address, running, bound);
            assert_eq!(remark.verdict, expected, "{remark:?}");
            assert!(remark.evidence.contains(words), "{remark:?}");
        };
        let failed = |kind: io::ErrorKind| Err(kind.into());
        check(Some(7), Ok(()), Verdict::Ok, "process 7");
        check(None, Ok(()), Verdict::Ok, "is free");
        check(None, failed(io::ErrorKind::AddrInUse), Verdict::Fail, "taken by another process");
        check(None, failed(io::ErrorKind::PermissionDenied), Verdict::Warn, "may not be opened");
        check(None, failed(io::ErrorKind::AddrNotAvailable), Verdict::Fail, "no such address");
        check(None, failed(io::ErrorKind::Other), Verdict::Fail, "could not be opened");
    }

    #[test]
    fn every_address_is_reached_from_its_own_machine() {
        let check = |listens: &str, expected: &str| assert_eq!(own(listens.parse().unwrap()).to_string(), expected);
        check("0.0.0.0:1", "127.0.0.1:1");
        check("[::]:1", "[::1]:1");
        check("192.0.2.1:1", "192.0.2.1:1");
    }
}
