//! Port checks: which process holds a port, and what answers on it for operators and sites.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use linecamp_doctor::{
    CheckResult, Finding, FindingCode, Health, ServerReport, ServerTargets, Verdict, Versions, fetch_health,
    probe_servers, udp, versions,
};
use linecamp_model::ServerAddress;
use linecamp_transport::{Authority, DialError, ExpiryFloor, Trust, error_chain, ipv4_instead, probe_api};
use tokio::time::timeout;

use super::Target;
use crate::config::Config;
use crate::data_directory::UNIT;

/// The checks of the two ports.
pub(super) const PORTS: &[&str] = &["https-port", "quic-port"];

/// The checks of the services that answer.
pub(super) const CHECKS: &[&str] = &["server-url", "https", "link", "versions"];

/// Timeout for the API to answer on this machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Maximum clock difference to a server on this machine, which uses the same clock.
const SAME_CLOCK: Duration = Duration::from_secs(5);

/// Reports for each port whether it is free for a start or held by the running server.
pub(super) fn ports(target: &Target) -> Vec<Finding> {
    let Ok(config) = target.read_config() else {
        return skipped(PORTS, FindingCode::ConfigUnreadable, "the configuration cannot be read");
    };
    let running = target.running();
    let is_free = |address, bind: fn(SocketAddr) -> io::Result<()>| {
        bind(address).or_else(|error| ipv4_instead(address, &error).map_or(Err(error), bind))
    };
    let tcp = || is_free(config.https, |address| TcpListener::bind(address).map(drop));
    let udp = || is_free(config.quic, |address| UdpSocket::bind(address).map(drop));
    let (tcp, udp) = if running.is_some() { (Ok(()), Ok(())) } else { (tcp(), udp()) };
    vec![
        evaluate_port("TCP", config.https, running, tcp).of("https-port"),
        evaluate_port("UDP", config.quic, running, udp).of("quic-port"),
    ]
}

fn evaluate_port(protocol: &str, address: SocketAddr, running: Option<u32>, bound: io::Result<()>) -> CheckResult {
    let port = address.port();
    match (running, bound) {
        (Some(pid), _) => CheckResult::ok(format!("{protocol} {address} is for the running server (process {pid})")),
        (None, Ok(())) => CheckResult::ok(format!("{protocol} {address} is free; the server is not running")),
        (None, Err(error)) if error.kind() == io::ErrorKind::AddrInUse => CheckResult::fail(
            FindingCode::PortInUse,
            format!("{protocol} {address} is in use by another process, and no server is running on this directory"),
            format!("find the process with `ss -lntup 'sport = :{port}'`; stop it, or configure another port"),
        ),
        (None, Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => CheckResult::warn(
            FindingCode::PortDenied,
            format!("{protocol} {address}: this user has no permission to open it"),
            format!(
                "ports below 1024 require CAP_NET_BIND_SERVICE: grant it in the unit, or use another port than {port}"
            ),
        ),
        (None, Err(error)) if error.kind() == io::ErrorKind::AddrNotAvailable => CheckResult::fail(
            FindingCode::AddressUnavailable,
            format!("{protocol} {address}: this machine does not have this address"),
            "list the addresses with `ip address`; 0.0.0.0 or [::] means all of them",
        ),
        (None, Err(error)) => CheckResult::fail(
            FindingCode::PortUnavailable,
            format!("{protocol} {address} cannot be opened: {error}"),
            "see `dmesg | tail` and `ip address`",
        ),
    }
}

/// Connects as operators and sites do, as far as that is possible from this machine.
pub(super) fn answers(target: &Target) -> Vec<Finding> {
    let Ok(config) = target.read_config() else {
        return skipped(CHECKS, FindingCode::ConfigUnreadable, "the configuration cannot be read");
    };
    let Some(pin) = Authority::load(&target.layout.ca()).ok().map(|authority| authority.pin()) else {
        return skipped(CHECKS, FindingCode::NoTrust, "the authority cannot be loaded, so no server can be verified");
    };
    let trust = Trust::Pin(pin);
    let is_running = target.running().is_some();
    let link_addresses = link_addresses(&config);
    let floor = ExpiryFloor::Unknown;
    let targets =
        ServerTargets { servers: link_addresses.clone(), candidates: Vec::new(), trust: Some(trust.clone()), floor };
    let urls = ServerTargets {
        servers: config.server_url.with_port(config.server_url.port()).into_iter().collect(),
        candidates: Vec::new(),
        trust: None,
        floor,
    };
    // One thread for each: sequentially they would take too long.
    let (probed, (resolved, api)) = std::thread::scope(|scope| {
        let looking = scope.spawn(|| probe_servers(&targets));
        let here = (resolve_host(&urls), query_api(&config, &trust));
        let lost = || Err("the probe ended unexpectedly".to_owned());
        (looking.join().unwrap_or_else(|_| lost()), here)
    });
    let health = api.as_ref().ok().cloned();
    let seen =
        Versions { own: env!("CARGO_PKG_VERSION"), running: health.and_then(|health| health.version), server: None };
    let mut found = vec![resolved.of("server-url"), https(&config, api, is_running).of("https")];
    found.extend(links(probed, &config, is_running));
    found.push(versions(&seen, UNIT).of("versions"));
    found
}

fn skipped(names: &[&'static str], code: FindingCode, reason: &str) -> Vec<Finding> {
    names.iter().map(|name| CheckResult::skipped(code, reason).of(name)).collect()
}

/// Returns the addresses at which sites reach the server, as listed in join tokens.
fn link_addresses(config: &Config) -> Vec<ServerAddress> {
    match config.link_addresses.is_empty() {
        true => config.server_url.with_port(config.quic.port()).into_iter().collect(),
        false => config.link_addresses.clone(),
    }
}

fn resolve_host(targets: &ServerTargets) -> CheckResult {
    let Some(server) = targets.servers.first() else {
        return CheckResult::skipped(FindingCode::NoAddress, "server_url has no host");
    };
    let host = server.host();
    if host.parse::<IpAddr>().is_ok() {
        return CheckResult::ok(format!("{host} is an IP address; no DNS lookup needed"));
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return CheckResult::fail(
                FindingCode::NoSocket,
                format!("failed to start the DNS lookup: {error}"),
                "see `ulimit -a` and `dmesg | tail`",
            );
        }
    };
    let resolved = runtime.block_on(async { timeout(ANSWER_LIMIT, linecamp_transport::resolve(server)).await });
    runtime.shutdown_background();
    match resolved {
        Ok(Ok(addresses)) => {
            let ips: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
            CheckResult::ok(format!("{host} resolves to {}", ips.join(", ")))
        }
        Ok(Err(error)) => CheckResult::fail(
            FindingCode::NameNotResolved,
            error_chain(&error),
            format!("operators and sites use this name: add {host} to DNS, or correct server_url in the configuration"),
        ),
        Err(_) => CheckResult::fail(
            FindingCode::NameNotResolved,
            format!("DNS lookup of {host} timed out after {} s", ANSWER_LIMIT.as_secs()),
            format!("test with `getent ahosts {host}`; the DNS servers are in /etc/resolv.conf"),
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
fn query_api(config: &Config, trust: &Trust) -> Result<Health, ApiFailure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| ApiFailure::Other(error.to_string()))?;
    // A certificate that the operator supplies is for clients that do not trust the pin.
    let host = config.https_certificate.is_none().then(|| config.server_url.host());
    runtime.block_on(async {
        let mut failure = ApiFailure::Other(format!("no answer within {} s", ANSWER_LIMIT.as_secs()));
        // A machine without IPv6 also listens on [::], but answers only on 127.0.0.1.
        for address in [own(config.https), SocketAddr::from((Ipv4Addr::LOCALHOST, config.https.port()))] {
            let attempt = async {
                let stream = probe_api(address, host, trust).await.result.map_err(ApiFailure::Dial)?;
                fetch_health(stream).await.map_err(|error| ApiFailure::Other(error.to_string()))
            };
            match timeout(ANSWER_LIMIT / 2, attempt).await {
                Ok(Ok(health)) => return Ok(health),
                Ok(Err(error)) => failure = error,
                Err(_) => {}
            }
            if matches!(&failure, ApiFailure::Dial(error) if error.needs_operator()) {
                break;
            }
        }
        Err(failure)
    })
}

/// Why the API did not answer.
#[derive(Debug)]
enum ApiFailure {
    Dial(DialError),
    Other(String),
}

fn https(config: &Config, api: Result<Health, ApiFailure>, is_running: bool) -> CheckResult {
    let address = own(config.https);
    let host = config.server_url.host();
    let supplied = config.https_certificate.as_ref().map(|files| files.load(host)).transpose();
    match api {
        Ok(health) if health.status == 200 => {
            let (skew, _) = health.date.map_or((Duration::ZERO, false), |date| date.skew());
            let evidence = match supplied {
                Ok(None) => format!("{address} serves, with a certificate of this authority for {host}"),
                Ok(Some(certificate)) => {
                    format!("{address} serves; https_certificate is for {host} until {}", certificate.not_after())
                }
                Err(error) => {
                    return CheckResult::fail(
                        FindingCode::CertificateRejected,
                        format!("{address} serves, but not with https_certificate: {}", error_chain(&error)),
                        "correct the files; a running server reads them again within 10 s",
                    );
                }
            };
            match SAME_CLOCK < skew {
                true => CheckResult::warn(
                    FindingCode::ClockDiffers,
                    format!("{evidence}; its clock differs by {} s from this machine's", skew.as_secs()),
                    "another machine answers at this address, or the clock was just set",
                ),
                false => CheckResult::ok(evidence),
            }
        }
        Ok(health) => CheckResult::fail(
            FindingCode::Unhealthy,
            format!("{address} answers with HTTP status {}", health.status),
            "see the log (`journalctl -u linecamp-server -n 50`) and check `disk`",
        ),
        Err(ApiFailure::Dial(error @ DialError::WrongName { .. })) => CheckResult::fail(
            FindingCode::WrongName,
            format!("{}; server_url says {host}", error_chain(&error)),
            "add the name to the file `names` in the `ca` directory, one name per line, and restart the server",
        ),
        Err(ApiFailure::Dial(error)) if error.needs_operator() => CheckResult::fail(
            FindingCode::OtherServer,
            format!("another process answers at {address}: {}", error_chain(&error)),
            format!("find the process with `ss -lntp 'sport = :{}'`", address.port()),
        ),
        Err(_) if !is_running => {
            CheckResult::skipped(FindingCode::NotRunning, "no server is running on this directory")
        }
        Err(ApiFailure::Dial(error)) => unanswered(address, &error_chain(&error)),
        Err(ApiFailure::Other(problem)) => unanswered(address, &problem),
    }
}

fn unanswered(address: SocketAddr, problem: &str) -> CheckResult {
    CheckResult::fail(
        FindingCode::NotAnswering,
        format!("the server is running but does not answer at {address}: {problem}"),
        "it may hang, or listen elsewhere: if it was started with other flags, give the doctor the same --https and \
         --quic; see `journalctl -u linecamp-server -n 50`",
    )
}

/// Evaluates each address in join tokens.
fn links(probed: Result<Vec<ServerReport>, String>, config: &Config, is_running: bool) -> Vec<Finding> {
    let probed = match probed {
        Ok(probed) if !probed.is_empty() => probed,
        Ok(_) => {
            return skipped(
                &["link"],
                FindingCode::NoAddress,
                "server_url and link_addresses contain no address for sites",
            );
        }
        Err(problem) => {
            return vec![
                CheckResult::fail(
                    FindingCode::NoSocket,
                    problem,
                    "this machine cannot open a socket; see `ulimit -a` and `dmesg | tail`",
                )
                .of("link"),
            ];
        }
    };
    probed.iter().map(|one| link(one, config, is_running).about("link", &one.server.to_string())).collect()
}

fn link(probed: &ServerReport, config: &Config, is_running: bool) -> CheckResult {
    if let Err(problem) = &probed.resolved {
        return CheckResult::fail(
            FindingCode::NameNotResolved,
            problem.clone(),
            "sites use this name: add it to DNS, or correct link_addresses",
        );
    }
    let mut worst: Option<CheckResult> = None;
    for at in &probed.addresses {
        let result = match &at.link.result {
            Ok(()) => CheckResult::ok(format!("QUIC handshake with {} took {:.1?}", at.address, at.link.took)),
            Err(error) if error.needs_operator() => CheckResult::fail(
                FindingCode::OtherServer,
                format!("another server answers at this address: {}", error_chain(error)),
                "correct link_addresses, or the port forwarding to this machine",
            ),
            Err(_) if !is_running => {
                CheckResult::skipped(FindingCode::NotRunning, "no server is running on this directory")
            }
            Err(error) => unreachable_link(udp(at.address, &at.paths), config, &error_chain(error)),
        };
        if worst.as_ref().is_none_or(|worst| worst.verdict < result.verdict) {
            worst = Some(result);
        }
    }
    worst.unwrap_or_else(|| CheckResult::skipped(FindingCode::NoAddress, "the name has no address"))
}

/// From inside a network, the external address of its router is often unreachable.
fn unreachable_link(udp_check: CheckResult, config: &Config, error: &str) -> CheckResult {
    if udp_check.verdict == Verdict::Ok {
        return CheckResult::fail(
            FindingCode::NotAnswering,
            error.to_owned(),
            "see the log: `journalctl -u linecamp-server -n 50`",
        );
    }
    let port = config.quic.port();
    CheckResult::warn(
        FindingCode::NotReachableFromHere,
        format!("not reachable from this machine: {}", udp_check.evidence),
        format!(
            "run `linecampd doctor` at a site to test from outside: many routers do not forward their external address \
             from inside. UDP port {port} must be forwarded and allowed by every firewall"
        ),
    )
}

#[cfg(test)]
mod tests {
    use linecamp_doctor::ServerDate;
    use linecamp_model::WallTime;

    use super::*;
    use crate::config::Overrides;
    use crate::data_directory::Layout;

    #[test]
    fn a_port_is_free_ours_or_taken() {
        let address: SocketAddr = "127.0.0.1:8443".parse().unwrap();
        let check = |running, bound, expected, code| {
            let result = evaluate_port("UDP", address, running, bound);
            assert_eq!((result.verdict, result.code), (expected, code), "{result:?}");
        };
        assert!(evaluate_port("UDP", address, Some(7), Ok(())).evidence.contains("process 7"), "the holder is named");
        let failed = |kind: io::ErrorKind| Err(kind.into());
        check(Some(7), Ok(()), Verdict::Ok, FindingCode::Ok);
        check(None, Ok(()), Verdict::Ok, FindingCode::Ok);
        check(None, failed(io::ErrorKind::AddrInUse), Verdict::Fail, FindingCode::PortInUse);
        check(None, failed(io::ErrorKind::PermissionDenied), Verdict::Warn, FindingCode::PortDenied);
        check(None, failed(io::ErrorKind::AddrNotAvailable), Verdict::Fail, FindingCode::AddressUnavailable);
        check(None, failed(io::ErrorKind::Other), Verdict::Fail, FindingCode::PortUnavailable);
    }

    /// The two clocks are the same one, but their readings are taken apart when another check is slow.
    #[test]
    fn the_clock_of_the_server_is_compared_with_the_moment_of_its_answer() {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(data.path().join("server.toml"), "server_url = \"https://camp.example:8443\"\n").unwrap();
        let config = Config::load(Layout::new(data.path()), None, Overrides::default()).unwrap();
        let date = WallTime::from_unix_millis(1_795_314_424_000);
        let check = |seconds: std::ops::Range<u64>, expected| {
            let at = |seconds| date + Duration::from_secs(seconds);
            let date = Some(ServerDate { date, local: at(seconds.start)..at(seconds.end) });
            let answer = Ok(Health { status: 200, date, version: None });
            assert_eq!(https(&config, answer, true).code, expected);
        };
        check(0..0, FindingCode::Ok);
        check(0..12, FindingCode::Ok);
        check(20..21, FindingCode::ClockDiffers);
    }

    #[test]
    fn every_listening_address_maps_to_one_reachable_locally() {
        let check = |listens: &str, expected: &str| assert_eq!(own(listens.parse().unwrap()).to_string(), expected);
        check("0.0.0.0:1", "127.0.0.1:1");
        check("[::]:1", "[::1]:1");
        check("192.0.2.1:1", "192.0.2.1:1");
    }
}
