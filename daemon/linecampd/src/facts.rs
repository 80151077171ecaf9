//! What a machine finds out about itself: the labels that it reports.
//!
//! Everything is read from small files of the kernel, and from Docker's socket if there is one. What is not there
//! is left out, never guessed and never an error. The files are the kernel's memory, so reading them takes no time
//! worth a thread; Docker has [`DOCKER_LIMIT`], and the loop does not wait for it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

use linecamp_model::{LabelKey, LabelValue};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// What a machine says about itself.
pub type Facts = BTreeMap<LabelKey, LabelValue>;

/// How long Docker may take to say its version. Past it, the machine has no Docker as far as labels go.
pub const DOCKER_LIMIT: Duration = Duration::from_secs(1);

/// Bytes of Docker's answer: today it has 1 KiB. The rest is not read, and then it does not parse.
const DOCKER_BYTES_MAX: u64 = 64 * 1024;

/// Bytes read of a kernel file. The first processor's flags, all that is looked for in the longest of
/// them, have room four times over.
const FILE_BYTES_MAX: u64 = 16 * 1024;

const PREFIX: &str = "io.linecamp.host";
const RANCHER_PREFIX: &str = "io.rancher.host";

/// The facts that are also reported the way Rancher does.
const RANCHER_FACTS: [&str; 2] = ["linux_kernel_version", "docker_version"];

/// What virtual machines call their maker, and the word for it.
const MAKERS: [(&str, &str); 9] = [
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
    /// What the kernel calls the processor.
    pub arch: String,
    /// Whether to report some facts the way Rancher does, too.
    pub rancher_labels: bool,
    /// What says which addresses the machine has.
    pub addresses: fn() -> Option<String>,
}

impl FactSources {
    /// Returns this machine's.
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

    /// Finds out. Takes no longer than [`DOCKER_LIMIT`].
    pub async fn collect(&self) -> Facts {
        let docker = tokio::time::timeout(DOCKER_LIMIT, docker_version(&self.docker_socket));
        let docker = docker.await.ok().flatten();
        let found = [
            ("linux_kernel_version", self.kernel_version()),
            ("docker_version", docker),
            ("os", Some("linux".to_owned())),
            ("arch", Some(self.arch.clone())),
            ("cpus", self.cpus().map(|count| count.to_string())),
            ("memory_mib", self.memory_mib().map(|mib| mib.to_string())),
            ("kvm", self.dev.join("kvm").exists().then(|| "true".to_owned())),
            ("aes", self.has_cpu_flag("aes").then(|| "true".to_owned())),
            ("virtualization", self.virtualization()),
            ("address", (self.addresses)()),
        ];
        let mut facts = Facts::new();
        for (name, value) in found {
            let Some(value) = value else { continue };
            let is_for_rancher = self.rancher_labels && RANCHER_FACTS.contains(&name);
            for prefix in [Some(PREFIX), is_for_rancher.then_some(RANCHER_PREFIX)].into_iter().flatten() {
                let key = LabelKey::parse(&format!("{prefix}.{name}")).expect("made of fixed words");
                // What a strange kernel or a hostile Docker says may be no value of a label.
                if let Ok(value) = LabelValue::parse(&value) {
                    facts.insert(key, value);
                }
            }
        }
        facts
    }

    fn kernel_version(&self) -> Option<String> {
        read(&self.proc.join("sys/kernel/osrelease")).filter(|text| !text.is_empty())
    }

    fn cpus(&self) -> Option<u32> {
        let online = read(&self.sys.join("devices/system/cpu/online"))?;
        online.split(',').map(count_of_range).sum()
    }

    fn memory_mib(&self) -> Option<u64> {
        let memory = read(&self.proc.join("meminfo"))?;
        let line = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib / 1024)
    }

    fn has_cpu_flag(&self, flag: &str) -> bool {
        let text = read(&self.proc.join("cpuinfo")).unwrap_or_default();
        // `flags` on x86, `Features` on Arm.
        let flags = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| matches!(key.trim(), "flags" | "Features"));
        flags.is_some_and(|(_, flags)| flags.split_whitespace().any(|held| held == flag))
    }

    /// Returns the word for the hypervisor, or `None` on bare metal. Arm has no processor flag for it: there, only
    /// a maker who makes nothing but virtual machines tells.
    fn virtualization(&self) -> Option<String> {
        let maker = read(&self.sys.join("class/dmi/id/sys_vendor")).unwrap_or_default();
        let word = MAKERS.iter().find(|(start, _)| maker.starts_with(start)).map(|(_, word)| *word);
        if self.has_cpu_flag("hypervisor") {
            Some(word.unwrap_or("unknown").to_owned())
        } else {
            word.filter(|word| *word == "kvm").map(str::to_owned)
        }
    }
}

/// Returns the addresses that packets to the outside leave from, IPv4 and IPv6. Asked of the routing table: a UDP
/// socket that is connected sends nothing. The targets are those set aside for documentation (RFC 5737, RFC 3849).
fn own_addresses() -> Option<String> {
    let from = |own: &str, target: &str| {
        let socket = UdpSocket::bind(own).ok()?;
        socket.connect(target).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_unspecified() && !address.is_loopback()).then(|| address.to_string())
    };
    let found = [from("0.0.0.0:0", "192.0.2.1:9"), from("[::]:0", "[2001:db8::1]:9")];
    let found: Vec<_> = found.into_iter().flatten().collect();
    (!found.is_empty()).then(|| found.join(","))
}

/// Counts `4` as one and `0-3` as four.
fn count_of_range(range: &str) -> Option<u32> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
    last.checked_sub(first)?.checked_add(1)
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// Asks the Docker of `socket` for its version, on a runtime of its own and within [`DOCKER_LIMIT`].
pub(crate) fn ask_docker(socket: &Path) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    runtime.block_on(async { tokio::time::timeout(DOCKER_LIMIT, docker_version(socket)).await.ok().flatten() })
}

/// Asks Docker. HTTP/1.0, so that the answer is plain and the connection ends with it.
async fn docker_version(socket: &Path) -> Option<String> {
    let mut stream = UnixStream::connect(socket).await.ok()?;
    stream.write_all(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n").await.ok()?;
    let mut answer = Vec::new();
    stream.take(DOCKER_BYTES_MAX).read_to_end(&mut answer).await.ok()?;
    let answer = String::from_utf8(answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split_whitespace().nth(1)?;
    let version: serde_json::Value = serde_json::from_str(body).ok()?;
    let version = version.get("Version")?.as_str()?;
    (status == "200" && !version.is_empty()).then(|| version.to_owned())
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
                addresses: || None,
            }
        }

        fn facts(&self) -> Vec<String> {
            facts_of(&self.sources())
        }
    }

    fn facts_of(sources: &FactSources) -> Vec<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let facts = runtime.block_on(sources.collect());
        facts.iter().map(|(key, value)| format!("{key}={value}")).collect()
    }

    #[test]
    fn a_machine_reports_what_its_kernel_says() {
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
    fn what_is_not_there_is_left_out() {
        let machine = Machine::new()
            .with("proc/cpuinfo", "flags : fpu")
            .with("proc/meminfo", "MemTotal: lots")
            .with("sys/devices/system/cpu/online", "3-1")
            .with("sys/class/dmi/id/sys_vendor", "Supermicro");
        assert_eq!(machine.facts(), ["io.linecamp.host.arch=x86_64", "io.linecamp.host.os=linux"]);
    }

    fn docker(answer: &'static str) -> (Machine, std::thread::JoinHandle<()>) {
        use std::io::Write as _;

        let machine = Machine::new();
        let listener = std::os::unix::net::UnixListener::bind(machine.sources().docker_socket).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 64];
            let bytes = stream.read(&mut request).unwrap();
            assert!(request[..bytes].starts_with(b"GET /version HTTP/1.0\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        (machine, server)
    }

    #[test]
    fn docker_is_asked_for_its_whole_version() {
        let (machine, server) = docker("HTTP/1.0 200 OK\r\nX: y\r\n\r\n{\"Version\":\"29.1.3-ce\",\"Os\":\"linux\"}");
        let facts = machine.facts();
        server.join().unwrap();
        assert!(facts.contains(&"io.linecamp.host.docker_version=29.1.3-ce".to_owned()));
        assert!(facts.contains(&"io.rancher.host.docker_version=29.1.3-ce".to_owned()));
    }

    #[test]
    fn a_strange_docker_is_no_docker() {
        for answer in [
            "HTTP/1.0 500 No\r\n\r\n{\"Version\":\"1\"}",
            "HTTP/1.0 200 OK\r\n\r\n{",
            "HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"1\\n2\"}",
            "",
        ] {
            let (machine, server) = docker(answer);
            let facts = machine.facts();
            server.join().unwrap();
            assert!(!facts.iter().any(|fact| fact.contains("docker")), "{answer}: {facts:?}");
        }
    }

    #[test]
    fn the_names_that_rancher_uses_can_be_switched_off() {
        let machine = Machine::new().with("proc/sys/kernel/osrelease", "6.1");
        let sources = FactSources { rancher_labels: false, ..machine.sources() };
        assert!(!facts_of(&sources).iter().any(|fact| fact.contains("rancher")));
    }
}
