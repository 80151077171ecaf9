//! Facts of machines whose kernel files and Docker are fakes.

use std::io::Read as _;
use std::os::unix::net::UnixListener;
use std::thread;

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
    let machine = Machine::new().with("proc/cpuinfo", "flags : fpu").with("sys/class/dmi/id/sys_vendor", "Supermicro");
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
    let reasons = reasons_of(&FactSources { addresses: || Err("too many sockets".to_owned()), ..machine.sources() });
    let names: Vec<_> = reasons.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["address", "aes", "cpus", "kvm", "memory_mib", "virtualization"], "{reasons:?}");
}

fn docker(answer: &'static str) -> (Machine, thread::JoinHandle<()>) {
    use std::io::Write as _;

    let machine = Machine::new();
    let listener = UnixListener::bind(machine.sources().docker_socket).unwrap();
    let server = thread::spawn(move || {
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
    drop(UnixListener::bind(machine.sources().docker_socket).unwrap());
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
    let _silent = UnixListener::bind(machine.sources().docker_socket).unwrap();
    let reasons = reasons_of(&machine.sources());
    assert_eq!(reasons, [("docker_version".to_owned(), "Docker did not answer within 1 s".to_owned())]);
}

#[test]
fn rancher_labels_can_be_disabled() {
    let machine = Machine::new().with("proc/sys/kernel/osrelease", "6.1");
    let sources = FactSources { rancher_labels: false, ..machine.sources() };
    assert!(!facts_of(&sources).iter().any(|fact| fact.contains("rancher")));
}

#[test]
fn the_resources_of_a_machine_are_observed() {
    let machine = Machine::new()
        .with("proc/sys/kernel/osrelease", "6.12.57+deb13-amd64\n")
        .with("proc/meminfo", "MemTotal:       16303428 kB\nMemAvailable:  2048 kB\n")
        .with("proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd aes\n");
    let expected = Resources {
        available_memory: Ok(Some(2 * 1024 * 1024)),
        has_aes: Ok(Some(true)),
        kernel: Ok(Some("6.12.57+deb13-amd64".to_owned())),
    };
    assert_eq!(machine.sources().resources(), expected);
    let unknown = Resources { available_memory: Ok(None), has_aes: Ok(None), kernel: Ok(None) };
    assert_eq!(Machine::new().sources().resources(), unknown);
}
