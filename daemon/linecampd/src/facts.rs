//! The facts that a machine reports about itself, as labels.
//!
//! All facts come from small kernel files, from the routing table, and from Docker's socket if there is one. What does
//! not exist is absent. What exists but cannot be read, or does not answer, is *not observed*, and the state machine
//! keeps the value it reported last ([`Fact`]). The kernel serves these files from memory, so reading them needs no
//! thread; Docker has [`DOCKER_LIMIT`], and the loop does not wait for it.

use std::fs::File;
use std::io::{self, Read as _};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::{Response, StatusCode};
use linecamp_core::{Fact, Facts};
use linecamp_doctor::http_get;
use linecamp_model::{LabelKey, LabelValue, Text};
use tokio::net::UnixStream;

/// The observed value, `None` if there is none, or why it was not observed.
pub(crate) type Observed<T> = Result<Option<T>, String>;

/// The time limit for Docker's answer. After that, the version counts as not observed in this round.
pub const DOCKER_LIMIT: Duration = Duration::from_secs(1);

/// The largest Docker answer, in bytes; it is about 1 KiB today. A longer one is truncated and fails to parse.
const DOCKER_BYTES_MAX: usize = 64 * 1024;

/// Bytes read of a kernel file. The longest file is read only for the first processor's flags, which fit four times
/// over.
const FILE_BYTES_MAX: u64 = 16 * 1024;

const PREFIX: &str = "io.linecamp.host";
const RANCHER_PREFIX: &str = "io.rancher.host";

/// The facts that are also reported under Rancher's names.
const RANCHER_FACTS: [&str; 2] = ["linux_kernel_version", "docker_version"];

/// DMI vendor strings of virtual machines, and the label value for each.
const VENDORS: [(&str, &str); 9] = [
    ("QEMU", "kvm"),
    ("KVM", "kvm"),
    ("Amazon EC2", "amazon"),
    ("Google", "google"),
    ("VMware", "vmware"),
    ("innotek", "virtualbox"),
    ("Microsoft", "microsoft"),
    ("Xen", "xen"),
    ("DigitalOcean", "kvm"),
];

/// Where facts come from.
#[derive(Clone, Debug)]
pub struct FactSources {
    /// `/proc`.
    pub proc: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/dev`.
    pub dev: PathBuf,
    /// Docker's socket.
    pub docker_socket: PathBuf,
    /// The processor architecture, as the kernel names it.
    pub arch: String,
    /// Whether to also report some facts under Rancher's names.
    pub rancher_labels: bool,
    /// Observes the machine's addresses, for [`collect`](Self::collect).
    pub addresses: fn() -> Result<Option<String>, String>,
}

impl FactSources {
    /// Returns the sources of this machine.
    pub fn of_this_machine(docker_socket: &Path, rancher_labels: bool) -> Self {
        Self {
            proc: "/proc".into(),
            sys: "/sys".into(),
            dev: "/dev".into(),
            docker_socket: docker_socket.to_owned(),
            arch: rustix::system::uname().machine().to_string_lossy().into_owned(),
            rancher_labels,
            addresses: own_addresses,
        }
    }

    /// Collects all facts once, within [`DOCKER_LIMIT`].
    pub async fn collect(&self) -> Facts {
        let number = |observed: Observed<u64>| observed.map(|number| number.map(|number| number.to_string()));
        let flag_value =
            |observed: Observed<bool>| observed.map(|is_on| is_on.filter(|on| *on).map(|_| "true".to_owned()));
        let observed = [
            ("linux_kernel_version", self.kernel_version()),
            ("docker_version", docker_version_in_time(&self.docker_socket).await),
            ("os", Ok(Some("linux".to_owned()))),
            ("arch", Ok(Some(self.arch.clone()))),
            ("cpus", number(self.cpus())),
            ("memory_mib", number(self.memory_mib())),
            ("kvm", flag_value(self.has_kvm())),
            ("aes", flag_value(self.has_cpu_flag("aes").map(Some))),
            ("virtualization", self.virtualization()),
            ("address", (self.addresses)()),
        ];
        let mut facts = Facts::new();
        for (name, observed) in observed {
            let is_for_rancher = self.rancher_labels && RANCHER_FACTS.contains(&name);
            let fact = fact_of(observed);
            for prefix in [Some(PREFIX), is_for_rancher.then_some(RANCHER_PREFIX)].into_iter().flatten() {
                let key = LabelKey::parse(&format!("{prefix}.{name}")).expect("built from constants");
                facts.insert(key, fact.clone());
            }
        }
        facts
    }

    fn kernel_version(&self) -> Observed<String> {
        Ok(read(&self.proc.join("sys/kernel/osrelease"))?.filter(|text| !text.is_empty()))
    }

    fn cpus(&self) -> Observed<u64> {
        let path = self.sys.join("devices/system/cpu/online");
        parsed(&path, read(&path)?, |online| online.split(',').map(count_of_range).sum())
    }

    fn memory_mib(&self) -> Observed<u64> {
        let path = self.proc.join("meminfo");
        parsed(&path, read(&path)?, |memory| {
            let line = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
            let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib / 1024)
        })
    }

    fn has_kvm(&self) -> Observed<bool> {
        let path = self.dev.join("kvm");
        path.try_exists().map(Some).map_err(|error| cannot_read(&path, &error))
    }

    fn has_cpu_flag(&self, flag: &str) -> Result<bool, String> {
        let text = read(&self.proc.join("cpuinfo"))?.unwrap_or_default();
        // `flags` on x86, `Features` on Arm.
        let flags = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| matches!(key.trim(), "flags" | "Features"));
        Ok(flags.is_some_and(|(_, flags)| flags.split_whitespace().any(|held| held == flag)))
    }

    /// Observes the hypervisor; none on bare metal. Arm has no CPU flag for it: there, only a vendor that makes nothing
    /// but virtual machines is proof.
    fn virtualization(&self) -> Observed<String> {
        let vendor = read(&self.sys.join("class/dmi/id/sys_vendor"))?.unwrap_or_default();
        let label = VENDORS.iter().find(|(start, _)| vendor.starts_with(start)).map(|(_, label)| *label);
        Ok(match self.has_cpu_flag("hypervisor")? {
            true => Some(label.unwrap_or("unknown").to_owned()),
            false => label.filter(|label| *label == "kvm").map(str::to_owned),
        })
    }
}

/// Converts an observation to a fact. Text from an unusual kernel or a hostile Docker may not be a valid label value.
fn fact_of(observed: Observed<String>) -> Fact {
    match observed.map(|value| value.map(|value| LabelValue::parse(&value))) {
        Ok(Some(Ok(value))) => Fact::Observed(value),
        Ok(None) => Fact::Absent,
        Ok(Some(Err(error))) => Fact::NotObserved(Text::lossy(&error.to_string())),
        Err(reason) => Fact::NotObserved(Text::lossy(&reason)),
    }
}

/// Observes the source addresses for outbound packets, IPv4 and IPv6, by a routing table lookup: connecting a UDP
/// socket sends nothing. The targets are documentation addresses (RFC 5737, RFC 3849).
///
/// A machine without any route is temporarily off the network: its addresses are not observed. This way a machine that
/// is booting, or whose cable is unplugged, keeps its address records.
fn own_addresses() -> Observed<String> {
    addresses([address_toward("0.0.0.0:0", "192.0.2.1:9")?, address_toward("[::]:0", "[2001:db8::1]:9")?])
}

fn addresses(of_routes: [Option<String>; 2]) -> Observed<String> {
    let observed: Vec<_> = of_routes.into_iter().flatten().collect();
    match observed.is_empty() {
        true => Err("this machine has no default route".to_owned()),
        false => Ok(Some(observed.join(","))),
    }
}

/// Observes the source address for packets to `target`; none if there is no route.
fn address_toward(own: &str, target: &str) -> Observed<String> {
    let asked = UdpSocket::bind(own).and_then(|socket| {
        socket.connect(target)?;
        socket.local_addr()
    });
    match asked.map(|address| address.ip()) {
        Ok(address) if address.is_unspecified() || address.is_loopback() => Ok(None),
        Ok(address) => Ok(Some(address.to_string())),
        Err(error) if is_no_route(&error) => Ok(None),
        Err(error) => Err(format!("cannot get the route to {target}: {error}")),
    }
}

/// Whether the kernel reports no route, or an unsupported address family.
fn is_no_route(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let no_route = [Errno::NETUNREACH, Errno::HOSTUNREACH, Errno::NETDOWN, Errno::ADDRNOTAVAIL, Errno::AFNOSUPPORT];
    // The errors for routes of type `prohibit` and `blackhole`.
    let blocked_route = [Errno::ACCESS, Errno::INVAL];
    error
        .raw_os_error()
        .is_some_and(|code| no_route.iter().chain(&blocked_route).any(|answer| answer.raw_os_error() == code))
}

/// Counts `4` as one and `0-3` as four.
fn count_of_range(range: &str) -> Option<u64> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
}

/// Reads a small file; none if it does not exist.
fn read(path: &Path) -> Observed<String> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(cannot_read(path, &error)),
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
}

fn parsed<T>(path: &Path, text: Option<String>, parse: impl FnOnce(&str) -> Option<T>) -> Observed<T> {
    let Some(text) = text else { return Ok(None) };
    parse(&text).map(Some).ok_or_else(|| format!("{} has an unexpected format", path.display()))
}

/// Queries Docker's version on `socket`, on a temporary runtime and within [`DOCKER_LIMIT`].
pub(crate) fn query_docker(socket: &Path) -> Observed<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start a runtime: {error}"))?;
    runtime.block_on(docker_version_in_time(socket))
}

async fn docker_version_in_time(socket: &Path) -> Observed<String> {
    let asked = tokio::time::timeout(DOCKER_LIMIT, docker_version(socket)).await;
    asked.unwrap_or_else(|_| Err(format!("Docker did not answer within {} s", DOCKER_LIMIT.as_secs())))
}

/// Queries Docker's version. Without a socket there is no Docker; one that refuses connections or returns garbage may
/// be starting.
async fn docker_version(socket: &Path) -> Observed<String> {
    let stream = match UnixStream::connect(socket).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot connect to Docker at {}: {error}", socket.display())),
    };
    let response = http_get(stream, "docker", "/version", DOCKER_BYTES_MAX).await;
    let response = response.map_err(|error| format!("cannot get Docker's version: {error}"))?;
    version_in(&response).map(Some).ok_or_else(|| "Docker's response has no version".to_owned())
}

/// Extracts the version from Docker's response.
fn version_in(response: &Response<Vec<u8>>) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(response.body()).ok()?;
    let version = body.get("Version")?.as_str()?;
    (response.status() == StatusCode::OK && !version.is_empty()).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn with(self, path: &str, text: &str) -> Self {
            let path = self.0.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            self
        }

        fn sources(&self) -> FactSources {
            FactSources {
                proc: self.0.path().join("proc"),
                sys: self.0.path().join("sys"),
                dev: self.0.path().join("dev"),
                docker_socket: self.0.path().join("docker.sock"),
                arch: "x86_64".to_owned(),
                rancher_labels: true,
                addresses: || Ok(None),
            }
        }

        fn facts(&self) -> Vec<String> {
            facts_of(&self.sources())
        }
    }

    fn facts_of(sources: &FactSources) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let facts = runtime.block_on(sources.collect());
        let observed = facts.iter().filter_map(|(key, fact)| match fact {
            Fact::Observed(value) => Some(format!("{key}={value}")),
            Fact::Absent | Fact::NotObserved(_) => None,
        });
        observed.collect()
    }

    /// Returns why facts were not observed, by the last segment of their keys.
    fn reasons_of(sources: &FactSources) -> Vec<(String, String)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let facts = runtime.block_on(FactSources { rancher_labels: false, ..sources.clone() }.collect());
        let failed = facts.into_iter().filter_map(|(key, fact)| match fact {
            Fact::NotObserved(reason) => Some((key.as_str().rsplit('.').next()?.to_owned(), reason.to_string())),
            Fact::Observed(_) | Fact::Absent => None,
        });
        failed.collect()
    }

    #[test]
    fn a_machine_without_a_route_has_addresses_that_are_not_observed() {
        assert!(addresses([None, None]).is_err(), "not observed, rather than absent");
        let six = || Some("2001:db8::7".to_owned());
        assert_eq!(addresses([None, six()]), Ok(six()));
        let both = addresses([Some("192.0.2.7".to_owned()), six()]);
        assert_eq!(both, Ok(Some("192.0.2.7,2001:db8::7".to_owned())));
    }

    #[test]
    fn facts_come_from_kernel_files() {
        let machine = Machine::new()
            .with("proc/sys/kernel/osrelease", "6.12.57+deb13-amd64\n")
            .with("proc/meminfo", "MemTotal:       16303428 kB\nMemFree:  1 kB\n")
            .with("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu aes hypervisor\n\nprocessor\t: 1\n")
            .with("sys/devices/system/cpu/online", "0-2,5\n")
            .with("sys/class/dmi/id/sys_vendor", "QEMU\n")
            .with("dev/kvm", "");
        assert_eq!(
            machine.facts(),
            [
                "io.linecamp.host.aes=true",
                "io.linecamp.host.arch=x86_64",
                "io.linecamp.host.cpus=4",
                "io.linecamp.host.kvm=true",
                "io.linecamp.host.linux_kernel_version=6.12.57+deb13-amd64",
                "io.linecamp.host.memory_mib=15921",
                "io.linecamp.host.os=linux",
                "io.linecamp.host.virtualization=kvm",
                "io.rancher.host.linux_kernel_version=6.12.57+deb13-amd64",
            ]
        );
    }

    #[test]
    fn missing_sources_are_absent_facts() {
        let machine =
            Machine::new().with("proc/cpuinfo", "flags : fpu").with("sys/class/dmi/id/sys_vendor", "Supermicro");
        assert_eq!(machine.facts(), ["io.linecamp.host.arch=x86_64", "io.linecamp.host.os=linux"]);
        assert_eq!(reasons_of(&machine.sources()), []);
    }

    #[test]
    fn unreadable_sources_are_not_observed() {
        let machine = Machine::new()
            .with("proc/cpuinfo/a", "a directory where a file should be")
            .with("proc/meminfo", "MemTotal: lots")
            .with("sys/devices/system/cpu/online", "3-1")
            .with("dev", "a file where a directory should be");
        assert_eq!(machine.facts(), ["io.linecamp.host.arch=x86_64", "io.linecamp.host.os=linux"]);
        let reasons =
            reasons_of(&FactSources { addresses: || Err("too many sockets".to_owned()), ..machine.sources() });
        let names: Vec<_> = reasons.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["address", "aes", "cpus", "kvm", "memory_mib", "virtualization"], "{reasons:?}");
    }

    fn docker(answer: &'static str) -> (Machine, std::thread::JoinHandle<()>) {
        use std::io::Write as _;

        let machine = Machine::new();
        let listener = std::os::unix::net::UnixListener::bind(machine.sources().docker_socket).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            let bytes = stream.read(&mut request).unwrap();
            assert!(request[..bytes].starts_with(b"GET /version HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        (machine, server)
    }

    #[test]
    fn dockers_full_version_is_reported() {
        let (machine, server) = docker("HTTP/1.0 200 OK\r\nX: y\r\n\r\n{\"Version\":\"29.1.3-ce\",\"Os\":\"linux\"}");
        let facts = machine.facts();
        server.join().unwrap();
        assert!(facts.contains(&"io.linecamp.host.docker_version=29.1.3-ce".to_owned()));
        assert!(facts.contains(&"io.rancher.host.docker_version=29.1.3-ce".to_owned()));
    }

    #[test]
    fn an_invalid_docker_response_is_not_observed_and_no_docker_is_absent() {
        assert_eq!(reasons_of(&Machine::new().sources()), [], "there is no socket");
        let machine = Machine::new();
        drop(std::os::unix::net::UnixListener::bind(machine.sources().docker_socket).unwrap());
        let reasons = reasons_of(&machine.sources());
        assert!(reasons.len() == 1 && reasons[0].1.contains("refused"), "nothing listens: {reasons:?}");
        for answer in [
            "HTTP/1.0 500 No\r\n\r\n{\"Version\":\"1\"}",
            "HTTP/1.0 200 OK\r\n\r\n{",
            "HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"1\\n2\"}",
            "",
        ] {
            let (machine, server) = docker(answer);
            let reasons = reasons_of(&machine.sources());
            server.join().unwrap();
            assert!(reasons.len() == 1 && reasons[0].0 == "docker_version", "{answer}: {reasons:?}");
        }
    }

    #[test]
    fn a_slow_docker_is_not_observed() {
        let machine = Machine::new();
        let _silent = std::os::unix::net::UnixListener::bind(machine.sources().docker_socket).unwrap();
        let reasons = reasons_of(&machine.sources());
        assert_eq!(reasons, [("docker_version".to_owned(), "Docker did not answer within 1 s".to_owned())]);
    }

    #[test]
    fn rancher_labels_can_be_disabled() {
        let machine = Machine::new().with("proc/sys/kernel/osrelease", "6.1");
        let sources = FactSources { rancher_labels: false, ..machine.sources() };
        assert!(!facts_of(&sources).iter().any(|fact| fact.contains("rancher")));
    }
}
